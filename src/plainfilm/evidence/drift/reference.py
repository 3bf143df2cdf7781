"""What a bundle carries so that its answers can be watched: a few values of each number, of radiographs that were not learnt from."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plainfilm.evidence.drift.image_statistics import NAMES, image_statistics
from plainfilm.model.classifier import Decision
from plainfilm.results.drift import DriftReference, Family, WatchedStatistic

if TYPE_CHECKING:
    from plainfilm.data.store import Store  # a server watches without HDF5

FEWEST = 40  # radiographs; of fewer no drift could be told
MOST = 2000
REFUSED = "refused"
JITTER = 1e-9  # of a number's size: what is equal lies apart then, in an order of chance
_LEVELS = np.array([0.01, 0.02, 0.05, *np.arange(0.1, 0.95, 0.1), 0.95, 0.98, 0.99])
_MOST_CLASSES = 20


def reference(
    store: "Store",
    decision: Decision,
    *,
    rows: NDArray[np.int64],
    probabilities: NDArray[np.float64] | None,
    refused: NDArray[np.bool_] | None,
    seed: int = 0,
) -> DriftReference | None:
    """Describe radiographs that a classifier has not learnt from.

    Parameters
    ----------
    store, rows
        Where they are, int64 (n); of more than `MOST` a sample is taken, and of fewer than `FEWEST` there is nothing to tell.
    decision
        Of the classifier.
    probabilities
        float64 (n, classes); None where nothing is known that the classifier has not seen.
    refused
        Whether the outlier detector refuses each, bool (n); None without one.
    seed
        Of the sample, and of the order of what is equal.
    """
    if len(rows) < FEWEST:
        return None
    rng = np.random.default_rng(seed)
    taken = np.sort(rng.permutation(len(rows))[:MOST])
    made: list[WatchedStatistic] = []
    if probabilities is not None:
        scores, labels = probabilities[taken], store.labels[rows[taken]]
        made += [
            _described(name, "scores", scores[:, at], rng, labels == at if decision.positive else None)
            for name, at in watched_classes(decision)
        ]
    if refused is not None:
        made.append(_described(REFUSED, "refusals", refused[taken].astype(np.float64), rng))
    measured = _measured(store, rows[taken])
    made += [_described(name, "image", measured[:, at], rng) for at, name in enumerate(NAMES)]
    return DriftReference(statistics=tuple(made))


def watched_classes(decision: Decision) -> list[tuple[str, int]]:
    """Name the classes whose probability is watched, with their places: the positive one, or of more than two up to 20."""
    if decision.positive:
        return [(decision.positive, decision.classes.index(decision.positive))]
    return [(name, at) for at, name in enumerate(decision.classes[:_MOST_CLASSES])]


def _measured(store: "Store", rows: NDArray[np.int64]) -> NDArray[np.float64]:
    films = (store.images(rows[at : at + 64]) for at in range(0, len(rows), 64))
    return np.array([image_statistics(image) for block in films for image in block])


def _described(
    name: str,
    family: Family,
    values: NDArray[np.float64],
    rng: np.random.Generator,
    positive: NDArray[np.bool_] | None = None,
) -> WatchedStatistic:
    """Part values into bins at some of them; a gap lies between two values, and beyond the first and the last."""
    chances = rng.random(len(values)).tolist()
    apart = np.array(
        [jittered(rounded(each), chance, family) for each, chance in zip(values.tolist(), chances, strict=True)]
    )
    order = np.argsort(apart)
    ends = _ends(len(values))
    edges = apart[order[ends]]
    placed = np.searchsorted(edges, apart, side="right")
    counts = () if positive is None else np.bincount(placed[positive], minlength=len(ends) + 1).tolist()
    return WatchedStatistic(
        name=name,
        family=family,
        edges=tuple(edges.tolist()),
        gaps=tuple(np.diff([0, *(ends + 1), len(values) + 1]).tolist()),
        positives=tuple(counts),
    )


def _ends(n: int) -> NDArray[np.int64]:
    """Places, in order, of the values at which bins end: a bin has three gaps at least."""
    places = np.unique(np.round(_LEVELS * n).astype(np.int64) - 1)
    kept: list[int] = []
    for place in places.tolist():
        if place - (kept[-1] if kept else -1) >= 3 and n - place >= 3:
            kept.append(place)
    return np.array(kept, np.int64)


def rounded(value: float) -> float:
    """Round a number that is watched as a log of answers holds it: to six digits."""
    return float(f"{value:.6g}")


def jittered(value: float, chance: float, family: Family) -> float:
    """Set what is equal apart by `chance`, 0 to 1: by less than any difference that tells something."""
    return value + chance * (0.5 if family == "refusals" else JITTER * max(1.0, abs(value)))
