"""Recalibration: log odds times a slope plus a number, so that probabilities fit another place; by labels, or by its prevalence alone.

It moves every probability and the threshold with them: no answer changes, nor does the ranking. What it would do to
other radiographs of the same place is told by cross-validation, never by the rows that it was fitted on.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, logit

from plainfilm.data.spelling import listed
from plainfilm.data.split import assign
from plainfilm.evidence.statistics.calibration import calibration_error
from plainfilm.evidence.statistics.calibration_line import intercept, line, shift_to
from plainfilm.evidence.statistics.curves import Curves, curves
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray, group_codes, mean, student, variance, wilson
from plainfilm.evidence.statistics.scaling import fit_scaling
from plainfilm.results.estimate import UNDEFINED, Estimate, with_range, written
from plainfilm.results.external import CalibrationFit, Recalibration

FOLDS = 10
FEWEST = 10  # patients or unrelated images of each class; of all, where labels are not looked at
LEAST_AUROC = 0.65  # below it probabilities say hardly more than the prevalence does
_FLATTEST = 0.01  # slope: the probabilities are as good as one
_NORMAL = 1.96
_LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Log odds times `slope`, plus `shift`.

    Attributes
    ----------
    shift, slope : float
        What is used; the slope is above 0.
    fitted_shift, fitted_slope : Estimate
        What fits best, before it is drawn towards 0 and 1, with intervals; unknown where all log odds are alike or
        separate the classes. Without labels there is no slope.
    prevalence : float or None
        The one that was stated, where no label was looked at.
    """

    shift: float
    slope: float = 1.0
    fitted_shift: Estimate
    fitted_slope: Estimate = UNDEFINED
    prevalence: float | None = None

    def of(self, log_odds: FloatArray) -> FloatArray:
        """Recalibrate log odds (n)."""
        return self.slope * log_odds + self.shift

    def moved(self, threshold: float) -> float:
        """Move a threshold as the probabilities move; 0, 1 and above call all or none whatever is added."""
        return float(expit(self.slope * logit(threshold) + self.shift)) if 0 < threshold < 1 else threshold

    @property
    def sentence(self) -> str:
        """Say what is done to the log odds."""
        added = f"dding {_signed(self.shift)}{_limits(self.fitted_shift)}"
        if self.slope == 1:
            return f"A{added} to the log odds"
        times = f"{self.slope:.2f}" + (f" ({self.fitted_slope.low:.2f} to {self.fitted_slope.high:.2f})" if self.fitted_slope.is_known else "")  # fmt: skip
        return f"Multiplying the log odds by {times} and a{added}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedRecalibration:
    """What recalibration would do to labelled radiographs.

    Attributes
    ----------
    fit : Fit
        Fitted on all rows.
    threshold : float
        Where the threshold would lie, so that no answer changes.
    before, after : CalibrationFit
        As the probabilities are; and as they would be, each row by what was fitted without its fold.
    before_lines, after_lines : Curves
        The same, drawn.
    gain : Estimate
        Brier score before less after.
    share, mean, reached : float
        Share of the positive class, and the mean probability that the model gives to it, as it is and as it would be.
    warning : str
        Why it cannot make the answers worth more, or may not be right; "" where nothing is known against it.
    """

    positive: str
    fit: Fit
    threshold: float
    before: CalibrationFit
    after: CalibrationFit
    before_lines: Curves
    after_lines: Curves
    gain: Estimate
    share: float
    mean: float
    reached: float
    warning: str

    @property
    def shift(self) -> float:
        """The number added to the log odds."""
        return self.fit.shift

    @property
    def helps(self) -> bool:
        """Whether it is shown to bring probabilities nearer to the truth."""
        return self.gain.low > 0

    @property
    def sentence(self) -> str:
        """Say what it would do."""
        there = self.share if self.fit.prevalence is None else self.fit.prevalence
        of_whom = "of these radiographs are" if self.fit.prevalence is None else "of those examined are, as was stated"
        said = f"On average the model says {100 * self.mean:.0f} % {self.positive}; {_percent(there)} {of_whom}."
        helps = "would bring the probabilities nearer to the truth" if self.helps else "is not shown to help"
        brier = f"the Brier score goes from {self.before.brier.value:.3f} to {self.after.brier.value:.3f}"
        return f"{said} {self.fit.sentence} {helps}: {brier}, by cross-validation."

    @property
    def result(self) -> Recalibration:
        """Give what is written of it."""
        return Recalibration(
            offered=True,
            method="labels" if self.fit.prevalence is None else "prevalence",
            prevalence=self.fit.prevalence,
            shift=self.shift,
            slope=self.fit.slope,
            fitted_shift=self.fit.fitted_shift,
            fitted_slope=self.fit.fitted_slope if self.fit.prevalence is None else None,
            threshold=self.threshold,
            helps=self.helps,
            sentence=self.sentence,
            before=self.before,
            after=self.after,
            brier_gain=self.gain,
            warning=self.warning or None,
        )


def of_findings(each: Mapping[str, Recalibration]) -> Recalibration:
    """Sum up what recalibration would do to each finding."""
    offered = {name: own for name, own in each.items() if own.offered}
    if not offered:
        reason = " ".join(f"{name}: {own.reason}" for name, own in each.items())
        return Recalibration(offered=False, reason=reason)
    helped = [name for name, own in offered.items() if own.helps]
    others = [name for name in offered if name not in helped], [name for name in each if name not in offered]
    parts = zip(("would help", "not shown to help", "not offered for"), (helped, *others), strict=True)
    told = "; ".join(f"{what} {listed(names)}" for what, names in parts if names)
    warned = [f"{name}: {own.warning}" for name, own in offered.items() if own.warning]
    return Recalibration(
        offered=True,
        method=next(iter(offered.values())).method,
        helps=bool(helped),
        sentence=f"Moving the log odds of each finding by itself, by cross-validation: {told}.",
        warning=" ".join(warned) or None,
    )


def why_not(labels01: IntArray, group: IntArray) -> str:
    """Say why nothing can be fitted to the labels of some rows; "" where it can."""
    held = _held(labels01, group)
    if min(held) >= FEWEST:
        return ""
    return (
        f"It needs {FEWEST} patients or unrelated images of each class; there are {held[0]:,} of the positive and "
        f"{held[1]:,} of the other."
    )


def why_not_unlabelled(group: IntArray) -> str:
    """Say why nothing can be fitted to some rows without their labels; "" where it can."""
    held = len(np.unique(group))
    return "" if held >= FEWEST else f"It needs {FEWEST} patients or unrelated images; there are {held:,}."


def fit_to_labels(log_odds: FloatArray, labels01: IntArray, group: IntArray) -> Fit:
    """Find slope and shift of the log odds (n) of rows with labels 0 or 1 (n), of both classes, so that few of them do no harm.

    The most probable slope and shift under the priors of `fit_scaling`, drawn towards 1 and 0 by the share of the
    likelihood that two free numbers would gain by chance: (chi square - 2) / chi square, each patient counted once.

    References
    ----------
    Cox, Biometrika 1958. Van Houwelingen & Le Cessie, Statistics in Medicine 1990 (the share). Steyerberg, Borsboom, van
    Houwelingen, Eijkemans & Habbema, Validation and updating of predictive logistic regression models: a study on sample
    size and shrinkage, Statistics in Medicine 2004.
    """
    found = fit_scaling(log_odds[:, None], labels01, positive=1)
    slope, shift = float(found.slopes[0]), float(found.intercepts[0])
    signs = 2 * labels01 - 1
    gained = float((log_expit(signs * (slope * log_odds + shift)) - log_expit(signs * log_odds)).sum())
    codes = group_codes(group, len(labels01))
    chi_square = 2 * gained * (int(codes.max()) + 1) / len(codes)
    kept = max(0.0, 1 - 2 / chi_square) if chi_square > 0 else 0.0
    fitted = line(log_odds, labels01 == 1, codes)
    return Fit(slope=max(_FLATTEST, slope**kept), shift=kept * shift, fitted_shift=fitted[0], fitted_slope=fitted[1])


def fit_to_prevalence(log_odds: FloatArray, prevalence: float, group: IntArray) -> Fit:
    """Find what to add to the log odds (n) of rows drawn as they come, so that their mean probability is a known prevalence.

    The prevalence lies above 0 and below 1. Where it is true, this is the number that labels would give: the equation that
    makes them most likely holds no more of them than their share. Few rows leave it to chance which were drawn: it is
    drawn towards 0 by its squared standard error over its square, and to 0 where that is the larger one.
    """
    moved = intercept(log_odds, np.full(len(log_odds), prevalence), group_codes(group, len(log_odds)))
    value = moved.value if moved.is_known else shift_to(log_odds, prevalence)
    return Fit(shift=_drawn(value, moved), fitted_shift=moved, prevalence=prevalence)


def measure(
    log_odds: FloatArray,
    labels01: IntArray,
    *,
    positive: str,
    threshold: float,
    group: IntArray,
    prevalence: float | None = None,
    auroc: Estimate = UNDEFINED,
    seed: int = 0,
) -> FittedRecalibration:
    """Fit a recalibration, and tell by cross-validation what it would do.

    Parameters
    ----------
    log_odds
        Of the positive class, float64 (n).
    labels01, group
        1 or 0 and a group int64 (n); rows of a group are in one fold.
    positive, threshold
        Name of the positive class, and where it is called from now.
    prevalence
        Fit to this one, above 0 and below 1, and not to the labels, which then only tell what it does.
    auroc
        Of the model here.
    seed
        Of the folds.

    Raises
    ------
    ValueError
        Too few of a class; see `why_not`.
    """
    reason = why_not(labels01, group)
    if reason:
        raise ValueError(reason)

    def fitted(rows: NDArray[np.bool_]) -> Fit:
        if prevalence is None:
            return fit_to_labels(log_odds[rows], labels01[rows], group[rows])
        return fit_to_prevalence(log_odds[rows], prevalence, group[rows])

    fold = assign(labels01, group, shares=[1.0] * FOLDS, seed=seed)
    chance, after = expit(log_odds), np.empty(len(log_odds))
    for out in (fold == each for each in range(FOLDS)):
        after[out] = expit(fitted(~out).of(log_odds[out]))
    codes, whole = group_codes(group, len(chance)), fitted(np.ones(len(chance), bool))
    return FittedRecalibration(
        positive=positive,
        fit=whole,
        threshold=whole.moved(threshold),
        before=_fit(chance, labels01, codes, seed),
        after=_fit(after, labels01, codes, seed),
        before_lines=curves(labels01, chance, group=codes),
        after_lines=curves(labels01, after, group=codes),
        gain=_mean_of_any(np.square(chance - labels01) - np.square(after - labels01), codes),
        share=float(labels01.mean()),
        mean=float(chance.mean()),
        reached=float(expit(whole.of(log_odds)).mean()),
        warning=" ".join(filter(None, [too_low(auroc), _other_share(labels01, codes, prevalence, positive)])),
    )


def too_low(auroc: Estimate) -> str:
    """Say why no calibration helps where a model ranks as it does; "" where one can."""
    if not auroc.is_known or (auroc.value >= LEAST_AUROC and auroc.low > 0.5):
        return ""
    told = with_range(auroc)
    if auroc.value >= LEAST_AUROC:
        return f"The AUROC here is {told}: it is not shown that the model tells the classes apart here at all, and no calibration mends that."  # fmt: skip
    return f"The AUROC here is {told}: too low for any calibration to make the answers useful. Near 0.5 the best that can be said of anyone is the prevalence."  # fmt: skip


def _other_share(labels01: IntArray, codes: IntArray, prevalence: float | None, positive: str) -> str:
    """Say where these radiographs cannot have been drawn from those of whom the prevalence was stated."""
    share = wilson(labels01 == 1, group=codes)
    if prevalence is None or share.low <= prevalence <= share.high:
        return ""
    return (
        f"{_percent(share.value)} ({_percent(share.low)} to {_percent(share.high)}) of these radiographs are {positive}, not the "
        f"{_percent(prevalence)} stated: a prevalence is of use for radiographs taken as they come. With labels, leave it "
        "out here, and state it to predict."
    )


def _held(labels01: IntArray, group: IntArray) -> list[int]:
    """Count the groups of the positive class and of the other."""
    return [len(np.unique(group[labels01 == kind])) for kind in (1, 0)]


def _drawn(value: float, estimate: Estimate) -> float:
    """Draw a number towards 0 by what chance there is in it."""
    if not estimate.is_known or value == 0:
        return value
    error = (estimate.high - estimate.low) / 2 / _NORMAL
    return value * max(0.0, 1 - (error / value) ** 2)


def _signed(value: float) -> str:
    return written(value, "+.2f")


def _limits(estimate: Estimate) -> str:
    return f" ({_signed(estimate.low)} to {_signed(estimate.high)})" if estimate.is_known else ""


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _fit(chance: FloatArray, labels01: IntArray, codes: IntArray, seed: int) -> CalibrationFit:
    return CalibrationFit(
        brier=mean(np.square(chance - labels01), codes, _LEVEL).estimate,
        ece=calibration_error(labels01 == 1, chance, codes, level=_LEVEL, repeats=1000, seed=seed),
        excess=_mean_of_any(chance - labels01, codes),
    )


def _mean_of_any(values: NDArray[np.float64], codes: IntArray) -> Estimate:
    """Estimate a mean of values of either sign with Student's interval, by group."""
    value = float(values.mean())
    influence = np.bincount(codes, values - value) / len(values)
    spread = variance(influence)
    half = student(influence, len(influence) - 1, _LEVEL) * np.sqrt(spread) if spread > 0 else 0.0
    return Estimate(value, value - float(half), value + float(half))
