"""Recipes side by side: several trainings each on one store, their spread and their stability."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import plainfilm
from plainfilm.data.store import Store
from plainfilm.evidence.evaluation.evaluate import Judged, judge
from plainfilm.model.classifier import Trained
from plainfilm.reporting import environment
from plainfilm.reporting.report import Comparison, RecipeResult, Spread, write_comparison
from plainfilm.results.estimate import Estimate
from plainfilm.results.severity import LEVELS, Worth

STABILITY = (
    "Stability is the share of test images that the trainings of a recipe, alike but for the seed, all answer alike: "
    "1 where the seed changes no answer. The test part judges here; to choose a recipe, look at the validation part "
    "(comparison.csv), or the number of the winner flatters."
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One training of a recipe, and the seconds it took with features and threshold."""

    trained: Trained
    seconds: float


def spread(values: Sequence[float]) -> Spread:
    """Mean, standard deviation (n - 1), least and largest of one number over the seeds."""
    numbers = np.asarray(values, np.float64)
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return Spread(values=values, mean=None, sd=None, low=None, high=None)
    deviation = float(known.std(ddof=1)) if len(known) > 1 else None
    return Spread(
        values=values, mean=float(known.mean()), sd=deviation, low=float(known.min()), high=float(known.max())
    )


def agreement(answers: Sequence[NDArray[np.int64]]) -> float:
    """Share of rows that every training answers alike, 0 to 1; `answers` are class indices int64 (n), one array a training."""
    return float((np.stack(answers) == answers[0]).all(axis=0).mean())


def write(
    folder: Path, store: Store, attempts: Sequence[Sequence[Attempt]], *, name: str, command: str, openings: int
) -> dict[str, Any]:
    """Judge all trainings on the test part, write comparison.html, .json and .csv, and return what stands in the JSON."""
    judged = [[judge(store, attempt.trained) for attempt in own] for own in attempts]
    rows = [_row(own, results) for own, results in zip(attempts, judged, strict=True)]
    worst = _least_worth(attempts, judged)
    page = Comparison(
        title="Recipes side by side",
        created=environment.now(),
        version=plainfilm.__version__,
        command=command,
        folder=name,
        rows=rows,
        stability_means=STABILITY,
        worth=worst.sentence,
        worth_level=worst.level,
        test_openings=openings,
        asked=[
            ("Store", store.path.name),
            ("Test images", f"{len(store.rows('test')):,}"),
            ("Seeds a recipe", str(len(attempts[0]))),
        ],
        repeat=[command] if command else [],
    )
    write_comparison(page, folder)
    _write_table(folder / "comparison.csv", attempts, judged)
    results = {
        "recipes": [_as_dict(row) for row in rows],
        "worth": {"level": worst.level, "sentence": worst.sentence},
        "test_openings": openings,
    }
    (folder / "comparison.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def _least_worth(attempts: Sequence[Sequence[Attempt]], judged: Sequence[Sequence[Judged]]) -> Worth:
    """The most doubtful of all trainings, with its name."""
    pairs = [pair for own, results in zip(attempts, judged, strict=True) for pair in zip(own, results, strict=True)]
    attempt, result = max(pairs, key=lambda pair: LEVELS.index(pair[1].worth.level))
    recipe, accuracy = attempt.trained.recipe, result.metrics["test"].accuracy.value
    told = f"{recipe.name} with seed {recipe.seed}, accuracy {100 * accuracy:.1f} %: {result.worth.sentence}"
    return Worth(level=result.worth.level, sentence=told)


def _row(own: Sequence[Attempt], results: Sequence[Judged]) -> RecipeResult:
    tests = [result.metrics["test"] for result in results]
    answers = [
        attempt.trained.decision.predict(result.scores["test"].probabilities)
        for attempt, result in zip(own, results, strict=True)
    ]
    return RecipeResult(
        recipe=own[0].trained.recipe.name,
        accuracy=spread([test.accuracy.value for test in tests]),
        auroc=spread([test.auroc.value for test in tests]),
        seconds=float(np.median([attempt.seconds for attempt in own])),
        stability=agreement(answers) if len(own) > 1 else None,
    )


def _as_dict(row: RecipeResult) -> dict[str, Any]:
    def numbers(spread: Spread) -> dict[str, Any]:
        return {
            "mean": spread.mean,
            "sd": spread.sd,
            "low": spread.low,
            "high": spread.high,
            "values": [None if np.isnan(v) else v for v in spread.values],
        }

    return {
        "recipe": row.recipe,
        "accuracy": numbers(row.accuracy),
        "auroc": numbers(row.auroc),
        "seconds": row.seconds,
        "stability": row.stability,
    }


def _write_table(path: Path, attempts: Sequence[Sequence[Attempt]], judged: Sequence[Sequence[Judged]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["recipe", "seed", "accuracy", "auroc", "validation_accuracy", "validation_auroc", "seconds"])
        for own, results in zip(attempts, judged, strict=True):
            for attempt, result in zip(own, results, strict=True):
                test, validation = result.metrics["test"], result.metrics["validation"]
                writer.writerow(
                    [
                        attempt.trained.recipe.name,
                        attempt.trained.recipe.seed,
                        *(_written(each) for part in (test, validation) for each in (part.accuracy, part.auroc)),
                        f"{attempt.seconds:.2f}",
                    ]
                )


def _written(estimate: Estimate) -> float | str:
    return estimate.value if estimate.is_known else ""
