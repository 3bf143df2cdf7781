"""What becomes of an output that is not features yet: the tokens of a transformer, or a map."""

import math

import numpy as np

from plainfilm.model.onnx.from_keras import Graph
from plainfilm.model.onnx_safety.calls import Shape

# Tokens before those of patches that transformers have: none; the class'; with one register, or of distillation;
# four registers (DINOv2, DINOv3, timm's reg4) with the class' or without; seven (RADIO), eight (UNI2, Sapiens2) or nine with it.
_BESIDE = (0, 1, 2, 4, 5, 8, 9, 10)
_FEW = 5  # more of these are rare
_WIDTHS = 8  # which the width of nearly every network is a multiple of


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
    if len(sides) == 3:
        return _of_tokens(graph, name, sides, how)
    if len(sides) == 4 and how == "mean":
        return _mean(graph, name, [1, 2] if _is_channels_last(sides) else [2, 3])
    raise Unpooled("Set backbone.pooling=mean." if len(sides) == 4 else "Set backbone.output to one that is.")


def width(sides: Shape) -> int:
    """Give how many features come of an output with these sides."""
    return sides[1] if len(sides) == 4 and not _is_channels_last(sides) else sides[-1]


def _of_tokens(graph: Graph, name: str, sides: Shape, how: str) -> str:
    _, tokens, features = sides
    beside = _beside(tokens)
    turned = f"If the {features} are the tokens, export it with tokens first: x.transpose(1, 2)."
    if beside not in _BESIDE:
        raise Unpooled(
            f"Read as (n, tokens, features), {tokens} tokens of {features} features are no square of patches with "
            f"{', '.join(map(str, _BESIDE[:-1]))} or {_BESIDE[-1]} before them. {turned} Else pool them before the export."
        )
    if _is_turned(tokens, features):
        raise Unpooled(
            f"Read as (n, tokens, features) that is {tokens} tokens of {features} features, but {features} looks like the number of "
            f"tokens. {turned} Else pool them before the export."
        )
    if how == "auto":
        raise Unpooled(
            f"Set backbone.pooling=cls (the first of {tokens} tokens, each of {features} features) or mean (of the last "
            f"{tokens - beside}, which are patches'). {turned}"
        )
    if how == "cls":
        return graph.node("Gather", [name, graph.weight(np.array(0))], axis=1)
    if beside:
        name = graph.node("Slice", [name, *(graph.weight(np.array([each])) for each in (beside, tokens, 1))])
    return _mean(graph, name, [1])


def _beside(tokens: int) -> int:
    """How many tokens stand before those of the largest square of patches."""
    return tokens - math.isqrt(tokens) ** 2


def _is_turned(tokens: int, features: int) -> bool:
    """Whether the features are more likely the tokens: such a number, and either no width, or fewer than of tokens that are rare."""
    if features < 4 or _beside(features) not in _BESIDE:
        return False
    is_width = features % _WIDTHS == 0
    return (not is_width and tokens % _WIDTHS == 0) or (features < tokens and _beside(tokens) > _FEW)


def _is_channels_last(sides: Shape) -> bool:
    """Whether a map is (n, h, w, width): its square stands first."""
    return sides[1] == sides[2] != sides[3]


def _mean(graph: Graph, name: str, axes: list[int]) -> str:
    if graph.opset < 18:  # which made the axes an input
        return graph.node("ReduceMean", [name], axes=axes, keepdims=0)
    return graph.node("ReduceMean", [name, graph.weight(np.array(axes))], keepdims=0)
