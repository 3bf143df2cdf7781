import hashlib
import io
import json
import struct
import zipfile

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import made_bundles
from plainfilm.errors import BundleError
from plainfilm.model import bundle, golden, kernels
from plainfilm.model.classifier import Classifier, Decision
from plainfilm.model.onnx import from_keras

METRICS = made_bundles.metrics()
RECIPE = 'name = "default"\n'


def network(outputs=1, size=32, *, input_name="images", logits="logits"):
    graph = from_keras.Graph()
    mean = graph.node("ReduceMean", [graph.node("Cast", [input_name], to=1), graph.weight(np.array([1]))], keepdims=0)
    features = graph.node("Identity", [mean], output="features")
    matrix = np.random.default_rng(0).normal(0, 0.02, (size, outputs)).astype(np.float32)
    graph.node("MatMul", [features, graph.weight(matrix)], output=logits)
    images = onnx.helper.make_tensor_value_info(input_name, onnx.TensorProto.UINT8, ["n", size, size])
    outs = [from_keras.float_output("features", size), from_keras.float_output(logits, outputs)]
    return graph.model([images], outs)


def write(path, outputs=1, decision=None, **named):
    decision = decision or Decision(classes=("COVID", "NORMAL"), positive="COVID", temperature=1.7, threshold=0.41)
    made = Classifier(network(outputs).SerializeToString(), decision)
    bundle.write(
        path,
        made,
        about=made_bundles.provenance(decision.classes),
        metrics=METRICS,
        recipe=RECIPE,
        card="# Card",
        outliers=b"usual",
        seen=b"hashes",
        **named,
    )
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def whole(folder):
    path = folder / "model.plainfilm"
    write(path)
    return path


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def packed(path, contents, *, seal=True, compression=zipfile.ZIP_STORED):
    """Write members as a bundle; `seal` makes the hashes right again, as one would who means harm."""
    if seal:
        manifest = json.loads(contents["manifest.json"])
        manifest["members"] = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for name, data in contents.items()
            if name != "manifest.json"
        }
        contents = {**contents, "manifest.json": json.dumps(manifest).encode()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def refused(path, match=None):
    with pytest.raises(BundleError, match=match) as caught:
        bundle.load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def npy(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("outputs", "decision"),
    [
        (1, Decision(classes=("COVID", "NORMAL"), positive="NORMAL", temperature=0.3, threshold=0.7)),
        (2, Decision(classes=("COVID", "NORMAL"), positive="COVID")),
        (3, Decision(classes=("A", "B", "Ü"), positive=None)),
        (3, Decision(classes=("A", "B", "Ü"), positive=None, slopes=(0.5, 1.0, 2.0), intercepts=(0.4, -1.0, 0.0))),
        (1, Decision(classes=("a", "b"), positive="b", threshold=float(np.nextafter(1.0, 2.0)))),
    ],
)
def test_a_bundle_answers_after_loading_as_before_writing(outputs, decision, tmp_path):
    made = write(tmp_path / "m.plainfilm", outputs, decision)
    opened = bundle.load(str(tmp_path / "m.plainfilm"))
    assert opened.classifier.decision == decision
    assert opened.metrics == METRICS
    assert opened.recipe == RECIPE
    assert opened.manifest.intended_use == "Research use only."
    images = np.random.default_rng(3).integers(0, 256, (5, 32, 32), dtype=np.uint8)
    np.testing.assert_array_equal(opened.classifier.predict_proba(images), made.predict_proba(images))
    assert opened.classifier.predict(images) == made.predict(images)


def test_a_bundle_is_a_zip_of_stored_members_with_their_hashes(whole):
    with zipfile.ZipFile(whole) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    contents = members(whole)
    assert sorted(contents) == [
        "card.md",
        "golden_images.npy",
        "golden_logits.npy",
        "manifest.json",
        "metrics.json",
        "network.onnx",
        "outliers.bin",
        "recipe.toml",
        "seen.bin",
    ]
    stated = json.loads(contents.pop("manifest.json"))["members"]
    assert stated == {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in contents.items()
    }


def test_the_same_classifier_gives_the_same_bytes(whole, tmp_path):
    write(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == whole.read_bytes()


@settings(max_examples=150)
@given(data=st.data())
def test_an_altered_byte_in_a_member_is_found(whole, folder, data):
    original = bytearray(whole.read_bytes())
    with zipfile.ZipFile(whole) as archive:
        info = data.draw(st.sampled_from(archive.infolist()))
    start = info.header_offset + 30 + len(info.filename)
    place = start + data.draw(st.integers(0, info.file_size - 1))
    original[place] ^= data.draw(st.integers(1, 255))
    path = folder / "altered"
    path.write_bytes(original)
    refused(path)


@settings(max_examples=200)
@given(data=st.data())
def test_an_altered_byte_anywhere_is_found_or_changes_nothing(whole, folder, data):
    original = bytearray(whole.read_bytes())
    place = data.draw(st.one_of(st.integers(0, len(original) - 1), st.integers(len(original) - 600, len(original) - 1)))
    original[place] ^= data.draw(st.integers(1, 255))
    path = folder / "altered"
    path.write_bytes(original)
    try:
        opened = bundle.load(path)
    except BundleError:
        refused(path)
    else:
        reference = bundle.load(whole)
        assert (opened.manifest, opened.metrics, opened.recipe) == (
            reference.manifest,
            reference.metrics,
            reference.recipe,
        )
        assert opened.classifier.network == reference.classifier.network


@settings(max_examples=60)
@given(st.floats(0, 1, exclude_max=True))
def test_a_truncated_bundle_is_found(whole, folder, share):
    original = whole.read_bytes()
    path = folder / "truncated"
    path.write_bytes(original[: int(share * len(original))])
    refused(path)


@settings(max_examples=60)
@given(st.binary(max_size=400))
def test_whatever_else_is_no_bundle(folder, content):
    path = folder / "random"
    path.write_bytes(content)
    refused(path)


def test_a_folder_a_missing_file_and_another_zip_are_no_bundles(tmp_path):
    refused(tmp_path)
    refused(tmp_path / "none.plainfilm", "does not exist")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("hello.txt", "hello")
    refused(tmp_path / "other.zip", "its members are not a bundle's")


@pytest.mark.parametrize("name", ["extra.txt", "../evil.txt", "/etc/evil", "model.pkl", "manifest.json/", ""])
def test_a_member_too_many_is_refused(name, whole, tmp_path):
    contents = members(whole)
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        for each, data in [*contents.items(), (name, b"x")]:
            archive.writestr(zipfile.ZipInfo(each), data)
    refused(tmp_path / "m", "its members are not a bundle's")


def test_a_path_that_climbs_out_is_refused_and_nothing_is_extracted(whole, tmp_path):
    contents = members(whole)
    contents["../recipe.toml"] = contents.pop("recipe.toml")
    inside = tmp_path / "inside"
    inside.mkdir()
    refused(packed(inside / "m", contents), "its members are not a bundle's")
    assert [each.name for each in tmp_path.rglob("*")] == ["inside", "m"]


@pytest.mark.parametrize("name", ["manifest.json", "network.onnx", "recipe.toml", "golden_logits.npy"])
def test_a_missing_member_is_refused(name, whole, tmp_path):
    contents = {key: data for key, data in members(whole).items() if key != name}
    refused(packed(tmp_path / "m", contents, seal=name != "manifest.json"), "its members are not a bundle's")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_twice_is_refused(whole, tmp_path):
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        for name, data in [*members(whole).items(), ("recipe.toml", b"other")]:
            archive.writestr(name, data)
    refused(tmp_path / "m", "its members are not a bundle's")


def test_compressed_members_are_refused_before_they_are_unpacked(whole, tmp_path):
    contents = {**members(whole), "recipe.toml": b" " * 5_000_000}
    refused(packed(tmp_path / "m", contents, compression=zipfile.ZIP_DEFLATED), "compressed or too large")


def test_a_member_that_is_too_large_is_refused(whole, tmp_path):
    contents = {**members(whole), "recipe.toml": b" " * 2_000_000}
    refused(packed(tmp_path / "m", contents), "compressed or too large")


def test_an_encrypted_flag_is_refused(whole, tmp_path):
    data = bytearray(whole.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        struct.pack_into("<H", data, at + offset, 1)
    (tmp_path / "m").write_bytes(data)
    refused(tmp_path / "m")


def resealed(whole, path, **changes):
    contents = members(whole)
    manifest = {**json.loads(contents["manifest.json"]), **changes}
    contents["manifest.json"] = json.dumps({k: v for k, v in manifest.items() if v is not ...}).encode()
    return packed(path, contents)


def test_a_newer_version_asks_for_an_update(whole, tmp_path):
    refused(
        resealed(whole, tmp_path / "m", version=4), "version 3 or older; .* has manifest version 4. Update plainfilm"
    )
    newer = json.loads(members(whole)["metrics.json"]) | {"version": 2}
    contents = {**members(whole), "metrics.json": json.dumps(newer).encode()}
    refused(packed(tmp_path / "m", contents), r"metrics\.json version 2. Update plainfilm")


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "other"},
        {"format": ...},
        {"version": "1"},
        {"version": ...},
        {"version": True},
        {"classes": ...},
        {"classes": []},
        {"classes": ["COVID"]},
        {"classes": "AB"},
        {"classes": [1, 2]},
        {"classes": ["COVID", "COVID"]},
        {"classes": ["COVID", "NORMAL", "OTHER"], "positive": None},
        {"positive": "OTHER"},
        {"positive": ...},
        {"positive": None},
        {"positive": ["COVID"]},
        {"temperature": ...},
        {"temperature": "1"},
        {"temperature": 0},
        {"temperature": -1},
        {"temperature": None},
        {"temperature": float("nan")},
        {"temperature": 10**400},
        {"threshold": float("inf")},
        {"threshold": "high"},
        {"threshold": ...},
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(changes, whole, tmp_path):
    refused(resealed(whole, tmp_path / "m", **changes))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"null", b"\xff", b"[" * 100_000, b'{"a": ' + b"1" * 5000 + b"}"]
)
@pytest.mark.parametrize("name", ["manifest.json", "metrics.json"])
def test_json_that_is_no_object_is_refused(name, content, whole, tmp_path):
    refused(packed(tmp_path / "m", {**members(whole), name: content}, seal=name != "manifest.json"), "JSON")


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of the file was run')",)


huge = (
    b"\x93NUMPY\x01\x00"
    + struct.pack("<H", 118)
    + b"{'descr': '|u1', 'fortran_order': False, 'shape': (999999999999, 6, 6), }".ljust(117)
    + b"\n"
)


@pytest.mark.parametrize("name", ["golden_images.npy", "golden_logits.npy"])
@pytest.mark.parametrize(
    "content",
    [
        npy(np.array([Evil()], object)),
        b"",
        b"\x93NUMPY",
        b"hello",
        huge,
        b"\x80\x04K\x01.",  # a pickle
        npy(np.zeros((0, 6, 6), np.uint8)),
        npy(np.zeros((2, 7, 7), np.uint8)),
        npy(np.zeros((), np.float32)),
        npy(np.array(["a", "b"])),
        npy(np.full((2, 1), np.nan, np.float32)),
        npy(np.zeros((2, 3), np.float32)),
    ],
)
def test_golden_arrays_that_are_none_are_refused_and_never_unpickled(name, content, whole, tmp_path):
    refused(packed(tmp_path / "m", {**members(whole), name: content}))


def test_an_archive_of_arrays_in_the_place_of_one_is_refused(whole, tmp_path):
    file = io.BytesIO()
    np.savez(file, np.zeros((2, 6, 6), np.uint8))
    refused(packed(tmp_path / "m", {**members(whole), "golden_images.npy": file.getvalue()}))


def test_a_network_that_answers_otherwise_is_refused(whole, tmp_path):
    contents = members(whole)
    logits = np.load(io.BytesIO(contents["golden_logits.npy"]))
    other = packed(tmp_path / "m", {**contents, "golden_logits.npy": npy(logits + 0.1)})
    refused(other, "other answers here")
    with pytest.raises(BundleError, match="other answers here"):
        bundle.load(other, prepare=True)
    packed(tmp_path / "same", {**contents, "golden_logits.npy": npy(logits + 1e-5)})
    for prepare in (False, True):
        assert bundle.load(tmp_path / "same", prepare=prepare).metrics == METRICS


def test_a_bundle_of_large_images_has_one_golden_image(monkeypatch, whole, tmp_path):
    assert len(np.load(io.BytesIO(members(whole)["golden_images.npy"]))) == 2
    monkeypatch.setattr(bundle, "_LARGE", bundle.load(whole).classifier.image_size - 1)
    path = tmp_path / "large"
    write(path)
    assert len(np.load(io.BytesIO(members(path)["golden_images.npy"]))) == 1
    assert bundle.load(path).metrics == METRICS


@pytest.fixture
def large(monkeypatch, tmp_path):
    """A bundle whose network counts as slow, in a cache of its own; and how often golden answers were compared."""
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bundle, "_LARGE", 31)
    write(tmp_path / "large")
    compared, agree = list[int](), golden.agree
    monkeypatch.setattr(golden, "agree", lambda *both: compared.append(1) or agree(*both))
    return tmp_path / "large", compared


def test_a_large_network_is_asked_for_golden_answers_once_a_kind_of_processor(large, monkeypatch, tmp_path):
    path, compared = large
    bundle.load(path, prepare=True)
    assert not compared  # writing it has asked
    monkeypatch.setattr(kernels, "kernel_class", lambda: "another")
    for _ in range(2):
        bundle.load(path, prepare=True)
    assert len(compared) == 1
    contents = members(path)
    other = packed(tmp_path / "other", {**contents, "golden_logits.npy": npy(np.load(io.BytesIO(contents["golden_logits.npy"])) + 0.1)})  # fmt: skip
    for _ in range(2):
        with pytest.raises(BundleError, match="other answers here"):
            bundle.load(other, prepare=True)
    bundle.load(path).classifier.prepare()  # who opens it for long asks anew, before and after it is prepared
    assert len(compared) == 5


def test_a_cache_that_cannot_be_written_costs_a_pass_and_nothing_else(large, monkeypatch, tmp_path):
    path, compared = large
    (tmp_path / "file").touch()
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        assert bundle.load(path, prepare=True).metrics == METRICS
    assert len(compared) == 2


def external():
    model = network()
    weight = model.graph.initializer[-1]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "secret.bin"), ("offset", "0"), ("length", "24")):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    return model.SerializeToString()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        external(),
        network(input_name="pictures").SerializeToString(),
        network(logits="scores").SerializeToString(),
        network(outputs=3).SerializeToString(),
        network(size=8).SerializeToString(),
    ],
    ids=["empty", "text", "external data", "other input", "other output", "three outputs", "other size"],
)
def test_a_network_of_another_kind_is_refused(content, whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(bytes(24))
    refused(packed(tmp_path / "m", {**members(whole), "network.onnx": content}))


def test_a_recipe_that_is_no_text_is_refused(whole, tmp_path):
    refused(packed(tmp_path / "m", {**members(whole), "recipe.toml": b"\xff\xfe"}))


def test_a_bundle_that_cannot_be_written_leaves_the_old_one(whole, tmp_path, monkeypatch):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    monkeypatch.setattr(zipfile.ZipFile, "writestr", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space"):
        write(path)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["m"]
