import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainfilm.model.augmentation import Altered, alter
from plainfilm.model.recipe_schema import AugmentationSettings

NOTHING = AugmentationSettings(rotation=0, shift=0, zoom=0, contrast=0, gamma=0, noise=0, blur=0, cutout=0, flip=False)
BOUNDS = {
    "rotation": 20,
    "shift": 0.2,
    "zoom": 0.3,
    "contrast": 0.5,
    "gamma": 0.5,
    "noise": 10,
    "blur": 3,
    "cutout": 0.4,
}
SIDE = 48


class Films:
    """A store of a few images, as far as `Altered` needs it."""

    fingerprint = "films"

    def __init__(self, images):
        self._images = images

    def __len__(self):
        return len(self._images)

    def images(self, rows):
        return self._images[rows]


def films(count=4):
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 216, (count, 6, 6)).astype(np.uint8)
    return np.kron(coarse, np.ones((1, SIDE // 6, SIDE // 6), np.uint8))


def views_of(images, view, how, seed=0):
    rows = np.arange(len(images))
    return alter(images, rows, np.full(len(images), view), how, seed=seed)


@given(
    st.builds(
        AugmentationSettings,
        rotation=st.floats(0, 45), shift=st.floats(0, 0.5), zoom=st.floats(0, 0.5), contrast=st.floats(0, 0.9),
        gamma=st.floats(0, 0.9), noise=st.floats(0, 64), blur=st.floats(0, 8), cutout=st.floats(0, 0.9), flip=st.booleans(),
    ),
    st.integers(0, 2**31 - 1),
    st.integers(1, 1000),
)  # fmt: skip
@settings(max_examples=40)
def test_whatever_the_bounds_a_view_is_an_image_of_the_same_shape_and_repeats(how, seed, view):
    images = films(2)
    first = views_of(images, view, how, seed)
    assert first.shape == images.shape
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, views_of(images, view, how, seed))


def test_view_0_is_the_image_itself():
    images = films()
    np.testing.assert_array_equal(views_of(images, 0, AugmentationSettings()), images)


def test_bounds_of_nothing_change_nothing():
    images = films()
    np.testing.assert_array_equal(views_of(images, 3, NOTHING), images)


@pytest.mark.parametrize("name", BOUNDS)
def test_each_bound_alters_the_image_by_itself(name):
    how = dataclasses.replace(NOTHING, **{name: BOUNDS[name]})
    images = films()
    assert (views_of(images, 1, how) != images).any(axis=(1, 2)).all()


def test_a_view_does_not_depend_on_what_stands_beside_it():
    images, how = films(), AugmentationSettings()
    together = alter(images, np.array([7, 3, 9, 1]), np.array([2, 1, 5, 2]), how, seed=4)
    alone = alter(images[1:2], np.array([3]), np.array([1]), how, seed=4)
    np.testing.assert_array_equal(together[1:2], alone)


def test_rows_views_and_seeds_each_give_another_picture():
    image, how = films(1), AugmentationSettings()
    seen = {
        alter(image, np.array([row]), np.array([view]), how, seed=seed).tobytes()
        for row in (0, 1)
        for view in (1, 2)
        for seed in (0, 1)
    }
    assert len(seen) == 8


def corner_bright():
    image = np.full((1, SIDE, SIDE), 60, np.uint8)
    image[:, : SIDE // 3, : SIDE // 3] = 220
    return image


def corners(views):
    """Mean gray of the corners of each view: top left, top right, bottom left, bottom right."""
    third = SIDE // 3
    parts = [views[:, :third, :third], views[:, :third, -third:], views[:, -third:, :third], views[:, -third:, -third:]]
    return np.stack([part.mean(axis=(1, 2)) for part in parts], axis=1)


@pytest.mark.parametrize("flip", [False, True])
def test_left_stays_left_unless_asked_and_up_stays_up(flip):
    how = AugmentationSettings(flip=flip)
    views = np.concatenate([views_of(corner_bright(), view, how) for view in range(1, 61)])
    brightest = corners(views).argmax(axis=1)
    if not flip:
        assert (brightest == 0).all()
        return
    assert set(brightest.tolist()) == {0, 1}
    assert 15 <= (brightest == 1).sum() <= 45


def test_a_rotation_turns_around_the_middle():
    image = np.zeros((1, SIDE, SIDE), np.uint8)
    image[:, SIDE // 2 - 2 : SIDE // 2 + 2, SIDE // 2 - 2 : SIDE // 2 + 2] = 255
    turned = views_of(image, 1, dataclasses.replace(NOTHING, rotation=45))
    at = np.argwhere(turned[0] > 128)
    np.testing.assert_allclose(at.mean(axis=0), [(SIDE - 1) / 2] * 2, atol=0.5)


def test_a_shift_stays_within_its_share_of_the_side():
    image = np.zeros((1, SIDE, SIDE), np.uint8)
    image[:, SIDE // 2, SIDE // 2] = 255
    views = np.concatenate([views_of(image, view, dataclasses.replace(NOTHING, shift=0.25)) for view in range(1, 40)])
    places = np.array([np.unravel_index(view.argmax(), view.shape) for view in views]) - SIDE // 2
    assert 8 <= np.abs(places).max() <= SIDE * 0.25 + 1


def test_a_view_of_a_store_is_what_alter_gives_whatever_the_batch():
    images, how = films(7), AugmentationSettings()
    whole = views_of(images, 2, how, seed=3)
    for size in (1, 3, 7, 100):
        parts = list(Altered(Films(images), how, seed=3, view=2).batches(size))
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_the_fingerprint_changes_with_what_the_pixels_depend_on_and_not_with_the_number_of_views():
    store, how = Films(films()), AugmentationSettings(views=3)
    prints = {
        Altered(store, how, seed=0, view=1).fingerprint,
        Altered(store, how, seed=1, view=1).fingerprint,
        Altered(store, how, seed=0, view=2).fingerprint,
        Altered(store, dataclasses.replace(how, blur=2.0), seed=0, view=1).fingerprint,
    }
    assert len(prints) == 4
    assert Altered(store, dataclasses.replace(how, views=9), seed=0, view=1).fingerprint in prints
