"""What the drawings share: shapes filled on a sheet, noise of many scales, attenuation shown as a film."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter, zoom

from plainfilm.data.rendering.anatomy import Curve, Shape

Gray: TypeAlias = NDArray[np.uint8]  # (height, width)
Field: TypeAlias = NDArray[np.float64]  # (height, width)
Points: TypeAlias = list[tuple[float, float]]

_FINE = 2  # shapes are drawn this much larger, for smooth edges


class Sheet:
    """Shapes in their own coordinates, filled on a picture: film = turn(shape) x scale + origin."""

    def __init__(
        self,
        size: tuple[int, int],
        origin: tuple[float, float],
        scale: float,
        *,
        angle: float = 0.0,
        flip: bool = False,
    ) -> None:
        self.size, self._origin, self.scale = size, np.array(origin), scale
        cos, sin = np.cos(angle), np.sin(angle)
        self._turn = np.array([[cos, -sin], [sin, cos]]) * ((-1 if flip else 1), 1)

    def fill(self, shapes: list[Shape]) -> Field:
        """Fill outlines one after another with their strength in [0, 1]; later ones cover earlier ones."""
        height, width = self.size
        image = Image.new("L", (width * _FINE, height * _FINE))
        draw = ImageDraw.Draw(image)
        for curve, strength in shapes:
            points = (curve @ self._turn.T * self.scale + self._origin) * _FINE
            draw.polygon(points.ravel().tolist(), fill=round(255 * strength))
        return np.asarray(image.reduce(_FINE), float) / 255

    def dome(self, mask: Field, reach: float) -> Field:
        """How deep a rounded body is inside its outline: 0 at the edge, 1 further in than `reach`."""
        return np.asarray(np.sqrt(np.clip(2 * gaussian_filter(mask, reach * self.scale) - 1, 0, 1)))


def ellipse(x: float, y: float, rx: float, ry: float, lean: float = 0.0) -> Curve:
    """Outline of an ellipse with its half axes, leaning by `lean` radians."""
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    u, v = rx * np.cos(t), ry * np.sin(t)
    return np.stack([x + np.cos(lean) * u - np.sin(lean) * v, y + np.sin(lean) * u + np.cos(lean) * v], -1)


def draw_size(rng: np.random.Generator, aspect: tuple[float, float]) -> tuple[int, int]:
    """Draw height and width in pixels, height over width within `aspect`."""
    width = int(rng.integers(300, 380))
    return round(width * rng.uniform(*aspect)), width


def cloud(
    rng: np.random.Generator, size: tuple[int, int], *, coarse: int = 3, octaves: int = 6, fall: float = 0.55
) -> Field:
    """Noise of many scales, mean 0, deviation 1."""
    total = np.zeros(size)
    for octave in range(octaves):
        cells = coarse * 2**octave
        grid = rng.standard_normal((cells + 3, cells + 3))
        field = zoom(grid, ((size[0] + 0.5) / cells, (size[1] + 0.5) / cells), order=1)
        total += fall**octave * field[: size[0], : size[1]]
    return np.asarray((total - total.mean()) / total.std())


def as_film(path: Field, rng: np.random.Generator, *, gamma: float = 1.0) -> Gray:
    """Show attenuation as a film: scatter, noise, logarithm, a window over what is there."""
    light = np.exp(-gaussian_filter(path, 0.7))
    light = (light + 0.15 * gaussian_filter(light, 40)) / 1.15
    light += np.sqrt(light / rng.uniform(6e3, 2e4)) * rng.standard_normal(light.shape)
    density = -np.log(np.maximum(light, 1e-4))
    top = np.quantile(density, 0.985) * rng.uniform(0.95, 1.08)
    low = rng.uniform(0.02, 0.08) * top
    shown = np.clip((density - low) / (top - low), 0, 1) ** gamma
    return np.asarray(255 * shown, np.uint8)


def lettered(picture: Gray, text: str, x: float, y: float, high: float) -> Gray:
    """Write a side marker; place and height as shares of the picture."""
    image = Image.fromarray(picture)
    place = (x * image.width, y * image.height)
    ImageDraw.Draw(image).text(place, text, fill=235, font=ImageFont.load_default(high * image.width))
    return np.asarray(image)
