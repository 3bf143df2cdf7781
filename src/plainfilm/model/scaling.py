"""Slope and intercept of each of a network's outputs: what calibrates its logits."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_LEAST = 1e-12  # probability that has log odds


def logit(chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log odds of probabilities, finite at 0 and 1; without SciPy, which a server does not import."""
    inside = np.clip(chance, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def expit(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of log odds, 0 to 1."""
    return np.asarray(0.5 * (1 + np.tanh(log_odds / 2)))


def moved(value: float, before: float, after: float) -> float:
    """Move a probability from one prevalence to another, by Bayes' rule on the odds; all from 0 to 1.

    Saerens, Latinne & Decaestecker, Neural Computation 2002.
    """
    odds = (after / (1 - after)) / (before / (1 - before))
    return value * odds / (value * odds + 1 - value)


class Scaling(NamedTuple):
    """Slopes > 0 and intercepts, each float64 (outputs), that turn a network's logits into calibrated log odds."""

    slopes: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    def of(self, logits: NDArray[Any]) -> NDArray[np.float64]:
        """Scale logits (n, outputs)."""
        return np.asarray(np.asarray(logits, np.float64) * self.slopes + self.intercepts)
