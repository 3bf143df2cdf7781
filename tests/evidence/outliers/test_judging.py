import numpy as np
import pytest

from plainfilm.evidence.outliers.detector import UNLIKE_TRAINING, UNUSUAL_IN_TRAINING, fit
from plainfilm.evidence.outliers.judging import FARTHEST, LATERAL, judge
from plainfilm.model.view import Views

WIDTH = 24


@pytest.fixture(scope="module")
def detector():
    return fit(np.random.default_rng(0).normal(0, 1, (400, WIDTH)))


def at(detector, share):
    """A row whose score is about `share` of the limit of refusal."""
    row = np.ones((1, WIDTH)) * np.random.default_rng(1).choice([-1, 1], WIDTH)
    wanted = share * detector.refuse_above
    low, high = 0.0, 1e3
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if detector.score(middle * row)[0] < wanted else (low, middle)
    return high * row


def views(lateral=False, frontal=False, n=1):
    return Views(np.full(n, lateral), np.full(n, frontal))


@pytest.mark.parametrize(
    ("share", "seen", "level", "reason"),
    [
        (0.2, views(frontal=True), "ok", ""),
        (0.2, views(), "ok", ""),
        (0.2, views(lateral=True), "flagged", LATERAL),
        (1.1, views(), "refused", UNLIKE_TRAINING),
        (1.1, views(lateral=True), "refused", UNLIKE_TRAINING),
        (1.1, views(frontal=True), "flagged", UNUSUAL_IN_TRAINING),
        (FARTHEST * 1.01, views(frontal=True), "refused", UNLIKE_TRAINING),
    ],
)
def test_the_view_flags_laterals_and_softens_what_is_refused_of_frontal_films(detector, share, seen, level, reason):
    judged = judge(detector, at(detector, share), views=seen)
    assert (judged.level[0], judged.reason[0]) == (level, reason)


def test_a_frontal_view_does_not_excuse_an_empty_frame(detector):
    judged = judge(detector, at(detector, 0.2), views=views(frontal=True), pixels=np.full((1, 8, 8), 7, np.uint8))
    assert judged.level[0] == "refused"


def test_without_a_detector_laterals_are_flagged_and_nothing_else():
    seen = Views(np.array([True, False, False]), np.array([False, True, False]))
    judged = judge(None, np.zeros((3, WIDTH)), views=seen)
    assert judged.level.tolist() == ["flagged", "ok", "ok"]
    assert judged.reason.tolist() == [LATERAL, "", ""]
