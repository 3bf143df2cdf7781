import numpy as np
import pytest

from plainfilm.evidence.evaluation.three_answers import measure, promise
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.evidence.statistics.promised_thresholds import PromisedThresholds

TRUTH = np.repeat([1, 0], [100, 200])
CHANCE = np.concatenate([np.repeat([0.9, 0.5, 0.1], [90, 8, 2]), np.repeat([0.9, 0.5, 0.1], [10, 30, 160])])


def test_unsure_answers_count_as_not_found_and_are_left_out_of_the_other_shares():
    found = measure(TRUTH, CHANCE, lower=0.3, upper=0.7, sensitivity=0.95, npv=0.9)
    assert found.unsure.value == pytest.approx(38 / 300)
    assert found.found.value == pytest.approx(0.9)
    assert found.sensitivity.value == pytest.approx(90 / 92)
    assert found.specificity.value == pytest.approx(160 / 170)
    assert found.ppv.value == pytest.approx(0.9)
    assert found.npv.value == pytest.approx(160 / 162)
    assert all(each.low <= each.value <= each.high for each in found.estimates.values())
    assert (found.sensitivity_holds, found.npv_holds) == (False, True)
    assert "A sensitivity of 95 % does not hold here: 90.0 %" in found.sentence
    assert "An NPV of 90 % holds here: 98.8 %" in found.sentence


def test_what_is_found_is_the_sensitivity_at_the_upper_threshold_with_its_interval():
    group = np.concatenate([np.arange(100) % 6, 6 + np.arange(200) // 3])
    found = measure(TRUTH, CHANCE, lower=0.3, upper=0.7, sensitivity=0.95, npv=0.9, group=group)
    both = np.stack([1 - CHANCE, CHANCE], axis=1)
    whole = evaluate(TRUTH, both, classes=("no", "yes"), positive="yes", threshold=0.7, group=group, repeats=1)
    assert found.found == whole.sensitivity


def test_few_patients_let_nothing_be_said():
    found = measure(TRUTH, CHANCE, lower=0.3, upper=0.7, sensitivity=0.9, npv=0.99, group=np.arange(300) // 20)
    assert (found.sensitivity_holds, found.npv_holds) == (None, None)
    assert "cannot be said to hold" in found.sentence
    none = measure(TRUTH, CHANCE, lower=0.05, upper=0.05, sensitivity=0.9, npv=0.99)
    assert none.npv_holds is None
    assert "An NPV of 99 % cannot be said to hold here: not defined." in none.sentence


@pytest.mark.parametrize(
    ("sure", "ill", "said"),
    [
        (
            (True, True),
            100,
            "a sensitivity of at least 95 %, unsure counting as not found and an NPV of at least 99 %.",
        ),
        ((True, False), 100, "The validation set is too small to promise an NPV of 99 %: it takes 368 radiographs"),
        ((False, True), 100, "does not let a sensitivity of 95 % be promised of this classifier"),
        ((False, True), 10, "is too small to promise a sensitivity of 95 %: it takes 72 radiographs"),
    ],
)
def test_what_is_promised_and_what_is_not_is_said(sure, ill, said):
    cuts = PromisedThresholds(lower=0.3, upper=0.7, sensitivity_promised=sure[0], npv_promised=sure[1])
    found = promise(cuts, np.repeat([1, 0], [ill, 200]), sensitivity=0.95, npv=0.99)
    assert said in found.sentence
    assert (found.sentence.startswith("With 95 % confidence")) == any(sure)


def test_films_of_few_patients_are_too_few_however_many_they_are():
    cuts = PromisedThresholds(lower=0.3, upper=0.7, sensitivity_promised=False, npv_promised=True)
    labels, group = np.repeat([1, 0], [100, 200]), np.repeat(np.arange(30), 10)
    found = promise(cuts, labels, sensitivity=0.95, npv=0.99, group=group)
    assert (
        "is too small to promise a sensitivity of 95 %: it takes 72 radiographs of different patients" in found.sentence
    )


@pytest.mark.parametrize("ill", [True, False])
def test_predictive_values_of_one_class_alone_are_not_defined(ill):
    rows = ill == TRUTH
    found = measure(TRUTH[rows], CHANCE[rows], lower=0.3, upper=0.7, sensitivity=0.95, npv=0.9)
    assert not found.ppv.is_known
    assert not found.npv.is_known
    assert found.npv_holds is None
