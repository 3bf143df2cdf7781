"""`plainfilm tune`: a search for a recipe; the test set is never looked at."""

import gc
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import claims, class_names, files
from plainfilm.data.files import followed
from plainfilm.data.source_split import SourceFolds
from plainfilm.data.store import Store
from plainfilm.errors import UsageError, WeightsError, telling
from plainfilm.evidence.tuning import scoring
from plainfilm.evidence.tuning.choosing import choose
from plainfilm.evidence.tuning.summary import summarise
from plainfilm.extras import require
from plainfilm.model import backbones as rows_of_backbones
from plainfilm.model import encoder, keras_backend, recipes, study, trials, weights
from plainfilm.model.augmentation import Altered
from plainfilm.model.recipe_schema import AugmentationSettings, Recipe
from plainfilm.model.search_space import SearchSpace, Trial
from plainfilm.reporting import tune as report
from plainfilm.results.search import Choice, ScoredRows, Search, TrialResult
from plainfilm.workflows import checks, folding
from plainfilm.workflows.clustering import on_cluster
from plainfilm.workflows.ingest import Rows
from plainfilm.workflows.options import TuneOptions
from plainfilm.workflows.parsing import groups_of
from plainfilm.workflows.progress import Progress
from plainfilm.workflows.stored import Reading, command_of, open_store
from plainfilm.workflows.verb import Run, verb

STUDY = "trials.db"
_UNFINISHED = "unfinished"  # beside the trials of a search that is to replace another
_FILES = (
    _UNFINISHED,
    STUDY,
    f"{STUDY}-journal",
    "trials.csv",
    "tuning.json",
    "tuning.html",
    "best.toml",
)  # and figures/
_MOST = 100_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A search that can begin: the open store, what is searched, sources to leave out, and the weights' hashes by backbone."""

    options: TuneOptions
    store: Store
    read: Reading | None
    space: SearchSpace
    sources: SourceFolds | None
    hashes: Mapping[str, str]
    folder: Path
    started: float

    @property
    def about(self) -> Mapping[str, object]:
        """Everything that the scores depend on, by the names that people know; of the test set nothing but pixels.

        Kept in the study as JSON, by which it is compared: what it holds may change from version to version.
        """
        by_source = {
            "together": [",".join(sorted(own)) for own in groups_of(self.options.together)],
            "rank": self.options.rank,
        }
        return {
            "store": self.store.fingerprint,
            "folds": self.options.folds,
            "labels and split": _seen(self.store, by_source=self.sources is not None),
            "backbones": list(self.space.backbones),
            "weights": [self.hashes[name] for name in self.space.backbones],
            "input sizes": list(self.space.input_sizes),
            "views": self.space.views,
            "epochs": self.space.epochs,
            **(by_source if self.sources else {}),
            "seed": self.space.seed,
            "form of the search": self.space.form,
        }


def plan(options: TuneOptions) -> Plan:
    """Check the options; open the store and look for weights, before seconds go into loading Keras.

    Raises
    ------
    PlainfilmError
        One line: what was expected, what came, what to do.
    """
    folder = followed(options.out)
    require("trials", "optuna")
    checks.check_can_train()
    _check_ranges(options)
    checks.check_figures(options.figures)
    files.settle(folder)
    is_busy = claims.is_taken(folder)
    if options.overwrite:
        claims.check_free(folder)
    if not (folder / STUDY).is_file() and not is_busy:
        _check_new(folder)
        checks.check_out(folder, overwrite=False)
    here = {row.name: row.sha256 for row in weights.listing() if row.present != "no"}
    space = _space(options, here)

    def check_rows(rows: Store | Rows) -> None:
        checks.check_task(rows.task, rows.classes, options.task)
        folding.by_source(options.folds, options.together, rows, seed=options.seed)

    store, read = open_store(options.store, options, options.progress, check_rows=check_rows)
    planned = Plan(
        options=options,
        store=store,
        read=read,
        space=space,
        sources=folding.by_source(
            options.folds, options.together, store, seed=options.seed, rows=_rows_in_search(store)
        ),
        hashes=here,
        folder=folder,
        started=time.monotonic(),
    )
    _inner_folds(planned)
    if (_place(planned) / STUDY).is_file() and not options.overwrite and not is_busy:
        _begin(planned)
    return planned


def _space(options: TuneOptions, here: Mapping[str, str]) -> SearchSpace:
    """Give what is searched; of the backbones those whose weights are `here`."""
    names = _distinct(
        [_named(name, here) for name in options.backbones]
        or [name for name in here if name in rows_of_backbones.BACKBONES]
    )
    return SearchSpace(
        backbones=names,
        input_sizes=_distinct(options.input_sizes),
        views=options.views,
        epochs=options.epochs,
        seed=options.seed,
    )


def _check_ranges(options: TuneOptions) -> None:
    for name, value, low, high in (
        ("--trials", options.trials, 1, _MOST),
        ("--epochs", options.epochs, 1, 10_000),
        ("--views", options.views, 0, 1000),
        ("--timeout", options.timeout or 0, 0, float("inf")),
        *(("--input-sizes", size, 32 if size else 0, 2048) for size in options.input_sizes),
    ):
        checks.check_range(name, value, low, high)
    checks.check_seed(options.seed)
    folding.check(options.folds, options.together, fewest=2, most=20, none=1)
    folding.check_rank(options.folds, options.rank)


@on_cluster
def run(plan: Plan) -> Run[Search]:
    """Encode once, try until all is tried or the time is over, and write the folder; Ctrl-C keeps what is done.

    Raises
    ------
    UsageError
        Another search is running in the folder, and `overwrite` would end it. Without, it is waited for.
    RecipeError
        All trials diverged.
    """
    options, progress = plan.options, plan.options.progress
    plan.folder.parent.mkdir(parents=True, exist_ok=True)
    again = f"run the same command{' without --overwrite' if options.overwrite else ''}"
    turn = claims.turn(
        plan.folder,
        waits=not options.overwrite,
        waiting=lambda: progress("Waiting for the search that runs there", 0, 1, ""),
    )
    with telling(lambda: f"What was tried is kept; {again} to go on."), plan.store as store, turn as own:
        place = _prepared(plan)
        plan, begun = _begin(plan)
        material = _material(plan)
        interrupted = _search(begun, plan, material)
        progress("Writing the page", 0, 1, "")
        summary = summarise(
            begun.results(),
            begun.importances(),
            plan.space,
            store=store,
            folder=plan.folder,
            asked=options.trials,
            scored=_scored_rows(plan, material),
            choice=choose(begun.results(), begun.left_out(), options.rank) if plan.sources else None,
            interrupted=interrupted,
        )
        report.write(
            place, summary, command=command_of(options.command, options.store, options), formats=options.figures
        )
        if place != plan.folder:
            begun.close()
            _keep_others(plan.folder, place)
            files.replace_folder(own, place, plan.folder)
            (plan.folder / _UNFINISHED).unlink()
    progress("Writing the page", 1, 1, "")
    return Run(plan.folder, summary.result, store.path)


def _place(plan: Plan) -> Path:
    """Where trials are kept: in the folder; or beside it, while an older search is there that they are to replace."""
    beside = claims.beside(plan.folder, "search")
    replaces = plan.options.overwrite and (plan.folder / STUDY).is_file()
    return beside if replaces or (beside / _UNFINISHED).is_file() else plan.folder


def _prepared(plan: Plan) -> Path:
    """Make the place for the trials; what lies beside the folder and is not gone on with is removed."""
    place, beside = _place(plan), claims.beside(plan.folder, "search")
    if plan.options.overwrite or place == plan.folder:
        claims.remove(beside)
    place.mkdir(exist_ok=True)
    if place == beside:
        (place / _UNFINISHED).touch()
    else:
        (place / _UNFINISHED).unlink(missing_ok=True)
    return place


def _begin(plan: Plan) -> tuple[Plan, study.Study]:
    """Open the search, or begin one; one that goes on does so in the form that it has."""
    path = _place(plan) / STUDY
    if path.is_file():
        plan = replace(plan, space=replace(plan.space, form=study.form_of(path)))
    return plan, study.open_study(path, plan.space, plan.about)


def _keep_others(old: Path, new: Path) -> None:
    """Take along what else lies in the folder of a search."""

    def ignored(folder: str, _names: list[str]) -> set[str]:
        return {*_FILES, "figures"} if Path(folder) == old else set()

    shutil.copytree(old, new, symlinks=True, ignore=ignored, copy_function=_linked, dirs_exist_ok=True)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _check_new(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(
            f"Expected --out to be a new folder or one of an earlier search; received {folder}, which has other files in it. Name another."
        )


def _named(name: str, here: Mapping[str, str]) -> str:
    known = {*rows_of_backbones.BACKBONES, *rows_of_backbones.HUB}
    if name not in known and (name.endswith(".onnx") or Path(name).exists() or name.startswith("hf:")):
        raise UsageError(f"Expected backbones of `plainfilm weights list`; received the file {name}. Name others.")
    rows_of_backbones.find(name)
    if name not in here:
        raise WeightsError(
            f"Expected the weights of {name} on this machine; a search fetches nothing. Write: plainfilm weights fetch {name}"
        )
    return name


def _distinct(values: Sequence[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


def _seen(store: Store, *, by_source: bool) -> str:
    """SHA-256 over classes, and over row, label and group (and source) of each image in train and validation."""
    digest = hashlib.sha256(repr(store.classes).encode())
    for name in ("train", "validation"):
        rows = store.rows(name)
        for column in (rows, store.targets[rows], store.group[rows]):
            digest.update(np.ascontiguousarray(column, np.int64).tobytes())
        if by_source:
            digest.update(repr(store.source[rows].tolist()).encode())
    return digest.hexdigest()


def _rows_in_search(store: Store) -> NDArray[np.int64]:
    """Rows of training and validation set, which are all that a search looks at."""
    return np.sort(np.concatenate([store.rows("train"), store.rows("validation")]))


def _inner_folds(plan: Plan) -> list[trials.InnerFold]:
    store, seed, folds = plan.store, plan.space.seed, plan.options.folds
    if plan.sources:
        pairs = folding.by_two_sources(plan.sources, store, seed=seed, rows=_rows_in_search(store))
        return trials.source_folds(plan.sources, pairs)
    train, validation = store.rows("train"), store.rows("validation")
    count = folds if isinstance(folds, int) else 1
    return trials.inner_folds(train, validation, store.targets, store.group, store.classes, folds=count, seed=seed)


def _scored_rows(plan: Plan, material: trials.Material) -> ScoredRows:
    folds = [fold for fold in material.folds if len(fold.left_out) < 2]
    return ScoredRows(
        radiographs=sum(len(rows) for fold in folds for rows in fold.scored),
        folds=len(folds),
        sources=tuple(fold.name for fold in plan.sources.folds) if plan.sources else (),
        together=plan.sources.together if plan.sources else (),
    )


def _material(plan: Plan) -> trials.Material:
    store = plan.store
    is_of_two = len(store.classes) == 2 and store.task == "classes"
    named = class_names.positive_of(*store.classes) if is_of_two else None
    positive = store.classes.index(named) if named else 0  # either will do for a loss
    return trials.Material(
        features={
            key: _encode(store, recipe, plan.space, plan.options.progress)
            for key, recipe in plan.space.encodings().items()
        },
        labels=store.targets,
        strata=np.unique(store.source, return_inverse=True)[1],
        folds=_inner_folds(plan),
        classes=len(store.classes),
        positive=positive,
        score=partial(scoring.balanced_log_losses if plan.sources else scoring.log_losses, positive=positive),
    )


def _encode(store: Store, recipe: Recipe, space: SearchSpace, progress: Progress) -> list[encoder.Features]:
    """Encode a store by one backbone at one input size, and each augmented view of it; or find that in the cache."""
    name, size = recipe.backbone.name, recipe.backbone.input_size
    opened = encoder.open_encoder(*recipes.prepared(recipe, store.size))
    settings = AugmentationSettings(views=space.views)
    sources: list[encoder.ImageSource] = [store]
    sources += [Altered(store, settings, seed=space.seed, view=view) for view in range(1, space.views + 1)]
    stage, every = f"Encoding, {name}{f' {size} px' if size else ''}", len(sources) * len(store)

    def encoded(number: int, source: encoder.ImageSource) -> encoder.Features:
        before = number * len(store)
        return encoder.encode_store(opened, source, progress=lambda done, _: progress(stage, before + done, every, ""))

    features = [encoded(number, source) for number, source in enumerate(sources)]
    progress(stage, every, every, "features found in the cache" if all(each.cached for each in features) else "")
    return features


def _search(begun: study.Study, plan: Plan, material: trials.Material) -> bool:
    """Try until all is tried or the time is over; whether Ctrl-C came, which keeps what is done."""
    options = plan.options
    until = float("inf") if options.timeout is None else plan.started + options.timeout

    def on_trial(done: Sequence[TrialResult]) -> None:
        best = study.best(done)
        where = f"{options.rank} log loss" if plan.sources else "validation log loss"
        note = f"best: trial {best.number}, {where} {best.log_loss:.4f}" if best else ""
        options.progress("Searching", len(done), max(options.trials, len(done)), note)

    try_one = partial(_try, space=plan.space, material=material, measured=_measured(plan, material))
    gc.freeze()  # collecting what a trial leaves need not go over all of TensorFlow: measured 0.4 s a trial
    try:
        begun.run(try_one, trials=options.trials, until=until, on_trial=on_trial)
    except KeyboardInterrupt:
        if study.best(begun.results()) is None:
            raise
        return True
    finally:
        gc.unfreeze()
    return False


def _measured(plan: Plan, material: trials.Material) -> Callable[[trials.Outcome], trials.Scored]:
    of: dict[str, Any] = {"labels": material.labels, "group": plan.store.group, "positive": material.positive}
    if plan.sources:
        return partial(scoring.score_left_out, folds=material.folds, rank=plan.options.rank, **of)
    return partial(scoring.score, **of)


def _try(
    trial: Trial,
    chosen: Mapping[str, Choice],
    *,
    space: SearchSpace,
    material: trials.Material,
    measured: Callable[[trials.Outcome], trials.Scored],
) -> trials.Scored:
    try:
        ended = trials.attempt(trial, space, chosen, material)
    finally:
        keras_backend.load().backend.clear_session()  # or each trial's graphs stay in memory
    return measured(ended)


tune = verb(TuneOptions, plan, run)
