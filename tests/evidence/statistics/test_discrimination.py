import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

import formulas
from plainfilm.evidence.statistics.discrimination import (
    Placements,
    _precision_influence,
    area_under_roc,
    average_precision,
    delong,
    delong_difference,
    newcombe,
    placements,
)
from plainfilm.evidence.statistics.intervals import bootstrap, group_codes, variance
from plainfilm.results.estimate import Estimate

LEVEL = 0.95


def sample(seed, n=200, gap=1.5, ties=False, group_size=1):
    random = np.random.default_rng(seed)
    group = np.arange(n) // group_size
    labels = (random.random(n) < 0.4).astype(int)
    labels[:2] = 0, 1
    scores = random.normal(size=n) + random.normal(size=n)[group] * (group_size > 1) + gap * labels
    return labels, (scores.round(1) if ties else scores), group


def compare(ill, well):
    return (ill[:, None] > well[None, :]) + 0.5 * (ill[:, None] == well[None, :])


@settings(max_examples=40)
@given(st.integers(0, 2**16), st.booleans())
def test_values_are_scikit_learns(seed, ties):
    labels, scores, group = sample(seed, 60, ties=ties)
    assert delong(labels, scores).value == pytest.approx(roc_auc_score(labels, scores))
    found = average_precision(labels == 1, scores, group, LEVEL).estimate
    assert found.value == pytest.approx(average_precision_score(labels, scores))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_variance_is_delongs_by_all_pairs(seed, ties):
    labels, scores, group = sample(seed, ties=ties)
    above = compare(scores[labels == 1], scores[labels == 0])
    expected = above.mean(axis=1).var(ddof=1) / above.shape[0] + above.mean(axis=0).var(ddof=1) / above.shape[1]
    assert placements(labels == 1, scores, group).variance() == pytest.approx(expected, rel=1e-9)


def test_the_clustered_variance_is_obuchowskis_by_all_pairs():
    labels, scores, group = sample(3, 240, group_size=3)
    above = compare(scores[labels == 1], scores[labels == 0])
    area, (m, n) = above.mean(), above.shape
    groups = np.unique(group)
    x, y = above.mean(axis=1) - area, above.mean(axis=0) - area
    sick = np.array([x[group[labels == 1] == g].sum() for g in groups])
    well = np.array([y[group[labels == 0] == g].sum() for g in groups])
    with_sick, with_well = len(set(group[labels == 1])), len(set(group[labels == 0]))
    s10 = with_sick / ((with_sick - 1) * m) * (sick**2).sum()
    s01 = with_well / ((with_well - 1) * n) * (well**2).sum()
    s11 = len(groups) / (len(groups) - 1) * (sick * well).sum()
    expected = s10 / m + s01 / n + 2 * s11 / (m * n)
    assert placements(labels == 1, scores, group).variance() == pytest.approx(expected, rel=1e-9)


def area_by_weights(labels, scores):
    above = compare(scores[labels == 1], scores[labels == 0])

    def area(weights):
        ill, well = weights[:, labels == 1], weights[:, labels == 0]
        return ((ill @ above) * well).sum(axis=1) / (ill.sum(axis=1) * well.sum(axis=1))

    return area


@pytest.mark.parametrize("group_size", [1, 3])
def test_the_variances_agree_with_the_bootstrap_by_groups(group_size):
    labels, scores, group = sample(4, 450, group_size=group_size)
    drawn = bootstrap(area_by_weights(labels, scores), group, repeats=2000)
    assert placements(labels == 1, scores, group).variance() ** 0.5 == pytest.approx(drawn.std(), rel=0.06)
    order = np.argsort(-scores)
    hits = labels[order]

    def precision(weights):
        true, called = np.cumsum(weights[:, order] * hits, axis=1), np.cumsum(weights[:, order], axis=1)
        return (weights[:, order] * hits * true / np.maximum(called, 1)).sum(axis=1) / true[:, -1]

    spread = variance(average_precision(labels == 1, scores, group, LEVEL).influence)
    assert spread**0.5 == pytest.approx(bootstrap(precision, group, repeats=2000).std(), rel=0.06)


def test_the_influence_on_average_precision_is_its_derivative():
    labels, scores, _ = sample(5, 40, ties=True)
    _, influence = _precision_influence(labels == 1, scores)
    step = 1e-6
    for row in range(40):
        up, down = (
            average_precision_score(labels, scores, sample_weight=1 + s * (np.arange(40) == row)) for s in (step, -step)
        )
        assert influence[row] == pytest.approx((up - down) / (2 * step), abs=1e-7)


# Exact limits


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize(("n", "group_size"), [(7, 1), (40, 1), (60, 3), (12, 4)])
def test_an_area_has_students_interval_on_the_logit_scale(n, group_size, level):
    labels, scores, group = sample(n, n, group_size=group_size)
    placed = placements(labels == 1, scores, group)
    holders = min(len(set(group[labels == 1])), len(set(group[labels == 0])))
    worth = [formulas.kish(group[labels == kind]) for kind in (1, 0)]
    held = [(np.count_nonzero(labels == kind), len(set(group[labels == kind]))) for kind in (1, 0)]
    effective = [min(n / (1 + 0.2 * (n / each - 1)), most) for (n, most), each in zip(held, worth, strict=True)]
    known, least = min(worth) - 1, formulas.hanley_mcneil(placed.value, *effective)
    spread = max(placed.variance(), (known * placed.variance() + least) / (known + 1))
    freedom = min(known + 1, holders - 1)
    expected = formulas.on_the_logit_scale(placed.value, spread, placed.influence, freedom, level)
    found = delong(labels, scores, group=group, level=level)
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-9)


def test_the_interval_of_an_area_holds_the_truth_with_ten_ill_of_three_hundred():
    """DeLong's own variance held it in 90 %: it rests on the few positives that do not rank above all."""
    random, labels, held = np.random.default_rng(0), np.arange(300) < 10, 0
    for _ in range(400):
        found = delong(labels, random.normal(size=300) + 2.66 * labels)  # an area of 0.97
        held += found.low <= 0.97 <= found.high
    assert held / 400 >= 0.93


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize(("n", "group_size"), [(7, 1), (40, 1), (60, 3), (12, 4)])
def test_an_average_precision_has_students_interval_on_the_logit_scale(n, group_size, level):
    labels, scores, group = sample(n, n, group_size=group_size)
    value, by_row = _precision_influence(labels == 1, scores)
    influence = formulas.group_sums(group, by_row)
    spread = (influence**2).sum() * len(influence) / (len(influence) - 1)
    holders = min(formulas.kish(group[labels == kind]) for kind in (1, 0))
    found = average_precision(labels == 1, scores, group, level)
    assert found.influence == pytest.approx(influence)
    expected = formulas.on_the_logit_scale(value, spread, influence, holders - 1, level)
    assert (found.estimate.low, found.estimate.high) == pytest.approx(expected, rel=1e-9)


def test_a_perfect_ranking_has_wilsons_interval_for_the_groups_with_positives():
    labels, group = np.array([1, 1, 1, 1, 0, 0]), np.array([0, 0, 0, 1, 1, 2])
    found = average_precision(labels == 1, labels * 1.0, group, LEVEL).estimate
    assert (found.value, found.low) == pytest.approx((1.0, formulas.wilson(1.0, 16 / 10, LEVEL)[0]))


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("group_size", [1, 3])
def test_a_difference_has_students_interval(group_size, level):
    labels, first, group = sample(12, 60, group_size=group_size)
    second = first + np.random.default_rng(12).normal(size=60)
    one, two = (placements(labels == 1, each, group) for each in (first, second))
    apart = Placements(0.0, one.positive - two.positive, one.negative - two.negative, one.holders)
    half = formulas.student(apart.influence, min(one.holders[:2]) - 1, level) * apart.variance() ** 0.5
    found = delong_difference(labels, first, second, group, level=level)
    value = roc_auc_score(labels, first) - roc_auc_score(labels, second)
    assert (found.value, found.low, found.high) == pytest.approx((value, value - half, value + half))


def test_a_difference_without_variance_is_combined_from_both_intervals():
    labels = np.arange(12) < 5
    perfect, worst = labels + np.linspace(0, 0.5, 12), np.linspace(0, 0.5, 12) - labels
    for first, second in ((perfect, worst), (worst, perfect), (perfect, labels * 1.0)):
        a, b = delong(labels, first), delong(labels, second)
        found = delong_difference(labels, first, second)
        down, up = np.hypot(a.value - a.low, b.high - b.value), np.hypot(a.high - a.value, b.value - b.low)
        expected = (a.value - b.value, max(-1, a.value - b.value - down), min(1, a.value - b.value + up))
        assert (found.value, found.low, found.high) == pytest.approx(expected)


def test_one_class_alone_has_no_difference():
    for labels in ([1, 1, 1], [0, 0, 0]):
        assert np.isnan(delong_difference(labels, [0.1, 0.2, 0.3], [0.3, 0.1, 0.2]).value)


def test_an_undefined_area_has_no_influence_on_any_group():
    found = area_under_roc(np.ones(3, bool), np.arange(3.0), np.array([0, 1, 1]), LEVEL)
    assert found.influence.tolist() == [0, 0]
    found = average_precision(np.ones(3, bool), np.arange(3.0), np.array([0, 1, 1]), LEVEL)
    assert found.influence.tolist() == [0, 0]


def test_one_group_of_a_class_leaves_no_variance_but_newcombes_interval():
    labels, scores = np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.2, 0.5, 0.1, 0.3])
    group = np.array([0, 0, 1, 2, 3])
    found = delong(labels, scores, group=group)
    assert found == newcombe(found.value, 1, 3, LEVEL)
    assert placements(labels == 1, scores, group).variance() == 0.0


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize(("value", "ill", "well"), [(0.8, 10, 30), (0.5, 4, 4), (0.97, 200, 50)])
def test_newcombes_limits_solve_hanley_and_mcneils_equation_on_both_sides(value, ill, well, level):
    found = newcombe(value, ill, well, level)
    more, z = (ill + well) / 2 - 1, norm.ppf(0.5 + level / 2)
    for limit, area in ((found.low, found.low), (found.high, 1 - found.high)):
        spread = area * (1 - area) * (1 + more * (1 - area) / (2 - area) + more * area / (1 + area)) / (ill * well)
        assert abs(value - limit) == pytest.approx(z * spread**0.5, rel=1e-6)
    with pytest.raises(ValueError, match="level"):
        newcombe(value, ill, well, 1.0)


def test_the_settings_of_a_level_are_checked():
    labels, scores, _ = sample(0, 20)
    for call in (
        lambda: delong(labels, scores, level=95),
        lambda: delong_difference(labels, scores, scores, level=0.0),
    ):
        with pytest.raises(ValueError, match="level between 0 and 1"):
            call()


@settings(max_examples=100)
@given(st.integers(0, 2**16))
def test_a_monotone_transform_keeps_the_area(seed):
    labels, scores, _ = sample(seed, 50)
    assert delong(labels, np.exp(3 * scores)) == delong(labels, scores)


def test_turning_scores_over_turns_the_interval_over():
    labels, scores, _ = sample(6)
    one, other = delong(labels, scores), delong(labels, -scores)
    assert (other.value, other.low, other.high) == pytest.approx((1 - one.value, 1 - one.high, 1 - one.low))


@pytest.mark.parametrize(("ill", "well", "low"), [(10, 10, 0.80), (30, 30, 0.93), (500, 500, 0.995)])
def test_perfect_separation_keeps_an_interval_that_shrinks_with_the_rows(ill, well, low):
    labels = np.arange(ill + well) < ill
    found = delong(labels, labels * 1.0)
    assert (found.value, found.high) == (1.0, 1.0)
    assert low <= found.low < 1
    precise = average_precision(labels, labels * 1.0, np.arange(ill + well), LEVEL).estimate
    assert precise.value == 1.0
    assert 0.5 < precise.low < found.low


def test_perfect_separation_solves_newcombes_equation():
    found = delong([1] * 20 + [0] * 30, [1.0] * 20 + [0.0] * 30)
    area, more = found.low, 25 - 1
    spread = area * (1 - area) * (1 + more * (1 - area) / (2 - area) + more * area / (1 + area)) / (20 * 30)
    assert (1 - area) ** 2 == pytest.approx(1.959964**2 * spread, rel=1e-4)


def test_equal_scores_say_nothing_and_keep_a_wide_interval():
    found = delong([0, 1] * 10, [0.5] * 20)
    assert found.value == 0.5
    assert found.low < 0.3
    assert found.high > 0.7


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, 0, 0]])
def test_one_class_alone_has_no_area(labels):
    assert np.isnan(delong(labels, [0.1, 0.2, 0.3]).value)
    assert np.isnan(average_precision(np.array(labels) == 1, np.arange(3.0), np.arange(3), LEVEL).estimate.value)


def test_the_paired_difference_agrees_with_the_bootstrap_by_groups():
    labels, first, group = sample(7, 450, group_size=3)
    second = first + np.random.default_rng(8).normal(0, 1.5, 450)
    found = delong_difference(labels, first, second, group)
    one, other = area_by_weights(labels, first), area_by_weights(labels, second)
    drawn = bootstrap(lambda w: one(w) - other(w), group, repeats=2000)
    assert found.value == pytest.approx(roc_auc_score(labels, first) - roc_auc_score(labels, second))
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.01)


def test_the_paired_difference_turns_its_sign_with_the_order():
    labels, first, _ = sample(9)
    second = first + np.random.default_rng(9).normal(size=200)
    one, other = delong_difference(labels, first, second), delong_difference(labels, second, first)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


def test_scores_that_rank_alike_do_not_differ_but_two_perfect_ones_may():
    labels, scores, _ = sample(10)
    assert delong_difference(labels, scores, 2 * scores + 1) == Estimate(0.0, 0.0, 0.0)
    labels = np.arange(40) < 20
    found = delong_difference(labels, labels * 1.0, labels + np.linspace(0, 0.5, 40))
    assert found.value == 0.0
    assert -0.2 < found.low < -0.02
    assert 0.02 < found.high < 0.2


@pytest.mark.parametrize(
    ("labels", "scores", "complaint"),
    [([0, 2], [0.1, 0.2], "labels 0 and 1"), ([0, 1], [0.1], "one shape"), ([0, 1], [0.1, np.nan], "finite")],
)
def test_delong_says_what_does_not_fit(labels, scores, complaint):
    with pytest.raises(ValueError, match=complaint):
        delong(labels, scores)


def test_groups_may_have_any_names():
    labels, scores, group = sample(11, group_size=2)
    named = np.array([f"patient {g}" for g in group])
    assert delong(labels, scores, group=named) == delong(labels, scores, group=group)
    assert np.array_equal(group_codes(named[:6], 6), [0, 0, 1, 1, 2, 2])
