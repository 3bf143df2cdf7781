"""Estimates with intervals for proportions, means and averages of rows that come in groups; resampling of groups.

A group (a patient with duplicates) is one draw from the population, however many rows it has. Every interval
therefore rests on the sums of its groups. Groups are counted as drawn at random, their classes included.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, ndtri, stdtrit

from plainfilm.results.estimate import UNDEFINED, Estimate

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BLOCK_NUMBERS = 2**17  # row weights held at once by the bootstrap: 1 MB, a few times over
SMALLEST_VARIANCE = 1e-30  # below this it is rounding
# Correlations within a group that are taken for likely before the data are seen
ALIKE = 0.2  # of answers to rows of one class
ALIKE_CALLED = 0.4  # of whether a call is right: the rows of a group mostly are of one class
_PRIOR_FREEDOM = 4.0  # degrees of freedom that this is worth


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """An estimate, and what each group adds to its error: `influence` (groups), zero on average."""

    estimate: Estimate
    influence: FloatArray


def group_codes(group: ArrayLike | None, rows: int) -> IntArray:
    """Return `group` (rows) as numbers 0, 1, 2 …; None means that every row stands alone."""
    if group is None:
        return np.arange(rows)
    names = np.asarray(group)
    if names.shape != (rows,):
        raise ValueError(f"Expected one group a row, shape ({rows},); received shape {names.shape}.")
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def check_level(level: float) -> None:
    """Raise ValueError unless `level` is a coverage between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"Expected a level between 0 and 1, such as 0.95; received {level}.")


def group_sums(codes: IntArray, values: ArrayLike, groups: int) -> FloatArray:
    """Return the sum of `values` (n) over the rows of each group, float (groups)."""
    return np.bincount(codes, np.asarray(values, dtype=np.float64), groups).astype(np.float64)


def wilson(
    hits: ArrayLike, counted: ArrayLike | None = None, *, group: ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """Estimate a proportion with Wilson's score interval, widened for rows that come in groups.

    Parameters
    ----------
    hits, counted : bool (n,)
        The proportion is hits among the rows that are counted (by default all). Not defined where none is counted.
    group : (n,), optional
        Rows with the same value are one draw. The number of rows is divided by the design effect: the variance of the
        ratio over groups (`clustered_variance`) against that of independent rows. It is never taken below 1: with few
        groups a smaller one is mostly chance. Few groups, or few large ones, also widen it by Student's t. Without a
        single hit, or miss, groups count as if their rows were alike.
    level : float
        Coverage aimed at, 0 to 1.

    Raises
    ------
    ValueError
        Shapes that differ, or a level outside 0 to 1.

    References
    ----------
    Wilson, JASA 1927. Rao & Scott, Biometrics 1992 (design effect). Korn & Graubard, Survey Methodology 1998
    (Student's t).
    """
    check_level(level)
    hit = np.asarray(hits, dtype=bool)
    count = np.ones(hit.shape, dtype=bool) if counted is None else np.asarray(counted, dtype=bool)
    if hit.ndim != 1 or hit.shape != count.shape:
        raise ValueError(f"Expected hits and counted of one shape (n,); received {hit.shape} and {count.shape}.")
    return proportion(hit & count, count, group_codes(group, len(hit)), level).estimate


def proportion(
    hits: NDArray[np.bool_], counted: NDArray[np.bool_], codes: IntArray, level: float, *, alike: float = ALIKE
) -> Measured:
    """Measure hits / counted as `wilson` does, for rows with group `codes` (n); `alike` is of `clustered_variance`."""
    groups = int(codes.max(initial=-1)) + 1
    hit, size = group_sums(codes, hits, groups), group_sums(codes, counted, groups)
    rows = float(size.sum())
    if rows == 0:
        return Measured(UNDEFINED, np.zeros(groups))
    value = float(hit.sum() / rows)
    influence = (hit - value * size) / rows
    return Measured(_score_interval(value, _effective_size(value, influence, size, level, alike), level), influence)


def mean(values: FloatArray, codes: IntArray, level: float) -> Measured:
    """Measure the mean of `values` (n), each from 0 to 1, with an interval on the logit scale; see `logit_interval`."""
    groups = int(codes.max(initial=-1)) + 1
    if not len(values):
        return Measured(UNDEFINED, np.zeros(groups))
    size = np.bincount(codes, minlength=groups).astype(np.float64)
    value = float(values.mean())
    influence = (group_sums(codes, values, groups) - value * size) / len(values)
    alone = float(values.var() / max(1, len(values) - 1))
    estimate = logit_interval(value, *clustered_variance(influence, size, alone), influence, level)
    return Measured(estimate or cautious_interval(value, size, level), influence)


def _score_interval(value: float, size: float, level: float) -> Estimate:
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    middle = (value + z2 / (2 * size)) / (1 + z2 / size)
    half = np.sqrt(z2 * (value * (1 - value) / size + z2 / (4 * size**2))) / (1 + z2 / size)
    return within_bounds(value, middle - half, middle + half)


def cautious_interval(value: float, size: FloatArray | IntArray, level: float) -> Estimate:
    """Return Wilson's interval for a `value` in 0 to 1 on groups of `size` rows, each group as if its rows were alike.

    For a value without variance in the sample: nothing within 0 to 1 varies more than a proportion.
    """
    return _score_interval(value, alike_size(size), level)


def independent_rows(size: FloatArray | IntArray) -> float:
    """Return how many independent rows groups of `size` are worth, if the rows of a group are alike by `ALIKE`: at most one a group."""
    rows, groups = float(size.sum()), int(np.count_nonzero(size))
    return min(groups, rows / (1 + ALIKE * (rows / alike_size(size) - 1)))


def alike_size(size: FloatArray | IntArray) -> float:
    """Return how many independent rows groups of `size` are worth, if the rows of a group are alike (Kish 1965)."""
    return float(size.sum()) ** 2 / float(np.square(size).sum())


def _effective_size(value: float, influence: FloatArray, size: FloatArray, level: float, alike: float) -> float:
    groups, rows = int(np.count_nonzero(size)), float(size.sum())
    if value in (0.0, 1.0) or groups == 1:
        return alike_size(size)
    alone = value * (1 - value) / (rows - 1)
    spread, freedom = clustered_variance(influence, size, alone, alike=alike)
    tail = 0.5 + level / 2
    return rows * alone / spread * float(stdtrit(rows - 1, tail) / stdtrit(freedom, tail)) ** 2


def clustered_variance(
    influence: FloatArray, size: FloatArray, alone: float, *, alike: float = ALIKE
) -> tuple[float, float]:
    """Return the variance of a ratio of sums over groups of `size` rows, and its degrees of freedom.

    The jackknife's, which allows for how far a large group pulls the ratio to itself, raised where groups of these
    sizes lead one to expect more: variance `alone` of independent rows, times Kish's design effect for rows that correlate
    by `alike` within a group. Few large groups say little of how alike their rows are, and mostly say too little: their
    own variance has the degrees of freedom of as many rows as the groups are worth, the expectation four. Where each
    row is a group there is nothing to expect, and it is the variance of the sample.

    References
    ----------
    Bell & McCaffrey, Survey Methodology 2002 (jackknife and freedom). Kish, Survey Sampling, 1965. Smyth, Statistical
    Applications in Genetics and Molecular Biology 2004 (a variance shrunk to a prior one).
    """
    held = size > 0
    groups, rows, worth = int(np.count_nonzero(held)), float(size.sum()), alike_size(size)
    if groups < 2:
        return 0.0, 0.0
    seen = float(np.square(influence[held] / (1 - size[held] / rows)).sum()) * (groups - 1) / groups
    expected = alone * (1 + alike * (rows / worth - 1))
    total = worth - 1 + _PRIOR_FREEDOM
    spread = ((worth - 1) * seen + _PRIOR_FREEDOM * expected) / total
    return max(alone, seen, spread), min(total, groups - 1)


def variance(influence: FloatArray) -> float:
    """Return the variance of an estimate from what each group adds to it (infinitesimal jackknife; Efron 1982)."""
    groups = len(influence)
    return float(np.square(influence).sum()) * groups / (groups - 1) if groups > 1 else 0.0


def logit_interval(
    value: float, spread: float, most_freedom: float, influence: FloatArray, level: float
) -> Estimate | None:
    """Return Student's t interval on the logit scale for a `value` in 0 to 1 with variance `spread`; None without any.

    The degrees of freedom are those of a variance estimated from `influence` (groups) with the kurtosis it shows, at
    most `most_freedom`. A variance that rests on a few rows is trusted less; without it, coverage near perfect scores
    falls short.
    """
    if not 0 < value < 1 or spread <= SMALLEST_VARIANCE or most_freedom < 1:
        return None
    half = student(influence, most_freedom, level) * np.sqrt(spread) / (value * (1 - value))
    return within_bounds(value, float(expit(logit(value) - half)), float(expit(logit(value) + half)))


def student(influence: FloatArray, most_freedom: float, level: float) -> float:
    """Return the quantile of Student's t with the degrees of freedom that the kurtosis of `influence` leaves; all where it has none."""
    second = float(np.square(influence).sum()) ** 2
    fourth = float((influence**4).sum()) / second if second > 0 else 0.0
    freedom = 2 / max(fourth - 1 / len(influence), 1e-9)
    return float(stdtrit(max(1.0, min(freedom, most_freedom)), 0.5 + level / 2))


def for_several(estimate: Estimate, comparisons: int, level: float = 0.95) -> Estimate:
    """Widen the interval of a share so that `comparisons` of them hold their truths together in `level` (Bonferroni).

    Its distances from the value grow as the normal quantile does, on the logit scale where the value has one.
    """
    factor = float(ndtri(1 - (1 - level) / 2 / comparisons) / ndtri(0.5 + level / 2)) if comparisons > 1 else 1.0
    value, low, high = estimate.value, estimate.low, estimate.high
    if not estimate.is_known or factor == 1:
        return estimate
    if not 0 < value < 1:
        return within_bounds(value, value - factor * (value - low), value + factor * (high - value))
    middle = logit(value)
    ends = (float(expit(middle + factor * (logit(end) - middle))) for end in (low, high))
    return within_bounds(value, *ends)


def cases_needed(value: float, end: float, bound: float, cases: int) -> int | None:
    """Say about how many cases an interval needs that excludes `bound`, where `cases` give one from `value` to `end`.

    Its width falls as the root of their number. All but `cases` are shares, compared on the logit scale. Two digits; None
    where the value does not lie between bound and far end, or so near that over 100,000 would be needed.
    """
    if not 0 < value < 1 or not 0 < end < 1 or (value - bound) * (bound - end) < 0 or value == bound:
        return None
    needed = cases * float((logit(value) - logit(end)) / (logit(value) - logit(bound))) ** 2
    return round_up(needed) if needed <= 100_000 else None


def round_up(number: float) -> int:
    """Round up to two digits."""
    unit = 10 ** max(0, len(str(int(number))) - 2)
    return int(-(-number // unit) * unit)


def within_bounds(value: float, low: float, high: float, least: float = 0.0, most: float = 1.0) -> Estimate:
    """Return the estimate with low ≤ value ≤ high, inside `least` to `most` whatever rounding did."""
    return Estimate(value, max(least, min(low, value)), min(most, max(high, value)))


def macro_average(parts: Sequence[Measured]) -> Estimate:
    """Average estimates of the same groups; not defined unless every part is.

    The distances from each value to its limits are combined with the correlation of the parts over the groups (MOVER:
    Zou & Donner, Statistics in Medicine 2008), so that a part without a single error still adds its uncertainty.
    """
    values, lows, highs = (np.array([getattr(p.estimate, end) for p in parts]) for end in ("value", "low", "high"))
    if np.isnan(values).any():
        return UNDEFINED
    influence = np.stack([p.influence for p in parts])
    norm = np.sqrt(np.square(influence).sum(axis=1))
    known = norm > np.sqrt(SMALLEST_VARIANCE)
    scaled = np.divide(influence, norm[:, None], out=np.zeros_like(influence), where=known[:, None])
    correlation = scaled @ scaled.T
    np.fill_diagonal(correlation, 1.0)
    down, up = (np.sqrt(max(0.0, float(d @ correlation @ d))) / len(parts) for d in (values - lows, highs - values))
    value = float(values.mean())
    return within_bounds(value, value - down, value + up)


def bootstrap(
    statistic: Callable[[FloatArray], FloatArray], group: ArrayLike, *, repeats: int = 1000, seed: int = 0
) -> FloatArray:
    """Repeat a statistic on groups drawn with replacement, all rows of a group together.

    Parameters
    ----------
    statistic : callable
        Gets row weights, float (b, n), how often each row was drawn; gives b results, (b, …).
    group : (n,)
        Rows with the same value are drawn together.
    repeats, seed : int
        How many draws; the same seed gives the same draws. Weights are made in blocks, so memory does not grow with
        `repeats`.

    Returns
    -------
    float (repeats, …)
    """
    rows = len(np.asarray(group))
    codes = group_codes(group, rows)
    groups = int(codes.max(initial=-1)) + 1
    random = np.random.default_rng(seed)
    block = max(1, BLOCK_NUMBERS // max(rows, 1))
    results = []
    for start in range(0, repeats, block):
        size = min(block, repeats - start)
        drawn = random.integers(0, groups, (size, groups)) + groups * np.arange(size)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=size * groups).reshape(size, groups)
        results.append(np.asarray(statistic(weights[:, codes].astype(np.float64)), dtype=np.float64))
    return np.concatenate(results)
