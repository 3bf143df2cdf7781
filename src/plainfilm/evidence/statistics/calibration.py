"""The threshold, and how far probabilities are from what is observed."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plainfilm.errors import RecipeError
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray, bootstrap, cautious_interval, within_bounds
from plainfilm.model.recipe_schema import parse_threshold
from plainfilm.results.estimate import UNDEFINED, Estimate

BINS = 10


def choose_threshold(labels01: ArrayLike, probability: ArrayLike, *, rule: str) -> float:
    """Choose the threshold at or above which a row is called positive, on the validation set.

    Parameters
    ----------
    labels01, probability : (n,)
        0 or 1, and the probability of the positive class, 0 to 1.
    rule : str
        A number from 0 to 1, taken as it is; "youden" (most sensitivity + specificity); "accuracy" (fewest mistakes);
        "sensitivity:S" (sensitivity at least S, then most specificity); "specificity:S" the other way round.

    Returns
    -------
    float
        Midway between neighbouring probabilities, so that it does not hang on one row. Of equally good thresholds the
        one nearest to 0.5, of those the lower. Just above 1 if even a probability of 1 must not be called positive.

    Raises
    ------
    RecipeError
        An unknown rule, a number out of range, or labels without both classes where the rule needs them.

    References
    ----------
    Youden, Cancer 1950.
    """
    name, target = parse_threshold(rule)
    if name == "fixed":
        return target
    truth, score = np.asarray(labels01), np.asarray(probability, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != score.shape or not np.isin(truth, (0, 1)).all():
        raise ValueError(
            f"Expected labels 0 and 1 with one probability each; received {truth.shape} and {score.shape}."
        )
    if not ((score >= 0) & (score <= 1)).all():
        raise ValueError("Expected probabilities from 0 to 1; received others.")
    positives, negatives = int((truth == 1).sum()), int((truth == 0).sum())
    if not positives or not negatives:
        raise RecipeError(
            f"Expected both classes in the validation set for threshold rule {rule!r}; received {positives} positive "
            f"and {negatives} negative. Use a fixed threshold such as 0.5, or a larger validation set."
        )
    cuts, true, false = _cuts(truth == 1, score)
    good = _goodness(name, target, true / positives, 1 - false / negatives, positives / len(truth))
    best = cuts[good >= good.max() - 1e-12]
    return float(best[np.lexsort((best, np.abs(best - 0.5)))[0]])


def calibration_error(
    observed: NDArray[np.bool_], probability: FloatArray, codes: IntArray, *, level: float, repeats: int, seed: int
) -> Estimate:
    """Estimate the expected calibration error: the mean gap of probability and observation in ten bins.

    The bins have equal width. The value is biased upwards, since noise in a bin counts as a gap: perfectly calibrated
    probabilities show about 0.07 on 200 rows, 0.03 on 1,000. The bootstrap by groups adds that bias once more, so its
    quantiles are reflected about the value, which takes it out. The interval starts at 0 where the gaps are no larger
    than the noise of calibrated probabilities, and it always holds the value. `benchmarks/coverage.py` says how often
    it holds the truth.

    References
    ----------
    Guo et al., ICML 2017. Bröcker & Smith, Weather and Forecasting 2007 (noise of calibrated probabilities). Davison
    & Hinkley, Bootstrap Methods, 1997, section 5.2 (reflected, "basic" interval).
    """
    rows = len(probability)
    if not rows:
        return UNDEFINED
    gaps = np.zeros((rows, BINS))
    gaps[np.arange(rows), bin_of(probability, BINS)] = observed - probability
    total = gaps.sum(axis=0)
    value = float(np.abs(total).sum() / rows)

    def error_and_noise(weights: FloatArray) -> FloatArray:
        sums, counts = weights @ gaps, weights.sum(axis=1, keepdims=True)
        return np.stack([np.abs(part / counts).sum(axis=1) for part in (sums, sums - total * counts / rows)], axis=1)

    errors, noise = bootstrap(error_and_noise, codes, repeats=repeats, seed=seed).T
    if len(np.unique(codes)) < BINS or np.ptp(errors) < 1e-12:
        return cautious_interval(min(value, 1.0), np.bincount(codes), level)
    high, low = 2 * value - np.quantile(errors, [0.5 - level / 2, 0.5 + level / 2])
    return within_bounds(value, 0.0 if value <= np.quantile(noise, level) else float(low), float(high))


def bin_of(probability: FloatArray, bins: int) -> IntArray:
    """Return the bin of equal width, 0 to `bins` - 1, of each probability; 1 falls into the last."""
    return np.minimum((probability * bins).astype(np.int64), bins - 1)


def _cuts(positive: NDArray[np.bool_], score: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """All thresholds that differ in effect, from above every score downwards, with their true and false positives."""
    values, place = np.unique(-score, return_inverse=True)
    values = -values
    upper, lower = np.append(1.0, values), np.append(values, 0.0)
    cuts = (upper + lower) / 2
    cuts = np.where((cuts <= lower) & (upper > lower), upper, cuts)  # neighbours with no number between them
    if values[0] == 1:
        cuts[0] = np.nextafter(1.0, 2.0)
    hits = np.bincount(place, positive)
    true, called = (np.concatenate([[0.0], np.cumsum(part)]) for part in (hits, np.bincount(place)))
    return cuts, true, called - true


def _goodness(
    name: str, target: float, sensitivity: FloatArray, specificity: FloatArray, prevalence: float
) -> FloatArray:
    if name == "youden":
        return sensitivity + specificity
    if name == "accuracy":
        return prevalence * sensitivity + (1 - prevalence) * specificity
    held, wanted = (sensitivity, specificity) if name == "sensitivity" else (specificity, sensitivity)
    return np.where(held >= target - 1e-12, wanted, -1.0)
