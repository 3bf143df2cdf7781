"""What becomes of an output that is not features yet: the tokens of a transformer, or a map."""

import math

import numpy as np

from plainfilm.model.onnx.from_keras import Graph
from plainfilm.model.onnx_safety.calls import Shape

_MOST_BESIDE = 16  # tokens beside those of patches: the class' and registers


class Unpooled(Exception):  # noqa: N818 - a finding about a recipe; whoever asks makes an error of it
    """What to do where an output cannot become features as it was asked for."""


def added(graph: Graph, name: str, sides: Shape, how: str) -> str:
    """Add what makes features (n, width) of an output with these sides; give its name.

    Parameters
    ----------
    how
        "cls", the first token; "mean" of the patches' tokens or of the map; "auto" for what is features already.

    Raises
    ------
    Unpooled
        It cannot be done so.
    """
    if how not in {"auto", "cls", "mean"}:
        raise Unpooled(
            f"An ONNX file has no {how} of its own: set backbone.output to what it gives, or backbone.pooling=cls or mean."
        )
    if len(sides) == 2:
        if how != "auto":
            raise Unpooled(f"Nothing is left to pool: leave backbone.pooling={how} out.")
        return name
    if len(sides) == 3 and how == "cls":
        return graph.node("Gather", [name, graph.weight(np.array(0))], axis=1)
    if len(sides) == 3 and how == "mean":
        if first := sides[1] - _patches(sides[1]):
            name = graph.node("Slice", [name, *(graph.weight(np.array([each])) for each in (first, sides[1], 1))])
        return _mean(graph, name, [1])
    if len(sides) == 4 and how == "mean":
        return _mean(graph, name, [1, 2] if _is_channels_last(sides) else [2, 3])
    raise Unpooled(
        {
            3: "Set backbone.pooling=cls (its first token) or mean (of its patches).",
            4: "Set backbone.pooling=mean.",
        }.get(len(sides), "Set backbone.output to one that is.")
    )


def width(sides: Shape) -> int:
    """Give how many features come of an output with these sides."""
    return sides[1] if len(sides) == 4 and not _is_channels_last(sides) else sides[-1]


def _patches(tokens: int) -> int:
    """How many of the tokens are patches': the largest square, if few are left; all otherwise."""
    square = math.isqrt(tokens) ** 2
    return square if tokens - square <= _MOST_BESIDE else tokens


def _is_channels_last(sides: Shape) -> bool:
    """Whether a map is (n, h, w, width): its square stands first."""
    return sides[1] == sides[2] != sides[3]


def _mean(graph: Graph, name: str, axes: list[int]) -> str:
    if graph.opset < 18:  # which made the axes an input
        return graph.node("ReduceMean", [name], axes=axes, keepdims=0)
    return graph.node("ReduceMean", [name, graph.weight(np.array(axes))], keepdims=0)
