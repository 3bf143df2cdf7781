"""The head of an instance: who and which study it is, read in bounded time and memory, and cleaned of what no answer may hold."""

import datetime
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import (
    JPEG2000,
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    generate_uid,
)

from plainfilm.data.decoding.dicom_display import PYDICOM_ERRORS

DicomJson = dict[str, Any]  # a data set in the DICOM JSON model (PS3.18 F)
SOP_CLASSES = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
)
# All of still images but Deflated: what a few bytes swell to is known only after inflating.
TRANSFER_SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEG2000Lossless,
    JPEG2000,
    RLELossless,
)
_HEAD_BYTES = 4 << 20
_MOST_READS = 40_000  # for 10,000 elements
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
# What the answers take over from the image, with the most letters of each (PS3.5 6.2) or the form it must have.
_TEXTS = {
    "PatientID": 64,
    "IssuerOfPatientID": 64,
    "StudyID": 16,
    "AccessionNumber": 16,
    "StudyDescription": 64,
}
_NAMES = ("PatientName", "ReferringPhysicianName")
_FORMS = {
    "PatientBirthDate": re.compile("[0-9]{8}"),
    "PatientSex": re.compile("[MFO]"),
    "PatientAge": re.compile("[0-9]{3}[DWMY]"),
    "StudyDate": re.compile("[0-9]{8}"),
    "StudyTime": re.compile(r"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:[0-5][0-9](?:\.[0-9]{1,6})?)?)?"),
}
_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_ORIENTATION = re.compile("[APRLHF]{1,3}")
_TAGS = [
    BaseTag(tag)
    for keyword in ("SpecificCharacterSet", *_UIDS, *_TEXTS, *_NAMES, *_FORMS, "PatientOrientation")
    if (tag := tag_for_keyword(keyword)) is not None
]
_END = BaseTag(0x00280000)  # all of them lie before the group that describes the pixels


class HeaderError(ValueError):
    """An instance that no answer could be given to; `status` is what C-STORE says of it (PS3.4 B.2.3)."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class File:
    """A DICOM file (PS3.10) in two parts: its transfer syntax, its sender, and where its data set begins."""

    syntax: UID
    sender: str
    start: int


class _Bounded(BytesIO):
    """Bytes that are read in so many pieces at most: pydicom reads each element and each item of a sequence in a few."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as BytesIO does. Raises ValueError beyond the bound."""
        self._reads += 1
        if self._reads > _MOST_READS:
            raise ValueError("too many elements")
        return super().read(size)


def prefix(source: Dataset, *, syntax: UID, sender: str) -> bytes:
    """What stands before a data set in a file: preamble and file meta information (PS3.10 7.1), with the sender's AE title."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    if sender:
        meta.SourceApplicationEntityTitle = sender
    stream = BytesIO()
    stream.write(bytes(128) + b"DICM")
    write_file_meta_info(stream, meta)
    return stream.getvalue()


def opened(data: bytes) -> File:
    """Read the file meta information of a DICOM file.

    Raises
    ------
    HeaderError
        No DICOM file, or one in a transfer syntax that is not taken.
    """
    if data[128:132] != b"DICM":
        raise HeaderError(0xC000, "no DICOM file")
    stream = _Bounded(data[132 : 132 + (1 << 16)])
    meta = _parsed(stream, False, True, lambda tag, *_: tag.group != 2, None)
    syntax = UID(_first(meta, "TransferSyntaxUID"))
    if syntax not in TRANSFER_SYNTAXES:
        raise HeaderError(0x0122, "transfer syntax not taken")
    return File(syntax, _first(meta, "SourceApplicationEntityTitle"), 132 + stream.tell())


def source(data: bytes, *, syntax: UID, start: int = 0) -> Dataset:
    """Read what answers take over from an image, cleaned: only well-formed values, cut to their length, in Unicode.

    Reads at most 4 MB and some 10,000 elements, those in sequences too, and nothing from group 0028 on.

    Parameters
    ----------
    data
        The data set from byte `start` on.
    syntax
        How it is encoded; one of `TRANSFER_SYNTAXES`.

    Raises
    ------
    HeaderError
        It cannot be parsed, or has no SOP class, instance or study.
    """
    stream = _Bounded(data[start : start + _HEAD_BYTES])
    raw = _parsed(stream, syntax.is_implicit_VR, syntax.is_little_endian, lambda tag, *_: tag >= _END, _TAGS)
    clean = Dataset()
    for keyword in _UIDS:
        value = _first(raw, keyword)
        if is_uid(value):
            setattr(clean, keyword, value)
        elif keyword != "SeriesInstanceUID":
            raise HeaderError(0xA900, f"no sound {keyword}")
    if "SeriesInstanceUID" not in clean:
        clean.SeriesInstanceUID = generate_uid(entropy_srcs=[clean.StudyInstanceUID, "series"])
    _fill(clean, raw)
    return clean


def is_uid(text: str) -> bool:
    """Whether a text has the form of a UID: digits and single dots, 64 at most (PS3.5 9.1)."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def without_patient(clean: Dataset) -> Dataset:
    """Give the UIDs alone of what `source` gives: the least that an answer needs."""
    bare = Dataset()
    for keyword in _UIDS:
        setattr(bare, keyword, clean[keyword].value)
    _fill(bare, Dataset())
    return bare


def answer_uid(source_uid: str, model: str, kind: str) -> UID:
    """Derive the UID of an answer from the image's, the model's SHA-256 and what it is: the same each time."""
    return generate_uid(entropy_srcs=["plainfilm", source_uid, model, kind])


def series_uid(clean: Dataset, model: str, kind: str) -> UID:
    """Derive the UID of the series that the answers to a series belong to."""
    return answer_uid(f"{clean.StudyInstanceUID}\n{clean.SeriesInstanceUID}", model, f"series {kind}")


def digest(text: str, digits: int) -> str:
    """Give the first hexadecimal digits of a text's SHA-256, as capitals: a short code that is the same everywhere."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:digits].upper()


def plain(text: object, most: int) -> str:
    """One line of at most `most` letters: nothing that controls a terminal or ends a value, and only whole Unicode."""
    whole = str(text).encode("utf-8", "replace").decode("utf-8")
    line = " ".join("".join(c if c.isprintable() and c != "\\" else " " for c in whole).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _fill(clean: Dataset, raw: Dataset) -> None:
    clean.SpecificCharacterSet = "ISO_IR 192"
    for keyword, most in _TEXTS.items():
        setattr(clean, keyword, plain(_first(raw, keyword), most).removesuffix("…"))
    for keyword in _NAMES:
        setattr(clean, keyword, _person(_first(raw, keyword)))
    for keyword, form in _FORMS.items():
        value = _first(raw, keyword).strip()
        is_sound = form.fullmatch(value) and (not keyword.endswith("Date") or _is_day(value))
        setattr(clean, keyword, value if is_sound else "")
    clean.PatientOrientation = _orientation(raw)


def _is_day(text: str) -> bool:
    try:
        datetime.datetime.strptime(text, "%Y%m%d")
    except ValueError:
        return False
    return True


def _person(text: str) -> str:
    """Clean a person name: at most three groups of at most five components (PS3.5 6.2)."""
    groups = [plain("^".join(group.split("^")[:5]), 64).removesuffix("…") for group in text.split("=")[:3]]
    return "=".join(groups).rstrip("=")


def _orientation(raw: Dataset) -> list[str]:
    try:
        given = [str(each) for each in raw.get("PatientOrientation") or ()]
    except PYDICOM_ERRORS:
        return []
    return given if len(given) == 2 and all(map(_ORIENTATION.fullmatch, given)) else []


def _first(raw: Dataset, keyword: str) -> str:
    """Give the first value of an element as text, without padding; nothing where it is missing or malformed."""
    try:
        value = raw.get(keyword)
        if value is not None and not isinstance(value, str | bytes) and hasattr(value, "__getitem__"):
            value = next(iter(value), None)
        return "" if value is None else str(value).strip(" \0")
    except PYDICOM_ERRORS:
        return ""


def _parsed(
    stream: BytesIO, is_implicit: bool, is_little: bool, stop: Callable[..., bool], tags: list[BaseTag] | None
) -> Dataset:
    try:
        found: Dataset = read_dataset(stream, is_implicit, is_little, stop_when=stop, specific_tags=tags)
    except (*PYDICOM_ERRORS, RecursionError, MemoryError) as error:
        raise HeaderError(0xC000, "cannot be parsed") from error
    return found
