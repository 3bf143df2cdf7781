"""What a command does not load, so that it starts soon and serving needs little."""

import gc
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from plainfilm.cli import output
from waiting import WAIT_S

OLD = Path(__file__).parents[1] / "written_by_0_1_0"
WATCHED = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules))))
sys.argv = ["plainfilm", *sys.argv[1:]]
from plainfilm import cli
cli.main()
"""
TRAINING = {
    "keras",
    "jax",
    "tensorflow",
    "torch",
    "onnx",
    "optuna",
    "plainfilm.model.training",
    "plainfilm.model.weights",
}
PICTURES = {"matplotlib", "jinja2"}
DICOM = {"pydicom", "gdcm", "openjpeg", "pynetdicom", "highdicom"}
SERVING = {"fastapi", "uvicorn", "starlette"}
SCIPY = {"scipy", "sklearn"}
ANSWERING = TRAINING | PICTURES | DICOM | SCIPY | {"h5py", "plainfilm.model.encoder"}
SCIPY_PARTS = {"scipy.stats", "scipy.optimize", "scipy.ndimage", "scipy.spatial", "sklearn"}
TRAIN = ["--backbone", "backbone.onnx", "--set", "backbone.scaling=0..255", "--epochs", "1", "--out", "again"]


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    return tmp_path


def started(folder, *words):
    own = {"PLAINFILM_CACHE": str(folder / "cache"), "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-c", WATCHED, *words]
    return subprocess.Popen(command, cwd=folder, env=os.environ | own, stdout=subprocess.PIPE, text=True)


def loaded(process):
    out, _ = process.communicate(timeout=WAIT_S)
    return set(json.loads(out.splitlines()[-1]))


@pytest.mark.parametrize(
    ("words", "spared"),
    [
        (["--help"], ANSWERING | SERVING | {"numpy", "onnxruntime", "PIL"}),
        (["train", "--help"], ANSWERING | SERVING | {"numpy", "onnxruntime", "PIL"}),
        (["info", "store.h5"], ANSWERING - {"h5py"} | SERVING | {"onnxruntime", "PIL", "plainfilm.model.classifier"}),
        (["info", "run/model.plainfilm"], ANSWERING - {"h5py"} | SERVING | {"PIL"}),
        (["predict", "run/model.plainfilm", "films/00001.jpg"], ANSWERING | SERVING),
        (["ingest", "films", "--out", "new.h5"], TRAINING | PICTURES | DICOM | SERVING | {"onnxruntime"}),
        (["evaluate", "run/model.plainfilm", "films", "--out", "new"], TRAINING - {"plainfilm.model.weights"} | DICOM | SERVING | SCIPY_PARTS),
        pytest.param(["audit", "store.h5", "--out", "new", "--model", "run/model.plainfilm"], {"tensorflow", "torch", "scipy.stats"} | DICOM | SERVING, marks=pytest.mark.slow),
        pytest.param(["train", "store.h5", "--no-audit", *TRAIN], {"tensorflow", "torch", "optuna", "matplotlib.pyplot"} | SCIPY_PARTS | DICOM | SERVING, marks=pytest.mark.slow),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_command_does_not_load(folder, words, spared):
    assert not spared & loaded(started(folder, *words))


@pytest.mark.slow
def test_a_server_does_not_load_what_trains_and_draws(folder):
    serving = started(folder, "serve", "run/model.plainfilm", "--port", "0", "--json")
    assert json.loads(serving.stdout.readline())["address"]
    serving.send_signal(signal.SIGINT)
    assert not ANSWERING & loaded(serving)


def test_importing_the_package_loads_nothing_heavy():
    code = "import plainfilm, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=WAIT_S)
    assert not (ANSWERING | SERVING | {"numpy", "onnxruntime", "PIL", "rich"}) & set(done.stdout.split())


def test_the_app_starts_without_what_decodes_answers_or_renders():
    code = "from plainfilm.app import server; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=WAIT_S)
    spared = ANSWERING | {"numpy", "onnxruntime", "PIL", "rich", "fastapi", "markdown_it", "cyclopts"}
    assert not spared & set(done.stdout.split())


def test_what_keras_is_spared_can_be_imported_afterwards(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    with output._importing_less():
        assert not gc.isenabled()
        with pytest.raises(ImportError):
            importlib.import_module("matplotlib.pyplot")
    assert gc.isenabled()
    assert importlib.import_module("matplotlib.pyplot").plot


def test_threads_of_numpy_are_one_unless_asked_for(call, monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    call("--version")
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    call("--version")
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
