"""A network written again with its larger weights as inputs, or apart from them: the weights stay where they lie, uncopied."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.onnx_safety.reading import SIZED, VARINT, Fields, NetworkRefused, Reader, fields, tensor

Buffer = bytes | memoryview
LARGE = 1 << 16  # bytes of a weight that is kept apart
_GRAPH = 7  # field number of ModelProto.graph
_INITIALIZER = 5  # of GraphProto.initializer
_NODE, _INPUT, _OUTPUT, _VALUE_INFO = 1, 11, 12, 13  # of GraphProto
_FLOAT = b"\x12\x04\x0a\x02\x08\x01"  # type 2 of a ValueInfoProto: tensor_type 1, whose elem_type 1 is FLOAT
_DATA_TYPE, _RAW_DATA, _EXTERNAL_DATA = 2, 9, 13  # of TensorProto


def as_inputs(data: bytes, names: frozenset[str]) -> bytes:
    """Write the same network with some weights as inputs, so that they can be given from where they lie, uncopied.

    Parameters
    ----------
    data
        A network that `read` takes.
    names
        Of weights.
    """
    return b"".join(
        _sized(_GRAPH, b"".join(_graph_fields(value, names))) if number == _GRAPH else bytes(raw)
        for number, _, value, raw in fields(memoryview(data))
    )


def parted(data: Buffer, *, outside: bool = False) -> tuple[bytes, dict[str, NDArray[Any]]]:
    """Part a network from its larger weights: a network whose weights from `LARGE` on have no bytes, and these as views.

    `outside` says of them that they lie in a file, which ONNX Runtime asks of those that it is given apart.

    Raises
    ------
    NetworkRefused
        It is none, or has such weights in other files or of a type unknown here.
    """
    apart = dict[str, NDArray[Any]]()
    pieces = [
        _sized(_GRAPH, b"".join(_without_weights(value, apart, outside))) if number == _GRAPH else bytes(raw)
        for number, _, value, raw in fields(memoryview(data))
    ]
    return b"".join(pieces), apart


def _without_weights(graph: memoryview, apart: dict[str, NDArray[Any]], outside: bool) -> Iterator[Buffer]:
    for number, wire, value, raw in fields(graph):
        if number != _INITIALIZER or wire != SIZED or len(value) < LARGE:
            yield raw
            continue
        found = tensor(Reader().message("TensorProto", value))
        if found.name in apart:
            raise NetworkRefused("has two weights of one name")
        apart[found.name] = found.values
        kind = next(each for at, _, each, _ in fields(value) if at == _DATA_TYPE)
        told = _elsewhere(found.values.nbytes) if outside else b""
        yield _sized(_INITIALIZER, hollow(found.name, kind, found.values.shape) + told)


def _elsewhere(size: int) -> bytes:
    """Say of a weight that it lies in a file: entries external_data 13 (key 1, value 2), data_location 14."""
    entries = {b"location": b"weights", b"offset": b"0", b"length": str(size).encode()}
    told = (_sized(_EXTERNAL_DATA, _sized(1, key) + _sized(2, value)) for key, value in entries.items())
    return b"".join(told) + b"\x70\x01"


def kinds(data: Buffer) -> set[int]:
    """Tell which `TensorProto.DataType` a network's weights have; 0 of a weight that has none.

    Raises
    ------
    NetworkRefused
        It is none, or is cut off.
    """
    found = set[int]()
    for weight in _weights(data):
        found |= {each for number, wire, each, _ in fields(weight) if (number, wire) == (_DATA_TYPE, VARINT)} or {0}
    return found


def locations(data: Buffer) -> list[str]:
    """Name the files in which a network says that it keeps weights, in order.

    Raises
    ------
    NetworkRefused
        It is none, or is cut off.
    """
    found = set()
    for weight in _weights(data):
        told = [value for number, wire, value, _ in fields(weight) if (number, wire) == (_EXTERNAL_DATA, SIZED)]
        entries = ({number: bytes(value) for number, wire, value, _ in fields(each) if wire == SIZED} for each in told)
        found |= {entry.get(2, b"").decode(errors="replace") for entry in entries if entry.get(1) == b"location"}
    return sorted(found)


def part(data: bytes, nodes: Collection[int], *, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """Write some nodes of a network, by their numbers, with the weights that they take.

    Parameters
    ----------
    data
        A network that `read` takes.
    nodes
        In any order; what they take of others are `inputs`.
    inputs, outputs
        Names; those that the network has not declared are float32, of a shape that is not said.
    """
    return b"".join(
        _sized(_GRAPH, b"".join(_part(value, nodes, inputs, outputs))) if number == _GRAPH else bytes(raw)
        for number, _, value, raw in fields(memoryview(data))
    )


def _part(graph: memoryview, nodes: Collection[int], inputs: Sequence[str], outputs: Sequence[str]) -> Iterator[Buffer]:
    """Give the fields of a graph: first the nodes, whose inputs say which weights are kept."""
    every = list(fields(graph))
    kept = [each for at, each in enumerate(each for each in every if each[0] == _NODE) if at in nodes]
    taken = {name for _, _, node, _ in kept for name in Reader().message("NodeProto", node).get("input", ())}
    yield from (raw for _, _, _, raw in kept)
    for number, _, value, raw in every:
        if number == _INITIALIZER:
            if Reader().message("TensorProto", value).get("name", "") in taken:
                yield raw
        elif number not in {_NODE, _INPUT, _OUTPUT, _VALUE_INFO}:
            yield raw
    for kind, names in ((_INPUT, inputs), (_OUTPUT, outputs)):
        declared = {
            Reader().message("ValueInfoProto", value).get("name", ""): raw
            for number, _, value, raw in every
            if number == kind
        }
        yield from (declared.get(name) or _sized(kind, _sized(1, name.encode()) + _FLOAT) for name in names)


def _weights(data: Buffer) -> list[memoryview]:
    graphs = [value for number, wire, value, _ in fields(memoryview(data)) if (number, wire) == (_GRAPH, SIZED)]
    return [
        value for graph in graphs for number, wire, value, _ in fields(graph) if (number, wire) == (_INITIALIZER, SIZED)
    ]


def hollow(name: str, kind: int, shape: tuple[int, ...]) -> bytes:
    """Write a TensorProto without its bytes; `kind` is a `TensorProto.DataType`."""
    return b"".join(b"\x08" + _varint(side) for side in shape) + b"\x10" + _varint(kind) + _sized(8, name.encode())


def joined(data: Buffer, apart: Mapping[str, NDArray[Any]]) -> bytes:
    """Put the weights of `parted` back: one copy of each byte, in one piece."""
    return b"".join(
        each
        for number, _, value, raw in fields(memoryview(data))
        for each in (_field(_GRAPH, _with_weights(value, apart)) if number == _GRAPH else [raw])
    )


def _with_weights(graph: memoryview, apart: Mapping[str, NDArray[Any]]) -> list[Buffer]:
    pieces: list[Buffer] = []
    for number, _, value, raw in fields(graph):
        name = Reader().message("TensorProto", value).get("name") if number == _INITIALIZER else None
        if name is None or name not in apart:
            pieces.append(raw)
            continue
        values = np.ascontiguousarray(apart[name]).reshape(-1).view(np.uint8).data
        pieces += _field(_INITIALIZER, [value, *_field(_RAW_DATA, [values])])
    return pieces


def _field(number: int, pieces: list[Buffer]) -> list[Buffer]:
    return [_varint(number << 3 | SIZED) + _varint(sum(map(len, pieces))), *pieces]


def _graph_fields(graph: memoryview, names: frozenset[str]) -> Iterator[bytes | memoryview]:
    for number, _, value, raw in fields(graph):
        if number != _INITIALIZER:
            yield raw
            continue
        weight = Reader().message("TensorProto", value)
        yield _sized(_INPUT, _value_info(weight)) if weight["name"] in names else raw


def _value_info(weight: Fields) -> bytes:
    """Write the ValueInfoProto of a TensorProto: name 1, type 2 (tensor_type 1 (elem_type 1, shape 2 (dim 1 (dim_value 1))))."""
    sides = b"".join(_sized(1, b"\x08" + _varint(side)) for side in weight.get("dims", ()))
    of_tensor = b"\x08" + _varint(weight["data_type"]) + _sized(2, sides)
    return _sized(1, weight["name"].encode()) + _sized(2, _sized(1, of_tensor))


def _sized(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | SIZED) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Write a number of 0 or more as protobuf does."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))
