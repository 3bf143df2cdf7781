"""Files that are there whole or not at all: written beside their name, flushed, synced, renamed; folders for one process, and the cache."""

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from plainfilm.errors import UsageError


def cache_folder() -> Path:
    """Give the folder for weights, encoders, features and compiled passes: `PLAINFILM_CACHE`, or plainfilm's in the user's cache."""
    own = os.environ.get("PLAINFILM_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(base) / "plainfilm"


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write a file or a folder to; on success it takes the place of `path`.

    A run that is killed leaves `path` as it was; what it left beside it is removed by the next run. A folder takes the
    place of an empty one or of none, never of a full one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    _sweep(path)
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
    finally:
        _remove(partial)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder from other runs that ask for it too; a kill frees it. Does nothing on Windows.

    Raises
    ------
    UsageError
        Another run has it.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(
                    f"Expected a folder that no other run writes to; received {folder}, where one is running. "
                    "Wait for it, or name another --out."
                ) from None
        yield
    finally:
        os.close(handle)


def _sync(path: Path) -> None:
    for file in (path, *path.rglob("*")) if path.is_dir() else (path,):
        if file.is_file():
            with file.open("rb+") as handle:
                os.fsync(handle.fileno())


def _sweep(path: Path) -> None:
    for file in path.parent.iterdir():
        owner = re.fullmatch(rf"\.{re.escape(path.name)}\.([0-9]+)\.partial", file.name)
        # Our own number stands for an earlier process: containers count from 1 each time.
        if owner and (int(owner[1]) == os.getpid() or not _is_running(int(owner[1]))):
            _remove(file)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's process
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
