"""How often the test set of some films was scored, by whichever store: kept in the cache, for a store that is made anew.

An opening is a file whose name is the SHA-256 of its line in a store's log: nothing in it can be damaged, and two machines may
add at once. Nothing depends on it: where it is gone or cannot be written, the log beside the store counts.
"""

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

from plainfilm.data.files import cache_folder


def names_of(lines: Iterable[str]) -> frozenset[str]:
    """Give the names of openings by their lines."""
    return frozenset(hashlib.sha256(line.encode()).hexdigest() for line in lines)


def known(films: Iterable[str]) -> frozenset[str]:
    """Give the names kept for films, known by the SHA-256 of their files in any order; none where there are none to read."""
    try:
        return frozenset(path.name for path in _folder(films).iterdir())
    except OSError:
        return frozenset()


def keep(films: Iterable[str], lines: Iterable[str]) -> None:
    """Add what is not there yet. Two runs may do so at once: what both add counts once."""
    folder = _folder(films)
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        for name in names_of(lines):
            (folder / name).touch()


def _folder(films: Iterable[str]) -> Path:
    digest = hashlib.sha256("\n".join(sorted(set(films))).encode()).hexdigest()
    return cache_folder() / "openings" / digest
