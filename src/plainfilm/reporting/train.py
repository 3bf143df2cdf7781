"""The folder of a run: metrics.json, history.csv, predictions.csv, recipe.toml, model.plainfilm, report.html, figures/."""

import csv
import dataclasses
import json
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import plainfilm
from plainfilm.data.store import SPLITS, Store
from plainfilm.evidence.audit.findings import AuditFindings
from plainfilm.evidence.evaluation.evaluate import Fold, Judged, Scores, judge, score
from plainfilm.evidence.explanation.summary import ExplanationFindings
from plainfilm.evidence.external.training_fingerprints import TrainingFingerprints
from plainfilm.evidence.outliers.detector import Detector
from plainfilm.evidence.outliers.fitting import refusals, usual
from plainfilm.model import bundle
from plainfilm.model.classifier import Classifier, Trained
from plainfilm.model.cpus import processors
from plainfilm.model.recipe_schema import Recipe
from plainfilm.reporting import environment, formatting, page, report_data
from plainfilm.reporting.model_card import card
from plainfilm.reporting.report import Report, write_report
from plainfilm.results import documents
from plainfilm.results.audit import Audit


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
    folds: Sequence[Fold] = ()  # of a cross-validation; then `trained` joins theirs
    audit: AuditFindings | None = None  # None: left out by --no-audit
    sign: Path | None = None  # a private key
    explanation: ExplanationFindings | None = None  # None: not audited, or the network has no maps to look at

    @property
    def trained_on(self) -> Store:
        """The store under the split that `trained` was made with: what a cross-validation joins has seen all of it."""
        if not self.folds:
            return self.store
        return self.store.with_split(np.where(self.store.labels >= 0, "train", ""))


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
    metrics = _write_bundle(folder, run)
    for number, fold in enumerate(run.folds, 1):
        _write_fold(folder / "folds" / str(number), run, fold)
    write_report(_report(run, metrics, started), folder)
    metrics["seconds"]["total"] = time.perf_counter() - started
    _write_metrics(folder, metrics)
    return metrics


def _write_bundle(folder: Path, run: Finished) -> dict[str, Any]:
    """Write model.plainfilm with its card, card.md and checklists.html, and return the metrics."""
    detector = usual(run.trained_on, run.trained)
    metrics, about, facts = _metrics(run, detector), _about(run), _facts(run)
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
        outliers=detector.to_bytes() if detector else b"",
        seen=TrainingFingerprints.of(run.trained_on).to_bytes(),
        sign=run.sign,
    )
    return metrics


def _write_fold(folder: Path, run: Finished, fold: Fold) -> None:
    """Write the classifier of one fold with its metrics on the radiographs that it has not seen."""
    folder.mkdir(parents=True)
    own = Finished(
        store=fold.store,
        trained=fold.trained,
        classifier=fold.trained.classifier(),
        judged=judge(fold.store, fold.trained),
        openings=run.openings,
        name=run.name,
        command=run.command,
        sign=run.sign,
    )
    _write_metrics(folder, _write_bundle(folder, own))


def _write_metrics(folder: Path, metrics: Mapping[str, Any]) -> None:
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")


def _without_paths(recipe: Recipe) -> Recipe:
    """The recipe for the bundle, which is shared: files by their names, not by where they lay on this machine."""
    name, weights = Path(recipe.backbone.name).name, Path(recipe.backbone.weights).name
    return dataclasses.replace(recipe, backbone=dataclasses.replace(recipe.backbone, name=name, weights=weights))


def _metrics(run: Finished, detector: Detector | None) -> dict[str, Any]:
    decision, judged = run.trained.decision, run.judged
    return {
        "classes": list(decision.classes),
        "positive": decision.positive,
        "threshold": decision.threshold if decision.positive else None,
        "temperature": decision.temperature,
        "splits": {part: documents.plain(judged.metrics[part]) for part in (judged.tested, "validation")},
        **({"folds": len(run.folds)} if run.folds else {}),
        "seconds": {"features": run.trained.features.seconds, "training": run.trained.fitted.seconds},
        "features_cached": run.trained.features.cached,
        "test_openings": run.openings,
        "worth": {
            "level": judged.worth.level,
            "sentence": judged.worth.sentence,
            "source_rule_accuracy": judged.rule.accuracy.as_dict(),
        },
        **({"audit": _unnamed(run.audit.result)} if run.audit else {}),
        **({"explanation": documents.plain(run.explanation.result)} if run.explanation else {}),
        "outliers": _strangers(run, detector) if detector else None,
        "subgroups": documents.plain(judged.subgroups.result),
        **({"utility": documents.plain(judged.utility.result)} if judged.utility else {}),
        "data": {"store": run.store.path.name, "fingerprint": run.store.fingerprint, "images": len(run.store)},
        "versions": environment.versions(),
    }


def _unnamed(audit: Audit) -> dict[str, Any]:
    values = documents.plain(audit)
    return {name: value for name, value in values.items() if name not in {"format", "version"}}


def _strangers(run: Finished, detector: Detector) -> dict[str, Any]:
    """What the detector promises, and what it refuses of radiographs that it has not learnt from, where there are any."""
    if run.folds:
        return {"promise": detector.promise}
    return documents.plain(refusals(detector, run.trained, run.judged.scores["test"]))


def _about(run: Finished) -> dict[str, Any]:
    """What the bundle's manifest says beside its decision; nothing of any patient."""
    encoder = run.trained.encoder
    return {
        "created": environment.now(),
        "versions": environment.versions(),
        "backbone": {"name": encoder.name, "weights_sha256": encoder.weights_sha256, "features": encoder.width},
        "preprocessing": dataclasses.asdict(encoder.preprocessing)
        | {"fit": run.store.attributes["fit"], "sha256": encoder.preprocessing.digest()},
        "data_fingerprint": run.store.fingerprint,
        "prevalence": _prevalence(run),
        "intended_use": plainfilm.NOTICE,
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
        for part, scores in _answers(run):
            called = decision.predict(scores.probabilities, scores.threshold)
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


def _answers(run: Finished) -> Iterator[tuple[str, Scores]]:
    """Answers by part: of a cross-validation those of each fold, by the classifier that has not seen it."""
    for number, fold in enumerate(run.folds, 1):
        yield f"fold {number}", score(fold.store, fold.trained, "test")
    for part in () if run.folds else SPLITS:
        yield part, run.judged.scores.get(part) or score(run.store, run.trained, part)


def _report(run: Finished, metrics: Mapping[str, Any], started: float) -> Report:
    store, trained, judged = run.store, run.trained, run.judged
    decision, test, metrics_of_it = trained.decision, judged.scores[judged.tested], judged.metrics[judged.tested]
    roc, precision_recall, reliability = report_data.lines(test, decision, metrics_of_it)
    seconds = trained.features.seconds
    return Report(
        title=_title(store),
        created=environment.now(),
        version=plainfilm.__version__,
        command=run.command,
        folder=run.name,
        classes=store.classes,
        positive=decision.positive,
        threshold=None if run.folds else metrics["threshold"],
        test=metrics_of_it,
        where=formatting.WHERE[judged.tested],
        folds=len(run.folds),
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
        tables=report_data.tables(store, judged.rule, run.folds),
        facts=report_data.facts(store),
        samples=report_data.samples(store),
        problems=report_data.problems(store),
        duplicates=report_data.duplicate_counts(store),
        history=trained.fitted.history,
        altered=report_data.altered(store, trained.recipe),
        altered_means=report_data.altered_means(trained.recipe.augmentation),
        roc=roc,
        precision_recall=precision_recall,
        prevalence=float((test.labels == store.classes.index(decision.positive)).mean()) if decision.positive else None,
        reliability=reliability,
        mistakes=report_data.mistakes(store, test, decision),
        times=[
            ("Encoding" + (" (from the cache)" if trained.features.cached else ""), seconds),
            ("Training", trained.fitted.seconds),
            ("All until this page", time.perf_counter() - started),
        ],
        images_per_second=len(store) / seconds if seconds else None,
        recipe=trained.recipe.to_toml(),
        versions=environment.versions(),
        hardware=environment.hardware(processors()),
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
    trained, recipe, folds = run.trained, run.trained.recipe, len(run.folds)
    members = len(recipe.ensemble.members)
    joined = [f"{folds} folds" if folds else "", f"{members} members" if members else ""]
    epochs = trained.fitted.history
    return [
        ("Store", run.store.path.name),
        ("Recipe", recipe.name),
        ("Backbone", f"{trained.encoder.name}; {_sees(run)}"),
        ("Trained on", _trained_on(recipe)),
        *([("Trainings", " × ".join(filter(None, joined)))] if any(joined) else []),
        *([("Epoch kept", f"{trained.fitted.epoch} of {len(epochs)}")] if trained.fitted.epoch else []),
        ("Seed", str(recipe.seed)),
        ("Temperature", f"{trained.decision.temperature:.2f}" if recipe.evaluation.calibrate else "not calibrated"),
    ]


def _sees(run: Finished) -> str:
    """What the network is shown; members of an ensemble may each see something else."""
    if run.trained.recipe.ensemble.members:
        return "each member's input as the recipe says"
    prepare = run.trained.encoder.preprocessing
    crop = "the box around the lung fields, " if prepare.crop == "lungs" else ""
    alike = "intensities harmonised, " if prepare.intensities == "harmonised" else ""
    return f"{crop}{prepare.input_size} px, {alike}input scaled {prepare.scaling}"


def _trained_on(recipe: Recipe) -> str:
    blocks = recipe.finetuning.blocks
    if blocks == "none":
        return "features of the frozen backbone"
    return "images, all of the backbone" if blocks == "all" else f"images, the last {blocks} blocks of the backbone"


def _repeat(run: Finished) -> list[str]:
    positive = ["--positive", run.trained.decision.positive] if run.trained.decision.positive else []
    folds = ["--folds", str(len(run.folds))] if run.folds else []
    store, recipe = run.store.path.name, f"{run.name}/recipe.toml"
    return [
        f"# plainfilm {plainfilm.__version__}, in the folder that holds {store} and {run.name}",
        shlex.join(["plainfilm", "train", store, "--recipe", recipe, *positive, *folds, "--out", f"{run.name}-again"]),
    ]
