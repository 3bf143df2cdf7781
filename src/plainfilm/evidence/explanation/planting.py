"""Soft opacities at known places in the lungs: what a picture of where a model looks can be tried on."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

RADIUS = (0.06, 0.09)  # standard deviation along an axis, of the side
BRIGHTER = (0.85, 1.0)  # of the way to white, at the centre
_EDGE = 0.05  # of the side, which the centre keeps from the edge of the lungs where it can

Place = tuple[int, int]


def plant(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Place] | None:
    """Plant a soft opacity in the lung fields `mask` bool (m, m) of a gray film uint8 (s, s).

    It is a Gaussian of two radii, turned; the film's own texture shows through it.

    Returns
    -------
    tuple or None
        The film and the centre (down, across) in pixels; None where there are no lungs.
    """
    side = len(image)
    field = Image.fromarray(mask).convert("L").resize((side, side), Image.Resampling.NEAREST)
    inner = np.asarray(field.filter(ImageFilter.MinFilter(2 * round(_EDGE * side) + 1)))
    places = np.argwhere(inner if inner.any() else np.asarray(field))
    if not len(places):
        return None
    down, across = (int(each) for each in places[rng.integers(len(places))])
    return _shaded(image, (down, across), rng), (down, across)


def distance(maps: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far the peak of each map float32 (n, s, s) lies from a place (n, 2), of the side; NaN where the map is empty."""
    side = maps.shape[1]
    peaks = np.stack(np.divmod(maps.reshape(len(maps), side * side).argmax(axis=1), side), axis=1)
    away = np.linalg.norm(peaks - places, axis=1) / side
    return np.where(maps.any(axis=(1, 2)), away, np.nan)


def _shaded(image: NDArray[np.uint8], centre: Place, rng: np.random.Generator) -> NDArray[np.uint8]:
    side, turn = len(image), rng.uniform(0, np.pi)
    down, across = np.arange(side)[:, None] - centre[0], np.arange(side) - centre[1]
    along = (np.cos(turn) * across + np.sin(turn) * down) / (rng.uniform(*RADIUS) * side)
    beside = (np.cos(turn) * down - np.sin(turn) * across) / (rng.uniform(*RADIUS) * side)
    cover = rng.uniform(*BRIGHTER) * np.exp(-(along**2 + beside**2) / 2)
    return np.asarray(np.rint(image + (255.0 - image) * cover), np.uint8)
