"""How the answers to several films of one patient or study become one, by the rule and the calibration that training chose."""

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.scaling import expit, logit
from plainfilm.results.manifest import Combining, Rule


def combined(log_odds: NDArray[np.float64], codes: NDArray[np.int64], rule: Rule) -> NDArray[np.float64]:
    """Join log odds (n) of films to one of each patient, float64: their mean, or the worst; `codes` int64 (n) number the patients from 0."""
    if rule == "mean":
        return np.asarray(np.bincount(codes, log_odds) / np.bincount(codes))
    worst = np.full(int(codes.max()) + 1, -np.inf)
    np.maximum.at(worst, codes, log_odds)
    return worst


def probabilities(how: Combining, films: NDArray[np.float64], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Join probabilities (n) of films to one of each patient, float64."""
    return expit(how.slope * combined(logit(films), codes, how.rule) + how.intercept)
