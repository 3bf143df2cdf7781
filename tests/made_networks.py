"""Tiny networks for tests, whose answers can be told by hand: they look for bright squares on dark films."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from plainfilm.model import backbones, classifier, encoder, keras_backend, weights
from plainfilm.model.classifier import Classifier, Decision
from plainfilm.model.onnx import from_keras

SIZE, CELL = 64, 8  # pixels of a film and of a cell of the maps
OWN_SIDE = 16  # pixels that a user's own backbone takes


def encoder_file(path, kernels, offsets):
    """An encoder of one convolution (c, CELL, CELL) over the film in 0 to 1, ReLU and a global average."""
    graph = from_keras.Graph()
    unit = graph.node("Mul", [graph.node("Cast", ["images"], to=1), graph.weight(np.float32(1 / 255))])
    one = graph.node("Unsqueeze", [unit, graph.weight(np.array([1]))])
    weights = [graph.weight(np.asarray(each, np.float32)) for each in (np.asarray(kernels)[:, None], offsets)]
    maps = graph.node("Relu", [graph.node("Conv", [one, *weights], strides=[CELL, CELL])])
    graph.node("Identity", [graph.node("Flatten", [graph.node("GlobalAveragePool", [maps])])], output="features")
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIZE, SIZE])
    features = from_keras.float_output("features", len(kernels))
    path.write_bytes(graph.model([images], [features]).SerializeToString())
    return path


def head(*layers):
    """A head of (matrix, offset) pairs with ReLU between them, as ONNX."""
    graph, x = from_keras.Graph(), "features"
    for number, pair in enumerate(layers):
        x = graph.node("Relu", [x]) if number else x
        x = graph.node("Gemm", [x, *(graph.weight(np.asarray(each, np.float32)) for each in pair)])
    graph.node("Identity", [x], output="logits")
    width, outputs = len(layers[0][0]), len(layers[-1][1])
    inputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", width])]
    return graph.model(inputs, [from_keras.float_output("logits", outputs)]).SerializeToString()


def square_finder(folder, *, outputs=1):
    """Answers "square" where cells are bright, else "empty"; channel 0 is light above three quarters, channel 1 what lacks.

    With one output the logit is 1000 light - 4 lack, with two those of "empty" and "square" are minus and plus half of it.
    """
    flat = np.full((CELL, CELL), 1 / CELL**2)
    path = encoder_file(folder / "encoder.onnx", [flat, -flat], [-0.75, 0.75])
    matrix = np.array([[1000.0], [-4.0]])
    both = (matrix, [0.0]) if outputs == 1 else (np.hstack([-matrix / 2, matrix / 2]), [0.0, 0.0])
    decision = Decision(classes=("empty", "square"), positive="square")
    return Classifier(classifier.join(path.read_bytes(), head(both)), decision)


def films(n, *, seed=0, squares=True):
    """Dark grainy films uint8 (n, SIZE, SIZE), each with a bright square two cells wide, and where it is, bool."""
    rng = np.random.default_rng(seed)
    images = rng.integers(10, 60, (n, SIZE, SIZE), dtype=np.uint8)
    inside = np.zeros(images.shape, bool)
    if squares:
        for own, (top, left) in zip(inside, CELL * rng.integers(0, SIZE // CELL - 1, (n, 2)), strict=True):
            own[top : top + 2 * CELL, left : left + 2 * CELL] = True
    images[inside] = rng.integers(190, 255, int(inside.sum()))
    return images, inside


def rows(*names, slow=()):
    """Backbones to test: some quickly, some among the slow tests, and every other by night."""
    marks = dict.fromkeys(names, ()) | dict.fromkeys(slow, pytest.mark.slow)
    return [pytest.param(name, marks=marks.get(name, pytest.mark.nightly)) for name in backbones.BACKBONES]


def empty_network(row, side):
    """A backbone of Keras whose weights are all zero: to draw them, JAX compiles for each shape anew."""
    with keras_backend.unfilled():
        return backbones.build(row, side)


def drawn_network(row, side, *, seed=0):
    """A backbone of Keras with drawn weights that let its input through: normal kernels, and normalisations that do something."""
    network, rng = empty_network(row, side), np.random.default_rng(seed)
    near_one = {"gamma": (0.8, 1.2), "moving_variance": (0.8, 1.2)}
    for weight in network.weights:
        name, shape = weight.path.rpartition("/")[2], weight.shape
        if "kernel" in name:
            inputs = np.prod(shape[:2]) if "depthwise" in weight.path or "depthwise" in name else np.prod(shape[:-1])
            weight.assign(rng.normal(size=shape) * np.sqrt(2 / inputs))
        else:
            weight.assign(rng.uniform(*near_one.get(name, (-0.2, 0.2)), shape))
    return network


def keras_encoder(row, prepare, weights_file=None):
    """What `encoder.open_encoder` exports, as a Keras model."""
    return encoder.to_keras(weights.network(row, prepare.input_size, weights.locate(row, weights_file)), prepare)


def answers_of(network, images):
    """What a Keras network of images float32 (n, s, s, 3) gives, run in ONNX Runtime: JAX compiles large ones for a minute. Channels first."""
    graph = from_keras.Graph()
    from_keras.add_keras(graph, network, "x", output="y")
    shape = ["n", 3, *images.shape[1:3]]
    made = own_value("y", [None] * len(network.output.shape))
    model = graph.model([own_value("x", shape)], [made]).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.ascontiguousarray(images.transpose(0, 3, 1, 2))})[0]


def own_value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def own_backbone(path, nodes, weights=(), outputs=3, side=OWN_SIDE):
    """A file that maps (n, 3, side, side) "x" to "y", of which `nodes` make what they like."""
    graph = helper.make_graph(nodes, "own", [own_value("x", ["n", 3, side, side])], [own_value("y", ["n", outputs])], [numpy_helper.from_array(np.asarray(each), name) for name, each in weights])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def own_mean(result="y"):
    return helper.make_node("ReduceMean", ["x"], [result], axes=[2, 3], keepdims=0)


def endless_loop(path):
    """Goes round for ever, and gives the mean it began with."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["goes"]), helper.make_node("Identity", ["a"], ["b"])],
        "body",
        [own_value("i", [], TensorProto.INT64), own_value("go", [], TensorProto.BOOL), own_value("a", ["n", 3])],
        [own_value("goes", [], TensorProto.BOOL), own_value("b", ["n", 3])],
    )
    nodes = [own_mean("m"), helper.make_node("Loop", ["", "yes", "m"], ["y"], body=body)]
    return own_backbone(path, nodes, [("yes", np.array(True))])
