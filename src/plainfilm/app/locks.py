"""Locks on files, which end with whoever holds them, whatever ends that; and files that are whole or as they were."""

import contextlib
import os
import secrets
import sys
import time
from pathlib import Path

_FAR = 1 << 30  # Windows locks bytes, and a locked one cannot be read: one that no file has
_TRIES, _BETWEEN_S = 600, 0.1


def take(path: Path, *, waits: bool = False) -> int | None:
    """Lock a file, made if need be, until the number that is given is closed; None where another holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(_TRIES if waits else 1):
        if _lock(handle):
            return handle
        time.sleep(_BETWEEN_S if waits else 0)
    os.close(handle)
    return None


def is_held(path: Path) -> bool:
    """Whether anybody holds a file's lock."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _lock(handle, for_a_look=True)
    finally:
        os.close(handle)


def write(path: Path, content: bytes) -> None:
    """Put a file in its place, whole, readable by this user alone."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")  # a link that lies there is never followed
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - of that mode
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def _lock(handle: int, *, for_a_look: bool = False) -> bool:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(handle, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        if for_a_look:
            os.lseek(handle, _FAR, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
        return True
    import fcntl

    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if for_a_look else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
