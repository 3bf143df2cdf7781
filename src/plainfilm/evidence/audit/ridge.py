"""The closed-form head of a probe: ridge regression on class indicators, cross-validated by group."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.association import RARE, levels
from plainfilm.evidence.statistics.discrimination import area_under_roc
from plainfilm.evidence.statistics.intervals import (
    FloatArray,
    IntArray,
    Measured,
    group_codes,
    macro_average,
    within_bounds,
)
from plainfilm.results.estimate import Estimate

FOLDS = 5
_PENALTIES = np.append(
    np.inf, np.geomspace(1e2, 1e-3, 11)
)  # against a kernel of mean diagonal 1; the first learns nothing


def folds(labels: IntArray, group: IntArray, seed: int = 0) -> IntArray:
    """Deal groups into `FOLDS` parts, each class evenly, int64 (n); a group goes by its first row's class."""
    names, first, code = np.unique(group, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    by_class = order[np.argsort(labels[first][order], kind="stable")]
    part = np.empty(len(names), np.int64)
    part[by_class] = np.arange(len(names)) % FOLDS
    return part[code]


def out_of_fold(
    features: NDArray[Any], labels: IntArray, part: IntArray, classes: int, *, asked: int | None = None
) -> FloatArray:
    """Score each row by a ridge regression that was fitted without its part, float64 (n, classes); only part `asked`, if given.

    The penalty is for each class the one with the least leave-one-out error within the rows fitted on (Allen's PRESS, in
    closed form; Golub, Heath & Wahba 1979); where knowing nothing errs least, all scores of the part are 0. Without
    that, features that tell nothing are ranked the wrong way round: what is common in the part left out is rare in the
    rest. Scores are without the classes' shares, which would differ from part to part against the part left out.
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
    for each in np.unique(part) if asked is None else (asked,):
        known, own = np.flatnonzero(part != each), np.flatnonzero(part == each)
        if len(known) < 2:
            continue
        if kernel is None:
            middle = scaled[known].mean(axis=0)
            scores[own] = _primal(scaled[known] - middle, target[known], scaled[own] - middle)
        else:
            scores[own] = _dual(kernel[np.ix_(known, known)], target[known], kernel[np.ix_(own, known)])
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
    """Weights along the eigenvectors (k) of a centred kernel, for each class's penalty with the least leave-one-out error."""
    wanted = target - target.mean(axis=0)
    turned = vectors.T @ wanted
    errors = []
    for penalty in _PENALTIES:
        shrink = values / (values + penalty)
        leverage = np.square(vectors) @ shrink + 1 / len(vectors)
        rest = wanted - vectors @ (shrink[:, None] * turned)
        errors.append(np.square(rest / np.maximum(1 - leverage, 1e-6)[:, None]).sum(axis=0))
    return np.asarray(turned / (values[:, None] + _PENALTIES[np.argmin(errors, axis=0)]))


def areas(
    labels: IntArray, scores: FloatArray, group: IntArray, part: IntArray | None = None, *, level: float = 0.95
) -> list[Measured]:
    """Measure the AUROC of each class against the rest, rows of one part of the cross-validation with one another.

    Heads of different parts are not compared, since the share of a class among their rows shifts their scores (Forman &
    Scholz, SIGKDD Explorations 2010). No upper end lies below 0.5: what ranks the wrong way round has learnt nothing.
    """
    codes = group_codes(group, len(labels))
    each = [area_under_roc(labels == c, scores[:, c], codes, level, strata=part) for c in range(scores.shape[1])]
    return [Measured(_from_chance(own.estimate), own.influence) for own in each]


def area(
    labels: IntArray, scores: FloatArray, group: IntArray, part: IntArray | None = None, *, level: float = 0.95
) -> Estimate:
    """Measure the AUROC of the second class, or with more than two the mean over the classes; see `areas`."""
    return together(areas(labels, scores, group, part, level=level))


def together(each: Sequence[Measured]) -> Estimate:
    """Give the AUROC of the second of two classes, or the mean of more."""
    return each[1].estimate if len(each) == 2 else macro_average(each)


def _from_chance(estimate: Estimate) -> Estimate:
    return within_bounds(estimate.value, estimate.low, max(estimate.high, 0.5)) if estimate.is_known else estimate


def as_indicators(columns: Mapping[str, NDArray[Any]]) -> FloatArray:
    """Turn columns of numbers or words (n) into 0 and 1, float64 (n, k): numbers by quantile, words by value.

    A missing value is a value of its own: that one hospital leaves a field empty tells it apart.
    """
    parts = [_indicators(column) for column in columns.values()]
    return np.concatenate(parts, axis=1) if parts else np.zeros((0, 0))


def _indicators(column: NDArray[Any]) -> FloatArray:
    names, code, count = np.unique(levels(column), return_inverse=True, return_counts=True)
    kept = np.flatnonzero(count >= RARE)
    return np.asarray(code[:, None] == kept, np.float64) if len(names) > 1 else np.zeros((len(column), 0))
