"""The films of a store in the order of doubt of their labels, and what to look at beside each."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.store import Store
from plainfilm.evidence.relabelling import doubts, twins
from plainfilm.evidence.relabelling.doubts import NONE, Doubts
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray
from plainfilm.model.encoder import Features

_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Listing:
    """Labelled films, the most doubtful first.

    Attributes
    ----------
    rows : int64 (n)
        Of the store.
    probabilities : float64 (n, classes)
        Out of fold.
    doubt : float64 (n)
        0 to 1.
    suggested : int64 (n)
        Class that the film is confidently counted to, or that its copy bears; -1 for none: the label is not doubtful.
    likeliest : int64 (n)
        The likeliest class beside the label.
    copy : int64 (n)
        Row of a copy under another label; -1 for none.
    """

    rows: IntArray
    probabilities: FloatArray
    doubt: FloatArray
    suggested: IntArray
    likeliest: IntArray
    copy: IntArray

    @property
    def doubtful(self) -> NDArray[np.bool_]:
        """Which labels are doubtful, bool (n): those come first."""
        doubtful: NDArray[np.bool_] = self.suggested != NONE
        return doubtful


def listed(
    store: Store, features: Features, *, repeats: int, seed: int, advance: Callable[[str, int, int], None]
) -> Listing:
    """Put all labelled films of a store in order: copies under two labels, then doubtful labels, then the others.

    Parameters
    ----------
    store, features
        The films, and the features of all of them.
    repeats, seed
        As of `doubts.judge`.
    advance
        Called with a stage, steps done and all.
    """
    rows = np.flatnonzero(store.labels >= 0)
    labels = store.labels[rows]
    copy = _copies(store, rows, lambda done, every: advance("Comparing radiographs", done, every))
    judged = doubts.judge(
        lambda places: features.read(rows[places]),
        labels,
        store.group[rows],
        len(store.classes),
        repeats=repeats,
        seed=seed,
        advance=lambda done, every: advance("Doubting labels", done, every),
    )
    suggested = np.where(copy == NONE, judged.suggested, store.labels[copy])
    order = np.lexsort((-judged.doubt, suggested == NONE, copy == NONE))
    return _ordered(rows, judged, suggested, copy, order)


def _copies(store: Store, rows: IntArray, advance: Callable[[int, int], None]) -> IntArray:
    found = twins.under_another_label(store, rows, advance=advance)
    return np.array([found.get(row, NONE) for row in rows.tolist()], np.int64)


def _ordered(rows: IntArray, judged: Doubts, suggested: IntArray, copy: IntArray, order: IntArray) -> Listing:
    return Listing(
        rows=rows[order],
        probabilities=judged.probabilities[order],
        doubt=judged.doubt[order],
        suggested=suggested[order],
        likeliest=judged.likeliest[order],
        copy=copy[order],
    )


def nearest(store: Store, features: Features, found: Listing, most: int) -> dict[int, tuple[int, ...]]:
    """Give for each of the first `most` films the nearest one that bears its label, and the nearest of the class that is suggested.

    Nearest by the cosine of their features; of another patient, and itself not doubtful. A class without such a film has none.
    """
    rows, sure = found.rows[:most], found.rows[~found.doubtful]
    asked = _unit(features.read(rows), mean := features.read(sure[:_AT_ONCE]).mean(axis=0))
    wanted = np.stack([store.labels[rows], _other_class(found)[:most]], axis=1)
    best, near = np.full(wanted.shape, -np.inf), np.full(wanted.shape, NONE)
    for at in range(0, len(sure), _AT_ONCE):
        block = sure[at : at + _AT_ONCE]
        alike = asked @ _unit(features.read(block), mean).T
        alike[store.group[rows][:, None] == store.group[block]] = -np.inf
        for side in range(2):
            fitting = np.where(store.labels[block] == wanted[:, [side]], alike, -np.inf)
            place = fitting.argmax(axis=1)
            here = fitting[np.arange(len(rows)), place]
            closer = here > best[:, side]
            best[closer, side], near[closer, side] = here[closer], block[place[closer]]
    return {int(row): tuple(each for each in own if each != NONE) for row, own in zip(rows, near.tolist(), strict=True)}


def _other_class(found: Listing) -> IntArray:
    return np.where(found.suggested == NONE, found.likeliest, found.suggested)


def _unit(features: NDArray[np.float32], mean: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = features - mean
    unit: NDArray[np.float32] = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    return unit
