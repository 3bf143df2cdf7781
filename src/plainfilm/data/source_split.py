"""Leave-one-source-out: which sources are tested, which leave together, and the split under which each is left out."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from plainfilm.data import split
from plainfilm.data.split import Labels
from plainfilm.errors import SplitError

FEWEST = 10  # groups of a class in a source that is tested, and in what is left to learn from
MOST_SOURCES = 30
_MOST_PAIRS = 12
_ALIKE = 0.05  # of the smaller source's groups that stand in the other, too: one hospital under two names


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFold:
    """One source that is left out, or one a class where no source has them all.

    Attributes
    ----------
    sources
        Names of what is tested: one, or several that hold a class each.
    companions
        Names of the sources that leave with them, neither trained nor tested on.
    split
        Text (n): "test" for what is left out, "train" and "validation" for the others, "" for what takes no part.
    """

    sources: tuple[str, ...]
    companions: tuple[str, ...]
    split: NDArray[np.str_]

    @property
    def name(self) -> str:
        """The sources that are tested, for people."""
        return " + ".join(self.sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFolds:
    """All folds; `paired` where each tests one source a class; `together` lists sources that leave as one."""

    folds: Sequence[SourceFold]
    paired: bool
    together: tuple[tuple[str, ...], ...]
    not_tested: tuple[str, ...]


def choices(
    labels: Labels, source: NDArray[np.int64], group: NDArray[np.int64], *, sources: int, classes: int
) -> list[tuple[int, ...]]:
    """Choose what can be left out: each source that has every class; where none has, each choice of one source a class.

    A source has a class where it holds at least `FEWEST` groups of it. At most `MOST_SOURCES` sources, or 12 choices. Of findings
    a source will do that has as many groups with and without one of them.

    Parameters
    ----------
    labels
        int64 (n), index of class; of findings their states int8 (n, k).
    source, group
        int64 (n): index of source, group.

    Returns
    -------
    For each fold the source of each class, indices.
    """
    if labels.ndim == 2:
        parts = (source == each for each in range(min(sources, MOST_SOURCES)))
        return [(at,) for at, own in enumerate(parts) if _telling(labels[own], group[own]).any()]
    held = np.zeros((classes, sources), np.int64)
    cells = np.unique(np.stack([labels, source, group]), axis=1)
    np.add.at(held, (cells[0], cells[1]), 1)
    holders = [np.flatnonzero(own >= FEWEST) for own in held]
    every = [int(each) for each in range(min(sources, MOST_SOURCES)) if all(each in own for own in holders)]
    if every:
        return [(each,) * classes for each in every]
    pairs = (tuple(map(int, pick)) for pick in itertools.product(*holders) if len(set(pick)) > 1)
    return list(itertools.islice(pairs, _MOST_PAIRS))


def _telling(states: NDArray[np.int8], group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell of which findings some rows hold `FEWEST` groups with and as many without, bool (k)."""
    return np.array(
        [all(len(np.unique(group[own == state])) >= FEWEST for state in (1, 0)) for own in states.T], np.bool_
    )


def left_to_learn(
    labels: Labels,
    source: NDArray[np.int64],
    group: NDArray[np.int64],
    pick: Sequence[int],
    companions: Sequence[int] = (),
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which rows a choice tests, and which it leaves to learn from: bool (n) each.

    What shares a group with a tested row, or is of a tested source or a companion, is in neither.
    """
    asked = np.isin(source, pick) if labels.ndim == 2 else np.zeros(len(labels), bool)
    for label, own in enumerate(pick if labels.ndim == 1 else ()):
        asked |= (labels == label) & (source == own)
    known = ~np.isin(source, [*pick, *companions]) & ~np.isin(group, group[asked])
    return asked, known


def is_enough(labels: Labels, group: NDArray[np.int64], *, classes: int) -> bool:
    """Whether rows hold at least `FEWEST` groups of each class; of findings with and without each."""
    if labels.ndim == 2:
        return bool(_telling(labels, group).all())
    return all(len(np.unique(group[labels == label])) >= FEWEST for label in range(classes))


def leave_out(
    labels: Labels,
    source: NDArray[np.str_],
    group: NDArray[np.int64],
    classes: Sequence[str],
    *,
    together: Sequence[Sequence[str]] = (),
    seed: int = 0,
) -> SourceFolds:
    """Split once a source that can be left out: it is tested, and the others are dealt to train and validation.

    These hold each class of each source in the default's proportion, whole groups each.

    Parameters
    ----------
    labels
        int64 (n), index into `classes`, below 0 for none; or of findings their states int8 (n, k).
    source, group
        Text (n), empty where it is not known; int64 (n).
    together
        Names of sources that hold the films or patients of one another, and leave together. Those that share 5 % or
        more of their groups are found without being named.

    Raises
    ------
    SplitError
        A name that is no source, or fewer than two sources that a class can be learnt from and tested on.
    """
    rows = np.flatnonzero(split.labelled(labels) & (source != ""))
    label, own_group = labels[rows], group[rows]
    names, index = np.unique(source[rows], return_inverse=True)
    if not len(names):
        raise SplitError(_why_none(label, index, own_group, names, classes))
    shared = _clusters(names, index, own_group, together)
    found = choices(label, index, own_group, sources=len(names), classes=len(classes))
    folds = []
    for pick in found:
        companions = [each for each in _companions(shared, pick) if each not in pick]
        asked, known = left_to_learn(label, index, own_group, pick, companions)
        if not is_enough(label[known], own_group[known], classes=len(classes)):
            continue
        dealt = _dealt(labels, source, group, learnt=rows[known], tested=rows[asked], seed=seed)
        folds.append(
            SourceFold(
                sources=tuple(str(names[each]) for each in dict.fromkeys(pick)),
                companions=tuple(str(names[each]) for each in companions),
                split=dealt,
            )
        )
    if not folds:
        raise SplitError(_why_none(label, index, own_group, names, classes))
    tested = {name for fold in folds for name in fold.sources}
    return SourceFolds(
        folds=folds,
        paired=len(folds[0].sources) > 1,
        together=tuple(tuple(str(names[each]) for each in np.flatnonzero(shared == cluster))
                       for cluster in np.unique(shared) if (shared == cluster).sum() > 1),
        not_tested=tuple(str(name) for name in names if str(name) not in tested),
    )  # fmt: skip


def leave_two_out(
    labels: Labels,
    source: NDArray[np.str_],
    group: NDArray[np.int64],
    classes: Sequence[str],
    folds: SourceFolds,
    *,
    seed: int = 0,
) -> dict[tuple[int, int], NDArray[np.str_]]:
    """Split once for two folds that have no source in common: both are test, and nothing of either is learnt from.

    So a choice can be made at one while the other has no part in it, neither in training nor in testing.

    Returns
    -------
    The split, text (n), by the numbers of both folds, the lower first. Pairs that leave too little to learn from are left out.
    """
    found = {}
    for (one, first), (other, second) in itertools.combinations(enumerate(folds.folds), 2):
        left = [{*fold.sources, *fold.companions} for fold in (first, second)]
        if left[0] & left[1]:
            continue
        tested = (first.split == "test") | (second.split == "test")
        others = ~np.isin(source, [*left[0] | left[1]]) & ~np.isin(group, group[tested])
        known = split.labelled(labels) & (source != "") & others
        if is_enough(labels[known], group[known], classes=len(classes)):
            found[one, other] = _dealt(
                labels, source, group, learnt=np.flatnonzero(known), tested=np.flatnonzero(tested), seed=seed
            )
    return found


def _dealt(
    labels: Labels,
    source: NDArray[np.str_],
    group: NDArray[np.int64],
    *,
    learnt: NDArray[np.int64],
    tested: NDArray[np.int64],
    seed: int,
) -> NDArray[np.str_]:
    """Split what is learnt from into train and validation, each class of each source in the default's proportion."""
    dealt = np.full(len(labels), "", "U10")
    dealt[tested] = "test"
    own = np.unique(source[learnt], return_inverse=True)[1]
    if labels.ndim == 2:
        dealt[learnt] = np.array(split.NAMES[:2])[_dealt_findings(labels[learnt], own, group[learnt], seed)]
        return dealt
    cells = labels[learnt] * (int(own.max()) + 1) + own
    part = split.assign(cells, group[learnt], shares=split.SHARES[:2], seed=seed)
    dealt[learnt] = np.array(split.NAMES[:2])[part]
    return dealt


def _dealt_findings(
    states: NDArray[np.int8], source: NDArray[np.int64], group: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """Deal the groups of one source after the other, int64 (n); one of several sources goes with its first."""
    part, held = np.full(len(states), -1), np.zeros((2, 2 * states.shape[1]), np.int64)
    columns = split.strata(states, [""] * states.shape[1])[0]
    for number in range(int(source.max()) + 1):
        rows = np.flatnonzero((source == number) & (part < 0))
        if not len(rows):
            continue
        part[rows] = split.assign(states[rows], group[rows], shares=split.SHARES[:2], seed=seed, held=held)
        known, place = np.unique(group[rows], return_index=True)
        others = np.flatnonzero((part < 0) & np.isin(group, known))
        part[others] = part[rows[place[np.searchsorted(known, group[others])]]]
        held = np.stack([columns[part == each].sum(axis=0) for each in (0, 1)])
    return part


def _companions(shared: NDArray[np.int64], pick: Sequence[int]) -> list[int]:
    return np.flatnonzero(np.isin(shared, shared[list(pick)])).tolist()


def _clusters(
    names: NDArray[np.str_], index: NDArray[np.int64], group: NDArray[np.int64], together: Sequence[Sequence[str]]
) -> NDArray[np.int64]:
    """Number the cluster of sources that each source leaves with, int64 (sources)."""
    cells = np.unique(np.stack([index, np.unique(group, return_inverse=True)[1]]), axis=1)
    holds = csr_array((np.ones(cells.shape[1], np.int64), (cells[0], cells[1])))
    common = (holds @ holds.T).toarray()
    size = np.diag(common)
    is_linked = common >= _ALIKE * np.minimum(size[:, None], size[None, :])
    place = {str(name): number for number, name in enumerate(names)}
    for named in together:
        for name in named:
            if name not in place:
                raise SplitError(
                    f"Expected --together to name sources of {', '.join(place)}; received {name}. Name those that share films or patients."
                )
            is_linked[place[named[0]], place[name]] = True
    return np.asarray(connected_components(is_linked, directed=False)[1], np.int64)


def _why_none(
    label: Labels,
    index: NDArray[np.int64],
    group: NDArray[np.int64],
    names: NDArray[np.str_],
    classes: Sequence[str],
) -> str:
    if label.ndim == 2:
        return _why_no_finding(label, index, group, names, classes)
    held = []
    for number, name in enumerate(classes):
        enough = sum(len(np.unique(group[(label == number) & (index == own)])) >= FEWEST for own in range(len(names)))
        held.append(f"{enough} of {name}")
    return (
        f"Expected --folds source on at least two sources, apart from those that leave together, with {FEWEST} patients (or unrelated "
        f"images) of each class; received {', '.join(held)}. Add images from another hospital, name the sources with --source-column "
        "when you ingest, or set a number of folds."
    )


def _why_no_finding(
    states: NDArray[np.int8],
    index: NDArray[np.int64],
    group: NDArray[np.int64],
    names: NDArray[np.str_],
    findings: Sequence[str],
) -> str:
    """Say which finding is in too few sources, so that it could not be learnt without one of them."""
    parts = [index == own for own in range(len(names))]
    each = np.array([_telling(states[own], group[own]) for own in parts]).reshape(len(names), len(findings))
    held = [f"{count} of {name}" for name, count in zip(findings, each.sum(axis=0).tolist(), strict=True)]
    return (
        f"Expected --folds source on at least two sources, apart from those that leave together, and {FEWEST} patients (or unrelated "
        f"images) with and without each finding in those that are left to learn from; received {', '.join(held)}. Leave findings out with "
        "--classes, add images from another hospital, or set a number of folds."
    )
