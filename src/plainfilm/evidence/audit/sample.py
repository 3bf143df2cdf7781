"""The images that probes work on, drawn from the training and validation sets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.store import Store
from plainfilm.evidence.audit import ridge
from plainfilm.evidence.statistics.intervals import IntArray, independent_rows

FEWEST = 10  # patients or unrelated images of a class


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The rows that probes work on, int64 (n), with labels, groups and the parts of the cross-validation, int64 (n).

    `among` is the number of findings that are looked at alike, of which this is one.
    """

    rows: IntArray
    labels: IntArray
    group: IntArray
    part: IntArray
    classes: tuple[str, ...]
    among: int = 1

    def draws(self) -> dict[str, int]:
        """Give how many independent images those of each class are worth: a patient with many is one draw, or little more."""
        return {name: max(1, round(independent_rows(films))) for name, films in self._films().items()}

    def too_few(self) -> str:
        """Say which class has too few patients or unrelated images; "" where none has."""
        name, least = min(((name, len(films)) for name, films in self._films().items()), key=lambda pair: pair[1])
        if least >= FEWEST:
            return ""
        return f"{name} has {least} patients or unrelated images outside the test set; at least {FEWEST} of each class are needed."

    def _films(self) -> dict[str, IntArray]:
        """Count the images of each patient, or of unrelated ones, by class."""
        return {
            name: np.unique(self.group[self.labels == at], return_counts=True)[1]
            for at, name in enumerate(self.classes)
        }


def draw(store: Store, most: int, seed: int = 0) -> Sample:
    """Draw at most `most` labelled rows of the training and validation sets, as many of each class as there are.

    The test set is not touched. A larger sample of the same seed holds the smaller one.
    """
    shuffled = _shuffled(store, seed)
    by_class = [shuffled[store.labels[shuffled] == number] for number in range(len(store.classes))]
    each = _share_out([len(rows) for rows in by_class], most)
    return _sample(
        store, np.sort(np.concatenate([rows[:count] for rows, count in zip(by_class, each, strict=True)])), seed
    )


def draw_findings(store: Store, most: int, seed: int = 0) -> IntArray:
    """Draw at most `most` rows of the same sets of a store of findings, int64 (n): those with each finding, and with none, in turn.

    A larger draw of the same seed holds the smaller one.
    """
    shuffled = _shuffled(store, seed)
    has = store.states[shuffled] == 1
    has = np.column_stack([has, ~has.any(axis=1)])
    turn = np.where(has, np.cumsum(has, axis=0), len(shuffled) + 1).min(axis=1)
    return np.sort(shuffled[np.argsort(turn, kind="stable")[:most]])


def of_finding(store: Store, rows: IntArray, seed: int, *, among: int) -> Sample:
    """Take the rows of a draw of which a finding is known; `store` is that of this finding (`Store.of`)."""
    return _sample(store, rows[store.labels[rows] >= 0], seed, among=among)


def _shuffled(store: Store, seed: int) -> IntArray:
    pool = np.flatnonzero((store.labels >= 0) & np.isin(store.split, ("train", "validation")))
    return np.random.default_rng(seed).permutation(pool)


def _sample(store: Store, rows: IntArray, seed: int, *, among: int = 1) -> Sample:
    labels, group = store.labels[rows], store.group[rows]
    return Sample(
        rows=rows, labels=labels, group=group, part=ridge.folds(labels, group, seed), classes=store.classes, among=among
    )


def _share_out(sizes: list[int], most: int) -> list[int]:
    """Share `most` places evenly; what a small class leaves goes to the others."""
    given = [0] * len(sizes)
    for left, index in enumerate(sorted(range(len(sizes)), key=lambda i: sizes[i])):
        given[index] = min(sizes[index], (most - sum(given)) // (len(sizes) - left))
    return given


def shown(sample: Sample, most: int) -> NDArray[np.int64]:
    """Choose at most `most` places of the sample to look at, the classes in turn."""
    by_class = [np.flatnonzero(sample.labels == number) for number in range(len(sample.classes))]
    rounds = [own[turn] for turn in range(most) for own in by_class if turn < len(own)]
    return np.array(sorted(rounds[:most], key=lambda place: int(sample.labels[place])), np.int64)
