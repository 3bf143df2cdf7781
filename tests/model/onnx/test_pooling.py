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


@pytest.mark.parametrize(
    ("tokens", "first"),
    [(197, 1), (196, 0), (200, 4), (201, 5), (1374, 5), (50, 1), (51, 2), (204, 8), (265, 9), (1034, 10)],
)
def test_tokens_beside_those_of_patches_stand_first(tokens, first):
    graph = Graph()
    pooling.added(graph, "x", (2, tokens, 7), "mean")
    cuts = [np.frombuffer(each.raw_data, np.int64).tolist() for each in graph.weights]
    assert cuts[0] == [first or 1]
    assert [each.op_type for each in graph.nodes] == (["Slice", "ReduceMean"] if first else ["ReduceMean"])


@pytest.mark.parametrize(
    ("tokens", "features"),
    [(197, 768), (197, 1024), (196, 1024), (1370, 768), (50, 768), (577, 1024), (201, 384), (204, 1024), (265, 1536), (64, 576), (49, 1024)],
)  # fmt: skip
def test_tokens_as_exporters_write_them_are_taken(tokens, features):
    for how in ("cls", "mean"):
        assert pooling.added(Graph(), "x", (2, tokens, features), how)


@pytest.mark.parametrize(
    ("sides", "how", "why"),
    [
        ((2, 7), "cls", "leave backbone.pooling=cls out"),
        (
            (2, 20, 7),
            "auto",
            r"Set backbone.pooling=cls \(the first of 20 tokens, each of 7 features\) or mean \(of the last 16,",
        ),
        (
            (2, 140, 7),
            "mean",
            r"140 tokens of 7 features are no square of patches with 0, 1, .* or 10 before them\. If the 7 are",
        ),
        ((2, 768, 197), "mean", "768 tokens of 197 features are no square"),
        ((2, 768, 197), "cls", r"If the 197 are the tokens, export it with tokens first: x.transpose\(1, 2\)"),
        ((2, 1024, 197), "mean", "1024 tokens of 197 features, but 197 looks like the number of tokens"),
        ((2, 256, 49), "cls", "but 49 looks like the number of tokens"),
        ((2, 24, 16), "mean", "24 tokens of 16 features, but 16 looks like the number of tokens"),
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
