import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import t as student

from plainfilm.evidence.statistics.random_effects import random_effects
from plainfilm.results.estimate import UNDEFINED, Estimate

Z = 1.959963984540054


def share(value, error):
    """A share with the 95 % interval of a standard error on the logit scale."""
    return Estimate(value, float(expit(logit(value) - Z * error)), float(expit(logit(value) + Z * error)))


def test_paule_mandel_solves_its_equation_and_hartung_knapp_has_k_minus_1():
    values, errors = np.array([0.62, 0.75, 0.81, 0.9]), np.array([0.1, 0.15, 0.12, 0.2])
    found = random_effects([share(v, e) for v, e in zip(values, errors, strict=True)])
    weights = 1 / (errors**2 + found.spread**2)
    centre = np.average(logit(values), weights=weights)
    squares = weights * (logit(values) - centre) ** 2
    assert squares.sum() == pytest.approx(3, rel=1e-6)  # K - 1, which defines the variance between
    assert found.centre == pytest.approx(centre)
    assert found.error == pytest.approx(np.sqrt(squares.sum() / 3 / weights.sum()))
    half = student.ppf(0.975, 3) * np.hypot(found.spread, found.error)
    expected = found.prediction()
    assert (expected.low, expected.high) == pytest.approx((expit(centre - half), expit(centre + half)))


def test_shares_that_differ_less_than_chance_have_no_spread_and_no_flattering_error():
    found = random_effects([share(0.8, 0.3), share(0.801, 0.3), share(0.8, 0.3)])
    assert found.spread == 0
    assert found.error == pytest.approx(0.3 / np.sqrt(3))
    assert found.prediction().low < found.prediction().value < found.prediction().high


def test_fewer_than_three_known_shares_give_nothing():
    assert random_effects([share(0.8, 0.1), share(0.7, 0.1)]) is None
    assert random_effects([share(0.8, 0.1), share(0.7, 0.1), UNDEFINED]) is None


def test_perfect_shares_stay_finite():
    found = random_effects([Estimate(1.0, 0.97, 1.0), Estimate(1.0, 0.9, 1.0), Estimate(0.99, 0.95, 1.0)])
    assert 0.5 < found.prediction().low < found.prediction().high <= 1


def test_large_sources_that_are_all_but_perfect_have_a_mean_and_an_interval():
    alike = random_effects([Estimate(0.9998, 0.9995, 0.9999)] * 3)
    assert 0.999 < alike.prediction().low < alike.prediction().value < alike.prediction().high < 1
    one = random_effects([Estimate(0.9998, 0.9995, 0.9999), share(0.9, 0.1), share(0.85, 0.1)])
    assert one.prediction().low < 0.5 < one.prediction().value < one.prediction().high


def test_more_hospitals_help_only_where_these_do_not_differ_too_much():
    alike = random_effects([share(v, 0.15) for v in (0.7, 0.75, 0.8)])
    assert alike.hospitals_needed(0.5) == 1
    sure = random_effects([share(v, 0.1) for v in (0.9, 0.9, 0.91, 0.9, 0.92)])
    assert sure.hospitals_needed(0.5) == 0
    apart = random_effects([share(v, 0.1) for v in (0.3, 0.6, 0.9)])
    assert apart.hospitals_needed(0.5) is None


def test_a_new_hospital_lies_in_its_interval_about_as_often_as_it_says():
    """Normal quantiles hold far less often with three hospitals: what the interval must not do."""
    rng = np.random.default_rng(0)
    held, normal, draws = 0, 0, 600
    for _ in range(draws):
        true = rng.normal(1.0, 0.6, size=4)
        seen = true[:3] + rng.normal(0, 0.15, size=3)
        found = random_effects([share(float(expit(each)), 0.15) for each in seen])
        new = float(expit(true[3]))
        expected = found.prediction()
        held += expected.low <= new <= expected.high
        half = Z * np.hypot(found.spread, found.error)
        normal += expit(found.centre - half) <= new <= expit(found.centre + half)
    assert held / draws >= 0.9
    assert normal / draws < 0.88
