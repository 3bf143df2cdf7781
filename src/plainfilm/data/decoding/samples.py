"""Samples of any depth, gray or in colour, with or without alpha -> the gray picture."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plainfilm.data.decoding.decoded import Remarks, colour_remarks
from plainfilm.data.decoding.depth import to_eight_bits


@dataclass(frozen=True, slots=True)
class Samples:
    """Values (h, w), or (h, w, c) with c of 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha; `stated` is the depth in bits, if it is."""

    values: NDArray[Any]
    stated: int | None = None
    white_is_zero: bool = False

    def gray(self, depth: int | None) -> tuple[Image.Image, int | None, Remarks]:
        """Make the gray picture, by the stated depth or else `depth`; give it with the depth that was not stated, and remarks."""
        values = self.values if self.values.ndim == 3 else self.values[..., None]
        channels = values.shape[2]
        colours = values[..., : channels - 1] if channels in {2, 4} else values
        scaled = to_eight_bits(np.ascontiguousarray(colours), stated=self.stated, given=depth)
        pixels = 255 - scaled.pixels if self.white_is_zero else scaled.pixels
        image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
        if channels in {2, 4}:
            opaque = Image.fromarray(to_eight_bits(np.ascontiguousarray(values[..., -1]), stated=self.stated).pixels)
            image = Image.composite(image, Image.new(image.mode, image.size), opaque)
        return image.convert("L"), scaled.depth, (*scaled.remarks, *(colour_remarks(image) if channels >= 3 else ()))
