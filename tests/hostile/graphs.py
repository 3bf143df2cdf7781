"""Networks with other inputs, outputs, names or versions than they may have."""

import numpy as np
import onnx
from onnx import TensorProto, helper

from hostile.base import Change, add_weight, attack, constant, node


# fmt: off
def takes(sides: list[object], *, name: str = "images", dtype: int = TensorProto.UINT8) -> Change:
    return lambda m: m.graph.input[0].CopyFrom(helper.make_tensor_value_info(name, dtype, sides))


for label, change in {"floats": takes(["n", 32, 32], dtype=1), "another name": takes(["n", 32, 32], name="pictures"), "four sides": takes(["n", 1, 32, 32]),
                      "two sides": takes(["n", 1024]), "no square": takes(["n", 32, 64]), "a fixed batch": takes([1, 32, 32]),
                      "no shape": lambda m: m.graph.input[0].type.tensor_type.ClearField("shape"), "no type": lambda m: m.graph.input[0].ClearField("type")}.items():  # fmt: skip
    attack(f"takes {label}", change, "does not take uint8|uses a tensor before")
for sides in (["n", 31, 31], ["n", 2049, 2049], ["n", 0, 0], ["n", 1 << 40, 1 << 40], ["n", "s", "s"], ["n", -32, -32]):
    attack(f"takes {sides}", takes(sides), "px, not 32 to 2048")
attack("no input", lambda m: m.graph.ClearField("input"), "number of inputs")
attack("two inputs", lambda m: m.graph.input.append(helper.make_tensor_value_info("more", 1, [1])), "number of inputs")
attack(
    "a sequence as input",
    lambda m: m.graph.input[0].type.CopyFrom(helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, None))),
    "sequences",
)
attack(
    "an optional input",
    lambda m: m.graph.input[0].type.CopyFrom(helper.make_optional_type_proto(helper.make_tensor_type_proto(1, None))),
    "optional tensors",
)
attack("a map as input", lambda m: m.graph.input[0].type.map_type.__setattr__("key_type", 7), "maps")
attack("a sparse input", lambda m: m.graph.input[0].type.sparse_tensor_type.__setattr__("elem_type", 1), "sparse tensors")


def gives(name: str, sides: list[object] | None, dtype: int = 1) -> Change:
    return lambda m: m.graph.output.append(helper.make_tensor_value_info(name, dtype, sides))


attack(
    "gives something else",
    lambda m: (
        node(m, "Relu", ["features"]),
        m.graph.output.append(helper.make_tensor_value_info(m.graph.node[-1].output[0], 1, ["n", 32])),
    ),
    "none of features, logits",
)
attack("says whole numbers and gives floats", lambda m: m.graph.output[1].type.tensor_type.__setattr__("elem_type", 7), "in float32")
attack("gives what is not there", gives("maps", ["n", 1]), "not there")
attack("gives no logits", lambda m: m.graph.output.pop(), "does not give features and logits")
attack("gives no features", lambda m: m.graph.output.pop(0), "does not give features and logits")
attack("gives logits twice", gives("logits", ["n", 1]), "does not give features and logits")
attack("gives nothing", lambda m: m.graph.ClearField("output"), "does not give features and logits")
attack(
    "gives doubles",
    lambda m: (
        m.graph.node.append(helper.make_node("Cast", ["features"], ["maps"], to=11)),
        gives("maps", ["n", 32], 11)(m),
    ),
    "in float32",
)
attack(
    "says float and gives whole numbers",
    lambda m: (
        m.graph.node.append(helper.make_node("Cast", ["features"], ["maps"], to=7)),
        gives("maps", ["n", 32])(m),
    ),
    "in float32",
)
attack(
    "gives one row for all",
    lambda m: (m.graph.node.append(helper.make_node("ReduceMean", ["features"], ["maps"])), gives("maps", None)(m)),
    "one row",
)
for told_sides in (["n", 2], ["n", 1, 1], [5, 1], ["n"]):
    attack(
        f"says that logits are {told_sides}",
        lambda m, s=told_sides: m.graph.output[1].CopyFrom(helper.make_tensor_value_info("logits", 1, s)),
        "tells the wrong shape of logits",
    )
attack(
    "does not say how many logits",
    lambda m: m.graph.output[1].CopyFrom(helper.make_tensor_value_info("logits", 1, ["n", "k"])),
    r"does not give logits \(n, width\)",
)
for told_sides in (["n", 1 << 20], ["n", 31], ["n"], [1, 32], ["n", 32, 1]):
    attack(
        f"says that features are {told_sides} on the way",
        lambda m, s=told_sides: m.graph.value_info.append(helper.make_tensor_value_info("features", 1, s)),
        "tells the wrong shape",
    )
attack("tells of a tensor that is not there", lambda m: m.graph.value_info.append(helper.make_tensor_value_info("ghost", 1, [1])), "not there")
attack("two weights of one name", lambda m: m.graph.initializer.append(m.graph.initializer[0]), "two weights of one name")
attack("a weight without a name", lambda m: m.graph.initializer.append(TensorProto(data_type=1, dims=[0])), "two weights of one name")
attack("a weight named as the input", lambda m: constant(m, np.zeros(1, np.float32), "images"), "two tensors of one name")
attack("a weight named as a result", lambda m: constant(m, np.zeros(1, np.float32), "features"), "two tensors of one name")
attack("a result twice", lambda m: m.graph.node.append(helper.make_node("Relu", ["features"], ["features"])), "two tensors of one name")
attack("a result without a name", lambda m: m.graph.node.append(helper.make_node("Relu", ["features"], [""])), "or one without")
attack("a node that uses itself", lambda m: m.graph.node.append(helper.make_node("Relu", ["z"], ["z"])), "before it is there")
attack(
    "nodes in a circle",
    lambda m: m.graph.node.extend([helper.make_node("Relu", ["b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]),
    "before it is there",
)
attack("nodes out of order", lambda m: m.graph.node.insert(0, m.graph.node.pop()), "before it is there")
attack("an input that is not there", lambda m: node(m, "Relu", ["ghost"]), "before it is there")
attack("an input left out", lambda m: node(m, "Relu", [""]), "without an input")
attack("an operator without inputs", lambda m: node(m, "Add", []), "has an operator Add")
attack("too many outputs", lambda m: node(m, "Relu", ["features"], outputs=3), "number of outputs")
attack("an attribute twice", lambda m: m.graph.node[0].attribute.append(m.graph.node[0].attribute[0]), "two attributes of one name")
attack("an attribute of texts", lambda m: m.graph.node[0].attribute.add(name="x", type=8, strings=[b"a"]), "unknown here")
attack("an attribute of no texts", lambda m: m.graph.node[0].attribute[0].CopyFrom(onnx.AttributeProto(name="to", type=8)), "a kind unknown here")
attack("an attribute of no type", lambda m: m.graph.node[0].attribute[0].ClearField("type"), "a kind unknown here")
attack("an attribute of two kinds", lambda m: m.graph.node[0].attribute[0].__setattr__("f", 1.0), "a kind unknown here")
for op, attributes in {"Resize": {"axes": [1]}, "Conv": {"mystery": 1}, "Relu": {"alpha": 1.0}, "Cast": {"round_mode": "up", "to": 1}}.items():
    attack(
        f"{op} with {min(attributes)}",
        lambda m, o=op, a=attributes: node(m, o, ["features", "features", "features"], **a),
        "attribute unknown here",
    )
attack("a name of 5,000 letters", lambda m: node(m, "Relu", ["f" * 5000]), "too long")
attack("a terminal's orders as an operator", lambda m: node(m, "\x1b[31mRelu", ["features"]), r"operator \?\[31mRelu that is not allowed")
attack("to a type unknown here", lambda m: node(m, "Cast", ["features"], to=8), "to a type")
for version in (0, 1, 12, 99, -1):
    attack(f"operators of version {version}", lambda m, v=version: m.opset_import[0].__setattr__("version", v), "unknown here")
attack("no version of operators", lambda m: m.ClearField("opset_import"), "does not name one version")
attack("two versions of operators", lambda m: m.opset_import.append(helper.make_opsetid("ai.onnx", 17)), "does not name one version")
for version in (0, 3, 99):
    attack(f"IR version {version}", lambda m, v=version: setattr(m, "ir_version", v), "unknown here")
attack("no graph", lambda m: m.ClearField("graph"), "has no graph")
attack("9,000 nodes", lambda m: [node(m, "Identity", ["features"]) for _ in range(9000)], "mostly not weights")
attack("a novel as documentation", lambda m: setattr(m.graph, "doc_string", "x" * 9_000_000), "mostly not weights")
attack("40,000 weights of one number", lambda m: [constant(m, np.float32(0), f"s{n}") for n in range(40_000)], "more than 100,000 parts")
attack("200,000 numbers in an attribute", lambda m: node(m, "Constant", [], value_ints=[0] * 200_000), "more than 100,000 parts")
attack("200,000 inputs", lambda m: node(m, "Sum", [""] * 200_000), "more than 100,000 parts")
attack("a million small numbers as weights", add_weight(data_type=7, dims=[1_000_000], int64_data=[0] * 1_000_000), "more than 100,000 parts")
for op, inputs, attributes in [
    ("Transpose", ["features"], {"perm": [0, 0]}), ("Transpose", ["features"], {"perm": [0, 5]}), ("Concat", ["features"], {"axis": 7}),
    ("Flatten", ["features"], {"axis": 9}), ("MatMul", ["features", "features"], {}), ("Gemm", ["features", "features"], {}), ("Conv", ["features", "features"], {}),
    ("Add", ["features", "images"], {}), ("MaxPool", ["features"], {"kernel_shape": [2, 2]}), ("SpaceToDepth", ["features"], {"blocksize": 2}), ("Gather", ["features", "features"], {"axis": 4}),
]:  # fmt: skip
    attack(f"{op} that does not fit, {attributes}", lambda m, o=op, i=inputs, a=attributes: node(m, o, i, **a), f"has an operator {op} ")
