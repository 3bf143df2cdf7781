"""Whether a classifier does as well elsewhere as on its own test part: differences with intervals, and one sentence.

Every rule rests on an interval, never on a value alone; docs/evaluate.md states them for people.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from plainfilm.evidence.statistics.differences import independent_difference
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.metrics import Metrics
from plainfilm.results.severity import Level

METRICS = ("accuracy", "sensitivity", "specificity", "auroc")
LITTLE = 0.05  # AUROC: a loss that is surely smaller than this is none to speak of
Verdict = Literal["travels", "cannot be said", "travels in part", "does not travel"]
_ORDER: tuple[Verdict, ...] = ("travels", "cannot be said", "travels in part", "does not travel")
_LEVELS: Mapping[Verdict, Level] = {
    "travels": "none",
    "cannot be said": "caution",
    "travels in part": "caution",
    "does not travel": "warning",
}
_ENDS: Mapping[Verdict, str] = {
    "travels": "it travels to here",
    "cannot be said": "too few radiographs to say whether it travels",
    "travels in part": "it travels in part only",
    "does not travel": "it does not travel",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Travel:
    """The verdict, the sentence and how loud it is, and the `drop` of each of `METRICS`: its own test part less elsewhere."""

    verdict: Verdict
    level: Level
    sentence: str
    drop: Mapping[str, Estimate]


def travel(
    internal: Metrics,
    external: Metrics,
    *,
    two_classes: bool = True,
    missing: Sequence[str] = (),
    sources: int = 1,
) -> Travel:
    """Compare the metrics of a classifier's own test part with those of other data.

    The two are independent samples, so the limits of a difference come from their own intervals (Newcombe, Statistics in
    Medicine 1998; Zou & Donner 2008). The verdict is the worse one of the ranking (AUROC) and, with two classes, of the
    answers at the threshold (sensitivity + specificity - 1, Youden 1950), which a threshold of another hospital can spoil
    while the ranking is sound.

    Parameters
    ----------
    missing
        Classes that the other data lack.
    sources
        Hospitals or collections that they come from.
    """
    own, other = internal.estimates, external.estimates
    drop = {name: independent_difference(own[name], other[name]) for name in METRICS}
    if missing:
        return Travel(verdict="cannot be said", level="caution", sentence=_without(missing, other, drop), drop=drop)
    by_ranking, said = _ranking(own["auroc"], other["auroc"], drop["auroc"])
    by_answers, also = _answers(own, other, drop) if two_classes else ("travels", "")
    verdict = max(by_ranking, by_answers, key=_ORDER.index)
    where = "In this hospital" if sources == 1 else "In these hospitals"
    sentence = f"{where} AUC {_decimal(other['auroc'])}{said}{also}: {_ENDS[verdict]}."
    return Travel(verdict=verdict, level=_LEVELS[verdict], sentence=sentence, drop=drop)


def same_data() -> Travel:
    """Say that a classifier was given its own test part again: there is nothing to compare."""
    sentence = (
        "This is its own test part, from the store that it was trained on. It says nothing about another hospital."
    )
    return Travel(verdict="cannot be said", level="caution", sentence=sentence, drop=dict.fromkeys(METRICS, UNDEFINED))


def _ranking(own: Estimate, other: Estimate, drop: Estimate) -> tuple[Verdict, str]:
    if math.isnan(drop.value):
        return "cannot be said", "; its own test part gives none to compare with"
    if drop.low > 0:
        lower = f", {drop.value:.2f} lower than on its own test part ({drop.low:.2f} to {drop.high:.2f})"
        return "does not travel" if other.high < 0.5 + (own.value - 0.5) / 2 else "travels in part", lower
    if other.low <= 0.5:
        return "cannot be said", ", which may be chance"
    if drop.high < 0:
        return "travels", f", {-drop.value:.2f} higher than on its own test part ({-drop.high:.2f} to {-drop.low:.2f})"
    verdict: Verdict = "travels" if drop.high <= LITTLE else "cannot be said"
    return verdict, f", at most {drop.high:.2f} lower than on its own test part"


def _answers(
    own: Mapping[str, Estimate], other: Mapping[str, Estimate], drop: Mapping[str, Estimate]
) -> tuple[Verdict, str]:
    """Judge the answers at the threshold; name the one of sensitivity and specificity that falls most."""
    lower = max(("sensitivity", "specificity"), key=lambda name: drop[name].low)
    before, here = (_youden(part) for part in (own, other))
    if not (drop[lower].low > 0 and independent_difference(before, here).low > 0):
        return "travels", ""
    fallen = drop[lower]
    said = f"; at its threshold {lower} {_percent(other[lower])}, {100 * fallen.value:.1f} points lower ({100 * fallen.low:.1f} to {100 * fallen.high:.1f})"
    return "does not travel" if here.high < before.value / 2 else "travels in part", said


def _youden(part: Mapping[str, Estimate]) -> Estimate:
    """Sensitivity less the share of false alarms; they rest on different radiographs."""
    cleared = part["specificity"]
    return independent_difference(part["sensitivity"], Estimate(1 - cleared.value, 1 - cleared.high, 1 - cleared.low))


def _without(missing: Sequence[str], other: Mapping[str, Estimate], drop: Mapping[str, Estimate]) -> str:
    said = f"There is no {' and no '.join(missing)} among these radiographs, so nothing here says how well the classes are told apart."
    known = next((name for name in ("sensitivity", "specificity") if not math.isnan(other[name].value)), None)
    if known is None:
        return said
    rate, fallen = f"{known.capitalize()} {_percent(other[known])}", drop[known]
    least, most = 100 * fallen.low, 100 * fallen.high
    if fallen.low > 0:
        return f"{said} {rate}, {100 * fallen.value:.1f} points lower than on its own test part ({least:.1f} to {most:.1f})."
    if fallen.high < 0:
        return f"{said} {rate}, {-100 * fallen.value:.1f} points higher than on its own test part ({-most:.1f} to {-least:.1f})."
    compared = "" if math.isnan(fallen.value) else ", which the data do not show to differ from its own test part"
    return f"{said} {rate}{compared}."


def _decimal(each: Estimate) -> str:
    return f"{each.value:.2f} ({each.low:.2f} to {each.high:.2f})"


def _percent(each: Estimate) -> str:
    return f"{100 * each.value:.1f} % ({100 * each.low:.1f} to {100 * each.high:.1f})"
