"""Fixtures that every room shares."""

import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from browsing import ARGUMENTS, CHROMIUM
from plainfilm import cli
from plainfilm.data import openings

os.environ.setdefault("KERAS_BACKEND", "jax")  # `make test` runs what trains on TensorFlow too
# Weights that somebody keeps at home would let a test pass that fails on a fresh machine.
_no_weights = tempfile.TemporaryDirectory(prefix="keras-")
os.environ["KERAS_HOME"] = _no_weights.name
# A machine that is busy with other things makes no test fail.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard():
    """Commands in the background of a script ignore Ctrl-C, and so would the processes that tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def _compiled_passes_are_let_go():
    """What JAX has compiled for a module's tests would stay in memory: gigabytes in the end."""
    yield
    if jax := sys.modules.get("jax"):
        jax.clear_caches()


@pytest.fixture(scope="module", autouse=True)
def _openings_are_counted_anew(tmp_path_factory):
    """The cache outlives a test run, and several modules make the same films."""
    cache = tmp_path_factory.mktemp("openings")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openings, "cache_folder", lambda: cache)
        yield cache


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real radiographs and weights beside the repository; tests that need them are skipped without."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder ../shared with real radiographs and weights, which is not part of the repository")
    return folder


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run a command in this process, in a folder of its own: exit code, stdout, stderr."""

    def called(*words):
        monkeypatch.setattr(sys, "argv", ["plainfilm", *map(str, words)])
        monkeypatch.chdir(tmp_path)
        capsys.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        said = capsys.readouterr()
        return code, said.out, said.err

    return called


@pytest.fixture(scope="session")
def browser():
    """One browser for all pages that a worker tests."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright to drive a browser")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield opened
        opened.close()
