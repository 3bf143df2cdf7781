"""Only plainfilm speaks on the terminal: warnings and logs of libraries are for those who write programs."""

import codecs
import contextlib
import faulthandler
import io
import logging
import os
import sys
import warnings

LEGIBLE = "plainfilm.legible"  # how streams write what their encoding lacks
_LIKE = {
    "–": "-", "—": "-", "−": "-", "‑": "-", "×": "x", "·": ".", "…": "...", "≥": ">=", "≤": "<=", "→": "->", "±": "+-",
    "‘": "'", "’": "'", "“": '"', "”": '"', "°": " degrees", "µ": "u", "\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " ",
    "\N{FIRST STRONG ISOLATE}": "", "\N{POP DIRECTIONAL ISOLATE}": "",
}  # fmt: skip


def _legible(error: UnicodeError) -> tuple[str, int]:
    """Write signs of ours by those that look like them, letters of names as escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacked = error.object[error.start : error.end]
    return "".join(_LIKE.get(sign, sign.encode("ascii", "backslashreplace").decode()) for sign in lacked), error.end


codecs.register_error(LEGIBLE, _legible)


def is_debugging() -> bool:
    """Whether `PLAINFILM_DEBUG` asks for what libraries say, and for tracebacks."""
    return bool(os.environ.get("PLAINFILM_DEBUG"))


def prepare() -> None:
    """Escape what the terminal's encoding lacks, and keep libraries silent, native ones and child processes too."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=LEGIBLE)
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
    sys.stderr = open(kept, "w", buffering=1, encoding=sys.stderr.encoding, errors=LEGIBLE)  # noqa: PTH123, SIM115 - to the end
