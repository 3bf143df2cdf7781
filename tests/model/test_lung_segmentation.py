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
