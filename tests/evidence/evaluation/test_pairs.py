import re

import numpy as np
import pytest

from plainfilm.evidence.evaluation import pairs
from plainfilm.evidence.evaluation.pairs import Answers, FindingAnswers, Findings, Rows
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.evidence.statistics.paired import delong_test, holm, mcnemar_test

CLASSES = ("NORMAL", "COVID")


def rows_of(patients=300, seed=0, classes=CLASSES):
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(patients), random.integers(1, 4, patients))
    labels = random.integers(0, len(classes), patients)[codes]
    return Rows(labels=labels, codes=codes, classes=classes, positive="COVID" if len(classes) == 2 else None)


def answers(rows, skill, seed):
    random = np.random.default_rng(seed)
    logits = skill * np.eye(len(rows.classes))[rows.labels] + random.normal(size=(len(rows.labels), len(rows.classes)))
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Answers(probabilities=chance, called=chance.argmax(axis=1))


def test_metrics_are_the_means_over_seeds_and_their_intervals_are_over_patients():
    rows = rows_of()
    seeds = [answers(rows, 1.5, seed) for seed in (1, 2, 3)]
    (metrics, alone), _ = pairs.compare(rows, [("three", seeds), ("one", seeds[:1])])
    each = [
        evaluate(rows.labels, own.probabilities, classes=CLASSES, positive="COVID", threshold=0.5, group=rows.codes)
        for own in seeds
    ]
    for name, found in metrics.items():
        assert found.estimate.value == pytest.approx(np.mean([own.estimates[name].value for own in each]))
        assert alone[name].estimate.low == pytest.approx(each[0].estimates[name].low)
    assert metrics["auroc"].estimate.low < metrics["auroc"].estimate.value < metrics["auroc"].estimate.high


def test_p_values_are_corrected_for_all_tests_of_all_pairs():
    rows = rows_of()
    named = [
        (name, [answers(rows, skill, seed)]) for seed, (name, skill) in enumerate([("a", 2.0), ("b", 1.6), ("c", 0.5)])
    ]
    _, found = pairs.compare(rows, named)
    assert [pair.recipes for pair in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    p = [test.p for pair in found for test in (pair.auroc, pair.accuracy)]
    corrected = [test.p_corrected for pair in found for test in (pair.auroc, pair.accuracy)]
    assert corrected == pytest.approx(holm(p))
    assert min(corrected) == pytest.approx(6 * min(p))
    one, other = (own[0] for _, own in named[:2])
    expected = delong_test(rows.labels == 1, one.probabilities[:, 1], other.probabilities[:, 1], group=rows.codes)
    assert found[0].auroc.statistic == pytest.approx(expected.statistic)
    assert found[0].differences["auroc"] == expected.difference
    exact = mcnemar_test(*(own.called == rows.labels for own in (one, other)), group=rows.codes)
    assert found[0].accuracy.statistic == pytest.approx(exact.statistic)


def skilled(rows, skills, seed):
    """Trainings that see the same films, each with its own skill and a little noise."""
    random = np.random.default_rng(seed)
    noise = random.normal(size=len(rows.labels))
    made = []
    for skill in skills:
        odds = skill * (2 * rows.labels - 1) + noise + 0.1 * random.normal(size=len(rows.labels))
        chance = 1 / (1 + np.exp(-odds))
        made.append(Answers(probabilities=np.stack([1 - chance, chance], axis=1), called=(odds > 0).astype(np.int64)))
    return made


def test_what_seeds_may_do_is_told_from_what_recipes_do_and_from_chance():
    rows = rows_of(600)
    steady, better = skilled(rows, [1.0, 1.0, 1.0], 1), skilled(rows, [1.4, 1.4, 1.4], 1)
    shaky = skilled(rows, [0.2, 1.2, 1.1], 1)
    (apart,) = pairs.compare(rows, [("better", better), ("steady", steady)])[1]
    (seeds,) = pairs.compare(rows, [("shaky", shaky), ("steady", steady)])[1]
    (chance,) = pairs.compare(rows, [("steady", steady), ("again", skilled(rows, [1.0, 1.0, 1.0], 1))])[1]
    assert (apart.auroc.means, seeds.auroc.means, chance.auroc.means) == ("apart", "within seeds", "within chance")
    assert "neither patients nor random seeds explain it" in apart.auroc.sentence
    assert "DeLong, p below 0.001 corrected" in apart.auroc.sentence
    assert re.search(r"p = 1\.000 corrected", chance.auroc.sentence)
    assert apart.auroc.sentence.startswith("AUROC of better is ")
    assert seeds.auroc.sentence.startswith("AUROC of steady is ")
    assert "no more than other random seeds may change" in seeds.auroc.sentence
    assert "does not rule one out" in chance.auroc.sentence
    (once,) = pairs.compare(rows, [("better", better[:1]), ("steady", steady[:1])])[1]
    assert once.auroc.means == "apart"
    assert "With one training each it is not known" in once.auroc.sentence


def test_more_classes_are_compared_by_their_macro_means():
    rows = rows_of(classes=("A", "B", "C"))
    one, other = answers(rows, 2.0, 1), answers(rows, 1.0, 2)
    metrics, (pair,) = pairs.compare(rows, [("one", [one]), ("other", [other])])
    assert pair.differences["auroc"].value == pytest.approx(
        metrics[0]["auroc"].estimate.value - metrics[1]["auroc"].estimate.value
    )
    assert pair.auroc.p < 0.001


def test_what_cannot_be_tested_is_said():
    rows = Rows(labels=np.ones(10, np.int64), codes=np.arange(10), classes=CLASSES, positive="COVID")
    own = Answers(probabilities=np.full((10, 2), 0.5), called=np.ones(10, np.int64))
    metrics, (pair,) = pairs.compare(rows, [("one", [own]), ("other", [own])])
    assert pair.auroc.means == "not tested"
    assert "cannot be tested" in pair.auroc.sentence
    assert not metrics[0]["auroc"].estimate.is_known
    assert pair.accuracy.means == "within chance"


def asked_of_findings(patients=120, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(patients), 2)
    truth = rng.random((len(codes), 3)) < (0.4, 0.3, 0.5)
    states = np.where(rng.random(truth.shape) < 0.2, -1, truth).astype(np.int8)
    return Findings(names=("Effusion", "Mass", "Nodule"), states=states, codes=codes), truth


def told_of(truth, skill, seed):
    noise = np.random.default_rng(seed).normal(size=truth.shape)
    chance = 1 / (1 + np.exp(-(skill * (truth - 0.5) + noise)))
    return FindingAnswers(probabilities=chance, called=chance >= 0.5)


def test_each_finding_is_compared_where_it_is_known_and_corrected_for_all_findings():
    asked, truth = asked_of_findings()
    named = [("one", [told_of(truth, 3, 1)]), ("other", [told_of(truth, 1, 2)])]
    found, means = pairs.compare_findings(asked, named)
    alone = {}
    for at, name in enumerate(asked.names):
        known = asked.states[:, at] >= 0
        own = np.unique(asked.codes[known], return_inverse=True)[1]
        rows = Rows(labels=asked.states[known, at].astype(int), codes=own, classes=("absent", "present"), positive="present")  # fmt: skip
        answers = [(own, [seed.of(asked, at) for seed in seeds]) for own, seeds in named]
        alone[name] = pairs.compare(rows, answers)[1][0]
        assert found[name].n == known.sum()
        assert found[name].groups == len(np.unique(asked.codes[known]))
        assert found[name].pairs[0].differences == alone[name].differences
        assert found[name].pairs[0].auroc.p == alone[name].auroc.p
    p = [getattr(own, metric).p for own in alone.values() for metric in ("auroc", "accuracy")]
    corrected = [
        getattr(own.pairs[0], metric).p_corrected for own in found.values() for metric in ("auroc", "accuracy")
    ]
    assert corrected == pytest.approx(holm(p))
    (mean,) = means
    apart = [own.pairs[0].differences["auroc"].value for own in found.values()]
    assert mean.differences["auroc"].value == pytest.approx(np.mean(apart))
    width = mean.differences["auroc"].high - mean.differences["auroc"].low
    assert width < min(own.pairs[0].differences["auroc"].high - own.pairs[0].differences["auroc"].low for own in found.values())  # fmt: skip
    assert mean.sentence.startswith("Mean AUROC over the findings, one less other: 0.")


def test_what_is_tested_over_all_pairs_says_so_beside_means_over_findings():
    asked, truth = asked_of_findings()
    answers = [(name, [told_of(truth, skill, skill).pooled(asked)]) for name, skill in (("one", 3), ("other", 1))]
    (pair,) = pairs.compare(asked.pooled, answers)[1]
    assert pair.auroc.sentence.startswith("AUROC over all pairs of a radiograph and a finding of one is 0.")
    assert pair.accuracy.sentence.startswith("Accuracy over all pairs of a radiograph and a finding of one is 0.")


def test_the_mean_over_findings_covers_the_truth_in_as_many_draws_as_it_says():
    """Two classifiers of one skill on patients of two films: the interval of their mean difference holds 0 in 95 % of draws."""
    held = 0
    for seed in range(100):
        asked, truth = asked_of_findings(seed=seed)
        named = [(str(k), [told_of(truth, 2, 1000 + 2 * seed + k)]) for k in range(2)]
        area = pairs._mean_pair(*[(name, pairs._macro(asked, seeds)) for name, seeds in named]).differences["auroc"]
        held += area.low <= 0 <= area.high
    assert 89 <= held <= 100
