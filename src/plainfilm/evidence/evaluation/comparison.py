"""Recipes side by side: the training runs of each judged on the test set, their spread and their stability."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from plainfilm.data.source_split import SourceFolds
from plainfilm.data.store import Store
from plainfilm.evidence.evaluation import left_out_comparison
from plainfilm.evidence.evaluation import pairs as paired
from plainfilm.evidence.evaluation.evaluate import Fold, Judged, Scores, judge
from plainfilm.evidence.evaluation.pairs import Answers, FindingAnswers, Findings, Rows
from plainfilm.evidence.evaluation.spreads import spread
from plainfilm.evidence.statistics.intervals import Measured, group_codes
from plainfilm.model.classifier import Decision, Trained
from plainfilm.results.comparison import Comparison, Rank, RecipeResult
from plainfilm.results.estimate import Estimate
from plainfilm.results.metrics import Metrics
from plainfilm.results.severity import LEVELS, Worth
from plainfilm.results.store import StoreIdentity


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One training of a recipe, and the seconds it took with features and threshold.

    `without` are trainings without a source each, `without_two` without those of two folds, by their numbers.
    """

    trained: Trained
    seconds: float
    without: Sequence[Fold] = ()
    without_two: Mapping[tuple[int, int], Fold] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedResult:
    """What one training run came to on the test and the validation set."""

    recipe: str
    seed: int
    test: Metrics
    validation: Metrics
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRecipes:
    """A comparison as its folder shows it: `result` is comparison.json, `seeds` are all training runs in their order.

    `judged` are these as they were judged, a sequence a recipe; none of runs that were finished before.
    """

    result: Comparison
    seeds: Sequence[SeedResult]
    judged: Sequence[Sequence[Judged]] = ()


def compare(
    store: Store,
    runs: Sequence[Sequence[TrainingRun]],
    *,
    openings: int,
    sources: SourceFolds | None = None,
    rank: Rank = "worst",
    folders: Sequence[Sequence[str]] = (),
) -> ComparedRecipes:
    """Judge all training runs, a sequence a recipe, on the test set, and where sources were left out also there.

    `folders` say where each is going to be kept. Log the opening of the test set (`Store.log_test_opening`, which gives `openings`) before.
    """
    elsewhere = None if sources is None else left_out_comparison.compare(
        [[(run.without, run.without_two) for run in own] for own in runs],
        [own[0].trained.recipe.name for own in runs], sources, rank,
    )  # fmt: skip
    judged = [[judge(store, run.trained) for run in own] for own in runs]
    flat = [pair for own, found in zip(runs, judged, strict=True) for pair in zip(own, found, strict=True)]
    names = [own[0].trained.recipe.name for own in runs]
    rows = _rows(store, judged[0][0].scores["test"], runs[0][0].trained.decision)
    answers = [
        [_answers(*pair) for pair in zip(own, found, strict=True)] for own, found in zip(runs, judged, strict=True)
    ]
    metrics, pairs = paired.compare(rows, list(zip(names, answers, strict=True)))
    result = Comparison(
        recipes=tuple(
            msgspec.structs.replace(
                _recipe_result(own, found, given, measured),
                left_out=elsewhere.recipes[number] if elsewhere else None,
                folders=tuple(folders[number]) if folders else (),
            )
            for number, (own, found, given, measured) in enumerate(zip(runs, judged, answers, metrics, strict=True))
        ),
        worth=_least_worth(flat),
        choice=elsewhere.choice if elsewhere else None,
        test_openings=openings,
        data=StoreIdentity(store=store.path.name, fingerprint=store.fingerprint, kept_at=store.kept_at),
        n=len(judged[0][0].scores["test"].labels),
        groups=len(np.unique(rows.codes)),
        pairs=pairs,
        tests=2 * len(pairs),
        **_each_finding(runs, judged),
    )
    return ComparedRecipes(result=result, seeds=[_seed_result(run, found) for run, found in flat], judged=judged)


def _findings(test: Scores, decision: Decision) -> Findings:
    return Findings(names=decision.classes, states=test.labels, codes=group_codes(test.group, len(test.labels)))


def _rows(store: Store, test: Scores, decision: Decision) -> Rows:
    """Give what all were asked; of findings each pair of a film and a finding that is known of it."""
    if store.task == "findings":
        return _findings(test, decision).pooled
    codes = group_codes(test.group, len(test.labels))
    return Rows(labels=test.labels, codes=codes, classes=store.classes, positive=decision.positive)


def _to_findings(found: Judged, decision: Decision) -> FindingAnswers:
    chance = found.scores["test"].probabilities
    return FindingAnswers(probabilities=chance, called=decision.called(chance))


def _answers(run: TrainingRun, found: Judged) -> Answers:
    test, decision = found.scores["test"], run.trained.decision
    if decision.task == "findings":
        return _to_findings(found, decision).pooled(_findings(test, decision))
    return Answers(probabilities=test.probabilities, called=decision.predict(test.probabilities))


def _each_finding(runs: Sequence[Sequence[TrainingRun]], judged: Sequence[Sequence[Judged]]) -> dict[str, Any]:
    """Compare the recipes on each finding, by the names in `Comparison`; nothing of classes."""
    decision = runs[0][0].trained.decision
    if decision.task == "classes":
        return {}
    named = [
        (
            own[0].trained.recipe.name,
            [_to_findings(each, run.trained.decision) for run, each in zip(own, found, strict=True)],
        )
        for own, found in zip(runs, judged, strict=True)
    ]
    findings, means = paired.compare_findings(_findings(judged[0][0].scores["test"], decision), named)
    return {"findings": findings, "means": means}


def estimates(metrics: Mapping[str, Measured]) -> dict[str, Estimate]:
    """Give the estimates of metrics by name."""
    return {name: found.estimate for name, found in metrics.items()}


def agreement(answers: Sequence[NDArray[np.int64]]) -> float:
    """Share of rows that all training runs answer alike, 0 to 1; `answers` are class indices int64 (n), one array a run."""
    return float((np.stack(answers) == answers[0]).all(axis=0).mean())


def _recipe_result(
    own: Sequence[TrainingRun], found: Sequence[Judged], given: Sequence[Answers], metrics: Mapping[str, Measured]
) -> RecipeResult:
    tests = [judged.metrics["test"] for judged in found]
    return RecipeResult(
        recipe=own[0].trained.recipe.name,
        accuracy=spread([test.accuracy.value for test in tests]),
        auroc=spread([test.auroc.value for test in tests]),
        seconds=float(np.median([run.seconds for run in own])),
        stability=agreement([each.called for each in given]) if len(own) > 1 else None,
        metrics=estimates(metrics),
    )


def _seed_result(run: TrainingRun, found: Judged) -> SeedResult:
    recipe, metrics = run.trained.recipe, found.metrics
    return SeedResult(
        recipe=recipe.name,
        seed=recipe.seed,
        test=metrics["test"],
        validation=metrics["validation"],
        seconds=run.seconds,
    )


def _least_worth(pairs: Sequence[tuple[TrainingRun, Judged]]) -> Worth:
    """The most doubtful of all training runs, with its name."""
    run, found = max(pairs, key=lambda pair: LEVELS.index(pair[1].worth.level))
    recipe, accuracy = run.trained.recipe, found.metrics["test"].accuracy.value
    sentence = f"{recipe.name} with seed {recipe.seed}, accuracy {100 * accuracy:.1f} %: {found.worth.sentence}"
    return Worth(level=found.worth.level, sentence=sentence)
