"""Where in an image the cells of a network's maps look, from the strides and padding on the way to them.

A cell is not the square that dividing the image evenly would give it: what pads its stages on one side alone (TensorFlow's
"same", Keras' MobileNet) puts it half a cell further down and to the right, what pads evenly half a cell up and to the left.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.onnx_safety.reading import Network, NetworkRefused, Node, read

_WINDOWS = {"Conv", "MaxPool", "AveragePool"}
_EVERYWHERE = {"GlobalAveragePool", "ReduceMean", "Shape"}
Pair = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The centre of cell (i, j) lies at `start` + `step` * (i, j), in pixels of the image, (down, across); 0 is a pixel's centre."""

    start: Pair
    step: Pair


def cells(network: bytes) -> Cells | None:
    """Give the cells of the output "maps" of a network that looks at "images"; None where that cannot be told.

    The centre of what a cell depends on (Araujo, Norris & Sim, Computing Receptive Fields of Convolutional Neural Networks,
    Distill 2019), a mean where several ways lead to it.
    """
    try:
        graph = read(network)
        known = {"images": Cells(np.zeros(2), np.ones(2))}
        for node in graph.nodes:
            ways = [known[name] for name in node.inputs if name in known]
            if ways and node.op not in _EVERYWHERE:
                met = Cells(*(np.mean([getattr(way, part) for way in ways], axis=0) for part in ("start", "step")))
                found = _after(node, met, graph)
                known |= dict.fromkeys(node.outputs, found)
        return known.get("maps")
    except (NetworkRefused, _Untold):
        return None


class _Untold(Exception):  # noqa: N818 - a finding about a graph
    """A node whose geometry is not known here."""


def _after(node: Node, given: Cells, graph: Network) -> Cells:
    if node.op in _WINDOWS:
        return _window(node, given, graph)
    if node.op == "Pad":
        begins = _weight(graph, node.inputs[1])
        begins = begins[: len(begins) // 2][-2:] if len(begins) == 8 else np.zeros(2)
        return Cells(given.start - given.step * begins, given.step)
    if node.op == "Resize":
        scale = _weight(graph, node.inputs[2])[-2:] if len(node.inputs) == 3 else None
        if scale is None or node.attributes.get("coordinate_transformation_mode", "half_pixel") != "half_pixel":
            raise _Untold
        return Cells(given.start + given.step * (0.5 / scale - 0.5), given.step / scale)
    return given


def _window(node: Node, given: Cells, graph: Network) -> Cells:
    if node.attributes.get("auto_pad", "NOTSET") not in {"NOTSET", "VALID"}:
        raise _Untold
    kernel: Any = node.attributes.get("kernel_shape") or _weight(graph, node.inputs[1]).shape[-2:]
    stride, dilation, begins = (
        np.array(node.attributes.get(name, default), float)[:2]
        for name, default in (("strides", (1, 1)), ("dilations", (1, 1)), ("pads", (0, 0)))
    )
    middle = dilation * (np.array(kernel, float) - 1) / 2 - begins
    return Cells(given.start + given.step * middle, given.step * stride)


def _weight(graph: Network, name: str) -> Pair:
    if name not in graph.weights:
        raise _Untold
    return np.asarray(graph.weights[name].values, float)
