"""The rules of single operators: what they give, and what they refuse, at the limit from both sides."""

from types import MappingProxyType

import numpy as np
import pytest

from plainfilm.model.onnx_safety import shapes
from plainfilm.model.onnx_safety.calls import FEW, Call, Value
from plainfilm.model.onnx_safety.reading import NetworkRefused, Node, Tensor

FLOAT, INT, YES = np.dtype("<f4"), np.dtype("<i8"), np.dtype("?")
IMAGES = 5


def real(*shape):
    return Value(shape, FLOAT)


def whole(*numbers, constant=False):
    return Value((len(numbers),), INT, np.array(numbers, np.int64), constant=constant)


def given(op, *values, outputs=1, **attributes):
    """Outputs of one operator on values that are known so far."""
    names = tuple(f"x{place}" if value else "" for place, value in enumerate(values))
    node = Node(op, names, tuple(f"y{place}" for place in range(outputs)), MappingProxyType(attributes))
    return shapes._apply(Call(node, values, IMAGES))


def shape(op, *values, **attributes):
    (value,) = given(op, *values, **attributes)
    return value.shape


def refused(why, op, *values, **attributes):
    with pytest.raises(NetworkRefused, match=f"has an operator {op} .*{why}"):
        given(op, *values, **attributes)


PICTURE = real(2, 6, 8, 10)
DEEP = real(2, 8, 4, 6)

SHAPES = [
    ("Relu", [PICTURE], {}, (2, 6, 8, 10)),
    ("Add", [real(4, 1, 3), real(5, 1)], {}, (4, 5, 3)),
    ("Add", [real(3), real(2, 1, 3)], {}, (2, 1, 3)),
    ("Add", [real(1), real(0)], {}, (0,)),
    ("Sum", [real(1, 3), real(2, 1), real(4, 1, 1)], {}, (4, 2, 3)),
    ("ReduceMean", [PICTURE], {}, (1, 1, 1, 1)),
    ("ReduceMean", [PICTURE], {"keepdims": 0}, ()),
    ("ReduceMean", [PICTURE], {"noop_with_empty_axes": 1}, (2, 6, 8, 10)),
    ("ReduceMean", [PICTURE], {"axes": (1, -1)}, (2, 1, 8, 1)),
    ("ReduceMean", [PICTURE, whole(-4)], {"keepdims": 0}, (6, 8, 10)),
    ("Conv", [PICTURE, real(4, 6, 3, 5)], {}, (2, 4, 6, 6)),
    ("Conv", [PICTURE, real(4, 3, 1, 1), real(4)], {"group": 2}, (2, 4, 8, 10)),
    ("Conv", [PICTURE, real(4, 6, 8, 10)], {}, (2, 4, 1, 1)),
    ("Conv", [PICTURE, real(4, 6, 3, 3)], {"kernel_shape": (3, 3), "pads": (1, 0, 0, 2), "strides": (3, 2), "dilations": (2, 1)}, (2, 4, 2, 5)),
    ("Conv", [PICTURE, real(4, 6, 9, 11)], {"auto_pad": "SAME_LOWER", "strides": (3, 3)}, (2, 4, 3, 4)),
    ("Conv", [PICTURE, real(4, 6, 3, 3)], {"auto_pad": "VALID", "pads": (9, 9, 9, 9)}, (2, 4, 6, 8)),
    ("MaxPool", [PICTURE], {"kernel_shape": (3, 3), "strides": (2, 2)}, (2, 6, 3, 4)),
    ("MaxPool", [PICTURE], {"kernel_shape": (3, 3), "strides": (2, 2), "ceil_mode": 1}, (2, 6, 4, 5)),
    ("MaxPool", [PICTURE], {"kernel_shape": (1, 1), "strides": (9, 9), "ceil_mode": 1}, (2, 6, 1, 2)),
    ("MaxPool", [PICTURE], {"kernel_shape": (2, 2), "strides": (4, 5), "pads": (0, 0, 3, 1), "ceil_mode": 1}, (2, 6, 3, 2)),
    ("MaxPool", [PICTURE], {"kernel_shape": (2, 2), "strides": (4, 5), "pads": (1, 0, 3, 1), "ceil_mode": 1}, (2, 6, 3, 2)),
    ("GlobalMaxPool", [PICTURE], {}, (2, 6, 1, 1)),
    ("BatchNormalization", [PICTURE], {"training_mode": 0}, (2, 6, 8, 10)),
    ("MatMul", [real(4, 1, 2, 3), real(5, 3, 7)], {}, (4, 5, 2, 7)),
    ("MatMul", [real(2, 3), real(3, 7)], {}, (2, 7)),
    ("Gemm", [real(2, 3), real(3, 7), real(7)], {}, (2, 7)),
    ("Gemm", [real(3, 2), real(7, 3), real(2, 1)], {"transA": 1, "transB": 1}, (2, 7)),
    ("Concat", [real(2, 3), real(2, 4), real(2, 0)], {"axis": 1}, (2, 7)),
    ("Concat", [real(2, 3), real(4, 3)], {"axis": -2}, (6, 3)),
    ("Slice", [PICTURE, whole(1, -3), whole(99, 99), whole(1, -1)], {}, (2, 5, 8, 3)),
    ("Slice", [PICTURE, whole(9), whole(-99), whole(3), whole(-2)], {}, (2, 6, 8, 5)),
    ("Slice", [PICTURE, whole(1), whole(2)], {}, (1, 6, 8, 10)),
    ("Slice", [PICTURE, whole(3), whole(1), whole(1)], {}, (2, 0, 8, 10)),
    ("Gather", [PICTURE, real(3, 4)], {"axis": 1}, (2, 3, 4, 8, 10)),
    ("Gather", [PICTURE, Value((), INT)], {}, (6, 8, 10)),
    ("Flatten", [PICTURE], {}, (2, 480)),
    ("Flatten", [PICTURE], {"axis": 4}, (960, 1)),
    ("Flatten", [PICTURE], {"axis": -4}, (1, 960)),
    ("Reshape", [PICTURE, whole(0, -1, 10)], {}, (2, 48, 10)),
    ("Reshape", [PICTURE, whole(960)], {}, (960,)),
    ("Reshape", [real(0, 3), whole(3, 0)], {"allowzero": 1}, (3, 0)),
    ("Reshape", [real(0, 3), whole(0, -1)], {"allowzero": 1}, (0, 0)),
    ("Reshape", [real(1), whole()], {}, ()),
    ("Transpose", [PICTURE], {}, (10, 8, 6, 2)),
    ("Transpose", [PICTURE], {"perm": (0, 2, 3, 1)}, (2, 8, 10, 6)),
    ("Squeeze", [real(1, 3, 1)], {}, (3,)),
    ("Squeeze", [real(1, 3, 1), whole(-1)], {}, (1, 3)),
    ("Unsqueeze", [real(4, 3), whole(0, -1)], {}, (1, 4, 3, 1)),
    ("Pad", [real(4, 3), whole(1, 0, 2, -3)], {}, (7, 0)),
    ("Pad", [real(4, 3), whole(1, 2), None, whole(-1)], {}, (4, 6)),
    ("Shape", [PICTURE], {}, (4,)),
    ("Shape", [PICTURE], {"start": 1, "end": -1}, (2,)),
    ("Expand", [real(1, 4), whole(IMAGES, 4)], {}, (IMAGES, 4)),
    ("Expand", [real(4), whole(IMAGES, 1)], {}, (IMAGES, 4)),
    ("Expand", [real(3, 4), whole(1, 4)], {}, (3, 4)),
    ("Expand", [real(3, 1), whole(2, 1, 4)], {}, (2, 3, 4)),
    ("Tile", [real(3, 4), whole(2, 0)], {}, (6, 0)),
    ("Attention", [real(2, 4, 5, 6), real(2, 2, 7, 6), real(2, 2, 7, 3)], {}, (2, 4, 5, 3)),
    ("Attention", [real(2, 5, 24), real(2, 7, 12), real(2, 7, 6)], {"q_num_heads": 4, "kv_num_heads": 2}, (2, 5, 12)),
    ("Einsum", [real(2, 3), real(3, 4)], {"equation": "ab,bc->ca"}, (4, 2)),
    ("DepthToSpace", [DEEP], {"blocksize": 2}, (2, 2, 8, 12)),
    ("SpaceToDepth", [DEEP], {"blocksize": 2}, (2, 32, 2, 3)),
    ("SpaceToDepth", [DEEP], {"blocksize": 1}, (2, 8, 4, 6)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("op", "values", "attributes", "expected"), SHAPES, ids=lambda each: each if isinstance(each, str) else ""
)
def test_an_operator_gives_this_shape_and_keeps_the_kind_of_number(op, values, attributes, expected):
    (value,) = given(op, *values, **attributes)
    assert value.shape == expected
    assert value.dtype == (INT if op == "Shape" else FLOAT)


NO_FIT = "on shapes that do not fit"
REFUSED = [
    ("Relu", [], {}, "without an input that it needs"),
    ("Relu", [None], {}, "without an input that it needs"),
    ("Relu", [PICTURE], {"alpha": 1.0}, "with an attribute unknown here: alpha"),
    ("TopK", [PICTURE], {}, "that is not allowed here"),
    ("Add", [real(2, 3), real(2)], {}, NO_FIT),
    ("Add", [real(2), real(0)], {}, NO_FIT),
    ("Cast", [PICTURE], {"to": 10}, "to a type that is not allowed here"),
    ("Cast", [PICTURE], {}, "to a type that is not allowed here"),
    ("Constant", [], {}, "with no value, or with several"),
    ("Constant", [], {"value_int": 1, "value_float": 1.0}, "with no value, or with several"),
    ("ReduceMean", [PICTURE], {"axes": (4,)}, "along an axis that is not there"),
    ("ReduceMean", [PICTURE], {"axes": (-5,)}, "along an axis that is not there"),
    ("ReduceMean", [PICTURE], {"axes": (1, -3)}, "along an axis that is not there"),
    ("ReduceMean", [PICTURE], {"axes": (1.0,)}, "whose axes are no whole numbers"),
    ("ReduceMean", [PICTURE], {"axes": 1}, "whose axes are no whole numbers"),
    ("ReduceMean", [PICTURE], {"keepdims": 1.0}, "whose keepdims is no whole number"),
    ("ReduceMean", [PICTURE, real(1)], {}, "whose sizes depend on the image"),
    ("ReduceMean", [PICTURE, Value((1,), FLOAT, np.ones(1, np.float32))], {}, "whose sizes depend on the image"),
    ("ReduceMean", [PICTURE, Value((1, 1), INT, np.ones((1, 1), np.int64))], {}, "whose sizes depend on the image"),
    ("Conv", [real(2, 6, 8), real(4, 6, 3, 3)], {}, "on 3 sides where 4 are expected"),
    ("Conv", [PICTURE, real(4, 6, 3)], {}, "on 3 sides where 4 are expected"),
    ("Conv", [PICTURE, real(4, 5, 3, 3)], {}, "whose weights do not fit"),
    ("Conv", [PICTURE, real(4, 6, 3, 3)], {"group": 2}, "whose weights do not fit"),
    ("Conv", [PICTURE, real(3, 3, 3, 3)], {"group": 2}, "whose weights do not fit"),
    ("Conv", [PICTURE, real(4, 6, 3, 3)], {"group": 0}, "whose weights do not fit"),
    ("Conv", [PICTURE, real(4, 6, 3, 3)], {"group": -1}, "whose weights do not fit"),
    ("Conv", [PICTURE, real(4, 6, 3, 3)], {"kernel_shape": (3, 2)}, "whose weights do not fit"),
    ("Conv", [PICTURE, real(4, 6, 3, 3), real(3)], {}, "whose weights do not fit"),
    ("Conv", [PICTURE, real(4, 6, 9, 1)], {}, "with a window larger than its picture"),
    ("Conv", [PICTURE, real(4, 6, 1, 11)], {}, "with a window larger than its picture"),
    ("Conv", [PICTURE, real(4, 6, 3, 3)], {"dilations": (4, 1)}, "with a window larger than its picture"),
    ("Conv", [PICTURE, real(4, 6, 3, 3)], {"auto_pad": "SAME"[:3]}, "with padding of a kind unknown here"),
    ("Conv", [PICTURE, real(4, 6, 3, 3)], {"auto_pad": 1}, "whose auto_pad is no word"),
    ("MaxPool", [PICTURE], {}, "without a window"),
    ("MaxPool", [PICTURE], {"kernel_shape": (3,)}, "with a window that does not fit"),
    ("MaxPool", [PICTURE], {"kernel_shape": (0, 3)}, "with a window that does not fit"),
    ("MaxPool", [PICTURE], {"kernel_shape": (3, 3), "strides": (0, 1)}, "with a window that does not fit"),
    ("MaxPool", [PICTURE], {"kernel_shape": (3, 3), "strides": (1, 1, 1)}, "with a window that does not fit"),
    ("MaxPool", [PICTURE], {"kernel_shape": (3, 3), "dilations": (1, 0)}, "with a window that does not fit"),
    ("MaxPool", [PICTURE], {"kernel_shape": (3, 3), "dilations": (1,)}, "with a window that does not fit"),
    ("MaxPool", [PICTURE], {"kernel_shape": (3, 3), "pads": (0, 0, -1, 0)}, "with a window that does not fit"),
    ("MaxPool", [PICTURE], {"kernel_shape": (3, 3), "pads": (1, 1)}, "with a window that does not fit"),
    ("BatchNormalization", [PICTURE], {"training_mode": 1}, "in training"),
    ("MatMul", [real(3), real(3, 7)], {}, NO_FIT),
    ("MatMul", [real(2, 3), real(3)], {}, NO_FIT),
    ("MatMul", [real(2, 3), real(4, 7)], {}, NO_FIT),
    ("MatMul", [real(2, 1, 3), real(4, 3, 7)], {}, NO_FIT),
    ("Gemm", [real(2, 3), real(4, 7)], {}, NO_FIT),
    ("Gemm", [real(2, 3), real(3, 7), real(5)], {}, NO_FIT),
    ("Gemm", [real(2, 3), real(3, 7), real(4, 2, 7)], {}, NO_FIT),
    ("Gemm", [real(1, 2, 3), real(3, 7)], {}, "on 3 sides where 2 are expected"),
    ("Concat", [real(2, 3), real(3, 3)], {"axis": 1}, NO_FIT),
    ("Concat", [real(2, 3), real(2, 3)], {"axis": 2}, "along an axis that is not there"),
    ("Slice", [PICTURE, whole(1)], {}, "without its ends"),
    ("Slice", [PICTURE, None, whole(1)], {}, "without its ends"),
    ("Slice", [PICTURE, whole(1), whole(2, 3)], {}, "without its ends"),
    ("Slice", [PICTURE, whole(1), whole(2), whole(1, 2)], {}, NO_FIT),
    ("Slice", [PICTURE, whole(1), whole(2), whole(1), whole(0)], {}, NO_FIT),
    ("Flatten", [PICTURE], {"axis": 5}, "along an axis that is not there"),
    ("Flatten", [PICTURE], {"axis": -5}, "along an axis that is not there"),
    ("Reshape", [PICTURE], {}, "without a shape"),
    ("Reshape", [PICTURE, whole(-1, -1)], {}, "without a shape"),
    ("Reshape", [PICTURE, whole(-2, -480)], {}, "without a shape"),
    ("Reshape", [PICTURE, whole(959)], {}, "to a shape that does not fit"),
    ("Reshape", [PICTURE, whole(7, -1)], {}, "to a shape that does not fit"),
    ("Reshape", [PICTURE, whole(0, -1)], {"allowzero": 1}, "to a shape that does not fit"),
    ("Transpose", [PICTURE], {"perm": (0, 1, 2)}, "in an order that does not fit"),
    ("Transpose", [PICTURE], {"perm": (0, 1, 2, 2)}, "in an order that does not fit"),
    ("Squeeze", [real(1, 3), whole(1)], {}, "of a side that is not 1"),
    ("Squeeze", [real(1, 3), whole(2)], {}, "along an axis that is not there"),
    ("Unsqueeze", [real(4), whole(2)], {}, "along an axis that is not there"),
    ("Pad", [real(4, 3)], {}, "with pads that do not fit"),
    ("Pad", [real(4, 3), whole(1, 1)], {}, "with pads that do not fit"),
    ("Pad", [real(4, 3), whole(0, 0, 0, -4)], {}, "with pads that do not fit"),
    ("Shape", [PICTURE], {"start": 1.5}, "whose start is no whole number"),
    ("Expand", [real(3, 4), whole(2, 4)], {}, NO_FIT),
    ("Expand", [real(1, 4), whole(-1, 4)], {}, NO_FIT),
    ("Expand", [real(1, 4), real(2)], {}, "whose sizes depend on the image"),
    ("ConstantOfShape", [whole(2, -1)], {}, NO_FIT),
    ("ConstantOfShape", [real(2)], {}, "whose sizes depend on the image"),
    ("ConstantOfShape", [whole(2)], {"value": 1.0}, "with no number"),
    ("ConstantOfShape", [whole(2)], {"value": Tensor("t", np.zeros(2, np.float32))}, "with no number"),
    ("Tile", [real(2, 3), whole(2)], {}, "so many times that it does not fit"),
    ("Tile", [real(2, 3), whole(2, -1)], {}, "so many times that it does not fit"),
    ("Tile", [real(2, 3), None], {}, "so many times that it does not fit"),
    *(("Range", [whole(each) for each in ends], {}, "over more than can be counted")
      for ends in ((-(2**63), 2**63 - 1, 1), (2**62, -(2**62), 1), (0, 2**53, 2**52), (0, 4, 2**53))),
    ("Range", [whole(0), whole(4), whole(0)], {}, "without ends that are known"),
    ("Range", [whole(0), Value((), INT), whole(1)], {}, "without ends that are known"),
    ("Range", [whole(0), whole(4, 5), whole(1)], {}, "without ends that are known"),
    *(("Div", [whole(7), each], {}, "of whole numbers by 0, -1 or what is not known") for each in (whole(0), whole(2, -1), Value((1,), INT))),
    ("Mod", [whole(7), whole(0)], {}, "of whole numbers by 0, -1 or what is not known"),
    ("Resize", [PICTURE, None, None, whole(2, 6, 4, 4)], {"keep_aspect_ratio_policy": "not_larger"}, "that keeps proportions"),
    ("Attention", [DEEP, DEEP], {}, "without an input that it needs"),
    ("Attention", [real(2, 3, 4, 5), real(2, 3, 4, 6), real(2, 3, 4, 5)], {}, NO_FIT),
    ("Attention", [real(2, 3, 4, 5), real(1, 3, 4, 5), real(1, 3, 4, 5)], {}, NO_FIT),
    ("Attention", [real(2, 3, 4, 5), real(2, 3, 9, 5), real(2, 3, 8, 5)], {}, NO_FIT),
    ("Attention", [real(2, 3, 4, 5), real(2, 2, 4, 5), real(2, 2, 4, 5)], {}, NO_FIT),
    ("Attention", [real(2, 4, 15)] * 3, {}, "with heads that do not fit"),
    ("Attention", [real(2, 4, 15)] * 3, {"q_num_heads": 4, "kv_num_heads": 4}, "with heads that do not fit"),
    ("Attention", [DEEP] * 3, {"q_num_heads": 8}, "with heads that do not fit"),
    ("Attention", [DEEP] * 3 + [real(9, 2, 8, 4, 4)], {}, "with a mask that does not fit"),
    ("Attention", [DEEP] * 5, {}, "with what it has seen before"),
    ("Attention", [Value((2, 8, 4, 6), INT)] * 3, {}, "or not of floats"),
    *(("Einsum", [real(2, 3), real(3, 4)][: 1 + ("," in each)], {"equation": each}, why) for each, why in (
        ("", "none of one or two"), ("ab", "none of one or two"), ("...b->b", "none of one or two"), ("aB->a", "none of one or two"),
        ("ab,bc,cd->ad", "none of one or two"), ("abcdefghi->a", "none of one or two"), ("ab,ac->bc", NO_FIT), ("ab->abb", "takes diagonals"),
        ("ab->c", "takes diagonals"), ("aa->a", "on shapes that do not fit"), ("abc->a", "on 2 sides where 3 are expected"))),
    ("Einsum", [real(3, 3)], {"equation": "aa->a"}, "takes diagonals"),
    ("DepthToSpace", [DEEP], {"blocksize": 3}, "with blocks that do not fit"),
    ("DepthToSpace", [DEEP], {}, "with blocks that do not fit"),
    ("SpaceToDepth", [DEEP], {"blocksize": 4}, "with blocks that do not fit"),
    ("SpaceToDepth", [DEEP], {"blocksize": 3}, "with blocks that do not fit"),
    ("SpaceToDepth", [DEEP], {"blocksize": -1}, "with blocks that do not fit"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("op", "values", "attributes", "why"), REFUSED, ids=lambda each: each if isinstance(each, str) else ""
)
def test_an_operator_refuses_what_does_not_fit_it(op, values, attributes, why):
    refused(why, op, *values, **attributes)


# Split


def test_a_split_takes_its_sizes_or_shares_evenly_and_the_rest_last():
    def sizes(*values, outputs, **attributes):
        return [value.shape for value in given("Split", real(2, 7), *values, outputs=outputs, axis=1, **attributes)]

    assert sizes(outputs=3) == [(2, 3), (2, 3), (2, 1)]
    assert sizes(outputs=2, num_outputs=2) == [(2, 4), (2, 3)]
    assert sizes(whole(7, 0), outputs=2) == [(2, 7), (2, 0)]
    for values, attributes in (
        ([whole(3, 3)], {}),
        ([whole(8, -1)], {}),
        ([whole(7)], {}),
        ([whole(3, 4)], {"num_outputs": 3}),
        ([], {"num_outputs": 1}),
    ):
        refused("into parts that do not fit", "Split", real(2, 7), *values, outputs=2, axis=1, **attributes)
    refused("into parts that do not fit", "Split", real(2, 3), outputs=5, axis=1)


# Resize


def scales(*factors):
    return Value((len(factors),), FLOAT, np.array(factors, np.float32))


def test_a_resize_by_factors_cuts_to_whole_pixels_and_to_4096_at_most():
    small = real(2, 3, 32, 10)
    assert shape("Resize", small, None, scales(1, 1, 128, 0.26)) == (2, 3, 4096, 2)
    assert shape("Resize", small, None, scales(1, 1.4, 1, 1)) == (2, 4, 32, 10)
    refused("to more than 4096 px", "Resize", small, None, scales(1, 1, 128.04, 1))
    refused("to more than 4096 px", "Resize", small, None, scales(1.5, 1, 1, 1))
    assert shape("Resize", real(2, 5000, 9, 9), None, scales(1, 1, 1, 1)) == (2, 5000, 9, 9)
    for factors in (scales(1, 1, 1), scales(1, 1, 0, 1), scales(1, 1, -1, 1), scales(1, 1, np.nan, 1)):
        refused("with scales that do not fit", "Resize", small, None, factors)
    refused("with scales that do not fit", "Resize", small, None, whole(1, 1, 1, 1))


def test_a_resize_to_sizes_takes_a_size_a_side():
    small = real(2, 3, 32, 10)
    assert shape("Resize", small, None, None, whole(2, 3, 4096, 0)) == (2, 3, 4096, 0)
    assert shape("Resize", small, None, scales(), whole(2, 3, 5, 5)) == (2, 3, 5, 5)
    refused("to more than 4096 px", "Resize", small, None, None, whole(2, 3, 4097, 1))
    refused("to more than 4096 px", "Resize", small, None, None, whole(1, 3, 5, 5))
    refused("to more than 4096 px", "Resize", small, None, None, whole(2, 3, -1, 5))
    refused("whose scales depend on the image", "Resize", small, None, None, whole(2, 3, 5))
    refused("whose scales depend on the image", "Resize", small, None, real(4), whole(2, 3, 5, 5))
    refused("whose scales depend on the image", "Resize", small)
    refused(
        "that crops", "Resize", small, None, scales(1, 1, 1, 1), coordinate_transformation_mode="tf_crop_and_resize"
    )
    assert shape("Resize", small, None, scales(1, 1, 1, 1), coordinate_transformation_mode="asymmetric") == small.shape


# Kinds of numbers


def test_comparing_gives_truth_and_choosing_keeps_the_kind_of_what_is_chosen():
    (value,) = given("Less", real(2, 1), real(3))
    assert (value.shape, value.dtype) == ((2, 3), YES)
    (value,) = given("Where", Value((2, 1), YES), real(3), real(1))
    assert (value.shape, value.dtype) == ((2, 3), FLOAT)
    (value,) = given("Cast", PICTURE, to=7)
    assert (value.shape, value.dtype) == (PICTURE.shape, INT)


@pytest.mark.parametrize(
    ("attributes", "dtype", "numbers"),
    [
        ({"value_int": 3}, INT, 3),
        ({"value_ints": (1, -2)}, INT, [1, -2]),
        ({"value_float": 0.5}, FLOAT, 0.5),
        ({"value_floats": (0.5, 1.5)}, FLOAT, [0.5, 1.5]),
        ({"value": Tensor("t", np.arange(3, dtype=np.int8))}, np.dtype("i1"), [0, 1, 2]),
    ],
)
def test_a_constant_node_is_known_and_constant(attributes, dtype, numbers):
    (value,) = given("Constant", **attributes)
    assert (value.dtype, value.constant, value.shape) == (dtype, True, np.shape(numbers))
    np.testing.assert_array_equal(value.numbers, numbers)


def test_what_is_made_of_constants_alone_is_constant():
    fixed = Value((3,), FLOAT, constant=True)
    assert given("Add", fixed, fixed)[0].constant
    assert not given("Add", fixed, real(3))[0].constant
    assert given("Shape", PICTURE)[0].constant
    assert not given("Relu", real(3))[0].constant


# Whole numbers that are followed


@pytest.mark.parametrize(
    ("op", "values", "attributes", "numbers"),
    [
        ("Add", [whole(7, -7), whole(2, 2)], {}, [9, -5]),
        ("Sub", [whole(7, -7), whole(2, 2)], {}, [5, -9]),
        ("Mul", [whole(7, -7), whole(2, 2)], {}, [14, -14]),
        ("Div", [whole(7, -7, 5), whole(2, 2, -3)], {}, [3, -3, -1]),
        ("Div", [whole(2**62 + 1), whole(1)], {}, [2**62 + 1]),
        ("Mod", [whole(7, -7, 5), whole(3, 3, -3)], {}, [1, 2, -1]),
        ("Mod", [whole(7, -7, 5), whole(3, 3, -3)], {"fmod": 1}, [1, -1, 2]),
        ("Neg", [whole(5, -6)], {}, [-5, 6]),
        ("Expand", [whole(5), whole(3)], {}, [5, 5, 5]),
        ("Tile", [whole(5, 6), whole(2)], {}, [5, 6, 5, 6]),
        ("Max", [whole(5, -6), whole(1), whole(0, 2)], {}, [5, 2]),
        ("Min", [whole(5, -6), whole(1)], {}, [1, -6]),
        ("Clip", [whole(5, -6), None, whole(1)], {}, [1, -6]),
        ("ReduceProd", [whole(5, -6)], {"keepdims": 0}, -30),
        ("ReduceSum", [whole(5, -6)], {}, [-1]),
        ("Concat", [whole(1, 2), whole(3)], {"axis": 0}, [1, 2, 3]),
        ("Gather", [whole(5, 6, 7), whole(2, 0)], {"axis": 0}, [7, 5]),
        ("Identity", [whole(5, 6)], {}, [5, 6]),
        ("Slice", [whole(5, 6, 7), whole(1), whole(3)], {}, [6, 7]),
        ("Slice", [whole(5, 6, 7), whole(2), whole(-9), whole(0), whole(-1)], {}, [7, 6, 5]),
        ("Squeeze", [whole(5)], {}, 5),
        ("Unsqueeze", [whole(5, 6), whole(0)], {}, [[5, 6]]),
        ("Reshape", [whole(5, 6), whole(2, 1)], {}, [[5], [6]]),
        ("Cast", [whole(5, 6)], {"to": 1}, [5.0, 6.0]),
    ],
)
def test_few_whole_numbers_are_followed(op, values, attributes, numbers):
    (value,) = given(op, *values, **attributes)
    np.testing.assert_array_equal(value.numbers, numbers)
    assert value.numbers.dtype == value.dtype
    (unknown,) = given(op, Value(values[0].shape, INT), *values[1:], **attributes)
    assert unknown.numbers is None


def test_gathering_along_another_axis_follows_it():
    table = Value((2, 2), INT, np.array([[1, 2], [3, 4]]))
    assert given("Gather", table, whole(1), axis=1)[0].numbers.tolist() == [[2], [4]]
    assert given("Concat", table, table, axis=1)[0].numbers.tolist() == [[1, 2, 1, 2], [3, 4, 3, 4]]


def test_real_numbers_are_divided_as_such():
    assert given("Div", scales(7), scales(2))[0].numbers.tolist() == [3.5]


@pytest.mark.parametrize(
    ("op", "values", "attributes"),
    [
        ("Pow", [scales(2), scales(0.3)], {}),
        ("Pow", [scales(1370), scales(0.5)], {}),
        ("Pow", [scales(10), scales(9)], {}),
        ("Pow", [scales(-4), scales(2)], {}),
        ("Cast", [scales(2.0**63)], {"to": 7}),
        ("Cast", [scales(-1)], {"to": 2}),
        ("Cast", [scales(np.nan)], {"to": 7}),
        ("Greater", [scales(np.nan), scales(1)], {}),
        ("ReduceSum", [scales(1, 2)], {}),
        ("ReduceSum", [whole(1, 2)], {"noop_with_empty_axes": 1}),
        ("Sqrt", [scales(4)], {}),
        ("Exp", [scales(0)], {}),
    ],
)
def test_what_may_come_out_otherwise_elsewhere_is_not_followed(op, values, attributes):
    assert given(op, *values, **attributes)[0].numbers is None


def test_powers_that_are_whole_are_followed():
    assert given("Pow", scales(1369, 9, 2), scales(0.5, 2, 24))[0].numbers.tolist() == [37, 81, 2**24]
    assert given("Pow", whole(3), whole(4))[0].numbers.tolist() == [81]


def test_steps_are_counted_to_before_the_end():
    def steps(*ends):
        (value,) = given("Range", *(whole(each) for each in ends))
        return value.numbers.tolist()

    assert (steps(0, 7, 3), steps(7, 0, -3), steps(5, 5, 1), steps(5, 4, 1)) == ([0, 3, 6], [7, 4, 1], [], [])
    (many,) = given("Range", whole(0), whole(65), whole(1))
    assert (many.shape, many.numbers) == ((65,), None)
    (halves,) = given("Range", scales(0.5), scales(14), scales(1))
    assert (halves.shape, halves.dtype, halves.numbers) == ((14,), FLOAT, None)


def test_a_constant_of_a_shape_has_the_kind_of_its_number():
    (value,) = given("ConstantOfShape", whole(2, 3), value=Tensor("t", np.array([7], np.int64)))
    assert (value.dtype, value.numbers.tolist()) == (INT, [[7] * 3] * 2)
    (value,) = given("ConstantOfShape", whole(65))
    assert (value.shape, value.dtype, value.numbers) == ((65,), FLOAT, None)
    assert given("ConstantOfShape", whole())[0].shape == ()
    assert given("Size", PICTURE)[0].numbers == 960
    assert given("IsNaN", PICTURE)[0].dtype == YES


def test_no_more_numbers_are_followed_than_few():
    assert FEW == 64
    row = whole(*range(32))
    assert given("Concat", row, row, axis=0)[0].numbers.tolist() == [*range(32)] * 2
    assert given("Concat", row, row, whole(1), axis=0)[0].numbers is None
    assert given("Relu", row)[0].numbers is None
