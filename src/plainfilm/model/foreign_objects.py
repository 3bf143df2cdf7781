"""Where foreign objects are: a small network of our own that finds text, electrodes and tubes on a chest radiograph.

`objects.onnx` beside this module was made by `scripts/train_objects.py`; `objects.md` is its card.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.onnx_session import ImageNetwork

SIDE = 192  # height and width of what the network sees
CELLS = 24  # of its maps


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object. Logits: from `least` a response counts, from `sure` an object is said to be there.

    `missed` and `in_real_films` are shares of films, as `objects.md` has them: with an object of the kind drawn into the
    lungs, in which none is found; and as they are, in which one of the kind is, often rightly.
    """

    name: str
    least: float
    sure: float
    missed: float
    in_real_films: float

    @property
    def found(self) -> float:
        """Response from which an object is said to be there."""
        return self.sure - self.least


KINDS = (
    Kind("text", 1.78, 4.09, 0.29, 0.07),
    Kind("electrode or clip", 2.10, 3.99, 0.37, 0.09),
    Kind("tube or line", 2.28, 4.85, 0.36, 0.03),
)
MOST = 10.0  # of a response
NETWORK = Path(__file__).with_name("objects.onnx")


class ObjectFinder:
    """The network that finds foreign objects in ONNX Runtime."""

    def __init__(self) -> None:
        self._network = ImageNetwork(NETWORK)

    def find(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Answer for gray images uint8 (n, h, w) with responses float32 (n, kinds, CELLS, CELLS) over the whole image."""
        return responses(self._network.run(images, side=SIDE)[0])


def responses(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn logits (n, kinds, h, w) into responses: how far a logit lies above its kind's `least`.

    At most `MOST`; 0 where it does not, and where another kind is surer: a button also looks like a letter.
    """
    least, sure = (
        np.array(each, np.float32)[:, None, None] for each in zip(*((k.least, k.sure) for k in KINDS), strict=True)
    )
    surest = logits - sure >= (logits - sure).max(1, keepdims=True)
    return np.asarray(np.where(surest, np.clip(logits - least, 0, MOST), 0), np.float32)
