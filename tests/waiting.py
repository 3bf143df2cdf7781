"""Waiting for what happens elsewhere: no longer than it takes, and so long that only a fault reaches the end."""

import time
from collections.abc import Callable
from typing import Any

WAIT_S = 600.0  # a machine may have thirty other things to do


def until(happened: Callable[[], Any], seconds: float = WAIT_S) -> Any:
    """Wait until something is true, and give it; an assertion where it never is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := happened():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")
