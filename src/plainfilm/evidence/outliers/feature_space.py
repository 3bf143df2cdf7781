"""What was learnt of features: where they lie, and which way up they are. Reading it takes NumPy alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
Floats = NDArray[np.float64]

ALONG = 0.4  # what distance along the main directions counts: usual rows scatter more there than beside them
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

    def scores_of(self, space: Space, x: Features) -> Floats:
        """Scores of rows float32 (n, width) as they are, of which only a block is scaled at once."""
        blocks = [self.scores(space.scaled(x[at : at + _BLOCK])) for at in range(0, max(1, len(x)), _BLOCK)]
        return np.concatenate(blocks)


def _product(rows: Floats, weights: Features) -> Floats:
    """Multiply rows float64 (n, width) by weights (k, width): (n, k).

    Few rows go past the linear algebra library: its threads wait by spinning, which took a quarter of its rate from the
    network that runs between the calls at prediction.
    """
    if len(rows) > _FEW:
        return np.asarray(rows @ weights.T.astype(np.float64))
    return np.asarray(np.einsum("nw,kw->nk", rows, weights.astype(np.float64)))
