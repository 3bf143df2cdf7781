"""Where the lungs are: a small network of our own that draws the lung fields of a chest radiograph.

`lungs.onnx` beside this module was made by `scripts/train_lungs.py`; `lungs.md` is its card.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.onnx_session import ImageNetwork

SIDE = 128  # height and width of what the network sees and of the masks it gives
EPSILON = 1.0  # gray levels; keeps a black frame finite
SMALLEST, LARGEST = 0.05, 0.9  # share of a picture that lungs fill
SUREST = 0.8  # mean probability inside lungs; other pictures get doubtful fields
UPRIGHT = 0.95  # from that mean probability on no other turn of the film is tried
CLEARLY = 0.02  # more than as it lies that a turned film has to reach
NETWORK = Path(__file__).with_name("lungs.onnx")


@dataclass(frozen=True, slots=True)
class LungFields:
    """Lung fields of n images, the part behind the heart included.

    `masks` bool (n, SIDE, SIDE), over the whole image whatever its size; all False where none were found. `found` bool
    (n): False says "no lungs found".
    """

    masks: NDArray[np.bool_]
    found: NDArray[np.bool_]


def fingerprint() -> str:
    """Name the network and the limits of what counts as lungs, for what is kept of either, in hex."""
    limits = f"{SMALLEST} {LARGEST} {SUREST}".encode()
    return hashlib.sha256(NETWORK.read_bytes() + limits).hexdigest()


class LungFinder:
    """The lung-field network in ONNX Runtime."""

    def __init__(self) -> None:
        self._network = ImageNetwork(NETWORK)

    def find(self, images: NDArray[np.uint8]) -> LungFields:
        """Find the lung fields of gray images uint8 (n, h, w).

        Of those that are found and not quite sure, a quarter turn, a half and three quarters are tried, and the surest taken:
        on its side or upside down a film is drawn worse.
        """
        masks, sure = self._drawn(images)
        found = sure >= SUREST
        rows = np.flatnonzero(found & (sure < UPRIGHT))
        least = sure[rows] + CLEARLY
        for turns in (1, 2, 3) if len(rows) else ():
            drawn, its = self._drawn(np.rot90(images[rows], turns, axes=(1, 2)))
            is_surer = its > least
            masks[rows[is_surer]] = np.rot90(drawn[is_surer], -turns, axes=(1, 2))
            least[is_surer] = its[is_surer]
        return LungFields(masks & found[:, None, None], found)

    def _drawn(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Fields of images as they lie, bool (n, SIDE, SIDE), and how sure they are lungs, the mean probability within, (n)."""
        masks, sure = np.zeros((len(images), SIDE, SIDE), bool), np.zeros(len(images))
        for row, logits in enumerate(self._network.run(images, side=SIDE)[0]):
            masks[row] = _largest(logits > 0)
            if SMALLEST <= masks[row].mean() <= LARGEST:
                sure[row] = (1 + np.tanh(logits[masks[row]] / 2).mean()) / 2
        return masks, sure


def _largest(field: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected piece and those at least a fifth of it: two lungs, without islands."""
    pieces = _pieces(field)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(field & (sizes >= sizes.max() / 5)[pieces])


def _pieces(field: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number the connected pieces (by sides) of a mask, 0 outside; prediction has no SciPy for this.

    Runs of a row are numbered, then each takes the least number among the runs that it touches, until nothing changes.
    """
    starts = field & ~np.pad(field, ((0, 0), (1, 0)))[:, :-1]
    runs = np.cumsum(starts).reshape(field.shape) * field
    touching = field[:-1] & field[1:]
    upper, lower = runs[:-1][touching], runs[1:][touching]
    numbers = np.arange(runs.max() + 1)
    while True:
        found = numbers.copy()
        np.minimum.at(found, upper, numbers[lower])
        np.minimum.at(found, lower, numbers[upper])
        found = found[found]
        if np.array_equal(found, numbers):
            return np.asarray(numbers[runs])
        numbers = found
