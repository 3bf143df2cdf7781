"""How probabilities stand to what is observed: mean against share, calibration intercept and slope, with intervals by group.

Cox, Biometrika 1958; Van Calster et al., Calibration: the Achilles heel of predictive analytics, BMC Medicine 2019.
"""

from typing import Any

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
        intercept=intercept(odds, observed, codes, level) if both else UNDEFINED,
        slope=line(odds, observed, codes, level)[1] if both else UNDEFINED,
    )


def shift_to(log_odds: ArrayLike, share: float) -> float:
    """Find the number that, added to the log odds (n), makes their mean probability `share`.

    Where that is the share of positives it is the number that makes their labels most likely (Steyerberg, Clinical
    Prediction Models, 2019, chapter 15: "recalibration in the large"). The mean rises with it: it is found by halving an
    interval that holds it.

    Raises
    ------
    ValueError
        A share of 0 or 1: no finite number is best.
    """
    if not 0 < share < 1:
        raise ValueError(f"Expected a share above 0 and below 1; received {share}.")
    odds = np.asarray(log_odds, np.float64)
    low, high = float(logit(share) - odds.max()), float(logit(share) - odds.min())
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if expit(odds + middle).mean() < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def intercept(odds: FloatArray, expected: NDArray[Any], codes: IntArray, level: float = 0.95) -> Estimate:
    """Estimate what to add to log `odds` (n) so that the mean probability is that of `expected` (n), with group `codes` (n).

    `expected` are labels, or everywhere the prevalence, where that is known and labels are not: the interval then holds what
    chance there is in which radiographs were drawn. The mean lies above 0 and below 1.
    """
    value = shift_to(odds, float(expected.mean()))
    chance = expit(odds + value)
    information = float((chance * (1 - chance)).sum())
    return _normal(value, (expected - chance) / information, codes, level) if information > 0 else UNDEFINED


def line(
    odds: FloatArray, observed: NDArray[np.bool_], codes: IntArray, level: float = 0.95
) -> tuple[Estimate, Estimate]:
    """Estimate intercept and slope of a logistic regression on log `odds` (n); undefined where these separate the classes.

    By Newton's steps, halved where the likelihood would fall.
    """
    columns = np.stack([np.ones_like(odds), odds], axis=1)
    point, reached = np.array([0.0, 1.0]), -np.inf
    if np.ptp(odds) < _LEAST:
        return UNDEFINED, UNDEFINED
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
        return UNDEFINED, UNDEFINED
    influence = (observed - chance)[:, None] * columns @ spread
    first, second = (_normal(float(point[k]), influence[:, k], codes, level) for k in range(2))
    return first, second


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
