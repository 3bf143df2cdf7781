"""Entries of the cache: each written once, whole, with its SHA-256 behind it; one that does not fit it is taken away and made anew.

The SHA-256 is over the entry's name too, so that neither other contents nor another entry's pass. Nothing in the cache is needed.
"""

import contextlib
import hashlib
import io
import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import claims, upkeep
from plainfilm.data.files import cache_folder, written_whole
from plainfilm.errors import CacheNotWrittenError
from plainfilm.reasons import reason_of

MARK = b"plainfilm entry\n"
TAIL_BYTES = len(MARK) + hashlib.sha256().digest_size
UNSEALED = (
    "epochs",
    "networks",
    "openings",
    "stores",
    "weights",
)  # folders: what their entries are stands in the names, or they carry checksums of their own
_BLOCK_BYTES = 1 << 20
_MOST_REMEMBERED = 4096
_Identity = tuple[str, int, int, int, int]
_whole: dict[_Identity, None] = {}  # found whole in this process: an entry is read through once a run


class SealedFile(io.RawIOBase):
    """A file to write an entry to, from its start to its end; what passes is hashed."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._digest = file, _digest_of(path)

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, data: Any, /) -> int:
        """Write bytes."""
        self._digest.update(data)
        with writing():
            return self._file.write(data)

    def seal(self) -> None:
        """Put mark and SHA-256 behind all that was written."""
        self._file.write(MARK + self._digest.digest())


@contextlib.contextmanager
def written(path: Path) -> Iterator[SealedFile]:
    """Give a file to write an entry to; it is there under its name when all went well."""
    with contextlib.ExitStack() as held:
        with writing():
            partial = held.enter_context(written_whole(path, durable=False))
            file = held.enter_context(partial.open("wb"))
        sealed = SealedFile(file, path)
        yield sealed
        with writing():
            sealed.seal()
            file.flush()
        size = partial.stat().st_size
    upkeep.make_room(size, path)


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Say that it is the cache which cannot be written, whatever hidden file the system names."""
    try:
        yield
    except OSError as error:
        raise CacheNotWrittenError(
            f"Expected a cache that can be written; received {cache_folder()} ({reason_of(error)}). "
            "Free space there, or set PLAINFILM_CACHE to another folder."
        ) from error


def write(path: Path, content: bytes) -> None:
    """Write an entry."""
    with written(path) as file:
        file.write(content)


def read(path: Path) -> bytes | None:
    """Read an entry; None where there is none, or none that is whole."""
    try:
        with path.open("rb") as file:
            held, number = file.read(), os.fstat(file.fileno()).st_ino
    except OSError:
        return None
    upkeep.last_used(path)
    content, tail = held[:-TAIL_BYTES], held[-TAIL_BYTES:]
    digest = _digest_of(path)
    digest.update(content)
    if tail == MARK + digest.digest():
        return content
    _take_away(path, number)
    return None


def has(path: Path) -> bool:
    """Whether there is an entry that is whole; it is read through once a run."""
    try:
        with path.open("rb") as file:
            identity = _identity(path, os.fstat(file.fileno()))
            if identity not in _whole and not _fits(file, path, identity[3]):
                _take_away(path, identity[2])
                return False
    except OSError:
        return False
    upkeep.last_used(path)
    if len(_whole) >= _MOST_REMEMBERED:
        _whole.clear()
    _whole[identity] = None
    return True


@contextlib.contextmanager
def held(path: Path) -> Iterator[Callable[[object], object]]:
    """Keep an entry from being taken away to make room, by whatever process on whatever host, while it is looked for.

    Gives what keeps it on until an object that uses it is no more.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a cache that cannot be written
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(claims.claimed(path))
        yield lambda user: weakref.finalize(user, stack.pop_all().close)


@contextlib.contextmanager
def missing(path: Path) -> Iterator[bool]:
    """Say whether an entry is to be made here; one that another process is making, on whatever host, is waited for."""
    if has(path):
        yield False
        return
    with contextlib.ExitStack() as held:
        with writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(claims.turn(path, insists=False))
        yield not has(path)


def entries(folder: Path) -> list[Path]:
    """List what lies in the cache with a SHA-256 behind it, whole or not."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in UNSEALED and not path.name.startswith(".")
    )


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as an entry."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    write(path, content.getvalue())


def read_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """Read what `write_arrays` wrote; None where there is no such entry that is whole."""
    content = read(path)
    if content is None:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}


def _digest_of(path: Path) -> Any:
    return hashlib.sha256(f"{path.parent.name}/{path.name}\n".encode())


def _identity(path: Path, status: os.stat_result) -> _Identity:
    return str(path), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _fits(file: BinaryIO, path: Path, size: int) -> bool:
    digest, left = _digest_of(path), size - TAIL_BYTES
    while left > 0 and (block := file.read(min(left, _BLOCK_BYTES))):
        digest.update(block)
        left -= len(block)
    return file.read() == MARK + bytes(digest.digest())


def _take_away(path: Path, number: int) -> None:
    """Remove an entry, unless another process has put a new one in its place."""
    with contextlib.suppress(OSError):
        if path.stat().st_ino == number:
            path.unlink()
