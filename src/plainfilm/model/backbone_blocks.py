"""The blocks of a Keras backbone: where one ends and the next begins, and a backbone that ends after one of the first."""

import re
from collections.abc import Sequence
from typing import Any

from plainfilm.errors import RecipeError
from plainfilm.model import keras_backend
from plainfilm.model.backbones import Backbone


def shortened(network: Any, backbone: Backbone) -> Any:
    """End a network of `backbones.build` after the first `backbone.depth` blocks, averaged over its maps there; 0: as it is.

    Earlier maps hold texture where the last ones hold objects, which ImageNet taught and radiographs lack (Raghu et al.,
    NeurIPS 2019, found the same of transfer to medical images).

    Raises
    ------
    RecipeError
        The network has fewer blocks.
    """
    keras = keras_backend.load()
    if backbone.depth == 0:
        return network
    names = block_names(network, backbone)
    if backbone.depth >= len(names):
        raise RecipeError(
            f"Expected backbone.depth from 1 to {len(names) - 1}, or 0 for all, for {backbone.name}; received {backbone.depth}. "
            "Set one of them."
        )
    maps = gate(network, backbone, names[backbone.depth])
    features = keras.layers.GlobalAveragePooling2D(name="average")(maps)
    return keras.Model(network.inputs[0], features, name=f"{network.name}_{backbone.depth}")


def block_names(network: Any, backbone: Backbone) -> list[str]:
    """Name the blocks in their order."""
    found = [re.match(backbone.block, node.operation.name) for node in _nodes(network)]
    return list(dict.fromkeys(match[1] for match in found if match))


def gate(network: Any, backbone: Backbone, block: str) -> Any:
    """Give the last tensor before a block that every path goes through."""
    nodes = _nodes(network)
    matches = [re.match(backbone.block, node.operation.name) for node in nodes]
    first = next(at for at, match in enumerate(matches) if match and match[1] == block)
    return _gates(network, nodes[:first])[-1]


def _nodes(network: Any) -> list[Any]:
    by_depth = sorted(network._nodes_by_depth.items(), reverse=True)
    return [node for _, nodes in by_depth for node in nodes if not node.is_input]


def _gates(network: Any, nodes: Sequence[Any]) -> list[Any]:
    """Tensors among those of the first nodes that are the only ones still needed when they are made."""
    needed = _readers(network)
    tensors, gates = {id(network.inputs[0])}, [network.inputs[0]]
    for node in nodes:
        for tensor in node.input_tensors:
            needed[id(tensor)] -= 1
        tensors = {each for each in tensors if needed[each] > 0} | {id(tensor) for tensor in node.outputs}
        if len(tensors) == 1:
            gates.append(node.outputs[0])
    return gates


def _readers(network: Any) -> dict[int, int]:
    """Count how often each tensor is read."""
    count: dict[int, int] = {}
    for node in _nodes(network):
        for tensor in node.input_tensors:
            count[id(tensor)] = count.get(id(tensor), 0) + 1
    return count
