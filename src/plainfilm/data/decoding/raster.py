"""JPEG, PNG, TIFF, WebP, BMP, GIF and JPEG 2000 files, decoded by Pillow; samples that it would cut to 8 bits are kept whole."""

import struct
import zlib
from contextlib import suppress
from dataclasses import replace
from functools import cache, lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from plainfilm.data.decoding import codestreams, containers, holes, jpeg, seams, tiff, tiff_parts, wavelets
from plainfilm.data.decoding.decoded import Box, DecodedImage, Remarks, check_size, colour_remarks, refusal
from plainfilm.data.decoding.samples import Samples
from plainfilm.errors import ImageError
from plainfilm.reasons import reason_of

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
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_X_RESOLUTION, _TIFF_UNIT = 256, 257, 282, 296
_MODE_BITS = {"1": 1}
_PILLOW = {"JP2": "JPEG2000"}
_FAULTS = {"PNG": containers.png_fault, "WEBP": containers.webp_fault, "GIF": containers.gif_fault}
_WIDE = 16  # bits a sample
_SCAN = b"\xff\xda"
_LEAST_SCALE = 0.5  # at which seams are told from edges
_DECODED_PROCESSES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # of JPEG, by libjpeg-turbo
_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}

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


def decode(data: bytes, kind: str, *, least: int, fit: str, depth: int | None = None) -> DecodedImage:
    """Decode the bytes of a file.

    Parameters
    ----------
    data : bytes
        The whole file.
    kind : str
        JPEG, PNG, TIFF, WEBP, BMP, GIF or JP2, as `signatures.kind_of` says.
    least : int
        Side in px of the square that the picture will be fitted to. JPEG is decoded at 1/2, 1/4 or 1/8 of its size
        where that still gives at least as many pixels as the fitted picture has.
    fit : str
        How it will be fitted, as in `images.FITS`.
    depth : int or None
        Bits to scale samples by whose depth the file does not state.

    Raises
    ------
    ImageError
        With a code of `decoded.REASONS`.
    """
    try:
        return _opened(data, kind, least, fit, depth)
    except Image.DecompressionBombError as error:
        raise refusal(
            "too-many-pixels", "Expected at most 50 megapixels; received many more. Save a smaller copy."
        ) from error
    except PILLOW_ERRORS as error:  # UnidentifiedImageError is an OSError
        mended = _without_end(data, kind, least, fit, depth)
        if mended is not None:
            return replace(mended, remarks=mended.remarks + codestreams.NO_END)
        raise _refused(data, kind, error) from error


def _opened(data: bytes, kind: str, least: int, fit: str, depth: int | None = None) -> DecodedImage:
    page, tags = tiff.picture(data) if kind == "TIFF" else (0, None)
    found = _decoded(data, kind, page, tags, least, fit, depth)
    fault = tiff_parts.fault(data, tags) if tags is not None else _FAULTS[kind](data) if kind in _FAULTS else None
    if fault is not None:
        raise _damaged(kind, fault)
    more = _told(np.asarray(found.gray), data, kind, tags)
    return replace(found, remarks=found.remarks + more) if more else found


def _told(gray: NDArray[np.uint8], data: bytes, kind: str, tags: tiff.Tags | None) -> Remarks:
    """Flag damage that no length tells."""
    if kind == "JP2":
        frame = codestreams.frame_of(data)
        return codestreams.HOLE if codestreams.has_hole(data) else wavelets.remarks(data, frame) if frame else ()
    if kind == "WEBP" and containers.is_lossless_webp(data) and seams.wrapped(gray, 8) > seams.WRAPPED:
        return seams.SEAM
    if kind == "BMP":  # its last row stands first
        return holes.remarks(gray[::-1])
    is_plain = tags is not None and int(tags.get(tiff.COMPRESSION, 1)) == int(tags.get(_ORIENTATION, 1)) == 1
    return holes.remarks(gray) if is_plain else ()


def _decoded(
    data: bytes, kind: str, page: int, tags: tiff.Tags | None, least: int, fit: str, depth: int | None
) -> DecodedImage:
    if tags is not None and tiff.is_beyond_pillow(tags):
        return _of_samples(_wide_tiff_facts(tags), tiff.samples_of(data, tags), int(tags.get(_ORIENTATION, 1)), depth)
    with Image.open(BytesIO(data), formats=(_PILLOW.get(kind, kind),)) as image:
        if page:
            image.seek(page)
        return _decode(image, data, kind, least, fit, depth)


def _without_end(data: bytes, kind: str, least: int, fit: str, depth: int | None) -> DecodedImage | None:
    """Decode a JPEG or JPEG 2000 file without its end marker, if nothing else is missing."""
    with suppress(*PILLOW_ERRORS):
        whole = None
        if kind == "JPEG" and codestreams.end_of(data) is None:
            whole = codestreams.completed(data, lambda rest: _jpeg_fault(rest + codestreams.END) is None)
        elif kind == "JP2" and codestreams.end_of(data) is None:
            whole = codestreams.completed_2000(data)
        return None if whole is None else _opened(whole, kind, least, fit, depth)
    return None


def _jpeg_fault(data: bytes) -> str | None:
    found = jpeg.fault(data)
    if found != jpeg.CANNOT_TELL:
        return found
    rest = data[: codestreams.end_of(data)].removesuffix(codestreams.END)
    whole = rest + codestreams.END
    is_whole = codestreams.ends_with_picture(whole, _pixels_of(whole), _pixels_of)
    return None if is_whole else "another amount of data than the picture needs"


def _pixels_of(data: bytes) -> NDArray[np.uint8]:
    with Image.open(BytesIO(data), formats=("JPEG",)) as image:
        return np.asarray(image)


def _refused(data: bytes, kind: str, error: Exception) -> ImageError:
    """Say whether a file is cut short, damaged, or sound and of a kind that there is no decoder for."""
    with suppress(*PILLOW_ERRORS):
        if kind == "TIFF":
            tags = tiff.picture(data)[1]
            if tiff.is_cut_short(data, tags):
                return _truncated(kind)
            if unsupported := tiff.unsupported(tags):
                return unsupported
        frame = codestreams.frame_of(data) if kind == "JPEG" else None
        if frame is not None and (frame.bits != 8 or frame.process not in _DECODED_PROCESSES):
            return refusal(
                "unsupported-encoding",
                f"Expected an 8-bit baseline or progressive JPEG; received {frame.encoding}. Save it as PNG.",
            )
    if kind == "JP2" and codestreams.end_of(data) is None:
        return _truncated(kind)
    if isinstance(error, UnidentifiedImageError):
        return refusal(
            "damaged",
            f"Expected a whole {kind} file; received its first bytes and then something else. Get the file again.",
        )
    return _broken(kind, error)


def _truncated(kind: str) -> ImageError:
    return refusal(
        "truncated", f"Expected a whole {kind} file; received one that ends too early. Copy or download it again."
    )


def _broken(kind: str, error: Exception) -> ImageError:
    if "truncated" in str(error).lower() or isinstance(error, EOFError):
        return _truncated(kind)
    return _damaged(kind, reason_of(error))


def _damaged(kind: str, fault: str) -> ImageError:
    return refusal("damaged", f"Expected a whole {kind} file; received one with a fault ({fault}). Get it again.")


def _decode(
    image: ImageFile.ImageFile, data: bytes, kind: str, least: int, fit: str, depth: int | None
) -> DecodedImage:
    width, height = _stored_size(image)
    check_size(width, height)
    _refuse_several(image, kind)
    provenance = _provenance(image, data, kind)
    samples = _samples(image, data, kind)
    if samples is not None:
        return _of_samples(provenance, samples, _orientation(image), depth)
    drafted = None
    if kind == "JPEG":
        drafted = image.draft(_draft_mode(image), _draft_size(width, height, least, fit))
    gray, remarks = _jpeg_gray(image, data, image.width / width) if kind == "JPEG" else _gray(image)
    covered = (0.0, 0.0, *gray.size) if drafted is None else drafted[1]
    gray, box = _upright(gray, covered, _orientation(image))
    return DecodedImage(gray, box, provenance, remarks)


def _jpeg_gray(image: ImageFile.ImageFile, data: bytes, scale: float) -> tuple[Image.Image, Remarks]:
    """Decode a JPEG whose blocks are `scale` of their size, and refuse it or flag it where it is not whole."""
    values = jpeg.gray(data, *image.size) if image.mode == "L" else None
    gray, remarks = _gray(image) if values is None else (Image.fromarray(values), ())
    pixels, is_plain = np.asarray(gray), "progressive" not in image.info and data.count(_SCAN) == 1
    jumps = seams.jumps(pixels, max(1, round(8 * scale)))
    found = None if values is not None and is_plain and not len(jumps) else _jpeg_fault(data)
    if found == jpeg.NO_END:
        raise EOFError(found)
    if found is not None:
        raise _damaged("JPEG", found)
    return gray, remarks + _seam_remarks(image, pixels, scale, jumps) if len(jumps) else remarks


def _seam_remarks(image: Image.Image, pixels: NDArray[np.uint8], scale: float, jumps: NDArray[np.intp]) -> Remarks:
    layers = getattr(image, "layer", [])
    wide, high = (8 * max(layer[at] for layer in layers) if len(layers) > 1 else 8 for at in (1, 2))
    if (
        scale < _LEAST_SCALE
        or seams.seam(pixels, round(high * scale), round(wide * scale), jumps * 8 // high) < seams.STEP
    ):
        return ()
    return seams.SEAM


def _of_samples(
    provenance: dict[str, str | int | float], samples: Samples, orientation: int, depth: int | None
) -> DecodedImage:
    gray, found, remarks = samples.gray(depth)
    gray, box = _upright(gray, (0.0, 0.0, *gray.size), orientation)
    return DecodedImage(gray, box, provenance | ({"depth": found} if found else {}), remarks)


def _samples(image: ImageFile.ImageFile, data: bytes, kind: str) -> Samples | None:
    """Decode a picture of more than 8 bits a sample at its full depth; None for any other."""
    if kind == "PNG" and data[24] == _WIDE:
        values = _wide_png(image, data)
        return Samples(values, _stated_by_png(data, values))
    if kind == "JP2" and (frame := codestreams.frame_of(data)) and frame.bits > 8:
        from openjpeg.utils import decode as decode_2000

        values = decode_2000(data)
        return Samples(values, frame.bits if frame.bits < _WIDE else None)
    return None


def _wide_png(image: ImageFile.ImageFile, data: bytes) -> NDArray[np.uint16]:
    """Decode a PNG of 16 bits: of all but gray Pillow gives the upper bytes, and the lower ones where told that they are the upper."""
    if image.mode.startswith("I"):
        return np.asarray(image, dtype=np.uint16)
    whole, (tile,) = image.tile[0].args, image.tile
    if str(whole).startswith("LA"):  # four bytes a pixel, as 8-bit RGBA
        image.tile = [tile._replace(args="RGBA")]
        return np.ascontiguousarray(np.asarray(image)).view(">u2").astype(np.uint16)
    with Image.open(BytesIO(data), formats=("PNG",)) as again:
        again.tile = [tile._replace(args=str(whole).replace("16B", "16L"))]
        return np.asarray(np.asarray(image, dtype=np.uint16) << 8 | np.asarray(again))


def _stated_by_png(data: bytes, values: NDArray[np.uint16]) -> int | None:
    """Depth by the sBIT chunk (PNG 11.3.2.6), whether values were spread over 16 bits, as it demands, or left as they are."""
    at = 8
    while data[at + 4 : at + 8] not in {b"IDAT", b""}:
        length = int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 8] == b"sBIT" and 1 <= length <= 4:
            bits = max(data[at + 8 : at + 8 + length])
            return bits if 8 <= bits < _WIDE and values.max() < 2**bits else _WIDE
        at += 12 + length
    return None


def _wide_tiff_facts(tags: tiff.Tags) -> dict[str, str | int | float]:
    facts: dict[str, str | int | float] = {
        "width": int(tags[_TIFF_WIDTH]),
        "height": int(tags[_TIFF_HEIGHT]),
        "format": "TIFF",
        "bits": tiff.bits_of(tags),
    }
    per_inch = {2: 1.0, 3: 2.54}.get(int(tags.get(_TIFF_UNIT, 2)), 0.0)
    ppi = _plausible_ppi(float(tags.get(_TIFF_X_RESOLUTION, 0)) * per_inch)
    return facts if ppi is None else facts | {"ppi": ppi}


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height as stored; Pillow turns the size of a TIFF by its orientation."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return image.size
    return int(tags[_TIFF_WIDTH]), int(tags[_TIFF_HEIGHT])


def _refuse_several(image: Image.Image, kind: str) -> None:
    """Refuse an animation; phone JPEGs carry previews behind the picture, and the pages of a TIFF were looked at before."""
    if kind not in {"JPEG", "TIFF"} and getattr(image, "is_animated", False):
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
        facts["quality"] = jpeg_quality(tuple(tables[0]))
    ppi = _pixels_per_inch(image)
    return facts if ppi is None else facts | {"ppi": ppi}


def _bits(image: Image.Image, data: bytes, kind: str) -> int:
    if kind == "PNG":
        return data[24]  # IHDR: bit depth stands behind width and height
    if kind == "TIFF":
        return tiff.bits_of(image.tag_v2)  # type: ignore[attr-defined]
    if kind == "JP2" and (frame := codestreams.frame_of(data)):
        return frame.bits
    return _MODE_BITS.get(image.mode, 8)


def _pixels_per_inch(image: Image.Image) -> float | None:
    try:
        return _plausible_ppi(float(image.info["dpi"][0]))
    except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError):
        return None


def _plausible_ppi(ppi: float) -> float | None:
    return round(ppi, 2) if 1.0 <= ppi <= 20_000.0 else None


@cache
def _quality_tables() -> NDArray[np.int64]:
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.asarray(np.clip((_LUMINANCE * scale[:, None] + 50) // 100, 1, 255))


@lru_cache
def jpeg_quality(luminance: tuple[int, ...]) -> int:
    """Estimate the quality setting of libjpeg, 1 to 100, that comes nearest to a luminance quantisation table (64)."""
    distance = np.abs(_quality_tables() - np.asarray(luminance, dtype=np.int64)).sum(axis=1)
    return int(distance.argmin()) + 1
