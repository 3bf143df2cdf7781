"""Vision Transformers for tests: those of `made_hub` as classifiers, and one made by hand whose class token attends to bright patches."""

import numpy as np
from onnx import helper

import made_hub
from made_networks import CELL, SIZE, head
from plainfilm.model import classifier
from plainfilm.model.classifier import Classifier, Decision
from plainfilm.model.hub import folder, network
from plainfilm.model.onnx.from_keras import Graph, float_output

DECISION = Decision(classes=("empty", "square"), positive="square")
_WIDTH, _PATCHES, _BLOCKS = 8, (SIZE // CELL) ** 2, 2


def encoder(path, size, **choice):
    """A folder's network as an encoder of gray uint8 images (n, size, size), and its width."""
    graph = Graph()
    unit = graph.node("Mul", [graph.node("Cast", ["images"], to=1), graph.weight(np.float32(1 / 255))])
    gray = graph.node("Unsqueeze", [unit, graph.weight(np.array([1]))])
    x = graph.node("Concat", [gray] * 3, axis=1)
    features, width = network.add(graph, folder.open_folder(path), x, size, **choice)
    graph.node("Identity", [features], output="features")
    images = helper.make_tensor_value_info("images", 2, ["n", size, size])
    return graph.model([images], [float_output("features", width)]).SerializeToString(), width


def joined(path, size, *layers, **choice):
    """A folder's network with a head of the (matrix, offset) pairs that `made_networks.head` takes."""
    return Classifier(classifier.join(encoder(path, size, **choice)[0], head(*layers)), DECISION)


def token_finder(path):
    """Answers "square" where patches are bright, as `made_networks.square_finder` does.

    A patch holds its brightness above one half in channels 0 and 1, with signs, the class token a mark in 4 and 5. In the last block
    that mark asks, and what is bright answers; the sum of the answers goes to channels 6 and 7. The rest does nothing.
    """
    original = made_hub.originals()["vit"]
    config = original["files"]["config.json"] | {
        "hidden_size": _WIDTH, "intermediate_size": 4, "image_size": SIZE, "patch_size": CELL, "num_attention_heads": 2,
    }  # fmt: skip
    tensors = {name: np.zeros(_sides(name), np.float32) for name in original["shapes"] if "pooler" not in name}
    for name in tensors:
        if "norm" in name and name.endswith("weight"):
            tensors[name] += 1
    patches = tensors["embeddings.patch_embeddings.projection.weight"]
    patches[0], patches[1] = 2 / patches[0].size, -2 / patches[0].size
    tensors["embeddings.patch_embeddings.projection.bias"][:4] = [-1, 1, 1, -1]
    tensors["embeddings.cls_token"][..., 4:6] = [1, -1]
    last = f"encoder.layer.{_BLOCKS - 1}.attention"
    tensors[f"{last}.attention.query.weight"][[0, 4], 4] = [3, 2]
    tensors[f"{last}.attention.key.weight"][[0, 4], 0] = 1
    tensors[f"{last}.attention.value.weight"][[0, 4], 0] = 1
    tensors[f"{last}.output.dense.weight"][6:, [0, 4]] = np.array([[1, 1], [-1, -1]])
    made_hub.write(path, {"files": {"config.json": config}, "shapes": {}}, but=tensors)
    matrix = np.zeros((_WIDTH, 1))
    matrix[6] = 4
    return joined(path, SIZE, (matrix, [0.0]))


def _sides(name):
    if name.endswith("cls_token"):
        return 1, 1, _WIDTH
    if name.endswith("position_embeddings"):
        return 1, 1 + _PATCHES, _WIDTH
    if "projection.weight" in name:
        return _WIDTH, 3, CELL, CELL
    if "intermediate" in name:
        return (4, _WIDTH) if name.endswith("weight") else (4,)
    if ".output.dense.weight" in name and "attention" not in name:
        return _WIDTH, 4
    return (_WIDTH, _WIDTH) if name.endswith("weight") and "norm" not in name else (_WIDTH,)
