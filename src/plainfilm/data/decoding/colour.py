"""Coloured pictures -> gray ones, and whether a picture is coloured at all."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plainfilm.data.decoding.decoded import Remarks

COLOURED_CHROMA = 20.0
COLOURED_SHARE = 0.10

_LUMA = np.array([299, 587, 114]) / 1000  # ITU-R BT.601, as Pillow's


def gray_of_colour(values: NDArray[Any], top: float) -> tuple[Image.Image, Remarks]:
    """Turn red, green and blue, any depth (h, w, 3), 0 to `top`, into a picture of 8 bits, from the full depth."""
    if top == 255.0 and values.dtype == np.uint8:
        colour = Image.fromarray(np.ascontiguousarray(values))
        return colour.convert("L"), colour_remarks(colour)
    scaled = np.clip(values.astype(np.float32) * (255.0 / top), 0.0, 255.0)
    gray = Image.fromarray((scaled @ _LUMA.astype(np.float32) + 0.5).astype(np.uint8))
    return gray, colour_remarks(Image.fromarray((scaled + 0.5).astype(np.uint8)))


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
            f"Expected a gray radiograph; received a picture with colour on {share:.0%} of its pixels. "
            "Check that it is a radiograph and not a photograph or an overlay.",
        ),
    )
