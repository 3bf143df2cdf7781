import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

from plainfilm.evidence.external import recalibration
from plainfilm.evidence.external.recalibration import fit_shift, measure, moved_threshold, why_not
from plainfilm.results import documents


def drawn(n=400, *, shift=0.0, seed=0, spread=1.5):
    """Log odds that are too high by `shift`, and labels that follow the true ones."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-0.5, spread, n)
    labels = (rng.random(n) < expit(odds)).astype(np.int64)
    return odds + shift, labels


@pytest.mark.parametrize(("shift", "seed"), [(0.0, 0), (3.0, 1), (-25.0, 2), (600.0, 3)])
def test_the_number_added_is_the_one_that_makes_the_labels_most_likely(shift, seed):
    odds, labels = drawn(shift=shift, seed=seed)
    fitted = fit_shift(odds, labels)
    assert expit(odds + fitted).mean() == pytest.approx(labels.mean(), abs=1e-9)

    def loss(a):
        return -np.where(labels == 1, log_expit(odds + a), log_expit(-odds - a)).sum()

    best = minimize_scalar(loss, bounds=(-shift - 3, -shift + 3), method="bounded", options={"xatol": 1e-9}).x
    assert fitted == pytest.approx(best, abs=1e-4)


def test_nothing_is_fitted_to_one_class():
    with pytest.raises(ValueError, match="both classes"):
        fit_shift([0.3, -2.0], [1, 1])


def test_the_number_planted_is_found_and_shown_to_help():
    odds, labels = drawn(1500, shift=2.0)
    found = measure(odds, labels, positive="COVID", threshold=0.5, group=np.arange(1500))
    assert found.shift == pytest.approx(-2.0, abs=0.2)
    assert found.helps
    assert found.before.brier.value > found.after.brier.value
    assert found.before.excess.low > 0.1
    assert found.after.excess.low < 0 < found.after.excess.high
    assert found.threshold == pytest.approx(expit(found.shift))
    assert "nearer to the truth" in found.sentence


def test_probabilities_that_fit_are_rarely_said_to_gain():
    helped = 0
    for seed in range(40):
        odds, labels = drawn(150, seed=seed)
        found = measure(odds, labels, positive="COVID", threshold=0.5, group=np.arange(150))
        helped += found.helps
    assert helped <= 3
    assert "not shown to help" in found.sentence or found.helps


def test_what_it_would_do_is_told_by_rows_that_were_not_fitted_to():
    """On forty rows the fit flatters; the cross-validated score is the worse one."""
    odds, labels = drawn(40, shift=1.0, seed=4)
    found = measure(odds, labels, positive="COVID", threshold=0.5, group=np.arange(40))
    fitted = np.square(expit(odds + found.shift) - labels).mean()
    assert found.after.brier.value > fitted


def test_rows_of_one_patient_are_in_one_fold_and_widen_the_interval():
    odds, labels = drawn(300, shift=2.0, seed=5)
    alone = measure(odds, labels, positive="COVID", threshold=0.5, group=np.arange(300))
    copied = [np.repeat(each, 4) for each in (odds, labels)]
    many = measure(*copied, positive="COVID", threshold=0.5, group=np.repeat(np.arange(300), 4))
    assert many.shift == pytest.approx(alone.shift, abs=1e-6)
    assert many.gain.high - many.gain.low == pytest.approx(alone.gain.high - alone.gain.low, rel=0.05)


@pytest.mark.parametrize("kind", [0, 1])
def test_too_few_of_a_class_are_said(kind):
    labels = np.full(60, 1 - kind)
    labels[:18] = kind
    group = np.concatenate([np.repeat(np.arange(9), 2), np.arange(9, 51)])
    assert "10 patients or unrelated images of each class" in why_not(labels, group)
    with pytest.raises(ValueError, match="10 patients"):
        measure(np.zeros(60), labels, positive="COVID", threshold=0.5, group=group)
    assert why_not(labels, np.arange(60)) == ""


@given(
    st.floats(1e-6, 1 - 1e-6),
    st.floats(-8, 8),
    st.lists(st.floats(-12, 12), min_size=1, max_size=30),
)
def test_moving_probabilities_and_threshold_together_changes_no_answer(threshold, shift, odds):
    odds = np.array(odds)
    clear = np.abs(odds - np.log(threshold / (1 - threshold))) > 1e-6  # on the threshold itself rounding may decide
    called = expit(odds) >= threshold
    moved = expit(odds + shift) >= moved_threshold(threshold, shift)
    np.testing.assert_array_equal(called[clear], moved[clear])


@pytest.mark.parametrize("threshold", [0.0, 1.0, float(np.nextafter(1.0, 2.0))])
def test_a_threshold_that_calls_all_or_none_stays(threshold):
    assert moved_threshold(threshold, -3.0) == threshold


def test_what_is_written_holds_numbers_and_a_sentence():
    odds, labels = drawn(100, shift=1.0)
    told = measure(odds, labels, positive="COVID", threshold=0.4, group=np.arange(100))
    written = documents.plain(told.result)
    assert list(written) == ["offered", "shift", "threshold", "helps", "sentence", "before", "after", "brier_gain"]
    assert set(written["before"]) == set(written["after"]) == {"brier", "ece", "excess"}
    assert written["sentence"] == told.sentence
    assert told.gain.low <= told.gain.value <= told.gain.high
    assert recalibration.FOLDS == 10
