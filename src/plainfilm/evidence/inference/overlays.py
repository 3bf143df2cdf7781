"""Where the model looked at one radiograph, and a picture of it for each that is predicted."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.burned_text import covered
from plainfilm.errors import UsageError
from plainfilm.evidence.explanation import attribution as explain
from plainfilm.evidence.inference.predictor import Predictor

_METHODS = {"gradcam": explain.grad_cam, "occlusion": explain.occlusion}
METHODS = tuple(_METHODS)


def looked(
    predictor: Predictor, pixels: NDArray[np.uint8], label: int, *, method: str
) -> tuple[NDArray[np.float32], float | None]:
    """Attribute the answer for a radiograph uint8 (s, s) by one of `METHODS`.

    Returns
    -------
    tuple
        What spoke for the class of index `label`, float32 (s, s) from 0 to 1, and the share of it inside the lungs, None where no
        lungs are found.
    """
    image = pixels[None]
    maps = _METHODS[method](predictor.bundle.classifier, image, np.array([label]))
    share = float(explain.share_in_lungs(maps, predictor.lungs.find(image).masks)[0])
    return maps[0], None if np.isnan(share) else share


class Overlays:
    """Writes one PNG a radiograph into a folder; called as `Predictor.stream(explain=)` asks.

    `method` is "gradcam" (one pass of the network) or "occlusion" (slower, some hundred passes, needs no gradient). Lines of
    text are covered unless `shows_text`.
    """

    def __init__(
        self, folder: Path, predictor: Predictor, *, method: str = "gradcam", shows_text: bool = False
    ) -> None:
        if method not in METHODS:
            raise UsageError(f"Expected a method of {', '.join(METHODS)}; received {method}.")
        if method == "gradcam" and not predictor.bundle.classifier.looks_at_maps:
            raise UsageError(
                "Expected a network with maps for gradcam; this bundle's has none. Use --explain-by occlusion."
            )
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._predictor, self._method = folder, predictor, method
        self._shows_text = shows_text
        self._taken: set[str] = set()

    def __call__(self, file: str, pixels: NDArray[np.uint8], label: int) -> float | None:
        """Write the overlay and return the share of the attribution inside the lungs, None where no lungs are found."""
        attribution, share = looked(self._predictor, pixels, label, method=self._method)
        shown = pixels if self._shows_text else covered(pixels)
        explain.save_overlay(self._folder / self._name(file), shown, attribution)
        return share

    def _name(self, file: str) -> str:
        """A name of its own for each file: two folders may hold the same name."""
        stem = re.sub(r"[^\w.-]+", "-", Path(file).stem) or "film"
        name, number = stem, 2
        while name in self._taken:
            name, number = f"{stem}-{number}", number + 1
        self._taken.add(name)
        return f"{name}.png"
