"""What a learning curve over hospitals trains on: so many sources, and so many films of them, for each that is left out."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import split
from plainfilm.data.source_split import SourceFold, SourceFolds, is_enough
from plainfilm.errors import SplitError

_MOST_TESTED = 6  # left-out sources
_MOST_DRAWS = 4  # of one combination
_MOST_TOTALS = 4  # numbers of films, for each number of sources
_TRAININGS = 100  # in all, as far as one draw of each combination allows it
_LEAST = 1 / 8  # of the films of one source: the fewest that are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What one training of the curve learns from.

    Attributes
    ----------
    fold
        The source that is left out.
    hospitals, films
        How many sources it learns from, and about how many films, as many of each.
    chosen
        Which sources these are, by a number within the fold.
    rows
        int64 (k): these films.
    """

    fold: SourceFold
    hospitals: int
    films: int
    chosen: frozenset[int]
    rows: NDArray[np.int64]

    @property
    def split(self) -> NDArray[np.str_]:
        """The split of its fold, text (n), "" for what was not drawn; train and validation stay what they were."""
        own = np.where(self.fold.split == "test", self.fold.split, "")
        own[self.rows] = self.fold.split[self.rows]
        return own


def draw(
    labels: NDArray[np.int64],
    source: NDArray[np.str_],
    group: NDArray[np.int64],
    classes: Sequence[str],
    folds: SourceFolds,
    *,
    seed: int = 0,
) -> list[Drawn]:
    """Choose for each left-out source 1, 2, 4 … of the others, and half, a quarter … of their films.

    A source counts where it holds every class; those that leave together count as one. All that a combination learns from
    give as many films each, whole groups, each class in its share. A combination stands for all left-out sources or for none.

    Draws are repeated, other sources first and then other films, while all come to about a hundred trainings.

    Parameters
    ----------
    labels, source, group
        As `source_split.leave_out` takes them.

    Raises
    ------
    SplitError
        No source that holds every class is left to learn from.
    """
    found = [_Fold.of(fold, labels, source, group, classes, folds.together) for fold in folds.folds[:_MOST_TESTED]]
    held = [each for each in found if each.hospitals]
    combinations = _combinations(held) if held else []
    draws = min(_MOST_DRAWS, max(1, _TRAININGS // max(1, len(combinations) * len(held))))
    drawn = []
    for hospitals, films in combinations:
        at = [each for fold in held for each in fold.draws(hospitals, films, draws, seed)]
        if all(_can_learn(each, labels, group, classes) for each in at):
            drawn += at
    if not drawn:
        raise SplitError(
            "Expected --curve on at least two sources, apart from those that leave together, that hold every class; received fewer. "
            "Leave out --curve, or add images of a hospital that has all of them."
        )
    return drawn


def numbers(most: int) -> list[int]:
    """Count 1, 2, 4 … and `most`."""
    return sorted({most, *itertools.takewhile(lambda number: number <= most, (2**power for power in range(10)))})


@dataclass(frozen=True, slots=True)
class _Fold:
    """One source that is left out, and the rows of each hospital that can be learnt from, the largest first."""

    fold: SourceFold
    hospitals: Sequence[NDArray[np.int64]]
    labels: NDArray[np.int64]
    group: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        fold: SourceFold,
        labels: NDArray[np.int64],
        source: NDArray[np.str_],
        group: NDArray[np.int64],
        classes: Sequence[str],
        together: Sequence[Sequence[str]],
    ) -> "_Fold":
        known = np.isin(fold.split, split.NAMES[:2])
        cluster = {name: names[0] for names in together for name in names}
        hospitals: dict[str, list[NDArray[np.int64]]] = {}
        for name in map(str, np.unique(source[known])):
            rows = np.flatnonzero(known & (source == name))
            if is_enough(labels[rows], group[rows], classes=len(classes)):
                hospitals.setdefault(cluster.get(name, name), []).append(rows)
        joined = [np.concatenate(parts) for parts in hospitals.values()]
        return cls(fold, sorted(joined, key=len, reverse=True), labels, group)

    def most(self, hospitals: int) -> int:
        """Count the most films that so many hospitals have, as many each."""
        return hospitals * len(self.hospitals[hospitals - 1])

    def draws(self, hospitals: int, films: int, most: int, seed: int) -> list[Drawn]:
        """Choose hospitals and their films, up to `most` times: other hospitals first, then other films, none twice."""
        able = [place for place, own in enumerate(self.hospitals) if len(own) * hospitals >= films]
        order = np.random.default_rng(seed).permutation(able)
        sets = len(able) if hospitals < len(able) else 1
        found: dict[bytes, Drawn] = {}
        for number in range(most):
            begin = number % sets * hospitals
            chosen = order[np.arange(begin, begin + hospitals) % len(able)].tolist()
            each = round(films / hospitals)
            parts = [self._some(self.hospitals[place], each, seed + number // sets) for place in chosen]
            rows = np.sort(np.concatenate(parts))
            made = Drawn(fold=self.fold, hospitals=hospitals, films=films, chosen=frozenset(chosen), rows=rows)
            found.setdefault(rows.tobytes(), made)
        return list(found.values())

    def _some(self, rows: NDArray[np.int64], films: int, seed: int) -> NDArray[np.int64]:
        """Draw whole groups of about so many films, each class of train and of validation in its share."""
        if len(rows) <= films:
            return rows
        cells = 2 * self.labels[rows] + (self.fold.split[rows] == "train")
        shares = (films, len(rows) - films)
        return np.asarray(rows[split.assign(cells, self.group[rows], shares=shares, seed=seed) == 0])


def _combinations(folds: Sequence[_Fold]) -> list[tuple[int, int]]:
    """Pair numbers of hospitals with numbers of films that every left-out source has, half by half from the most."""
    most = {
        count: min(fold.most(count) for fold in folds) for count in numbers(min(len(own.hospitals) for own in folds))
    }
    top, least = max(most.values()), most[1] * _LEAST
    films = [round(top / 2**power) for power in range(20) if top / 2**power >= least]
    return [
        (count, total)
        for count, own in most.items()
        for total in [each for each in films if each <= own][:_MOST_TOTALS]
    ]


def _can_learn(drawn: Drawn, labels: NDArray[np.int64], group: NDArray[np.int64], classes: Sequence[str]) -> bool:
    """Whether there are enough groups of each class, and each class is in train and in validation."""
    parts = drawn.fold.split[drawn.rows]
    kinds = {(str(part), int(label)) for part, label in zip(parts, labels[drawn.rows], strict=True)}
    enough = is_enough(labels[drawn.rows], group[drawn.rows], classes=len(classes))
    return enough and len(kinds) == 2 * len(classes)
