"""A picture of where the model looked, for each radiograph that is predicted."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plainfilm.errors import UsageError
from plainfilm.evidence import explain
from plainfilm.model.classifier import Classifier
from plainfilm.model.lungs import LungFinder

METHODS = ("gradcam", "occlusion")


class Overlays:
    """Writes one PNG a radiograph into a folder; called as `Predictor.stream(explain=)` asks.

    `method` is "gradcam" (one pass of the network) or "occlusion" (slower, some hundred passes, needs no gradient).
    """

    def __init__(self, folder: Path, classifier: Classifier, *, method: str = "gradcam") -> None:
        if method not in METHODS:
            raise UsageError(f"Expected a method of {', '.join(METHODS)}; received {method}.")
        if method == "gradcam" and not classifier.looks_at_maps:
            raise UsageError(
                "Expected a network with maps for gradcam; this bundle's has none. Use --explain-by occlusion."
            )
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._classifier, self._lungs = folder, classifier, LungFinder()
        self._attribute = {"gradcam": explain.grad_cam, "occlusion": explain.occlusion}[method]
        self._taken: set[str] = set()

    def __call__(self, file: str, pixels: NDArray[np.uint8], label: int) -> float | None:
        """Write the overlay and return the share of the attribution inside the lungs, None where no lungs are found."""
        image = pixels[None]
        maps = self._attribute(self._classifier, image, np.array([label]))
        explain.save_overlay(self._folder / self._name(file), pixels, maps[0])
        share = float(explain.share_in_lungs(maps, self._lungs.find(image).masks)[0])
        return None if np.isnan(share) else share

    def _name(self, file: str) -> str:
        """A name of its own for each file: two folders may hold the same name."""
        stem = re.sub(r"[^\w.-]+", "-", Path(file).stem) or "film"
        name, number = stem, 2
        while name in self._taken:
            name, number = f"{stem}-{number}", number + 1
        self._taken.add(name)
        return f"{name}.png"
