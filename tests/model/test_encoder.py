import dataclasses
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import plainfilm
from made_files import Pictures
from made_networks import keras_encoder
from plainfilm.data import files, phantom
from plainfilm.engines.current import using
from plainfilm.engines.local import Local
from plainfilm.errors import EngineError, RecipeError, WeightsError
from plainfilm.model import backbones, bfloat16, devices, encoder, kernels, lung_segmentation
from plainfilm.model.augmentation import Altered
from plainfilm.model.backbones import BACKBONES
from plainfilm.model.onnx_session import ImageNetwork
from plainfilm.model.recipe_schema import AugmentationSettings

LITE0 = BACKBONES["efficientnet_lite0"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))


def pictures(n=20, size=64, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (n, size, size), dtype=np.uint8)
    return Pictures(pixels, f"made {n} {size} {seed}")


def own_network(path, *, channels_last=False, opset=17, outputs=5, size=16):
    """A user's ONNX backbone: the mean over the picture of 5 mixtures of its channels."""
    shape = ["n", size, size, 3] if channels_last else ["n", 3, size, size]
    mixtures = np.arange(3 * outputs, dtype=np.float32).reshape(3, outputs)
    axes = [1, 2] if channels_last else [2, 3]
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=axes, keepdims=0),
        helper.make_node("MatMul", ["mean", "m"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "own", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", outputs])], [numpy_helper.from_array(mixtures, "m")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return mixtures


def test_features_are_computed_once_and_then_read_from_the_cache():
    opened = encoder.open_encoder(LITE0, encoder.preprocessing(LITE0, image_size=64, input_size=64))
    images = pictures()
    first = encoder.encode_store(opened, images)
    asked = images.asked
    second = encoder.encode_store(opened, images)
    assert (first.cached, second.cached) == (False, True)
    assert images.asked == asked
    rows = np.array([3, 0, 19, 3])
    np.testing.assert_array_equal(second.read(rows), first.read(rows))
    np.testing.assert_allclose(first.read(rows), opened.encode(images.pixels[rows]), rtol=1e-4, atol=1e-5)


def test_other_images_weights_or_preprocessing_never_share_a_cache(tmp_path):
    small = encoder.open_encoder(LITE0, encoder.preprocessing(LITE0, image_size=64, input_size=32))
    large = encoder.open_encoder(LITE0, encoder.preprocessing(LITE0, image_size=64, input_size=64))
    wrong = encoder.open_encoder(LITE0, encoder.preprocessing(LITE0, image_size=64, input_size=64, scaling="0..255"))
    paths = {
        encoder.encode_store(opened, pictures(4, seed=seed)).path for opened in (small, large, wrong) for seed in (0, 1)
    }
    assert len(paths) == 6


def test_an_encoding_that_is_cut_off_leaves_no_features(monkeypatch):
    opened = encoder.open_encoder(LITE0, encoder.preprocessing(LITE0, image_size=64, input_size=32))

    def stop(done, _every):
        if done >= 64:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encoder.encode_store(opened, pictures(130), progress=stop)
    assert not list((files.cache_folder() / "features").glob("*"))
    assert not encoder.encode_store(opened, pictures(130)).cached


def test_an_encoding_that_is_cut_off_goes_on_from_its_last_segment(monkeypatch):
    monkeypatch.setattr(encoder, "SEGMENT", 8 * encoder.BATCH)
    opened = encoder.open_encoder(LITE0, encoder.preprocessing(LITE0, image_size=64, input_size=32))
    images, encoded = pictures(300), list[int]()

    def stop(done, _every):
        encoded.append(done)
        if done == 192:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encoder.encode_store(opened, images, progress=stop)
    (folder,) = (files.cache_folder() / "features").glob("*.parts")
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{number}-{kernels.kernel_class()}.f4" for number in (0, 1)
    ]
    damaged(folder / f"1-{kernels.kernel_class()}.f4")
    encoded.clear()
    found = encoder.encode_store(opened, images, progress=lambda done, _: encoded.append(done))
    assert encoded == [128, 192, 256, 300]
    assert not folder.exists()
    np.testing.assert_array_equal(found.read(range(300)), opened.encode(images.pixels))


def test_an_encoding_that_another_kind_of_processor_began_is_not_gone_on_with(monkeypatch):
    monkeypatch.setattr(encoder, "SEGMENT", 8 * encoder.BATCH)
    opened = encoder.open_encoder(LITE0, encoder.preprocessing(LITE0, image_size=64, input_size=32))
    encoded = list[int]()

    def stop(done, _every):
        encoded.append(done)
        if done == 128:
            raise KeyboardInterrupt

    for kind in ("one", "another"):
        monkeypatch.setattr(kernels, "kernel_class", lambda kind=kind: kind)
        with pytest.raises(KeyboardInterrupt):
            encoder.encode_store(opened, pictures(150), progress=stop)
    assert encoded == [64, 128, 64, 128]


def damaged(path, at=None):
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 1
    path.write_bytes(data)


def test_damaged_features_are_encoded_anew(tmp_path):
    own_network(tmp_path / "own.onnx")
    own = backbones.find(str(tmp_path / "own.onnx"))
    opened = encoder.open_encoder(own, encoder.preprocessing(own, image_size=32, input_size=16, scaling="0..1"))
    images = pictures(50, 32)
    first = encoder.encode_store(opened, images)
    whole = first.path.read_bytes()
    for length in (len(whole), 100):
        damaged(first.path)
        first.path.write_bytes(first.path.read_bytes()[:length])
        assert not encoder.encode_store(opened, images).cached
        assert first.path.read_bytes() == whole
    assert encoder.encode_store(opened, images).cached


def test_a_damaged_encoder_is_built_anew(tmp_path):
    own_network(tmp_path / "own.onnx")
    own = backbones.find(str(tmp_path / "own.onnx"))
    prepare = encoder.preprocessing(own, image_size=32, input_size=16, scaling="0..1")
    opened = encoder.open_encoder(own, prepare)
    whole = opened.network()
    opened.rest()
    damaged(opened.path)
    with pytest.raises(WeightsError, match="it was damaged or removed meanwhile. Run again"):
        opened.encode(pictures(1, 32).pixels)
    assert encoder.open_encoder(own, prepare).network() == whole


def test_damaged_measures_are_taken_anew():
    calls = []

    def compute():
        calls.append(1)
        return {"a": np.arange(9.0)}

    for known in (False, True):
        found, was_known = encoder.remembered("probes", "made", compute)
        assert was_known is known
    (path,) = (files.cache_folder() / "probes").iterdir()
    damaged(path)
    found, was_known = encoder.remembered("probes", "made", compute)
    assert (found["a"].tolist(), was_known, len(calls)) == (list(range(9)), False, 2)


def test_the_exported_encoder_is_kept(monkeypatch):
    prepare = encoder.preprocessing(LITE0, image_size=64, input_size=32)
    encoder.open_encoder(LITE0, prepare)
    monkeypatch.setattr(backbones, "build", lambda *_: pytest.fail("built again"))
    assert encoder.open_encoder(LITE0, prepare).width == 1280


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_users_onnx_file_is_taken_with_the_scaling_that_is_named(channels_last, tmp_path):
    mixtures = own_network(tmp_path / "own.onnx", channels_last=channels_last)
    own = backbones.find(str(tmp_path / "own.onnx"))
    opened = encoder.open_encoder(own, encoder.preprocessing(own, image_size=32, input_size=16, scaling="0..1"))
    images = pictures(3, 32).pixels
    halved = images.reshape(3, 16, 2, 16, 2).mean(axis=(2, 4)) / 255
    expected = np.repeat(halved.mean(axis=(1, 2))[:, None], 3, axis=1) @ mixtures
    np.testing.assert_allclose(opened.encode(images), expected, rtol=1e-4)


def test_a_users_onnx_file_needs_a_scaling(tmp_path):
    own_network(tmp_path / "own.onnx")
    with pytest.raises(RecipeError, match="does not say it"):
        encoder.preprocessing(backbones.find(str(tmp_path / "own.onnx")), image_size=32)


def test_mean_deviation_and_range_stand_for_a_scaling_or_change_it(tmp_path):
    own_network(tmp_path / "own.onnx")
    own = backbones.find(str(tmp_path / "own.onnx"))
    made = encoder.preprocessing(own, image_size=32, span=(-1024, 1024), channels=1)
    assert (made.scaling, made.channels) == ("-1024..1024, mean 0, std 1", 1)
    assert made.scale[0] * 255 + made.offset[0] == pytest.approx(1024)
    assert made.offset[0] == -1024
    changed = encoder.preprocessing(LITE0, image_size=32, scaling="imagenet", std=(0.5, 0.25, 0.5))
    gray = 200 * np.array(changed.scale) + np.array(changed.offset)
    np.testing.assert_allclose(gray, (200 / 255 - np.array([0.485, 0.456, 0.406])) / [0.5, 0.25, 0.5])
    with pytest.raises(RecipeError, match="which efficientnet_lite0 has; received 1"):
        encoder.preprocessing(LITE0, image_size=32, channels=1)


def test_onnx_files_that_are_no_backbone_are_refused(tmp_path):
    own_network(tmp_path / "old.onnx", opset=11)
    own_network(tmp_path / "size.onnx", size=24)
    (tmp_path / "text.onnx").write_text("hello")
    for name, reason in {
        "old.onnx": "Export it again",
        "size.onnx": "set backbone.input_size",
        "text.onnx": "which is none",
    }.items():
        own = backbones.find(str(tmp_path / name))
        with pytest.raises(WeightsError, match=reason):
            encoder.open_encoder(own, encoder.preprocessing(own, image_size=32, input_size=16, scaling="0..1"))


def test_an_encoder_that_looks_for_lungs_is_made_anew_for_another_network_or_limit(tmp_path, monkeypatch):
    plain = encoder.preprocessing(LITE0, image_size=64, input_size=32)
    harmonised = encoder.preprocessing(LITE0, image_size=64, input_size=32, intensities="harmonised")
    monkeypatch.setattr(encoder, "cached", lambda name, _: tmp_path / name)
    monkeypatch.setattr(encoder, "Encoder", lambda path, **_: path)

    def names():
        return [encoder.open_encoder(LITE0, prepare).name for prepare in (plain, harmonised)]

    before = names()
    monkeypatch.setattr(lung_segmentation, "LARGEST", 0.5)
    limited = names()
    (tmp_path / "lungs.onnx").write_bytes(b"another")
    monkeypatch.setattr(lung_segmentation, "NETWORK", tmp_path / "lungs.onnx")
    other = names()
    assert {before[0], limited[0], other[0]} == {before[0]}
    assert len({before[1], limited[1], other[1]}) == 3


def test_features_that_are_not_finite_stop_the_encoding(tmp_path, monkeypatch):
    own_network(tmp_path / "own.onnx")
    own = backbones.find(str(tmp_path / "own.onnx"))
    opened = encoder.open_encoder(own, encoder.preprocessing(own, image_size=32, input_size=16, scaling="0..1"))
    monkeypatch.setattr(opened, "encode", lambda images: np.full((len(images), 5), np.nan, np.float32))
    with pytest.raises(WeightsError, match="NaN or infinity"):
        encoder.encode_store(opened, pictures(4, 32))


def test_reading_features_does_not_hold_the_file_in_memory():
    opened = encoder.open_encoder(LITE0, encoder.preprocessing(LITE0, image_size=64, input_size=32))
    features = encoder.encode_store(opened, pictures(9))
    assert features.read(np.array([], np.int64)).shape == (0, 1280)
    np.testing.assert_array_equal(np.load(features.path)[[8, 2]], features.read(np.array([8, 2])))


@pytest.mark.parametrize(("over", "at_once"), [(0, 64), (64, 400), (1 << 14, 1 << 20)])
def test_features_are_read_in_the_order_on_disk_and_given_in_the_order_asked_for(tmp_path, monkeypatch, over, at_once):
    monkeypatch.setattr(encoder, "_READ_OVER_BYTES", over)
    monkeypatch.setattr(encoder, "_READ_AT_ONCE_BYTES", at_once)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 7)).astype(np.float32)
    np.save(tmp_path / "f.npy", values)
    features = encoder.Features(tmp_path / "f.npy", 500, 7, 0.0, cached=True)
    for rows in (rng.integers(0, 500, 300), rng.permutation(500), np.arange(500), [499], [3, 3, 0]):
        np.testing.assert_array_equal(features.read(rows), values[rows])


@pytest.mark.parametrize("scaling", ["auto", "caffe", "imagenet", "0..255"])
def test_preprocessing_in_keras_and_onnx_agree_for_every_scaling(scaling):
    prepare = encoder.preprocessing(LITE0, image_size=72, input_size=48, scaling=scaling)
    images = pictures(2, 72).pixels
    expected = np.asarray(keras_encoder(LITE0, prepare)(images.astype("float32"), training=False))
    received = encoder.open_encoder(LITE0, prepare).encode(images)
    assert np.abs(received - expected).max() / np.abs(expected).max() < 1e-4


def test_an_unknown_scaling_lists_the_known_ones():
    with pytest.raises(RecipeError, match="caffe"):
        encoder.preprocessing(LITE0, image_size=64, scaling="torch")


def test_arrays_are_remembered_under_all_that_they_depend_on():
    asked = []

    def compute():
        asked.append(1)
        return {"on its side": np.arange(3.0), "words": np.array(["a", "bc"])}

    first, known = encoder.remembered("test-arrays", "encoder A, images B", compute)
    again, known_again = encoder.remembered("test-arrays", "encoder A, images B", compute)
    assert (known, known_again, len(asked)) == (False, True, 1)
    assert all((first[name] == again[name]).all() for name in compute())
    encoder.remembered("test-arrays", "encoder A, images C", compute)
    assert len(asked) == 3


def test_other_processes_encode_to_the_same_bits(monkeypatch, tmp_path):
    monkeypatch.setattr(encoder, "SEGMENT", 8 * encoder.BATCH)
    phantom.write_phantoms(tmp_path / "films", n=150, seed=3)
    plainfilm.ingest(tmp_path / "films", tmp_path / "films.h5", size=32, workers=1)
    own_network(tmp_path / "own.onnx")
    own = backbones.find(str(tmp_path / "own.onnx"))
    opened = encoder.open_encoder(own, encoder.preprocessing(own, image_size=32, input_size=16, scaling="0..1"))
    with plainfilm.Store(tmp_path / "films.h5") as store:
        wanted = encoder.encode_store(opened, store)
        content = wanted.path.read_bytes()
        wanted.path.unlink()
        told = list[int]()
        with Local(2) as engine, using(engine), monkeypatch.context() as patch:
            patch.setattr(encoder, "segment", None)
            found = encoder.encode_store(opened, store, progress=lambda done, _: told.append(done))
        assert not found.cached
        assert found.path.read_bytes() == content
        assert told[-1] == len(store)
        view = Altered(store, AugmentationSettings(), seed=3, view=1)
        altered = encoder.encode_store(opened, view)
        content = altered.path.read_bytes()
        altered.path.unlink()
        with Local(2) as engine, using(engine), monkeypatch.context() as patch:
            patch.setattr(encoder, "segment", None)
            assert encoder.encode_store(opened, view).path.read_bytes() == content
        found.path.unlink()
        plainfilm.ingest(tmp_path / "films", tmp_path / "films.h5", size=32, fit="pad", seed=1, overwrite=True)
        with Local(1) as engine, using(engine), pytest.raises(EngineError, match="received another on"):
            encoder.encode_store(opened, store)


# devices and precision


def own_encoder(tmp_path, **told):
    own_network(tmp_path / "own.onnx")
    own = dataclasses.replace(backbones.find(str(tmp_path / "own.onnx")), **told)
    return encoder.open_encoder(own, encoder.preprocessing(own, image_size=32, input_size=16, scaling="0..1"))


class OnCuda(ImageNetwork):
    """A network that was moved to a GPU."""

    def __init__(self, network, *, threads, device):
        super().__init__(network, threads=threads)
        self.device = device.name

    def run(self, images, *names):
        return [self.session.run(list(names), {"images": images})[0] + 1]


def test_features_of_another_device_lie_apart_in_the_cache_and_are_read_ahead(tmp_path, monkeypatch):
    here, images = own_encoder(tmp_path), pictures(700, 32)
    monkeypatch.setattr(encoder, "ImageNetwork", OnCuda)
    monkeypatch.setattr(devices, "offered", lambda: ("cuda", "cpu"))
    with devices.using("cuda"):
        there = own_encoder(tmp_path)
    assert (here.device, there.device) == ("cpu", "cuda")
    assert there.key == f"{here.key} cuda"
    every = range(700)
    found = [encoder.encode_store(opened, images).read(every) for opened in (there, here)]
    np.testing.assert_allclose(found[0] - 1, found[1], rtol=1e-5)


@pytest.mark.skipif(not bfloat16.is_native(), reason="without instructions for bfloat16")
def test_features_in_bfloat16_lie_apart_in_the_cache_also_those_of_a_job(tmp_path):
    exact, rough = own_encoder(tmp_path), own_encoder(tmp_path, precision=backbones.BFLOAT16)
    assert rough.key == f"{exact.key} bfloat16"
    images = pictures(30, 32)
    found, expected = (encoder.encode_store(opened, images).read(range(30)) for opened in (rough, exact))
    assert 0 < np.abs(found - expected).max() < 0.02 * expected.max()
    job = {name: getattr(rough, name) for name in ("key", "name", "preprocessing", "weights_sha256", "precision")}
    there = encoder._opened(rough.path, *job.values())
    np.testing.assert_allclose(there.encode(images.pixels), found, rtol=1e-3)


LET_GO = """
import sys
import numpy as np
from plainfilm.model.bfloat16 import Bfloat16Network

images = np.zeros((32, 32, 32), np.uint8)
for _ in range(10):
    network = Bfloat16Network(open(sys.argv[1], "rb").read(), threads=2)
    network.run(images, "features")
    del network
print("done")
"""


@pytest.mark.skipif(not bfloat16.is_native(), reason="without instructions for bfloat16")
def test_a_network_in_bfloat16_that_is_let_go_as_soon_as_it_has_answered_does_not_wait_for_itself(tmp_path):
    """Callbacks in Python hung within a few of these, with Python's lock held: not even a limit of time was heard."""
    network = tmp_path / "network.onnx"
    network.write_bytes(own_encoder(tmp_path).network())
    ended = subprocess.run(
        [sys.executable, "-c", LET_GO, network], capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.stdout == "done\n", ended.stderr
