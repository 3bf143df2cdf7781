"""Holes in pictures that are stored without compression: a run of one value over several rows, as a disk or a network leaves it.

It begins or ends amid a row, where the row beside it shows something else.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.decoding.decoded import Remarks

HOLE: Remarks = (
    (
        "hole",
        "Expected a picture without gaps; received one with a long run of one value that begins amid a row. Part of it is probably missing: look at it.",
    ),
)
_LEAST = 0.1  # share of the width by which a hole reaches further than what stands beside it
_LEAST_VALUES = 8  # beside it, in a row; a mask has fewer
_STEADY = 0.25  # of that, at most, between the two rows beside it: the edge of a picture that lies aslant goes on


def remarks(values: NDArray[Any]) -> Remarks:
    """Flag a picture (h, w) or (h, w, channels), as its rows stand in the file, that has a hole of at least two rows."""
    flat = values.reshape(*values.shape[:2], -1)
    is_even = (flat == flat[:, :1]).all(axis=(1, 2))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_even, [False]]))).reshape(-1, 2)
    return HOLE if any(_is_hole(flat, int(first), int(behind)) for first, behind in edges) else ()


def _is_hole(flat: NDArray[Any], first: int, behind: int) -> bool:
    above, below = flat[max(0, first - 3) : first][::-1, ::-1], flat[behind : behind + 3]
    return _begins(above, flat[first, 0]) or _begins(below, flat[first, 0])


def _begins(rows: NDArray[Any], value: NDArray[Any]) -> bool:
    """Whether a run of this value reaches into the first of three rows, and not so far into the others."""
    if len(rows) < 3 or len(np.unique(rows[0], axis=0)) < _LEAST_VALUES:
        return False
    first, second, third = (np.append((row != value).any(axis=1), True).argmax() / rows.shape[1] for row in rows)
    return bool(first - second >= _LEAST and abs(second - third) <= _STEADY * (first - second))
