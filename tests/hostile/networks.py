"""Networks whose weights lie elsewhere or are none, and operators that are not allowed."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hostile.base import SIDE, Change, add_weight, attack, case, constant, node, packed, sized

# fmt: off

def external(location: str, **more: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        weight = model.graph.initializer[-1]
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, "offset": "0", "length": str(4 * SIDE), **more}.items():
            entry = weight.external_data.add()
            entry.key, entry.value = key, value

    return change


for place in ("canary.bin", "./canary.bin", "../canary.bin", "/etc/passwd", "*/_ORT_MEM_ADDR_/*", "network.onnx"):
    attack(f"weights in {place}", external(place), "in other files")


def marked_external(model: onnx.ModelProto) -> None:
    model.graph.initializer[-1].data_location = TensorProto.EXTERNAL


attack("weights marked as elsewhere", marked_external, "in other files")
attack(
    "a place of weights beside the weights",
    lambda m: m.graph.initializer[-1].external_data.add(key="location", value="canary.bin"),
    "in other files",
)


def constant_elsewhere(model: onnx.ModelProto) -> None:
    tensor = TensorProto(name="t", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="canary.bin")
    model.graph.node.append(helper.make_node("Constant", [], ["z"], value=tensor))


attack("a constant elsewhere", constant_elsewhere, "in other files")
REFUSED_OPS = ["If", "Loop", "Scan", "SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceAt", "SplitToSequence", "ConcatFromSequence", "SequenceMap", "Optional", "OptionalGetElement", "OptionalHasElement", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial", "EyeLike", "OneHot", "NonZero", "Compress", "Unique", "TopK", "DequantizeLinear", "QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "ConvInteger", "ConvTranspose", "GridSample", "RoiAlign", "MaxUnpool", "MaxRoiPool", "ScatterND", "ScatterElements", "GatherND", "GatherElements", "DFT", "STFT", "MelWeightMatrix", "BlackmanWindow", "HannWindow", "HammingWindow", "NonMaxSuppression", "StringNormalizer", "StringConcat", "StringSplit", "RegexFullMatch", "TfIdfVectorizer", "ImageDecoder", "LSTM", "GRU", "RNN", "Det", "Hardmax", "CenterCropPad", "Col2Im", "Upsample", "Scatter", "ReverseSequence", "RotaryEmbedding", "SoftmaxCrossEntropyLoss", "Adam", "NoSuchOperator"]
for op in REFUSED_OPS:
    attack(f"operator {op}", lambda m, o=op: node(m, o, ["features"]), f"has an operator {op} that is not allowed")
UNFIT = {"ConstantOfShape": "depend on the image", "Range": "without an input", "Tile": "that it does not fit", "Einsum": "whose equation", "CumSum": "without an input", "Attention": "without an input|heads"}
for op, why in UNFIT.items():
    attack(f"operator {op}", lambda m, o=op: node(m, o, ["features"]), f"has an operator {op} .*({why})")
for domain in ("com.microsoft", "ai.onnx.ml", "ai.onnx.training", "com.microsoft.nchwc", "mine"):
    attack(
        f"operator of {domain}",
        lambda m, d=domain: m.graph.node.append(helper.make_node("Relu", ["features"], ["z"], domain=d)),
        "not ONNX's own",
    )
attack("no operator", lambda m: node(m, "", ["features"]), "not allowed")


def own_function(model: onnx.ModelProto) -> None:
    model.functions.append(
        helper.make_function(
            "mine", "F", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [helper.make_opsetid("", 18)]
        )
    )


attack("a function", own_function, "functions of its own")
attack("an overload", lambda m: setattr(m.graph.node[0], "overload", "x"), "functions of its own")
attack("training", lambda m: m.training_info.add(), "training steps")
attack("an attribute by reference", lambda m: m.graph.node[0].attribute[0].__setattr__("ref_attr_name", "x"), "functions of its own")
attack("sparse weights", lambda m: m.graph.sparse_initializer.add().dims.extend([2**40]), "sparse weights")
attack("quantization", lambda m: m.graph.quantization_annotation.add(), "quantization")


def sub_graph(model: onnx.ModelProto, *, kind: str = "g") -> None:
    attribute = model.graph.node[0].attribute.add(name="body", type=onnx.AttributeProto.GRAPH)
    inner = attribute.g if kind == "g" else attribute.graphs.add()
    inner.name = "inner"


attack("a graph in a node", sub_graph, "a graph inside a node")
attack("graphs in a node", lambda m: sub_graph(m, kind="graphs"), "a graph inside a node")


def nested(depth: int) -> bytes:
    """A graph in a node in a graph …, by hand: protobuf's own writer stops at 100."""
    data = b""
    for _ in range(depth):
        data = sized(1, sized(5, sized(6, data)))  # graph.node.attribute.g
    return b"\x08\x0a" + sized(7, data)


for depth in (2, 150, 20_000):
    case(f"network: graphs {depth} deep", lambda c, d=depth: packed({**c, "network.onnx": nested(d)}), "a graph inside a node")
for label, fields in {"too many bytes": {"dims": [3], "raw_data": bytes(16)}, "too few bytes": {"dims": [4], "raw_data": bytes(12)},
                      "no bytes": {"dims": [1 << 20]}, "half a number": {"dims": [1], "raw_data": bytes(3)},
                      "terabytes": {"dims": [1 << 20, 1 << 20], "raw_data": bytes(4)},
                      "an overflow of 64 bits": {"dims": [1 << 30, 1 << 30, 16], "raw_data": b""},
                      "packed numbers": {"dims": [5], "float_data": [1.0]}, "double": {"dims": [2], "data_type": 11, "raw_data": bytes(8)},
                      "int64 as bytes": {"dims": [1], "data_type": 7, "raw_data": bytes(4)}}.items():  # fmt: skip
    attack(f"weights with {label}", add_weight(**fields), "shape does not fit their bytes")
for label, dims in {"a negative side": [-1], "two negative sides": [-2, -2], "a side of 2 to the 40": [1 << 40], "nine sides": [1] * 9}.items():
    attack(f"weights with {label}", add_weight(dims=dims, raw_data=bytes(16)), "impossible shape")
for number in (0, 4, 5, 8, 10, 12, 13, 14, 15, 16, 17, 20, 21, 23, 99):
    attack(f"weights of type {number}", add_weight(data_type=number, dims=[0]), "a type")
attack("weights as text", add_weight(data_type=8, dims=[1], string_data=[b"x"]), "text as weights")
attack("weights in segments", lambda m: m.graph.initializer[-1].segment.__setattr__("begin", 1), "in segments")
attack("weights in two forms", add_weight(dims=[1], raw_data=bytes(4), float_data=[1.0]), "two forms")
attack("weights in another's field", add_weight(dims=[1], int64_data=[1]), "field of another")
for label, value in {"NaN": np.nan, "infinite": np.inf, "minus infinite": -np.inf}.items():
    for dtype in (np.float32, np.float64):
        attack(
            f"{dtype.__name__} weights that are {label}",
            lambda m, v=value, d=dtype: constant(m, np.array([0, v, 0], d)),
            "NaN or infinite",
        )
    attack(
        f"a constant that is {label}",
        lambda m, v=value: node(m, "Constant", [], value=numpy_helper.from_array(np.array([v], np.float32))),
        "NaN or infinite",
    )
attack("a NaN at the end of many", lambda m: constant(m, np.append(np.zeros(1_500_000, np.float32), np.nan).astype(np.float32)), "NaN or infinite")
