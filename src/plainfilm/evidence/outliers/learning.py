"""Learns from features what is usual: where rows lie, which way up they are, which threshold few exceed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from plainfilm.evidence.outliers.feature_space import Features, Floats, Space, WayUp

DIRECTIONS = 32  # measured: 64 and 128 find no more
PENALTY = 1.0  # in units of the variance a row
_OVERSAMPLED = 16
_NONE = 1e-10  # of the largest variance: rounding
_TINY = np.float32(1e-30)
_CLOSE, _STEPS = 1e-5, 200  # of conjugate gradients; 30 steps are usual


def describe(x: Features, *, seed: int) -> Space:
    """Describe rows float32 (n, width) by their mean, spread and main directions.

    The directions come from a randomised range finder (Halko, Martinsson & Tropp 2011).
    """
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    floor = 0.1 * np.median(deviation) + 1e-3 * np.abs(mean).max() + 1e-6  # so that features dead in training count
    spread = np.asarray(deviation + floor, np.float32)
    z, width = (x - mean) / spread, x.shape[1]
    count = min(DIRECTIONS, (len(x) - 1) // 2, width - 1)
    probe = np.random.default_rng(seed).standard_normal((width, min(count + _OVERSAMPLED, width)), np.float32)
    for _ in range(3):
        probe = _orthonormal(z.T @ (z @ probe))
    size, turn = _decomposed(z @ probe)
    variance = np.maximum(size[:count], 0) / len(x)
    everything = float(np.einsum("ij,ij->", z, z, dtype=np.float64)) / len(x)
    rest = max((everything - float(variance.sum())) / (width - count), 1e-6)
    basis = np.ascontiguousarray((probe @ turn[:, :count]).T, np.float32)
    return Space(
        mean=mean, spread=spread, basis=basis, variance=np.maximum(variance, rest).astype(np.float32), rest=rest
    )


def _orthonormal(columns: Features) -> Features:
    """Orthonormal columns float32 (width, k) that span the same; zero where fewer do."""
    size, turn = _decomposed(columns)
    kept = size > _NONE * size[0]
    return (columns @ (turn * np.where(kept, 1 / np.sqrt(np.where(kept, size, 1)), 0))).astype(np.float32)


def _decomposed(columns: Features) -> tuple[Floats, Floats]:
    """Squared singular values float64 (k) of tall columns, falling, and their right vectors float64 (k, k).

    From the columns' products with each other: to decompose them as they are, the linear algebra library wakes its
    threads, which wait by spinning and took 0.6 s instead of 1 ms beside other work.
    """
    own = columns.astype(np.float64)
    size, turn = np.linalg.eigh(own.T @ own)
    return size[::-1], turn[:, ::-1]


def regress(
    upright: Features, turns: Sequence[Features], kept: NDArray[np.bool_], spaces: Sequence[Space]
) -> list[WayUp]:
    """Regress which way up rows are in some sets of them, by ridge regression; upright and turned rows weigh the same.

    Parameters
    ----------
    upright
        float32 (n, width).
    turns
        float32 (m, width) for each turn.
    kept
        bool (sets, n + turns * m): the rows of each set, upright ones first; the first set is of all.
    spaces
        What describes each set: its slopes are those of rows scaled by it.

    Returns
    -------
    list of WayUp
        Of the first set upright and each turn, of the others upright alone.
    """
    whole, others, outputs = spaces[0], len(spaces) - 1, len(turns) + 1
    rows = np.concatenate([whole.scaled(each) for each in (upright, *turns)])
    kind = np.repeat(np.arange(outputs), [len(upright), *map(len, turns)])
    of_set = np.array([*[0] * outputs, *range(1, others + 1)])
    truth = np.eye(outputs, dtype=np.float32)[kind][:, [*range(outputs), *[0] * others]]
    weight = (_equally(kept & (kind == 0)) + _equally(kept & (kind > 0)))[of_set].T
    ratio = np.stack([whole.spread / space.spread for space in spaces])[of_set].T
    slope, share = _ridge(rows, truth, weight, ratio), np.sum(weight * truth, axis=0)
    ways = []
    for number, space in enumerate(spaces):
        own = np.flatnonzero(of_set == number)
        middle = space.scaled(whole.mean + whole.spread * (weight[:, own[0]] @ rows))
        ways.append(WayUp(weights=np.ascontiguousarray(slope[:, own].T), offset=share[own] - middle @ slope[:, own]))
    return ways


def _equally(rows: NDArray[np.bool_]) -> Features:
    """Weights float32 (sets, n) of the rows of each set, which sum to a half."""
    return np.asarray(0.5 * rows / np.maximum(rows.sum(axis=1, keepdims=True), 1), np.float32)


def _ridge(rows: Features, truth: Features, weight: Features, ratio: Features) -> Features:
    """Slopes float32 (width, p) of p ridge regressions of a column of `truth` (n, p) over `rows * ratio`, weighted.

    `weight` (n, p), `ratio` (width, p). By conjugate gradients (Hestenes & Stiefel 1952), all at once. The penalty is the
    mean variance of a row, so that the condition number is at most the number of rows.
    """
    middle = rows.T @ weight
    variance = ratio**2 * np.maximum((rows**2).T @ weight - middle**2, 0)
    penalty = PENALTY * variance.sum(axis=0) / np.count_nonzero(weight, axis=0).astype(np.float32) + np.float32(1e-6)
    residual = ratio * (rows.T @ (weight * (truth - np.sum(weight * truth, axis=0))))
    slope, step, size = np.zeros_like(residual), residual, np.sum(residual**2, axis=0)
    enough, steps = _CLOSE**2 * size, 0
    while steps < _STEPS and (size > enough).any():
        scaled = ratio * step
        moved = ratio * (rows.T @ (weight * (rows @ scaled - np.sum(middle * scaled, axis=0)))) + penalty * step
        length = size / np.maximum(np.sum(step * moved, axis=0), _TINY)
        slope, residual = slope + length * step, residual - length * moved
        before, size, steps = size, np.sum(residual**2, axis=0), steps + 1
        step = residual + size / np.maximum(before, _TINY) * step
    return np.asarray(slope)


def limit(scores: Floats, codes: NDArray[np.int64], share: float) -> float:
    """Give the threshold that at most `share` of a new group's rows exceed, on average over new groups.

    A conformal quantile (Vovk et al. 2005, "Algorithmic Learning in a Random World") in which a group counts once,
    however many rows it has: the argument of Angelopoulos et al. 2024, "Conformal Risk Control", with the share of a
    group's rows beyond the threshold as its loss. With fewer than 1 / share - 1 groups there is none: then the largest
    score, or the normal distribution's prediction limit if that is higher, which 1 / (groups + 1) may exceed.

    Parameters
    ----------
    scores
        float64 (n), of rows kept out when what gives the scores was fitted.
    codes
        int64 (n), group of each row as 0, 1, 2 ….
    """
    groups = int(codes.max()) + 1
    order = np.argsort(scores)
    below = np.cumsum((1 / np.bincount(codes))[codes][order])
    place = int(np.searchsorted(below, (1 - share) * (groups + 1) - 1e-9))
    if place < len(scores):
        return float(scores[order][place])
    from scipy.special import stdtrit

    reach = stdtrit(groups - 1, 1 - share) * np.sqrt(1 + 1 / groups)
    return max(float(scores.max()), float(scores.mean() + reach * scores.std(ddof=1)))
