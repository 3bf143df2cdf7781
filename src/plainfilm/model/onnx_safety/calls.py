"""A node together with what is known of its inputs, and the values that pass between nodes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.onnx_safety.reading import NetworkRefused, Node, Tensor, shown

Shape = tuple[int, ...]
FEW = 64  # numbers that are followed through the graph as sizes may be
_FLOAT, _INT64, _BOOL = np.dtype("<f4"), np.dtype("<i8"), np.dtype("?")


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """What is known of a tensor.

    `numbers` where they are few and no pixel changes them; `constant` where ONNX Runtime may compute it while loading.
    """

    shape: Shape
    dtype: np.dtype[Any]
    numbers: NDArray[Any] | None = None
    constant: bool = False

    @property
    def size(self) -> int:
        """In bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A node with what it is given."""

    node: Node
    given: Sequence[Value | None]
    images: int

    def refuse(self, why: str) -> NetworkRefused:
        """Make the refusal of this node; `why` follows "has an operator OP"."""
        return NetworkRefused(f"has an operator {shown(self.node.op)} {why}")

    def has(self, place: int) -> bool:
        """Whether an input is given."""
        return place < len(self.given) and self.given[place] is not None

    def value(self, place: int = 0) -> Value:
        """Give what is known of an input that must be there."""
        value = self.given[place] if place < len(self.given) else None
        if value is None:
            raise self.refuse("without an input that it needs")
        return value

    def shape(self, place: int = 0, *, sides: int | None = None) -> Shape:
        """Give the shape of an input, which must have so many sides."""
        shape = self.value(place).shape
        if sides is not None and len(shape) != sides:
            raise self.refuse(f"on {len(shape)} sides where {sides} are expected")
        return shape

    def numbers(self, place: int, attribute: str = "") -> list[int] | None:
        """Whole numbers from an input, or in older versions from an attribute; None where neither is given."""
        if self.has(place):
            numbers = self.value(place).numbers
            if numbers is None or numbers.dtype.kind not in "iu" or numbers.ndim > 1:
                raise self.refuse("whose sizes depend on the image")
            return [int(each) for each in numbers.ravel()]
        return self.ints(attribute) if attribute else None

    def ints(self, name: str) -> list[int] | None:
        """Give an attribute of whole numbers, None where it is left out."""
        value = self.node.attributes.get(name)
        if value is None:
            return None
        if not isinstance(value, tuple) or not all(isinstance(each, int) for each in value):
            raise self.refuse(f"whose {name} are no whole numbers")
        return [int(each) for each in value]

    def whole(self, name: str, default: int) -> int:
        """Give an attribute of one whole number."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, int):
            raise self.refuse(f"whose {name} is no whole number")
        return value

    def text(self, name: str, default: str) -> str:
        """Give an attribute that is a word."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, str):
            raise self.refuse(f"whose {name} is no word")
        return value

    def axis(self, default: int) -> int:
        """Give the attribute "axis", counted from the front."""
        return self.axes([self.whole("axis", default)])[0]

    def axes(self, given: Sequence[int], sides: int | None = None) -> list[int]:
        """Count axes from the front; each may be named once."""
        sides = len(self.shape()) if sides is None else sides
        found = [axis + sides if axis < 0 else axis for axis in given]
        if not all(0 <= axis < sides for axis in found) or len(set(found)) != len(found):
            raise self.refuse("along an axis that is not there")
        return found

    def like(self, shape: Sequence[int]) -> list[Value]:
        """One output of this shape and of the first input's dtype."""
        return [Value(tuple(shape), self.value().dtype)]


Rule = Callable[[Call], list[Value]]


def constant(weight: Tensor) -> Value:
    """What is known of a constant."""
    values = weight.values
    return Value(values.shape, values.dtype, values if values.size <= FEW else None, constant=True)
