"""Recalibration in the large: one number added to the log odds, so that probabilities fit how common a class is elsewhere.

It moves every probability and the threshold with them: no answer changes, nor does the ranking. What it would do to
other radiographs of the same place is told by cross-validation, never by the rows that it was fitted on.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from plainfilm.data.split import assign
from plainfilm.evidence.statistics.calibration import calibration_error
from plainfilm.evidence.statistics.calibration_line import fit_shift
from plainfilm.evidence.statistics.curves import Curves, curves
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray, group_codes, mean, student, variance
from plainfilm.results.estimate import Estimate
from plainfilm.results.external import CalibrationFit, Recalibration

FOLDS = 10
FEWEST = 10  # patients or unrelated images of each class
_LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedRecalibration:
    """What adding `shift` to the log odds of the positive class would do.

    Attributes
    ----------
    shift : float
        Fitted on all rows.
    threshold : float
        Where the threshold would lie, so that no answer changes.
    before, after : CalibrationFit
        As the probabilities are; and as they would be, each row by a number fitted without its fold.
    before_lines, after_lines : Curves
        The same, drawn.
    gain : Estimate
        Brier score before less after.
    share, mean : float
        Share of the positive class, and the mean probability that the model gives to it.
    """

    positive: str
    shift: float
    threshold: float
    before: CalibrationFit
    after: CalibrationFit
    before_lines: Curves
    after_lines: Curves
    gain: Estimate
    share: float
    mean: float

    @property
    def helps(self) -> bool:
        """Whether it is shown to bring probabilities nearer to the truth."""
        return self.gain.low > 0

    @property
    def sentence(self) -> str:
        """Say what it would do."""
        said = f"On average the model says {100 * self.mean:.0f} % {self.positive}; {100 * self.share:.0f} % of these radiographs are."
        helps = "would bring the probabilities nearer to the truth" if self.helps else "is not shown to help"
        brier = f"the Brier score goes from {self.before.brier.value:.3f} to {self.after.brier.value:.3f}"
        added = f"{self.shift:+.2f}".replace("-", "\N{MINUS SIGN}")
        return f"{said} Adding {added} to the log odds {helps}: {brier}, by cross-validation."

    @property
    def result(self) -> Recalibration:
        """Give what is written of it."""
        return Recalibration(
            offered=True,
            shift=self.shift,
            threshold=self.threshold,
            helps=self.helps,
            sentence=self.sentence,
            before=self.before,
            after=self.after,
            brier_gain=self.gain,
        )


def moved_threshold(threshold: float, shift: float) -> float:
    """Move a threshold as the probabilities move; 0, 1 and above call all or none whatever is added."""
    return float(expit(logit(threshold) + shift)) if 0 < threshold < 1 else threshold


def why_not(labels01: IntArray, group: IntArray) -> str:
    """Say why nothing can be fitted to some rows; "" where it can."""
    held = [len(np.unique(group[labels01 == kind])) for kind in (1, 0)]
    if min(held) >= FEWEST:
        return ""
    return (
        f"It needs {FEWEST} patients or unrelated images of each class; there are {held[0]:,} of the positive and "
        f"{held[1]:,} of the other."
    )


def measure(
    log_odds: FloatArray, labels01: IntArray, *, positive: str, threshold: float, group: IntArray, seed: int = 0
) -> FittedRecalibration:
    """Fit the number, and tell by cross-validation what it would do.

    Parameters
    ----------
    log_odds
        Of the positive class, float64 (n).
    labels01, group
        1 or 0 and a group int64 (n); rows of a group are in one fold.
    positive, threshold
        Name of the positive class, and where it is called from now.
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
    fold = assign(labels01, group, shares=[1.0] * FOLDS, seed=seed)
    chance, after = expit(log_odds), np.empty(len(log_odds))
    for out in (fold == each for each in range(FOLDS)):
        after[out] = expit(log_odds[out] + fit_shift(log_odds[~out], labels01[~out]))
    codes = group_codes(group, len(chance))
    shift = fit_shift(log_odds, labels01)
    return FittedRecalibration(
        positive=positive,
        shift=shift,
        threshold=moved_threshold(threshold, shift),
        before=_fit(chance, labels01, codes, seed),
        after=_fit(after, labels01, codes, seed),
        before_lines=curves(labels01, chance, group=codes),
        after_lines=curves(labels01, after, group=codes),
        gain=_mean_of_any(np.square(chance - labels01) - np.square(after - labels01), codes),
        share=float(labels01.mean()),
        mean=float(chance.mean()),
    )


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
