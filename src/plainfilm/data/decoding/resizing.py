"""A decoded picture -> the square that a network sees, and values of that square back over the picture."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plainfilm.data.decoding.decoded import Box, DecodedImage


def fit(picture: DecodedImage, size: int, how: str) -> Image.Image:
    """Resize a picture to a square of `size` px as `how` says (`images.FITS`). Bicubic over the whole footprint, so nothing aliases."""
    left, top, right, bottom = picture.box
    width, height = right - left, bottom - top
    if how == "stretch":
        return resized(picture.gray, (size, size), picture.box)
    if how == "crop":
        side = min(width, height)
        left, top = left + (width - side) / 2, top + (height - side) / 2
        return resized(picture.gray, (size, size), (left, top, left + side, top + side))
    longer = max(width, height)
    inner = (max(1, round(width * size / longer)), max(1, round(height * size / longer)))
    canvas = Image.new("L", (size, size))
    canvas.paste(resized(picture.gray, inner, picture.box), ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return canvas


def resized(gray: Image.Image, target: tuple[int, int], box: Box) -> Image.Image:
    """Resize the part of a picture inside `box` to `target` (width, height) px, bicubic."""
    return gray.resize(target, Image.Resampling.BICUBIC, box=box)


def unfitted(square: NDArray[np.float32], *, height: int, width: int, fit: str) -> NDArray[np.float32]:
    """Lay values of a fitted square, float32 (size, size), back over the picture that it was made of: float32 (height, width).

    Bilinear. What `crop` cut off becomes 0; what `pad` added is left out.
    """
    longer = max(height, width)
    if fit == "stretch":
        return _values(square, (width, height))
    if fit == "crop":
        side = min(height, width)
        laid = np.zeros((height, width), np.float32)
        top, left = (height - side) // 2, (width - side) // 2
        laid[top : top + side, left : left + side] = _values(square, (side, side))
        return laid
    size = float(len(square))
    beside, above = (size - size * width / longer) / 2, (size - size * height / longer) / 2
    return _values(square, (width, height), (beside, above, size - beside, size - above))


def _values(square: NDArray[np.float32], target: tuple[int, int], box: Box | None = None) -> NDArray[np.float32]:
    return np.array(Image.fromarray(square).resize(target, Image.Resampling.BILINEAR, box=box))
