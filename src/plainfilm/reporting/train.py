"""The folder of a run: metrics.json, history.csv, predictions.csv, recipe.toml, model.plainfilm, report.html, figures/."""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec import structs

import plainfilm
from plainfilm import shell
from plainfilm.data.store import Store
from plainfilm.evidence.run import MeasuredClassifier, MeasuredRun
from plainfilm.harmless import write_table
from plainfilm.model import bundle, recipes
from plainfilm.model.classifier import Trained
from plainfilm.model.cpus import processors
from plainfilm.model.recipe_schema import Recipe
from plainfilm.reporting import environment, page, paper, paper_tables, report_data
from plainfilm.reporting.formatting import question
from plainfilm.reporting.model_card import card
from plainfilm.reporting.report import Report, write_report
from plainfilm.reporting.run_facts import class_weight
from plainfilm.results import documents
from plainfilm.results.manifest import BackboneUsed, FilePreprocessing, Provenance
from plainfilm.results.metrics import Metrics, RunMetrics, RunSeconds
from plainfilm.results.predictions import UNSURE


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """All that a run has come to; `name` is the folder's, `command` what was typed, `sign` a private key."""

    measured: MeasuredRun
    name: str
    command: str
    sign: Path | None = None
    formats: Sequence[str] = ()  # of figures, beside PNG

    @property
    def store(self) -> Store:
        """The store that was trained on."""
        return self.measured.whole.store

    @property
    def trained(self) -> Trained:
        """The classifier, of a cross-validation the one that joins its folds'."""
        return self.measured.whole.trained


def write(folder: Path, run: Finished, *, started: float) -> RunMetrics:
    """Write a run's files into an empty folder and return what stands in `metrics.json`.

    `started` is `time.perf_counter()` at the start of the run.
    """
    _write_training(folder, run)
    for number, fold in enumerate(run.measured.folds, 1):
        own = folder / "folds" / str(number)
        own.mkdir(parents=True)
        _write_bundle(own, run, fold)
        _write_metrics(own, fold.result)
    write_report(_report(run, started), folder, run.formats)
    encoding, training, total = run.trained.features.seconds, run.trained.fitted.seconds, time.perf_counter() - started
    seconds = RunSeconds(features=encoding, training=training, total=total)
    result = run.measured.whole.result
    data = structs.replace(result.data, kept_at=run.store.kept_at)  # not in the bundle, which is shared
    metrics = structs.replace(result, seconds=seconds, data=data)
    _write_metrics(folder, metrics)
    return metrics


def keep(folder: Path, run: Finished) -> None:
    """Write one training of several into a new folder: all that a run has, but the report and its figures."""
    folder.mkdir(parents=True)
    _write_training(folder, run)
    _write_metrics(folder, run.measured.whole.result)


def _write_training(folder: Path, run: Finished) -> None:
    recipe, history = run.trained.recipe.to_toml(), run.trained.fitted.history
    (folder / "recipe.toml").write_text(recipe, encoding="utf-8")
    write_table(folder / "history.csv", [list(history[0]), *(list(row.values()) for row in history)])
    write_table(folder / "predictions.csv", _predictions(run))
    environment.write_lock(folder)
    _write_bundle(folder, run, run.measured.whole)
    _write_tables(folder, run.measured.whole.result)


def _write_tables(folder: Path, result: RunMetrics) -> None:
    parts = [
        (name, own) for name in (result.tested, "validation") if isinstance(own := result.splits.get(name), Metrics)
    ]
    if parts:
        paper_tables.of_metrics(folder, parts)
    paper_tables.of_subgroups(folder, result.by_subgroup)


def _write_metrics(folder: Path, metrics: RunMetrics) -> None:
    (folder / "metrics.json").write_bytes(documents.encode(metrics, indent=1))


def _write_bundle(folder: Path, run: Finished, made: MeasuredClassifier) -> None:
    """Write model.plainfilm with its card, card.md and checklists.html."""
    known = card.Known(metrics=made.result, about=_about(made), card=_facts(run, made))
    described = card.model_card(known)
    (folder / "card.md").write_text(described, encoding="utf-8", errors="replace")
    page.write(folder, "checklists.html", card.checklists_page(known), {})
    (folder / "checklists.md").write_text(card.checklists_text(known), encoding="utf-8", errors="replace")
    bundle.write(
        folder / "model.plainfilm",
        made.classifier,
        about=known.about,
        metrics=known.metrics.to_share,
        recipe=_without_paths(made.trained.recipe).to_toml(),
        card=described,
        outliers=made.detector.to_bytes() if made.detector else b"",
        seen=made.fingerprints.to_bytes(),
        sign=run.sign,
    )


def _without_paths(recipe: Recipe) -> Recipe:
    """The recipe for the bundle, which is shared: files by their names, not by where they lay on this machine."""
    name, weights = recipe.backbone.name, Path(recipe.backbone.weights).name
    name = name if name.startswith("hf:") else Path(name).name
    return dataclasses.replace(recipe, backbone=dataclasses.replace(recipe.backbone, name=name, weights=weights))


def _about(made: MeasuredClassifier) -> Provenance:
    encoder, prepare = made.trained.encoder, made.trained.encoder.preprocessing
    return Provenance(
        created=environment.now(),
        versions=made.result.versions,
        backend=made.result.backend,
        backbone=BackboneUsed(
            name=encoder.name,
            weights_sha256=encoder.weights_sha256,
            features=encoder.width,
            origins=recipes.origins(made.trained.recipe),
        ),
        preprocessing=FilePreprocessing(
            **structs.asdict(prepare), fit=made.store.attributes["fit"], sha256=prepare.digest()
        ),
        data_fingerprint=made.store.fingerprint,
        prevalence=_prevalence(made),
        intended_use=plainfilm.NOTICE,
        drift=made.drift,
    )


def _prevalence(made: MeasuredClassifier) -> dict[str, float]:
    """Shares of the classes, or of each finding where it is known, in the validation set, which the probabilities were calibrated on."""
    labels, classes = made.judged.scores["validation"].labels, made.result.classes
    if labels.ndim == 2:
        return {name: float((own[own >= 0] == 1).mean()) for name, own in zip(classes, labels.T, strict=True)}
    shares = np.bincount(labels, minlength=len(classes)) / len(labels)
    return dict(zip(classes, shares.tolist(), strict=True))


def _predictions(run: Finished) -> Iterator[Sequence[str]]:
    decision, store = run.trained.decision, run.store
    if store.task == "findings":
        yield [*report_data.findings_heads(decision), *report_data.ORIGIN]
        for part, scores in run.measured.predictions.items():
            lines = report_data.predicted_findings(store, decision, part, scores)
            yield from (
                [*line, *report_data.origin(store, int(row))] for row, line in zip(scores.rows, lines, strict=True)
            )
        return
    named = [decision.positive] if decision.positive else decision.classes
    columns = [store.classes.index(name) for name in named]
    heads = ["probability"] if decision.positive else [f"probability {name}" for name in named]
    yield ["file", "split", "label", *heads, "predicted", *report_data.ORIGIN]
    for part, scores in run.measured.predictions.items():
        called, unsure = decision.predict(scores.probabilities, scores.threshold), scores.unsure(decision)
        for at, row in enumerate(scores.rows):
            yield [
                store.file[row],
                part,
                store.classes[scores.labels[at]],
                *(f"{scores.probabilities[at, column]:.6f}" for column in columns),
                UNSURE if unsure[at] else store.classes[called[at]],
                *report_data.origin(store, int(row)),
            ]


def _report(run: Finished, started: float) -> Report:
    store, trained, found = run.store, run.trained, run.measured
    judged, result = found.whole.judged, found.whole.result
    roc, precision_recall, reliability = report_data.lines(found.lines, result.test)
    seconds = trained.features.seconds
    return Report(
        title=question(store.classes, store.task),
        created=environment.now(),
        version=plainfilm.__version__,
        command=run.command,
        folder=run.name,
        result=result,
        audit=found.audit,
        subgroups=judged.subgroups,
        lower_threshold=trained.decision.lower_threshold,
        utility=judged.utility,
        explanation=found.explanation,
        guess=judged.rule.guess,
        asked=_asked(run),
        paper=paper.beside(trained.recipe.name, result.test),
        tables=report_data.tables(store, judged.rule, [fold.store for fold in found.folds]),
        facts=report_data.facts(store),
        samples=report_data.samples(store),
        problems=report_data.problems(store),
        duplicates=report_data.duplicate_counts(store),
        history=trained.fitted.history,
        balanced_instead=class_weight(trained.recipe, result) != trained.recipe.training.class_weight,
        altered=report_data.altered(store, trained.recipe),
        altered_means=report_data.altered_means(trained.recipe.augmentation),
        roc=roc,
        precision_recall=precision_recall,
        prevalence=found.prevalence,
        reliability=reliability,
        mistakes=report_data.mistakes(store, found.test, trained.decision),
        times=[
            ("Encoding" + (" (from the cache)" if trained.features.cached else ""), seconds),
            ("Training", trained.fitted.seconds),
            ("All until this page", time.perf_counter() - started),
        ],
        images_per_second=len(store) / seconds if seconds else None,
        recipe=trained.recipe.to_toml(),
        hardware=environment.hardware(processors()),
        repeat=_repeat(run, found.whole, run.store.path.name),
    )


def _facts(run: Finished, made: MeasuredClassifier) -> card.Card:
    return card.describe(
        made.store,
        rule=made.judged.rule,
        title=question(made.store.classes, made.store.task),
        folder=run.name,
        recipe=_without_paths(made.trained.recipe),
        repeat=_repeat(run, made, made.store.path.name),
        folds=[fold.store for fold in run.measured.folds] if made is run.measured.whole else (),
    )


def _asked(run: Finished) -> list[tuple[str, str]]:
    trained, recipe, folds = run.trained, run.trained.recipe, len(run.measured.folds)
    members = len(recipe.ensemble.members)
    joined = [f"{folds} folds" if folds else "", f"{members} members" if members else ""]
    encoded = run.measured.whole.result.encoded
    kept = f"{trained.fitted.epoch} of {len(trained.fitted.history)}"
    if trained.fitted.weights is not None:  # of group DRO
        kept = f"the mean of the second half, up to {kept}"
    return [
        ("Store", run.store.shown),
        ("Recipe", recipe.name),
        ("Backbone", f"{trained.encoder.name}; {_sees(run)}"),
        ("Trained on", _trained_on(recipe)),
        *([("Features computed in", str(encoded))] if encoded else []),
        *([("Trainings", " × ".join(filter(None, joined)))] if any(joined) else []),
        *([("Epoch kept", kept)] if trained.fitted.epoch else []),
        ("Seed", str(recipe.seed)),
        (
            "Calibration",
            "slope and intercept, fitted on validation" if recipe.evaluation.calibrate else "not calibrated",
        ),
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


def _repeat(run: Finished, made: MeasuredClassifier, store: str) -> list[str]:
    positive = ["--positive", made.result.positive] if made.result.positive else []
    folds = ["--folds", str(made.result.folds)] if made.result.folds else []
    columns = made.result.subgroups.columns
    by = ["--subgroups", ",".join(columns)] if columns else []
    recipe = f"{run.name}/recipe.toml"
    return [
        f"# plainfilm {plainfilm.__version__} on {environment.processor()}, seed {made.trained.recipe.seed}; all packages: {run.name}/requirements.lock",
        f"# {store} was made by: {run.store.attributes.get('ingested_with', 'an ingest before 0.3, which noted no command')}",
        f"# in the folder that holds {store} and {run.name}",
        shell.command("train", store, "--recipe", recipe, *positive, *folds, *by, "--out", f"{run.name}-again"),
    ]
