"""Finished runs as `plainfilm compare` sets them side by side: found, held against one another, and tested on their rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.errors import DocumentError, UsageError
from plainfilm.evidence.evaluation import pairs as paired
from plainfilm.evidence.evaluation.comparison import ComparedRecipes, estimates
from plainfilm.evidence.evaluation.pairs import Answers, FindingAnswers, Findings, Rows
from plainfilm.evidence.evaluation.spreads import spread
from plainfilm.evidence.inference import context
from plainfilm.evidence.statistics.intervals import group_codes
from plainfilm.reporting.plots import rows_tested
from plainfilm.results import documents
from plainfilm.results.comparison import Comparison, RecipeResult
from plainfilm.results.external import ExternalMetrics, Transportability, is_external, is_unlabelled
from plainfilm.results.metrics import Metrics, RunData, RunMetrics
from plainfilm.results.predictions import UNSURE
from plainfilm.results.severity import LEVELS, Worth
from plainfilm.results.store import StoreIdentity
from plainfilm.results.task import BETWEEN

METRICS, PREDICTIONS = "metrics.json", "predictions.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A run folder: what it came to, and the rows of its predictions.csv that it was tested on, by file and label."""

    name: str
    folder: Path
    result: RunMetrics | ExternalMetrics
    rows: Sequence[dict[str, str]]

    @property
    def metrics(self) -> Metrics:
        """Metrics of what was tested."""
        return self.result.test if isinstance(self.result, RunMetrics) else self.result.external

    @property
    def keys(self) -> list[tuple[str, str]]:
        """File and label of each row; of findings what is known of each."""
        return [(row["file"], _truth(row, self.result)) for row in self.rows]

    @property
    def worth(self) -> Worth | Transportability:
        """The loudest of what the run's accuracy is worth."""
        if isinstance(self.result, RunMetrics):
            return context.loudest(context.worth(self.result))
        return self.result.transportability

    def answers(self) -> Answers:
        """Give probabilities and classes called, as they were written: with six decimals; unsure counts as not found, as in metrics.json."""
        classes, positive = self.result.classes, self.result.positive
        rest = {UNSURE: 1 - classes.index(positive)} if positive is not None else {}
        number = rest | {name: at for at, name in enumerate(classes)}
        called = np.array([number[row["predicted"]] for row in self.rows], np.int64)
        if positive is None:
            columns = [[float(row[f"probability {name}"]) for row in self.rows] for name in classes]
            return Answers(probabilities=np.array(columns).T, called=called)
        chance = np.array([float(row["probability"]) for row in self.rows])
        at = classes.index(positive)
        return Answers(
            probabilities=np.stack([chance, 1 - chance] if at == 0 else [1 - chance, chance], axis=1), called=called
        )

    def to_findings(self) -> FindingAnswers:
        """Give the probability of each finding, and whether it is called; unsure counts as not found."""
        names = self.result.classes
        chance = [[float(row[f"probability {name}"]) for name in names] for row in self.rows]
        called = [[name in row["predicted"].split(BETWEEN) for name in names] for row in self.rows]
        return FindingAnswers(probabilities=np.array(chance), called=np.array(called, bool))


def _truth(row: dict[str, str], result: RunMetrics | ExternalMetrics) -> str:
    """Give the label of a row, "" where it has none; of findings the state of each, as far as any is known."""
    if result.task == "classes":
        return row["label"]
    states = [row[f"truth {name}"] for name in result.classes]
    return BETWEEN.join(states) if any(states) else ""


def is_run(place: Path) -> bool:
    """Whether a path is the folder of a finished training or evaluation."""
    return (place / METRICS).is_file() and (place / PREDICTIONS).is_file()


def read(places: Sequence[Path]) -> list[FinishedRun]:
    """Read two or more run folders that were tested on the same rows.

    Raises
    ------
    UsageError
        One folder alone, one that is none, or runs whose rows, classes or pixels differ.
    """
    if other := next((place for place in places if not is_run(place)), None):
        raise UsageError(
            f"Expected runs alone, or one store; received a run and {other}, which is no run. Name two or more run folders."
        )
    if len(places) < 2:
        raise UsageError(f"Expected two or more runs; received {places[0]} alone. Name another run beside it.")
    if again := [
        place for at, place in enumerate(places) if place.resolve() in [each.resolve() for each in places[:at]]
    ]:
        raise UsageError(f"Expected different runs; received {again[0]} twice. Name another run in its place.")
    names = [place.resolve().name for place in places]
    shown = names if len(set(names)) == len(names) else list(map(str, places))
    runs = [_read(place, name) for place, name in zip(places, shown, strict=True)]
    for run in runs[1:]:
        _check_alike(runs[0], run)
    return runs


def _read(place: Path, name: str) -> FinishedRun:
    data = (place / METRICS).read_bytes()
    if is_unlabelled(data):
        raise UsageError(f"Expected runs that were tested on labels; received {place}, which has none. Leave it out.")
    result: RunMetrics | ExternalMetrics
    if is_external(data):
        result = documents.decode(data, ExternalMetrics, place / METRICS)
    else:
        result = documents.decode(data, RunMetrics, place / METRICS)
    try:
        known = [(row["file"], truth, row) for row in rows_tested(place) if (truth := _truth(row, result))]
        rows = [row for *_, row in sorted(known, key=lambda each: each[:2])]
        found = FinishedRun(name=name, folder=place, result=result, rows=rows)
        _check_rows(found)
    except (KeyError, ValueError) as error:
        raise DocumentError(
            f"Expected {PREDICTIONS} as plainfilm writes it; received {place / PREDICTIONS}, which is altered or cut short. Run it again."
        ) from error
    return found


def _check_rows(run: FinishedRun) -> None:
    """Raise KeyError or ValueError where the rows hold what no run writes."""
    classes = run.result.classes
    if run.result.task == "classes":
        chance, is_known = run.answers().probabilities, all(row["label"] in classes for row in run.rows)
    else:
        chance = run.to_findings().probabilities
        is_known = all(row[f"truth {name}"] in {"", "0", "1"} for row in run.rows for name in classes)
    if not (run.rows and is_known and ((chance >= 0) & (chance <= 1)).all()):
        raise ValueError("labels, or probabilities")


def _check_alike(one: FinishedRun, other: FinishedRun) -> None:
    """Raise UsageError where two runs cannot be compared row by row."""
    for what, values in (
        ("task", [run.result.task for run in (one, other)]),
        ("classes", [", ".join(run.result.classes) for run in (one, other)]),
        ("a positive class", [str(run.result.positive) for run in (one, other)]),
    ):
        if values[0] != values[1]:
            raise UsageError(
                f"Expected runs with the same {what.removeprefix('a ')}; received {values[0]} in {one.name} and {values[1]} in {other.name}. Compare runs of the same classes."
            )
    if one.keys != other.keys:
        differing = sorted(set(one.keys) ^ set(other.keys))
        example = f"; {differing[0][0]} is not, or has another label" if differing else ""
        raise UsageError(
            f"Expected runs that were tested on the same radiographs with the same labels; received {len(one.rows):,} in {one.name} and {len(other.rows):,} in "
            f"{other.name}, {len(set(one.keys) & set(other.keys)):,} of them alike in both{example}. Compare runs on the same test part of one store; where labels were "
            "corrected since, test both with plainfilm evaluate on the corrected store."
        )
    prints = {run.result.data.fingerprint for run in (one, other)} - {""}
    if len(prints) > 1:
        raise UsageError(
            f"Expected runs on the same pixels; received {one.name} and {other.name}, whose stores differ though their files have the same names. Compare runs on one store."
        )


def compare(runs: Sequence[FinishedRun]) -> ComparedRecipes:
    """Set finished runs side by side: each is a recipe with one seed."""
    first = runs[0].result
    codes = group_codes(_groups(runs), len(runs[0].rows))
    rows, answers, more = _asked(runs, codes) if first.task == "classes" else _asked_of_findings(runs, codes)
    metrics, pairs = paired.compare(rows, [(run.name, [own]) for run, own in zip(runs, answers, strict=True)])
    worst = max(runs, key=lambda run: LEVELS.index(run.worth.level))
    data = first.data
    result = Comparison(
        recipes=tuple(
            RecipeResult(
                recipe=run.name,
                accuracy=spread([run.metrics.accuracy.value]),
                auroc=spread([run.metrics.auroc.value]),
                seconds=_seconds(run),
                stability=None,
                metrics=estimates(own),
                folders=(str(run.folder),),
            )
            for run, own in zip(runs, metrics, strict=True)
        ),
        worth=Worth(level=worst.worth.level, sentence=f"{worst.name}: {worst.worth.sentence}"),
        test_openings=max((getattr(run.result, "test_openings", None) or 0) for run in runs),
        data=StoreIdentity(store=data.store if isinstance(data, RunData) else data.name, fingerprint=data.fingerprint),
        compared="runs",
        n=len(codes),
        groups=len(np.unique(codes)),
        pairs=pairs,
        tests=2 * len(pairs),
        **more,
    )
    return ComparedRecipes(result=result, seeds=())


def _asked(runs: Sequence[FinishedRun], codes: NDArray[np.int64]) -> tuple[Rows, list[Answers], dict[str, Any]]:
    first = runs[0].result
    labels = np.array([first.classes.index(row["label"]) for row in runs[0].rows], np.int64)
    rows = Rows(labels=labels, codes=codes, classes=first.classes, positive=first.positive)
    return rows, [run.answers() for run in runs], {}


def _asked_of_findings(
    runs: Sequence[FinishedRun], codes: NDArray[np.int64]
) -> tuple[Rows, list[Answers], dict[str, Any]]:
    """Give what was asked and answered over all pairs of a film and a finding, and what each finding comes to by itself."""
    asked = Findings(names=runs[0].result.classes, states=_states(runs[0]), codes=codes)
    answers = [run.to_findings() for run in runs]
    named = [(run.name, [own]) for run, own in zip(runs, answers, strict=True)]
    findings, means = paired.compare_findings(asked, named)
    return asked.pooled, [own.pooled(asked) for own in answers], {"findings": findings, "means": means}


def _states(run: FinishedRun) -> NDArray[np.int8]:
    """Read the states of the findings, int8 (n, k): 1, 0 or -1 for not known."""
    truth = [[row[f"truth {name}"] for name in run.result.classes] for row in run.rows]
    return np.array([[int(state) if state else -1 for state in own] for own in truth], np.int8)


def _groups(runs: Sequence[FinishedRun]) -> NDArray[np.str_] | None:
    """Groups of the rows as one of the runs names them; None where none does, as before 0.3."""
    for run in runs:
        if all(row.get("group") for row in run.rows):
            return np.array([row["group"] for row in run.rows])
    return None


def _seconds(run: FinishedRun) -> float:
    seconds = run.result.seconds
    return (seconds.total or 0.0) if seconds else 0.0
