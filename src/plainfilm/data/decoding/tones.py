"""The gray levels that a picture shows: too few to see anything by, or those of a segmentation mask."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plainfilm.data.decoding.decoded import Remarks, refusal

FEW_LEVELS = 6
MOST_LEVELS = 128  # of a mask, in a part of its pixels
NEAR = 12  # gray levels that JPEG moves a flat area by
BETWEEN = 0.05  # share of the pixels, at most, that is neither one level nor the other: blurred edges
LEAST = 0.005  # share of the rarer of the two
TAIL = 0.005  # share of the pixels, at either end of the grays, that does not count as seen
LEAST_GRAYS = 24
MOST_EXTREME = 0.985  # share of the pixels that are black or white
_LOOK_PX = 128


def remarks(gray: Image.Image, *, may_be_mask: bool = True) -> Remarks:
    """Refuse a blank picture; flag a mask, or a picture of which hardly anything is seen: nearly all in a few neighbouring grays, or pure black and white.

    Judged on 128 x 128 of its pixels; that it is blank or a mask, on all.

    Raises
    ------
    ImageError
        `blank`: one value everywhere.
    """
    look = gray.resize((_LOOK_PX, _LOOK_PX), Image.Resampling.NEAREST)
    counts = np.bincount(np.asarray(look).ravel(), minlength=256)
    if counts.max() == counts.sum():
        _refuse_blank(gray)
    has_many = np.count_nonzero(counts) > MOST_LEVELS
    if may_be_mask and not has_many and _has_few_tones(counts, between=2 * BETWEEN) and is_mask(gray):
        return (
            ("mask", "Expected a radiograph; received few flat gray levels, as a segmentation mask has. Leave it out."),
        )
    return _contrast(counts)


def _refuse_blank(gray: Image.Image) -> None:
    low, high = gray.getextrema()
    if low == high:
        raise refusal("blank", f"Expected a picture; received one with the value {low} everywhere. Leave it out.")


def is_mask(gray: Image.Image) -> bool:
    """Whether a gray picture of 8 bits shows few flat areas and no tones, as segmentations do and radiographs never.

    That is two gray levels on all but 5 % of the pixels, each give or take what JPEG does to it, or at most six levels in all.
    """
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


def _contrast(counts: NDArray[np.int64]) -> Remarks:
    share = np.cumsum(counts) / counts.sum()
    low, high = (int(level) for level in np.searchsorted(share, (TAIL, 1.0 - TAIL)))
    extreme = (counts[0] + counts[255]) / counts.sum()
    if high - low >= LEAST_GRAYS and extreme <= MOST_EXTREME:
        return ()
    is_narrow = high - low < LEAST_GRAYS
    received = (
        f"{100 * (1 - 2 * TAIL):.0f} % of it between {low} and {high}"
        if is_narrow
        else f"{100 * extreme:.0f} % of it black or white"
    )
    sentence = f"Expected a picture in grays from 0 to 255; received one with {received}. Its window or depth is probably wrong: look at it."
    return (("low-contrast", sentence),)
