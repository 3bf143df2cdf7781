"""Why something failed, in our own words: those of Python and of libraries are for who writes programs."""

import os
import re
from functools import cache

from plainfilm.harmless import harmless

_MOST_LETTERS = 160
_WRITTEN_FOR_PEOPLE = frozenset(
    {"plainfilm", "msgspec", "tomllib", "re", "_csv"}
)  # they name the line or key of a fault
_HDF5_NUMBER = re.compile(r"errno = (\d+)")
_TUNNEL = re.compile(r"Tunnel connection failed: (\d+)")
_WRITES = "another process is writing it: wait for that, or end it"
_FULL = "no space is left for it"
_MARKS = {
    "unable to lock file, errno = 11,": _WRITES,
    "unable to lock file, errno = 35,": _WRITES,  # macOS'
    "unable to lock file, errno = 13,": _WRITES,
    "requires access to a writable cache directory": "matplotlib finds no folder to write to: set MPLCONFIGDIR to one",
    "unable to lock file": "its disk locks no files: set HDF5_USE_FILE_LOCKING=FALSE",
    "is locked": _WRITES,
    "disk is full": _FULL,
    "readonly database": "it may not be written",
    "unable to open database file": "it cannot be opened or made there",
    "disk I/O error": "the disk reports an error",
    "is malformed": "it is damaged",
    "is not a database": "it is no database",
}  # what h5py, matplotlib and sqlite3 say
_COMPRESSED = "its compressed data are damaged"
_MISSING = "a part of it is missing"


def reason_of(error: BaseException) -> str:
    """Say in a few words, for the middle of a sentence, why something failed.

    The words of an exception are kept where they are ours, the system's, or of a parser that names the place of the
    fault; of any other its kind is told.
    """
    line = harmless(" ".join(_said(error).split()))
    return line if len(line) <= _MOST_LETTERS else f"{line[: _MOST_LETTERS - 1]}…"


def _said(error: BaseException) -> str:
    package = type(error).__module__.partition(".")[0]
    if inner := _wrapped(error, package):
        return _said(inner)
    if package in _WRITTEN_FOR_PEOPLE:
        return str(error)
    return (
        _marked(error)
        or _system(error)
        or _named(error)
        or _kind(error)
        or ("it cannot be done" if package == "builtins" else f"{package.strip('_')} cannot read it")
    )


def _wrapped(error: BaseException, package: str) -> BaseException | None:
    """Give the error that urllib, SQLAlchemy or Optuna wraps, if it does."""
    inner = getattr(error, "reason", None) or getattr(error, "orig", None)
    inner = error.__cause__ if package == "optuna" else inner
    return inner if isinstance(inner, Exception) else None


def _marked(error: BaseException) -> str:
    """Know what the system, a proxy, HDF5, matplotlib or SQLite says without a number or a kind of its own."""
    if isinstance(error, OSError) and isinstance(status := getattr(error, "code", None), int):
        return f"the server answers {status}"
    if isinstance(error, OSError) and (refused := _TUNNEL.search(str(error))):
        return f"the proxy refuses the connection with {refused[1]}"
    if type(error).__module__ == "sqlite3" or (isinstance(error, OSError) and error.filename is None):
        return next((words for mark, words in _MARKS.items() if mark in str(error)), "")
    return ""


def _system(error: BaseException) -> str:
    """Say what the system says, without Python's frame around it; HDF5 hides the number in two lines."""
    if not isinstance(error, OSError) or type(error).__module__ in {"ssl", "socket"}:
        return ""
    written = _HDF5_NUMBER.search(str(error))
    number = int(written[1]) if written else error.errno
    return os.strerror(number) if number else ""


def _named(error: BaseException) -> str:
    """Name what is missing or where the fault lies, where the exception knows."""
    import json

    if isinstance(error, json.JSONDecodeError):
        return f"no JSON in line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"no {error.encoding.upper()} at byte {error.start + 1}"
    if isinstance(error, ImportError):
        library = re.match(r"\S+\.(so|dylib)\S*(?=: cannot open)", str(error))
        return f"the system has no {library[0]}" if library else f"Python finds no {error.name}" if error.name else ""
    missing = error.name if isinstance(error, AttributeError) else error.args[0] if isinstance(error, KeyError) else ""
    is_name = isinstance(missing, str) and re.fullmatch(r"[A-Za-z][\w .-]{0,39}", missing)
    is_part = is_name and (isinstance(error, KeyError) or re.fullmatch(r"[A-Z][A-Za-z]+", str(missing)))
    return f"it has no {missing}" if is_part else ""  # DICOM's keywords, keys of JSON; not Python's attributes


def _kind(error: BaseException) -> str:
    return next((words for kind, words in _kinds() if isinstance(error, kind)), "")


@cache
def _kinds() -> tuple[tuple[type[BaseException], str], ...]:
    """Give kinds of exceptions and what to say of each, the first that fits; these modules would cost each start 30 ms."""
    import http.client
    import lzma
    import pickle
    import socket
    import sqlite3
    import ssl
    import struct
    import tarfile
    import urllib.error
    import zipfile
    import zlib

    return (
        (RecursionError, "it is nested too deeply"),
        (MemoryError, "it needs more memory than there is"),
        (EOFError, "it ends too early"),
        (zipfile.BadZipFile, "it is no whole ZIP archive"),
        (tarfile.TarError, "it is no whole tar archive"),
        (zlib.error, _COMPRESSED),
        (lzma.LZMAError, _COMPRESSED),
        (pickle.PickleError, "its structure is broken"),
        (struct.error, "it ends too early, or a length in it is wrong"),
        (ssl.SSLCertVerificationError, "its certificate is not trusted here"),
        (ssl.SSLError, "no TLS could be agreed on, or a certificate and its key do not belong together"),
        (socket.gaierror, "no address is known for that name"),
        (TimeoutError, "no answer in time"),
        (ConnectionError, "the connection broke"),
        (http.client.HTTPException, "its answer is broken"),
        (urllib.error.ContentTooShortError, "it ends too early"),
        (urllib.error.URLError, "its address cannot be used"),
        (sqlite3.Error, "it is damaged, or of another program"),
        (OSError, "its data are damaged"),
        (UnicodeEncodeError, "a character that cannot be written"),
        (OverflowError, "a number in it is too large"),
        (ArithmeticError, "a number in it makes no sense"),
        (ImportError, "it cannot be imported"),
        (LookupError, _MISSING),
        (AttributeError, _MISSING),
        (TypeError, "a value in it is of another type"),
        (SyntaxError, "its structure is broken"),
        (NotImplementedError, "it has a form that is not supported"),
        (ValueError, "a value in it cannot be read"),
        (AssertionError, "parts of it do not fit together"),
    )
