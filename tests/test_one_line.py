"""Whatever a command is given, it answers in one line and in our own words."""

import errno
import os
import subprocess
import sys

import pytest

from malformed import OLD, STORE, cases, wrong
from plainfilm.cli import application
from plainfilm.errors import StoreError
from pythons_words import PYTHONS_WORDS


def test_malformed_files_of_every_kind_give_one_line_in_our_own_words(call, tmp_path):
    bad = [
        f"{case.name}: {said}: {err[-300:]}"
        for case in cases(tmp_path, 5, 240)
        for code, out, err in [call(*case.words)]
        if (said := wrong(case, code, out, err))
    ]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (StoreError("Expected\x1b[31m this;\nreceived that."), "Expected\\x1b[31m this;\\nreceived that.", 1),
        (OSError(errno.ENOSPC, "x", "/dev/shm/y"), "received /dev/shm/y: No space left on device.", 1),
        (MemoryError(), "received none that is left", 1),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), "received half a character", 2),
        (ZeroDivisionError("division by zero"), "a fault of plainfilm's own in plainfilm.cli.application, line", 1),
    ],
)
def test_any_error_of_a_command_is_one_line(call, monkeypatch, error, said, code):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(application, "app", fail)
    left, out, err = call("info", "x")
    assert (left, out) == (code, "")
    assert said in err
    assert err.startswith("plainfilm: ")
    assert err.count("\n") == 1
    assert not PYTHONS_WORDS.search(err)


def test_who_debugs_sees_the_traceback(call, monkeypatch):
    monkeypatch.setenv("PLAINFILM_DEBUG", "1")
    monkeypatch.setattr(application, "app", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call("info", "x")


_NOISY = """
import atexit, logging, os, subprocess, sys, warnings
import plainfilm.cli.application as application
from plainfilm.errors import StoreError

def noisy(*_, **__):
    warnings.warn("joblib will operate in serial mode")
    logging.getLogger("pydicom").warning("Invalid value for VR UI")
    os.write(2, b"libtiff: warning of native code\\n")
    subprocess.run([sys.executable, "-c", "import sys; print('resource_tracker: leaked', file=sys.stderr)"])
    raise StoreError("Expected this; received that.")

application.app, sys.argv = noisy, ["plainfilm", "info"]
application.main()
"""


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_libraries_native_code_and_child_processes_are_not_heard(encoding):
    environment = {name: value for name, value in os.environ.items() if name != "PLAINFILM_DEBUG"}
    ended = subprocess.run(
        [sys.executable, "-c", _NOISY],
        capture_output=True,
        env=environment | {"PYTHONIOENCODING": encoding},
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.decode() == "plainfilm: Expected this; received that.\n"
    assert ended.stdout == b""


def test_names_that_the_terminal_cannot_write_are_escaped(tmp_path):
    path = tmp_path / "正常"
    ended = subprocess.run(
        [sys.executable, "-m", "plainfilm", "info", path],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert ended.stderr.decode("ascii").startswith("plainfilm: Expected a store")
    assert b"\\u6b63\\u5e38" in ended.stderr


def test_a_store_that_lacks_a_statement_is_one_line(refused_store):
    refused_store("fit")


@pytest.fixture
def refused_store(call, tmp_path):
    """Take an attribute from a store and ask about it."""
    import shutil

    import h5py

    def check(name):
        path = tmp_path / "s.h5"
        shutil.copy(STORE, path)
        with h5py.File(path, "r+") as file:
            del file.attrs[name]
        code, _, err = call("info", path)
        assert code == 1
        assert f"does not state its {name}" in err

    return check


def test_what_was_written_by_0_1_still_opens(call):
    assert call("info", OLD / "run")[0] == 0
