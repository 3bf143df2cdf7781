"""A slice of computed tomography."""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

from made_outliers.sheet import (
    Field,
    Gray,
    Sheet,
    cloud,
    ellipse,
)
from plainfilm.data.rendering.anatomy import Curve, Shape, smooth, tube


def ct_slice(rng: np.random.Generator) -> Gray:
    """Draw an axial slice through the chest, in a lung or a soft-tissue window, on the scanner's table."""
    side = int(rng.integers(300, 380))
    size = (side, side)
    scale = side * rng.uniform(0.38, 0.44)
    sheet = Sheet(
        size, (side * rng.uniform(0.47, 0.53), side * rng.uniform(0.44, 0.50)), scale, angle=rng.normal(0, 0.03)
    )
    deep = rng.uniform(0.62, 0.75)  # front to back over left to right
    hounsfield = _slice(rng, sheet, deep)
    lung_window = rng.random() < 0.55
    low, high = (-1350, 150) if lung_window else (-150, 250)
    noise = gaussian_filter(rng.standard_normal(size), 0.6) * (60 if lung_window else 22)
    picture = np.asarray(255 * np.clip((hounsfield + noise - low) / (high - low), 0, 1), np.uint8)
    if rng.random() < 0.5:
        away = np.abs(np.arange(side) - (side - 1) / 2)
        picture = np.where(np.hypot.outer(away, away) < side / 2, picture, 0).astype(np.uint8)
    return picture


def _slice(rng: np.random.Generator, sheet: Sheet, deep: float) -> Field:
    """Hounsfield units of air, table, fat, muscle, lungs with vessels, heart and bones."""
    field = np.full(sheet.size, -1000.0)
    fat = rng.uniform(0.05, 0.14)

    def put(shapes: list[Shape], units: float) -> None:
        cover = sheet.fill(shapes)
        field[:] = field * (1 - cover) + units * cover

    put([(tube(smooth([(-1.0, deep + 0.02), (0, deep + 0.16), (1.0, deep + 0.02)], closed=False), 0.05), 1.0)], -200)
    put([(_rounded(1.12, deep + fat * 0.7), 1.0)], -100)
    put([(_rounded(1.12 - fat, deep), 1.0)], 45)
    wall = deep - 0.10
    lungs = [_slice_lung(rng, side, wall) for side in (-1, 1)]
    put([(lung, 1.0) for lung in lungs], -860)
    field[:] += sheet.fill([(lung, 1.0) for lung in lungs]) * 25 * cloud(rng, sheet.size, coarse=10, octaves=5)
    put(_slice_vessels(rng, wall), 30)
    put(
        [
            (
                ellipse(
                    rng.uniform(0.08, 0.2),
                    -0.20 * deep,
                    rng.uniform(0.34, 0.46),
                    rng.uniform(0.30, 0.38) * deep * 1.4,
                    0.5,
                ),
                1.0,
            )
        ],
        110,
    )
    put([(ellipse(-0.2, 0.16 * deep, 0.10, 0.10), 1.0), (ellipse(0.22, 0.48 * deep, 0.10, 0.10), 1.0)], 170)
    put([(ellipse(-0.02, 0.22 * deep, 0.055, 0.05), 1.0)], -990)
    _slice_bones(rng, put, deep)
    return field


def _rounded(half: float, deep: float) -> Curve:
    """Outline of the body: flatter behind than an ellipse."""
    t = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    x, y = np.cos(t), np.sin(t)
    return np.stack([half * np.sign(x) * np.abs(x) ** 0.8, deep * np.sign(y) * np.abs(y) ** 0.85], -1)


def _slice_lung(rng: np.random.Generator, side: int, wall: float) -> Curve:
    inner = 0.16 if side < 0 else 0.30
    outline = smooth([(inner - 0.06, -0.86 * wall), (0.45, -0.95 * wall), (0.78, -0.62 * wall), (0.90, 0.0), (0.82, 0.55 * wall),
                      (0.55, 0.92 * wall), (0.30, 0.88 * wall), (0.18, 0.55 * wall), (inner + 0.08, 0.2 * wall),
                      (inner + 0.14, -0.3 * wall)])  # fmt: skip
    return (outline + rng.normal(0, 0.008, outline.shape)) * (side, 1.0)


def _slice_vessels(rng: np.random.Generator, wall: float) -> list[Shape]:
    shapes = []
    for _ in range(int(rng.integers(60, 110))):
        side = rng.choice([-1, 1])
        away = rng.uniform(0.1, 0.95)
        angle = rng.uniform(-1.3, 1.3)
        x, y = 0.26 + 0.58 * away * np.cos(angle), 0.8 * wall * away * np.sin(angle)
        thick = 0.035 * (1.1 - away) * rng.uniform(0.4, 1.2) + 0.006
        end = np.array([x, y]) + rng.uniform(0.02, 0.12) * np.array([np.cos(angle), np.sin(angle)])
        shapes.append((tube(np.array([(x, y), tuple(end)]) * (side, 1.0), thick), 0.9))
    return shapes


def _slice_bones(rng: np.random.Generator, put: Callable[[list[Shape], float], None], deep: float) -> None:
    back = 0.62 * deep
    arms = [(tube(np.array([(0.0, back + 0.1), (s * 0.22, back + 0.2)]), 0.08), 1.0) for s in (-1, 1)]
    put(
        [
            *arms,
            (tube(np.array([(0.0, back + 0.2), (0.0, back + 0.42)]), 0.06), 1.0),
            (ellipse(0, back, 0.15, 0.13), 1.0),
        ],
        420,
    )
    put([(ellipse(0, back, 0.12, 0.10), 1.0)], 220)
    put([(ellipse(0, back + 0.2, 0.06, 0.055), 1.0)], 30)
    put([(tube(np.array([(-0.12, -deep + 0.08), (0.12, -deep + 0.08)]), 0.07), 1.0)], 320)
    ring = _rounded(0.96, deep - 0.06)
    for start in range(int(rng.integers(0, 5)), 80, 9):
        arc = ring[start : start + int(rng.integers(4, 7))]
        if len(arc) > 2 and np.abs(arc[:, 0]).min() > 0.25:
            put([(tube(arc, 0.065), 1.0)], 520)
            put([(tube(arc, 0.03), 1.0)], 250)
