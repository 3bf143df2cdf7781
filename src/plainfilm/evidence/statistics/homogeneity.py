"""Whether a metric is the same in all subgroups: one test for each, for rows that come in groups (an interaction test)."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from plainfilm.evidence.statistics.discrimination import area_under_roc
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
    """Test whether the AUROC is the same in subgroups, by Wald's test with Obuchowski's variance; arguments as `of_shares`."""
    measured, groups = [], int(codes.max(initial=-1)) + 1
    for own in range(int(member.max(initial=-1)) + 1):
        rows = member == own
        found = area_under_roc(positive[rows], scores[rows], codes[rows], 0.95)
        influence = np.pad(found.influence, (0, groups - len(found.influence)))
        if found.estimate.is_known and np.square(influence).sum() > SMALLEST_VARIANCE:
            measured.append((found.estimate.value, influence))
    if len(measured) < 2:
        return NOT_TESTED
    values, influences = np.array([each[0] for each in measured]), np.stack([each[1] for each in measured])
    apart = influences[:-1] - influences[-1]
    used = max(int(np.count_nonzero(influences.any(axis=0))), 2)
    return _chi2(values[:-1] - values[-1], apart @ apart.T * used / (used - 1))


def _chi2(value: FloatArray, covariance: FloatArray) -> Tested:
    if np.linalg.matrix_rank(covariance) < len(value):
        return NOT_TESTED
    found = float(value @ np.linalg.solve(covariance, value))
    return found, len(value), float(chdtrc(len(value), found))
