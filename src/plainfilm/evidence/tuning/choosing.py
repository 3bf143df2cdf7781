"""What the choice of a trial by left-out sources is worth: chosen anew for each source, by the other ones alone."""

from collections.abc import Mapping, Sequence

import numpy as np

from plainfilm.evidence.evaluation import nested
from plainfilm.model import study
from plainfilm.model.trials import AtSources
from plainfilm.results.comparison import LeftOutChoice, Rank
from plainfilm.results.search import TrialResult


def choose(trials: Sequence[TrialResult], at: Mapping[int, Sequence[AtSources]], rank: Rank) -> LeftOutChoice | None:
    """Choose as the search does, by log loss, but for each source without it, and give the AUROC of that choice there.

    Parameters
    ----------
    trials
        Those that ended.
    at
        What those that ran to their end came to where sources were left out, one alone and two at once, by their number.

    Returns
    -------
    None where no trial ran to its end.
    """
    best = study.best(trials)
    if best is None:
        return None
    numbers, (first, *_) = list(at), at.values()
    names = [own.sources[0] for own in first if len(own.sources) == 1]
    losses = np.array([[each.losses for each in own[: len(names)]] for own in at.values()])[:, :, 0]
    areas = np.array([[each.areas for each in own[: len(names)]] for own in at.values()])[:, :, 0]
    beside = {
        (names.index(pair.sources[0]), names.index(pair.sources[1])): -np.array(
            [own[place].losses for own in at.values()]
        )
        for place, pair in enumerate(first)
        if len(pair.sources) == 2
    }
    found = nested.choose(-losses, beside, rank)
    own = areas[numbers.index(best.number)]
    if found is None:
        return LeftOutChoice(
            rank=rank,
            recipe=str(best.number),
            sentence=f"The best trial has AUROC {own.min():.2f} at the worst of the sources left out and {own.mean():.2f} on "
            "average, but was chosen by them, so this flatters: to choose without the source that is tested takes three "
            "unrelated sources, one to test on, one to choose by and one to learn from.",
        )
    reached = areas[found.chosen, np.arange(len(names))]
    worst, mean = int(reached.argmin()), float(reached.mean())
    return LeftOutChoice(
        rank=rank,
        recipe=str(best.number),
        sources=nested.at_sources(names, list(map(str, numbers)), found.chosen, reached),
        worst=float(reached[worst]),
        mean=mean,
        sentence=f"Chosen by the other sources alone, a trial has AUROC {reached[worst]:.2f} at {names[worst]}, the worst of "
        f"{len(names)} sources, and {mean:.2f} on average. The {own.min():.2f} and {own.mean():.2f} of the best trial flatter: "
        "all sources chose it.",
    )
