"""`plainfilm train`: a store becomes a classifier, tested, with its report."""

import dataclasses
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from msgspec import structs

from plainfilm.data import claims, split
from plainfilm.data.files import followed
from plainfilm.data.source_curve import Drawn
from plainfilm.data.source_split import SourceFolds
from plainfilm.data.store import Store
from plainfilm.errors import UsageError, telling
from plainfilm.evidence import attributes
from plainfilm.evidence.audit.audit import audit
from plainfilm.evidence.audit.findings import AuditFindings
from plainfilm.evidence.evaluation.evaluate import Fold, Judged, judge, judge_folds
from plainfilm.evidence.evaluation.left_out import LeftOut, Looked, judge_left_out
from plainfilm.evidence.explanation.summary import ExplanationFindings, look, look_at_lungs
from plainfilm.evidence.run import measure
from plainfilm.model import callbacks, keras_backend, recipes, signing
from plainfilm.model.classifier import Classifier, Trained
from plainfilm.model.recipe_schema import Recipe
from plainfilm.reporting import environment
from plainfilm.reporting import train as report
from plainfilm.results.metrics import LearningCurve, RunMetrics
from plainfilm.workflows import checks, curve, folding, tracking
from plainfilm.workflows.audited_model import probing_encoder
from plainfilm.workflows.clustering import on_cluster
from plainfilm.workflows.fit import cross_validate, fit, fit_without_sources
from plainfilm.workflows.folders import new_folder
from plainfilm.workflows.ingest import Rows
from plainfilm.workflows.options import TrainOptions
from plainfilm.workflows.parsing import AUTO, settings_of
from plainfilm.workflows.progress import stage
from plainfilm.workflows.stored import Reading, command_of, open_store
from plainfilm.workflows.tracking import Tracking
from plainfilm.workflows.verb import Run, verb


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A training that can begin: the open store, the recipe, and the positive class (None with more than two).

    `folds` are those of a cross-validation by patient, 0 for none; `sources` those of one by source, and `drawn` what the
    trainings of its learning curve learn from.
    """

    options: TrainOptions
    store: Store
    read: Reading | None
    recipe: Recipe
    folds: int
    sources: SourceFolds | None
    drawn: Sequence[Drawn]
    positive: str | None
    folder: Path
    tracking: Tracking | None

    @property
    def remarks(self) -> list[str]:
        """What is to be known of the backbones before it begins."""
        return checks.remarks(recipes.members(self.recipe), self.store.size)

    @property
    def epochs(self) -> Path:
        """Where a fine-tuning keeps its epochs until the run folder is whole."""
        return _epochs(self.folder)

    @property
    def finetunes(self) -> bool:
        """Whether a backbone's own weights are going to be trained."""
        return recipes.finetunes(self.recipe)


def plan(options: TrainOptions) -> Plan:
    """Check everything that can be wrong before seconds go into loading Keras; open the store and load the recipe.

    Raises
    ------
    PlainfilmError
        One line: what was expected, what came, what to do.
    """
    folder = followed(options.out)
    options, recipe = _asked(options, folder)
    tracked = tracking.opened(options.mlflow)
    count = options.folds if isinstance(options.folds, int) else 0

    def check_rows(rows: Store | Rows) -> None:
        checks.check_rows(rows.classes, len(rows.labels), rows.task)
        checks.check_task(rows.task, rows.classes, options.task)
        positive = checks.positive_class(rows.classes, options.positive, task=rows.task)
        checks.check_three_answers([recipe], positive, rows.task)
        if count:
            split.check_enough_to_fold(rows.targets, rows.group, rows.classes, count=count)
        sources = folding.by_source(options.folds, options.together, rows, seed=recipe.seed)
        curve.draw(rows, sources, curve=options.curve, seed=recipe.seed)

    store, read = open_store(
        options.store,
        options,
        options.progress,
        show_text=options.show_text,
        check_size=partial(checks.check_networks, recipes.members(recipe), folds=count),
        check_rows=check_rows,
    )
    attributes.check_columns(store, options.subgroups)
    store.subgroups = tuple(options.subgroups)
    if count:
        split.folds(store.targets, store.group, store.classes, count=count)
    sources = folding.by_source(options.folds, options.together, store, seed=recipe.seed)
    return Plan(
        options=options,
        store=store,
        read=read,
        recipe=recipe,
        folds=count,
        sources=sources,
        drawn=curve.draw(store, sources, curve=options.curve, seed=recipe.seed),
        positive=checks.positive_class(store.classes, options.positive, task=store.task),
        folder=folder,
        tracking=tracked,
    )


def _asked(options: TrainOptions, folder: Path) -> tuple[TrainOptions, Recipe]:
    """Check what needs no data, and load the recipe; its backbones say the size where that is left to them."""
    checks.check_can_train()
    checks.check_out(folder, overwrite=options.overwrite)
    checks.check_figures(options.figures)
    folding.check(options.folds, options.together, fewest=2, most=100)
    curve.check(curve=options.curve, folds=options.folds)
    recipe = recipes.load(options.recipe, settings_of(options.settings) | options.of_recipe())
    for member in recipes.members(recipe):
        checks.check_recipe(member)
    if options.size == AUTO:
        options = dataclasses.replace(options, size=checks.size_for(recipes.members(recipe)))
    callbacks.check(options.callbacks, finetunes=recipes.finetunes(recipe))
    if options.sign is not None:
        signing.sign(b"", Path(options.sign))
    if _epochs(folder).is_dir() and not (options.resume or options.overwrite):
        raise UsageError(
            f"Expected --resume to go on with the interrupted training of {folder}, or --overwrite to start it anew; received neither."
        )
    return options, recipe


def _epochs(folder: Path) -> Path:
    return claims.beside(folder, "epochs")


@on_cluster
def run(plan: Plan) -> Run[RunMetrics]:
    """Train, test, audit and write the run folder."""
    started, options, progress = time.perf_counter(), plan.options, plan.options.progress
    keras_backend.load(finetunes=plan.finetunes)
    kept = telling(lambda: _kept(plan.epochs))
    failure = tracking.noting_failure(plan.tracking, plan.folder.name)
    with failure, kept, plan.store as store, new_folder(plan.folder, overwrite=options.overwrite) as partial:
        if not options.resume:
            shutil.rmtree(plan.epochs, ignore_errors=True)
        trained, judged, openings, folds = _trained_and_judged(plan)
        audited = _audit(plan, trained, judged) if options.audit else None
        joined = trained.classifier()
        explained = _look(plan, joined, judged) if options.audit else None
        left_out = _without_sources(plan, plan.sources, judged.speaks) if plan.sources else None
        progress("Writing the report", 0, 1, "")
        measured = measure(
            store,
            trained,
            joined,
            judged,
            openings=openings,
            versions=environment.versions(),
            folds=folds,
            left_out=left_out,
            audit=audited,
            explanation=explained,
        )
        sign = Path(options.sign) if options.sign else None
        command = command_of(options.command, options.store, options)
        finished = report.Finished(
            measured=measured, name=plan.folder.name, command=command, sign=sign, formats=options.figures
        )
        metrics = report.write(partial, finished, started=started)
    shutil.rmtree(plan.epochs, ignore_errors=True)
    progress("Writing the report", 1, 1, "")
    if plan.tracking is not None:
        tracking.log(plan.tracking, plan.folder, metrics, plan.recipe, trained.fitted.history)
    return Run(plan.folder, metrics, store.path)


def _kept(epochs: Path) -> str:
    """What a fine-tuning that is stopped leaves."""
    if not epochs.is_dir():
        return ""
    return "Its whole epochs are kept: run the same command with --resume to go on, or with --overwrite to begin again."


def _trained_and_judged(plan: Plan) -> tuple[Trained, Judged, int, Sequence[Fold]]:
    """Train and test, once or once per fold; the test set is opened in between, and that is noted."""
    store, options, progress = plan.store, plan.options, plan.options.progress
    what = f"train {plan.folder.name}, recipe {plan.recipe.name}"
    if plan.folds:
        openings = store.log_test_opening(f"{what}, {plan.folds} folds")
        found = cross_validate(
            store,
            plan.recipe,
            plan.folds,
            positive=plan.positive,
            checkpoints=plan.epochs,
            callbacks=options.callbacks,
            progress=progress,
        )
        progress("Testing", 0, 1, "")
        judged = judge_folds(store, found.trained, found.folds)
        progress("Testing", 1, 1, "")
        return found.trained, judged, openings, found.folds
    trained = fit(
        store,
        plan.recipe,
        positive=plan.positive,
        checkpoints=plan.epochs,
        callbacks=options.callbacks,
        progress=progress,
    )
    progress("Testing", 0, 1, "")
    openings = store.log_test_opening(what)
    judged = judge(store, trained)
    progress("Testing", 1, 1, "")
    return trained, judged, openings, ()


def _without_sources(plan: Plan, sources: SourceFolds, speaks: str | None) -> LeftOut:
    """Train once a source that is left out, and test there; where the audit runs, also see where it looks there, of findings for the one that `speaks`."""
    store, progress = plan.store, plan.options.progress
    made = fit_without_sources(
        store,
        plan.recipe,
        sources,
        positive=plan.positive,
        checkpoints=plan.epochs,
        callbacks=plan.options.callbacks,
        progress=progress,
    )
    with stage(progress, "Testing on sources left out") as advance:
        looked = []
        for number, fold in enumerate(made if plan.options.audit else (), 1):
            looked.append(_looked(fold, speaks))
            advance(number, len(made))
        found = judge_left_out(store, sources, made, looked)
    result = structs.replace(found.result, curve=_curve(plan), looked_at=speaks if looked else None)
    return dataclasses.replace(found, result=result)


def _looked(fold: Fold, speaks: str | None) -> Looked | None:
    """See where a classifier looks at what was left out; None where nothing is known there of the finding that `speaks`."""
    own, classifier = fold, fold.trained.classifier()
    if speaks is not None:
        own, classifier = fold.of(speaks), classifier.of(speaks)
    rows = own.store.rows("test")
    return look_at_lungs(own.store, classifier, rows, own.trained.probabilities(rows)) if len(rows) else None


def _curve(plan: Plan) -> LearningCurve | None:
    if not plan.drawn:
        return None
    return curve.learn(
        plan.store,
        plan.recipe,
        plan.drawn,
        positive=plan.positive,
        checkpoints=plan.epochs,
        callbacks=plan.options.callbacks,
        progress=plan.options.progress,
    )


def _audit(plan: Plan, trained: Trained, judged: Judged) -> AuditFindings:
    with stage(plan.options.progress, "Auditing") as advance:
        return audit(
            plan.store,
            probing_encoder(plan.store, trained.encoder),
            features=trained.features,
            model=judged.metrics[judged.tested],
            seed=plan.recipe.seed,
            advance=advance,
        )


def _look(plan: Plan, joined: Classifier, judged: Judged) -> ExplanationFindings | None:
    plan.options.progress("Explaining", 0, 1, "")
    store, test = plan.store, judged.scores[judged.tested]
    if judged.speaks is not None:  # of several findings one is looked at
        store, joined, test = (
            store.of(judged.speaks),
            joined.of(judged.speaks),
            judged.findings[judged.speaks].scores[judged.tested],
        )
    found = look(store, joined, test.rows, test.probabilities, seed=plan.recipe.seed)
    plan.options.progress("Explaining", 1, 1, "")
    return found


train = verb(TrainOptions, plan, run)
