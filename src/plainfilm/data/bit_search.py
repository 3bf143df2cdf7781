"""Rows of bits that differ in few places, found without comparing all with all.

Locality-sensitive hashing by sampled bits (P. Indyk and R. Motwani, Approximate Nearest Neighbors, 1998): rows that share the values
of some bits, drawn at random, meet in a bucket, and only these are compared. With as many bits as make small buckets and as many draws
as make a miss rare, time grows by n to the power of 1 + log(1 - d) / log(0.5), where d is the share of bits that two rows may differ in.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

MISS = 1e-3  # how often two rows that differ in as many bits as they may meet in no table
_BUCKET = 8  # rows, about
_PAIRS_AT_ONCE = 1 << 18

Rows = NDArray[np.int64]


def tables(n: int, width: int, differing: float, *, seed: int = 0) -> list[Rows]:
    """Draw the bits of each table, int64 (k), so that of n rows those that differ in a share of `differing` of their `width` bits meet."""
    bits = max(0, math.ceil(math.log2(max(1, n) / _BUCKET)))
    meet = (1 - differing) ** bits
    count = 1 if bits == 0 else math.ceil(math.log(MISS) / math.log(1 - meet))
    rng = np.random.default_rng(seed)
    return [rng.permutation(width)[:bits] for _ in range(count)]


def codes(packed: NDArray[np.uint8], chosen: Rows) -> NDArray[np.uint32]:
    """Give the values of the chosen bits (at most 32) as a number a row, uint32 (n), from packed bits, uint8 (n, bytes)."""
    code = np.zeros(len(packed), np.uint32)
    for bit in chosen.tolist():
        code = (code << np.uint32(1)) | ((packed[:, bit // 8] >> np.uint8(7 - bit % 8)) & np.uint8(1))
    return code


def meetings(code: NDArray[np.uint32], group: Rows) -> Iterator[Rows]:
    """Give pairs, int64 (m, 2) in blocks, of rows of one code and different groups, each pair once, i < j."""
    order = np.argsort((code.astype(np.uint64) << np.uint64(32)) | group.astype(np.uint64))
    here, own = code[order], group[order]
    ends = np.append(np.flatnonzero(here[1:] != here[:-1]) + 1, len(order))
    bucket_end = np.repeat(ends, np.diff(ends, prepend=0))
    is_last = np.append((here[1:] != here[:-1]) | (own[1:] != own[:-1]), True)[: len(order)]
    runs = np.flatnonzero(is_last) + 1
    run_end = np.repeat(runs, np.diff(runs, prepend=0))
    for place, partner in _ranges(run_end, bucket_end):
        yield np.sort(np.stack([order[place], order[partner]], axis=1), axis=1)


def _ranges(start: Rows, stop: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Give each place with every number from its start to its stop, some places at a time."""
    count = stop - start
    total = np.cumsum(count)
    first = 0
    while first < len(count):
        before = total[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(total, before + _PAIRS_AT_ONCE, side="right")))
        own = count[first:last]
        place = np.repeat(np.arange(first, last), own)
        steps = np.arange(len(place)) - np.repeat(np.cumsum(own) - own, own)
        if len(place):
            yield place, start[place] + steps
        first = last
