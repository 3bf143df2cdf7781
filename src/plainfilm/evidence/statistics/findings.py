"""Metrics of several findings: means over them, and all of them together."""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec.structs import replace
from numpy.typing import ArrayLike, NDArray

from plainfilm.evidence.statistics.intervals import (
    FloatArray,
    IntArray,
    Measured,
    group_codes,
    macro_average,
    within_bounds,
)
from plainfilm.evidence.statistics.metrics import measured
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.metrics import ClassMetrics, Metrics, Micro


def evaluate_findings(
    states: NDArray[np.int8],
    probabilities: FloatArray,
    each: Mapping[str, Metrics],
    *,
    threshold: FloatArray,
    group: ArrayLike | None = None,
    level: float = 0.95,
) -> Metrics:
    """Put the metrics of several findings together.

    Parameters
    ----------
    states : int8 (n, k)
        1 present, 0 absent, -1 not known; a finding is measured on the rows of which it is known.
    probabilities : float (n, k)
        0 to 1.
    each
        Metrics of each finding by itself, by `metrics.evaluate`, in order.
    threshold : float (k,) or (n, k)
        Probability from which each is called.
    group : (n,), optional
        Rows with the same value (a patient with duplicates) are one draw.

    Returns
    -------
    Metrics
        Macro means with intervals by MOVER (`intervals.macro_average`), that allow for findings that go together; for ece,
        which has no closed form, the mean of the limits. `per_class` has each finding, `micro` all known pairs of a row and a
        finding.
    """
    codes = group_codes(group, len(states))
    called = probabilities >= threshold
    parts = [
        measured_where_known(states[:, at], called[:, at], probabilities[:, at], codes, level)
        for at in range(states.shape[1])
    ]
    means = {name: macro_average([own[name] for own in parts]) for name in parts[0]}
    return Metrics(
        n=len(states),
        groups=len(np.unique(codes)),
        confusion_matrix=(),
        **means,
        calibration=None,
        ece=_mean_of([own.ece for own in each.values()]),
        per_class={name: _class_metrics(own) for name, own in each.items()},
        micro=_micro(states, called, probabilities, codes, level),
        largest_group=float(np.bincount(codes).max() / len(states)) if len(states) else None,
    )


def mean_metrics(whole: Metrics, each: Mapping[str, Metrics]) -> Metrics:
    """Give macro means of some of the findings of `whole`, whose rows are not at hand: limits too are means, never narrower than they need be."""
    means = {name: _mean_of([own.estimates[name] for own in each.values()]) for name in whole.estimates}
    return replace(whole, **means, per_class={name: _class_metrics(own) for name, own in each.items()}, micro=None)


def measured_where_known(
    states: NDArray[np.int8], called: NDArray[np.bool_], chance: FloatArray, codes: IntArray, level: float = 0.95
) -> dict[str, Measured]:
    """Measure one finding on the rows (n) of which it is known; the influence is of all groups, those without such rows too."""
    known = states >= 0
    held, own = np.unique(codes[known], return_inverse=True)
    found = _of_rows(states[known] == 1, called[known], chance[known], own, level)
    groups = int(codes.max(initial=-1)) + 1
    return {name: Measured(each.estimate, _spread(each.influence, held, groups)) for name, each in found.items()}


def _of_rows(
    truth: NDArray[np.bool_], called: NDArray[np.bool_], chance: FloatArray, codes: IntArray, level: float
) -> dict[str, Measured]:
    both = np.stack([1 - chance, chance], axis=1)
    return measured(truth.astype(np.int64), called.astype(np.int64), both, codes, target=1, level=level)[0]


def _spread(influence: FloatArray, held: IntArray, groups: int) -> FloatArray:
    whole = np.zeros(groups)
    whole[held] = influence
    return whole


def _micro(
    states: NDArray[np.int8], called: NDArray[np.bool_], chance: FloatArray, codes: IntArray, level: float
) -> Micro:
    known = states >= 0
    pairs = np.broadcast_to(codes[:, None], states.shape)[known]
    own = np.unique(pairs, return_inverse=True)[1]
    found = _of_rows(states[known] == 1, called[known], chance[known], own, level)
    return Micro(n=int(known.sum()), **{name: each.estimate for name, each in found.items()})


def _class_metrics(own: Metrics) -> ClassMetrics:
    told = {name: getattr(own, name) for name in ("sensitivity", "specificity", "ppv", "npv", "f1", "auroc", "auprc")}
    return ClassMetrics(**told, calibration=own.calibration)


def _mean_of(each: Sequence[Estimate]) -> Estimate:
    if not all(own.is_known for own in each):
        return UNDEFINED
    value, low, high = (float(np.mean([getattr(own, end) for own in each])) for end in ("value", "low", "high"))
    return within_bounds(value, low, high)
