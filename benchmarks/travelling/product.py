"""Recipes as the product trains them: at every left-out source and pair, and within a source by folds of patients."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import split
from plainfilm.data.store import Store
from plainfilm.model import recipes
from plainfilm.model.classifier import head_logits
from plainfilm.workflows import fit
from travelling.films import relabelled
from travelling.folds import DRAWS, A, B, Films, Fold

FOLDS_WITHIN = 5


def areas(films: Films, recipe: str, seed: int) -> dict[str, NDArray[np.float64]]:
    """AUROC of a recipe at every left-out source and pair, with its draws, by the folds' names."""
    return {fold.name: films.areas(fold, scores(films, recipe, fold, seed)) for fold in (*A, *B)}


def scores(films: Films, recipe: str, fold: Fold, seed: int) -> NDArray[np.float64]:
    """Train on what a fold leaves, 82 % of it for weights and the rest for epoch and calibration; log odds of all films (n)."""
    classes = ("NORMAL", "COVID" if fold.task == "B" else "SICK")
    view = relabelled(films.store, classes, films.positive(fold.task), films.used(fold.task))
    parts, rest = np.full(len(view), "", "U10"), np.flatnonzero(films.train(fold))
    parts[rest] = np.array(split.NAMES[:2])[
        split.assign(view.labels[rest], view.group[rest], shares=split.SHARES[:2], seed=seed)
    ]
    parts[films.test(fold)] = "test"
    loaded = recipes.load(recipe, {"seed": seed})
    trained = fit.fit(view.with_split(parts), loaded, positive=classes[1])
    return trained.decision.log_odds(head_logits(trained.head, trained.features.read, np.arange(len(view))))


def right(store: Store, recipe: str, seed: int) -> NDArray[np.float64]:
    """Whether each labelled film is told rightly by the classifier of the fold that had not seen it, float64 (n); nan without a label."""
    positive = "COVID" if len(store.classes) == 2 else None
    done = fit.cross_validate(store, recipes.load(recipe, {"seed": seed}), FOLDS_WITHIN, positive=positive)
    found = np.full(len(store), np.nan)
    for fold in done.folds:
        rows = fold.store.rows("test")
        found[rows] = fold.trained.decision.predict(fold.trained.probabilities(rows)) == store.labels[rows]
    return found


def accuracies(store: Store, names: list[str], seeds: int) -> dict[str, NDArray[np.float64]]:
    """Accuracy by recipe, mean over the seeds: as it is, and in draws of patients, float64 (1 + draws)."""
    rows = np.flatnonzero(store.labels >= 0)
    _, patient = np.unique(store.group[rows], return_inverse=True)
    drawn = np.random.default_rng(0).multinomial(
        patient.max() + 1, np.full(patient.max() + 1, 1 / (patient.max() + 1)), DRAWS
    )
    weights = np.concatenate([np.ones((1, len(rows))), drawn[:, patient]])
    found = {}
    for name in names:
        told = np.mean([right(store, name, seed)[rows] for seed in range(seeds)], axis=0)
        found[name] = (weights * told).sum(axis=1) / weights.sum(axis=1)
    return found


def mean_over_seeds(films: Films, recipe: str, seeds: int) -> dict[str, NDArray[np.float64]]:
    """Areas of a recipe, the mean over its seeds."""
    every: list[Mapping[str, NDArray[np.float64]]] = [areas(films, recipe, seed) for seed in range(seeds)]
    return {name: np.mean([each[name] for each in every], axis=0) for name in every[0]}
