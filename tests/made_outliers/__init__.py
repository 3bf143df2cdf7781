"""Made pictures that are no frontal chest radiograph: what a detector of outliers must not let pass.

Each is drawn from a random generator alone, gray uint8 (height, width). Real pictures of these kinds are not shipped;
these are for measuring and for tests.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from made_outliers.ct import ct_slice
from made_outliers.hand import hand
from made_outliers.lateral import lateral
from made_outliers.scenes import black_frame, photograph, text_page
from made_outliers.sheet import Gray

KINDS: Mapping[str, Callable[[np.random.Generator], Gray]] = MappingProxyType(
    {each.__name__: each for each in (hand, lateral, ct_slice, photograph, text_page, black_frame)}
)


def draw(kind: str, seed: int) -> Gray:
    """Draw one picture of a kind of `KINDS`; the same seed gives the same pixels, uint8 (height, width)."""
    return KINDS[kind](np.random.default_rng(seed))
