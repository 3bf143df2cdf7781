"""The words of a command before they are parsed: what a Unix shell does, for Windows, and a first word that is a path."""

import glob
import os
import re
import sys
from collections.abc import Container, Iterable, Iterator
from itertools import pairwise
from pathlib import Path

_SUFFIXES = {".h5", ".hdf5", ".plainfilm"}
_URI = re.compile(r"[a-z][a-z0-9+.-]+:|databricks", re.IGNORECASE)  # a drive of Windows has one letter


def prepared(typed: Iterable[str], commands: Container[str]) -> list[str]:
    """Give the words that are to be parsed: patterns expanded, `look` before a path, a `--mlflow` without a URI as it is meant."""
    words = [*matching(typed)]
    for place, word in enumerate(words[1:]):
        if words[place] == "--mlflow" and not word.startswith("-") and not _URI.match(word):
            words[place] = "--mlflow=true"  # or it would take the store for its URI
    return ["look", *words] if words and _is_path(words[0], commands) else words


def matching(words: Iterable[str]) -> Iterator[str]:
    """Expand `*` and `?` on Windows, whose shells leave that to programs; no name there may hold one. Brackets stay what they are.

    A pattern that nothing fits stays as it is, as in a Unix shell, and so does a regular expression.
    """
    for before, word in pairwise(["", *words]):
        path = Path(word)
        is_pattern = {*"*?"} & {*"".join(path.parts[bool(path.anchor) :])} and before != "--label-pattern"
        found = sorted(glob.glob(str(path).replace("[", "[[]"))) if is_pattern and sys.platform == "win32" else []  # noqa: PTH207 - of any folder
        yield from [name if name[0] != "-" else f".{os.sep}{name}" for name in found] or [word]


def _is_path(word: str, commands: Container[str]) -> bool:
    """Whether the first word is a path, and no command."""
    if word in commands or word.startswith("-"):
        return False
    return "/" in word or os.sep in word or Path(word).suffix in _SUFFIXES or (word != "" and Path(word).exists())
