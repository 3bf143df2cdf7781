"""What an interval would be with more patients of the same kind: a note for who plans the next study."""

import numpy as np
from scipy.special import expit, logit

from plainfilm.evidence.statistics.intervals import within_bounds
from plainfilm.results.estimate import Estimate
from plainfilm.results.metrics import Estimates, SampleSize

TIMES = 2
_SAID = {"auroc": "AUROC", "sensitivity": "sensitivity", "specificity": "specificity", "accuracy": "accuracy"}


def note(metrics: Estimates, groups: int) -> SampleSize | None:
    """Say what the intervals of the main metrics would be with twice the `groups` (patients and unrelated radiographs); None where no metric is known."""
    known = {name: own for name, own in metrics.estimates.items() if name in _SAID and own.is_known}
    if not known or not groups:
        return None
    found = {name: narrower(own, TIMES) for name, own in known.items()}
    parts = [
        f"{_SAID[name]} {own.low:.3f} to {own.high:.3f} instead of {known[name].low:.3f} to {known[name].high:.3f}"
        for name in _SAID
        if (own := found.get(name))
    ]
    said = f"With twice the patients, {TIMES * groups:,} instead of {groups:,}, and the same values the 95 % intervals would be about: {'; '.join(parts)}."
    return SampleSize(groups=groups, times=TIMES, estimates=found, sentence=said)


def narrower(estimate: Estimate, times: float) -> Estimate:
    """Give the interval of a share, 0 to 1, for `times` the patients: its ends come nearer by the root, on the logit scale.

    A share of 0 or 1 has no logit: its far end comes nearer as Wilson's does, which lies z² / (n + z²) away.
    """
    value, shrink = estimate.value, float(np.sqrt(times))
    if not 0 < value < 1:
        width = estimate.high - estimate.low
        left = width / (times * (1 - width) + width)
        return within_bounds(value, value - left, value + left)
    middle = logit(value)
    ends = (float(expit(middle + (logit(end) - middle) / shrink)) for end in (estimate.low, estimate.high))
    return within_bounds(value, *ends)
