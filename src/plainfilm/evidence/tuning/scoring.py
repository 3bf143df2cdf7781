"""What a trial of a search is worth on the rows it is scored on: the log loss of its calibrated probabilities, and more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from plainfilm.evidence.statistics.discrimination import area_under_roc
from plainfilm.evidence.statistics.intervals import group_codes, group_sums, variance
from plainfilm.evidence.statistics.scaling import fit_scaling
from plainfilm.model.classifier import Decision
from plainfilm.model.trials import AtSources, InnerFold, Outcome, Scored
from plainfilm.results.comparison import Rank

_LEAST = 1e-15  # a probability of 0 for what came true would count without end


def probabilities(logits: NDArray[Any], labels: NDArray[np.int64], *, positive: int) -> NDArray[np.float64]:
    """Turn logits (n, 1) of a sigmoid or (n, k) of a softmax into calibrated probabilities, float64 (n, classes).

    The calibration is fitted on the same rows, as the validation set's is when a classifier is trained: it makes heads
    comparable whatever loss and class weights they were trained with. Its prior does not know these weights, so that with few
    rows the score differs a little from what training the best trial again gives.
    """
    classes = tuple(map(str, range(max(2, logits.shape[1]))))
    scaling = fit_scaling(logits, labels, positive=positive)
    return Decision.scaled(classes, classes[positive] if len(classes) == 2 else None, scaling).probabilities(logits)


def log_losses(logits: NDArray[Any], labels: NDArray[Any], *, positive: int) -> NDArray[np.float64]:
    """Give each row's log loss, float64 (n), of calibrated probabilities: 0 is best, ln 2 a coin's.

    Of findings, whose states `labels` int8 (n, k) are, the mean over those that are known of the row.
    """
    if labels.ndim == 2:
        losses = np.full(labels.shape, np.nan)
        for at, own in enumerate(labels.T):
            known, truth = own >= 0, own[own >= 0].astype(np.int64)
            losses[known, at] = log_losses(logits[known][:, [at]], truth, positive=1)
        return np.asarray(np.nanmean(losses, axis=1))
    return _log_losses(probabilities(logits, labels, positive=positive), labels)


def balanced_log_losses(logits: NDArray[Any], labels: NDArray[Any], *, positive: int) -> NDArray[np.float64]:
    """Give each row's log loss, float64 (n), weighed so that each class counts alike, and as if there were as many of each.

    So the mean at any source is ln 2 for a coin (of two classes) and 0 at best, whatever its share of sick: by the plain loss
    the worst source would be the one where the classes are of one size. Of findings, whose states `labels` int8 (n, k) are, the mean
    of all rows is the mean over the findings that are both present and absent there, each over the rows of which it is known.
    """
    if labels.ndim == 2:
        return _balanced_of_findings(logits, labels)
    chance = probabilities(logits, labels, positive=positive)
    shares = np.bincount(labels, minlength=chance.shape[1]) / len(labels)
    alike = chance / shares
    losses = _log_losses(alike / alike.sum(axis=1, keepdims=True), labels)
    return np.asarray(losses / (len(shares) * shares[labels]))


def _balanced_of_findings(logits: NDArray[Any], states: NDArray[np.int8]) -> NDArray[np.float64]:
    losses, rows = np.zeros(states.shape), len(states)
    measured = [at for at, own in enumerate(states.T) if _is_told(own)]
    for at in measured:
        known = states[:, at] >= 0
        own = balanced_log_losses(logits[known][:, [at]], states[known, at].astype(np.int64), positive=1)
        losses[known, at] = own * rows / known.sum()
    return np.asarray(losses[:, measured].mean(axis=1)) if measured else np.full(rows, np.log(2))


def _is_told(states: NDArray[np.int8]) -> bool:
    """Whether a finding (n) is present in some rows and absent in others."""
    return bool((states == 1).any() and (states == 0).any())


def _log_losses(chance: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(-np.log(np.maximum(chance[np.arange(len(labels)), labels], _LEAST)))


def score(ended: Outcome, labels: NDArray[Any], group: NDArray[np.int64], *, positive: int) -> Scored:
    """Sum up a trial; labels and groups are int64, of all rows of the store.

    The standard error takes the rows of a group as one draw (infinitesimal jackknife).
    """
    found = _measured(ended.losses, ended.logits, labels[ended.rows], group[ended.rows], positive=positive)
    return Scored(score=found.loss, error=found.error, accuracy=found.accuracy, auroc=found.area, kept=ended.epochs)


def score_left_out(
    ended: Outcome,
    folds: Sequence[InnerFold],
    labels: NDArray[np.int64],
    group: NDArray[np.int64],
    *,
    positive: int,
    rank: Rank,
) -> Scored:
    """Sum up a trial of `trials.source_folds`: by the worst source that was left out alone, or the mean over these.

    With "worst" loss, accuracy and AUROC are each the worst of any source. Labels, groups and errors are as in `score`;
    the error of a mean takes the sources for independent.
    """
    ends = np.cumsum([len(rows) for fold in folds for rows in fold.scored])
    parts = zip(*(np.split(each, ends[:-1]) for each in (ended.losses, ended.logits, ended.rows)), strict=True)
    measured = (
        _measured(losses, logits, labels[rows], group[rows], positive=positive, calibrated=False)
        for losses, logits, rows in parts
    )
    found = [(tuple(fold.left_out), [next(measured) for _ in fold.scored]) for fold in folds]
    alone = [own[0] for names, own in found if len(names) == 1]
    worst = max(alone, key=lambda each: each.loss)
    mean = {name: float(np.mean([getattr(each, name) for each in alone])) for name in ("loss", "accuracy", "area")}
    is_worst = rank == "worst"
    return Scored(
        score=worst.loss if is_worst else mean["loss"],
        error=worst.error if is_worst else float(np.linalg.norm([each.error for each in alone])) / len(alone),
        accuracy=min(each.accuracy for each in alone) if is_worst else mean["accuracy"],
        auroc=min(each.area for each in alone) if is_worst else mean["area"],
        kept=ended.epochs[: len(alone)],
        at=tuple(
            AtSources(sources=names, losses=tuple(each.loss for each in own), areas=tuple(each.area for each in own))
            for names, own in found
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """Mean log loss of some rows and its standard error, accuracy and AUROC."""

    loss: float
    error: float
    accuracy: float
    area: float


def _measured(
    losses: NDArray[np.float64],
    logits: NDArray[Any],
    labels: NDArray[Any],
    group: NDArray[np.int64],
    *,
    positive: int,
    calibrated: bool = True,
) -> _Measured:
    """Measure some rows; with more than two classes a calibration on them moves the AUROC, if it is `calibrated`."""
    codes = group_codes(group, len(labels))
    if labels.ndim == 2:
        return _measured_findings(losses, logits, labels, codes)
    off = group_sums(codes, losses - losses.mean(), int(codes.max()) + 1) / len(losses)
    chance = probabilities(logits, labels, positive=positive)
    columns = [positive] if logits.shape[1] == 1 else range(chance.shape[1])
    ranked = chance if calibrated or logits.shape[1] == 1 else softmax(logits, axis=1)
    areas = [area_under_roc(labels == each, ranked[:, each], codes, 0.95).estimate.value for each in columns]
    return _Measured(
        loss=float(losses.mean()),
        error=float(np.sqrt(variance(off))),
        accuracy=float((chance.argmax(axis=1) == labels).mean()),
        area=float(np.mean(areas)),
    )


def _measured_findings(
    losses: NDArray[np.float64], logits: NDArray[Any], states: NDArray[np.int8], codes: NDArray[np.int64]
) -> _Measured:
    """Measure some rows of findings: means over those that are both present and absent, each on the rows of which it is known."""
    off = group_sums(codes, losses - losses.mean(), int(codes.max()) + 1) / len(losses)
    right, areas = [], []
    for at, own in enumerate(states.T):
        if not _is_told(own):
            continue
        known, truth = own >= 0, own[own >= 0].astype(np.int64)
        found = _measured(losses[known], logits[known][:, [at]], truth, codes[known], positive=1)
        right.append(found.accuracy)
        areas.append(found.area)
    return _Measured(
        loss=float(losses.mean()),
        error=float(np.sqrt(variance(off))),
        accuracy=float(np.mean(right)),
        area=float(np.mean(areas)),
    )
