import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from plainfilm.evidence.statistics.promised_thresholds import choose_two_thresholds, rows_needed

TARGETS = {"sensitivity": 0.95, "npv": 0.99}


def drawn(rng, rows, prevalence=0.3, apart=4.0):
    truth = (rng.random(rows) < prevalence).astype(int)
    return truth, norm.cdf(rng.normal(size=rows) + apart * truth - apart / 2)


def test_as_many_rows_are_needed_as_make_a_run_without_a_mistake_improbable():
    assert [rows_needed(target) for target in (0.95, 0.99)] == [72, 368]
    assert 0.95**72 <= 0.025 < 0.95**71


@pytest.mark.parametrize(("ill", "promised"), [(72, True), (71, False)])
def test_one_patient_fewer_than_needed_promises_no_sensitivity(ill, promised):
    truth = np.repeat([1, 0], [ill, 400])
    found = choose_two_thresholds(truth, np.where(truth == 1, 0.9, 0.1), **TARGETS)
    assert (found.sensitivity_promised, found.npv_promised) == (promised, True)
    assert 0.1 < found.lower <= found.upper < 0.9


def test_films_of_one_patient_promise_as_little_as_one_film():
    truth = np.repeat([1, 0], [300, 2000])
    chance = np.where(truth == 1, 0.9, 0.1)
    alone = choose_two_thresholds(truth, chance, **TARGETS)
    of_few = choose_two_thresholds(truth, chance, group=np.arange(len(truth)) // 10, **TARGETS)
    assert (alone.sensitivity_promised, alone.npv_promised) == (True, True)
    assert (of_few.sensitivity_promised, of_few.npv_promised) == (False, False)


def test_where_nothing_can_be_promised_the_targets_are_met_on_the_rows_themselves():
    truth, chance = drawn(np.random.default_rng(0), 60, apart=2.0)
    found = choose_two_thresholds(truth, chance, **TARGETS)
    assert not found.sensitivity_promised
    assert not found.npv_promised
    assert np.mean(chance[truth == 1] >= found.upper) >= 0.95
    below = truth[chance < found.lower]
    assert not len(below) or np.mean(below == 0) >= 0.99


@settings(max_examples=50)
@given(st.integers(0, 1000), st.integers(2, 300), st.floats(0.05, 0.95), st.integers(2, 30))
def test_the_lower_threshold_is_never_above_the_upper_and_no_answer_falls_out(seed, rows, prevalence, steps):
    rng = np.random.default_rng(seed)
    truth, chance = drawn(rng, rows, prevalence)
    truth[:2] = 0, 1
    chance = np.round(chance * steps) / steps  # ties, 0 and 1
    found = choose_two_thresholds(truth, chance, group=rng.integers(0, rows, rows), **TARGETS)
    assert 0 <= found.lower <= found.upper <= np.nextafter(1.0, 2.0)


def test_promises_are_kept_on_new_patients_as_often_as_they_say():
    rng, broken, promised, apart = np.random.default_rng(4), 0, 0, 4.0
    for _ in range(100):
        truth, chance = drawn(rng, 900, apart=apart)
        found = choose_two_thresholds(truth, chance, **TARGETS)
        lower, upper = (norm.ppf(min(cut, 1.0)) + apart / 2 for cut in (found.lower, found.upper))
        sensitivity = 1 - norm.cdf(upper - apart)
        missed, cleared = 0.3 * norm.cdf(lower - apart), 0.7 * norm.cdf(lower)
        promised += found.npv_promised
        broken += (found.sensitivity_promised and sensitivity < 0.95) or (
            found.npv_promised and cleared / (missed + cleared) < 0.99
        )
    assert promised > 50
    assert broken <= 10  # 5 on average at most; above 10 in 1 % of such tests
