"""Ratio and difference of two proportions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.evidence.statistics.differences import difference, independent_difference, ratio, rest
from plainfilm.evidence.statistics.intervals import Measured, proportion
from plainfilm.results.estimate import Estimate


def share(hits, n, *, offset=0, groups=None):
    """Measure `hits` of `n` rows that stand among `groups`, from group `offset` on."""
    groups = groups or n
    codes = np.concatenate([np.arange(offset, offset + n), np.arange(groups)])
    counted = np.arange(len(codes)) < n
    return proportion(np.arange(len(codes)) < hits, counted, codes, 0.95)


def apart(hits, n, other_hits, other_n):
    return share(hits, n, groups=n + other_n), share(other_hits, other_n, offset=n, groups=n + other_n)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(30, 60), st.integers(30, 60))
def test_a_ratio_lies_in_its_interval_and_turned_over_is_the_inverse(a, b, n, m):
    top, bottom = apart(a, n, b, m)
    found, inverse = ratio(top, bottom), ratio(bottom, top)
    if a == b == 0:
        assert np.isnan(found.value)
        return
    assert 0 <= found.low <= found.value <= found.high
    assert found.low < found.high
    for end, other in (("value", "value"), ("low", "high"), ("high", "low")):
        one, two = getattr(found, end), getattr(inverse, other)
        assert one == pytest.approx(1 / two if two else np.inf, rel=1e-6)


def test_a_ratio_without_a_hit_below_has_a_lower_limit_but_no_upper_one():
    found = ratio(*apart(40, 50, 0, 50))
    assert found.value == found.high == np.inf
    assert 5 < found.low < 20


def test_a_ratio_is_near_the_log_method_where_both_are_far_from_the_edge():
    found = ratio(*apart(300, 500, 200, 500))
    half = 1.96 * np.sqrt(1 / 300 - 1 / 500 + 1 / 200 - 1 / 500)
    assert np.log([found.low, found.high]) == pytest.approx(np.log(1.5) + np.array([-half, half]), abs=0.01)


def test_a_difference_is_near_newcombes_of_independent_proportions():
    # Newcombe, Statistics in Medicine 1998, 17, 873-890, table II, method 10: 56/70 - 48/80
    one, other = apart(56, 70, 48, 80)
    found = difference(one, 1.0, other, 1.0)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-3)


def test_weights_scale_a_difference():
    one, other = apart(56, 70, 48, 80)
    plain, doubled = difference(one, 1.0, other, 1.0), difference(one, 2.0, other, 2.0)
    assert (doubled.value, doubled.low, doubled.high) == pytest.approx((2 * plain.value, 2 * plain.low, 2 * plain.high))


def test_shares_that_move_together_leave_a_smaller_difference():
    one = share(30, 60)
    alone = Measured(one.estimate, np.random.default_rng(0).permutation(one.influence))
    together, mixed = difference(one, 1.0, one, 1.0), difference(one, 1.0, alone, 1.0)
    assert together.high - together.low < 0.25 * (mixed.high - mixed.low)


def test_shares_that_move_together_leave_a_smaller_ratio():
    one = share(30, 60)
    against = Measured(one.estimate, -one.influence)
    together, opposed = ratio(one, one), ratio(one, against)
    assert (together.low, together.high) == pytest.approx((1, 1), abs=0.05)
    assert opposed.low < 0.7
    assert opposed.high > 1.4


def test_the_rest_is_one_less():
    one = Measured(Estimate(0.9, 0.8, 0.95), np.array([0.1, -0.1]))
    assert rest(one).estimate == Estimate(1 - 0.9, 1 - 0.95, 1 - 0.8)
    assert rest(one).influence.tolist() == [-0.1, 0.1]


# Exact limits


def pair(one, other, r):
    """Two shares whose errors correlate by r."""
    first, second = np.array([1.0, -1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, -1.0])
    return Measured(Estimate(*one), first), Measured(Estimate(*other), r * first + np.sqrt(1 - r**2) * second)


@pytest.mark.parametrize("r", [-0.9, 0.0, 0.5])
@pytest.mark.parametrize(("weight", "other_weight"), [(1.0, 1.0), (0.5, 3.0)])
def test_a_difference_combines_the_distances_with_their_correlation(weight, other_weight, r):
    a, b = (0.7, 0.5, 0.8), (0.4, 0.3, 0.6)
    one, other = pair(a, b, r)
    found = difference(one, weight, other, other_weight)
    value = weight * 0.7 - other_weight * 0.4
    down = np.sqrt((weight * 0.2) ** 2 + (other_weight * 0.2) ** 2 - 2 * r * weight * 0.2 * other_weight * 0.2)
    up = np.sqrt((weight * 0.1) ** 2 + (other_weight * 0.1) ** 2 - 2 * r * weight * 0.1 * other_weight * 0.1)
    assert (found.value, found.low, found.high) == pytest.approx((value, value - down, value + up))


@pytest.mark.parametrize("r", [-0.9, 0.0, 0.5])
def test_the_limits_of_a_ratio_are_where_the_difference_to_it_is_no_longer_certain(r):
    """Donner & Zou 2012: the ratio q is a limit where a - q b has a limit of 0."""
    top, bottom = pair((0.6, 0.45, 0.7), (0.3, 0.2, 0.45), r)
    found = ratio(top, bottom)
    assert found.value == pytest.approx(2.0)
    assert difference(top, 1.0, bottom, found.low).low == pytest.approx(0, abs=1e-9)
    assert difference(top, 1.0, bottom, found.high).high == pytest.approx(0, abs=1e-9)


def test_a_ratio_of_what_is_not_defined_is_not_defined():
    known, unknown = pair((0.6, 0.45, 0.7), (np.nan, np.nan, np.nan), 0)
    for top, bottom in ((known, unknown), (unknown, known)):
        assert np.isnan([ratio(top, bottom).value, ratio(top, bottom).low, ratio(top, bottom).high]).all()
        found = independent_difference(top.estimate, bottom.estimate)
        assert np.isnan([found.value, found.low, found.high]).all()


def test_a_ratio_whose_lower_share_may_be_none_has_no_upper_limit():
    top, bottom = pair((0.6, 0.45, 0.7), (0.1, 0.0, 0.3), 0)
    assert ratio(top, bottom).high == np.inf
    top, bottom = pair((0.1, 0.0, 0.3), (0.6, 0.45, 0.7), 0)
    assert ratio(top, bottom).low == 0


def test_shares_without_influence_are_independent():
    nothing = Measured(Estimate(0.5, 0.4, 0.7), np.zeros(4))
    found = difference(nothing, 1.0, nothing, 1.0)
    assert (found.low, found.high) == pytest.approx((-np.hypot(0.1, 0.2), np.hypot(0.2, 0.1)))
    assert independent_difference(nothing.estimate, nothing.estimate) == found
