"""Files and folders that are on the disk when a call returns, for their owner alone, and locked to one process."""

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from plainfilm.errors import PlainfilmError
from plainfilm.reasons import reason_of

_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class OddError(OSError):
    """Something else than a file of ours."""


def write(path: Path, parts: Iterable[bytes], *, is_new: bool = True) -> None:
    """Write a file for its owner alone, down to the disk; never through a link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_EXCL if is_new else os.O_TRUNC)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path, *, most: int) -> bytes:
    """Read a regular file of at most `most` bytes; no link is followed, no pipe waited for.

    Raises
    ------
    OSError
        It is something else, larger, or cannot be read.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OddError("no regular file")
        if found.st_size > most:
            raise OddError("larger than any image")
        return file.read(most)


def kind(path: Path) -> str:
    """Say what a name stands for, without following it: "file", "folder", "link" or "special file"."""
    mode = path.lstat().st_mode
    kinds = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "link"))
    return next((name for is_one, name in kinds if is_one(mode)), "special file")


def erase(path: Path) -> None:
    """Erase a file, a link (not what it leads to) or a folder."""
    if kind(path) == "folder":
        shutil.rmtree(path)
    else:
        path.unlink()


def is_of_the_disk(error: OSError) -> bool:
    """Whether an error speaks of the whole disk, which is full or read only, rather than of one file."""
    return error.errno in _OF_THE_DISK


def locked(folder: Path) -> int:
    """Make a folder ours until the handle that this gives is closed, or the process ends.

    Raises
    ------
    PlainfilmError
        Another process has it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        handle = os.open(folder / "lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PlainfilmError(
            f"Expected a folder to spool in; received {folder} ({reason_of(error)}). Choose another with --spool."
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise PlainfilmError(
            f"Expected a spool of this node's own; received {folder}, which another node has. Stop it, or choose another with --spool."
        ) from None
    except OSError as error:
        os.close(handle)
        raise PlainfilmError(
            f"Expected a disk whose files can be locked; received {folder} ({reason_of(error)}). Choose another with --spool."
        ) from None
    return handle


def sync(folder: Path) -> None:
    """Bring the names in a folder down to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
