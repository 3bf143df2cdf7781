"""Following a network: what each node takes in memory and work, and the limits of a tensor, from both sides."""

from types import MappingProxyType

import numpy as np
import pytest

from plainfilm.model.onnx_safety import shapes
from plainfilm.model.onnx_safety.calls import Call, Value
from plainfilm.model.onnx_safety.reading import Info, Network, NetworkRefused, Node, Tensor

FLOAT = np.dtype("<f4")
IMAGES = {"images": Value((2, 3), FLOAT)}


def real(*shape):
    return Value(shape, FLOAT)


def node(op, inputs, outputs, **attributes):
    return Node(op, tuple(inputs), tuple(outputs), MappingProxyType(attributes))


def step(op, *values, outputs=1, **attributes):
    call = Call(
        node(op, [str(at) for at in range(len(values))], [f"y{at}" for at in range(outputs)], **attributes), values, 2
    )
    made = dict(zip(call.node.outputs, shapes._apply(call), strict=True))
    return shapes._workspace(call, made), shapes._work(call, made)


PICTURE = real(2, 6, 8, 10)  # 960 numbers, 3840 bytes

TAKEN = [
    ("Relu", [PICTURE], {}, 0, 960 + 960),
    ("Add", [PICTURE, real(10)], {}, 0, 960 + 960 + 10),
    ("Dropout", [PICTURE], {}, 3840, 1920),
    ("HardSwish", [PICTURE], {}, 3840, 1920),
    ("LRN", [PICTURE], {"size": 3}, 3 * 3840, 3 * 960 + 960),
    ("LogSoftmax", [PICTURE], {}, 0, 1920),
    ("Softmax", [PICTURE], {"axis": 3}, 0, 1920),
    ("Softmax", [PICTURE], {"axis": -2}, 2 * 3840, 1920),
    ("Mod", [PICTURE, PICTURE], {"fmod": 1}, 2 * 3840, 2880),
    ("Attention", [real(2, 3, 5, 4), real(2, 3, 7, 4), real(2, 3, 7, 6)], {}, 4 * (210 + 2 * 35 + 2 * 6 * (20 + 70 + 30)), 210 * 11),
    ("Einsum", [real(2, 3, 4), real(4, 5)], {"equation": "abc,cd->abd"}, 2 * 4 * (24 + 20 + 30), 2 * 3 * 4 * 5),
    ("Max", [PICTURE, real(10)], {}, 2 * 3840, 1930),
    ("Min", [real(10), PICTURE], {}, 2 * 3840, 1930),
    ("Mean", [real(8, 1), real(10)], {}, 2 * 320, 80 + 8 + 10),  # what is given is smaller than what is made
    ("Sum", [PICTURE], {}, 2 * 3840, 1920),
    ("Where", [Value((2, 1), np.dtype("?")), real(1, 3), real(1)], {}, 2 * 24, 6 + 2 + 3 + 1),
    ("ReduceMean", [PICTURE], {}, 2 * 3840, 1 + 960),
    ("ReduceL2", [PICTURE], {"axes": (1,)}, 2 * 3840, 160 + 960),
    ("Conv", [PICTURE, real(4, 6, 3, 3)], {}, 864, 2 * 4 * 6 * 8 * 54),
    ("Conv", [PICTURE, real(400, 6, 1, 2)], {}, 19200, 2 * 400 * 8 * 9 * 12),
    ("MatMul", [real(2, 3), real(3, 7)], {}, 0, 14 * 3),
    ("MatMul", [real(2, 0), real(0, 7)], {}, 0, 14),
    ("Gemm", [real(2, 3), real(3, 7)], {}, 0, 14 * 3),
    ("Gemm", [real(3, 2), real(3, 7)], {"transA": 1}, 0, 14 * 3),
    ("MaxPool", [PICTURE], {"kernel_shape": (3, 2)}, 0, 2 * 6 * 6 * 9 * 6 + 960),
    ("GlobalAveragePool", [PICTURE], {}, 0, 12 + 960),
]  # fmt: skip


@pytest.mark.parametrize(
    ("op", "values", "attributes", "workspace", "work"), TAKEN, ids=lambda each: each if isinstance(each, str) else ""
)
def test_an_operator_takes_this_much_memory_beside_its_outputs_and_this_much_work(
    op, values, attributes, workspace, work
):
    assert step(op, *values, **attributes) == (workspace, work)


@pytest.mark.parametrize(
    ("scale", "attributes", "workspace", "work"),
    [
        ((2, 1), {}, 2 * 7680, 16 * 1920 + 8 * 960),
        ((2, 1), {"antialias": 1}, 2 * 7680 + 7680, 16 * 1920 + 8 * (7680 + 960)),
        ((0.125, 2), {"antialias": 1}, 2 * 3840 + 7680, 16 * 240 + 8 * (7680 + 960)),
    ],
)
def test_a_resize_takes_twice_the_larger_of_both_and_what_is_resized_along_one_side_alone(
    scale, attributes, workspace, work
):
    factors = Value((4,), FLOAT, np.array([1, 1, *scale], np.float32))
    call = Call(node("Resize", ["x", "", "f"], ["y"], mode="linear", **attributes), [PICTURE, None, factors], 2)
    made = dict(zip(call.node.outputs, shapes._apply(call), strict=True))
    assert (shapes._workspace(call, made), shapes._work(call, made)) == (workspace, work)


# Networks


def network(*nodes, **weights):
    tensors = {name: Tensor(name, values) for name, values in weights.items()}
    return Network(8, 17, nodes, MappingProxyType(tensors), (Info("images", 1, None),), (), ())


def follow(*nodes, most_bytes=1000, images=IMAGES, **weights):
    return shapes.follow(network(*nodes, **weights), images, most_bytes=most_bytes, count=2)


def refused(why, *nodes, **more):
    with pytest.raises(NetworkRefused, match=why):
        follow(*nodes, **more)


def test_each_node_gives_its_outputs_by_name():
    w = np.ones((3, 4), np.float32)
    steps = follow(node("MatMul", ["images", "w"], ["a"]), node("Split", ["a"], ["b", "c"], axis=1), w=w)
    assert [{name: value.shape for name, value in each.outputs.items()} for each in steps] == [
        {"a": (2, 4)},
        {"b": (2, 2), "c": (2, 2)},
    ]
    assert [(each.workspace, each.work) for each in steps] == [(0, 24), (0, 16)]


def test_a_tensor_may_have_as_many_bytes_as_are_allowed_and_eight_sides():
    relu = node("Relu", ["images"], ["y"])
    assert follow(relu, most_bytes=24)
    refused("has an operator Relu that gives 24 bytes", relu, most_bytes=23)
    eight, nine = ({"images": Value((1,) * sides, FLOAT)} for sides in (8, 9))
    assert follow(relu, images=eight)
    refused("that gives 4 bytes", relu, images=nine)


def test_each_tensor_has_one_name_and_is_there_before_it_is_used():
    relu, again = node("Relu", ["images"], ["y"]), node("Relu", ["y"], ["y"])
    refused("two tensors of one name, or one without", relu, again)
    refused("two tensors of one name, or one without", node("Relu", ["images"], ["images"]))
    refused("two tensors of one name, or one without", node("Relu", ["images"], [""]))
    with pytest.raises(NetworkRefused, match="two tensors of one name"):
        shapes.follow(network(relu, images=np.ones(3, np.float32)), IMAGES, most_bytes=1000, count=2)
    refused("uses a tensor before it is there: z", node("Relu", ["z"], ["y"]), relu)
    refused("with another number of outputs", node("Relu", ["images"], ["y", "z"]))
    refused("with another number of outputs", node("Relu", ["images"], []))


def test_an_input_that_is_left_out_has_no_name():
    assert follow(node("Clip", ["images", "", "w"], ["y"]), w=np.float32(1))


def test_what_numpy_finds_wrong_with_shapes_is_a_refusal():
    refused("Transpose in an order", node("Transpose", ["images"], ["y"], perm=(0, 0)))
    refused("Gather along an axis", node("Gather", ["images", "w"], ["y"], axis=2), w=np.array(0))
    refused("Gather on shapes that do not fit", node("Gather", ["w", "v"], ["y"]), w=np.array([1, 2]), v=np.array(5))
