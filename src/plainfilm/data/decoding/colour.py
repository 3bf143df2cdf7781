"""Coloured pictures of any depth -> gray ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plainfilm.data.decoding.decoded import Remarks, colour_remarks

_LUMA = np.array([299, 587, 114]) / 1000  # ITU-R BT.601, as Pillow's


def gray_of_colour(values: NDArray[Any], top: float) -> tuple[Image.Image, Remarks]:
    """Turn red, green and blue, any depth (h, w, 3), 0 to `top`, into a picture of 8 bits, from the full depth."""
    if top == 255.0 and values.dtype == np.uint8:
        colour = Image.fromarray(np.ascontiguousarray(values))
        return colour.convert("L"), colour_remarks(colour)
    scaled = np.clip(values.astype(np.float32) * (255.0 / top), 0.0, 255.0)
    gray = Image.fromarray((scaled @ _LUMA.astype(np.float32) + 0.5).astype(np.uint8))
    return gray, colour_remarks(Image.fromarray((scaled + 0.5).astype(np.uint8)))
