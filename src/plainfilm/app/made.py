"""What commands have made below WORK, read from their files: projects with their stores and runs. What is there may be anyone's."""

import contextlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

from plainfilm import shell
from plainfilm.app import locks
from plainfilm.app.commands import Work
from plainfilm.app.places import Places, is_plain
from plainfilm.data.extensions import ARCHIVES
from plainfilm.harmless import harmless
from plainfilm.results.pages import PAGES
from plainfilm.results.severity import SEVERITY

Plain = dict[str, Any]
_MOST_BYTES = 1 << 22  # tenfold what runs write; in memory it may be thirtyfold
_MOST_SEEN = 5000
_MOST_FILES, _DESCRIBING_S = 500, 300.0
_EVALUATED = frozenset({"plainfilm-external-metrics", "plainfilm-unlabelled-metrics"})
_STORES = (".h5", ".hdf5")
_Mark = tuple[int, int, int]


@dataclass(slots=True)
class Projects:
    """All projects of a WORK. Files that have not changed are not read again."""

    places: Places
    _read: dict[Path, tuple[_Mark, Plain]] = field(default_factory=dict)
    _stores: dict[str, Plain] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kept = _json(self._kept)
        self._stores = kept if isinstance(kept, dict) else {}

    @property
    def _kept(self) -> Path:
        return self.places.own / "stores.json"

    def told(self) -> list[Plain]:
        """Give them as the page takes them, the newest first."""
        found = list[Plain]()
        for folder in _folders(self.places.work):
            with contextlib.suppress(OSError):  # it was taken away meanwhile
                found.append(self._project(folder))
        return sorted(found, key=lambda each: -float(each["changed"]))

    def pages(self, projects: Sequence[Plain]) -> dict[str, str]:
        """Give the address of the page of each run, by the run's path."""
        return {run["path"]: run["address"] for project in projects for run in project["runs"] if run["address"]}

    def made(self, path: Path) -> Plain | None:
        """Give one run, None where there is none."""
        for project in self.told():
            for run in project["runs"]:
                if run["path"] == str(path):
                    found: Plain = run
                    return found
        return None

    def note(self, work: Work) -> None:
        """Keep the commands that make something, so that they can be shown, and said again; not beside it, where anyone may have written."""
        done = list[Sequence[str]]()
        for words, made in zip(work.commands, work.makes, strict=True):
            done.append(words)
            if "--add" not in words:
                made.parent.mkdir(parents=True, exist_ok=True)
                note = self._note_of(made)
                note.parent.mkdir(parents=True, exist_ok=True)
                locks.write(note, json.dumps({"commands": done}).encode())

    def ingested(self, store: Path) -> list[str] | None:
        """Give the words that a store was ingested by, None where the app does not know them."""
        commands = self._commands(store)
        return commands[-1] if commands and commands[-1][:1] == ["ingest"] else None

    def sources_of(self, store: Path) -> int:
        """How many sources a store has, as far as that is known."""
        return len(self._stores.get(_key(store), {}).get("sources") or ())

    def describe_one(self) -> bool:
        """Read one store that is not known yet, in a process of its own; whether there was one."""
        for folder in _folders(self.places.work):
            for store in _stores_in(folder):
                if _key(store) not in self._stores:
                    self._stores[_key(store)] = _described(store)
                    with contextlib.suppress(OSError):
                        locks.write(self._kept, json.dumps(self._stores).encode())
                    return True
        return False

    def _note_of(self, made: Path) -> Path:
        return self.places.own / "made" / made.parent.name / f"{made.name}.json"

    def _commands(self, made: Path) -> list[list[str]]:
        told = _json(self._note_of(made)) if made.parent.parent == self.places.work else None
        return told["commands"] if isinstance(told, dict) and isinstance(told.get("commands"), list) else []

    def _project(self, folder: Path) -> Plain:
        runs = sorted(self._runs(folder), key=lambda run: -float(run["changed"]))
        stores = [self._store(path) for path in _stores_in(folder)]
        times = [folder.stat().st_mtime, *(float(run["changed"]) for run in runs)]
        return {
            "name": folder.name,
            "path": str(folder),
            "stores": stores,
            "runs": runs,
            "files": _files(folder),
            "dropped": _dropped(folder / "dropped"),
            "changed": max(times),
        }

    def _store(self, path: Path) -> Plain:
        about = self._stores.get(_key(path), {})
        known = {name: about.get(name) for name in ("images", "classes", "task", "sources", "line")}
        return {
            "name": path.name,
            "path": str(path),
            **known,
            "corrected": path.with_suffix(".corrections.csv").is_file(),  # nothing can be added to it
            "command": _typed(self._commands(path)),
        }

    def _runs(self, folder: Path) -> Iterator[Plain]:
        for path in _folders(folder):
            for kind, (name, page) in PAGES.items():
                told = path / name
                if not told.is_file() or told.is_symlink():
                    continue
                mark = _mark(told)
                if path not in self._read or self._read[path][0] != mark:
                    self._read[path] = (mark, _run(path, told, page, kind, self._commands(path)))
                yield self._read[path][1]
                break


def _run(path: Path, told: Path, page: str, kind: str, commands: Sequence[Sequence[str]]) -> Plain:
    given = _json(told)
    about = _Told(given if isinstance(given, dict) else {})
    kind = "evaluate" if about.text("format") in _EVALUATED else kind
    splits, tested = about.part("splits"), about.text("tested") or "test"
    first = splits.part(tested) or splits.part("external") or splits.part("test")
    worth = about.part("worth")
    travels = about.part("travels")
    verdict = about.part("audit").text("verdict") or about.text("verdict") or travels.text("verdict")
    severity = {str(each): level for each, level in SEVERITY.items()}
    is_page = (path / page).is_file()
    return {
        "name": path.name,
        "path": str(path),
        "kind": kind,
        "page": page if is_page else None,
        "address": f"files/{quote(path.parent.name)}/{quote(path.name)}/{page}" if is_page else None,
        "created": told.stat().st_mtime,
        "changed": told.stat().st_mtime,
        "title": path.name,
        "recipe": _value_after(commands, "--recipe") or ("default" if kind == "train" and commands else None),
        "accuracy": first.part("accuracy").numbers("value", "low", "high"),
        "sentence": worth.text("sentence") or travels.text("sentence") or about.text("sentence"),
        "verdict": verdict,
        "severity": severity.get(verdict or "") or travels.text("level"),  # of the verdict by itself
        "level": worth.text("level") or about.part("audit").text("level"),
        "data": about.part("data").text("name"),
        "doubtful": about.number("doubtful"),
        "classes": about.texts("classes"),
        "bundle": next(
            (name for name in ("model.plainfilm", "recalibrated.plainfilm") if (path / name).is_file()), None
        ),
        "files": _files(path),
        "command": _typed(commands),
        "store": _store_of(commands),
    }


class _Told(dict[str, Any]):
    """A JSON object of anyone's: parts and values of the types that are expected, else nothing."""

    def part(self, name: str) -> "_Told":
        value = self.get(name)
        return _Told(value if isinstance(value, dict) else {})

    def text(self, name: str) -> str | None:
        value = self.get(name)
        return harmless(value[:2000]) if isinstance(value, str) else None

    def texts(self, name: str) -> list[str] | None:
        value = self.get(name)
        return [harmless(str(each)[:200]) for each in value[:200]] if isinstance(value, list) else None

    def number(self, name: str) -> float | None:
        value = self.get(name)
        with contextlib.suppress(OverflowError):  # a whole number of hundreds of digits
            return value if isinstance(value, int | float) and math.isfinite(value) else None
        return None

    def numbers(self, *names: str) -> dict[str, float | None] | None:
        return {name: self.number(name) for name in names} if self.number(names[0]) is not None else None


def _folders(folder: Path) -> list[Path]:
    """Give the folders in a folder that may be ours: no links, nothing hidden."""
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        return [
            folder / each.name
            for each in sorted(found, key=lambda each: each.name)
            if is_plain(each.name) and each.is_dir(follow_symlinks=False)
        ]
    return []


def _stores_in(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        names = [
            each.name
            for each in found
            if each.name.endswith(_STORES) and is_plain(each.name) and each.is_file(follow_symlinks=False)
        ]
        return [folder / name for name in sorted(names)]
    return []


def _dropped(folder: Path) -> list[Plain]:
    """Give what was dropped on the page as it is read: its folders and archives, or all of it where single files were dropped."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        seen = [each for each in islice(entries, _MOST_SEEN) if is_plain(each.name) and not each.is_symlink()]
        own = sorted(each.name for each in seen if each.is_dir() or each.name.lower().rpartition(".")[2] in ARCHIVES)
        return [{"name": name, "path": str(folder / name)} for name in own or ([""] if seen else [])]
    return []


def _files(folder: Path) -> list[Plain]:
    """Give what can be taken along from a folder: its files, and those of the folders in it, by their names below it."""
    found = list[Plain]()
    for inner in (folder, *(_folders(folder) if any((folder / name).is_file() for name, _ in PAGES.values()) else ())):
        with contextlib.suppress(OSError), os.scandir(inner) as entries:
            for each in sorted(islice(entries, _MOST_SEEN), key=lambda each: each.name):
                if is_plain(each.name) and each.is_file(follow_symlinks=False):
                    name = each.name if inner == folder else f"{inner.name}/{each.name}"
                    found.append({"name": name, "bytes": each.stat(follow_symlinks=False).st_size})
    return found[:_MOST_FILES]


def _typed(commands: Sequence[Sequence[str]]) -> list[str]:
    return [shell.command(*words) for words in commands]


def _value_after(commands: Sequence[Sequence[str]], flag: str) -> str | None:
    words = commands[-1] if commands else ()
    return next((value for word, value in pairwise(words) if word == flag), None)


def _store_of(commands: Sequence[Sequence[str]]) -> str | None:
    words = commands[-1] if commands else ()
    return next((word for word in words[1:] if word.endswith(_STORES)), None)


def _json(path: Path) -> Any:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        if not path.is_symlink() and path.stat().st_size <= _MOST_BYTES:
            return json.loads(path.read_bytes())
    return None


def _mark(path: Path) -> _Mark:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _key(store: Path) -> str:
    try:
        return json.dumps([str(store), *_mark(store)])
    except OSError:
        return ""


def _described(store: Path) -> Plain:
    """Ask `plainfilm info` what a store holds; the one line of a failure where it is none."""
    words = [sys.executable, "-P", "-m", "plainfilm", "info", str(store), "--json"]
    try:
        done = subprocess.run(words, capture_output=True, timeout=_DESCRIBING_S, stdin=subprocess.DEVNULL, check=False)
        told = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        told = None
    if not isinstance(told, dict):
        return {"line": "Expected a store of plainfilm; this file is none that can be read."}
    about = _Told(told)
    return {
        "images": about.number("radiographs"),
        "classes": [*about.part("classes")],
        "sources": [*about.part("sources")],
        "task": about.text("task") or "classes",
    }
