"""A new store with corrected labels; all else is as in the old one, which stays as it is."""

import datetime as dt
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from plainfilm.data import corrections, split, store_writer
from plainfilm.data.corrections import Corrections
from plainfilm.data.ingest import corrections_path, place, problems_path
from plainfilm.data.store import Columns, Store
from plainfilm.errors import UsageError
from plainfilm.harmless import write_table
from plainfilm.results.relabelling import Correction

_AT_ONCE = 64
_OWN = {"format", "version", "size", "fingerprint", "created"}  # attributes that each store has of its own


def write(store: Store, out: Path, made: Corrections) -> Correction:
    """Write a store with corrections, `NAME.corrections.csv` beside it, and the table of problems as the old one has it.

    Returns
    -------
    Correction
        What was corrected, as the new store keeps it.

    Raises
    ------
    UsageError
        A class would be gone from a part of the split.
    StoreError
        The old store is damaged, or the new one cannot be written; nothing is changed then.
    """
    states, labels = _corrected(store, made)
    _check_parts(
        store, labels if store.task == "classes" else np.stack([states[name] for name in store.classes], axis=1)
    )
    record = _recorded(store, made)
    with place(out) as (table, _, problems, shelf, new):
        write_table(table, _told(store, made))
        if problems_path(store.path).is_file():
            shutil.copyfile(problems_path(store.path), problems)
        with store_writer.create(out, size=store.size, expected=len(store), at=new) as writer:
            if store.is_sharded:
                writer.refer(*store.shelved(shelf))
            for films in () if store.is_sharded else store.batches(_AT_ONCE):
                writer.append(films)
            writer.finish(_columns(store, labels, states), attributes=_attributes(store, record))
    with Store(out) as written:
        if openings := store.logged_openings():
            written.take_over(openings)
    return record


def _corrected(store: Store, made: Corrections) -> tuple[dict[str, NDArray[np.int8]], NDArray[np.int64]]:
    """Give the states of all findings, and the labels, after the corrections; of several findings the labels stay."""
    states, labels = dict(store.findings), store.labels.copy()
    if store.task == "classes":
        labels[made.rows] = made.labels
        return states, labels
    for name in set(made.findings):
        own = made.of(name)
        states[name] = states[name].copy()
        states[name][made.rows[own]] = made.labels[own]
    return states, labels


def _check_parts(store: Store, targets: split.Labels) -> None:
    """Raise UsageError where corrections take the last film of a class, or with or without a finding, out of a part of the split."""
    had = set(split.unfilled(store.targets, store.split, store.classes))
    for name, part in split.unfilled(targets, store.split, store.classes):
        if (name, part) not in had:
            raise UsageError(
                f"Expected films of every class in every part of the split after the corrections; received none of {name} in {part}. "
                "Ingest the folders anew under the right labels, with --resplit."
            )


def _recorded(store: Store, made: Corrections) -> Correction:
    stores = store.each
    pairs = [
        f"{own.classes[own.labels[row]]} → {own.classes[after]}"
        for own, row, after in zip(
            (stores[name] for name in made.findings), made.rows.tolist(), made.labels.tolist(), strict=True
        )
    ]
    return Correction(
        when=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        corrected=len(made.rows),
        confirmed=made.confirmed,
        by=dict(Counter(made.by).most_common()),
        changes=dict(Counter(pairs).most_common()),
    )


def _told(store: Store, made: Corrections) -> Iterator[list[str]]:
    """Give the rows of NAME.corrections.csv, those of the old store among them: for `relabel --apply` to a store of the same files as ingested."""
    stores, columns = store.each, corrections.columns_of(store)
    yield [*columns]
    told = corrections.told(corrections_path(store.path), columns)
    for finding, row, label, who in zip(made.findings, made.rows.tolist(), made.labels.tolist(), made.by, strict=True):
        file, digest, own = str(store.file[row]), str(store.sha256[row]), stores[finding]
        earlier = told.get((file, digest, finding), {corrections.LABEL: own.classes[own.labels[row]]})
        told[file, digest, finding] = {
            corrections.FILE: file,
            corrections.FINDING: finding,
            corrections.LABEL: earlier[corrections.LABEL],
            corrections.CORRECTION: own.classes[label],
            corrections.BY: who,
            corrections.SHA256: digest,
        }
    for cells in told.values():
        if cells[corrections.LABEL] != cells[corrections.CORRECTION]:
            yield [cells[name] for name in columns]


def _columns(store: Store, labels: NDArray[np.int64], states: Mapping[str, NDArray[np.int8]]) -> Columns:
    return Columns(
        classes=store.classes,
        labels=labels,
        split=store.split,
        patient=store.patient,
        source=store.source,
        file=store.file,
        sha256=store.sha256,
        group=store.group,
        provenance=store.provenance,
        findings=states,
    )


def _attributes(store: Store, record: Correction) -> Mapping[str, str | int]:
    kept = {name: value for name, value in store.attributes.items() if name not in _OWN}
    every = [*corrections.made_in(store.attributes), record]
    return {**kept, corrections.ATTRIBUTE: msgspec.json.encode(every).decode()}
