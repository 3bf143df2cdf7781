"""The films of a store in the order of doubt of their labels, and what to look at beside each."""

from collections.abc import Callable, Mapping
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


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Listings:
    """What is listed of a store, by finding, as of two classes; a store of classes has one listing, under "".

    Attributes
    ----------
    stores
        The store as one of each.
    each
        Its listing.
    order : int64 (n, 2)
        Every label of all listings, the most doubtful first: the number of its listing, and its place there.
    """

    stores: Mapping[str, Store]
    each: Mapping[str, Listing]
    order: IntArray

    @property
    def doubtful(self) -> int:
        """How many labels are doubtful."""
        return sum(int(own.doubtful.sum()) for own in self.each.values())


def listed(
    stores: Mapping[str, Store],
    features: Features,
    *,
    repeats: int,
    seed: int,
    advance: Callable[[str, int, int], None],
) -> Listings:
    """Put all labels of a store in order: those of copies under two labels, then doubtful ones, then the others.

    Parameters
    ----------
    stores, features
        The store as one of each finding (`Store.each`), and the features of all its films.
    repeats, seed
        As of `doubts.judge`.
    advance
        Called with a stage, steps done and all.
    """
    whole = next(iter(stores.values()))
    rows = np.unique(np.concatenate([np.flatnonzero(own.labels >= 0) for own in stores.values()]))
    image = np.full(len(whole), NONE)
    image[rows] = twins.images(whole, rows, advance=lambda done, every: advance("Comparing radiographs", done, every))
    each = {}
    for number, (name, own) in enumerate(stores.items()):

        def step(done: int, every: int, before: int = number) -> None:
            advance("Doubting labels", before * every + done, len(stores) * every)

        each[name] = _listing(own, features, image, repeats, seed, step)
    return Listings(stores=stores, each=each, order=_in_order(each))


def _listing(
    store: Store, features: Features, image: IntArray, repeats: int, seed: int, advance: Callable[[int, int], None]
) -> Listing:
    rows = np.flatnonzero(store.labels >= 0)
    copy = twins.under_another_label(store, rows, image[rows])
    judged = doubts.judge(
        lambda places: features.read(rows[places]),
        store.labels[rows],
        store.group[rows],
        len(store.classes),
        repeats=repeats,
        seed=seed,
        advance=advance,
    )
    suggested = np.where(copy == NONE, judged.suggested, store.labels[copy])
    return _ordered(rows, judged, suggested, copy, _ranked(judged.doubt, suggested, copy))


def _ranked(doubt: FloatArray, suggested: IntArray, copy: IntArray) -> IntArray:
    return np.lexsort((-doubt, suggested == NONE, copy == NONE))


def _in_order(each: Mapping[str, Listing]) -> IntArray:
    """Put the labels of several listings in one order."""
    places = [
        np.stack([np.full(len(own.rows), at), np.arange(len(own.rows))], axis=1) for at, own in enumerate(each.values())
    ]
    doubt, suggested, copy = (
        np.concatenate([getattr(own, column) for own in each.values()]) for column in ("doubt", "suggested", "copy")
    )
    return np.concatenate(places)[_ranked(doubt, suggested, copy)]


def _ordered(rows: IntArray, judged: Doubts, suggested: IntArray, copy: IntArray, order: IntArray) -> Listing:
    return Listing(
        rows=rows[order],
        probabilities=judged.probabilities[order],
        doubt=judged.doubt[order],
        suggested=suggested[order],
        likeliest=judged.likeliest[order],
        copy=copy[order],
    )


def beside(found: Listings, features: Features, most: int) -> list[tuple[int, ...]]:
    """Give for each of the first `most` labels the rows of the films to look at beside it: its copy, else those that `_nearest` finds."""
    first, near = found.order[:most], {}
    for number, (name, own) in enumerate(found.each.items()):
        if shown := int((first[:, 0] == number).sum()):
            near[number] = _nearest(found.stores[name], features, own, shown)
    copies = [own.copy for own in found.each.values()]
    return [
        near[number][place] if copies[number][place] == NONE else (int(copies[number][place]),)
        for number, place in first.tolist()
    ]


def _nearest(store: Store, features: Features, found: Listing, most: int) -> list[tuple[int, ...]]:
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
    return [tuple(each for each in own if each != NONE) for own in near.tolist()]


def _other_class(found: Listing) -> IntArray:
    return np.where(found.suggested == NONE, found.likeliest, found.suggested)


def _unit(features: NDArray[np.float32], mean: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = features - mean
    unit: NDArray[np.float32] = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    return unit
