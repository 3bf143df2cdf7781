"""How probabilities stand to what is observed: mean against share, calibration intercept and slope, with intervals by group.

Cox, Biometrika 1958; Van Calster et al., Calibration: the Achilles heel of predictive analytics, BMC Medicine 2019.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from plainfilm.evidence.statistics.intervals import (
    SMALLEST_VARIANCE,
    FloatArray,
    IntArray,
    clustered_variance,
    group_sums,
    mean,
    proportion,
    student,
)
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.metrics import Calibration

_BISECTIONS = 100
_LEAST = 1e-12  # a probability of 0 or 1 has no log odds
_STEPS, _STEEPEST = 50, 20.0  # of the search for a slope; beyond it the classes are separated


def calibration(
    observed: NDArray[np.bool_], probability: FloatArray, codes: IntArray, *, level: float = 0.95
) -> Calibration:
    """Measure the calibration of a class's `probability` (n), 0 to 1, where `observed` (n), with group `codes` (n).

    The intercept is what, added to the log odds, makes their mean probability the share (calibration in the large): 0 is
    best, below it probabilities are too high. The slope is that of a logistic regression on the log odds: 1 is best, below
    it they are too extreme. Both are undefined with one class only, the slope where the log odds separate the classes too.
    """
    every = np.ones(len(observed), dtype=bool)
    odds = logit(np.clip(probability, _LEAST, 1 - _LEAST))
    both = bool(observed.any() and not observed.all())
    return Calibration(
        mean_probability=mean(probability, codes, level).estimate,
        share=proportion(observed, every, codes, level, alike=1.0).estimate,
        intercept=_intercept(odds, observed, codes, level) if both else UNDEFINED,
        slope=_slope(odds, observed, codes, level) if both else UNDEFINED,
    )


def fit_shift(log_odds: ArrayLike, is_positive: ArrayLike) -> float:
    """Find the number that, added to the log odds (n), makes labels 0 or 1 (n) most likely.

    Then the mean probability equals the share of positives (Steyerberg, Clinical Prediction Models, 2019, chapter 15:
    "recalibration in the large"). The likelihood has one maximum; it is found by halving an interval that holds it.

    Raises
    ------
    ValueError
        Labels of one class only: no finite number is best.
    """
    odds, share = np.asarray(log_odds, np.float64), float(np.asarray(is_positive, np.float64).mean())
    if not 0 < share < 1:
        raise ValueError("Expected labels of both classes; received one only.")
    low, high = float(logit(share) - odds.max()), float(logit(share) - odds.min())
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if expit(odds + middle).mean() < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _intercept(odds: FloatArray, observed: NDArray[np.bool_], codes: IntArray, level: float) -> Estimate:
    value = fit_shift(odds, observed)
    chance = expit(odds + value)
    information = float((chance * (1 - chance)).sum())
    return _normal(value, (observed - chance) / information, codes, level)


def _slope(odds: FloatArray, observed: NDArray[np.bool_], codes: IntArray, level: float) -> Estimate:
    """Fit by Newton's steps, halved where the likelihood would fall."""
    columns = np.stack([np.ones_like(odds), odds], axis=1)
    point, reached = np.array([0.0, 1.0]), -np.inf
    if np.ptp(odds) < _LEAST:
        return UNDEFINED
    for _ in range(_STEPS):
        chance = expit(columns @ point)
        spread = np.linalg.pinv((columns * (chance * (1 - chance))[:, None]).T @ columns)
        step = spread @ (columns.T @ (observed - chance))
        reached = _likelihood(columns @ point, observed)
        while np.abs(step).max() > 1e-10 and _likelihood(columns @ (point + step), observed) < reached:
            step = step / 2
        point = point + step
        if np.abs(step).max() < 1e-9:
            break
    if not np.abs(step).max() < 1e-6 or abs(point[1]) > _STEEPEST:
        return UNDEFINED
    return _normal(float(point[1]), ((observed - chance)[:, None] * columns @ spread)[:, 1], codes, level)


def _likelihood(odds: FloatArray, observed: NDArray[np.bool_]) -> float:
    return -float(np.logaddexp(0.0, np.where(observed, -odds, odds)).sum())


def _normal(value: float, influence: FloatArray, codes: IntArray, level: float) -> Estimate:
    """Student's interval around a maximum likelihood estimate, by what each row adds to its error."""
    groups = int(codes.max()) + 1
    by_group, size = group_sums(codes, influence, groups), group_sums(codes, np.ones(len(codes)), groups)
    spread, freedom = clustered_variance(by_group, size, float(np.square(influence).sum()))
    if spread <= SMALLEST_VARIANCE or freedom < 1:
        return UNDEFINED
    half = student(by_group, freedom, level) * float(np.sqrt(spread))
    return Estimate(value, value - half, value + half)
