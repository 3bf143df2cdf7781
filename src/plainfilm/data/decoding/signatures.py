"""What a file is, told from its first bytes alone: never from its name."""

import re
import struct

HEAD_BYTES = 512

_SIGNATURES = (
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"II\*\0|MM\0\*|II\+\0\x08\0|MM\0\+\0\x08", "TIFF"),
    (rb"RIFF....WEBP", "WEBP"),
    (rb"GIF8[79]a.{6}", "GIF"),
    (rb"BM.{8}..\0\0(\x0c|\x28|\x34|\x38|\x40|\x6c|\x7c)\0\0\0", "BMP"),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51\0", "JP2"),
    (rb"\x93NUMPY[\x01-\x03]\0", "NPY"),
    (rb"P[2356]" + 3 * rb"(\s|#[^\r\n]*[\r\n])+\d{1,5}" + rb"\s", "PNM"),
    (rb"....ftyp(heic|heix|heim|heis|hevc|hevx|mif1|msf1)", "HEIC"),
    (rb"....ftypavi[fs]", "AVIF"),
    (rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a[\x00-\xff]{14}", "JPEG XL"),
    (rb"P7\nWIDTH ", "PAM"),
    (rb"P[fF]\s\d{1,5}\s\d{1,5}\s-?\d", "PFM"),
    (rb"II\xbc\x01", "JPEG XR"),
    (rb"8BPS\0[\x01\x02]\0{6}", "PSD"),
    (rb"v/1\x01", "OpenEXR"),
    (rb"NRRD000\d\r?\n", "NRRD"),
)
_KINDS = tuple((re.compile(pattern, re.DOTALL), name) for pattern, name in _SIGNATURES)

_TEXT = re.compile(rb"[\x1b\t\r\n\f\x20-\x7e\x80-\xff]*\0?")
_TEXT_VRS = {b"AE", b"AS", b"CS", b"DA", b"DT", b"LO", b"PN", b"SH", b"ST", b"TM", b"UI"}
_NUMBER_VRS = {b"UL", b"US", b"AT"}
_LONG_VRS = {b"OB", b"SQ", b"UN", b"UT", b"UC"}  # two reserved bytes, then 32 bits of length
_LENGTHS = {0x00020000: 4, 0x00020001: 2, 0x00080000: 4, 0x00080001: 4}  # of values that are no text
_FIRST_TAGS = {*range(0x00020000, 0x00020061), *range(0x00080000, 0x00080061)}
_MOST_BYTES = 1024  # of a text at the beginning of a data set


def kind_of(head: bytes | bytearray) -> str | None:
    """Say what a file is, from its first bytes, of which up to `HEAD_BYTES` are looked at.

    Returns
    -------
    str or None
        JPEG, PNG, TIFF, WEBP, BMP, GIF, JP2 (JPEG 2000, as a file or a bare codestream), NPY, PNM or DICOM, with or without preamble;
        the name of an image format that is not decoded, such as HEIC; None for anything else.
    """
    head = bytes(head[:HEAD_BYTES])
    if head[128:132] == b"DICM":  # first, since a preamble may itself look like a TIFF (PS3.10, 7.1)
        return "DICOM"
    found = (name for pattern, name in _KINDS if pattern.match(head))
    return next(found, "DICOM" if _begins_with_dicom_elements(head) else None)


def _begins_with_dicom_elements(head: bytes) -> bool:
    """Whether this is a data set without preamble: two sensible elements of low groups in order, or one that fills the head."""
    for order in "<>":
        first = _element(head, 0, order)
        if first is None or first[0] not in _FIRST_TAGS:
            continue
        if first[1] >= HEAD_BYTES:
            return True
        second = _element(head, first[1], order)
        if second is not None and first[0] < second[0] < 0x00200000:
            return True
    return False


def _element(head: bytes, at: int, order: str) -> tuple[int, int] | None:
    """Tag of the element that begins here, and where the next one does (PS3.5, 7.1); None where its value is not sensible."""
    if len(head) < at + 12:
        return None
    group, number = struct.unpack_from(f"{order}HH", head, at)
    tag, vr = group << 16 | number, head[at + 4 : at + 6]
    if vr in _LONG_VRS and head[at + 6 : at + 8] == b"\0\0":
        start, length = at + 12, struct.unpack_from(f"{order}I", head, at + 8)[0]
    elif vr in _TEXT_VRS | _NUMBER_VRS:
        start, length = at + 8, struct.unpack_from(f"{order}H", head, at + 6)[0]
    else:
        start, length = at + 8, struct.unpack_from(f"{order}I", head, at + 4)[0]
    if tag in _LENGTHS:
        is_sensible = length == _LENGTHS[tag]
    elif vr == b"SQ" or head[start : start + 4] == struct.pack(f"{order}HH", 0xFFFE, 0xE000):
        return tag, HEAD_BYTES
    else:
        value = head[start : start + length]
        is_sensible = length % 2 == 0 and length <= _MOST_BYTES and _TEXT.fullmatch(value) is not None
    return (tag, start + length) if is_sensible else None
