"""A choice among recipes or trials by sources left out, and what the chosen one is worth at sources without a part in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plainfilm.results.comparison import Rank, SourceChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    """For each source the candidate that the other sources chose, and its AUROC at this one: int64, float64 (sources).

    `worst` is the least of these, of several seeds the mean over the least of each.
    """

    chosen: NDArray[np.int64]
    areas: NDArray[np.float64]
    worst: float


def ranked(areas: NDArray[np.float64], rank: Rank) -> NDArray[np.float64]:
    """Score candidates by their AUROCs, or by losses below 0, (candidates, sources) or (candidates, seeds, sources).

    The worst source or the mean, of each seed, and the mean over seeds. Unknown ones count as least of all.
    """
    known = np.nan_to_num(areas, nan=-np.inf)
    of_seeds = known.min(axis=-1) if rank == "worst" else known.mean(axis=-1)
    return np.asarray(of_seeds.reshape(len(areas), -1).mean(axis=1))


def choose(
    alone: NDArray[np.float64], beside: Mapping[tuple[int, int], NDArray[np.float64]], rank: Rank
) -> Nested | None:
    """Choose once a source by the other sources alone.

    Parameters
    ----------
    alone
        float64 (candidates, sources) or (candidates, seeds, sources): AUROC at a source that was left out alone.
    beside
        By two numbers of sources, the lower first, float64 (candidates, 2) or (candidates, seeds, 2): AUROC at each of them
        where both were left out.

    Returns
    -------
    None where some source has no other one to choose by: then no score is free of the choice.
    """
    chosen, areas = [], []
    for source in range(alone.shape[-1]):
        others = [own[..., 1 - pair.index(source)] for pair, own in beside.items() if source in pair]
        if not others:
            return None
        best = int(ranked(np.stack(others, axis=-1), rank).argmax())
        chosen.append(best)
        areas.append(alone[best, ..., source])
    found = np.stack(areas, axis=-1)
    means = found.reshape(-1, found.shape[-1]).mean(axis=0)
    return Nested(chosen=np.array(chosen), areas=means, worst=float(found.min(axis=-1).mean()))


def at_sources(
    sources: Sequence[str], candidates: Sequence[str], chosen: NDArray[np.int64], areas: NDArray[np.float64]
) -> dict[str, SourceChoice]:
    """Name by source the candidate that was chosen for it, int64 (sources), with its AUROC there, float64 (sources)."""
    return {
        name: SourceChoice(recipe=candidates[own], auroc=float(area))
        for name, own, area in zip(sources, chosen, areas, strict=True)
    }
