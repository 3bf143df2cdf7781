import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from plainfilm.evidence.statistics.intervals import bootstrap, group_codes, macro_average, mean, proportion, wilson
from plainfilm.results import documents
from plainfilm.results.estimate import Estimate

LEVEL = 0.95


@settings(max_examples=100)
@given(
    st.integers(1, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.sampled_from([0.9, 0.95, 0.99])
)
def test_wilson_on_independent_rows_is_scipys(counts, level):
    n, hits = counts
    found = wilson(np.arange(n) < hits, level=level)
    expected = binomtest(hits, n).proportion_ci(level, method="wilson")
    assert found.value == pytest.approx(hits / n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_counts_only_the_counted_rows():
    hits, counted = np.array([1, 0, 1, 1], dtype=bool), np.array([1, 1, 1, 0], dtype=bool)
    assert wilson(hits, counted) == wilson([True, False, True])


@settings(max_examples=100)
@given(st.integers(2, 60), st.integers(2, 5), st.integers(0, 2**16))
def test_repeating_every_row_within_its_group_adds_no_certainty(groups, copies, seed):
    hits = np.random.default_rng(seed).random(groups) < 0.7
    once = wilson(hits)
    again = wilson(np.repeat(hits, copies), group=np.repeat(np.arange(groups), copies))
    assert again.value == pytest.approx(once.value)
    assert again.high - again.low >= once.high - once.low - 1e-12
    independent = wilson(np.repeat(hits, copies))
    assert independent.high - independent.low < again.high - again.low


def test_groups_never_narrow_the_interval():
    hits = np.tile([True, False], 50)  # each group half right: their ratio does not vary at all
    grouped, alone = wilson(hits, group=np.repeat(np.arange(50), 2)), wilson(hits)
    assert grouped.low <= alone.low < alone.high <= grouped.high


def test_one_group_is_worth_one_row():
    assert wilson([True] * 20, group=[7] * 20) == wilson([True])


def test_the_effective_size_agrees_with_the_bootstrap_by_groups():
    random = np.random.default_rng(0)
    group = np.repeat(np.arange(400), random.integers(1, 5, 400))
    hits = random.random(len(group)) < random.beta(4, 2, 400)[group]
    found = wilson(hits, group=group)
    drawn = bootstrap(lambda w: (w @ hits) / w.sum(axis=1), group, repeats=2000)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * drawn.std(), rel=0.06)


def test_the_interval_of_a_mean_agrees_with_the_bootstrap_by_groups():
    random = np.random.default_rng(1)
    group = np.repeat(np.arange(400), random.integers(1, 5, 400))
    values = np.clip(random.beta(2, 5, 400)[group] + random.normal(0, 0.02, len(group)), 0, 1)
    found = mean(values, group_codes(group, len(group)), LEVEL).estimate
    drawn = bootstrap(lambda w: (w @ values) / w.sum(axis=1), group, repeats=2000)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.004)


def test_a_mean_without_spread_keeps_an_interval():
    found = mean(np.zeros(40), np.arange(40), LEVEL).estimate
    assert found == wilson(np.zeros(40, dtype=bool))
    assert found.high > 0.05


def test_a_macro_average_of_independent_parts_is_narrower_than_its_parts():
    random = np.random.default_rng(2)
    codes = np.arange(300)
    part = random.integers(0, 3, 300)
    hits = random.random(300) < 0.8
    parts = [proportion(hits & (part == p), part == p, codes, LEVEL) for p in range(3)]
    found = macro_average(parts)
    assert found.value == pytest.approx(np.mean([p.estimate.value for p in parts]))
    widths = [p.estimate.high - p.estimate.low for p in parts]
    assert found.high - found.low == pytest.approx(np.sqrt(np.square(widths).sum()) / 3, rel=0.05)


def test_a_macro_average_of_one_part_thrice_is_that_part():
    part = proportion(np.arange(50) < 40, np.ones(50, dtype=bool), np.arange(50), LEVEL)
    found = macro_average([part, part, part])
    assert (found.low, found.high) == pytest.approx((part.estimate.low, part.estimate.high))


def test_a_macro_average_of_perfect_parts_keeps_an_interval():
    part = np.repeat([0, 1, 2], 20)
    parts = [proportion(part == p, part == p, np.arange(60), LEVEL) for p in range(3)]
    assert 0.8 < macro_average(parts).low < 0.95


def test_a_macro_average_with_an_undefined_part_is_undefined():
    nothing = np.zeros(10, dtype=bool)
    parts = [proportion(nothing, part, np.arange(10), LEVEL) for part in (nothing, ~nothing)]
    assert np.isnan(macro_average(parts).value)


def test_the_bootstrap_is_the_same_for_the_same_seed_and_in_any_block(monkeypatch):
    group = np.repeat(np.arange(30), 2)
    first = bootstrap(lambda w: w[:, :3], group, repeats=50, seed=3)
    assert np.array_equal(first, bootstrap(lambda w: w[:, :3], group, repeats=50, seed=3))
    assert not np.array_equal(first, bootstrap(lambda w: w[:, :3], group, repeats=50, seed=4))
    monkeypatch.setattr("plainfilm.evidence.statistics.intervals.BLOCK_NUMBERS", 7 * 60)
    assert np.array_equal(first, bootstrap(lambda w: w[:, :3], group, repeats=50, seed=3))


def test_the_bootstrap_draws_whole_groups():
    group = np.array([0, 1, 1, 2, 2, 2])
    weights = bootstrap(lambda w: w, group, repeats=200)
    assert np.array_equal(weights[:, 1], weights[:, 2])
    assert np.array_equal(weights[:, 3], weights[:, 5])
    assert np.array_equal(weights[:, [0, 1, 3]].sum(axis=1), np.full(200, 3.0))


def test_an_undefined_estimate_is_none_in_json():
    assert documents.plain(wilson([], [])) == {"value": None, "low": None, "high": None}
    assert documents.plain(Estimate(0.5, 0.25, 0.75)) == {"value": 0.5, "low": 0.25, "high": 0.75}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"hits": [True], "counted": [True, False]}, "one shape"),
        ({"hits": [True, False], "group": [1]}, "one group a row"),
        ({"hits": [True], "level": 95}, "level between 0 and 1"),
    ],
)
def test_wilson_says_what_does_not_fit(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        wilson(**arguments)
