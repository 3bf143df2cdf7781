"""Whether a classifier does as well on external data as on its own test set: differences with intervals, and one sentence.

Every rule rests on an interval, never on a value alone; docs/evaluate.md states them for people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from plainfilm.evidence.statistics.differences import independent_difference
from plainfilm.evidence.statistics.intervals import cases_needed, for_several, round_up
from plainfilm.results.estimate import UNDEFINED, Estimate, with_range
from plainfilm.results.external import SEVERITY, VERDICTS, PerformanceDrop, SiteVerdict, Transportability
from plainfilm.results.metrics import ClassMetrics, Metrics

METRICS = PerformanceDrop.__struct_fields__
NEGLIGIBLE = 0.05  # AUROC: a loss that is surely smaller than this is none to speak of
_ENDS: dict[SiteVerdict, str] = {
    "travels": "performance holds at {site}",
    "cannot be said": "too few radiographs to say whether performance holds at {site}",
    "travels in part": "performance partly drops at {site}",
    "does not travel": "performance does not hold at {site}",
}


def compare(
    internal: Metrics,
    external: Metrics,
    *,
    two_classes: bool = True,
    missing: Sequence[str] = (),
    sources: int = 1,
    among: int = 1,
) -> tuple[PerformanceDrop, Transportability]:
    """Compare the metrics of a classifier's own test set with those of external data.

    The two are independent samples, so the limits of a difference come from their own intervals (Newcombe, Statistics in
    Medicine 1998; Zou & Donner 2008). The verdict is the worse one of the ranking (AUROC) and of the answers
    (sensitivity + specificity - 1, Youden 1950), which a threshold of another hospital can spoil while the ranking is
    sound. With more than two classes it is the worst class's, each against the rest, with intervals widened for their number.

    Parameters
    ----------
    missing
        Classes that the external data lack.
    sources
        Hospitals or collections that they come from.
    among
        Findings that are looked at alike, of which this is one: intervals are widened for their number.
    """
    own, other = internal.estimates, external.estimates
    drop = PerformanceDrop(**{name: independent_difference(own[name], other[name]) for name in METRICS})
    if missing:
        sentence = _without(missing, external, drop)
        return drop, Transportability(verdict="cannot be said", level="caution", sentence=sentence)
    verdict, said, needed = _worst(internal, external, two_classes, among)
    where, site = ("In this hospital", "this site") if sources == 1 else ("In these hospitals", "these sites")
    sentence = f"{where} AUROC {said}: {_ENDS[verdict].format(site=site)}.{needed}"
    return drop, Transportability(verdict=verdict, level=SEVERITY[verdict], sentence=sentence)


def _worst(internal: Metrics, external: Metrics, two_classes: bool, among: int) -> tuple[SiteVerdict, str, str]:
    """Judge the two classes, or each of several; give the worst verdict, what it rests on, and what would be needed to tell."""
    one, two = internal.per_class or {}, external.per_class or {}
    shared = [name for name in two if name in one]
    if two_classes or not shared:
        cases = min((sum(row) for row in external.confusion_matrix), default=0)
        return _judged(
            "", _Rates.of(internal, among), _Rates.of(external, among), cases, "the rarer class", answers=two_classes
        )[1:]
    held = dict(zip(two, map(sum, external.confusion_matrix), strict=False))
    each = [
        _judged(f"for {name} against the rest ", _Rates.of(one[name], len(shared)), _Rates.of(two[name], len(shared)), held.get(name, 0), name)
        for name in shared
    ]  # fmt: skip
    return max(each, key=lambda part: (VERDICTS.index(part[1]), part[0]))[1:]


def _judged(
    named: str, own: "_Rates", here: "_Rates", cases: int, rare: str, *, answers: bool = True
) -> tuple[float, SiteVerdict, str, str]:
    """Judge one class: by how much the AUROC surely falls, the verdict, what it rests on, and what would be needed."""
    fallen = independent_difference(own.auroc, here.auroc)
    by_ranking, said = _ranking(own.auroc, here.auroc, fallen)
    by_answers, also = _answers(own, here) if answers else ("travels", "")
    verdict = max(by_ranking, by_answers, key=VERDICTS.index)
    needed = _needed(own.auroc, here.auroc, cases) if verdict == "cannot be said" else 0
    more = f" About {needed:,} radiographs of {rare} would be needed; there are {cases:,}." if needed else ""
    return fallen.low if fallen.is_known else 0.0, verdict, f"{named}{with_range(here.auroc)}{said}{also}", more


def _needed(own: Estimate, here: Estimate, cases: int) -> int:
    """About how many cases would show that the ranking is no chance and loses nothing to speak of; 0 where no number would."""
    above = cases_needed(here.value, here.low, 0.5, cases) if here.low <= 0.5 else cases
    room = (NEGLIGIBLE - own.value + here.value) ** 2 - (own.high - own.value) ** 2
    if not own.is_known or not cases or not above or own.value - here.value >= NEGLIGIBLE or room <= 0:
        return 0
    needed = max(above, ceil(cases * (here.value - here.low) ** 2 / room))
    return round_up(needed) if cases < needed <= 100_000 else 0


@dataclass(frozen=True, slots=True)
class _Rates:
    """What a class is judged by, its intervals widened for how many classes are."""

    auroc: Estimate
    sensitivity: Estimate
    specificity: Estimate

    @classmethod
    def of(cls, metrics: Metrics | ClassMetrics, classes: int) -> "_Rates":
        return cls(*(for_several(each, classes) for each in (metrics.auroc, metrics.sensitivity, metrics.specificity)))


def of_own_test_set() -> tuple[PerformanceDrop, Transportability]:
    """Say that a classifier was given its own test set again: there is nothing to compare."""
    sentence = (
        "This is its own test set, from the store that it was trained on. It says nothing about another hospital."
    )
    said = Transportability(verdict="cannot be said", level="caution", sentence=sentence)
    return PerformanceDrop(**dict.fromkeys(METRICS, UNDEFINED)), said


def _ranking(own: Estimate, external: Estimate, drop: Estimate) -> tuple[SiteVerdict, str]:
    if not drop.is_known:
        return "cannot be said", "; its own test set gives none to compare with"
    if drop.low > 0:
        lower = f", {drop.value:.2f} lower than on its own test set ({drop.low:.2f} to {drop.high:.2f})"
        return "does not travel" if external.high < 0.5 + (own.value - 0.5) / 2 else "travels in part", lower
    if external.low <= 0.5:
        return "cannot be said", ", which may be chance"
    if drop.high < 0:
        return "travels", f", {-drop.value:.2f} higher than on its own test set ({-drop.high:.2f} to {-drop.low:.2f})"
    verdict: SiteVerdict = "travels" if drop.high <= NEGLIGIBLE else "cannot be said"
    return verdict, f", at most {drop.high:.2f} lower than on its own test set"


def _answers(internal: _Rates, external: _Rates) -> tuple[SiteVerdict, str]:
    """Judge the answers at the threshold; name the one of sensitivity and specificity that falls most."""
    fallen, lower, here = max(
        (independent_difference(internal.sensitivity, external.sensitivity), "sensitivity", external.sensitivity),
        (independent_difference(internal.specificity, external.specificity), "specificity", external.specificity),
        key=lambda each: each[0].low,
    )
    own, youden = _youden(internal), _youden(external)
    if not (fallen.low > 0 and independent_difference(own, youden).low > 0):
        return "travels", ""
    said = f"; at its threshold {lower} {_percent(here)}, {100 * fallen.value:.1f} points lower ({100 * fallen.low:.1f} to {100 * fallen.high:.1f})"
    return "does not travel" if youden.high < own.value / 2 else "travels in part", said


def _youden(metrics: _Rates) -> Estimate:
    """Sensitivity less the share of false alarms; they rest on different radiographs."""
    cleared = metrics.specificity
    return independent_difference(metrics.sensitivity, Estimate(1 - cleared.value, 1 - cleared.high, 1 - cleared.low))


def _without(missing: Sequence[str], external: Metrics, drop: PerformanceDrop) -> str:
    none = [f"none without {name[3:]}" if name.startswith("no ") else f"no {name}" for name in missing]
    said = f"There is {' and '.join(none)} among these radiographs, so nothing here says how well the classes are told apart."
    rates = (("Sensitivity", external.sensitivity, drop.sensitivity), ("Specificity", external.specificity, drop.specificity))  # fmt: skip
    name, rate, fallen = next((each for each in rates if each[1].is_known), ("", UNDEFINED, UNDEFINED))
    if not name:
        return said
    least, most = 100 * fallen.low, 100 * fallen.high
    compared = ", which the data do not show to differ from its own test set" if fallen.is_known else ""
    if fallen.low > 0:
        compared = f", {100 * fallen.value:.1f} points lower than on its own test set ({least:.1f} to {most:.1f})"
    if fallen.high < 0:
        compared = f", {-100 * fallen.value:.1f} points higher than on its own test set ({-most:.1f} to {-least:.1f})"
    return f"{said} {name} {_percent(rate)}{compared}."


def _percent(each: Estimate) -> str:
    return f"{100 * each.value:.1f} % ({100 * each.low:.1f} to {100 * each.high:.1f})"
