"""Ctrl-C beside TensorFlow and JAX: one makes another error of what reaches Python inside its calls, the other crashes while it is imported.

A signal mask would not do: another of TensorFlow's threads takes the signal, and Python raises in the main one all the same.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held() -> Iterator[None]:
    """Hold Ctrl-C back until the block ends; then it is raised. Keep the block to seconds."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    came = False

    def note(*_: object) -> None:
        nonlocal came
        came = True

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        before(signal.SIGINT, None)
