"""Slope and intercept of each of a network's outputs: what calibrates its logits."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Scaling(NamedTuple):
    """Slopes > 0 and intercepts, each float64 (outputs), that turn a network's logits into calibrated log odds."""

    slopes: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    def of(self, logits: NDArray[Any]) -> NDArray[np.float64]:
        """Scale logits (n, outputs)."""
        return np.asarray(np.asarray(logits, np.float64) * self.slopes + self.intercepts)
