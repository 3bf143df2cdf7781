"""What size the outputs of each allowed operator have, one short rule an operator, after the operators' own specification.

Operators.md of ONNX, versions 13 to 25, of what feed-forward image networks are made of. `tests/model/onnx_safety/test_check.py`
compares every rule with ONNX Runtime.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from plainfilm.model.onnx_safety import attention, making
from plainfilm.model.onnx_safety.calls import Call, Rule, Shape, Value, constant
from plainfilm.model.onnx_safety.fields import DTYPES
from plainfilm.model.onnx_safety.reading import Tensor

WIDEST = 4096  # pixels a side that an enlargement may give
_FLOAT, _INT64, _BOOL = np.dtype("<f4"), np.dtype("<i8"), np.dtype("?")

# Rules. Each gives its outputs; `like` gives one of the first input's dtype.


def _same(call: Call) -> list[Value]:
    return call.like(call.shape())


def _cumulated(call: Call) -> list[Value]:
    call.value(1)  # along which axis
    return _same(call)


def _cast(call: Call) -> list[Value]:
    dtype = DTYPES.get(call.whole("to", 0))
    if dtype is None:
        raise call.refuse("to a type that is not allowed here")
    return [Value(call.shape(), dtype)]


def _constant_node(call: Call) -> list[Value]:
    if len(call.node.attributes) != 1:
        raise call.refuse("with no value, or with several")
    (name, value), *_ = call.node.attributes.items()
    if isinstance(value, Tensor):
        return [constant(value)]
    dtype = _FLOAT if "float" in name else _INT64
    return [constant(Tensor("", np.array(value, dtype)))]


def _broadcast(call: Call) -> list[Value]:
    return call.like(_joint(call, range(len(call.given))))


def _joint(call: Call, places: Sequence[int]) -> Shape:
    """NumPy's broadcasting, which is ONNX's (Broadcasting.md)."""
    joint: list[int] = []
    for place in places:
        shape = call.shape(place)
        joint[:0] = [1] * (len(shape) - len(joint))
        for back, side in enumerate(reversed(shape), 1):
            if side != joint[-back] and 1 not in {side, joint[-back]}:
                raise call.refuse("on shapes that do not fit")
            joint[-back] = side if joint[-back] == 1 else joint[-back]
    return tuple(joint)


def _divide(call: Call) -> list[Value]:
    """Whole numbers by those that are known: 0 is an error, and the least by -1 ends the process."""
    if call.value().dtype.kind in "iu":
        divisors = call.value(1).numbers
        if divisors is None or np.isin(divisors, (0, -1)).any():
            raise call.refuse("of whole numbers by 0, -1 or what is not known")
    return _broadcast(call)


def _modulo(call: Call) -> list[Value]:
    return _broadcast(call) if call.whole("fmod", 0) else _divide(call)


def _compare(call: Call) -> list[Value]:
    return [Value(_joint(call, (0, 1)), _BOOL)]


def _truths(call: Call) -> list[Value]:
    return [Value(call.shape(), _BOOL)]


def _where(call: Call) -> list[Value]:
    return [Value(_joint(call, (0, 1, 2)), call.value(1).dtype)]


def _reduce(call: Call) -> list[Value]:
    axes = call.numbers(1, "axes")
    if not axes:
        axes = [] if call.whole("noop_with_empty_axes", 0) else list(range(len(call.shape())))
    kept, gone = call.whole("keepdims", 1), set(call.axes(axes))
    return call.like([1 if at in gone else side for at, side in enumerate(call.shape()) if kept or at not in gone])


def _windows(call: Call, kernel: Sequence[int], *, ceil: bool = False) -> list[int]:
    """Height and width after a convolution or a pool (Operators.md, Conv and MaxPool)."""
    sides = call.shape(sides=4)[2:]
    steps, dilations = call.ints("strides") or [1, 1], call.ints("dilations") or [1, 1]
    pads, how = call.ints("pads") or [0, 0, 0, 0], call.text("auto_pad", "NOTSET")
    sizes = (len(kernel), len(steps), len(dilations), len(pads))
    if sizes != (2, 2, 2, 4) or min(*kernel, *steps, *dilations) < 1 or min(pads) < 0:
        raise call.refuse("with a window that does not fit")
    if how.startswith("SAME"):
        return [-(-side // step) for side, step in zip(sides, steps, strict=True)]
    if how not in {"NOTSET", "VALID"}:
        raise call.refuse("with padding of a kind unknown here")
    padding = [0, 0] if how == "VALID" else [pads[0] + pads[2], pads[1] + pads[3]]
    rests = [side + pad - dilation * (size - 1) - 1
             for side, pad, dilation, size in zip(sides, padding, dilations, kernel, strict=True)]  # fmt: skip
    if min(rests) < 0:
        raise call.refuse("with a window larger than its picture")
    counts = [(-(-rest // step) if ceil else rest // step) + 1 for rest, step in zip(rests, steps, strict=True)]
    inside = [side + pad for side, pad in zip(sides, pads if how == "NOTSET" else [0, 0], strict=False)]
    # A window that would begin behind the picture and its padding before is none.
    return [count - ((count - 1) * step >= end) for count, step, end in zip(counts, steps, inside, strict=True)]


def _conv(call: Call) -> list[Value]:
    images, channels, *_ = call.shape(sides=4)
    filters, depth, *kernel = call.shape(1, sides=4)
    groups = call.whole("group", 1)
    fits = groups > 0 and channels == depth * groups and filters % groups == 0
    if not fits or (call.ints("kernel_shape") or kernel) != kernel or (call.has(2) and call.shape(2) != (filters,)):
        raise call.refuse("whose weights do not fit")
    return call.like([images, filters, *_windows(call, kernel)])


def _pool(call: Call) -> list[Value]:
    kernel = call.ints("kernel_shape")
    if kernel is None:
        raise call.refuse("without a window")
    return call.like([*call.shape(sides=4)[:2], *_windows(call, kernel, ceil=bool(call.whole("ceil_mode", 0)))])


def _global_pool(call: Call) -> list[Value]:
    return call.like([*call.shape(sides=4)[:2], 1, 1])


def _batch_norm(call: Call) -> list[Value]:
    if call.whole("training_mode", 0):
        raise call.refuse("in training")
    return _same(call)


def _matmul(call: Call) -> list[Value]:
    left, right = call.shape(0), call.shape(1)
    if min(len(left), len(right)) < 2 or left[-1] != right[-2]:
        raise call.refuse("on shapes that do not fit")
    batch = np.broadcast_shapes(left[:-2], right[:-2])
    return call.like([*batch, left[-2], right[-1]])


def _gemm(call: Call) -> list[Value]:
    left, right = call.shape(0, sides=2), call.shape(1, sides=2)
    rows, inner = reversed(left) if call.whole("transA", 0) else left
    other, columns = reversed(right) if call.whole("transB", 0) else right
    if inner != other or (call.has(2) and np.broadcast_shapes(call.shape(2), (rows, columns)) != (rows, columns)):
        raise call.refuse("on shapes that do not fit")
    return call.like([rows, columns])


def _concat(call: Call) -> list[Value]:
    axis, first = call.axis(0), call.shape()
    shapes = [call.shape(place) for place in range(len(call.given))]
    if any((*each[:axis], *each[axis + 1 :]) != (*first[:axis], *first[axis + 1 :]) for each in shapes):
        raise call.refuse("on shapes that do not fit")
    return call.like([*first[:axis], sum(each[axis] for each in shapes), *first[axis + 1 :]])


def _split(call: Call) -> list[Value]:
    axis, shape = call.axis(0), call.shape()
    parts, side = len(call.node.outputs), shape[axis]
    each = -(-side // parts)
    sizes = call.numbers(1) or [min(each, side - each * at) for at in range(parts)]
    if len(sizes) != parts or min(sizes) < 0 or sum(sizes) != side or call.whole("num_outputs", parts) != parts:
        raise call.refuse("into parts that do not fit")
    return [value for size in sizes for value in call.like([*shape[:axis], size, *shape[axis + 1 :]])]


def cuts(call: Call) -> list[slice]:
    """Where a Slice cuts each side."""
    starts, ends, shape = call.numbers(1), call.numbers(2), call.shape()
    if starts is None or ends is None or len(starts) != len(ends):
        raise call.refuse("without its ends")
    axes = call.numbers(3) or list(range(len(starts)))
    steps = call.numbers(4) or [1] * len(starts)
    cuts = [slice(None)] * len(shape)
    for axis, start, end, step in zip(call.axes(axes), starts, ends, steps, strict=True):
        cuts[axis] = slice(*_ends(start, end, step, shape[axis]))
    return cuts


def _ends(start: int, end: int, step: int, side: int) -> tuple[int, int | None, int]:
    first, last, step = slice(start, end, step).indices(side)
    return first, None if last < 0 else last, step


def _slice(call: Call) -> list[Value]:
    return call.like([len(range(side)[cut]) for cut, side in zip(cuts(call), call.shape(), strict=True)])


def _gather(call: Call) -> list[Value]:
    axis, shape = call.axis(0), call.shape()
    return call.like([*shape[:axis], *call.shape(1), *shape[axis + 1 :]])


def _flatten(call: Call) -> list[Value]:
    shape, axis = call.shape(), call.whole("axis", 1)
    axis += len(shape) if axis < 0 else 0
    if not 0 <= axis <= len(shape):
        raise call.refuse("along an axis that is not there")
    return call.like([math.prod(shape[:axis]), math.prod(shape[axis:])])


def _reshape(call: Call) -> list[Value]:
    shape, target = call.shape(), call.numbers(1)
    if target is None or target.count(-1) > 1 or min(target, default=0) < -1:
        raise call.refuse("without a shape")
    if not call.whole("allowzero", 0):
        target = [shape[at] if side == 0 else side for at, side in enumerate(target)]
    rest = math.prod(side for side in target if side != -1)
    target = [math.prod(shape) // max(rest, 1) if side == -1 else side for side in target]
    if math.prod(target) != math.prod(shape):
        raise call.refuse("to a shape that does not fit")
    return call.like(target)


def _transpose(call: Call) -> list[Value]:
    shape = call.shape()
    order = call.ints("perm") or list(reversed(range(len(shape))))
    if sorted(order) != list(range(len(shape))):
        raise call.refuse("in an order that does not fit")
    return call.like([shape[axis] for axis in order])


def _squeeze(call: Call) -> list[Value]:
    shape, axes = call.shape(), call.numbers(1)
    gone = [at for at, side in enumerate(shape) if side == 1] if axes is None else call.axes(axes)
    if any(shape[axis] != 1 for axis in gone):
        raise call.refuse("of a side that is not 1")
    return call.like([side for at, side in enumerate(shape) if at not in gone])


def _unsqueeze(call: Call) -> list[Value]:
    shape, axes = call.shape(), call.numbers(1) or []
    sides = len(shape) + len(axes)
    added, rest = call.axes(axes, sides), iter(shape)
    return call.like([1 if at in added else next(rest) for at in range(sides)])


def _pad(call: Call) -> list[Value]:
    shape, pads = call.shape(), call.numbers(1)
    axes = call.axes(call.numbers(3) or range(len(shape)))
    if pads is None or len(pads) != 2 * len(axes):
        raise call.refuse("with pads that do not fit")
    sides = list(shape)
    for at, axis in enumerate(axes):
        sides[axis] += pads[at] + pads[at + len(axes)]
    if min(sides) < 0:
        raise call.refuse("with pads that do not fit")
    return call.like(sides)


def _resize(call: Call) -> list[Value]:
    shape = call.shape()
    scales = call.value(2).numbers if call.has(2) else None
    if call.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise call.refuse("that keeps proportions")
    if call.text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        raise call.refuse("that crops")
    if scales is not None and scales.size:
        if scales.dtype != _FLOAT or scales.shape != (len(shape),) or not (scales > 0).all():
            raise call.refuse("with scales that do not fit")
        sides = [int(np.float32(side) * scale) for side, scale in zip(shape, scales, strict=True)]
    else:
        sides = call.numbers(3) or []
        if len(sides) != len(shape) or (call.has(2) and scales is None):
            raise call.refuse("whose scales depend on the image")
    if sides[0] != shape[0] or any(
        side > max(before, WIDEST) or side < 0 for side, before in zip(sides, shape, strict=True)
    ):
        raise call.refuse(f"to more than {WIDEST} px")
    return call.like(sides)


def _shape_of(call: Call) -> list[Value]:
    shape = call.shape()
    sides = shape[slice(call.whole("start", 0), call.whole("end", len(shape)))]
    return [Value((len(sides),), _INT64, np.array(sides, np.int64), constant=True)]


def _size_of(call: Call) -> list[Value]:
    return [Value((), _INT64, np.array(math.prod(call.shape()), np.int64), constant=True)]


def _expand(call: Call) -> list[Value]:
    return call.like(np.broadcast_shapes(call.shape(), tuple(call.numbers(1) or ())))


def _between_depth_and_space(call: Call) -> list[Value]:
    images, channels, height, width = call.shape(sides=4)
    block = call.whole("blocksize", 0)
    to_space = call.node.op == "DepthToSpace"
    if block < 1 or (channels % block**2 if to_space else height % block or width % block):
        raise call.refuse("with blocks that do not fit")
    if to_space:
        return call.like([images, channels // block**2, height * block, width * block])
    return call.like([images, channels * block**2, height // block, width // block])


def _rows(rule: Rule, attributes: str, *ops: str) -> dict[str, tuple[Rule, frozenset[str]]]:
    return dict.fromkeys(ops, (rule, frozenset(attributes.split())))


OPERATORS: Mapping[str, tuple[Rule, frozenset[str]]] = MappingProxyType(
    _rows(_same, "", "Abs", "Ceil", "Clip", "Cos", "Erf", "Exp", "Floor", "HardSwish", "Identity", "Log", "Neg", "Not",
          "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Tanh")
    | _rows(_same, "alpha", "Elu", "LeakyRelu", "ThresholdedRelu")
    | _rows(_same, "alpha beta", "HardSigmoid")
    | _rows(_same, "alpha gamma", "Selu")
    | _rows(_same, "approximate", "Gelu")
    | _rows(_same, "axis", "LogSoftmax", "Softmax")
    | _rows(_same, "seed", "Dropout")
    | _rows(_same, "epsilon", "InstanceNormalization")
    | _rows(_same, "axis epsilon stash_type", "LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")
    | _rows(_cumulated, "exclusive reverse", "CumSum")
    | _rows(_same, "upper", "Trilu")
    | _rows(_same, "alpha beta bias size", "LRN")
    | _rows(_batch_norm, "epsilon momentum training_mode", "BatchNormalization")
    | _rows(_divide, "", "Div")
    | _rows(_modulo, "fmod", "Mod")
    | _rows(_truths, "", "IsNaN")
    | _rows(_truths, "detect_negative detect_positive", "IsInf")
    | _rows(_broadcast, "", "Add", "And", "Max", "Mean", "Min", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum")
    | _rows(_cast, "saturate to", "Cast")
    | _rows(_compare, "", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
    | _rows(_where, "", "Where")
    | _rows(_reduce, "axes keepdims noop_with_empty_axes", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum")
    | _rows(_conv, "auto_pad dilations group kernel_shape pads strides", "Conv")
    | _rows(_pool, "auto_pad ceil_mode count_include_pad dilations kernel_shape pads storage_order strides", "AveragePool", "MaxPool")
    | _rows(_global_pool, "", "GlobalAveragePool", "GlobalMaxPool")
    | _rows(_matmul, "", "MatMul")
    | _rows(_gemm, "alpha beta transA transB", "Gemm")
    | _rows(_concat, "axis", "Concat")
    | _rows(_split, "axis num_outputs", "Split")
    | _rows(_slice, "", "Slice")
    | _rows(_gather, "axis", "Gather")
    | _rows(_flatten, "axis", "Flatten")
    | _rows(_reshape, "allowzero", "Reshape")
    | _rows(_transpose, "perm", "Transpose")
    | _rows(_squeeze, "", "Squeeze")
    | _rows(_unsqueeze, "", "Unsqueeze")
    | _rows(_pad, "mode", "Pad")
    | _rows(_resize, "antialias coordinate_transformation_mode cubic_coeff_a exclude_outside extrapolation_value keep_aspect_ratio_policy mode nearest_mode", "Resize")
    | _rows(_shape_of, "start end", "Shape")
    | _rows(_size_of, "", "Size")
    | _rows(_expand, "", "Expand")
    | _rows(making.constant_of_shape, "value", "ConstantOfShape")
    | _rows(making.in_steps, "", "Range")
    | _rows(making.tile, "", "Tile")
    | _rows(attention.attention, "is_causal kv_num_heads q_num_heads scale softcap softmax_precision", "Attention")
    | _rows(attention.einsum, "equation", "Einsum")
    | _rows(_between_depth_and_space, "blocksize mode", "DepthToSpace", "SpaceToDepth")
    | _rows(_constant_node, "value value_float value_floats value_int value_ints", "Constant")
)  # fmt: skip
