"""Networks that make much out of little. Each leads to the logits, so that ONNX Runtime would have to compute it."""

import numpy as np
import onnx

from hostile.base import constant, doubled, grows, node, picture, ramp

# fmt: off
GROWN = "gives [0-9,]+ bytes|takes .* MB an image|multiplies constants out"
for op in ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Sum", "Mean", "PRelu"):
    grows(f"{op} of constants, 40,000 by 40,000", lambda m, o=op: node(m, o, [ramp(m, 40_000, 1), ramp(m, 1, 40_000)]), GROWN)
for op in ("Equal", "Greater", "Less", "LessOrEqual"):
    grows(f"{op} of constants, 90,000 by 90,000", lambda m, o=op: node(m, o, [ramp(m, 90_000, 1), ramp(m, 1, 90_000)]), GROWN)
grows("MatMul of constants", lambda m: node(m, "MatMul", [ramp(m, 40_000, 1), ramp(m, 1, 40_000)]), GROWN)
grows("Gemm of constants", lambda m: node(m, "Gemm", [ramp(m, 40_000, 1), ramp(m, 1, 40_000)]), GROWN)
grows("Where of constants", lambda m: node(m, "Where", [constant(m, np.ones((9_000, 1, 1), bool)), ramp(m, 9_000, 1), ramp(m, 9_000)]), GROWN)
grows("Pad of a constant", lambda m: node(m, "Pad", [ramp(m, 1), constant(m, np.array([0, 2_000_000_000]))]), GROWN)
grows("Conv of constants with wide pads", lambda m: node(m, "Conv", [ramp(m, 1, 1, 1, 1), ramp(m, 1, 1, 1, 1)], pads=[9_000] * 4), GROWN)
grows("a constant gathered often", lambda m: node(m, "Gather", [ramp(m, 1, 60_000), constant(m, np.zeros(60_000, np.int64))]), GROWN)
grows("a constant doubled 34 times", lambda m: doubled(m, ramp(m, 1, 4), 34), GROWN)
grows(
    "small products of constants, many",
    lambda m: [node(m, "Mul", [ramp(m, 500, 1), ramp(m, 1, 500)]) for _ in range(40)][-1],
    "multiplies constants out",
)
grows(
    "a shape made large",
    lambda m: node(
        m,
        "Mul",
        [
            node(m, "Reshape", [node(m, "Cast", [node(m, "Shape", ["images"])], to=1), constant(m, np.array([3, 1]))]),
            ramp(m, 1, 5_000_000),
        ],
    ),
    GROWN,
)
grows("an image times itself", lambda m: node(m, "Mul", [picture(m, -1, 1024, 1), node(m, "Concat", [picture(m, -1, 1, 1024)] * 64, axis=2)]), GROWN)
grows("an image times a constant", lambda m: node(m, "Mul", [picture(m, -1, 1024, 1), ramp(m, 1, 1, 60_000)]), GROWN)
grows("a product of an image and a constant", lambda m: node(m, "MatMul", [picture(m, -1, 1024, 1), ramp(m, 1, 60_000)]), GROWN)
grows("an image doubled 20 times", lambda m: doubled(m, picture(m, -1, 1024), 20), GROWN)
grows("an image doubled 60 times", lambda m: doubled(m, picture(m, -1, 1024), 60), GROWN)
grows("an image put together from 50,000", lambda m: node(m, "Concat", [picture(m, -1, 1024)] * 50_000, axis=1), GROWN)
grows("images times images of the batch", lambda m: node(m, "MatMul", [picture(m, 1, -1, 1), picture(m, 1, 1, -1)]), GROWN)
grows("wide pads", lambda m: node(m, "Pad", [picture(m, -1, 1, 32, 32), constant(m, np.array([0, 0, 4000, 4000, 0, 0, 4000, 4000]))]), GROWN)
grows("wide pads of a pool", lambda m: node(m, "MaxPool", [picture(m, -1, 1, 32, 32)], kernel_shape=[9000, 9000], pads=[8990] * 4), GROWN + "|far more work")
grows("100,000 filters", lambda m: node(m, "Conv", [picture(m, -1, 1, 32, 32), ramp(m, 100_000, 1, 1, 1)]), GROWN)
grows("a pick of 6 million", lambda m: node(m, "Gather", [picture(m, -1, 32, 32), constant(m, np.zeros(600_000, np.int64))], axis=1), GROWN)
grows("to 8 bytes a number, many times", lambda m: doubled(m, node(m, "Cast", [doubled(m, picture(m, -1, 1024), 10)], to=7), 4), GROWN)
grows("blocks to depth, doubled", lambda m: doubled(m, node(m, "SpaceToDepth", [picture(m, -1, 1, 32, 32)], blocksize=2), 15), GROWN)


def kept_alive(model: onnx.ModelProto) -> str:
    """Thirty tensors of 2 MB that are all needed at the end."""
    start = doubled(model, picture(model, -1, 1024), 9)
    kept = [node(model, "Mul", [start, constant(model, np.float32(n))]) for n in range(30)]
    return node(model, "Sum", kept)


def one_after_the_other(model: onnx.ModelProto) -> str:
    """A thousand tensors of 8 MB, one at a time in this order; another order would keep them all."""
    start = doubled(model, picture(model, -1, 1, 32, 32), 11)
    return node(
        model,
        "Concat",
        [
            node(model, "GlobalMaxPool", [node(model, "Mul", [start, constant(model, np.float32(n))])])
            for n in range(300)
        ],
        axis=1,
    )


grows("many tensors at a time", kept_alive, "takes .* MB an image")
grows("many tensors one after the other", one_after_the_other, "MB in all")


def much_work(model: onnx.ModelProto) -> str:
    start = picture(model, -1, 1, 1024)
    square = ramp(model, 1024, 1024)
    wide = node(model, "Concat", [start] * 1024, axis=1)
    for _ in range(300):
        wide = node(model, "MatMul", [wide, square])
    return wide


grows("hours of work", much_work, "far more work")
for sides in ([1, 1, 129, 129], [1, 1, 1000, 1], [1, 5000, 1, 1]):
    grows(
        f"Resize by {sides}",
        lambda m, s=sides: node(m, "Resize", [picture(m, -1, 1, 32, 32), "", constant(m, np.array(s, np.float32))]),
        "to more than 4096 px",
    )
grows(
    "Resize to 5,000 px",
    lambda m: node(m, "Resize", [picture(m, -1, 1, 32, 32), "", "", constant(m, np.array([1, 1, 5000, 5000]))]),
    "to more than 4096 px",
)
grows("Resize to 4,000 px", lambda m: node(m, "Resize", [picture(m, -1, 1, 32, 32), "", constant(m, np.array([1, 1, 125, 125], np.float32))]), GROWN)
grows(
    "Resize of the batch",
    lambda m: node(m, "Resize", [picture(m, -1, 1, 32, 32), "", constant(m, np.array([9, 1, 1, 1], np.float32))]),
    "to more than 4096 px",
)
grows(
    "Resize by what the image shows",
    lambda m: node(m, "Resize", [picture(m, -1, 1, 32, 32), "", node(m, "ReduceMax", [picture(m, -1, 4)], keepdims=0)]),
    "depend on the image",
)
grows(
    "Resize by what the image shows, and to a size",
    lambda m: node(m, "Resize", [picture(m, -1, 1, 32, 32), "", node(m, "ReduceMax", [picture(m, -1, 4)], keepdims=0), constant(m, np.array([1, 1, 9, 9]))]),
    "depend on the image",
)
grows(
    "Resize to a NaN",
    lambda m: node(
        m, "Resize", [picture(m, -1, 1, 32, 32), "", node(m, "Div", [constant(m, np.zeros(4, np.float32))] * 2)]
    ),
    "scales that do not fit",
)
grows(
    "Resize that crops",
    lambda m: node(
        m,
        "Resize",
        [picture(m, -1, 1, 32, 32), "", constant(m, np.ones(4, np.float32))],
        coordinate_transformation_mode="tf_crop_and_resize",
    ),
    "that crops",
)


def seen(model: onnx.ModelProto, count: int) -> str:
    """Whole numbers that the image shows."""
    row = node(model, "Cast", [picture(model, -1)], to=7)
    return node(
        model,
        "Slice",
        [row, constant(model, np.array([0])), constant(model, np.array([count])), constant(model, np.array([0]))],
    )


grows("Reshape by what the image shows", lambda m: node(m, "Reshape", ["features", seen(m, 2)]), "depend on the image")
grows("Pad by what the image shows", lambda m: node(m, "Pad", [picture(m, -1, 1024), seen(m, 4)]), "depend on the image")
grows(
    "Slice by what the image shows",
    lambda m: node(m, "Slice", [picture(m, -1, 1024), constant(m, np.array([0])), seen(m, 1)]),
    "depend on the image",
)
grows("Expand by what the image shows", lambda m: node(m, "Expand", [ramp(m, 1, 1), seen(m, 2)]), "depend on the image")
grows("Unsqueeze by what the image shows", lambda m: node(m, "Unsqueeze", ["features", seen(m, 1)]), "depend on the image")
grows("ReduceSum by what the image shows", lambda m: node(m, "ReduceSum", ["features", seen(m, 1)]), "depend on the image")
for shape in ([1, 40_000, 40_000], [8, 50_000_000, 1], [1_000_000_000, 1, 1], [1, 20_000, 20_000]):
    grows(f"Expand to {shape}", lambda m, s=shape: node(m, "Expand", [ramp(m, 1, 1, 1), constant(m, np.array(s))]), GROWN)
