"""What size each tensor of a network has for a given number of images, without running it.

An operator or attribute that `operators` does not know is refused, and so is a size that depends on what an image shows.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from plainfilm.model.onnx_safety.calls import FEW, Call, Value, constant
from plainfilm.model.onnx_safety.operators import ARITHMETIC, OPERATORS
from plainfilm.model.onnx_safety.reading import Network, NetworkRefused, shown

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
    numbers = value.numbers
    if numbers is None and call.node.op in ARITHMETIC and math.prod(value.shape) <= FEW:
        operands = [each.numbers for each in given]
        if all(each is not None for each in operands):
            with np.errstate(all="ignore"):
                numbers = np.asarray(ARITHMETIC[call.node.op](call, operands)).astype(value.dtype).reshape(value.shape)
    return Value(value.shape, value.dtype, numbers, constant)


# Bytes that ONNX Runtime's kernels take beside their outputs (measured, version 1.32), in multiples of the largest tensor.
_WORKSPACE: Mapping[str, int] = MappingProxyType(
    {"Dropout": 1, "HardSwish": 1, "LRN": 3, "LogSoftmax": 2, "Max": 2, "Mean": 2, "Min": 2, "Resize": 1, "Softmax": 2}
    | {"Sum": 2, "Where": 2}
)


def _workspace(call: Call, outputs: Mapping[str, Value]) -> int:
    op, taken = call.node.op, max((each.size for each in call.given if each is not None), default=0)
    if op.startswith("Reduce"):
        return 2 * taken  # indices, 8 bytes a number
    if op == "Conv":
        return call.value(1).size  # of unfolded windows
    return _WORKSPACE.get(op, 0) * max(taken, *(each.size for each in outputs.values()))


def _work(call: Call, outputs: Mapping[str, Value]) -> int:
    """Multiplications, or numbers touched where there are none."""
    size = sum(math.prod(each.shape) for each in outputs.values())
    if call.node.op == "Conv":
        return size * math.prod(call.shape(1)[1:])
    if call.node.op in {"MatMul", "Gemm"}:
        return size * max(1, call.shape()[0 if call.whole("transA", 0) else -1])
    if call.node.op.endswith("Pool") or call.node.op == "LRN":
        return size * max(math.prod(call.ints("kernel_shape") or [1]), call.whole("size", 1)) + math.prod(call.shape())
    return size + sum(math.prod(each.shape) for each in call.given if each is not None)
