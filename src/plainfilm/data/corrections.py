"""Corrections of labels: read from a table that people have filled, held against the store that it is about."""

import csv
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
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

FILE, FINDING, LABEL, CORRECTION = "file", "finding", "label", "correction"  # columns
BY, SHA256, STORE = "by", "sha256", "store"
ATTRIBUTE = "relabelled"  # of a store: what was corrected in it, one `Correction` a time
_MOST_LETTERS = 200  # of who corrects
_DIGITS = 16  # of a fingerprint, by which a table knows its store


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Corrections:
    """What a table says of a store's labels.

    Attributes
    ----------
    findings : k names
        Which finding each is about; "" of classes.
    rows, labels : int64 (k)
        Of the store, and the class that each row has in truth, which is another than its label; of a finding 1 present, 0 absent.
    by : k names
        Who says so.
    confirmed : int
        Labels whose correction is the label itself.
    """

    findings: Sequence[str]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    by: Sequence[str]
    confirmed: int

    def of(self, finding: str) -> NDArray[np.int64]:
        """Give the places of those about a finding, int64; "" is all of a store of classes."""
        return np.flatnonzero(np.array(self.findings, str) == finding)


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
        CSV, TSV or JSON, with the extra `tables` also XLSX and Parquet, with `file` and `correction`, and of a store of findings
        `finding`. What it has of `sha256`, `label` and `store` must be the store's; `by` says who corrects.
    store
        That it is about.
    by
        Who corrects, where the table does not say it.

    Raises
    ------
    CatalogError
        No table, or one without these columns.
    UsageError
        A class, a finding, a film or a store that is not meant; two corrections of one label; or none, or by nobody.
    """
    lines = list(_corrected(table, (FILE, FINDING, CORRECTION) if store.task == "findings" else (FILE, CORRECTION)))
    if not lines:
        raise UsageError(
            f"Expected a correction or more; received {table}, whose column {CORRECTION} is empty. Write the right class beside a film."
        )
    found, stores = _Films(store), store.each
    given: dict[tuple[str, int], tuple[int, str]] = {}
    for line in lines:
        finding, own = _finding(line, stores)
        label, who = _class(line, own), line.cells.get(BY) or (by or "").strip()
        if not who:
            raise line.flaw("none", "to know who corrects", f"Give --by NAME, or fill the column {BY}.")
        if len(who) > _MOST_LETTERS:
            raise line.flaw(
                f"{len(who):,} letters", f"a name of at most {_MOST_LETTERS} letters", "Write a shorter one."
            )
        for row in found.rows(line, own):
            if given.setdefault((finding, row), (label, who))[0] != label:
                raise line.flaw(
                    "another", f"one correction a film{finding and ' and finding'}", "Leave one of the two."
                )
    changed = [about for about in sorted(given) if given[about][0] != stores[about[0]].labels[about[1]]]
    return Corrections(
        findings=[finding for finding, _ in changed],
        rows=np.array([row for _, row in changed], np.int64),
        labels=np.array([given[about][0] for about in changed], np.int64),
        by=[given[about][1] for about in changed],
        confirmed=len(given) - len(changed),
    )


def columns_of(store: Store) -> tuple[str, ...]:
    """Name the columns of what is written beside a store with corrections."""
    return (FILE, *((FINDING,) if store.task == "findings" else ()), LABEL, CORRECTION, BY, SHA256)


def told(table: Path, columns: Collection[str]) -> dict[tuple[str, str, str], dict[str, str]]:
    """Read what was corrected from the table beside a store, by file, SHA-256 and finding; nothing where there is none, or another."""
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = [{name: as_named(cell or "") for name, cell in row.items()} for row in csv.DictReader(file)]
        return {(row[FILE], row[SHA256], row.get(FINDING, "")): row for row in rows if {*columns} <= row.keys()}
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


def _corrected(table: Path, needed: Sequence[str]) -> Iterator[_Line]:
    """Give the rows of a table whose correction is not empty."""
    try:
        grid = read_grid(table)
        at = {name: grid.place(name) for name in (FILE, FINDING, LABEL, CORRECTION, BY, SHA256, STORE)}
    except ValueError as error:
        raise CatalogError(f"Expected a table of corrections; received {table}: {reason_of(error)}.") from error
    lacking = [name for name in needed if at[name] is None]
    if lacking:
        raise CatalogError(
            f"Expected a table of plainfilm relabel, with the columns {', '.join(needed[:-1])} and {needed[-1]}; received {table}, which lacks "
            f"{' and '.join(lacking)}."
        )
    for row, line in enumerate(grid.lines):
        cells = {name: as_named(grid.columns[column][row]) for name, column in at.items() if column is not None}
        if cells[CORRECTION]:
            yield _Line(cells, line, table)


def _finding(line: _Line, stores: Mapping[str, Store]) -> tuple[str, Store]:
    """Give the finding that a line is about, and the store as one of it; of classes "" and the store."""
    name = "" if "" in stores else line.cells[FINDING]
    if name not in stores:
        raise line.flaw(name or "none", f"a finding of the store: {', '.join(stores)}", "Name one of them.")
    return name, stores[name]


def _class(line: _Line, store: Store) -> int:
    name = line.cells[CORRECTION]
    if name not in store.classes:
        kinds = ", ".join(store.classes)
        raise line.flaw(name, f"a class of the store: {kinds}", "Write it so, or leave the cell empty.")
    return store.classes.index(name)


class _Films:
    """Finds the rows of a store that a line of a table is about."""

    def __init__(self, store: Store) -> None:
        self._store, self._identity = store, identity(store)
        self._by_name, self._by_digest = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
        for row, (file, digest) in enumerate(zip(store.file.tolist(), store.sha256.tolist(), strict=True)):
            self._by_name[harmless(file)].append(row)
            self._by_digest[digest].append(row)

    def rows(self, line: _Line, store: Store) -> list[int]:
        """Give the rows: one, or those of files that are the same by name and content; `store` is as one of what is labelled."""
        cells = line.cells
        flaw = partial(line.flaw, cells[FILE])
        if cells.get(STORE, self._identity) not in {"", self._identity}:
            raise flaw(f"films of {self._store.path}", "The table is of another store: name that one.")
        same = self._by_digest.get(cells[SHA256].casefold(), []) if cells.get(SHA256) else None
        named = self._by_name.get(cells[FILE], [])
        found = named if same is None else [row for row in same if row in named] or same
        if not found:
            raise flaw(f"films of {self._store.path}", "It has no such film: correct the name, or leave the row out.")
        if same is None and len({self._store.sha256[row] for row in found}) > 1:
            raise flaw("a film", f"Several bear the name: give the column {SHA256} of plainfilm relabel too.")
        _check_label(line, found, store)
        return found


def _check_label(line: _Line, found: Sequence[int], store: Store) -> None:
    """Hold the label that the table was written about against the one that the store has now."""
    held = {int(store.labels[row]) for row in found}
    if held == {-1}:
        raise line.flaw(line.cells[FILE], "a labelled film", "It has no label: give it one where the films come from.")
    names = {store.classes[label] for label in held if label >= 0}
    if line.cells.get(LABEL) and line.cells[LABEL] not in names:
        raise line.flaw(
            f"{line.cells[LABEL]} of {line.cells[FILE]}", f"the label that {store.path} has, {' or '.join(sorted(names))}", "Write the table anew with plainfilm relabel."
        )  # fmt: skip
