"""How often the test set of some films was scored, by whichever store: kept in the cache, for a store that is made anew.

A file holds the lines that the logs of all stores of the same films have. Nothing depends on it: where it is gone or cannot be
written, the log beside the store counts.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from plainfilm.data.files import cache_folder


def known(films: Iterable[str]) -> frozenset[str]:
    """Give the lines kept for films, named by the SHA-256 of their files in any order; none where there are none to read."""
    try:
        return frozenset(_path(films).read_text(encoding="utf-8", errors="replace").split("\n")) - {""}
    except OSError:
        return frozenset()


def keep(films: Iterable[str], lines: Sequence[str]) -> None:
    """Add the lines that are not there yet. Two runs may do so at once: what both add counts once."""
    films = list(films)
    new = dict.fromkeys(lines).keys() - known(films)
    path = _path(films)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            # A run that died in the middle of a line spoils that line only.
            file.write("".join(f"\n{line}" for line in lines if line in new))


def _path(films: Iterable[str]) -> Path:
    digest = hashlib.sha256("\n".join(sorted(set(films))).encode()).hexdigest()
    return cache_folder() / "openings" / f"{digest}.log"
