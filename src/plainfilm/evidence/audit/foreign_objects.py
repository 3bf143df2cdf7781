"""What of text, electrodes and tubes is seen inside the lung fields of each image, in numbers that a probe learns from."""

import numpy as np
from numpy.typing import NDArray

from plainfilm.evidence.audit import masking
from plainfilm.evidence.audit.sample import Sample
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray, wilson
from plainfilm.model.foreign_objects import CELLS, KINDS, ObjectFinder
from plainfilm.results.audit import ForeignObject

_LARGEST = (1, 3, 8)  # cells
_FIRST = np.arange(len(KINDS)) * (len(_LARGEST) + 1)  # columns of the largest response of each kind
_SURE = np.array([kind.found for kind in KINDS])


def numbers(finder: ObjectFinder, images: NDArray[np.uint8], hidden: masking.Hidden) -> FloatArray:
    """Measure the responses within the lungs and their margin, float64 (n, k): 4 columns a kind.

    The largest, the means of the 3 and 8 largest, and the number of cells that respond. What lies below a kind's `least`
    says more of the texture of lungs than of objects and is 0: most films without any object get 0 alone.
    """
    fields = np.where(hidden.found[:, None, None], hidden.lungs, hidden.common)
    inside = masking.sized(fields, CELLS)[:, None]
    over = np.where(inside, finder.find(images), 0).reshape(len(images), len(KINDS), -1)
    falling = -np.sort(-over, axis=2)
    columns = [falling[:, :, :cells].mean(2) for cells in _LARGEST] + [(over > 0).sum(2)]
    return np.stack(columns, axis=2).reshape(len(images), -1).astype(np.float64)


def surest(measured: FloatArray) -> IntArray:
    """Order the images that hold an object of any kind, the surest first, int64 (k)."""
    over = np.max(measured[:, _FIRST] - _SURE, axis=1)
    order = np.argsort(-over, kind="stable")
    return np.asarray(order[over[order] >= 0], np.int64)


def found(sample: Sample, measured: FloatArray) -> dict[str, ForeignObject]:
    """Count by class the images of a sample that hold each kind, with what the detector is known to miss."""
    return {
        kind.name: ForeignObject(
            by_class={
                name: wilson(measured[:, column] >= sure, sample.labels == at, group=sample.group)
                for at, name in enumerate(sample.classes)
            },
            missed=kind.missed,
            in_real_films=kind.in_real_films,
        )
        for kind, column, sure in zip(KINDS, _FIRST, _SURE, strict=True)
    }
