from types import SimpleNamespace

import numpy as np
import pytest

from plainfilm.evidence.outliers import fitting


class Encoder:
    """Counts the images that it is shown, and averages their quarters."""

    key, shown = "counting", 0

    def encode(self, images):
        self.shown += len(images)
        halves = images.reshape(len(images), 2, 8, 2, 8).astype(np.float32)
        return halves.mean(axis=(2, 4)).reshape(len(images), 4)

    def rest(self):
        pass


class Films:
    """Made images with the interface of a store, all of them to train on."""

    def __init__(self, count):
        self.pixels = np.random.default_rng(0).integers(0, 256, (count, 16, 16), dtype=np.uint8)
        self.group, self.fingerprint = np.arange(count), f"{count} films"

    def rows(self, _part):
        return np.arange(len(self.pixels))

    def images(self, rows):
        return self.pixels[rows]


@pytest.mark.parametrize(("films", "most"), [(5, 5), (40, 12), (300, 90), (2000, 256)])
def test_a_detector_costs_three_encodings_of_ten_images_and_256_at_most(tmp_path, monkeypatch, films, most):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path))
    store, encoder = Films(films), Encoder()
    features = SimpleNamespace(read=lambda rows: Encoder().encode(store.images(rows)))
    trained = SimpleNamespace(encoder=encoder, features=features, recipe=SimpleNamespace(seed=0))
    made = fitting.usual(store, trained)
    assert encoder.shown == most
    assert len(made.turns) == 4
    fitting.usual(store, trained)
    assert encoder.shown == most, "the second time they come from the cache"
