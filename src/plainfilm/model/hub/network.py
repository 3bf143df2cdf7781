"""A folder's network as part of an ONNX graph, whatever its family."""

import dataclasses

from plainfilm.errors import WeightsError
from plainfilm.model.hub import configuration, densenet, vit
from plainfilm.model.hub.configuration import DENSENET, Preparation
from plainfilm.model.hub.folder import HubFolder
from plainfilm.model.onnx.from_keras import Graph

OUTPUTS = ("", "embedding")


def preparation(folder: HubFolder) -> Preparation:
    """Say how images are prepared for a folder's network.

    Raises
    ------
    WeightsError
        Its configuration cannot be read, or is of a network that is not known here.
    """
    told = configuration.read(folder)
    if told.family != DENSENET:
        return told.preparation
    channels = densenet.channels(folder)
    if channels not in {1, 3}:
        raise WeightsError(
            f"Expected a network of 1 or 3 channels in {folder.path}; received {channels}. Take another."
        )
    if channels == 1:
        return told.preparation  # torchxrayvision's
    return dataclasses.replace(  # torchvision's, of ImageNet
        told.preparation, channels=3, span=(0.0, 1.0), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )


def add(
    graph: Graph, folder: HubFolder, x: str, size: int, *, pooling: str = "auto", output: str = "", depth: int = 0
) -> tuple[str, int]:
    """Add a folder's network, which takes `x` float32 (n, channels, size, size); return the name and the width of its features (n, width).

    `pooling`, `output` ("" or "embedding") and `depth` are a recipe's.

    Raises
    ------
    WeightsError
        The folder does not hold what it says, or a network that is not known here.
    RecipeError
        The network has no such pooling, output or depth.
    """
    told = configuration.read(folder)
    if told.family == DENSENET:
        return densenet.add(graph, folder, x, pooling=pooling, output=output, depth=depth)
    return vit.add(graph, folder, told, x, size, pooling=pooling, output=output, depth=depth)
