"""Work that goes on in a thread of its own until it is stopped."""

import logging
import threading

from plainfilm.serve.dicom.log import told

_PAUSE_S = 5.0


class Task:
    """Does `step` again and again; an error nobody foresaw is logged, and after a pause the next step is taken."""

    def __init__(self, name: str) -> None:
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def step(self) -> None:
        """Do one piece of work, or wait a second for it."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin."""
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

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than until it is stopped."""
        self._ending.wait(seconds)

    def _run(self) -> None:
        while not self.is_ending:
            try:
                self.step()
            except OSError as error:  # of the disk, which may be full for a while
                told("dicom.disk-failed", level=logging.ERROR, reason=error.strerror or type(error).__name__)
                self.pause(_PAUSE_S)
            except Exception as error:  # noqa: BLE001 - the node must go on
                told("dicom.failed", level=logging.ERROR, error=type(error).__name__)
                self.pause(_PAUSE_S)
