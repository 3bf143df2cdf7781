"""A file -> the table in it, by what the file holds; what holds none is told by its kind."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from plainfilm.data.tables.grid import Grid
from plainfilm.data.tables.json_tables import read_json
from plainfilm.data.tables.sheets import ALWAYS_INFLATED_BYTES, MOST_INFLATED, is_workbook, read_parquet, read_sheet
from plainfilm.data.tables.text import read_text
from plainfilm.errors import CatalogError, FlawError
from plainfilm.reasons import reason_of

_CHUNK = 1 << 20
_MOST_BYTES = 8 << 30  # of text, unpacked
_BINARY = {  # how a file begins -> what it is
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"{\\rtf": "an RTF document",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy file",
    b"SQLite format 3": "a database",
    b"ARROW1": "an Arrow file, which is not parquet",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
}
_POINTERS = ("version https://git-lfs", "/annex/objects/", "../.git/annex/")
_PAGES = ("<!doctype", "<html", "<?xml", "<head", "<script")


def read_grid(path: Path) -> Grid:
    """Read the table that a file holds: text (also in gzip), JSON, a spreadsheet or parquet.

    Raises
    ------
    CatalogError
        The file is missing or may not be read.
    MissingExtraError
        What reads spreadsheets or parquet is not installed.
    ValueError
        It holds no table, or is a pipe, which cannot be read twice; the message is what it holds instead.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise FlawError("a pipe, a socket or a device; write the table to a file first")
        with path.open("rb") as file:
            head = file.read(4096)
        return _read(path, head)
    except OSError as error:
        raise CatalogError(
            f"Expected a table that can be read; received {path} ({reason_of(error)}). Check its name and permissions."
        ) from error


def _read(path: Path, head: bytes) -> Grid:
    if head.startswith(b"PK") and not is_workbook(path):
        raise FlawError("a zip archive; unpack it")
    if head.startswith((b"PK", b"\xd0\xcf\x11\xe0")):
        return read_sheet(path)
    if head.startswith(b"PAR1"):
        return read_parquet(path)
    return _read_text(path)


def _check_inflated(path: Path) -> None:
    """Refuse a gzip file that inflates too far, before its text is in memory."""
    most, length = ALWAYS_INFLATED_BYTES + MOST_INFLATED * path.stat().st_size, 0
    with _unpacked(path) as file:
        while chunk := file.read(_CHUNK):
            length += len(chunk)
            if length > most:
                raise FlawError(f"a gzip file that inflates to more than {MOST_INFLATED} times its size")


def _read_text(path: Path) -> Grid:
    try:
        _check_inflated(path)
        with _unpacked(path) as file:
            head = file.read(4096)
        _check_text(head)
        encoding = _encoding(path, head)
        with _unpacked(path) as file, io.TextIOWrapper(file, encoding, "replace", newline="") as text:
            is_lines = bool({".jsonl", ".ndjson"} & {suffix.lower() for suffix in path.suffixes[-2:]})
            start = head.decode(encoding, "replace").lstrip()[:64]
            _check_page(start)
            return read_json(text.read(), lines=is_lines) if is_lines or start[:1] in {"{", "["} else read_text(text)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FlawError(f"a gzip file that is damaged ({reason_of(error)})") from error
    except RecursionError as error:
        raise FlawError("JSON that is nested too deeply") from error


@contextmanager
def _unpacked(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if is_gzip:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            yield file


def _check_text(head: bytes) -> None:
    kind = next((kind for magic, kind in _BINARY.items() if head.startswith(magic)), "")
    if head[128:132] == b"DICM":
        kind = "a DICOM file"
    if not kind and b"\x00" in head and not _utf16(head):
        kind = "a file that holds binary data"
    if not kind and head[257:262] == b"ustar":
        kind = "a tar archive"
    if kind:
        raise FlawError(f"{kind}, no table")


def _check_page(start: str) -> None:
    if start.lower().startswith(_PAGES):
        raise FlawError("a web page, as a download leaves that failed or asked for a login; download the table itself")
    if start.startswith(_POINTERS):
        raise FlawError(
            "a pointer of Git LFS or git-annex, without the file; fetch it with `git lfs pull` or `git annex get`"
        )


def _utf16(head: bytes) -> str:
    """Encoding of text in two bytes a letter, "" where it is none."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-32" if head.startswith(codecs.BOM_UTF32_LE) else "utf-16"
    pairs = len(head) // 2
    for encoding, zeros, others in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if pairs > 2 and zeros.count(0) >= 0.7 * pairs and others.count(0) == 0:
            return encoding
    return ""


def _encoding(path: Path, head: bytes) -> str:
    """UTF-8 where all of the file is, else Windows-1252."""
    if found := _utf16(head):
        return found
    decoder = codecs.getincrementaldecoder("utf-8")()
    encoding, size = "utf-8-sig", 0
    with _unpacked(path) as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            if size > _MOST_BYTES:
                raise FlawError(f"more than {_MOST_BYTES >> 30} GiB of text")
            if b"\x00" in chunk:
                raise FlawError("a file that holds binary data, no table")
            if encoding != "cp1252":
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    encoding = "cp1252"
    return encoding
