import dataclasses

import numpy as np
import pytest
from scipy.special import expit, logit

from plainfilm.evidence.evaluation.by_patient import Films, choose, measure, together, units_of
from plainfilm.evidence.statistics.calibration import choose_threshold
from plainfilm.model.classifier import Decision
from plainfilm.model.combining import combined
from plainfilm.model.recipe_schema import EvaluationSettings
from plainfilm.results.manifest import Combining

DECISION = Decision(classes=("ill", "well"), positive="ill")


class Rows:
    """What is asked of a store: groups and views."""

    def __init__(self, group, view=None):
        self.group = np.asarray(group)
        self.source = np.full(len(self.group), "here")
        self.subgroups = ()
        self.provenance = {} if view is None else {"view": np.asarray(view)}


def drawn(rng, patients, films, apart, own=1.0):
    """Log odds of films whose patients differ by `own`: the class shows in every film alike."""
    ill = rng.random(patients) < 0.4
    group = np.repeat(np.arange(patients), films)
    odds = apart * (ill[group] - 0.5) + own * rng.normal(size=patients)[group] + rng.normal(size=len(group))
    return odds, ill[group], group


def test_the_mean_and_the_worst_of_each_patient():
    odds, codes = np.array([1.0, 3.0, -2.0]), np.array([0, 0, 1])
    assert combined(odds, codes, "mean").tolist() == [2.0, -2.0]
    assert combined(odds, codes, "worst").tolist() == [3.0, -2.0]


def test_lateral_films_have_no_say_where_a_patient_has_others():
    found = Films.of(Rows([5, 5, 7, 7, 9], ["PA", "LATERAL", "lateral", "LL", ""]), np.arange(5))
    assert found.used.tolist() == [True, False, True, True, True]
    assert found.codes.tolist() == [0, 1, 1, 2]
    odd = Films.of(Rows([5, 5, 7, 7], ["AP", "XTABLE LATERAL", "PA", "left lateral decubitus"]), np.arange(4))
    assert odd.used.tolist() == [True, False, True, True]
    assert found.labels(np.array([False, True, False, True, False])).tolist() == [1, 1, 0]  # ill by whichever film
    assert found.labels(np.array([False, False, False, True, True])).tolist() == [0, 1, 1]


def test_the_rule_that_fits_the_patients_is_chosen_and_calibrated():
    rng = np.random.default_rng(3)
    odds, ill, group = drawn(rng, 300, 3, 3.0)
    films = Films.of(Rows(group), np.arange(len(group)))
    how, promise = choose(odds, ill, films, EvaluationSettings())
    assert (how.rule, how.decided, promise) == ("mean", True, None)
    assert how.prevalence == pytest.approx(np.mean(ill[::3]))
    focal = np.where(ill, -1.5, -1.5) + rng.normal(size=len(group)) * 0.5
    focal[ill & (np.arange(len(group)) % 3 == 0)] += 4  # disease shows on one film of three
    assert choose(focal, ill, films, EvaluationSettings())[0].rule == "worst"
    assert choose(focal, ill, films, EvaluationSettings(films="mean"))[0].rule == "mean"
    joined = how.slope * combined(odds, films.codes, "mean") + how.intercept
    assert expit(joined).mean() == pytest.approx(how.prevalence, abs=0.02)


def test_without_patients_of_several_films_nothing_is_fitted():
    odds, ill, group = drawn(np.random.default_rng(1), 80, 1, 3.0)
    how, _ = choose(odds, ill, Films.of(Rows(group), np.arange(len(group))), EvaluationSettings())
    assert (how.rule, how.slope, how.intercept, how.decided) == ("mean", 1.0, 0.0, False)


@pytest.mark.parametrize("view", [None, ["lateral", "PA"] * 30])
def test_patients_of_one_class_leave_the_threshold_to_their_films(view):
    """Each has a film of both classes; lateral ones have no say, but their patient is ill."""
    ill, random = np.tile([True, False], 30), np.random.default_rng(5)
    odds = np.where(ill, 2.0, -2.0) + random.normal(size=60)
    store = Rows(np.repeat(np.arange(30), 2), view)
    how, _ = choose(odds, ill, Films.of(store, np.arange(60)), EvaluationSettings())
    assert (how.rule, how.decided, how.prevalence) == ("mean", False, 1.0)
    assert how.threshold == choose_threshold(ill, expit(odds), rule="youden")


def test_what_is_said_of_the_rule_is_what_was_done():
    odds, ill, group = drawn(np.random.default_rng(3), 300, 3, 3.0)
    store, rows = Rows(group), np.arange(len(group))
    said = []
    for asked in (EvaluationSettings(), EvaluationSettings(calibrate=False)):
        decision = dataclasses.replace(DECISION, combining=choose(odds, ill, Films.of(store, rows), asked)[0])
        units = units_of(store, decision, rows, np.where(ill, 0, 1), np.stack([expit(odds), expit(-odds)], axis=1))
        said.append(measure(decision, {"test": units}, "test", None, seed=0).sentence)
    assert "calibration and threshold of its own" in said[0]
    assert "calibrat" not in said[1]


def test_two_thresholds_are_promised_by_patient():
    odds, ill, group = drawn(np.random.default_rng(2), 900, 2, 12.0)
    asked = EvaluationSettings(sensitivity=0.95, npv=0.99)
    how, promise = choose(odds, ill, Films.of(Rows(group), np.arange(len(group))), asked)
    assert (promise.sensitivity_promised, promise.npv_promised) == (True, True)
    assert how.lower_threshold <= how.threshold


def test_patients_are_measured_one_each():
    odds, ill, group = drawn(np.random.default_rng(4), 120, 2, 4.0)
    store, rows = Rows(group), np.arange(len(group))
    how = Combining(rule="mean", threshold=0.5, prevalence=0.4, decided=True)
    decision = dataclasses.replace(DECISION, combining=how)
    chance = np.stack([expit(odds), expit(-odds)], axis=1)
    units = units_of(store, decision, rows, np.where(ill, 0, 1), chance)
    assert units.labels.tolist() == ill[::2].astype(int).tolist()
    assert units.probability == pytest.approx(expit(odds.reshape(-1, 2).mean(axis=1)))
    assert (units.films, units.several) == (240, 120)
    found = measure(decision, {"test": units}, "test", None, seed=0)
    assert found.splits["test"].n == 120
    called = units.probability >= 0.5
    assert found.splits["test"].sensitivity.value == pytest.approx(called[ill[::2]].mean())
    assert found.splits["test"].specificity.value == pytest.approx((~called)[~ill[::2]].mean())
    assert "Of 120 patients tested 120 have several" in found.sentence
    both = together([units, units])
    assert (len(both.labels), both.films) == (240, 480)
    assert units_of(store, DECISION, rows, np.where(ill, 0, 1), chance) is None


def test_a_site_moves_answers_of_patients_as_those_of_their_films():
    from plainfilm.model import sites
    from plainfilm.results.manifest import Site

    own = dataclasses.replace(DECISION, temperature=1.3, shift=0.2)
    how = Combining(
        rule="mean", slope=1.4, intercept=-0.3, threshold=0.45, lower_threshold=0.1, prevalence=0.4, decided=True
    )
    site = Site.__struct_fields__ and type("There", (), {"temperature": 0.9, "shift": -0.7, "prevalence": 0.2})
    moved = sites._combining(how, own, site, 0.3)
    raw = np.array([-2.0, 0.5, 3.0])
    here, there = raw / 1.3 + 0.2, raw / 0.9 - 0.7
    slope, shift = 1.3 / 0.9, -0.7 - 1.3 / 0.9 * 0.2
    before, after = (each.slope * odds + each.intercept for each, odds in ((how, here), (moved, there)))
    assert after == pytest.approx(slope * before + shift)
    for name in ("threshold", "lower_threshold"):
        assert logit(getattr(moved, name)) == pytest.approx(slope * logit(getattr(how, name)) + shift)
