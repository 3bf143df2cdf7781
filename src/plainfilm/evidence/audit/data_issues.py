"""Leaks and doubtful labels: neighbours in feature space, patients in two classes, labels that the others contradict."""

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.store import Store
from plainfilm.evidence.audit.findings import Strip, SuspectsFinding
from plainfilm.evidence.statistics.intervals import IntArray
from plainfilm.model.view import find_views
from plainfilm.results.audit import NotRun, Suspects

NEAR = 0.985  # cosine of centred features: copies that the perceptual hash missed, in another crop or tone
STRIPS = 3
MOST_ROWS = 6000
SURE = 0.2  # of the distance between the classes' median scores beyond the other class's median


def neighbours(store: Store, rows: IntArray, features: NDArray[np.float32]) -> list[SuspectsFinding]:
    """Find near neighbours of different groups that stand in two parts of the split, or under two labels.

    Parameters
    ----------
    store, rows, features
        Rows of the store, int64 (n), at most `MOST_ROWS` are compared, and their features float32 (n, width).
    """
    rows, features = rows[:MOST_ROWS], features[:MOST_ROWS]
    pairs, closeness = _near(features, store.group[rows])
    order = np.argsort(-closeness)
    pairs = rows[pairs[order]]
    split = store.split[pairs[:, 0]] != store.split[pairs[:, 1]]
    label = (store.labels[pairs[:, 0]] != store.labels[pairs[:, 1]]) & (store.labels[pairs] >= 0).all(axis=1)
    return [
        _pairs(store, pairs[split], "split-neighbours", "Nearly the same image in two parts of the split",
               "look alike across the parts; look whether they show one radiograph or one patient"),
        _pairs(store, pairs[label], "label-neighbours", "Nearly the same image under two labels",
               "look alike under two labels; one of the labels may be wrong"),
    ]  # fmt: skip


def _near(features: NDArray[np.float32], group: IntArray) -> tuple[IntArray, NDArray[np.float32]]:
    """Pairs (m, 2) of rows of different groups whose centred features point the same way, with the cosine (m)."""
    centred = features - features.mean(axis=0)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    pairs, closeness = [np.empty((0, 2), np.int64)], [np.empty(0, np.float32)]
    for at in range(0, len(centred), 512):
        alike = centred[at : at + 512] @ centred.T
        one, other = np.nonzero(alike >= NEAR)
        kept = (one + at < other) & (group[one + at] != group[other])
        pairs.append(np.stack([one[kept] + at, other[kept]], axis=1))
        closeness.append(alike[one[kept], other[kept]])
    return np.concatenate(pairs), np.concatenate(closeness)


def _pairs(store: Store, pairs: IntArray, code: str, title: str, about: str) -> SuspectsFinding:
    count = len(np.unique(pairs))
    strips = [_strip(store, pair, "Centred features point nearly the same way.") for pair in pairs[:STRIPS]]
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
    return Strip(images=store.images(rows), captions=captions, sentence=sentence)
