"""How a verb cross-validates: in a number of folds, or by leaving out each source in turn."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import source_split
from plainfilm.data.source_split import SourceFolds
from plainfilm.data.split import Labels
from plainfilm.errors import UsageError
from plainfilm.results.task import Task
from plainfilm.workflows.parsing import BY_SOURCE, groups_of

Together = Sequence[str | Sequence[str]] | None


class Sourced(Protocol):
    """Rows with their classes, sources and groups: a store, or what will become one."""

    @property
    def task(self) -> Task:
        """Whether they are classes, or findings."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Index into classes (n), below 0 for none."""

    @property
    def targets(self) -> Labels:
        """The labels, or the states of findings int8 (n, k)."""

    @property
    def group(self) -> NDArray[np.int64]:
        """Group (n)."""

    @property
    def source(self) -> NDArray[np.str_]:
        """Source (n), empty where it is not known."""


def check(folds: int | str, together: Together, *, fewest: int, most: int, none: int = 0) -> None:
    """Find what is wrong with the options: folds that are none, too few or too many, or sources without their folds.

    Raises
    ------
    UsageError
        One line.
    """
    if folds == BY_SOURCE:
        groups_of(together)
    elif together is not None:
        raise UsageError(
            f"Expected --together with --folds {BY_SOURCE}; received it without. Add that, or leave it out."
        )
    elif folds != none and not (isinstance(folds, int) and fewest <= folds <= most):
        raise UsageError(
            f"Expected from {fewest} to {most} folds, {none or 'none'}, or {BY_SOURCE}; received {folds}. Set one of them."
        )


def check_by_source(folds: int | str, together: Together, rank: str) -> None:
    """As `check`, for a verb that knows no other folds, and ranks by them.

    Raises
    ------
    UsageError
        One line.
    """
    if folds not in {0, BY_SOURCE}:
        raise UsageError(f"Expected --folds {BY_SOURCE}, or none; received {folds}. Set it, or leave it out.")
    check_rank(folds, rank)
    check(folds, together, fewest=2, most=2)


def check_rank(folds: int | str, rank: str) -> None:
    """Raise UsageError for a rank, other than the default, without the sources that it ranks by."""
    if folds != BY_SOURCE and rank != "worst":
        raise UsageError(f"Expected --rank with --folds {BY_SOURCE}; received it without. Add that, or leave it out.")


def by_source(
    folds: int | str, together: Together, of: Sourced, *, seed: int, rows: NDArray[np.int64] | None = None
) -> SourceFolds | None:
    """Leave out each source in turn, where that is what `folds` says; of some `rows` alone where they are given.

    Raises
    ------
    SplitError
        There are not two sources to learn from and test on, or `together` names one that is not there.
    """
    if folds != BY_SOURCE:
        return None
    labels = _labels(of, rows)
    return source_split.leave_out(labels, of.source, of.group, of.classes, together=groups_of(together), seed=seed)


def by_two_sources(
    sources: SourceFolds, of: Sourced, *, seed: int, rows: NDArray[np.int64] | None = None
) -> dict[tuple[int, int], NDArray[np.str_]]:
    """Leave out two of the `sources` at once (`source_split.leave_two_out`), of the same `rows`."""
    return source_split.leave_two_out(_labels(of, rows), of.source, of.group, of.classes, sources, seed=seed)


def _labels(of: Sourced, rows: NDArray[np.int64] | None) -> Labels:
    """Give the labels of some rows, or their findings' states, and -1 for the others."""
    if rows is None:
        return of.targets
    labels = np.full_like(of.targets, -1)
    labels[rows] = of.targets[rows]
    return labels
