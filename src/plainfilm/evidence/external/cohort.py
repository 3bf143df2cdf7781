"""Which images of other data a classifier is asked about: their labels, and what it has seen already."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plainfilm.data.catalog import Catalog, Entry, spelling_key
from plainfilm.data.store import Store
from plainfilm.errors import BundleError, CatalogError, UsageError
from plainfilm.evidence.external.training_fingerprints import Seen, Signatures
from plainfilm.evidence.statistics.intervals import IntArray
from plainfilm.model.bundle import Bundle

SAME_FILE, SAME_FILM, SAME_PATIENT = "the same file", "the same film", "the same patient"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Which rows of the store the model was made from, and why each is taken for one; `not_searched` says why not, if so."""

    rows: IntArray
    why: Sequence[str]
    not_searched: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Give what `metrics.json` holds under "overlap"."""
        counts = Counter(self.why)
        return {
            "searched": not self.not_searched,
            "not_searched": self.not_searched or None,
            "found": len(self.rows),
            "same_file": counts[SAME_FILE],
            "same_film": counts[SAME_FILM],
            "same_patient": counts[SAME_PATIENT],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Which class of the model each label of the data stands for.

    `left_out` counts radiographs by label that stand for none, "" for those without a label. `renamed`: the store bears
    the classes' names already.
    """

    stands_for: Mapping[str, str]
    left_out: Mapping[str, int]
    renamed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the classifier is asked: `rows` of a store, int64 (n), with their classes as the model numbers them.

    `is_own`: these are the test part of the store that the model was trained on.
    """

    store: Store
    rows: IntArray
    classes: IntArray
    labels: Labels
    overlap: Overlap
    is_own: bool


def match_labels(there: Iterable[str], classes: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Give the class that each label stands for: by `mapping`, else by its name; labels that stand for none are not in it.

    Case, spaces, hyphens and underscores do not count.

    Raises
    ------
    UsageError
        The mapping names a label that is not there, or a class that the model has not; or no label stands for a class.
    """
    labels = {spelling_key(name): name for name in sorted(there)}
    known = {spelling_key(name): name for name in classes}
    found = {name: known[key] for key, name in labels.items() if key in known}
    for label, asked in mapping.items():
        if spelling_key(label) not in labels:
            raise UsageError(f"Expected --map to name one of the labels {', '.join(labels.values())}; received {label}. Correct it.")  # fmt: skip
        if spelling_key(asked) not in known:
            raise UsageError(f"Expected --map to lead to one of the model's classes {', '.join(classes)}; received {asked}. Correct it.")  # fmt: skip
        found[labels[spelling_key(label)]] = known[spelling_key(asked)]
    if not found:
        listed = ", ".join(labels.values()) or "no label"
        raise UsageError(f"Expected labels that are classes of the model ({', '.join(classes)}); received {listed}. Say which is which: --map LABEL={classes[0]}")  # fmt: skip
    return found


def entries(catalog: Catalog, bundle: Bundle, mapping: Mapping[str, str]) -> tuple[tuple[Entry, ...], Labels]:
    """Take the entries of a catalog whose labels stand for a class, under its name.

    Raises
    ------
    UsageError
        See `match_labels`.
    """
    counts = Counter(entry.label or "" for entry in catalog.entries)
    stands_for = match_labels(set(counts) - {""}, bundle.classifier.classes_, mapping)
    kept = tuple(replace(e, label=stands_for[e.label]) for e in catalog.entries if e.label in stands_for)
    left_out = {label: n for label, n in counts.items() if label not in stands_for}
    return kept, Labels(stands_for=stands_for, left_out=left_out, renamed=True)


def labels_of(store: Store, bundle: Bundle, mapping: Mapping[str, str]) -> Labels:
    """Match the labels of a store whose images are prepared as the bundle's were.

    Raises
    ------
    UsageError
        Another size or fit; and see `match_labels`.
    """
    size, fit = bundle.classifier.image_size, bundle.manifest.preprocessing.fit
    if (store.size, store.attributes.get("fit")) != (size, fit):
        raise UsageError(
            f"Expected a store of {size} px, {fit}, as the model was trained on; received {store.size} px, {store.attributes.get('fit')}. "
            f"Name the folder itself, or ingest it with --size {size} --fit {fit}."
        )
    stands_for = match_labels(store.classes, bundle.classifier.classes_, mapping)
    counts = Counter(np.array([*store.classes, ""])[store.labels].tolist())  # -1, unlabelled, is the last one
    left_out = {label: n for label, n in counts.items() if label not in stands_for}
    return Labels(stands_for=stands_for, left_out=left_out, renamed=False)


def choose(store: Store, bundle: Bundle, labels: Labels) -> Asked:
    """Choose the rows of a store that a classifier is asked about.

    Of the store that it was trained on (told by the fingerprint), only the test part. Of another one every row whose
    label stands for a class, but those that it was made from, with all others of the same patients.

    Raises
    ------
    CatalogError
        No row is left.
    BundleError
        The bundle's list of images is damaged.
    """
    names = bundle.classifier.classes_
    stand_for = [name if labels.renamed else labels.stands_for.get(name) for name in store.classes]
    classes = np.array([-1 if name is None else names.index(name) for name in [*stand_for, None]])[store.labels]
    # Folders have no test part; a store of the same images may be split otherwise.
    is_own = not labels.renamed and bundle.manifest.data_fingerprint == store.fingerprint
    rows, seen = np.flatnonzero(classes >= 0), _seen(bundle)
    if is_own:
        rows = rows[seen.tested_on(store.sha256[rows]) if seen else store.split[rows] == "test"]
        overlap = Overlap(rows=rows[:0], why=(), not_searched="These are the model's own test images.")
    else:
        overlap = _overlap(store, seen, rows)
    kept = rows[~np.isin(rows, overlap.rows)]
    if not len(kept):
        received = f"{len(overlap.rows):,}, and it was made from all of them" if len(overlap.rows) else "none"
        raise CatalogError(f"Expected radiographs of the model's classes that it has not seen; received {received}. Name other data.")  # fmt: skip
    return Asked(store=store, rows=kept, classes=classes[kept], labels=labels, overlap=overlap, is_own=is_own)


def _seen(bundle: Bundle) -> Seen | None:
    try:
        return Seen.from_bytes(bundle.seen) if bundle.seen else None
    except ValueError as error:
        raise BundleError(
            "Expected a bundle that tells the images it was made from; received one whose record of it is damaged. Get the file again."
        ) from error


def _overlap(store: Store, seen: Seen | None, rows: IntArray) -> Overlap:
    if seen is None:
        return Overlap(rows=rows[:0], why=(), not_searched="The bundle does not say which images it was made from.")
    found = seen.find(store.sha256[rows], Signatures.of(store, rows))
    by_patient = np.isin(store.group[rows], store.group[rows[found.any]])
    why = np.select([found.file, found.film, by_patient], [SAME_FILE, SAME_FILM, SAME_PATIENT], "")
    return Overlap(rows=rows[why != ""], why=why[why != ""].tolist())
