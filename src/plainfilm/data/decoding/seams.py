"""Seams in a picture that was coded in blocks, row by row: what a wrong difference leaves, that shifts the brightness of all blocks behind it.

Such a seam runs along the lower edge of a row of blocks, steps up by one row where the wrong block stands, and goes on to the end. Edges
of what is pictured are straight, or bear no relation to the blocks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.decoding.decoded import Remarks

JUMP = 4.0  # gray levels by which the brightness of rows jumps, at least, where there is a seam; 6 where blocks have less than 8 px
STEP = 12.0  # gray levels that a seam has, at least, on four fifths of its length
SEAM: Remarks = (
    (
        "seam",
        "Expected a picture without seams; received one that jumps in brightness, as a damaged one does. Look at it.",
    ),
)
_MARGIN = 0.1  # share of the width, at either side, where a step would look like an edge
_CLEAR = 0.4  # share of a seam, at least, that is neither black nor white
_TRIED, _TRIED_HERE = 3, 4
_COLUMNS = 3  # every third is enough for a quick look

WRAPPED = 0.001  # share of the pixels, at least, behind which values wrap round in a damaged picture; twice what is found in sound ones
_WRAP = 0.875  # of the range: a jump that is a small one modulo the range

_Floats = NDArray[np.float32]


def jumps(gray: NDArray[np.uint8], block: int) -> NDArray[np.intp]:
    """Look quickly where the brightness of a picture, uint8 (h, w), jumps between two rows of blocks of `block` px: numbers of the upper ones, the clearest first."""
    rows, some = len(gray) // block, gray[:, ::_COLUMNS]
    if block == 1:
        found = np.abs(np.diff(some.sum(axis=1, dtype=np.int32), 3)) / 2
    else:
        parts = some[: rows * block].reshape(rows, block, -1)
        above, before = (parts[:-1, at].sum(axis=1, dtype=np.int32) for at in (-1, -2))
        below, behind = (parts[1:, at].sum(axis=1, dtype=np.int32) for at in (0, 1))
        found = np.abs(3 * (below - above) - (behind - before)) / 2
    least = (JUMP if block >= 8 else 1.5 * JUMP) * some.shape[1]
    order = np.argsort(-found)
    return np.asarray(order[found[order] > least])


def wrapped(values: NDArray[np.integer[Any]], bits: int) -> float:
    """Share of the pixels of a picture (h, w), from 0 on, of `bits` bits, 0 to 2, from which its values wrap round to the next, along a row or a column.

    Wrong differences add up modulo their range. Edges of what was drawn into a picture go from pure black to pure white, and do not count.
    """
    whole, top = values.astype(np.int32), (1 << bits) - 1
    pairs = (whole[1:], whole[:-1]), (whole[:, 1:], whole[:, :-1])
    return sum(
        float(
            ((np.abs(one - other) >= _WRAP * top) & (np.minimum(one, other) > 0) & (np.maximum(one, other) < top)).sum()
        )
        for one, other in pairs
    ) / max(1, whole.size)


def seam(gray: NDArray[np.uint8], high: int, wide: int, rows: NDArray[np.intp]) -> float:
    """Height in gray levels of the clearest seam below one of these rows of blocks of `high` x `wide` px in a picture, uint8 (h, w); 0 without one."""
    columns = gray.shape[1] // wide
    if len(gray) < 3 * high or columns < 8:
        return 0.0
    last = len(gray) // high - 4
    slabs = {min(max(0, int(row) - 1), max(last, 0)) for row in rows[:_TRIED]}
    return max(_seam(gray[at * high : (at + 4) * high, : columns * wide], high, wide) for at in slabs)


def _seam(gray: NDArray[np.uint8], high: int, wide: int) -> float:
    """Height of the clearest seam in three or four rows of blocks."""
    columns = gray.shape[1] // wide
    steps, clear = _steps(gray[: len(gray) // high * high].astype(np.int16), high, wide)
    amounts = np.concatenate([[0], np.cumsum(clear)])
    totals = np.concatenate([[0.0], np.cumsum(np.where(clear, steps, 0))])
    counts = amounts[columns:] - amounts[:-columns]
    means = np.where(counts >= _CLEAR * columns, (totals[columns:] - totals[:-columns]) / np.maximum(counts, 1), 0)
    likely = np.argsort(-np.abs(means))[:_TRIED_HERE]
    steps, clear = steps.reshape(-1, columns), clear.reshape(-1, columns)
    found = [_stair(steps, clear, int(at), float(np.sign(means[at]))) for at in likely if abs(means[at]) >= STEP / 2]
    return max(found, default=0.0)


def _steps(gray: NDArray[np.int16], high: int, wide: int) -> tuple[_Floats, NDArray[np.bool_]]:
    """Steps of brightness from each block to that below it, beyond those within the two, in a row; and where they are neither black nor white."""
    above, below = gray[high - 1 : -1 : high], gray[high::high]
    steps = 2 * (below - above) - (gray[high + 1 :: high] - below) - (above - gray[high - 2 : -2 : high])
    clear = (np.minimum(above, below) > 1) & (np.maximum(above, below) < 254)
    return (
        steps.reshape(-1, wide).mean(axis=1, dtype=np.float32) / 2,
        clear.reshape(-1, wide).mean(axis=1) > 0.5,
    )


def _stair(steps: _Floats, clear: NDArray[np.bool_], at: int, sign: float) -> float:
    """Height of the seam that begins at the block numbered `at`, above what goes on beside it; 0 if that is none."""
    row, column = divmod(at, steps.shape[1])
    if row + 1 >= len(steps) or not _MARGIN <= column / steps.shape[1] <= 1 - _MARGIN:
        return 0.0

    def quantile(part: tuple[int, slice], share: float) -> float:
        found = np.sort(sign * steps[part][clear[part]])
        return float(found[round(share * (len(found) - 1))]) if len(found) >= 3 else 0.0

    left, right = slice(column), slice(column, None)
    inside = min(quantile((row, right), 0.2), quantile((row + 1, left), 0.2))
    return inside - max(0.0, quantile((row, left), 0.6), quantile((row + 1, right), 0.6))
