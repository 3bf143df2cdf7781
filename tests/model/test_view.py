import numpy as np
import pytest
from PIL import Image

import made_outliers
from plainfilm.data import phantom
from plainfilm.model.onnx_session import open_network, shrunk
from plainfilm.model.view import NETWORK, SIDE, ViewFinder, find_views


@pytest.fixture(scope="module")
def finder():
    return ViewFinder()


def square(pixels):
    return np.asarray(Image.fromarray(pixels).resize((256, 256), Image.Resampling.BILINEAR))


def gray(path):
    with Image.open(path) as image:
        return square(np.asarray(image.convert("L")))


@pytest.fixture(scope="module")
def phantoms():
    return np.stack([square(phantom.render(visit).pixels) for visit in phantom.plan(20, seed=5, duplicates=0)])


@pytest.fixture(scope="module")
def drawn():
    return np.stack([square(made_outliers.draw("lateral", seed)) for seed in range(20)])


def test_unpacking_the_weights_once_changes_no_score(finder, phantoms, drawn):
    small = np.stack([shrunk(image, SIDE) for image in (*phantoms, *drawn)])
    kept = open_network(NETWORK).run(["scores"], {"images": small})[0]
    np.testing.assert_allclose(finder._network.session.run(["scores"], {"images": small})[0], kept, atol=1e-4)


def test_tells_frontal_from_lateral_mirrored_or_not(finder, phantoms, drawn):
    for images, is_lateral in (
        (phantoms, False),
        (phantoms[:, :, ::-1], False),
        (drawn, True),
        (drawn[:, :, ::-1], True),
    ):
        views = finder.find(images)
        assert (views.lateral == is_lateral).all()
        assert (views.frontal != is_lateral).all()


def test_real_laterals_are_told(finder, shared):
    """The network has seen them; docs/results.md has what it tells of those it has not."""
    views = finder.find(np.stack([gray(path) for path in sorted((shared / "data" / "laterals").glob("*.jpg"))]))
    assert views.lateral.all()


@pytest.mark.parametrize("folder", ["mixed", "darkcovidnet"])
def test_real_frontal_films_are_seldom_called_lateral(finder, shared, folder):
    views = finder.find(np.stack([gray(path) for path in sorted((shared / "data" / folder).rglob("*.jpg"))[::11]]))
    assert views.lateral.mean() <= 0.01
    assert views.frontal.mean() >= 0.95


@pytest.mark.parametrize("kind", [kind for kind in made_outliers.KINDS if kind != "black_frame"])
def test_other_pictures_are_not_frontal(finder, kind):
    assert not finder.find(np.stack([square(made_outliers.draw(kind, seed)) for seed in range(10)])).frontal.any()


@pytest.mark.parametrize("count", [0, 1, 130])
def test_rows_of_a_store_are_told_in_their_order(finder, phantoms, drawn, count):
    class Films:
        def images(self, rows):
            return np.concatenate([phantoms, drawn])[np.asarray(rows, int)]

    rows = np.random.default_rng(0).integers(0, 40, count)
    views = find_views(Films(), rows)
    np.testing.assert_array_equal(views.lateral, rows >= 20)
    np.testing.assert_array_equal(views.frontal, rows < 20)


def test_the_network_is_small():
    assert NETWORK.stat().st_size < 300_000
