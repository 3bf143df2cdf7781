"""The answer as a Secondary Capture: the film, what spoke for the answer over it, and the words below."""

import datetime
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from plainfilm import NOTICE
from plainfilm.evidence.explanation.attribution import overlay
from plainfilm.serve.dicom.header import answer_uid, plain, series_uid
from plainfilm.serve.dicom.narrative import DicomAnswer

SOP_CLASS = SecondaryCaptureImageStorage
KIND = "capture"
SERIES_NUMBER = 99902
_WIDTH_PX = 640  # at least: below, the words are hard to read
_STUDY = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_OPTIONAL = {"IssuerOfPatientID", "PatientAge", "StudyDescription"}


def made(source: Dataset, answer: DicomAnswer) -> bytes | None:
    """Make the picture of an answer: a DICOM file, or None where the image cannot be shown.

    Parameters
    ----------
    source
        The image's head, as `header.source` gives it.
    answer
        What is said of it.
    """
    pixels = picture(answer)
    if pixels is None:
        return None
    capture = _described(source, answer)
    _put(capture, pixels)
    capture.file_meta = FileMetaDataset()
    capture.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stream = BytesIO()
    capture.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def picture(answer: DicomAnswer) -> NDArray[np.uint8] | None:
    """Draw the radiograph with its overlay and the words below, RGB uint8 (h, w, 3); None where the image cannot be shown."""
    view, attribution = answer.examined.view, answer.examined.attribution
    if view is None:
        return None
    film = Image.fromarray(overlay(view, attribution) if attribution is not None else np.stack([view] * 3, axis=-1))
    width = max(_WIDTH_PX, film.width)
    words = _words(answer, width)
    sheet = Image.new("RGB", (width, film.height + words.height))
    sheet.paste(film, ((width - film.width) // 2, 0))
    sheet.paste(words, (0, film.height))
    return np.asarray(sheet)


def _words(answer: DicomAnswer, width: int) -> Image.Image:
    """Write the answer, what the colours show, the model and the caveat, in letters that a monitor shows well."""
    size = max(15, width // 46)
    gray, yellow = (200, 200, 200), (255, 215, 50)
    explained = answer.examined.explained
    colours = f"Colours: what spoke for {explained}; not a finding, not a lesion's outline." if explained else ""
    lines = [  # a viewer of the picture may never open the report: the loudest of what it says stands here too
        (answer.headline, round(1.35 * size), (255, 255, 255)),
        (NOTICE, size, yellow),
        (colours, size, gray),
        ("Text in the film is covered." if answer.examined.text_covered else "", size, gray),
        (" ".join(answer.reasons), size, gray),
        (answer.warning, size, yellow),
        (f"plainfilm {answer.identity.version}: {answer.identity.name}", size, gray),
    ]
    laid = [
        (line, letters, colour)
        for text, letters, colour in lines
        for line in _wrapped(plain(text, 240), letters, width - 2 * size)
    ]
    heights = [round(1.4 * letters) for _, letters, _ in laid]
    strip = Image.new("RGB", (width, sum(heights) + size))
    draw, top = ImageDraw.Draw(strip), size // 2
    for (line, letters, colour), height in zip(laid, heights, strict=True):
        draw.text((size, top), line, fill=colour, font=ImageFont.load_default(letters))
        top += height
    return strip


def _wrapped(text: str, letters: int, width: int) -> list[str]:
    """Break a text into lines of at most `width` px, a word too long for a line inside itself."""
    lines: list[str] = []
    font = ImageFont.load_default(letters)
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
            continue
        rest = word
        while font.getlength(rest) > width:
            cut = next(n for n in range(len(rest) - 1, 0, -1) if n == 1 or font.getlength(rest[:n]) <= width)
            lines.append(rest[:cut])
            rest = rest[cut:]
        lines.append(rest)
    return lines


def _described(source: Dataset, answer: DicomAnswer) -> Dataset:
    identity, now = answer.identity, datetime.datetime.now()
    capture = Dataset()
    for keyword in _STUDY:
        if source[keyword].value or keyword not in _OPTIONAL:
            setattr(capture, keyword, source[keyword].value)
    capture.SOPClassUID = SOP_CLASS
    capture.SOPInstanceUID = answer_uid(source.SOPInstanceUID, identity.key, KIND)
    capture.SeriesInstanceUID = series_uid(source, identity.key, KIND)
    capture.SeriesNumber, capture.InstanceNumber = SERIES_NUMBER, 1
    capture.SeriesDescription = "plainfilm: RESEARCH overlay, not for diagnosis"
    capture.ImageComments = plain(f"{NOTICE} {answer.headline}", 1024)
    capture.Modality, capture.ConversionType = "OT", "WSD"
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.Laterality = ""  # not known: an image that was refused may be of anything
    capture.Manufacturer = "plainfilm"
    capture.ManufacturerModelName = plain(identity.name, 64)
    capture.SoftwareVersions = plain(identity.version, 64)
    capture.ContentDate, capture.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    capture.PatientOrientation = source.PatientOrientation
    capture.BurnedInAnnotation = "YES"
    capture.DerivationDescription = "Radiograph with what spoke for the answer of a research classifier"
    capture.SourceImageSequence = [_reference(source)]
    return capture


def _reference(source: Dataset) -> Dataset:
    item, purpose = Dataset(), Dataset()
    code = codes.DCM.SourceImageForImageProcessingOperation
    purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = (
        code.value,
        code.scheme_designator,
        code.meaning,
    )
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item


def _put(capture: Dataset, pixels: NDArray[np.uint8]) -> None:
    capture.Rows, capture.Columns = pixels.shape[:2]
    capture.SamplesPerPixel, capture.PlanarConfiguration = 3, 0
    capture.PhotometricInterpretation = "RGB"
    capture.BitsAllocated = capture.BitsStored = 8
    capture.HighBit, capture.PixelRepresentation = 7, 0
    data = pixels.tobytes()
    capture.add_new("PixelData", "OB", data + b"\0" * (len(data) % 2))
