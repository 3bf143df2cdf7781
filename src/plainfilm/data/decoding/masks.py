"""Segmentation masks, known by what they show: few gray levels, and nothing between them."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FEW_LEVELS = 6
NEAR = 12  # gray levels that JPEG moves a flat area by
BETWEEN = 0.05  # share of the pixels, at most, that is neither one nor the other: blurred edges
LEAST = 0.005  # share of the rarer of the two
MASK = ("mask", "Expected a radiograph; received few flat gray levels, as a segmentation mask has. Leave it out.")
_LOOK_PX = 96


def is_mask(gray: Image.Image) -> bool:
    """Whether a gray picture of 8 bits shows few flat areas and no tones, as segmentations do and radiographs never.

    That is two gray levels on all but 5 % of the pixels, each give or take what JPEG does to it, or at most six levels in all.
    """
    coarse = np.bincount(np.asarray(gray.resize((_LOOK_PX, _LOOK_PX), Image.Resampling.NEAREST)).ravel(), minlength=256)
    if not _has_few_tones(coarse, between=2 * BETWEEN):
        return False
    return _has_few_tones(np.array(gray.histogram()), between=BETWEEN)


def _has_few_tones(counts: NDArray[np.int64], *, between: float) -> bool:
    if np.count_nonzero(counts) <= FEW_LEVELS:
        return True
    first = int(counts.argmax())
    others = counts.copy()
    others[max(0, first - 3 * NEAR) : first + 3 * NEAR + 1] = 0
    second = int(others.argmax())
    shares = [
        levels[max(0, mode - NEAR) : mode + NEAR + 1].sum() / counts.sum()
        for levels, mode in ((counts, first), (others, second))
    ]
    return bool(min(shares) >= LEAST and sum(shares) >= 1 - between)
