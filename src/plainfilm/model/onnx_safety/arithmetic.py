"""What sizes come to: the operators that are computed here where their numbers are few and no pixel changes them.

A size that came out otherwise here than in ONNX Runtime would leave its memory uncounted, and a difference in the last bit can be
multiplied to any. So only what every processor computes to the same bit is followed: IEEE's four operations, comparisons and
choices, whole numbers, and powers that are whole and exact.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.onnx_safety.calls import FEW, Call, Value
from plainfilm.model.onnx_safety.operators import cuts

_EXACT = 1 << 24  # up to it whole numbers are float32 too


def numbers(call: Call, value: Value) -> NDArray[Any] | None:
    """Compute the few numbers that an operator gives as `value`; None where they are not known or not exact."""
    rule = _RULES.get(call.node.op)
    if rule is None or math.prod(value.shape) > FEW:
        return None
    operands = [None if each is None else each.numbers for each in call.given]
    if any((each is None) != (known is None) for each, known in zip(call.given, operands, strict=True)):
        return None
    if not all(known is None or np.isfinite(known).all() for known in operands):
        return None
    with np.errstate(all="ignore"):
        found = rule(call, operands)
        if found is None or not _fits(np.asarray(found), value.dtype):
            return None
        return np.asarray(found).astype(value.dtype).reshape(value.shape)


def _fits(found: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Whether every processor makes the same of these numbers in this dtype: not of floats beyond its whole numbers."""
    if found.dtype.kind != "f" or dtype.kind not in "iu":
        return True
    ends = np.iinfo(dtype)
    return bool(((found > float(ends.min) - 1) & (found < float(ends.max))).all())


def _divided(_call: Call, operands: Any) -> Any:
    first, second = operands
    if first.dtype.kind == "f":
        return first / second
    pairs = np.broadcast(first, second)
    return np.array([abs(int(a)) // abs(int(b)) * (1 if (a < 0) == (b < 0) else -1) for a, b in pairs], first.dtype)


def _power(_call: Call, operands: Any) -> Any:
    """Powers, and square roots, of whole numbers that are whole numbers, all within what floats hold exactly."""
    pairs = [(float(a), float(b)) for a, b in np.broadcast(*operands)]
    if not all(0 <= a <= _EXACT and a.is_integer() and (b == 0.5 or b in range(25)) for a, b in pairs):
        return None
    found = [math.isqrt(int(a)) if b == 0.5 else int(a) ** int(b) for a, b in pairs]
    are_exact = all(c <= _EXACT and (b != 0.5 or c * c == a) for (a, b), c in zip(pairs, found, strict=True))
    return np.array(found) if are_exact else None


def _reduced(call: Call, operands: Any) -> Any:
    """Of a row of whole numbers or of all there are."""
    given = operands[0]
    axes = call.numbers(1, "axes") or list(range(given.ndim))
    is_whole = given.dtype.kind in "iu" and (given.ndim == 1 or len(axes) == given.ndim)
    ways: dict[str, Any] = {"ReduceMax": np.max, "ReduceMin": np.min, "ReduceProd": np.prod, "ReduceSum": np.sum}
    how = ways[call.node.op]
    return how(given) if is_whole and axes and not call.whole("noop_with_empty_axes", 0) else None


def _clipped(_call: Call, operands: Any) -> Any:
    given, low, high = (*operands, None, None)[:3]
    given = given if low is None else np.maximum(given, low)
    return given if high is None else np.minimum(given, high)


def _first(_call: Call, operands: Any) -> Any:
    return operands[0]


_RULES: Mapping[str, Callable[[Call, Any], Any]] = MappingProxyType(
    dict.fromkeys(("Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze"), _first)
    | dict.fromkeys(("ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum"), _reduced)
    | {
        "Abs": lambda _, x: np.abs(x[0]),
        "Add": lambda _, x: x[0] + x[1],
        "And": lambda _, x: x[0] & x[1],
        "Ceil": lambda _, x: np.ceil(x[0]),
        "Clip": _clipped,
        "Concat": lambda call, x: np.concatenate(x, call.whole("axis", 0)),
        "Div": _divided,
        "Equal": lambda _, x: x[0] == x[1],
        "Expand": lambda _, x: np.broadcast_to(x[0], np.broadcast_shapes(x[0].shape, tuple(x[1]))),
        "Floor": lambda _, x: np.floor(x[0]),
        "Gather": lambda call, x: np.take(x[0], x[1], call.whole("axis", 0)),
        "Greater": lambda _, x: x[0] > x[1],
        "GreaterOrEqual": lambda _, x: x[0] >= x[1],
        "Less": lambda _, x: x[0] < x[1],
        "LessOrEqual": lambda _, x: x[0] <= x[1],
        "Max": lambda _, x: _together(np.maximum, x),
        "Min": lambda _, x: _together(np.minimum, x),
        "Mod": lambda call, x: (np.fmod if call.whole("fmod", 0) else np.mod)(x[0], x[1]),
        "Mul": lambda _, x: x[0] * x[1],
        "Neg": lambda _, x: -x[0],
        "Not": lambda _, x: ~x[0],
        "Or": lambda _, x: x[0] | x[1],
        "Pow": _power,
        "Slice": lambda call, x: x[0][tuple(cuts(call))],
        "Sub": lambda _, x: x[0] - x[1],
        "Tile": lambda _, x: np.tile(x[0], tuple(x[1])),
        "Transpose": lambda call, x: np.transpose(x[0], call.ints("perm")),
        "Where": lambda _, x: np.where(x[0], x[1], x[2]),
    }
)


def _together(how: Any, operands: Any) -> Any:
    found = operands[0]
    for each in operands[1:]:
        found = how(found, each)
    return found
