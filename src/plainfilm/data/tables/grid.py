"""A table as it stands in a file: names of columns and cells of text, column by column."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from plainfilm.errors import FlawError

_ROWS_AT_ONCE = 8192
_CELLS_REMEMBERED = 1 << 16  # of a column; a cell that recurs is kept once


class Trimmed(dict[str, str]):
    """Cell as written -> the cell without outer blanks, one object for equal cells."""

    def __missing__(self, cell: str) -> str:
        text = cell.strip()
        if len(self) < _CELLS_REMEMBERED:
            self[cell] = text
        return text


@dataclass(slots=True)
class Grid:
    """`headers` as written ("" where a column has none), `columns` of equal length, the `lines` that rows begin at.

    Without a header, `headers` are the numbers of the columns from 1. Where there are no lines, they count rows.
    """

    headers: tuple[str, ...]
    columns: list[list[str]]
    lines: "array[int]"
    has_header: bool = True
    remarks: list[str] = field(default_factory=list)

    def place(self, *names: str) -> int | None:
        """Give the column that has the first of some names, whatever its case; None where none has.

        Raises
        ------
        FlawError
            Two columns have it, and differ.
        """
        found = [header.strip().casefold() for header in self.headers]
        name = next((name for name in names if name.casefold() in found), None)
        if name is None:
            return None
        places = [place for place, header in enumerate(found) if header == name.casefold()]
        if any(self.columns[place] != self.columns[places[0]] for place in places):
            raise FlawError(f"two columns {name} that differ")
        return places[0]


def gather(rows: Iterable[tuple[int, Sequence[str]]], width: int) -> tuple[list[list[str]], "array[int]"]:
    """Turn rows of `width` cells into columns and line numbers; cells are trimmed, equal ones share memory."""
    columns: list[list[str]] = [[] for _ in range(width)]
    trimmed = [Trimmed() for _ in range(width)]
    lines = array("L")
    rows = iter(rows)
    while chunk := list(islice(rows, _ROWS_AT_ONCE)):
        lines.extend(line for line, _ in chunk)
        for column, known, cells in zip(
            columns, trimmed, zip(*(cells for _, cells in chunk), strict=True), strict=True
        ):
            column.extend(map(known.__getitem__, cells))
    return columns, lines
