"""A user's own ONNX file: taken, or refused in the one line that says what to do, before any image is encoded."""

import os
import re
from functools import partial

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import made_networks
from made_networks import OWN_SIDE, endless_loop, own_mean, own_value
from plainfilm.errors import WeightsError
from plainfilm.model import backbones, encoder
from plainfilm.model.onnx import user_backbone
from plainfilm.model.onnx.user_backbone import Taken

node = helper.make_node
SIDE = 32  # pixels; a bundle's networks take no smaller images
own_backbone = partial(made_networks.own_backbone, side=SIDE)
IMAGES = own_value("images", ["n", SIDE, SIDE], TensorProto.UINT8)


def greedy(path):
    """Multiplies a picture out to 4 GB."""
    times = np.array([1, 1, 2048, 2048], np.int64)
    nodes = [
        node("ReduceMean", ["x"], ["x1"], axes=[2, 3], keepdims=1),
        node("Expand", ["x1", "times"], ["large"]),
        node("ReduceMean", ["large"], ["y"], axes=[2, 3], keepdims=0),
    ]
    return own_backbone(path, nodes, [("times", times)])


def random(path):
    return own_backbone(path, [own_mean("m"), node("RandomNormalLike", ["m"], ["y"])])


def not_a_number(path):
    nodes = [own_mean("m"), node("MatMul", ["m", "w"], ["y"])]
    return own_backbone(path, nodes, [("w", np.full((3, 3), np.nan, np.float32))])


@pytest.mark.parametrize(
    ("make", "reason"),
    [(endless_loop, "a graph inside a node"), (greedy, "MB an image"), (random, "RandomNormalLike"), (not_a_number, "NaN")],
)  # fmt: skip
def test_what_a_bundle_may_not_hold_is_refused_before_it_runs(tmp_path, monkeypatch, make, reason):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(encoder, "ImageNetwork", lambda _: pytest.fail("the network was opened"))
    monkeypatch.setattr(user_backbone, "Plain", lambda *_, **__: pytest.fail("the network was run"))
    own = backbones.find(str(make(tmp_path / "own.onnx")))
    with pytest.raises(WeightsError, match=rf"^Expected [^\n]*own\.onnx[^\n]*{reason}[^\n]*$"):
        encoder.open_encoder(
            own,
            encoder.preprocessing(
                own, image_size=SIDE, scaling="0..1", input_size=OWN_SIDE if make is endless_loop else SIDE
            ),
        )
    assert not list((tmp_path / "cache").rglob("*.network"))


def prelude(graph, channels_last):
    """The image from 0 to 1 in three channels."""
    unit = graph.node("Mul", [graph.node("Cast", ["images"], to=TensorProto.FLOAT), graph.weight(np.float32(1 / 255))])
    axis = graph.weight(np.array([-1 if channels_last else 1]))
    return graph.node("Concat", [graph.node("Unsqueeze", [unit, axis])] * 3, axis=-1 if channels_last else 1)


def features(path, images, **taken):
    network = user_backbone.with_prelude(path, SIDE, IMAGES, prelude, taken=Taken(**taken))
    assert "features" in {each.name for each in onnx.load_from_string(network).graph.output}
    return ort.InferenceSession(network, providers=["CPUExecutionProvider"]).run(["features"], {"images": images})[0]


def refused(path, why, **taken):
    with pytest.raises(WeightsError, match=f"^Expected [^\n]*{re.escape(str(path))}[^\n]*{why}[^\n]*$"):
        user_backbone.with_prelude(path, SIDE, IMAGES, prelude, taken=Taken(**taken))


@pytest.fixture
def films():
    return np.random.default_rng(3).integers(0, 256, (2, SIDE, SIDE), np.uint8)


def test_a_file_that_is_too_large_is_not_even_read(tmp_path, monkeypatch):
    path = tmp_path / "own.onnx"
    with path.open("wb") as file:
        file.truncate(user_backbone._MOST_BYTES + 1)
    monkeypatch.setattr(user_backbone, "_parted", lambda *_: pytest.fail("read"))
    refused(path, "2,113 MB. Take a smaller network.")


@pytest.mark.parametrize("content", [b"", b"hello", bytes(100), b"\x08\x0a"])
def test_what_is_no_network_is_refused(tmp_path, content):
    path = tmp_path / "own.onnx"
    path.write_bytes(content)
    refused(path, "is none")


# Weights in a second file


def mixed(path, rows=200):
    """Means of the channels times a matrix of which the rest is large enough to be kept apart."""
    matrix = np.random.default_rng(0).normal(size=(3, 8 * rows)).astype(np.float32)
    small = np.arange(8 * rows, dtype=np.float32)[None, :7]
    nodes = [own_mean("m"), node("MatMul", ["m", "w"], ["a"]), node("Slice", ["a", "from", "to", "one"], ["b"]), node("Add", ["b", "s"], ["y"])]  # fmt: skip
    cuts = [("from", np.array([0])), ("to", np.array([7])), ("one", np.array([1]))]
    return own_backbone(path, nodes, [("w", np.tile(matrix, (1, 4))), ("s", small), *cuts], outputs=7)


def apart(path, *, small=0):
    """The same with the weights of `small` bytes and more in a second file."""
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="own.onnx.data", size_threshold=small)
    return path.with_name("own.onnx.data")


@pytest.mark.parametrize("small", [0, 1024])
def test_weights_in_a_file_beside_are_merged(tmp_path, films, small):
    path = mixed(tmp_path / "own.onnx")
    whole = features(path, films)
    assert apart(path, small=small).is_file()
    np.testing.assert_array_equal(features(path, films), whole)


def test_an_encoder_is_made_anew_where_only_the_second_file_changes(tmp_path, monkeypatch, films):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    path = mixed(tmp_path / "own.onnx")
    second = apart(path, small=1024)

    def encoded():
        own = backbones.find(str(path))
        prepare = encoder.preprocessing(own, image_size=SIDE, input_size=SIDE, scaling="0..1")
        opened = encoder.open_encoder(own, prepare)
        return opened.weights_sha256, opened.encode(films)

    before, first = encoded()
    second.write_bytes(bytes(len(second.read_bytes())))
    after, zeros = encoded()
    assert before != after
    np.testing.assert_allclose(zeros, np.tile(np.arange(7), (2, 1)))
    assert not np.isclose(first, zeros).any()


def test_a_missing_second_file_is_named(tmp_path):
    path = mixed(tmp_path / "own.onnx")
    apart(path).unlink()
    refused(path, "without own.onnx.data. Put that file into the same folder")


def test_a_second_file_that_is_cut_off_is_refused(tmp_path):
    path = mixed(tmp_path / "own.onnx")
    os.truncate(apart(path), 5000)
    refused(path, "w does not lie whole in it")


def test_a_second_file_that_is_a_link_to_elsewhere_is_refused(tmp_path):
    path, other = mixed(tmp_path / "own.onnx"), tmp_path / "other"
    other.mkdir()
    second = apart(path)
    second.rename(other / "data")
    second.symlink_to(other / "data")
    refused(path, "a link to elsewhere. Copy both files into one folder")


@pytest.mark.parametrize("location", ["../own.onnx.data", "/etc/passwd", "sub/own.onnx.data", "", ".", "..", "a" * 300])
def test_weights_in_another_folder_are_not_read(tmp_path, location):
    path = mixed(tmp_path / "own.onnx")
    apart(path)
    model = onnx.load(path, load_external_data=False)
    for weight in model.graph.initializer:
        weight.external_data[0].value = location
    path.write_bytes(model.SerializeToString())
    refused(path, "a file elsewhere|in it or in a file beside it")


@pytest.mark.parametrize(
    ("key", "value"), [("offset", "-8"), ("offset", "99999999"), ("offset", "x"), ("length", "4"), ("length", "-1"), ("length", "1e3")]
)  # fmt: skip
def test_a_place_in_the_second_file_that_cannot_be_is_refused(tmp_path, key, value):
    path = mixed(tmp_path / "own.onnx")
    apart(path)
    model = onnx.load(path, load_external_data=False)
    told = next(each for each in model.graph.initializer[0].external_data if each.key == key)
    told.value = value
    path.write_bytes(model.SerializeToString())
    refused(path, "does not lie whole in it")


# What a network takes and gives


def test_a_network_for_one_image_at_a_time_is_refused(tmp_path):
    flat = [node("Reshape", ["x", "shape"], ["r"]), node("ReduceMean", ["r"], ["y"], axes=[2], keepdims=0)]
    path = own_backbone(tmp_path / "own.onnx", flat, [("shape", np.array([1, 3, SIDE**2]))])
    refused(path, "takes one at a time. Export it with its first axis free: dynamic_shapes")


def test_a_network_that_says_one_image_and_takes_any_is_taken(tmp_path, films):
    path = own_backbone(tmp_path / "own.onnx", [own_mean()])
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, path)
    assert features(path, films).shape == (2, 3)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (TensorProto.FLOAT16, r"weights in float16: model.float\(\) makes them float32"),
        (TensorProto.BFLOAT16, r"weights in bfloat16: model.float\(\) makes them float32"),
        (TensorProto.FLOAT8E4M3FN, "weights in float8e4m3fn: float32 is wanted, so a network before it is quantised"),
        (TensorProto.INT4, "weights in int4: float32 is wanted, so a network before it is quantised"),
        (TensorProto.STRING, "weights in string: float32 is wanted"),
        (999, "weights in a type 999 that ONNX does not have: float32 is wanted"),
        (0, "weights in a type that it does not name: float32 is wanted"),
    ],
)
@pytest.mark.parametrize("beside", [False, True])
def test_weights_of_other_types_are_refused_by_their_name(tmp_path, kind, why, beside):
    path = mixed(tmp_path / "own.onnx")
    if beside:
        apart(path)
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].data_type = kind
    path.write_bytes(model.SerializeToString())
    refused(path, why)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (TensorProto.FLOAT16, r"which takes float16. Export it again with model.float\(\)"),
        (TensorProto.UINT8, "which takes uint8. Export the part of it that takes float32 images"),
        (999, "which takes a type 999 that ONNX does not have. Export"),
        (0, "which does not say of what type its input is. Export it again"),
        (None, "which does not say of what type its input is. Export it again"),
    ],
)
def test_a_network_that_takes_other_types_is_refused_by_their_name(tmp_path, kind, why):
    model = onnx.load(own_backbone(tmp_path / "own.onnx", [own_mean()]))
    if kind is None:
        model.graph.input[0].ClearField("type")
    else:
        model.graph.input[0].type.tensor_type.elem_type = kind
    (tmp_path / "own.onnx").write_bytes(model.SerializeToString())
    refused(tmp_path / "own.onnx", why)


def test_a_network_that_takes_a_sequence_is_refused(tmp_path):
    model = onnx.load(own_backbone(tmp_path / "own.onnx", [own_mean()]))
    model.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None))
    (tmp_path / "own.onnx").write_bytes(model.SerializeToString())
    refused(tmp_path / "own.onnx", "which takes a sequence. Export one that takes a tensor")


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (node("Cast", ["m"], ["y"], to=TensorProto.FLOAT16), r"to a type that is not allowed here\. It computes in another type"),
        (node("Cast", ["m"], ["y"], to=999), "to a type that is not allowed here"),
        (node("Cast", ["m"], ["y"], to="x"), "operator Cast"),
        (node("Constant", [], ["y"], value=helper.make_tensor("c", TensorProto.FLOAT16, [1], [0.5])), r"Its weights or constants are not float32"),
    ],
)  # fmt: skip
def test_other_types_inside_are_refused(tmp_path, last, why):
    refused(own_backbone(tmp_path / "own.onnx", [own_mean("m"), last]), why)


@pytest.mark.parametrize("sides", [["b", "c", "h", "w"], ["b", 3, "h", "w"], ["b", "c", SIDE, SIDE]])
def test_a_network_whose_sides_are_free_and_of_an_old_form_is_taken(tmp_path, films, sides):
    path = own_backbone(tmp_path / "own.onnx", [own_mean()])
    model = onnx.load(path)
    model.graph.input[0].CopyFrom(own_value("x", sides))
    model.ir_version = 4
    path.write_bytes(model.SerializeToString())
    np.testing.assert_allclose(
        features(path, films), np.repeat(films.mean((1, 2))[:, None], 3, axis=1) / 255, rtol=1e-5
    )


def channels_last(path, sides):
    """A convolution of images (n, h, w, channels)."""
    nodes = [node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]), node("Conv", ["t", "w"], ["c"]), node("ReduceMean", ["c"], ["y"], axes=[2, 3], keepdims=0)]  # fmt: skip
    model = onnx.load(own_backbone(path, nodes, [("w", np.ones((3, 3, 3, 3), np.float32))]))
    model.graph.input[0].CopyFrom(own_value("x", sides))
    onnx.save(model, path)
    return path


def test_channels_that_are_last_and_free_are_known_by_the_sides_before_them(tmp_path, films):
    free = ["n", SIDE, SIDE, "c"], ["n", SIDE, SIDE, 3]
    given, told = (features(channels_last(tmp_path / f"{at}.onnx", sides), films) for at, sides in enumerate(free))
    np.testing.assert_array_equal(given, told)
    path = channels_last(tmp_path / "own.onnx", ["n", "h", "w", "c"])
    refused(
        path,
        r"do not fit\. Set backbone\.input_size to the side that it was exported for, or export it with its sides told",
    )


@pytest.mark.parametrize("name", ["x", "y", "m"])
def test_names_that_are_no_text_are_refused(tmp_path, name):
    path = own_backbone(tmp_path / "own.onnx", [own_mean("m"), node("Neg", ["m"], ["y"])])
    path.write_bytes(path.read_bytes().replace(b"\x01" + name.encode(), b"\x01\xff"))
    refused(path, "has names that are no text")


@pytest.mark.parametrize("name", ["ghost", "x"])
def test_an_output_that_no_operator_makes_is_refused(tmp_path, name):
    model = onnx.load(own_backbone(tmp_path / "own.onnx", [own_mean()]))
    model.graph.output[0].name = name
    (tmp_path / "own.onnx").write_bytes(model.SerializeToString())
    refused(tmp_path / "own.onnx", f'none of which makes "{name}"')


QUANTISED = "A bundle holds no quantised networks: export the float32 network before it is quantised"


@pytest.mark.parametrize(
    ("op", "domain", "why"),
    [
        *((op, "", QUANTISED) for op in ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")),
        *((op, "com.microsoft", QUANTISED) for op in ("MatMulNBits", "QAttention", "QGemm", "QLinearAdd", "DynamicQuantizeMatMul", "MatMulIntegerToFloat")),
        *((op, "", "A bundle holds no recurrent networks: export a convolutional") for op in ("LSTM", "GRU", "RNN")),
        ("FusedConv", "com.microsoft", "without ONNX Runtime's or other fused operators"),
        ("RandomNormalLike", "", r"Export it after model.eval\(\), which leaves nothing random"),
        ("Det", "", "Export it without that"),
    ],
)  # fmt: skip
def test_what_to_export_instead_is_said_by_the_kind_of_operator(tmp_path, op, domain, why):
    nodes = [own_mean("m"), node(op, ["m"], ["y"], domain=domain)]
    refused(own_backbone(tmp_path / "own.onnx", nodes), f"{op}.*{why}")


def tokens(path, count=20):
    """Two outputs: tokens (n, 20, 3), the first 4 beside 16 of patches, and what the first has times 2."""
    nodes = [own_mean("m"), node("Unsqueeze", ["m", "one"], ["u"]), node("Mul", ["u", "ramp"], ["t"]), node("Identity", ["t"], ["y"]), node("Add", ["m", "m"], ["pooled"])]  # fmt: skip
    made = own_backbone(
        path, nodes, [("one", np.array([1])), ("ramp", np.arange(count, dtype=np.float32)[None, :, None] + 1)]
    )
    model = onnx.load(made)
    model.graph.output[0].CopyFrom(own_value("y", ["n", count, 3]))
    model.graph.output.append(own_value("pooled", ["n", 3]))
    onnx.save(model, path)
    return path


def test_tokens_become_features_as_they_are_asked_for(tmp_path, films):
    path = tokens(tmp_path / "own.onnx")
    means = np.repeat(films.mean((1, 2))[:, None], 3, axis=1) / 255
    refused(
        path,
        r'whose output "y" is \(n, 20, 3\). Set backbone.pooling=cls .* 20 tokens, each of 3 features.* or mean .* backbone.output=pooled',
    )
    np.testing.assert_allclose(features(path, films, pooling="cls"), means, rtol=1e-5)
    np.testing.assert_allclose(features(path, films, pooling="mean"), means * np.arange(5, 21).mean(), rtol=1e-5)
    np.testing.assert_allclose(features(path, films, output="pooled"), 2 * means, rtol=1e-5)
    np.testing.assert_allclose(features(path, films, output="m"), means, rtol=1e-5)
    refused(path, 'whose outputs are "y", "pooled"; received "ghost"', output="ghost")
    refused(path, "Nothing is left to pool: leave backbone.pooling=mean out", output="pooled", pooling="mean")
    refused(path, "has no pooler of its own", pooling="pooler")


def test_the_last_of_several_maps_is_named(tmp_path):
    nodes = [node("Relu", ["x"], ["y"]), node("AveragePool", ["x"], ["deep"], kernel_shape=[8, 8], strides=[8, 8])]
    model = onnx.load(own_backbone(tmp_path / "own.onnx", nodes))
    model.graph.output[0].CopyFrom(own_value("y", ["n", 3, SIDE, SIDE]))
    model.graph.output.append(own_value("deep", ["n", 3, SIDE // 8, SIDE // 8]))
    onnx.save(model, tmp_path / "own.onnx")
    refused(tmp_path / "own.onnx", r"pooling=mean\. Its last output is \(n, 3, 4, 4\): backbone\.output=deep\.")


@pytest.mark.parametrize(
    ("count", "patches"), [(17, 16), (16, 16), (11, 9), (50, 49), (1370, 1369), (1374, 1369), (601 - 25 + 9, 576)]
)
def test_the_mean_is_of_patches_without_the_tokens_before_them(tmp_path, films, count, patches):
    path = tokens(tmp_path / "own.onnx", count)
    means = np.repeat(films.mean((1, 2))[:, None], 3, axis=1) / 255
    expected = means * np.arange(count - patches + 1, count + 1).mean()
    np.testing.assert_allclose(features(path, films, pooling="mean"), expected, rtol=1e-4)


@pytest.mark.parametrize("pooling", ["auto", "cls", "mean"])
def test_features_before_tokens_are_not_pooled_over_the_wrong_side(tmp_path, pooling):
    nodes = [node("AveragePool", ["x"], ["p"], kernel_shape=[8, 8], strides=[8, 8]), node("Concat", ["p"] * 8, ["c"], axis=1), node("Reshape", ["c", "shape"], ["y"])]  # fmt: skip
    path = own_backbone(tmp_path / "own.onnx", nodes, [("shape", np.array([0, 24, 16]))])
    refused(path, "24 tokens of 16 features, but 16 looks like .* export it with tokens first", pooling=pooling)


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_map_becomes_its_mean(tmp_path, films, channels_last):
    order = [0, 2, 3, 1] if channels_last else [0, 1, 2, 3]
    path = own_backbone(tmp_path / "own.onnx", [node("Transpose", ["x"], ["y"], perm=order)])
    refused(path, r"Set backbone.pooling=mean\.")
    refused(path, r"Set backbone.pooling=mean\.", pooling="cls")
    means = np.repeat(films.mean((1, 2))[:, None], 3, axis=1) / 255
    np.testing.assert_allclose(features(path, films, pooling="mean"), means, rtol=1e-5)


def classifier(path, op, outputs=1000):
    matrix = np.random.default_rng(0).normal(size=(3, outputs)).astype(np.float32)
    last = [node("Gemm", ["m", "w", "b"], ["y"])] if op == "Gemm" else [node("MatMul", ["m", "w"], ["z"]), node("Add", ["z", "b"], ["s"]), node("Softmax", ["s"], ["y"])]  # fmt: skip
    return own_backbone(
        path, [own_mean("m"), *last], [("w", matrix), ("b", np.zeros(outputs, np.float32))], outputs=outputs
    )


@pytest.mark.parametrize("op", ["Gemm", "MatMul"])
def test_what_a_classifier_of_imagenet_says_is_not_taken_for_features(tmp_path, films, op):
    path = classifier(tmp_path / "own.onnx", op)
    refused(
        path,
        "whose 1,000 outputs are a classifier's of ImageNet. Set backbone.output=m for the 3 features before, or backbone.output=y",
    )
    assert features(path, films, output="m").shape == (2, 3)
    assert features(path, films, output="y").shape == (2, 1000)
    assert features(classifier(path, op, outputs=999), films).shape == (2, 999)


def test_a_network_that_gives_no_numbers_is_refused(tmp_path):
    nodes = [own_mean("m"), node("Sub", ["m", "m"], ["z"]), node("Div", ["m", "z"], ["y"])]
    refused(own_backbone(tmp_path / "own.onnx", nodes), "gave NaN or infinity")


def of_the_batch(path, *, axes, spread):
    """Features from which the mean of the whole batch is taken away: of features, or of pixels, whose mean distance from it is left."""
    taken = "x" if spread else "m"
    nodes = [own_mean("m"), node("ReduceMean", [taken], ["all"], axes=axes, keepdims=1), node("Sub", [taken, "all"], ["d"])]  # fmt: skip
    nodes += [node("Abs", ["d"], ["a"]), node("ReduceMean", ["a"], ["y"], axes=[2, 3], keepdims=0)] if spread else [node("Identity", ["d"], ["y"])]  # fmt: skip
    return own_backbone(path, nodes)


@pytest.mark.parametrize(("axes", "spread"), [([0], False), ([0, 2, 3], True)])
def test_features_that_depend_on_the_other_images_are_refused(tmp_path, axes, spread):
    path = of_the_batch(tmp_path / "own.onnx", axes=axes, spread=spread)
    refused(path, "gives others beside another image. Export it after model.eval")


ENDS = [
    ("0", np.array([0])),
    ("1", np.array([1])),
    ("2", np.array([2])),
    ("-1", np.array([-1])),
    ("many", np.array([2**31])),
]


def sliced(start, end, name):
    """Features "m" of the images from one to another, along the batch."""
    return node("Slice", ["m", start, end, "0"], [name])


# What features an image has of the others.
TAKEN = {
    "a third image of the first": [sliced("0", "2", "two"), sliced("2", "many", "rest"), sliced("0", "1", "first"), node("Mul", ["rest", "first"], ["changed"]), node("Concat", ["two", "changed"], ["y"], axis=0)],
    "all of the first": [sliced("0", "1", "first"), node("Sub", ["m", "first"], ["y"])],
    "all of the last": [sliced("-1", "many", "last"), node("Sub", ["m", "last"], ["y"])],
    "later ones of the first": [sliced("0", "1", "first"), sliced("1", "many", "rest"), node("Sub", ["rest", "first"], ["changed"]), node("Concat", ["first", "changed"], ["y"], axis=0)],
    "the first for all": [sliced("0", "1", "first"), node("Mul", ["m", "0.0"], ["none"]), node("Add", ["none", "first"], ["y"])],
    "the last for all": [sliced("-1", "many", "last"), node("Mul", ["m", "0.0"], ["none"]), node("Add", ["none", "last"], ["y"])],
    "those before": [node("CumSum", ["m", "axis"], ["y"])],
    "those behind": [node("CumSum", ["m", "axis"], ["y"], reverse=1)],
    "the next one's": [sliced("0", "1", "first"), sliced("1", "many", "rest"), node("Concat", ["rest", "first"], ["y"], axis=0)],
    "their number": [node("ReduceSum", ["ones", "0"], ["n"], keepdims=0), node("Div", ["m", "n"], ["y"])],
    "their place": [node("CumSum", ["ones", "axis"], ["place"]), node("Add", ["m", "place"], ["y"])],
}  # fmt: skip


@pytest.mark.parametrize("taken", TAKEN)
def test_whatever_an_image_has_of_the_others_is_refused(tmp_path, taken):
    weights = [*ENDS, ("0.0", np.float32(0)), ("axis", np.array(0))]
    ones = [node("Mul", ["m", "0.0"], ["zeros"]), node("Exp", ["zeros"], ["ones"])]
    path = own_backbone(tmp_path / "own.onnx", [own_mean("m"), *ones, *TAKEN[taken]], weights)
    refused(path, "gives others beside another image")


def test_what_onnx_runtime_does_not_run_is_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(user_backbone, "Plain", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("a\nb")))
    refused(own_backbone(tmp_path / "own.onnx", [own_mean()]), "it cannot be done")


def test_what_exporters_tell_of_themselves_is_left_out(tmp_path):
    path = own_backbone(tmp_path / "own.onnx", [own_mean(), node("Neg", ["y"], ["unused"])])
    model = onnx.load(path)
    for each in model.graph.node:
        each.name, each.doc_string = "layer", "a" * 100
        each.metadata_props.add(key="stack", value="b" * 100)
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(100_000, np.float32), "idle"))
    onnx.save(model, path)
    network = user_backbone.with_prelude(path, SIDE, IMAGES, prelude)
    assert len(network) < 2000
    assert "Neg" not in {each.op_type for each in onnx.load_from_string(network).graph.node}
