"""Films added to a store: what stands in it already is not decoded again, and keeps its place and its part of the split."""

import contextlib
import csv
import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import decoder_pool
from plainfilm.data.catalog import Entry
from plainfilm.data.decoding.decoded import REMARKS
from plainfilm.data.images import MAX_BYTES, Radiograph
from plainfilm.data.shards import BATCH, MOST_FILMS, Advance, Shard, gathered
from plainfilm.data.store import Store
from plainfilm.errors import CatalogError

_MOST_GONE = 0.5  # share of a store's films; with more the wrong folders were named


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Entries of a catalog whose files a store holds, in its order, and their rows, int64 (k)."""

    store: Store
    entries: Sequence[Entry]
    rows: NDArray[np.int64]

    @property
    def gone(self) -> int:
        """How many of the store's films the catalog lacks."""
        return len(self.store) - len(self.rows)

    def shards(self, remarks: Mapping[str, Sequence[tuple[str, str]]]) -> Iterator[Shard]:
        """Give the films as if they had been read again; `remarks` are those of each file, as `remarks_of` reads them."""
        patients = self._patients()
        for own, file, places in self._runs():
            films = self._films(self.rows[own], remarks, patients[own])
            told, known = gathered(films, self.store.size, lambda _block: None)
            pixels = partial(self._pixels, self.rows[own])
            yield Shard(outcomes=told, known=known, pixels=pixels, file=file, places=places)

    def _runs(self) -> Iterator[tuple[slice, Path | None, NDArray[np.int64] | None]]:
        """Cut the rows into those of one shard of the store, or of as many films; with its file, and their places there."""
        where = self.store.in_shards(self.rows)
        if where is None:
            yield from ((slice(at, at + MOST_FILMS), None, None) for at in range(0, len(self.rows), MOST_FILMS))
            return
        files, shards, places = where
        ends = [*np.flatnonzero(np.diff(shards)) + 1, len(shards)]
        for start, end in pairwise([0, *ends]):
            if start < end:
                yield slice(start, end), files[shards[start]], places[start:end]

    def _pixels(self, rows: NDArray[np.int64], places: Sequence[int]) -> NDArray[np.uint8]:
        return self.store.images(rows[places])

    def _films(
        self, rows: NDArray[np.int64], remarks: Mapping[str, Sequence[tuple[str, str]]], patients: Sequence[str]
    ) -> Iterator[Radiograph]:
        for at in range(0, len(rows), BATCH):
            block = rows[at : at + BATCH]
            for row, pixels, patient in zip(block, self.store.images(block), patients[at : at + BATCH], strict=True):
                told = _provenance(self.store, int(row)) | ({"patient": patient} if patient else {})
                file = str(self.store.file[row])
                yield Radiograph(pixels, str(self.store.sha256[row]), told, tuple(remarks.get(file, ())))

    def _patients(self) -> list[str]:
        """Read who is on each film from the headers of DICOM files: a store does not say it."""
        formats = self.store.provenance.get("format")
        found = [""] * len(self.rows)
        if formats is None:
            return found
        asked = np.flatnonzero(formats[self.rows] == "DICOM").tolist()
        files = (self.entries[place].place.item(self.entries[place].name) for place in asked)
        for place, told in zip(asked, decoder_pool.read_headers(files) if asked else (), strict=True):
            found[place] = told.get("patient_id", "") if isinstance(told, dict) else ""
        return found


def held_by(store: Store, entries: Sequence[Entry], advance: Advance) -> tuple[Held, list[Entry]]:
    """Tell the entries whose files a store holds, by their SHA-256, from new ones.

    Parameters
    ----------
    store
        To be added to.
    entries
        All of the catalog.
    advance
        Called with files looked at and files in all.

    Returns
    -------
    Held
        Those that it holds.
    list of Entry
        The others, in order.

    Raises
    ------
    CatalogError
        Most films of the store are not among them.
    """
    left: dict[str, list[int]] = defaultdict(list)
    for row, digest in enumerate(store.sha256.tolist()):
        left[digest].append(row)
    held, new = dict[int, Entry](), list[Entry]()
    for done, entry in enumerate(entries, 1):
        if rows := left.get(_sha256(entry)):
            same = [row for row in rows if store.file[row] == entry.file]
            rows.remove(row := (same or rows)[0])
            held[row] = entry
        else:
            new.append(entry)
        advance(done, len(entries))
    rows = sorted(held)
    found = Held(store, [held[row] for row in rows], np.array(rows, np.int64))
    if found.gone > _MOST_GONE * len(store):
        raise CatalogError(
            f"Expected the folders that {store.path} was read from, with the new files in them; received some that lack {found.gone:,} "
            f"of its {len(store):,} radiographs. Name all of them, or leave out --add."
        )
    return found, new


def remarks_of(table: Path) -> dict[str, list[tuple[str, str]]]:
    """Read from the table of problems beside a store what was remarked of files that stand in it: code and sentence."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    try:
        with table.open(newline="", encoding="utf-8", errors="replace") as file:
            for row in csv.DictReader(file):
                if row.get("left_out") == "no" and row.get("reason") in REMARKS:
                    found[row["file"]].append((row["reason"], row["sentence"]))
    except (OSError, KeyError, csv.Error):  # it may be gone: it is for people
        return {}
    return found


def _sha256(entry: Entry) -> str:
    item = entry.place.item(entry.name)
    with contextlib.suppress(OSError):
        if not isinstance(item, Path):
            return hashlib.sha256(item()).hexdigest()
        if item.is_file() and item.stat().st_size <= MAX_BYTES:  # a pipe would never end
            with item.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
    return ""


def _provenance(store: Store, row: int) -> dict[str, Any]:
    told = {name: values[row].item() for name, values in store.provenance.items()}
    return {
        name: value
        for name, value in told.items()
        if value != "" and not (isinstance(value, float) and math.isnan(value))
    }
