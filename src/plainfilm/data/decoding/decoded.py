"""What every decoder hands over, the limits it keeps, and the reasons for which a file is refused or flagged."""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from plainfilm.errors import ImageError

MAX_BYTES = 100_000_000
MAX_PIXELS = 50_000_000
MIN_SIDE_PX = 28  # the smallest of MedMNIST

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
    "bad-window": "the DICOM window or VOI LUT cannot be used; the full range was used",
    "bad-header": "DICOM elements that say how the pixels are stored are missing or malformed; usual values were taken",
    "bad-bits": "the pixels of a DICOM file fill more or fewer bits than it says; those they fill were used",
    "bad-table": "the entries of a DICOM lookup table fill more or fewer bits than it says; those they fill were used",
    "padded-frame": "many bytes stand behind the end of a DICOM picture",
    "colour": "a coloured picture, not a gray radiograph",
    "mask": "few flat gray levels, as a segmentation has; never trained on",
    "clipped": "a few values, such as a marker, lie above the depth of the picture; they are shown white",
    "low-contrast": "what is shown has lost nearly all contrast",
    "seam": "the picture jumps in brightness, as a damaged one does",
    "hole": "a long run of zeros, or of one value, stands in the picture, where none can be",
    "no-end-marker": "the compressed picture lacks its end marker, but nothing else",
}

Remarks = tuple[tuple[str, str], ...]
Box = tuple[float, float, float, float]

COLOURED_CHROMA = 20.0
COLOURED_SHARE = 0.10


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


def coloured_share(image: Image.Image) -> float:
    """Share of the pixels, 0 to 1, whose chroma lies more than `COLOURED_CHROMA` (of 128) from gray.

    Measured on a grid of 128 x 128 unblended pixels: coloured overlay text on a gray radiograph counts for its few pixels
    only, and the faint overall tint of a digitised film not at all.
    """
    sample = image.resize((128, 128), Image.Resampling.NEAREST)
    if sample.mode != "YCbCr":
        sample = sample.convert("RGB").convert("YCbCr")
    chroma = np.asarray(sample)[..., 1:].astype(np.float32) - 128.0
    return float((np.hypot(chroma[..., 0], chroma[..., 1]) > COLOURED_CHROMA).mean())


def colour_remarks(image: Image.Image) -> Remarks:
    """Flag a picture that is coloured on more than `COLOURED_SHARE` of its pixels."""
    share = coloured_share(image)
    if share <= COLOURED_SHARE:
        return ()
    return (
        (
            "colour",
            f"Expected a gray radiograph; received a picture with colour on {100 * share:.0f} % of its pixels. "
            "Check that it is a radiograph and not a photograph or an overlay.",
        ),
    )
