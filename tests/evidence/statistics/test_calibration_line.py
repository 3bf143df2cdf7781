import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from plainfilm.evidence.statistics.calibration_line import calibration


def drawn(n, *, seed=0, added=0.0, times=1.0, ill=-1.0):
    """Truth, and probabilities whose log odds are those of the truth, less `added`, over `times`."""
    random = np.random.default_rng(seed)
    odds = random.normal(ill, 2, n)
    return random.random(n) < expit(odds), expit((odds - added) / times)


def measured(observed, chance, group=None):
    return calibration(observed, chance, np.arange(len(chance)) if group is None else group)


def test_the_slope_is_that_of_scikit_learns_logistic_regression():
    observed, chance = drawn(2000, added=0.7, times=0.6)
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(chance)[:, None], observed)
    assert measured(observed, chance).slope.value == pytest.approx(oracle.coef_[0, 0], rel=1e-4)


def test_the_intercept_makes_the_mean_probability_the_share():
    observed, chance = drawn(500, added=1.5)
    found = measured(observed, chance)
    assert expit(logit(chance) + found.intercept.value).mean() == pytest.approx(observed.mean(), abs=1e-9)
    assert found.mean_probability.value == pytest.approx(chance.mean())
    assert found.share.value == pytest.approx(observed.mean())


def test_probabilities_that_hold_have_intercept_0_and_slope_1():
    found = measured(*drawn(50_000))
    assert found.intercept.low < 0 < found.intercept.high
    assert found.slope.low < 1 < found.slope.high


@pytest.mark.parametrize("ill", [-4.0, -1.0])
def test_intervals_hold_the_truth(ill):
    """With about one ill in ten of 300 films, and with one in three."""
    held = np.zeros(2)
    for seed in range(200):
        found = measured(*drawn(300, seed=seed, added=0.8, times=0.7, ill=ill))
        # the population: log odds x 0.7 + 0.8 are true; the intercept alone is found on 200,000
        held += [found.intercept.low <= OFFSET[ill] <= found.intercept.high, found.slope.low <= 0.7 <= found.slope.high]
    assert (held / 200 >= 0.91).all()


OFFSET = {ill: measured(*drawn(400_000, seed=1, added=0.8, times=0.7, ill=ill)).intercept.value for ill in (-4.0, -1.0)}


def test_repeated_radiographs_of_a_patient_add_no_certainty():
    observed, chance = drawn(200)
    once = measured(observed, chance)
    many = measured(np.repeat(observed, 5), np.repeat(chance, 5), np.repeat(np.arange(200), 5))
    for name in ("intercept", "slope"):
        one, again = once.estimates[name], many.estimates[name]
        assert again.value == pytest.approx(one.value, abs=1e-6)
        assert again.high - again.low >= (one.high - one.low) * (1 - 1e-6)


def test_what_has_no_slope_is_not_defined():
    labels = np.arange(40) >= 20
    separated = measured(labels, np.where(labels, 0.9, 0.1))
    assert separated.intercept.is_known
    assert not separated.slope.is_known
    assert not measured(labels, np.full(40, 0.5)).slope.is_known
    alone = measured(np.ones(40, bool), np.linspace(0.1, 0.9, 40))
    assert not alone.intercept.is_known
    assert alone.share.value == 1


def test_probabilities_of_0_and_1_are_no_error():
    found = measured(np.array([True, False, True, False]), np.array([1.0, 0.0, 0.0, 1.0]))
    assert np.isfinite([found.intercept.value, found.intercept.low]).all()
