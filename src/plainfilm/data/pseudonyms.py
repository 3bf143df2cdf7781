"""Numbers in the place of the names of files and sources, and the key to them, which nobody but people reads again."""

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from plainfilm.data.catalog import Catalog
from plainfilm.data.problem_words import told_plainly
from plainfilm.data.spelling import plain_id
from plainfilm.errors import Problem
from plainfilm.harmless import write_csv
from plainfilm.results.ingested import FolderLevel

_HEAD = ("number", "kind", "name", "sentence")


@dataclass(slots=True)
class Key:
    """What each number stands for; `of` begins them all, and is drawn for each key, so that no other key explains them."""

    of: str = field(default_factory=lambda: str(1000 + secrets.randbelow(9000)))
    files: dict[str, str] = field(default_factory=dict)  # number -> name, as in what follows
    sources: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)  # tables, folders and classes that a problem is about
    sentences: list[tuple[str, str]] = field(default_factory=list)  # number, and what was said of it
    _numbers: dict[tuple[str, str], str] = field(default_factory=dict)

    def file(self, name: str) -> str:
        """Give the number of a file."""
        return self._number("file", name, f"{self.of}-{len(self.files) + 1:07}", self.files)

    def source(self, name: str) -> str:
        """Give the number of a source; one that says that it is not known stays."""
        if not plain_id(name):
            return name
        return self._number("source", name, f"source {self.of}-{len(self.sources) + 1}", self.sources)

    def problem(self, problem: Problem) -> Problem:
        """Tell a problem by the number of what it is about, in words that name nothing."""
        number = problem.file
        if number not in self.files:
            known = (self._numbers.get((kind, problem.file)) for kind in ("file", "source"))
            number = next(filter(None, known), None) or self._number(
                "other", problem.file, f"{self.of}-x{len(self.others) + 1}", self.others
            )
        self.sentences.append((number, problem.sentence))
        return Problem(number, problem.code, told_plainly(problem), problem.fatal)

    def _number(self, kind: str, name: str, number: str, names: dict[str, str]) -> str:
        known = self._numbers.setdefault((kind, name), number)
        names.setdefault(known, name)
        return known

    def rows(self) -> Iterable[tuple[str, str, str, str]]:
        """Give the rows of the key: number, kind, name, and what was said of it."""
        for kind, names in (("file", self.files), ("source", self.sources), ("other", self.others)):
            yield from ((number, kind, name, "") for number, name in names.items())
        known = self.files | self.sources | self.others
        yield from ((number, "problem", known[number], sentence) for number, sentence in self.sentences)


def pseudonymized(catalog: Catalog) -> tuple[Catalog, Key]:
    """Give the same catalog with numbers, in an order that tells nothing, for the names of files and sources."""
    key = Key()
    for names, number in (
        ({e.file for e in catalog.entries}, key.file),
        ({e.source for e in catalog.entries}, key.source),
    ):
        for name in secrets.SystemRandom().sample(sorted(names), len(names)):
            number(name)
    entries = (replace(each, file=key.file(each.file), source=key.source(each.source)) for each in catalog.entries)
    return replace(catalog, entries=tuple(entries), levels=tuple(_level(each, key) for each in catalog.levels)), key


def _level(level: FolderLevel, key: Key) -> FolderLevel:
    """Tell of a level of folders without their names, unless these are classes."""
    names = level.names if level.role in {"class", "split"} else ()
    return msgspec.structs.replace(level, source=key.source(level.source), names=names)


def key_path(made: Path) -> Path:
    """Give the path of the key beside a store or a folder: `NAME.pseudonyms.csv`."""
    return made.with_name(
        f"{made.name.removesuffix(made.suffix) if made.suffix in {'.h5', '.hdf5'} else made.name}.pseudonyms.csv"
    )


def write_key(partial: Path, key: Key) -> None:
    """Write the key, for its owner's eyes alone, to a file that is not there yet."""
    with open(partial, "w", newline="", encoding="utf-8", errors="backslashreplace", opener=_private) as file:
        write_csv(file, [_HEAD, *key.rows()])


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL, 0o600)
