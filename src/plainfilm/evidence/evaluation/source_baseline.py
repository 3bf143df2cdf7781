"""The plain sentence beside an accuracy: how much of it the source of an image gives away without the image.

Classes are judged by AUROC, each against the rest, which means the same at every prevalence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.split import Leakage
from plainfilm.evidence.statistics.discrimination import area_under_roc
from plainfilm.evidence.statistics.intervals import cases_needed, for_several, group_codes, wilson
from plainfilm.results.estimate import UNDEFINED, Estimate, with_range
from plainfilm.results.metrics import Metrics
from plainfilm.results.severity import Worth

NO_LEAK = Leakage(groups=0, images=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRule:
    """How well one does who sees no image and only knows the source.

    `table` int64 (classes, sources): images. `accuracy` of naming each source's commonest class in train. `areas` AUROC of
    the share of a class in the source in train, by class against the rest (the first one of two), with intervals that allow
    for the number of classes. `guess` the commonest class of the test set and how often naming it is right.
    """

    sources: tuple[str, ...]
    table: NDArray[np.int64]
    accuracy: Estimate
    areas: Mapping[str, Estimate]
    guess: tuple[str, float]
    among: int = 1  # findings that are looked at alike

    @property
    def worst(self) -> str | None:
        """The class that the source tells best, by the lower end of its interval; None where no area is defined."""
        known = [name for name, area in self.areas.items() if area.is_known]
        return max(known, key=lambda name: self.areas[name].low) if known else None

    @property
    def auroc(self) -> Estimate:
        """Its area."""
        return UNDEFINED if self.worst is None else self.areas[self.worst]

    @property
    def tells(self) -> bool:
        """Whether the source surely tells a class from the rest."""
        return len(self.sources) > 1 and self.auroc.low > 0.5

    def of_class(self, name: str | None) -> str:
        """Name a class in a sentence; nothing with two, whose areas are alike."""
        return "" if len(self.areas) < 2 or name is None else f" for {name} against the rest"


def source_rule(
    labels: NDArray[np.int64],
    source: NDArray[np.str_],
    group: NDArray[np.int64],
    parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    classes: Sequence[str],
    *,
    level: float = 0.95,
    among: int = 1,
) -> SourceRule:
    """Measure on a test set the rule learnt on its training set that knows the share of each class in each source.

    Parameters
    ----------
    labels, source, group
        int64 (n), class index, -1 for none; text (n); int64 (n), rows that are one draw.
    parts
        Rows of train and test, int64: one pair, or one a fold. Answers are counted together; for the areas only rows of
        one fold are compared, since what is rarer in a fold is commoner in what taught its rule.
    classes
        Class names.
    level
        Coverage of the areas' intervals, all together.
    among
        Findings that are looked at alike, of which these classes are one: the level is that of all.
    """
    names, index = np.unique(source, return_inverse=True)
    table = _counts(labels, index, np.flatnonzero(labels >= 0), (len(classes), len(names)))
    shares = np.empty((len(labels), len(classes)))
    fold, test = np.zeros(len(labels), np.int64), np.concatenate([test for _, test in parts])
    for number, (train, rows) in enumerate(parts):
        learnt = _counts(labels, index, train, table.shape)
        known, whole = learnt.sum(0), learnt.sum(1) / len(train)
        share = np.where(known > 0, learnt / np.maximum(known, 1), whole[:, None])
        shares[rows], fold[rows] = share.T[index[rows]], number
    truth = labels[test]
    counted = np.bincount(truth, minlength=len(classes)) / len(test)
    asked = range(1 if len(classes) == 2 else len(classes))
    each = 1 - (1 - level) / (len(asked) * among)
    codes = group_codes(group[test], len(test))
    areas = {
        classes[c]: area_under_roc(truth == c, shares[test, c], codes, each, strata=fold[test]).estimate for c in asked
    }
    return SourceRule(
        sources=tuple(map(str, names)),
        table=table,
        accuracy=wilson(shares[test].argmax(axis=1) == truth, group=group[test]),
        areas=areas,
        guess=(classes[int(counted.argmax())], float(counted.max())),
        among=among,
    )


def _counts(
    labels: NDArray[np.int64], index: NDArray[np.int64], rows: NDArray[np.int64], shape: tuple[int, ...]
) -> NDArray[np.int64]:
    table = np.zeros(shape, np.int64)
    np.add.at(table, (labels[rows], index[rows]), 1)
    return table


def worth(rule: SourceRule, metrics: Metrics, leak: Leakage = NO_LEAK) -> Worth:
    """Say what a model's answers are worth beside the source's rule and chance, by AUROC; the worst class speaks.

    Rests on intervals, those of several classes widened for their number. A split that leaks comes before all else.
    """
    if leak.images:
        return Worth(
            level="warning",
            sentence=f"The given split leaks: {leak.images:,} images of {leak.groups:,} patients or duplicates stand in more than one part. "
            "This accuracy is partly memory. Ingest again with --resplit.",
        )
    model = _areas(rule, metrics)
    explained = [
        name
        for name, own in model.items()
        if len(rule.sources) > 1 and rule.areas[name].low > 0.5 and rule.areas[name].value >= own.low
    ]
    if explained:
        name = max(explained, key=lambda each: rule.areas[each].value)
        return Worth(
            level="warning",
            sentence=f"Without looking at any image, knowing only which source it came from gives AUROC {with_range(rule.areas[name])}{rule.of_class(name)}, "
            f"the model {with_range(model[name])}. This does not show that the model sees disease: it may only tell the sources apart.",
        )
    chance = [name for name, own in model.items() if own.low <= 0.5]
    if chance:
        name = min(chance, key=lambda each: model[each].low)
        return Worth(
            level="caution",
            sentence=f"The model's AUROC{rule.of_class(name)}, {with_range(model[name])}, may be chance: it has learnt nothing{' there' if len(model) > 1 else ''}, or too few "
            f"images were tested to show it.{_needed(model[name].value, model[name].low, 0.5, metrics, rule, name)}",
        )
    if rule.tells:
        return Worth(
            level="caution",
            sentence=f"Knowing only which source an image came from already gives AUROC {with_range(rule.auroc)}{rule.of_class(rule.worst)}. Part of this accuracy may be the source.",
        )
    return _not_explained(rule, model, metrics)


def _not_explained(rule: SourceRule, model: Mapping[str, Estimate], metrics: Metrics) -> Worth:
    """Say that the source explains nothing, or why that cannot be said."""
    if len(rule.sources) == 1:
        return Worth(
            level="caution",
            sentence="Only one source is known for these images, so nothing here can tell the disease from the hospital, or say how the model "
            "does anywhere else. Name the sources: a column source in a metadata.csv, or one folder a hospital.",
        )
    wide = [name for name, own in model.items() if rule.areas[name].high >= own.value]
    name = max(wide, key=lambda each: rule.areas[each].high - model[each].value) if wide else rule.worst
    known = f"Knowing only which source an image came from gives AUROC {with_range(rule.areas[name]) if name else 'not defined'}{rule.of_class(name)}"
    if wide and name:
        more = _needed(rule.areas[name].value, rule.areas[name].high, model[name].value, metrics, rule, name)
        return Worth(
            level="caution",
            sentence=f"{known}, the model {with_range(model[name])}: too few images were tested to say that the source does not explain this accuracy.{more}",
        )
    return Worth(level="none", sentence=f"{known}, which may be chance. The source does not explain this accuracy.")


def _areas(rule: SourceRule, metrics: Metrics) -> dict[str, Estimate]:
    """AUROC of the model under the rule's classes, widened for their number; without those that are not defined."""
    each = metrics.per_class or {}
    own = {name: each[name].auroc if name in each else metrics.auroc for name in rule.areas}
    known = {name: area for name, area in own.items() if area.is_known and rule.areas[name].is_known}
    return {name: for_several(area, len(rule.areas) * rule.among) for name, area in known.items()}


def _needed(value: float, end: float, bound: float, metrics: Metrics, rule: SourceRule, name: str) -> str:
    """Say about how many radiographs of the rarer side would tell."""
    classes = metrics.confusion_matrix
    held = [sum(row) for row in classes]
    number = list(rule.areas).index(name)
    cases = min(held) if len(held) == 2 else held[number] if held else 0
    needed = cases_needed(value, end, bound, cases)
    if needed is None or needed <= cases:
        return ""
    which = "of the rarer class" if len(held) == 2 else f"of {name}"
    return f" About {needed:,} radiographs {which} would be needed; {cases:,} were tested."
