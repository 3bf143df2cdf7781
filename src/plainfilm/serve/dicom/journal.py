"""Which instances are done: one hash a line, the last ones only."""

import os
import re
import threading
from pathlib import Path

from plainfilm.serve.dicom.disk import sync, write

KEPT = 100_000
_LINE_BYTES = 65
_LINE = re.compile(rb"[0-9a-f]{64}")


class Journal:
    """Keys of what is done, in memory and, line by line, on disk. Thread-safe.

    At most `KEPT` stay, the latest; the file is written anew once it has twice as many lines.
    """

    def __init__(self, path: Path, *, kept: int = KEPT) -> None:
        self._path, self._kept, self._guard = path, kept, threading.Lock()
        self._keys: dict[bytes, None] = {}
        self._lines = 0
        self._is_torn = False  # whether the last line may have been written in part, onto a full disk
        for line in _last(path, kept).split(b"\n"):
            if _LINE.fullmatch(line):  # a shorter one was being written when the node was killed
                self._remember(bytes.fromhex(line.decode("ascii")))
        self._rewrite()

    def __contains__(self, key: str) -> bool:
        with self._guard:
            return bytes.fromhex(key) in self._keys

    def add(self, key: str) -> None:
        """Note a key, down to the disk."""
        with self._guard:
            self._remember(bytes.fromhex(key))
            if self._lines >= 2 * self._kept:
                self._rewrite()
                return
            whole, self._is_torn = not self._is_torn, True
            with self._path.open("ab") as file:
                file.write(f"{'' if whole else chr(10)}{key}\n".encode())
                file.flush()
                os.fsync(file.fileno())
            self._is_torn = False
            self._lines += 1

    def _remember(self, key: bytes) -> None:
        self._keys.pop(key, None)
        self._keys[key] = None
        if len(self._keys) > self._kept:
            del self._keys[next(iter(self._keys))]

    def _rewrite(self) -> None:
        partial = self._path.with_name("journal.partial")
        write(partial, (f"{key.hex()}\n".encode() for key in self._keys), is_new=False)
        partial.rename(self._path)
        sync(self._path.parent)
        self._lines, self._is_torn = len(self._keys), False


def _last(path: Path, kept: int) -> bytes:
    """Read the end of a journal: more lines than are ever kept in it, whatever its length."""
    if not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (2 * kept + 2) * _LINE_BYTES))
        return file.read()
