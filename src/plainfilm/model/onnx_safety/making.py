"""Operators that make tensors out of sizes: what they give is counted like any other tensor, before it is there."""

import math

import numpy as np

from plainfilm.model.onnx_safety.calls import FEW, Call, Value
from plainfilm.model.onnx_safety.reading import Tensor

_LONGEST = 1 << 53  # up to it whole numbers are float64 too, in which ONNX Runtime divides


def constant_of_shape(call: Call) -> list[Value]:
    """ConstantOfShape: one number, of which `value` gives the dtype too, as often as a shape asks for."""
    shape, value = tuple(call.numbers(0) or ()), call.node.attributes.get("value")
    if value is not None and (not isinstance(value, Tensor) or value.values.size != 1):
        raise call.refuse("with no number")
    if min(shape, default=0) < 0:
        raise call.refuse("on shapes that do not fit")
    fill = np.zeros((), "<f4") if value is None else value.values.reshape(())
    return [Value(shape, fill.dtype, np.full(shape, fill) if math.prod(shape) <= FEW else None)]


def in_steps(call: Call) -> list[Value]:
    """Range: from a start in steps to before an end. ONNX Runtime takes the span in the inputs' dtype, and divides in float64."""
    dtype = call.value().dtype
    given = [call.value(place) for place in range(3)]
    if any(each.numbers is None or math.prod(each.shape) != 1 or each.dtype != dtype for each in given):
        raise call.refuse("without ends that are known")
    start, end, step = (each.numbers.reshape(()) for each in given if each.numbers is not None)
    if not np.isfinite([start, end, step]).all() or step == 0:
        raise call.refuse("without ends that are known")
    span = float(end - start) if dtype.kind == "f" else int(end) - int(start)
    most = _LONGEST if dtype.itemsize == 8 else 1 << 31
    if max(abs(span), abs(float(start)), abs(float(end)), abs(float(step))) >= most:
        raise call.refuse("over more than can be counted")
    count = max(0, math.ceil(np.float64(span) / np.float64(step)))
    known = (int(start) + int(step) * np.arange(count)).astype(dtype) if dtype.kind in "iu" and count <= FEW else None
    return [Value((count,), dtype, known)]


def tile(call: Call) -> list[Value]:
    """Tile: a tensor so many times along each side."""
    shape, times = call.shape(), call.numbers(1)
    if times is None or len(times) != len(shape) or min(times, default=0) < 0:
        raise call.refuse("so many times that it does not fit")
    return call.like([side * each for side, each in zip(shape, times, strict=True)])
