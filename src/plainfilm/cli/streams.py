"""Only plainfilm speaks on the terminal: warnings and logs of libraries are for those who write programs."""

import contextlib
import faulthandler
import io
import logging
import os
import sys
import warnings


def is_debugging() -> bool:
    """Whether `PLAINFILM_DEBUG` asks for what libraries say, and for tracebacks."""
    return bool(os.environ.get("PLAINFILM_DEBUG"))


def prepare() -> None:
    """Escape what the terminal's encoding lacks, and keep libraries silent, native ones and child processes too."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not is_debugging():
        _silence_libraries()
    with contextlib.suppress(AttributeError, RuntimeError, ValueError):  # none, or one that is no file
        faulthandler.enable(file=sys.stderr)  # or a crash of a native library would say nothing


def _silence_libraries() -> None:
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    logging.lastResort = logging.NullHandler()
    if sys.stderr is not None and sys.stderr is sys.__stderr__:
        _keep_stderr_for_ourselves()


def _keep_stderr_for_ourselves() -> None:
    """Python's stderr goes on under another number; what writes to file 2 by its number is not heard."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = open(kept, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")  # noqa: PTH123, SIM115 - to the end
