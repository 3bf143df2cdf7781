"""Where a patch lies: tables of positions resized as their libraries resize them, and rotary positions."""

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.onnx.preprocessing import averaging

Array = NDArray[np.float32]
_A = -0.75  # of PyTorch's bicubic kernel without antialias; with it, -0.5 as Pillow's


def interpolated(grid: Array, side: int, *, antialias: bool) -> Array:
    """Resize positions float32 (1, own², width) to (1, side², width), bicubic, half-pixel centres, as PyTorch's `interpolate` does."""
    own, width = round(grid.shape[1] ** 0.5), grid.shape[2]
    if own == side:
        return grid
    matrix = averaging(own, side, "bicubic") if antialias else _cubic(own, side)
    maps = grid.reshape(own, own, width).astype(np.float64)
    made = np.einsum("ab,cd,bdw->acw", matrix, matrix, maps, optimize=True)
    return np.asarray(made.reshape(1, side**2, width), np.float32)


def _cubic(size: int, target: int) -> NDArray[np.float64]:
    """Bicubic resizing without antialias as a matrix (target, size); beyond the edge its pixels are repeated."""
    places = (np.arange(target) + 0.5) * (size / target) - 0.5
    low = np.floor(places).astype(int)
    matrix = np.zeros((target, size))
    for step in range(-1, 3):
        away = np.abs(places - (low + step))
        near = (_A + 2) * away**3 - (_A + 3) * away**2 + 1
        far = _A * (away**3 - 5 * away**2 + 8 * away - 4)
        np.add.at(matrix, (np.arange(target), np.clip(low + step, 0, size - 1)), np.where(away <= 1, near, far))
    return matrix


def rotary(side: int, wide: int, theta: float, *, before: int) -> tuple[Array, Array]:
    """Cosines and sines float32 (before + side², wide) of DINOv3's rotary positions; tokens before the patches are not turned.

    Centres of patches from -1 to 1, down then across, each with wide / 4 frequencies 1 / theta^(4 i / wide).
    """
    frequencies = 1 / theta ** np.arange(0, 1, 4 / wide)
    centres = 2 * (np.arange(side) + 0.5) / side - 1
    places = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)
    angles = (2 * np.pi * places[:, :, None] * frequencies).reshape(side**2, -1)
    angles = np.concatenate([np.zeros((before, wide)), np.tile(angles, 2)])
    return np.asarray(np.cos(angles), np.float32), np.asarray(np.sin(angles), np.float32)
