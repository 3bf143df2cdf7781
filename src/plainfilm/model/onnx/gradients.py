"""Slopes of the logits over the pooled maps, as nodes of the same ONNX graph: Grad-CAM then needs no Keras.

Reverse-mode differentiation, one short rule an operator, from the logits back to where places are summed: the global average
of the last maps or of the last tokens, or the last attention of the token that the features are. Few nodes lie between them, and
their operators are those of `from_keras`, `heads`, `hub.vit`, exported transformers and `classifier.join`; others raise `Unsloped`.
A gradient of a tensor (n, width), (n, width, 1, 1), or of one token of (n, tokens, width), is float32 (n or 1, outputs, width):
one row a logit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_PREFIX = "slope_"
_CHANNELS_FIRST, _CHANNELS_LAST = (2, 3), (1, 2)
_IMAGES = 2
_MOST_BEFORE = 16  # tokens of a class, of registers
OTHER_VIEWS = "view{}"  # names of what an image's further views (1, 2, …) become in a network hold this


class Unsloped(Exception):  # noqa: N818 - a finding about a graph, not an error of anybody's
    """The graph sums no places, or has an operator after that which has no rule here."""


@dataclass(frozen=True, slots=True)
class _Summed:
    """Maps (n, c, h, w) whose sum or average over the places leads to the logits, their sides c, h, w, and the gradient of that sum."""

    maps: str
    sides: list[int | None]
    gradient: str


def add_outputs(model: onnx.ModelProto) -> None:
    """Add two outputs to a network from "images" to "logits" (n, outputs): "maps" and "slopes".

    "maps" float32 (n, c, h, w) is what the last global average takes in; "slopes" float32 (n, outputs, c) is the
    gradient of each logit over that average. Where the features are one token of a transformer, its last attention is a sum over
    places as well: "maps" are the values of all patches, each weighed by the attention that the token pays it, and "slopes" the
    gradient over their sum, so that maps times slopes is attention times its gradient (Chefer et al., ICCV 2021), of the last block.
    Of several encoders side by side, both hold all channels, one encoder's behind the other's; of an encoder over several views, they
    are those of the first view, the whole image.

    Raises
    ------
    Unsloped
        They cannot be had; the model is then as it was.
    """
    tape = _Tape(model)
    every = tape.back_to_sums()
    (height, width), *others = {tuple(each.sides[1:]) for each in every}
    if others or (len(every) > 1 and not (height and width)):
        raise Unsloped("maps of several sizes")
    channels = sum(int(each.sides[0] or 0) for each in every)
    # A linear head has one slope for all images.
    images = tape.node("Gather", tape.node("Shape", every[0].maps), tape.weight(np.array([0])))
    whole = tape.node("Concat", images, tape.weight(np.array([1, 1])), axis=0)
    slopes = [tape.node("Expand", each.gradient, whole) for each in every]
    tape.node("Concat", *(each.maps for each in every), output="maps", axis=1)
    tape.node("Concat", *slopes, output="slopes", axis=2)
    model.graph.node.extend(tape.nodes)
    model.graph.initializer.extend(tape.weights)
    for name, shape in (("maps", ["n", channels, height, width]), ("slopes", ["n", tape.width("logits"), channels])):
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))


class _Tape:
    """A graph gone through backwards: shapes and constants of what is there, nodes and weights that are added."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.shapes = _shapes(model)
        self.constants = _constants(model.graph)
        self.pending: dict[str, str] = {}  # gradients by the tensors they are of
        self.token: int | None = None  # which of the tokens the gradients are of, once it is known
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def back_to_sums(self) -> list[_Summed]:
        """Go back from the logits to where places are summed."""
        if "logits" not in self.shapes:
            raise Unsloped("no logits")
        self.pending["logits"] = self.weight(np.eye(self.width("logits"), dtype=np.float32)[None])
        sums: list[_Summed] = []
        for node in reversed(self.graph.node):
            reached = [name for name in node.output if name in self.pending]
            if not reached:
                continue
            gradient = self.pending.pop(reached[0])
            found = _averaged(self, node) or _attended(self, node)
            if found:
                sums.insert(0, _Summed(*found, gradient))
            elif node.op_type not in _RULES or reached[0] != node.output[0]:
                raise Unsloped(f"no rule for {node.op_type}")
            else:
                _RULES[node.op_type](self, node, gradient)
        if self.pending or not sums:
            raise Unsloped("more than sums of places leads to the logits" if sums else "no sum of places")
        return sums

    def before(self, node: onnx.NodeProto) -> set[str]:
        """Name the tensors that a node depends on."""
        found = set(node.input)
        for each in reversed(self.graph.node):
            if found.intersection(each.output):
                found.update(each.input)
        return found

    def give(self, tensor: str, gradient: str) -> None:
        """Add a gradient to what a tensor already has."""
        if tensor in self.constants:
            return
        known = self.pending.get(tensor)
        self.pending[tensor] = self.node("Add", known, gradient) if known else gradient

    def width(self, tensor: str) -> int:
        """Count the numbers a tensor holds for each image, or for one of its tokens."""
        sides = self.shapes.get(tensor, [None, None])[1:]
        sides = sides[1:] if self.has_tokens(tensor) else sides
        if not sides or not all(sides):
            raise Unsloped(f"unknown shape of {tensor}")
        return int(np.prod([side for side in sides if side]))

    def has_tokens(self, tensor: str) -> bool:
        return self.token is not None and tensor not in self.constants and len(self.shapes.get(tensor, [])) == 3

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
        if self.has_tokens(tensor):
            return self.node("Gather", tensor, self.weight(np.array([self.token])), axis=1)
        shape = [-1] if tensor in self.constants else [0, 1, -1]
        return self.node("Reshape", tensor, self.weight(np.array(shape)))

    def mean(self, tensor: str, width: int) -> str:
        """Average over the last axis, in a way that every operator version knows."""
        return self.node("MatMul", tensor, self.weight(np.full((width, 1), 1 / width, np.float32)))


def _shapes(model: onnx.ModelProto) -> dict[str, list[int | None]]:
    """Shapes of all tensors for a batch of `_IMAGES`, None for a side that is not known: exported networks compute sides from it."""
    batches = [value.type.tensor_type.shape.dim[0] for value in model.graph.input if value.type.tensor_type.shape.dim]
    named = [(side, side.dim_param) for side in batches if side.dim_param]
    for side, _ in named:
        side.dim_value = _IMAGES
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception as error:
        raise Unsloped("its shapes cannot be inferred") from error
    finally:
        for side, name in named:
            side.dim_param = name
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


def _averaged(tape: _Tape, node: onnx.NodeProto) -> tuple[str, list[int | None]] | None:
    """Give what a node averages over its places, channels first, with its sides c, h, w; None where it does something else."""
    if not node.input:
        return None
    maps, sides = node.input[0], tape.shapes.get(node.input[0], [])
    axes = _averaged_axes(tape, node, len(sides))
    if len(sides) == 4 and axes == _CHANNELS_FIRST:
        return maps, sides[1:]
    if len(sides) == 4 and axes == _CHANNELS_LAST:
        return tape.node("Transpose", maps, perm=[0, 3, 1, 2]), [sides[3], *sides[1:3]]
    if len(sides) == 3 and axes == (1,):
        return _gridded(tape, node, tape.node("Transpose", maps, perm=[0, 2, 1]), sides[2], sides[1])
    return None


def _averaged_axes(tape: _Tape, node: onnx.NodeProto, rank: int) -> tuple[int, ...]:
    if node.op_type == "GlobalAveragePool":
        return _CHANNELS_FIRST
    if node.op_type != "ReduceMean" or not rank:
        return ()
    weight = tape.constants.get(node.input[1]) if len(node.input) > 1 else None
    given = _attribute(node, "axes", ()) if weight is None else numpy_helper.to_array(weight)
    return tuple(sorted(int(axis) % rank for axis in given))


def _attended(tape: _Tape, node: onnx.NodeProto) -> tuple[str, list[int | None]] | None:
    """Give the values (n, heads, tokens, wide) that a token's attention sums, each weighed by it, as maps (n, heads wide, h, w).

    What the token held before goes no further: it has no place.
    """
    if node.op_type != "MatMul" or not _is_softmax(tape, node.input[0]) or node.input[1] in tape.constants:
        return None
    asking, values = (tape.shapes.get(name, []) for name in node.input)
    if len(asking) != 4 or len(values) != 4 or not all(values[1:]):
        raise Unsloped("attention of another form")
    token = 0 if asking[2] == 1 else tape.token
    if token is None:
        raise Unsloped("attention of all tokens")
    _, heads, tokens, wide = values
    paid = tape.node("Gather", node.input[0], tape.weight(np.array([token])), axis=2)
    weighed = tape.node("Mul", tape.node("Transpose", node.input[1], perm=[0, 1, 3, 2]), paid)
    width = int(heads or 0) * int(wide or 0)
    flat = tape.node("Reshape", weighed, tape.weight(np.array([0, width, tokens])))
    found = _gridded(tape, node, flat, width, tokens)
    for name in tape.before(node).intersection(tape.pending):
        del tape.pending[name]
    return found


def _is_softmax(tape: _Tape, tensor: str) -> bool:
    made = next((node for node in tape.graph.node if tensor in node.output), None)
    if made is not None and made.op_type in {"Dropout", "Identity", "Cast"}:
        return _is_softmax(tape, made.input[0])
    if made is not None and made.op_type == "Where":  # exported attention puts 0 where nothing may be attended to
        return _is_softmax(tape, made.input[2])
    return made is not None and made.op_type == "Softmax" and _attribute(made, "axis", -1) in {-1, 3}


def _gridded(
    tape: _Tape, node: onnx.NodeProto, flat: str, width: int | None, tokens: int | None
) -> tuple[str, list[int | None]]:
    """Lay tokens (n, width, tokens) out as the convolution that made the patches had them; class and registers come first."""
    known = tape.before(node)
    made = [each for each in tape.graph.node if each.op_type == "Conv" and each.output[0] in known]
    grids = [tuple(tape.shapes.get(each.output[0], [])[2:]) for each in made]
    fitting = [
        (high, wide)
        for high, wide in (grid for grid in grids if len(grid) == 2)
        if high and wide and 0 <= (tokens or 0) - high * wide <= _MOST_BEFORE
    ]
    if not fitting or not width or not tokens:
        raise Unsloped("tokens that are no grid")
    height, across = fitting[-1]
    first = tokens - height * across
    if first:
        flat = tape.node("Slice", flat, *(tape.weight(np.array([end])) for end in (first, tokens, 2)))
    return tape.node("Reshape", flat, tape.weight(np.array([0, width, height, across]))), [width, height, across]


def _gather(tape: _Tape, node: onnx.NodeProto, gradient: str) -> None:
    """One token of all: from here on the gradients are of it alone."""
    index = tape.constants.get(node.input[1])
    if len(tape.shapes.get(node.input[0], [])) != 3 or _attribute(node, "axis", 0) not in {1, -2} or index is None:
        raise Unsloped("Gather of something other than a token")
    token = numpy_helper.to_array(index)
    if token.size != 1 or tape.token not in {None, int(token.item())}:
        raise Unsloped("Gather of several tokens")
    tape.token = int(token.item())
    tape.give(node.input[0], gradient)


def _transpose(tape: _Tape, node: onnx.NodeProto, gradient: str) -> None:
    """Heads (n, heads, tokens, wide) beside each other in each token (n, tokens, heads, wide)."""
    if tape.token is None or list(_attribute(node, "perm", ())) != [0, 2, 1, 3]:
        raise Unsloped("Transpose of another form")
    tape.give(node.input[0], gradient)


def _reshape(tape: _Tape, node: onnx.NodeProto, gradient: str) -> None:
    sides = tape.shapes.get(node.input[0], [])
    if tape.has_tokens(node.output[0]) and len(sides) == 4 and all(sides[1:]):
        if int(sides[2] or 0) * int(sides[3] or 0) != tape.width(node.output[0]):
            raise Unsloped("Reshape of tokens")
        tape.give(node.input[0], gradient)
    else:
        _same(tape, node, gradient)


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
    if len(cuts) == 4 and cuts[3] is not None and list(numpy_helper.to_array(cuts[3])) == [1]:
        cuts.pop()
    if len(cuts) != 3 or any(cut is None or list(cut.dims) != [1] for cut in cuts):
        raise Unsloped("Slice of another form")
    start, end, axis = (int(numpy_helper.to_array(cut)[0]) for cut in cuts if cut is not None)
    whole = tape.width(node.input[0])
    if (
        axis not in {-1, len(tape.shapes[node.output[0]]) - 1}
        or not 0 <= start < end <= whole
        or end - start != tape.width(node.output[0])
    ):
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


def _divide(tape: _Tape, node: onnx.NodeProto, gradient: str) -> None:
    x, divisor = node.input
    if divisor not in tape.constants:
        raise Unsloped("Div by something other than a constant")
    tape.give(x, tape.node("Div", gradient, tape.row(divisor)))


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


def _gelu(tape: _Tape, node: onnx.NodeProto) -> str:
    if _attribute(node, "approximate", b"none") != b"none":
        raise Unsloped("Gelu that is approximate")
    x = tape.row(node.input[0])
    bell = tape.node("Exp", tape.node("Mul", tape.node("Mul", x, x), tape.number(-0.5)))
    below = tape.node("Add", tape.node("Erf", tape.node("Mul", x, tape.number(np.sqrt(0.5)))), tape.number(1))
    beside = tape.node("Mul", tape.node("Mul", x, bell), tape.number(1 / np.sqrt(2 * np.pi)))
    return tape.node("Add", tape.node("Mul", below, tape.number(0.5)), beside)


def _power(tape: _Tape, node: onnx.NodeProto) -> str:
    exponent = tape.constants.get(node.input[1])
    if exponent is None or numpy_helper.to_array(exponent).size != 1:
        raise Unsloped("Pow of a computed exponent")
    power = float(numpy_helper.to_array(exponent).item())
    return tape.node("Mul", tape.node("Pow", tape.row(node.input[0]), tape.number(power - 1)), tape.number(power))


def _layer_norm(tape: _Tape, node: onnx.NodeProto, gradient: str) -> None:
    """LayerNormalization, y = gain z + offset with z = (x - mean) / deviation (Ba, Kiros & Hinton 2016)."""
    width = tape.width(node.input[0])
    if tape.shapes[node.input[0]][-1] != width or _attribute(node, "axis", -1) not in {
        -1,
        len(tape.shapes[node.input[0]]) - 1,
    }:
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
    "Div": _divide,
    "Dropout": _same,
    "Elu": _elementwise(_elu),
    "Erf": _elementwise(_erf),
    "Flatten": _same,
    "Gather": _gather,
    "Gelu": _elementwise(_gelu),
    "Gemm": _matrix,
    "Identity": _same,
    "LayerNormalization": _layer_norm,
    "MatMul": _matrix,
    "Mul": _multiply,
    "Pow": _elementwise(_power),
    "Relu": _elementwise(_relu),
    "Reshape": _reshape,
    "Sigmoid": _elementwise(_sigmoid),
    "Slice": _slice,
    "Squeeze": _same,
    "Sum": _sum,
    "Tanh": _elementwise(_tanh),
    "Transpose": _transpose,
}
