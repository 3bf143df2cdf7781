"""From logits to probabilities at the prevalence of some data: a slope and an intercept (Platt), or one of each a class."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, log_softmax, softmax

from plainfilm.evidence.statistics.intervals import FloatArray
from plainfilm.model.scaling import Scaling

_APART = 0.25  # standard deviation of the prior on what sets the classes' log slopes apart
_STEPS = 500
_OFFSET = 2.0  # of the prior on the distance of the intercept from where the class weights' log ratio is taken out


def fit_scaling(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    positive: int,
    trained_at: ArrayLike | None = None,
    shares: ArrayLike | None = None,
) -> Scaling:
    """Find slopes and intercepts that make probabilities of scaled logits fit the labels of the validation set best.

    A head that was trained with class weights answers as if the classes came in the shares `trained_at`. Its evidence,
    the logits less the log of these, is what the slope multiplies; the log of `shares` is added, and a distance from
    there that is fitted. Priors keep a handful of positives from deciding alone: standard normal on the log slope, normal
    with standard deviation 2 on the distance. Two classes have one slope and one intercept (Platt); more have one each
    (vector scaling), the slopes drawn to their mean.

    Parameters
    ----------
    logits : float (n, 1) or (n, k)
        Of a sigmoid, or of k classes before the softmax.
    labels : int (n,)
        Class index, 0 to k - 1.
    positive
        Index of the class that a sigmoid's one output means, or, of a softmax of two classes, gets the intercept.
    trained_at, shares : float (classes,), optional
        Shares of the classes, above 0, as the loss weighed them, and in the data; alike where one is not given.

    Returns
    -------
    Scaling
        Slopes above 0. Below 1: the model was too sure.

    References
    ----------
    Platt 1999. Guo, Pleiss, Sun & Weinberger, ICML 2017 (vector scaling). Saerens, Latinne & Decaestecker, Neural
    Computation 2002 (from the shares trained at to others).
    """
    scores = _checked(logits, labels)
    truth, outputs = np.asarray(labels, np.int64), scores.shape[1]
    before, after = _centres(max(2, outputs), positive, trained_at, shares)
    if max(2, outputs) > 2:
        return _fit(scores - before, np.eye(outputs)[truth], before, after)
    odds = scores if outputs == 1 else scores[:, [positive]] - scores[:, [1 - positive]]
    one = _fit(odds - before, (truth == positive)[:, None].astype(np.float64), before, after)
    if outputs == 1:
        return one
    return Scaling(np.repeat(one.slopes, 2), one.intercepts * (np.arange(2) == positive))


def _centres(
    classes: int, positive: int, trained_at: ArrayLike | None, shares: ArrayLike | None
) -> tuple[FloatArray, FloatArray]:
    """Logs of the shares trained at and of those in the data; of two classes the log odds of the positive one."""
    logs = [np.log(np.ones(classes) if each is None else np.asarray(each, np.float64)) for each in (trained_at, shares)]
    if trained_at is None or shares is None:
        logs = [np.zeros(classes)] * 2
    if classes == 2:
        logs = [each[[positive]] - each[[1 - positive]] for each in logs]
    return logs[0], logs[1]


def _fit(evidence: FloatArray, truth: FloatArray, before: FloatArray, after: FloatArray) -> Scaling:
    """Fit evidence (n, k) to truth (n, k) of 0 and 1; k is 1 for log odds, else the classes."""
    k = evidence.shape[1]

    def loss(point: FloatArray) -> tuple[float, FloatArray]:
        stretch, moved = np.exp(point[:k]), point[k:]
        scaled = evidence * stretch + after + moved
        wrong = (expit(scaled) if k == 1 else softmax(scaled, axis=1)) - truth
        mean, apart = point[:k].mean(), point[:k] - point[:k].mean()
        prior = mean**2 / 2 + apart @ apart / (2 * _APART**2) + moved @ moved / (2 * _OFFSET**2)
        slope = (wrong * evidence).sum(axis=0) * stretch + mean / k + apart / _APART**2
        return _unlikely(scaled, truth) + float(prior), np.concatenate([slope, wrong.sum(axis=0) + moved / _OFFSET**2])

    starts = [np.concatenate([np.full(k, start), np.zeros(k)]) for start in np.log([0.1, 0.3, 1.0, 3.0])]
    found = min((_minimum(loss, start) for start in starts), key=lambda each: loss(each)[0])
    slopes = np.exp(found[:k])
    return Scaling(slopes, after + found[k:] - slopes * before)


def _minimum(loss: Callable[[FloatArray], tuple[float, FloatArray]], point: FloatArray) -> FloatArray:
    """Go from a point to a minimum by BFGS (Nocedal & Wright 2006, algorithm 6.1); SciPy's own takes longer to load."""
    (value, slope), inverse = loss(point), np.eye(len(point))
    for _ in range(_STEPS):
        step = -inverse @ slope
        if step @ slope >= 0:
            inverse, step = np.eye(len(point)), -slope
        length = min(1.0, 1 / max(np.abs(step).max(), 1e-300))
        ahead, steeper = loss(point + length * step)
        while ahead > value + 1e-4 * length * (slope @ step) and length > 1e-12:
            length /= 2
            ahead, steeper = loss(point + length * step)
        if np.abs(slope).max() < 1e-9 or ahead >= value:
            break
        moved, turned = length * step, steeper - slope
        point, value, slope, curve = point + moved, ahead, steeper, moved @ turned
        if curve > 1e-14:
            across = inverse @ turned
            inverse += (1 + turned @ across / curve) / curve * np.outer(moved, moved)
            inverse -= (np.outer(across, moved) + np.outer(moved, across)) / curve
    return point


def _unlikely(scaled: FloatArray, truth: FloatArray) -> float:
    if scaled.shape[1] == 1:
        return -float(log_expit(np.where(truth == 1, scaled, -scaled)).sum())
    return -float((log_softmax(scaled, axis=1) * truth).sum())


def _checked(logits: ArrayLike, labels: ArrayLike) -> NDArray[Any]:
    scores, truth = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if scores.ndim != 2 or not scores.shape[1]:
        raise ValueError(f"Expected logits of shape (n, 1) or (n, k) with k of 2 or more; received {scores.shape}.")
    if not np.isfinite(scores).all():
        raise ValueError(f"Expected finite logits; received {np.count_nonzero(~np.isfinite(scores))} that are not.")
    classes = max(2, scores.shape[1])
    if truth.shape != scores.shape[:1] or not np.isin(truth, np.arange(classes)).all():
        raise ValueError(
            f"Expected {len(scores)} labels 0 to {classes - 1}; received shape {truth.shape}, {np.unique(truth)[:5]}."
        )
    return scores
