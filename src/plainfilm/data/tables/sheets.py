"""Tables as spreadsheets (xlsx, xls, ods) and as parquet, with what the extra `tables` installs."""

import re
import zipfile
from array import array
from collections.abc import Iterable, Iterator
from copy import copy
from itertools import chain, islice
from pathlib import Path
from typing import Any

from plainfilm import extras
from plainfilm.data.tables.columns import is_header, is_known
from plainfilm.data.tables.grid import Grid, Trimmed, gather
from plainfilm.errors import FlawError
from plainfilm.reasons import reason_of

MOST_INFLATED = 200  # times the size of a gzip file or a workbook; tables of numbers shrink to a tenth
ALWAYS_INFLATED_BYTES = 64_000_000
MOST_CELLS = 50_000_000  # in the rectangle around all cells of a sheet
_CHUNK = 1 << 20
_CELL = re.compile(rb' r="([A-Z]{1,3})([0-9]{1,7})"')
_LINES_ABOVE = 20  # rows of a sheet among which the names of its columns are sought


def is_workbook(path: Path) -> bool:
    """Whether a zip file is one of Excel's or LibreOffice's.

    Raises
    ------
    ValueError
        It is a damaged one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            is_open_document = "mimetype" in names and b"opendocument.spreadsheet" in archive.open("mimetype").read(100)
            _check_inflated(archive, ALWAYS_INFLATED_BYTES + MOST_INFLATED * path.stat().st_size)
            _check_extent(archive, names)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise FlawError("a spreadsheet or zip archive that is damaged") from error
    return is_open_document or any(name.startswith("xl/") for name in names)


def _check_inflated(archive: zipfile.ZipFile, most: int) -> None:
    """Refuse a workbook that inflates too far, whatever it declares."""
    length = 0
    for info in map(copy, archive.infolist()):
        info.file_size = most + 1  # or zipfile would read no more than what is declared
        with archive.open(info) as member:
            while chunk := member.read(_CHUNK):
                length += len(chunk)
                if length > most:
                    raise FlawError(f"a spreadsheet that inflates to more than {MOST_INFLATED} times its size")


def _check_extent(archive: zipfile.ZipFile, names: Iterable[str]) -> None:
    """Refuse a sheet of Excel's with cells so far apart that the rectangle between them fills the memory of its reader."""
    for name in (name for name in names if name.startswith("xl/worksheets/") and name.endswith(".xml")):
        rows = columns = 0
        with archive.open(name) as sheet:
            rest = b""
            while chunk := sheet.read(_CHUNK):
                for letters, number in _CELL.findall(rest + chunk):
                    rows, columns = max(rows, int(number)), max(columns, _column_number(letters))
                rest = chunk[-32:]
                if rows * columns > MOST_CELLS:
                    raise FlawError(f"a spreadsheet whose cells lie in {rows:,} rows and {columns:,} columns")


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - ord("A") + 1
    return number


def read_sheet(path: Path) -> Grid:
    """Read the first sheet whose columns have names that are known; else the first that is not empty.

    Raises
    ------
    MissingExtraError
        The reader is not installed.
    ValueError
        The file cannot be opened, or is empty.
    """
    extras.require("reading spreadsheets", "python_calamine")
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with CalamineWorkbook.from_path(path) as workbook:
            return _first_table({name: workbook.get_sheet_by_name(name) for name in workbook.sheet_names})
    except (CalamineError, OSError) as error:
        raise FlawError(f"a spreadsheet that cannot be opened ({reason_of(error)})") from error


def _first_table(sheets: dict[str, Any]) -> Grid:
    filled = {name: sheet for name, sheet in sheets.items() if sheet.start is not None}
    if not filled:
        raise FlawError("an empty file")
    heads = {name: [row for _, row in islice(_rows(sheet), _LINES_ABOVE)] for name, sheet in filled.items()}
    chosen = next((name for name, head in heads.items() if _header_row(head) is not None), next(iter(filled)))
    above = _header_row(heads[chosen]) or 0
    grid = _grid(_rows(filled[chosen]), above)
    others = [name for name in filled if name != chosen]
    if others:
        grid.remarks.append(f"The sheet {chosen} is read; {', '.join(others[:5])}{' …' * (len(others) > 5)} not.")
    if above:
        grid.remarks.append(
            f"The names of the columns are those in line {grid.lines[0] - 1 if grid.lines else above + 1}."
        )
    return grid


def _header_row(head: list[list[str]]) -> int | None:
    return next((i for i, row in enumerate(head) if any(map(is_known, row)) and is_header(head[i:])), None)


def _rows(sheet: Any) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, with their numbers in the sheet."""
    for line, row in enumerate(sheet.iter_rows(), 1):
        cells = [_text(value) for value in row]
        if any(cells):
            yield line, cells


def _grid(rows: Iterator[tuple[int, list[str]]], above: int) -> Grid:
    first = list(islice(rows, above, above + 300))
    has_header = is_header([cells for _, cells in first])
    width = len(first[0][1])
    headers = tuple(first[0][1]) if has_header else tuple(map(str, range(1, width + 1)))
    columns, lines = gather(chain(first[has_header:], rows), width)
    return Grid(headers, columns, lines, has_header)


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


# Parquet


def read_parquet(path: Path) -> Grid:
    """Read a parquet file; columns that hold no text, numbers or dates are passed over, of images in it the path counts.

    Raises
    ------
    MissingExtraError
        The reader is not installed.
    ValueError
        The file cannot be read, or is empty.
    """
    extras.require("reading parquet files", "pyarrow")
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            wanted, left_out = _readable(file.schema_arrow)
            columns: list[list[str]] = [[] for _ in wanted]
            trimmed = [Trimmed() for _ in wanted]
            for batch in file.iter_batches(columns=list(wanted.values())):
                for column, known, name in zip(columns, trimmed, wanted, strict=True):
                    column.extend(known[_plain(value)] for value in batch.column(name).to_pylist())
    except (pa.ArrowException, OSError) as error:
        raise FlawError(f"a parquet file that cannot be read ({reason_of(error)})") from error
    if not wanted:
        raise FlawError("a parquet file without a column of text or numbers")
    remarks = [f"Columns of binary data are not read: {', '.join(left_out[:5])}."] if left_out else []
    return Grid(tuple(wanted), columns, array("L", range(1, len(columns[0]) + 1)), remarks=remarks)


def _readable(schema: Any) -> tuple[dict[str, str], list[str]]:
    """Columns to read, by what is asked of the file for each, and those to pass over."""
    from pyarrow import types

    wanted, left_out = {}, []
    for field in schema:
        if types.is_struct(field.type) and "path" in [part.name for part in field.type]:
            wanted[field.name] = f"{field.name}.path"
        elif types.is_binary(field.type) or types.is_large_binary(field.type) or types.is_struct(field.type):
            left_out.append(field.name)
        else:
            wanted[field.name] = field.name
    return wanted, left_out


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return str(value["path"] or "") if isinstance(value, dict) else str(value)
