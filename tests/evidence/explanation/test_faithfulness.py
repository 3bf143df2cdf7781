import json

import numpy as np
import pytest
from msgspec import structs
from scipy.stats import t as student_t

from made_networks import SIZE, films, square_finder
from plainfilm.evidence.explanation import attribution, faithfulness
from plainfilm.evidence.explanation.faithfulness import CENTRE, MAP, ORDERS, RANDOM, mean_difference
from plainfilm.results import documents
from plainfilm.results.estimate import Estimate
from plainfilm.results.metrics import Pointing

POINTS = Pointing(sentence="", planted=30, reacted=30, near=Estimate(0.9, 0.74, 0.97), points=True)


@pytest.fixture(scope="module")
def finder(tmp_path_factory):
    return square_finder(tmp_path_factory.mktemp("finder"))


@pytest.fixture(scope="module")
def planted(finder):
    images, inside = films(20)
    return images, inside, attribution.grad_cam(finder, images)


@pytest.fixture(scope="module")
def measured(finder, planted):
    images, _, maps = planted
    return faithfulness.faithfulness(finder, images, maps, steps=10, pointing=POINTS)


def test_hiding_the_square_that_a_faithful_map_marks_moves_the_answer_before_anything_else_does(measured):
    assert measured.orders[MAP].deletion[1] < measured.orders[RANDOM].deletion[1] - 0.4
    assert measured.orders[MAP].insertion[1] > measured.orders[RANDOM].insertion[1] + 0.4
    assert measured.orders[MAP].deletion_area.high < measured.orders[RANDOM].deletion_area.low
    assert measured.orders[MAP].insertion_area.low > measured.orders[RANDOM].insertion_area.high
    assert measured.better_than[RANDOM].low > 0.3
    assert measured.faithful
    assert measured.sentence.startswith("The picture is faithful: ")


@pytest.mark.parametrize(
    ("pointing", "why"),
    [
        (None, "could not be tried on planted opacities"),
        (structs.replace(POINTS, near=None, points=False), "could not be tried on planted opacities"),
        (structs.replace(POINTS, near=Estimate(0.3, 0.2, 0.5), points=False), "misses planted opacities too often"),
    ],
)
def test_no_map_is_called_faithful_that_does_not_point(finder, planted, pointing, why):
    images, _, maps = planted
    found = faithfulness.faithfulness(finder, images, maps, steps=10, pointing=pointing)
    assert not found.faithful
    assert found.sentence.startswith("The picture is not shown to be faithful: what it marks moves the answer more")
    assert found.sentence.endswith(f"but its peak {why}.")


def test_all_orders_begin_and_end_alike(measured):
    for order in ORDERS:
        assert (
            measured.orders[order].deletion[0]
            == measured.orders[order].insertion[-1]
            == measured.orders[MAP].deletion[0]
        )
        assert (
            measured.orders[order].deletion[-1]
            == measured.orders[order].insertion[0]
            == measured.orders[MAP].deletion[-1]
        )
    np.testing.assert_allclose(measured.replaced, np.linspace(0, 1, 11))


def test_a_map_turned_inside_out_is_not_shown_to_be_better_than_chance(finder, planted):
    images, _, maps = planted
    found = faithfulness.faithfulness(finder, images, 1 - maps, np.ones(20, int), steps=5)
    assert found.better_than[RANDOM].high < 0
    assert found.sentence == "The picture is not shown to be better than chance: what it marks moves the answer less than random spots do."  # fmt: skip


def test_a_random_map_is_not_shown_to_be_better_than_chance(finder, planted):
    images, _, _ = planted
    coarse = np.random.default_rng(7).random((20, 8, 8), np.float32)
    found = faithfulness.faithfulness(finder, images, np.kron(coarse, np.ones((8, 8), np.float32)), steps=5)
    assert not found.faithful
    assert "not shown to be better than chance: what it marks does not surely move" in found.sentence
    assert found.better_than[RANDOM].low < 0 < found.better_than[RANDOM].high


def test_a_map_of_the_middle_is_no_better_than_the_middle(finder, planted):
    images, _, _ = planted
    away = np.hypot(*(np.indices((SIZE, SIZE)) - (SIZE - 1) / 2))
    maps = np.repeat((1 - away / away.max())[None], 20, axis=0).astype(np.float32)
    found = faithfulness.faithfulness(finder, images, maps, steps=5)
    np.testing.assert_allclose(found.orders[MAP].deletion, found.orders[CENTRE].deletion, atol=0.02)
    assert abs(found.better_than[CENTRE].value) < 0.02


def test_squares_in_the_middle_are_said_to_be_found_no_better_than_by_the_middle(finder):
    images = np.random.default_rng(0).integers(10, 60, (12, SIZE, SIZE), dtype=np.uint8)
    images[:, 24:40, 24:40] = 230
    away = np.hypot(*(np.indices((SIZE, SIZE)) - (SIZE - 1) / 2))
    maps = np.repeat((1 - away / away.max())[None], 12, axis=0).astype(np.float32)
    found = faithfulness.faithfulness(finder, images, maps, steps=10, pointing=POINTS)
    assert found.faithful
    assert "though not surely more than the middle of the radiograph" in found.sentence


def test_films_whose_answer_blurring_leaves_as_it_was_are_counted(finder):
    with_square, empty = films(3)[0], films(2, squares=False)[0]
    images = np.concatenate([with_square, empty])
    found = faithfulness.faithfulness(finder, images, attribution.grad_cam(finder, images), steps=2)
    assert (found.images, found.unmoved) == (5, 2)


def test_the_class_asked_for_is_the_one_whose_probability_is_followed(finder, planted):
    images, _, maps = planted
    found = faithfulness.faithfulness(finder, images, maps, np.zeros(20, int), steps=2)
    np.testing.assert_allclose(found.orders[MAP].deletion[0], finder.predict_proba(images)[:, 0].mean())


def test_the_same_seed_gives_the_same_numbers(finder, planted):
    images, _, maps = planted
    one, two, other = (
        documents.encode(faithfulness.faithfulness(finder, images[:4], maps[:4], steps=3, seed=seed))
        for seed in (1, 1, 2)
    )
    assert one == two != other


def test_what_is_written_is_json_without_nan(measured, finder):
    written = json.loads(documents.encode(measured))
    assert written["faithful"] is True
    assert written["orders"]["random"]["deletion"] == pytest.approx(measured.orders[RANDOM].deletion)
    one = faithfulness.faithfulness(finder, films(1)[0], np.zeros((1, SIZE, SIZE), np.float32), steps=2)
    assert "too few or too alike" in one.sentence
    assert not one.faithful
    assert documents.plain(one)["better_than"]["random"]["low"] is None


def test_no_films_show_nothing(finder):
    with np.errstate(all="raise"):
        found = faithfulness.faithfulness(
            finder, np.zeros((0, SIZE, SIZE), np.uint8), np.zeros((0, SIZE, SIZE), np.float32)
        )
    assert found.images == 0
    assert "too few or too alike" in found.sentence


@pytest.mark.parametrize(("shape", "steps"), [((2, SIZE, SIZE - 1), 5), ((2, SIZE, SIZE), 1)])
def test_maps_of_another_shape_and_a_single_step_are_refused(finder, shape, steps):
    with pytest.raises(ValueError, match="Expected images and maps of one shape"):
        faithfulness.faithfulness(finder, films(2)[0], np.zeros(shape, np.float32), steps=steps)


def test_a_mean_difference_of_many_rows_has_students_interval():
    values = np.random.default_rng(0).normal(0.2, 0.3, 200)
    found = mean_difference(values, np.arange(200))
    half = student_t.ppf(0.975, 199) * values.std(ddof=1) / np.sqrt(200)
    assert found.value == pytest.approx(values.mean())
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.03)


def test_rows_of_one_group_do_not_count_twice():
    values = np.random.default_rng(0).normal(0.2, 0.3, 30)
    alone = mean_difference(values, np.arange(30))
    doubled = mean_difference(np.repeat(values, 2), np.repeat(np.arange(30), 2))
    assert (doubled.low, doubled.high) == pytest.approx((alone.low, alone.high))


@pytest.mark.parametrize("values", [[0.3], [0.0, 0.0, 0.0], [0.3, 0.3]])
def test_differences_that_do_not_vary_have_no_limits(values):
    found = mean_difference(np.array(values), np.arange(len(values)))
    assert found.value == pytest.approx(np.mean(values))
    assert np.isnan([found.low, found.high]).all()
