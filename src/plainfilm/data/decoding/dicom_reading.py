"""DICOM files (PS3.10), with or without preamble, deflated or not -> data sets, within bounds that are kept before pydicom reads."""

import struct
import zlib
from io import BytesIO
from typing import BinaryIO

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from plainfilm.data.decoding.decoded import MAX_BYTES, refusal
from plainfilm.data.decoding.dicom_display import PYDICOM_ERRORS
from plainfilm.data.decoding.inflating import inflated_length
from plainfilm.errors import ImageError

MAX_INFLATED_BYTES = 2 * MAX_BYTES  # 50 megapixels of three colours, or of 16 bits
MOST_ELEMENTS = 100_000  # of all sequences and items together; radiographs have some hundred
MOST_DEPTH = 32  # of sequences in sequences; the standard's own have five or so
MOST_VALUE_BYTES = 1 << 20  # of what describes patient, study and pixels; the longest are palettes of 128 kB
MOST_TEXT = 1024  # characters; those that are kept have 64 at most (PS3.5 6.2)
KEYWORDS: dict[str, str] = {
    "patient_id": "PatientID",
    "issuer": "IssuerOfPatientID",
    "modality": "Modality",
    "source": "InstitutionName",
    "view": "ViewPosition",
    "sex": "PatientSex",
    "age": "PatientAge",
    "manufacturer": "Manufacturer",
    "sop_instance_uid": "SOPInstanceUID",
    "study_instance_uid": "StudyInstanceUID",
    "accession_number": "AccessionNumber",
    "study_date": "StudyDate",
}
_TAGS: list[BaseTag | int] = [tag for keyword in KEYWORDS.values() if (tag := tag_for_keyword(keyword)) is not None]

_HEAD_INFLATED_BYTES = 1 << 24
_BEHIND_META, _BEHIND_NAMES, _OTHERS, _PIXELS = 0x00030000, 0x00280000, 0x00290000, 0x7FE00010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED, _ENDLESS = 0xFFFFFFFF, float("inf")
_SHORT_VRS = frozenset({b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"})  # fmt: skip
_LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})


def read(data: bytes) -> Dataset:
    """Read a whole file.

    Raises
    ------
    ImageError
        It inflates to more than `MAX_INFLATED_BYTES`, or goes beyond what `check` allows.
    """
    file = BytesIO(data)
    meta, start = _meta(file)
    if _is_deflated(meta):
        return _inflated(meta, data[start:])
    check(file, start, stop=_PIXELS + 1)
    file.seek(0)
    dataset = read_partial(file, stop_when=_behind_pixels, force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        native = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else native
    return dataset


def names(file: BinaryIO) -> dict[str, str]:
    """Read what a file says of patient, study, hospital and view, as text under the names of `KEYWORDS`; what is there alone.

    `age` is as it stands there, an Age String (PS3.5 6.2). Nothing behind these elements is read.

    Raises
    ------
    ImageError
        As `read`.
    """
    meta, start = _meta(file)
    if _is_deflated(meta):
        file.seek(start)
        head = zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(MAX_BYTES), _HEAD_INFLATED_BYTES)
        check(BytesIO(head), 0, stop=_BEHIND_NAMES)
        dataset = read_dataset(BytesIO(head), False, True, stop_when=_behind_names, specific_tags=_TAGS)
    else:
        check(file, start, stop=_BEHIND_NAMES)
        file.seek(0)
        dataset = read_partial(file, stop_when=_behind_names, specific_tags=_TAGS, force=True)
    return {name: text for name, keyword in KEYWORDS.items() if (text := _text(dataset, keyword))}


def check(file: BinaryIO, start: int, *, stop: int) -> None:
    """Walk over a data set's elements from byte `start` up to the tag `stop`, and over all in their sequences, without reading values.

    Raises
    ------
    ImageError
        More than `MOST_ELEMENTS` elements, sequences more than `MOST_DEPTH` deep, or a value of more than `MOST_VALUE_BYTES` among
        those that describe the picture.
    """
    at, little = start, True
    inside: list[tuple[float, bool]] = []  # where what we are in ends, and whether its items are fragments
    for count in range(MOST_ELEMENTS + 1):
        while inside and at >= inside[-1][0]:
            at = int(inside.pop()[0])
        file.seek(at)
        if len(head := file.read(16)) < 8:
            return
        little = little if count else head[0] != 0 or head[1] == 0
        tag, length, size, holds = _element(head, little)
        if tag >= stop and not inside:
            return
        if tag in {_ITEM_END, _SEQUENCE_END}:
            at += 8
            if inside and inside[-1][0] == _ENDLESS:
                inside.pop()
        elif holds == "values" or (tag == _ITEM and inside and inside[-1][1]):
            if length > MOST_VALUE_BYTES and tag < _OTHERS and not tag >> 16 & 1:
                raise _beyond(f"values of at most {MOST_VALUE_BYTES >> 20} MB", f"one of {length / 1e6:.0f} MB")
            at += size + length
        else:
            at += size
            inside.append((_ENDLESS if length == _UNDEFINED else at + length, holds == "fragments"))
            if len(inside) > 2 * MOST_DEPTH:  # a sequence, and an item in it
                raise _beyond(f"sequences at most {MOST_DEPTH} deep", "deeper ones")
    raise _beyond(f"at most {MOST_ELEMENTS:,} elements", "more")


def _element(head: bytes, little: bool) -> tuple[int, int, int, str]:
    """Tag, bytes of the value, bytes before it, and what it holds: values, elements or fragments (PS3.5 7.1, 7.5, A.4)."""
    order = "<" if little else ">"
    group, number = struct.unpack_from(f"{order}HH", head)
    tag, vr = group << 16 | number, head[4:6] if group != 0xFFFE else b""
    if vr in _SHORT_VRS:
        return tag, int(struct.unpack_from(f"{order}H", head, 6)[0]), 8, "values"
    is_long = vr in _LONG_VRS and len(head) >= 12
    size = 12 if is_long else 8
    length = int(struct.unpack_from(f"{order}I", head, size - 4)[0])
    if length == _UNDEFINED:
        return tag, length, size, "elements" if not is_long or vr in {b"SQ", b"UN"} else "fragments"
    begins_item = head[size : size + 4] == struct.pack(f"{order}HH", 0xFFFE, 0xE000) and length >= 8
    is_sequence = vr == b"SQ" or (begins_item and tag != _PIXELS and (not is_long or vr == b"UN"))
    return tag, length, size, "elements" if is_sequence or tag == _ITEM else "values"


def _beyond(expected: str, received: str) -> ImageError:
    return refusal("damaged", f"Expected a DICOM file with {expected}; received {received}. Send it again.")


def _meta(file: BinaryIO) -> tuple[FileMetaDataset | None, int]:
    """File meta information, or None without, and where the data set begins."""
    file.seek(0)
    head = file.read(136)
    start = 132 if head[128:132] == b"DICM" else 0
    if head[start : start + 2] != b"\2\0":
        return None, start
    check(file, start, stop=_BEHIND_META)
    file.seek(start)
    meta = read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
    return FileMetaDataset(meta), file.tell()


def _is_deflated(meta: FileMetaDataset | None) -> bool:
    return meta is not None and meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian


def _inflated(meta: FileMetaDataset | None, deflated: bytes) -> Dataset:
    """Read a deflated data set once its inflated length is known to be bearable."""
    length = inflated_length(deflated, MAX_INFLATED_BYTES, wbits=-zlib.MAX_WBITS)
    if length is None:
        raise zlib.error("truncated")
    if length > MAX_INFLATED_BYTES:
        raise refusal(
            "too-many-bytes",
            f"Expected at most {MAX_INFLATED_BYTES // 1_000_000} MB once inflated; received more. Save a smaller copy.",
        )
    file = BytesIO(zlib.decompressobj(-zlib.MAX_WBITS).decompress(deflated))
    check(file, 0, stop=_PIXELS + 1)
    file.seek(0)
    dataset = read_dataset(file, False, True, stop_when=_behind_pixels)
    dataset.file_meta = meta
    return dataset


def _behind_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return bool(tag > _PIXELS)


def _behind_names(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return bool(tag >= _BEHIND_NAMES)


def _text(dataset: Dataset, keyword: str) -> str:
    try:
        value = dataset.get(keyword)
    except PYDICOM_ERRORS:  # one malformed element beside sound ones
        return ""
    return "" if value is None else " ".join(str(value)[:MOST_TEXT].split())
