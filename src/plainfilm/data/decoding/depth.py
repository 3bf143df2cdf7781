"""Samples of any depth -> 8 bits: by the depth that the file states, that its folder has, or that is guessed from its highest value."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.decoding.decoded import Remarks, refusal

DEPTHS_BITS = (8, 10, 12, 14, 16)
MARKER_SHARE = 0.05  # of the pixels, at most, that a marker burned in at the highest value of 16 bits covers
_MARKER = 2**16 - 1


@dataclass(frozen=True, slots=True)
class Scaled:
    """`pixels` uint8 of the shape of the values; `depth` in bits where the file does not state it."""

    pixels: NDArray[np.uint8]
    depth: int | None = None
    remarks: Remarks = ()


def to_eight_bits(values: NDArray[Any], *, stated: int | None = None, given: int | None = None) -> Scaled:
    """Scale samples to 8 bits, never to their own minimum and maximum, so that two images of one detector are scaled alike.

    Parameters
    ----------
    values : integer or float array, any shape
        Integers 0 to 65535, or floats 0 to 1, or floats 0 to 65535. Floats of at most 1 are taken as 0 to 1.
    stated : int, optional
        Depth in bits that the file states.
    given : int, optional
        Depth in bits to use where the file states none. Else it is guessed: the smallest of `DEPTHS_BITS` that holds the maximum, from which a
        few pixels of 65535 are left out, which are a marker.

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
    if values.dtype.kind == "f" and high <= 1.0:
        return Scaled((values * 255.0 + 0.5).astype(np.uint8))
    depth = stated or given or _guessed(values, high)
    top = 2**depth - 1
    pixels = _scaled(values, high, top)
    return Scaled(pixels, None if stated else depth, _clipped(values, depth) if high > top else ())


def _guessed(values: NDArray[Any], high: float) -> int:
    if high == _MARKER:
        film = values[values < high]
        if film.size >= (1 - MARKER_SHARE) * values.size:
            high = float(film.max())
    return next(bits for bits in DEPTHS_BITS if high <= 2.0**bits - 1.0)


def _scaled(values: NDArray[Any], high: float, top: int) -> NDArray[np.uint8]:
    if values.dtype.kind == "f":
        return np.asarray(np.minimum(values * (255.0 / top), 255.0) + 0.5).astype(np.uint8)
    tones = np.minimum(np.arange(int(high) + 1) * (255.0 / top), 255.0)
    return np.asarray((tones + 0.5).astype(np.uint8)[values])


def _clipped(values: NDArray[Any], depth: int) -> Remarks:
    top = 2**depth - 1
    share = float((values > top).mean())
    return (
        (
            "clipped",
            f"Expected values of {depth} bits, up to {top}; received up to {values.max():g} on {share:.2g} of the pixels, such as a marker. "
            "They are shown white: look at the picture.",
        ),
    )
