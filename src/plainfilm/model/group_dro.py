"""Group DRO (distributionally robust optimisation): the loss weighs the most what is learnt the least, by class and source.

Sagawa, Koh, Hashimoto & Liang, Distributionally robust neural networks for group shifts, ICLR 2020, arXiv:1911.08731, algorithm 1.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP = 0.1  # of the log weights, a training step
State = tuple[Any, ...]  # float32 (g) each: log weights, mean losses when last seen (NaN before), shares of the rows


@dataclass(frozen=True, slots=True)
class GroupWeights:
    """What each class of each source weighed in the loss in the end; of k findings each has its own, (k, g), of which those without rows are nothing.

    Attributes
    ----------
    label, stratum : int64 (g)
        Class and source, by their numbers in a `training.Part`.
    share : float64 (g)
        Share of the training rows; the sum is 1.
    weight : float64 (g)
        Share of the loss, mean over the second half of the epochs; the sum is 1.
    """

    label: NDArray[np.int64]
    stratum: NDArray[np.int64]
    share: NDArray[np.float64]
    weight: NDArray[np.float64]

    def of(self, finding: int) -> "GroupWeights":
        """Give those of one finding, whose classes are 0, absent, and 1, present."""
        held = self.share[finding] > 0
        share = self.share[finding][held]
        return GroupWeights(
            self.label[finding][held], self.stratum[finding][held], share / share.sum(), self.weight[finding][held]
        )

    def of_rows(self, labels: NDArray[np.int64], strata: NDArray[np.int64]) -> NDArray[np.float32]:
        """Weights float32 (n) of the rows that were trained on, with mean 1, by their classes and sources int64 (n)."""
        same = (labels[:, None] == self.label) & (strata[:, None] == self.stratum)
        return np.asarray(same @ (self.weight / self.share), np.float32)


class GroupDro:
    """Classes of sources, and what each weighs in the loss now: at first all the same.

    Attributes
    ----------
    numbers : int32 (rows)
        The group of each training row, from 1; 0 is none, and weighs nothing.
    state : State
        What `step` takes and gives.
    """

    def __init__(self, labels: NDArray[np.int64], strata: NDArray[np.int64]) -> None:
        self._groups, numbers, counts = groups_of(labels, strata)
        self.numbers = np.asarray(numbers + 1, np.int32)
        share = np.asarray(counts / len(labels), np.float32)
        self.state: State = (np.full_like(share, -np.log(len(share))), np.full_like(share, np.nan), share)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Share of the loss that each group has now, float64 (g)."""
        return np.exp(np.asarray(self.state[0], np.float64))

    def take(self, losses: NDArray[Any], numbers: NDArray[np.int32]) -> NDArray[np.float32]:
        """Go a step on with the losses (n) of a batch, and give the weights float32 (n) of its rows."""
        self.state, weights = step(self.state, losses, numbers, np)
        return np.asarray(weights, np.float32)

    def ended(self, weight: NDArray[np.float64]) -> GroupWeights:
        """Describe the groups with these weights, float64 (g)."""
        label, stratum = self._groups
        return GroupWeights(label, stratum, np.asarray(self.state[2], np.float64), weight)


class FindingsDro:
    """As `GroupDro`, of findings: absent and present in each source, of each finding among the films of which it is known.

    `numbers` are int32 (rows, k), and what `state` holds (k, g): every finding has as many groups, those without rows among them.
    """

    def __init__(self, states: NDArray[np.int8], strata: NDArray[np.int64]) -> None:
        sources = np.unique(strata)
        place = np.searchsorted(sources, strata)
        groups = 2 * len(sources)
        number = np.where(states >= 0, states.astype(np.int64) * len(sources) + place[:, None], -1)
        self.numbers = np.asarray(number + 1, np.int32)
        counts = np.stack([np.bincount(own[own >= 0], minlength=groups) for own in number.T])
        self._label = np.tile(np.repeat([0, 1], len(sources)), (len(counts), 1))
        self._stratum = np.tile(np.tile(sources, 2), (len(counts), 1))
        self._share = counts / len(states)
        held = counts > 0
        with np.errstate(divide="ignore"):
            first = np.log(held / held.sum(axis=1, keepdims=True))
        share = np.where(held, self._share, 1)
        self.state: State = tuple(
            np.asarray(each, np.float32) for each in (first, np.full(counts.shape, np.nan), share)
        )

    @property
    def weights(self) -> NDArray[np.float64]:
        """Share of its finding's loss that each group has now, float64 (k, g)."""
        return np.exp(np.asarray(self.state[0], np.float64))

    def take(self, losses: NDArray[Any], numbers: NDArray[np.int32]) -> NDArray[np.float32]:
        """Go a step on with the losses (n, k) of a batch, and give the weights float32 (n, k); what is not known weighs nothing."""
        self.state, weights = step_findings(self.state, losses, numbers, np)
        return np.asarray(weights, np.float32)

    def ended(self, weight: NDArray[np.float64]) -> GroupWeights:
        """Describe the groups with these weights, float64 (k, g)."""
        return GroupWeights(self._label, self._stratum, self._share, weight)


def groups_of(
    labels: NDArray[np.int64], strata: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Give the classes and sources that occur together int64 (2, g), which of them each row has int64 (rows), and how many have each."""
    groups, numbers, counts = np.unique(np.stack([labels, strata]), axis=1, return_inverse=True, return_counts=True)
    return groups, numbers.ravel(), counts


def opened(labels: NDArray[Any], strata: NDArray[np.int64] | None) -> "GroupDro | FindingsDro | None":
    """Begin with the classes (or findings) and sources of training rows; None where no class has two sources that could be weighed."""
    if strata is not None and labels.ndim == 2:
        return FindingsDro(labels, strata) if len(np.unique(strata)) > 1 else None
    if strata is None or len(groups_of(labels, strata)[2]) == len(np.unique(labels)):
        return None
    return GroupDro(labels, strata)


def step(state: State, losses: Any, numbers: Any, xp: Any) -> tuple[State, Any]:
    """Weigh the groups anew by the losses (n) of a batch's rows, and give the weights (n) of these rows.

    A group's weight is multiplied by exp(STEP x its mean loss), that of a group without rows in the batch by its last
    one: with the whole training set a batch it is the algorithm of the paper, and small groups are not left behind in
    small batches. Over the training set the weights of rows have mean 1. `xp` is NumPy or JAX's.
    """
    logs, known, shares = state
    member = xp.asarray(numbers[:, None] == xp.arange(1, len(shares) + 1), "float32")
    counts, sums = member.sum(axis=0), losses @ member
    known = xp.where(counts > 0, sums / xp.maximum(counts, 1), known)
    logs = logs + STEP * xp.where(xp.isnan(known), sums.sum() / counts.sum(), known)
    logs = logs - xp.log(xp.exp(logs - logs.max()).sum()) - logs.max()
    return (logs, known, shares), member @ (xp.exp(logs) / shares)


def step_findings(state: State, losses: Any, numbers: Any, xp: Any) -> tuple[State, Any]:
    """As `step`, of findings by themselves: losses and numbers (n, k); the weights (n, k) of each have mean 1 over all rows."""
    logs, known, shares = state
    member = xp.asarray(numbers[:, :, None] == xp.arange(1, shares.shape[1] + 1), "float32")
    counts, sums = member.sum(axis=0), (losses[:, :, None] * member).sum(axis=0)
    known = xp.where(counts > 0, sums / xp.maximum(counts, 1), known)
    mean = sums.sum(axis=1, keepdims=True) / xp.maximum(counts.sum(axis=1, keepdims=True), 1)
    logs = logs + STEP * xp.where(xp.isnan(known), mean, known)
    most = logs.max(axis=1, keepdims=True)
    logs = logs - most - xp.log(xp.exp(logs - most).sum(axis=1, keepdims=True))
    return (logs, known, shares), (member * (xp.exp(logs) / shares)).sum(axis=2)
