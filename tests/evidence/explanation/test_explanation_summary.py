import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from made_networks import SIZE, films, square_finder
from plainfilm.evidence.explanation import attribution, summary
from plainfilm.model.lung_segmentation import LungFields
from plainfilm.model.onnx import gradients
from plainfilm.results import documents


@dataclass
class Films:
    """What `look` needs of a store."""

    pixels: Any
    labels: Any
    group: Any
    classes: tuple[str, ...] = ("empty", "square")

    @property
    def file(self):
        return np.array([f"secret-{row}.png" for row in range(len(self.pixels))])

    def images(self, rows):
        return self.pixels[rows]

    def pictures(self, rows):
        return self.pixels[rows]


@pytest.fixture(scope="module")
def finder(tmp_path_factory):
    return square_finder(tmp_path_factory.mktemp("finder"))


@pytest.fixture
def lungs(monkeypatch):
    """Lungs in the left half of every film but those that are named."""
    without: list[int] = []

    class Finder:
        def find(self, images):
            masks = np.zeros((len(images), 16, 16), bool)
            masks[:, :, :8] = True
            masks[without] = False
            return LungFields(masks, masks.any(axis=(1, 2)))

    monkeypatch.setattr(summary, "LungFinder", Finder)
    return without


def store(n=60, *, group=None, wrong=()):
    """Half of the films with squares; the labels of those in `wrong` say the other."""
    with_square, empty = films(n // 2)[0], films(n - n // 2, seed=1, squares=False)[0]
    pixels, labels = np.concatenate([with_square, empty]), np.repeat([1, 0], [n // 2, n - n // 2])
    labels[list(wrong)] = 1 - labels[list(wrong)]
    mixed = np.random.default_rng(2).permutation(n)
    return Films(pixels[mixed], labels[mixed], np.arange(n) if group is None else group)


def look(made, finder, rows=None):
    rows = np.arange(len(made.pixels)) if rows is None else rows
    return summary.look(made, finder, rows, finder.predict_proba(made.pixels[rows]))


def test_as_many_of_each_class_are_drawn_and_the_wrong_answers_stand_beside_them(finder, lungs):
    made = store(wrong=[3, 50])
    found = look(made, finder)
    drawn = [film for film in found.films if film.drawn]
    assert [film.truth for film in drawn] == ["empty"] * 6 + ["square"] * 6
    assert found.result.images == found.result.faithfulness.images == 12
    beside = [film for film in found.films if not film.drawn]
    assert all(film.truth != film.answer for film in beside)
    assert {film.file for film in found.films if film.truth != film.answer} == {
        str(made.file[row]) for row in np.flatnonzero(made.labels != (made.pixels.max(axis=(1, 2)) > 150))
    }
    assert len({film.file for film in found.films}) == len(found.films)


def test_never_more_than_sixteen_films_are_looked_at_and_the_surest_wrong_ones(finder, lungs):
    made = store(80, wrong=range(20, 60))
    found = look(made, finder)
    sureness = [film.probability for film in found.films if not film.drawn]
    assert len(found.films) == 16
    assert sureness == sorted(sureness, reverse=True)


def test_one_film_of_a_patient_is_drawn(finder, lungs):
    found = look(store(group=np.arange(60) // 10), finder)
    assert found.result.images == 6


def test_a_film_is_shown_with_its_answer_and_what_speaks_for_it(finder, lungs):
    made = store()
    found = look(made, finder, np.arange(60)[::-1])
    for film in found.films:
        row = int(film.file.split("-")[1].split(".")[0])
        np.testing.assert_array_equal(film.pixels, made.pixels[row])
        assert film.overlay.shape == (SIZE, SIZE, 3)
        assert film.answer == finder.predict(made.pixels[row : row + 1])[0]
        assert film.probability == pytest.approx(finder.predict_proba(made.pixels[row : row + 1]).max())
        assert film.truth == made.classes[made.labels[row]]
        assert film.lungs_take == 0.5


def test_the_share_in_the_lungs_is_told_beside_chance(finder, lungs):
    made = store()
    left = np.tile(np.arange(SIZE) < SIZE // 2, (SIZE, 1))
    bright = made.pixels > 150
    kept = np.flatnonzero(~(bright & ~left).any(axis=(1, 2)))  # films without a square, or with one in the left half
    found = look(made, finder, kept).result
    square, inside = found.by_class["square"], found.attribution_in_lungs
    assert (square.attribution_in_lungs > 0.8, square.lungs_take) == (True, 0.5)
    assert found.lungs_take.value == 0.5
    assert inside.low < inside.value < inside.high
    assert found.difference.value == pytest.approx(inside.value - 0.5)
    assert found.sentence.endswith("more than chance would give: they take 50 % of the radiographs.")
    assert "about as much as chance would give" in look(made, finder).result.sentence


def test_films_without_lungs_are_left_out_of_the_share_and_counted(finder, lungs):
    lungs += [0, 1, 2]
    found = look(store(), finder)
    assert [np.isnan(film.in_lungs) for film in found.films][:4] == [True, True, True, False]
    assert found.result.without_lungs == 3
    assert found.result.attribution_in_lungs.is_known


def test_films_with_empty_maps_are_no_films_without_lungs(finder, lungs, monkeypatch):
    asked = attribution.grad_cam
    monkeypatch.setattr(
        attribution, "grad_cam", lambda *given: asked(*given) * (np.arange(len(given[1])) > 1)[:, None, None]
    )
    lungs += [1, 2, 3]
    found = look(store(), finder).result
    assert (found.empty_maps, found.without_lungs) == (2, 3)
    monkeypatch.setattr(attribution, "grad_cam", lambda *given: 0 * asked(*given))
    assert look(store(), finder).result.sentence.startswith(
        "Nothing speaks for the answers where lung fields were found, so"
    )


def test_where_no_lungs_are_found_nothing_is_said_of_them(finder):
    found = look(store(), finder).result  # the real finder, and these are no chests
    assert "No lung fields were found" in found.sentence
    written = documents.plain(found)
    assert written["attribution_in_lungs"]["value"] is None
    assert written["by_class"]["square"] == {"attribution_in_lungs": None, "lungs_take": None}


def test_what_is_written_names_no_file_since_it_goes_into_the_bundle(finder, lungs):
    written = documents.encode(look(store(wrong=[1]), finder).result)
    assert b"secret" not in written
    assert json.loads(written)["images"] == 12


def test_a_network_without_maps_is_not_looked_at(tmp_path, monkeypatch):
    def refuse(_model):
        raise gradients.Unsloped

    monkeypatch.setattr(gradients, "add_outputs", refuse)
    assert look(store(6), square_finder(tmp_path)) is None


def test_an_empty_test_part_is_not_looked_at(finder):
    assert look(store(6), finder, np.arange(0)) is None


def test_a_single_film_is_enough_for_a_picture(finder, lungs):
    found = look(store(6), finder, np.array([2]))
    assert len(found.films) == 1
    assert "too few or too alike" in found.result.faithfulness.sentence
    json.dumps(documents.plain(found.result), allow_nan=False)
