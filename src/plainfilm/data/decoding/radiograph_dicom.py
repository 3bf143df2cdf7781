"""DICOM files, with or without preamble, in every transfer syntax of still images -> gray pictures as displayed."""

import re
import zlib
from io import BytesIO
from typing import Any

from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import get_frame
from pydicom.filereader import read_dataset
from pydicom.pixels import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from plainfilm.data.decoding.colour import gray_of_colour
from plainfilm.data.decoding.decoded import MAX_BYTES, DecodedImage, Remarks, check_size, refusal
from plainfilm.data.decoding.dicom_display import PYDICOM_ERRORS, displayed
from plainfilm.data.decoding.dicom_header import completed
from plainfilm.data.decoding.frames import stated
from plainfilm.data.decoding.modalities import LATERAL_VIEWS, RADIOGRAPHY, lateral_sentence
from plainfilm.data.decoding.stored_values import stored_values
from plainfilm.errors import ImageError

MAX_INFLATED_BYTES = 4 * MAX_BYTES

_CHEST = re.compile(r"CHEST|THORA|TORA[XC]|LUNG|PULM|RIB|BRUST|TRUNK|WHOLE ?BODY")
_OTHER_PART = re.compile(  # words of PS3.16 annex L that no chest radiograph bears
    r"ABDO|ANKLE|ARM|BREAST|CALCAN|CLAVIC|COCCYX|ELBOW|EXTREM|FACE|FEMUR|FEMORAL|FIBULA|FINGER|FOOT|FOREARM|HAND|HEAD|"
    r"HIP|HUMER|JAW|KNEE|LEG|MANDIB|MAXILL|NECK|NOSE|ORBIT|PATELLA|PELVI|RADIUS|SACR|SCAPUL|SHOULDER|SINUS|SKULL|"
    r"SPINE|TEETH|THIGH|THUMB|TIBIA|TOE|ULNA|WRIST|ZYGOMA"
)
_YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25, "": 1.0}
_TEXTS = {
    "patient": "PatientID",
    "sex": "PatientSex",
    "manufacturer": "Manufacturer",
    "modality": "Modality",
    "body_part": "BodyPartExamined",
    "institution": "InstitutionName",
    "photometric": "PhotometricInterpretation",
}


def decode(data: bytes) -> DecodedImage:
    """Decode the bytes of a DICOM file to the picture that a viewer shows first, bones bright.

    The order is that of the standard: Modality LUT or rescale (PS3.3 C.11.1), VOI LUT or first window (C.11.2), then
    MONOCHROME1 is turned over (C.7.6.3.1.2). Without a window the full range of the pixel data is used. Pixel padding
    (C.7.5.1.1.2) counts for no range and is shown black.

    Raises
    ------
    ImageError
        With a code of `picture.REASONS`.
    """
    try:
        dataset = _dataset(data)
        _refuse_without_pixels(dataset)
        completing = completed(dataset)
        _check(dataset)
        stored, storing = stored_values(dataset)
        gray, showing = _gray(stored, dataset)
        remarks = (*completing, *storing, *showing, *_remarks(dataset))
        return DecodedImage(gray, (0.0, 0.0, *gray.size), _provenance(dataset), remarks)
    except PYDICOM_ERRORS as error:
        raise _broken(error) from error


def _broken(error: Exception) -> ImageError:
    if "less than expected" in str(error) or "truncated" in str(error):
        return refusal(
            "truncated", "Expected a whole DICOM file; received one that ends too early. Copy or send it again."
        )
    detail = " ".join(str(error).split())[:200] or type(error).__name__
    return refusal("damaged", f"Expected a sound DICOM file; received one with a fault ({detail}). Send it again.")


def _dataset(data: bytes) -> Dataset:
    file_meta_end = _end_of_file_meta(data)
    dataset = dcmread(BytesIO(data), force=True) if file_meta_end is None else _with_meta(data, file_meta_end)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        native = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else native
    return dataset


def _end_of_file_meta(data: bytes) -> int | None:
    if data[128:132] != b"DICM":
        return None
    stream = BytesIO(data)
    stream.seek(132)
    read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
    return stream.tell()


def _with_meta(data: bytes, file_meta_end: int) -> Dataset:
    """Parse a file with preamble; a deflated one only after its inflated length is known to be bearable."""
    deflated = DeflatedExplicitVRLittleEndian.encode() in data[132:file_meta_end]
    if deflated:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        if len(inflater.decompress(data[file_meta_end:], MAX_INFLATED_BYTES)) == MAX_INFLATED_BYTES:
            raise refusal(
                "too-many-bytes",
                f"Expected at most {MAX_INFLATED_BYTES // 1_000_000} MB once inflated; received more. "
                "Save a smaller copy.",
            )
    return dcmread(BytesIO(data))


def _refuse_without_pixels(dataset: Dataset) -> None:
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise _without_pixels(dataset)


def _check(dataset: Dataset) -> None:
    """Refuse what cannot or should not be decoded, from the header alone."""
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise refusal(
            "several-frames",
            f"Expected one image a file; received {dataset.NumberOfFrames} frames. Save one frame by itself.",
        )
    check_size(int(dataset.Columns), int(dataset.Rows))
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    try:
        get_decoder(syntax)
    except NotImplementedError as error:
        raise refusal(
            "unsupported-encoding",
            f"Expected a still image transfer syntax; received {syntax.name}. Convert it to Explicit VR Little Endian.",
        ) from error
    if syntax.is_encapsulated and syntax != RLELossless:
        _check_codestream(get_frame(dataset.PixelData, 0, number_of_frames=1), dataset)


def _without_pixels(dataset: Dataset) -> ImageError:
    kind = _text(dataset, "SOPClassUID") or _text(dataset.file_meta, "MediaStorageSOPClassUID")
    if kind and "Image" not in UID(kind).name:
        return refusal(
            "no-pixels", f"Expected a DICOM image; received {UID(kind).name}, which has no pixels. Leave it out."
        )
    return refusal(  # pydicom ends in silence where the file does
        "truncated",
        "Expected a whole DICOM image; received one without pixel data, probably cut short. Copy or send it again.",
    )


def _check_codestream(frame: bytes, dataset: Dataset) -> None:
    """Refuse a frame whose own header states another size than the data set: it would be decoded at its own size."""
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    said = stated(frame)
    if said is not None and (said.rows, said.columns) != (rows, columns):
        raise refusal(
            "damaged",
            f"Expected a compressed picture of {rows} rows and {columns} columns; received one of {said.rows} and "
            f"{said.columns}. Send the file again.",
        )


def _gray(stored: NDArray[Any], dataset: Dataset) -> tuple[Image.Image, Remarks]:
    bits = int(dataset.BitsStored) if "BitsStored" in dataset else 8
    if str(dataset.PhotometricInterpretation) == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
        bits = 8 * stored.dtype.itemsize
    if stored.ndim == 3:
        return gray_of_colour(stored, 2.0**bits - 1.0)
    pixels, remarks = displayed(stored, dataset)
    return Image.fromarray(pixels), remarks


def _provenance(dataset: Dataset) -> dict[str, str | int | float]:
    facts: dict[str, str | int | float] = {
        "width": int(dataset.Columns),
        "height": int(dataset.Rows),
        "format": "DICOM",
        "bits": int(dataset.BitsStored if "BitsStored" in dataset else dataset.BitsAllocated),
        "transfer_syntax": str(dataset.file_meta.TransferSyntaxUID),
    }
    facts |= {name: text for name, keyword in _TEXTS.items() if (text := _text(dataset, keyword))}
    if view := _view(dataset):
        facts["view"] = view
    age = age_in_years(_text(dataset, "PatientAge"))
    return facts if age is None else facts | {"age": age}


def _text(dataset: Dataset, keyword: str) -> str:
    try:
        value = dataset.get(keyword)
    except PYDICOM_ERRORS:  # one malformed element beside a sound picture
        return ""
    return "" if value is None else " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())


def age_in_years(text: str) -> float | None:
    """Read an Age String (PS3.5 6.2: nnnD, nnnW, nnnM, nnnY) as years; None where it is not one."""
    match = re.fullmatch(r"(\d{1,3})([DWMY]?)", text.upper())
    return None if match is None else round(int(match[1]) * _YEARS[match[2]], 2)


def _view(dataset: Dataset) -> str:
    """View Position, or else what the View Code Sequence means, in the same short terms."""
    view = _text(dataset, "ViewPosition").upper()
    if view:
        return view
    codes = dataset.get("ViewCodeSequence")
    meaning = _text(codes[0], "CodeMeaning").lower().replace("-", "") if codes else ""
    terms = {"posteroanterior": "PA", "anteroposterior": "AP", "decubitus": "", "lateral": "LATERAL"}
    return next((term for word, term in terms.items() if word in meaning), "")


def _remarks(dataset: Dataset) -> Remarks:
    modality, part = _text(dataset, "Modality").upper(), _text(dataset, "BodyPartExamined").upper()
    view = _view(dataset)
    found = []
    if modality and modality not in RADIOGRAPHY:
        found.append(
            ("not-radiograph-modality", f"Expected modality CR, DX, DR or RG; received {modality}. Check the image.")
        )
    if _OTHER_PART.search(part) and not _CHEST.search(part):
        found.append(("not-chest", f"Expected a chest; received body part {part}. Check the image."))
    if view in LATERAL_VIEWS:
        found.append(("lateral", lateral_sentence(view)))
    if _text(dataset, "PresentationIntentType").upper() == "FOR PROCESSING":
        found.append(
            (
                "for-processing",
                "Expected an image for presentation; received raw detector values. Export the other one.",
            )
        )
    return tuple(found)
