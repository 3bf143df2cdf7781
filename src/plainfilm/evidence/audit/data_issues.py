"""Leaks and doubtful labels: copies, patients in two classes, labels that the others contradict."""

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.copies import Copies
from plainfilm.data.store import Store
from plainfilm.evidence.audit.copies import described
from plainfilm.evidence.audit.findings import Strip, SuspectsFinding
from plainfilm.evidence.statistics.intervals import IntArray
from plainfilm.model.view import find_views
from plainfilm.results.audit import NotRun, Suspects

STRIPS = 3
MOST_ROWS = 6000  # whose features are compared
SURE = 0.2  # of the distance between the classes' median scores beyond the other class's median


def neighbours(store: Store, found: Copies) -> list[SuspectsFinding]:
    """Tell which copies stand in two parts of the split, or under two labels; `found` are from `copies.find`."""
    across, label = in_two_parts(store, found), store.labels[found.pairs]
    doubtful = (label[:, 0] != label[:, 1]) & (label >= 0).all(axis=1)
    return [
        _pairs(store, found.cut(across), "split-neighbours", "One radiograph in two parts of the split",
               "are copies of one in another part: part of the number is memory"),
        _pairs(store, found.cut(doubtful), "label-neighbours", "One radiograph under two labels",
               "are copies of one under another label; one of the labels is wrong"),
    ]  # fmt: skip


def in_two_parts(store: Store, found: Copies) -> NDArray[np.bool_]:
    """Which pairs stand in two parts of the split, bool (m)."""
    part = store.split[found.pairs]
    apart: NDArray[np.bool_] = (part[:, 0] != part[:, 1]) & (part != "").all(axis=1)
    return apart


def _pairs(store: Store, found: Copies, code: str, title: str, about: str) -> SuspectsFinding:
    count = len(np.unique(found.pairs))
    strips = []
    for place, pair in enumerate(found.pairs[:STRIPS]):
        strips.append(_strip(store, pair, described(found, place, store.images(pair))))
    sentence = f"{count:,} images {about}." if count else "None found."
    return _found(code, title, count, sentence, strips)


def patients(store: Store) -> tuple[list[SuspectsFinding], list[NotRun]]:
    """Find patients with images in two classes: right where an illness came or went, wrong where a label is."""
    title = "Patients in two classes"
    known = np.flatnonzero((store.patient != "") & (store.labels >= 0))
    if not len(known):
        return [], [NotRun(check=title, reason="The data do not say who the patients are.")]
    names, code = np.unique(store.patient[known], return_inverse=True)
    held = np.zeros((len(names), len(store.classes)), bool)
    held[code, store.labels[known]] = True
    both = np.flatnonzero(held.sum(axis=1) > 1)
    strips = [_strip(store, known[code == patient][:4], "One patient.") for patient in both[:STRIPS]]
    sentence = (
        f"{len(both):,} patients have images of more than one class; they stay in one part of the split."
        if len(both)
        else "None found."
    )
    return [_found("two-class-patients", title, len(both), sentence, strips)], []


def labels(store: Store, rows: IntArray, scores: NDArray[np.float64]) -> SuspectsFinding:
    """Find labels that a classifier trained on the other images contradicts clearly.

    `scores` float64 (n, classes), out of fold. A label is suspect where its own class scores below what images of other
    classes score for it typically (their median), and another class as its own images do.
    """
    truth = store.labels[rows]
    classes = scores.shape[1]
    own = scores[np.arange(len(rows)), truth]
    typical = np.array([np.median(scores[truth == c, c]) for c in range(classes)])
    foreign = np.array([np.median(scores[truth != c, c]) for c in range(classes)])
    others = np.where(
        np.eye(classes, dtype=bool)[truth], -np.inf, (scores - foreign) / np.maximum(typical - foreign, 1e-9)
    )
    doubt = others.max(axis=1) - (own - foreign[truth]) / np.maximum(typical - foreign, 1e-9)[truth]
    found = np.flatnonzero((own <= foreign[truth]) & (others.max(axis=1) >= 1 - SURE))
    found = found[np.argsort(-doubt[found])]
    strips = [
        _strip(
            store, rows[[row]], f"Looks like {store.classes[int(others[row].argmax())]} to a classifier of the others."
        )
        for row in found[: 2 * STRIPS]
    ]
    sentence = (
        f"{len(found):,} of {len(rows):,} labels are contradicted by a classifier that was trained on the other images. Look at them."
        if len(found)
        else "None found."
    )
    return _found("suspect-labels", "Labels that the other images contradict", len(found), sentence, strips)


def laterals(store: Store, rows: IntArray) -> SuspectsFinding:
    """Find what looks like a lateral view among rows of the store, int64 (n), at most `MOST_ROWS`."""
    rows = rows[:MOST_ROWS]
    found = rows[find_views(store, rows).lateral]
    strips = [_strip(store, found[[row]], "Looks like a lateral view.") for row in range(min(len(found), 2 * STRIPS))]
    sentence = (
        f"{len(found):,} of {len(rows):,} images look lateral, or are no chest radiographs: a classifier of frontal films should neither learn from them nor be tested on them. Look at them."
        if len(found)
        else "None found."
    )
    return _found("lateral-views", "Lateral views", len(found), sentence, strips)


def _found(code: str, title: str, count: int, sentence: str, strips: list[Strip]) -> SuspectsFinding:
    return SuspectsFinding(code=code, title=title, result=Suspects(count=count, sentence=sentence), strips=strips)


def _strip(store: Store, rows: IntArray, sentence: str) -> Strip:
    captions = tuple(f"{store.file[r]}, {store.classes[store.labels[r]]}, {store.split[r]}" for r in rows)
    return Strip(images=store.pictures(rows), captions=captions, sentence=sentence)
