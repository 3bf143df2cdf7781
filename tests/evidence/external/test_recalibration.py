import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

from plainfilm.evidence.external import recalibration
from plainfilm.evidence.external.recalibrated_bundle import FittedTo
from plainfilm.evidence.external.recalibration import Fit, fit_to_labels, fit_to_prevalence, measure, too_low, why_not
from plainfilm.evidence.statistics.calibration_line import shift_to
from plainfilm.results import documents
from plainfilm.results.estimate import UNDEFINED, Estimate


def drawn(n=400, *, shift=0.0, seed=0, spread=1.5):
    """Log odds that are too high by `shift`, and labels that follow the true ones."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-0.5, spread, n)
    labels = (rng.random(n) < expit(odds)).astype(np.int64)
    return odds + shift, labels


@pytest.mark.parametrize(("shift", "seed"), [(0.0, 0), (3.0, 1), (-25.0, 2), (600.0, 3)])
def test_the_number_added_is_the_one_that_makes_the_labels_most_likely(shift, seed):
    odds, labels = drawn(shift=shift, seed=seed)
    fitted = shift_to(odds, labels.mean())
    assert expit(odds + fitted).mean() == pytest.approx(labels.mean(), abs=1e-9)

    def loss(a):
        return -np.where(labels == 1, log_expit(odds + a), log_expit(-odds - a)).sum()

    best = minimize_scalar(loss, bounds=(-shift - 3, -shift + 3), method="bounded", options={"xatol": 1e-9}).x
    assert fitted == pytest.approx(best, abs=1e-4)


def test_nothing_is_fitted_to_one_class():
    with pytest.raises(ValueError, match="above 0 and below 1"):
        shift_to([0.3, -2.0], 1.0)


def test_the_number_planted_is_found_and_shown_to_help():
    odds, labels = drawn(1500, shift=2.0)
    found = measure(odds, labels, positive="COVID", threshold=0.5, group=np.arange(1500))
    assert found.fit.slope == pytest.approx(1.0, abs=0.15)
    assert found.shift == pytest.approx(-2.0, abs=0.3)
    assert found.fit.fitted_shift.low < -2.0 < found.fit.fitted_shift.high
    assert found.helps
    assert found.before.brier.value > found.after.brier.value
    assert found.before.excess.low > 0.1
    assert found.after.excess.low < 0 < found.after.excess.high
    assert found.threshold == pytest.approx(expit(found.shift))  # of 0.5, whose log odds are 0
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
    fitted = np.square(expit(found.fit.of(odds)) - labels).mean()
    assert found.after.brier.value > fitted


def test_rows_of_one_patient_are_in_one_fold_and_widen_the_interval():
    odds, labels = drawn(300, shift=2.0, seed=5)
    alone = measure(odds, labels, positive="COVID", threshold=0.5, group=np.arange(300))
    copied = [np.repeat(each, 4) for each in (odds, labels)]
    many = measure(*copied, positive="COVID", threshold=0.5, group=np.repeat(np.arange(300), 4))
    assert many.shift == pytest.approx(alone.shift, abs=0.05)
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
    st.floats(0.05, 8),
    st.lists(st.floats(-12, 12), min_size=1, max_size=30),
)
def test_moving_probabilities_and_threshold_together_changes_no_answer(threshold, shift, slope, odds):
    odds, fit = np.array(odds), Fit(shift=shift, slope=slope, fitted_shift=UNDEFINED)
    clear = np.abs(odds - np.log(threshold / (1 - threshold))) > 1e-6  # on the threshold itself rounding may decide
    called = expit(odds) >= threshold
    level = fit.moved(threshold)
    clear &= np.abs(fit.of(odds)) < 30  # beyond, probabilities of two log odds may be one number
    moved = expit(fit.of(odds)) >= level
    np.testing.assert_array_equal(called[clear], moved[clear])


@pytest.mark.parametrize("threshold", [0.0, 1.0, float(np.nextafter(1.0, 2.0))])
def test_a_threshold_that_calls_all_or_none_stays(threshold):
    assert Fit(shift=-3.0, slope=0.5, fitted_shift=UNDEFINED).moved(threshold) == threshold


def test_what_is_written_holds_numbers_and_a_sentence():
    odds, labels = drawn(100, shift=1.0)
    told = measure(odds, labels, positive="COVID", threshold=0.4, group=np.arange(100))
    written = documents.plain(told.result)
    assert list(written) == ["offered", "shift", "slope", "fitted_shift", "fitted_slope", "threshold", "helps", "sentence", "before", "after", "brier_gain"]  # fmt: skip
    assert set(written["before"]) == set(written["after"]) == {"brier", "ece", "excess"}
    assert written["sentence"] == told.sentence
    assert told.gain.low <= told.gain.value <= told.gain.high
    assert recalibration.FOLDS == 10


# Few labels


def log_loss(odds, labels):
    return -log_expit(np.where(labels == 1, odds, -odds)).mean()


def harm(truth, drawn_odds, fit, *, n=50, draws=30):
    """Log loss with what was fitted to `n` rows less the one as it came, on rows that were not fitted to: float (draws)."""
    odds, labels = truth
    rng, found = np.random.default_rng(7), []
    for _ in range(draws):
        order = rng.permutation(len(odds))
        few, rest = order[:n], order[n:]
        made = fit(drawn_odds[few], labels[few])
        found.append(log_loss(made.of(drawn_odds[rest]), labels[rest]) - log_loss(drawn_odds[rest], labels[rest]))
    return np.array(found)


def by_labels(odds, labels):
    return fit_to_labels(odds, labels, np.arange(len(odds)))


def test_fifty_labels_do_no_harm_where_probabilities_fit_already():
    truth = drawn(4000, seed=20)
    assert harm(truth, truth[0], by_labels).mean() < 0.01


def test_fifty_labels_mend_what_is_too_high_and_what_is_too_sure():
    odds, labels = drawn(4000, seed=21)
    for wrong, least in ((odds + 2, 0.25), (3 * odds, 0.1), (3 * odds + 2, 0.2)):
        gains = -harm((odds, labels), wrong, by_labels)
        assert gains.mean() > least
        assert np.quantile(gains, 0.05) > 0


def test_a_model_that_tells_nothing_becomes_nearly_a_constant():
    rng = np.random.default_rng(22)
    odds, labels = rng.normal(0, 4, 4000), (rng.random(4000) < 0.3).astype(np.int64)
    fit = by_labels(odds, labels)
    assert fit.slope < 0.05
    assert log_loss(fit.of(odds), labels) == pytest.approx(log_loss(np.full(4000, np.log(3 / 7)), labels), abs=0.005)


def test_a_ranking_the_wrong_way_round_is_never_turned_round():
    odds, labels = drawn(400, seed=23)
    assert 0 < by_labels(-odds, labels).slope < 0.1


def test_copies_of_a_patient_are_not_taken_for_more_evidence():
    odds, labels = drawn(50, shift=0.6, seed=24)
    alone = by_labels(odds, labels)
    many = fit_to_labels(*(np.repeat(each, 20) for each in (odds, labels)), np.repeat(np.arange(50), 20))
    apart = by_labels(*(np.repeat(each, 20) for each in (odds, labels)))
    assert abs(alone.shift - many.shift) < abs(alone.shift - apart.shift)


@pytest.mark.parametrize("odds", [np.full(60, 700.0), np.full(60, -700.0), np.tile([-700.0, 700.0], 30), np.zeros(60)])
def test_probabilities_that_are_all_0_or_1_give_finite_numbers(odds):
    labels = (np.arange(60) % 3 == 0).astype(np.int64)
    for fit in (by_labels(odds, labels), fit_to_prevalence(odds, 0.09, np.arange(60))):
        assert np.isfinite([fit.shift, fit.slope, fit.moved(0.4)]).all()
        assert fit.slope > 0
        assert "log odds" in fit.sentence


def test_what_few_labels_do_not_move_keeps_the_prevalence_that_it_holds_at():
    """Of 24 films 10 are sick where 12 were expected: nothing is moved, so a prevalence that is stated later starts from these 12."""
    odds, labels = np.repeat([0.5, -0.5], 12), np.repeat([1, 0, 1, 0], [7, 5, 3, 9])
    found = measure(odds, labels, positive="COVID", threshold=0.5, group=np.arange(24))
    assert (found.fit.slope, found.shift) == (1.0, 0.0)
    kept = FittedTo.labelled(found, radiographs=24)
    assert (kept.prevalence, kept.share) == pytest.approx((0.5, 10 / 24))
    many = measure(np.repeat(odds, 50), np.repeat(labels, 50), positive="COVID", threshold=0.5, group=np.arange(1200))
    assert FittedTo.labelled(many, radiographs=1200).prevalence == pytest.approx(10 / 24, abs=0.01)
    stated = measure(odds, labels, positive="COVID", threshold=0.5, group=np.arange(24), prevalence=0.3)
    assert FittedTo.labelled(stated, radiographs=24).prevalence == 0.3


# A known prevalence, without labels


def test_the_mean_becomes_the_prevalence_that_is_known():
    odds, _ = drawn(3000, shift=3.0, seed=30)
    fit = fit_to_prevalence(odds, 0.09, np.arange(3000))
    assert expit(fit.of(odds)).mean() == pytest.approx(0.09, abs=0.002)
    assert (fit.slope, fit.prevalence) == (1.0, 0.09)


def test_without_labels_the_same_is_found_as_with_them_where_the_prevalence_is_true():
    odds, labels = drawn(4000, shift=2.0, seed=31)
    known = shift_to(odds, labels.mean())
    fit = fit_to_prevalence(odds[:500], float(labels.mean()), np.arange(500))
    assert fit.fitted_shift.low < known < fit.fitted_shift.high
    assert fit.shift == pytest.approx(-2.0, abs=0.3)


def test_its_interval_holds_the_number_of_all_radiographs():
    odds, labels = drawn(5000, shift=1.5, seed=32, spread=2.0)
    known, rng, held = shift_to(odds, float(labels.mean())), np.random.default_rng(0), 0
    for _ in range(200):
        few = rng.choice(odds, 50, replace=False)
        found = fit_to_prevalence(few, float(labels.mean()), np.arange(50)).fitted_shift
        held += found.low <= known <= found.high
    assert held >= 180  # of 200, at 95 %: fewer once in a thousand


def test_fifty_unlabelled_radiographs_do_no_harm_where_the_prevalence_is_known():
    odds, labels = drawn(4000, seed=33)
    share = float(labels.mean())
    assert harm((odds, labels), odds, lambda few, _: fit_to_prevalence(few, share, np.arange(50))).mean() < 0.01
    assert harm((odds, labels), odds + 2, lambda few, _: fit_to_prevalence(few, share, np.arange(50))).max() < -0.2


def test_labels_tell_what_a_known_prevalence_does_and_are_not_fitted_to():
    odds, labels = drawn(1500, shift=2.0, seed=34)
    given = {"positive": "COVID", "threshold": 0.5, "group": np.arange(1500), "prevalence": float(labels.mean())}
    found, turned = measure(odds, labels, **given), measure(odds, np.roll(labels, 1), **given)
    assert found.shift == turned.shift
    assert found.helps
    assert found.warning == ""
    assert "as was stated" in found.sentence
    assert documents.plain(found.result)["method"] == "prevalence"


def test_a_prevalence_that_these_radiographs_cannot_have_is_said():
    odds, labels = drawn(400, seed=35)
    found = measure(odds, labels, positive="COVID", threshold=0.5, group=np.arange(400), prevalence=0.01)
    assert "not the 1 % stated" in found.warning
    assert found.result.warning == found.warning


# Where no calibration helps


@pytest.mark.parametrize(
    ("auroc", "said"),
    [
        (Estimate(0.8, 0.7, 0.9), ""),
        (Estimate(0.56, 0.52, 0.6), "too low for any calibration"),
        (Estimate(0.75, 0.48, 0.9), "not shown that the model tells the classes apart"),
        (UNDEFINED, ""),
    ],
)
def test_a_ranking_that_is_too_low_is_said(auroc, said):
    assert said in too_low(auroc)
    assert bool(too_low(auroc)) == bool(said)
