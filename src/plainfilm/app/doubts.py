"""Doubtful labels as `relabel` lists them, and what is decided about them: a filled copy of its table, written whole each time."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
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
_Key = tuple[str, str]  # SHA-256 and finding; "" of classes
_COLUMNS = {"file", "label", "suggested", "correction", "doubtful", "copy", "sha256"}


@dataclass(frozen=True, slots=True)
class Doubts:
    """A folder of `relabel`: its classes, its doubtful rows by column as text, the most doubtful first, and the headers of its table."""

    folder: Path
    classes: list[str]
    headers: list[str]
    rows: list[dict[str, str]]
    beside: Mapping[_Key, Sequence[Mapping[str, str]]]

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
            with (folder / _TOLD).open("rb") as file:
                told = json.loads(file.read(_MOST_BYTES))
            classes = [str(name) for name in told["classes"]]
            beside = {
                (str(each["sha256"]), str(each.get("finding", ""))): [_film(film) for film in each["films"]]
                for each in told.get("beside", ())
            }
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
        except (OSError, ValueError, LookupError, TypeError, AttributeError, csv.Error, RecursionError):
            raise _none() from None
        if not {*headers} >= _COLUMNS:
            raise _none()
        return cls(folder, classes, headers, rows, beside)

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

    def _told(self, row: Mapping[str, str], place: int, decided: Mapping[_Key, Mapping[str, str]]) -> dict[str, Any]:
        source = f"api/doubts/picture?made={quote(str(self.folder))}&place={place}&which="
        captions = [f"This film: {row['label']}", *(film["caption"] for film in self._beside(row))]
        kept = {name: row[name] for name in ("file", "sha256", "label", "suggested")}
        finding = row.get("finding", "")
        chances = (
            {finding: _number(row.get("probability", ""))}
            if finding
            else {name: _number(row.get(_CHANCE + name, "")) for name in self.classes}
        )
        return {
            "place": place + 1,
            **kept,
            "finding": finding or None,
            "choices": self._choices(row),
            "copy": row["copy"] or None,
            "chances": chances,
            "pictures": [{"caption": caption, "src": f"{source}{which}"} for which, caption in enumerate(captions)],
            "correction": decided.get(_key(row), {}).get("correction", ""),
        }

    def _choices(self, row: Mapping[str, str]) -> list[str]:
        """Give the labels that a film may have in truth: the classes, or a finding and its absence."""
        return sorted({row["label"], row["suggested"]}) if row.get("finding") else self.classes

    def _beside(self, row: Mapping[str, str]) -> Sequence[Mapping[str, str]]:
        """Give the films to look at beside one, as the page of `relabel` shows them; further down the list a copy alone."""
        copy = [{"file": row["copy"], "caption": "Its copy"}] if row["copy"] else []
        return self.beside.get(_key(row), copy)

    def decided(self) -> dict[_Key, dict[str, str]]:
        """Give the rows that were decided."""
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
        return {_key(row): row for row in rows if row.get("sha256") and row.get("correction")}

    def decide(self, sha256: object, correction: object, finding: object = "") -> int:
        """Keep a correction, or take it back where it is None; give how many there are.

        Raises
        ------
        Refused
            400 for a film or a class that is not there.
        """
        row = next((each for each in self.rows if _key(each) == (sha256, finding or "")), None)
        if row is None:
            raise Refused(
                400, "film", "Expected a film whose label is doubtful; received another. Load the list again."
            )
        if correction is not None and correction not in self._choices(row):
            raise Refused(
                400, "class", f"Expected one of {', '.join(self._choices(row))}; received another class. Choose one."
            )
        decided = self.decided()
        decided.pop(_key(row), None)
        if correction is not None:
            decided[_key(row)] = row | {"correction": str(correction)}
        text = io.StringIO()
        write_csv(text, [self.headers, *([each.get(name, "") for name in self.headers] for each in decided.values())])
        locks.write(self.folder / DECIDED, text.getvalue().encode())
        return len(decided)

    def picture(self, place: int, which: int) -> dict[str, str]:
        """Say which film of the store a picture shows, by SHA-256 or by its name: 0 for the film itself, then those beside it.

        Raises
        ------
        Refused
            404 where there is none.
        """
        row = self.rows[place] if 0 <= place < len(self.rows) else None
        films = [] if row is None else [{"sha256": row["sha256"]}, *self._beside(row)]
        if not 0 <= which < len(films):
            raise Refused(404, "picture", "Expected a film of the list; received another. Load the list again.")
        return {name: text for name, text in films[which].items() if name != "caption"}


def _key(row: Mapping[str, str]) -> _Key:
    return row["sha256"], row.get("finding", "")


def _film(told: Mapping[str, Any]) -> dict[str, str]:
    return {"sha256": str(told["sha256"]), "caption": str(told["caption"])}


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
