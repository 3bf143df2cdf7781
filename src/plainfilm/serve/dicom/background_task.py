"""Work that goes on in a thread of its own until it is stopped."""

import logging
import threading
import time

from plainfilm.reasons import reason_of
from plainfilm.serve.dicom.log import told

_PAUSE_S = 5.0


class Task:
    """Does `step` again and again; an error nobody foresaw is logged, and after a pause the next step is taken.

    `longest_s` is the time that a sound task takes for a piece of work at most.
    """

    longest_s = 300.0

    def __init__(self, name: str) -> None:
        self.name = name
        self._ending = threading.Event()
        self._moved = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def step(self) -> None:
        """Do one piece of work, or wait a second for it."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin."""
        self.moved()
        self._thread.start()

    def stop(self) -> None:
        """End after the step under way."""
        self._ending.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the end."""
        self._thread.join(timeout_s)

    @property
    def is_alive(self) -> bool:
        """Whether it still works."""
        return self._thread.is_alive()

    @property
    def is_ending(self) -> bool:
        """Whether it was stopped."""
        return self._ending.is_set()

    def moved(self) -> None:
        """Note that a piece of work is done, or that there was none."""
        self._moved = time.monotonic()

    def trouble(self) -> str:
        """Why its work does not move; nothing where it does."""
        if not self.is_alive:
            return f"{self.name} has ended"
        return f"{self.name} has not moved for {self.longest_s:.0f} s" if self._is_late() else ""

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than until it is stopped."""
        self._ending.wait(seconds)

    def _is_late(self) -> bool:
        return time.monotonic() - self._moved > self.longest_s

    def _run(self) -> None:
        while not self.is_ending:
            try:
                self.step()
                self.moved()
            except OSError as error:  # of the disk, which may be full for a while
                told("dicom.disk-failed", level=logging.ERROR, reason=reason_of(error))
                self.pause(_PAUSE_S)
            except Exception as error:  # noqa: BLE001 - the node must go on
                told("dicom.failed", level=logging.ERROR, error=type(error).__name__)
                self.pause(_PAUSE_S)
