import numpy as np
import pytest

from made_networks import SIZE, films, square_finder
from made_transformers import token_finder
from plainfilm.evidence.explanation import pointing
from plainfilm.evidence.explanation.planting import distance, plant

WHOLE = np.ones((30, 16, 16), bool)


@pytest.fixture(scope="module")
def finder(tmp_path_factory):
    return square_finder(tmp_path_factory.mktemp("finder"))


def measure(finder, images, masks=WHOLE, **how):
    return pointing.measure(finder, images, masks, finder.predict_proba(images), **how)


@pytest.mark.parametrize("side", [64, 256])
def test_an_opacity_is_soft_lies_in_the_lungs_and_is_brightest_at_the_place_that_is_told(side):
    rng = np.random.default_rng(0)
    mask = np.zeros((32, 32), bool)
    mask[8:24, 4:14] = True
    for _ in range(20):
        film, place = plant(np.full((side, side), 60, np.uint8), mask, rng)
        assert mask[place[0] * 32 // side, place[1] * 32 // side]
        assert film[place] == film.max() > 100
        assert film.min() == 60
        assert np.abs(np.diff(film.astype(int), axis=0)).max() <= 0.6 * 195 / (0.045 * side)


def test_without_lungs_nothing_is_planted():
    assert plant(np.zeros((64, 64), np.uint8), np.zeros((8, 8), bool), np.random.default_rng(0)) is None


def test_the_distance_is_that_of_the_peak_in_shares_of_the_side():
    maps = np.zeros((3, 50, 50), np.float32)
    maps[0, 10, 10] = maps[1, 40, 10] = 1
    found = distance(maps, np.array([[10, 10], [10, 10], [10, 10]]))
    np.testing.assert_array_equal(found, [0, 0.6, np.nan])


@pytest.mark.parametrize("made", [square_finder, token_finder])
def test_a_model_of_bright_places_points_at_what_is_planted(made, tmp_path, monkeypatch):
    monkeypatch.setattr("plainfilm.evidence.explanation.planting.BRIGHTER", (0.95, 1.0))
    monkeypatch.setattr("plainfilm.evidence.explanation.planting.RADIUS", (0.1, 0.12))
    found = measure(made(tmp_path), films(30, squares=False)[0])
    assert (found.planted, found.points) == (30, True)
    assert found.reacted >= 20
    assert found.near.value > 0.9
    assert f"{found.reacted} of them moved the answer" in found.sentence


def test_a_model_that_looks_elsewhere_is_said_to_miss_them(finder, monkeypatch):
    monkeypatch.setattr("plainfilm.evidence.explanation.planting.BRIGHTER", (0.95, 1.0))
    monkeypatch.setattr("plainfilm.evidence.explanation.planting.RADIUS", (0.1, 0.12))

    def upside_down(_classifier, images, _label):
        return images[:, ::-1, ::-1].astype(np.float32)

    monkeypatch.setattr(pointing.attribution, "grad_cam", upside_down)
    found = measure(finder, films(30, squares=False)[0])
    assert not found.points
    assert found.near.value < 0.3


def test_a_model_that_does_not_react_is_said_to_tell_nothing(finder):
    found = measure(finder, films(30, squares=False)[0])  # soft ones stay below its three quarters
    assert (found.planted, found.near, found.points) == (30, None, False)
    assert found.sentence.startswith("The model does not react to planted opacities")
    nothing = measure(finder, np.empty((0, SIZE, SIZE), np.uint8), WHOLE[:0])
    assert (nothing.planted, nothing.reacted, nothing.points) == (0, 0, False)


def test_the_same_seed_gives_the_same(finder):
    images = films(30, squares=False)[0]
    assert measure(finder, images, seed=1) == measure(finder, images, seed=1)
