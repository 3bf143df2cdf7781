"""Intervals by the formulas of the papers, with SciPy's distributions: what `evidence.statistics` is compared with."""

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm
from scipy.stats import t as student_t


def group_sums(group, values):
    return np.array([np.asarray(values)[group == each].sum() for each in np.unique(group)])


def wilson(value, size, level):
    """Low and high of a share among `size` independent rows."""
    z = norm.ppf(0.5 + level / 2)
    middle, half = value + z**2 / (2 * size), z * np.sqrt(value * (1 - value) / size + z**2 / (4 * size**2))
    return (middle - half) / (1 + z**2 / size), (middle + half) / (1 + z**2 / size)


def student(influence, most_freedom, level):
    """Quantile of Student's t with the degrees of freedom that the kurtosis of the influences leaves."""
    kurtosis = (influence**4).sum() / (influence**2).sum() ** 2 - 1 / len(influence)
    return student_t.ppf(0.5 + level / 2, np.clip(2 / max(kurtosis, 1e-9), 1, most_freedom))


def on_the_logit_scale(value, variance, influence, most_freedom, level):
    """Low and high of a number within 0 to 1."""
    half = student(influence, most_freedom, level) * np.sqrt(variance) / (value * (1 - value))
    return expit(logit(value) - half), expit(logit(value) + half)
