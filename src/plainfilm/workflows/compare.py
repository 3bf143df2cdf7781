"""`plainfilm compare`: several recipes with several random seeds each, or finished runs, side by side and tested."""

import hashlib
import re
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plainfilm import __version__
from plainfilm.data import claims
from plainfilm.data.files import followed
from plainfilm.data.source_split import SourceFolds
from plainfilm.data.store import Store
from plainfilm.errors import UsageError, telling
from plainfilm.evidence.evaluation import comparison
from plainfilm.evidence.evaluation.comparison import ComparedRecipes, TrainingRun
from plainfilm.evidence.evaluation.evaluate import Fold, Judged
from plainfilm.evidence.run import measure
from plainfilm.model import keras_backend, recipes
from plainfilm.model.classifier import Trained
from plainfilm.model.recipe_schema import Recipe
from plainfilm.reporting import compare as report
from plainfilm.reporting import environment
from plainfilm.reporting import train as training_report
from plainfilm.reporting.train import Finished
from plainfilm.results.comparison import Comparison
from plainfilm.workflows import checks, compared_runs, elsewhere, folding
from plainfilm.workflows.clustering import on_cluster
from plainfilm.workflows.compared_runs import FinishedRun
from plainfilm.workflows.fit import fit, fit_without_sources
from plainfilm.workflows.folders import new_folder
from plainfilm.workflows.ingest import Rows
from plainfilm.workflows.options import CompareOptions, SourceOptions
from plainfilm.workflows.parsing import settings_of
from plainfilm.workflows.progress import stage
from plainfilm.workflows.reading import given_of
from plainfilm.workflows.stored import Reading, command_of, open_store, places_of
from plainfilm.workflows.verb import Run, verb

KEPT = "trainings"  # folder of the trainings in that of the comparison
_OF_TRAININGS = (
    "recipes",
    "seeds",
    "folds",
    "together",
    "rank",
    "settings",
    "positive",
)  # options that runs have no use for


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsPlan:
    """Finished runs that can be compared."""

    options: CompareOptions
    runs: Sequence[FinishedRun]
    folder: Path
    read: None = None
    finetunes: bool = False
    trains: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A comparison that can begin: the open store, each recipe once per seed, and the positive class."""

    options: CompareOptions
    store: Store
    read: Reading | None
    recipes: Sequence[Sequence[Recipe]]
    sources: SourceFolds | None  # to leave out in turn
    pairs: Mapping[tuple[int, int], NDArray[np.str_]]  # the split without two of them, by their numbers
    positive: str | None
    folder: Path
    trains: bool = True

    @property
    def epochs(self) -> Path:
        """Where fine-tunings keep their epochs until the folder is whole: a command that was killed goes on from there."""
        return claims.beside(self.folder, "epochs")

    @property
    def names(self) -> Sequence[Sequence[str]]:
        """Names of the folders of all trainings, a sequence a recipe."""
        plain = [re.sub(r"[^\w.-]+", "-", own[0].name)[:60].strip("-.") or "recipe" for own in self.recipes]
        seen = Counter[str]()
        found = []
        for name, own in zip(plain, self.recipes, strict=True):
            seen[name] += 1
            number = f"-{seen[name]}" if seen[name] > 1 else ""
            found.append([f"{name}{number}-seed{recipe.seed}" for recipe in own])
        return found

    @property
    def finetunes(self) -> bool:
        """Whether a backbone's own weights are going to be trained by any recipe."""
        return any(recipes.finetunes(own[0]) for own in self.recipes)


def plan(options: CompareOptions) -> Plan | RunsPlan:
    """Check the options; open the store and load the recipes, or read the runs that are named in its place.

    Raises
    ------
    PlainfilmError
        One line: what was expected, what came, what to do.
    """
    folder = followed(options.out)
    checks.check_figures(options.figures)
    if any(compared_runs.is_run(place) for place in places_of(options.store)):
        return _plan_of_runs(options, folder)
    chosen = _chosen(options, folder)

    def check_size(image_size: int) -> None:
        for own in chosen:
            checks.check_networks(recipes.members(own[0]), image_size)

    def check_rows(rows: Store | Rows) -> None:
        checks.check_rows(rows.classes, len(rows.labels), rows.task)
        checks.check_task(rows.task, rows.classes, options.task)
        positive = checks.positive_class(rows.classes, options.positive, task=rows.task)
        checks.check_three_answers([own[0] for own in chosen], positive, rows.task)
        folding.by_source(options.folds, options.together, rows, seed=0)

    store, read = open_store(
        options.store,
        options,
        options.progress,
        check_size=check_size,
        check_rows=check_rows,
    )
    sources = folding.by_source(options.folds, options.together, store, seed=0)
    return Plan(
        options=options,
        store=store,
        read=read,
        recipes=chosen,
        sources=sources,
        pairs=folding.by_two_sources(sources, store, seed=0) if sources else {},
        positive=checks.positive_class(store.classes, options.positive, task=store.task),
        folder=folder,
    )


def _chosen(options: CompareOptions, folder: Path) -> list[list[Recipe]]:
    """Check what needs no data, and load the recipes, each with all seeds."""
    settings = settings_of(options.settings)
    if not options.recipes:
        raise UsageError(
            "Expected --recipes with the names of recipes, such as --recipes default,robust, or two run folders in the place of the store; "
            "received neither. Name some."
        )
    if twice := [name for name, count in Counter(options.recipes).items() if count > 1]:
        raise UsageError(f"Expected --recipes to name each once; received {twice[0]} again. Leave one out.")
    checks.check_can_train()
    folding.check_by_source(options.folds, options.together, options.rank)
    if not 1 <= options.seeds <= 100:
        raise UsageError(f"Expected from 1 to 100 seeds; received {options.seeds}. Set --seeds within that range.")
    if "seed" in settings:
        raise UsageError(
            "Expected no seed among the settings; compare uses the seeds 0, 1, … itself. Give their number with --seeds."
        )
    checks.check_out(folder, overwrite=options.overwrite)
    chosen = [
        [recipes.load(name, settings | {"seed": seed}) for seed in range(options.seeds)] for name in options.recipes
    ]
    for member in (member for own in chosen for member in recipes.members(own[0])):
        checks.check_recipe(member)
    return chosen


def _plan_of_runs(options: CompareOptions, folder: Path) -> RunsPlan:
    defaults = CompareOptions("")
    of_trainings = [f"--{name}" for name in _OF_TRAININGS if getattr(options, name) != getattr(defaults, name)]
    if given := " and ".join(filter(None, [*of_trainings, given_of(options, SourceOptions)])):
        raise UsageError(f"Expected {given} with a store, which is trained on; received finished runs. Leave it out.")
    checks.check_out(folder, overwrite=options.overwrite)
    return RunsPlan(options=options, runs=compared_runs.read(places_of(options.store)), folder=folder)


@on_cluster
def run(plan: Plan | RunsPlan) -> Run[Comparison]:
    """Train every recipe with every seed, test all of them and write the folder; of runs only compare what they answered."""
    if isinstance(plan, RunsPlan):
        with new_folder(plan.folder, overwrite=plan.options.overwrite) as partial:
            compared = compared_runs.compare(plan.runs)
            report.write(partial, compared, store=compared.result.data.store if compared.result.data else "",
                         images=compared.result.n or 0, name=plan.folder.name, command=plan.options.command,
                         formats=plan.options.figures)  # fmt: skip
        return Run(plan.folder, compared.result)
    options, name = plan.options, plan.folder.name
    keras_backend.load(finetunes=plan.finetunes)
    told = telling(lambda: "What is trained is kept: run the same command to go on.")
    with told, plan.store as store, new_folder(plan.folder, overwrite=options.overwrite) as partial:
        elsewhere.train(_trainings(plan), plan.positive, options.progress)
        trained = [_fit_seeds(plan, own) for own in plan.recipes]
        openings = store.log_test_opening(
            *(f"compare {name}, recipe {recipe.name}, seed {recipe.seed}" for own in plan.recipes for recipe in own)
        )
        compared = comparison.compare(
            store, trained, openings=openings, sources=plan.sources, rank=options.rank,
            folders=[[f"{KEPT}/{each}" for each in own] for own in plan.names],
        )  # fmt: skip
        _keep(plan, partial / KEPT, trained, compared)
        images, command = len(store.rows("test")), command_of(options.command, options.store, options)
        report.write(
            partial, compared, store=store.shown, images=images, name=name, command=command, formats=options.figures
        )
    shutil.rmtree(plan.epochs, ignore_errors=True)
    return Run(plan.folder, compared.result, store.path)


def _keep(plan: Plan, folder: Path, trained: Sequence[Sequence[TrainingRun]], compared: ComparedRecipes) -> None:
    """Keep every training as a run of its own: bundle, predictions, metrics with versions, recipe, history."""
    each = [
        (name, run.trained, judged)
        for names, own, found in zip(plan.names, trained, compared.judged, strict=True)
        for name, run, judged in zip(names, own, found, strict=True)
    ]
    with stage(plan.options.progress, "Keeping trainings") as advance:
        for number, (name, own, judged) in enumerate(each, 1):
            training_report.keep(folder / name, _finished(plan, name, own, judged, compared.result.test_openings))
            advance(number, len(each))


def _finished(plan: Plan, name: str, own: Trained, judged: Judged, openings: int) -> Finished:
    found = measure(plan.store, own, own.classifier(), judged, openings=openings, versions=environment.versions())
    return Finished(measured=found, name=name, command=plan.options.command)


def _trainings(plan: Plan) -> list[tuple[Store, Recipe]]:
    """Give every training of a comparison: each recipe on the store, without each source, and without each two."""
    left_out = [own.split for own in plan.sources.folds] if plan.sources else []
    views = [plan.store, *map(plan.store.with_split, [*left_out, *plan.pairs.values()])]
    return [(view, recipe) for own in plan.recipes for recipe in own for view in views]


def _fit_seeds(plan: Plan, own: Sequence[Recipe]) -> list[TrainingRun]:
    runs, progress = [], plan.options.progress
    for number, recipe in enumerate(own):
        progress(f"Recipe {recipe.name}", number, len(own), f"seed {recipe.seed}")
        start = time.perf_counter()
        trained = fit(
            plan.store, recipe, positive=plan.positive, checkpoints=_epochs(plan, recipe), is_one_of_several=True
        )
        taken = max(time.perf_counter() - start, trained.fitted.seconds)  # one that was found took no time now
        runs.append(
            TrainingRun(trained, taken, *(_without_sources(plan, recipe, plan.sources) if plan.sources else ()))
        )
    progress(f"Recipe {own[0].name}", len(own), len(own), "")
    return runs


def _epochs(plan: Plan, recipe: Recipe) -> Path:
    """Name a folder for the epochs of a fine-tuning by all that it depends on: those of another one are left alone."""
    about = f"{__version__} {plan.store.fingerprint} {plan.positive} {recipe.to_toml()}"
    return plan.epochs / hashlib.sha256(about.encode()).hexdigest()[:16]


def _without_sources(
    plan: Plan, recipe: Recipe, sources: SourceFolds
) -> tuple[Sequence[Fold], Mapping[tuple[int, int], Fold]]:
    """Train without each source, and without each two that have nothing in common."""
    store = plan.store
    two = {
        pair: Fold(view := store.with_split(own), fit(view, recipe, positive=plan.positive, is_one_of_several=True))
        for pair, own in plan.pairs.items()
    }
    return fit_without_sources(store, recipe, sources, positive=plan.positive), two


compare = verb(CompareOptions, plan, run, renamed={"recipe_names": "recipes"})
