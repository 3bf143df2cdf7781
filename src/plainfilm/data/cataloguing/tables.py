"""Tables that people write about images (CSV, TSV, JSON Lines), read with the column names that are usual.

Knows nothing of folders or images: bytes in, rows of text out.
"""

import csv
import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from plainfilm.errors import CatalogError

# Ours -> what others call it, by letters and digits alone; where a table has several of them, the first one counts.
COLUMNS: dict[str, tuple[str, ...]] = {
    "file_name": (
        *("filename", "file", "filepath", "path", "image", "imagename", "imagefile", "imagepath", "imagefilename"),
        *("imageindex", "imageid", "xrayimagename", "img"),
    ),
    "label": ("label", "labels", "class", "classname", "finding", "findings", "findinglabels", "diagnosis", "category"),
    "patient_id": ("patientid", "patient", "subject", "subjectid"),
    "source": ("source", "hospital", "site", "institution", "center", "centre", "institutionname", "dataset"),
    "split": ("split", "subset", "partition"),
    "view": ("view", "viewposition", "projection"),
    "sex": ("sex", "gender", "patientsex", "patientgender"),
    "age": ("age", "patientage"),
    "folder": ("folder",),
    "modality": ("modality",),
    "sop_instance_uid": ("sopinstanceuid",),
    "study_instance_uid": ("studyinstanceuid",),
    "accession_number": ("accessionnumber", "accession"),
}
_NO_VALUE = {"", "nan", "none", "null", "n/a", "na"}


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row: `line` in the file from 1, `values` under our column names, `details` under the table's own."""

    line: int
    values: dict[str, str]
    details: dict[str, str]

    def get(self, column: str) -> str:
        """Text of one of our columns, "" where there is none."""
        return self.values.get(column, "")


@dataclass(frozen=True, slots=True)
class Table:
    """A table as read: `headers` as written, `named` from our column names to those of the table."""

    path: Path
    headers: tuple[str, ...]
    named: dict[str, str]
    rows: tuple[TableRow, ...]


def read_table(path: Path) -> Table:
    """Read a CSV file (comma, semicolon or tab) or a JSON Lines file (`.jsonl`, `.ndjson`), with a header.

    Text is UTF-8, with or without a byte order mark, UTF-16 with one, or else Windows-1252. Header names count by their
    letters and digits alone, as in `COLUMNS`. Cells are trimmed; an empty one, or NaN, null and the like, is none.

    Raises
    ------
    CatalogError
        The file is missing, cannot be read, or is no such table.
    """
    text = _text(path)
    try:
        is_json = path.suffix.lower() in {".jsonl", ".ndjson"}
        headers, records = _json_records(text) if is_json else _csv_records(text)
    except (ValueError, csv.Error) as error:
        raise CatalogError(f"Expected a table in {path}; received {error}. Correct the file.") from error
    named = _named(headers)
    ours = {header: column for column, header in named.items()}
    return Table(path, headers, named, tuple(_row(line, record, ours) for line, record in records))


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CatalogError(
            f"Expected a table that can be read; received {path} ({error.strerror}). Check its name and permissions."
        ) from error
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise CatalogError(f"Expected a CSV table; received {path}, a spreadsheet. Save it as CSV (UTF-8).")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    if b"\x00" in data:
        raise CatalogError(
            f"Expected a table of text; received {path}, which holds binary data. Save it as CSV (UTF-8)."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


Records = tuple[tuple[str, ...], list[tuple[int, dict[str, str]]]]


def _csv_records(text: str) -> Records:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    headers: tuple[str, ...] = ()
    records = []
    for cells in reader:
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            continue
        if not headers:
            headers = tuple(cells)
            continue
        if any(cells[len(headers) :]):
            raise ValueError(f"{len(cells)} cells in line {reader.line_num} under {len(headers)} column names")
        records.append((reader.line_num, dict(zip(headers, cells, strict=False))))
    if not headers:
        raise ValueError("an empty file")
    return headers, records


def _delimiter(text: str) -> str:
    header = next((line for line in text.splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", header)
    return max(",;\t", key=bare.count)


def _json_records(text: str) -> Records:
    records = []
    headers: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"line {number}, which is not JSON ({error.msg})") from error
        if not isinstance(record, dict):
            raise ValueError(f"line {number}, which is not a JSON object")  # noqa: TRY004 (a fault of the file)
        headers |= dict.fromkeys(record)
        records.append((number, {name: _plain(value) for name, value in record.items()}))
    if not headers:
        raise ValueError("an empty file")
    return tuple(headers), records


def _plain(value: object) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _named(headers: Iterable[str]) -> dict[str, str]:
    by_letters: dict[str, str] = {}
    for header in headers:
        by_letters.setdefault(re.sub(r"[^a-z0-9]", "", header.lower()), header)
    found = {
        column: next((by_letters[alias] for alias in aliases if alias in by_letters), None)
        for column, aliases in COLUMNS.items()
    }
    return {column: header for column, header in found.items() if header is not None}


def _row(line: int, record: dict[str, str], ours: dict[str, str]) -> TableRow:
    known = {header: cell for header, cell in record.items() if header and cell.lower() not in _NO_VALUE}
    values = {ours[header]: cell for header, cell in known.items() if header in ours}
    return TableRow(line, values, {header: cell for header, cell in known.items() if header not in ours})
