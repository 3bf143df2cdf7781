"""Predictive values at some prevalences, laid out for reading."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from plainfilm.evidence.evaluation.clinical_utility import PEOPLE, Example, UtilityFindings, where_better
from plainfilm.reporting.formatting import MISSING, NARROW_SPACE, number
from plainfilm.reporting.tables import metrics
from plainfilm.reporting.tables.metrics import Cell
from plainfilm.results.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class PrevalenceRow:
    """One prevalence: predictive values, and what happens to `PEOPLE` people, None where it is not known.

    `npv`, its value and its interval, has one decimal more: where disease is rare it is always near 100 %.
    """

    prevalence: str
    ppv: Cell
    npv: tuple[str, str]
    ill: int
    found: int | None
    missed: int | None
    false_alarms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UtilityShown:
    """All that the section of utility shows beside its drawings.

    `trade` says what one miss weighs in false alarms where the odds of the run's threshold are taken at their word.
    """

    positive: str
    rows: Sequence[PrevalenceRow]
    ticks: Sequence[tuple[float | None, str]]
    people: int
    threshold: float
    trade: str
    decision: str  # where the model is of use; "" where there is no decision curve
    prevalence: float | None  # of the test set


def show(found: UtilityFindings) -> UtilityShown:
    """Lay out what the answers are worth."""
    curve = found.result.decision_curve
    return UtilityShown(
        positive=found.positive,
        rows=[_row(example) for example in found.examples],
        ticks=[(metrics.place(end, metrics.UNIT), f"{100 * end:g}{NARROW_SPACE}%") for end in metrics.UNIT],
        people=PEOPLE,
        threshold=found.threshold,
        trade=_trade(found.threshold),
        decision="" if curve is None else where_better(curve),
        prevalence=None if curve is None else curve.prevalence,
    )


def _row(example: Example) -> PrevalenceRow:
    return PrevalenceRow(
        prevalence=f"{100 * example.prevalence:g}{NARROW_SPACE}%",
        ppv=metrics.cell(example.ppv, metrics.UNIT, in_percent=True),
        npv=_finely(example.npv),
        ill=round(PEOPLE * example.prevalence),
        found=_whole(example.found),
        missed=_whole(example.missed),
        false_alarms=_whole(example.false_alarms),
    )


def _finely(estimate: Estimate) -> tuple[str, str]:
    if number(estimate.value) is None:
        return MISSING, ""
    value, low, high = (f"{100 * end:.2f}" for end in (estimate.value, estimate.low, estimate.high))
    return f"{value}{NARROW_SPACE}%", f"{low}–{high}"


def _whole(count: float) -> int | None:
    known = number(count)
    return None if known is None else round(known)


def _trade(threshold: float) -> str:
    """Turn a threshold into how many false alarms one miss is worth."""
    if not 0 < threshold < 1 or math.isclose(threshold, 0.5, abs_tol=0.005):
        return "a miss weighs as much as a false alarm" if 0 < threshold < 1 else ""
    odds = (1 - threshold) / threshold
    if odds > 1:
        return f"a miss weighs as much as {odds:.3g} false alarms"
    return f"a false alarm weighs as much as {1 / odds:.3g} misses"
