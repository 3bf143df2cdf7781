"""Two thresholds that keep a sensitivity and an NPV on new patients, with a stated confidence."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from plainfilm.evidence.statistics.intervals import FloatArray, IntArray, alike_size, group_codes

CONFIDENCE = 0.95  # that both targets are met on new patients
_STEP = 0.02  # of the rows, from one threshold that is tried for the NPV to the next
_EARLY = 0.25  # of the rows, below which the second start for the NPV lies


@dataclass(frozen=True, slots=True, kw_only=True)
class PromisedThresholds:
    """Where the answers part: positive from `upper` on, negative below `lower`, unsure between; each 0 to 1, or just above 1.

    `sensitivity_promised`, `npv_promised`: whether the rows are enough to promise the target; where they are not, the
    threshold is the one that meets it on these rows.
    """

    lower: float
    upper: float
    sensitivity_promised: bool
    npv_promised: bool


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows with the group of each, and the thresholds between their scores, rising; below each lie `below` rows."""

    ill: NDArray[np.bool_]
    score: FloatArray
    codes: IntArray
    cuts: FloatArray
    below: IntArray

    def mistaken(self, cut: float, among: NDArray[np.bool_], error: float) -> float:
        """Give what the share of the ill below a threshold among some rows lies under, but for a chance of `error`."""
        share = float((self.ill & (self.score < cut) & among).sum() / among.sum())
        worth = self.worth(among)
        return 1.0 if share == 1 else float(betaincinv(share * worth + 1, (1 - share) * worth, 1 - error))

    def worth(self, among: NDArray[np.bool_]) -> float:
        """Say how many independent rows some are worth: those of a group may all be right or wrong together."""
        return alike_size(np.bincount(self.codes[among]))


def rows_needed(target: float, confidence: float = CONFIDENCE) -> int:
    """Say how many independent rows without a mistake promise a share of at least `target`, one of two targets.

    Of a sensitivity these are rows of the ill, of an NPV rows that are called negative.
    """
    return math.ceil(math.log(_error(confidence)) / math.log(target))


def choose_two_thresholds(
    labels01: ArrayLike,
    probability: ArrayLike,
    *,
    sensitivity: float,
    npv: float,
    group: ArrayLike | None = None,
    confidence: float = CONFIDENCE,
) -> PromisedThresholds:
    """Choose two thresholds on rows that were not trained on.

    Parameters
    ----------
    labels01, probability : (n,)
        0 or 1, both present, and the probability of the positive class, 0 to 1.
    sensitivity : float
        Share of the ill who are to be called positive, above 0 and below 1; those who are unsure count as not found.
    npv : float
        Share of the well among those called negative, above 0 and below 1.
    group : (n,), optional
        Rows with the same value are one draw: a patient's radiographs count for fewer than they are.
    confidence : float
        That both are met on new patients; each may fail by half of what is missing to 1.

    Notes
    -----
    Learn-then-Test with a fixed order of thresholds, each tested by the exact binomial limit of the mistakes (Clopper &
    Pearson), as if the rows of a group were alike (Kish): at a few mistakes nobody can measure how alike they are. For the sensitivity the thresholds rise from
    below all the ill until one fails: of independent rows that is Wilks' tolerance limit, exact. For the NPV they start
    where labels have no say, at the fewest rows that could pass and at a quarter of all, and rise from there until one
    fails; with two starts each may fail by half. That no threshold below one that passes is worse takes the share of the
    ill to rise with the probability, as calibration does. One threshold does where it meets both targets.

    References
    ----------
    Angelopoulos et al., Annals of Applied Statistics 2025 (Learn then Test). Wilks, Annals of Mathematical Statistics
    1941. Clopper & Pearson, Biometrika 1934. Kish, Survey Sampling, 1965.
    """
    ill, score = np.asarray(labels01) == 1, np.asarray(probability, dtype=np.float64)
    rows, error = _Rows(ill, score, group_codes(group, len(ill)), *_cuts(score)), _error(confidence)
    found = _surely_sensitive(rows, 1 - sensitivity, error)
    cleared = _surely_negative(rows, 1 - npv, npv, confidence)
    ill_below = np.searchsorted(np.sort(score[ill]), rows.cuts)
    upper = _highest(rows.cuts, ill_below <= (1 - sensitivity) * ill.sum()) if found is None else found
    lower = _highest(rows.cuts, ill_below <= (1 - npv) * rows.below) if cleared is None else cleared
    return PromisedThresholds(
        lower=min(lower, upper),
        upper=upper,
        sensitivity_promised=found is not None,
        npv_promised=cleared is not None,
    )


def _error(confidence: float) -> float:
    """What each of the two promises may fail by."""
    return (1 - confidence) / 2


def _cuts(score: FloatArray) -> tuple[FloatArray, IntArray]:
    """All thresholds that differ in effect, rising from below all scores to above them, with how many rows lie below each."""
    values, counts = np.unique(score, return_counts=True)
    ends = np.append(np.insert(values, 0, 0.0), max(1.0, np.nextafter(values[-1], 2.0)))
    cuts = (ends[:-1] + ends[1:]) / 2
    cuts = np.where((cuts <= ends[:-1]) & (ends[1:] > ends[:-1]), ends[1:], cuts)  # neighbours with no number between
    return cuts, np.insert(np.cumsum(counts), 0, 0)


def _surely_sensitive(rows: _Rows, missed: float, error: float) -> float | None:
    """Give the highest threshold with at most a share `missed` of the ill below it, surely; None without one."""
    order = rows.cuts[np.unique(np.searchsorted(rows.cuts, rows.score[rows.ill], side="right")) - 1]
    return _rising(order, lambda cut: rows.mistaken(cut, rows.ill, error) <= missed)


def _surely_negative(rows: _Rows, mistaken: float, npv: float, confidence: float) -> float | None:
    """Give the highest threshold with at most a share `mistaken` of ill among the rows below it, surely; None without one."""
    early = int(_EARLY * len(rows.score))
    starts = 1 if early < rows_needed(npv, 1 - (1 - confidence) / 2) else 2
    error = _error(confidence) / starts
    fewest = rows_needed(npv, 1 - 2 * error)
    found = [
        _rising(_from(rows, start), lambda cut: rows.mistaken(cut, rows.score < cut, error) <= mistaken)
        for start in (fewest, early)[:starts]
    ]
    return max((each for each in found if each is not None), default=None)


def _from(rows: _Rows, fewest: int) -> FloatArray:
    """Thresholds in even steps of rows, from the first with `fewest` rows below that are worth as many independent ones."""
    ranks = np.arange(fewest, len(rows.score) + 1, max(1, int(_STEP * len(rows.score))))
    cuts = rows.cuts[np.unique(np.searchsorted(rows.below, ranks))]
    first = next((cut for cut in cuts if rows.worth(rows.score < cut) >= fewest), np.inf)
    return cuts[cuts >= first]


def _rising(order: Iterable[float], passes: Callable[[float], bool]) -> float | None:
    """Give the last of the thresholds that pass before the first that does not."""
    last = None
    for cut in order:
        if not passes(cut):
            break
        last = float(cut)
    return last


def _highest(cuts: FloatArray, good: NDArray[np.bool_]) -> float:
    """Give the highest threshold that is good; 0, below which nothing lies, without one."""
    return float(cuts[good][-1]) if good.any() else 0.0
