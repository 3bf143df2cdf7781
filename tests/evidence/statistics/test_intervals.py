import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from scipy.stats import t as student_t

import formulas
from plainfilm.evidence.statistics.intervals import (
    Measured,
    bootstrap,
    group_codes,
    macro_average,
    mean,
    proportion,
    student,
    wilson,
)
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


# Exact limits, worked out by the formulas with SciPy's distributions


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("seed", range(4))
def test_the_effective_size_is_by_the_clustered_variance_and_its_freedom(seed, level):
    random = np.random.default_rng(seed)
    group = np.sort(random.integers(0, 12, 60))
    hits = random.random(60) < random.beta(2, 1, 12)[group]
    n, value = len(hits), hits.mean()
    held = formulas.group_sums(group, np.ones(60))
    alone = value * (1 - value) / (n - 1)
    spread, freedom = formulas.clustered((formulas.group_sums(group, hits) - value * held) / n, held, alone)
    tail = 0.5 + level / 2
    size = n * alone / spread * (student_t.ppf(tail, n - 1) / student_t.ppf(tail, freedom)) ** 2
    found = wilson(hits, group=group, level=level)
    assert (found.low, found.high) == pytest.approx(formulas.wilson(value, size, level), rel=1e-9)


@pytest.mark.parametrize("kind", ["answers to one class", "calls"])
def test_intervals_hold_the_truth_where_a_few_patients_have_most_of_the_films(kind):
    """150 patients, of whom 5 % hold 50 films: an interval by the groups' own variance held it in 3 of 4 trials."""
    alike = {"answers to one class": 0.2, "calls": 0.4}[kind]
    random, held = np.random.default_rng(0), 0
    for _ in range(300):
        group = np.repeat(np.arange(150), np.where(random.random(150) < 0.05, 50, 1))
        shared, own = random.normal(size=150)[group], random.normal(size=len(group))
        mixed = 0.5 if kind == "calls" else 0.4  # correlation of what lies behind a right answer
        right = np.sqrt(mixed) * shared + np.sqrt(1 - mixed) * own < 0.84  # 0.8 of the population
        found = proportion(right, np.ones(len(right), dtype=bool), group, LEVEL, alike=alike).estimate
        held += found.low <= 0.7995 <= found.high
    assert 0.92 <= held / 300 <= 0.99


@pytest.mark.parametrize("hit", [False, True])
def test_without_a_hit_or_a_miss_groups_count_as_if_their_rows_were_alike(hit):
    found = wilson([hit] * 10, group=[0, 0, 0, 0, 1, 1, 1, 2, 2, 3])
    assert (found.low, found.high) == pytest.approx(
        formulas.wilson(float(hit), 100 / (16 + 9 + 4 + 1), LEVEL), abs=1e-12
    )


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("groups", [2, 3, 8, 40])
def test_a_mean_has_students_interval_on_the_logit_scale(groups, level):
    random = np.random.default_rng(groups)
    group = np.sort(np.append(np.arange(groups), random.integers(0, groups, 2 * groups)))
    values = random.beta(2, 5, groups)[group] * random.random(len(group))
    value = values.mean()
    held = formulas.group_sums(group, np.ones(len(group)))
    influence = (formulas.group_sums(group, values) - value * held) / len(group)
    found = mean(values, group, level)
    spread, freedom = formulas.clustered(influence, held, values.var() / (len(values) - 1))
    assert found.influence == pytest.approx(influence)
    expected = formulas.on_the_logit_scale(value, spread, influence, freedom, level)
    assert (found.estimate.low, found.estimate.high) == pytest.approx(expected, rel=1e-9)


def test_a_mean_of_one_group_is_worth_one_row():
    found = mean(np.array([0.2, 0.4]), np.array([0, 0]), LEVEL).estimate
    assert (found.low, found.high) == pytest.approx(formulas.wilson(0.3, 1, LEVEL))


def test_nothing_has_no_mean_and_no_proportion_but_an_influence_on_each_group():
    for found in (
        mean(np.zeros(0), np.zeros(0, int), LEVEL),
        proportion(np.zeros(0, bool), np.zeros(0, bool), np.zeros(0, int), LEVEL),
    ):
        assert np.isnan([found.estimate.value, found.estimate.low, found.estimate.high]).all()
        assert found.influence.shape == (0,)
    found = proportion(np.zeros(3, bool), np.zeros(3, bool), np.array([0, 1, 1]), LEVEL)
    assert np.isnan([found.estimate.value, found.estimate.low, found.estimate.high]).all()
    assert found.influence.tolist() == [0, 0]


@settings(max_examples=50)
@given(st.integers(0, 2**16), st.integers(2, 5))
def test_a_macro_average_combines_the_distances_by_their_correlation(seed, count):
    random = np.random.default_rng(seed)
    parts = []
    for _ in range(count):
        low, value, high = np.sort(random.random(3))
        parts.append(Measured(Estimate(value, low, high), random.normal(size=6)))
    correlation = np.array(
        [
            [a.influence @ b.influence / np.sqrt((a.influence**2).sum() * (b.influence**2).sum()) for b in parts]
            for a in parts
        ]
    )
    down, up = (np.array([abs(p.estimate.value - getattr(p.estimate, end)) for p in parts]) for end in ("low", "high"))
    value = np.mean([p.estimate.value for p in parts])
    found = macro_average(parts)
    assert found.value == pytest.approx(value)
    assert found.low == pytest.approx(max(0, value - np.sqrt(max(0, down @ correlation @ down)) / count), abs=1e-9)
    assert found.high == pytest.approx(min(1, value + np.sqrt(max(0, up @ correlation @ up)) / count), abs=1e-9)


def test_parts_without_influence_are_averaged_as_independent():
    part = Measured(Estimate(0.5, 0.2, 0.9), np.zeros(4))
    found = macro_average([part, part])
    assert (found.low, found.high) == pytest.approx((0.5 - 0.3 * np.sqrt(2) / 2, 0.5 + 0.4 * np.sqrt(2) / 2))


def test_weights_of_a_bootstrap_are_made_in_blocks_of_a_megabyte():
    seen = []
    bootstrap(lambda w: seen.append(w.shape) or w[:, 0], np.arange(2**12), repeats=70)
    assert seen == [(32, 2**12), (32, 2**12), (6, 2**12)]
    seen.clear()
    bootstrap(lambda w: seen.append(w.shape) or w[:, 0], np.arange(2**17 + 1), repeats=2)
    assert seen == [(1, 2**17 + 1)] * 2


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


def test_groups_that_are_alike_leave_students_t_all_its_freedom():
    assert student(np.zeros(8), 7, 0.95) == pytest.approx(2.364624)  # qt(0.975, 7) of R
