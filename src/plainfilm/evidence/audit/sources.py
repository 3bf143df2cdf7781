"""How sources and labels go together, how well sources are told apart, and what is left on a source never seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import source_split
from plainfilm.data.source_split import FEWEST
from plainfilm.evidence.audit import judging, ridge
from plainfilm.evidence.statistics.differences import paired_difference
from plainfilm.evidence.statistics.intervals import IntArray, bootstrap, group_codes, within_bounds
from plainfilm.results.audit import LeftOut, LeftOutClass, NotRun, Sources
from plainfilm.results.estimate import UNDEFINED, Estimate


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
        left = _left_out(_Rows(features, labels, index, group), names, classes, seed)
        if not told:
            not_run.append(
                NotRun(
                    check="Telling sources apart",
                    reason=f"No class has two sources with {FEWEST} patients or unrelated images each.",
                )
            )
        if not left:
            not_run.append(NotRun(check="Leave one source out", reason="No two sources hold enough of each class outside the test set to learn from one and be tested on the other. Add images of each class from a second hospital."))  # fmt: skip
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
    cell = labels * sources + source

    def measure(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        tables = [np.bincount(cell, own, classes * sources) for own in weights]
        return _v(np.reshape(tables, (-1, classes, sources)))[:, None]

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
        scores = ridge.out_of_fold(features[rows], target, part, len(own))
        found[name] = ridge.area(target, scores, group[rows], part)
    return found


@dataclass(frozen=True, slots=True)
class _Rows:
    """Images: features float32 (n, width); labels, sources and groups int64 (n)."""

    features: NDArray[np.float32]
    labels: IntArray
    source: IntArray
    group: IntArray


def _left_out(rows: _Rows, names: NDArray[np.str_], classes: tuple[str, ...], seed: int) -> list[LeftOut]:
    """Leave out each source that has every class; where none has, each choice of one source a class."""
    picks = []
    choices = source_split.choices(rows.labels, rows.source, rows.group, sources=len(names), classes=len(classes))
    for pick in choices:
        asked, known = source_split.left_to_learn(rows.labels, rows.source, rows.group, pick)
        if source_split.is_enough(rows.labels[known], rows.group[known], classes=len(classes)):
            picks.append((pick, np.flatnonzero(asked), np.flatnonzero(known)))
    level = 1 - (1 - judging.SURE) / max(1, len(picks) * (len(classes) if len(classes) > 2 else 1))
    return [
        _without(rows, asked, known, classes, level, seed, tuple(str(names[s]) for s in dict.fromkeys(pick)))
        for pick, asked, known in picks
    ]


def _without(
    rows: _Rows,
    asked: IntArray,
    known: IntArray,
    classes: tuple[str, ...],
    level: float,
    seed: int,
    left: tuple[str, ...],
) -> LeftOut:
    """Measure on `asked` a head that learnt from `known`, and one that learnt from as many of all sources."""
    labels, group = rows.labels[asked], rows.group[asked]
    part = ridge.folds(labels, group, seed)
    here = np.zeros((len(asked), len(classes)))
    there = _asked(rows, known, asked, len(classes))
    for each in np.unique(part):
        own = asked[part == each]
        here[part == each] = _asked(rows, _as_many(rows, known, own, seed), own, len(classes))
    without, within = (ridge.areas(labels, scores, group, part) for scores in (there, here))
    return LeftOut(
        sources=left,
        recombined=len(left) > 1,
        auroc=ridge.together(without),
        n=len(asked),
        by_class={
            name: LeftOutClass(
                auroc=one.estimate, with_sources=other.estimate, lost=paired_difference(other, one, level=level)
            )
            for name, one, other in zip(classes, without, within, strict=True)
        },
    )


def _asked(rows: _Rows, known: IntArray, asked: IntArray, classes: int) -> NDArray[np.float64]:
    """Score `asked` by a head that learnt from `known`."""
    both = np.concatenate([known, asked])
    part = np.repeat([0, 1], [len(known), len(asked)])
    return ridge.out_of_fold(rows.features[both], rows.labels[both], part, classes, asked=1)[len(known) :]


def _as_many(rows: _Rows, known: IntArray, own: IntArray, seed: int) -> IntArray:
    """Draw as many images of each class as `known` has, from all but those of the groups of `own`."""
    free = np.random.default_rng(seed).permutation(np.flatnonzero(~np.isin(rows.group, rows.group[own])))
    wanted = np.bincount(rows.labels[known])
    drawn = [free[rows.labels[free] == number][:count] for number, count in enumerate(wanted)]
    return np.sort(np.concatenate(drawn))
