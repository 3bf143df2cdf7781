"""The folder of a run: metrics.json, history.csv, predictions.csv, recipe.toml, model.plainfilm, report.html, figures/."""

import csv
import dataclasses
import json
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import plainfilm
from plainfilm.data.store import SPLITS, Store
from plainfilm.evidence import card, findings
from plainfilm.evidence.audited import Audit
from plainfilm.evidence.drawing import page
from plainfilm.evidence.judge import Judged, refusals, score
from plainfilm.evidence.looked import Explanation
from plainfilm.evidence.outliers import Detector
from plainfilm.evidence.report import Report, write_report
from plainfilm.evidence.seen import Seen
from plainfilm.model import bundle
from plainfilm.model.classifier import Classifier, Trained
from plainfilm.model.encoder import processors
from plainfilm.model.recipes import Recipe

INTENDED_USE = "Research use only; not a medical device."


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """All that a run has come to. `openings` counts the times the test part was looked at; `command` is what was typed."""

    store: Store
    trained: Trained
    classifier: Classifier  # of `trained`
    judged: Judged
    openings: int
    name: str
    command: str
    audit: Audit | None = None  # None: left out by --no-audit
    detector: Detector | None = None  # None: too few images to know what is usual
    sign: Path | None = None  # a private key
    explanation: Explanation | None = None  # None: not audited, or the network has no maps to look at


def write(folder: Path, run: Finished, *, started: float) -> dict[str, Any]:
    """Write a run's files into an empty folder and return what stands in `metrics.json`.

    `started` is `time.perf_counter()` at the start of the run.
    """
    recipe = run.trained.recipe.to_toml()
    (folder / "recipe.toml").write_text(recipe, encoding="utf-8")
    _write_table(
        folder / "history.csv",
        list(run.trained.fitted.history[0]),
        (list(row.values()) for row in run.trained.fitted.history),
    )
    _write_predictions(folder / "predictions.csv", run)
    metrics, about, facts = _metrics(run), _about(run), _facts(run)
    described = card.model_card(metrics, about, facts)
    (folder / "card.md").write_text(described, encoding="utf-8", errors="replace")
    page.write(folder, "checklists.html", card.checklists_page(metrics, about, facts), {})
    bundle.write(
        folder / "model.plainfilm",
        run.classifier,
        about=about,
        metrics=metrics,
        recipe=_without_paths(run.trained.recipe).to_toml(),
        card=described,
        outliers=run.detector.to_bytes() if run.detector else b"",
        seen=Seen.of(run.store).to_bytes(),
        sign=run.sign,
    )
    write_report(_report(run, metrics, started), folder)
    metrics["seconds"]["total"] = time.perf_counter() - started
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    return metrics


def _without_paths(recipe: Recipe) -> Recipe:
    """The recipe for the bundle, which is shared: files by their names, not by where they lay on this machine."""
    name, weights = Path(recipe.backbone.name).name, Path(recipe.backbone.weights).name
    return dataclasses.replace(recipe, backbone=dataclasses.replace(recipe.backbone, name=name, weights=weights))


def _metrics(run: Finished) -> dict[str, Any]:
    decision, judged = run.trained.decision, run.judged
    return {
        "classes": list(decision.classes),
        "positive": decision.positive,
        "threshold": decision.threshold if decision.positive else None,
        "temperature": decision.temperature,
        "splits": {"test": judged.metrics["test"], "validation": judged.metrics["validation"]},
        "seconds": {"features": run.trained.features.seconds, "training": run.trained.fitted.seconds},
        "features_cached": run.trained.features.cached,
        "test_openings": run.openings,
        "worth": {
            "level": judged.worth.level,
            "sentence": judged.worth.sentence,
            "source_rule_accuracy": judged.rule.accuracy.as_dict(),
        },
        **({"audit": run.audit.as_dict()} if run.audit else {}),
        **({"explanation": run.explanation.as_dict()} if run.explanation else {}),
        "outliers": refusals(run.detector, run.trained, judged.scores["test"]) if run.detector else None,
        "subgroups": judged.subgroups.as_dict(),
        **({"utility": judged.utility.as_dict()} if judged.utility else {}),
        "data": {"store": run.store.path.name, "fingerprint": run.store.fingerprint, "images": len(run.store)},
        "versions": findings.versions(),
    }


def _about(run: Finished) -> dict[str, Any]:
    """What the bundle's manifest says beside its decision; nothing of any patient."""
    encoder = run.trained.encoder
    return {
        "created": findings.now(),
        "versions": findings.versions(),
        "backbone": {"name": encoder.name, "weights_sha256": encoder.weights_sha256, "features": encoder.width},
        "preprocessing": dataclasses.asdict(encoder.preprocessing)
        | {"fit": run.store.attributes["fit"], "sha256": encoder.preprocessing.digest()},
        "data_fingerprint": run.store.fingerprint,
        "prevalence": _prevalence(run),
        "intended_use": INTENDED_USE,
    }


def _prevalence(run: Finished) -> dict[str, float]:
    """Shares of the classes in the validation part, which the probabilities were calibrated on."""
    labels, classes = run.judged.scores["validation"].labels, run.trained.decision.classes
    shares = np.bincount(labels, minlength=len(classes)) / len(labels)
    return dict(zip(classes, shares.tolist(), strict=True))


def _write_table(path: Path, header: Sequence[str], rows: Any) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _write_predictions(path: Path, run: Finished) -> None:
    decision, store = run.trained.decision, run.store
    named = [decision.positive] if decision.positive else decision.classes
    columns = [store.classes.index(name) for name in named]

    def rows() -> Any:
        for part in SPLITS:
            scores = run.judged.scores.get(part) or score(store, run.trained, part)
            called = decision.predict(scores.probabilities)
            for row, label, probability, answer in zip(
                scores.rows, scores.labels, scores.probabilities, called, strict=True
            ):
                yield [
                    store.file[row],
                    part,
                    store.classes[label],
                    *(f"{probability[column]:.6f}" for column in columns),
                    store.classes[answer],
                ]

    header = ["probability"] if decision.positive else [f"probability {name}" for name in named]
    _write_table(path, ["file", "split", "label", *header, "predicted"], rows())


def _report(run: Finished, metrics: Mapping[str, Any], started: float) -> Report:
    store, trained, judged = run.store, run.trained, run.judged
    decision, test = trained.decision, judged.scores["test"]
    roc, precision_recall, reliability = findings.lines(test, decision, judged.metrics["test"])
    seconds = trained.features.seconds
    return Report(
        title=_title(store),
        created=findings.now(),
        version=plainfilm.__version__,
        command=run.command,
        folder=run.name,
        classes=store.classes,
        positive=decision.positive,
        threshold=metrics["threshold"],
        test=judged.metrics["test"],
        validation=judged.metrics["validation"],
        worth=judged.worth.sentence,
        worth_level=judged.worth.level,
        audit=run.audit,
        subgroups=judged.subgroups,
        utility=judged.utility,
        explanation=run.explanation,
        guess=judged.rule.guess,
        test_openings=run.openings,
        asked=_asked(run),
        tables=findings.tables(store, judged.rule),
        facts=findings.facts(store),
        samples=findings.samples(store),
        problems=findings.problems(store),
        duplicates=findings.duplicate_counts(store),
        history=trained.fitted.history,
        roc=roc,
        precision_recall=precision_recall,
        prevalence=float((test.labels == store.classes.index(decision.positive)).mean()) if decision.positive else None,
        reliability=reliability,
        mistakes=findings.mistakes(store, test, decision),
        times=[
            ("Encoding" + (" (from the cache)" if trained.features.cached else ""), seconds),
            ("Training", trained.fitted.seconds),
            ("All until this page", time.perf_counter() - started),
        ],
        images_per_second=len(store) / seconds if seconds else None,
        recipe=trained.recipe.to_toml(),
        versions=findings.versions(),
        hardware=findings.hardware(processors()),
        repeat=_repeat(run),
        fingerprint=store.fingerprint,
    )


def _title(store: Store) -> str:
    few = len(store.classes) < 4
    return f"{' or '.join(store.classes)}?" if few else f"{len(store.classes)} classes of chest radiographs"


def _facts(run: Finished) -> card.Card:
    recipe = _without_paths(run.trained.recipe).to_toml()
    return card.describe(
        run.store, rule=run.judged.rule, title=_title(run.store), folder=run.name, recipe=recipe, repeat=_repeat(run)
    )


def _asked(run: Finished) -> list[tuple[str, str]]:
    trained, store = run.trained, run.store
    prepare = trained.encoder.preprocessing
    return [
        ("Store", store.path.name),
        ("Recipe", trained.recipe.name),
        ("Backbone", f"{trained.encoder.name}, frozen; {prepare.input_size} px, input scaled {prepare.scaling}"),
        ("Epoch kept", f"{trained.fitted.epoch} of {len(trained.fitted.history)}"),
        ("Seed", str(trained.recipe.seed)),
        (
            "Temperature",
            f"{trained.decision.temperature:.2f}" if trained.recipe.evaluation.calibrate else "not calibrated",
        ),
    ]


def _repeat(run: Finished) -> list[str]:
    positive = ["--positive", run.trained.decision.positive] if run.trained.decision.positive else []
    store, recipe = run.store.path.name, f"{run.name}/recipe.toml"
    return [
        f"# plainfilm {plainfilm.__version__}, in the folder that holds {store} and {run.name}",
        shlex.join(["plainfilm", "train", store, "--recipe", recipe, *positive, "--out", f"{run.name}-again"]),
    ]
