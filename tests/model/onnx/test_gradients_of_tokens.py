"""Maps and slopes of transformers: what the last attention of the features' token sums, or the tokens that are averaged."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

import made_hub
from made_networks import head
from made_transformers import DECISION, encoder, joined
from plainfilm.model import classifier
from plainfilm.model.onnx import gradients
from plainfilm.model.onnx_safety.check import check

ORIGINALS = made_hub.originals()
STEP = 1e-2
# A step of the values' bias moves what every token's attention sums by as much, since attention sums to 1.
CASES = {
    "vit": (56, {"pooling": "pooler"}, "encoder.layer.1.attention.attention.value.bias", slice(None)),
    "dinov2_with_registers": (56, {}, "encoder.layer.1.attention.attention.value.bias", slice(None)),
    "dinov3_vit gated": (64, {}, "layer.1.attention.v_proj.bias", slice(None)),
    "clip_vision_model": (56, {}, "encoder.layers.1.self_attn.v_proj.bias", slice(None)),
    "timm map": (64, {}, "attn_pool.kv.bias", slice(32, None)),
}


def layers(width):
    rng = np.random.default_rng(2)
    return (rng.normal(size=(width, 6)), rng.normal(size=6)), (rng.normal(size=(6, 3)), np.zeros(3))


def films(size):
    return np.random.default_rng(size).integers(0, 256, (3, size, size), dtype=np.uint8)


@pytest.mark.parametrize("name", CASES)
def test_slopes_are_what_a_step_of_the_values_does_to_the_logits(name, tmp_path):
    size, choice, bias, part = CASES[name]
    original = ORIGINALS[name]
    plain = made_hub.tensor(bias, original["shapes"][bias])
    way = np.zeros_like(plain)
    way[part] = np.random.default_rng(1).normal(size=way[part].shape)

    def moved(step):
        path = made_hub.write(tmp_path / f"{step}", original, but={bias: plain + np.float32(step) * way})
        return joined(path, size, *layers(32), **choice)

    slopes, maps = moved(0).run(films(size), "slopes", "maps")
    up, down = (moved(step).logits(films(size)).astype(float) for step in (STEP, -STEP))
    expected = (up - down) / (2 * STEP)
    assert maps.shape[1] == slopes.shape[2] == 32
    assert maps.shape[2] == maps.shape[3] >= 4
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(slopes @ way[part], expected, atol=0.02 * np.abs(expected).max())


def test_maps_are_the_values_of_the_patches_each_weighed_by_the_attention_that_the_class_token_pays_it(tmp_path):
    path = made_hub.write(tmp_path / "net", ORIGINALS["dinov2_with_registers"])
    made = onnx.load_from_string(joined(path, 56, *layers(32)).network)
    softmax = [node for node in made.graph.node if node.op_type == "Softmax"][-1]
    summed = next(node for node in made.graph.node if softmax.output[0] in node.input and node.op_type == "MatMul")
    for name in summed.input:
        made.graph.output.append(onnx.helper.make_tensor_value_info(name, 1, None))
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    attention, values, maps = session.run([*summed.input, "maps"], {"images": films(56)})
    weighed = np.einsum("nht,nhtw->nhwt", attention[:, :, 0], values)[..., -16:]
    np.testing.assert_allclose(maps, weighed.reshape(3, 32, 4, 4), atol=1e-5)


def test_attention_as_exporters_write_it_is_found_with_sides_that_are_computed_from_the_batch(tmp_path):
    """PyTorch's newer exporter guards the softmax against rows without a number; its older one reads the batch from the shape."""
    network, width = encoder(made_hub.write(tmp_path / "net", ORIGINALS["dinov2"]), 56)
    plain = classifier.Classifier(classifier.join(network, head(*layers(width))), DECISION)
    exported = onnx.load_from_string(network)
    at, softmax = [each for each in enumerate(exported.graph.node) if each[1].op_type == "Softmax"][-1]
    after = exported.graph.node[at + 1 :]
    summed = next(each for each in after if softmax.output[0] in each.input)
    beside = next(each for each in after if each.op_type == "Reshape")
    summed.input[0], beside.input[1] = "attention", "sides"
    nodes = [
        helper.make_node("IsNaN", [softmax.output[0]], ["none"]),
        helper.make_node("Where", ["none", "nought", softmax.output[0]], ["attention"]),
        helper.make_node("Shape", ["images"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["batch"]),
        helper.make_node("Concat", ["batch", "rest"], ["sides"], axis=0),
    ]
    kept = [*exported.graph.node[: at + 1], *nodes, *after]
    del exported.graph.node[:]
    exported.graph.node.extend(kept)
    constants = {"nought": np.float32(0), "first": np.array([0]), "rest": np.array([17, 32])}
    exported.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(each), name) for name, each in constants.items()
    )
    made = classifier.Classifier(classifier.join(exported.SerializeToString(), head(*layers(width))), DECISION)
    for received, expected in zip(*(each.run(films(56), "maps", "slopes") for each in (made, plain)), strict=True):
        np.testing.assert_allclose(received, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["dinov2", "timm mean"])
def test_features_are_the_average_of_the_maps_where_tokens_are_averaged(name, tmp_path):
    path = made_hub.write(tmp_path / "net", ORIGINALS[name])
    size = 56 if name == "dinov2" else 64
    maps, slopes = joined(path, size, *layers(32), pooling="mean").run(films(size), "maps", "slopes")
    assert maps.shape == (3, 32, 4, 4)
    assert slopes.shape == (3, 3, 32)


@pytest.mark.parametrize("name", ["dinov2", "timm map"])
def test_logits_stay_as_they_were_and_a_bundle_may_hold_the_network(name, tmp_path, monkeypatch):
    size = 56 if name == "dinov2" else 64
    path = made_hub.write(tmp_path / "net", ORIGINALS[name])
    made = joined(path, size, *layers(32))
    check(made.network, outputs=("features", "logits"))
    network, width = encoder(path, size)

    def refuse(_model):
        raise gradients.Unsloped

    monkeypatch.setattr(gradients, "add_outputs", refuse)
    plain = classifier.Classifier(classifier.join(network, head(*layers(width))), made.decision)
    assert made.looks_at_maps
    assert not plain.looks_at_maps
    np.testing.assert_allclose(made.logits(films(size)), plain.logits(films(size)), atol=1e-5)
