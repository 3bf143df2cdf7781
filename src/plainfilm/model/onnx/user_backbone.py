"""A user's ONNX backbone with our preprocessing in front of it, at the file's own operator version."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from plainfilm.errors import WeightsError
from plainfilm.model.onnx.from_keras import Graph
from plainfilm.model.onnx_safety import check
from plainfilm.model.onnx_safety.reading import NetworkRefused

_LEAST_OPSET = 13
_MOST_BYTES = check.MOST_BYTES - (32 << 20)  # the head and its preprocessing stand in the same bundle
_PREFIX = "backbone_"


def with_prelude(
    path: Path, input_size: int, images: onnx.ValueInfoProto, prelude: Callable[[Graph, bool], str]
) -> onnx.ModelProto:
    """Join preprocessing and a file that maps float32 images to features.

    Parameters
    ----------
    path
        ONNX file with one input, (n, 3, h, w) or (n, h, w, 3), and a first output (n, width).
    input_size
        Height and width in pixels that the preprocessing gives.
    images
        The input of the joined graph.
    prelude
        Adds the preprocessing to a graph, channels last if told so, and returns the name of its output.

    Raises
    ------
    WeightsError
        The file is no such network, or one that no bundle may hold: too large, or with operators, loops, memory or work
        that `onnx_safety.check` refuses. Nothing of it has run.
    """
    model = _load(path)
    channels_last = _is_channels_last(model.graph.input, model.graph.initializer, path, input_size)
    width = _width(model.graph.output[0], path)
    opset = next((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), 0)
    if opset < _LEAST_OPSET:
        raise WeightsError(
            f"Expected ONNX operators of version {_LEAST_OPSET} or newer; received {opset} in {path}. Export it again."
        )
    graph = Graph(opset)
    scaled = prelude(graph, channels_last)
    inner = onnx.compose.add_prefix_graph(model.graph, _PREFIX)
    taken = {weight.name for weight in inner.initializer}
    entry = next(value.name for value in inner.input if value.name not in taken)
    nodes = [
        *graph.nodes,
        helper.make_node("Identity", [scaled], [entry]),
        *inner.node,
        helper.make_node("Identity", [inner.output[0].name], ["features"]),
    ]
    output = helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, ["n", width])
    joined = helper.make_graph(nodes, "plainfilm", [images], [output], [*graph.weights, *inner.initializer])
    whole = helper.make_model(joined, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    check_holdable(whole.SerializeToString(), path)
    return whole


def check_holdable(network: bytes, path: Path) -> None:
    """Check that a bundle can hold a network with its preprocessing, that comes from `path`.

    Raises
    ------
    WeightsError
        It cannot.
    """
    try:
        check.check(network, outputs=("features",))
    except NetworkRefused as error:
        raise WeightsError(
            f"Expected a network that a bundle can hold; received {path}, which {error}. "
            "Export it without that, or set a smaller backbone.input_size."
        ) from error


def _load(path: Path) -> onnx.ModelProto:
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise WeightsError(
            f"Expected an ONNX file of at most {_MOST_BYTES / 1e6:,.0f} MB, which a bundle can hold; "
            f"received {path} with {size / 1e6:,.0f} MB. Take a smaller network."
        )
    try:
        model = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(model)
    except Exception as error:
        raise WeightsError(f"Expected an ONNX network; received {path}, which is none. Export it again.") from error
    if any(weight.data_location == onnx.TensorProto.EXTERNAL for weight in model.graph.initializer):
        raise WeightsError(
            f"Expected an ONNX file with its weights inside; {path} points to other files. Save it as one file."
        )
    return model


def _is_channels_last(inputs: Any, weights: Any, path: Path, input_size: int) -> bool:
    own = {weight.name for weight in weights}
    images = [value for value in inputs if value.name not in own]
    shape = [d.dim_value for d in images[0].type.tensor_type.shape.dim] if len(images) == 1 else []
    channels_last = len(shape) == 4 and shape[3] == 3
    size = shape[1:3] if channels_last else shape[2:]
    if len(shape) != 4 or not (channels_last or shape[1] == 3) or any(side not in {0, input_size} for side in size):
        raise WeightsError(
            f"Expected an ONNX network with one input (n, 3, {input_size}, {input_size}) or (n, {input_size}, {input_size}, 3); received "
            f"{shape} in {path}. Export it so, or set backbone.input_size."
        )
    return channels_last


def _width(output: Any, path: Path) -> int:
    shape = [d.dim_value for d in output.type.tensor_type.shape.dim]
    if len(shape) != 2 or shape[1] < 1:
        raise WeightsError(
            f"Expected an ONNX network whose first output is (n, features); received {shape} in {path}. Cut its classifier off."
        )
    return int(shape[1])
