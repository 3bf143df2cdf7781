"""What a bundle carries for its answers to be watched by."""

from types import SimpleNamespace

import numpy as np
import pytest

from plainfilm.evidence.drift.image_statistics import NAMES
from plainfilm.evidence.drift.monitor import Bets
from plainfilm.evidence.drift.reference import MOST, reference


def made(n=120, classes=("COVID", "NORMAL"), positive="COVID", **changed):
    rng = np.random.default_rng(0)
    store = SimpleNamespace(
        labels=rng.integers(0, len(classes), 2 * n),
        images=lambda rows: rng.integers(0, 255, (len(rows), 32, 32), dtype=np.uint8),
    )
    chance = rng.dirichlet(np.ones(len(classes)), n)
    asked = {"probabilities": chance, "refused": rng.random(n) < 0.02, **changed}
    return reference(store, SimpleNamespace(classes=classes, positive=positive), rows=np.arange(n), **asked)


def test_it_holds_gaps_between_values_in_bins_of_three_or_more():
    about = made()
    assert [each.name for each in about.statistics] == ["COVID", "refused", *NAMES]
    for each in about.statistics:
        assert sum(each.gaps) == 121
        assert min(each.gaps) >= 3
        assert list(each.edges) == sorted(each.edges)
        Bets(each)
    assert 0 < sum(about.statistics[0].positives) < 120


def test_more_than_two_classes_are_watched_each():
    about = made(classes=("A", "B", "C"), positive=None)
    assert [each.name for each in about.statistics][:3] == ["A", "B", "C"]
    assert about.statistics[0].positives == ()


def test_what_a_cross_validation_has_seen_tells_of_no_scores():
    about = made(probabilities=None, refused=None)
    assert {each.family for each in about.statistics} == {"image"}


@pytest.mark.parametrize(("n", "values"), [(39, None), (MOST + 500, MOST)])
def test_few_radiographs_tell_nothing_and_many_are_sampled(n, values):
    about = made(n)
    assert (about is None) == (values is None)
    if about:
        assert sum(about.statistics[0].gaps) == values + 1


def test_saturated_scores_lie_apart_by_chance_alone():
    rng = np.random.default_rng(1)
    chance = np.full((200, 2), [1 - 1e-9, 1e-9])
    (about, *_) = made(200, probabilities=chance).statistics
    bets = Bets(about)
    for _ in range(300):
        bets.note(1.0, rng.random())
    assert bets.evidence < 20
