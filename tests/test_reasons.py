"""Reasons in our own words."""

import builtins
import errno
import http.client
import importlib
import json
import re
import sqlite3
import tomllib
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import optuna
import pydicom
import pytest
import sqlalchemy.exc

from plainfilm.errors import StoreError
from plainfilm.reasons import reason_of
from pythons_words import PYTHONS_WORDS


def raised(call):
    """The exception that a call ends with."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of any kind
        call()
    return caught.value


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: pydicom.Dataset().Columns, "it has no Columns"),
        (lambda: importlib.import_module("no_such"), "Python finds no no_such"),
        (lambda: urllib.request.urlopen("http://127.0.0.1:9/"), "Connection refused"),
        (lambda: {}["classes"], "it has no classes"),
        (lambda: None.shape, "a part of it is missing"),
        (lambda: [][0], "a part of it is missing"),
        (lambda: int("x"), "a value in it cannot be read"),
        (lambda: len(3), "a value in it is of another type"),
        (lambda: {[]: 1}, "a value in it is of another type"),
        (lambda: b"ab\xff".decode(), "no UTF-8 at byte 3"),
        (lambda: "\ud800".encode(), "a character that cannot be written"),
        (lambda: json.loads("{\n'"), "no JSON in line 2, column 1"),
        (lambda: json.loads("[" * 100_000), "it is nested too deeply"),
        (lambda: msgspec.json.decode("{"), "Input data was truncated"),
        (lambda: tomllib.loads("a = = 1"), "Invalid value (at line 1, column 5)"),
        (lambda: re.compile("("), "missing ), unterminated subpattern at position 0"),
        (lambda: zlib.decompress(b"abc"), "its compressed data are damaged"),
        (lambda: np.float32(1).reshape(3), "a value in it cannot be read"),
        (lambda: zipfile.ZipFile("/dev/null"), "it is no whole ZIP archive"),
        (lambda: onnxruntime.InferenceSession(b"abc"), "onnxruntime cannot read it"),
        (lambda: Path("/no/such/file").read_bytes(), "No such file or directory"),
    ],
)
def test_a_reason_is_said_in_words_for_people(call, said):
    assert reason_of(raised(call)) == said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (sqlite3.OperationalError("database is locked"), "another process is writing it: wait for that, or end it"),
        (sqlite3.OperationalError("database or disk is full"), "no space is left for it"),
        (sqlite3.DatabaseError("database disk image is malformed"), "it is damaged"),
        (sqlite3.OperationalError("no such table: x"), "it is damaged, or of another program"),
        (urllib.error.URLError(OSError("Tunnel connection failed: 403 Forbidden")), "the proxy refuses the connection with 403"),
        (urllib.error.HTTPError("http://127.0.0.1/", 404, "Not Found", None, None), "the server answers 404"),
        (http.client.BadStatusLine("x"), "its answer is broken"),
        (OSError("Unable to open (unable to lock file, errno = 11, error message = 'x')"), "another process is writing it: wait for that, or end it"),
        (OSError("Unable to open (unable to lock file, errno = 37, error message = 'x')"), "its disk locks no files: set HDF5_USE_FILE_LOCKING=FALSE"),
    ],
)  # fmt: skip
def test_what_libraries_say_in_text_alone_is_said_in_words_for_people(error, said):
    assert reason_of(error) == said


def test_the_error_of_a_database_is_found_below_those_of_who_asks_it():
    wrapped = sqlalchemy.exc.OperationalError("SELECT 1", {}, sqlite3.OperationalError("database or disk is full"))
    asked = optuna.exceptions.StorageInternalError("x")
    asked.__cause__ = wrapped
    assert reason_of(wrapped) == reason_of(asked) == "no space is left for it"


def test_the_systems_words_are_kept_without_pythons_frame():
    assert reason_of(OSError(errno.ENOSPC, "x", "/some/path")) == "No space left on device"
    assert (
        reason_of(OSError("Unable to write (file write failed: time = Mon, errno = 28, buf = 0x1)"))
        == "No space left on device"
    )
    assert reason_of(StoreError("Expected\n this \x1b[31m")) == "Expected this \\x1b[31m"


def test_no_exception_of_python_speaks_for_itself():
    for kind in vars(builtins).values():
        if (
            isinstance(kind, type)
            and issubclass(kind, Exception)
            and not issubclass(kind, UnicodeError | BaseExceptionGroup)
        ):
            said = reason_of(kind("invalid literal for int() with base 10: 'NoneType' object has no attribute 'x'"))
            assert said
            assert not PYTHONS_WORDS.search(said), said
