"""Made pictures that are no frontal chest radiograph: what a detector of outliers must not let pass.

Each is drawn from a random generator alone, gray uint8 (height, width). Real pictures of these kinds are not shipped;
these are for measuring and for tests.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from plainfilm.data.rendering.strange.ct import ct_slice
from plainfilm.data.rendering.strange.hand import hand
from plainfilm.data.rendering.strange.lateral import lateral
from plainfilm.data.rendering.strange.scenes import black_frame, photograph, text_page
from plainfilm.data.rendering.strange.sheet import Gray

STRANGERS: Mapping[str, Callable[[np.random.Generator], Gray]] = MappingProxyType(
    {each.__name__: each for each in (hand, lateral, ct_slice, photograph, text_page, black_frame)}
)


def draw(kind: str, seed: int) -> Gray:
    """Draw one picture of a kind of `STRANGERS`; the same seed gives the same pixels, uint8 (height, width)."""
    return STRANGERS[kind](np.random.default_rng(seed))
