"""Files and folders that are on the disk when a call returns, for their owner alone, and locked to one process."""

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

from plainfilm.errors import PlainfilmError
from plainfilm.reasons import reason_of


def write(path: Path, parts: Iterable[bytes], *, is_new: bool = True) -> None:
    """Write a file for its owner alone, down to the disk."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_EXCL if is_new else os.O_TRUNC)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


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
        handle = os.open(folder / "lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PlainfilmError(
            f"Expected a folder to spool in; received {folder} ({reason_of(error)}). Choose another with --spool."
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise PlainfilmError(
            f"Expected a spool of this node's own; received {folder}, which another node has. Stop it, or choose another with --spool."
        ) from None
    return handle


def sync(folder: Path) -> None:
    """Bring the names in a folder down to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
