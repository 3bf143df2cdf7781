"""Numbers that another device changes: gamma, blur, noise and collimation move theirs, and a copy does not."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from plainfilm.evidence.drift.image_statistics import NAMES, image_statistics


@pytest.fixture
def film():
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=(128, 128)), 12)
    return np.clip(128 + 900 * smooth + 6 * rng.normal(size=smooth.shape), 10, 240).astype(np.uint8)


def told(film):
    return dict(zip(NAMES, image_statistics(film), strict=True))


@pytest.mark.parametrize(
    ("change", "name", "sign"),
    [
        (lambda film: (255 * (film / 255) ** 1.6).astype(np.uint8), "brightness", -1),
        (lambda film: (film // 2 + 64).astype(np.uint8), "contrast", -1),
        (lambda film: gaussian_filter(film, 1.0), "sharpness", -1),
        (lambda film: np.where(np.arange(128) < 30, 0, film).astype(np.uint8), "black", 1),
        (lambda film: np.where(np.arange(128) < 30, 255, film).astype(np.uint8), "white", 1),
    ],
)
def test_what_is_changed_shows(film, change, name, sign):
    assert np.sign(told(change(film))[name] - told(film)[name]) == sign


def test_their_meaning(film):
    own = told(film)
    assert own["brightness"] == pytest.approx(film.mean(), abs=0.5)
    assert own["contrast"] == pytest.approx(film.std(), rel=0.02)
    assert abs(own["middle tone"] - (np.median(film) - film.mean())) <= 2
    assert np.isfinite(image_statistics(np.zeros((64, 64), np.uint8))).all()
