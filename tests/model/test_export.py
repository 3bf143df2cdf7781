import dataclasses
import functools
import inspect
import itertools
import json
import re
import shutil
import sys
import zipfile
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from PIL import Image

import made_bundles
import plainfilm
from backends import needs_tensorflow
from plainfilm import cli
from plainfilm.arguments import Target
from plainfilm.errors import ExportError, MissingExtraError, UsageError
from plainfilm.model import (
    backbones,
    bundle,
    efficientnet_lite,
    encoder,
    export,
    formats,
    heads,
    keras_backend,
    recipes,
    sites,
    weights,
)
from plainfilm.model.bundle import Bundle
from plainfilm.model.classifier import Classifier, Decision, export_head, join
from plainfilm.model.onnx import from_keras
from plainfilm.results.manifest import BackboneUsed, Manifest, Site
from plainfilm.results.metrics import Recalibrated
from plainfilm.workflows.options import ExportOptions

pytestmark = pytest.mark.trains

SIZE, INPUT = 96, 64
SUFFIXES = {to: each.suffix for to, each in formats.FORMATS.items()}
QUICK = ("onnx", "openvino")
TFLITE = pytest.param("tflite", marks=[pytest.mark.slow, needs_tensorflow])
EVERY = [*QUICK, pytest.param("keras", marks=pytest.mark.slow), TFLITE]
DECISIONS = {
    "first": Decision(classes=("COVID", "NORMAL"), positive="COVID", temperature=1.7, threshold=0.41, shift=0.6),
    "second": Decision(classes=("NORMAL", "COVID"), positive="COVID", temperature=0.6, threshold=0.3, shift=-0.8),
    "three": Decision(classes=("A", "B", "Ü"), positive=None, temperature=1.4),
    "vector": Decision(
        classes=("A", "B", "Ü"), positive=None, temperature=1.4, slopes=(0.5, 1.5, 1.1), intercepts=(0.4, -1.0, 0.2)
    ),
}
ROW, STAGES = backbones.BACKBONES["efficientnet_lite0"], efficientnet_lite._STAGES
PREPARE = encoder.preprocessing(ROW, image_size=SIZE, input_size=INPUT)
DOCS = Path(__file__).resolve().parents[2] / "docs" / "export.md"


@pytest.fixture(scope="module", autouse=True)
def quickly():
    """Radiographs to compare on are rendered once a size, and the default backbone has two of its seven stages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "radiographs", functools.cache(export.radiographs))
        patch.setattr(efficientnet_lite, "_STAGES", STAGES[:2])
        yield


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    path, rng = tmp_path_factory.mktemp("encoder") / "short.onnx", np.random.default_rng(0)
    keras.utils.set_random_seed(1)  # answers are neither near 0 nor near 1
    network = backbones.build(ROW, INPUT)
    for layer in network.layers:
        if layer.name.endswith("_bn"):
            gamma, beta, mean, _ = layer.get_weights()
            gamma, beta, mean = (value + rng.uniform(low, high, value.shape) for value, low, high in ((gamma, 0, 1), (beta, -0.5, 0.5), (mean, -0.2, 0.2)))  # fmt: skip
            layer.set_weights([gamma, beta, mean, rng.uniform(0.1, 0.3, mean.shape)])  # small: answers shall vary
    path.write_bytes(encoder.to_onnx(network, PREPARE).SerializeToString())
    return {name: made_bundle(path.read_bytes(), decision) for name, decision in DECISIONS.items()}


@pytest.fixture(scope="module")
def exported(bundles, tmp_path_factory):
    """The file of a format and a decision, and what its export said; each made once."""
    folder = tmp_path_factory.mktemp("exported")

    @functools.cache
    def made(to, which):
        return export.export(bundles[which], to, folder / to / f"{which}{SUFFIXES[to]}")

    return made


def made_bundle(network, decision):
    """A bundle of an encoder's network and a head that nobody trained."""
    recipe = recipes.load("hidden-layer", {"head.layers": "dense 16, dropout 0.3", "head.activation": "gelu"})
    head = heads.build_head(ROW.width, len(decision.classes), recipe.head, seed=3)
    made = Classifier(join(network, export_head(head)), decision)
    metrics = made_bundles.metrics(audit=made_bundles.AUDIT | {"verdict": "shortcut possible"})
    return Bundle(made, manifest(decision, PREPARE, ROW.name), metrics, recipe.to_toml(), "", b"", b"", is_signed=False)


def manifest(decision, prepare, backbone):
    about = made_bundles.provenance(
        decision.classes, prepare, backbone=BackboneUsed(name=backbone, weights_sha256="", features=32)
    )
    return Manifest(**structs.asdict(about), **dataclasses.asdict(decision), members={})


def tiny_bundle(scale=0.02, decision=DECISIONS["first"], backbone="own"):
    """A bundle of a network of three nodes, which no backbone of ours is."""
    graph = from_keras.Graph()
    mean = graph.node("ReduceMean", [graph.node("Cast", ["images"], to=1), graph.weight(np.array([1]))], keepdims=0)
    matrix = np.random.default_rng(0).normal(0, scale, (32, 1)).astype(np.float32)
    graph.node("MatMul", [graph.node("Identity", [mean], output="features"), graph.weight(matrix)], output="logits")
    images = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["n", 32, 32])
    outputs = [from_keras.float_output("features", 32), from_keras.float_output("logits", 1)]
    network = graph.model([images], outputs).SerializeToString()
    about = manifest(decision, made_bundles.preprocessing(), backbone)
    return Bundle(
        Classifier(network, decision),
        about,
        made_bundles.metrics(),
        recipes.load("hidden-layer").to_toml(),
        "",
        b"",
        b"",
        is_signed=False,
    )


def noise(n, size=SIZE):
    return np.random.default_rng(7).integers(0, 256, (n, size, size), dtype=np.uint8)


def run(to, path, images):
    return formats.FORMATS[to].open(path)(images)


def names(folder):
    return sorted(each.name for each in folder.iterdir())


# ---- every format


@pytest.mark.parametrize("to", EVERY)
@pytest.mark.parametrize("which", DECISIONS)
def test_an_exported_file_answers_as_its_bundle(to, which, bundles, exported):
    done = exported(to, which)
    assert (done.path.name, done.to, done.images) == (f"{which}{SUFFIXES[to]}", to, 64)
    assert done.largest_difference <= 1e-4
    assert done.largest_log_difference <= 1e-2
    files = list(done.path.parent.glob(f"{which}.*"))
    assert sorted(each.suffix for each in files) == ([".bin", ".xml"] if to == "openvino" else [SUFFIXES[to]])
    assert done.bytes == sum(each.stat().st_size for each in files)
    assert_answers_as(bundles[which], to, done.path)


def assert_answers_as(made, to, path):
    """On one image and on several, with answers that lie neither near 0 nor near 1."""
    opened = formats.FORMATS[to].open(path)
    for images in (noise(1), noise(5)):
        received, expected = opened(images), made.classifier.predict_proba(images)
        assert received.dtype == np.float32
        assert expected.min() > 1e-3
        np.testing.assert_allclose(received, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("to", ["keras", TFLITE])
def test_the_whole_default_backbone_with_its_own_weights(to, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(efficientnet_lite, "_STAGES", STAGES)
    made = made_bundle(encoder.open_encoder(ROW, PREPARE).network(), DECISIONS["first"])
    assert export.export(made, to, tmp_path / f"m{SUFFIXES[to]}").largest_difference <= 1e-4
    assert_answers_as(made, to, tmp_path / f"m{SUFFIXES[to]}")


@pytest.mark.slow
@needs_tensorflow
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_the_examples_of_the_document_run_and_agree(bundles, exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(noise(1)[0]).save("film.png")
    for to in SUFFIXES:
        for file in exported(to, "second").path.parent.glob("second.*"):
            shutil.copyfile(file, f"model{file.suffix}")
    prepare, *examples = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    known = {}
    exec(prepare.replace("256", str(SIZE)), known)
    expected = bundles["second"].classifier.predict_proba(known["images"])
    assert len(examples) == len(SUFFIXES)
    for example in examples:
        found = dict(known)
        exec(example, found)
        np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
        assert found["classes"] == ["NORMAL", "COVID"]


def test_onnx_holds_the_probabilities_and_nothing_that_they_do_not_need(bundles, exported):
    assert bundles["first"].classifier.looks_at_maps
    model = onnx.load(exported("onnx", "first").path)
    onnx.checker.check_model(model, full_check=True)
    assert [each.name for each in model.graph.output] == ["probabilities"]
    used = {name for node in model.graph.node for name in node.input}
    assert {each.name for each in model.graph.initializer} <= used
    assert {name for node in model.graph.node for name in node.output} - used == {"probabilities"}
    assert not any("slope" in name for name in used)


def test_onnx_keeps_what_an_inner_graph_reads(tmp_path):
    made = tiny_bundle()
    model = onnx.load_from_string(made.classifier.network)
    inner = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["features"], ["inner"])],
        "inner",
        [],
        [from_keras.float_output("inner", 6)],
    )
    always = onnx.helper.make_node("Constant", [], ["always"], value=onnx.numpy_helper.from_array(np.array(True)))
    either = onnx.helper.make_node("If", ["always"], ["chosen"], then_branch=inner, else_branch=inner)
    model.graph.node[-1].input[0] = "chosen"
    model.graph.node.insert(len(model.graph.node) - 1, always)
    model.graph.node.insert(len(model.graph.node) - 1, either)
    changed = dataclasses.replace(made, classifier=Classifier(model.SerializeToString(), made.classifier.decision))
    assert export.export(changed, "onnx", tmp_path / "m.onnx").largest_difference < 1e-6


def test_openvino_is_written_in_float32(exported):
    text = exported("openvino", "first").path.read_text(encoding="utf-8")
    assert "f16" not in text
    assert "f32" in text


def test_openvino_keeps_the_channels_of_a_backbone_that_begins_with_a_convolution(tmp_path, monkeypatch):
    bundle = Path(__file__).parents[1] / "written_by_0_1_0" / "run" / "model.plainfilm"
    assert export.export(bundle, "openvino", tmp_path / "m.xml").largest_difference < 1e-5
    monkeypatch.setattr(formats, "repeat_gray", lambda _: None)
    with pytest.raises(ExportError, match=r"a network that openvino takes; it refuses this one\. Use another format"):
        export.export(bundle, "openvino", tmp_path / "refused.xml")
    assert not (tmp_path / "refused.xml").exists()


# ---- metadata


def metadata(to, path):
    if to == "onnx":
        found = {each.key: each.value for each in onnx.load(path).metadata_props}
    elif to == "openvino":
        import openvino

        found = openvino.Core().read_model(path).get_rt_info(["plainfilm"]).value
    else:
        return json.loads(zipfile.ZipFile(path).read("plainfilm.json"))
    texts = {"format", "positive", "intended_use", "verdict", "plainfilm", "site"}
    return {name: text if name in texts else json.loads(text) for name, text in found.items()}


@pytest.mark.parametrize("to", EVERY)
def test_a_file_says_what_it_gives_and_what_it_is_not(to, exported):
    assert metadata(to, exported(to, "second").path) == {
        "format": "plainfilm-export",
        "version": 1,
        "classes": ["NORMAL", "COVID"],
        "positive": "COVID",
        "threshold": 0.3,
        "image_size": SIZE,
        "intended_use": "Research use only.",
        "verdict": "shortcut possible",
        "plainfilm": plainfilm.__version__,
    }


# ---- Keras


@pytest.mark.slow
def test_the_weights_come_from_the_bundle_and_from_no_file(bundles, tmp_path, monkeypatch):
    """As after fine-tuning: no file in the world holds these weights."""
    monkeypatch.setattr(weights, "locate", lambda *_a, **_k: pytest.fail("asked for a file of weights"))
    made = bundles["first"]
    model = onnx.load_from_string(made.classifier.network)
    rng = np.random.default_rng(0)
    for each in model.graph.initializer:
        value = onnx.numpy_helper.to_array(each)
        if value.ndim == 4 and len(value) > 3:
            tuned = (value * rng.uniform(0.95, 1.05, value.shape)).astype(np.float32)
            each.CopyFrom(onnx.numpy_helper.from_array(tuned, each.name))
    tuned = dataclasses.replace(made, classifier=Classifier(model.SerializeToString(), made.classifier.decision))
    images = noise(3)
    expected = tuned.classifier.predict_proba(images)
    assert np.abs(expected - made.classifier.predict_proba(images)).max() > 1e-3
    export.export(tuned, "keras", tmp_path / "m.keras")
    np.testing.assert_allclose(run("keras", tmp_path / "m.keras", images), expected, atol=1e-5)


@pytest.mark.slow
def test_a_keras_file_holds_layers_of_keras_alone_and_trains_nothing(exported):
    import keras

    path = exported("keras", "first").path
    config = zipfile.ZipFile(path).read("config.json").decode()
    modules = set(re.findall(r'"module": "([^"]*)"', config))
    assert modules
    assert all(name.split(".")[0] == "keras" for name in modules)
    assert "Lambda" not in config
    opened = keras.saving.load_model(path, safe_mode=True)
    assert opened.inputs[0].dtype == "uint8"
    assert not opened.trainable_weights


@pytest.mark.parametrize("to", ["keras", "tflite"])
def test_a_backbone_of_the_users_own_cannot_become_keras(to, tmp_path):
    recipe = recipes.load("hidden-layer").to_toml().replace('name = "efficientnet_lite0"', 'name = "mobilenet.onnx"')
    made = dataclasses.replace(tiny_bundle(backbone="mobilenet"), recipe=recipe)
    with pytest.raises(ExportError, match="from a file or a hub. Export it to onnx or openvino"):
        export.export(made, to, tmp_path / f"m{SUFFIXES[to]}")
    with pytest.raises(ExportError, match="from a file or a hub"):
        export.export(tiny_bundle(backbone="mine"), to, tmp_path / f"m{SUFFIXES[to]}")
    assert names(tmp_path) == []


def changed_manifest(made, **changes):
    return dataclasses.replace(made, manifest=structs.replace(made.manifest, **changes))


def prepared(made, **changes):
    return changed_manifest(made, preprocessing=structs.replace(made.manifest.preprocessing, **changes))


@pytest.mark.parametrize(
    "change",
    [
        lambda made: changed_manifest(made, backbone=structs.replace(made.manifest.backbone, name="mobilenet_v2")),
        lambda made: prepared(made, scale=(1.0, 1.0, 1.0)),
        lambda made: prepared(made, input_size=96),
        lambda made: dataclasses.replace(made, recipe=made.recipe.replace("dense 16", "dense 32")),
        lambda made: dataclasses.replace(made, recipe=made.recipe.replace('"dense 16", ', "")),
        lambda made: dataclasses.replace(made, recipe=made.recipe.replace('"dense 16"', '"dense 16", "dense 16"')),
    ],
)
def test_a_network_that_is_not_what_its_manifest_and_recipe_say_is_refused(change, bundles, tmp_path):
    with pytest.raises(ExportError, match="what its manifest and recipe say"):
        export.export(change(bundles["first"]), "keras", tmp_path / "m.keras")
    assert names(tmp_path) == []


def test_tflite_needs_keras_on_tensorflow(bundles, tmp_path, monkeypatch):
    monkeypatch.setattr(keras_backend, "choose", lambda **_: "jax")
    with pytest.raises(UsageError, match="runs on jax. Unset KERAS_BACKEND"):
        export.export(bundles["first"], "tflite", tmp_path / "m.tflite")


# ---- parity


def wrong_temperature(patch, factor):
    right = formats.affine
    patch.setattr(formats, "affine", lambda *given: (right(*given)[0] * np.float32(factor), right(*given)[1]))


@pytest.mark.parametrize("to", EVERY)
def test_a_file_that_answers_otherwise_is_not_kept(to, bundles, tmp_path, monkeypatch):
    wrong_temperature(monkeypatch, 1.1)
    with pytest.raises(ExportError, match=r"largest differences over 64 images were [1-9]\.[0-9]e-0[1-3] and"):
        export.export(bundles["first"], to, tmp_path / f"m{SUFFIXES[to]}")
    assert names(tmp_path) == []


@pytest.mark.parametrize("to", QUICK)
def test_a_file_that_answers_otherwise_leaves_the_older_one_as_it_was(to, tmp_path, monkeypatch):
    out = tmp_path / f"m{SUFFIXES[to]}"
    export.export(tiny_bundle(), to, out)
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    wrong_temperature(monkeypatch, 1.1)
    with pytest.raises(ExportError):
        export.export(tiny_bundle(), to, out, overwrite=True)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before


@pytest.mark.parametrize("factor", [1.5, 0.5])
def test_a_wrong_answer_is_found_where_all_probabilities_are_near_0_and_1(factor, tmp_path, monkeypatch):
    sure = tiny_bundle(decision=dataclasses.replace(DECISIONS["first"], shift=40.0))
    images = export.radiographs(32)
    assert np.abs(sure.classifier.predict_proba(images) - [1, 0]).max() < 1e-5
    wrong_temperature(monkeypatch, factor)
    with pytest.raises(ExportError):
        export.export(sure, "onnx", tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "answer",
    [
        lambda images: np.full((len(images), 2), np.nan, np.float32),
        lambda images: np.zeros((len(images), 2), np.float32),
        lambda images: np.full((len(images), 1), 0.5, np.float32),
        lambda images: np.full((len(images), 2), 0.5),
    ],
)
def test_answers_that_are_none_are_not_kept(answer, tmp_path, monkeypatch):
    broken = dataclasses.replace(formats.FORMATS["onnx"], open=lambda _path: answer)
    monkeypatch.setattr(export, "FORMATS", {"onnx": broken})
    with pytest.raises(ExportError):
        export.export(tiny_bundle(), "onnx", tmp_path / "m.onnx")
    assert names(tmp_path) == []


@given(st.data())
def test_calibration_is_an_affine_map_and_a_softmax(data):
    outputs, classes = data.draw(st.sampled_from([(1, 2), (2, 2), (3, 3), (5, 5)]))
    classes = tuple("ABCDE"[:classes])
    positive = data.draw(st.sampled_from(classes)) if len(classes) == 2 else None
    decision = Decision(
        classes=classes,
        positive=positive,
        temperature=data.draw(st.floats(0.2, 5)),
        shift=data.draw(st.floats(-3, 3)) if positive else 0.0,
    )
    logits = np.array(data.draw(st.lists(st.floats(-8, 8), min_size=outputs, max_size=outputs)))[None]
    matrix, offset = formats.affine(decision, outputs)
    assert matrix.dtype == offset.dtype == np.float32
    powers = np.exp(logits @ matrix + offset)
    np.testing.assert_allclose(powers / powers.sum(), decision.probabilities(logits), atol=1e-5)


@pytest.mark.parametrize("size", [6, 96])
def test_the_made_radiographs_are_the_same_each_time_and_all_differ(size):
    images = export.radiographs(size)
    assert images.shape == (64, size, size)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, export.radiographs.__wrapped__(size))
    assert len({each.tobytes() for each in images}) == 64


# ---- files


@pytest.mark.parametrize("to", SUFFIXES)
@pytest.mark.parametrize("name", ["m", "m.pb", "m.ONNX", "m.xml.keras.bin"])
def test_another_suffix_is_refused_before_anything_is_opened(to, name, tmp_path):
    with pytest.raises(UsageError, match=rf"ends in \{SUFFIXES[to]} for {to}; .* Write for example m"):
        export.export(tmp_path / "none.plainfilm", to, tmp_path / name)


@pytest.mark.parametrize("to", SUFFIXES)
def test_a_format_and_its_suffix_stand_in_the_help_in_python_and_in_the_document(to):
    for text in (inspect.getdoc(ExportOptions), inspect.getdoc(export.export), DOCS.read_text(encoding="utf-8")):
        assert re.search(rf"\b{to}\b", text)
        assert SUFFIXES[to] in text


def test_an_unknown_format_is_refused(tmp_path):
    assert set(get_args(Target)) == set(SUFFIXES)
    with pytest.raises(UsageError, match=f"{'.*'.join(SUFFIXES)}.*; received 'coreml'"):
        export.export(tmp_path / "none.plainfilm", "coreml", tmp_path / "m.onnx")


@pytest.mark.parametrize(("there", "to"), [("m.onnx", "onnx"), ("m.xml", "openvino"), ("m.bin", "openvino")])
def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(there, to, tmp_path):
    (tmp_path / there).write_bytes(b"old")
    out = tmp_path / f"m{SUFFIXES[to]}"
    with pytest.raises(UsageError, match=rf"{there} is there already.*overwrite=True"):
        export.export(tiny_bundle(), to, out)
    assert (tmp_path / there).read_bytes() == b"old"
    export.export(tiny_bundle(), to, out, overwrite=True)
    assert (tmp_path / there).read_bytes() != b"old"
    np.testing.assert_allclose(
        run(to, out, noise(2, 32)), tiny_bundle().classifier.predict_proba(noise(2, 32)), atol=1e-6
    )


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_stopped_replacement_leaves_no_graph_beside_weights_of_another(tmp_path, monkeypatch, at):
    export.export(tiny_bundle(), "openvino", tmp_path / "m.xml")
    place, calls = Path.replace, itertools.count(1)

    def killed(self, target):
        place(self, target)
        if next(calls) == at:
            raise KeyboardInterrupt

    old = (tmp_path / "m.bin").read_bytes()
    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        export.export(tiny_bundle(0.03), "openvino", tmp_path / "m.xml", overwrite=True)
    is_new = (tmp_path / "m.bin").read_bytes() != old
    assert (is_new, (tmp_path / "m.xml").exists()) == [(False, True), (True, False), (True, True)][at - 1]
    export.check("openvino", tmp_path / "m.xml", overwrite=True)  # any command that looks there completes it
    assert names(tmp_path) == ["m.bin", "m.xml"]
    np.testing.assert_allclose(
        run("openvino", tmp_path / "m.xml", noise(2, 32)),
        tiny_bundle(0.03).classifier.predict_proba(noise(2, 32)),
        atol=1e-6,
    )


def test_without_openvino_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'plainfilm\[openvino\]'"):
        export.export(tiny_bundle(), "openvino", tmp_path / "m.xml")
    assert names(tmp_path) == []


# ---- at a site

SITE = Site(
    temperature=2.0,
    shift=-2.0,
    threshold=0.1,
    prevalence=0.09,
    created="2026-01-02T03:04:05+00:00",
    recalibrated=Recalibrated(shift=-2.0, radiographs=50, data_fingerprint="a" * 64),
)


def test_a_file_for_a_site_has_its_calibration_and_threshold_and_names_it(tmp_path):
    made = tiny_bundle(0.001)
    made = dataclasses.replace(made, manifest=structs.replace(made.manifest, sites={"Hill": SITE}))
    done = export.export(made, "onnx", tmp_path / "m.onnx", site="Hill")
    told = metadata("onnx", done.path)
    assert (done.site, told["site"], told["threshold"]) == ("Hill", "Hill", 0.1)
    expected = sites.at(made, SITE).classifier.predict_proba(noise(2, 32))
    assert np.abs(expected - made.classifier.predict_proba(noise(2, 32))).max() > 0.1
    np.testing.assert_allclose(run("onnx", done.path, noise(2, 32)), expected, atol=1e-6)
    with pytest.raises(UsageError, match="one of Hill; received Dale"):
        export.export(made, "onnx", tmp_path / "other.onnx", site="Dale")
    assert names(tmp_path) == ["m.onnx"]


# ---- the command


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run a command in this process, beside a bundle m.plainfilm: exit code, stdout, stderr."""
    made = tiny_bundle()
    bundle.write(
        tmp_path / "m.plainfilm",
        made.classifier,
        about=structs.replace(made.manifest, sites={"Hill": SITE}),
        metrics=made.metrics,
        recipe=made.recipe,
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def called(*words):
        monkeypatch.setattr(sys, "argv", ["plainfilm", "export", "m.plainfilm", *words])
        capsys.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return called


def test_the_command_prints_the_largest_difference(call):
    code, out, _err = call("--to", "onnx", "--out", "m.onnx")
    assert code == 0
    assert re.search(r"Largest difference from the bundle over 64 images: \d\.\de-\d\d of a probability", out)
    assert "Research use only; not a medical device." in out
    assert Path("m.onnx").is_file()


def test_the_command_names_the_site(call):
    code, out, _err = call("--to", "onnx", "--out", "m.onnx", "--site", "Hill")
    assert code == 0
    assert "With the calibration of the site Hill." in out
    code, out, err = call("--to", "onnx", "--out", "other.onnx", "--site", "Dale")
    assert (code, out) == (2, "")
    assert err == "plainfilm: Expected --site to be one of Hill; received Dale. Correct it, or leave it out.\n"


def test_the_command_prints_json(call):
    code, out, err = call("--to", "openvino", "--out", "m.xml", "--json", "--quiet")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert said.pop("largest_difference") <= 1e-4
    assert said.pop("largest_log_difference") <= 1e-2
    assert said.pop("bytes") == Path("m.xml").stat().st_size + Path("m.bin").stat().st_size
    head = {"format": "plainfilm-exported", "version": 1}
    assert said == head | {"path": "m.xml", "to": "openvino", "images": 64}


@pytest.mark.parametrize(
    "words", [("--to", "coreml", "--out", "x.onnx"), ("--to", "onnx", "--out", "x.pb"), ("--to", "onnx"), ()]
)
def test_the_command_refuses_in_one_line_what_cannot_be_meant(words, call):
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert err.startswith("plainfilm: Expected ")
    assert len(err.splitlines()) == 1


def test_the_command_replaces_a_file_only_if_told(call):
    assert call("--to", "onnx", "--out", "m.onnx")[0] == 0
    code, _out, err = call("--to", "onnx", "--out", "m.onnx")
    assert code == 2
    assert err.startswith("plainfilm: Expected a new file; m.onnx is there already.")
    assert call("--to", "onnx", "--out", "m.onnx", "--overwrite")[0] == 0


def test_the_verb_in_python_takes_a_path(call, tmp_path):
    done = plainfilm.export("m.plainfilm", "onnx", "m.onnx")
    assert (done.path, done.to, done.images) == (Path("m.onnx"), "onnx", 64)
    assert done.bytes == (tmp_path / "m.onnx").stat().st_size
