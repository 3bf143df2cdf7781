"""Altered views of training images: small changes that a radiograph may have for reasons other than disease.

Rotation, shift and zoom (how the patient stood), contrast and gamma (exposure and display), noise and blur (dose and
detector), cutout (DeVries & Taylor 2017, arXiv:1708.04552). Never upside down; left to right only where asked for.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from plainfilm.model.recipe_schema import AugmentationSettings

_VERSION = 1


class Images(Protocol):
    """What has images to alter: a store, or anything like one."""

    fingerprint: str

    def __len__(self) -> int: ...

    def images(self, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read images, uint8 (len(rows), s, s)."""


def alter(
    images: NDArray[np.uint8],
    rows: NDArray[np.int64],
    views: NDArray[np.int64],
    settings: AugmentationSettings,
    *,
    seed: int,
) -> NDArray[np.uint8]:
    """Alter images as the settings say.

    Parameters
    ----------
    images
        Gray uint8 (n, s, s).
    rows, views
        int64 (n): which image each is, and which view of it is wanted; view 0 is the image itself.
    seed
        Same seed, row and view, same picture, whatever was drawn before.

    Returns
    -------
    uint8 (n, s, s)
    """
    altered = [
        image if view == 0 else _altered(image, settings, np.random.default_rng([seed, int(row), int(view)]))
        for image, row, view in zip(images, rows, views, strict=True)
    ]
    return np.stack(altered) if altered else images


@dataclass(frozen=True, slots=True)
class Alteration:
    """Which view of images is wanted: another process makes the same one."""

    settings: AugmentationSettings
    seed: int
    view: int

    def of(self, store: Images) -> "Altered":
        """Give that view of a store."""
        return Altered(store, self.settings, seed=self.seed, view=self.view)


class Altered:
    """One view of every image of a store, to be encoded like a store (`encoder.ImageSource`)."""

    def __init__(self, store: Images, settings: AugmentationSettings, *, seed: int, view: int) -> None:
        self.store, self.alteration = store, Alteration(settings, seed, view)
        bounds = {name: value for name, value in dataclasses.asdict(settings).items() if name != "views"}
        about = json.dumps(bounds, sort_keys=True)
        self.fingerprint = f"{store.fingerprint} altered {_VERSION} {about} seed {seed} view {view}"

    def __len__(self) -> int:
        return len(self.store)

    def batches(self, size: int, start: int = 0) -> Iterator[NDArray[np.uint8]]:
        """Give the view of all images from row `start` on in order, uint8 (up to `size`, s, s) at a time."""
        how = self.alteration
        for at in range(start, len(self), size):
            rows = np.arange(at, min(at + size, len(self)))
            views = np.full(len(rows), how.view)
            yield alter(self.store.images(rows), rows, views, how.settings, seed=how.seed)


def _altered(image: NDArray[np.uint8], settings: AugmentationSettings, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Alter one image: every number is drawn, used or not, so that one bound does not change what another draws."""
    rotation, zoom, contrast, gamma, *shift = rng.uniform(-1, 1, 6).tolist()
    noise, blur, cutout, left, top = rng.uniform(0, 1, 5).tolist()
    is_mirrored = settings.flip and bool(rng.integers(2))
    moved = _moved(
        image, rotation * settings.rotation, 1 + zoom * settings.zoom, [part * settings.shift for part in shift]
    )
    if blur * settings.blur > 0:
        picture = Image.fromarray(moved).filter(ImageFilter.GaussianBlur(blur * settings.blur))
        moved = np.array(picture)
    if is_mirrored:
        moved = np.ascontiguousarray(moved[:, ::-1])
    gray = _curve(moved.mean(), 1 + contrast * settings.contrast, 1 + gamma * settings.gamma)[moved]
    if noise * settings.noise > 0:
        gray += np.float32(noise * settings.noise) * rng.standard_normal(gray.shape, np.float32)
    side = round(cutout * settings.cutout * len(gray))
    y, x = (int(place * (len(gray) - side)) for place in (top, left))
    gray[y : y + side, x : x + side] = gray.mean()
    return np.asarray(np.clip(np.rint(gray), 0, 255), np.uint8)


def _moved(image: NDArray[np.uint8], degrees: float, zoom: float, shift: Sequence[float]) -> NDArray[np.uint8]:
    """Rotate around the middle, enlarge, and shift by shares of the side; what comes in from outside repeats the edge."""
    side = len(image)
    pad = side // 2
    middle, turn = side / 2 + pad, np.deg2rad(degrees)
    cos, sin = np.cos(turn) / zoom, np.sin(turn) / zoom
    target = [side / 2 + part * side for part in shift]
    matrix = (cos, sin, middle - cos * target[0] - sin * target[1],
              -sin, cos, middle + sin * target[0] - cos * target[1])  # fmt: skip
    padded = Image.fromarray(np.pad(image, pad, "edge"))
    return np.array(padded.transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))


def _curve(mean: float, contrast: float, gamma: float) -> NDArray[np.float32]:
    """Gray level after gamma, then contrast around the image's mean, for each of 256 levels, float32 (256)."""
    level = 255 * (np.arange(256, dtype=np.float32) / 255) ** np.float32(gamma)
    centre = 255 * (mean / 255) ** gamma
    return np.asarray(np.clip((level - centre) * contrast + centre, 0, 255), np.float32)
