"""What size each tensor of a network has for a given number of images, without running it.

An operator or attribute that `operators` does not know is refused, and so is a size that depends on what an image shows.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.onnx_safety import arithmetic, attention
from plainfilm.model.onnx_safety.calls import Call, Value, constant
from plainfilm.model.onnx_safety.operators import OPERATORS
from plainfilm.model.onnx_safety.reading import Network, NetworkRefused, Tensor, read, shown
from plainfilm.model.onnx_safety.writing import as_inputs

_MOST_SIDES = 8


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What running a node takes: `outputs` by name, bytes of `workspace`, multiplications (`work`)."""

    outputs: Mapping[str, Value]
    workspace: int
    work: int


def follow(network: Network, images: Mapping[str, Value], *, most_bytes: int, count: int) -> list[Step]:
    """Go through a network in its order and give what each node takes.

    Parameters
    ----------
    network
        As read.
    images
        The inputs by name.
    most_bytes
        That a single tensor may have.
    count
        Images in a batch.

    Raises
    ------
    NetworkRefused
        An operator, attribute or shape that is not known, or a tensor that is too large.
    """
    known = dict(images) | {name: constant(weight) for name, weight in network.weights.items()}
    if len(known) != len(images) + len(network.weights):
        raise NetworkRefused("has two tensors of one name")
    steps = []
    for node in network.nodes:
        call = Call(node, [_find(known, name) for name in node.inputs], count)
        outputs = dict(zip(node.outputs, _apply(call), strict=True))
        for name, value in outputs.items():
            if name in known or not name:
                raise NetworkRefused("has two tensors of one name, or one without")
            if len(value.shape) > _MOST_SIDES or value.size > most_bytes:
                raise call.refuse(f"that gives {value.size:,} bytes")
        known |= outputs
        steps.append(Step(outputs, _workspace(call, outputs), _work(call, outputs)))
    return steps


def values(
    bare: bytes, apart: Mapping[str, NDArray[Any]], *, size: int, count: int, most_bytes: int
) -> dict[str, Value]:
    """Tell what is known of each tensor of a network of `writing.parted`, for so many "images" of a size in px.

    Raises
    ------
    NetworkRefused
        As `follow`, or the network cannot be read.
    """
    network = read(as_inputs(bare, frozenset(apart)))
    weights = {**network.weights, **{name: Tensor(name, each) for name, each in apart.items()}}
    images = {"images": Value((count, size, size), np.dtype("u1"))}
    steps = follow(dataclasses.replace(network, weights=weights), images, most_bytes=most_bytes, count=count)
    return {name: value for step in steps for name, value in step.outputs.items()}


def _find(known: Mapping[str, Value], name: str) -> Value | None:
    if name and name not in known:
        raise NetworkRefused(f"uses a tensor before it is there: {shown(name)}")
    return known[name] if name else None


def _apply(call: Call) -> list[Value]:
    node = call.node
    rule, attributes = OPERATORS.get(node.op, (None, frozenset[str]()))
    if rule is None:
        raise call.refuse("that is not allowed here")
    strange = node.attributes.keys() - attributes
    if strange:
        raise call.refuse(f"with an attribute unknown here: {shown(min(strange))}")
    try:
        found = rule(call)
        if len(found) != len(node.outputs):
            raise call.refuse("with another number of outputs")
        return [_with_numbers(call, value) for value in found]
    except (
        ValueError,
        IndexError,
        OverflowError,
        TypeError,
    ) as error:  # NumPy's, of shapes and numbers that do not fit
        raise call.refuse("on shapes that do not fit") from error


def _with_numbers(call: Call, value: Value) -> Value:
    given = [each for each in call.given if each is not None]
    constant = value.constant or (bool(given) and all(each.constant for each in given))
    known = arithmetic.numbers(call, value) if value.numbers is None else value.numbers
    return Value(value.shape, value.dtype, known, constant)


# Bytes that ONNX Runtime's kernels take beside their outputs (measured, version 1.32), in multiples of the largest tensor.
_WORKSPACE: Mapping[str, int] = MappingProxyType(
    {"Dropout": 1, "HardSwish": 1, "LRN": 3, "Max": 2, "Mean": 2, "Min": 2, "Mod": 2, "Sum": 2, "Where": 2}
)


def _workspace(call: Call, outputs: Mapping[str, Value]) -> int:
    op = call.node.op
    if op in _OWN_WORKSPACE:
        return _OWN_WORKSPACE[op](call, outputs)
    if op.startswith("Reduce"):
        return 2 * max(each.size for each in call.given if each is not None)  # indices, 8 bytes a number
    return _WORKSPACE.get(op, 0) * _largest(call, outputs)


def _largest(call: Call, outputs: Mapping[str, Value]) -> int:
    return max(each.size for each in (*outputs.values(), *call.given) if each is not None)


def _of_softmax(call: Call, outputs: Mapping[str, Value]) -> int:
    """Nothing along rows as they lie."""
    return 0 if call.axis(-1) == len(call.shape()) - 1 else 2 * _largest(call, outputs)


_OWN_WORKSPACE: Mapping[str, Callable[[Call, Mapping[str, Value]], int]] = MappingProxyType(
    {
        "Attention": lambda call, _: attention.beside(call),
        "Conv": lambda call, _: call.value(1).size,  # of unfolded windows
        "Einsum": lambda call, made: 2 * sum(each.size for each in (*made.values(), *call.given) if each is not None),
        "LogSoftmax": _of_softmax,
        "Resize": lambda call, made: _between(call, made) + 2 * _largest(call, made),
        "Softmax": _of_softmax,
    }
)


def _between(call: Call, outputs: Mapping[str, Value]) -> int:
    """Bytes of a picture that has been resized along some of its sides, and not along the others yet."""
    (resized,) = outputs.values()
    sides = [max(pair) for pair in zip(call.shape(), resized.shape, strict=True)]
    return math.prod(sides) * max(resized.dtype.itemsize, 4) if call.whole("antialias", 0) else 0


def _work(call: Call, outputs: Mapping[str, Value]) -> int:
    """Multiplications, or numbers touched where there are none."""
    size = sum(math.prod(each.shape) for each in outputs.values())
    if call.node.op == "Conv":
        return size * math.prod(call.shape(1)[1:])
    if call.node.op in {"MatMul", "Gemm"}:
        return size * max(1, call.shape()[0 if call.whole("transA", 0) else -1])
    if call.node.op in {"Attention", "Einsum"}:
        return attention.work(call)
    if call.node.op == "Resize":
        return 16 * size + 8 * (_between(call, outputs) + math.prod(call.shape()))  # four neighbours along each side
    if call.node.op.endswith("Pool") or call.node.op == "LRN":
        return size * max(math.prod(call.ints("kernel_shape") or [1]), call.whole("size", 1)) + math.prod(call.shape())
    return size + sum(math.prod(each.shape) for each in call.given if each is not None)
