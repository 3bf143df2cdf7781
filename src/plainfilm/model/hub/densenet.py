"""DenseNet121 as torchxrayvision and torchvision keep it (Huang et al., 2017, arXiv:1608.06993), as an ONNX graph."""

from typing import Any

from plainfilm.errors import RecipeError, WeightsError
from plainfilm.model.hub.configuration import EXPORT
from plainfilm.model.hub.folder import HubFolder, Weights
from plainfilm.model.onnx.from_keras import Graph

_STEM = "features.conv0.weight"
_EPSILON = 1e-5  # PyTorch's, which no file states
_BLOCKS = 4


def add(graph: Graph, folder: HubFolder, x: str, *, pooling: str, output: str, depth: int) -> tuple[str, int]:
    """Add a network that takes `x` float32 (n, channels, s, s); return the name of its features (n, width), and their width.

    Raises
    ------
    WeightsError
        Tensors are missing, or of another network.
    RecipeError
        Another pooling than the mean, an output, or fewer blocks.
    """
    if pooling not in {"auto", "mean"} or output or depth:
        raise RecipeError(
            f"Expected a DenseNet121 whole, with the mean of its last maps; received backbone.pooling={pooling}, backbone.output={output}, "
            f"backbone.depth={depth}. Leave them out."
        )
    network = _DenseNet(graph, open_weights(folder))
    features = network.build(x)
    return features, network.weights.shape("features.norm5.weight", 1)[0]


def open_weights(folder: HubFolder) -> Weights:
    """Find a DenseNet's tensors, whatever stands before their names.

    Raises
    ------
    WeightsError
        They are of another network.
    """
    tensors = folder.tensors()
    found = [name for name in tensors.names() if name == _STEM or name.endswith(f".{_STEM}")]
    if len(found) != 1:
        names = ", ".join(tensors.names()[:3]) or "no tensors"
        raise WeightsError(
            f"Expected a DenseNet121 of torchxrayvision or torchvision, or an EVA-02, in {folder.path}, which has no configuration; received {names}. "
            f"Put its config.json beside it. {EXPORT}"
        )
    return Weights(tensors, found[0].removesuffix(_STEM), folder.path)


def channels(folder: HubFolder) -> int:
    """Channels of the images that a network takes."""
    return open_weights(folder).shape(_STEM, 4)[1]


class _DenseNet:
    """A network while it is being written."""

    def __init__(self, graph: Graph, weights: Weights) -> None:
        self.graph, self.weights = graph, weights

    def build(self, x: str) -> str:
        graph = self.graph
        x = self._normed(self._conv(x, "conv0", strides=[2, 2], pads=[3] * 4), "norm0")
        x = graph.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
        for block in range(1, _BLOCKS + 1):
            x = self._block(x, f"denseblock{block}")
            if block < _BLOCKS:
                name = f"transition{block}"
                x = self._conv(self._normed(x, f"{name}.norm"), f"{name}.conv")
                x = graph.node("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2])
        return graph.node("Flatten", [graph.node("GlobalAveragePool", [self._normed(x, "norm5")])])

    def _block(self, x: str, block: str) -> str:
        layers = 1
        while self.weights.has(f"features.{block}.denselayer{layers}.conv1.weight"):
            name = f"{block}.denselayer{layers}"
            y = self._conv(self._normed(x, f"{name}.norm1"), f"{name}.conv1")
            y = self._conv(self._normed(y, f"{name}.norm2"), f"{name}.conv2", pads=[1] * 4)
            x = self.graph.node("Concat", [x, y], axis=1)
            layers += 1
        return x

    def _conv(self, x: str, name: str, **attributes: Any) -> str:
        kernel = self.weights.take(f"features.{name}.weight", -1, -1, -1, -1)
        return self.graph.node("Conv", [x, self.graph.weight(kernel)], **attributes)

    def _normed(self, x: str, name: str) -> str:
        parts = [
            self.weights.take(f"features.{name}.{part}", -1)
            for part in ("weight", "bias", "running_mean", "running_var")
        ]
        y = self.graph.node("BatchNormalization", [x, *map(self.graph.weight, parts)], epsilon=_EPSILON)
        return self.graph.node("Relu", [y])
