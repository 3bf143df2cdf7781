"""What every decoder hands over, the limits it keeps, and the reasons for which a file is refused or flagged."""

from dataclasses import dataclass, field

from PIL import Image

from plainfilm.errors import ImageError

MAX_BYTES = 100_000_000
MAX_PIXELS = 50_000_000
MIN_SIDE_PX = 28  # of MedMNIST

REASONS: dict[str, str] = {
    "not-found": "no file stands at this path",
    "not-a-file": "the path is a folder, a pipe or a device",
    "no-permission": "the file may not be read by this user",
    "unreadable": "the disk or the network did not deliver the file",
    "empty": "the file holds no bytes",
    "too-many-bytes": "the file is larger than 100 MB",
    "web-page": "the file is a web page, as failed downloads are",
    "lfs-pointer": "the file is a Git LFS pointer, not the image itself",
    "unknown-format": "the content is none of the formats that plainfilm reads",
    "truncated": "the file ends before the image does",
    "damaged": "the content contradicts its own format",
    "unsupported-encoding": "a valid file, stored in a way for which there is no decoder",
    "too-many-pixels": "more than 50 megapixels",
    "too-small": "the shorter side is below 28 px",
    "several-frames": "an animation, or a DICOM file of several frames",
    "several-pages": "a TIFF of several pages",
    "no-pixels": "a DICOM file without pixel data, such as a report",
    "value-range": "pixel values without a usual depth: negative, above 16 bits or not finite",
    "blank": "every pixel has the same value",
    "out-of-memory": "decoding needed more memory than there is",
    "decoder-crashed": "the decoding process died on this file",
    "too-slow": "decoding took longer than 20 s",
}

REMARKS: dict[str, str] = {
    "not-radiograph-modality": "the DICOM modality is not projection radiography (CR, DX, DR, RG)",
    "not-chest": "the DICOM body part is another than the chest",
    "lateral": "the DICOM view is lateral",
    "for-processing": "the DICOM file holds raw detector values, not meant for display",
    "bad-window": "the DICOM window or VOI LUT cannot be used as it stands",
    "colour": "a coloured picture, not a gray radiograph",
    "low-contrast": "what is shown has lost nearly all contrast",
    "missing-tags": "tags of the pixel data are missing; their usual values were taken",
    "odd-number": "a decimal comma, or a rescale slope of 0",
    "unused-bits": "values with bits beyond those that the header says are stored",
    "no-end": "the end marker is missing, though all of the picture is there",
    "turned-over": "the Presentation LUT Shape contradicts the photometric interpretation",
    "guessed-depth": "the depth of a picture of 16 bits is not stated and was guessed over its folder",
    "saturated": "a few pixels far above the depth of the others were cut off",
}

Remarks = tuple[tuple[str, str], ...]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """A decoded file before it is fitted: `gray` is mode L, bones bright, upright, not yet resized to the square.

    `box` (left, top, right, bottom) is the part of `gray`, in fractions of pixels, that the file's picture covers: a
    JPEG of 414 px decoded at a quarter has 104 px, of which the picture fills 103.5.
    """

    gray: Image.Image
    box: Box
    provenance: dict[str, str | int | float]
    remarks: Remarks = field(default=())


def refusal(code: str, sentence: str) -> ImageError:
    """Make the error of a file that cannot become a radiograph; `code` is one of `REASONS`."""
    if code not in REASONS:
        raise KeyError(code)
    return ImageError(code, sentence)


def crashed() -> ImageError:
    """Make the error of a file whose decoding process died."""
    return refusal(
        "decoder-crashed",
        "Expected a decodable file; received one that killed the decoding process. Convert it with another program.",
    )


def too_slow(seconds: float) -> ImageError:
    """Make the error of a file whose decoding process was ended after `seconds`."""
    return refusal(
        "too-slow",
        f"Expected a file that is decoded within {seconds:g} s; received a slower one. Save a smaller copy.",
    )


def check_size(width: int, height: int) -> None:
    """Refuse a picture by the size that its header states, before anything is decoded.

    Raises
    ------
    ImageError
        `too-many-pixels` above `MAX_PIXELS`, `too-small` where the shorter side is below `MIN_SIDE_PX`.
    """
    if width * height > MAX_PIXELS:
        raise refusal(
            "too-many-pixels",
            f"Expected at most {MAX_PIXELS // 1_000_000} megapixels; received {width} x {height} px. "
            "Save a smaller copy.",
        )
    if min(width, height) < MIN_SIDE_PX:
        raise refusal(
            "too-small",
            f"Expected at least {MIN_SIDE_PX} px on the shorter side; received {width} x {height} px. "
            "Use the original image, not its thumbnail.",
        )
