"""The folder of an external validation: report.html, metrics.json, predictions.csv, overlap.csv, figures/, a second bundle."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from plainfilm.evidence.external.evaluate import ExternalEvaluation
from plainfilm.harmless import write_table
from plainfilm.model import bundle
from plainfilm.model.bundle import Bundle
from plainfilm.reporting import environment, evaluate_page
from plainfilm.reporting.evaluate_page import ExternalReport
from plainfilm.results import documents
from plainfilm.results.external import ExternalMetrics

RECALIBRATED = "recalibrated.plainfilm"
CsvRow = Sequence[str]


def write(folder: Path, report: ExternalReport, *, started: float) -> ExternalMetrics:
    """Write the files into a folder and return what stands in `metrics.json`; `started` is `time.perf_counter()` then."""
    evaluation, versions = report.evaluation, environment.versions()
    if report.recalibrated:
        _write_bundle(folder / RECALIBRATED, report.recalibrated)
    write_table(folder / "predictions.csv", _predictions(evaluation))
    if not evaluation.cohort.overlap.not_searched:
        write_table(folder / "overlap.csv", _overlap(evaluation))
    evaluate_page.write(folder, report, versions)
    seconds = time.perf_counter() - started
    metrics = evaluation.result(model=report.model, data=report.data, versions=versions, seconds=seconds)
    (folder / "metrics.json").write_bytes(documents.encode(metrics, indent=1))
    return metrics


def _write_bundle(path: Path, made: Bundle) -> None:
    bundle.write(path, made.classifier, about=made.manifest, metrics=made.metrics, recipe=made.recipe, card=made.card,
                 outliers=made.outliers, seen=made.seen)  # fmt: skip


def _predictions(evaluation: ExternalEvaluation) -> Iterator[CsvRow]:
    decision, store = evaluation.decision, evaluation.cohort.store
    predictions, scores = evaluation.predictions, evaluation.predictions.scores
    named = [decision.positive] if decision.positive else list(decision.classes)
    columns = [decision.classes.index(name) for name in named]
    heads = ["probability"] if decision.positive else [f"probability {name}" for name in named]
    yield ["file", "split", "label", *heads, "predicted", "outlier", "reason"]
    called = decision.predict(scores.probabilities)
    for at, row in enumerate(scores.rows):
        yield [
            store.file[row],
            "external",
            decision.classes[scores.labels[at]],
            *(f"{scores.probabilities[at, column]:.6f}" for column in columns),
            decision.classes[called[at]],
            "" if predictions.level is None else predictions.level[at],
            "" if predictions.reason is None else predictions.reason[at],
        ]


def _overlap(evaluation: ExternalEvaluation) -> Iterator[CsvRow]:
    store, overlap = evaluation.cohort.store, evaluation.cohort.overlap
    yield ["file", "label", "seen in training as"]
    for row, reason in zip(overlap.rows, overlap.reasons, strict=True):
        yield [store.file[row], store.classes[store.labels[row]], reason]
