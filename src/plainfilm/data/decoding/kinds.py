"""What a file is, by its first bytes: the one place that says so, for the listing of folders and for the decoders."""

import re
import struct

JSRT_BYTES = 2 * 2048 * 2048  # of the .IMG files of JSRT, which begin like nothing

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\x93NUMPY", "NPY"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)
_FIRST_VRS = {b"AE", b"CS", b"DA", b"DT", b"LO", b"OB", b"SH", b"SQ", b"TM", b"UI", b"UL"}
_PNM = re.compile(rb"P[2356](\s|#[^\n]*\n)+\d+(\s|#[^\n]*\n)+\d+(\s|#[^\n]*\n)+\d+\s")


def kind_of(head: bytes) -> str | None:
    """Give the kind of an image file by its first bytes, of which 512 are enough; None for what is none that is known.

    JPEG, PNG, TIFF, WEBP, BMP, GIF, NPY, JPEG2000, PPM (gray or colour), or DICOM, with or without its preamble.
    """
    if head[128:132] == b"DICM":  # first, since a preamble may itself look like a TIFF (PS3.10, 7.1)
        return "DICOM"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    by_signature = next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), None)
    if by_signature == "BMP":
        return "BMP" if _is_bmp(head) else None
    if by_signature is not None:
        return by_signature
    if _PNM.match(head[:512]):
        return "PPM"
    return "DICOM" if _begins_with_dicom_element(head) else None


def _is_bmp(head: bytes) -> bool:
    """Whether what begins with BM, as words do, goes on as a bitmap: reserved zeros, and a header of a usual length."""
    return head[6:10] == b"\0\0\0\0" and head[14:18] in {struct.pack("<I", n) for n in (12, 40, 52, 56, 64, 108, 124)}


def _begins_with_dicom_element(head: bytes) -> bool:
    """Whether this is a data set without preamble: a low tag of group 0002 or 0008, then its VR or length."""
    for order in "<>":
        group, element, length = struct.unpack(f"{order}HHI", head[:8].ljust(8, b"\xff"))
        if group in {0x0002, 0x0008} and element <= 0x0060:
            return head[4:6] in _FIRST_VRS or (length <= 1024 and _goes_on(head[8 + length : 10 + length], order))
    return False


def _goes_on(after: bytes, order: str) -> bool:
    """Whether an element of a low group follows, or lies beyond what is there."""
    return len(after) < 2 or struct.unpack(f"{order}H", after)[0] in {0x0002, 0x0008, 0x0010}
