"""A hand on a film."""

import numpy as np

from made_outliers.sheet import (
    Gray,
    Points,
    Sheet,
    as_film,
    draw_size,
    ellipse,
    lettered,
)
from plainfilm.data.rendering.anatomy import Shape, smooth, tube

SOFT, BONE = 0.20, 0.55  # attenuation per cm at some 60 kVp

_RAYS = (  # base x, base y, degrees from upright, then lengths from the metacarpal to the finger's end
    (-0.135, -0.10, -47, (0.25, 0.17, 0.125)),
    (-0.100, -0.17, -11, (0.345, 0.205, 0.125, 0.095)),
    (-0.030, -0.18, -2, (0.330, 0.230, 0.150, 0.100)),
    (0.040, -0.17, 6, (0.300, 0.215, 0.140, 0.098)),
    (0.100, -0.15, 16, (0.275, 0.170, 0.100, 0.090)),
)
_CARPALS = ((-0.085, -0.035, 0.052, 0.036), (-0.02, -0.03, 0.042, 0.034), (0.045, -0.045, 0.036, 0.034),
            (0.062, -0.072, 0.022, 0.022), (-0.125, -0.085, 0.04, 0.03), (-0.078, -0.105, 0.03, 0.028),
            (-0.02, -0.105, 0.04, 0.052), (0.055, -0.118, 0.042, 0.036))  # fmt: skip


def hand(rng: np.random.Generator) -> Gray:
    """Draw a radiograph of a hand, fingers up, now and then leaning or with the other side to the plate."""
    size = draw_size(rng, (1.1, 1.4))
    scale = size[0] * rng.uniform(0.62, 0.74)
    origin = (size[1] * rng.uniform(0.46, 0.54), size[0] * rng.uniform(0.80, 0.86))
    sheet = Sheet(size, origin, scale, angle=rng.normal(0, 0.12), flip=rng.random() < 0.5)
    flesh, bones = _hand_shapes(rng)
    mask = sheet.fill(flesh)
    path = SOFT * (2.6 * sheet.dome(mask, 0.03) + 0.4 * mask) + BONE * rng.uniform(0.8, 1.1) * sheet.fill(bones)
    picture = as_film(path, rng, gamma=rng.uniform(0.75, 1.0))
    return lettered(picture, "LR"[rng.integers(2)], rng.uniform(0.05, 0.9), rng.uniform(0.03, 0.1), 0.07)


def _hand_shapes(rng: np.random.Generator) -> tuple[list[Shape], list[Shape]]:
    spread = rng.uniform(0.7, 1.4)
    palm: Points = [(-0.16, 0.02), (-0.23, -0.20), (-0.20, -0.36), (-0.13, -0.52), (0.0, -0.54), (0.12, -0.50), (0.20, -0.40), (0.17, -0.15), (0.12, 0.02)]  # fmt: skip
    flesh = [
        (smooth(palm), 1.0),
        (tube(np.array([(-0.01, -0.02), (0.0, 0.25), (0.0, 0.7)]), np.array([0.27, 0.27, 0.34])), 1.0),
    ]
    bones = [
        *_long_bone((-0.065, 0.01), (-0.08, 0.75), 0.11, 0.075),
        *_long_bone((0.075, 0.025), (0.085, 0.75), 0.06, 0.055),
    ]
    for x, y, rx, ry in _CARPALS:
        bones += [(ellipse(x, y, rx, ry, rng.normal(0, 0.3)), 0.75), (ellipse(x, y, 0.8 * rx, 0.8 * ry), 0.6)]
    for x, y, degrees, lengths in _RAYS:
        angle = np.radians(degrees * spread + rng.normal(0, 2))
        at, points = np.array([x, y]), [np.array([x, y])]
        for number, length in enumerate(lengths):
            angle += rng.normal(0, 0.03)
            end = at + np.array([np.sin(angle), -np.cos(angle)]) * length
            bones += _long_bone(at, end, 0.062 - 0.008 * number, 0.055 - 0.008 * number)
            at = end + 0.012 * (end - at) / length
            points.append(at)
        finger = smooth(np.array([*points[1:], at + 0.25 * (at - points[-2])]), closed=False)
        width = np.linspace(0.115, 0.08, len(finger)) * np.append(np.ones(len(finger) - 2), [0.9, 0.4])
        flesh.append((tube(finger, width), 1.0))
        if len(lengths) == 3:
            flesh.append((tube(np.array(points[:2]), 0.17), 1.0))
    return flesh, bones


def _long_bone(start: object, end: object, first: float, last: float) -> list[Shape]:
    """Give a bone with wide ends and a waist: its cortex, then its fainter marrow."""
    along = np.linspace(0, 1, 15)[:, None]
    line = np.asarray(start, float) * (1 - along) + np.asarray(end, float) * along
    waist = 0.62 + 0.38 * np.abs(2 * along[:, 0] - 1) ** 2.5
    width = (first + (last - first) * along[:, 0]) * waist * np.append(np.append(0.75, np.ones(13)), 0.75)
    return [(tube(line, width), 0.95), (tube(line[1:-1], 0.6 * width[1:-1]), 0.7)]
