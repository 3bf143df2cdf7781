"""ONNX's protobuf messages read with bounds, for a network that nobody vouches for: neither the package onnx nor ONNX Runtime."""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.onnx_safety.fields import ATTRIBUTES, DTYPES, MESSAGES, REFUSED

Fields = dict[str, Any]  # of a protobuf message, by name
MOST_PARTS = 100_000  # messages (each as much as five fields), fields and numbers outside of raw weights
VARINT, _EIGHT, SIZED, _FOUR = 0, 1, 2, 5  # wire types; groups (3, 4) are refused
_LONGEST_NAME = 1024  # bytes


class NetworkRefused(Exception):  # noqa: N818 - a finding about a file; whoever reads it makes an error of it
    """Why a network is not one to be run, as the end of a sentence that begins with "its network"."""


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A constant: its name, and its values as a view into the file wherever possible."""

    name: str
    values: NDArray[Any]


Attribute = int | float | str | tuple[int, ...] | tuple[float, ...] | Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operator of the default domain. An empty name among inputs or outputs stands for one left out."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class Info:
    """What the file says of a tensor: name, `TensorProto.DataType`, and its sides, None where not said."""

    name: str
    dtype: int
    sides: tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A graph as it stands in the file."""

    ir_version: int
    opset: int
    nodes: tuple[Node, ...]
    weights: Mapping[str, Tensor]
    inputs: tuple[Info, ...]
    outputs: tuple[Info, ...]
    infos: tuple[Info, ...]


def read(data: bytes) -> Network:
    """Read an ONNX file.

    Raises
    ------
    NetworkRefused
        It is none, is cut off, or holds more than plain operators on plain tensors.
    """
    if data[4:8] == b"ORTM":  # ONNX Runtime takes such bytes for its own format, which this does not read
        raise NetworkRefused("is not an ONNX file")
    model = Reader().message("ModelProto", memoryview(data))
    if "graph" not in model:
        raise NetworkRefused("has no graph")
    graph = model["graph"]
    weights = [tensor(each) for each in graph.get("initializer", ())]
    by_name = {weight.name: weight for weight in weights}
    if len(by_name) != len(weights) or "" in by_name:
        raise NetworkRefused("has two weights of one name")
    opsets = model.get("opset_import", ())
    versions = {each.get("version", 0) for each in opsets if each.get("domain", "") in {"", "ai.onnx"}}
    if len(versions) != 1:
        raise NetworkRefused("does not name one version of ONNX's operators")
    return Network(
        ir_version=model.get("ir_version", 0),
        opset=versions.pop(),
        nodes=tuple(_node(each) for each in graph.get("node", ())),
        weights=MappingProxyType(by_name),
        inputs=tuple(_info(each) for each in graph.get("input", ())),
        outputs=tuple(_info(each) for each in graph.get("output", ())),
        infos=tuple(_info(each) for each in graph.get("value_info", ())),
    )


class Reader:
    """Messages to dictionaries; counts what it reads, since each number becomes an object many times its size."""

    def __init__(self) -> None:
        self._left = MOST_PARTS

    def message(self, kind: str, data: memoryview) -> Fields:
        """Read one message: its fields by name, those that may come more than once as lists."""
        known, found = MESSAGES[kind], Fields()
        self._count(4)
        for number, wire, value, _ in fields(data):
            self._count(1)
            if number not in known:
                raise NetworkRefused(
                    f"holds {REFUSED.get((kind, number), f'a field {number} of {kind}, unknown here')}"
                )
            name, what, many = known[number]
            read_value = self._value(what, wire, value)
            if many:
                found.setdefault(name, []).extend(read_value if isinstance(read_value, tuple) else (read_value,))
            elif name in found:  # protobuf would merge the two
                raise NetworkRefused(f"has two fields {name} in one {kind}")
            else:
                found[name] = read_value
        return found

    def _count(self, parts: int) -> None:
        self._left -= parts
        if self._left < 0:
            raise NetworkRefused(f"has more than {MOST_PARTS:,} parts")

    def _value(self, what: str, wire: int, value: Any) -> Any:
        expected = {"int": VARINT, "float": _FOUR}.get(what, SIZED)
        single = {"ints": VARINT, "floats": _FOUR}.get(what)
        if wire not in {expected, single}:
            raise NetworkRefused("is damaged: a field has another type")
        if what in MESSAGES:
            return self.message(what, value)
        if what == "ints" and wire == SIZED:
            return self._packed(value)
        if what == "floats":
            self._count(len(value) // 4)
            return _unpack_floats(value)
        return _PLAIN[what](value)

    def _packed(self, data: memoryview) -> tuple[int, ...]:
        numbers, at = [], 0
        while at < len(data):
            self._count(1)
            number, at = _varint(data, at)
            numbers.append(number)
        return tuple(numbers)


def fields(data: memoryview) -> Iterator[tuple[int, int, Any, memoryview]]:
    """Give each field of a message: its number, wire type, value (int or bytes), and all its bytes.

    Raises
    ------
    NetworkRefused
        Damaged or cut off.
    """
    at = 0
    while at < len(data):
        start = at
        key, at = _varint(data, at)
        wire, size = key & 7, 0
        value: Any
        if wire == VARINT:
            value, at = _varint(data, at)
        else:
            if wire == SIZED:
                size, at = _varint(data, at)
            size = {_EIGHT: 8, _FOUR: 4, SIZED: size}.get(wire, -1)
            if not 0 <= size <= len(data) - at:
                raise NetworkRefused("is damaged or cut off")
            value = data[at : at + size]
            at += size
        yield key >> 3, wire, value, data[start:at]


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Read a number of up to ten bytes, 64 bits, signed."""
    value = 0
    for place, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            value &= (1 << 64) - 1
            return value - (value >> 63 << 64), at + place + 1
    raise NetworkRefused("is damaged or cut off")


def _text(value: memoryview) -> str:
    try:
        if len(value) > _LONGEST_NAME:
            raise NetworkRefused("has names that are too long")
        return bytes(value).decode()
    except UnicodeDecodeError as error:
        raise NetworkRefused("has names that are no text") from error


def _unpack_floats(data: memoryview) -> tuple[float, ...]:
    if len(data) % 4:
        raise NetworkRefused("is damaged or cut off")
    return struct.unpack(f"<{len(data) // 4}f", data)


_PLAIN: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "int": int,
        "ints": lambda value: (value,),
        "float": lambda value: _unpack_floats(value)[0],
        "text": _text,
        "bytes": memoryview,
        "skipped": memoryview,
    }
)


def tensor(fields_: Fields) -> Tensor:
    """Take a TensorProto whose dims and bytes agree.

    Raises
    ------
    NetworkRefused
        They do not, its type is not known, or its bytes lie in another file.
    """
    name, dims = fields_.get("name", ""), tuple(fields_.get("dims", ()))
    if fields_.get("data_location"):
        raise NetworkRefused("holds weights in other files")
    dtype = DTYPES.get(fields_.get("data_type", 0))
    if dtype is None:
        raise NetworkRefused(f"has weights of a type {fields_.get('data_type', 0)}, unknown here")
    if len(dims) > 8 or any(not 0 <= side < 1 << 31 for side in dims):
        raise NetworkRefused(f"has weights of an impossible shape: {shown(name)}")
    data = _data(fields_, dtype)
    count = 1
    for side in dims:
        count *= side
    if len(data) != count * dtype.itemsize:
        raise NetworkRefused(f"has weights whose shape does not fit their bytes: {shown(name)}")
    return Tensor(name, np.frombuffer(data, dtype).reshape(dims))


_TYPED = {"float_data": "<f4", "double_data": "<f8", "int64_data": "<i8", "int32_data": "<i4"}


def _data(fields_: Fields, dtype: np.dtype[Any]) -> memoryview | bytes:
    given = [key for key in ("raw_data", *_TYPED) if key in fields_]
    if len(given) > 1:
        raise NetworkRefused("has weights in two forms")
    if not given:
        return b""
    value: Any = fields_[given[0]]
    if given[0] == "raw_data":
        return memoryview(value)
    small = given[0] == "int32_data" and dtype in {np.dtype("u1"), np.dtype("i1"), np.dtype("?")}
    if not small and dtype != np.dtype(_TYPED[given[0]]):
        raise NetworkRefused(f"has weights of one type in a field of another ({given[0]})")
    if isinstance(value, memoryview):
        return memoryview(value)
    try:
        return (
            np.array(value, np.int64 if dtype != np.dtype("?") else np.bool_).astype(dtype, casting="unsafe").tobytes()
        )
    except OverflowError as error:
        raise NetworkRefused("has weights out of range") from error


def _node(fields_: Fields) -> Node:
    op, domain = fields_.get("op_type", ""), fields_.get("domain", "")
    if domain not in {"", "ai.onnx"}:
        raise NetworkRefused(f"uses an operator that is not ONNX's own: {shown(f'{domain}.{op}')}")
    attributes = [_attribute(each) for each in fields_.get("attribute", ())]
    by_name = dict(attributes)
    if len(by_name) != len(attributes):
        raise NetworkRefused(f"has an operator with two attributes of one name: {shown(op)}")
    return Node(op, tuple(fields_.get("input", ())), tuple(fields_.get("output", ())), MappingProxyType(by_name))


def _attribute(fields_: Fields) -> tuple[str, Attribute]:
    kind, name = fields_.get("type", 0), fields_.get("name", "")
    field, empty = ATTRIBUTES.get(kind, ("", None))
    value = fields_.get(field, empty)
    if value is None or {"f", "i", "s", "t", "floats", "ints"} & fields_.keys() - {field}:
        raise NetworkRefused(f"has an attribute of a kind unknown here: {shown(name)}")
    if field == "t":
        return name, tensor(value)
    return name, tuple(value) if isinstance(value, list) else value


def _info(fields_: Fields) -> Info:
    tensor = fields_.get("type", {}).get("tensor_type", {})
    sides = None
    if "shape" in tensor:
        dims = tensor["shape"].get("dim", ())
        if any({"dim_value", "dim_param"} <= side.keys() for side in dims):
            raise NetworkRefused("has a side with two sizes")
        sides = tuple(side.get("dim_value") for side in dims)
    return Info(fields_.get("name", ""), tensor.get("elem_type", 0), sides)


def shown(name: str) -> str:
    """Make a name from a file fit to be shown in a line."""
    return "".join(each if each.isprintable() else "?" for each in name[:60])
