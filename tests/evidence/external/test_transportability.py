import re

import numpy as np
import pytest
from scipy.stats import norm

import made_metrics
from plainfilm.evidence.external.transportability import METRICS, compare, of_own_test_set
from plainfilm.evidence.statistics.differences import independent_difference
from plainfilm.evidence.statistics.discrimination import delong
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.results.estimate import Estimate


def metrics(auroc, *, sensitivity=(0.9, 0.85, 0.94), specificity=(0.9, 0.85, 0.94), accuracy=(0.9, 0.87, 0.93)):
    named = {"auroc": auroc, "sensitivity": sensitivity, "specificity": specificity, "accuracy": accuracy}
    return made_metrics.metrics(**{name: Estimate(*each) for name, each in named.items() if each is not None})


def judged(*parts, **known):
    return compare(*parts, **known)[1]


OWN = metrics((0.99, 0.97, 1.0))


def test_the_sentence_of_the_colleague():
    told = judged(OWN, metrics((0.61, 0.55, 0.67)))
    assert (
        told.sentence
        == "In this hospital AUROC 0.61 (0.55 to 0.67), 0.38 lower than on its own test set (0.32 to 0.44): performance does not hold at this site."
    )
    assert (told.verdict, told.level) == ("does not travel", "warning")
    assert compare(OWN, metrics((0.61, 0.55, 0.67)))[0].auroc.value == pytest.approx(0.38)
    assert "In these hospitals" in judged(OWN, metrics((0.61, 0.55, 0.67)), sources=3).sentence


@pytest.mark.parametrize(
    ("auroc", "verdict", "level", "words"),
    [
        ((0.60, 0.45, 0.73), "does not travel", "warning", "lower than on its own test set"),
        ((0.80, 0.74, 0.86), "travels in part", "caution", "0.19 lower"),
        ((0.70, 0.60, 0.79), "travels in part", "caution", "0.29 lower"),
        ((0.985, 0.96, 0.999), "travels", "none", "at most 0.03 lower"),
        ((0.93, 0.80, 0.99), "cannot be said", "caution", "at most 0.19 lower"),
        ((0.95, 0.40, 1.0), "cannot be said", "caution", "may be chance"),
    ],
)
def test_the_verdict_rests_on_intervals(auroc, verdict, level, words):
    told = judged(OWN, metrics(auroc))
    assert (told.verdict, told.level) == (verdict, level)
    assert words in told.sentence


def test_a_value_far_below_in_a_wide_interval_is_no_warning():
    told = judged(OWN, metrics((0.60, 0.20, 0.99)))
    assert (told.verdict, told.level) == ("cannot be said", "caution")


def test_a_higher_number_is_said_to_be_higher():
    told = judged(metrics((0.80, 0.77, 0.83)), metrics((0.93, 0.90, 0.95)))
    assert told.verdict == "travels"
    assert "0.13 higher than on its own test set (0.09 to 0.17)" in told.sentence


def test_a_threshold_that_does_not_travel_is_said_beside_a_ranking_that_does():
    external = metrics((0.98, 0.96, 0.99), sensitivity=(0.99, 0.97, 1.0), specificity=(0.08, 0.06, 0.11))
    told = judged(OWN, external)
    assert (told.verdict, told.level) == ("does not travel", "warning")
    assert "at its threshold specificity 8.0 % (6.0 to 11.0), 82.0 points lower" in told.sentence
    many = judged(OWN, external, two_classes=False)
    assert many.verdict == "travels"
    assert "threshold" not in many.sentence


def of_classes(counts=(100, 100, 100), **areas):
    each = {name: made_metrics.of_a_class(auroc=Estimate(*area), sensitivity=Estimate(0.9, 0.85, 0.94), specificity=Estimate(0.9, 0.85, 0.94))
            for name, area in areas.items()}  # fmt: skip
    return made_metrics.metrics(auroc=Estimate(0.95, 0.93, 0.97), per_class=each, confusion_matrix=tuple(
        tuple(n * (row == column) for column in range(3)) for row, n in enumerate(counts)))  # fmt: skip


FINE = (0.95, 0.93, 0.97)


def test_the_worst_of_several_classes_speaks_and_is_named():
    """The mean of three classes hides one that no longer is told from the rest."""
    own = of_classes(A=FINE, B=FINE, C=FINE)
    told = judged(own, of_classes(A=FINE, B=FINE, C=(0.55, 0.5, 0.6)), two_classes=False)
    assert (told.verdict, told.level) == ("does not travel", "warning")
    assert "AUROC for C against the rest 0.55 (0.49 to 0.61), 0.40 lower" in told.sentence
    assert judged(own, own, two_classes=False).verdict == "travels"


def test_how_many_radiographs_would_tell_is_said_where_too_few_are_there():
    own, here = ((0.95, 0.94, 0.96), (0.96, 0.8, 0.99))
    told = judged(of_classes(A=own, B=own, C=own), of_classes((400, 400, 9), A=own, B=own, C=here), two_classes=False)
    assert told.verdict == "cannot be said"
    assert "for C against the rest 0.96" in told.sentence
    needed = int(re.search(r"About ([\d,]+) radiographs of C would be needed; there are 9\.", told.sentence)[1])
    assert 50 < needed < 150


def test_a_threshold_that_loses_less_than_half_travels_in_part():
    own = metrics((0.97, 0.95, 0.98))
    told = judged(own, metrics((0.97, 0.95, 0.98), specificity=(0.60, 0.54, 0.66)))
    assert (told.verdict, told.level) == ("travels in part", "caution")
    assert "specificity 60.0 % (54.0 to 66.0), 30.0 points lower" in told.sentence


def test_a_threshold_that_only_shifts_the_balance_is_no_loss():
    own = metrics((0.90, 0.87, 0.93), sensitivity=(0.80, 0.75, 0.85), specificity=(0.80, 0.75, 0.85))
    shifted = metrics((0.90, 0.87, 0.93), sensitivity=(0.95, 0.92, 0.97), specificity=(0.65, 0.59, 0.70))
    drop, told = compare(own, shifted)
    assert told.verdict == "travels"
    assert drop.specificity.low > 0


def test_a_class_that_is_missing_is_never_passed_over():
    external = metrics(None, specificity=None, sensitivity=(0.60, 0.52, 0.68))
    drop, told = compare(OWN, external, missing=["NORMAL"])
    assert (told.verdict, told.level) == ("cannot be said", "caution")
    assert "There is no NORMAL among these radiographs" in told.sentence
    of_finding = judged(OWN, external, missing=["no Mass"]).sentence
    assert of_finding.startswith("There is none without Mass among these radiographs, so")
    assert "Sensitivity 60.0 % (52.0 to 68.0), 30.0 points lower than on its own test set" in told.sentence
    assert not drop.auroc.is_known
    assert "which the data do not show to differ" in judged(OWN, metrics(None, specificity=None), missing=["NORMAL"]).sentence  # fmt: skip
    higher = metrics(None, sensitivity=None, specificity=(0.99, 0.97, 1.0))
    assert "Specificity 99.0 % (97.0 to 100.0), 9.0 points higher" in judged(OWN, higher, missing=["COVID"]).sentence


def test_nothing_to_compare_with_is_said():
    told = judged(metrics(None), metrics((0.9, 0.85, 0.93)))
    assert (told.verdict, told.level) == ("cannot be said", "caution")
    assert "gives none to compare with" in told.sentence
    nothing = of_classes(A=(np.nan,) * 3, B=(np.nan,) * 3, C=(np.nan,) * 3)
    told = judged(nothing, of_classes(A=FINE, B=FINE, C=FINE), two_classes=False)
    assert told.sentence.endswith(
        "gives none to compare with: too few radiographs to say whether performance holds at this site."
    )


def test_its_own_test_set_says_nothing_of_another_hospital():
    drop, told = of_own_test_set()
    assert told.level == "caution"
    assert "says nothing about another hospital" in told.sentence
    assert not any(getattr(drop, name).is_known for name in METRICS)


def covered(draw, truth, repeats):
    held = 0
    for seed in range(repeats):
        drop = independent_difference(*draw(np.random.default_rng(seed)))
        assert drop.low <= drop.value <= drop.high
        held += drop.low <= truth <= drop.high
    return held / repeats


@pytest.mark.parametrize(
    ("here", "own", "n", "m"), [(0.80, 0.95, 150, 200), (0.60, 0.995, 60, 400), (0.5, 0.5, 40, 40)]
)
def test_the_interval_of_a_drop_of_shares_holds_the_truth_in_95_of_100(here, own, n, m):
    def draw(rng):
        return wilson(rng.random(m) < own), wilson(rng.random(n) < here)

    assert 0.93 <= covered(draw, own - here, 1500) <= 0.985


def test_the_interval_of_a_drop_of_auroc_holds_the_truth_in_95_of_100():
    def area(rng, n, apart):
        labels = np.arange(n) < n // 3
        return delong(labels.astype(int), rng.normal(size=n) + apart * labels)

    def draw(rng):
        return area(rng, 240, 2.5), area(rng, 150, 1.0)

    truth = norm.cdf(2.5 / np.sqrt(2)) - norm.cdf(1.0 / np.sqrt(2))
    assert 0.92 <= covered(draw, truth, 800) <= 0.985


def test_a_classifier_that_lost_nothing_is_rarely_said_to_have_lost():
    lost = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        parts = []
        for n in (240, 200):
            labels = (rng.random(n) < 0.4).astype(int)
            chance = 1 / (1 + np.exp(-(rng.normal(size=n) + 3 * (labels - 0.5))))
            parts.append(evaluate(1 - labels, np.stack([chance, 1 - chance], axis=1), classes=("COVID", "NORMAL"), positive="COVID", threshold=0.5, repeats=1))  # fmt: skip
        lost += judged(*parts).verdict in {"travels in part", "does not travel"}
    assert lost <= 0.08 * 200
