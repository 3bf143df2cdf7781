"""Linear heads in NumPy, for all folds of a search at once: a tenth of a second a fold, by the same mathematics as the product's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
STEPS, RATE, ETA = 300, 3e-3, 0.1  # full batches; learning rate of Adam; step of group DRO
_FADE = 0.9, 0.999  # of Adam's moments


@dataclass(frozen=True)
class Rows:
    """What heads are trained on: `positive`, `train` bool (n, folds), and `cell` int64 (n), a number a source and class."""

    positive: Mask
    train: Mask
    cell: NDArray[np.int64]

    def only(self, fold: int) -> "Rows":
        """The same for one fold."""
        return Rows(self.positive[:, [fold]], self.train[:, [fold]], self.cell)


def log_odds(x: Array, rows: Rows, l2: float, loss: str) -> Array:
    """Train a linear head with a sigmoid a fold on features (n, width), and score every film with each: float32 (n, folds).

    Features are standardised by each fold's training films. The loss is the mean cross-entropy and l2 / 2 times the squared
    weights; `loss` says what counts alike: "balanced" classes, "by source" within a class sources too, "group-dro" the
    sources and classes that are hard (Sagawa et al., ICLR 2020: weights that grow exponentially with their loss). The
    answer is the mean of the head's weights over the second half of the steps.
    """
    seen = rows.train.any(axis=1)
    learnt, its = x[seen], Rows(rows.positive[seen], rows.train[seen], rows.cell[seen])
    train = its.train.astype(np.float32)
    mean = train.T @ learnt / train.sum(axis=0)[:, None]
    spread = np.sqrt(np.maximum(train.T @ learnt**2 / train.sum(axis=0)[:, None] - mean**2, 0)).T + 1e-3
    member = np.eye(its.cell.max() + 1, dtype=np.float32)[its.cell]
    count = member.T @ train
    share = _shares(its, count, loss)
    weights, bias = (np.zeros(shape, np.float32) for shape in (spread.shape, train.shape[1]))
    adam, means = _Adam(weights.shape), _Adam(bias.shape)
    kept, kept_bias = np.zeros_like(weights), np.zeros_like(bias)
    for step in range(1, STEPS + 1):
        logits = _scores(learnt, weights, bias, mean, spread)
        if loss == "group-dro":
            lost = np.logaddexp(0, np.where(its.positive, -logits, logits)) * train
            share *= np.exp(ETA * (member.T @ lost) / np.maximum(count, 1))
            share /= share.sum(axis=0)
        error = (_sigmoid(logits) - its.positive) * train * (member @ (share / np.maximum(count, 1)))
        slope = (learnt.T @ error - mean.T * error.sum(axis=0)) / spread + l2 * weights
        weights, bias = weights - adam.step(slope, step), bias - means.step(error.sum(axis=0), step)
        if step > STEPS // 2:
            kept, kept_bias = kept + weights, kept_bias + bias
    half = STEPS - STEPS // 2
    return _scores(x, kept / half, kept_bias / half, mean, spread)


def _shares(rows: Rows, count: Array, loss: str) -> Array:
    """What share of the loss each cell (source and class) has in each fold, float32 (cells, folds), to begin with."""
    held = (count > 0).astype(np.float32)
    if loss == "group-dro":
        return held / held.sum(axis=0)
    own = held if loss == "by source" else count
    cells = np.eye(len(count), dtype=np.float32)[rows.cell]
    ill = (cells.T @ (rows.positive & rows.train)) > 0  # a cell is of one class in a fold
    return sum(0.5 * own * part / np.maximum((own * part).sum(axis=0), 1) for part in (ill, held - ill))


def _scores(x: Array, weights: Array, bias: Array, mean: Array, spread: Array) -> Array:
    slopes = weights / spread
    return x @ slopes + bias - (mean.T * slopes).sum(axis=0)


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(x / 2))


class _Adam:
    """Kingma & Ba, ICLR 2015."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._first, self._second = np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    def step(self, slope: Array, number: int) -> Array:
        self._first += (1 - _FADE[0]) * (slope - self._first)
        self._second += (1 - _FADE[1]) * (slope**2 - self._second)
        first, second = self._first / (1 - _FADE[0] ** number), self._second / (1 - _FADE[1] ** number)
        return RATE * first / (np.sqrt(second) + 1e-7)
