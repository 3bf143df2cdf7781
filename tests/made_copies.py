"""Images whose changed copies are looked for."""

import numpy as np
from PIL import Image


def bodies(n: int, *, size: int, finest: int, seed: int = 0) -> np.ndarray:
    """Images uint8 (n, size, size) that share their large shadows, as chests do, and differ in detail, the `finest` in grains a side."""
    rng = np.random.default_rng(seed)

    def noise(grain: int) -> np.ndarray:
        values = Image.fromarray(rng.normal(size=(grain, grain)).astype(np.float32))
        return np.asarray(values.resize((size, size), Image.Resampling.BICUBIC))

    shared = 60 * noise(3)
    own = [sum(weight * noise(grain) for grain, weight in ((6, 12), (24, 12), (finest, 10))) for _ in range(n)]
    return np.clip(128 + shared + np.stack(own), 0, 255).astype(np.uint8)
