"""Tables of text: what separates their cells, which lines are none of theirs, and whether the first names columns."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from plainfilm.data.tables.columns import is_header, is_known, names_image
from plainfilm.data.tables.grid import Grid, gather
from plainfilm.errors import FlawError
from plainfilm.reasons import reason_of

_BLANKS = " "
_LOOKED_AT = 300  # lines, or rows
_LONGEST_TITLE, _TITLE_LETTERS = 10, 10_000  # lines, and letters of each
_LONGEST_CELL = 1 << 24  # characters; an outline of pixels may take hundreds of thousands
_DIRECTIVE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


class _Lines:
    """Lines for the reader of cells, without comments; `number` counts all from 1."""

    def __init__(self, lines: Iterable[str], separator: str) -> None:
        self._lines = iter(lines)
        self._separator = separator
        self.number = 0
        self.first = 0  # line that the row begins at, 0 until one does
        self.width = 0  # cells of the first row, 0 until it is read

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        for line in self._lines:
            self.number += 1
            if self.first:
                return line
            if line.startswith("#") and _is_comment(line, self._separator, self.width):
                continue
            if line.strip():
                self.first = self.number
                return line
        raise StopIteration


def _is_comment(line: str, separator: str, width: int) -> bool:
    """Whether a line that begins with # is no row: a name or a file may begin so too."""
    if line[1:2] == separator != _BLANKS:
        return False
    return not width or line[1:2].isspace() or len(_cells(line, separator)) != width


def read_text(lines: Iterable[str]) -> Grid:
    """Read the lines of a table, with or without a header.

    Raises
    ------
    ValueError
        It is empty, a row has more cells than there are names, or a quote is not closed.
    """
    csv.field_size_limit(_LONGEST_CELL)
    stream = iter(lines)
    head = list(islice(stream, _LOOKED_AT))
    before, separator = _opening(head)
    if before is None:
        separator = separator_of(_full(head))
        before = _commented_header(head, separator)
    read = _Lines(chain(before, head[len(before) :], stream), separator)
    rows = _rows(read, separator)
    first = list(islice(rows, _LOOKED_AT))
    if not first:
        raise FlawError("an empty file")
    return _grid(first, rows)


def _opening(head: Sequence[str]) -> tuple[list[str] | None, str]:
    """Lines to read instead of the first ones, and the separator, where Excel's first line names it or is a title."""
    for i, line in enumerate(head):
        directive = _DIRECTIVE.fullmatch(line)
        if directive:
            return ["\n"] * (i + 1), directive[1]
        if line.strip():
            break
    title = _title_lines(head)
    return (["\n"] * title, separator_of(_full(head[title:]))) if title else (None, "")


def _full(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _title_lines(head: Sequence[str]) -> int:
    """How many lines stand above the names of columns: a title, or none."""
    for i, line in enumerate(head[:_LONGEST_TITLE]):
        cells = max((_cells(line[:_TITLE_LETTERS], separator) for separator in "\t;,|"), key=len)
        if any(map(names_image, cells)) or (i == 0 and any(map(is_known, cells))):
            return 0
        if sum(map(is_known, cells)) > 1:
            return i
    return 0


def _commented_header(head: Sequence[str], separator: str) -> list[str]:
    """Lines to read instead of the first ones where the names of columns stand behind a #, as NumPy writes them."""
    count = next((i for i, line in enumerate(head) if line.strip() and not line.startswith("#")), len(head))
    if not 0 < count < len(head) or any(map(is_known, _cells(head[count], separator))):
        return []
    names = _cells(head[count - 1].lstrip("# "), separator)
    if not is_known(names[0] if names else "") or len(names) != len(_cells(head[count], separator)):
        return []
    return [*head[: count - 1], head[count - 1].lstrip("# ")]


def _grid(first: list[tuple[int, list[str]]], rows: Iterator[tuple[int, list[str]]]) -> Grid:
    stripped = [[cell.strip() for cell in cells] for _, cells in first]
    width = len(stripped[0])
    has_header = is_header([(cells + [""] * width)[:width] for cells in stripped])
    if not has_header:
        headers = [str(number) for number in range(1, max(map(len, stripped)) + 1)]
    else:
        headers = [""] * _has_row_names(stripped) + stripped[0]
    body = _Body(headers, stripped[0] if has_header else [])
    columns, lines = gather(body.even(chain(first[has_header:], rows)), len(headers))
    return Grid(tuple(headers), columns, lines, has_header, body.remarks())


def _has_row_names(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the rows are numbered in a column that the header does not name, as R writes them."""
    width = len(rows[0]) + 1
    return all(len(row) == width and row[0] == str(i) for i, row in enumerate(rows[1:], 1)) and len(rows) > 1


class _Body:
    """The rows below a header, brought to one width, and what there is to say of those that were not so."""

    def __init__(self, headers: Sequence[str], header: Sequence[str]) -> None:
        self._width = len(headers)
        self._needed = max((place for place, name in enumerate(headers, 1) if name), default=0)
        self._header = list(header)
        self._short: list[int] = []
        self._repeated: list[int] = []

    def even(self, rows: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
        for line, cells in rows:
            if len(cells) != self._width:
                self._check(line, cells)
                cells = (cells + [""] * self._width)[: self._width]
            if (
                self._header
                and cells[0].strip() == self._header[0]
                and [cell.strip() for cell in cells] == self._header
            ):
                self._repeated.append(line)
            else:
                yield line, cells

    def _check(self, line: int, cells: Sequence[str]) -> None:
        if any(map(str.strip, cells[self._width :])):
            raise FlawError(
                f"{len(cells)} cells in line {line} under {self._width} column names; "
                "quote a cell that holds the separator"
            )
        if len(cells) < self._needed:
            self._short.append(line)

    def remarks(self) -> list[str]:
        said = []
        if self._short:
            said.append(f"{len(self._short)} rows, such as line {self._short[0]}, have cells for some columns alone.")
        if self._repeated:
            said.append(f"The names of the columns stand again in line {self._repeated[0]}; not read as a row.")
        return said


def _rows(lines: _Lines, separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = _reader(lines, separator)
    while True:
        lines.first = 0
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FlawError(f"{reason_of(error)} in the row that begins in line {lines.first}") from error
        if any(map(str.strip, cells)):
            lines.width = lines.width or len(cells)
            yield lines.first, cells


def _reader(lines: Iterable[str], separator: str, *, strict: bool = True) -> Iterator[list[str]]:
    if separator == _BLANKS:
        return (_apart(line) for line in lines)
    return csv.reader(lines, delimiter=separator, strict=strict, skipinitialspace=True)


def _apart(line: str) -> list[str]:
    return [cell.strip('"') for cell in re.findall(r'"[^"]*"|\S+', line)]


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in next(_reader([line], separator, strict=False), [])]


# What separates cells


def separator_of(lines: Sequence[str]) -> str:
    """Give the tab, `;`, `,` or `|` under which most rows have as many cells as the first; blanks where none fits."""
    best = max("\t;,|", key=lambda separator: _fit(lines, separator))
    if _fit(lines, best) > (False, 0, 0.0, 0):
        return best
    return _BLANKS if _blanks_separate(lines) else ","


def _fit(lines: Sequence[str], separator: str) -> tuple[bool, int, float, int]:
    try:
        rows = [row for row in _reader(lines, separator, strict=False) if any(row)]
    except csv.Error:
        rows = []
    width = len(rows[0]) if rows else 0
    if width < 2:
        return False, 0, 0.0, 0
    rest = rows[1:-1] if len(rows) > 2 else rows[1:]  # the last may be cut
    width += _has_row_names([rows[0], *rest])
    alike = sum(not any(row[width:]) and len(row) > 1 for row in rest) / len(rest) if rest else 1.0
    return alike >= 0.9, sum(map(is_known, rows[0])), alike, width


def _blanks_separate(lines: Sequence[str]) -> bool:
    rows = [_apart(line) for line in lines] or [[]]
    widths = {len(row) for row in (rows[1:] if _has_row_names(rows) else rows)}
    if is_known("".join(rows[0])) or len(widths) != 1 or max(widths) < 2:
        return False
    if any(map(is_known, rows[0])):
        return True
    one_file = all(sum(names_image(cell) for cell in row) == 1 for row in rows)
    return one_file and not all(names_image(row[-1]) for row in rows)
