"""Tables as JSON: lines of objects, a list of objects, and the forms that pandas writes."""

import json
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from plainfilm.data.tables.columns import is_known, names_image
from plainfilm.data.tables.grid import Grid, Trimmed
from plainfilm.errors import FlawError

Record = Mapping[str, Any]

_MOST_COLUMNS = 10_000
_BETWEEN = re.compile(r"[\s,]*")


def read_json(text: str, *, lines: bool = False) -> Grid:
    """Read a list of objects, lines of objects (asked for by `lines`, or seen), or an object of columns or of rows.

    Raises
    ------
    ValueError
        It is no JSON, or no table.
    """
    start = _BETWEEN.match(text).end()  # type: ignore[union-attr]  # it fits the empty string
    if text[start : start + 1] == "[" and not lines:
        return _grid(_listed(text, start + 1))
    first_end = text.find("\n", start) % (len(text) + 1)
    if lines or (text[first_end:].strip() and _is_object(text[start:first_end])):
        return _grid(_by_line(text))
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise FlawError(f"line {error.lineno}, which is not JSON") from error
    return _grid(enumerate(_records(document), 1))


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _by_line(text: str) -> Iterator[tuple[int, Record]]:
    number, start = 0, 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        number += 1
        line = text[start:end].strip()
        start = end + 1
        if not line:
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise FlawError(f"line {number}, which is not JSON") from error
        yield number, _object(record, f"line {number}")


def _listed(text: str, place: int) -> Iterator[tuple[int, Record]]:
    """Objects of a list, one at a time, so that a long one never stands in memory as a whole."""
    decoder = json.JSONDecoder()
    number = 0
    while True:
        place = _BETWEEN.match(text, place).end()  # type: ignore[union-attr]
        if text[place : place + 1] == "]":
            return
        number += 1
        try:
            record, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise FlawError(f"row {number}, in line {error.lineno}, which is not JSON") from error
        yield number, _object(record, f"row {number}")


def _object(record: object, where: str) -> Record:
    if not isinstance(record, dict):
        raise FlawError(f"{where}, which is not a JSON object")
    return record


def _records(document: Record) -> Iterable[Record]:
    """Rows of an object: `{"data": [rows]}`, columns, rows by name, pandas' `split`, or one word a file."""
    values = list(document.values())
    lists_of_rows = [value for value in values if isinstance(value, list) and value and isinstance(value[0], dict)]
    if len(lists_of_rows) == 1:
        return [_object(record, f"row {number}") for number, record in enumerate(lists_of_rows[0], 1)]
    if isinstance(document.get("columns"), list) and isinstance(document.get("data"), list):
        return [dict(zip(map(str, document["columns"]), row, strict=False)) for row in document["data"]]
    if values and all(isinstance(value, list) for value in values):
        return _from_columns({name: dict(enumerate(column)) for name, column in document.items()})
    if values and all(isinstance(value, dict) for value in values):
        return _of_objects(document)
    if values and all(names_image(name) and not isinstance(value, dict | list) for name, value in document.items()):
        return [{"file_name": name, "label": value} for name, value in document.items()]
    return [document]


def _of_objects(document: Record) -> list[Record]:
    outer, inner = list(document), list(next(iter(document.values())))
    by_column = any(map(is_known, outer)) or not any(map(is_known, inner))
    if by_column and not any(map(names_image, outer)):
        return _from_columns(document)
    names_files = any(map(names_image, outer))
    return [{**({"file_name": name} if names_files else {}), **record} for name, record in document.items()]


def _from_columns(columns: Mapping[str, Mapping[Any, Any]]) -> list[Record]:
    index = dict.fromkeys(key for column in columns.values() for key in column)
    return [{name: column[key] for name, column in columns.items() if key in column} for key in index]


def _grid(records: Iterable[tuple[int, Record]]) -> Grid:
    columns: dict[str, list[str]] = {}
    trimmed: dict[str, Trimmed] = {}
    lines = array("L")
    for line, record in records:
        for name in record:
            if name not in columns:
                columns[name], trimmed[name] = [""] * len(lines), Trimmed()
                if len(columns) > _MOST_COLUMNS:
                    raise FlawError(f"more than {_MOST_COLUMNS:,} columns")
        for name, column in columns.items():
            column.append(trimmed[name][_text(record.get(name))])
        lines.append(line)
    if not columns:
        raise FlawError("an empty file")
    return Grid(tuple(columns), list(columns.values()), lines)


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
