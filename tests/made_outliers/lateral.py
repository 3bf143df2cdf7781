"""The chest from the side."""

import numpy as np
from scipy.ndimage import gaussian_filter

from made_outliers.sheet import (
    Gray,
    Sheet,
    as_film,
    cloud,
    draw_size,
    ellipse,
)
from plainfilm.data.rendering.anatomy import Shape, smooth, tube


def lateral(rng: np.random.Generator) -> Gray:
    """Draw a lateral chest radiograph: spine behind, breastbone before, the heart on the diaphragm, arms raised."""
    size = draw_size(rng, (1.05, 1.25))
    scale = size[1] * rng.uniform(0.36, 0.42)
    origin = (size[1] * rng.uniform(0.46, 0.54), size[0] * rng.uniform(0.15, 0.20))
    sheet = Sheet(size, origin, scale, angle=rng.normal(0, 0.04), flip=rng.random() < 0.35)
    body, lung, heart, domes, gas = _lateral_soft(rng)
    trunk, air = sheet.fill(body), sheet.fill(lung)
    cm = 24 * sheet.dome(trunk, 0.12) + 3 * trunk + 9 * gaussian_filter(sheet.fill(_arms(rng)), 0.03 * scale)
    air *= 1 - 0.62 * gaussian_filter(sheet.fill(heart), 0.03 * scale) - 0.5 * sheet.fill(domes)
    cm -= 15.5 * gaussian_filter(air, 0.012 * scale) * (
        1 + 0.04 * cloud(rng, size, coarse=12, octaves=4)
    ) + 2.2 * sheet.fill(gas)
    cm += 0.9 * gaussian_filter(sheet.fill(_hila(rng)), 0.015 * scale)
    bone = 0.75 * sheet.fill(_lateral_ribs(rng)) + 1.7 * sheet.fill(_vertebrae(rng))
    return as_film(0.13 * cm + 0.30 * bone, rng, gamma=rng.uniform(0.9, 1.3))


def _lateral_soft(rng: np.random.Generator) -> tuple[list[Shape], ...]:
    belly, round_back = rng.uniform(0, 0.25), rng.uniform(-0.05, 0.1)
    body = smooth([(-0.30, -0.7), (-0.34, -0.25), (-0.62, 0.0), (-0.98, 0.55), (-1.12, 1.1), (-1.12, 1.6), (-1.1 - belly, 2.4),
                   (-1.1 - belly, 3.4), (1.05, 3.4), (1.0, 2.4), (1.12, 1.7), (1.22 + round_back, 0.9), (1.05 + round_back, 0.2),
                   (0.62, -0.25), (0.42, -0.7)])  # fmt: skip
    low = rng.uniform(1.62, 1.85)
    lung = smooth([(0.12, 0.02), (-0.28, 0.12), (-0.62, 0.45), (-0.88, 0.95), (-0.95, low - 0.2), (-0.90, low - 0.04), (-0.5, low - 0.2),
                   (-0.05, low - 0.18), (0.4, low + 0.05), (0.78, low + 0.42), (0.88, low + 0.48), (0.98, low), (1.04, 0.9),
                   (0.92, 0.35), (0.62, 0.08), (0.35, 0.0)])  # fmt: skip
    heart = ellipse(-0.42, low - 0.42, rng.uniform(0.40, 0.50), rng.uniform(0.28, 0.36), -0.6)
    arch = tube(
        smooth([(-0.30, 0.75), (-0.15, 0.50), (0.12, 0.42), (0.33, 0.60), (0.42, 1.1), (0.44, low)], closed=False), 0.2
    )
    dome = smooth(
        [
            (-0.95, low + 0.1),
            (-0.6, low - 0.1),
            (-0.1, low - 0.08),
            (0.4, low + 0.16),
            (0.86, low + 0.5),
            (0.0, low + 0.6),
        ]
    )
    windpipe = tube(smooth([(-0.10, -0.7), (-0.06, -0.1), (0.06, 0.62)], closed=False), 0.14)
    bubble = ellipse(-0.35, low + 0.12, 0.3, 0.13)
    return (
        [(body, 1.0)], [(lung, 1.0)], [(arch, 0.45), (heart, 1.0)], [(dome, 1.0)],
        [(windpipe, 0.9), *([(bubble, 0.8)] if rng.random() < 0.6 else [])],
    )  # fmt: skip


def _arms(rng: np.random.Generator) -> list[Shape]:
    raised = rng.uniform(0.0, 0.25)
    upper = tube(smooth([(0.25, 0.12), (-0.25, -0.25), (-0.9, -0.6 - raised)], closed=False), 0.55)
    return [(upper, 0.75), (tube(smooth([(0.3, 0.10), (0.15, -0.35), (-0.1, -0.9)], closed=False), 0.5), 0.6)]


def _hila(rng: np.random.Generator) -> list[Shape]:
    shapes = [(ellipse(0.05, 0.88, 0.17, 0.14), 0.7)]
    for angle in rng.uniform(0, 2 * np.pi, 40):
        steps = np.cumsum(rng.normal((np.cos(angle), np.sin(angle)), 0.35, (6, 2)) * rng.uniform(0.06, 0.15), 0)
        shapes.append((tube(np.array([0.05, 0.9]) + steps, np.linspace(0.045, 0.012, 6)), rng.uniform(0.3, 0.7)))
    return shapes


def _vertebrae(rng: np.random.Generator) -> list[Shape]:
    shapes, y, bend = [], -0.6, rng.uniform(0.18, 0.32)
    while y < 3.2:
        high = 0.15 + 0.035 * y / 2
        x = 0.38 + bend * np.sin(np.clip((y + 0.5) / 2.6, 0, 1) * np.pi)
        box = smooth([(x - 0.13, y), (x + 0.13, y + 0.01), (x + 0.11, y + high / 2), (x + 0.13, y + high), (x - 0.13, y + high), (x - 0.11, y + high / 2)])  # fmt: skip
        process = tube(np.array([(x + 0.16, y + 0.5 * high), (x + 0.42, y + 1.2 * high)]), 0.07)
        middle = box.mean(0)
        shapes += [(process, 0.45), (box, 0.8), (middle + 0.8 * (box - middle), 0.6)]
        y += 1.18 * high
    return shapes


def _lateral_ribs(rng: np.random.Generator) -> list[Shape]:
    shapes = []
    for number in range(10):
        top = 0.12 + 0.19 * number
        for shift in (0.0, rng.uniform(0.05, 0.12)):
            reach = -0.35 - 0.06 * number
            line = smooth([(1.05, top + shift), (0.6, top + 0.22 + shift), (0.0, top + 0.55 + shift), (reach, top + 0.85 + shift)], closed=False)  # fmt: skip
            shapes.append((tube(line, 0.085), 0.4))
    sternum = tube(smooth([(-0.62, 0.15), (-0.93, 0.75), (-1.03, 1.35)], closed=False), 0.08)
    return [*shapes, (sternum, 0.8)]
