"""What is usual among features, in arrays: distance from a set of rows, which way up a row is, limits that few exceed.

Reading a fitted `Space` or `WayUp` takes NumPy alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
Floats = NDArray[np.float64]

DIRECTIONS = 32  # measured: 64 and 128 find no more
UPRIGHT_ROWS = 1000
ALONG = 0.4  # what distance along the main directions counts: usual rows scatter more there than beside them
PENALTY = 1.0  # in units of the variance a row
_FARTHEST = np.float32(1e6)
_FEW = 64  # rows
_BLOCK = 1024  # rows taken to float64 at once


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Space:
    """Where some features lie: `mean` and `spread` float32 (width), main directions and the variance along and beside.

    `basis` float32 (k, width), rows orthonormal; `variance` float32 (k); `rest` the mean variance in any other direction.
    """

    mean: Features
    spread: Features
    basis: Features
    variance: Features
    rest: float

    def scaled(self, x: Features) -> Features:
        """Give rows in units of `spread`, float32 (n, width); none farther than `_FARTHEST`, so that squares stay finite."""
        with np.errstate(over="ignore"):
            return np.asarray(np.clip((x - self.mean) / self.spread, -_FARTHEST, _FARTHEST))

    def log_distance(self, x: Features) -> Floats:
        """Logarithm of the mean squared distance a direction, float64 (n); about 0 for usual rows.

        The larger of the distance beside the main directions, which tells most, and a share of that along them: the Q
        and T² statistics of principal components (Jackson & Mudholkar 1979).
        """
        out = np.empty(len(x))
        for at in range(0, len(x), _BLOCK):
            z = self.scaled(x[at : at + _BLOCK]).astype(np.float64)
            along = _product(z, self.basis)
            beside = np.maximum((z**2).sum(axis=1) - (along**2).sum(axis=1), 0)
            inside = (along**2 / self.variance).sum(axis=1) / max(len(self.variance), 1)
            out[at : at + _BLOCK] = np.maximum(beside / self.rest / (z.shape[1] - len(self.variance)), ALONG * inside)
        return np.log(np.maximum(out, 1e-12))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WayUp:
    """Linear scores of scaled features: upright first, then each turn. `weights` float32 (turns + 1, width)."""

    weights: Features
    offset: Features

    def scores(self, z: Features) -> Floats:
        """Scores float64 (n, turns + 1) of scaled rows, about 1 for what a row is and 0 for what it is not."""
        return _product(z.astype(np.float64), self.weights) + self.offset


def _product(rows: Floats, weights: Features) -> Floats:
    """Multiply rows float64 (n, width) by weights (k, width): (n, k).

    Few rows go past the linear algebra library: its threads wait by spinning, which took a quarter of its rate from the
    network that runs between the calls at prediction.
    """
    if len(rows) > _FEW:
        return np.asarray(rows @ weights.T.astype(np.float64))
    return np.asarray(np.einsum("nw,kw->nk", rows, weights.astype(np.float64)))


def describe(x: Features, *, seed: int) -> Space:
    """Describe rows float32 (n, width) by their mean, spread and main directions.

    The directions come from a randomised range finder (Halko, Martinsson & Tropp 2011).
    """
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    floor = 0.1 * np.median(deviation) + 1e-3 * np.abs(mean).max() + 1e-6  # so that features dead in training count
    spread = np.asarray(deviation + floor, np.float32)
    z, rng = (x - mean) / spread, np.random.default_rng(seed)
    width, count = x.shape[1], min(DIRECTIONS, (len(x) - 1) // 2, x.shape[1] - 1)
    probe = rng.standard_normal((width, min(count + 16, width)), np.float32)
    for _ in range(3):
        probe = np.linalg.qr(z.T @ (z @ probe))[0]
    _, size, turn = np.linalg.svd(z @ probe, full_matrices=False)
    variance = np.asarray(size[:count].astype(np.float64) ** 2 / len(x))
    everything = float(np.einsum("ij,ij->", z, z, dtype=np.float64)) / len(x)
    rest = max((everything - float(variance.sum())) / (width - count), 1e-6)
    basis = np.ascontiguousarray((probe @ turn[:count].T).T)
    return Space(
        mean=mean, spread=spread, basis=basis, variance=np.maximum(variance, rest).astype(np.float32), rest=rest
    )


def regress(upright: Features, turns: Sequence[Features], *, seed: int) -> WayUp:
    """Regress which way up scaled rows are, by ridge regression in the dual; upright and turned rows weigh the same.

    Parameters
    ----------
    upright
        float32 (n, width); of more than `UPRIGHT_ROWS` a sample is used.
    turns
        float32 (m, width) for each turn.
    """
    upright = upright[np.random.default_rng(seed).permutation(len(upright))[:UPRIGHT_ROWS]]
    rows = np.concatenate([upright, *turns])
    kind = np.repeat(np.arange(len(turns) + 1), [len(upright), *map(len, turns)])
    weight = np.where(kind == 0, 0.5 / len(upright), 0.5 / max(len(rows) - len(upright), 1)).astype(np.float32)
    truth = np.eye(len(turns) + 1, dtype=np.float32)[kind]
    middle, share, half = weight @ rows, weight @ truth, np.sqrt(weight)[:, None]
    centred = half * (rows - middle)
    gram = centred @ centred.T
    gram[np.diag_indices_from(gram)] += PENALTY * np.trace(gram) / len(gram) + 1e-6
    slope = centred.T @ np.linalg.solve(gram, half * (truth - share))
    return WayUp(weights=np.ascontiguousarray(slope.T), offset=np.asarray(share - middle @ slope))


def limit(scores: Floats, codes: NDArray[np.int64], share: float) -> float:
    """Give the threshold that at most `share` of a new group's rows exceed, on average over new groups.

    A conformal quantile (Vovk et al. 2005, "Algorithmic Learning in a Random World") in which a group counts once,
    however many rows it has: the argument of Angelopoulos et al. 2024, "Conformal Risk Control", with the share of a
    group's rows beyond the threshold as its loss. With fewer than 1 / share - 1 groups there is none: then the largest
    score, or the normal distribution's prediction limit if that is higher, which 1 / (groups + 1) may exceed.

    Parameters
    ----------
    scores
        float64 (n), of rows kept out when what gives the scores was fitted.
    codes
        int64 (n), group of each row as 0, 1, 2 ….
    """
    groups = int(codes.max()) + 1
    order = np.argsort(scores)
    below = np.cumsum((1 / np.bincount(codes))[codes][order])
    place = int(np.searchsorted(below, (1 - share) * (groups + 1) - 1e-9))
    if place < len(scores):
        return float(scores[order][place])
    from scipy.stats import t

    reach = t.ppf(1 - share, groups - 1) * np.sqrt(1 + 1 / groups)
    return max(float(scores.max()), float(scores.mean() + reach * scores.std(ddof=1)))
