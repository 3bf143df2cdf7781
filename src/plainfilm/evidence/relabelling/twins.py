"""Copies of one film under two labels, by the search that ingest does; one of the labels is wrong."""

import tempfile
from collections.abc import Callable

import numpy as np

from plainfilm.data import copies, duplicates
from plainfilm.data.copies import CopyFinder
from plainfilm.data.duplicates import Duplicates, ThumbnailFile
from plainfilm.data.store import Store
from plainfilm.evidence.statistics.intervals import IntArray

_AT_ONCE = 32


def under_another_label(
    store: Store, rows: IntArray, *, advance: Callable[[int, int], None] = lambda _done, _all: None
) -> dict[int, int]:
    """Find films whose copy bears another label: the row of each, and the row of such a copy.

    Ingest leaves such films out; a store has them where labels were corrected since, or where it was written before 0.2.

    Parameters
    ----------
    store, rows
        The labelled films, int64 (n), that are compared: the same, nearly the same, or changed copies.
    advance
        Called with films compared and all.
    """
    if not len(rows):
        return {}
    image = _images(store, rows, advance)
    found: dict[int, int] = {}
    order = np.argsort(image, kind="stable")
    for same in np.split(rows[order], np.flatnonzero(np.diff(image[order])) + 1):
        labels = store.labels[same]
        for row, label in zip(same.tolist(), labels.tolist(), strict=True):
            if (other := same[labels != label]).size:
                found[row] = int(other[0])
    return found


def _images(store: Store, rows: IntArray, advance: Callable[[int, int], None]) -> IntArray:
    """Number the images that the films show, int64 (n): copies have one number."""
    with tempfile.TemporaryFile() as small, tempfile.TemporaryFile() as large:
        thumbs, finder = ThumbnailFile(small), CopyFinder(ThumbnailFile(large, copies.SIDE_PX))
        hashes = []
        for at in range(0, len(rows), _AT_ONCE):
            films = store.images(rows[at : at + _AT_ONCE])
            means = np.concatenate(list(duplicates.area_means(films, copies.SIDE_PX)))
            hashes.append(duplicates.perceptual_hash(means))
            thumbs.append(duplicates.thumbnails(means))
            finder.add(**copies.described(films, means))
            advance(len(thumbs), len(rows))
        none = [""] * len(rows)
        found: Duplicates = duplicates.find_duplicates(store.sha256[rows].tolist(), np.concatenate(hashes), thumbs)
        same = duplicates.join_groups(len(rows), found.pairs, none)
        changed = finder.find(same)
    return duplicates.join_groups(len(rows), np.concatenate([found.pairs, changed.pairs]), none)
