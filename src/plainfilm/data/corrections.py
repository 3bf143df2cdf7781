"""Corrections of labels: read from a table that people have filled, held against the store that it is about."""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from plainfilm.data.store import Store
from plainfilm.data.tables.files import read_grid
from plainfilm.errors import CatalogError, StoreError, UsageError
from plainfilm.harmless import as_named, harmless
from plainfilm.reasons import reason_of
from plainfilm.results.relabelling import Correction

FILE, LABEL, CORRECTION, BY, SHA256, STORE = "file", "label", "correction", "by", "sha256", "store"  # columns
COLUMNS = (FILE, LABEL, CORRECTION, BY, SHA256)  # of what is written beside a store with corrections
ATTRIBUTE = "relabelled"  # of a store: what was corrected in it, one `Correction` a time
_DIGITS = 16  # of a fingerprint, by which a table knows its store


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Corrections:
    """What a table says of a store's labels.

    Attributes
    ----------
    rows, labels : int64 (k)
        Of the store, and the class that each row has in truth, which is another than its label.
    by : k names
        Who says so.
    confirmed : int
        Films whose correction is the label that they bear.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    by: Sequence[str]
    confirmed: int


@dataclass(frozen=True, slots=True)
class _Line:
    """A row of the table with a correction: its cells by column, and the line that it begins at."""

    cells: Mapping[str, str]
    line: int
    table: Path

    def flaw(self, received: str, what: str, then: str) -> UsageError:
        return UsageError(f"Expected {what}; received {received} in line {self.line} of {self.table}. {then}")


def identity(store: Store) -> str:
    """Give the text by which a table of corrections knows its store."""
    return store.fingerprint[:_DIGITS]


def read(table: Path, store: Store, *, by: str | None = None) -> Corrections:
    """Read corrections from a table; a row whose cell `correction` is empty says nothing.

    Parameters
    ----------
    table
        CSV, TSV or JSON, with the extra `tables` also XLSX and Parquet, with `file` and `correction`. What it has of `sha256`,
        `label` and `store` must be the store's; `by` says who corrects.
    store
        That it is about.
    by
        Who corrects, where the table does not say it.

    Raises
    ------
    CatalogError
        No table, or one without these columns.
    UsageError
        A class, a film or a store that is not meant; two corrections of one film; or none, or by nobody.
    """
    lines = list(_corrected(table))
    if not lines:
        raise UsageError(
            f"Expected a correction or more; received {table}, whose column {CORRECTION} is empty. Write the right class beside a film."
        )
    found, number = _Films(store), {name: at for at, name in enumerate(store.classes)}
    given: dict[int, tuple[int, str]] = {}
    for line in lines:
        label, who = _class(line, number), line.cells.get(BY) or (by or "").strip()
        if not who:
            raise line.flaw("none", "to know who corrects", f"Give --by NAME, or fill the column {BY}.")
        for row in found.rows(line):
            if given.setdefault(row, (label, who))[0] != label:
                raise line.flaw("another", "one correction a film", "Leave one of the two.")
    changed = [row for row in sorted(given) if given[row][0] != store.labels[row]]
    return Corrections(
        rows=np.array(changed, np.int64),
        labels=np.array([given[row][0] for row in changed], np.int64),
        by=[given[row][1] for row in changed],
        confirmed=len(given) - len(changed),
    )


def told(table: Path) -> dict[tuple[str, str], dict[str, str]]:
    """Read what was corrected from the table beside a store, by file and SHA-256; nothing where there is none, or another."""
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = [{name: as_named(cell or "") for name, cell in row.items()} for row in csv.DictReader(file)]
        return {(row[FILE], row[SHA256]): row for row in rows if {*COLUMNS} <= row.keys()}
    except (OSError, ValueError, csv.Error):
        return {}


def made_in(attributes: Mapping[str, Any]) -> list[Correction]:
    """Read from the attributes of a store how its labels were corrected, the first time first; none of most stores.

    Raises
    ------
    StoreError
        They cannot be read.
    """
    try:
        return msgspec.json.decode(str(attributes.get(ATTRIBUTE, "[]")), type=list[Correction])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise StoreError(
            f"Expected a store that tells how its labels were corrected; received one that is damaged ({reason_of(error)}). Write it again."
        ) from error


def _corrected(table: Path) -> Iterator[_Line]:
    """Give the rows of a table whose correction is not empty."""
    try:
        grid = read_grid(table)
    except ValueError as error:
        raise CatalogError(f"Expected a table of corrections; received {table}: {reason_of(error)}.") from error
    names = [header.strip().casefold() for header in grid.headers]
    lacking = [name for name in (FILE, CORRECTION) if name not in names]
    if lacking:
        raise CatalogError(
            f"Expected a table of plainfilm relabel, with the columns {FILE} and {CORRECTION}; received {table}, which lacks {' and '.join(lacking)}."
        )
    at = {name: names.index(name) for name in (FILE, LABEL, CORRECTION, BY, SHA256, STORE) if name in names}
    for row, line in enumerate(grid.lines):
        cells = {name: as_named(grid.columns[column][row]) for name, column in at.items()}
        if cells[CORRECTION]:
            yield _Line(cells, line, table)


def _class(line: _Line, number: Mapping[str, int]) -> int:
    name = line.cells[CORRECTION]
    if name not in number:
        raise line.flaw(name, f"a class of the store: {', '.join(number)}", "Write it so, or leave the cell empty.")
    return number[name]


class _Films:
    """Finds the rows of a store that a line of a table is about."""

    def __init__(self, store: Store) -> None:
        self._store, self._identity = store, identity(store)
        self._by_name, self._by_digest = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
        for row, (file, digest) in enumerate(zip(store.file.tolist(), store.sha256.tolist(), strict=True)):
            self._by_name[harmless(file)].append(row)
            self._by_digest[digest].append(row)

    def rows(self, line: _Line) -> list[int]:
        """Give the rows: one, or those of files that are the same by name and content."""
        cells = line.cells
        flaw = partial(line.flaw, cells[FILE])
        if cells.get(STORE, self._identity) not in {"", self._identity}:
            raise flaw(f"films of {self._store.path}", "The table is of another store: name that one.")
        same = self._by_digest.get(cells.get(SHA256, ""), []) if cells.get(SHA256) else None
        named = self._by_name.get(cells[FILE], [])
        found = named if same is None else [row for row in same if row in named] or same
        if not found:
            raise flaw(f"films of {self._store.path}", "It has no such film: correct the name, or leave the row out.")
        if same is None and len({self._store.sha256[row] for row in found}) > 1:
            raise flaw("a film", f"Several bear the name: give the column {SHA256} of plainfilm relabel too.")
        self._check_label(line, found)
        return found

    def _check_label(self, line: _Line, found: Sequence[int]) -> None:
        """Hold the label that the table was written about against the one that the store has now."""
        held = {int(self._store.labels[row]) for row in found}
        if held == {-1}:
            raise line.flaw(
                line.cells[FILE], "a labelled film", "It has no label: give it one where the films come from."
            )
        names = {self._store.classes[label] for label in held if label >= 0}
        if line.cells.get(LABEL) and line.cells[LABEL] not in names:
            raise line.flaw(
                f"{line.cells[LABEL]} of {line.cells[FILE]}", f"the label that {self._store.path} has, {' or '.join(sorted(names))}", "Write the table anew with plainfilm relabel."
            )  # fmt: skip
