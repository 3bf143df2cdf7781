"""A Keras backbone as an ONNX graph: one small translator a layer type, channels first, weights inside the file.

Channels first, because ONNX Runtime's convolutions are; channels-last graphs spend a third of their time in transposes.
Only the layers that the backbones of `backbones.py` use are known; a new one is a function of three lines.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
IR_VERSION = 10


class Graph:
    """Nodes and weights of an ONNX graph while it is being written."""

    def __init__(self, opset: int = OPSET) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, value: NDArray[Any] | np.generic) -> str:
        """Add a constant and return its name."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def node(self, op: str, inputs: Sequence[str], /, *, output: str | None = None, **attributes: Any) -> str:
        """Add a node with one output and return the output's name. `attributes` are ONNX's own, under ONNX's names."""
        output = output or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def model(self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """Close the graph, check it and return it."""
        graph = helper.make_graph(self.nodes, "plainfilm", list(inputs), list(outputs), self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=IR_VERSION)
        model.producer_name = "plainfilm"
        onnx.checker.check_model(model)
        return model


def least_scale(side: int, size: int) -> np.float32:
    """Find the least scale under which ONNX, which rounds down (Resize, in Operators.md), makes `size` px of `side`."""
    scale = np.float32(size / side)
    while side * float(scale) < size:
        scale = np.nextafter(scale, np.float32(np.inf))
    return scale


def float_output(name: str, width: int) -> onnx.ValueInfoProto:
    """A float32 output (n, width)."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])


def add_keras(graph: Graph, model: Any, name: str, *, until: str | None = None, output: str | None = None) -> str:
    """Add a functional Keras model that takes tensor `name`, (n, c, h, w) or (n, c), and return the name of its output.

    `until` names the last layer to add, by default the model's own; `output` renames what it gives.

    Raises
    ------
    NotImplementedError
        A layer type that has no translator here.
    """
    names = {id(model.inputs[0]): name}
    for operation in _in_order(model):
        if until and id(model.get_layer(until).output) in names:
            break
        for node in operation._inbound_nodes:
            inputs = [names[id(tensor)] for tensor in node.input_tensors if id(tensor) in names]
            if len(inputs) == len(node.input_tensors) and id(node.outputs[0]) not in names:
                names[id(node.outputs[0])] = _translate(graph, operation, node, inputs)
    last = names[id(model.get_layer(until).output if until else model.outputs[0])]
    return graph.node("Identity", [last], output=output) if output else last


def _in_order(model: Any) -> list[Any]:
    by_depth = sorted(model._nodes_by_depth.items(), reverse=True)
    operations = [node.operation for _, nodes in by_depth for node in nodes if not node.is_input]
    return list(dict.fromkeys(operations))


def _translate(graph: Graph, operation: Any, node: Any, inputs: list[str]) -> str:
    kind = type(operation).__name__
    if kind in {"Sequential", "Functional"}:
        return add_keras(graph, operation._functional if kind == "Sequential" else operation, inputs[0])
    if kind not in _TRANSLATORS:
        raise NotImplementedError(
            f"Expected one of the layers {', '.join(sorted(_TRANSLATORS))}; received {kind} ({operation.name})."
        )
    return _TRANSLATORS[kind](graph, operation, node, inputs)


def _same_padding(layer: Any, node: Any, size: Sequence[int]) -> list[int]:
    """TensorFlow's `same` padding, which puts the odd pixel at the bottom and right: [top, left, bottom, right]."""
    if layer.padding != "same":
        return [0, 0, 0, 0]
    shape = node.input_tensors[0].shape[1:3]
    totals = [max((-(-s // t) - 1) * t + k - s, 0) for s, t, k in zip(shape, layer.strides, size, strict=True)]
    before = [total // 2 for total in totals]
    return before + [total - first for total, first in zip(totals, before, strict=True)]


def _clip(graph: Graph, name: str, most: float) -> str:
    return graph.node("Clip", [name, graph.weight(np.float32(0)), graph.weight(np.float32(most))])


def silu(graph: Graph, name: str) -> str:
    """Add x × sigmoid(x)."""
    return graph.node("Mul", [name, graph.node("Sigmoid", [name])])


def gelu(graph: Graph, name: str) -> str:
    """Add GELU as its error function has it, in operators that every version has."""
    erf = graph.node("Erf", [graph.node("Mul", [name, graph.weight(np.float32(np.sqrt(0.5)))])])
    half = graph.node("Mul", [name, graph.weight(np.float32(0.5))])
    return graph.node("Mul", [half, graph.node("Add", [erf, graph.weight(np.float32(1))])])


_ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    "linear": lambda _graph, name: name,
    "relu": lambda graph, name: graph.node("Relu", [name]),
    "sigmoid": lambda graph, name: graph.node("Sigmoid", [name]),
    "tanh": lambda graph, name: graph.node("Tanh", [name]),
    "elu": lambda graph, name: graph.node("Elu", [name]),
    "silu": silu,
    "hard_silu": lambda graph, name: graph.node("HardSwish", [name]),
    "hard_sigmoid": lambda graph, name: graph.node("HardSigmoid", [name], alpha=1 / 6, beta=0.5),
    "gelu": gelu,
}


def _activate(graph: Graph, function: Any, name: str) -> str:
    kind = function.__name__
    if kind not in _ACTIVATIONS:
        raise NotImplementedError(f"Expected an activation of {', '.join(_ACTIVATIONS)}; received {kind}.")
    return _ACTIVATIONS[kind](graph, name)


def _convolve(graph: Graph, layer: Any, node: Any, name: str, kernel: NDArray[Any], groups: int) -> str:
    bias = [graph.weight(np.asarray(layer.bias))] if layer.use_bias else []
    reach = [(size - 1) * step + 1 for size, step in zip(kernel.shape[2:], layer.dilation_rate, strict=True)]
    out = graph.node(
        "Conv",
        [name, graph.weight(kernel), *bias],
        kernel_shape=kernel.shape[2:],
        strides=list(layer.strides),
        dilations=list(layer.dilation_rate),
        pads=_same_padding(layer, node, reach),
        group=groups,
    )
    return _activate(graph, layer.activation, out)


def _conv2d(graph: Graph, layer: Any, node: Any, inputs: list[str]) -> str:
    kernel = np.asarray(layer.kernel).transpose(3, 2, 0, 1)
    return _convolve(graph, layer, node, inputs[0], kernel, layer.groups)


def _depthwise(graph: Graph, layer: Any, node: Any, inputs: list[str]) -> str:
    kernel = np.asarray(layer.kernel)
    height, width, channels, multiplier = kernel.shape
    kernel = kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    return _convolve(graph, layer, node, inputs[0], kernel, channels)


def _dense(graph: Graph, layer: Any, node: Any, inputs: list[str]) -> str:
    kernel, bias = np.asarray(layer.kernel), [np.asarray(layer.bias)] if layer.use_bias else []
    if len(node.input_tensors[0].shape) == 4:  # a Dense over the channels of a map is a 1 x 1 convolution
        weights = [graph.weight(kernel.T[:, :, None, None]), *map(graph.weight, bias)]
        return _activate(graph, layer.activation, graph.node("Conv", [inputs[0], *weights]))
    return _activate(
        graph, layer.activation, graph.node("Gemm", [inputs[0], graph.weight(kernel), *map(graph.weight, bias)])
    )


def _batch_norm(graph: Graph, layer: Any, _node: Any, inputs: list[str]) -> str:
    mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    scale = np.asarray(layer.gamma) if layer.scale else np.ones_like(mean)
    offset = np.asarray(layer.beta) if layer.center else np.zeros_like(mean)
    weights = [graph.weight(value) for value in (scale, offset, mean, variance)]
    return graph.node("BatchNormalization", [inputs[0], *weights], epsilon=layer.epsilon)


def _layer_norm(graph: Graph, layer: Any, node: Any, inputs: list[str]) -> str:
    weights = [graph.weight(np.asarray(layer.gamma)), graph.weight(np.asarray(layer.beta))]
    if len(node.input_tensors[0].shape) == 2:
        return graph.node("LayerNormalization", [inputs[0], *weights], axis=-1, epsilon=layer.epsilon)
    last = graph.node("Transpose", [inputs[0]], perm=[0, 2, 3, 1])
    normal = graph.node("LayerNormalization", [last, *weights], axis=-1, epsilon=layer.epsilon)
    return graph.node("Transpose", [normal], perm=[0, 3, 1, 2])


def _relu(graph: Graph, layer: Any, _node: Any, inputs: list[str]) -> str:
    if layer.negative_slope or layer.threshold:
        raise NotImplementedError("Expected a plain or clipped ReLU; received one with a slope or a threshold.")
    if layer.max_value is None:
        return graph.node("Relu", inputs)
    return _clip(graph, inputs[0], layer.max_value)


def _activation(graph: Graph, layer: Any, _node: Any, inputs: list[str]) -> str:
    return _activate(graph, layer.activation, inputs[0])


def _zero_padding(graph: Graph, layer: Any, _node: Any, inputs: list[str]) -> str:
    (top, bottom), (left, right) = layer.padding
    return graph.node("Pad", [inputs[0], graph.weight(np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))])


def _pool(op: str) -> Callable[[Graph, Any, Any, list[str]], str]:
    def translate(graph: Graph, layer: Any, node: Any, inputs: list[str]) -> str:
        pads = _same_padding(layer, node, layer.pool_size)
        return graph.node(op, inputs, kernel_shape=list(layer.pool_size), strides=list(layer.strides), pads=pads)

    return translate


def _upsample(graph: Graph, layer: Any, _node: Any, inputs: list[str]) -> str:
    if layer.interpolation != "nearest":
        raise NotImplementedError(f"Expected upsampling by the nearest pixel; received {layer.interpolation}.")
    scales = graph.weight(np.array([1, 1, *layer.size], np.float32))
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return graph.node("Resize", [inputs[0], "", scales], **how)


def _global_average(graph: Graph, layer: Any, _node: Any, inputs: list[str]) -> str:
    pooled = graph.node("GlobalAveragePool", inputs)
    return pooled if layer.keepdims else graph.node("Flatten", [pooled])


def _reshape(graph: Graph, layer: Any, node: Any, inputs: list[str]) -> str:
    target = tuple(layer.target_shape)
    if len(node.input_tensors[0].shape) != 2 or target[:2] != (1, 1):
        raise NotImplementedError(f"Expected a reshape from (c) to (1, 1, c); received {target}.")
    return graph.node("Reshape", [inputs[0], graph.weight(np.array([0, -1, 1, 1], np.int64))])


def _concatenate(graph: Graph, layer: Any, node: Any, inputs: list[str]) -> str:
    rank = len(node.input_tensors[0].shape)
    if layer.axis not in {-1, rank - 1}:
        raise NotImplementedError(f"Expected a concatenation of channels; received axis {layer.axis}.")
    return graph.node("Concat", inputs, axis=1)


def _arithmetic(op: str) -> Callable[[Graph, Any, Any, list[str]], str]:
    """`Add` and `Multiply`, as layers between tensors or as operators with a number."""

    def translate(graph: Graph, _layer: Any, node: Any, inputs: list[str]) -> str:
        numbers = [value for value in node.arguments.args if isinstance(value, int | float)]
        operands = inputs + [graph.weight(np.float32(value)) for value in numbers]
        result = operands[0]
        for operand in operands[1:]:
            result = graph.node(op, [result, operand])
        return result

    return translate


def _layer_scale(graph: Graph, layer: Any, _node: Any, inputs: list[str]) -> str:
    return graph.node("Mul", [inputs[0], graph.weight(np.asarray(layer.gamma)[:, None, None])])


def _same(_graph: Graph, _layer: Any, _node: Any, inputs: list[str]) -> str:
    return inputs[0]


_TRANSLATORS: dict[str, Callable[[Graph, Any, Any, list[str]], str]] = {
    "Activation": _activation,
    "Add": _arithmetic("Add"),
    "AveragePooling2D": _pool("AveragePool"),
    "BatchNormalization": _batch_norm,
    "Concatenate": _concatenate,
    "Conv2D": _conv2d,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise,
    "Dropout": _same,
    "GlobalAveragePooling2D": _global_average,
    "LayerNormalization": _layer_norm,
    "LayerScale": _layer_scale,
    "MaxPooling2D": _pool("MaxPool"),
    "Multiply": _arithmetic("Mul"),
    "ReLU": _relu,
    "Reshape": _reshape,
    "StochasticDepth": _same,
    "UpSampling2D": _upsample,
    "ZeroPadding2D": _zero_padding,
}
