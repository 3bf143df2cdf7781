"""Train / validation / test: stratified by class or by findings, grouped by patient and duplicate, seeded.

What is split by is `labels`: int64 (n), an index of a class, -1 for none; or of findings int8 (n, k), 1 present, 0 absent, -1 not
known, where a row of which nothing is known takes no part.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.errors import SplitError

SHARES = (0.70, 0.15, 0.15)
NAMES = ("train", "validation", "test")
_FEWEST_TO_FOLD = 4  # groups of a class: whatever stays of them outside a fold still fills train and validation


Labels = NDArray[Any]  # int64 (n) of classes, int8 (n, k) of findings


@dataclass(frozen=True, slots=True)
class Leakage:
    """Groups (patients, duplicates) that stand in more than one part of a given split."""

    groups: int
    images: int


def labelled(labels: Labels) -> NDArray[np.bool_]:
    """Tell the rows that have a class, or of which a finding is known, bool (n)."""
    return np.asarray(labels >= 0 if labels.ndim == 1 else (labels >= 0).any(axis=1))


def strata(labels: Labels, names: Sequence[str]) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Tell which rows are of each class, or have and surely lack each finding: bool (n, classes) or (n, 2k), and what to call it."""
    if labels.ndim == 1:
        return labels[:, None] == np.arange(len(names)), tuple(names)
    both = np.concatenate([labels == 1, labels == 0], axis=1)
    return both, (*names, *(f"no {name}" for name in names))


def assign(
    labels: Labels,
    group: NDArray[np.int64],
    *,
    shares: Sequence[float],
    seed: int,
    held: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Deal whole groups to parts so that each class comes near its share in every part.

    Large groups first, those of one size in random order, each to the part where it lowers the chi-square between rows
    there and rows wanted most; so groups of every size come to every part (Sainte-Laguë's rule for seats, by size). A
    class with as many groups left as parts without it goes to one of these parts. As scikit-learn's
    StratifiedGroupKFold, but for unequal shares, and in time linear in the groups.

    Parameters
    ----------
    labels
        int64 (n), class index ≥ 0.
    group
        int64 (n); rows of one group stay together.
    shares
        Positive numbers; normalised to sum 1.
    seed
        Of the order among groups of one size.
    held
        int64 (parts, classes or 2k): rows of each column of `strata` that stand in the parts already; none by default.

    Returns
    -------
    int64 (n)
        Index of the part.
    """
    _, index = np.unique(group, return_inverse=True)
    if labels.ndim == 1:
        present, label = np.unique(labels, return_inverse=True)
        counts = np.zeros((int(index.max(initial=-1)) + 1, len(present)))
        np.add.at(counts, (index, label), 1)
    else:
        rows, _ = strata(labels, [""] * labels.shape[1])
        present = np.flatnonzero(rows.any(axis=0))
        counts = np.zeros((int(index.max(initial=-1)) + 1, len(present)))
        np.add.at(counts, index, rows[:, present])
    there = np.zeros((len(shares), len(present))) if held is None else np.asarray(held[:, present], np.float64)
    wanted = np.outer(np.asarray(shares, np.float64) / np.sum(shares), counts.sum(0) + there.sum(0))
    order = np.random.default_rng(seed).permutation(len(counts))
    if labels.ndim == 2:
        return _iteratively(counts, wanted - there, there == 0, order)[index]
    part = np.empty(len(counts), np.int64)
    lacking, without, left = wanted - there, there == 0, (counts > 0).sum(0)
    for each in order[np.argsort(-counts.sum(1)[order], kind="stable")]:
        has = counts[each] > 0
        urgent = without & has & (left <= without.sum(0))
        gain = ((lacking - counts[each] / 2) / wanted) @ counts[each]
        part[each] = here = np.lexsort((-gain, -urgent.sum(1)))[0]
        lacking[here] -= counts[each]
        without[here] &= ~has
        left -= has
    return part[index]


def _iteratively(
    counts: NDArray[np.float64], lacking: NDArray[np.float64], without: NDArray[np.bool_], order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Deal groups to parts by iterative stratification: the rarest column first, each group to the part that lacks most of it.

    Of the groups of a column the largest come first, those of one size in `order`; of parts that lack as much of it, the one
    that lacks most of all columns gets the group. Beyond the paper: a column with as many groups left as parts without it goes to
    one of these parts.

    Parameters
    ----------
    counts
        float64 (groups, columns): rows of each group.
    lacking
        float64 (parts, columns): rows that each part still wants.
    without
        bool (parts, columns): whether the part has none yet.
    order
        int64 (groups), a permutation.

    Returns
    -------
    int64 (groups)
        Index of the part.

    References
    ----------
    Sechidis, Tsoumakas & Vlahavas, On the stratification of multi-label data, ECML PKDD 2011.
    """
    part, is_left, lacking, without = (
        np.full(len(counts), -1),
        np.ones(len(counts), bool),
        lacking.copy(),
        without.copy(),
    )
    by_size = order[np.argsort(-counts.sum(1)[order], kind="stable")]
    while is_left.any():
        remaining = (counts[is_left] > 0).sum(0)
        open_columns = np.flatnonzero(remaining)
        column = open_columns[np.argmin(remaining[open_columns])]
        for each in by_size[is_left[by_size] & (counts[by_size, column] > 0)]:
            has = counts[each] > 0
            urgent = without & has & (remaining <= without.sum(0))
            part[each] = here = np.lexsort((-(lacking @ counts[each]), -lacking[:, column], -urgent.sum(1)))[0]
            lacking[here] -= counts[each]
            without[here] &= ~has
            remaining -= has
            is_left[each] = False
    return part


def make(
    labels: Labels,
    group: NDArray[np.int64],
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> NDArray[np.str_]:
    """Split labelled rows (label ≥ 0) into train, validation and test; the others get "".

    Raises
    ------
    SplitError
        A class has fewer groups than there are parts: it could not stand in each.
    """
    rows = np.flatnonzero(labelled(labels))
    check_enough(labels[rows], group[rows], classes, parts=len(SHARES))
    part = assign(labels[rows], group[rows], shares=SHARES, seed=seed)
    split = np.full(len(labels), "", dtype="U10")
    split[rows] = np.array(NAMES)[part]
    _check_filled(labels, split, classes)
    return split


def folds(
    labels: Labels,
    group: NDArray[np.int64],
    classes: Sequence[str],
    *,
    count: int,
    seed: int = 0,
) -> list[NDArray[np.str_]]:
    """Split for cross-validation: each labelled row is in the test set of one split of `count`.

    What is not the test set of a split is dealt to train and validation in the default's proportion.

    Raises
    ------
    SplitError
        A class has fewer groups than folds, or too few to stand in every part.
    """
    check_enough_to_fold(labels, group, classes, count=count)
    rows = np.flatnonzero(labelled(labels))
    fold = assign(labels[rows], group[rows], shares=[1] * count, seed=seed)
    found = []
    for number in range(count):
        split = np.full(len(labels), "", dtype="U10")
        split[rows[fold == number]] = "test"
        rest = rows[fold != number]
        split[rest] = np.array(NAMES[:2])[assign(labels[rest], group[rest], shares=SHARES[:2], seed=seed)]
        for name in (name for name, _ in unfilled(labels, split, classes)):
            raise SplitError(
                f"Expected enough patients of {name} for {count} folds; received a few with so many images that fold {number + 1} "
                "leaves one of its parts without. Set another number of folds."
            )
        found.append(split)
    return found


def complete(
    split: NDArray[np.str_],
    labels: Labels,
    group: NDArray[np.int64],
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> NDArray[np.str_]:
    """Keep a given split; where it has no validation or no test set, take one out of train, as large as the default's share.

    Raises
    ------
    SplitError
        Some labelled images have a split and others none; there is no train set; or a part lacks a class.
    """
    is_labelled = labelled(labels)
    missing = int((is_labelled & (split == "")).sum())
    if missing:
        raise SplitError(
            f"Expected a split for every labelled image or for none; received {missing} of {int(is_labelled.sum())} without. "
            "Fill the column `split` (or sort the rest into train, val and test), or make a new split with --resplit."
        )
    out = np.where(is_labelled, split, "").astype("U10")
    present = {name: bool((out == name).any()) for name in NAMES}
    parts = [0, *(number for number, name in enumerate(NAMES) if number and not present[name])]
    if present["train"] and len(parts) > 1:
        train = np.flatnonzero(out == "train")
        if labels.ndim == 1:
            check_enough(labels[train], group[train], classes, parts=len(parts))
        part = assign(labels[train], group[train], shares=[SHARES[each] for each in parts], seed=seed)
        out[train] = np.array(NAMES)[parts][part]
    _check_filled(labels, out, classes)
    return out


def extend(
    split: NDArray[np.str_],
    labels: Labels,
    group: NDArray[np.int64],
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Deal rows that have come since to the parts of a split that was made before.

    A row that has a part keeps it, and a group that stands in one part takes its new rows there; other new groups are dealt as
    `make` does, so that the parts come near their shares with what they hold. A new row may show that groups of two parts are
    one: their rows of the test set leave it, and no other set gets them.

    Parameters
    ----------
    split
        Part of each row, "" for new ones and those without a label.
    labels, group, classes, seed
        As of `make`.

    Returns
    -------
    str (n)
        Part of each row; "" where there is no label, and for what left the test set.
    int64 (k)
        Rows of groups that stood in two parts.

    Raises
    ------
    SplitError
        A part would lack a class.
    """
    out = np.where(labelled(labels), split, "").astype("U10")
    _, index = np.unique(group, return_inverse=True)
    stands = np.zeros((int(index.max(initial=-1)) + 1, len(NAMES)), bool)
    for number, name in enumerate(NAMES):
        stands[index[out == name], number] = True
    is_new = labelled(labels) & (out == "")
    known = is_new & stands[index].any(axis=1)
    out[known] = np.array(NAMES)[stands.argmax(axis=1)[index[known]]]
    leaking = np.flatnonzero((stands[index].sum(axis=1) >= 2) & labelled(labels))
    out[leaking[out[leaking] == "test"]] = ""
    fresh = np.flatnonzero(is_new & ~known)
    rows, _ = strata(labels, classes)
    held = np.array([rows[out == name].sum(axis=0) for name in NAMES])
    part = assign(labels[fresh], group[fresh], shares=SHARES, seed=seed, held=held)
    out[fresh] = np.array(NAMES)[part]
    _check_filled(labels, out, classes)
    return out, leaking


def by_date(
    is_later: NDArray[np.int64],
    labels: Labels,
    group: NDArray[np.int64],
    classes: Sequence[str],
    *,
    seed: int = 0,
    leaves_out: bool = False,
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Split by time: what is later is the test set, and the rest is dealt to train and validation in the default's proportion.

    A group with rows on both sides goes to the rest whole, or with `leaves_out` to no part; so nobody in the test set was
    trained on. What is of no known side is of the rest.

    Parameters
    ----------
    is_later
        int64 (n): 1 later, 0 earlier, -1 not known.
    labels, group, classes, seed
        As of `make`.

    Returns
    -------
    str (n)
        Part of each row; "" where there is no label, and for what is left out.
    int64 (k)
        Rows of groups on both sides.

    Raises
    ------
    SplitError
        A class has too few groups, or is not in every part.
    """
    stands = labelled(labels)
    later, other = (np.isin(group, group[stands & side]) & stands for side in (is_later == 1, is_later != 1))
    out = np.full(len(labels), "", dtype="U10")
    out[later & ~other] = "test"
    rest = np.flatnonzero(other & ~later if leaves_out else other)
    if labels.ndim == 1:
        why = "before the date of --test-from, for training and validation"
        check_enough(labels[rest], group[rest], classes, parts=2, why=why)
    out[rest] = np.array(NAMES[:2])[assign(labels[rest], group[rest], shares=SHARES[:2], seed=seed)]
    lacking = unfilled(labels, out, classes) if labels.ndim == 1 else ()  # findings that lack films are left out
    for name in (name for name, part in lacking if part == "test"):
        raise SplitError(
            f"Expected images of every class from the date of --test-from on, of patients without earlier ones; received none of {name}. "
            "Set an earlier date."
        )
    _check_filled(labels, out, classes)
    return out, np.flatnonzero(later & other)


def leaking_rows(split: NDArray[np.str_], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of groups with images in more than one part, int64 (k). Rows without a part are passed over."""
    rows = np.flatnonzero(split != "")
    _, index = np.unique(group[rows], return_inverse=True)
    seen = np.zeros((int(index.max(initial=-1)) + 1, len(NAMES)), bool)
    seen[index, np.searchsorted(np.sort(NAMES), split[rows])] = True
    return np.asarray(rows[(seen.sum(1) > 1)[index]])


def leakage(split: NDArray[np.str_], group: NDArray[np.int64]) -> Leakage:
    """Count groups with images in more than one part, and those images."""
    rows = leaking_rows(split, group)
    return Leakage(groups=len(np.unique(group[rows])), images=len(rows))


def check_enough_to_fold(labels: Labels, group: NDArray[np.int64], classes: Sequence[str], *, count: int) -> None:
    """Raise SplitError unless each class has a group for each of `count` folds."""
    check_enough(labels, group, classes, parts=max(count, _FEWEST_TO_FOLD), why=f"for --folds {count}")


def check_enough(
    labels: Labels,
    group: NDArray[np.int64],
    classes: Sequence[str],
    *,
    parts: int,
    why: str = "one for each part of the split",
) -> None:
    """Raise SplitError unless each class has as many groups as there are parts; `why` ends what was expected."""
    rows, names = strata(labels, classes)
    what = "class" if labels.ndim == 1 else "finding"
    each = "of each class" if labels.ndim == 1 else "with and without each finding"
    for name, is_it in zip(names, rows.T, strict=True):
        received = len(np.unique(group[is_it]))
        if received < parts:
            raise SplitError(
                f"Expected at least {parts} patients (or unrelated images) {each}, {why}; received "
                f"{received} of {name}. Add {parts - received} more, or leave the {what} out with --classes."
            )


def with_enough(states: NDArray[np.int8], group: NDArray[np.int64], *, parts: int = len(SHARES)) -> NDArray[np.bool_]:
    """Tell the findings that as many groups surely have, and surely lack, as there are parts, bool (k)."""
    rows, _ = strata(states, [""] * states.shape[1])
    enough = np.array([len(np.unique(group[own])) >= parts for own in rows.T], bool)
    return np.asarray(enough.reshape(2, -1).all(axis=0))


def filled(states: NDArray[np.int8], split: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Tell the findings of which every part of a split has some that have it, and some that lack it, bool (k)."""
    rows, _ = strata(states, [""] * states.shape[1])
    each = np.stack([rows[split == part].any(axis=0) for part in NAMES])
    return np.asarray(each.all(axis=0).reshape(2, -1).all(axis=0))


def _check_filled(labels: Labels, split: NDArray[np.str_], classes: Sequence[str]) -> None:
    """Raise SplitError unless every part has each class; of findings `filled` tells those that may stay."""
    for name, part in unfilled(labels, split, classes) if labels.ndim == 1 else ():
        raise SplitError(
            f"Expected images of every class in every part of the split; {part} has none of {name}. Add images of other "
            "patients, or make a new split with --resplit."
        )


def unfilled(labels: Labels, split: NDArray[np.str_], classes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name each class and a part of the split that has none of it."""
    rows, names = strata(labels, classes)
    for part in NAMES:
        for name, any_there in zip(names, rows[split == part].any(axis=0), strict=True):
            if not any_there:
                yield name, part
