"""What an answer means at another prevalence, and whether acting on it does good."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import norm

from plainfilm.evidence.evaluation.clinical_utility import PEOPLE, PREVALENCES, THRESHOLDS, measure, where_better
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.results import documents
from plainfilm.results.metrics import Utility


def sample(n=200, *, seed=0, gap=2.0, prevalence=0.4, rows_a_group=1):
    random = np.random.default_rng(seed)
    group = np.arange(n) // rows_a_group
    ill = (random.random(n) < prevalence)[group]
    noise = np.sqrt(0.5) * (random.normal(size=n)[group] + random.normal(size=n))
    chance = expit(gap * (noise + gap * ill) - gap**2 / 2 + logit(prevalence))
    return ill.astype(int), chance, group


def utility(labels, chance, *, threshold=0.5, group=None):
    return measure(labels, chance, positive="COVID", threshold=threshold, group=group)


def whole(hits, ill, cleared, well):
    """Answers with that many hits among the ill and cleared among the well."""
    labels = np.repeat([1, 0], [ill, well])
    return labels, np.concatenate([np.arange(ill) < hits, np.arange(well) >= cleared]).astype(float)


def ends(points):
    """Values and limits of a line, three arrays float (m)."""
    return np.array([(point.value, point.low, point.high) for point in points]).T


def decision_curve(*args, **kwargs):
    return utility(*args, **kwargs).result.decision_curve


def at(found, prevalence):
    return next(example for example in found.examples if example.prevalence == prevalence)


@given(st.integers(1, 50), st.integers(0, 49), st.integers(0, 3))
def test_predictive_values_follow_bayes(hits, cleared, seed):
    found = utility(*whole(hits, 50, cleared, 50))
    p, se, sp = PREVALENCES, hits / 50, cleared / 50
    assert ends(found.result.ppv)[0] == pytest.approx(p * se / (p * se + (1 - p) * (1 - sp)))
    npv = (1 - p) * sp / ((1 - p) * sp + p * (1 - se)) if sp or se < 1 else np.full(len(p), np.nan)
    assert ends(found.result.npv)[0] == pytest.approx(npv, nan_ok=True)


def test_at_the_prevalence_of_the_test_part_they_are_the_metrics_of_the_report():
    labels, chance = whole(45, 50, 40, 50)
    ours = at(utility(labels, chance), 0.5)
    report = evaluate(labels, np.stack([1 - chance, chance], 1), classes=["NORMAL", "COVID"], positive="COVID", threshold=0.5)  # fmt: skip
    assert ours.ppv.value == pytest.approx(report.ppv.value)
    assert ours.npv.value == pytest.approx(report.npv.value)


def test_intervals_agree_with_the_logit_method_where_that_one_holds():
    # Mercaldo, Lau & Zhou, Statistics in Medicine 2007, eq. 3: variance of logit PPV from sensitivity and specificity
    found = at(utility(*whole(420, 500, 440, 500)), 0.05)
    se, sp = 420 / 500, 440 / 500
    half = 1.96 * np.sqrt((1 - se) / se / 500 + sp / (1 - sp) / 500)
    assert logit([found.ppv.low, found.ppv.high]) == pytest.approx(logit(found.ppv.value) + np.array([-half, half]), abs=0.03)  # fmt: skip
    half = 1.96 * np.sqrt(se / (1 - se) / 500 + (1 - sp) / sp / 500)
    assert logit([found.npv.low, found.npv.high]) == pytest.approx(logit(found.npv.value) + np.array([-half, half]), abs=0.03)  # fmt: skip


def test_without_a_mistake_the_interval_is_still_wide():
    found = at(utility(*whole(50, 50, 50, 50)), 0.001)
    assert found.ppv.value == found.ppv.high == 1
    assert 0.005 < found.ppv.low < 0.05, "fifty well people cannot show a false alarm in a thousand"
    assert found.npv.value == found.npv.high == 1
    assert found.npv.low > 0.99


def test_more_images_of_the_same_patients_do_not_narrow_the_interval():
    labels, chance, _ = sample(150)
    once = at(utility(labels, chance), 0.01)
    again = at(utility(np.tile(labels, 4), np.tile(chance, 4), group=np.tile(np.arange(150), 4)), 0.01)
    assert (again.ppv.low, again.ppv.high) == pytest.approx((once.ppv.low, once.ppv.high), rel=0.02)


def test_what_happens_to_people_adds_up():
    for example in utility(*whole(45, 50, 40, 50)).examples:
        assert example.found + example.missed == pytest.approx(PEOPLE * example.prevalence)
        assert example.found / (example.found + example.false_alarms) == pytest.approx(example.ppv.value)


@pytest.mark.parametrize(("gap", "rows_a_group"), [(3.2, 1), (2.0, 2)])
def test_intervals_hold_the_truth_as_often_as_they_say(gap, rows_a_group, monkeypatch):
    prevalence, trials = 0.4, 300
    cuts = np.array([0.1, 0.5, 0.9])
    monkeypatch.setattr("plainfilm.evidence.evaluation.clinical_utility.THRESHOLDS", cuts)
    z = (logit(cuts) - logit(prevalence) + gap**2 / 2) / gap
    se, alarms = 1 - norm.cdf(z - gap), 1 - norm.cdf(z)
    benefit = prevalence * se - (1 - prevalence) * alarms * cuts / (1 - cuts)
    ppv = 0.01 * se[1] / (0.01 * se[1] + 0.99 * alarms[1])
    held = np.zeros(4)
    for seed in range(trials):
        found = utility(*sample(160, seed=seed, gap=gap, rows_a_group=rows_a_group)[:2],
                        group=np.arange(160) // rows_a_group)  # fmt: skip
        _, low, high = ends(found.result.decision_curve.model)
        held += [at(found, 0.01).ppv.low <= ppv <= at(found, 0.01).ppv.high, *((low <= benefit) & (benefit <= high))]
    assert (held / trials >= 0.9).all(), held / trials
    assert (held[:2] / trials <= 0.995).all(), "not so wide that it says nothing"


# Decision curve


@settings(max_examples=25)
@given(st.integers(0, 2**16))
def test_net_benefit_is_that_of_vickers_and_elkin(seed):
    labels, chance, group = sample(80, seed=seed)
    chance = chance.round(2)  # some stand on a threshold: they are called
    if labels.min() == labels.max():
        return
    curve = decision_curve(labels, chance, group=group)
    for place in range(0, 99, 7):
        cut = THRESHOLDS[place]
        called = chance >= cut
        net = (called & (labels == 1)).sum() / 80 - (called & (labels == 0)).sum() / 80 * cut / (1 - cut)
        assert curve.model[place].value == pytest.approx(net)
        assert curve.treat_all[place].value == pytest.approx(labels.mean() - (1 - labels.mean()) * cut / (1 - cut))
    for point in (*curve.model, *curve.treat_all):
        assert point.low - 1e-12 <= point.value <= point.high + 1e-12


def test_a_perfect_model_gains_the_prevalence_everywhere_and_beats_both():
    curve = decision_curve(*whole(150, 150, 150, 150))
    assert ends(curve.model)[0] == pytest.approx(np.full(99, 0.5))
    ((first, last),) = curve.better
    assert first < 0.1
    assert last > 0.9
    assert "does better than treating everyone and treating no one at thresholds from" in where_better(curve)


def test_a_coin_is_of_no_use():
    random = np.random.default_rng(3)
    curve = decision_curve(random.integers(0, 2, 300), random.random(300))
    assert curve.better == ()
    assert where_better(curve).startswith("At no threshold")


def test_a_model_that_calls_everyone_is_treating_all():
    labels, _, _ = sample(60)
    curve = decision_curve(labels, np.ones(60))
    assert ends(curve.model)[0] == pytest.approx(ends(curve.treat_all)[0])
    assert curve.better == ()


def test_a_threshold_without_false_alarms_does_not_look_certain():
    """A false alarm at threshold 0.9 costs nine hits: where none of forty well was called, that is still possible."""
    point = decision_curve(*whole(40, 40, 40, 40)).model[89]
    assert point.low < point.value - 0.3


# Bad input and extremes


def test_a_class_that_is_missing_leaves_half_unknown():
    for labels in (np.zeros(5, int), np.ones(5, int)):
        found = utility(labels, np.linspace(0, 1, 5)).result
        assert found.decision_curve is None
        assert not any(point.is_known for point in (*found.ppv, *found.npv))
        assert documents.plain(found)["ppv"][0] == {"value": None, "low": None, "high": None}


def test_nobody_called_has_no_ppv():
    found = utility(*whole(0, 20, 20, 20)).result
    assert not any(point.is_known for point in found.ppv)
    assert all(point.is_known for point in found.npv)


@settings(max_examples=40)
@given(st.integers(0, 12), st.integers(0, 2**16), st.integers(1, 3))
def test_any_few_rows_give_honest_numbers_and_valid_json(n, seed, rows_a_group):
    random = np.random.default_rng(seed)
    found = utility(random.integers(0, 2, n), random.choice([0.0, 0.3, 1.0], n), group=np.arange(n) // rows_a_group)
    again = msgspec.json.decode(documents.encode(found.result), type=Utility)
    assert again.prevalence == pytest.approx(PREVALENCES.tolist())
    for point in (*again.ppv, *again.npv):
        assert not point.is_known or 0 <= point.low <= point.value + 1e-12 <= point.high + 2e-12 <= 1 + 2e-12


@pytest.mark.parametrize(
    ("labels", "chance", "threshold", "words"),
    [
        ([0, 1, 2], [0.1, 0.2, 0.3], 0.5, "labels 0 and 1"),
        ([0, 1], [0.1, 0.2, 0.3], 0.5, "one probability each"),
        ([0, 1], [0.1, float("nan")], 0.5, "from 0 to 1"),
        ([0, 1], [0.1, 0.2], float("nan"), "finite threshold"),
    ],
)
def test_what_does_not_fit_is_refused(labels, chance, threshold, words):
    with pytest.raises(ValueError, match=words):
        utility(labels, chance, threshold=threshold)


def test_metrics_json_holds_both_lines_and_the_decision_curve():
    made = documents.plain(utility(*sample()[:2]).result)
    assert set(made) == {"prevalence", "ppv", "npv", "decision_curve"}
    assert len(made["ppv"]) == len(made["npv"]) == len(made["prevalence"])
    assert made["prevalence"][0] == pytest.approx(0.001)
    assert made["prevalence"][-1] == pytest.approx(0.5)
    assert set(made["decision_curve"]) == {"prevalence", "threshold", "model", "treat_all", "treat_none", "better"}
