"""Messages of a network, read with bounds."""

import struct

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from hostile.base import network, sized, varint
from plainfilm.model.onnx_safety import reading
from plainfilm.model.onnx_safety.reading import NetworkRefused, Reader


@pytest.mark.parametrize(
    ("field", "weight"),
    [(sized(8, bytes(99_000)), 99_001), (b"\x40\x01", 1), (sized(7, bytes(400)), 101), (sized(1, bytes(400)), 1)],
    ids=["whole numbers", "one not packed", "real numbers", "a text"],
)
def test_a_network_may_have_100_000_parts_and_not_one_more(field, weight):
    """Each number, each field, and four more for each message."""
    left = 100_000 - 4 - weight
    body = field + sized(8, bytes(left - 1))
    assert Reader().message("AttributeProto", memoryview(body))
    with pytest.raises(NetworkRefused, match="has more than 100,000 parts"):
        Reader().message("AttributeProto", memoryview(field + sized(8, bytes(left))))


def test_the_parts_of_all_messages_are_counted_together():
    """A model of a graph of n nodes without anything inside: 4 and 5 for the outer two, 5 each."""
    nodes = sized(1, b"") * 19_998
    assert Reader().message("ModelProto", memoryview(sized(7, nodes)))
    with pytest.raises(NetworkRefused, match="has more than 100,000 parts"):
        Reader().message("ModelProto", memoryview(sized(7, nodes + sized(1, b""))))


# The wire: numbers and fields


@given(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=3))
def test_a_number_comes_back_with_its_sign_and_ends_where_it_ends(value, behind):
    data = b"xx" + varint(value % 2**64) + behind
    assert reading._varint(memoryview(data), 2) == (value, len(data) - len(behind))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 9, b"\xff" * 10, b"\x80" * 10 + b"\x01"])
def test_a_number_that_does_not_end_is_refused(data):
    with pytest.raises(NetworkRefused, match="is damaged or cut off"):
        reading._varint(memoryview(data), 0)


def test_ten_bytes_are_the_most_of_a_number_and_bits_beyond_64_are_dropped():
    assert reading._varint(memoryview(b"\xff" * 9 + b"\x7f"), 0) == (-1, 10)
    assert reading._varint(memoryview(b"\x80" * 9 + b"\x01"), 0) == (-(2**63), 10)


def test_fields_of_each_wire_type_with_all_their_bytes():
    parts = [b"\x08\x96\x01", b"\x11" + bytes(range(8)), sized(3, b"abc"), b"\x25" + bytes(range(4)), sized(2047, b"")]
    found = list(reading.fields(memoryview(b"".join(parts))))
    assert [(number, wire) for number, wire, _, _ in found] == [(1, 0), (2, 1), (3, 2), (4, 5), (2047, 2)]
    assert found[0][2] == 150
    assert [bytes(value) for _, _, value, _ in found[1:]] == [bytes(range(8)), b"abc", bytes(range(4)), b""]
    assert [bytes(raw) for *_, raw in found] == parts


@pytest.mark.parametrize(
    "data", [b"\x0a\x05abcd", b"\x0a\x01", b"\x11" + bytes(7), b"\x25" + bytes(3), b"\x0b\x0c", b"\x0c", b"\x0e", b"\x0f", b"\x0a" + b"\xff" * 9 + b"\x01"]
)  # fmt: skip
def test_a_field_that_is_cut_off_or_of_no_type_is_refused_wherever_it_stands(data):
    for before in (b"", b"\x08\x01" * 9):
        with pytest.raises(NetworkRefused, match="is damaged or cut off"):
            list(reading.fields(memoryview(before + data)))


# Messages


def message(kind, *parts):
    return Reader().message(kind, memoryview(b"".join(parts)))


def test_what_comes_once_is_a_value_and_what_may_come_again_a_list():
    one = b"\x0d" + struct.pack("<f", 1.5)  # field 1, four bytes: of no message here
    attribute = [sized(1, b"axes"), b"\x15" + struct.pack("<f", 1.5), b"\x18\x07", sized(4, b"text"), b"\xa0\x01\x06"]
    assert message("AttributeProto", *attribute) == {"name": "axes", "f": 1.5, "i": 7, "s": "text", "type": 6}
    numbers = [b"\x40\x01", sized(8, b"\x02\x03"), b"\x40" + b"\xff" * 9 + b"\x01"]
    assert message("AttributeProto", *numbers) == {"ints": [1, 2, 3, -1]}
    reals = [b"\x3d" + struct.pack("<f", 0.5), sized(7, struct.pack("<2f", 1, 2))]
    assert message("AttributeProto", *reals) == {"floats": [0.5, 1.0, 2.0]}
    with pytest.raises(NetworkRefused, match="a field has another type"):
        message("AttributeProto", one)


@pytest.mark.parametrize(
    "part",
    [b"\x08\x01", b"\x10\x01", b"\x1d" + bytes(4), b"\x22", b"\x39" + bytes(8), b"\x41" + bytes(8), b"\x2d" + bytes(4), b"\x28\x01", b"\x45" + bytes(4)],
    ids=["text as number", "float as number", "int as float", "text cut off", "floats as eight", "ints as eight", "message as float", "message as number", "ints as floats"],
)  # fmt: skip
def test_a_field_of_another_wire_type_is_refused(part):
    with pytest.raises(NetworkRefused, match=r"is damaged"):
        message("AttributeProto", part)


def test_real_numbers_that_are_cut_off_are_refused():
    with pytest.raises(NetworkRefused, match="is damaged or cut off"):
        message("AttributeProto", sized(7, bytes(7)))


def test_a_name_has_at_most_1024_bytes_and_is_text():
    longest = ("ü" * 512).encode()
    assert message("AttributeProto", sized(1, longest)) == {"name": "ü" * 512}
    with pytest.raises(NetworkRefused, match="names that are too long"):
        message("AttributeProto", sized(1, longest + b"x"))
    with pytest.raises(NetworkRefused, match="names that are no text"):
        message("AttributeProto", sized(1, b"\xff"))


# Networks


def refused(match, **changes):
    model = network()
    for name, change in changes.items():
        change(getattr(model, name))
    with pytest.raises(NetworkRefused, match=match):
        reading.read(model.SerializeToString())


def test_a_network_is_read_as_onnx_wrote_it():
    model = network(3)
    model.graph.value_info.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, None))
    model.graph.initializer.append(TensorProto(name="none", data_type=1, dims=[0, 3]))
    model.graph.node.append(
        helper.make_node(
            "Identity", ["features", ""], ["copy"], name="n", kept=2, named=[1.5], word="w", domain="ai.onnx"
        )
    )
    read = reading.read(model.SerializeToString())
    assert (read.ir_version, read.opset) == (model.ir_version, model.opset_import[0].version)
    assert [(node.op, node.inputs, node.outputs) for node in read.nodes] == [
        (node.op_type, tuple(node.input), tuple(node.output)) for node in model.graph.node
    ]
    assert dict(read.nodes[-1].attributes) == {"kept": 2, "named": (1.5,), "word": "w"}
    assert {name: (each.name, each.values.shape) for name, each in read.weights.items()} == {
        each.name: (each.name, tuple(each.dims)) for each in model.graph.initializer
    }
    assert [(each.name, each.dtype, each.sides) for each in read.inputs] == [("images", 2, (None, 32, 32))]
    assert [(each.name, each.dtype, each.sides) for each in read.outputs] == [
        ("features", 1, (None, 32)),
        ("logits", 1, (None, 3)),
    ]
    assert [(each.name, each.dtype, each.sides) for each in read.infos] == [("features", 1, None)]


def test_a_graph_of_nothing_is_read_as_such():
    model = onnx.ModelProto(opset_import=[helper.make_opsetid("", 17)])
    model.graph.name = "empty"
    read = reading.read(model.SerializeToString())
    assert (read.ir_version, read.opset, dict(read.weights)) == (0, 17, {})
    assert (read.nodes, read.inputs, read.outputs, read.infos) == ((), (), (), ())
    model.graph.node.add()
    model.graph.input.add()
    read = reading.read(model.SerializeToString())
    (node,), (info,) = read.nodes, read.inputs
    assert (node.op, node.inputs, node.outputs, dict(node.attributes)) == ("", (), (), {})
    assert (info.name, info.dtype, info.sides) == ("", 0, None)


def test_what_no_answer_depends_on_is_passed_over():
    model = network()
    model.producer_name, model.producer_version, model.domain, model.model_version = "p", "1", "d", 3
    info = model.graph.value_info.add()
    info.CopyFrom(helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 32]))
    described = [
        model,
        model.graph,
        model.graph.node[0],
        model.graph.node[0].attribute[0],
        model.graph.initializer[0],
        info,
    ]
    for each in described:
        each.doc_string = "said of it"
    for each in (model, model.graph, model.graph.node[0], info):
        each.metadata_props.add(key="a", value="b")
        each.metadata_props.add(key="c", value="d")
    model.graph.node[0].name, info.type.denotation = "its name", "IMAGE"
    for dim in info.type.tensor_type.shape.dim:
        dim.denotation = "DATA_BATCH"
    read = reading.read(model.SerializeToString())
    assert [each.name for each in read.infos] == ["features"]
    assert read.nodes[0].op == model.graph.node[0].op_type


def test_a_version_of_the_operators_is_needed_once():
    def opsets(*given):
        def change(found):
            del found[:]
            found.extend(helper.make_opsetid(*each) for each in given)

        return change

    one = "does not name one version"
    refused(one, opset_import=opsets())
    refused(one, opset_import=opsets(("", 17), ("ai.onnx", 18)))
    refused(one, opset_import=opsets(("other", 17)))
    model = network()
    opsets(("", 17), ("ai.onnx", 17), ("other", 3))(model.opset_import)
    assert reading.read(model.SerializeToString()).opset == 17


def test_without_a_graph_or_as_onnx_runtimes_own_format_it_is_none():
    for data, why in (
        (b"", "has no graph"),
        (b"\x12\x06xxORTM", "is not an ONNX file"),
        (b"\x12\x07xxxORTM", "has no graph"),
    ):
        with pytest.raises(NetworkRefused, match=why):
            reading.read(data)


def tensor(**fields):
    return reading.tensor(message("TensorProto", TensorProto(**fields).SerializeToString()))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"data_type": 2, "dims": [2], "int32_data": [3, 255]}, np.array([3, 255], np.uint8)),
        ({"data_type": 3, "dims": [2], "int32_data": [-1, 127]}, np.array([-1, 127], np.int8)),
        ({"data_type": 9, "dims": [2], "int32_data": [0, 2]}, np.array([False, True])),
        ({"data_type": 6, "dims": [1], "int32_data": [-5]}, np.array([-5], np.int32)),
        ({"data_type": 7, "dims": [], "int64_data": [-(2**60)]}, np.array(-(2**60))),
        ({"data_type": 1, "dims": [1, 2], "float_data": [1.5, 2]}, np.array([[1.5, 2]], np.float32)),
        ({"data_type": 11, "dims": [1], "double_data": [0.1]}, np.array([0.1])),
        ({"data_type": 1, "dims": [2, 1], "raw_data": struct.pack("<2f", 3, 4)}, np.array([[3], [4]], np.float32)),
        ({"data_type": 1, "dims": [3, 0]}, np.zeros((3, 0), np.float32)),
        ({"data_type": 1, "dims": [1] * 8, "float_data": [1]}, np.ones([1] * 8, np.float32)),
        ({"data_type": 1, "dims": [0, 2**31 - 1]}, np.zeros((0, 2**31 - 1), np.float32)),
    ],
)  # fmt: skip
def test_weights_have_their_name_type_shape_and_values(fields, expected):
    found = tensor(name="w", **fields)
    assert (found.name, found.values.dtype, found.values.shape) == ("w", expected.dtype, expected.shape)
    np.testing.assert_array_equal(found.values, expected)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"data_type": 1, "data_location": 1}, "in other files"),
        ({"data_type": 10}, "of a type 10, unknown here"),
        ({}, "of a type 0, unknown here"),
        ({"data_type": 1, "dims": [1] * 9, "float_data": [1]}, "impossible shape: w"),
        ({"data_type": 1, "dims": [-1]}, "impossible shape: w"),
        ({"data_type": 1, "dims": [0, 2**31]}, "impossible shape: w"),
        ({"data_type": 1, "dims": [2], "float_data": [1]}, "does not fit their bytes: w"),
        ({"data_type": 1, "dims": [], "float_data": [1, 2]}, "does not fit their bytes: w"),
        ({"data_type": 1, "dims": [1], "raw_data": bytes(5)}, "does not fit their bytes: w"),
        ({"data_type": 1, "dims": [1], "raw_data": bytes(4), "float_data": [1]}, "in two forms"),
        ({"data_type": 1, "dims": [1], "int32_data": [1]}, r"in a field of another \(int32_data\)"),
        ({"data_type": 7, "dims": [1], "int32_data": [1]}, r"in a field of another \(int32_data\)"),
        ({"data_type": 2, "dims": [1], "int64_data": [1]}, r"in a field of another \(int64_data\)"),
        ({"data_type": 1, "dims": [1], "double_data": [1]}, r"in a field of another \(double_data\)"),
    ],
)  # fmt: skip
def test_weights_that_cannot_be_are_refused(fields, why):
    with pytest.raises(NetworkRefused, match=why):
        tensor(name="w", **fields)


def test_an_operator_is_onnxs_own_and_has_each_attribute_once():
    def add(**fields):
        return lambda graph: graph.node.append(onnx.NodeProto(op_type="Relu", **fields))

    refused(r"that is not ONNX's own: com\.Relu", graph=add(domain="com"))
    twice = [helper.make_attribute("a", 1), helper.make_attribute("a", 2)]
    refused("two attributes of one name: Relu", graph=add(attribute=twice))


@pytest.mark.parametrize(("kind", "value"), [(1, 0.0), (2, 0), (3, ""), (6, ()), (7, ())])
def test_an_attribute_that_is_empty_stands_for_nothing_of_its_kind(kind, value):
    assert reading._attribute({"name": "a", "type": kind}) == ("a", value)


@pytest.mark.parametrize(
    "fields",
    [{"type": 4}, {"type": 0, "i": 1}, {"type": 2, "f": 1.0}, {"type": 2, "i": 1, "ints": [1]}, {"type": 5}, {"i": 1}],
)
def test_an_attribute_of_another_kind_than_it_says_is_refused(fields):
    with pytest.raises(NetworkRefused, match="of a kind unknown here: a"):
        reading._attribute({"name": "a", **fields})


def test_two_weights_of_one_name_or_of_none_are_refused():
    def add(*names):
        return lambda graph: graph.initializer.extend(TensorProto(name=name, data_type=1, dims=[0]) for name in names)

    refused("two weights of one name", graph=add("z", "z"))
    refused("two weights of one name", graph=add(""))


def test_a_name_that_is_shown_is_short_and_printable():
    assert reading.shown("a\nb\x00" + "x" * 100) == "a?b?" + "x" * 56
