"""Estimates of several hospitals summed up: their mean, and the interval that a new hospital is expected in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, ndtri, stdtrit

from plainfilm.evidence.statistics.intervals import FloatArray, check_level
from plainfilm.results.estimate import Estimate

FEWEST = 3  # hospitals: two have one degree of freedom, and an interval from 0 to 1
_MOST_HOSPITALS = 200
_LEAST = 1e-3  # of a share's distance to 0 and 1, where logits run away; less where its whole interval lies nearer
_MOST_VARIANCE = 1e4  # between hospitals, on the logit scale


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomEffects:
    """A random-effects model of shares on the logit scale.

    Attributes
    ----------
    centre, spread
        Mean of the hospitals' logits, and their standard deviation beside what sampling explains.
    error
        Standard error of the centre (Hartung-Knapp, at least that of the plain model).
    within
        Mean sampling variance of a hospital's logit.
    hospitals
        How many there are.
    """

    centre: float
    spread: float
    error: float
    within: float
    hospitals: int

    def prediction(self, level: float = 0.95) -> Estimate:
        """Give the mean, 0 to 1, with the interval that a new hospital's true value is expected in.

        Student's t with one degree of freedom less than there are hospitals, never normal quantiles: with three hospitals
        these hold far less often than they say.

        References
        ----------
        Higgins, Thompson & Spiegelhalter, JRSS A 2009. Partlett & Riley, Statistics in Medicine 2017.
        """
        return self._within(self.error, self.hospitals, level)

    def hospitals_needed(self, least: float, level: float = 0.95) -> int | None:
        """Count how many more hospitals of this kind would bring the interval's lower limit above `least`, 0 to 1.

        0 where it is there; None where no number would, since hospitals differ too much.
        """
        for more in range(_MOST_HOSPITALS):
            every = self.hospitals + more
            error = self.error if not more else np.sqrt((self.spread**2 + self.within) / every)
            if self._within(error, every, level).low > least:
                return more
        return None

    def _within(self, error: float, hospitals: int, level: float) -> Estimate:
        half = float(stdtrit(hospitals - 1, 0.5 + level / 2)) * float(np.hypot(self.spread, error))
        return Estimate(*(float(expit(each)) for each in (self.centre, self.centre - half, self.centre + half)))


def random_effects(shares: Sequence[Estimate], *, level: float = 0.95) -> RandomEffects | None:
    """Fit the model to one share a hospital, such as its AUROC, with their intervals of coverage `level`.

    The variance between hospitals is Paule and Mandel's; None with fewer than `FEWEST` known shares.

    References
    ----------
    Paule & Mandel, J. Res. NBS 1982. Hartung & Knapp, Statistics in Medicine 2001; its error is kept from falling below the
    plain model's, as Röver, Knapp & Friede, BMC Medical Research Methodology 2015. Debray et al., BMJ 2017 (logit scale).
    """
    check_level(level)
    known = [each for each in shares if each.is_known]
    if len(known) < FEWEST:
        return None
    values, lows, highs = np.array([_logits(each) for each in known]).T
    variances = np.square((highs - lows) / 2 / ndtri(0.5 + level / 2))
    between = _paule_mandel(values, variances)
    weights = 1 / (variances + between)
    centre = float(np.average(values, weights=weights))
    ratio = float((weights * np.square(values - centre)).sum()) / (len(values) - 1)
    return RandomEffects(
        centre=centre,
        spread=float(np.sqrt(between)),
        error=float(np.sqrt(max(ratio, 1.0) / weights.sum())),
        within=float(variances.mean()),
        hospitals=len(values),
    )


def _logits(share: Estimate) -> FloatArray:
    """Give the logits of value and limits, held from 0 and 1 by less than the nearer limit lies from there: an interval keeps its width."""
    least = min(_LEAST, (1 - share.low) / 2, share.high / 2)
    return np.asarray(logit(np.clip([share.value, share.low, share.high], least, 1 - least)))


def _paule_mandel(values: FloatArray, variances: FloatArray) -> float:
    """Find the variance between hospitals under which the weighted squares are what chance gives; 0 where they are less."""
    from scipy.optimize import brentq  # takes a while to load, and few trainings leave sources out

    def excess(between: float) -> float:
        weights = 1 / (variances + between)
        off = values - np.average(values, weights=weights)
        return float((weights * np.square(off)).sum()) - (len(values) - 1)

    return 0.0 if excess(0.0) <= 0 else float(brentq(excess, 0.0, _MOST_VARIANCE))
