import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from scipy import ndimage

from plainfilm.data import phantom
from plainfilm.model import lung_segmentation
from plainfilm.model.lung_segmentation import SIDE, LungFinder
from plainfilm.model.onnx_session import shrunk


@pytest.fixture(scope="module")
def finder():
    return LungFinder()


@pytest.fixture(scope="module")
def phantoms():
    return [phantom.render(visit) for visit in phantom.plan(12, seed=5, duplicates=0)]


def _square(pixels):
    return np.asarray(Image.fromarray(pixels).resize((256, 256), Image.Resampling.BILINEAR))


def _overlap(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def test_finds_the_lungs_of_phantoms(finder, phantoms):
    fields = finder.find(np.stack([_square(film.pixels) for film in phantoms]))
    assert fields.masks.shape == (12, SIDE, SIDE)
    assert fields.found.all()
    truth = [shrunk(film.lungs.astype(np.uint8) * 255, SIDE) >= 128 for film in phantoms]
    assert np.mean([_overlap(*pair) for pair in zip(fields.masks, truth, strict=True)]) > 0.9


def test_finds_the_lungs_that_people_drew(finder, shared):
    overlaps = []
    for path in sorted((shared / "data" / "lungs" / "images").glob("*.jpg"))[::20]:
        with Image.open(path) as image, Image.open(path.parents[1] / "masks" / f"{path.stem}.png") as mask:
            pixels, truth = np.asarray(image.convert("L")), np.asarray(mask.convert("L"))
        overlaps.append(_overlap(finder.find(pixels[None]).masks[0], shrunk(truth, SIDE) >= 128))
    assert np.mean(overlaps) > 0.9


def test_says_no_lungs_found_where_there_are_none(finder):
    noise = np.random.default_rng(0).integers(0, 256, (256, 256)).astype(np.uint8)
    slope = np.broadcast_to(np.arange(256, dtype=np.uint8), (256, 256))
    pictures = np.stack([np.zeros((256, 256), np.uint8), np.full((256, 256), 255, np.uint8), noise, slope])
    fields = finder.find(pictures)
    assert not fields.found.any()
    assert not fields.masks.any()


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_on_its_side_or_upside_down_a_film_has_the_fields_that_it_has_upright(finder, phantoms, turns):
    films = np.stack([_square(film.pixels) for film in phantoms])
    upright, turned = finder.find(films), finder.find(np.rot90(films, turns, axes=(1, 2)))
    assert turned.found.all()
    pairs = zip(np.rot90(turned.masks, -turns, axes=(1, 2)), upright.masks, strict=True)
    assert np.mean([_overlap(*pair) for pair in pairs]) > 0.97


class _Reader:
    """Draws what is bright of a picture whose dark corner is at the top left; of another only the upper half, less surely."""

    def __init__(self):
        self.seen = []

    def run(self, images, *, side):
        assert side == SIDE
        self.seen.append(len(images))
        logits = np.where(images == 200, 5.0, -5.0)
        lies_otherwise = images[:, 0, 0] != 0
        logits[lies_otherwise] *= 0.4
        logits[lies_otherwise, SIDE // 2 :] = -2.0
        return [logits.astype(np.float32)]


def test_a_film_that_is_plausible_at_once_is_looked_at_once_and_a_doubtful_one_four_times(monkeypatch):
    finder = LungFinder()
    monkeypatch.setattr(finder, "_network", _Reader())
    picture = np.full((SIDE, SIDE), 100, np.uint8)
    picture[20:100, 20:50] = picture[30:90, 70:100] = 200
    picture[0, 0] = 0
    lying = [np.rot90(picture, turns) for turns in range(4)]
    fields = finder.find(np.stack([*lying, np.full((SIDE, SIDE), 100, np.uint8)]))
    assert finder._network.seen == [5, 3, 3, 3]  # the one upright, and the one without lungs, are not turned
    assert fields.found.tolist() == [True] * 4 + [False]
    for mask, film in zip(fields.masks, lying, strict=False):
        np.testing.assert_array_equal(mask, film == 200)


def test_gives_nothing_for_no_image(finder):
    fields = finder.find(np.empty((0, 64, 64), np.uint8))
    assert fields.masks.shape == (0, SIDE, SIDE)
    assert fields.found.shape == (0,)


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)))
def test_pieces_are_those_that_scipy_finds(field):
    pieces, (expected, count) = lung_segmentation._pieces(field), ndimage.label(field)
    assert len(set(zip(pieces.ravel(), expected.ravel(), strict=True))) == len(np.unique(expected))
    assert len(np.unique(pieces[field])) == count


def test_islands_are_left_out():
    field = np.zeros((20, 40), bool)
    field[2:18, 2:10] = field[2:18, 20:28] = True
    field[5, 35] = True
    kept = lung_segmentation._largest(field)
    assert kept.sum() == 2 * 16 * 8
    assert not kept[5, 35]
    assert not lung_segmentation._largest(np.zeros((4, 4), bool)).any()
