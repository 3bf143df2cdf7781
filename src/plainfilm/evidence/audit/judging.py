"""How well a probe tells each class from the rest, what of it is sure, and what could have been seen at all."""

from collections.abc import Callable

import numpy as np

from plainfilm.evidence.audit import ridge
from plainfilm.evidence.audit.sample import Sample
from plainfilm.evidence.statistics.discrimination import hanley_mcneil, newcombe
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray, wilson
from plainfilm.results.audit import Power, ProbedClass
from plainfilm.results.estimate import Estimate

SURE = 0.995  # level of the intervals that rules rest on: about twenty probes are looked at
NOTABLE = 0.6  # AUROC that a probe must surely reach to speak
PART = 0.05  # share of a class that a probe must surely tell, above that of the others
FALSE = 0.02  # share of the others that may score as high
_CHANCES = 0.8  # of being seen
_CHANCES_Z = 0.8416  # its quantile of the normal distribution


def tell(sample: Sample, scores: FloatArray, *, among: int = 1) -> tuple[Estimate, dict[str, ProbedClass]]:
    """Measure scores float64 (n, classes): the AUROC (of the second of two classes, else the mean), and each class.

    With k classes each is looked at with a k-th of the error allowed (Bonferroni); of two classes the AUROC is one. So is each of
    `among` samples that are looked at alike, such as sources.
    """
    each = ridge.areas(sample.labels, scores, sample.group, sample.part)
    draws, among = sample.draws(), among * sample.among
    by_class = {}
    for at, name in enumerate(sample.classes):
        is_it = sample.labels == at
        told, surely = _told(is_it, scores[:, at], sample.group, sure(len(each), of_two=2, among=among))
        by_class[name] = ProbedClass(
            auroc=each[at].estimate,
            surely=newcombe(
                each[at].estimate.value, draws[name], sum(draws.values()) - draws[name], sure(len(each), among=among)
            ).low,
            n=int(is_it.sum()),
            told=told,
            told_surely=surely,
        )
    return ridge.together(each), by_class


def sure(classes: int, of_two: int = 1, among: int = 1) -> float:
    """Give the level of an interval that a rule rests on; `of_two` of the two classes differ, in each of `among` samples."""
    return 1 - (1 - SURE) / (among * (classes if classes > 2 else of_two))


def speaks(own: ProbedClass) -> bool:
    """Whether a probe that should know nothing tells a class, or a part of it."""
    return (own.surely or 0.0) >= NOTABLE or (own.told_surely or 0.0) >= PART


def _told(is_it: np.ndarray, score: FloatArray, group: IntArray, level: float) -> tuple[Estimate, float]:
    """Share of a class above the lowest score that at most `FALSE` of the others exceed, and what it surely is more than theirs."""
    others = np.sort(score[~is_it])
    cut = others[len(others) - 1 - int(FALSE * len(others))]
    share, of_others = (wilson(score > cut, counted, group=group, level=level) for counted in (is_it, ~is_it))
    return wilson(score > cut, is_it, group=group), max(0.0, share.low - of_others.high)


def power(sample: Sample) -> Power:
    """Give the smallest AUROC, and the smallest part of a class with a sign, that the rules see four times in five."""
    draws = sample.draws()
    name = min(draws, key=lambda each: draws[each])
    own, rest = draws[name], sum(draws.values()) - draws[name]
    classes, among = len(draws), sample.among

    def area_seen(value: float) -> bool:
        unlucky = value - _CHANCES_Z * hanley_mcneil(value, own, rest) ** 0.5
        return unlucky > NOTABLE and newcombe(unlucky, own, rest, sure(classes, among=among)).low >= NOTABLE

    def part_seen(value: float) -> bool:
        unlucky = int(own * value - _CHANCES_Z * (own * value * (1 - value)) ** 0.5)
        if unlucky <= 0:
            return False
        share, others = (
            wilson(np.arange(count) < hits, level=sure(classes, of_two=2, among=among))
            for hits, count in ((unlucky, own), (int(FALSE * rest), rest))
        )
        return share.low - others.high >= PART

    return Power(class_=name, auroc=_smallest(area_seen, NOTABLE), told=_smallest(part_seen, PART))


def _smallest(seen: Callable[[float], bool], low: float) -> float:
    """Find where a rule begins to see, from `low` to 1, to a thousandth."""
    high = 1.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high
