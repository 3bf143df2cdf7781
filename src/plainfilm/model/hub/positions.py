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


def rotary(places: NDArray[np.float64], wide: int, theta: float, *, before: int) -> tuple[Array, Array]:
    """Cosines and sines float32 (before + side², wide) of rotary positions; tokens before the patches are not turned.

    `places` float64 (side) of patches down and across, in radians of the first frequency; down then across, each has wide / 4
    frequencies 1 / theta^(4 i / wide). The second half of a head is turned with the first.
    """
    frequencies = 1 / theta ** np.arange(0, 1, 4 / wide)
    grid = np.stack(np.meshgrid(places, places, indexing="ij"), axis=-1).reshape(-1, 2)
    angles = (grid[:, :, None] * frequencies).reshape(len(grid), -1)
    angles = np.concatenate([np.zeros((before, wide)), np.tile(angles, 2)])
    return np.asarray(np.cos(angles), np.float32), np.asarray(np.sin(angles), np.float32)


def centred(side: int) -> NDArray[np.float64]:
    """Places of DINOv3: centres of patches from -1 to 1, whole turns."""
    return 2 * np.pi * (2 * (np.arange(side, dtype=np.float64) + 0.5) / side - 1)


def counted(side: int, grid: int) -> NDArray[np.float64]:
    """Places of EVA-02: patches counted as on the grid that it was trained with."""
    return np.arange(side, dtype=np.float64) * (grid / side)


def halved(rows: Array, heads: int) -> Array:
    """Put the even rows of each head before the odd ones: what EVA-02 turns in pairs is then turned in halves, with the same products."""
    return rows.reshape(heads, -1, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)
