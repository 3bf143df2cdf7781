"""Copies of one film under two labels, by the search that ingest does; one of the labels is wrong."""

import tempfile
from collections.abc import Callable

import numpy as np

from plainfilm.data import copies, duplicates
from plainfilm.data.copies import CopyFinder
from plainfilm.data.duplicates import Duplicates, ThumbnailFile
from plainfilm.data.store import Store
from plainfilm.evidence.relabelling.doubts import NONE
from plainfilm.evidence.statistics.intervals import IntArray

_AT_ONCE = 32


def under_another_label(store: Store, rows: IntArray, image: IntArray) -> IntArray:
    """Find films whose copy bears another label: the row of such a copy, int64 (n), -1 where there is none.

    Ingest leaves such films out; a store has them where labels were corrected since, or where it was written before 0.2.

    Parameters
    ----------
    store, rows
        The labelled films, int64 (n), that are compared.
    image
        The image that each shows, by `images`, int64 (n).
    """
    found, order = np.full(len(rows), NONE), np.argsort(image, kind="stable")
    for same in np.split(order, np.flatnonzero(np.diff(image[order])) + 1):
        labels = store.labels[rows[same]]
        for place, label in zip(same.tolist(), labels.tolist(), strict=True):
            if (other := same[labels != label]).size:
                found[place] = rows[other[0]]
    return found


def images(store: Store, rows: IntArray, *, advance: Callable[[int, int], None] = lambda _done, _all: None) -> IntArray:
    """Number the images that films show, int64 (n): the same, nearly the same, and changed copies have one number.

    `advance` is called with films compared and all.
    """
    if not len(rows):
        return np.empty(0, np.int64)
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
