"""Classifiers on the same rows, two by two: differences with intervals over patients, tested, and told from those of seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from plainfilm.evidence.statistics.differences import paired_difference
from plainfilm.evidence.statistics.findings import measured_where_known
from plainfilm.evidence.statistics.intervals import Measured
from plainfilm.evidence.statistics.metrics import mean_of, measured
from plainfilm.evidence.statistics.paired import PairedTest, delong_test, holm, mcnemar_test
from plainfilm.results.comparison import ComparedFinding, MeanPair, Means, RecipePair, TestedDifference
from plainfilm.results.estimate import Estimate, with_range, written

ALPHA = 0.05
_TESTS: dict[str, Literal["DeLong", "McNemar"]] = {"auroc": "DeLong", "accuracy": "McNemar"}
_SAID = {"auroc": "AUROC", "accuracy": "Accuracy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Answers of one training: probabilities float64 (n, classes), and the class called, int64 (n)."""

    probabilities: NDArray[np.float64]
    called: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What all were asked: labels int64 (n), groups int64 (n) from 0 on; `positive` is None with more than two classes.

    `over` says in a sentence what the rows are, where they are no radiographs.
    """

    labels: NDArray[np.int64]
    codes: NDArray[np.int64]
    classes: tuple[str, ...]
    positive: str | None
    over: str = ""

    @property
    def target(self) -> int | None:
        """Number of the class that is measured against the rest; None where each is."""
        if len(self.classes) > 2:
            return None
        return 1 if self.positive is None else self.classes.index(self.positive)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What all were asked of several findings: states int8 (n, k), 1, 0 or -1 for not known; groups int64 (n) from 0 on."""

    names: tuple[str, ...]
    states: NDArray[np.int8]
    codes: NDArray[np.int64]

    def of(self, at: int) -> Rows:
        """Give the rows of which one finding is known, as of two classes."""
        known = self.states[:, at] >= 0
        return _two_classes(self.states[known, at], self.codes[known])

    @property
    def pooled(self) -> Rows:
        """Each pair of a film and a finding that is known of it, present or absent."""
        known = self.states >= 0
        whole = _two_classes(self.states[known], np.broadcast_to(self.codes[:, None], known.shape)[known])
        return replace(whole, over=" over all pairs of a radiograph and a finding")


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingAnswers:
    """Answers of one training to several findings: probabilities float64 (n, k), and whether each is called, bool (n, k)."""

    probabilities: NDArray[np.float64]
    called: NDArray[np.bool_]

    def of(self, asked: Findings, at: int) -> Answers:
        """Give those to one finding, on the rows of which it is known."""
        known = asked.states[:, at] >= 0
        return _of_two(self.probabilities[known, at], self.called[known, at])

    def pooled(self, asked: Findings) -> Answers:
        """Give those to each pair of a film and a finding that is known of it."""
        known = asked.states >= 0
        return _of_two(self.probabilities[known], self.called[known])


def _two_classes(states: NDArray[np.int8], codes: NDArray[np.int64]) -> Rows:
    own = np.unique(codes, return_inverse=True)[1]
    return Rows(labels=states.astype(np.int64), codes=own, classes=("absent", "present"), positive="present")


def _of_two(chance: NDArray[np.float64], called: NDArray[np.bool_]) -> Answers:
    return Answers(probabilities=np.stack([1 - chance, chance], axis=1), called=called.astype(np.int64))


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    seeds: Sequence[Answers]
    metrics: Mapping[str, Measured]


def compare(
    rows: Rows, named: Sequence[tuple[str, Sequence[Answers]]]
) -> tuple[list[Mapping[str, Measured]], tuple[RecipePair, ...]]:
    """Measure each of several recipes, whose trainings are its seeds, and test each two of them.

    Returns
    -------
    metrics, pairs
        Of each recipe the means over its seeds; p values are corrected for all tests of all pairs (Holm).
    """
    metrics, pairs = _measured_pairs(rows, named)
    return metrics, tuple(_told(pair, rows.over) for pair in _corrected(pairs))


def compare_findings(
    asked: Findings, named: Sequence[tuple[str, Sequence[FindingAnswers]]]
) -> tuple[dict[str, ComparedFinding], tuple[MeanPair, ...]]:
    """Test each two of several recipes or runs on each finding by itself, and hold their means over the findings against one another.

    Returns
    -------
    findings, means
        p values are corrected for the tests of all findings together (Holm).
    """
    rows = [asked.of(at) for at in range(len(asked.names))]
    each = [
        _measured_pairs(own, [(name, [seed.of(asked, at) for seed in seeds]) for name, seeds in named])[1]
        for at, own in enumerate(rows)
    ]
    told = iter([_told(pair) for pair in _corrected([pair for pairs in each for pair in pairs])])
    findings = {
        name: ComparedFinding(
            n=len(own.labels), groups=len(np.unique(own.codes)), pairs=tuple(next(told) for _ in pairs)
        )
        for name, own, pairs in zip(asked.names, rows, each, strict=True)
    }
    means = [(name, _macro(asked, seeds)) for name, seeds in named]
    return findings, tuple(_mean_pair(one, other) for one, other in combinations(means, 2))


def _macro(asked: Findings, seeds: Sequence[FindingAnswers]) -> dict[str, Measured]:
    """Mean of each metric over findings and seeds."""
    each = [
        measured_where_known(asked.states[:, at], seed.called[:, at], seed.probabilities[:, at], asked.codes)
        for seed in seeds
        for at in range(len(asked.names))
    ]
    return {name: mean_of([own[name] for own in each]) for name in each[0]}


def _mean_pair(first: tuple[str, Mapping[str, Measured]], second: tuple[str, Mapping[str, Measured]]) -> MeanPair:
    (one, own), (other, others) = first, second
    apart = {name: paired_difference(each, others[name]) for name, each in own.items()}
    area = apart["auroc"]
    said = (
        f"Mean AUROC over the findings, {one} less {other}: {with_range(area, '.3f')}."
        if area.is_known
        else f"Mean AUROC over the findings of {one} and {other} cannot be compared: that of a finding is not defined."
    )
    return MeanPair(recipes=(one, other), differences=apart, sentence=said)


def _measured_pairs(
    rows: Rows, named: Sequence[tuple[str, Sequence[Answers]]]
) -> tuple[list[Mapping[str, Measured]], list[RecipePair]]:
    """Measure each recipe and test each two of them, p values as they are."""
    every = [_Candidate(name, seeds, _over_seeds(rows, seeds)) for name, seeds in named]
    pairs = [_pair(one, other, _tested(rows, one, other)) for one, other in combinations(every, 2)]
    return [each.metrics for each in every], pairs


def _over_seeds(rows: Rows, seeds: Sequence[Answers]) -> dict[str, Measured]:
    each = [measured(rows.labels, own.called, own.probabilities, rows.codes, target=rows.target)[0] for own in seeds]
    return {name: mean_of([own[name] for own in each]) for name in each[0]}


def _tested(rows: Rows, one: _Candidate, other: _Candidate) -> dict[str, PairedTest]:
    targets = range(len(rows.classes)) if rows.target is None else [rows.target]
    truth = np.stack([rows.labels == target for target in targets])
    scores = [[own.probabilities[:, targets].T for own in each.seeds] for each in (one, other)]
    right = [[own.called == rows.labels for own in each.seeds] for each in (one, other)]
    return {
        "auroc": delong_test(truth, *scores, group=rows.codes),
        "accuracy": mcnemar_test(*right, group=rows.codes),
    }


def _pair(one: _Candidate, other: _Candidate, tested: Mapping[str, PairedTest]) -> RecipePair:
    differences = {name: paired_difference(own, other.metrics[name]) for name, own in one.metrics.items()}
    differences |= {name: test.difference for name, test in tested.items() if test.difference.is_known}
    return RecipePair(
        recipes=(one.name, other.name),
        differences=differences,
        **{
            name: TestedDifference(
                test=_TESTS[name], statistic=test.statistic, p=test.p, p_corrected=test.p, p_seeds=test.p_seeds,
                p_seeds_corrected=test.p_seeds, means="not tested", sentence="",
            )
            for name, test in tested.items()
        },
    )  # fmt: skip


def _corrected(pairs: Sequence[RecipePair]) -> list[RecipePair]:
    tested = [(number, name) for number in range(len(pairs)) for name in _TESTS]
    made = list(pairs)
    for key in ("p", "p_seeds"):
        values = holm([getattr(getattr(pairs[number], name), key) for number, name in tested])
        for (number, name), value in zip(tested, values, strict=True):
            own = msgspec.structs.replace(getattr(made[number], name), **{f"{key}_corrected": value})
            made[number] = msgspec.structs.replace(made[number], **{name: own})
    return made


def _told(pair: RecipePair, over: str = "") -> RecipePair:
    """Say what each difference means; `over` is of `Rows`."""
    told = {}
    for name in _TESTS:
        test: TestedDifference = getattr(pair, name)
        means = _means(test)
        told[name] = msgspec.structs.replace(
            test, means=means, sentence=_sentence(pair, f"{_SAID[name]}{over}", pair.differences[name], test, means)
        )
    return msgspec.structs.replace(pair, **told)


def _means(test: TestedDifference) -> Means:
    if np.isnan(test.p_corrected):
        return "not tested"
    if test.p_corrected > ALPHA:
        return "within chance"
    return "within seeds" if test.p_seeds_corrected > ALPHA else "apart"


def _sentence(pair: RecipePair, what: str, difference: Estimate, test: TestedDifference, means: Means) -> str:
    one, other = pair.recipes
    if means == "not tested":
        return f"{what} of {one} and {other} cannot be tested: nothing varies between patients, or a class is missing."
    value, low, high = difference.value, difference.low, difference.high
    if not value:
        said = f"{what} of {one} and {other} is the same"
    else:
        more, less = (one, other) if value > 0 else (other, one)
        said = f"{what} of {more} is {abs(value):.3f} above that of {less}"
        low, high = (low, high) if value > 0 else (-high, -low)
    return f"{said} ({written(low, '.3f')} to {written(high, '.3f')}; {test.test}, p {_p(test.p_corrected)} corrected): {_because(test, means)}"


def _because(test: TestedDifference, means: Means) -> str:
    if means == "within chance":
        return "no more than chance in the choice of patients explains. That shows no difference, and does not rule one out."
    if means == "within seeds":
        return f"not by these patients alone, but no more than other random seeds may change (p {_p(test.p_seeds_corrected)} with seeds)."
    if np.isnan(test.p_seeds):
        return "patients do not explain it. With one training each it is not known whether another random seed would."
    return f"neither patients nor random seeds explain it (p {_p(test.p_seeds_corrected)} with seeds)."


def _p(value: float) -> str:
    return f"= {value:.3f}" if value >= 0.001 else "below 0.001"
