"""Every metric of a split with its interval, as `metrics.json` holds them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plainfilm.evidence.statistics.calibration import calibration_error
from plainfilm.evidence.statistics.calibration_line import calibration
from plainfilm.evidence.statistics.discrimination import area_under_roc, average_precision
from plainfilm.evidence.statistics.intervals import (
    ALIKE_CALLED,
    FloatArray,
    IntArray,
    Measured,
    check_level,
    group_codes,
    macro_average,
    mean,
    proportion,
)
from plainfilm.results.estimate import Estimate
from plainfilm.results.metrics import Calibration, ClassMetrics, Confusion, Metrics


def evaluate(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    classes: Sequence[str],
    positive: str | None,
    threshold: float | FloatArray,
    group: ArrayLike | None = None,
    seed: int = 0,
    repeats: int = 1000,
    level: float = 0.95,
) -> Metrics:
    """Compute every metric of a split with its interval.

    Two classes: a row is called positive where its probability of `positive` (by default the second class) is at or
    above `threshold`, one number or one a row. More classes: the most probable one is called, `threshold` is not used, and sensitivity to
    auprc are macro averages of each class against the rest, which stand in `per_class`.

    Parameters
    ----------
    labels : int (n,)
        Index into `classes`.
    probabilities : float (n, k)
        0 to 1; rows sum to 1.
    group : (n,), optional
        Rows with the same value (a patient with duplicates) are one draw from the population; widens every interval.
    seed, repeats : int
        Of the bootstrap, which gives the interval of ece alone; the others are computed directly.
    level : float
        Coverage aimed at, 0 to 1.

    Returns
    -------
    Metrics
        Not-a-number for each metric that is not defined: a class absent from the labels, nothing called positive, no rows.

        accuracy, sensitivity, specificity, ppv, npv: Wilson (see `wilson`). f1: Wilson's interval of true positives
        among rows that are or are called positive, J, carried over by F1 = 2J / (1 + J) (Lam, Gopal & Qian 2024).
        auroc: see `delong`. auprc: average precision (see `discrimination.average_precision`). brier: half the squared
        distance to the truth, summed over classes, 0 to 1; for two classes the usual score. ece: ten bins of equal
        width, of the positive class, or of the class called; biased upwards (see `calibration.calibration_error`).

    Raises
    ------
    ValueError
        Shapes, labels, probabilities or names that do not fit together.
    """
    check_level(level)
    truth, chance, codes = _checked(labels, probabilities, len(classes), group)
    if positive is not None and positive not in classes:
        raise ValueError(f"Expected positive to be one of {list(classes)}; received {positive!r}.")
    target: int | None = None
    if len(classes) == 2:
        if not np.isfinite(threshold).all():
            raise ValueError(f"Expected a finite threshold; received {threshold}.")
        column = 1 if positive is None else list(classes).index(positive)
        called = np.where(chance[:, column] >= threshold, column, 1 - column)
        observed, confidence, target = truth == column, chance[:, column], column
    else:
        called = chance.argmax(axis=1)
        observed, confidence = called == truth, chance.max(axis=1)
    whole, each = measured(truth, called, chance, codes, target=target, level=level)
    lines = [calibration(truth == c, chance[:, c], codes, level=level) for c in range(len(each))]
    return Metrics(
        n=len(truth),
        groups=len(np.unique(codes)),
        confusion_matrix=_confusion(truth, called, len(classes)),
        **{name: found.estimate for name, found in whole.items()},
        ece=calibration_error(observed, confidence, codes, level=level, repeats=repeats, seed=seed),
        calibration=None if each else calibration(observed, confidence, codes, level=level),
        per_class=_per_class(classes, each, lines) if each else None,
        largest_group=float(np.bincount(codes).max() / len(truth)) if len(truth) else None,
    )


def measured(
    truth: IntArray, called: IntArray, chance: FloatArray, codes: IntArray, *, target: int | None, level: float = 0.95
) -> tuple[dict[str, Measured], list[dict[str, Measured]]]:
    """Measure all but the calibration error: of the class `target` against the rest, or with None macro means.

    Parameters
    ----------
    truth, called : int (n,)
        The class, and the one that was called.
    chance : float (n, k)
        Probabilities.
    codes : int (n,)
        Group of each row.

    Returns
    -------
    whole, each : dict, list of dict
        By metric; the means rest on those of `each` class against the rest, of which there are none beside a `target`.
    """
    every = np.ones(len(truth), dtype=bool)
    distance = np.square(chance - np.eye(chance.shape[1])[truth]).sum(axis=1) / 2
    whole = {"accuracy": proportion(called == truth, every, codes, level, alike=ALIKE_CALLED)}
    each: list[dict[str, Measured]] = []
    if target is None:
        each = [_against_rest(truth == c, called == c, chance[:, c], codes, level) for c in range(chance.shape[1])]
        whole |= {name: mean_of([own[name] for own in each]) for name in each[0]}
    else:
        whole |= _against_rest(truth == target, called == target, chance[:, target], codes, level)
    return whole | {"brier": mean(np.minimum(distance, 1.0), codes, level)}, each


def mean_of(parts: Sequence[Measured]) -> Measured:
    """Average measures of the same groups; see `intervals.macro_average`."""
    return Measured(macro_average(parts), np.mean([part.influence for part in parts], axis=0))


def _against_rest(
    is_it: NDArray[np.bool_], called_it: NDArray[np.bool_], chance: FloatArray, codes: IntArray, level: float
) -> dict[str, Measured]:
    """Measure one class against the rest; predictive values and F1 need rows of both."""
    both = bool(is_it.any() and not is_it.all())
    return {
        "sensitivity": proportion(is_it & called_it, is_it, codes, level),
        "specificity": proportion(~is_it & ~called_it, ~is_it, codes, level),
        "ppv": proportion(is_it & called_it, called_it & both, codes, level, alike=ALIKE_CALLED),
        "npv": proportion(~is_it & ~called_it, ~called_it & both, codes, level, alike=ALIKE_CALLED),
        "f1": _f1(is_it & called_it, (is_it | called_it) & both, codes, level),
        "auroc": area_under_roc(is_it, chance, codes, level),
        "auprc": average_precision(is_it, chance, codes, level),
    }


def _f1(hits: NDArray[np.bool_], involved: NDArray[np.bool_], codes: IntArray, level: float) -> Measured:
    share = proportion(hits & involved, involved, codes, level, alike=ALIKE_CALLED)
    value, low, high = (2 * j / (1 + j) for j in (share.estimate.value, share.estimate.low, share.estimate.high))
    return Measured(Estimate(value, low, high), share.influence * 2 / (1 + np.nan_to_num(share.estimate.value)) ** 2)


def _per_class(
    classes: Sequence[str], each: Sequence[dict[str, Measured]], lines: Sequence[Calibration]
) -> dict[str, ClassMetrics]:
    return {
        c: ClassMetrics(**{name: own.estimate for name, own in metrics.items()}, calibration=line)
        for c, metrics, line in zip(classes, each, lines, strict=True)
    }


def _confusion(truth: IntArray, called: IntArray, classes: int) -> Confusion:
    counts = np.bincount(truth * classes + called, minlength=classes**2).reshape(classes, classes)
    return tuple(map(tuple, counts.tolist()))


def _checked(
    labels: ArrayLike, probabilities: ArrayLike, classes: int, group: ArrayLike | None
) -> tuple[IntArray, FloatArray, IntArray]:
    truth, chance = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    if classes < 2 or truth.ndim != 1 or chance.shape != (len(truth), classes):
        raise ValueError(
            f"Expected labels (n,) and probabilities (n, k) for k classes, 2 or more; received shapes "
            f"{truth.shape} and {chance.shape} for {classes} classes."
        )
    if not np.isin(truth, np.arange(classes)).all():
        raise ValueError(f"Expected labels 0 to {classes - 1}; received {np.unique(truth)[:5].tolist()}.")
    if not ((chance >= 0) & (chance <= 1)).all():
        raise ValueError("Expected finite probabilities from 0 to 1; received others.")
    if len(truth) and np.abs(chance.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError(
            f"Expected rows of probabilities that sum to 1; received sums from {chance.sum(axis=1).min():.4f} up to "
            f"{chance.sum(axis=1).max():.4f}."
        )
    return truth.astype(np.int64), chance, group_codes(group, len(truth))
