"""How well scores rank the positive above the negative: AUROC, its paired difference, and average precision (AUPRC)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from plainfilm.evidence.statistics.intervals import (
    SMALLEST_VARIANCE,
    FloatArray,
    IntArray,
    Measured,
    alike_size,
    cautious_interval,
    check_level,
    group_codes,
    group_sums,
    independent_rows,
    logit_interval,
    student,
    variance,
    within_bounds,
)
from plainfilm.results.estimate import UNDEFINED, Estimate

_PRIOR_FREEDOM = 1.0  # degree of freedom of Hanley and McNeil's variance, which is too large near 1
BISECTIONS = 60  # halvings of 0 to 1: past double precision


def delong(labels: ArrayLike, scores: ArrayLike, *, group: ArrayLike | None = None, level: float = 0.95) -> Estimate:
    """Estimate the area under the ROC curve with DeLong's variance, for rows that come in groups Obuchowski's.

    Parameters
    ----------
    labels : (n,)
        1 or True for positive, 0 or False for negative. Not defined unless both occur.
    scores : float (n,)
        Higher means more positive; ties count half.
    group : (n,), optional
        Rows with the same value are one draw; a group may hold both classes.
    level : float
        Coverage aimed at, 0 to 1.

    Notes
    -----
    The interval is Student's on the logit scale. Without variance (perfect separation, equal scores, one group of a
    class) it is Newcombe's score interval with Hanley and McNeil's variance, for the number of groups of each class:
    never a point.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson, Biometrics 1988; by sorting, n log n, as Sun & Xu, IEEE SPL 2014. Obuchowski,
    Biometrics 1997. Newcombe, Statistics in Medicine 2006 (part 2, method 5). Hanley & McNeil, Radiology 1982.
    """
    check_level(level)
    positive, score = _binary(labels, scores)
    return area_under_roc(positive, score, group_codes(group, len(score)), level).estimate


def delong_difference(
    labels: ArrayLike, score_a: ArrayLike, score_b: ArrayLike, group: ArrayLike | None = None, *, level: float = 0.95
) -> Estimate:
    """Estimate AUROC of `score_a` minus AUROC of `score_b` on the same rows, -1 to 1, by DeLong's paired comparison.

    Scores that rank alike differ by 0 exactly. Without variance otherwise (both perfect), the two single intervals
    are combined as if independent (Newcombe 1998). Parameters and sources as in `delong`.
    """
    check_level(level)
    positive, first = _binary(labels, score_a)
    _, second = _binary(labels, score_b)
    codes = group_codes(group, len(first))
    if not positive.any() or positive.all():
        return UNDEFINED
    one, two = placements(positive, first, codes), placements(positive, second, codes)
    value = one.value - two.value
    if np.array_equal(np.unique(first, return_inverse=True)[1], np.unique(second, return_inverse=True)[1]):
        return Estimate(0.0, 0.0, 0.0)
    apart = Placements(value, one.positive - two.positive, one.negative - two.negative, one.holders)
    spread = apart.variance()
    if spread > SMALLEST_VARIANCE:
        half = student(apart.influence, min(apart.holders[:2]) - 1, level) * np.sqrt(spread)
        return within_bounds(value, value - half, value + half, -1.0)
    a, b = (area_under_roc(positive, score, codes, level).estimate for score in (first, second))
    down, up = np.hypot(a.value - a.low, b.high - b.value), np.hypot(a.high - a.value, b.value - b.low)
    return within_bounds(value, value - float(down), value + float(up), -1.0)


def newcombe(value: float, positives: int, negatives: int, level: float) -> Estimate:
    """Give Newcombe's score interval of an AUROC (Hanley and McNeil's variance) for so many independent draws of each class.

    It needs no variance in the sample, and is wider than DeLong's near 1, where that rests on a few rows.
    """
    check_level(level)
    return _newcombe(value, positives, negatives, level)


def area_under_roc(
    positive: NDArray[np.bool_], score: FloatArray, codes: IntArray, level: float, *, strata: IntArray | None = None
) -> Measured:
    """Measure the AUROC as `delong` does, for rows with group `codes` (n).

    With `strata` int64 (n), such as the folds of a cross-validation, only rows of one stratum are compared with one
    another, each pair counting once (LeDell, Petersen & van der Laan, Electronic Journal of Statistics 2015).
    """
    strata = np.zeros(len(positive), np.int64) if strata is None else strata
    both = np.isin(strata, np.intersect1d(strata[positive], strata[~positive]))
    if not both.any():
        return Measured(UNDEFINED, np.zeros(int(codes.max(initial=-1)) + 1))
    placed = placements(positive, score, codes, np.where(both, strata, -1))
    estimate = logit_interval(placed.value, *_clustered(placed, positive, codes), placed.influence, level)
    return Measured(estimate or _newcombe(placed.value, placed.holders[0], placed.holders[1], level), placed.influence)


def average_precision(positive: NDArray[np.bool_], score: FloatArray, codes: IntArray, level: float) -> Measured:
    """Measure the area under the precision-recall curve as average precision, for rows with group `codes` (n).

    The interval is Student's on the logit scale (Boyd, Eng & Page, ECML 2013) with the limit that the bootstrap by
    groups goes to (infinitesimal jackknife): it covers better than percentile or BCa intervals near 1, and needs no
    seed. A perfect ranking gets Wilson's interval for as many rows as there are positives. Not defined unless both
    classes occur.
    """
    groups = int(codes.max(initial=-1)) + 1
    if not positive.any() or positive.all():
        return Measured(UNDEFINED, np.zeros(groups))
    value, row_influence = _precision_influence(positive, score)
    influence = group_sums(codes, row_influence, groups)
    held, others = (np.bincount(codes[rows], minlength=groups) for rows in (positive, ~positive))
    most_freedom = min(alike_size(held), alike_size(others)) - 1
    estimate = logit_interval(value, variance(influence), most_freedom, influence, level)
    return Measured(estimate or cautious_interval(value, held, level), influence)


def _precision_influence(positive: NDArray[np.bool_], score: FloatArray) -> tuple[float, FloatArray]:
    """Average precision, and its derivative by the weight of each row."""
    place = np.unique(-score, return_inverse=True)[1]  # 0 for the highest score; ties share a place
    hits = np.bincount(place, positive)
    true, called = np.cumsum(hits), np.cumsum(np.bincount(place)).astype(np.float64)
    total = true[-1]
    value = float((hits * true / called).sum() / total)
    gained = np.cumsum((hits / called)[::-1])[::-1]  # by one more true positive, at this place and below
    lost = np.cumsum((hits * true / called**2)[::-1])[::-1]  # by one more row called positive
    return value, (positive * ((true / called)[place] - value + gained[place]) - lost[place]) / total


def _clustered(placed: "Placements", positive: NDArray[np.bool_], codes: IntArray) -> tuple[float, float]:
    """Variance of an AUROC and its degrees of freedom, raised as `clustered_variance` does to Hanley and McNeil's."""
    seen, sizes = placed.variance(), [np.bincount(codes[rows]) for rows in (positive, ~positive)]
    freedom, most = min(map(alike_size, sizes)) - 1, min(placed.holders[:2]) - 1
    if seen <= SMALLEST_VARIANCE or most < 1:
        return 0.0, 0.0
    expected = hanley_mcneil(placed.value, *map(independent_rows, sizes))
    total = freedom + _PRIOR_FREEDOM
    return max(seen, (freedom * seen + _PRIOR_FREEDOM * expected) / total), min(total, most)


@dataclass(frozen=True, slots=True, eq=False)
class Placements:
    """An AUROC, and what the positive and the negative rows of each group add to its error.

    `holders` counts the groups with positives, with negatives, and all.
    """

    value: float
    positive: FloatArray
    negative: FloatArray
    holders: tuple[int, int, int]

    @property
    def influence(self) -> FloatArray:
        """What each group adds to the error, (groups)."""
        return self.positive + self.negative

    def variance(self) -> float:
        """Obuchowski 1997, eq. 5; for rows that stand alone it is DeLong's."""
        if min(self.holders[:2]) < 2:
            return 0.0
        positives, negatives, groups = (count / (count - 1) for count in self.holders)
        own = positives * np.square(self.positive).sum() + negatives * np.square(self.negative).sum()
        return float(own + 2 * groups * (self.positive * self.negative).sum())


def placements(
    positive: NDArray[np.bool_], score: FloatArray, codes: IntArray, strata: IntArray | None = None
) -> Placements:
    """Place rows among those of the other class and the same stratum; one below 0 is left out."""
    strata = np.zeros(len(score), np.int64) if strata is None else strata
    beats, against = np.zeros(len(score)), np.zeros(len(score))
    for each in np.unique(strata[strata >= 0]):
        ill, well = (np.flatnonzero((strata == each) & is_it) for is_it in (positive, ~positive))
        beats[ill] = _share_below(score[ill], score[well])
        beats[well] = 1 - _share_below(score[well], score[ill])
        against[ill], against[well] = len(well), len(ill)
    pairs = float(against[positive].sum())
    value = float((beats * against)[positive].sum() / pairs)
    influence = (beats - value) * against / pairs
    used = strata >= 0
    groups = int(codes.max()) + 1
    holders = len(np.unique(codes[positive & used])), len(np.unique(codes[~positive & used])), groups
    from_ill, from_well = (group_sums(codes[is_it], influence[is_it], groups) for is_it in (positive, ~positive))
    return Placements(value, from_ill, from_well, holders)


def _share_below(scores: FloatArray, others: FloatArray) -> FloatArray:
    """For each score, the share of the others below it; equal ones count half."""
    ordered = np.sort(others)
    return (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / (2 * len(others))


def _newcombe(value: float, positives: int, negatives: int, level: float) -> Estimate:
    low = _newcombe_low(value, positives, negatives, level)
    return within_bounds(value, low, 1 - _newcombe_low(1 - value, positives, negatives, level))


def _newcombe_low(value: float, positives: int, negatives: int, level: float) -> float:
    """Find the smallest area that `value` is not significantly above."""
    z = float(ndtri(0.5 + level / 2))
    low, high = 0.0, value
    for _ in range(BISECTIONS):
        area = (low + high) / 2
        if value - area > z * np.sqrt(hanley_mcneil(area, positives, negatives)):
            low = area
        else:
            high = area
    return low


def hanley_mcneil(area: float, positives: float, negatives: float) -> float:
    """Return the variance of an AUROC of so many independent draws of each class (Newcombe 2006, method 5)."""
    more = (positives + negatives) / 2 - 1
    shape = area * (1 - area) * (1 + more * ((1 - area) / (2 - area) + area / (1 + area)))
    return float(shape / (positives * negatives))


def _binary(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], FloatArray]:
    truth, score = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != score.shape:
        raise ValueError(f"Expected labels and scores of one shape (n,); received {truth.shape} and {score.shape}.")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError(f"Expected labels 0 and 1; received {np.unique(truth)[:5].tolist()}.")
    if not np.isfinite(score).all():
        raise ValueError(f"Expected finite scores; received {np.count_nonzero(~np.isfinite(score))} that are not.")
    return truth.astype(bool), score
