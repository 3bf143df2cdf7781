"""The folder of a test on other data: report.html, metrics.json, predictions.csv, overlap.csv, figures/, a second bundle."""

import csv
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import plainfilm
from plainfilm.errors import CatalogError, UsageError
from plainfilm.evidence.external.evaluate import Elsewhere
from plainfilm.evidence.external.recalibration import Recalibration
from plainfilm.model import bundle
from plainfilm.model.bundle import Bundle
from plainfilm.model.classifier import Classifier
from plainfilm.model.cpus import processors
from plainfilm.reporting import environment, evaluate_page, report_data
from plainfilm.reporting.evaluate_page import Page
from plainfilm.results import documents

RECALIBRATED = "recalibrated.plainfilm"
_OF_THE_FILE = frozenset({"format", "version", "classes", "positive", "temperature", "shift", "threshold", "members"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """All that a test has come to. `model` and `data` are names for people, `name` the folder's, `command` what was typed."""

    bundle: Bundle
    found: Elsewhere
    model: str
    data: str
    name: str
    command: str
    recalibrate: bool = False


def write(folder: Path, tested: Tested, *, started: float) -> dict[str, Any]:
    """Write the files of a test into a folder and return what stands in `metrics.json`.

    `started` is `time.perf_counter()` at the start.

    Raises
    ------
    UsageError, CatalogError
        A second bundle is asked for, and nothing can be fitted.
    """
    found = tested.found
    if tested.recalibrate:
        _write_recalibrated(folder / RECALIBRATED, tested)
    _write_table(folder / "predictions.csv", _predictions(found))
    if not found.asked.overlap.not_searched:
        _write_table(folder / "overlap.csv", _overlap(found))
    evaluate_page.write(folder, _page(tested), found, recalibrated=tested.recalibrate)
    metrics = _metrics(tested)
    metrics["seconds"] = {"total": time.perf_counter() - started}
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    return metrics


def _offered(found: Elsewhere) -> Recalibration:
    """Give the recalibration that is on offer.

    Raises
    ------
    UsageError
        The model has more than two classes.
    CatalogError
        Too few radiographs of a class.
    """
    if found.recalibration is not None:
        return found.recalibration
    if found.decision.positive is None:
        raise UsageError(f"Expected two classes for --recalibrate; the model has {len(found.decision.classes)}. Leave it out.")  # fmt: skip
    raise CatalogError(f"Expected enough radiographs for --recalibrate. {found.no_recalibration} Leave it out, or add radiographs.")  # fmt: skip


def _write_recalibrated(path: Path, tested: Tested) -> None:
    offered, opened, decision = _offered(tested.found), tested.bundle, tested.found.decision
    moved = replace(decision, shift=decision.shift + offered.shift, threshold=offered.threshold)
    about = {name: value for name, value in opened.manifest.items() if name not in _OF_THE_FILE}
    others = [name for name in decision.classes if name != offered.positive]
    changed = {
        "created": environment.now(),
        "prevalence": {offered.positive: offered.share, **dict.fromkeys(others, 1 - offered.share)},
        "recalibrated": {
            "shift": offered.shift,
            "radiographs": len(tested.found.asked.rows),
            "data_fingerprint": tested.found.asked.store.fingerprint,
        },
    }
    bundle.write(
        path,
        Classifier(opened.classifier.network, moved),
        about=about | changed,
        metrics=opened.metrics | {"threshold": offered.threshold, "recalibrated": changed["recalibrated"]},
        recipe=opened.recipe,
        card=opened.card + _note(tested, offered),
        outliers=opened.outliers,
        seen=opened.seen,
    )


def _note(tested: Tested, offered: Recalibration) -> str:
    n = len(tested.found.asked.rows)
    return (
        f"\n## Recalibrated\n\n{offered.shift:+.3f} was added to the log odds of {offered.positive}, fitted to {n:,} radiographs of "
        f"another collection, {offered.share:.1%} of them {offered.positive}; the threshold moved from "
        f"{tested.found.decision.threshold:.3f} to {offered.threshold:.3f}, so that no answer changed. Brier score, ECE and "
        "decision curve above are those of the model before.\n"
    )


def _metrics(tested: Tested) -> dict[str, Any]:
    found = tested.found
    asked, decision = found.asked, found.decision
    return {
        "classes": list(decision.classes),
        "positive": decision.positive,
        "threshold": decision.threshold if decision.positive else None,
        "travels": {"verdict": found.travel.verdict, "level": found.level, "sentence": found.travel.sentence},
        "splits": {"external": documents.plain(found.metrics)},
        "internal": documents.plain(found.internal),
        "drop": {name: each.as_dict() for name, each in found.travel.drop.items()},
        "overlap": asked.overlap.as_dict(),
        "left_out": {"labels": {name: n for name, n in asked.labels.left_out.items() if name}, "without_label": asked.labels.left_out.get("", 0)},
        "stands_for": dict(asked.labels.stands_for),
        "missing_classes": list(found.missing),
        "sources": {
            "names": list(found.rule.sources),
            "table": found.rule.table.tolist(),
            "source_alone": found.rule.accuracy.as_dict(),
            "sentence": found.source_tells or None,
        },
        "outliers": found.strange.as_dict() if found.strange else None,
        "recalibration": found.recalibration.as_dict() if found.recalibration else {"offered": False, "reason": found.no_recalibration},
        "subgroups": found.subgroups.as_dict(),
        **({"utility": found.utility.as_dict()} if found.utility else {}),
        "data": {"name": tested.data, "fingerprint": asked.store.fingerprint, "own_test_part": asked.is_own},
        "model": {"name": tested.model, "network_sha256": tested.bundle.classifier.key},
        "versions": environment.versions(),
    }  # fmt: skip


def _write_table(path: Path, rows: Iterator[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def _predictions(found: Elsewhere) -> Iterator[Sequence[Any]]:
    decision, scores, store = found.decision, found.answers.scores, found.asked.store
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
            "" if found.answers.level is None else found.answers.level[at],
            "" if found.answers.reason is None else found.answers.reason[at],
        ]


def _overlap(found: Elsewhere) -> Iterator[Sequence[Any]]:
    store, overlap = found.asked.store, found.asked.overlap
    yield ["file", "label", "seen in training as"]
    for row, why in zip(overlap.rows, overlap.why, strict=True):
        yield [store.file[row], store.classes[store.labels[row]], why]


def _page(tested: Tested) -> Page:
    found = tested.found
    asked, decision, scores = found.asked, found.decision, found.answers.scores
    roc, precision_recall, reliability = report_data.lines(scores, decision, found.metrics)
    positive = decision.positive
    few = len(decision.classes) < 4
    return Page(
        title=f"{' or '.join(decision.classes) if few else f'{len(decision.classes)} classes'}? Tested on {tested.data}",
        created=environment.now(),
        version=plainfilm.__version__,
        command=tested.command,
        folder=tested.name,
        positive=positive,
        threshold=decision.threshold if positive else None,
        roc=roc,
        precision_recall=precision_recall,
        reliability=reliability,
        prevalence=float((scores.labels == decision.classes.index(positive)).mean()) if positive else None,
        asked=[
            ("Model", tested.model),
            ("Data", tested.data),
            ("Radiographs tested", f"{len(asked.rows):,}"),
            ("Sources", f"{len(found.rule.sources):,}"),
            ("Classes missing", ", ".join(found.missing) or "none"),
            ("Left out for their label", f"{sum(asked.labels.left_out.values()):,}"),
            ("Left out as seen in training", f"{len(asked.overlap.rows):,}"),
        ],
        fingerprint=asked.store.fingerprint,
        network=tested.bundle.classifier.key,
        versions=environment.versions(),
        hardware=environment.hardware(processors()),
    )
