"""Attention as one operator, and sums of products as an equation: their shapes, work, and what they take beside their outputs."""

import math
import re
from dataclasses import dataclass

import numpy as np

from plainfilm.model.onnx_safety.calls import Call, Shape, Value


@dataclass(frozen=True, slots=True)
class _Heads:
    """Sides of an Attention: images, heads of queries and of keys, queries, keys, and the widths of a key and of a value."""

    images: int
    heads: int
    shared: int
    queries: int
    keys: int
    width: int
    wide: int

    @property
    def scores(self) -> int:
        """How many."""
        return self.images * self.heads * self.queries * self.keys


def _heads(call: Call) -> _Heads:
    if len(call.given) > 4 or call.value().dtype != np.dtype("<f4"):
        raise call.refuse("with what it has seen before, or not of floats")
    heads, shared = call.whole("q_num_heads", 0), call.whole("kv_num_heads", 0)
    query, key, value = (_split(call, place, each) for place, each in enumerate((heads, shared, shared)))
    found = _Heads(query[0], query[1], key[1], query[2], key[2], query[3], value[3])
    fits = (found.images, found.shared, found.keys) == value[:3] and key[0] == query[0] and key[3] == query[3]
    if not fits or min(found.heads, found.shared) < 1 or found.heads % found.shared:
        raise call.refuse("on shapes that do not fit")
    whole = (found.images, found.heads, found.queries, found.keys)
    if call.has(3) and np.broadcast_shapes(call.shape(3), whole) != whole:
        raise call.refuse("with a mask that does not fit")
    return found


def _split(call: Call, place: int, heads: int) -> Shape:
    """Images, heads, tokens and width; of three sides the heads stand in the width."""
    shape = call.shape(place)
    if len(shape) == 4 and not heads:
        return shape
    if len(shape) != 3 or heads < 1 or shape[2] % heads:
        raise call.refuse("with heads that do not fit")
    return shape[0], heads, shape[1], shape[2] // heads


def attention(call: Call) -> list[Value]:
    """Give what values an Attention takes together: as many as there are queries."""
    found, sides = _heads(call), len(call.shape())
    if sides == 3:
        return call.like((found.images, found.queries, found.heads * found.wide))
    return call.like((found.images, found.heads, found.queries, found.wide))


def beside(call: Call) -> int:
    """Bytes that an Attention takes beside its output: the scores, a mask, and queries, keys and values once more."""
    found = _heads(call)
    moved = found.queries * found.width + found.keys * (found.width + found.wide) + found.queries * found.wide
    return 4 * (found.scores + 2 * found.queries * found.keys + 2 * found.images * found.heads * moved)


def work(call: Call) -> int:
    """Multiplications of an Attention or an Einsum."""
    if call.node.op == "Einsum":
        return math.prod(_sides(call)[0].values())
    found = _heads(call)
    return found.scores * (found.width + found.wide + 1)


def einsum(call: Call) -> list[Value]:
    """Give the products of one or two tensors, summed over the letters that do not come back (NumPy's, without "...")."""
    sides, kept = _sides(call)
    return call.like([sides[letter] for letter in kept])


def _sides(call: Call) -> tuple[dict[str, int], str]:
    equation = call.text("equation", "").replace(" ", "")
    terms, arrow, kept = equation.partition("->")
    given = terms.split(",")
    if (
        not arrow
        or len(given) != len(call.given)
        or not re.fullmatch(r"[a-z]{1,8}(,[a-z]{1,8})?->[a-z]{0,8}", equation)
    ):
        raise call.refuse("whose equation is none of one or two tensors")
    sides = dict[str, int]()
    for place, letters in enumerate(given):
        for letter, side in zip(letters, call.shape(place, sides=len(letters)), strict=True):
            if sides.setdefault(letter, side) != side:
                raise call.refuse("on shapes that do not fit")
    if any(len(set(each)) != len(each) for each in (*given, kept)) or not set(kept) <= sides.keys():
        raise call.refuse("whose equation takes diagonals")
    return sides, kept
