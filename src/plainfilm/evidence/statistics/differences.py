"""Ratio and difference of two proportions of the same groups, with limits from their own intervals (MOVER).

Zou & Donner, Statistics in Medicine 2008 (differences); Donner & Zou, Statistical Methods in Medical Research 2012
(ratios). The limits allow for a proportion of 0 or 1, which methods that rest on a variance in the sample do not.
"""

import numpy as np

from plainfilm.evidence.statistics.intervals import SMALLEST_VARIANCE, Measured, student, variance, within_bounds
from plainfilm.results.estimate import UNDEFINED, Estimate


def rest(share: Measured) -> Measured:
    """Measure the rows that are not: 1 less the proportion."""
    own = share.estimate
    return Measured(Estimate(1 - own.value, 1 - own.high, 1 - own.low), -share.influence)


def ratio(top: Measured, bottom: Measured) -> Estimate:
    """Divide two proportions; infinite where the lower one may be 0, not defined where both are 0."""
    a, b, r = top.estimate, bottom.estimate, _correlation(top, bottom)
    if np.isnan(a.value) or np.isnan(b.value) or a.value == b.value == 0:
        return UNDEFINED
    value = a.value / b.value if b.value else np.inf
    inverse = _lower(b.value, b.low, a.value, a.high, r)  # the upper limit is that of the inverse ratio, turned over
    high = 1 / inverse if inverse > 0 else np.inf
    return within_bounds(value, _lower(a.value, a.low, b.value, b.high, r), high, most=np.inf)


def difference(one: Measured, weight: float, other: Measured, other_weight: float) -> Estimate:
    """Estimate `weight` (0 or more) times one proportion less `other_weight` times another."""
    a, b, r = one.estimate, other.estimate, _correlation(one, other)
    value = weight * a.value - other_weight * b.value
    down = _distance(weight * (a.value - a.low), other_weight * (b.high - b.value), r)
    up = _distance(weight * (a.high - a.value), other_weight * (b.value - b.low), r)
    return Estimate(value, value - down, value + up)


def independent_difference(one: Estimate, other: Estimate) -> Estimate:
    """Estimate one number less another from independent samples, by their intervals (Newcombe 1998)."""
    if np.isnan(one.value) or np.isnan(other.value):
        return UNDEFINED
    nothing = np.zeros(1)
    return difference(Measured(one, nothing), 1.0, Measured(other, nothing), 1.0)


def paired_difference(one: Measured, other: Measured, *, level: float = 0.95) -> Estimate:
    """Estimate one number less another of the same groups from what each group adds to both, -1 to 1.

    With Student's t; where nothing varies, the limits are those of the two intervals as if they were independent.
    """
    if np.isnan(one.estimate.value) or np.isnan(other.estimate.value):
        return UNDEFINED
    apart = one.influence - other.influence
    spread = variance(apart)
    value = one.estimate.value - other.estimate.value
    if spread <= SMALLEST_VARIANCE:
        return independent_difference(one.estimate, other.estimate)
    half = student(apart, int(np.count_nonzero(apart)) - 1, level) * np.sqrt(spread)
    return within_bounds(value, value - half, value + half, -1.0)


def _lower(a: float, low: float, b: float, high: float, r: float) -> float:
    """Lower limit of a / b, where a may be as low as `low` and b as high as `high`."""
    reach = low * (2 * a - low)
    middle = a * b - r * (a - low) * (high - b)
    root = np.sqrt(max(0.0, middle**2 - reach * high * (2 * b - high)))
    return float(reach / (middle + root)) if reach > 0 else 0.0


def _distance(one: float, other: float, r: float) -> float:
    return float(np.sqrt(max(0.0, one**2 + other**2 - 2 * r * one * other)))


def _correlation(one: Measured, other: Measured) -> float:
    norm = float(np.sqrt(np.square(one.influence).sum() * np.square(other.influence).sum()))
    return float(one.influence @ other.influence) / norm if norm > SMALLEST_VARIANCE else 0.0
