"""Positive, negative or unsure: what two thresholds promise of new patients, and what they come to."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plainfilm.evidence.statistics.calibration import choose_threshold
from plainfilm.evidence.statistics.intervals import (
    ALIKE,
    ALIKE_CALLED,
    FloatArray,
    alike_size,
    check_level,
    group_codes,
    proportion,
)
from plainfilm.evidence.statistics.promised_thresholds import (
    CONFIDENCE,
    PromisedThresholds,
    choose_two_thresholds,
    rows_needed,
)
from plainfilm.model.recipe_schema import EvaluationSettings
from plainfilm.results.estimate import Estimate
from plainfilm.results.metrics import Promise, ThreeAnswersMeasured

_HOLDS = {True: "holds", False: "does not hold", None: "cannot be said to hold"}


def measure(
    labels01: ArrayLike,
    probability: ArrayLike,
    *,
    lower: float | FloatArray,
    upper: float | FloatArray,
    sensitivity: float,
    npv: float,
    group: ArrayLike | None = None,
    level: float = 0.95,
) -> ThreeAnswersMeasured:
    """Measure the share that is unsure, and the answers outside it, against the sensitivity and the NPV that were asked for.

    Parameters
    ----------
    labels01, probability : (n,)
        0 or 1, and the probability of the positive class, 0 to 1.
    lower, upper : float, or float (n,)
        Negative below the first, positive from the second on; where folds have their own, one a row.
    sensitivity, npv : float
        What the thresholds were set for. A target holds where the interval lies above it, does not where it lies below.
    group : (n,), optional
        Rows with the same value are one draw; widens the intervals.
    """
    check_level(level)
    ill, score = np.asarray(labels01) == 1, np.asarray(probability, dtype=np.float64)
    codes, positive, negative = group_codes(group, len(ill)), score >= upper, score < np.minimum(lower, upper)
    every, sure = np.ones(len(ill), dtype=bool), positive | negative

    def share(hits: NDArray[np.bool_], among: NDArray[np.bool_], alike: float = ALIKE) -> Estimate:
        return proportion(hits & among, among, codes, level, alike=alike).estimate

    unsure, found = share(~sure, every, ALIKE_CALLED), share(positive, ill)
    both = bool(ill.any() and not ill.all())  # predictive values of one class alone say nothing, as in `metrics`
    cleared = share(~ill, negative & both, ALIKE_CALLED)
    held = _held(found, sensitivity), _held(cleared, npv)
    return ThreeAnswersMeasured(
        n=len(ill),
        groups=len(np.unique(codes)),
        unsure=unsure,
        found=found,
        sensitivity=share(positive, ill & sure),
        specificity=share(negative, ~ill & sure),
        ppv=share(ill, positive & both, ALIKE_CALLED),
        npv=cleared,
        sensitivity_holds=held[0],
        npv_holds=held[1],
        sentence=(
            f"{_percent(unsure.value)} are unsure. {_said('A sensitivity', sensitivity, found, held[0])} Those who are unsure count as "
            f"not found. {_said('An NPV', npv, cleared, held[1])}"
        ),
    )


def choose(
    labels01: ArrayLike, probability: ArrayLike, asked: EvaluationSettings, *, group: ArrayLike | None = None
) -> tuple[float, float | None, Promise | None]:
    """Choose the threshold on rows that were not trained on; where targets are asked for, two, and say what these promise.

    Parameters
    ----------
    labels01, probability : (n,)
        0 or 1, and the probability of the positive class, 0 to 1.
    asked
        `sensitivity` and `npv`, or the rule `threshold`.
    group : (n,), optional
        Rows with the same value are one draw.

    Returns
    -------
    The threshold, the lower one, and the promise; the last two None with one threshold
    """
    if not asked.sensitivity:
        return choose_threshold(labels01, probability, rule=asked.threshold), None, None
    targets = {"sensitivity": asked.sensitivity, "npv": asked.npv}
    found = choose_two_thresholds(labels01, probability, group=group, **targets)
    return found.upper, found.lower, promise(found, labels01, group=group, **targets)


def promise(
    found: PromisedThresholds, labels01: ArrayLike, *, sensitivity: float, npv: float, group: ArrayLike | None = None
) -> Promise:
    """Say what two thresholds promise that were chosen on rows with these labels (n), 0 or 1, and groups (n)."""
    is_ill = np.asarray(labels01) == 1
    codes = group_codes(group, len(is_ill))
    ill, well = (alike_size(np.bincount(codes[rows])) if rows.any() else 0.0 for rows in (is_ill, ~is_ill))
    targets = [
        (
            f"a sensitivity of at least {100 * sensitivity:g} %, unsure counting as not found",
            found.sensitivity_promised,
        ),
        (f"an NPV of at least {100 * npv:g} %", found.npv_promised),
    ]
    kept = " and ".join(said for said, is_promised in targets if is_promised)
    said = [f"With {100 * CONFIDENCE:g} % confidence new patients from the same place see {kept}."] if kept else []
    if not found.sensitivity_promised:
        said.append(
            _too_few(f"a sensitivity of {100 * sensitivity:g} %", rows_needed(sensitivity), ill, "that are positive")
        )
    if not found.npv_promised:
        said.append(
            _too_few(f"an NPV of {100 * npv:g} %", rows_needed(npv), well, "that are called negative, all rightly")
        )
    return Promise(
        sensitivity=sensitivity,
        npv=npv,
        confidence=CONFIDENCE,
        sensitivity_promised=found.sensitivity_promised,
        npv_promised=found.npv_promised,
        sentence=" ".join(said),
    )


def _too_few(target: str, needed: int, known: float, what: str) -> str:
    """Say on one line that a target is not promised, and what it takes; `known` independent radiographs there are at most."""
    why = (
        f"is too small to promise {target}"
        if known < needed
        else f"does not let {target} be promised of this classifier"
    )
    return f"The validation set {why}: it takes {needed:,} radiographs of different patients or more {what}. The threshold is the one that reaches it there."


def _held(estimate: Estimate, target: float) -> bool | None:
    if not estimate.is_known or estimate.low < target <= estimate.high:
        return None
    return estimate.low >= target


def _said(name: str, target: float, found: Estimate, holds: bool | None) -> str:
    measured = f"{_percent(found.value)} (95 % interval {_percent(found.low)} to {_percent(found.high)})"
    return f"{name} of {100 * target:g} % {_HOLDS[holds]} here: {measured if found.is_known else 'not defined'}."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
