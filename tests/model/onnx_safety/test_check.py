"""What may be run, and how large it gets: our shapes against ONNX Runtime's, and every network that plainfilm makes itself."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import made_bundles
from hostile.base import constant, network, node, picture
from made_networks import empty_network, rows
from plainfilm.errors import BundleError
from plainfilm.model import backbones, bundle, classifier, encoder, heads
from plainfilm.model.classifier import Classifier, Decision
from plainfilm.model.onnx_safety import check, operators, reading, shapes
from plainfilm.model.onnx_safety.calls import Value
from plainfilm.model.onnx_safety.fields import DTYPES
from plainfilm.model.onnx_safety.reading import NetworkRefused
from plainfilm.model.recipe_schema import HeadSettings

SIDE = 32
TWO = Decision(classes=("A", "B"), positive="A")


def weights(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def whole(*values):
    return np.array(values, np.int64)


def reals(*values):
    return np.array(values, np.float32)


# Operator, version of operators, inputs after the picture float32 (n, 3, 32, 32) ("" left out), attributes, outputs.
CALLS = [
    *((op, 18, [], {}, 1) for op in ("Abs", "Ceil", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish", "Identity", "Log", "Neg", "Reciprocal",
                                     "Relu", "Round", "Selu", "Sigmoid", "Sign", "Softplus", "Softsign", "Sqrt", "Tanh", "Elu", "LeakyRelu",
                                     "ThresholdedRelu", "GlobalAveragePool", "GlobalMaxPool", "Flatten", "Transpose", "Shape", "Dropout")),
    ("Gelu", 20, [], {}, 1),
    ("Clip", 18, [reals(0)[0], reals(1)[0]], {}, 1),
    ("Clip", 18, ["", reals(1)[0]], {}, 1),
    *(("Softmax", 18, [], {"axis": axis}, 1) for axis in (-1, 1)),
    ("LogSoftmax", 13, [], {}, 1),
    *((op, 18, [weights(3, 1, 1)], {}, 1) for op in ("Add", "Sub", "Mul", "Div", "Pow", "PRelu", "Max", "Min", "Mean", "Sum")),
    ("Add", 18, [weights(2, 1, 3, 1, 32)], {}, 1),
    ("Sum", 18, [weights(3, 1, 1), weights(32)], {}, 1),
    *((op, 18, [weights(3, 1, 32)], {}, 1) for op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")),
    *(("Cast", 18, [], {"to": kind}, 1) for kind in DTYPES),
    *((op, 13, [], {"axes": [2, -1], "keepdims": keep}, 1) for op in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2") for keep in (0, 1)),
    *((op, 18, [whole(-1, 1)], {"keepdims": keep}, 1) for op in ("ReduceMean", "ReduceSum", "ReduceL2") for keep in (0, 1)),
    ("ReduceMean", 18, [], {"keepdims": 0}, 1),
    ("ReduceMean", 18, [], {"noop_with_empty_axes": 1}, 1),
    ("ReduceSum", 13, [whole(1)], {}, 1),
    ("Conv", 18, [weights(5, 3, 3, 3), weights(5)], {"pads": [1, 0, 2, 1], "strides": [2, 1], "dilations": [1, 2]}, 1),
    ("Conv", 18, [weights(6, 1, 5, 4)], {"group": 3, "kernel_shape": [5, 4]}, 1),
    *(("Conv", 18, [weights(2, 3, 3, 3)], {"auto_pad": how, "strides": [2, 3]}, 1) for how in ("SAME_UPPER", "SAME_LOWER", "VALID")),
    *((op, 18, [], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": ceil}, 1) for op in ("MaxPool", "AveragePool") for ceil in (0, 1)),
    ("MaxPool", 18, [], {"kernel_shape": [2, 2], "strides": [5, 5], "ceil_mode": 1}, 1),
    ("MaxPool", 18, [], {"kernel_shape": [3, 3], "dilations": [2, 3]}, 1),
    ("AveragePool", 18, [], {"kernel_shape": [5, 5], "auto_pad": "SAME_UPPER", "count_include_pad": 1}, 1),
    ("BatchNormalization", 18, [weights(3), weights(3), weights(3), abs(weights(3))], {}, 1),
    ("InstanceNormalization", 18, [weights(3), weights(3)], {}, 1),
    ("LayerNormalization", 18, [weights(32)], {"axis": -1}, 1),
    ("LRN", 18, [], {"size": 3}, 1),
    ("MatMul", 18, [weights(32, 7)], {}, 1),
    ("MatMul", 18, [weights(1, 32, 7)], {}, 1),
    ("Concat", 18, ["picture", "picture"], {"axis": -2}, 1),
    ("Split", 18, [], {"axis": 2, "num_outputs": 3}, 3),
    ("Split", 13, [], {"axis": -1}, 4),
    ("Split", 18, [whole(5, 27)], {"axis": 3}, 2),
    ("Slice", 18, [whole(1, 30), whole(2**62, -(2**62)), whole(1, 2), whole(1, -3)], {}, 1),
    ("Slice", 18, [whole(0, 0, -20), whole(1, 3, -4)], {}, 1),
    ("Gather", 18, [np.array([[0, 2], [1, -1]])], {"axis": 1}, 1),
    ("Gather", 18, [np.array(-1)], {"axis": 3}, 1),
    ("Flatten", 18, [], {"axis": -2}, 1),
    ("Flatten", 18, [], {"axis": 0}, 1),
    ("Reshape", 18, [whole(0, -1, 4)], {}, 1),
    ("Reshape", 18, [whole(-1, 3, 512, 2)], {}, 1),
    ("Transpose", 18, [], {"perm": [0, 2, 3, 1]}, 1),
    ("Unsqueeze", 18, [whole(1, -1)], {}, 1),
    ("Pad", 18, [whole(0, 0, 1, -2, 0, 1, 3, 0)], {}, 1),
    ("Pad", 18, [whole(2, 5), "", whole(3)], {"mode": "reflect"}, 1),
    ("Resize", 18, ["", reals(1, 1, 1.7, 0.4)], {"mode": "linear"}, 1),
    ("Resize", 13, ["", reals(1, 2, 3, 1)], {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}, 1),
    ("DepthToSpace", 18, [], {}, 1),
    ("SpaceToDepth", 18, [], {"blocksize": 4}, 1),
    *((op, 18, [], {}, 1) for op in ("Cos", "Sin", "IsNaN", "Trilu", "Size")),
    ("IsInf", 20, [], {"detect_negative": 0}, 1),
    ("Trilu", 18, [np.array(2)], {"upper": 0}, 1),
    *((op, 23, [weights(32)], {"axis": -1}, 1) for op in ("RMSNormalization", "SimplifiedLayerNormalization")),
    ("CumSum", 18, [np.array(-1)], {"exclusive": 1, "reverse": 1}, 1),
    ("Mod", 18, [weights(3, 1, 1)], {"fmod": 1}, 1),
    ("ReduceProd", 18, [whole(-1, 1)], {}, 1),
    ("Tile", 18, [whole(1, 2, 3, 0)], {}, 1),
    ("Tile", 18, [whole(2, 1, 1, 3)], {}, 1),
    *(("Expand", 18, [target], {}, 1) for target in (whole(1, 3, 1, 1), whole(2, 1, 1, 32, 32), whole(32))),
    *(("Resize", 18, ["", scales], {"mode": mode, "antialias": 1, "keep_aspect_ratio_policy": "stretch"}, 1)
      for mode in ("linear", "cubic") for scales in (reals(1, 1, 0.3, 2.7), reals(1, 1, 3, 0.1))),
    ("Attention", 23, ["picture", "picture"], {}, 1),
    ("Attention", 23, ["picture", "picture", weights(3, 32, 32)], {"softcap": 2.0, "scale": 0.1}, 1),
    ("Einsum", 18, ["picture"], {"equation": "bchw,bcvw->bchv"}, 1),
    ("Einsum", 18, [weights(32, 5)], {"equation": "bchw, wd -> bhdc"}, 1),
    ("Einsum", 18, [], {"equation": "bchw->wb"}, 1),
    ("Einsum", 18, [weights(3)], {"equation": "bchw,c->"}, 1),
    ("Shape", 18, [], {"start": -2}, 1),
    ("Shape", 18, [], {"start": 1, "end": 3}, 1),
]  # fmt: skip


def called(op, version, inputs, attributes, outputs):
    """A network in which one operator works on a picture (n, 3, 32, 32), and its outputs."""
    model = network()
    model.opset_import[0].version = version
    if version < 18:  # ReduceMean then took its axes as an attribute
        mean = model.graph.node[1]
        del mean.input[1:]
        mean.attribute.append(helper.make_attribute("axes", [1]))
    flat = node(model, "Reshape", [node(model, "Cast", ["images"], to=1), constant(model, whole(-1, 1, SIDE, SIDE))])
    picture = node(model, "Concat", [flat] * 3, axis=1)
    if op == "DepthToSpace":
        picture, attributes = node(model, "Concat", [picture] * 4, axis=1), {"blocksize": 2}
    given = {"": "", "picture": picture}
    names = [picture, *(given[each] if isinstance(each, str) else constant(model, each) for each in inputs)]
    node(model, op, names, outputs=outputs, **attributes)
    return model


def compare(model, count):
    """Compare our shapes, dtypes and numbers of every tensor with those that ONNX Runtime gives."""
    images = np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE), np.uint8)
    graph = reading.read(model.SerializeToString())
    steps = shapes.follow(graph, {"images": Value(images.shape, np.dtype("u1"))}, most_bytes=1 << 40, count=count)
    ours = {name: value for step in steps for name, value in step.outputs.items()}
    open_to_sight = onnx.ModelProto.FromString(model.SerializeToString())
    del open_to_sight.graph.output[:]
    open_to_sight.graph.output.extend(onnx.ValueInfoProto(name=name) for name in ours)
    options = ort.SessionOptions()
    options.graph_optimization_level, options.log_severity_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL, 4
    session = ort.InferenceSession(open_to_sight.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for name, real in zip(ours, session.run(list(ours), {"images": images}), strict=True):
        assert (name, ours[name].shape, ours[name].dtype) == (name, real.shape, real.dtype)
        if ours[name].numbers is not None:
            np.testing.assert_array_equal(ours[name].numbers, real)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]}-{call[1]}-{call[3]}")
def test_an_operator_gives_the_shape_that_it_has_in_onnx_runtime(call, count):
    compare(called(*call), count)


def test_every_operator_that_is_allowed_is_compared_with_onnx_runtime():
    compared = (
        {call[0] for call in CALLS}
        | {"And", "Or", "Not", "Where", "Gemm", "Squeeze", "Constant"}
        | {"ConstantOfShape", "Range"}
    )
    assert compared == set(operators.OPERATORS)


@pytest.mark.parametrize("count", [1, 8])
def test_the_other_operators_have_the_shapes_of_onnx_runtime(count):
    model = network()
    yes = node(model, "Greater", ["features", constant(model, np.float32(100))])
    both = node(model, "Or", [node(model, "And", [yes, yes]), node(model, "Not", [yes])])
    node(model, "Where", [both, constant(model, weights(32)), "features"])
    node(model, "Gemm", ["features", constant(model, weights(5, 32)), constant(model, weights(5))], transB=1)
    deep = node(model, "Unsqueeze", [node(model, "Cast", ["images"], to=1), constant(model, whole(1))])
    node(model, "Squeeze", [deep, constant(model, whole(1))])
    for name, value in {"value_float": 2.0, "value_floats": [1.0, 2.0], "value_int": 3, "value_ints": [1, 2]}.items():
        node(model, "Constant", [], **{name: value})
    node(model, "Constant", [], value=numpy_helper.from_array(weights(2, 3)))
    batch = node(model, "Gather", [node(model, "Shape", ["images"]), constant(model, whole(0))])
    rows = node(model, "Concat", [batch, constant(model, whole(1))], axis=0)
    node(model, "Expand", [constant(model, weights(1, 4)), rows])
    sizes = node(model, "Concat", [batch, constant(model, whole(1, 40, 7))], axis=0)
    node(model, "Resize", [deep, "", "", sizes], mode="cubic")
    compare(model, count)


@pytest.mark.parametrize("count", [1, 8])
def test_whole_numbers_are_followed_as_onnx_runtime_computes_them(count):
    """What torch writes for x.view(x.size(0), -1, x.size(2)), and more of the kind."""
    model = network()
    shape = node(model, "Shape", ["images"])
    side = node(model, "Gather", [shape, constant(model, np.array(2))], axis=0)
    for op, other in (("Add", 5), ("Sub", 40), ("Mul", -3), ("Div", 5), ("Div", -5)):
        side = node(model, op, [side, constant(model, np.array(other))])
        node(model, "Cast", [side], to=6)
        node(model, "Cast", [side], to=1)
    first = node(model, "Gather", [shape, constant(model, np.array(0))])
    last = node(model, "Slice", [shape, constant(model, whole(2)), constant(model, whole(3))])
    row = node(model, "Unsqueeze", [first, constant(model, whole(0))])
    target = node(model, "Concat", [row, constant(model, whole(-1)), last], axis=0)
    node(model, "Reshape", ["images", node(model, "Identity", [target])])
    compare(model, count)


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize(("heads", "shared"), [(4, 4), (4, 2), (1, 1)])
def test_attention_on_three_sides_has_its_heads_in_the_width(count, heads, shared):
    model = network()
    model.opset_import[0].version = 23
    rows = picture(model, -1, 64, 16)
    narrow = node(model, "Slice", [rows, *(constant(model, whole(each)) for each in (0, 16 * shared // heads, 2))])
    few = node(model, "Slice", [narrow, *(constant(model, whole(each)) for each in (0, 50, 1))])
    node(model, "Attention", [rows, few, few], q_num_heads=heads, kv_num_heads=shared, is_causal=1)
    compare(model, count)


ENDS = [
    (0, 10, 3), (0, 9, 3), (10, 0, -3), (5, 5, 1), (5, 4, 1), (-7, 3, 1), (0, 100, 1), (0, 2**30, 2**29 + 5), (3, 2**52, 2**50 + 5),
]  # fmt: skip


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("kind", [np.int64, np.int32, np.float32, np.float64])
def test_a_range_has_as_many_steps_as_in_onnx_runtime(ends, kind):
    if np.dtype(kind).itemsize == 4 and max(map(abs, ends)) > 2**30:
        ends = tuple(each % 2**30 for each in ends)
    model = network()
    node(model, "Range", [constant(model, np.array(each, kind)) for each in ends])
    compare(model, 1)


@pytest.mark.parametrize("ends", [(0.5, 14, 1), (0.1, 0.9, 0.1), (0, 1, 0.1), (1, 0, -0.3), (0, 1, 1e-3)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_range_of_broken_numbers_rounds_as_in_onnx_runtime(ends, kind):
    model = network()
    node(model, "Range", [constant(model, np.array(each, kind)) for each in ends])
    compare(model, 1)


@pytest.mark.parametrize("count", [1, 8])
def test_sizes_become_tensors_as_exporters_write_it(count):
    """ConstantOfShape, Expand, Tile, Range and Where on the number of images, and a side found as a square root."""
    model = network()
    shape = node(model, "Shape", ["images"])
    batch = node(model, "Gather", [shape, constant(model, whole(0))])
    rows = node(model, "Concat", [batch, constant(model, whole(1, 3))], axis=0)
    ones = node(model, "ConstantOfShape", [rows], value=numpy_helper.from_array(whole(1)))
    node(model, "ConstantOfShape", [rows])
    times = node(
        model, "Where", [node(model, "Equal", [rows, constant(model, whole(3))]), constant(model, whole(5, 5, 5)), rows]
    )
    node(model, "Expand", [constant(model, weights(1, 1)), times])
    node(model, "Tile", [constant(model, weights(1, 2, 3)), rows])
    node(model, "Range", [constant(model, np.array(0)), node(model, "Size", [ones]), constant(model, np.array(2))])
    side = node(
        model,
        "Pow",
        [node(model, "Cast", [node(model, "ReduceProd", [shape])], to=1), constant(model, np.float32(0.5))],
    )
    node(model, "Floor", [side])
    parity = node(model, "Mod", [shape, constant(model, whole(5, -7, 3))])
    for op in ("Neg", "Abs"):
        node(model, op, [parity])
    for op in ("ReduceMax", "ReduceMin", "ReduceSum"):
        node(model, op, [parity], keepdims=0)
    node(model, "Clip", [parity, constant(model, np.array(0)), constant(model, np.array(2))])
    node(model, "Transpose", [node(model, "Unsqueeze", [parity, constant(model, whole(0))])], perm=[1, 0])
    compare(model, count)


def test_weights_are_read_in_every_form_that_onnx_writes():
    model = network()
    values = {
        "f4": reals(1.5, -2), "f8": np.array([1.5, -2]), "i8": whole(3, -(2**40)), "i4": np.array([3, -4], np.int32),
        "u1": np.array([3, 200], np.uint8), "i1": np.array([3, -100], np.int8), "b": np.array([True, False]),
    }  # fmt: skip
    for name, value in values.items():
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        model.graph.initializer.append(numpy_helper.from_array(value, f"raw {name}"))
        model.graph.initializer.append(helper.make_tensor(f"typed {name}", kind, value.shape, value))
    read = reading.read(model.SerializeToString()).weights
    for name, value in values.items():
        for form in ("raw", "typed"):
            np.testing.assert_array_equal(read[f"{form} {name}"].values, value)
            assert read[f"{form} {name}"].values.dtype == value.dtype


def test_larger_weights_become_inputs_and_the_network_answers_the_same():
    model = network(outputs=40)
    checked = check.check(model.SerializeToString())
    bare, given = checked.bare()
    assert [values.shape for values in given.values()] == [(32, 40)]
    onnx.checker.check_model(onnx.load_from_string(bare), full_check=True)
    images = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE), dtype=np.uint8)
    expected, received = (
        ort.InferenceSession(data, providers=["CPUExecutionProvider"]).run(["logits"], {"images": images, **more})[0]
        for data, more in ((model.SerializeToString(), {}), (bare, given))
    )
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def own_backbone(path, *, channels_last, version):
    """A user's ONNX file as torch writes one: constants as nodes, shapes gathered and put together again."""

    def c(name, value):
        return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value)))

    shape = ["n", SIDE, SIDE, 3] if channels_last else ["n", 3, SIDE, SIDE]
    turned = {"perm": [0, 3, 1, 2]} if channels_last else {"perm": [0, 1, 2, 3]}
    nodes = [
        helper.make_node("Transpose", ["x"], ["first"], **turned),
        c("w", weights(8, 3, 3, 3)), c("zero", np.array(0)), c("front", whole(0)), c("rest", whole(-1)),
        helper.make_node("Conv", ["first", "w"], ["conv"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Clip", ["conv"], ["clipped"]),
        helper.make_node("GlobalAveragePool", ["clipped"], ["pooled"]),
        helper.make_node("Shape", ["pooled"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["n"], axis=0),
        helper.make_node("Unsqueeze", ["n", "front"], ["row"]),
        helper.make_node("Concat", ["row", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["pooled", "target"], ["y"]),
    ]  # fmt: skip
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "own", [entry], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8), path)


@pytest.mark.parametrize("version", [13, 17])
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_users_onnx_file_can_be_kept_in_a_bundle(channels_last, version, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    own_backbone(tmp_path / "own.onnx", channels_last=channels_last, version=version)
    own = backbones.find(str(tmp_path / "own.onnx"))
    opened = encoder.open_encoder(own, encoder.preprocessing(own, image_size=64, input_size=SIDE, scaling="0..1"))
    head = classifier.export_head(heads.build_head(8, 2, HeadSettings(layers=("dense 4",)), seed=0))
    made = Classifier(classifier.join(opened.network(), head), TWO)
    bundle.write(
        tmp_path / "m",
        made,
        about=made_bundles.provenance(TWO.classes, opened.preprocessing),
        metrics=made_bundles.metrics(),
        recipe="",
    )
    images = np.random.default_rng(0).integers(0, 256, (9, 64, 64), dtype=np.uint8)
    np.testing.assert_array_equal(bundle.load(tmp_path / "m").classifier.logits(images), made.logits(images))


@pytest.mark.parametrize("name", rows(slow=["mobilenet", "convnext_tiny"]))
def test_every_backbone_is_allowed_up_to_512_px_and_at_the_size_of_its_images(name, tmp_path):
    row = backbones.BACKBONES[name]
    settings = HeadSettings(layers=("dense 8", "dropout 0.5"))
    head = classifier.export_head(heads.build_head(row.width, 2, settings, seed=0))
    for image_size, input_size in ((256, 224), (256, 512), (1024, 1024), (2048, 224)):
        prepare = encoder.preprocessing(row, image_size=image_size, input_size=input_size)
        path = tmp_path / "encoder.onnx"
        path.write_bytes(encoder.to_onnx(empty_network(row, input_size), prepare).SerializeToString())
        checked = check.check(classifier.join(path.read_bytes(), head))
        assert checked.image_size == image_size
        assert checked.widths == {"features": row.width, "logits": 1, "maps": row.width, "slopes": 1}


def test_what_may_not_be_opened_is_not_written_and_the_old_file_stays(tmp_path):
    model = network()
    node(model, "TopK", ["features", constant(model, whole(1))], outputs=2)
    path = tmp_path / "m"
    path.write_bytes(b"old")
    with pytest.raises(BundleError, match=r"a bundle can hold.*operator TopK that is not allowed") as caught:
        bundle.write(
            path,
            Classifier(model.SerializeToString(), TWO),
            about=made_bundles.provenance(TWO.classes),
            metrics=made_bundles.metrics(),
            recipe="",
        )
    assert "\n" not in str(caught.value)
    assert [each.name for each in tmp_path.iterdir()] == ["m"]
    assert path.read_bytes() == b"old"


# Limits, from both sides


def checked(model):
    return check.check(model.SerializeToString())


def refused(model, why):
    with pytest.raises(NetworkRefused, match=why):
        checked(model)


def test_the_bytes_of_an_image_are_counted_node_after_node():
    """1024 of the image, 4096 as floats; then these, a mean of 128 and what its kernel takes beside: twice 4096."""
    assert checked(network()).activations == 4096 + 128 + 2 * 4096
    model = network()
    for _ in range(3):  # each needs the one before alone, and a fourth of no use is gone at once
        model.graph.node.append(
            helper.make_node("Relu", [model.graph.node[-1].output[0]], [f"r{len(model.graph.node)}"])
        )
    assert checked(model).activations == 4096 + 128 + 2 * 4096
    model = network()
    kept = [picture(model, -1, 1024) for _ in range(4)]
    node(model, "Sum", kept)
    assert checked(model).activations == 5 * 4096 + 2 * 4096 + 128 + 4


@pytest.mark.parametrize(("version", "allowed"), [(12, False), (13, True), (25, True), (26, False)])
def test_operators_of_versions_13_to_25_are_known(version, allowed):
    model = network()
    model.opset_import[0].version = version
    if version < 18:
        del model.graph.node[1].input[1:]
        model.graph.node[1].attribute.append(helper.make_attribute("axes", [1]))
    if allowed:
        assert checked(model).image_size == SIDE
    else:
        refused(model, f"operators of version {version}, IR {model.ir_version}, unknown here")


@pytest.mark.parametrize(("version", "allowed"), [(6, False), (7, True), (14, True), (15, False)])
def test_files_of_versions_7_to_14_are_known(version, allowed):
    model = network()
    model.ir_version = version
    if allowed:
        assert checked(model).image_size == SIDE
    else:
        refused(model, f"IR {version}, unknown here")


@pytest.mark.parametrize(("side", "allowed"), [(31, False), (32, True), (2048, True), (2049, False)])
def test_images_have_32_to_2048_px(side, allowed):
    model = network(side=side)
    if allowed:
        assert (checked(model).image_size, checked(model).widths) == (side, {"features": side, "logits": 1})
    else:
        refused(model, f"takes images of {side} px, not 32 to 2048")


def test_a_network_has_at_most_8000_nodes():
    model = network()
    while len(model.graph.node) < 8000:
        node(model, "Identity", ["features"])
    assert checked(model).image_size == SIDE
    node(model, "Identity", ["features"])
    refused(model, "mostly not weights")


def test_a_file_has_at_most_8_MiB_beside_its_weights():
    model = network()
    model.doc_string = "x" * (8 << 20)
    weights = sum(numpy_helper.to_array(each).nbytes for each in model.graph.initializer)
    model.doc_string = model.doc_string[: (8 << 20) - (len(model.SerializeToString()) - weights - (8 << 20))]
    assert len(model.SerializeToString()) - weights == 8 << 20
    assert checked(model).image_size == SIDE
    model.doc_string += "x"
    refused(model, "mostly not weights")


def test_an_image_may_take_56_MiB_beside_as_much_as_the_weights():
    """A batch of images as one tensor of n copies of its 4 KiB as floats, its kernel taking as much again."""

    def grown(copies, weights):
        model = network()
        if weights:
            constant(model, np.zeros(weights // 4, np.float32))
        node(model, "Concat", [picture(model, -1, 1024)] * copies, axis=1)
        return model

    held = sum(numpy_helper.to_array(each).nbytes for each in grown(1, 0).graph.initializer)
    copies = (56 << 20) // 4096 - 2  # beside the floats themselves, features and logits
    assert checked(grown(copies, 0)).activations <= (56 << 20) + held
    refused(grown(copies + 2, 0), "more than its size and its images justify")
    assert checked(grown(copies + 2, 1 << 20)).activations > 56 << 20


def test_expressions_of_constants_may_come_to_1_MiB_beside_as_much_as_the_weights():
    own = sum(numpy_helper.to_array(each).nbytes for each in network().graph.initializer)
    for more, allowed in ((0, True), (1, False)):
        model = network()
        row = constant(model, np.ones((own + (1 << 20)) // 4 + more, np.float32))
        node(model, "Concat", [row, row], axis=0)
        if allowed:
            assert checked(model).image_size == SIDE
        else:
            refused(model, "multiplies constants out")


@pytest.mark.parametrize("place", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 4])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_weight_is_infinite_wherever_it_stands(value, place):
    model, values = network(), np.zeros((1 << 20) + 5, np.float32)
    constant(model, values.copy())
    assert checked(model).image_size == SIDE
    values[place] = value
    constant(model, values)
    refused(model, "NaN or infinite")


def test_an_attribute_is_finite_too():
    model = network()
    node(model, "Constant", [], value=numpy_helper.from_array(reals(1, np.nan)))
    refused(model, "NaN or infinite")


def test_weights_from_a_kibibyte_on_become_inputs():
    model = network()
    small, large = constant(model, np.zeros(255, np.float32)), constant(model, np.zeros(256, np.float32))
    assert set(checked(model).bare()[1]) == {large}
    assert small not in checked(model).bare()[1]


def test_an_encoder_alone_can_be_checked():
    model = network()
    del model.graph.output[1]
    assert check.check(model.SerializeToString(), outputs=("features",)).widths == {"features": 32}
    with pytest.raises(NetworkRefused, match="does not give logits"):
        check.check(model.SerializeToString(), outputs=("logits",))


def test_a_network_that_answers_otherwise_once_it_is_prepared_for_speed_is_refused(tmp_path, monkeypatch):
    bundle.write(
        tmp_path / "m",
        Classifier(network().SerializeToString(), TWO),
        about=made_bundles.provenance(TWO.classes),
        metrics=made_bundles.metrics(),
        recipe="",
    )
    opened = bundle.load(tmp_path / "m").classifier

    class Other:
        def run(self, images, *_names):
            return [np.ones((len(images), 1), np.float32)]

    monkeypatch.setattr(Classifier, "_prepare", lambda _: Other())
    for _ in range(2):
        with pytest.raises(BundleError, match="other answers here"):
            opened.logits(np.zeros((1, SIDE, SIDE), np.uint8))
