"""Copies of one radiograph that ingest has not put into one group: by sketches as ingest does, and by features."""

import tempfile

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import copies
from plainfilm.data.copies import IDENTITY, MIRROR, SIDE_PX, Copies, CopyFinder, content_boxes
from plainfilm.data.duplicates import ThumbnailFile
from plainfilm.data.store import Store
from plainfilm.evidence.statistics.intervals import IntArray

GAP = 0.05  # of cosine, between the nearest and the second nearest
MOST_PAIRS = 500
_AT_ONCE = 64
_LEAST = 0.005  # of a side
_LEAST_TURN_DEG = 0.5


def find(store: Store, rows: IntArray, features: NDArray[np.float32]) -> Copies:
    """Find pairs of rows of the store that show one radiograph and stand in different groups, the surest first.

    Parameters
    ----------
    store
        All of its images are compared by their sketches.
    rows, features
        Rows, int64 (n), and their features, float32 (n, width): the nearest two of these are compared as well, since
        features bear a larger change than sketches do.
    """
    with tempfile.TemporaryFile() as file:
        thumbs = ThumbnailFile(file, SIDE_PX)
        finder = CopyFinder(thumbs)
        for images in store.batches(_AT_ONCE):
            finder.append(images)
        found = finder.find(store.group)
        found = found.and_of(_verified(thumbs, rows[_nearest_two(features, store.group[rows])]))
    order = np.argsort(-found.agreement, kind="stable")
    _, first = np.unique(found.pairs[order], axis=0, return_index=True)
    return found.cut(order[np.sort(first)])


def described(found: Copies, place: int, images: NDArray[np.uint8]) -> str:
    """Say what was done to the second of two images, uint8 (2, s, s): "Mirrored, cropped by 3 %."."""
    way = found.maps[place, :, :2].astype(np.float64)
    mirrored = np.linalg.det(way) < 0
    way = way @ MIRROR[:, :2] if mirrored else way
    scale = np.sqrt(np.linalg.det(way))
    degrees = np.degrees(np.arctan2(way[1, 0] - way[0, 1], way[0, 0] + way[1, 1]))
    share = (1 - min(scale, 1 / scale)) / 2
    boxes = content_boxes(images)
    content = np.prod(boxes[:, 1::2] - boxes[:, ::2], axis=1) / 4
    padded = abs(content[0] - content[1]) > 2 * _LEAST
    done = [
        "mirrored" if mirrored else "",
        "inverted" if found.inverted[place] else "",
        "padded" if padded else f"cropped by {100 * share:.0f} %" if share > _LEAST else "",
        f"turned by {abs(degrees):.0f}°" if abs(degrees) > _LEAST_TURN_DEG else "",
    ]
    text = ", ".join(filter(None, done)) or "in another tone or size"
    return f"{text.capitalize()}; the fine texture agrees by {found.agreement[place]:.2f}."


def _nearest_two(features: NDArray[np.float32], group: IntArray) -> IntArray:
    """Pairs (m, 2) of rows of different groups that are each other's nearest, with a gap to the second nearest."""
    if len(features) < 3:
        return np.empty((0, 2), np.int64)
    centred = features - features.mean(axis=0)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    nearest, gap = np.empty(len(group), np.int64), np.empty(len(group))
    for at in range(0, len(group), 512):
        block = np.arange(at, min(at + 512, len(group)))
        alike = centred[block] @ centred.T
        alike[group[block][:, None] == group] = -1
        second, best = np.partition(alike, -2, axis=1)[:, -2:].T
        nearest[block], gap[block] = alike.argmax(axis=1), best - second
    own = np.arange(len(group))
    mutual = np.flatnonzero((nearest[nearest] == own) & (own < nearest) & (group != group[nearest]))
    apart = np.minimum(gap[mutual], gap[nearest[mutual]])
    mutual = mutual[np.argsort(-apart)][: min((apart >= GAP).sum(), MOST_PAIRS)]
    return np.stack([mutual, nearest[mutual]], axis=1)


def _verified(thumbs: ThumbnailFile, pairs: IntArray) -> Copies:
    """Those of the pairs whose pixels agree, as they lie or mirrored."""
    pairs = np.sort(pairs, axis=1)
    found = Copies.none()
    for at in range(0, len(pairs), _AT_ONCE):
        block = pairs[at : at + _AT_ONCE]
        left, right = (thumbs[block[:, side]] for side in (0, 1))
        upright = np.zeros(len(block), bool)
        for start in (IDENTITY, MIRROR):
            maps, agreement = copies.compare(left, right, np.tile(start, (len(block), 1, 1)), upright)
            new = Copies(pairs=block, maps=maps, inverted=upright, agreement=agreement)
            found = found.and_of(new.cut(agreement >= copies.AGREEMENT))
    return found
