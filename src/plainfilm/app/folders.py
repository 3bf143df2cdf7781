"""The folders of this machine, below ROOT, as a tree to choose from."""

import csv
import errno
import os
from pathlib import Path
from typing import Any

from plainfilm.app.places import Places
from plainfilm.data.extensions import ARCHIVES, DICOM_EXTENSIONS, IMAGE_EXTENSIONS, TABLE_EXTENSIONS
from plainfilm.harmless import harmless
from plainfilm.reasons import reason_of
from plainfilm.serve.http_errors import Refused

_MOST = 2000
_MOST_BYTES, _ROWS, _LETTERS = 1 << 18, 4, 200  # of a table


def listed(places: Places, path: Path, prefix: str = "") -> dict[str, Any]:
    """Give what is in a folder: folders, archives and tables whose names begin with `prefix`, and how many files look like images.

    Raises
    ------
    Refused
        404 where it is no folder, or may not be listed.
    """
    folders, archives, tables = list[dict[str, Any]](), list[dict[str, Any]](), list[dict[str, Any]]()
    images, seen, low = 0, 0, prefix.casefold()
    try:
        with os.scandir(path) as found:
            for entry in found:
                suffixes = entry.name.lower().partition(".")[2]
                last = suffixes.rpartition(".")[2]
                if entry.name.startswith((".", "~$")) or not entry.name.casefold().startswith(low):
                    continue
                told = {"name": harmless(entry.name), "path": str(path / entry.name)}
                if last in IMAGE_EXTENSIONS or last in DICOM_EXTENSIONS:
                    images += 1
                elif seen >= _MOST:
                    continue
                elif last in ARCHIVES and _is_inside(places, entry, wants_folder=False):
                    archives.append(told | {"bytes": entry.stat().st_size})
                elif (suffixes in TABLE_EXTENSIONS or last in TABLE_EXTENSIONS) and _is_inside(
                    places, entry, wants_folder=False
                ):
                    tables.append(told)
                elif _is_inside(places, entry, wants_folder=True):
                    folders.append(told)
                seen = len(folders) + len(archives) + len(tables)
    except OSError as error:
        raise Refused(404, "folder", f"Expected a folder that can be listed; received {harmless(str(path))} ({reason_of(error)}). Choose another.") from None  # fmt: skip
    return {
        "path": str(path),
        "parent": None if path == places.root else str(path.parent),
        "folders": sorted(folders, key=_name),
        "archives": sorted(archives, key=_name),
        "tables": sorted(tables, key=_name),
        "images": images,
        "more": seen >= _MOST,
    }


def columns(path: Path) -> dict[str, Any]:
    """Give the columns of a CSV or TSV table, and its first rows, as far as they are short.

    Raises
    ------
    Refused
        400 where it is none that can be read here.
    """
    try:
        if not path.is_file():  # a pipe would never end
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        with path.open("rb") as file:
            head = file.read(_MOST_BYTES)
        lines = head.decode("utf-8-sig").splitlines()[:_ROWS]
        separator = max(",;\t|", key=lambda each: lines[0].count(each)) if lines else ","
        rows = list(
            csv.reader(lines if len(lines) == _ROWS or len(head) < _MOST_BYTES else lines[:-1], delimiter=separator)
        )
    except (OSError, ValueError, csv.Error) as error:
        raise Refused(400, "table", f"Expected a table in CSV or TSV; received {harmless(path.name)} ({reason_of(error)}). Write the name of the column.") from None  # fmt: skip
    shown = [[harmless(cell[:_LETTERS]) for cell in row] for row in rows]
    return {"columns": shown[0] if shown else [], "rows": shown[1:]}


def _is_inside(places: Places, entry: "os.DirEntry[str]", *, wants_folder: bool) -> bool:
    """Whether an entry is a folder, or a file, that lies below ROOT; a link is what it leads to."""
    try:
        if (entry.is_dir() if wants_folder else entry.is_file()) is False:
            return False
        return not entry.is_symlink() or Path(os.path.realpath(entry.path)).is_relative_to(places.root)
    except OSError:
        return False


def _name(told: dict[str, Any]) -> str:
    return str(told["name"]).casefold()
