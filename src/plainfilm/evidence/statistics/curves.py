"""The lines of a report's plots: ROC, precision over recall, and reliability. Computes; `figures` draws."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plainfilm.evidence.statistics.calibration import bin_of
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray, check_level, group_codes, proportion

MAX_POINTS = 512
_Line = tuple[FloatArray, FloatArray, FloatArray]  # x, y, thresholds


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Lines and bins to draw; an empty array where a class is missing.

    `fpr`, `tpr`, `roc_thresholds`: the ROC from (0, 0) to (1, 1). `recall`, `precision`, `pr_thresholds`: from recall
    0 to 1, the first precision held back to recall 0. A row counts as positive at or above the threshold; the first
    threshold is infinite. `mean_predicted`, `observed`, `low`, `high`, `count`: the bins that hold rows, with Wilson
    intervals of the share observed.
    """

    fpr: FloatArray
    tpr: FloatArray
    roc_thresholds: FloatArray
    recall: FloatArray
    precision: FloatArray
    pr_thresholds: FloatArray
    mean_predicted: FloatArray
    observed: FloatArray
    low: FloatArray
    high: FloatArray
    count: IntArray


def curves(
    labels01: ArrayLike, probability: ArrayLike, bins: int = 10, *, group: ArrayLike | None = None, level: float = 0.95
) -> Curves:
    """Compute the lines of a two-class report, at most 512 points each.

    Parameters
    ----------
    labels01, probability : (n,)
        0 or 1, and the probability of the positive class, 0 to 1.
    bins : int
        Bins of equal width for reliability, 1 or more.
    group : (n,), optional
        Rows with the same value are one draw; widens the intervals.
    level : float
        Coverage of the intervals, 0 to 1.
    """
    check_level(level)
    truth, score = np.asarray(labels01), np.asarray(probability, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != score.shape or not np.isin(truth, (0, 1)).all():
        raise ValueError(
            f"Expected labels 0 and 1 with one probability each; received shapes {truth.shape} and {score.shape}."
        )
    if not ((score >= 0) & (score <= 1)).all() or bins < 1:
        raise ValueError(f"Expected probabilities from 0 to 1 and at least one bin; received others, or {bins} bins.")
    positive = truth.astype(bool)
    nothing = (np.zeros(0), np.zeros(0), np.zeros(0))
    both = positive.any() and not positive.all()
    (fpr, tpr, cuts), (recall, precision, pr_cuts) = _ranked(positive, score) if both else (nothing, nothing)
    predicted, observed, low, high, count = _reliability(positive, score, bins, group_codes(group, len(score)), level)
    return Curves(fpr, tpr, cuts, recall, precision, pr_cuts, predicted, observed, low, high, count)


def _ranked(positive: NDArray[np.bool_], score: FloatArray) -> tuple[_Line, _Line]:
    values, place = np.unique(-score, return_inverse=True)
    hits, rows = np.cumsum(np.bincount(place, positive)), np.cumsum(np.bincount(place))
    thresholds = np.append(np.inf, -values)
    recall = np.append(0.0, hits / hits[-1])
    fall_out = np.append(0.0, (rows - hits) / (rows[-1] - hits[-1]))
    precision = hits / rows
    precision = np.append(precision[0], precision)
    roc, pr = _thin(fall_out, recall), _thin(recall, precision)
    return (fall_out[roc], recall[roc], thresholds[roc]), (recall[pr], precision[pr], thresholds[pr])


def _thin(x: FloatArray, y: FloatArray) -> IntArray:
    """Choose at most 512 points: the corners or, if they are too many, some evenly along the line."""
    dx, dy = np.diff(x), np.diff(y)
    corner = np.ones(len(x), dtype=bool)
    corner[1:-1] = np.abs(dx[:-1] * dy[1:] - dx[1:] * dy[:-1]) > 1e-15
    kept = np.flatnonzero(corner)
    if len(kept) <= MAX_POINTS:
        return kept
    way = np.append(0.0, np.cumsum(np.abs(np.diff(x[kept])) + np.abs(np.diff(y[kept]))))
    chosen: IntArray = kept[
        np.unique(np.searchsorted(way, np.linspace(0, way[-1], MAX_POINTS)).clip(max=len(kept) - 1))
    ]
    return chosen


def _reliability(
    positive: NDArray[np.bool_], score: FloatArray, bins: int, codes: IntArray, level: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, IntArray]:
    place = bin_of(score, bins)
    count = np.bincount(place, minlength=bins)
    held = np.flatnonzero(count)
    shares = [proportion(positive & (place == b), place == b, codes, level).estimate for b in held]
    predicted = np.bincount(place, score, bins)[held] / count[held]
    observed, low, high = (np.array([getattr(share, end) for share in shares]) for end in ("value", "low", "high"))
    return predicted, observed, low, high, count[held]
