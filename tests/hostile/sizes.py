"""Networks that trick the operators which make tensors out of sizes, attention and equations: each would take gigabytes, or hours."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hostile.base import attack, constant, doubled, grows, lead_to_logits, node, picture, ramp
from hostile.growth import GROWN, seen

# fmt: off
KNOWN = "whose sizes depend on the image"
FIT = "on shapes that do not fit"


def whole(model: onnx.ModelProto, *numbers: int) -> str:
    return constant(model, np.array(numbers, np.int64))


def number(model: onnx.ModelProto, value: object, kind: type = np.int64) -> str:
    return constant(model, np.array(value, kind))


def filled(model: onnx.ModelProto, shape: str, **more: object) -> str:
    return node(model, "ConstantOfShape", [shape], **more)


def lies(model: onnx.ModelProto, size: str) -> str:
    """A thousand million times a number that is meant to look like 0 or 1, as a side."""
    row = node(model, "Reshape", [node(model, "Mul", [size, number(model, 1_000_000_000)]), whole(model, 1)])
    return filled(model, row)


def version(model: onnx.ModelProto, number_: int) -> None:
    model.opset_import[0].version = number_


# Made of sizes that are written down
for label, shape in {"40,000 by 40,000": [40_000, 40_000], "a thousand million": [10**9], "2 to the 62, four times": [2**62, 4], "the most": [2**63 - 1],
                     "2 to the 32 squared": [2**32, 2**32], "sides that come to 0 in 64 bits": [2**32, 2**31, 2], "one side of none": [0, 2**40, 2**40, 0, 0, 0, 0, 0, 0]}.items():
    grows(f"ConstantOfShape of {label}", lambda m, s=shape: filled(m, whole(m, *s)), f"{GROWN}|{FIT}")
    grows(f"Expand to {label}", lambda m, s=shape: node(m, "Expand", [ramp(m, 1), whole(m, *s)]), f"{GROWN}|{FIT}")
for kind in (np.int8, np.uint8, np.bool_, np.float64, np.int64):
    grows(f"ConstantOfShape of {kind.__name__}", lambda m, k=kind: filled(m, whole(m, 40_000, 40_000), value=numpy_helper.from_array(np.ones(1, k))), GROWN)
for label, shape in {"minus one": [-1], "a minus among others": [2, -3], "two minuses": [-40_000, -40_000]}.items():
    grows(f"ConstantOfShape of {label}", lambda m, s=shape: filled(m, whole(m, *s)), FIT)
    grows(f"Expand to {label}", lambda m, s=shape: node(m, "Expand", [ramp(m, 1), whole(m, *s)]), FIT)
grows("ConstantOfShape of floats", lambda m: filled(m, ramp(m, 2)), KNOWN)
grows("ConstantOfShape of a table", lambda m: filled(m, constant(m, np.ones((2, 2), np.int64))), KNOWN)
grows("ConstantOfShape of 65 sides", lambda m: filled(m, whole(m, *[1] * 65)), KNOWN)
attack("ConstantOfShape of two numbers", lambda m: filled(m, whole(m, 1), value=numpy_helper.from_array(np.zeros(2, np.float32))), "with no number")
attack("ConstantOfShape of no number", lambda m: filled(m, whole(m, 1), value=numpy_helper.from_array(np.zeros(0, np.float32))), "with no number")
attack("ConstantOfShape of a word", lambda m: filled(m, whole(m, 1), value="x"), "with no number")
attack("ConstantOfShape of a NaN", lambda m: filled(m, whole(m, 1), value=numpy_helper.from_array(np.full(1, np.nan, np.float32))), "NaN or infinite")
attack("ConstantOfShape of half a float", lambda m: filled(m, whole(m, 1), value=numpy_helper.from_array(np.ones(1, np.float16))), "a type")
attack("ConstantOfShape of a number elsewhere", lambda m: filled(m, whole(m, 1), value=TensorProto(data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)), "in other files")
for times in ([100_000_000, 1, 1], [10_000, 1000, 100], [2**62, 1, 1]):
    grows(f"Tile {times}", lambda m, t=times: node(m, "Tile", [ramp(m, 1, 1, 4), whole(m, *t)]), GROWN)
for times in ([-1, 1, 1], [2], [1, 1, 1, 1]):
    grows(f"Tile {times}, which does not fit", lambda m, t=times: node(m, "Tile", [ramp(m, 1, 1, 4), whole(m, *t)]), "so many times that it does not fit")
grows("an image tiled", lambda m: node(m, "Tile", [picture(m, -1, 32, 32), whole(m, 1, 500, 500)]), GROWN)
grows("the batch tiled", lambda m: node(m, "Tile", [picture(m, -1, 32, 32), whole(m, 90_000, 1, 1)]), GROWN)
grows("an image expanded", lambda m: node(m, "Expand", [picture(m, -1, 1, 1, 1024), whole(m, 1, 500, 500, 1)]), GROWN)


def ten_by_ten(model: onnx.ModelProto, op: str) -> str:
    made = picture(model, -1, 1024, *[1] * 5)
    for at in range(2, 7):
        sides = [1] * 7
        sides[at] = 40
        made = node(model, op, [made, whole(model, *sides)])
    return made


for op in ("Tile", "Expand"):
    grows(f"{op} after {op}", lambda m, o=op: ten_by_ten(m, o), GROWN)

# Steps
for label, ends, kind in [
    ("a thousand million", (0, 10**9, 1), np.int64), ("backwards", (10**9, 0, -1), np.int64), ("of 32 bits", (0, 2**31 - 1, 1), np.int32),
    ("broken", (0, 1e6, 1e-3), np.float32), ("broken finely", (0, 1, 1e-30), np.float64), ("broken backwards", (1e6, 0, -1e-3), np.float64),
    ("2 to the 52", (0, 2**52, 1), np.int64),
]:
    grows(f"Range {label}", lambda m, e=ends, k=kind: node(m, "Range", [number(m, each, k) for each in e]), GROWN)
for label, ends, kind in [
    ("over all numbers", (-(2**63), 2**63 - 1, 1), np.int64), ("whose span turns negative", (2**62, -(2**62) - 9, 1), np.int64), ("whose span turns positive", (-(2**62) - 9, 2**62, -1), np.int64),
    ("of 32 bits that turns", (2**31 - 1, -(2**31), 1), np.int32), ("to beyond floats", (0, 1e30, 1e29), np.float32), ("of 32 bits of everything", (-(2**31), 2**31 - 1, 1), np.int32),
]:
    grows(f"Range {label}", lambda m, e=ends, k=kind: node(m, "Range", [number(m, each, k) for each in e]), "over more than can be counted")
grows("Range without a step", lambda m: node(m, "Range", [number(m, each) for each in (0, 9, 0)]), "without ends that are known")
grows("Range of several ends", lambda m: node(m, "Range", [number(m, 0), whole(m, 4, 9), number(m, 1)]), "without ends that are known")
grows("Range of two kinds", lambda m: node(m, "Range", [number(m, 0), number(m, 9, np.int32), number(m, 1)]), "without ends that are known")
for label, value in {"nowhere": 0, "without an end": 1}.items():
    grows(f"Range {label}", lambda m, v=value: node(m, "Range", [number(m, 0, np.float32), node(m, "Div", [number(m, v, np.float32), number(m, 0, np.float32)]), number(m, 1, np.float32)]), "without ends that are known")
grows("Range by a step that is nothing", lambda m: node(m, "Range", [number(m, 0, np.float32), number(m, 9, np.float32), node(m, "Div", [number(m, 0, np.float32)] * 2)]), "without ends that are known")

# Sizes that are computed


def squared(model: onnx.ModelProto, op: str, start: str, times: int) -> str:
    for _ in range(times):
        start = node(model, op, [start, start])
    return start


def chain(model: onnx.ModelProto, length: int) -> str:
    """A long chain of sums of known numbers, which the checker follows one by one."""
    row, one = whole(model, *[0] * 64), whole(model, 400_000)
    for _ in range(length):
        row = node(model, "Add", [row, one])
    return filled(model, node(model, "Slice", [row, whole(model, 0), whole(model, 2), whole(model, 0)]))


def wound(model: onnx.ModelProto) -> str:
    row = whole(model, *[9] * 32)
    for _ in range(1200):
        row = node(model, "Slice", [node(model, "Tile", [row, whole(model, 2)]), whole(model, 0), whole(model, 32), whole(model, 0)])
    return filled(model, node(model, "Slice", [row, whole(model, 0), whole(model, 8), whole(model, 0)]), value=numpy_helper.from_array(np.zeros(1, np.float64)))


COMPUTED = {
    "squared": lambda m: filled(m, squared(m, "Mul", whole(m, 40), 4)),
    "doubled": lambda m: filled(m, squared(m, "Add", whole(m, 1), 34)),
    "squared until it is none": lambda m: lies(m, node(m, "Add", [squared(m, "Mul", whole(m, 2), 7), whole(m, 1)])),
    "a product of a row": lambda m: filled(m, node(m, "ReduceProd", [whole(m, *[100] * 5)])),
    "a sum of a row": lambda m: filled(m, node(m, "ReduceSum", [whole(m, *[10**9] * 5)])),
    "the most of a row": lambda m: filled(m, node(m, "ReduceMax", [whole(m, 1, 10**10)])),
    "the least of a row": lambda m: filled(m, node(m, "ReduceMin", [whole(m, 10**11, 10**10)])),
    "the larger of two": lambda m: filled(m, node(m, "Max", [whole(m, 1), whole(m, 10**10)])),
    "the smaller of two": lambda m: filled(m, node(m, "Min", [whole(m, 10**11), whole(m, 10**10)])),
    "clipped": lambda m: filled(m, node(m, "Clip", [whole(m, 1), number(m, 10**10)])),
    "a choice": lambda m: filled(m, node(m, "Where", [constant(m, np.array([True])), whole(m, 10**10), whole(m, 1)])),
    "a choice by comparing": lambda m: filled(m, node(m, "Where", [node(m, "Equal", [whole(m, 1), whole(m, 2)]), whole(m, 1), whole(m, 10**10)])),
    "less than none": lambda m: filled(m, node(m, "Neg", [whole(m, -(10**10))])),
    "without its sign": lambda m: filled(m, node(m, "Abs", [whole(m, -(10**10))])),
    "a remainder": lambda m: filled(m, node(m, "Mod", [whole(m, -1), whole(m, 10**10)])),
    "a quotient": lambda m: filled(m, node(m, "Div", [whole(m, 10**11), whole(m, 10)])),
    "a quotient beyond floats": lambda m: lies(m, node(m, "Sub", [node(m, "Div", [number(m, 2**53 + 3), number(m, 1)]), number(m, 2**53)])),
    "a power": lambda m: filled(m, node(m, "Cast", [node(m, "Pow", [constant(m, np.full(4, 200, np.float32)), number(m, 2, np.float32)])], to=7)),
    "a root": lambda m: filled(m, node(m, "Mul", [node(m, "Cast", [node(m, "Pow", [number(m, 1369, np.float32), number(m, 0.5, np.float32)])], to=7), whole(m, 10**9)])),
    "a float": lambda m: filled(m, node(m, "Cast", [constant(m, np.array([1e10]))], to=7)),
    "rounded up": lambda m: filled(m, node(m, "Cast", [node(m, "Ceil", [constant(m, np.array([1e10]))])], to=7)),
    "numbers spread": lambda m: filled(m, node(m, "Expand", [whole(m, 500), whole(m, 4)])),
    "numbers tiled": lambda m: filled(m, node(m, "Tile", [whole(m, 500), whole(m, 4)])),
    "numbers in steps": lambda m: filled(m, node(m, "Range", [number(m, 1000), number(m, 1004), number(m, 1)])),
    "made numbers": lambda m: filled(m, filled(m, whole(m, 4), value=numpy_helper.from_array(np.array([500])))),
    "turned numbers": lambda m: filled(m, node(m, "Reshape", [node(m, "Transpose", [constant(m, np.full((2, 2), 500))]), whole(m, 4)])),
    "its own size": lambda m: filled(m, squared(m, "Mul", node(m, "Reshape", [node(m, "Size", [ramp(m, 1000)]), whole(m, 1)]), 2)),
    "a chain of 3,800 sums": lambda m: chain(m, 3800),
    "a chain of 1,200 tilings": wound,
}
for label, build in COMPUTED.items():
    grows(f"a size that is {label}", build, GROWN)

# Sizes that come out otherwise on another processor
for label, build in {
    "an odd power": lambda m: node(m, "Pow", [number(m, 2.1, np.float32), number(m, 3.3, np.float32)]),
    "a root of no square": lambda m: node(m, "Pow", [number(m, 1370, np.float32), number(m, 0.5, np.float32)]),
    **{op: (lambda m, o=op: node(m, o, [number(m, 2.1, np.float32)])) for op in ("Exp", "Log", "Sin", "Cos", "Sqrt", "Erf", "Tanh", "Reciprocal")},
    "more than whole numbers": lambda m: number(m, 1e30, np.float32),
    "no number": lambda m: node(m, "Div", [number(m, 0, np.float32)] * 2),
}.items():
    grows(f"a size from {label}", lambda m, b=build: filled(m, node(m, "Reshape", [node(m, "Cast", [b(m)], to=7), whole(m, 1)])), KNOWN)

# Sizes that the image decides


def first(model: onnx.ModelProto) -> str:
    return seen(model, 1)


for label, build in {
    "counted": lambda m: node(m, "CumSum", [first(m), number(m, 0)]), "a remainder": lambda m: node(m, "Mod", [first(m), whole(m, 7)]), "clipped": lambda m: node(m, "Clip", [first(m), number(m, 0), number(m, 9)]),
    "chosen": lambda m: node(m, "Where", [node(m, "Equal", [first(m), whole(m, 0)]), whole(m, 1), whole(m, 10**10)]), "a truth": lambda m: node(m, "Cast", [node(m, "IsNaN", [node(m, "Cast", [first(m)], to=1)])], to=7),
    "multiplied by nothing": lambda m: node(m, "Mul", [first(m), whole(m, 0)]), "its sign": lambda m: node(m, "Sign", [first(m)]), "the most": lambda m: node(m, "ReduceMax", [seen(m, 4)]),
}.items():
    grows(f"a size that the image shows, {label}", lambda m, b=build: filled(m, b(m)), KNOWN)
grows("Tile by what the image shows", lambda m: node(m, "Tile", [ramp(m, 1, 1), seen(m, 2)]), KNOWN)
grows("ConstantOfShape by what the image shows", lambda m: filled(m, seen(m, 2)), KNOWN)
for place in range(3):
    grows(f"Range by what the image shows at {place}", lambda m, p=place: node(m, "Range", [node(m, "Squeeze", [first(m)]) if at == p else number(m, 1 + 8 * at) for at in range(3)]), "without ends that are known")

# Whole numbers whose division ends the process
for label, build in {
    "none": lambda m: [whole(m, 7), whole(m, 0)], "minus one": lambda m: [whole(m, -(2**63)), whole(m, -1)], "minus one among others": lambda m: [whole(m, -(2**63), 5), whole(m, 3, -1)],
    "what the image shows": lambda m: [whole(m, 7), first(m)], "too many to follow": lambda m: [whole(m, 7), whole(m, *[2] * 65)],
    "minus one, of what the image shows": lambda m: [node(m, "Add", [first(m), whole(m, -(2**63))]), whole(m, -1)], "what becomes none": lambda m: [whole(m, 7), node(m, "Sub", [whole(m, 3)] * 2)],
}.items():
    for op in ("Div", "Mod"):
        grows(f"{op} of whole numbers by {label}", lambda m, b=build, o=op: node(m, o, b(m)), "of whole numbers by 0, -1 or what is not known")

# Graphs in graphs and functions, with what is allowed outside of them


def inside(op: str, *names: str) -> object:
    def change(model: onnx.ModelProto) -> None:
        inner = helper.make_node("ConstantOfShape", ["sizes"], ["y"])
        out = helper.make_tensor_value_info("y", 1, None)
        body = helper.make_graph([inner], "body", [], [out], [numpy_helper.from_array(np.array([40_000] * 2), "sizes")])
        lead_to_logits(model, node(model, op, [constant(model, np.array(True))], **dict.fromkeys(names, body)))

    return change


attack("If that makes much", inside("If", "then_branch", "else_branch"), "a graph inside a node")
attack("Loop that makes much", inside("Loop", "body"), "a graph inside a node")
attack("Scan that makes much", inside("Scan", "body"), "a graph inside a node")
attack("SequenceMap that makes much", inside("SequenceMap", "body"), "a graph inside a node")


def function_that_tiles(model: onnx.ModelProto) -> None:
    inner = [helper.make_node("Constant", [], ["n"], value_ints=[10**9]), helper.make_node("Tile", ["x", "n"], ["y"])]
    model.functions.append(helper.make_function("mine", "F", ["x"], ["y"], inner, [helper.make_opsetid("", 18)]))
    model.graph.node.append(helper.make_node("F", ["features"], ["z"], domain="mine"))


attack("a function that tiles", function_that_tiles, "functions of its own")

# Pictures


def resized(model: onnx.ModelProto, given: str, sizes: list[int], **more: object) -> str:
    return node(model, "Resize", [given, "", "", whole(model, *sizes)], **{"mode": "linear", "antialias": 1, **more})


def turned(model: onnx.ModelProto) -> str:
    """A column of 4,096 px to a row of as many: between them stands their square, of each of 32 channels."""
    column = node(model, "Expand", [picture(model, -1, 32, 32, 1), whole(model, 1, 1, 32, 1)])
    column = node(model, "Concat", [column] * 128, axis=2)
    return resized(model, column, [1, 32, 1, 4096])


attack("antialias turns a column to a row", lambda m: lead_to_logits(m, turned(m)), "Resize to more than|takes .* MB an image|far more work")
for mode in ("linear", "cubic"):
    grows(f"antialias to 5,000 px, {mode}", lambda m, o=mode: resized(m, picture(m, -1, 1, 32, 32), [1, 1, 5000, 5000], mode=o), "to more than 4096 px")
    grows(f"antialias to 4,000 px, {mode}", lambda m, o=mode: resized(m, picture(m, -1, 1, 32, 32), [1, 1, 4000, 4000], mode=o), GROWN + "|to more than")
grows("antialias to 1,025 px of many channels", lambda m: resized(m, picture(m, -1, 1024, 1, 1), [1, 1024, 1025, 1025]), GROWN + "|to more than")
for policy in ("not_larger", "not_smaller"):
    grows(f"a Resize that is {policy}", lambda m, p=policy: resized(m, picture(m, -1, 1, 32, 32), [1, 1, 4000, 9], keep_aspect_ratio_policy=p), "that keeps proportions")
grows("a picture enlarged, then doubled 9 times", lambda m: doubled(m, node(m, "Resize", [picture(m, -1, 1, 32, 32), "", constant(m, np.array([1, 1, 32, 32], np.float32))]), 9), GROWN)
grows("a picture enlarged to 1,056 px, then doubled 6 times", lambda m: doubled(m, node(m, "Resize", [picture(m, -1, 1, 32, 32), "", constant(m, np.array([1, 1, 33, 33], np.float32))]), 6), GROWN)

# What is as large as what it is given
for op in ("CumSum", "Sin", "Cos", "IsNaN", "Trilu", "Size"):
    def built(m: onnx.ModelProto, o: str = op) -> str:
        large = node(m, "Expand", [picture(m, -1, 1024, 1), whole(m, 1, 1, 90_000)])
        return node(m, o, [large, number(m, -1)] if o == "CumSum" else [large])

    grows(f"{op} of an image, 92 million numbers", built, GROWN)
for op in ("CumSum", "Sin", "RMSNormalization", "Where", "Mod", "Einsum"):
    def many(m: onnx.ModelProto, o: str = op) -> str:
        if o == "RMSNormalization":
            version(m, 23)
        start, kept = doubled(m, picture(m, -1, 1024), 11), []
        for n in range(300):
            kind = {"Mod": {"fmod": 1}, "Einsum": {"equation": "ab->ba"}}.get(o, {})
            more = {"CumSum": [number(m, 1)], "RMSNormalization": [constant(m, np.float32([n + 1]))], "Mod": [number(m, n + 1, np.float32)]}.get(o, [])
            given = [constant(m, np.array([[True]])), start, number(m, n, np.float32)] if o == "Where" else [start, *more]
            kept.append(node(m, "ReduceMax", [node(m, o, given, **kind)], keepdims=0))
        return node(m, "Sum", kept)

    grows(f"{op} 300 times", many, "MB in all|MB an image")

# Equations
for label, build in {
    "a product of two rows": lambda m: node(m, "Einsum", [ramp(m, 40_000), ramp(m, 40_000)], equation="a,b->ab"),
    "a product of two tables": lambda m: node(m, "Einsum", [ramp(m, 200, 200), ramp(m, 200, 200)], equation="ab,cd->abcd"),
    "a product of the image with itself": lambda m: node(m, "Einsum", [node(m, "Concat", [picture(m, -1, 1024)] * 16, axis=1)] * 2, equation="na,nb->nab"),
    "images with images": lambda m: node(m, "Einsum", [node(m, "Concat", [picture(m, -1, 1024)] * 6, axis=1)] * 2, equation="na,mb->namb"),
}.items():
    grows(f"an equation of {label}", build, GROWN)


def hours(model: onnx.ModelProto) -> str:
    square = ramp(model, 1024, 1024)
    wide = node(model, "Concat", [picture(model, -1, 1, 1024)] * 1024, axis=1)
    for _ in range(300):
        wide = node(model, "Einsum", [wide, square], equation="nab,bc->nac")
    return wide


grows("equations for hours", hours, "far more work")
for label, equation in {"of three tensors": "ab,bc,cd->ad", "of dots": "...a,ab->...b", "without an arrow": "ab,bc", "of capitals": "AB,BC->AC", "of nothing": "", "of 10,000 letters": "a" * 600 + "->a",
                        "of nine sides": "abcdefghi,bc->a", "of a word": "ab,bc->a c;drop"}.items():
    grows(f"an equation {label}", lambda m, e=equation: node(m, "Einsum", [ramp(m, 3, 3), ramp(m, 3, 3)], equation=e), "whose equation is none")
for label, equation in {"of a diagonal": "aa,ab->b", "that repeats": "ab,bc->aac", "of a letter from nowhere": "ab,bc->az"}.items():
    grows(f"an equation {label}", lambda m, e=equation: node(m, "Einsum", [ramp(m, 3, 3), ramp(m, 3, 3)], equation=e), "takes diagonals")

# Attention


def attends(model: onnx.ModelProto, *given: str, **more: object) -> str:
    version(model, 23)
    return node(model, "Attention", list(given), **more)


def tokens(model: onnx.ModelProto, count: int, heads: int = 1) -> str:
    return node(model, "Expand", [picture(model, -1, 1, 1024, 1), whole(model, 1, heads, 1, 1)]) if count == 1024 else node(model, "Expand", [node(model, "ReduceMean", [picture(model, -1, 1, 1024, 1), whole(model, 2)]), whole(model, 1, heads, count, 1)])


grows("attention of 60,000 tokens", lambda m: attends(m, *[tokens(m, 60_000)] * 3), GROWN)
grows("attention of 60,000 tokens to constants", lambda m: attends(m, tokens(m, 60_000), ramp(m, 1, 1, 60_000, 1), ramp(m, 1, 1, 60_000, 1)), GROWN + "|" + FIT)
grows("attention of 500 heads", lambda m: attends(m, *[tokens(m, 1024, 500)] * 3), GROWN)
grows("attention shared by 500 heads", lambda m: attends(m, tokens(m, 1024, 500), tokens(m, 1024), tokens(m, 1024)), GROWN)
grows("attention with wide values", lambda m: attends(m, tokens(m, 1024), tokens(m, 1024), node(m, "Expand", [tokens(m, 1024), whole(m, 1, 1, 1, 60_000)])), GROWN)
grows("attention, causal, of 60,000 tokens", lambda m: attends(m, *[tokens(m, 60_000)] * 3, is_causal=1), GROWN)
grows("attention with a large mask", lambda m: attends(m, *[tokens(m, 1024)] * 3, ramp(m, 9, 1, 1024, 1024)), "a mask that does not fit")
grows("attention with a past", lambda m: attends(m, *[tokens(m, 1024)] * 3, "", tokens(m, 1024), tokens(m, 1024)), "with what it has seen before")
for heads in (0, -1, 3, 2**31, 2**62):
    grows(f"attention of {heads} heads in a width", lambda m, h=heads: attends(m, *[picture(m, -1, 64, 16)] * 3, q_num_heads=h, kv_num_heads=h), "heads that do not fit")
