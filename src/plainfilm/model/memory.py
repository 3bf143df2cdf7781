"""Memory that was freed, given back to the system."""

import contextlib
import ctypes


def trim() -> None:
    """Give back what C libraries have freed and glibc keeps: compiling and building networks leave some 100 MB each."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # glibc alone has this call
        ctypes.CDLL(None).malloc_trim(0)
