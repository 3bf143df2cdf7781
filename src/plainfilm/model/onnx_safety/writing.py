"""A network written again with its larger weights as inputs."""

from collections.abc import Iterator

from plainfilm.model.onnx_safety.reading import SIZED, Fields, Reader, fields

_GRAPH = 7  # field number of ModelProto.graph
_INITIALIZER = 5  # of GraphProto.initializer
_INPUT = 11  # of GraphProto.input


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


def _graph_fields(graph: memoryview, names: frozenset[str]) -> Iterator[bytes | memoryview]:
    for number, _, value, raw in fields(graph):
        if number != _INITIALIZER:
            yield raw
            continue
        tensor = Reader().message("TensorProto", value)
        yield _sized(_INPUT, _value_info(tensor)) if tensor["name"] in names else raw


def _value_info(tensor: Fields) -> bytes:
    """Write the ValueInfoProto of a TensorProto: name 1, type 2 (tensor_type 1 (elem_type 1, shape 2 (dim 1 (dim_value 1))))."""
    sides = b"".join(_sized(1, b"\x08" + _varint(side)) for side in tensor.get("dims", ()))
    of_tensor = b"\x08" + _varint(tensor["data_type"]) + _sized(2, sides)
    return _sized(1, tensor["name"].encode()) + _sized(2, _sized(1, of_tensor))


def _sized(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | SIZED) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Write a number of 0 or more as protobuf does."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))
