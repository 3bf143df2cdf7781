"""The closed-form head of a probe: ridge regression on class indicators, cross-validated by group."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.evidence.statistics.discrimination import area_under_roc
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray, group_codes, macro_average
from plainfilm.results.estimate import Estimate

FOLDS = 5
_PENALTIES = np.geomspace(1e-3, 1e2, 11)  # against a kernel of mean diagonal 1
_LEVELS = 10  # bins of a number
_RARE = 5  # rows of a word that gets a column of its own


def folds(labels: IntArray, group: IntArray, seed: int = 0) -> IntArray:
    """Deal groups into `FOLDS` parts, each class evenly, int64 (n); a group goes by its first row's class."""
    names, first, code = np.unique(group, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    by_class = order[np.argsort(labels[first][order], kind="stable")]
    part = np.empty(len(names), np.int64)
    part[by_class] = np.arange(len(names)) % FOLDS
    return part[code]


def out_of_fold(features: NDArray[Any], labels: IntArray, part: IntArray, classes: int) -> FloatArray:
    """Score each row by a ridge regression that was fitted without its part, float64 (n, classes).

    The penalty is the one with the least leave-one-out error within the rows fitted on (Allen's PRESS, in closed form;
    Golub, Heath & Wahba 1979). Scores are without the classes' shares, which would differ from part to part against
    the part left out.
    """
    gray = np.asarray(features, np.float64)
    spread = gray.std(axis=0)
    scaled = (gray - gray.mean(axis=0))[:, spread > 1e-9] / spread[spread > 1e-9]
    scores = np.zeros((len(gray), classes))
    if not scaled.shape[1]:
        return scores
    scaled /= np.sqrt(scaled.shape[1])
    target = np.eye(classes)[labels]
    kernel = scaled @ scaled.T if scaled.shape[1] > len(scaled) else None
    for each in np.unique(part):
        known, asked = np.flatnonzero(part != each), np.flatnonzero(part == each)
        if len(known) < 2:
            continue
        if kernel is None:
            middle = scaled[known].mean(axis=0)
            scores[asked] = _primal(scaled[known] - middle, target[known], scaled[asked] - middle)
        else:
            scores[asked] = _dual(kernel[np.ix_(known, known)], target[known], kernel[np.ix_(asked, known)])
    return scores


def _primal(known: FloatArray, target: FloatArray, asked: FloatArray) -> FloatArray:
    """Fit on centred features with fewer columns than rows, and answer for the rows asked about."""
    values, directions = np.linalg.eigh(known.T @ known)
    kept = values > 1e-10 * max(values.max(), 1e-300)
    values, directions = values[kept], directions[:, kept]
    vectors = known @ directions / np.sqrt(values)
    weights = _weights(values, vectors, target)
    return np.asarray((asked @ directions) @ (np.sqrt(values)[:, None] * weights))


def _dual(kernel: FloatArray, target: FloatArray, asked: FloatArray) -> FloatArray:
    """Fit by the eigenvectors of the centred kernel and answer for the rows asked about."""
    rows, mean = kernel.mean(axis=0), kernel.mean()
    values, vectors = np.linalg.eigh(kernel - rows - rows[:, None] + mean)
    weights = vectors @ _weights(np.maximum(values, 0), vectors, target)
    return np.asarray((asked - rows - asked.mean(axis=1, keepdims=True) + mean) @ weights)


def _weights(values: FloatArray, vectors: FloatArray, target: FloatArray) -> FloatArray:
    """Weights along the eigenvectors (k) of a centred kernel for the penalty with the least leave-one-out error."""
    wanted = target - target.mean(axis=0)
    turned = vectors.T @ wanted
    errors = []
    for penalty in _PENALTIES:
        shrink = values / (values + penalty)
        leverage = np.square(vectors) @ shrink + 1 / len(vectors)
        rest = wanted - vectors @ (shrink[:, None] * turned)
        errors.append(np.square(rest / np.maximum(1 - leverage, 1e-6)[:, None]).sum())
    return np.asarray(turned / (values + _PENALTIES[int(np.argmin(errors))])[:, None])


def area(labels: IntArray, scores: FloatArray, group: IntArray, *, level: float = 0.95) -> Estimate:
    """Measure the AUROC of the second class, or with more than two the mean over the classes."""
    codes = group_codes(group, len(labels))
    if scores.shape[1] == 2:
        return area_under_roc(labels == 1, scores[:, 1], codes, level).estimate
    each = [area_under_roc(labels == c, scores[:, c], codes, level) for c in range(scores.shape[1])]
    return macro_average(each)


def as_indicators(columns: Mapping[str, NDArray[Any]]) -> FloatArray:
    """Turn columns of numbers or words (n) into 0 and 1, float64 (n, k): numbers by quantile, words by value.

    A missing value is a value of its own: that one hospital leaves a field empty tells it apart.
    """
    parts = [_indicators(column) for column in columns.values()]
    return np.concatenate(parts, axis=1) if parts else np.zeros((0, 0))


def _indicators(column: NDArray[Any]) -> FloatArray:
    if column.dtype.kind == "f":
        known = np.isfinite(column)
        edges: NDArray[Any] = (
            np.unique(np.quantile(column[known], np.linspace(0, 1, _LEVELS + 1)[1:-1])) if known.any() else np.empty(0)
        )
        values = np.where(known, np.searchsorted(edges, column, side="right"), -1)
    else:
        values = np.unique(column, return_inverse=True)[1]
    names, code, count = np.unique(values, return_inverse=True, return_counts=True)
    kept = np.flatnonzero(count >= _RARE)
    return np.asarray(code[:, None] == kept, np.float64) if len(names) > 1 else np.zeros((len(column), 0))
