"""Plain tables for a terminal: no number or interval is broken; what is too wide goes on below, as pandas prints it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from plainfilm.harmless import harmless

_GAP = 3
_PROSE = 30  # columns from which a cell is a text that may take several lines
_LEAST = 20  # columns that such a text keeps


class Rows:
    """Rows under headings. Columns that find no room stand below the others, with the first column once more, of the rows that have them."""

    def __init__(self, headings: Sequence[str], rows: Sequence[Sequence[object]], *, right: bool = False) -> None:
        self._headings = [harmless(name) for name in headings]
        self._rows = [[harmless(str(cell)) for cell in row] for row in rows]
        self._justify = "right" if right else "left"

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        for number, columns in enumerate(self._groups(options.max_width)):
            if number:
                yield ""
            yield self._table(
                columns, [row for row in self._rows if not number or any(map(row.__getitem__, columns[1:]))]
            )

    def _natural(self, column: int) -> int:
        cells = [self._headings[column], *(row[column] for row in self._rows)]
        return max(Text(cell).cell_len for cell in cells)

    def _least(self, column: int) -> int:
        natural = self._natural(column)
        return natural if natural <= _PROSE else _LEAST

    def _groups(self, width: int) -> Iterator[list[int]]:
        """Give columns side by side that fit into a width, each time behind the first."""
        group, used = [0], self._least(0)
        for column in range(1, len(self._headings)):
            needed = _GAP + self._least(column)
            if used + needed > width and len(group) > 1:
                yield group
                group, used = [0], self._least(0)
            group.append(column)
            used += needed
        yield group

    def _table(self, columns: Sequence[int], rows: Sequence[Sequence[str]]) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, _GAP, 0, 0))
        for place, column in enumerate(columns):
            is_whole = self._natural(column) <= _PROSE
            table.add_column(
                Text(self._headings[column]),
                no_wrap=is_whole,
                min_width=self._least(column),
                overflow="fold",
                justify=self._justify if place else "left",  # type: ignore[arg-type]
            )
        for row in rows:
            table.add_row(*(Text(row[column]) for column in columns))
        return table


def of(rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str]) -> Rows:
    """Lay out dictionaries, a row each; underlines in the names of columns become spaces."""
    return Rows([name.replace("_", " ") for name in columns], [[row[name] for name in columns] for row in rows])
