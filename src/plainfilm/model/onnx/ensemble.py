"""Several ONNX networks as one: encoders side by side, heads behind one matrix, an encoder over several views of an image.

Every weight stands in the file once. What a network gives alone it gives here too: its nodes are copied, not rewritten.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from plainfilm.model.onnx.from_keras import Graph, float_output, least_scale
from plainfilm.model.onnx.gradients import OTHER_VIEWS

JOINED = ("part0_", "head_part0_", "viewed_")  # a name of every joined network begins with one of these
Box = tuple[float, float, float]  # top, left and side of a square, as shares of the image's side


def side_by_side(encoders: Sequence[onnx.ModelProto]) -> onnx.ModelProto:
    """Put encoders of the same "images" (n, s, s) beside each other: their "features" (n, width) one behind the other.

    Operators of older versions are converted to the newest version among them.
    """
    models = _of_one_version(encoders)
    graph = Graph(_opset(models[0]))
    parts = [_added(graph, model, f"part{number}_", given="images") for number, model in enumerate(models)]
    graph.node("Concat", parts, output="features", axis=1)
    width = sum(_width(model) for model in models)
    return _closed(graph, models, [models[0].graph.input[0]], float_output("features", width))


def heads_joined(
    heads: Sequence[onnx.ModelProto],
    columns: Sequence[tuple[int, int]],
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> onnx.ModelProto:
    """Run each head on its columns (from, to) of the features; "logits" are theirs, one behind the other, @ weights + bias."""
    models, width = _of_one_version(heads), max(end for _, end in columns)
    graph = Graph(_opset(models[0]))
    parts = []
    for number, (model, (start, end)) in enumerate(zip(models, columns, strict=True)):
        cut = [graph.weight(np.array([each])) for each in (start, end, 1)]
        given = "features" if (start, end) == (0, width) else graph.node("Slice", ["features", *cut])
        parts.append(_added(graph, model, f"part{number}_", given=given))
    together = graph.node("Concat", parts, axis=1)
    graph.node("Gemm", [together, graph.weight(weights), graph.weight(bias)], output="logits")
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", width])
    return _closed(graph, models, [features], float_output("logits", len(bias)))


def over_views(encoder: onnx.ModelProto, boxes: Sequence[Box]) -> onnx.ModelProto:
    """Give the mean of an encoder's features over each image and squares cut out of it.

    Each square is enlarged to the image's size (bilinear, half-pixel centres, rounded to gray levels). The views go through
    the encoder one after the other: as one batch they would take as many times its memory.
    """
    images = encoder.graph.input[0]
    size, graph = images.type.tensor_type.shape.dim[1].dim_value, Graph(_opset(encoder))
    views = ["images", *(_enlarged(graph, box, size) for box in boxes)]
    names = [OTHER_VIEWS.format(view) if view else "view" for view in range(len(views))]
    features = [
        _added(graph, encoder, f"{name}_", given=view, weights="viewed_", is_first=not number)
        for number, (name, view) in enumerate(zip(names, views, strict=True))
    ]
    summed = graph.node("Sum", features)
    graph.node("Mul", [summed, graph.weight(np.float32(1 / len(views)))], output="features")
    return _closed(graph, [encoder], [images], float_output("features", _width(encoder)))


def _enlarged(graph: Graph, box: Box, size: int) -> str:
    top, left, side = (round(share * size) for share in box)
    ends = ([top, left], [top + side, left + side], [1, 2])
    cut = graph.node("Slice", ["images", *(graph.weight(np.array(each)) for each in ends)])
    gray = graph.node("Unsqueeze", [graph.node("Cast", [cut], to=TensorProto.FLOAT), graph.weight(np.array([1]))])
    scales = graph.weight(np.array([1, 1, *[least_scale(side, size)] * 2], np.float32))
    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    large = graph.node("Squeeze", [graph.node("Resize", [gray, "", scales], **how), graph.weight(np.array([1]))])
    return graph.node("Cast", [graph.node("Round", [large])], to=TensorProto.UINT8)


def _added(
    graph: Graph, model: onnx.ModelProto, prefix: str, *, given: str, weights: str = "", is_first: bool = True
) -> str:
    """Copy a model's nodes into a graph under names of their own, on `given` as input; give the name of the output.

    Its weights are copied, and named, with the first copy only.
    """
    names = {each.name: (weights or prefix) + each.name for each in model.graph.initializer}
    if is_first:
        graph.weights.extend(_named(each, names[each.name]) for each in model.graph.initializer)
    names |= {model.graph.input[0].name: given, "": ""}
    for node in model.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.ClearField("name")
        copy.input[:] = [names[name] for name in node.input]
        names |= {name: prefix + name for name in node.output if name}
        copy.output[:] = [names[name] for name in node.output]
        graph.nodes.append(copy)
    return str(names[model.graph.output[0].name])


def _named(weight: onnx.TensorProto, name: str) -> onnx.TensorProto:
    copy = onnx.TensorProto()
    copy.CopyFrom(weight)
    copy.name = name
    return copy


def _closed(graph: Graph, models: Sequence[onnx.ModelProto], inputs: Sequence[Any], output: Any) -> onnx.ModelProto:
    model = graph.model(inputs, [output])
    model.ir_version = max(each.ir_version for each in models)
    return model


def _of_one_version(models: Sequence[onnx.ModelProto]) -> list[onnx.ModelProto]:
    from onnx import version_converter

    newest = max(_opset(model) for model in models)
    return [model if _opset(model) == newest else version_converter.convert_version(model, newest) for model in models]


def _opset(model: onnx.ModelProto) -> int:
    return int(next(each.version for each in model.opset_import if each.domain in {"", "ai.onnx"}))


def _width(model: onnx.ModelProto) -> int:
    return int(model.graph.output[0].type.tensor_type.shape.dim[1].dim_value)
