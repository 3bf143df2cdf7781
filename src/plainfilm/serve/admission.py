"""How much may be under way at once: files and bytes. What does not fit is turned away, never queued without end."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class Full(Exception):  # noqa: N818 - as `queue.Full`
    """No room now; try again later."""


@dataclass(slots=True)
class Admission:
    """Counts what is under way. Thread-safe.

    Attributes
    ----------
    files, held_bytes : int
        Most files that wait or are judged, and most bytes of uploads in memory.
    """

    files: int
    held_bytes: int
    under_way: int = 0
    held: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_full(self) -> bool:
        """Whether nothing more would be let in now."""
        return self.under_way >= self.files or self.held >= self.held_bytes

    @contextmanager
    def room(self) -> "Iterator[Room]":
        """Hold what one request takes, until it is answered."""
        room = Room(self)
        try:
            yield room
        finally:
            room.leave()

    def _change(self, files: int, held: int) -> None:
        with self._lock:
            if files > 0 and self.under_way and self.under_way + files > self.files:
                raise Full
            if held > 0 and self.held + held > self.held_bytes:
                raise Full
            self.under_way += files
            self.held += held


@dataclass(slots=True)
class Room:
    """What one request holds."""

    admission: Admission
    files: int = 0
    held: int = 0

    def take(self, *, files: int = 0, held: int = 0) -> None:
        """Hold more. Raises `Full`."""
        self.admission._change(files, held)
        self.files += files
        self.held += held

    def leave(self) -> None:
        """Hold nothing any more."""
        self.admission._change(-self.files, -self.held)
        self.files = self.held = 0
