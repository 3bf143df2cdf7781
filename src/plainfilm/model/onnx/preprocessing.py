"""Lung crop and harmonised gray levels as nodes of a network's own graph, so that every file of the network carries them.

Only operators that every runtime knows: an image is cut and resized by two matrix products, whose matrices the graph
computes from the box of each image.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from plainfilm.errors import WeightsError
from plainfilm.model import lung_segmentation
from plainfilm.model.lung_segmentation import SIDE
from plainfilm.model.onnx.from_keras import OPSET, Graph, least_scale

CROPPED = "lung_box"  # how the name of a tensor that shows the box around the lungs ends
TAIL = 0.01  # share of the lung fields left out at each edge of their box
MARGIN = 0.05  # share of the box's side added at each edge
MEAN, DEVIATION = 100.0, 40.0  # gray levels that lung fields are brought to
_PREFIX = "lungs_"


def add(
    graph: Graph, *, image_size: int, input_size: int, crop: str, intensities: str, resample: str = "bilinear"
) -> str:
    """Add nodes from uint8 "images" (n, image_size, image_size) to gray float32 (n, 1, input_size, input_size).

    Parameters
    ----------
    graph
        Receives the nodes.
    image_size, input_size
        In pixels.
    crop
        "none" or "lungs": where lung fields are found (as `lungs.LungFinder` finds them, small islands included), the box
        that holds all but `TAIL` of them at each edge, and `MARGIN` around it, is seen alone, stretched to a square.
        Where none are found, the whole image is seen.
    intensities
        "stored" or "harmonised": gray levels are shifted and spread so that those in the lung fields have mean `MEAN` and
        standard deviation `DEVIATION`, then clipped to 0 to 255. Where none are found, those of the whole image.
    resample
        "bilinear", or with antialias as Pillow resizes, with a filter of `KERNELS`. A lung crop has its own.

    Returns
    -------
    str
        Name of the output.

    Raises
    ------
    WeightsError
        The graph's operators are older than the lung-field network's.
    """
    gray = graph.node("Cast", ["images"], to=TensorProto.FLOAT)
    if crop == "none" and intensities == "stored":
        return _resized(graph, gray, image_size, input_size, resample)
    if graph.opset < OPSET:
        raise WeightsError(
            f"Expected ONNX operators of version {OPSET} or newer for a lung crop or harmonised intensities; received "
            f"{graph.opset}. Export the file again, or set backbone.crop=none and backbone.intensities=stored."
        )
    field = _Field(graph, gray, image_size)
    seen = (
        _cut(graph, gray, field, image_size, input_size)
        if crop == "lungs"
        else _resized(graph, gray, image_size, input_size, resample)
    )
    return _harmonised(graph, seen, field) if intensities == "harmonised" else seen


def is_cropped(model: onnx.ModelProto) -> bool:
    """Whether a network, or a part of it, sees a box around the lungs instead of the image."""
    return any(name.endswith(CROPPED) for node in model.graph.node for name in node.output)


def _resized(graph: Graph, gray: str, image_size: int, input_size: int, resample: str) -> str:
    if input_size != image_size and resample != "bilinear":
        gray = _antialiased(graph, gray, averaging(image_size, input_size, resample.removesuffix("-antialias")))
    x = graph.node("Unsqueeze", [gray, graph.weight(np.array([1], np.int64))])
    if input_size == image_size or resample != "bilinear":
        return x
    scales = graph.weight(np.array([1, 1, *[least_scale(image_size, input_size)] * 2], np.float32))
    return graph.node("Resize", [x, "", scales], mode="linear", coordinate_transformation_mode="half_pixel")


class _Field:
    """Lung fields in a graph: names of `image` float32 (n, SIDE, SIDE), `mask` 0 or 1 (n, SIDE, SIDE), `found` bool (n, 1)."""

    def __init__(self, graph: Graph, gray: str, image_size: int) -> None:
        self.image = _shrunk(graph, gray, image_size)
        logits = _lung_logits(graph, self.image)
        zero = graph.weight(np.float32(0))
        self.mask = graph.node("Cast", [graph.node("Greater", [logits, zero])], to=TensorProto.FLOAT)
        self.pixels = _total(graph, self.mask)
        self.found = self._are_lungs(graph, logits)

    def _are_lungs(self, graph: Graph, logits: str) -> str:
        """Decide as `lungs.LungFinder` does: neither too little nor too much, and not doubtful."""
        least, most = (
            graph.weight(np.float32(share * SIDE**2))
            for share in (lung_segmentation.SMALLEST, lung_segmentation.LARGEST)
        )
        halved = graph.node("Mul", [logits, graph.weight(np.float32(0.5))])
        sure = _total(graph, graph.node("Mul", [graph.node("Tanh", [halved]), self.mask]))
        enough = graph.node("Mul", [self.pixels, graph.weight(np.float32(2 * lung_segmentation.SUREST - 1))])
        fits = graph.node("And", [graph.node("GreaterOrEqual", [self.pixels, least]),
                                  graph.node("LessOrEqual", [self.pixels, most])])  # fmt: skip
        return graph.node("And", [fits, graph.node("GreaterOrEqual", [sure, enough])])

    def ends(self, graph: Graph, axis: int) -> tuple[str, str]:
        """Where the box begins and ends along axis 1 (down) or 2 (across): names of float32 (n, 1), shares of the side."""
        mass = graph.node("ReduceSum", [self.mask, graph.weight(np.array([3 - axis]))], keepdims=0)
        before = graph.node("MatMul", [mass, graph.weight(np.triu(np.ones((SIDE, SIDE), np.float32), 1))])
        low, high = (_quantile(graph, mass, before, self.pixels, share) for share in (TAIL, 1 - TAIL))
        margin = graph.node("Mul", [graph.node("Sub", [high, low]), graph.weight(np.float32(MARGIN))])
        return (
            self._where_found(graph, graph.node("Sub", [low, margin]), 0),
            self._where_found(graph, graph.node("Add", [high, margin]), 1),
        )

    def _where_found(self, graph: Graph, pixels: str, otherwise: float) -> str:
        inside = _clip(graph, _times(graph, pixels, 1 / SIDE), 1)
        return graph.node("Where", [self.found, inside, graph.weight(np.float32(otherwise))])


def _shrunk(graph: Graph, gray: str, image_size: int) -> str:
    """Resize to (n, SIDE, SIDE) as `onnx_session.shrunk` does: across first, each pass rounded to gray levels."""
    matrix = averaging(image_size, SIDE)
    across = graph.node("Round", [graph.node("MatMul", [gray, graph.weight(matrix.T)])])
    return graph.node("Round", [graph.node("MatMul", [graph.weight(matrix), across])])


def _antialiased(graph: Graph, gray: str, matrix: NDArray[np.float32]) -> str:
    """Resize gray levels as Pillow does: across first, each pass rounded and cut to 0 to 255, beyond which filters reach."""
    across = _clip(graph, graph.node("Round", [graph.node("MatMul", [gray, graph.weight(matrix.T)])]), 255)
    return _clip(graph, graph.node("Round", [graph.node("MatMul", [graph.weight(matrix), across])]), 255)


def _triangle(away: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(0.0, 1.0 - away)


def _keys(away: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic with a = -0.5 (IEEE Transactions on Acoustics, Speech, and Signal Processing 29:1153, 1981), Pillow's."""
    near, far = 1.5 * away**3 - 2.5 * away**2 + 1, -0.5 * away**3 + 2.5 * away**2 - 4 * away + 2
    return np.where(away < 1, near, np.where(away < 2, far, 0.0))


def _lanczos(away: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(away < 3, np.sinc(away) * np.sinc(away / 3), 0.0)


KERNELS = {"bilinear": _triangle, "bicubic": _keys, "lanczos": _lanczos}


def averaging(size: int, target: int, kernel: str = "bilinear") -> NDArray[np.float32]:
    """Pillow's antialiased resizing from `size` to `target` pixels as a matrix float32 (target, size)."""
    step = size / target
    centres = (np.arange(target) + 0.5) * step
    weights = KERNELS[kernel](np.abs(np.arange(size) + 0.5 - centres[:, None]) / max(step, 1.0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _lung_logits(graph: Graph, image: str) -> str:
    """Copy the lung-field network into the graph, behind `image`."""
    network = onnx.compose.add_prefix(onnx.load(lung_segmentation.NETWORK), _PREFIX)
    graph.node("Identity", [image], output=network.graph.input[0].name)
    graph.nodes.extend(network.graph.node)
    graph.weights.extend(network.graph.initializer)
    return str(network.graph.output[0].name)


def _total(graph: Graph, maps: str) -> str:
    """Sum maps float32 (n, SIDE, SIDE) to (n, 1)."""
    rows = graph.node("Reshape", [maps, graph.weight(np.array([-1, SIDE**2]))])
    return graph.node("ReduceSum", [rows, graph.weight(np.array([1]))], keepdims=1)


def _quantile(graph: Graph, mass: str, before: str, pixels: str, share: float) -> str:
    """Where a share of the mass (n, SIDE) lies before, in pixels (n, 1): each column counts by how much of it does."""
    wanted = graph.node("Sub", [_times(graph, pixels, share), before])
    parts = graph.node("Div", [wanted, graph.node("Max", [mass, graph.weight(np.float32(1))])])
    return graph.node("ReduceSum", [_clip(graph, parts, 1), graph.weight(np.array([1]))], keepdims=1)


def _cut(graph: Graph, gray: str, field: _Field, image_size: int, input_size: int) -> str:
    down, across = (_resizing(graph, *field.ends(graph, axis), image_size, input_size) for axis in (1, 2))
    turned = graph.node("Transpose", [across], perm=[0, 2, 1])
    cut = graph.node("MatMul", [graph.node("MatMul", [down, gray]), turned])
    return graph.node("Unsqueeze", [cut, graph.weight(np.array([1]))], output=CROPPED)


def _resizing(graph: Graph, start: str, end: str, image_size: int, input_size: int) -> str:
    """Resizing from a box to `input_size` pixels, as `averaging` does, as matrices (n, input_size, image_size)."""
    begin = _unsqueezed(graph, _times(graph, start, image_size))
    step = _times(graph, graph.node("Sub", [_unsqueezed(graph, _times(graph, end, image_size)), begin]), 1 / input_size)
    places = graph.weight((np.arange(input_size, dtype=np.float32) + np.float32(0.5))[:, None])
    centres = graph.node("Add", [graph.node("Mul", [places, step]), begin])
    pixels = graph.weight(np.arange(image_size, dtype=np.float32) + np.float32(0.5))
    away = graph.node("Abs", [graph.node("Sub", [pixels, centres])])
    reach = graph.node("Max", [step, graph.weight(np.float32(1))])
    one, zero = graph.weight(np.float32(1)), graph.weight(np.float32(0))
    weights = graph.node("Max", [graph.node("Sub", [one, graph.node("Div", [away, reach])]), zero])
    return graph.node("Div", [weights, graph.node("ReduceSum", [weights, graph.weight(np.array([2]))], keepdims=1)])


def _harmonised(graph: Graph, seen: str, field: _Field) -> str:
    """Bring mean and deviation of the gray levels in the lung fields to fixed ones."""
    everywhere, found = graph.weight(np.float32(1)), _unsqueezed(graph, field.found)
    counted = graph.node("Where", [found, field.mask, everywhere])
    pixels = _total(graph, counted)
    mean = graph.node("Div", [_total(graph, graph.node("Mul", [counted, field.image])), pixels])
    away = graph.node("Sub", [field.image, _unsqueezed(graph, mean)])
    squares = _total(graph, graph.node("Mul", [counted, graph.node("Mul", [away, away])]))
    deviation = graph.node("Sqrt", [graph.node("Div", [squares, pixels])])
    spread = graph.node("Add", [deviation, graph.weight(np.float32(lung_segmentation.EPSILON))])
    gain = graph.node("Div", [graph.weight(np.float32(DEVIATION)), spread])
    axes = graph.weight(np.array([2, 3]))
    mean, gain = (graph.node("Unsqueeze", [each, axes]) for each in (mean, gain))
    spread_out = graph.node("Mul", [graph.node("Sub", [seen, mean]), gain])
    return _clip(graph, graph.node("Add", [spread_out, graph.weight(np.float32(MEAN))]), 255)


def _times(graph: Graph, x: str, factor: float) -> str:
    return graph.node("Mul", [x, graph.weight(np.float32(factor))])


def _clip(graph: Graph, x: str, most: float) -> str:
    return graph.node("Clip", [x, graph.weight(np.float32(0)), graph.weight(np.float32(most))])


def _unsqueezed(graph: Graph, x: str) -> str:
    """(n, 1) to (n, 1, 1)."""
    return graph.node("Unsqueeze", [x, graph.weight(np.array([2]))])
