"""What becomes of tokens and maps: how many features, and of which tokens."""

import numpy as np
import pytest

from plainfilm.model.onnx import pooling
from plainfilm.model.onnx.from_keras import Graph


@pytest.mark.parametrize(
    ("sides", "width"),
    [((2, 7), 7), ((2, 20, 7), 7), ((2, 7, 4, 4), 7), ((2, 4, 4, 7), 7), ((2, 4, 4, 4), 4), ((2, 7, 4, 5), 7)],
)
def test_the_width_of_what_is_pooled(sides, width):
    assert pooling.width(sides) == width


@pytest.mark.parametrize(("tokens", "first"), [(197, 1), (196, 0), (201, 5), (1374, 5), (50, 1), (140, 0), (80, 16)])
def test_tokens_beside_those_of_patches_stand_first(tokens, first):
    graph = Graph()
    pooling.added(graph, "x", (2, tokens, 7), "mean")
    cuts = [np.frombuffer(each.raw_data, np.int64).tolist() for each in graph.weights]
    assert cuts[0] == [first or 1]
    assert [each.op_type for each in graph.nodes] == (["Slice", "ReduceMean"] if first else ["ReduceMean"])


@pytest.mark.parametrize(
    ("sides", "how", "why"),
    [
        ((2, 7), "cls", "leave backbone.pooling=cls out"),
        ((2, 20, 7), "auto", "Set backbone.pooling=cls .* or mean"),
        ((2, 7, 4, 4), "cls", "Set backbone.pooling=mean"),
        ((2, 20, 7), "pooler", "no pooler of its own"),
        ((2, 20, 7), "map", "no map of its own"),
        ((2, 3, 4, 4, 7), "mean", "Set backbone.output to one that is"),
        ((2,), "auto", "Set backbone.output to one that is"),
    ],
)
def test_what_cannot_become_features_says_what_to_set(sides, how, why):
    with pytest.raises(pooling.Unpooled, match=why):
        pooling.added(Graph(), "x", sides, how)
