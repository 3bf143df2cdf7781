"""From a made body to a radiograph: thicknesses along the ray, Beer-Lambert attenuation, scatter, grain, logarithm.

Thick soft things are computed on a coarse grid, edges and bones on the radiograph's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from plainfilm.data.rendering import anatomy
from plainfilm.data.rendering.anatomy import Anatomy, Curve, Shape

Field: TypeAlias = NDArray[np.float32]  # (height, width)

SOFT = 0.165  # attenuation per cm at some 110 kVp, filtered
BONE = 0.42  # per cm, beyond the soft tissue it takes the place of
AIR_SHARE = 0.74  # of the lung's volume
COARSE = 4  # radiograph pixels to a coarse pixel


@dataclass(frozen=True, slots=True)
class Posture:
    """How the patient stood, or lay, before the detector, and the radiograph's size."""

    view: str  # "PA" or "AP"
    width: int
    height: int
    scale: float  # radiograph pixels to a body unit
    centre_x: float
    top: float  # of the lungs, radiograph pixels
    angle: float  # radians
    turn: float  # rotation about the long axis: how far the heart moves, body units
    breath: float  # 0 to 1
    leads: bool  # wires of a monitor
    seed: int

    def film(self, curve: Curve) -> Curve:
        """Body coordinates to radiograph pixels."""
        c, s = np.cos(self.angle) * self.scale, np.sin(self.angle) * self.scale
        x, y = curve[..., 0], curve[..., 1]
        return np.stack([c * x - s * y + self.centre_x, s * x + c * y + self.top], -1)


@dataclass(frozen=True, slots=True)
class Disease:
    """Bilateral, peripheral, lower-zone opacities."""

    severity: float  # 0, none, to 1
    dense: float  # 0, ground glass, to 1, consolidation
    seed: int


def expose(
    body: Anatomy, posture: Posture, disease: Disease, *, photons: float, grain: float, scatter: float
) -> tuple[Field, NDArray[np.bool_]]:
    """Make one radiograph.

    Parameters
    ----------
    photons : mean count a pixel in the open beam; sets the noise
    grain : 0 to 0.5, how much neighbouring pixels share their noise
    scatter : scattered over direct light

    Returns
    -------
    density : float32 (height, width), logarithmic, bones high, about 0 in the open beam
    lungs : bool (height, width), the lung fields, heart shadow included, cut at the diaphragm
    """
    rng = np.random.default_rng(posture.seed)
    lungs = paint(posture, [(anatomy.lung(body, side, breath=posture.breath), 1.0) for side in (-1, 1)])
    light: Field = np.exp(-_soften(_attenuation(body, posture, lungs, disease, rng)))
    light += scatter * wide_blur(light, 0.16 * posture.scale)
    light /= 1 + scatter
    noise: Field = rng.standard_normal(light.shape, np.float32)
    if grain:
        noise += grain * (np.roll(noise, 1, 0) + np.roll(noise, 1, 1))
        noise /= (1 + 2 * grain**2) ** 0.5
    light += np.sqrt(light / np.float32(photons)) * noise
    return -np.log(np.maximum(light, np.float32(1e-4))), lungs > 0.5


def paint(posture: Posture, shapes: Sequence[Shape], *, shift: float = 0.0, fine: int = 1) -> Field:
    """Fill shapes one after another, moved right by `shift` body units; later ones cover earlier ones.

    Strength in [0, 1]; `fine` 2 smooths the edges.
    """
    image = Image.new("L", (posture.width * fine, posture.height * fine))
    draw = ImageDraw.Draw(image)
    corners = np.concatenate([curve for curve, _ in shapes]) + np.array((shift, 0.0))
    points = (posture.film(corners) * fine).ravel().tolist()
    start = 0
    for curve, strength in shapes:
        end = start + curve.size
        draw.polygon(points[start:end], fill=round(255 * min(strength, 1.0)))
        start = end
    return np.asarray(image.reduce(fine) if fine > 1 else image) * np.float32(1 / 255)


def _gauss(field: Field, sigma: float) -> Field:
    from scipy.ndimage import gaussian_filter

    blurred: Field = gaussian_filter(field, sigma, mode="nearest", truncate=2.5)
    return blurred


def _soften(field: Field) -> Field:
    """Blur as the radiograph itself does: binomial, 3 x 3."""
    p = np.pad(field, 1, mode="edge")
    p = p[:-2] + 2 * p[1:-1] + p[2:]
    return (p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]) * np.float32(1 / 16)


def _enlarge(field: Field, posture: Posture) -> Field:
    size = (posture.width, posture.height)
    return np.asarray(Image.fromarray(field.astype(np.float32, copy=False)).resize(size, Image.Resampling.BILINEAR))


def wide_blur(field: Field, sigma_px: float) -> Field:
    """Gaussian blur for sigmas of many pixels, by way of the coarse grid."""
    small = Image.fromarray(_gauss(field[::COARSE, ::COARSE], sigma_px / COARSE))
    return np.asarray(small.resize(field.shape[::-1], Image.Resampling.BILINEAR))


def _dome(mask: Field, reach: float, posture: Posture) -> Field:
    """How deep a rounded body is inside its outline, coarse: 0 at the edge, 1 further in than `reach` body units."""
    wide = _gauss(mask[::COARSE, ::COARSE], reach * posture.scale / COARSE)
    return np.sqrt(np.clip(2 * wide - 1, 0, 1))


def _grid(posture: Posture, step: int) -> tuple[Field, Field]:
    """Body coordinates of every `step`-th pixel."""
    u = np.arange(0, posture.width, step, dtype=np.float32)[None] - np.float32(posture.centre_x)
    v = np.arange(0, posture.height, step, dtype=np.float32)[:, None] - np.float32(posture.top)
    c, s = np.float32(np.cos(posture.angle) / posture.scale), np.float32(np.sin(posture.angle) / posture.scale)
    return c * u + s * v, c * v - s * u


def _attenuation(body: Anatomy, posture: Posture, lungs: Field, disease: Disease, rng: np.random.Generator) -> Field:
    """Sum over the ray of path length times coefficient."""
    breath, turn = posture.breath, posture.turn
    lungs = _soften(lungs)
    core = _soften(paint(posture, [(anatomy.heart(body, breath=breath, view=posture.view), 1.0)], shift=turn))
    opacity = _opacity(posture, lungs[::COARSE, ::COARSE], disease)
    depth = body.depth_cm * (0.60 + 0.16 * breath) * (0.45 + 0.55 * _dome(lungs, 0.16, posture))
    depth *= 1 - _crowding(body, posture)
    front = 0.36 + 0.40 * _dome(core, 0.10, posture)
    air = _enlarge(depth * (1 - 0.85 * opacity), posture) * lungs * (1 - core * _enlarge(front, posture))
    tree = paint(posture, anatomy.vessels(body, breath=breath), shift=turn, fine=2)
    # a vessel stands out against the air around it: opacities hide it
    seen = np.minimum(depth * (1 - core[::COARSE, ::COARSE] * front) / 7, 1) * (1 - 0.8 * opacity)
    tree *= (0.17 * body.unit_cm) * lungs * _enlarge(seen, posture)
    path = _trunk(body, posture) - AIR_SHARE * air * (1 + _mottle(rng, posture)) + tree
    gas = paint(posture, [*anatomy.airway(body), *anatomy.stomach(body, breath=breath)], shift=turn)
    path -= 4.0 * _soften(gas)
    return SOFT * path + BONE * _bones(body, posture)


def _crowding(body: Anatomy, posture: Posture) -> Field:
    """Share of the air that a shallow breath leaves out of the lung bases, coarse."""
    _, y = _grid(posture, COARSE)
    h = body.lung_height
    low: Field = np.clip((y - 0.55 * h) / (0.4 * h), 0, 1)
    return (0.34 - 0.30 * posture.breath) * low


def _trunk(body: Anatomy, posture: Posture) -> Field:
    """Soft tissue of trunk, neck, arms and breasts, in cm, as if the lungs were solid."""
    x, y = _grid(posture, COARSE)
    at = y - np.float32(0.6 * body.shoulders)
    level, half, depth = anatomy.trunk(body)
    edge = np.abs(x) / np.interp(at, level, half).astype(np.float32)
    cm = np.interp(at, level, depth).astype(np.float32) * np.sqrt(np.clip(1 - edge**3, 0, 1))
    out = 0.06 if posture.view == "AP" else 0.24
    radius = 0.23 + 0.4 * body.fat
    for side in (-1, 1):
        arm = _limb(side * x, y, (1.44 + body.fat, 0.15), (1.54 + out + body.fat, 2.3), radius)
        cm = np.maximum(cm, 2 * body.unit_cm * arm)
        if body.breast_cm:
            cm += _breast(body, side * x, y)
    return _enlarge(cm, posture)


def _limb(x: Field, y: Field, start: tuple[float, float], end: tuple[float, float], radius: float) -> Field:
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    away = (x - start[0] - along * dx) ** 2 + (y - start[1] - along * dy) ** 2
    return np.sqrt(np.clip(radius**2 - away, 0, None))


def _breast(body: Anatomy, x: Field, y: Field) -> Field:
    """Thick below with a sharp fold, fading upwards, in cm."""
    top, low = 0.40 * body.lung_height, 0.86 * body.lung_height + 0.09 * body.breast_cm
    u = (x - 0.68) / (0.42 + 0.03 * body.breast_cm)
    v = (y - top) / (low - top) + 0.22 * u**2
    cm: Field = np.clip(v, 0, 1) ** 1.4 * np.sqrt(np.clip(1 - v**8, 0, 1) * np.clip(1 - u**2, 0, 1))
    return body.breast_cm * cm


def _bones(body: Anatomy, posture: Posture) -> Field:
    """Bone along each ray, in cm."""
    behind, front = anatomy.ribs(body, breath=posture.breath)
    clavicles, blades = anatomy.girdle(body, view=posture.view)
    bones = 0.58 * paint(posture, behind, fine=2) + 0.36 * _soften(paint(posture, front))
    bones += 0.62 * paint(posture, [*anatomy.spine(body), *blades, *clavicles], fine=2)
    bones *= body.bone * body.unit_cm / 13
    if posture.leads:
        bones += 1.2 * paint(posture, anatomy.wires(np.random.default_rng(posture.seed)), fine=2)
    return bones


def _mottle(rng: np.random.Generator, posture: Posture) -> Field:
    """Fine net of small vessels and septa: relative change of the air, zero mean."""
    size = ((posture.height + 1) // 2, (posture.width + 1) // 2)
    return _enlarge(0.05 * _gauss(rng.standard_normal(size, np.float32), 0.6), posture)


def _opacity(posture: Posture, small: Field, disease: Disease) -> Field:
    """Share of the lung's air that is lost, in [0, 1], coarse as the lung mask `small`."""
    if disease.severity == 0:
        return np.zeros_like(small)
    rng = np.random.default_rng(disease.seed)
    unit = posture.scale / COARSE
    x, y = _grid(posture, COARSE)
    rim = np.clip(1.6 - _gauss(small, 0.16 * unit), 0, 1) ** 3 * np.minimum(1.4 * np.abs(x), 1)
    weight = np.where(small > 0.6, rim * (0.2 + 0.8 / (1 + np.exp(-6 * (y - 0.85)))), 0)
    patches = np.zeros_like(small)
    for side in (-1, 1):
        here = np.where(side * x > 0, weight, 0).ravel()
        if here.any():
            spots = rng.choice(here.size, 2 + rng.poisson(1 + 5 * disease.severity), p=here / here.sum())
            patches += _patches(x, y, spots, disease.severity, rng)
    ragged = [
        _gauss(rng.standard_normal(small.shape, np.float32), reach * unit) * reach * unit * 3.5
        for reach in (0.07, 0.03)
    ]
    cover = 1 - np.exp(-patches * (1 + 0.35 * np.tanh(ragged[0]) + 0.15 * np.tanh(ragged[1])))
    glass = (0.26 + 0.36 * disease.severity) * cover
    dense = 0.40 * disease.dense / (1 + np.exp(-(cover * (1 + 0.12 * ragged[1]) - 0.66) / 0.08))
    lost: Field = np.clip(glass + dense, 0, 0.9)
    return lost


def _patches(x: Field, y: Field, spots: NDArray[np.int64], severity: float, rng: np.random.Generator) -> Field:
    total = np.zeros_like(x)
    for spot in spots:
        size = rng.uniform(0.06, 0.13) * (0.8 + 0.8 * severity)
        u = (x - x.flat[spot] + rng.normal(0, 0.5) * (y - y.flat[spot])) / size
        v = (y - y.flat[spot]) / (size * rng.uniform(0.7, 1.8))
        total += np.float32(rng.uniform(0.4, 1.3)) * np.exp(-0.5 * (u * u + v * v))
    return total
