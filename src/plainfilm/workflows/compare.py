"""`plainfilm compare`: several recipes with several random seeds each, side by side."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.files import followed
from plainfilm.data.source_split import SourceFolds
from plainfilm.data.store import Store
from plainfilm.errors import UsageError
from plainfilm.evidence.evaluation import comparison
from plainfilm.evidence.evaluation.comparison import TrainingRun
from plainfilm.evidence.evaluation.evaluate import Fold
from plainfilm.model import keras_backend, recipes
from plainfilm.model.recipe_schema import Recipe
from plainfilm.reporting import compare as report
from plainfilm.results.comparison import Comparison
from plainfilm.workflows import checks, elsewhere, folding
from plainfilm.workflows.clustering import on_cluster
from plainfilm.workflows.fit import fit, fit_without_sources
from plainfilm.workflows.folders import new_folder
from plainfilm.workflows.ingest import Rows
from plainfilm.workflows.options import CompareOptions
from plainfilm.workflows.parsing import settings_of
from plainfilm.workflows.stored import Reading, command_of, open_store
from plainfilm.workflows.verb import Run, verb


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

    @property
    def finetunes(self) -> bool:
        """Whether a backbone's own weights are going to be trained by any recipe."""
        return any(recipes.finetunes(own[0]) for own in self.recipes)


def plan(options: CompareOptions) -> Plan:
    """Check the options; open the store and load the recipes.

    Raises
    ------
    PlainfilmError
        One line: what was expected, what came, what to do.
    """
    folder, settings = followed(options.out), settings_of(options.settings)
    checks.check_can_train()
    folding.check_by_source(options.folds, options.together, options.rank)
    if not 1 <= options.seeds <= 100:
        raise UsageError(f"Expected from 1 to 100 seeds; received {options.seeds}.")
    if "seed" in settings:
        raise UsageError(
            "Expected no seed among the settings; compare uses the seeds 0, 1, … itself. Give their number with --seeds."
        )
    checks.check_out(folder, overwrite=options.overwrite)
    chosen = [
        [recipes.load(name, settings | {"seed": seed}) for seed in range(options.seeds)] for name in options.recipes
    ]
    for own in chosen:
        for member in recipes.members(own[0]):
            checks.check_recipe(member)

    def check_size(image_size: int) -> None:
        for own in chosen:
            checks.check_networks(recipes.members(own[0]), image_size)

    def check_rows(rows: Store | Rows) -> None:
        positive = checks.positive_class(rows.classes, options.positive)
        checks.check_three_answers([own[0] for own in chosen], positive)
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
        positive=checks.positive_class(store.classes, options.positive),
        folder=folder,
    )


@on_cluster
def run(plan: Plan) -> Run[Comparison]:
    """Train every recipe with every seed, test all of them and write the folder."""
    options, name = plan.options, plan.folder.name
    keras_backend.load(finetunes=plan.finetunes)
    with plan.store as store, new_folder(plan.folder, overwrite=options.overwrite) as partial:
        elsewhere.train(_trainings(plan), plan.positive, options.progress)
        trained = [_fit_seeds(plan, own) for own in plan.recipes]
        openings = store.log_test_opening(
            *(f"compare {name}, recipe {recipe.name}, seed {recipe.seed}" for own in plan.recipes for recipe in own)
        )
        compared = comparison.compare(store, trained, openings=openings, sources=plan.sources, rank=options.rank)
        images, command = len(store.rows("test")), command_of(options.command, options.store, options)
        report.write(partial, compared, store=store.shown, images=images, name=name, command=command)
    return Run(plan.folder, compared.result, store.path)


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
        trained = fit(plan.store, recipe, positive=plan.positive, is_one_of_several=True)
        taken = max(time.perf_counter() - start, trained.fitted.seconds)  # one that was found took no time now
        runs.append(
            TrainingRun(trained, taken, *(_without_sources(plan, recipe, plan.sources) if plan.sources else ()))
        )
    progress(f"Recipe {own[0].name}", len(own), len(own), "")
    return runs


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
