"""JPEG, PNG, TIFF, WebP, BMP and GIF files, decoded by Pillow."""

import struct
import zlib
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from plainfilm.data.decoding.colour import colour_remarks
from plainfilm.data.decoding.decoded import Box, DecodedImage, Remarks, check_size, refusal

DEPTHS_BITS = (8, 10, 12, 14, 16)

# Pillow promises no single type: these are what its readers have let through on damaged files.
PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    EOFError,
    OverflowError,
    ZeroDivisionError,
    RuntimeError,
    struct.error,
    zlib.error,
)

# EXIF orientation -> how to turn, and whether the stored right edge comes left and the stored lower edge up.
_TURNS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, True, False),
    3: (Image.Transpose.ROTATE_180, True, True),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, False, True),
    5: (Image.Transpose.TRANSPOSE, False, False),
    6: (Image.Transpose.ROTATE_270, True, False),
    7: (Image.Transpose.TRANSVERSE, True, True),
    8: (Image.Transpose.ROTATE_90, False, True),
}
_ORIENTATION = 0x0112
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS, _TIFF_PHOTOMETRIC = 256, 257, 258, 262
_MODE_BITS = {"1": 1, "I": 32, "F": 32}
_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "I", "F"}

# ITU-T T.81, Annex K, table K.1: the luminance table that libjpeg scales by its quality setting.
_LUMINANCE = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
    ],
    dtype=np.int64,
)


def decode(data: bytes, kind: str, *, least: int, fit: str) -> DecodedImage:
    """Decode the bytes of a file.

    Parameters
    ----------
    data : bytes
        The whole file.
    kind : str
        Pillow's name of the format: JPEG, PNG, TIFF, WEBP, BMP or GIF.
    least : int
        Side in px of the square that the picture will be fitted to. JPEG is decoded at 1/2, 1/4 or 1/8 of its size
        where that still gives at least as many pixels as the fitted picture has.
    fit : str
        How it will be fitted, as in `images.FITS`.

    Raises
    ------
    ImageError
        With a code of `picture.REASONS`.
    """
    try:
        with Image.open(BytesIO(data), formats=(kind,)) as image:
            return _decode(image, data, kind, least, fit)
    except Image.DecompressionBombError as error:
        raise refusal(
            "too-many-pixels", "Expected at most 50 megapixels; received many more. Save a smaller copy."
        ) from error
    except UnidentifiedImageError as error:
        raise refusal(
            "damaged",
            f"Expected a whole {kind} file; received its first bytes and then something else. Get the file again.",
        ) from error
    except PILLOW_ERRORS as error:
        raise _broken(kind, error) from error


def _broken(kind: str, error: Exception) -> Exception:
    if "truncated" in str(error).lower():
        return refusal(
            "truncated", f"Expected a whole {kind} file; received one that ends too early. Copy or download it again."
        )
    detail = " ".join(str(error).split()) or type(error).__name__
    return refusal("damaged", f"Expected a whole {kind} file; received one with a fault ({detail}). Get it again.")


def _decode(image: Image.Image, data: bytes, kind: str, least: int, fit: str) -> DecodedImage:
    width, height = _stored_size(image)
    check_size(width, height)
    _refuse_several(image, kind)
    provenance = _provenance(image, data, kind)
    drafted = None
    if kind == "JPEG":
        drafted = image.draft(_draft_mode(image), _draft_size(width, height, least, fit))
    image.load()
    gray, remarks = _gray(image)
    covered = (0.0, 0.0, *gray.size) if drafted is None else drafted[1]
    gray, box = _upright(gray, covered, _orientation(image))
    return DecodedImage(gray, box, provenance, remarks)


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height as stored; Pillow turns the size of a TIFF by its orientation."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return image.size
    return int(tags[_TIFF_WIDTH]), int(tags[_TIFF_HEIGHT])


def _refuse_several(image: Image.Image, kind: str) -> None:
    if kind == "JPEG" or not getattr(image, "is_animated", False):  # phone JPEGs carry previews behind the picture
        return
    if kind == "TIFF":
        raise refusal(
            "several-pages", "Expected one image a file; received a TIFF of several pages. Save each page by itself."
        )
    raise refusal(
        "several-frames", f"Expected one image a file; received an animated {kind}. Save one frame by itself."
    )


def _draft_mode(image: Image.Image) -> str | None:
    """YCbCr where libjpeg can leave out the way to RGB: the gray picture is then the first channel as it is stored."""
    layers = getattr(image, "layer", [])
    stored_as_rgb = image.info.get("adobe_transform") == 0 or [entry[0] for entry in layers] == [*b"RGB"]
    return "YCbCr" if image.mode == "RGB" and not stored_as_rgb else None


def _draft_size(width: int, height: int, least: int, fit: str) -> tuple[int, int]:
    if fit != "pad":
        return least, least
    longer = max(width, height)
    return max(1, width * least // longer), max(1, height * least // longer)


def _gray(image: Image.Image) -> tuple[Image.Image, Remarks]:
    mode = image.mode
    if mode.startswith("I;16") or mode in {"I", "F"}:
        return Image.fromarray(_eight_bits_of(image)), ()
    if mode not in _MODES:
        raise refusal(
            "unsupported-encoding",
            f"Expected a gray or RGB image; received the colour space {mode}. Save it as gray PNG.",
        )
    if image.has_transparency_data:
        return _over_black(image)
    if mode in {"1", "L"}:
        return image.convert("L"), ()
    if mode == "YCbCr":
        return image.getchannel(0), colour_remarks(image)
    colour = image.convert("RGB")
    return colour.convert("L"), colour_remarks(colour)


def _over_black(image: Image.Image) -> tuple[Image.Image, Remarks]:
    layer = image.convert("RGBA")
    colour = Image.alpha_composite(Image.new("RGBA", layer.size, (0, 0, 0, 255)), layer).convert("RGB")
    return colour.convert("L"), colour_remarks(colour)


def _eight_bits_of(image: Image.Image) -> NDArray[np.uint8]:
    pixels = to_eight_bits(np.asarray(image))
    tags = getattr(image, "tag_v2", None)
    white_is_zero = tags is not None and tags.get(_TIFF_PHOTOMETRIC) == 0  # Pillow turns over 8 bits, but not 16
    return np.asarray(255 - pixels) if white_is_zero else pixels


def to_eight_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale gray values to 8 bits by the smallest usual depth that holds their maximum.

    Parameters
    ----------
    values : integer or float array, any shape
        Integers 0 to 65535, or floats 0 to 1, or floats 0 to 65535.

    Returns
    -------
    uint8 array of the same shape
        The depth is one of `DEPTHS_BITS`, so that two images of one detector are scaled alike, and never stretched
        to their own minimum and maximum. Floats of at most 1 are taken as 0 to 1.

    Raises
    ------
    ImageError
        `value-range` for values that are negative, not finite or above 65535.
    """
    low, high = float(values.min()), float(values.max())
    if not (low >= 0.0 and high < 2.0 ** DEPTHS_BITS[-1]):
        raise refusal(
            "value-range",
            f"Expected gray values from 0 to 65535, or 0 to 1 as floats; received {low:g} to {high:g}. "
            "Save the image with 8 or 16 bits.",
        )
    if np.issubdtype(values.dtype, np.floating):
        top = 1.0 if high <= 1.0 else _top_of_depth(high)
        return np.asarray(values * (255.0 / top) + 0.5).astype(np.uint8)
    top = _top_of_depth(high)
    table = (np.arange(int(top) + 1) * (255.0 / top) + 0.5).astype(np.uint8)
    return np.asarray(table[values])


def _top_of_depth(high: float) -> float:
    return next(2.0**bits - 1.0 for bits in DEPTHS_BITS if high <= 2.0**bits - 1.0)


def _orientation(image: Image.Image) -> int:
    """Read the orientation (CIPA DC-008, tag 274) after loading: a TIFF was turned by Pillow and has lost its tag."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except PILLOW_ERRORS:  # damaged EXIF beside a sound picture
        return 1


def _upright(gray: Image.Image, box: Box, orientation: int) -> tuple[Image.Image, Box]:
    if orientation not in _TURNS:
        return gray, box
    turn, right_comes_left, lower_comes_up = _TURNS[orientation]
    width, height = box[2:] if orientation < 5 else box[3:1:-1]
    turned = gray.transpose(turn)
    left = turned.width - width if right_comes_left else 0.0
    top = turned.height - height if lower_comes_up else 0.0
    return turned, (left, top, left + width, top + height)


def _provenance(image: Image.Image, data: bytes, kind: str) -> dict[str, str | int | float]:
    width, height = _stored_size(image)
    facts: dict[str, str | int | float] = {
        "width": width,
        "height": height,
        "format": kind,
        "mode": image.mode,
        "bits": _bits(image, data, kind),
    }
    tables = getattr(image, "quantization", None)
    if kind == "JPEG" and tables and 0 in tables:
        facts["quality"] = jpeg_quality(tables[0])
    ppi = _pixels_per_inch(image)
    return facts if ppi is None else facts | {"ppi": ppi}


def _bits(image: Image.Image, data: bytes, kind: str) -> int:
    if kind == "PNG":
        return data[24]  # IHDR: bit depth stands behind width and height
    if kind == "TIFF":
        return int(image.tag_v2.get(_TIFF_BITS, (1,))[0])  # type: ignore[attr-defined]
    return _MODE_BITS.get(image.mode, 8)


def _pixels_per_inch(image: Image.Image) -> float | None:
    try:
        ppi = float(image.info["dpi"][0])
    except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError):
        return None
    return round(ppi, 2) if 1.0 <= ppi <= 20_000.0 else None


@cache
def _quality_tables() -> NDArray[np.int64]:
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.asarray(np.clip((_LUMINANCE * scale[:, None] + 50) // 100, 1, 255))


def jpeg_quality(luminance: list[int]) -> int:
    """Estimate the quality setting of libjpeg, 1 to 100, that comes nearest to a luminance quantisation table (64)."""
    distance = np.abs(_quality_tables() - np.asarray(luminance, dtype=np.int64)).sum(axis=1)
    return int(distance.argmin()) + 1
