"""Tables that people write about images, read with the column names that are usual.

Knows nothing of folders or images: a file in, rows of text out.
"""

import re
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from plainfilm.data.tables.columns import is_sure_header, is_weak, letters, roles, shown
from plainfilm.data.tables.files import read_grid
from plainfilm.data.tables.findings import NO_VALUE
from plainfilm.data.tables.grid import Grid
from plainfilm.errors import CatalogError, FlawError
from plainfilm.reasons import reason_of

_NUMBERS = {
    "label",
    "patient_id",
    "study_id",
    "accession_number",
    "age",
}  # pandas writes these as 1.0 beside an empty cell
_WHOLE = re.compile(r"(-?)(0|[1-9]\d*)[.,]0+")


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a table; nothing is kept but where it stands."""

    table: "Table"
    place: int

    @property
    def line(self) -> int:
        """Line of the file that the row begins at, from 1; of a JSON list and of parquet the number of the row."""
        return self.table.lines[self.place]

    @property
    def values(self) -> dict[str, str]:
        """Cells under our column names, those that are there."""
        return {ours: cell for ours in self.table.named if (cell := self.get(ours))}

    @property
    def details(self) -> dict[str, str]:
        """Cells of all other columns under the table's own names, those that are there."""
        cells = self.table.cells
        return {header: cell for header in self.table.others if (cell := cells[header][self.place])}

    def get(self, column: str) -> str:
        """Text of one of our columns, "" where there is none."""
        header = self.table.named.get(column)
        return "" if header is None else self.table.cells[header][self.place]

    def cell(self, header: str) -> str:
        """Text under one of the table's own names."""
        return self.table.cells[header][self.place]


class Rows:
    """Rows of a table, each made when asked for, so that a million take no memory."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table.lines)

    def __getitem__(self, place: int) -> TableRow:
        return TableRow(self._table, range(len(self))[place])

    def __iter__(self) -> Iterator[TableRow]:
        return (TableRow(self._table, place) for place in range(len(self)))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Table:
    """A table as read.

    `headers` are the names of its columns, `cells` their text by these names, each as long as `lines`; a cell without a
    value is "". `named` leads from our column names to those of the table, `others` are the remaining ones, and
    `finding_columns` those of `others` that state one finding each (`findings.finding_state` reads their cells).
    Without a header the columns are called by their numbers, "1", "2" …, `has_header` is False, and there are no
    `others`, for a column that nothing is known of may hold the names of patients. `remarks` are sentences about what was not read as it stands.
    """

    path: Path
    headers: tuple[str, ...]
    cells: dict[str, list[str]]
    lines: "array[int]"
    named: dict[str, str]
    others: tuple[str, ...]
    finding_columns: tuple[str, ...]
    has_header: bool
    remarks: tuple[str, ...]

    @property
    def rows(self) -> Rows:
        """All rows, in order."""
        return Rows(self)

    @property
    def is_about_files(self) -> bool:
        """Whether it names files; a list of series or of patients does not."""
        return "file_name" in self.named

    @property
    def weak(self) -> frozenset[str]:
        """Our names whose columns may well mean something else (`columns.is_weak`)."""
        return frozenset(ours for ours, header in self.named.items() if is_weak(ours, header))

    def column(self, ours: str) -> list[str]:
        """Cells under one of our names, which `named` must have."""
        return self.cells[self.named[ours]]

    def shown_headers(self) -> str:
        """Names of its columns for a message; never what may be the data of a patient."""
        if not self.has_header:
            return f"{len(self.headers)} columns and no header"
        return shown(self.headers, sure=is_sure_header(self.headers, list(self.cells.values())))


def _flaw(error: ValueError) -> str:
    return str(error) if isinstance(error, FlawError) else f"one that is damaged ({reason_of(error)})"


def read_table(path: Path, *, columns: Mapping[str, str] | None = None) -> Table:
    """Read a table: CSV with any usual separator (also in gzip), JSON, JSON Lines, a spreadsheet or parquet.

    Text is UTF-8, UTF-16 or else Windows-1252. Columns are known by the letters and digits of their names, as in
    `columns.COLUMNS`; a table without a header by what is in its columns, where that is certain. Cells are trimmed; an
    empty one, NaN, null and the like is none, and so is `none`, except as a label. Whole numbers among labels and
    identities are written without a fraction: `0`, `0.0` and `0 ` are one, `007` is another than `7`.

    Parameters
    ----------
    path
        The file; what it holds counts, not how it is called, except that `.jsonl` and `.ndjson` are JSON Lines.
    columns
        Our column name -> the table's name for it, exactly, or by letters and digits, or the column's number from 1.

    Raises
    ------
    CatalogError
        The file is missing, cannot be read, is no table, lacks a column of `columns`, or has one that is needed twice.
    MissingExtraError
        What reads spreadsheets or parquet (the extra `tables`) is not installed.
    """
    try:
        grid = read_grid(path)
    except ValueError as error:
        raise CatalogError(f"Expected a table in {path}; received {_flaw(error)}. Correct the file.") from error
    found, findings = roles(grid, path, columns or {})
    kept = _kept(grid, set(found.values()))
    for ours, place in found.items():
        grid.columns[place] = _values(grid.columns[place], ours)
    for place in set(kept.values()) - set(found.values()):
        grid.columns[place] = _values(grid.columns[place], "")
    named = {ours: grid.headers[place] for ours, place in found.items()}
    return Table(
        path=path,
        headers=tuple(kept),
        cells={header: grid.columns[place] for header, place in kept.items()},
        lines=grid.lines,
        named=named,
        others=tuple(header for header in kept if header not in named.values() and grid.has_header),
        finding_columns=tuple(grid.headers[place] for place in findings if kept.get(grid.headers[place]) == place),
        has_header=grid.has_header,
        remarks=(*grid.remarks, *_said(grid, named)),
    )


def _kept(grid: Grid, needed: set[int]) -> dict[str, int]:
    """Columns by their names: of several of one name the one that is needed, else the first."""
    kept: dict[str, int] = {}
    for place, header in enumerate(grid.headers):
        if header in kept:
            grid.remarks.append(f"Two columns are called {header}; column {kept[header] + 1} is read.")
        elif place in needed or (header and not letters(header).startswith("unnamed")):
            kept[header] = next((other for other in sorted(needed) if grid.headers[other] == header), place)
    return kept


def _said(grid: Grid, named: Mapping[str, str]) -> list[str]:
    if grid.has_header or not named:
        return []
    return ["No header; " + ", ".join(f"column {header} is taken as {ours}" for ours, header in named.items()) + "."]


class _Values(dict[str, str]):
    """Cell -> its value: "" where it is none, whole numbers without a fraction where they name something."""

    def __init__(self, ours: str) -> None:
        super().__init__()
        self._none = NO_VALUE if ours == "label" else NO_VALUE | {"none"}
        self._is_number = ours in _NUMBERS

    def __missing__(self, cell: str) -> str:
        if len(cell) <= 4 and cell.lower() in self._none:
            return ""
        if self._is_number and (whole := _WHOLE.fullmatch(cell)):
            self[cell] = whole[1] * (whole[2] != "0") + whole[2]
            return self[cell]
        return cell


def _values(column: list[str], ours: str) -> list[str]:
    value = _Values(ours)
    return [value[cell] for cell in column]
