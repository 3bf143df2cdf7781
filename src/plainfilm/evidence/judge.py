"""A trained head judged: metrics of the validation and the test part, and what the accuracy is worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.split import leakage
from plainfilm.data.store import Store
from plainfilm.evidence import outliers, subgroups, traits, utility, worth
from plainfilm.evidence.intervals import Estimate, wilson
from plainfilm.evidence.metrics import evaluate
from plainfilm.evidence.outliers import Detector, Turned
from plainfilm.evidence.subgroups import Subgroups
from plainfilm.evidence.utility import Utility
from plainfilm.model.classifier import Decision, Trained
from plainfilm.model.encoder import remembered

FEWEST_USUAL = 5  # unrelated training images


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Answers on one part: `rows` of the store, their labels int64 (n), probabilities (n, classes), groups int64 (n)."""

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    group: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Scores and metrics by part ("validation", "test"), the source rule and the sentence on what the accuracy is worth."""

    scores: Mapping[str, Scores]
    metrics: Mapping[str, Mapping[str, Any]]
    rule: worth.SourceRule
    worth: worth.Worth
    subgroups: Subgroups
    utility: Utility | None  # None with more than two classes


def judge(store: Store, trained: Trained) -> Judged:
    """Score the validation and the test part. Log the opening of the test part (`Store.log_test_opening`) before."""
    scores = {part: score(store, trained, part) for part in ("validation", "test")}
    decision, seed = trained.decision, trained.recipe.seed
    metrics = {
        part: evaluate(own.labels, own.probabilities, classes=decision.classes, positive=decision.positive,
                       threshold=decision.threshold, group=own.group, seed=seed)
        for part, own in scores.items()
    }  # fmt: skip
    rule = worth.source_rule(
        store.labels, store.source, store.group, store.rows("train"), store.rows("test"), store.classes
    )
    test = scores["test"]
    return Judged(
        scores=scores,
        metrics=metrics,
        rule=rule,
        worth=worth.worth(rule, Estimate(**metrics["test"]["accuracy"]), leakage(store.split, store.group)),
        subgroups=by_subgroup(store, decision, test),
        utility=of_use(decision, test),
    )


def usual(store: Store, trained: Trained) -> Detector | None:
    """Learn from the training part what radiographs of these data look like; None with too few of them."""
    rows = store.rows("train")
    group = store.group[rows]
    if len(np.unique(group)) < FEWEST_USUAL:
        return None
    kept, chosen = (rows[outliers.sample(group, most)] for most in (outliers.ROWS, outliers.TURNED_ROWS))
    turned = Turned(features=_turned_features(store, trained, chosen), group=store.group[chosen])
    return outliers.fit(trained.features.read(kept), store.group[kept], turned=turned, seed=trained.recipe.seed)


def _turned_features(store: Store, trained: Trained, rows: NDArray[np.int64]) -> Mapping[str, NDArray[np.float32]]:
    encoder = trained.encoder
    about = f"turned 1 {encoder.key} {store.fingerprint} {rows.tolist()}"
    found, _ = remembered(
        "turned",
        about,
        lambda: {name: encoder.encode(view) for name, view in outliers.turn(store.images(rows)).items()},
    )
    return found


def refusals(detector: Detector, trained: Trained, test: Scores) -> dict[str, Any]:
    """Measure how many radiographs of the test part the detector refuses and flags, with what it promises."""
    level = detector.judge(trained.features.read(test.rows)).level
    shares = {name: wilson(level == name, group=test.group).as_dict() for name in ("refused", "flagged")}
    return {**shares, "promise": detector.promise}


def by_subgroup(store: Store, decision: Decision, test: Scores) -> Subgroups:
    """Measure the answers by sex, age, view, source and manufacturer."""
    known = traits.traits(store, test.rows)
    return subgroups.measure(known, test.labels, test.probabilities, classes=decision.classes,
                             positive=decision.positive, threshold=decision.threshold, group=test.group)  # fmt: skip


def of_use(decision: Decision, test: Scores) -> Utility | None:
    """Carry the answers to other prevalences; None with more than two classes."""
    if decision.positive is None:
        return None
    column = decision.classes.index(decision.positive)
    return utility.measure(test.labels == column, test.probabilities[:, column], positive=decision.positive,
                           threshold=decision.threshold, group=test.group)  # fmt: skip


def score(store: Store, trained: Trained, part: str) -> Scores:
    """Score one part of a store."""
    rows = store.rows(part)
    return Scores(
        rows=rows, labels=store.labels[rows], probabilities=trained.probabilities(rows), group=store.group[rows]
    )
