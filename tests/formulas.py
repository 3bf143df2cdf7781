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


def kish(group):
    """How many independent rows the rows of these groups are worth, if those of a group are alike."""
    held = np.unique(group, return_counts=True)[1]
    return held.sum() ** 2 / (held**2).sum()


def hanley_mcneil(area, positives, negatives):
    """Variance of an area under the ROC curve, with the mean of the numbers in the place of each (Newcombe 2006)."""
    more = (positives + negatives) / 2 - 1
    return area * (1 - area) * (1 + more * ((1 - area) / (2 - area) + area / (1 + area))) / (positives * negatives)


def clustered(influence, size, alone, alike=0.2):
    """Variance and degrees of freedom: the jackknife's, or what four degrees of freedom of Kish's design effect raise it to."""
    rows, worth = size.sum(), size.sum() ** 2 / (size**2).sum()
    jackknife = sum((own / (1 - held / rows)) ** 2 for own, held in zip(influence, size, strict=True))
    jackknife *= 1 - 1 / len(size)
    effect = alone * (1 + alike * (rows / worth - 1))
    return max(alone, jackknife, ((worth - 1) * jackknife + 4 * effect) / (worth + 3)), min(worth + 3, len(size) - 1)


def student(influence, most_freedom, level):
    """Quantile of Student's t with the degrees of freedom that the kurtosis of the influences leaves."""
    kurtosis = (influence**4).sum() / (influence**2).sum() ** 2 - 1 / len(influence)
    return student_t.ppf(0.5 + level / 2, np.clip(2 / max(kurtosis, 1e-9), 1, most_freedom))


def on_the_logit_scale(value, variance, influence, most_freedom, level):
    """Low and high of a number within 0 to 1."""
    half = student(influence, most_freedom, level) * np.sqrt(variance) / (value * (1 - value))
    return expit(logit(value) - half), expit(logit(value) + half)
