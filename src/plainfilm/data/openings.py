"""How often the test set of some films was scored, by whichever store: kept in the cache, for a store that is made anew.

An opening is a file whose name is the SHA-256 of its line in a store's log: nothing in it can be damaged, and two machines may
add at once. Nothing depends on it: where it is gone or cannot be written, the log beside the store counts.
"""

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.files import cache_folder

_AT_ONCE = 1 << 16


def names_of(lines: Iterable[str]) -> frozenset[str]:
    """Give the names of openings by their lines."""
    return frozenset(hashlib.sha256(line.encode()).hexdigest() for line in lines)


def films(sha256: Iterable[str]) -> str:
    """Name the films that some files, known by their SHA-256 in hex, are, in any order."""
    return hashlib.sha256("\n".join(sorted(set(sha256))).encode()).hexdigest()


def films_in_bytes(sha256: NDArray[np.uint8]) -> str:
    """Name films as `films` does, by the SHA-256 of their files as bytes, uint8 (n, 32), which are put in order."""
    width = sha256.shape[1]
    every = sha256.view(f"S{width}")[:, 0]
    every.sort()
    different = np.flatnonzero(np.append(True, every[1:] != every[:-1])[: len(every)])
    digest = hashlib.sha256()
    for at in range(0, len(different), _AT_ONCE):
        block = every[different[at : at + _AT_ONCE]].tobytes()
        digest.update((b"\n" if at else b"") + block.hex("\n", width).encode())
    return digest.hexdigest()


def known(films: str) -> frozenset[str]:
    """Give the names kept for films, as `films` names them; none where there are none to read."""
    try:
        return frozenset(path.name for path in _folder(films).iterdir())
    except OSError:
        return frozenset()


def keep(films: str, lines: Iterable[str]) -> None:
    """Add what is not there yet. Two runs may do so at once: what both add counts once."""
    folder = _folder(films)
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        for name in names_of(lines):
            (folder / name).touch()


def _folder(films: str) -> Path:
    return cache_folder() / "openings" / films
