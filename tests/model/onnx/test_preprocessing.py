"""Lung crop and harmonised intensities inside the graph, against Pillow and the lung finder outside it."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from onnx import TensorProto, helper
from PIL import Image

import made_bundles
from made_networks import drawn_network
from plainfilm.data import phantom
from plainfilm.errors import ExportError, WeightsError
from plainfilm.model import bundle, classifier, encoder, heads, keras_rebuild
from plainfilm.model.backbones import BACKBONES
from plainfilm.model.classifier import Classifier, Decision
from plainfilm.model.lung_segmentation import SIDE, LungFinder
from plainfilm.model.onnx import ensemble, preprocessing
from plainfilm.model.onnx.from_keras import Graph
from plainfilm.model.onnx_safety import check
from plainfilm.model.recipe_schema import HeadSettings

OLD = Path(__file__).parents[2] / "written_by_0_1_0"

LITE0 = BACKBONES["efficientnet_lite0"]
TWO = Decision(classes=("A", "B"), positive="A")
WAYS = [("lungs", "stored"), ("none", "harmonised"), ("lungs", "harmonised")]
SIZE = 96


@pytest.fixture(scope="module")
def films():
    """Synthetic radiographs, uint8 (6, 256, 256)."""
    made = [phantom.render(visit) for visit in phantom.plan(6, seed=5, duplicates=0)]
    return np.stack([np.asarray(Image.fromarray(film.pixels).resize((256, 256))) for film in made])


@pytest.fixture(scope="module")
def prepared():
    """What gives gray float32 (n, SIZE, SIZE) of images, crop and intensities; each graph is built once."""
    sessions = {}

    def run(images, crop="none", intensities="stored"):
        key = (images.shape[1], crop, intensities)
        if key not in sessions:
            sessions[key] = ort.InferenceSession(_network(*key).SerializeToString())
        return sessions[key].run(None, {"images": images})[0][:, 0]

    return run


def _network(size, crop, intensities):
    graph = Graph()
    out = preprocessing.add(graph, image_size=size, input_size=SIZE, crop=crop, intensities=intensities)
    graph.node("Identity", [out], output="gray")
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", size, size])
    return graph.model([images], [helper.make_tensor_value_info("gray", TensorProto.FLOAT, ["n", 1, SIZE, SIZE])])


def _box(mask):
    """Left, top, right and bottom of the box around a mask, in shares of its side, by NumPy's interpolation."""
    ends = []
    for axis in (0, 1):
        mass = np.concatenate([[0], np.cumsum(mask.sum(axis=axis)) / mask.sum()])
        low, high = np.interp([preprocessing.TAIL, 1 - preprocessing.TAIL], mass, np.arange(SIDE + 1))
        margin = preprocessing.MARGIN * (high - low)
        ends.append(np.clip([low - margin, high + margin], 0, SIDE) / SIDE)
    return np.stack(ends, axis=1).ravel()


def _by_pillow(image, box):
    corners = tuple(box * len(image))
    return np.asarray(Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=corners), np.float32)


@pytest.mark.parametrize("size", [64, 256, 300])
def test_the_crop_is_pillows_of_the_box_around_the_lungs_that_the_finder_finds(films, prepared, size):
    images = np.stack([np.asarray(Image.fromarray(film).resize((size, size))) for film in films])
    fields = LungFinder().find(images)
    assert fields.found.all()
    seen = prepared(images, "lungs")
    for image, mask, own in zip(images, fields.masks, seen, strict=True):
        box = _box(mask)
        assert (box[2:] - box[:2] < 0.98).all()
        # half a gray level is Pillow's rounding; islands, which the graph counts, may move the box by a pixel
        assert np.abs(own - _by_pillow(image, box)).mean() < 2


def test_a_picture_without_lungs_is_seen_whole(prepared):
    black, noise = np.zeros((256, 256), np.uint8), np.random.default_rng(0).integers(0, 256, (256, 256), np.uint8)
    images = np.stack([black, noise])
    assert not LungFinder().find(images).found.any()
    whole = np.stack([_by_pillow(image, np.array([0, 0, 1, 1])) for image in images])
    np.testing.assert_allclose(prepared(images, "lungs"), whole, atol=1.01)


@pytest.mark.parametrize(("crop", "intensities"), WAYS)
def test_each_image_is_prepared_as_if_it_were_alone(films, prepared, crop, intensities):
    images = np.concatenate([films, np.zeros_like(films[:1])])
    together = prepared(images, crop, intensities)
    alone = np.concatenate([prepared(images[at : at + 1], crop, intensities) for at in range(len(images))])
    np.testing.assert_allclose(together, alone, atol=0.02)
    assert np.isfinite(together).all()


def test_harmonised_lungs_have_the_same_mean_and_deviation(films, prepared):
    seen = prepared(films, "none", "harmonised")
    for mask, own in zip(LungFinder().find(films).masks, seen, strict=True):
        small = np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize((SIZE, SIZE))) > 127
        assert own[small].mean() == pytest.approx(preprocessing.MEAN, abs=4)
        assert own[small].std() == pytest.approx(preprocessing.DEVIATION, rel=0.15)
        assert own.min() >= 0
        assert own.max() <= 255


@settings(max_examples=12)
@given(gain=st.floats(0.5, 0.8), shift=st.floats(0, 50))
def test_harmonised_intensities_forget_how_bright_and_how_rich_in_contrast_a_film_was(films, prepared, gain, shift):
    other = np.round(films[:2] * gain + shift).astype(np.uint8)
    apart = prepared(films[:2], "none", "harmonised") - prepared(other, "none", "harmonised")
    assert np.abs(apart).mean() < 3


def test_images_as_they_are_stored_need_no_lungs(films, prepared):
    graph = Graph()
    preprocessing.add(graph, image_size=256, input_size=SIZE, crop="none", intensities="stored")
    assert [node.op_type for node in graph.nodes] == ["Cast", "Unsqueeze", "Resize"]
    np.testing.assert_allclose(prepared(films).mean(), films.mean(), atol=1)


def test_the_digest_of_images_as_they_are_stored_is_that_of_older_bundles():
    plain = encoder.preprocessing(LITE0, image_size=256)
    old = {
        name: value
        for name, value in structs.asdict(plain).items()
        if name not in {"crop", "intensities", "channels", "resample"}
    }
    assert plain.digest() == hashlib.sha256(json.dumps(old, sort_keys=True).encode()).hexdigest()
    told = bundle.load(OLD / "run" / "model.plainfilm").manifest.preprocessing
    assert told.digest() == told.sha256
    others = {structs.replace(plain, crop=crop, intensities=how).digest() for crop, how in WAYS}
    assert len(others | {plain.digest()}) == 4


@pytest.mark.parametrize("side", [24, 100])
@pytest.mark.parametrize("kernel", ["bilinear", "bicubic", "lanczos"])
def test_images_are_resized_with_antialias_as_pillow_does(kernel, side):
    images = np.random.default_rng(side).integers(0, 256, (2, 61, 61), np.uint8)
    graph = Graph()
    resample = f"{kernel}-antialias"
    out = preprocessing.add(graph, image_size=61, input_size=side, crop="none", intensities="stored", resample=resample)
    graph.node("Identity", [out], output="y")
    model = graph.model(
        [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["n", 61, 61])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 1, side, side])],
    )
    seen = ort.InferenceSession(model.SerializeToString()).run(None, {"images": images})[0][:, 0]
    wanted = [Image.fromarray(each).resize((side, side), Image.Resampling[kernel.upper()]) for each in images]
    apart = np.abs(seen - np.stack([np.asarray(each, np.float32) for each in wanted]))
    assert apart.max() <= 1
    assert apart.mean() < 0.02  # halves, which Pillow rounds up


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Bundles' networks by crop and intensities, with drawn weights."""
    network, made = drawn_network(LITE0, 32), {}
    head = classifier.export_head(heads.build_head(LITE0.width, 2, HeadSettings(), seed=0))
    for crop, intensities in [("none", "stored"), *WAYS]:
        prepare = encoder.preprocessing(LITE0, image_size=64, input_size=32, crop=crop, intensities=intensities)
        path = tmp_path_factory.mktemp("encoders") / "encoder.onnx"
        onnx.save(encoder.to_onnx(network, prepare), path)
        made[crop, intensities] = classifier.join(path.read_bytes(), head)
    return made


@pytest.mark.parametrize("way", WAYS)
def test_a_bundles_network_may_crop_and_harmonise(networks, way):
    assert check.check(networks[way]).image_size == 64


def test_a_network_that_sees_a_crop_offers_no_maps_for_they_would_lie_in_the_crops_frame(networks):
    offers = {way: Classifier(network, TWO).looks_at_maps for way, network in networks.items()}
    assert offers == {
        ("none", "stored"): True,
        ("none", "harmonised"): True,
        ("lungs", "stored"): False,
        ("lungs", "harmonised"): False,
    }


def test_a_network_with_a_crop_among_others_is_known_as_cropped(networks):
    def cut(way):
        model = onnx.load_from_string(networks[way])
        del model.graph.output[1:]
        return model

    mixed = ensemble.side_by_side([cut(("none", "stored")), cut(("lungs", "stored"))])
    alike = ensemble.side_by_side([cut(("none", "stored")), cut(("none", "harmonised"))])
    assert preprocessing.is_cropped(mixed)
    assert not preprocessing.is_cropped(alike)


def test_a_file_with_older_operators_gets_no_crop():
    with pytest.raises(WeightsError, match="version 18 or newer"):
        preprocessing.add(Graph(opset=17), image_size=64, input_size=32, crop="lungs", intensities="stored")


class _Bundle:
    def __init__(self, prepare):
        self.manifest = made_bundles.provenance(prepare=prepare)


def test_keras_gets_no_network_whose_crop_it_cannot_hold():
    plain = encoder.preprocessing(LITE0, image_size=64, input_size=32)
    assert keras_rebuild._preprocessing(_Bundle(plain)).digest() == plain.digest()
    with pytest.raises(ExportError, match="Export it to onnx or openvino"):
        keras_rebuild._preprocessing(_Bundle(structs.replace(plain, crop="lungs")))
    with pytest.raises(ValueError, match="Keras models lack"):
        encoder.to_keras(None, structs.replace(plain, intensities="harmonised"))
