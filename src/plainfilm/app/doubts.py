"""Doubtful labels as `relabel` lists them, and what is decided about them: a filled copy of its table, written whole each time."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from plainfilm.app import locks
from plainfilm.app.commands import DECIDED
from plainfilm.harmless import as_named, write_csv
from plainfilm.serve.http_errors import Refused

_TABLE, _TOLD = "relabel.csv", "relabel.json"
_CHANCE = "probability "
_MOST, _MOST_ROWS, _MOST_BYTES, _MOST_TABLE_BYTES = 100, 200_000, 1 << 22, 1 << 28
_COLUMNS = {"file", "label", "suggested", "correction", "doubtful", "copy", "sha256"}


@dataclass(frozen=True, slots=True)
class Doubts:
    """A folder of `relabel`: its classes, its doubtful rows by column as text, the most doubtful first, and the headers of its table."""

    folder: Path
    classes: list[str]
    headers: list[str]
    rows: list[dict[str, str]]

    @classmethod
    def read(cls, folder: Path) -> "Doubts":
        """Read the table as far as labels are doubtful.

        Raises
        ------
        Refused
            404 where there is none.
        """
        if not (_is_plain_file(folder / _TOLD) and _is_plain_file(folder / _TABLE)):
            raise _none()
        try:
            with (folder / _TOLD).open("rb") as told:
                classes = [str(name) for name in json.loads(told.read(_MOST_BYTES))["classes"]]
            rows = list[dict[str, str]]()
            with (folder / _TABLE).open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                headers = list(reader.fieldnames or ())
                for row in reader if {*headers} >= _COLUMNS else ():
                    if row.get("doubtful") != "yes" or len(rows) >= _MOST_ROWS:
                        break
                    rows.append(
                        {
                            name: as_named(cell or "")
                            for name, cell in row.items()
                            if name is not None and not isinstance(cell, list)
                        }
                    )
        except (OSError, ValueError, KeyError, TypeError, csv.Error, RecursionError):
            raise _none() from None
        if not {*headers} >= _COLUMNS:
            raise _none()
        return cls(folder, classes, headers, rows)

    def told(self, start: int, many: int) -> dict[str, Any]:
        """Give some of them as the page takes them."""
        decided = self.decided()
        shown = self.rows[max(0, start) :][: min(many, _MOST)]
        return {
            "classes": self.classes,
            "number": len(self.rows),
            "decided": len(decided),
            "rows": [self._told(row, place, decided) for place, row in enumerate(shown, max(0, start))],
        }

    def _told(self, row: Mapping[str, str], place: int, decided: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
        source = f"api/doubts/picture?made={quote(str(self.folder))}&place={place}&which="
        pictures = [{"caption": f"This film: {row['label']}", "src": f"{source}film"}]
        if row["copy"]:
            pictures.append({"caption": "Its copy, which bears another label", "src": f"{source}copy"})
        kept = {name: row[name] for name in ("file", "sha256", "label", "suggested")}
        chances = {name: _number(row.get(_CHANCE + name, "")) for name in self.classes}
        correction = decided.get(row["sha256"], {}).get("correction", "")
        return {
            "place": place + 1,
            **kept,
            "copy": row["copy"] or None,
            "chances": chances,
            "pictures": pictures,
            "correction": correction,
        }

    def decided(self) -> dict[str, dict[str, str]]:
        """Give the rows that were decided, by SHA-256."""
        if not _is_plain_file(self.folder / DECIDED):
            return {}
        try:
            with (self.folder / DECIDED).open(newline="", encoding="utf-8") as file:
                rows = [
                    {name: as_named(cell or "") for name, cell in row.items() if isinstance(cell, str)}
                    for row in csv.DictReader(file)
                ]
        except (OSError, ValueError, csv.Error):
            return {}
        return {row["sha256"]: row for row in rows if row.get("sha256") and row.get("correction")}

    def decide(self, sha256: object, correction: object) -> int:
        """Keep a correction, or take it back where it is None; give how many there are.

        Raises
        ------
        Refused
            400 for a film or a class that is not there.
        """
        row = next((each for each in self.rows if each["sha256"] == sha256), None)
        if row is None:
            raise Refused(
                400, "film", "Expected a film whose label is doubtful; received another. Load the list again."
            )
        if correction is not None and correction not in self.classes:
            raise Refused(
                400, "class", f"Expected one of {', '.join(self.classes)}; received another class. Choose one."
            )
        decided = self.decided()
        decided.pop(row["sha256"], None)
        if correction is not None:
            decided[row["sha256"]] = row | {"correction": str(correction)}
        text = io.StringIO()
        write_csv(text, [self.headers, *([each.get(name, "") for name in self.headers] for each in decided.values())])
        locks.write(self.folder / DECIDED, text.getvalue().encode())
        return len(decided)

    def picture(self, place: int, which: str) -> dict[str, str]:
        """Say which film of the store a picture shows: by SHA-256, or by its name.

        Raises
        ------
        Refused
            404 where there is none.
        """
        if not 0 <= place < len(self.rows) or (which == "copy" and not self.rows[place]["copy"]):
            raise Refused(404, "picture", "Expected a film of the list; received another. Load the list again.")
        row = self.rows[place]
        return {"file": row["copy"]} if which == "copy" else {"sha256": row["sha256"]}


def _is_plain_file(path: Path) -> bool:
    """Whether a path is a file that ends: no pipe or device, and no link that leads to one, or out of ROOT."""
    return path.is_file() and not path.is_symlink() and path.stat().st_size <= _MOST_TABLE_BYTES


def _none() -> Refused:
    return Refused(
        404,
        "doubts",
        "Expected a folder of plainfilm relabel; received none that can be read. Look for doubtful labels anew.",
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
