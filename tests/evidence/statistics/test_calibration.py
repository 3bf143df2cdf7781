import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainfilm.errors import RecipeError
from plainfilm.evidence.statistics.calibration import (
    bin_of,
    calibration_error,
    choose_threshold,
)
from plainfilm.evidence.statistics.intervals import bootstrap, cautious_interval

RULES = ["youden", "accuracy", "sensitivity:0.95", "specificity:0.95", "sensitivity:1", "specificity:1"]


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: choose_threshold([0, 2], [0.1, 0.2], rule="youden"), "labels 0 and 1"),
        (lambda: choose_threshold([0, 1], [0.1, 1.2], rule="youden"), "from 0 to 1"),
    ],
)
def test_what_does_not_fit_is_said(call, complaint):
    with pytest.raises(ValueError, match=complaint):
        call()


labelled = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 12)), min_size=2, max_size=40).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


@settings(max_examples=100)
@given(labelled, st.sampled_from(RULES))
def test_no_other_threshold_serves_the_rule_better(rows, rule):
    labels, scores = np.array(rows).T
    scores = scores / 12
    name, _, aim = rule.partition(":")

    def worth(threshold):
        right = (scores >= threshold) == labels
        sensitivity, specificity = right[labels == 1].mean(), right[labels == 0].mean()
        if name == "youden":
            return sensitivity + specificity
        if name == "accuracy":
            return right.mean()
        held, other = (sensitivity, specificity) if name == "sensitivity" else (specificity, sensitivity)
        return other if held >= float(aim) - 1e-12 else -1

    chosen = choose_threshold(labels, scores, rule=rule)
    assert worth(chosen) >= max(worth(t) for t in np.append(np.unique(scores), 1.1)) - 1e-12


@settings(max_examples=100)
@given(labelled, st.sampled_from(RULES), st.integers(0, 2**16))
def test_the_threshold_does_not_hang_on_the_order_of_rows(rows, rule, seed):
    labels, scores = np.array(rows).T
    order = np.random.default_rng(seed).permutation(len(rows))
    assert choose_threshold(labels, scores / 12, rule=rule) == choose_threshold(
        labels[order], scores[order] / 12, rule=rule
    )


def test_the_threshold_lies_midway_between_neighbours():
    assert choose_threshold([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9], rule="youden") == pytest.approx(0.4)
    assert choose_threshold([0, 1, 0, 1], [0.1, 0.3, 0.6, 0.9], rule="sensitivity:0.95") == pytest.approx(0.2)
    assert choose_threshold([0, 1, 0, 1], [0.1, 0.3, 0.6, 0.9], rule="specificity:0.95") == pytest.approx(0.75)


def test_of_equally_good_thresholds_the_one_nearest_to_a_half_is_chosen():
    labels, scores = [0, 1, 0, 1], [0.1, 0.4, 0.7, 0.9]  # cuts at 0.25 and 0.8 are both 75 % accurate
    assert choose_threshold(labels, scores, rule="accuracy") == pytest.approx(0.25)


@pytest.mark.parametrize("rule", RULES)
def test_neighbours_with_no_number_between_them_are_still_told_apart(rule):
    low, high = 0.5, np.nextafter(0.5, 1)
    threshold = choose_threshold([0, 0, 1, 1], [low, low, high, high], rule=rule)
    assert threshold == high


def test_a_probability_of_one_can_stay_negative():
    assert choose_threshold([0, 1], [1.0, 0.5], rule="specificity:1") > 1


@pytest.mark.parametrize(("rule", "value"), [("0.5", 0.5), ("0", 0.0), (" 0.25 ", 0.25), ("1", 1.0)])
def test_a_number_is_taken_as_it_is(rule, value):
    assert choose_threshold([0, 0], [0.1, 0.9], rule=rule) == value


@pytest.mark.parametrize("rule", ["yuden", "", "1.5", "-1", "nan", "sensitivity", "sensitivity:95", "youden:0.5", "f1"])
def test_an_unknown_rule_is_one_line_that_says_what_to_do(rule):
    with pytest.raises(RecipeError, match="Expected evaluation.threshold") as caught:
        choose_threshold([0, 1], [0.1, 0.9], rule=rule)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "meant"), [("yuden", "youden"), ("acuracy", "accuracy"), ("sensitivty:0.95", "sensitivity:0.95")]
)
def test_a_misspelt_rule_is_recognised(rule, meant):
    with pytest.raises(RecipeError, match=f"Did you mean {meant}"):
        choose_threshold([0, 1], [0.1, 0.9], rule=rule)


def test_a_rule_that_needs_both_classes_says_so():
    with pytest.raises(RecipeError, match="received 0 positive and 2 negative"):
        choose_threshold([0, 0], [0.1, 0.9], rule="youden")


def error_of(labels, chances, group=None, seed=0):
    codes = np.arange(len(labels)) if group is None else group
    return calibration_error(labels == 1, chances, codes, level=0.95, repeats=400, seed=seed)


def test_the_calibration_error_is_the_mean_gap_over_bins():
    random = np.random.default_rng(3)
    chances = random.random(500)
    labels = (random.random(500) < chances**2).astype(int)
    place = np.clip(np.ceil(chances * 10) - 1, 0, 9)
    expected = sum((place == b).mean() * abs(labels[place == b].mean() - chances[place == b].mean()) for b in range(10))
    assert error_of(labels, chances).value == pytest.approx(expected)


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize(("power", "seed"), [(1, 0), (2, 1), (4, 2)])
def test_the_interval_of_the_calibration_error_is_the_reflected_one_by_groups(power, seed, level):
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(60), 2)
    chances = random.random(120)
    labels = random.random(120) < chances**power
    place = np.minimum((chances * 10).astype(int), 9)

    def gaps(weights, less=0.0):
        return sum(
            abs(
                (weights * (labels - chances))[place == b].sum() / weights.sum()
                - less * (labels - chances)[place == b].sum() / 120
            )
            for b in range(10)
        )

    errors, noise = zip(
        *bootstrap(lambda w: np.array([[gaps(row), gaps(row, 1.0)] for row in w]), codes, repeats=300, seed=seed),
        strict=True,
    )
    value = gaps(np.ones(120))
    low, high = 2 * value - np.quantile(errors, 0.5 + level / 2), 2 * value - np.quantile(errors, 0.5 - level / 2)
    found = calibration_error(labels, chances, codes, level=level, repeats=300, seed=seed)
    assert found.value == pytest.approx(value)
    assert found.low == pytest.approx(0 if value <= np.quantile(noise, level) else min(max(low, 0), value), abs=1e-9)
    assert found.high == pytest.approx(min(max(high, value), 1), abs=1e-9)


def test_fewer_groups_than_bins_or_no_spread_have_the_cautious_interval():
    random = np.random.default_rng(0)
    chances, labels = random.random(90), random.random(90) < 0.5
    for groups, is_cautious in ((9, True), (10, False)):
        codes = np.arange(90) % groups
        found = calibration_error(labels, chances, codes, level=0.95, repeats=50, seed=0)
        assert (found == cautious_interval(found.value, np.bincount(codes), 0.95)) == is_cautious
    assert np.isnan(calibration_error(labels[:0], chances[:0], np.arange(0), level=0.95, repeats=5, seed=0).value)


def test_the_calibration_error_of_calibrated_probabilities_may_be_zero():
    random = np.random.default_rng(4)
    chances = random.random(500)
    found = error_of((random.random(500) < chances).astype(int), chances)
    assert found.low == 0
    assert 0 < found.value < found.high + 1e-12


def test_the_calibration_error_of_bad_probabilities_is_not_zero():
    random = np.random.default_rng(5)
    chances = random.random(500)
    found = error_of((random.random(500) < 0.5).astype(int), chances)
    assert 0.15 < found.low < found.value < found.high < 0.35


def test_a_calibration_error_of_zero_keeps_an_interval():
    labels = np.repeat([0, 1], 30)
    found = error_of(labels, labels * 1.0)
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high > 0.03


def test_a_probability_of_one_falls_into_the_last_bin():
    assert bin_of(np.array([0.0, 0.099, 0.1, 0.999, 1.0]), 10).tolist() == [0, 0, 1, 9, 9]
