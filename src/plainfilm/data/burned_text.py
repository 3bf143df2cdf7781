"""Where lines of text are burned into a radiograph, such as a name: rows of narrow strokes side by side, brighter or darker than what is around.

One or two letters, such as L, R or PA, are markers and no line of text.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
_STROKE = 5  # px at most; the strokes of larger letters are as narrow on a smaller picture
_BOX = np.uint8(128)
_CONTRAST = 30  # gray levels above what lies left and right
_WINDOW = 36
_STROKES = 6  # of a row in a window: three letters or more
_LEAST_ROWS, _MOST_ROWS = 3, 18  # of such rows one above another: lower is noise, higher a grid or hatching
_LEAST_SIDE = 48


def is_seen(image: Pixels) -> bool:
    """Whether a line of text is on a gray image uint8 (h, w)."""
    return next(_boxes(image), None) is not None


def seen(image: Pixels) -> Mask:
    """Mark the lines of text on a gray image uint8 (h, w): bool (h, w)."""
    found = np.zeros(image.shape, bool)
    for box in _boxes(image):
        found[box] = True
    return found


def covered(image: Pixels) -> Pixels:
    """Give a copy of a gray image uint8 (h, w) in which a plain box lies over each line of text."""
    return np.where(seen(image), _BOX, image)


def _boxes(image: Pixels) -> Iterator[tuple[slice, slice]]:
    small, times = image, 1
    while min(small.shape) >= _LEAST_SIDE:
        for picture in (small, ~small):
            for top, bottom, left, right in _lines(picture):
                over = (bottom - top) // 2 + 1  # accents, bars of letters
                beside = bottom - top  # the letters that end a line
                rows = slice(max(0, top - over) * times, (bottom + over) * times)
                yield rows, slice(max(0, left - beside) * times, (right + beside) * times)
        small, times = _halved(small), 2 * times


def _lines(image: Pixels) -> Iterator[tuple[int, int, int, int]]:
    """Give top, bottom, left and right of windows in which many narrow bright strokes cross as many rows as a letter is high."""
    strokes = _strokes(image)
    begins = strokes[:, 1:] > strokes[:, :-1]
    rows = np.flatnonzero(np.count_nonzero(begins, axis=1) >= _STROKES)
    if len(rows) < _LEAST_ROWS:
        return
    sums = np.zeros((image.shape[0], begins.shape[1]), np.int16)
    sums[rows] = np.cumsum(begins[rows], axis=1, dtype=np.int16)
    sums[rows, _WINDOW:] -= sums[rows, :-_WINDOW]
    crossed = sums >= _STROKES
    for column in np.flatnonzero(np.count_nonzero(crossed, axis=0) >= _LEAST_ROWS).tolist():
        edges = np.flatnonzero(np.diff(crossed[:, column], prepend=False, append=False)).tolist()
        for top, bottom in zip(edges[::2], edges[1::2], strict=True):
            if _LEAST_ROWS <= bottom - top <= _MOST_ROWS:
                yield top, bottom, column + _STROKE + 2 - _WINDOW, column + _STROKE + 2


def _strokes(image: Pixels) -> Mask:
    """Mark what is brighter than its left and its right: what the opening along rows takes away, but for the `_STROKE` px at both sides."""
    pairs = np.minimum(image[:, :-1], image[:, 1:])
    low = np.minimum(np.minimum(pairs[:, :-4], pairs[:, 2:-2]), pairs[:, 4:])
    pairs = np.maximum(low[:, :-1], low[:, 1:])
    opened = np.maximum(np.maximum(pairs[:, :-4], pairs[:, 2:-2]), pairs[:, 4:])
    return image[:, _STROKE:-_STROKE] - opened > _CONTRAST


def _halved(image: Pixels) -> Pixels:
    height, width = (side // 2 * 2 for side in image.shape)
    even = image[:height, :width].astype(np.uint16)
    return ((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) >> 2).astype(np.uint8)
