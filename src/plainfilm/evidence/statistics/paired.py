"""Two classifiers on the same rows, each trained once or with several seeds: paired tests that rest on patients."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, ndtr, ndtri, stdtr

from plainfilm.evidence.statistics.discrimination import Placements, newcombe, placements
from plainfilm.evidence.statistics.intervals import (
    SMALLEST_VARIANCE,
    FloatArray,
    cautious_interval,
    check_level,
    group_codes,
    group_sums,
    variance,
    within_bounds,
)
from plainfilm.results.estimate import UNDEFINED, Estimate

FEWEST_DISCORDANT = 10  # patients whose answers differ, for a chi square; fewer are counted exactly
_ALIKE = 1e-12  # of means over seeds, which rounding sets apart


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """A difference of the same patients, tested.

    Attributes
    ----------
    difference : Estimate
        The first less the second, -1 to 1, with an interval over patients.
    statistic : float
        z of DeLong's test, chi square (one degree of freedom) of McNemar's; not-a-number where neither can be had.
    p : float
        Two-sided, over patients: how often chance draws patients that set these very trainings so far apart.
    p_seeds : float
        The same where seeds are drawn anew too; not-a-number with one training of either.
    """

    difference: Estimate
    statistic: float
    p: float
    p_seeds: float


NOT_TESTED = PairedTest(difference=UNDEFINED, statistic=float("nan"), p=float("nan"), p_seeds=float("nan"))


def delong_test(
    positive: ArrayLike, one: ArrayLike, other: ArrayLike, *, group: ArrayLike | None = None, level: float = 0.95
) -> PairedTest:
    """Test whether two classifiers have the same AUROC, by DeLong's paired test, for rows in groups Obuchowski's.

    Parameters
    ----------
    positive : bool (n,) or (k, n)
        Of one class, or of each of k classes against the rest, whose AUROCs are averaged.
    one, other : float (n,), (s, n) or (s, k, n)
        Scores of one training or of s; of several the mean AUROC counts.
    group : (n,), optional
        Rows with the same value are one draw.
    level : float
        Coverage aimed at by the interval, 0 to 1.

    Returns
    -------
    PairedTest
        By the normal distribution, as published; not defined where a class is missing or nothing varies but by rank.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson, Biometrics 1988. Obuchowski, Biometrics 1997. Seeds: Obuchowski & Rockette,
    Communications in Statistics 1995, of readers who are nested in the modality; Satterthwaite, Biometrics Bulletin 1946.
    """
    check_level(level)
    truth = np.atleast_2d(np.asarray(positive, bool))
    first, second = (_by_seed(scores, truth) for scores in (one, other))
    codes = group_codes(group, truth.shape[1])
    if not (truth.any(axis=1) & ~truth.all(axis=1)).all():
        return NOT_TESTED
    a, b = ([_mean_over([placements(*pair, codes) for pair in zip(truth, seed, strict=True)]) for seed in each]
            for each in (first, second))  # fmt: skip
    apart = _less(_mean_over(a), _mean_over(b))
    spread = apart.variance() if len(truth) == 1 else variance(apart.influence)
    seeds = [(np.array([each.value for each in own]), [each.influence for each in own]) for own in (a, b)]
    if np.abs(apart.influence).max() < _ALIKE and abs(apart.value) < _ALIKE:
        same = (
            _same(_mean_over(a), level) if np.abs(_mean_over(a).influence).max() < _ALIKE else Estimate(0.0, 0.0, 0.0)
        )
        return PairedTest(difference=same, statistic=0.0, p=1.0, p_seeds=_with_seeds(0.0, 0.0, seeds, 1.0))
    if spread <= SMALLEST_VARIANCE:
        return NOT_TESTED
    z, half = apart.value / np.sqrt(spread), float(ndtri(0.5 + level / 2)) * np.sqrt(spread)
    p = 2 * float(ndtr(-abs(z)))
    return PairedTest(
        difference=within_bounds(apart.value, apart.value - half, apart.value + half, -1.0),
        statistic=float(z),
        p=p,
        p_seeds=_with_seeds(apart.value, spread, seeds, p),
    )


def mcnemar_test(
    one: ArrayLike, other: ArrayLike, *, group: ArrayLike | None = None, level: float = 0.95
) -> PairedTest:
    """Test whether two classifiers are right equally often, by McNemar's test, for rows in groups Obuchowski's.

    Without continuity correction. Where fewer than `FEWEST_DISCORDANT` groups set the two apart p is exact: of all ways to
    turn the groups' differences round, the share that lies as far from 0. Without any such group the interval is Wilson's
    of none, both ways; where all groups differ alike it is Wilson's too, of the share of the way from -1 to 1.

    Parameters
    ----------
    one, other : bool (n,) or (s, n)
        Whether each row is answered rightly, by one training or by s; of several the mean share counts.
    group, level
        As for `delong_test`.

    References
    ----------
    McNemar, Psychometrika 1947. Obuchowski, Statistics in Medicine 1998, in the form of Yang, Sun & Hardin, Biometrical
    Journal 2010. Seeds: as `delong_test`.
    """
    check_level(level)
    first, second = (np.atleast_2d(np.asarray(right, bool)).astype(np.float64) for right in (one, other))
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"Expected answers to the same rows; received {first.shape[1]} and {second.shape[1]}.")
    rows = first.shape[1]
    codes = group_codes(group, rows)
    if not rows:
        return NOT_TESTED
    groups = int(codes.max()) + 1
    apart = group_sums(codes, first.mean(axis=0) - second.mean(axis=0), groups)
    size = np.bincount(codes, minlength=groups)
    value = float(apart.sum() / rows)
    influences = [[group_sums(codes, seed - seed.mean(), groups) / rows for seed in each] for each in (first, second)]
    seeds = list(zip((first.mean(axis=1), second.mean(axis=1)), influences, strict=True))
    apart[np.abs(apart) < _ALIKE] = 0.0
    if not apart.any():
        most = cautious_interval(0.0, size, level).high
        return PairedTest(difference=Estimate(0.0, -most, most), statistic=0.0, p=1.0, p_seeds=_with_seeds(0.0, 0.0, seeds, 1.0))  # fmt: skip
    clustered = (groups - 1) / groups if groups < rows else 1.0
    chi2 = clustered * apart.sum() ** 2 / np.square(apart).sum()
    spread = variance((apart - value * size) / rows)
    half = float(ndtri(0.5 + level / 2)) * np.sqrt(spread)
    limits = cautious_interval((1 + value) / 2, size, level)
    low, high = (
        (value - half, value + half) if spread > SMALLEST_VARIANCE else (2 * limits.low - 1, 2 * limits.high - 1)
    )
    p = _turned_round(apart) if np.count_nonzero(apart) < FEWEST_DISCORDANT else float(chdtrc(1, chi2))
    return PairedTest(
        difference=within_bounds(value, low, high, -1.0),
        statistic=float(chi2),
        p=p,
        p_seeds=_with_seeds(value, spread, seeds, p),
    )


def holm(p: Sequence[float]) -> list[float]:
    """Correct p values for their number (Holm, Scandinavian Journal of Statistics 1979); not-a-number does not count."""
    values = np.asarray(p, np.float64)
    order = [int(at) for at in np.argsort(values) if np.isfinite(values[at])]
    corrected, least = np.full(len(values), np.nan), 0.0
    for rank, at in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * values[at]))
        corrected[at] = least
    return corrected.tolist()


def _by_seed(scores: ArrayLike, truth: NDArray[np.bool_]) -> FloatArray:
    """Give scores as (s, k, n)."""
    given = np.asarray(scores, np.float64)
    shaped = given.reshape(-1, *truth.shape) if given.size and given.size % truth.size == 0 else given
    if shaped.ndim != 3 or given.shape[-1] != truth.shape[1]:
        raise ValueError(f"Expected scores for {truth.shape[1]} rows; received shape {given.shape}.")
    if not np.isfinite(shaped).all():
        raise ValueError(f"Expected finite scores; received {np.count_nonzero(~np.isfinite(shaped))} that are not.")
    return shaped


def _mean_over(parts: Sequence[Placements]) -> Placements:
    means = [np.mean([getattr(part, name) for part in parts], axis=0) for name in ("value", "positive", "negative")]
    return Placements(float(means[0]), means[1], means[2], parts[0].holders)


def _less(one: Placements, other: Placements) -> Placements:
    return Placements(
        one.value - other.value, one.positive - other.positive, one.negative - other.negative, one.holders
    )


def _with_seeds(
    value: float, spread: float, seeds: Sequence[tuple[FloatArray, Sequence[FloatArray]]], least: float
) -> float:
    """Give the two-sided p, at least that over patients, of a difference whose variance is that over patients, `spread`, and that of the seeds' means.

    Of the variance that seeds show, what patients explain is taken out: how differently they weigh in each seed.
    """
    if any(len(values) < 2 for values, _ in seeds):
        return float("nan")
    shown = [float(values.var(ddof=1)) for values, _ in seeds]
    parts = [
        max(0.0, own - _from_patients(influences)) / len(values)
        for own, (values, influences) in zip(shown, seeds, strict=True)
    ]
    total = spread + sum(parts)
    if total <= SMALLEST_VARIANCE:
        return least if abs(value) < _ALIKE else float("nan")
    loose = sum(part**2 / (len(values) - 1) for part, (values, _) in zip(parts, seeds, strict=True))
    t = -abs(value) / np.sqrt(total)
    return max(least, 2 * float(stdtr(total**2 / loose, t) if loose > 0 else ndtr(t)))


def _from_patients(influences: Sequence[FloatArray]) -> float:
    """Variance between seeds that the draw of patients explains."""
    middle, count = np.mean(influences, axis=0), len(influences)
    return float(np.mean([variance(own - middle) for own in influences])) * count / (count - 1)


def _same(both: Placements, level: float) -> Estimate:
    """Give the difference of two areas that are equal for want of any variance (both perfect), as if they were independent."""
    own = newcombe(both.value, *both.holders[:2], level)
    half = float(np.hypot(own.value - own.low, own.high - own.value))
    return within_bounds(0.0, -half, half, -1.0)


def _turned_round(apart: FloatArray) -> float:
    """Share of all signs of the groups' differences whose sum lies as far from 0 as theirs; alike differences make it the sign test."""
    held = np.abs(apart[apart != 0])
    sums = np.array(list(product((-1.0, 1.0), repeat=len(held)))) @ held
    return float((np.abs(sums) >= abs(apart.sum()) - _ALIKE).mean())
