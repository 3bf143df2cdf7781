"""The log of answers: a line each, appended in one write before the answer is given; a disk that is full stops no answer.

No file is rotated or cut: what outcomes are joined with later must be there. Whoever moves the file away, such as logrotate, finds a
new one begun with the next answer.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from plainfilm.errors import UsageError
from plainfilm.evidence.drift.log import Line, encoded
from plainfilm.reasons import reason_of
from plainfilm.serve.telemetry import LOG

_SAID_EVERY_S = 600.0


class AnswerLog:
    """A file that lines are appended to. Thread-safe.

    Attributes
    ----------
    written, lost : int
        Answers that stand in it, and those that could not be written.

    Raises
    ------
    UsageError
        It cannot be written.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path.absolute(), clock
        self._starts: dict[str, Line] = {}
        self._owed = list[Line]()  # starts that the file lacks still
        self._lock = threading.Lock()
        self._file, self._is_torn, self._said = -1, False, -_SAID_EVERY_S
        self.written = self.lost = 0
        try:
            self._open()
        except OSError as error:
            raise UsageError(
                f"Expected --log-answers to name a file to append to; received {path} ({reason_of(error)}). Name another."
            ) from error

    def begin(self, bundle: str, start: Line) -> None:
        """Say which bundle answers from now on; said again wherever a new file is begun."""
        with self._lock:
            self._starts[bundle] = start
            self._owed.append(start)
            self._put()

    def answer(self, line: Line) -> None:
        """Append an answer."""
        with self._lock:
            if self._put(line):
                self.written += 1
            else:
                self.lost += 1

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _put(self, *lines: Line) -> bool:
        try:
            if self._is_moved():
                self._open()
                self._owed = [*self._starts.values()]
            while self._owed:
                self._write(encoded(self._owed[0]))
                del self._owed[0]
            for line in lines:
                self._write(encoded(line))
        except OSError as error:
            if self._clock() - self._said >= _SAID_EVERY_S:
                self._said = self._clock()
                LOG.error("answers not logged", extra={"event": {"reason": reason_of(error), "so_far": self.lost + 1}})
            return False
        return True

    def _write(self, text: bytes) -> None:
        """Append a line whole; what a full disk cuts short is ended before the next."""
        text = b"\n" * self._is_torn + text
        done = os.write(self._file, text)
        self._is_torn = (done > 0 and text[done - 1 : done] != b"\n") or (done == 0 and self._is_torn)
        if done < len(text):
            raise OSError(28, os.strerror(28))  # what a short write to a disk means

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        before = self._file
        self._file = os.open(self._path, os.O_APPEND | os.O_CREAT | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o600)
        if before >= 0:
            os.close(before)
        size = os.fstat(self._file).st_size
        self._is_torn = size > 0 and _last_byte(self._path) != b"\n"

    def _is_moved(self) -> bool:
        """Whether another file, or none, lies under the name by now."""
        try:
            there, here = self._path.stat(), os.fstat(self._file)
        except OSError:
            return True
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)
