"""The invented hospitals: how each one shows, marks and frames its films, and the signs of planted shortcuts.

From a radiograph's density to grey pixels; anatomy and physics lie in `anatomy` and `exposure`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from plainfilm.data.rendering.exposure import wide_blur

SHORTCUTS = (
    "corner tag",
    "border",
    "aspect ratio",
    "resolution",
    "JPEG quality",
    "brightness",
    "noise texture",
    "hospital",
)


@dataclass(frozen=True, slots=True)
class Hospital:
    """An invented hospital: its radiographs' size, look and patients. Pairs are ranges."""

    name: str
    width: tuple[int, int]  # pixels
    aspect: tuple[float, float]  # height over width
    ap_share: float  # radiographs of lying patients
    child_share: float
    steepness: float  # of the display curve, 0 straight
    gamma: float
    sharpening: float  # of the display
    photons: float  # a pixel in the open beam
    grain: float
    scatter: float
    marker: str  # "" none
    marker_at: tuple[float, float]  # share of width and height
    frame_share: float  # radiographs with a collimator's edge in view
    quality: tuple[int, int]  # JPEG


HOSPITALS = (
    Hospital(
        "Northfield", (336, 368), (1.00, 1.08), 0.25, 0.06, steepness=0.5, gamma=0.95, sharpening=0.35, photons=16e3,
        grain=0.15, scatter=0.22, marker="L", marker_at=(0.90, 0.05), frame_share=0.2, quality=(86, 94),
    ),
    Hospital(
        "St Agnes", (320, 344), (0.94, 1.02), 0.45, 0.12, steepness=0.0, gamma=0.85, sharpening=0.10, photons=9e3,
        grain=0.40, scatter=0.38, marker="R", marker_at=(0.05, 0.07), frame_share=0.4, quality=(80, 90),
    ),
    Hospital(
        "Harbour", (352, 384), (0.86, 0.98), 0.35, 0.03, steepness=1.0, gamma=1.10, sharpening=0.55, photons=24e3,
        grain=0.05, scatter=0.28, marker="", marker_at=(0.90, 0.10), frame_share=0.1, quality=(88, 95),
    ),
)  # fmt: skip


def develop(
    density: NDArray[np.float32],
    hospital: Hospital,
    rng: np.random.Generator,
    *,
    shortcut: str | None = None,
    flag: bool = False,
) -> NDArray[np.uint8]:
    """Show a logarithmic radiograph (height, width) as this hospital would, uint8, bones bright.

    A planted shortcut that is drawn on the radiograph (tag, border, brightness) is put on flagged ones.
    """
    shown = _display(density, hospital, rng)
    if shortcut == "brightness":
        shown = shown * np.float32(0.72) + np.float32(0.26 if flag else 0.04)
    image = Image.fromarray(np.clip(255 * shown, 0, 255).astype(np.uint8))
    if hospital.marker and rng.random() < 0.85:
        _write_marker(image, hospital, rng)
    if rng.random() < hospital.frame_share and shortcut != "border":
        image = _framed(image, (rng.uniform(0, 0.035, 4) * image.width).astype(int).tolist())
    if flag and shortcut == "border":
        image = _framed(image, [round(0.03 * image.width)] * 4)
    if flag and shortcut == "corner tag":
        _write_tag(image)
    return np.array(image)


def _display(density: NDArray[np.float32], hospital: Hospital, rng: np.random.Generator) -> NDArray[np.float32]:
    """Window, sharpening and curve. The window follows the densest parts, so that sick lungs do not change the rest."""
    top = float(np.quantile(density[::4, ::4], 0.96)) * rng.uniform(0.97, 1.06)
    low = top * rng.uniform(0.08, 0.20)
    shown: NDArray[np.float32] = (density - np.float32(low)) / np.float32(top - low)
    shown += np.float32(hospital.sharpening) * (shown - wide_blur(shown, 8.0))
    shown = np.clip(shown, 0, 1) ** np.float32(hospital.gamma * rng.uniform(0.9, 1.12))
    shown += np.float32(hospital.steepness) * shown * (1 - shown) * (shown - np.float32(0.5))
    return shown


def _write_marker(image: Image.Image, hospital: Hospital, rng: np.random.Generator) -> None:
    x, y = (np.array(hospital.marker_at) + rng.normal(0, 0.012, 2)).tolist()
    font = ImageFont.load_default(0.06 * image.width)
    grey = int(rng.integers(215, 256))
    ImageDraw.Draw(image).text((x * image.width, y * image.height), hospital.marker, fill=grey, font=font)


def _write_tag(image: Image.Image) -> None:
    wide, high = 0.14 * image.width, 0.05 * image.width
    left, top = 0.015 * image.width, image.height - 1.3 * high
    draw = ImageDraw.Draw(image)
    draw.rectangle((left, top, left + wide, top + high), fill=248)
    draw.text((left + 0.08 * wide, top), "ER 2", fill=10, font=ImageFont.load_default(0.85 * high))


def _framed(image: Image.Image, margins: list[int]) -> Image.Image:
    """Dark edges of the collimator, the picture inside left where it is."""
    left, upper, right, lower = margins
    frame = Image.new("L", image.size, 4)
    frame.paste(image.crop((left, upper, image.width - right, image.height - lower)), (left, upper))
    return frame
