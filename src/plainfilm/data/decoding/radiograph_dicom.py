"""DICOM files, with or without preamble, in every transfer syntax of still images -> gray pictures as displayed."""

import re
import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import get_frame
from pydicom.filereader import read_dataset
from pydicom.pixels import get_decoder, pixel_array
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    RLELossless,
)

from plainfilm.data.decoding.decoded import MAX_BYTES, DecodedImage, Remarks, check_size, colour_remarks, refusal
from plainfilm.data.decoding.dicom_display import PYDICOM_ERRORS, displayed
from plainfilm.errors import ImageError

MAX_INFLATED_BYTES = 4 * MAX_BYTES

RADIOGRAPHY = {"CR", "DX", "DR", "RG"}  # RF is left out: a stopped fluoroscopy is no plain radiograph
LATERAL_VIEWS = {"LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT"}  # LLD and RLD, lying on the side, are frontal
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
        _check(dataset)
        gray, remarks = _gray(_stored_values(dataset), dataset)
        return DecodedImage(gray, (0.0, 0.0, *gray.size), _provenance(dataset), remarks + _remarks(dataset))
    except PYDICOM_ERRORS as error:
        raise _broken(error) from error


def _stored_values(dataset: Dataset) -> NDArray[Any]:
    """Decode the pixel data, by GDCM only where nothing else can (lossless JPEG, JPEG-LS, 12-bit JPEG).

    On some damaged JPEG, GDCM ends the process instead of reporting an error.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    eight_bits = int(dataset.BitsStored) <= 8
    if syntax == JPEGBaseline8Bit or (syntax == JPEGExtended12Bit and eight_bits):
        return np.asarray(pixel_array(dataset, decoding_plugin="pillow"))
    if syntax == JPEGExtended12Bit and int(dataset.SamplesPerPixel) == 1:
        return _twelve_bit_jpeg(dataset)
    plugin = "pylibjpeg" if syntax in {JPEG2000, JPEG2000Lossless} else ""
    return np.asarray(pixel_array(dataset, decoding_plugin=plugin))


def _twelve_bit_jpeg(dataset: Dataset) -> NDArray[np.uint16]:
    """Decode T.81 process 4, which GDCM can and pydicom 3.0 does not ask it for."""
    import gdcm

    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(get_frame(dataset.PixelData, 0, number_of_frames=1))
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((int(dataset.Columns), int(dataset.Rows), 1))
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, 12, 11, 0))
    image.SetDataElement(element)
    values = np.frombuffer(image.GetBuffer().encode("utf-8", "surrogateescape"), dtype="<u2")
    return values.reshape(int(dataset.Rows), int(dataset.Columns))


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


def _check(dataset: Dataset) -> None:
    """Refuse what cannot or should not be decoded, from the header alone."""
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise _without_pixels(dataset)
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
    expected = (int(dataset.Rows), int(dataset.Columns))
    stated = codestream_size(frame)
    if stated is not None and stated != expected:
        raise refusal(
            "damaged",
            f"Expected a compressed picture of {expected[0]} rows and {expected[1]} columns; received one of "
            f"{stated[0]} and {stated[1]}. Send the file again.",
        )
    if b"\xff\xd9" not in frame[-64:]:  # end of image (T.81) and end of codestream (T.800); then padding at most
        raise refusal(
            "truncated", "Expected a whole compressed picture; received one that ends too early. Send the file again."
        )


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns stated by a JPEG, JPEG-LS (SOFn, T.81 B.2.2) or JPEG 2000 codestream (SIZ, T.800 A.5.1)."""
    start = frame.find(b"\xff\x4f\xff\x51")
    if start >= 0 and not frame.startswith(b"\xff\xd8"):
        x1, y1, x0, y0 = struct.unpack_from(">4I", frame, start + 8)
        return y1 - y0, x1 - x0
    at = 2
    while frame.startswith(b"\xff\xd8") and at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}):
            rows, columns = struct.unpack_from(">2H", frame, at + 5)
            return rows, columns
        else:
            at += 2 + int(struct.unpack_from(">H", frame, at + 2)[0])
    return None


def _gray(stored: NDArray[Any], dataset: Dataset) -> tuple[Image.Image, Remarks]:
    bits = int(dataset.BitsStored)
    if str(dataset.PhotometricInterpretation) == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
        bits = 8 * stored.dtype.itemsize
    if stored.ndim == 3:
        colour = Image.fromarray((stored >> max(0, bits - 8)).astype(np.uint8))
        return colour.convert("L"), colour_remarks(colour)
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
        found.append(
            ("lateral", f"Expected a frontal view; received {view}. Leave lateral views out or keep them all.")
        )
    if _text(dataset, "PresentationIntentType").upper() == "FOR PROCESSING":
        found.append(
            (
                "for-processing",
                "Expected an image for presentation; received raw detector values. Export the other one.",
            )
        )
    return tuple(found)
