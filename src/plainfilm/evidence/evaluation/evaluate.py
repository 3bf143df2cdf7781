"""A trained head judged: metrics of the validation and the test set, and what the accuracy is worth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.split import Leakage, leakage
from plainfilm.data.store import Store
from plainfilm.evidence import attributes
from plainfilm.evidence.evaluation import by_patient as by_patients
from plainfilm.evidence.evaluation import clinical_utility as utility
from plainfilm.evidence.evaluation import source_baseline as worth
from plainfilm.evidence.evaluation import subgroups, three_answers
from plainfilm.evidence.evaluation.clinical_utility import UtilityFindings
from plainfilm.evidence.evaluation.subgroups import SubgroupFindings
from plainfilm.evidence.statistics.curves import Curves, curves
from plainfilm.evidence.statistics.findings import evaluate_findings
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.model.classifier import Decision, Trained
from plainfilm.results.metrics import ByPatient, Metrics, Promise, ThreeAnswers, ThreeAnswersMeasured
from plainfilm.results.severity import LEVELS, Worth


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Answers on one part: `rows` of the store, their labels int64 (n), probabilities (n, classes), groups int64 (n).

    `threshold` on the positive class's probability, 0 to 1: one for all rows, or float64 (n), one a row, where folds have
    their own; `lower` likewise, below which the other class is called, None where there is one threshold. Of findings
    `labels` are their states int8 (n, k), and thresholds of both kinds float64 (k) or (n, k).
    """

    rows: NDArray[np.int64]
    labels: NDArray[Any]
    probabilities: NDArray[np.float64]
    group: NDArray[np.int64]
    threshold: float | NDArray[np.float64]
    lower: float | NDArray[np.float64] | None = None

    def of(self, number: int) -> "Scores":
        """Give those of one finding as of two classes, on the rows of which it is known; thresholds are float64 (k)."""
        known, chance = self.labels[:, number] >= 0, self.probabilities[:, number]
        return Scores(
            rows=self.rows[known],
            labels=self.labels[known, number].astype(np.int64),
            probabilities=np.stack([1 - chance, chance], axis=1)[known],
            group=self.group[known],
            threshold=float(np.asarray(self.threshold)[number]),
            lower=None if self.lower is None else float(np.asarray(self.lower)[number]),
        )

    @property
    def spread(self) -> "Scores":
        """The same with thresholds for each row."""
        lower = None if self.lower is None else np.broadcast_to(self.lower, self.labels.shape)
        return replace(self, threshold=np.broadcast_to(self.threshold, self.labels.shape), lower=lower)

    def unsure(self, decision: Decision) -> NDArray[np.bool_]:
        """Say which rows (n) lie between the two thresholds, of findings (n, k)."""
        if decision.task == "findings":
            lower = self.threshold if self.lower is None else self.lower
            return np.asarray((self.probabilities >= lower) & (self.probabilities < self.threshold))
        if decision.positive is None or self.lower is None:
            return np.zeros(len(self.rows), bool)
        chance = self.probabilities[:, decision.classes.index(decision.positive)]
        return np.asarray((chance >= self.lower) & (chance < self.threshold))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Scores and metrics by part, the source rule and the sentence on what the accuracy is worth.

    Parts are "validation" and the one that was `tested`: "test", or "out_of_fold" after a cross-validation.
    """

    tested: str
    scores: Mapping[str, Scores]
    metrics: Mapping[str, Metrics]
    rule: worth.SourceRule
    worth: Worth
    subgroups: SubgroupFindings
    utility: UtilityFindings | None  # None with more than two classes
    three_answers: ThreeAnswers | None = None  # None with one threshold
    units: Mapping[str, by_patients.Units] = field(
        default_factory=dict
    )  # patients by part; none with more than two classes
    by_patient: ByPatient | None = None
    folds: Sequence["Judged"] = ()  # of a cross-validation, each on its own
    findings: Mapping[str, "Judged"] = field(default_factory=dict)  # each by itself, as of two classes
    speaks: str | None = None  # the finding that `rule`, `worth`, `subgroups` and `utility` are of: the worst


@dataclass(frozen=True, slots=True)
class Fold:
    """One training of a cross-validation: the store under its own split, and what came of it."""

    store: Store
    trained: Trained

    def of(self, finding: str) -> "Fold":
        """Give the same of one finding of several."""
        return Fold(self.store.of(finding), self.trained.of(finding))


def judge(store: Store, trained: Trained, *, among: int = 1) -> Judged:
    """Score the validation and the test set. Log the opening of the test set (`Store.log_test_opening`) before.

    `among` is the number of findings of which this is one.
    """
    if store.task == "findings":
        shared = Fold(store, trained.sharing())
        return _of_findings(
            {name: judge(own.store, own.trained, among=len(store.classes)) for name, own in _findings(shared)},
            {part: score(store, shared.trained, part) for part in ("validation", "test")},
        )
    scores = {part: score(store, trained, part) for part in ("validation", "test")}
    units = {part: _units(store, trained.decision, own) for part, own in scores.items()}
    return _judged("test", store, scores, trained, [store], leakage(store.split, store.group), units, among)


def _findings(fold: Fold) -> Iterator[tuple[str, Fold]]:
    trained = fold.trained.sharing()
    for name in fold.store.classes:
        yield name, Fold(fold.store.of(name), trained.of(name))


def _of_findings(each: Mapping[str, Judged], scores: Mapping[str, Scores], folds: Sequence[Judged] = ()) -> Judged:
    """Put the findings together: the worst one speaks, of those that are as bad the one with the lowest AUROC."""
    told = subgroups.corrected_together({name: own.subgroups for name, own in each.items()})
    each = {name: replace(own, subgroups=told[name]) for name, own in each.items()}
    tested = next(iter(each.values())).tested
    speaks = max(
        each,
        key=lambda name: (LEVELS.index(each[name].worth.level), -np.nan_to_num(each[name].metrics[tested].auroc.low)),
    )
    worst = each[speaks]
    return replace(
        worst,
        scores=scores,
        metrics={
            part: evaluate_findings(own.labels, own.probabilities, {name: judged.metrics[part] for name, judged in each.items()},
                                    threshold=np.asarray(own.threshold), group=own.group)
            for part, own in scores.items()
        },
        worth=Worth(level=worst.worth.level, sentence=f"{speaks}: {worst.worth.sentence}"),
        three_answers=None,
        units={},
        by_patient=None,
        folds=folds,
        findings=each,
        speaks=speaks,
    )  # fmt: skip


def judge_folds(store: Store, trained: Trained, folds: Sequence[Fold], *, among: int = 1) -> Judged:
    """Score each fold's parts with the classifier that has not seen them, all together; `trained` joins the folds'."""
    if store.task == "findings":
        shared = [Fold(fold.store, fold.trained.sharing()) for fold in folds]
        of_folds = [judge(fold.store, fold.trained) for fold in shared]
        each = {
            name: judge_folds(own.store, own.trained, [fold.of(name) for fold in shared], among=len(store.classes))
            for name, own in _findings(Fold(store, trained))
        }
        together = {
            name: _together([each.scores[part] for each in of_folds])
            for name, part in (("validation", "validation"), ("out_of_fold", "test"))
        }
        return _of_findings(each, together, of_folds)
    judged = [judge(fold.store, fold.trained, among=among) for fold in folds]
    found = {
        name: _together([each.scores[part] for each in judged])
        for name, part in (("validation", "validation"), ("out_of_fold", "test"))
    }
    units = {
        name: by_patients.together([each.units[part] for each in judged]) if part in judged[0].units else None
        for name, part in (("validation", "validation"), ("out_of_fold", "test"))
    }
    whole = _judged("out_of_fold", store, found, trained, [fold.store for fold in folds], worth.NO_LEAK, units, among)
    return replace(whole, folds=judged)


def _judged(
    tested: str,
    store: Store,
    scores: Mapping[str, Scores],
    trained: Trained,
    splits: Sequence[Store],
    leak: Leakage,
    units: Mapping[str, by_patients.Units | None],
    among: int,
) -> Judged:
    decision, seed = trained.decision, trained.recipe.seed
    patients = {part: own for part, own in units.items() if own is not None}
    metrics = {
        part: evaluate(own.labels, own.probabilities, classes=decision.classes, positive=decision.positive,
                       threshold=own.threshold, group=own.group, seed=seed)
        for part, own in scores.items()
    }  # fmt: skip
    parts = [(each.rows("train"), each.rows("test")) for each in splits]
    rule = worth.source_rule(store.labels, store.source, store.group, parts, store.classes, among=among)
    return Judged(
        tested=tested,
        scores=scores,
        metrics=metrics,
        rule=rule,
        worth=worth.worth(rule, metrics[tested], leak),
        subgroups=by_subgroup(store, decision, scores[tested]),
        utility=of_use(decision, scores[tested]),
        three_answers=_three_answers(trained, scores),
        units=patients,
        by_patient=by_patients.measure(decision, patients, tested, trained.promise_by_patient, seed=seed),
    )


def _units(store: Store, decision: Decision, own: Scores) -> by_patients.Units | None:
    return by_patients.units_of(store, decision, own.rows, own.labels, own.probabilities)


def _three_answers(trained: Trained, scores: Mapping[str, Scores]) -> ThreeAnswers | None:
    if trained.promise is None:
        return None
    measured = {part: of_three_answers(trained.decision, own, trained.promise) for part, own in scores.items()}
    return ThreeAnswers.measured(trained.promise, {part: own for part, own in measured.items() if own})


def of_three_answers(decision: Decision, scores: Scores, promise: Promise) -> ThreeAnswersMeasured | None:
    """Measure the answers and the unsure band between the thresholds; None where there is one."""
    if decision.positive is None or scores.lower is None:
        return None
    column = decision.classes.index(decision.positive)
    return three_answers.measure(scores.labels == column, scores.probabilities[:, column], lower=scores.lower,
                                 upper=scores.threshold, sensitivity=promise.sensitivity, npv=promise.npv,
                                 group=scores.group)  # fmt: skip


def _together(parts: Sequence[Scores]) -> Scores:
    """Put the scores of several folds one after the other; each row keeps the threshold of its fold."""
    names = ("rows", "labels", "probabilities", "group", "threshold", "lower")
    return Scores(**by_patients.columns([part.spread for part in parts], *names))


def by_subgroup(store: Store, decision: Decision, test: Scores) -> SubgroupFindings:
    """Measure the answers by sex, age, view, source and manufacturer."""
    known = attributes.traits(store, test.rows)
    return subgroups.measure(known, test.labels, test.probabilities, classes=decision.classes,
                             positive=decision.positive, threshold=test.threshold, group=test.group)  # fmt: skip


def of_use(decision: Decision, test: Scores) -> UtilityFindings | None:
    """Carry the answers to other prevalences; None with more than two classes."""
    if decision.positive is None:
        return None
    column = decision.classes.index(decision.positive)
    return utility.measure(test.labels == column, test.probabilities[:, column], positive=decision.positive,
                           threshold=test.threshold, group=test.group)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Curves of the positive class, or of each class against the rest, and of the probability that reliability is about.

    That is the positive class's, or with more than two classes that of the class called.
    """

    by_class: Mapping[str, Curves]
    reliability: Curves


def lines(scores: Scores, decision: Decision) -> Lines:
    """Compute the lines to draw; of findings those of each, and of reliability all of them together."""
    if decision.task == "findings":
        return _lines_of_findings(scores, decision)
    labels, chance = scores.labels, scores.probabilities
    by_class = {
        name: curves((labels == column).astype(int), chance[:, column], group=scores.group)
        for column, name in enumerate(decision.classes)
        if decision.positive in {None, name}
    }
    if decision.positive:
        return Lines(by_class=by_class, reliability=by_class[decision.positive])
    right = (chance.argmax(axis=1) == labels).astype(int)
    return Lines(by_class=by_class, reliability=curves(right, chance.max(axis=1), group=scores.group))


def _lines_of_findings(scores: Scores, decision: Decision) -> Lines:
    known, chance = scores.labels >= 0, scores.probabilities
    by_class = {
        name: curves((scores.labels[own, at] == 1).astype(int), chance[own, at], group=scores.group[own])
        for at, (name, own) in enumerate(zip(decision.classes, known.T, strict=True))
    }
    pairs = np.broadcast_to(scores.group[:, None], known.shape)[known]
    return Lines(
        by_class=by_class, reliability=curves((scores.labels[known] == 1).astype(int), chance[known], group=pairs)
    )


def score(store: Store, trained: Trained, part: str) -> Scores:
    """Score one part of a store."""
    rows = store.rows(part)
    return Scores(
        rows=rows,
        labels=store.targets[rows],
        probabilities=trained.probabilities(rows),
        group=store.group[rows],
        **cuts(trained.decision),
    )


def cuts(decision: Decision) -> dict[str, Any]:
    """Give the thresholds of a decision by their names in `Scores`."""
    if decision.task == "classes":
        return {"threshold": decision.threshold, "lower": decision.lower_threshold}
    lower = np.array(decision.lower_thresholds) if decision.lower_thresholds else None
    return {"threshold": np.array(decision.thresholds), "lower": lower}
