"""A few numbers of a radiograph that another device, another processing or another exposure changes."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

NAMES: Final = ("brightness", "contrast", "middle tone", "sharpness", "black", "white")
_LEVELS = np.arange(256)
_DARK, _BRIGHT = 8, 248  # gray levels that count as black and white
_EVERY = 2  # pixels each way whose gray level is counted
_ROWS = 4  # of these one is looked at for sharpness


def image_statistics(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Measure a gray radiograph, uint8 (h, w), at the size and fit that the network gets.

    Returns
    -------
    float64 (6)
        By `NAMES`: mean and standard deviation of the gray levels (0 to 255); their median less their mean; mean step between
        neighbours in a row as a share of the standard deviation; shares of black and of white pixels (0 to 1).
    """
    counts = np.bincount(pixels[::_EVERY, ::_EVERY].ravel(), minlength=256)
    share = counts / counts.sum()
    mean = float(share @ _LEVELS)
    spread = float(np.sqrt(max(0.0, share @ np.square(_LEVELS - mean))))
    median = float(np.searchsorted(np.cumsum(share), 0.5))
    rows = pixels[::_ROWS].astype(np.int16)
    step = float(np.abs(np.diff(rows, axis=1)).mean())
    dark, bright = float(share[:_DARK].sum()), float(share[_BRIGHT:].sum())
    return np.array([mean, spread, median - mean, step / max(spread, 1.0), dark, bright])
