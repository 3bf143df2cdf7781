"""Which view a radiograph is: a small network of our own that tells lateral from frontal films, and both from other pictures.

`view.onnx` beside this module was made by `scripts/train_view.py`; `view.md` is its card.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.onnx_session import ImageNetwork

if TYPE_CHECKING:
    from plainfilm.data.store import Store

_BLOCK = 64  # images that are read at once
SIDE = 64  # height and width of what the network sees
NETWORK = Path(__file__).with_name("view.onnx")


@dataclass(frozen=True, slots=True)
class Views:
    """Views of n images: `lateral` and `frontal`, bool (n). Neither: no chest radiograph that it knows."""

    lateral: NDArray[np.bool_]
    frontal: NDArray[np.bool_]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether it is one of the two, bool (n)."""
        return self.lateral | self.frontal


class ViewFinder:
    """The network in ONNX Runtime."""

    def __init__(self) -> None:
        self._network = ImageNetwork(NETWORK, has_packed_weights=True)

    def find(self, images: NDArray[np.uint8]) -> Views:
        """Tell the views of gray images uint8 (n, h, w)."""
        lateral, unlike = self._network.run(images, "scores", side=SIDE)[0].T > 0
        return Views(lateral, ~lateral & ~unlike)


def find_views(store: Store, rows: NDArray[np.int64]) -> Views:
    """Tell the views of some rows of a store, int64 (n), a block at a time."""
    finder = ViewFinder()
    found = [finder.find(store.images(rows[at : at + _BLOCK])) for at in range(0, max(1, len(rows)), _BLOCK)]
    return Views(np.concatenate([each.lateral for each in found]), np.concatenate([each.frontal for each in found]))
