"""How sources and labels go together, how well sources are told apart, and what is left on a source never seen."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from plainfilm.evidence.audit import ridge
from plainfilm.evidence.statistics.intervals import IntArray, bootstrap, group_codes, within_bounds
from plainfilm.results.audit import LeftOut, NotRun, Sources
from plainfilm.results.estimate import UNDEFINED, Estimate

FEWEST = 10  # groups of a class in a source
MOST_SOURCES = 30
_PAIRS = 12  # recombinations at most


def examine(
    features: NDArray[np.float32],
    labels: IntArray,
    source: NDArray[np.str_],
    group: IntArray,
    classes: tuple[str, ...],
    *,
    seed: int = 0,
) -> tuple[Sources, list[NotRun]]:
    """Examine the sources of some images.

    Parameters
    ----------
    features
        float32 (n, width); of no rows where they are not known, which leaves the table alone.
    labels, source, group
        Class index int64 (n), text (n), int64 (n).
    classes
        Class names.

    Returns
    -------
    Sources, and the checks that could not run.
    """
    names, index = np.unique(source, return_inverse=True)
    table = np.zeros((len(classes), len(names)), np.int64)
    np.add.at(table, (labels, index), 1)
    told: dict[str, Estimate] = {}
    left: list[LeftOut] = []
    not_run = []
    if len(names) < 2:
        reason = "Only one source is known."
        not_run = [NotRun(check=check, reason=reason) for check in ("Telling sources apart", "Leave one source out")]
    elif len(features) == len(labels):
        told = _told_apart(features, labels, index, group, classes, seed)
        left = _left_out(features, labels, index, group, names)
        if not told:
            not_run.append(
                NotRun(
                    check="Telling sources apart",
                    reason=f"No class has two sources with {FEWEST} patients or unrelated images each.",
                )
            )
        if not left:
            not_run.append(NotRun(check="Leave one source out", reason="Each class comes from one source: nothing is left to learn from when it is left out. Add images of each class from a second hospital."))  # fmt: skip
    made = Sources(
        names=tuple(map(str, names)),
        classes=classes,
        table=tuple(map(tuple, table.tolist())),
        cramers_v=cramers_v(labels, index, group, seed=seed),
        told_from_features=told,
        left_out=tuple(left),
    )
    return made, not_run


def cramers_v(labels: IntArray, source: IntArray, group: IntArray, *, seed: int = 0) -> Estimate:
    """Estimate Cramér's V of class and source, 0 (independent) to 1, with a bootstrap interval by group.

    Not defined with one class or one source. Cramér, Mathematical Methods of Statistics, 1946.
    """
    classes, sources = int(labels.max(initial=0)) + 1, int(source.max(initial=0)) + 1
    if min(classes, sources) < 2:
        return UNDEFINED
    cell = np.eye(classes * sources)[labels * sources + source]

    def measure(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return _v((weights @ cell).reshape(-1, classes, sources))[:, None]

    value = float(measure(np.ones((1, len(labels))))[0, 0])
    drawn = bootstrap(measure, group_codes(group, len(labels)), repeats=300, seed=seed)[:, 0]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return within_bounds(value, float(low), float(high))


def _v(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    total = tables.sum((1, 2), keepdims=True)
    expected = tables.sum(1, keepdims=True) * tables.sum(2, keepdims=True) / total
    part = np.divide(np.square(tables - expected), expected, out=np.zeros_like(tables), where=expected > 0)
    used = [(tables.sum(axis) > 0).sum(1) for axis in (1, 2)]
    freedom = np.maximum(np.minimum(*used) - 1, 1)
    return np.asarray(np.sqrt(part.sum((1, 2)) / total[:, 0, 0] / freedom))


def _groups(group: IntArray, rows: NDArray[np.bool_]) -> int:
    return len(np.unique(group[rows]))


def _told_apart(
    features: NDArray[np.float32],
    labels: IntArray,
    source: IntArray,
    group: IntArray,
    classes: tuple[str, ...],
    seed: int,
) -> dict[str, Estimate]:
    found = {}
    for number, name in enumerate(classes):
        own = [s for s in np.unique(source) if _groups(group, (labels == number) & (source == s)) >= FEWEST]
        rows = np.flatnonzero((labels == number) & np.isin(source, own))
        if len(own) < 2:
            continue
        target = np.searchsorted(own, source[rows])
        part = ridge.folds(target, group[rows], seed)
        found[name] = ridge.area(target, ridge.out_of_fold(features[rows], target, part, len(own)), group[rows])
    return found


def _left_out(
    features: NDArray[np.float32], labels: IntArray, source: IntArray, group: IntArray, names: NDArray[np.str_]
) -> list[LeftOut]:
    """Leave out each source that has every class; where none has, each choice of one source a class."""
    classes = int(labels.max()) + 1
    holders = [
        [s for s in range(len(names)) if _groups(group, (labels == c) & (source == s)) >= FEWEST]
        for c in range(classes)
    ]
    both = [s for s in range(min(len(names), MOST_SOURCES)) if all(s in own for own in holders)]
    choices = [(s,) * classes for s in both] or [pick for pick in product(*holders) if len(set(pick)) > 1][:_PAIRS]
    found = []
    for pick in choices:
        asked = np.zeros(len(labels), bool)
        for number, one in enumerate(pick):
            asked |= (labels == number) & (source == one)
        known = ~np.isin(source, pick) & ~np.isin(group, group[asked])
        if any(_groups(group, known & (labels == number)) < FEWEST for number in range(classes)):
            continue
        part = np.where(asked, 0, 1)
        rows = np.flatnonzero(asked | known)
        scores = ridge.out_of_fold(features[rows], labels[rows], part[rows], classes)
        mine = asked[rows]
        found.append(LeftOut(sources=tuple(str(names[s]) for s in dict.fromkeys(pick)), recombined=len(set(pick)) > 1,
                             auroc=ridge.area(labels[rows][mine], scores[mine], group[rows][mine]), n=int(mine.sum())))  # fmt: skip
    return found
