"""The body of a made patient: a few drawn numbers, and the curves of lungs, heart, vessels and bones from them.

Body coordinates: x to the right of the radiograph (the patient's left), y downwards from the lung apices, the spine at x = 0;
the unit is half the inner width of the thorax (`unit_cm`).
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Curve: TypeAlias = NDArray[np.float64]  # (points, 2), body coordinates
Numbers: TypeAlias = NDArray[np.float64]
Shape: TypeAlias = tuple[Curve, float]  # a filled outline and its strength in [0, 1]

CHILD_YEARS = 14
GENERATIONS = 4  # of vessels that fork


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What stays the same from radiograph to radiograph of one patient. Lengths in units of half the thorax, unless named `_cm`."""

    unit_cm: float  # half the inner width of the thorax
    depth_cm: float  # from breastbone to back, soft tissue included
    fat: float  # wall outside the ribs
    breast_cm: float  # 0: none seen
    lung_height: float  # apex to right dome at full breath
    dome_drop: float  # the left dome lies lower by this
    angle_depth: float  # from dome to costophrenic angle
    apex: float  # how far from the spine
    heart_width: float  # cardiothoracic ratio at full breath
    heart_tilt: float  # -1 upright to 1 lying
    knob: float  # aortic arch, how far from the spine
    hila: float  # size of hilar vessels, 1 usual
    rib_drop: float  # from the spine to the front end
    rib_width: float
    bone: float  # mineral, 1 usual
    shoulders: float  # height of the clavicles' outer ends
    curve: float  # scoliosis
    gas: float  # size of the gastric bubble, 0: none
    seed: int  # of the vascular tree


def make_anatomy(rng: np.random.Generator, *, sex: str, age: int) -> Anatomy:
    """Draw a body for a sex ("F", "M") and an age in years."""
    child = age < CHILD_YEARS
    growth = min(1.0, 0.52 + 0.48 * age / 18)
    woman = sex == "F" and age >= CHILD_YEARS
    weight = float(np.clip(rng.normal(0.4, 0.25), 0, 1))
    return Anatomy(
        unit_cm=growth * rng.normal(12.9 if woman else 14.0, 0.6),
        depth_cm=growth * (17.5 + 6.5 * weight),
        fat=0.07 + 0.14 * weight,
        breast_cm=float(rng.uniform(0.8, 3.6)) if woman else 0.0,
        lung_height=rng.normal(1.38, 0.06)
        if child
        else float(np.clip(rng.normal(1.66, 0.11) - 0.08 * weight, 1.4, 1.95)),
        dome_drop=rng.uniform(0.02, 0.12),
        angle_depth=rng.uniform(0.22, 0.38),
        apex=rng.uniform(0.40, 0.50),
        heart_width=float(np.clip(rng.normal(0.51 if child else 0.46, 0.03), 0.40, 0.55)),
        heart_tilt=float(np.clip(rng.normal(0.1 + 0.4 * weight, 0.35), -1, 1)),
        knob=(0.18 if child else 0.22) + 0.10 * min(age, 80) / 80 + rng.uniform(-0.02, 0.03),
        hila=rng.lognormal(0, 0.18),
        rib_drop=rng.uniform(0.60, 0.80) if child else rng.uniform(0.82, 1.15),
        rib_width=rng.uniform(0.062, 0.080),
        bone=(0.75 if child else 1.0) * rng.uniform(0.8, 1.15) * (0.85 if age > 70 else 1.0),
        shoulders=rng.uniform(-0.16, 0.06),
        curve=rng.normal(0, 0.018),
        gas=float(rng.uniform(0.5, 1.2)) if rng.random() < 0.55 else 0.0,
        seed=int(rng.integers(2**31)),
    )


def smooth(points: NDArray[np.float64] | list[tuple[float, float]], *, closed: bool = True, steps: int = 6) -> Curve:
    """Catmull-Rom curve through the points; a point given twice makes a corner."""
    p = np.asarray(points, float)
    ends = (p[-1:], p[:2]) if closed else (2 * p[:1] - p[1:2], 2 * p[-1:] - p[-2:-1])
    p = np.concatenate([ends[0], p, ends[1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    curve = curve.transpose(1, 0, 2).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-2:-1]])


def tube(line: Curve, width: float | Numbers) -> Curve:
    """Outline of a band of this width along (…, points, 2)."""
    along = np.empty_like(line)
    along[..., 1:-1, :] = line[..., 2:, :] - line[..., :-2, :]
    along[..., 0, :] = line[..., 1, :] - line[..., 0, :]
    along[..., -1, :] = line[..., -1, :] - line[..., -2, :]
    across = along[..., ::-1] * (-0.5, 0.5)
    across *= np.expand_dims(width / np.sqrt((along**2).sum(-1) + 1e-12), -1)
    return np.concatenate([line + across, (line - across)[..., ::-1, :]], -2)


def _ellipse(x: float, y: float, rx: float, ry: float) -> Curve:
    t = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    return np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], -1)


def _spine_x(body: Anatomy, y: Numbers | float) -> Numbers:
    """Where the middle of the spine lies at the height y."""
    return np.asarray(body.curve * np.sin(2.2 * np.asarray(y)))


def trunk(body: Anatomy) -> tuple[Numbers, Numbers, Numbers]:
    """Heights, half width (body units) and depth (cm) of neck, shoulders, chest and belly."""
    f, d = body.fat, body.depth_cm
    profile = smooth(
        [
            (-1.2, 0.40), (-0.5, 0.36 + f / 2), (-0.38, 0.42 + f / 2), (-0.28, 0.68 + f), (-0.17, 1.08 + f),
            (0.0, 1.42 + f), (0.30, 1.52 + f), (0.60, 1.40 + f), (0.85, 1.21 + f), (1.2, 1.13 + f), (1.7, 1.11 + f),
            (3.2, 1.06 + f),
        ],
        closed=False,
    )  # fmt: skip
    depth = np.interp(
        profile[:, 0], [-0.5, -0.15, 0.2, 0.7, 1.3, 2.0], [0.55 * d, 0.60 * d, 0.80 * d, 0.95 * d, d, 1.08 * d]
    )
    return profile[:, 0], profile[:, 1], depth


def lung(body: Anatomy, side: int, *, breath: float) -> Curve:
    """Outline of one lung, heart and vessels not cut out; side -1 is the patient's right.

    Breath in [0, 1] lowers the dome.
    """
    height = body.lung_height * (0.80 + 0.20 * breath) + (body.dome_drop if side > 0 else 0.0)
    angle = body.angle_depth * (0.55 + 0.45 * breath)
    apex = body.apex
    inner = 0.175  # beside the spine
    outline = smooth(
        [
            (apex, 0.0), (apex + 0.17, 0.05 * height), (0.76, 0.155 * height), (0.875, 0.32 * height),
            (0.945, 0.52 * height), (0.985, 0.74 * height), (1.0, 0.93 * height), (0.992, height + 0.55 * angle),
            (0.975, height + angle), (0.965, height + angle), (0.93, height + 0.72 * angle),
            (0.84, height + 0.36 * angle), (0.70, height + 0.09 * angle), (0.52, height),
            (0.34, height + 0.05 * angle), (inner + 0.02, height + 0.22 * angle),
            (inner + 0.02, height + 0.22 * angle), (inner, 0.8 * height), (inner, 0.55 * height),
            (inner, 0.30 * height), (inner + 0.04, 0.12 * height), (apex - 0.15, 0.025 * height),
        ]
    )  # fmt: skip
    return outline * (side, 1.0)


def heart(body: Anatomy, *, breath: float, view: str) -> Curve:
    """Outline of heart, great vessels and mediastinum, from the neck to below the domes; larger on AP radiographs."""
    magnify = 1.12 if view == "AP" else 1.0
    h = body.lung_height * (0.80 + 0.20 * breath)
    width = 2 * body.heart_width * magnify * (1.10 - 0.10 * breath)
    tilt = body.heart_tilt
    right, left = -0.36 * width, 0.64 * width
    knob, vein = body.knob * magnify, -0.215 * magnify
    return smooth(
        [
            (-0.13, -0.30 * h), (-0.17, 0.0), (vein + 0.02, 0.18 * h), (vein, 0.34 * h), (vein - 0.01, 0.48 * h),
            (right + 0.05, 0.62 * h), (right, 0.76 * h), (right + 0.02, 0.90 * h), (right + 0.10, 1.05 * h),
            (-0.10, 1.25 * h), (0.25, 1.25 * h), (left - 0.12, 1.08 * h), (left - 0.01, (0.94 - 0.05 * tilt) * h),
            (left - 0.05, (0.83 - 0.04 * tilt) * h), (0.5 * left + 0.15, (0.66 - 0.02 * tilt) * h), (0.29, 0.545 * h),
            (0.265, 0.47 * h), (0.20, 0.415 * h), (knob - 0.015, 0.37 * h), (knob, 0.315 * h), (knob - 0.03, 0.265 * h),
            (0.17, 0.20 * h), (0.16, 0.0), (0.13, -0.30 * h),
        ]
    )  # fmt: skip


def airway(body: Anatomy) -> list[Shape]:
    """Windpipe and main bronchi; the strength is for the same gas as in the stomach."""
    fork = 0.42 * body.lung_height
    x = 0.012
    windpipe = smooth([(0.0, -0.8), (0.0, -0.3), (-0.008, 0.1), (x, fork)], closed=False)
    right = smooth([(x, fork - 0.06), (-0.10, fork + 0.10), (-0.19, fork + 0.22)], closed=False)
    left = smooth([(x, fork - 0.05), (0.13, fork + 0.10), (0.24, fork + 0.16)], closed=False)
    return [(tube(windpipe, 0.125), 0.4), (tube(right, 0.10), 0.25), (tube(left, 0.085), 0.25)]


def vessels(body: Anatomy, *, breath: float) -> list[Shape]:
    """Pulmonary vessels: stems at the hila, branches thinning outwards. The strength follows the calibre."""
    rng = np.random.default_rng(body.seed)
    height = body.lung_height * (0.80 + 0.20 * breath)
    shapes: list[Shape] = []
    for side, hilum in ((-1, 0.53), (1, 0.48)):
        stem = smooth(
            [(0.20, hilum - 0.10), (0.28, hilum - 0.03), (0.33, hilum + 0.06), (0.36, hilum + 0.16)], closed=False
        )
        stem *= (1, height)
        calibre = 0.085 * body.hila * np.linspace(1.0, 0.55, len(stem))
        shapes.append((tube(stem, calibre) * (side, 1.0), 0.9))
        fan = np.radians([-80, -66, -50, -30, -8, 15, 35, 50, 62, 73, 82]) + rng.normal(0, 0.09, 11)
        start = stem[np.linspace(0, len(stem) - 1, 11).astype(int)] + rng.normal(0, 0.012, (11, 2))
        reach = (0.26 + 0.10 * np.abs(np.sin(fan))) * rng.uniform(0.8, 1.2, 11)
        width = 0.040 * body.hila * rng.uniform(0.5, 1.0, 11)
        shapes += _tree(rng, start * (side, 1.0), fan if side > 0 else np.pi - fan, reach, width)
    return sorted(shapes, key=lambda shape: shape[1])


def _tree(rng: np.random.Generator, at: Curve, angle: Numbers, reach: Numbers, width: Numbers) -> list[Shape]:
    shapes: list[Shape] = []
    for _ in range(GENERATIONS):
        heading = angle[:, None] + np.cumsum(rng.normal(0, 0.20, (len(angle), 5)), 1)
        steps = np.stack([np.cos(heading), np.sin(heading)], -1) * (reach / 4)[:, None, None]
        line = at[:, None] + np.cumsum(steps, 1) - steps[:, :1]
        strength = np.clip(0.14 + 15 * width * rng.uniform(0.6, 1.2, len(width)), 0, 0.9)
        shapes += list(zip(tube(line, width[:, None] * np.linspace(1, 0.72, 5)), strength.tolist(), strict=True))
        fork, lean = rng.uniform(0.35, 0.9, len(angle)), rng.uniform(0.15, 0.85, len(angle))
        at = np.concatenate([line[:, -1], line[np.arange(len(angle)), rng.integers(2, 5, len(angle))]])
        angle = np.concatenate([heading[:, -1] - fork * lean, heading[:, -1] + fork * (1 - lean)])
        reach = np.tile(reach * 0.80, 2) * rng.uniform(0.6, 1.25, len(angle))
        width = np.tile(width * 0.68, 2) * rng.uniform(0.7, 1.1, len(angle))
    return shapes


def ribs(body: Anatomy, *, breath: float) -> tuple[list[Shape], list[Shape]]:
    """Posterior and anterior arcs: for each rib its outline, then its fainter core.

    A rib is a sloping ellipse seen from the front: it leaves the spine, turns at the side and comes back lower.
    """
    rib = np.arange(12.0)
    top = -0.10 + 0.098 * body.lung_height * rib
    fall = body.rib_drop * (1.15 - 0.15 * breath) * np.interp(rib, [0, 2, 4, 8, 11], [0.50, 0.75, 0.92, 1.15, 1.3])
    wall = lung(body, -1, breath=1.0)[:54] * (-1, 1)
    reach = np.interp(top + fall / 2, wall[:, 1], wall[:, 0]) + 0.035
    reach *= np.interp(rib, [0, 1, 2, 3], [0.66, 0.86, 0.96, 1.0])
    end = np.interp(rib, [0, 4, 9, 10, 11], [162, 142, 118, 80, 52])
    behind = _arcs(body, top, fall, reach, turns=(np.full(12, 3.0), np.minimum(end, 96)))
    front = _arcs(body, top[:9], fall[:9], reach[:9], turns=(np.full(9, 93.0), end[:9]))
    return behind, front


def _arcs(body: Anatomy, top: Numbers, fall: Numbers, reach: Numbers, *, turns: tuple[Numbers, Numbers]) -> list[Shape]:
    """Hollow bands along part of each rib, from one turning angle to another, in degrees from the spine."""
    turn = np.radians(np.linspace(*turns, 14, axis=1))
    sine, cosine = np.sin(turn), np.cos(turn)
    x = 0.09 + (reach[:, None] - 0.09) * sine**0.92
    straight = np.interp(np.arange(len(top)), [3, 11], [0.1, 0.9])[:, None]
    y = top[:, None] + fall[:, None] * ((1 - straight) * (1 - cosine) / 2 + straight * 0.75 * turn / np.pi)
    y -= (1 - straight) * 0.13 * sine**2 * np.maximum(cosine, 0)
    lean = _spine_x(body, top)[:, None] * np.clip(1 - x, 0, 1)
    width = body.rib_width * (0.88 + 0.25 * sine) * np.where(cosine < 0, 1.15, 1.0)
    shapes: list[Shape] = []
    faint = np.interp(np.arange(len(top)), [8, 11], [1.0, 0.5]).tolist()  # the belly swallows the lowest
    for side in (-1, 1):
        line = np.stack([side * x + lean, y], -1)
        for outer, core, strength in zip(tube(line, width), tube(line, 0.66 * width), faint, strict=True):
            shapes += [(outer, strength), (core, 0.55 * strength)]
    return shapes


def _hollow(line: Curve, width: Numbers) -> list[Shape]:
    return [(tube(line, width), 1.0), (tube(line, 0.66 * width), 0.55)]


def spine(body: Anatomy) -> list[Shape]:
    """Vertebral bodies with end plates, pedicles and spinous processes, neck to loin."""
    shapes: list[Shape] = []
    box = smooth([(-1, -0.5), (1, -0.5), (0.86, 0.0), (1, 0.5), (-1, 0.5), (-0.86, 0.0)], steps=3)
    ring = _ellipse(0, 0, 1, 1)
    y = -0.75
    while y < 2.7:
        high, half = 0.118 + 0.028 * (y + 0.75), 0.112 + 0.020 * max(y, 0.0)
        at = np.array([_spine_x(body, y), y + high / 2])
        shapes += [(box * (half, high) + at, 0.72), (box * (0.88 * half, 0.76 * high) + at, 0.55)]
        shapes += [(ring * (0.024, 0.034) + at + (side * 0.62 * half, -0.1 * high), 0.78) for side in (-1, 1)]
        shapes.append((ring * (0.015, 0.042) + at + (0, 0.35 * high), 0.78))
        y += high * 1.15
    return shapes


def girdle(body: Anatomy, *, view: str) -> tuple[list[Shape], list[Shape]]:
    """Clavicles; and scapulae with the upper arm. PA radiographs turn the scapulae out of the lungs, AP radiographs do not."""
    lift, inward = (0.10, 0.16) if view == "AP" else (0.0, 0.0)
    outer = body.shoulders - 0.04 - lift
    collar = smooth(
        [
            (0.085, 0.20 - lift), (0.30, 0.155 - lift), (0.62, 0.03 + 0.5 * outer), (0.90, outer - 0.02), (1.17, outer),
            (1.32, outer + 0.04),
        ],
        closed=False,
    )  # fmt: skip
    blade = smooth(
        [
            (1.27, 0.12), (1.19, 0.34), (1.08, 0.66), (0.99, 0.95), (0.95, 0.95), (0.925, 0.70), (0.91, 0.35),
            (0.96, 0.06), (1.10, 0.02),
        ]
    ) - (inward, 0.0)  # fmt: skip
    ridge = smooth([(0.93 - inward, 0.28), (1.10 - inward, 0.12), (1.30 - 0.5 * inward, outer)], closed=False)
    joint = (1.37 - 0.4 * inward, outer + 0.22)
    shaft = smooth([(joint[0] + 0.03, outer + 0.30), (1.47, 0.75), (1.58, 1.6), (1.66, 2.3)], closed=False)
    middle = blade.mean(0)
    blades = [
        (blade, 0.55),
        (middle + (blade - middle) * (0.80, 0.93), 0.30),
        (tube(ridge, 0.07), 0.65),
        *_hollow(shaft, np.full(len(shaft), 0.135)),
        (_ellipse(*joint, 0.155, 0.165), 0.85),
        (_ellipse(*joint, 0.133, 0.142), 0.70),
    ]
    clavicles = _hollow(collar, 0.075 + 0.035 * np.linspace(-1, 1, len(collar)) ** 2)
    return _both_sides(clavicles), _both_sides(blades)


def _both_sides(shapes: list[Shape]) -> list[Shape]:
    return [(curve * (side, 1.0), strength) for side in (-1, 1) for curve, strength in shapes]


def wires(rng: np.random.Generator) -> list[Shape]:
    """Electrodes and leads of a monitor, as they fall."""
    shapes: list[Shape] = []
    for x, y in ((-0.62, 0.12), (0.66, 0.16), (0.74, 1.35)):
        at = np.array([x, y]) + rng.normal(0, 0.07, 2)
        bends = np.cumsum(rng.normal((0.10 * np.sign(x), 0.42), 0.16, (3, 2)), axis=0)
        shapes += [
            (tube(smooth(at + np.insert(bends, 0, 0, axis=0), closed=False), 0.012), 0.7),
            (_ellipse(float(at[0]), float(at[1]), 0.028, 0.028), 1.0),
        ]
    return shapes


def stomach(body: Anatomy, *, breath: float) -> list[Shape]:
    """Gas under the left dome; empty where there is none."""
    if body.gas == 0:
        return []
    top = body.lung_height * (0.80 + 0.20 * breath) + body.dome_drop + 0.07
    r = 0.16 * body.gas
    bubble = [(-1.2, 1.0), (-0.9, 0.2), (0.0, 0.0), (1.0, 0.35), (1.2, 1.0), (1.1, 1.25), (-1.1, 1.25)]
    return [(smooth(np.array(bubble) * r + (0.53, top)), 1.0)]
