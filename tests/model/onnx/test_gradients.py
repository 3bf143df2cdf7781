import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from made_networks import drawn_network, rows
from plainfilm.model import classifier, encoder, heads, keras_backend
from plainfilm.model.backbones import BACKBONES
from plainfilm.model.classifier import Classifier, Decision
from plainfilm.model.onnx import from_keras, gradients
from plainfilm.model.recipe_schema import HeadSettings

SIZE, CHANNELS = 12, 6
ACTIVATIONS = ("relu", "elu", "gelu", "silu", "tanh", "sigmoid")
IMAGES = np.random.default_rng(1).integers(0, 256, (5, SIZE, SIZE), dtype=np.uint8)


def encoder_file(path, *, normalisation=None):
    """An encoder of one convolution and a global average, as `onnx_export` writes them, and perhaps ConvNeXt's end."""
    rng = np.random.default_rng(0)
    graph = from_keras.Graph()
    gray = graph.node("Mul", [graph.node("Cast", ["images"], to=1), graph.weight(np.float32(1 / 255))])
    one = graph.node("Unsqueeze", [gray, graph.weight(np.array([1]))])
    kernel = rng.normal(0, 1, (CHANNELS, 1, 3, 3)).astype(np.float32)
    last = graph.node("Relu", [graph.node("Conv", [one, graph.weight(kernel)], strides=[2, 2])])
    pooled = graph.node("Flatten", [graph.node("GlobalAveragePool", [last])])
    if normalisation:
        gain, offset = (np.asarray(each) for each in (normalisation.gamma, normalisation.beta))
        inputs = [pooled, graph.weight(gain), graph.weight(offset)]
        pooled = graph.node("LayerNormalization", inputs, axis=-1, epsilon=normalisation.epsilon)
    graph.node("Identity", [pooled], output="features")
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIZE, SIZE])
    path.write_bytes(graph.model([images], [from_keras.float_output("features", CHANNELS)]).SerializeToString())
    return path


def made_head(*, activation="relu", output="auto", classes=2, layers=("dense 7", "dropout 0.3", "dense 5")):
    settings = HeadSettings(layers=layers, activation=activation, output=output)
    head = heads.build_head(CHANNELS, classes, settings, seed=3)
    rng = np.random.default_rng(5)
    head.set_weights([rng.normal(0, 0.8, each.shape) for each in head.get_weights()])
    return head


def two(network):
    return Classifier(network, Decision(classes=("A", "B"), positive="B"))


def keras_slopes(head, pooled, before=lambda x: x):
    """What JAX says: the gradient of each logit over the pooled maps, (n, outputs, c)."""
    jax = pytest.importorskip("jax")
    if keras_backend.choose() != "jax":
        pytest.skip("takes its gradients from JAX; Keras runs on another backend")
    to_logits = heads.up_to_logits(head)
    return np.asarray(jax.vmap(jax.jacrev(lambda row: to_logits(before(row[None]))[0]))(pooled))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("output", "classes"), [("auto", 2), ("softmax", 2), ("auto", 3)])
def test_slopes_are_the_gradients_that_jax_finds_for_every_head(activation, output, classes, tmp_path):
    head = made_head(activation=activation, output=output, classes=classes)
    made = two(classifier.join(encoder_file(tmp_path / "e.onnx").read_bytes(), classifier.export_head(head)))
    maps, received = made.run(IMAGES, "maps", "slopes")
    expected = keras_slopes(head, maps.mean(axis=(2, 3)))
    assert maps.shape == (5, CHANNELS, 5, 5)
    assert received.shape == expected.shape
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


def test_a_head_that_standardises_is_gone_through(tmp_path):
    head = made_head(layers=("standardise", "dense 7"))
    rng = np.random.default_rng(1)
    head.get_layer(heads.STANDARDISE).set_weights([rng.normal(size=CHANNELS), rng.uniform(0.1, 2, CHANNELS)])
    made = two(classifier.join(encoder_file(tmp_path / "e.onnx").read_bytes(), classifier.export_head(head)))
    maps, received = made.run(IMAGES, "maps", "slopes")
    np.testing.assert_allclose(received, keras_slopes(head, maps.mean(axis=(2, 3))), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_layer_normalisation_after_the_average_is_gone_through(activation, tmp_path):
    import keras

    layer = keras.layers.LayerNormalization(epsilon=1e-6)
    layer.build((None, CHANNELS))
    rng = np.random.default_rng(2)
    layer.set_weights([rng.normal(1, 0.5, each.shape) for each in layer.get_weights()])
    head = made_head(activation=activation, classes=3)
    path = encoder_file(tmp_path / "e.onnx", normalisation=layer)
    made = two(classifier.join(path.read_bytes(), classifier.export_head(head)))
    maps, received = made.run(IMAGES, "maps", "slopes")
    expected = keras_slopes(head, maps.mean(axis=(2, 3)), layer)
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_head_without_hidden_layers_has_the_same_slopes_for_all_images(tmp_path):
    head = made_head(layers=())
    made = two(classifier.join(encoder_file(tmp_path / "e.onnx").read_bytes(), classifier.export_head(head)))
    (received,) = made.run(IMAGES, "slopes")
    np.testing.assert_allclose(received, np.repeat(head.get_weights()[0].T[None], 5, axis=0), rtol=1e-5)


def test_plain_answers_stay_as_they_were(tmp_path, monkeypatch):
    path, head = encoder_file(tmp_path / "e.onnx"), classifier.export_head(made_head(activation="silu"))
    made = two(classifier.join(path.read_bytes(), head))

    def refuse(_model):
        raise gradients.Unsloped

    monkeypatch.setattr(gradients, "add_outputs", refuse)
    plain = two(classifier.join(path.read_bytes(), head))
    assert made.looks_at_maps
    assert not plain.looks_at_maps
    np.testing.assert_allclose(made.logits(IMAGES), plain.logits(IMAGES), atol=1e-6)
    np.testing.assert_array_equal(made.encode(IMAGES), plain.encode(IMAGES))


def test_no_images_give_no_maps(tmp_path):
    made = two(classifier.join(encoder_file(tmp_path / "e.onnx").read_bytes(), classifier.export_head(made_head())))
    maps, received = made.run(IMAGES[:0], "maps", "slopes")
    assert (maps.shape, received.shape) == ((0, CHANNELS, 5, 5), (0, 1, CHANNELS))


def network(nodes, weights, *, opset=13, outputs=1):
    """A network from float "x" (n, 4, 6, 8) to "logits"."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 6, 8])
    y = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", outputs])
    named = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "made", [x], [y], named)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def ran(model, x, *names):
    import onnxruntime as ort

    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(list(names), {"x": x})


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs.split(), [output], **attributes)


X = np.random.default_rng(3).normal(0, 1, (3, 4, 6, 8)).astype(np.float32)
MATRIX = np.random.default_rng(4).normal(0, 1, (8, 2)).astype(np.float32)


@pytest.mark.parametrize("axes", [[2, 3], [-1, -2], [1, 2], [-3, 2]])
@pytest.mark.parametrize("opset", [13, 18])
def test_a_mean_over_both_axes_of_a_users_network_is_a_global_average(axes, opset):
    last = set(np.array(axes) % 4) == {1, 2}
    weights = {"w": MATRIX if last else MATRIX[:4], "axes": np.array(axes)}
    if opset < 18:
        pool = node("ReduceMean", "x", "pooled", axes=axes, keepdims=0)
    else:
        pool = node("ReduceMean", "x axes", "pooled", keepdims=0)
    model = network([pool, node("MatMul", "pooled w", "logits")], weights, opset=opset, outputs=2)
    gradients.add_outputs(model)
    maps, received = ran(model, X, "maps", "slopes")
    np.testing.assert_array_equal(maps, X.transpose(0, 3, 1, 2) if last else X)
    np.testing.assert_allclose(received, np.repeat(weights["w"].T[None], 3, axis=0), rtol=1e-6)


def test_squeeze_reshape_scaled_gemm_and_both_sides_of_a_product_are_gone_through():
    """Finite differences are the oracle: y = v (x² + tanh x) with x the average of a map."""
    weights = {
        "axes": np.array([2, 3]),
        "shape": np.array([-1, 4]),
        "w": MATRIX[:4].T.copy(),
        "b": np.ones(2, np.float32),
    }
    nodes = [
        node("GlobalAveragePool", "x", "p"),
        node("Squeeze", "p axes", "s"),
        node("Reshape", "s shape", "r"),
        node("Mul", "r r", "m"),
        node("Tanh", "r", "t"),
        node("Add", "m t", "a"),
        node("Gemm", "a w b", "logits", transB=1, alpha=0.5, beta=2.0),
    ]
    model = network(nodes, weights, outputs=2)
    gradients.add_outputs(model)
    (received,) = ran(model, X, "slopes")
    for channel in range(4):
        step = np.zeros_like(X)
        step[:, channel] = 1e-2
        (up,), (down,) = ran(model, X + step, "logits"), ran(model, X - step, "logits")
        np.testing.assert_allclose(received[:, :, channel], (up - down) / 2e-2, atol=1e-3)


UNFIT = {
    "no average": [node("Flatten", "x", "f"), node("MatMul", "f big", "logits")],
    "an operator without a rule": [
        node("GlobalAveragePool", "x", "p"),
        node("Flatten", "p", "f"),
        node("Softplus", "f", "s"),
        node("MatMul", "s w", "logits"),
    ],
    "a second way past the average": [
        node("GlobalAveragePool", "x", "p"),
        node("GlobalMaxPool", "x", "q"),
        node("Add", "p q", "a"),
        node("Flatten", "a", "f"),
        node("MatMul", "f w", "logits"),
    ],
    "a gate for all channels": [
        node("GlobalAveragePool", "x", "p"),
        node("Flatten", "p", "f"),
        node("MatMul", "f w", "g"),
        node("Mul", "f g", "gated"),
        node("MatMul", "gated w", "logits"),
    ],
    "a product of two computed matrices": [
        node("GlobalAveragePool", "x", "p"),
        node("Flatten", "p", "f"),
        node("Transpose", "f", "t", perm=[1, 0]),
        node("MatMul", "f t", "square"),
        node("ReduceSum", "square", "s", keepdims=0),
        node("Add", "s w", "logits"),
    ],
    "an average over one axis": [
        node("ReduceMean", "x", "m", axes=[3], keepdims=0),
        node("Flatten", "m", "f"),
        node("MatMul", "f wide", "logits"),
    ],
}


@pytest.mark.parametrize("nodes", UNFIT.values(), ids=UNFIT)
def test_where_slopes_cannot_be_had_the_network_is_left_as_it_was(nodes):
    used = {name for each in nodes for name in each.input}
    weights = {"w": MATRIX[:4, :1], "big": np.ones((192, 1), np.float32), "wide": np.ones((24, 1), np.float32)}
    model = network(nodes, {name: value for name, value in weights.items() if name in used})
    before = model.SerializeToString()
    with pytest.raises(gradients.Unsloped):
        gradients.add_outputs(model)
    assert model.SerializeToString() == before


@pytest.mark.parametrize("name", rows("mobilenet", slow=["densenet121"]))
def test_every_backbone_has_maps_whose_average_its_features_are(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    row, weights = BACKBONES[name], tmp_path / "own.weights.h5"
    network = drawn_network(row, 64)
    network.save_weights(weights)
    opened = encoder.open_encoder(row, encoder.preprocessing(row, image_size=64, input_size=64), weights_file=weights)
    head = heads.build_head(opened.width, 3, HeadSettings(layers=("dense 8",), activation="elu"), seed=0)
    made = two(classifier.join(opened.network(), classifier.export_head(head)))
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)
    maps, received, features = made.run(images, "maps", "slopes", "features")
    assert maps.shape[:2] == (2, row.width)
    assert min(maps.shape[2:]) >= 2
    assert received.shape == (2, 3, row.width)
    pooled = maps.mean(axis=(2, 3))
    if name == "convnext_tiny":  # normalises what it has averaged
        gamma, beta = network.layers[-1].get_weights()
        pooled = (pooled - pooled.mean(axis=1, keepdims=True)) / np.sqrt(pooled.var(axis=1, keepdims=True) + 1e-6)
        pooled = pooled * gamma + beta
    np.testing.assert_allclose(features, pooled, atol=1e-4 * np.abs(pooled).max())
