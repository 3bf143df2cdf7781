"""Slopes of the logits over the pooled maps, as nodes of the same ONNX graph: Grad-CAM then needs no Keras.

Reverse-mode differentiation, one short rule an operator, from the logits back to the global average of the last maps. Few
nodes lie between them, and their operators are those of `from_keras`, `heads` and `classifier.join`; others raise `Unsloped`.
A gradient of a tensor (n, width) or (n, width, 1, 1) is float32 (n or 1, outputs, width): one row a logit.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_PREFIX = "slope_"
_CHANNELS_FIRST, _CHANNELS_LAST = (2, 3), (1, 2)
OTHER_VIEWS = "view{}"  # names of what an image's further views (1, 2, …) become in a network hold this


class Unsloped(Exception):  # noqa: N818 - a finding about a graph, not an error of anybody's
    """The graph has no global average, or an operator after it that has no rule here."""


def add_outputs(model: onnx.ModelProto) -> None:
    """Add two outputs to a network from "images" to "logits" (n, outputs): "maps" and "slopes".

    "maps" float32 (n, c, h, w) is what the last global average takes in; "slopes" float32 (n, outputs, c) is the
    gradient of each logit over that average. Of several encoders side by side, both hold all channels, one encoder's behind
    the other's; of an encoder over several views, they are those of the first view, the whole image.

    Raises
    ------
    Unsloped
        They cannot be had; the model is then as it was.
    """
    tape = _Tape(model)
    pools = tape.back_to_pools()
    every = [_oriented(tape, node) for node, _ in pools]
    (height, width), *others = {tuple(sides[1:]) for _, sides in every}
    if others or (len(pools) > 1 and not (height and width)):
        raise Unsloped("maps of several sizes")
    channels = sum(int(sides[0] or 0) for _, sides in every)
    # A linear head has one slope for all images.
    images = tape.node("Gather", tape.node("Shape", pools[0][0].input[0]), tape.weight(np.array([0])))
    whole = tape.node("Concat", images, tape.weight(np.array([1, 1])), axis=0)
    slopes = [tape.node("Expand", gradient, whole) for _, gradient in pools]
    tape.node("Concat", *(maps for maps, _ in every), output="maps", axis=1)
    tape.node("Concat", *slopes, output="slopes", axis=2)
    model.graph.node.extend(tape.nodes)
    model.graph.initializer.extend(tape.weights)
    for name, shape in (("maps", ["n", channels, height, width]), ("slopes", ["n", tape.width("logits"), channels])):
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))


def _oriented(tape: "_Tape", pool: onnx.NodeProto) -> tuple[str, list[int | None]]:
    """Give what a global average takes in, channels first, and its sides after the first: c, h, w."""
    maps, sides = pool.input[0], tape.shapes[pool.input[0]][1:]
    if _pooled_axes(tape, pool) == _CHANNELS_LAST:
        return tape.node("Transpose", maps, perm=[0, 3, 1, 2]), [sides[2], *sides[:2]]
    return maps, sides


class _Tape:
    """A graph gone through backwards: shapes and constants of what is there, nodes and weights that are added."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.shapes = _shapes(model)
        self.constants = _constants(model.graph)
        self.pending: dict[str, str] = {}  # gradients by the tensors they are of
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def back_to_pools(self) -> list[tuple[onnx.NodeProto, str]]:
        """Go back from the logits to the global averages of the last maps; give their nodes and the gradients of what they give."""
        if "logits" not in self.shapes:
            raise Unsloped("no logits")
        self.pending["logits"] = self.weight(np.eye(self.width("logits"), dtype=np.float32)[None])
        pools: list[tuple[onnx.NodeProto, str]] = []
        for node in reversed(self.graph.node):
            reached = [name for name in node.output if name in self.pending]
            if not reached:
                continue
            gradient = self.pending.pop(reached[0])
            if _pooled_axes(self, node):
                pools.insert(0, (node, gradient))
                continue
            if node.op_type not in _RULES or reached[0] != node.output[0]:
                raise Unsloped(f"no rule for {node.op_type}")
            _RULES[node.op_type](self, node, gradient)
        if self.pending or not pools:
            raise Unsloped("more than global averages leads to the logits" if pools else "no global average")
        return pools

    def give(self, tensor: str, gradient: str) -> None:
        """Add a gradient to what a tensor already has."""
        if tensor in self.constants:
            return
        known = self.pending.get(tensor)
        self.pending[tensor] = self.node("Add", known, gradient) if known else gradient

    def width(self, tensor: str) -> int:
        """Count the numbers a tensor holds for each image."""
        sides = self.shapes.get(tensor, [None, None])[1:]
        if not sides or not all(sides):
            raise Unsloped(f"unknown shape of {tensor}")
        return int(np.prod([side for side in sides if side]))

    def weight(self, value: NDArray[Any] | np.generic) -> str:
        name = f"{_PREFIX}w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def number(self, value: float) -> str:
        return self.weight(np.float32(value))

    def node(self, op: str, *inputs: str, output: str = "", **attributes: float | Sequence[int]) -> str:
        output = output or f"{_PREFIX}t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def row(self, tensor: str) -> str:
        """Lay a tensor beside gradients: (n, 1, width) of one that depends on the images, (width) of a constant."""
        shape = [-1] if tensor in self.constants else [0, 1, -1]
        return self.node("Reshape", tensor, self.weight(np.array(shape)))

    def mean(self, tensor: str, width: int) -> str:
        """Average over the last axis, in a way that every operator version knows."""
        return self.node("MatMul", tensor, self.weight(np.full((width, 1), 1 / width, np.float32)))


def _shapes(model: onnx.ModelProto) -> dict[str, list[int | None]]:
    """Shapes of all tensors, None for a side that is not known."""
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception as error:
        raise Unsloped("its shapes cannot be inferred") from error
    known = [*inferred.value_info, *inferred.output, *inferred.input]
    return {value.name: [side.dim_value or None for side in value.type.tensor_type.shape.dim] for value in known}


def _constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto | None]:
    """What does not depend on the images, by name: weights, and None for what is computed from them."""
    found: dict[str, onnx.TensorProto | None] = {weight.name: weight for weight in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
        elif all(name in found for name in node.input if name):
            found |= dict.fromkeys(node.output)
    return found


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)


def _pooled_axes(tape: _Tape, node: onnx.NodeProto) -> tuple[int, ...]:
    """Axes of maps (n, c, h, w) or (n, h, w, c) that a node averages over; none where it does something else."""
    if not node.input or len(tape.shapes.get(node.input[0], [])) != 4:
        return ()
    if node.op_type == "GlobalAveragePool":
        return _CHANNELS_FIRST
    if node.op_type != "ReduceMean":
        return ()
    weight = tape.constants.get(node.input[1]) if len(node.input) > 1 else None
    given = _attribute(node, "axes", ()) if weight is None else numpy_helper.to_array(weight)
    axes = tuple(sorted(int(axis) % 4 for axis in given))
    return axes if axes in {_CHANNELS_FIRST, _CHANNELS_LAST} else ()


def _same(tape: _Tape, node: onnx.NodeProto, gradient: str) -> None:
    if tape.width(node.input[0]) != tape.width(node.output[0]):
        raise Unsloped(f"{node.op_type} changes the width")
    tape.give(node.input[0], gradient)


def _matrix(tape: _Tape, node: onnx.NodeProto, gradient: str) -> None:
    """Gemm or MatMul, y = x W + b: the gradient goes through the transposed W."""
    x, matrix = node.input[:2]
    weight = tape.constants.get(matrix)
    if weight is None or len(weight.dims) != 2 or _attribute(node, "transA", 0):
        raise Unsloped(f"{node.op_type} with something other than a matrix of weights")
    back = matrix if _attribute(node, "transB", 0) else tape.node("Transpose", matrix, perm=[1, 0])
    gradient = tape.node("MatMul", gradient, back)
    factor = _attribute(node, "alpha", 1.0)
    tape.give(x, gradient if factor == 1 else tape.node("Mul", gradient, tape.number(factor)))


def _add(tape: _Tape, node: onnx.NodeProto, gradient: str) -> None:
    for name in node.input:
        if name not in tape.constants:
            _check_broadcast(tape, node, name)
            tape.give(name, gradient)


def _concat(tape: _Tape, node: onnx.NodeProto, gradient: str) -> None:
    """Each input has its own part of the gradient."""
    if _attribute(node, "axis", 0) not in {1, 1 - len(tape.shapes.get(node.output[0], []))}:
        raise Unsloped("Concat along another axis than the channels")
    start = 0
    for name in node.input:
        ends = [tape.weight(np.array([end])) for end in (start, start + tape.width(name), 2)]
        tape.give(name, tape.node("Slice", gradient, *ends))
        start += tape.width(name)


def _slice(tape: _Tape, node: onnx.NodeProto, gradient: str) -> None:
    """What was cut off has no gradient."""
    cuts = [tape.constants.get(name) for name in node.input[1:]]
    if len(cuts) != 3 or any(cut is None or list(cut.dims) != [1] for cut in cuts):
        raise Unsloped("Slice of another form")
    start, end, axis = (int(numpy_helper.to_array(cut)[0]) for cut in cuts if cut is not None)
    whole = tape.width(node.input[0])
    if axis != 1 or not 0 <= start < end <= whole or end - start != tape.width(node.output[0]):
        raise Unsloped("Slice along another axis than the channels")
    tape.give(node.input[0], tape.node("Pad", gradient, tape.weight(np.array([0, 0, start, 0, 0, whole - end]))))


def _sum(tape: _Tape, node: onnx.NodeProto, gradient: str) -> None:
    """Go on with the first of the views that are summed: the others' maps lie in frames of their own."""
    first, *others = node.input
    if not all(OTHER_VIEWS.format(view) in name for view, name in enumerate(others, 1)):
        raise Unsloped("Sum of something other than views")
    tape.give(first, gradient)


def _multiply(tape: _Tape, node: onnx.NodeProto, gradient: str) -> None:
    for name, other in (node.input, reversed(node.input)):
        if name not in tape.constants:
            _check_broadcast(tape, node, name)
            tape.give(name, tape.node("Mul", gradient, tape.row(other)))


def _check_broadcast(tape: _Tape, node: onnx.NodeProto, name: str) -> None:
    if tape.width(name) != tape.width(node.output[0]):
        raise Unsloped(f"{node.op_type} spreads {name} over more numbers")


def _elementwise(derivative: Callable[[_Tape, onnx.NodeProto], str]) -> Callable[[_Tape, onnx.NodeProto, str], None]:
    def rule(tape: _Tape, node: onnx.NodeProto, gradient: str) -> None:
        tape.give(node.input[0], tape.node("Mul", gradient, derivative(tape, node)))

    return rule


# Of what an activation gives wherever possible: a use of what it takes would keep ONNX Runtime from fusing it.


def _relu(tape: _Tape, node: onnx.NodeProto) -> str:
    return tape.node("Sign", tape.row(node.output[0]))


def _sigmoid(tape: _Tape, node: onnx.NodeProto) -> str:
    y = tape.row(node.output[0])
    return tape.node("Mul", y, tape.node("Sub", tape.number(1), y))


def _tanh(tape: _Tape, node: onnx.NodeProto) -> str:
    y = tape.row(node.output[0])
    return tape.node("Sub", tape.number(1), tape.node("Mul", y, y))


def _elu(tape: _Tape, node: onnx.NodeProto) -> str:
    y, alpha = tape.row(node.output[0]), tape.number(_attribute(node, "alpha", 1.0))
    positive = tape.node("Greater", y, tape.number(0))
    return tape.node("Where", positive, tape.number(1), tape.node("Add", y, alpha))


def _erf(tape: _Tape, node: onnx.NodeProto) -> str:
    x = tape.row(node.input[0])
    bell = tape.node("Exp", tape.node("Neg", tape.node("Mul", x, x)))
    return tape.node("Mul", bell, tape.number(2 / np.sqrt(np.pi)))


def _layer_norm(tape: _Tape, node: onnx.NodeProto, gradient: str) -> None:
    """LayerNormalization, y = gain z + offset with z = (x - mean) / deviation (Ba, Kiros & Hinton 2016)."""
    width = tape.width(node.input[0])
    if tape.shapes[node.input[0]][-1] != width or _attribute(node, "axis", -1) not in {-1, 1}:
        raise Unsloped("LayerNormalization over other axes")
    x = tape.row(node.input[0])
    centred = tape.node("Sub", x, tape.mean(x, width))
    variance = tape.mean(tape.node("Mul", centred, centred), width)
    epsilon = tape.number(_attribute(node, "epsilon", 1e-5))
    deviation = tape.node("Sqrt", tape.node("Add", variance, epsilon))
    z = tape.node("Div", centred, deviation)
    scaled = tape.node("Mul", gradient, tape.row(node.input[1]))
    along = tape.node("Mul", z, tape.mean(tape.node("Mul", scaled, z), width))
    rest = tape.node("Sub", tape.node("Sub", scaled, tape.mean(scaled, width)), along)
    tape.give(node.input[0], tape.node("Div", rest, deviation))


def _batch_norm(tape: _Tape, node: onnx.NodeProto, gradient: str) -> None:
    """BatchNormalization in inference mode, y = scale (x - mean) / sqrt(variance + epsilon) + offset."""
    scale, variance = (tape.constants.get(node.input[at]) for at in (1, 4))
    if scale is None or variance is None:
        raise Unsloped("BatchNormalization with computed weights")
    spread = numpy_helper.to_array(variance) + np.float32(_attribute(node, "epsilon", 1e-5))
    tape.give(node.input[0], tape.node("Mul", gradient, tape.weight(numpy_helper.to_array(scale) / np.sqrt(spread))))


_RULES: dict[str, Callable[[_Tape, onnx.NodeProto, str], None]] = {
    "Add": _add,
    "BatchNormalization": _batch_norm,
    "Concat": _concat,
    "Dropout": _same,
    "Elu": _elementwise(_elu),
    "Erf": _elementwise(_erf),
    "Flatten": _same,
    "Gemm": _matrix,
    "Identity": _same,
    "LayerNormalization": _layer_norm,
    "MatMul": _matrix,
    "Mul": _multiply,
    "Relu": _elementwise(_relu),
    "Reshape": _same,
    "Sigmoid": _elementwise(_sigmoid),
    "Slice": _slice,
    "Squeeze": _same,
    "Sum": _sum,
    "Tanh": _elementwise(_tanh),
}
