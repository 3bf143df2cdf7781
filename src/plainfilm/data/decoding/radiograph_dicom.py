"""DICOM files, with or without preamble, in every transfer syntax of still images -> gray pictures as displayed."""

import math
import re
from typing import BinaryIO

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.uid import UID

from plainfilm.data.ages import years
from plainfilm.data.decoding import dicom_reading
from plainfilm.data.decoding.decoded import DecodedImage, Remarks, check_size, colour_remarks, refusal
from plainfilm.data.decoding.dicom_display import PYDICOM_ERRORS, displayed
from plainfilm.data.decoding.dicom_header import is_little_endian, whole_number
from plainfilm.data.decoding.dicom_pixels import Stored, stored
from plainfilm.data.decoding.dicom_tables import coloured, filled_bits
from plainfilm.data.decoding.modalities import LATERAL_VIEWS, RADIOGRAPHY, lateral_sentence, named_modality
from plainfilm.errors import ImageError
from plainfilm.reasons import reason_of

_CHEST = re.compile(r"CHEST|THORA|TORA[XC]|LUNG|PULM|RIB|BRUST|TRUNK|WHOLE ?BODY")
_OTHER_PART = re.compile(  # words of PS3.16 annex L that no chest radiograph bears
    r"ABDO|ANKLE|ARM|BREAST|CALCAN|CLAVIC|COCCYX|ELBOW|EXTREM|FACE|FEMUR|FEMORAL|FIBULA|FINGER|FOOT|FOREARM|HAND|HEAD|"
    r"HIP|HUMER|JAW|KNEE|LEG|MANDIB|MAXILL|NECK|NOSE|ORBIT|PATELLA|PELVI|RADIUS|SACR|SCAPUL|SHOULDER|SINUS|SKULL|"
    r"SPINE|TEETH|THIGH|THUMB|TIBIA|TOE|ULNA|WRIST|ZYGOMA"
)
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
        With a code of `decoded.REASONS`.
    """
    try:
        dataset = dicom_reading.read(data)
        _check(dataset)
        facts = _provenance(dataset)  # as the file has it
        pixels = stored(dataset)
        gray, remarks = _gray(pixels, dataset)
        remarks = (*pixels.remarks, *remarks, *_remarks(dataset))
        return DecodedImage(gray, (0.0, 0.0, *gray.size), facts | {"bits": pixels.bits}, remarks)
    except PYDICOM_ERRORS as error:
        raise _broken(error) from error


def names(file: BinaryIO) -> dict[str, str]:
    """Read what a DICOM file says of patient, study, hospital and view, without its pixels, by `dicom_reading.KEYWORDS`; `age` in years.

    Raises
    ------
    ImageError
        As `decode`.
    """
    try:
        found = dicom_reading.names(file)
    except PYDICOM_ERRORS as error:
        raise _broken(error) from error
    age = age_in_years(found.get("age", ""))
    return {name: text for name, text in found.items() if name != "age"} | ({} if age is None else {"age": f"{age:g}"})


def _broken(error: Exception) -> ImageError:
    if "less than expected" in str(error) or "truncated" in str(error):
        return refusal(
            "truncated", "Expected a whole DICOM file; received one that ends too early. Copy or send it again."
        )
    return refusal(
        "damaged", f"Expected a sound DICOM file; received one with a fault ({reason_of(error)}). Send it again."
    )


def _check(dataset: Dataset) -> None:
    """Refuse what cannot or should not be decoded, from the header alone."""
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise _without_pixels(dataset)
    if (whole_number(dataset, "NumberOfFrames") or 1) > 1:
        raise refusal(
            "several-frames",
            f"Expected one image a file; received {dataset.NumberOfFrames} frames. Save one frame by itself.",
        )
    check_size(int(dataset.Columns), int(dataset.Rows))


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


def _gray(pixels: Stored, dataset: Dataset) -> tuple[Image.Image, Remarks]:
    values, bits = pixels.values, pixels.bits
    if pixels.photometric == "PALETTE COLOR":
        values, bits = coloured(values, dataset, little=is_little_endian(dataset))
    if values.ndim == 2:
        shown, remarks = displayed(values, dataset)
        return Image.fromarray(shown), remarks
    depth = filled_bits(int(values.max()), bits)
    tones = np.minimum(values.astype(np.float32) * (255.0 / (2**depth - 1)) + 0.5, 255.0).astype(np.uint8)
    mode = "YCbCr" if pixels.photometric.startswith("YBR_FULL") else "RGB"
    colour = Image.frombytes(mode, tones.shape[1::-1], tones.tobytes())
    gray = colour.getchannel(0) if mode == "YCbCr" else colour.convert("L")
    return gray, colour_remarks(colour) + (() if depth == bits else _other_depth(bits, depth))


def _other_depth(bits: int, depth: int) -> Remarks:
    sentence = f"Expected colours of {bits} bits; received values that fill {depth}. They were taken as such: look at the picture."
    return (("bad-bits", sentence),)


def _provenance(dataset: Dataset) -> dict[str, str | int | float]:
    facts: dict[str, str | int | float] = {
        "width": int(dataset.Columns),
        "height": int(dataset.Rows),
        "format": "DICOM",
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
    age = years(text)
    return None if math.isnan(age) else round(age, 2)


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
            (
                "not-radiograph-modality",
                f"Expected modality CR, DX, DR or RG; received {named_modality(modality)}. Check the image.",
            )
        )
    if (other := _OTHER_PART.search(part)) and not _CHEST.search(part):  # the rest of what was written may be anything
        found.append(("not-chest", f"Expected a chest; received body part {other[0]}. Check the image."))
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
