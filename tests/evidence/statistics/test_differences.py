"""Ratio and difference of two proportions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.evidence.statistics.differences import difference, ratio, rest
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
