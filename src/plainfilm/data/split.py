"""Train / validation / test: stratified by class, grouped by patient and duplicate, seeded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plainfilm.errors import SplitError

SHARES = (0.70, 0.15, 0.15)
NAMES = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Leakage:
    """Groups (patients, duplicates) that stand in more than one part of a given split."""

    groups: int
    images: int


def assign(
    labels: NDArray[np.int64], group: NDArray[np.int64], *, shares: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Deal whole groups to parts so that each class comes near its share in every part.

    In random order, each to the part that lacks most of the group's classes; groups too large to fit in late come first.
    As scikit-learn's StratifiedGroupKFold, but for unequal shares, in time linear in the groups, and without dealing
    every patient with several images to the largest part.

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

    Returns
    -------
    int64 (n)
        Index of the part.
    """
    _, index = np.unique(group, return_inverse=True)
    classes = int(labels.max(initial=-1)) + 1
    counts = np.zeros((int(index.max(initial=-1)) + 1, classes))
    np.add.at(counts, (index, labels), 1)
    order = np.random.default_rng(seed).permutation(len(counts))
    lacking = _targets(counts.sum(0), shares)
    size = counts.sum(1)[order]
    order = order[np.argsort(-np.where(size > lacking.sum(1).min() / 10, size, 0), kind="stable")]
    part = np.empty(len(counts), np.int64)
    for each in order:
        part[each] = np.argmax(lacking @ counts[each])
        lacking[part[each]] -= counts[each]
    return part[index]


def _targets(totals: NDArray[np.float64], shares: Sequence[float]) -> NDArray[np.float64]:
    """Rows wanted in each part and class, (parts, classes): the share, but at least one; the largest part gives."""
    wanted = np.maximum(np.outer(np.asarray(shares) / np.sum(shares), totals), 1.0)
    largest = int(np.argmax(shares))
    wanted[largest] -= wanted.sum(0) - totals
    return wanted


def make(
    labels: NDArray[np.int64],
    group: NDArray[np.int64],
    classes: Sequence[str],
    *,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
) -> NDArray[np.str_]:
    """Split labelled rows (label ≥ 0) into train, validation and test; the others get "".

    Raises
    ------
    SplitError
        A class has fewer groups than there are parts: it could not stand in each.
    """
    rows = np.flatnonzero(labels >= 0)
    _check_enough(labels[rows], group[rows], classes, parts=len(shares))
    part = assign(labels[rows], group[rows], shares=shares, seed=seed)
    split = np.full(len(labels), "", dtype="U10")
    split[rows] = np.array(NAMES)[part]
    _check_filled(labels, split, classes)
    return split


def complete(
    split: NDArray[np.str_],
    labels: NDArray[np.int64],
    group: NDArray[np.int64],
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> NDArray[np.str_]:
    """Keep a given split; where it has no validation part, take one from train, as large as the default's share of train.

    Raises
    ------
    SplitError
        Some labelled images have a split and others none; or a part lacks a class.
    """
    labelled = labels >= 0
    missing = int((labelled & (split == "")).sum())
    if missing:
        raise SplitError(
            f"Expected a split for every labelled image or for none; received {missing} of {int(labelled.sum())} without. "
            "Fill the column `split`, or leave it out."
        )
    out = np.where(labelled, split, "")
    if not (out == "validation").any():
        train = np.flatnonzero(out == "train")
        _check_enough(labels[train], group[train], classes, parts=2)
        part = assign(labels[train], group[train], shares=SHARES[:2], seed=seed)
        out[train[part == 1]] = "validation"
    _check_filled(labels, out, classes)
    return out


def leakage(split: NDArray[np.str_], group: NDArray[np.int64]) -> Leakage:
    """Count groups with images in more than one part, and those images. Rows without a part are passed over."""
    rows = np.flatnonzero(split != "")
    _, index = np.unique(group[rows], return_inverse=True)
    seen = np.zeros((int(index.max(initial=-1)) + 1, len(NAMES)), bool)
    seen[index, np.searchsorted(np.sort(NAMES), split[rows])] = True
    leaking = seen.sum(1) > 1
    return Leakage(int(leaking.sum()), int(leaking[index].sum()))


def _check_enough(labels: NDArray[np.int64], group: NDArray[np.int64], classes: Sequence[str], *, parts: int) -> None:
    for number, name in enumerate(classes):
        received = len(np.unique(group[labels == number]))
        if received < parts:
            raise SplitError(
                f"Expected at least {parts} patients (or unrelated images) of each class, one for each part of the split; received "
                f"{received} of {name}. Add {parts - received} more, or leave the class out with --classes."
            )


def _check_filled(labels: NDArray[np.int64], split: NDArray[np.str_], classes: Sequence[str]) -> None:
    for part in NAMES:
        for number, name in enumerate(classes):
            if not ((split == part) & (labels == number)).any():
                raise SplitError(
                    f"Expected images of every class in every part of the split; {part} has none of {name}. Add images of other "
                    "patients, or correct the column `split`."
                )
