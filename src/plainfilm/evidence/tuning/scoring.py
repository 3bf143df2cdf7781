"""What a trial of a search is worth on the rows it is scored on: the log loss of its calibrated probabilities, and more."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.evidence.statistics.discrimination import area_under_roc
from plainfilm.evidence.statistics.intervals import group_codes, group_sums, variance
from plainfilm.evidence.statistics.scaling import fit_scaling
from plainfilm.model.classifier import Decision
from plainfilm.model.trials import Outcome, Scored

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


def log_losses(logits: NDArray[Any], labels: NDArray[np.int64], *, positive: int) -> NDArray[np.float64]:
    """Give each row's log loss, float64 (n), of calibrated probabilities: 0 is best, ln 2 a coin's."""
    given = probabilities(logits, labels, positive=positive)[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.maximum(given, _LEAST)))


def score(ended: Outcome, labels: NDArray[np.int64], group: NDArray[np.int64], *, positive: int) -> Scored:
    """Sum up a trial; labels and groups are int64, of all rows of the store.

    The standard error takes the rows of a group as one draw (infinitesimal jackknife).
    """
    losses, logits, labels, group = ended.losses, ended.logits, labels[ended.rows], group[ended.rows]
    codes = group_codes(group, len(labels))
    groups = int(codes.max()) + 1
    off = group_sums(codes, losses - losses.mean(), groups) / len(losses)
    chance = probabilities(logits, labels, positive=positive)
    columns = [positive] if logits.shape[1] == 1 else range(chance.shape[1])
    areas = [area_under_roc(labels == each, chance[:, each], codes, 0.95).estimate.value for each in columns]
    return Scored(
        score=float(losses.mean()),
        error=float(np.sqrt(variance(off))),
        accuracy=float((chance.argmax(axis=1) == labels).mean()),
        auroc=float(np.mean(areas)),
        kept=ended.epochs,
    )
