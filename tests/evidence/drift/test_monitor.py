"""Alarms of drift: rare while nothing drifts, soon once something does, whatever the numbers are and however they tie."""

import datetime as dt
import hashlib

import numpy as np
import pytest
from msgspec import structs
from scipy.special import expit

from plainfilm.errors import BundleError
from plainfilm.evidence.drift import monitor
from plainfilm.evidence.drift.monitor import LIMITS, Bets, Monitor
from plainfilm.evidence.drift.reference import _described
from plainfilm.results.drift import DriftReference

MONDAY = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def scores(rng, n, prevalence, apart=3.0):
    sick = rng.random(n) < prevalence
    return expit(rng.normal(size=n) + apart * sick - 1.5), sick


def highest(about, values, rng):
    bets, most = Bets(about), 0.0
    for value in values:
        bets.note(value, rng.random())
        most = max(most, bets.evidence)
    return most


def test_evidence_is_a_fair_game_whatever_the_values_are():
    """Over many references and streams its mean stays at 1 at most, ties and a binary number among them."""
    rng = np.random.default_rng(0)
    for draw in (
        lambda n: rng.normal(size=n),
        lambda n: rng.integers(0, 3, n).astype(float),
        lambda n: (rng.random(n) < 0.02).astype(float),
    ):
        ends = []
        for _ in range(300):
            bets = Bets(_described("x", "image", draw(60), rng))
            for value in draw(60):
                bets.note(value, rng.random())
            ends.append(bets.evidence)
        assert np.mean(np.minimum(ends, 20)) < 1.15
        assert np.mean(np.array(ends) >= 20) <= 0.05 + 0.02


def test_no_more_than_a_twentieth_of_the_weeks_reach_twenty():
    rng = np.random.default_rng(1)
    most = [highest(_described("s", "scores", *_reference(rng)), scores(rng, 150, 0.2)[0], rng) for _ in range(150)]
    assert np.mean(np.array(most) >= 20) <= 0.05


def _reference(rng, n=400, prevalence=0.2):
    values, sick = scores(rng, n, prevalence)
    return values, rng, sick


def test_twice_the_prevalence_is_found_within_200_radiographs():
    rng = np.random.default_rng(2)
    found = [
        highest(_described("s", "scores", *_reference(rng, 1000)), scores(rng, 200, 0.4)[0], rng) for _ in range(20)
    ]
    assert np.mean(np.array(found) >= LIMITS["scores"]) >= 0.8


def test_a_drift_in_the_middle_of_a_week_is_found_too():
    rng = np.random.default_rng(3)
    about = _described("sharpness", "image", rng.normal(size=500), rng)
    values = np.concatenate([rng.normal(size=300), rng.normal(1.5, 1, 200)])
    assert highest(about, values[:300], rng) < LIMITS["image"]
    assert highest(about, values, rng) >= LIMITS["image"]


def reference(rng, n=300):
    values, sick = scores(rng, n, 0.2)
    return DriftReference(
        statistics=(
            _described("COVID", "scores", values, rng, sick),
            _described("refused", "refusals", (rng.random(n) < 0.01).astype(float), rng),
            _described("sharpness", "image", rng.normal(size=n), rng),
        )
    )


def noted(watching, rng, n, start, *, blurred=0.0):
    for number in range(n):
        score = float(scores(rng, 1, 0.2)[0][0])
        image = hashlib.sha256(str((start, number)).encode()).hexdigest()
        watching.note(
            (start + dt.timedelta(minutes=number)).isoformat(), image, (score, 0.0, float(rng.normal()) - blurred)
        )


def test_each_week_begins_anew_and_an_alarm_names_what_drifted():
    rng = np.random.default_rng(4)
    watching = Monitor(reference(rng))
    noted(watching, rng, 100, MONDAY)
    noted(watching, rng, 150, MONDAY + dt.timedelta(days=8), blurred=2.0)
    noted(watching, rng, 50, MONDAY + dt.timedelta(days=14))
    first, second, third = watching.weeks()
    assert [week.week for week in (first, second, third)] == ["2026-01-05", "2026-01-12", "2026-01-19"]
    assert (first.alarms, second.alarms, third.alarms) == ([], ["image"], [])
    alarm = second.families["image"]
    assert alarm.most == "sharpness"
    assert alarm.images < 150
    assert alarm.since.startswith("2026-01-13")
    assert watching.latest() == (second, third)


def test_a_clock_that_was_years_ahead_keeps_no_week_open():
    watching = Monitor(reference(np.random.default_rng(4)))
    days = ("2026-01-12", "2026-01-11", "2099-12-31", "2026-01-13", "0001-01-01")
    for number, day in enumerate(days):
        watching.note(f"{day}T12:00:00+00:00", 64 * str(number), (0.5, 0.0, 9.0))
    assert [(week.week, week.images) for week in watching.weeks()] == [
        ("2026-01-12", 2), ("2099-12-28", 1), ("2026-01-12", 1), ("0001-01-01", 1),
    ]  # fmt: skip


def test_the_same_image_again_is_passed_over():
    rng = np.random.default_rng(5)
    watching = Monitor(reference(rng))
    for _ in range(200):
        watching.note(MONDAY.isoformat(), "ab" * 32, (0.99, 1.0, 9.0))
    (week,) = watching.weeks()
    assert week.images == 1
    assert not week.alarms


def test_who_reads_the_log_later_comes_to_the_same_evidence():
    about = reference(np.random.default_rng(6))
    told = []
    for _ in range(2):
        watching = Monitor(about)
        noted(watching, np.random.default_rng(7), 60, MONDAY)
        told.append(watching.weeks())
    assert told[0] == told[1]


@pytest.mark.parametrize("change", [{"gaps": (3, 3)}, {"edges": (2.0, 1.0, *[3.0] * 11)}, {"positives": (1,)}])
def test_a_damaged_reference_is_refused(change):
    rng = np.random.default_rng(8)
    about = reference(rng)
    broken = structs.replace(about, statistics=(structs.replace(about.statistics[0], **change),))
    with pytest.raises(BundleError, match="whose reference is whole"):
        Monitor(broken)


def test_all_families_together_alarm_in_a_hundredth_of_the_weeks_at_most():
    assert sum(1 / limit for limit in LIMITS.values()) == pytest.approx(monitor.FALSE_ALARMS)
