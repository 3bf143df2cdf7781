"""Which external radiographs a classifier is tested on: their labels, and what it was trained on already."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.catalog import Catalog, Entry, spelling_key
from plainfilm.data.cataloguing.level_names import is_negative
from plainfilm.data.spelling import listed
from plainfilm.data.store import Store
from plainfilm.data.tables.findings import PRESENT, joined
from plainfilm.errors import BundleError, CatalogError, UsageError
from plainfilm.evidence.external.training_fingerprints import ImageHashes, TrainingFingerprints, changed
from plainfilm.evidence.statistics.intervals import IntArray
from plainfilm.model.bundle import Bundle
from plainfilm.results.external import Overlap

SAME_FILE, SAME_IMAGE, SAME_PATIENT = "the same file", "the same film", "the same patient"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOverlap:
    """Rows of the store that the model was made from, and how each was recognized; `not_searched` says why not, if so."""

    rows: IntArray
    reasons: Sequence[str]
    not_searched: str = ""

    @property
    def counts(self) -> Overlap:
        """Count them by reason."""
        counts = Counter(self.reasons)
        return Overlap(
            searched=not self.not_searched,
            not_searched=self.not_searched or None,
            found=len(self.rows),
            same_file=counts[SAME_FILE],
            same_film=counts[SAME_IMAGE],
            same_patient=counts[SAME_PATIENT],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMapping:
    """Which class of the model each label of the data stands for; none where labels are not looked at.

    `left_out` counts radiographs by label that stand for none, "" for those without a label. `renamed`: the store bears
    the classes' names already.
    """

    stands_for: Mapping[str, str]
    left_out: Mapping[str, int]
    renamed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """What the classifier is tested on: `rows` of a store, int64 (n), with their classes as the model numbers them.

    Of findings `classes` are the states of those that both sides have, int8 (n, k), and the store has them under the
    model's names, in its order.
    `is_own`: these are the test set of the store that the model was trained on.
    """

    store: Store
    rows: IntArray
    classes: NDArray[Any]
    labels: LabelMapping
    overlap: TrainingOverlap
    is_own: bool

    def of(self, finding: str) -> "Cohort":
        """Give the same for one finding as two classes, with the rows of which it is known."""
        states = self.classes[:, self.store.classes.index(finding)]
        known = states >= 0
        classes = states[known].astype(np.int64)
        return replace(self, store=self.store.of(finding), rows=self.rows[known], classes=classes)


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
            raise UsageError(f"Expected --map to name one of the labels {listed([*labels.values()])}; received {label}. Correct it.")  # fmt: skip
        if spelling_key(asked) not in known:
            raise UsageError(f"Expected --map to lead to one of the model's classes {listed(classes)}; received {asked}. Correct it.")  # fmt: skip
        found[labels[spelling_key(label)]] = known[spelling_key(asked)]
    if not found:
        received = listed([*labels.values()]) or "no label"
        raise UsageError(f"Expected labels that are classes of the model ({listed(classes)}); received {received}. Say which is which: --map LABEL={classes[0]}")  # fmt: skip
    return found


def without_labels(labels: Iterable[str], classes: Sequence[str], mapping: Mapping[str, str]) -> bool:
    """Whether none of the labels stands for a class, and none was said to."""
    return not mapping and not {*map(spelling_key, labels)} & {*map(spelling_key, classes)}


def unlabelled(catalog: Catalog) -> tuple[tuple[Entry, ...], LabelMapping]:
    """Take all entries of a catalog, without what labels they have."""
    return tuple(replace(entry, label=None, findings=b"") for entry in catalog.entries), LabelMapping(
        stands_for={}, left_out={}, renamed=True
    )


def map_catalog(catalog: Catalog, bundle: Bundle, mapping: Mapping[str, str]) -> tuple[tuple[Entry, ...], LabelMapping]:
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
    return kept, LabelMapping(stands_for=stands_for, left_out=left_out, renamed=True)


def map_findings(catalog: Catalog, bundle: Bundle, mapping: Mapping[str, str]) -> tuple[Catalog, LabelMapping]:
    """Take the entries of a catalog of which a finding of the model is known, with these findings under its names.

    Raises
    ------
    UsageError
        See `match_labels`.
    """
    columns = dict(zip(catalog.told, catalog.states_of(catalog.entries).T, strict=True))
    found = _stands_for(columns, bundle, mapping)
    states = np.stack(
        [joined([columns[each] for each in own]) for own in _by_name(found.stands_for, bundle).values()], axis=1
    )
    known, names = np.any(states >= 0, axis=1), tuple(_by_name(found.stands_for, bundle))
    entries = tuple(
        replace(entry, findings=own.tobytes())
        for entry, own, is_known in zip(catalog.entries, states, known, strict=True)
        if is_known
    )
    return replace(catalog, entries=entries, findings=names, told=names), replace(found, renamed=True)


def _stands_for(columns: Mapping[str, NDArray[np.int8]], bundle: Bundle, mapping: Mapping[str, str]) -> LabelMapping:
    """Match findings of a table, each with its states (n), and count what stands for none of the model's."""
    stands_for = match_labels(columns, bundle.classifier.classes_, mapping)
    left_out = {
        name: n for name, own in columns.items() if name not in stands_for and (n := int((own == PRESENT).sum()))
    }
    known = np.any([columns[name] >= 0 for name in stands_for], axis=0)
    if not known.any():
        raise CatalogError(f"Expected radiographs of which a finding of the model is known ({listed(bundle.classifier.classes_)}); received none. Name other data.")  # fmt: skip
    if unknown := int((~known).sum()):
        left_out[""] = unknown
    return LabelMapping(stands_for=stands_for, left_out=left_out, renamed=False)


def _by_name(stands_for: Mapping[str, str], bundle: Bundle) -> dict[str, list[str]]:
    """Give the findings that stand for each of the model's, in its order."""
    names = [name for name in bundle.classifier.classes_ if name in stands_for.values()]
    return {name: [each for each, finding in stands_for.items() if finding == name] for name in names}


def map_store(
    store: Store, bundle: Bundle, mapping: Mapping[str, str], *, no_label_will_do: bool = False
) -> LabelMapping:
    """Match the labels of a store whose images are prepared as the bundle's were; or do not look at them.

    Raises
    ------
    UsageError
        Another size or fit; and see `match_labels`.
    """
    _check_prepared(store, bundle)
    if store.task == "findings" and not no_label_will_do:
        stated = {name: own[:] for name, own in store.findings.items() if not is_negative(name)}
        return _stands_for(stated, bundle, mapping)
    if no_label_will_do:
        return LabelMapping(stands_for={}, left_out={}, renamed=False)
    stands_for = match_labels(store.classes, bundle.classifier.classes_, mapping)
    counts = np.bincount(store.labels + 1, minlength=len(store.classes) + 1).tolist()
    named = zip(["", *store.classes], counts, strict=True)  # "" of those without a label
    left_out = {label: n for label, n in named if n and label not in stands_for}
    return LabelMapping(stands_for=stands_for, left_out=left_out, renamed=False)


def _check_prepared(store: Store, bundle: Bundle) -> None:
    """Raise UsageError for a store of another size or fit than the bundle's images."""
    size, fit = bundle.classifier.image_size, bundle.manifest.preprocessing.fit
    if (store.size, store.attributes.get("fit")) != (size, fit):
        raise UsageError(
            f"Expected a store of {size} px, {fit}, as the model was trained on; received {store.size} px, {store.attributes.get('fit')}. "
            f"Name the folder itself, or ingest it with --size {size} --fit {fit}."
        )


def select(store: Store, bundle: Bundle, labels: LabelMapping) -> Cohort:
    """Select the rows of a store that a classifier is tested on.

    Of the store that it was trained on (told by the fingerprint), only the test set. Of another one every row whose
    label stands for a class, every row where labels are not looked at, but those that it was made from, with all others of
    the same patients.

    Raises
    ------
    CatalogError
        No row is left.
    BundleError
        The bundle's list of images is damaged.
    """
    store, classes, is_labelled = _labelled(store, bundle, labels)
    # Folders have no test set; a store of the same images may be split otherwise.
    is_own = not labels.renamed and bundle.manifest.data_fingerprint == store.fingerprint
    rows, training = np.flatnonzero(is_labelled | (not labels.stands_for)), _training(bundle)
    if is_own:
        rows = rows[training.in_test_set(store.sha256[rows]) if training else store.split[rows] == "test"]
        overlap = TrainingOverlap(rows=rows[:0], reasons=(), not_searched="These are the model's own test images.")
    else:
        overlap = _overlap(store, training, rows)
    kept = rows[~np.isin(rows, overlap.rows)]
    if not len(kept):
        received = f"{len(overlap.rows):,}, and it was made from all of them" if len(overlap.rows) else "none"
        raise CatalogError(f"Expected radiographs of the model's classes that it has not seen; received {received}. Name other data.")  # fmt: skip
    if classes.ndim > 1:
        some = np.any(classes[kept] >= 0, axis=0)  # the others are stated of no row that is left
        store = store.standing_for({name: [name] for name, own in zip(store.classes, some, strict=True) if own})
        classes = classes[:, some]
    return Cohort(store=store, rows=kept, classes=classes[kept], labels=labels, overlap=overlap, is_own=is_own)


def _labelled(store: Store, bundle: Bundle, labels: LabelMapping) -> tuple[Store, NDArray[Any], NDArray[np.bool_]]:
    """Give the store, its classes as the model numbers them or its findings' states under the model's names, and which rows have one."""
    if store.task == "findings" and not labels.stands_for and not labels.renamed:
        return store, np.full(len(store), -1), np.zeros(len(store), bool)
    if store.task == "findings":
        stands_for = {name: name for name in store.classes} if labels.renamed else labels.stands_for
        store = store.standing_for(_by_name(stands_for, bundle))
        return store, store.states, np.any(store.states >= 0, axis=1)
    names = bundle.classifier.classes_
    stand_for = [name if labels.renamed else labels.stands_for.get(name) for name in store.classes]
    classes = np.array([-1 if name is None else names.index(name) for name in [*stand_for, None]])[store.labels]
    return store, classes, classes >= 0


def _training(bundle: Bundle) -> TrainingFingerprints | None:
    try:
        return TrainingFingerprints.from_bytes(bundle.seen) if bundle.seen else None
    except ValueError as error:
        raise BundleError(
            "Expected a bundle that tells the images it was made from; received one whose record of it is damaged. Get the file again."
        ) from error


def _overlap(store: Store, training: TrainingFingerprints | None, rows: IntArray) -> TrainingOverlap:
    if training is None:
        return TrainingOverlap(
            rows=rows[:0], reasons=(), not_searched="The bundle does not say which images it was made from."
        )
    found = training.find(store.sha256[rows], ImageHashes.of(store, rows), changed(store, rows))
    by_patient = np.isin(store.group[rows], store.group[rows[found.any]])
    reason = np.select([found.file, found.picture, by_patient], [SAME_FILE, SAME_IMAGE, SAME_PATIENT], "")
    return TrainingOverlap(rows=rows[reason != ""], reasons=reason[reason != ""].tolist())
