"""Text of many rows as a NumPy array, in which one long value does not set the memory of all.

NumPy's "U" is as wide as its longest value: one cell of 1 MB among a million of ten letters would take 4 TB. Its `StringDType`
(NEP 55) takes what each value takes.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_WIDE_BYTES = 64 << 20  # that an array as wide as its longest value may take
_LETTER_BYTES = 4  # of "U"


def as_array(values: Sequence[str]) -> NDArray[Any]:
    """Give values as an array (n): "U" where that takes at most 64 MB, else of `numpy.dtypes.StringDType`."""
    if is_narrow(len(values), max(map(len, values), default=0)):
        return np.array(values, np.str_)
    return np.array(values, np.dtypes.StringDType())


def gathered(rows: int, blocks: Iterable[Sequence[str]]) -> NDArray[Any]:
    """Give the values of blocks that have so many rows together, as `as_array` would, with no more of them at once than a block."""
    column, at, longest = np.empty(rows, np.dtypes.StringDType()), 0, 1
    for block in blocks:
        column[at : at + len(block)] = block
        at, longest = at + len(block), max(longest, *map(len, block))
    return column.astype(f"U{longest}") if is_narrow(rows, longest) else column


def spread(values: Sequence[str], places: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Give the value at each place (n), -1 for "", as `as_array` would."""
    every = [*values, ""]
    is_wide = not is_narrow(len(places), max(map(len, every)))
    held = np.array(every, np.dtypes.StringDType() if is_wide else np.str_)
    return np.asarray(held[places])


def is_narrow(rows: int, longest: int) -> bool:
    """Whether text of so many rows and letters at most may be held as "U"."""
    return rows * max(1, longest) * _LETTER_BYTES <= MOST_WIDE_BYTES


def is_text(column: NDArray[Any]) -> bool:
    """Whether an array holds text: "U", `StringDType`, or objects."""
    return column.dtype.kind in "UTO"
