"""The folder of an external validation: report.html, metrics.json, predictions.csv, overlap.csv, figures/, tables/, requirements.lock, a second bundle."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from msgspec.structs import replace

from plainfilm.evidence.external.evaluate import ExternalEvaluation
from plainfilm.evidence.external.unlabelled import UnlabelledEvaluation
from plainfilm.harmless import write_table
from plainfilm.model import bundle
from plainfilm.model.bundle import Bundle
from plainfilm.reporting import environment, evaluate_page, paper_tables, report_data
from plainfilm.reporting.evaluate_page import About, ExternalReport, UnlabelledReport
from plainfilm.results import documents
from plainfilm.results.external import ExternalMetrics, TotalSeconds, UnlabelledMetrics

RECALIBRATED = "recalibrated.plainfilm"
CsvRow = Sequence[str]
Evaluation = ExternalEvaluation | UnlabelledEvaluation
M = TypeVar("M", ExternalMetrics, UnlabelledMetrics)


def write(folder: Path, report: ExternalReport, *, started: float) -> ExternalMetrics:
    """Write the files into a folder and return what stands in `metrics.json`; `started` is `time.perf_counter()` then."""
    metrics = report.evaluation.result(**_stated(report.about, started))
    evaluate_page.write(folder, report, metrics)
    paper_tables.of_external(folder, metrics)
    return _written(folder, report, metrics, started)


def write_unlabelled(folder: Path, report: UnlabelledReport, *, started: float) -> UnlabelledMetrics:
    """Write the files of radiographs without labels into a folder and return what stands in `metrics.json`."""
    metrics = report.evaluation.result(**_stated(report.about, started))
    evaluate_page.write_unlabelled(folder, report, metrics)
    return _written(folder, report, metrics, started)


def _stated(about: About, started: float) -> dict[str, Any]:
    told = {"model": about.model, "data": about.data, "kept_for": about.kept_for}
    return {**told, "versions": environment.versions(), "seconds": time.perf_counter() - started}


def _written(folder: Path, report: ExternalReport | UnlabelledReport, metrics: M, started: float) -> M:
    """Write what stands beside the page; the time that all took is taken last."""
    if report.recalibrated:
        _write_bundle(folder / RECALIBRATED, report.recalibrated)
    write_table(folder / "predictions.csv", _predictions(report.evaluation))
    if not report.evaluation.cohort.overlap.not_searched:
        write_table(folder / "overlap.csv", _overlap(report.evaluation))
    environment.write_lock(folder)
    timed = replace(metrics, seconds=TotalSeconds(total=time.perf_counter() - started))
    (folder / "metrics.json").write_bytes(documents.encode(timed, indent=1))
    return timed


def _write_bundle(path: Path, made: Bundle) -> None:
    bundle.write(path, made.classifier, about=made.manifest, metrics=made.metrics, recipe=made.recipe, card=made.card,
                 outliers=made.outliers, seen=made.seen)  # fmt: skip


def _predictions(evaluation: Evaluation) -> Iterator[CsvRow]:
    decision, store = evaluation.decision, evaluation.cohort.store
    if decision.task == "findings":
        yield from _predicted_findings(evaluation)
        return
    predictions, scores = evaluation.predictions, evaluation.predictions.scores
    named = [decision.positive] if decision.positive else list(decision.classes)
    columns = [decision.classes.index(name) for name in named]
    heads = ["probability"] if decision.positive else [f"probability {name}" for name in named]
    yield ["file", "split", "label", *heads, "predicted", "outlier", "reason", *report_data.ORIGIN]
    called = decision.predict(scores.probabilities)
    for at, row in enumerate(scores.rows):
        yield [
            store.file[row],
            "external",
            decision.classes[scores.labels[at]] if scores.labels[at] >= 0 else "",
            *(f"{scores.probabilities[at, column]:.6f}" for column in columns),
            decision.classes[called[at]],
            "" if predictions.level is None else predictions.level[at],
            "" if predictions.reason is None else predictions.reason[at],
            *report_data.origin(store, int(row)),
        ]


def _predicted_findings(evaluation: Evaluation) -> Iterator[CsvRow]:
    store, predictions = evaluation.cohort.store, evaluation.predictions
    yield [*report_data.findings_heads(evaluation.decision), "outlier", "reason", *report_data.ORIGIN]
    lines = report_data.predicted_findings(store, evaluation.decision, "external", predictions.scores)
    for at, (row, cells) in enumerate(zip(predictions.scores.rows, lines, strict=True)):
        told = ["" if each is None else each[at] for each in (predictions.level, predictions.reason)]
        yield [*cells, *told, *report_data.origin(store, int(row))]


def _overlap(evaluation: Evaluation) -> Iterator[CsvRow]:
    store, overlap = evaluation.cohort.store, evaluation.cohort.overlap
    yield ["file", "label", "seen in training as"]
    for row, reason in zip(overlap.rows, overlap.reasons, strict=True):
        yield [store.file[row], *store.named(np.array([row])), reason]
