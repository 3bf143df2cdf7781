"""Means against what tells sources apart, on features: each takes those of all films and gives them changed, for one fold.

`x` float32 (n, width), standardised by the training films; `rows` bool (n) are those; `positive` bool (n); `source` (n) numbers.
Scatter within a class between sources is what a head should not lean on: the disease does not explain it.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64]
Mean = Callable[[Array, Mask, Mask, Numbers], Array]


def inlp(rounds: int) -> Mean:
    """Iterative null-space projection (Ravfogel et al., ACL 2020), of linear classifiers of the source within the classes."""

    def change(x: Array, rows: Mask, positive: Mask, source: Numbers) -> Array:
        x = x.copy()
        for _ in range(rounds):
            found = [_ridge(x[of], _one_hot(source[of])) for of in _classes(rows, positive, source)]
            x = _without(x, np.concatenate(found, axis=1))
        return x

    return change


def erased(x: Array, rows: Mask, positive: Mask, source: Numbers) -> Array:
    """Without the directions between the sources' means within the classes."""
    return _without(x, _between(x, rows, positive, source).T)


def leace(x: Array, rows: Mask, positive: Mask, source: Numbers) -> Array:
    """Least-squares concept erasure of the source within the classes (Belrose et al., NeurIPS 2023)."""
    values, vectors = np.linalg.eigh(np.cov(x[rows].T) + 1e-3 * np.eye(x.shape[1]))
    whiten = (vectors / np.sqrt(values)) @ vectors.T
    basis = _basis(whiten @ _between(x, rows, positive, source).T)
    erase = np.linalg.inv(whiten) @ basis @ basis.T @ whiten
    return (x - (x - x[rows].mean(axis=0)) @ erase.T).astype(np.float32)


def nuisance_penalty(mu: float, l2: float) -> Mean:
    """Penalise weights along the scatter between sources within classes: l2 |w|² + mu w'Sw, as a change of the features."""

    def change(x: Array, rows: Mask, positive: Mask, source: Numbers) -> Array:
        apart = _between(x, rows, positive, source)
        values, vectors = np.linalg.eigh(apart.T @ apart / len(apart))
        return (x @ (vectors / np.sqrt(1 + mu / l2 * np.maximum(values, 0))) @ vectors.T).astype(np.float32)

    return change


def mean_alignment(x: Array, _rows: Mask, _positive: Mask, source: Numbers) -> Array:
    """Each source's own mean becomes 0; sources of one class lose the class with it."""
    return _by_source(x, source, lambda own: own - own.mean(axis=0))


def own_deviations(x: Array, _rows: Mask, _positive: Mask, source: Numbers) -> Array:
    """Each source's own mean and deviation become 0 and 1, those of the tested source too, from its films without labels."""
    return _by_source(x, source, lambda own: (own - own.mean(axis=0)) / (own.std(axis=0) + 0.1))


def coral(x: Array, rows: Mask, positive: Mask, source: Numbers) -> Array:
    """Correlation alignment (Sun, Feng & Saenko, AAAI 2016): training sources with both classes get the covariance of all."""
    wanted, out = _root(x[rows], 0.5), x.copy()
    for number in np.unique(source[rows]):
        own = rows & (source == number)
        if len(np.unique(positive[own])) == 2:
            mean = x[own].mean(axis=0)
            out[own] = (x[own] - mean) @ _root(x[own], -0.5) @ wanted + mean
    return out


def principal(count: int, *, is_white: bool = False) -> Mean:
    """The first principal components, whitened where asked for."""

    def change(x: Array, rows: Mask, _positive: Mask, _source: Numbers) -> Array:
        values, vectors = np.linalg.eigh(np.cov(x[rows].T))
        kept = vectors[:, -count:] / (np.sqrt(values[-count:]) if is_white else np.sqrt(values[-1]))
        return (x @ kept).astype(np.float32)

    return change


def partial_least_squares(count: int) -> Mean:
    """The first directions of partial least squares towards the class."""

    def change(x: Array, rows: Mask, positive: Mask, _source: Numbers) -> Array:
        left, y, kept = x[rows].copy(), positive[rows] - positive[rows].mean(), []
        for _ in range(count):
            direction = left.T @ y
            kept.append(direction / np.linalg.norm(direction))
            score = left @ kept[-1]
            left -= np.outer(score, left.T @ score / (score @ score))
        return (x @ np.stack(kept, axis=1)).astype(np.float32)

    return change


def _classes(rows: Mask, positive: Mask, source: Numbers) -> Iterator[Mask]:
    """Training films of each class that several sources hold."""
    for of in (rows & positive, rows & ~positive):
        if len(np.unique(source[of])) > 1:
            yield of


def _between(x: Array, rows: Mask, positive: Mask, source: Numbers) -> Array:
    """Each source's mean minus its class's, float32 (k, width)."""
    found = []
    for of in _classes(rows, positive, source):
        means = np.stack([x[of & (source == number)].mean(axis=0) for number in np.unique(source[of])])
        found.append(means - means.mean(axis=0))
    return np.concatenate(found)


def _by_source(x: Array, source: Numbers, change: Callable[[Array], Array]) -> Array:
    out = x.copy()
    for number in np.unique(source):
        out[source == number] = change(x[source == number])
    return out


def _ridge(x: Array, wanted: Array, penalty: float = 1.0) -> Array:
    x, wanted = x - x.mean(axis=0), wanted - wanted.mean(axis=0)
    return np.asarray(np.linalg.solve(x.T @ x / len(x) + penalty * np.eye(x.shape[1]), x.T @ wanted / len(x)))


def _one_hot(numbers: Numbers) -> Array:
    return (numbers[:, None] == np.unique(numbers)).astype(np.float32)


def _basis(directions: Array) -> Array:
    """An orthonormal basis of the columns."""
    left, values, _ = np.linalg.svd(directions, full_matrices=False)
    return np.asarray(left[:, values > 1e-4 * values[0]])


def _without(x: Array, directions: Array) -> Array:
    basis = _basis(directions).astype(np.float32)
    return np.asarray(x - (x @ basis) @ basis.T)


def _root(x: Array, power: float) -> Array:
    values, vectors = np.linalg.eigh(np.cov(x.T) + 0.1 * np.eye(x.shape[1]))
    return (vectors * values**power) @ vectors.T
