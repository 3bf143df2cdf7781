"""Recipes compared at sources that were left out, and what the choice among them is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.source_split import SourceFolds
from plainfilm.data.store import Store
from plainfilm.evidence.evaluation import nested
from plainfilm.evidence.evaluation.evaluate import Fold, score
from plainfilm.evidence.evaluation.left_out import area_of, unmeasured
from plainfilm.evidence.evaluation.spreads import spread
from plainfilm.model.classifier import Trained
from plainfilm.results.comparison import FindingLeftOut, LeftOutChoice, Rank, RecipeLeftOut

Pair = tuple[int, int]
Trainings = tuple[Sequence[Fold], Mapping[Pair, Fold]]  # without a source each, and without those of two folds


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutComparison:
    """What each recipe came to at sources left out, and which of them is chosen there."""

    recipes: Sequence[RecipeLeftOut]
    choice: LeftOutChoice


def compare(
    trainings: Sequence[Sequence[Trainings]], names: Sequence[str], sources: SourceFolds, rank: Rank
) -> LeftOutComparison:
    """Measure the AUROC of all trainings, by recipe and seed, at what was left out, and choose."""
    alone = np.array([[_alone(own) for own, _ in seeds] for seeds in trainings])  # recipes, seeds, sources
    pairs = trainings[0][0][1]
    beside = {
        pair: np.array([[_beside(two[pair], pair, sources) for _, two in seeds] for seeds in trainings])
        for pair in pairs
    }
    titles = [fold.name for fold in sources.folds]
    return LeftOutComparison(
        recipes=[
            _recipe(areas, titles, [own for own, _ in seeds]) for areas, seeds in zip(alone, trainings, strict=True)
        ],
        choice=choice(alone, beside, rank, candidates=names, sources=titles),
    )


def choice(
    alone: NDArray[np.float64],
    beside: Mapping[Pair, NDArray[np.float64]],
    rank: Rank,
    *,
    candidates: Sequence[str],
    sources: Sequence[str],
) -> LeftOutChoice:
    """Choose among candidates by their AUROCs (`nested.choose`), and say what the choice is worth."""
    best = candidates[int(nested.ranked(alone, rank).argmax())]
    found = nested.choose(alone, beside, rank)
    by = "worst source" if rank == "worst" else "mean"
    if found is None:
        why = "Every score here had a part in the choice, so the best one flatters: a choice without the source that is reported needs three unrelated sources."
        return LeftOutChoice(rank=rank, recipe=best, sentence=f"By the {by}, choose {best}. {why}")
    worst, mean = found.worst, float(found.areas.mean())
    return LeftOutChoice(
        rank=rank,
        recipe=best,
        sources=nested.at_sources(sources, candidates, found.chosen, found.areas),
        worst=worst,
        mean=mean,
        sentence=f"By the {by}, choose {best}. Chosen without the source that it is then tested on, such a choice has AUROC {worst:.2f} at the worst of {len(sources)} sources and {mean:.2f} in the mean.",
    )


def _alone(folds: Sequence[Fold]) -> list[float]:
    return [_area(fold.store, fold.trained) for fold in folds]


def _beside(fold: Fold, pair: Pair, sources: SourceFolds) -> list[float]:
    """Measure at each of two folds that were left out at once."""
    return [_area(fold.store.with_split(sources.folds[number].split), fold.trained) for number in pair]


def _area(store: Store, trained: Trained) -> float:
    return area_of(score(store, trained, "test"), trained.decision)


def _recipe(areas: NDArray[np.float64], titles: Sequence[str], seeds: Sequence[Sequence[Fold]]) -> RecipeLeftOut:
    """Sum up AUROCs (seeds, sources)."""
    return RecipeLeftOut(
        sources={title: spread(own.tolist()) for title, own in zip(titles, areas.T, strict=True)},
        worst=spread(areas.min(axis=1).tolist()),
        mean=spread(areas.mean(axis=1).tolist()),
        findings=_findings(seeds) if seeds[0][0].store.task == "findings" else {},
    )


def _findings(seeds: Sequence[Sequence[Fold]]) -> dict[str, FindingLeftOut]:
    """Sum up each finding over the sources where it can be measured; one that none can measure is left out."""
    found = {}
    for at, name in enumerate(seeds[0][0].store.classes):
        areas = [[_area(own.store, own.trained) for own in _measuring(folds, at, name)] for folds in seeds]
        if areas[0]:
            found[name] = FindingLeftOut(
                worst=spread([min(own) for own in areas]), mean=spread([float(np.mean(own)) for own in areas])
            )
    return found


def _measuring(folds: Sequence[Fold], at: int, name: str) -> list[Fold]:
    tested = [(fold, fold.store.rows("test")) for fold in folds]
    return [
        fold.of(name)
        for fold, rows in tested
        if unmeasured(fold.store.states[rows, at], fold.store.group[rows]) is None
    ]
