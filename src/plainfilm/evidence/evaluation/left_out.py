"""Each source left out in turn: what a classifier is worth where nobody trained, and what to expect of a new hospital."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from plainfilm.data.source_split import FEWEST as FEWEST_GROUPS
from plainfilm.data.source_split import SourceFold, SourceFolds
from plainfilm.data.store import Store
from plainfilm.evidence.evaluation.evaluate import Fold, Scores, score
from plainfilm.evidence.statistics.discrimination import area_under_roc
from plainfilm.evidence.statistics.findings import evaluate_findings
from plainfilm.evidence.statistics.intervals import Measured, group_codes, macro_average
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.evidence.statistics.random_effects import FEWEST, RandomEffects, random_effects
from plainfilm.model.classifier import Decision
from plainfilm.results.estimate import Estimate, with_range
from plainfilm.results.metrics import (
    LeftOutFinding,
    LeftOutSource,
    LeftOutSources,
    Metrics,
    NamedEstimate,
    Unmeasured,
)
from plainfilm.results.severity import LEVELS, Level

CHANCE = 0.5
Looked = tuple[Estimate, Estimate]  # share of the attribution in the lungs, and of the image that they take
_WIDE = 0.25  # of the interval at a new hospital: from poor to good
_TOO_FEW = f" {FEWEST} sources or more would say what to expect of a new one."


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What came of leaving sources out: the result, and the answers by the name of what was tested."""

    result: LeftOutSources
    scores: Mapping[str, Scores]


def judge_left_out(
    store: Store, folds: SourceFolds, trained: Sequence[Fold], looked: Sequence[Looked | None] = ()
) -> LeftOut:
    """Score each left-out source by the classifier that has not seen it, at the threshold chosen without it.

    Parameters
    ----------
    store
        What all folds are views of.
    trained
        One training a fold, in the order of `folds`.
    looked
        Where each looked (`explanation.summary.look_at_lungs`), in the same order; none by default.
    """
    if store.task == "findings":
        return _of_findings(store, folds, trained, looked)
    scores = [score(fold.store, fold.trained, "test") for fold in trained]
    sources = [
        _source(fold, own, made.trained.decision, made.trained.recipe.seed, at)
        for fold, own, made, at in zip(folds.folds, scores, trained, looked or [None] * len(trained), strict=True)
    ]
    result = _summed_up(folds, sources, mean_area(store, scores, [made.trained.decision for made in trained]))
    return LeftOut(result=result, scores={fold.name: own for fold, own in zip(folds.folds, scores, strict=True)})


def _summed_up(folds: SourceFolds, sources: Sequence[LeftOutSource], mean: Estimate) -> LeftOutSources:
    effects = None if folds.paired else random_effects([each.metrics.auroc for each in sources])
    worst = min(sources, key=lambda each: _known(each.metrics.auroc))
    area = worst.metrics.auroc
    return LeftOutSources(
        sources=tuple(sources),
        paired=folds.paired,
        together=folds.together,
        not_tested=folds.not_tested,
        mean=mean,
        worst=NamedEstimate(name=worst.name, value=area.value, low=area.low, high=area.high),
        new_hospital=effects.prediction() if effects else None,
        hospitals_needed=effects.hospitals_needed(CHANCE) if effects else None,
        level=_level(area, effects),
        sentence=_sentence(folds, worst, effects),
    )


def _of_findings(store: Store, folds: SourceFolds, trained: Sequence[Fold], looked: Sequence[Looked | None]) -> LeftOut:
    """Judge each finding at the sources where it can be measured, and their mean at each source; the worst one speaks."""
    shared = [Fold(fold.store, fold.trained.sharing()) for fold in trained]
    scores = [score(fold.store, fold.trained, "test") for fold in shared]
    each: dict[str, LeftOutSources] = {}
    for at, name in enumerate(store.classes):
        kept = [number for number, own in enumerate(scores) if unmeasured(own.labels[:, at], own.group) is None]
        if kept:
            own_folds = replace(folds, folds=[folds.folds[number] for number in kept])
            each[name] = judge_left_out(store.of(name), own_folds, [shared[number].of(name) for number in kept]).result
    at_sources = {name: {own.name: own.metrics for own in found.sources} for name, found in each.items()}
    sources = [
        _mean_source(
            fold, own, store.classes, {name: at[fold.name] for name, at in at_sources.items() if fold.name in at}, seen
        )
        for fold, own, seen in zip(folds.folds, scores, looked or [None] * len(scores), strict=True)
    ]
    codes = group_codes(store.group, len(store))
    decisions = [made.trained.decision for made in trained]
    parts = [mean_of(areas_of(own, decision, codes)) for own, decision in zip(scores, decisions, strict=True)]
    whole = _summed_up(folds, sources, mean_of(parts).estimate)
    speaks = max(each, key=lambda name: (LEVELS.index(each[name].level), -each[name].worst.value))
    said = f"Means over the findings that can be measured at each: {whole.sentence.removesuffix(_TOO_FEW)} The worst finding, {speaks}: {each[speaks].sentence}"
    result = structs.replace(
        whole,
        findings={
            name: LeftOutFinding(**{of: getattr(own, of) for of in LeftOutFinding.__struct_fields__})
            for name, own in each.items()
        },
        speaks=speaks,
        level=each[speaks].level,
        sentence=said,
    )
    return LeftOut(result=result, scores={fold.name: own for fold, own in zip(folds.folds, scores, strict=True)})


def unmeasured(states: NDArray[np.int8], group: NDArray[np.int64]) -> Unmeasured | None:
    """Say why the AUROC of a finding is not measured on states (n), with groups (n); None where it is, as of classes.

    States are 1 present, 0 absent, below 0 not known; ten patients have to have it, and ten to lack it.
    """
    have, lack = (len(np.unique(group[states == state])) for state in (1, 0))
    if min(have, lack) >= FEWEST_GROUPS:
        return None
    if not have or not lack:
        return "always present" if have else "never present" if lack else "not stated"
    return "too few"


def _mean_source(
    fold: SourceFold, own: Scores, findings: Sequence[str], each: Mapping[str, Metrics], looked: Looked | None
) -> LeftOutSource:
    """Put the findings that can be measured at a source together."""
    columns = [findings.index(name) for name in each]
    why = {name: unmeasured(own.labels[:, at], own.group) for at, name in enumerate(findings)}
    return LeftOutSource(
        sources=fold.sources,
        companions=fold.companions,
        classes={name: int((own.labels[:, at] == 1).sum()) for at, name in enumerate(findings)},
        threshold=None,
        unmeasured={name: reason for name, reason in why.items() if reason},
        metrics=evaluate_findings(own.labels[:, columns], own.probabilities[:, columns], each,
                                  threshold=np.asarray(own.threshold)[columns], group=own.group),
        attribution_in_lungs=looked[0] if looked else None,
        lungs_take=looked[1] if looked else None,
    )  # fmt: skip


def mean_area(store: Store, scores: Sequence[Scores], decisions: Sequence[Decision]) -> Estimate:
    """Average the AUROC over left-out sources, with an interval over the patients in them.

    With more than two classes each class against the rest; a group that several sources test counts as one draw.
    """
    codes = group_codes(store.group, len(store))
    parts = [part for own, decision in zip(scores, decisions, strict=True) for part in areas_of(own, decision, codes)]
    return mean_of(parts).estimate


def mean_of(areas: Sequence[Measured], groups: int = 0) -> Measured:
    """Average AUROCs, their influence brought to one length, at least `groups`."""
    longest = max(groups, *(len(each.influence) for each in areas))
    padded = [Measured(each.estimate, np.pad(each.influence, (0, longest - len(each.influence)))) for each in areas]
    return Measured(macro_average(padded), np.mean([each.influence for each in padded], axis=0))


def area_of(own: Scores, decision: Decision) -> float:
    """Measure the AUROC of some answers; with more than two classes the mean over them, each against the rest, of findings over those that can be measured."""
    return float(
        np.mean([each.estimate.value for each in areas_of(own, decision, group_codes(None, int(own.rows.max()) + 1))])
    )


def areas_of(own: Scores, decision: Decision, codes: NDArray[np.int64]) -> list[Measured]:
    """Measure the AUROC of the positive class, of each, or of each finding that can be; `codes` int64 (rows of the store) are their groups."""
    if decision.task == "findings":
        each = zip(own.labels.T, own.probabilities.T, strict=True)
        return [
            area_under_roc(states[states >= 0] == 1, chance[states >= 0], codes[own.rows[states >= 0]], 0.95)
            for states, chance in each
            if unmeasured(states, own.group) is None
        ]
    return [
        area_under_roc(own.labels == column, own.probabilities[:, column], codes[own.rows], 0.95)
        for column, name in enumerate(decision.classes)
        if decision.positive in {None, name}
    ]


def _known(area: Estimate) -> float:
    return area.value if area.is_known else np.inf


def _source(fold: SourceFold, own: Scores, decision: Decision, seed: int, looked: Looked | None) -> LeftOutSource:
    metrics = evaluate(own.labels, own.probabilities, classes=decision.classes, positive=decision.positive,
                       threshold=own.threshold, group=own.group, seed=seed)  # fmt: skip
    counts = np.bincount(own.labels, minlength=len(decision.classes)).tolist()
    return LeftOutSource(
        sources=fold.sources,
        companions=fold.companions,
        classes=dict(zip(decision.classes, counts, strict=True)),
        threshold=decision.threshold if decision.positive else None,
        metrics=metrics,
        attribution_in_lungs=looked[0] if looked else None,
        lungs_take=looked[1] if looked else None,
    )


def _level(worst: Estimate, effects: RandomEffects | None) -> Level:
    """Warn where a source is no better than chance; be cautious where a new hospital may be."""
    if not worst.low > CHANCE:
        return "warning"
    return "caution" if effects is None or effects.prediction().low <= CHANCE else "none"


def _sentence(folds: SourceFolds, worst: LeftOutSource, effects: RandomEffects | None) -> str:
    """Say what to expect of a new hospital."""
    area, count = worst.metrics.auroc, len(folds.folds)
    least = "" if area.low > CHANCE else ", no better than chance can explain"
    said = f"Left out in turn, the worst of {count} {'pairs of ' if folds.paired else ''}sources, {worst.name}, has AUROC {with_range(area)}{least}."
    if count == 1:
        said = f"Left out, {worst.name} has AUROC {with_range(area)}{least}."
    if folds.paired:
        return f"{said} Each test joins sources that hold one class each, so part of it may be the source and not the disease."
    if effects is None:
        return said + _TOO_FEW
    expected = effects.prediction()
    said = f"{said} At a new hospital expect an AUROC of {expected.value:.2f}, somewhere from {expected.low:.2f} to {expected.high:.2f}."
    return f"{said} {_needed(effects, expected)}".rstrip()


def _needed(effects: RandomEffects, expected: Estimate) -> str:
    if expected.low > CHANCE and expected.high - expected.low <= _WIDE:
        return ""
    more = effects.hospitals_needed(CHANCE)
    if more is None:
        return "No number of hospitals would make that useful while they differ as these do."
    if not more:
        return ""
    hospitals = "one more hospital" if more == 1 else f"{more} more hospitals"
    return f"With {hospitals} like these, it would lie above chance."
