"""Whether a metric is the same in all subgroups: one test for each, for rows that come in groups (an interaction test)."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, fdtrc

from plainfilm.evidence.statistics.discrimination import placements
from plainfilm.evidence.statistics.intervals import SMALLEST_VARIANCE, FloatArray, IntArray

Tested = tuple[float, int, float]  # chi square, degrees of freedom, p
NOT_TESTED: Tested = (float("nan"), 0, float("nan"))


def of_shares(hits: NDArray[np.bool_], member: IntArray, codes: IntArray) -> Tested:
    """Test whether the share of `hits` (n) is the same in subgroups `member` (n), 0 to j - 1, with group `codes` (n).

    A score test whose variance rests on groups, so that a subgroup without a single hit, or miss, is no exception, and a
    patient may have rows in several subgroups; for rows that stand alone nearly Pearson's.

    References
    ----------
    Rotnitzky & Jewell, Biometrika 1990; Boos, American Statistician 1992.
    """
    subgroups = int(member.max(initial=-1)) + 1
    if subgroups < 2 or hits.all() or not hits.any():
        return NOT_TESTED
    own = np.eye(subgroups)[member]
    left = hits - hits.mean()
    score = own.T @ left
    parts = (own - own.mean(axis=0)) * left[:, None]
    by_group = np.stack([np.bincount(codes, part) for part in parts.T], axis=1)
    by_group = by_group[np.bincount(codes) > 0]
    groups = len(by_group)
    return _chi2(score[:-1], by_group[:, :-1].T @ by_group[:, :-1] * groups / max(groups - 1, 1))


def of_areas(positive: NDArray[np.bool_], scores: FloatArray, member: IntArray, codes: IntArray) -> Tested:
    """Test whether the AUROC is the same in subgroups, by Wald's test with Obuchowski's variance; arguments as `of_shares`.

    A variance rests on the patients of the rarer class, who may be ten: p is that of F with as many degrees of freedom as they
    have in all subgroups (Hotelling). With chi square's, up to 9 % of true equalities came below 0.05, now 3 to 6 %.
    """
    measured, groups, freedom = [], int(codes.max(initial=-1)) + 1, 0
    for own in range(int(member.max(initial=-1)) + 1):
        rows = member == own
        if not positive[rows].any() or positive[rows].all():
            continue
        placed = placements(positive[rows], scores[rows], codes[rows])
        ill, well = placed.holders[:2]
        if min(ill, well) < 2 or np.square(placed.influence).sum() <= SMALLEST_VARIANCE:
            continue
        influence = placed.positive * np.sqrt(ill / (ill - 1)) + placed.negative * np.sqrt(well / (well - 1))
        measured.append((placed.value, np.pad(influence, (0, groups - len(influence)))))
        freedom += min(ill, well) - 1
    if len(measured) < 2:
        return NOT_TESTED
    values, influences = np.array([each[0] for each in measured]), np.stack([each[1] for each in measured])
    apart = influences[:-1] - influences[-1]
    chi2, apart_by, _ = _chi2(values[:-1] - values[-1], apart @ apart.T)
    if not apart_by:
        return NOT_TESTED
    return chi2, apart_by, float(fdtrc(apart_by, max(1, freedom - apart_by + 1), chi2 / apart_by))


def _chi2(value: FloatArray, covariance: FloatArray) -> Tested:
    if np.linalg.matrix_rank(covariance) < len(value):
        return NOT_TESTED
    found = float(value @ np.linalg.solve(covariance, value))
    return found, len(value), float(chdtrc(len(value), found))
