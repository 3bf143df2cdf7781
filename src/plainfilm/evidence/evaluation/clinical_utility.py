"""What an answer means where disease is rarer or commoner than here, and whether acting on it does more good than harm.

PPV and NPV over prevalence from sensitivity and specificity; net benefit over the threshold probability. Both hold only
where sensitivity and specificity do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plainfilm.evidence.statistics.differences import difference, ratio, rest
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray, check_level, group_codes, proportion
from plainfilm.results.estimate import Estimate
from plainfilm.results.metrics import DecisionCurve, Utility

PREVALENCES = np.geomspace(0.001, 0.5, 41)
EXAMPLES = (0.001, 0.01, 0.05, 0.1, 0.2, 0.5)
THRESHOLDS = np.arange(1, 100) / 100
PEOPLE = 10_000  # of whom the examples speak


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What the answers are worth at one prevalence (0 to 1), and what happens to `PEOPLE` people; counts are floats."""

    prevalence: float
    ppv: Estimate
    npv: Estimate
    found: float
    missed: float
    false_alarms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UtilityFindings:
    """What answers mean at other prevalences, and the decision curve, None where a class is missing from the test set.

    `threshold` is the one that the answers were called at, the median where folds have their own.
    """

    positive: str
    threshold: float
    examples: Sequence[Example]
    result: Utility


def measure(
    labels01: ArrayLike,
    probability: ArrayLike,
    *,
    positive: str,
    threshold: float | FloatArray,
    group: ArrayLike | None = None,
    level: float = 0.95,
) -> UtilityFindings:
    """Carry sensitivity and specificity to other prevalences, and weigh the answers as Vickers and Elkin do.

    Parameters
    ----------
    labels01, probability : (n,)
        0 or 1, and the probability of the positive class, 0 to 1, of the test set.
    positive : str
        Name of the positive class.
    threshold : float, or float (n,)
        A row is called positive at or above it; where folds have their own, one a row.
    group : (n,), optional
        Rows with the same value are one draw; widens the intervals.
    level : float
        Coverage aimed at, 0 to 1.

    Notes
    -----
    PPV and NPV rise and fall with the likelihood ratios, whose intervals come from those of sensitivity and specificity
    (Wilson's, widened by group) by MOVER-R, with their correlation over the groups. So they allow for a sensitivity or
    specificity of 100 %, where the logit method (Mercaldo, Lau & Zhou, Statistics in Medicine 2007) and the bootstrap
    see no uncertainty. Net benefit is true positives less false positives weighed by the odds of the threshold, a row;
    its interval combines those of the two shares by MOVER. Intervals hold point by point.

    Raises
    ------
    ValueError
        Shapes, labels or probabilities that do not fit together.

    References
    ----------
    Vickers & Elkin, Medical Decision Making 2006 (net benefit). Zou & Donner, Statistics in Medicine 2008 (MOVER).
    Donner & Zou, Statistical Methods in Medical Research 2012 (MOVER-R).
    """
    check_level(level)
    ill, score = _checked(labels01, probability, threshold)
    codes, called = group_codes(group, len(ill)), score >= threshold
    sensitivity = proportion(ill & called, ill, codes, level)
    specificity = proportion(~ill & ~called, ~ill, codes, level)
    found, cleared = ratio(sensitivity, rest(specificity)), ratio(rest(sensitivity), specificity)
    both = bool(ill.any() and not ill.all())
    return UtilityFindings(
        positive=positive,
        threshold=float(np.median(threshold)),
        examples=_examples(found, cleared, sensitivity.estimate.value, specificity.estimate.value),
        result=Utility(
            prevalence=tuple(PREVALENCES.tolist()),
            ppv=_ppv(found, PREVALENCES),
            npv=_npv(cleared, PREVALENCES),
            decision_curve=_decision_curve(ill, score, codes, level) if both else None,
        ),
    )


def where_better(curve: DecisionCurve) -> str:
    """Say where the model is of use."""
    if not curve.better:
        return "At no threshold is the model shown to do better than both treating everyone and treating no one."
    ranges = " and ".join(_range(low, high) for low, high in curve.better)
    return f"The model does better than treating everyone and treating no one at thresholds {ranges}."


def _checked(
    labels01: ArrayLike, probability: ArrayLike, threshold: float | FloatArray
) -> tuple[NDArray[np.bool_], FloatArray]:
    truth, score = np.asarray(labels01), np.asarray(probability, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != score.shape or not np.isin(truth, (0, 1)).all():
        raise ValueError(
            f"Expected labels 0 and 1 with one probability each; received shapes {truth.shape} and {score.shape}."
        )
    if not ((score >= 0) & (score <= 1)).all():
        raise ValueError("Expected probabilities from 0 to 1; received others.")
    if not np.isfinite(threshold).all():
        raise ValueError(f"Expected a finite threshold; received {threshold}.")
    return truth.astype(bool), score


# Predictive values


def _ppv(likelihood: Estimate, prevalence: FloatArray) -> tuple[Estimate, ...]:
    """Share of the ill among those called ill, from the positive likelihood ratio."""
    return _line(_share(each, prevalence) for each in (likelihood.value, likelihood.low, likelihood.high))


def _npv(likelihood: Estimate, prevalence: FloatArray) -> tuple[Estimate, ...]:
    """Share of the well among those called well, from the negative likelihood ratio."""
    return _line(1 - _share(each, prevalence) for each in (likelihood.value, likelihood.high, likelihood.low))


def _line(ends: Iterable[FloatArray]) -> tuple[Estimate, ...]:
    """Give an estimate a point from values and both limits, each float (m)."""
    return tuple(Estimate(*point) for point in zip(*(end.tolist() for end in ends), strict=True))


def _share(likelihood: float, prevalence: FloatArray) -> FloatArray:
    """Share of the ill after an answer of that likelihood ratio (Bayes)."""
    if likelihood == np.inf:
        return np.ones_like(prevalence)
    return prevalence * likelihood / (prevalence * likelihood + 1 - prevalence)


def _examples(found: Estimate, cleared: Estimate, sensitivity: float, specificity: float) -> list[Example]:
    shares = np.asarray(EXAMPLES)
    return [
        Example(
            prevalence=share,
            ppv=ppv,
            npv=npv,
            found=PEOPLE * share * sensitivity,
            missed=PEOPLE * share * (1 - sensitivity),
            false_alarms=PEOPLE * (1 - share) * (1 - specificity),
        )
        for share, ppv, npv in zip(EXAMPLES, _ppv(found, shares), _npv(cleared, shares), strict=True)
    ]


# Decision curve


def _decision_curve(ill: NDArray[np.bool_], score: FloatArray, codes: IntArray, level: float) -> DecisionCurve:
    every = np.ones(len(ill), dtype=bool)
    share = proportion(ill, every, codes, level).estimate
    points = [_gains(ill, score >= cut, cut / (1 - cut), codes, level) for cut in THRESHOLDS]
    odds = THRESHOLDS / (1 - THRESHOLDS)
    return DecisionCurve(
        prevalence=share.value,
        threshold=tuple(THRESHOLDS.tolist()),
        model=tuple(model for model, _ in points),
        treat_all=_line(end * (1 + odds) - odds for end in (share.value, share.low, share.high)),
        treat_none=0.0,
        better=_stretches([model.low > 0 and over_all.low > 0 for model, over_all in points]),
    )


def _gains(
    ill: NDArray[np.bool_], called: NDArray[np.bool_], odds: float, codes: IntArray, level: float
) -> tuple[Estimate, Estimate]:
    """Net benefit of the model, and how much it gains over treating all: the well it spares less the ill it misses."""
    every = np.ones(len(ill), dtype=bool)
    found, alarmed, spared, missed = (
        proportion(rows, every, codes, level) for rows in (ill & called, ~ill & called, ~ill & ~called, ill & ~called)
    )
    return difference(found, 1.0, alarmed, odds), difference(spared, odds, missed, 1.0)


def _stretches(wins: Sequence[bool]) -> tuple[tuple[float, float], ...]:
    """First and last threshold of each unbroken stretch of wins."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(wins, dtype=np.int64), [0]])))
    return tuple((float(THRESHOLDS[first]), float(THRESHOLDS[end - 1])) for first, end in edges.reshape(-1, 2))


def _range(low: float, high: float) -> str:
    return f"of {100 * low:.0f} %" if low == high else f"from {100 * low:.0f} to {100 * high:.0f} %"
