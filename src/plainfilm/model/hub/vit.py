"""A Vision Transformer as an ONNX graph, of operators that a bundle may hold. Sizes are known, so that nothing is computed from shapes.

Dosovitskiy et al., An image is worth 16x16 words, 2021 (arXiv:2010.11929); registers: arXiv:2309.16588; rotary positions of
DINOv3: arXiv:2508.10104; attention pooling: Zhai et al., arXiv:2106.04560.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.errors import RecipeError, WeightsError
from plainfilm.model.hub import eva, positions
from plainfilm.model.hub.configuration import EXPORT, Configuration, layout_of
from plainfilm.model.hub.folder import HubFolder, Weights
from plainfilm.model.onnx.from_keras import Graph, gelu, silu

Array = NDArray[np.float32]
_MOST_WIDTH = 8192
_HALVED = frozenset({"timm", "timm dinov3", "eva02", "eva02 masked"})  # families whose first layer may hold its gate
_FAR = np.iinfo(np.int64).max


def add(
    graph: Graph, folder: HubFolder, told: Configuration, x: str, size: int, *, pooling: str, output: str, depth: int
) -> tuple[str, int]:
    """Add a network that takes `x` float32 (n, 3, size, size); return the name of its features (n, width), and their width.

    Parameters
    ----------
    graph
        Receives nodes and weights.
    folder, told
        The network and what its configuration says.
    x, size
        The input and its side in pixels.
    pooling
        "auto", "cls", "mean", "map" or "pooler", as in a recipe.
    output
        "" or "embedding", what the projection into the space of texts makes of the features.
    depth
        Blocks that are used, 0 for all.

    Raises
    ------
    WeightsError
        Tensors are missing, of another shape or of another network.
    RecipeError
        The network has no such pooling, output or depth.
    """
    network = _Transformer(graph, _weights(folder, told), told, size)
    tokens = network.embed(x)
    network.check_places()
    tokens = network.blocks(tokens, depth)
    features = network.pool(
        tokens, told.pooling if pooling in {"auto", "pooler"} and not network.layout.pooler else pooling
    )
    features, width = network.project(features) if output == "embedding" else (features, network.width)
    if not depth:
        network.check_nothing_left()
    return features, width


def _weights(folder: HubFolder, told: Configuration) -> Weights:
    """Find the tensors of the image encoder, whatever stands before their names."""
    if not folder.config_name and (weights := eva.opened(folder)):
        return weights
    layout, tensors = layout_of(told), folder.tensors()
    ending = f"{layout.patch}.weight"
    found = sorted(name for name in tensors.names() if name == ending or name.endswith(f".{ending}"))
    if len(found) != 1:
        names = ", ".join(tensors.names()[:3])
        raise WeightsError(
            f"Expected the tensors of a {told.family} in {folder.path}, one {ending} among them; received {len(found)} such, and {names} …. "
            "Fetch the model with its image encoder."
        )
    return Weights(tensors, found[0].removesuffix(ending), folder.path)


class _Transformer:
    """A network while it is being written."""

    def __init__(self, graph: Graph, weights: Weights, told: Configuration, size: int) -> None:
        self.graph, self.weights, self.told, self.layout = graph, weights, told, layout_of(told)
        kernel = weights.shape(f"{self.layout.patch}.weight", 4)
        if kernel[1] != 3 or kernel[2] != kernel[3] or not 1 <= kernel[0] <= _MOST_WIDTH:
            raise WeightsError(
                f"Expected patches of three channels and a square in {self.layout.patch}.weight; received {list(kernel)}. {EXPORT}"
            )
        self.width, self.patch = kernel[0], kernel[2]
        self.side = size // self.patch
        sizes = told.head_sizes or {}
        self.heads = told.heads or sizes.get(self.width, max(1, self.width // 64))
        pairs = [("a width of {}", told.width, self.width), ("patches of {} px", told.patch, self.patch)]
        for words, wanted, found in (pair for pair in pairs if pair[1] not in {0, pair[2]}):
            raise WeightsError(
                f"Expected {words.format(wanted)}, as the configuration says; received {found}. The weights are not those of the "
                "configuration beside them: fetch both again."
            )
        if self.width % self.heads:
            raise WeightsError(
                f"Expected a width that {self.heads} heads divide; received {self.width}. Fetch the weights with their configuration."
            )
        if not self.side:
            raise WeightsError(
                f"Expected an input of {self.patch} px or more; received {size} px. Set backbone.input_size."
            )
        self.prefix = 0

    # Parts that every layer is made of.

    def dense(self, x: str, name: str, wide: int, into: int) -> str:
        y = self._times(x, self.weights.take(f"{name}.weight", into, wide))
        return self._plus(y, self.weights.take(f"{name}.bias", into)) if self.weights.has(f"{name}.bias") else y

    def norm(self, x: str, name: str, wide: int = 0) -> str:
        scale, shift = (self.weights.take(f"{name}.{part}", wide or self.width) for part in ("weight", "bias"))
        return self._normed(x, scale, shift)

    def norm_if_there(self, x: str, name: str, wide: int = 0) -> str:
        return self.norm(x, name, wide) if self.weights.has(f"{name}.weight") else x

    def activate(self, x: str, kind: str) -> str:
        graph = self.graph
        if kind == "silu":
            return silu(graph, x)
        if kind == "quick_gelu":
            return graph.node("Mul", [x, graph.node("Sigmoid", [self._scaled(x, 1.702)])])
        if kind == "gelu":
            return gelu(graph, x)
        cube = graph.node("Mul", [graph.node("Mul", [x, x]), x])  # gelu_pytorch_tanh
        inner = self._scaled(graph.node("Add", [x, self._scaled(cube, 0.044715)]), np.sqrt(2 / np.pi))
        return graph.node(
            "Mul", [self._scaled(x, 0.5), graph.node("Add", [graph.node("Tanh", [inner]), graph.weight(np.float32(1))])]
        )

    def _normed(self, x: str, scale: Array, shift: Array) -> str:
        graph = self.graph
        return graph.node(
            "LayerNormalization", [x, graph.weight(scale), graph.weight(shift)], axis=-1, epsilon=self.told.epsilon
        )

    def _times(self, x: str, matrix: Array) -> str:
        return self.graph.node("MatMul", [x, self.graph.weight(np.ascontiguousarray(matrix.T))])

    def _plus(self, x: str, value: Array) -> str:
        return self.graph.node("Add", [x, self.graph.weight(value)])

    def _scaled(self, x: str, factor: float) -> str:
        return self.graph.node("Mul", [x, self.graph.weight(np.float32(factor))])

    def _shaped(self, x: str, *sides: int) -> str:
        return self.graph.node("Reshape", [x, self.graph.weight(np.array(sides))])

    # From pixels to tokens.

    def embed(self, x: str) -> str:
        """Make (n, tokens, width) of images: class token, registers, patches."""
        graph, layout, patch = self.graph, self.layout, self.patch
        inputs = [x, graph.weight(self.weights.take(f"{layout.patch}.weight", self.width, 3, patch, patch))]
        if self.weights.has(f"{layout.patch}.bias"):
            inputs.append(graph.weight(self.weights.take(f"{layout.patch}.bias", self.width)))
        maps = graph.node("Conv", inputs, strides=[patch, patch], kernel_shape=[patch, patch])
        tokens = graph.node("Transpose", [self._shaped(maps, 0, self.width, self.side**2)], perm=[0, 2, 1])
        first, grid = self._first_tokens()
        tokens = self._plus(tokens, grid) if grid is not None else tokens
        self.prefix = first.shape[1]
        if self.prefix:
            tokens = graph.node("Concat", [self._repeated(tokens, first), tokens], axis=1)
        return self.norm_if_there(tokens, layout.before) if layout.before else tokens

    def _repeated(self, tokens: str, first: Array) -> str:
        """Repeat tokens over the images by adding them to nought times a patch: to expand a tensor needs its shape."""
        graph = self.graph
        ends = [graph.weight(np.array([each])) for each in (0, 1, 1)]
        nought = self._scaled(graph.node("Slice", [tokens, *ends]), 0.0)
        return self._plus(nought, first)

    def _first_tokens(self) -> tuple[Array, Array | None]:
        """Give what stands before the patches, (1, count, width), and the positions of the patches."""
        layout, weights, width = self.layout, self.weights, self.width
        classes = self._tokens(layout.classes)
        registers = self._tokens(layout.registers)
        if not layout.positions:
            return np.concatenate([classes, registers], axis=1), None
        sides = weights.shape(layout.positions)
        table = weights.take(layout.positions, *[-1] * (len(sides) - 1), width).reshape(1, -1, width)
        own = table.shape[1] - int(np.sqrt(table.shape[1])) ** 2
        more = {0, classes.shape[1] + registers.shape[1]} if self.told.family == "timm" else set()
        if own not in {classes.shape[1], *more}:
            raise WeightsError(
                f"Expected positions of a square of patches in {layout.positions}; received {table.shape[1]}. {EXPORT}"
            )
        grid = positions.interpolated(table[:, own:], self.side, antialias=layout.antialias)
        first = np.concatenate([classes, registers], axis=1)
        first[:, :own] += table[:, :own]
        return first, grid

    def _tokens(self, name: str) -> Array:
        if not name or not self.weights.has(name):
            return np.zeros((1, 0, self.width), np.float32)
        sides = self.weights.shape(name)
        return self.weights.take(name, *[-1] * (len(sides) - 1), self.width).reshape(1, -1, self.width)

    # Blocks.

    def blocks(self, tokens: str, depth: int) -> str:
        """Add the first `depth` blocks, 0 for all."""
        count = self.weights.numbered(f"{self.layout.block}{self.layout.norm1}.weight")
        told = self.told.blocks or count
        if not count or count != told:
            raise WeightsError(
                f"Expected {max(told, 1)} blocks; received {count}. The weights are not those of the configuration beside them: fetch both again."
            )
        if depth > count:
            raise RecipeError(
                f"Expected backbone.depth up to {count}, the blocks that the backbone has; received {depth}."
            )
        for at in range(depth or count):
            tokens = self._block(tokens, self.layout.block.format(at))
        return tokens

    def _block(self, tokens: str, at: str) -> str:
        layout = self.layout
        y = self._attention(self.norm(tokens, at + layout.norm1), at)
        tokens = self._joined(tokens, y, at + layout.scale1 if layout.scale1 else "")
        y = self._perceptron(self.norm(tokens, at + layout.norm2), at)
        return self._joined(tokens, y, at + layout.scale2 if layout.scale2 else "")

    def _joined(self, tokens: str, y: str, scale: str) -> str:
        if scale and self.weights.has(scale):
            y = self.graph.node("Mul", [y, self.graph.weight(self.weights.take(scale, self.width))])
        return self.graph.node("Add", [tokens, y])

    def _attention(self, x: str, at: str) -> str:
        graph, width, heads = self.graph, self.width, self.heads
        wide = width // heads
        matrix, shift = self._queries_keys_values(at)
        matrix[:width] *= wide**-0.5
        shift[:width] *= wide**-0.5  # in the queries, where it costs nothing
        parts = self._shaped(self._plus(self._times(x, matrix), shift), 0, self._count(), 3, heads, wide)
        parts = graph.node("Transpose", [parts], perm=[2, 0, 3, 1, 4])
        queries, keys, values = (
            graph.node("Gather", [parts, graph.weight(np.array(each))], axis=0) for each in range(3)
        )
        if self.told.theta:
            queries, keys = (self._turned(each, wide) for each in (queries, keys))
        scores = graph.node("MatMul", [queries, graph.node("Transpose", [keys], perm=[0, 1, 3, 2])])
        mixed = graph.node("MatMul", [graph.node("Softmax", [scores], axis=-1), values])
        mixed = self._shaped(graph.node("Transpose", [mixed], perm=[0, 2, 1, 3]), 0, self._count(), width)
        mixed = self.norm_if_there(mixed, at + self.layout.inner) if self.layout.inner else mixed
        return self.dense(mixed, at + self.layout.out, width, width)

    def _count(self) -> int:
        return self.prefix + self.side**2

    def _queries_keys_values(self, at: str) -> tuple[Array, Array]:
        """Give weights (3 width, width) and biases (3 width) of all three, whichever way they are kept."""
        width, layout, weights = self.width, self.layout, self.weights
        names = [at + name for name in layout.qkv]
        if layout.fused and weights.has(f"{at}{layout.fused}.weight"):
            names = [at + layout.fused]
        parts = ["" if name.endswith("_") else "." for name in names]
        wide = 3 * width // len(names)
        matrix = np.concatenate(
            [weights.take(f"{name}{dot}weight", wide, width) for name, dot in zip(names, parts, strict=True)]
        )
        shifts = [f"{name}{dot}bias" for name, dot in zip(names, parts, strict=True)]
        if not any(map(weights.has, shifts)) and layout.biases:
            shifts, wide = [at + name for name in layout.biases], width
        shift = np.concatenate(
            [weights.take(name, wide) if weights.has(name) else np.zeros(wide, np.float32) for name in shifts]
        )
        if self.told.grid:
            for first in (0, width):
                matrix[first : first + width] = positions.halved(matrix[first : first + width], self.heads)
                shift[first : first + width] = positions.halved(shift[first : first + width], self.heads)
        return matrix, shift

    def _turned(self, x: str, wide: int) -> str:
        """Turn queries or keys by their place; tokens before the patches stay."""
        graph = self.graph
        places = positions.counted(self.side, self.told.grid) if self.told.grid else positions.centred(self.side)
        cosine, sine = positions.rotary(places, wide, self.told.theta, before=self.prefix)
        halves = [graph.node("Slice", [x, *(graph.weight(np.array([each])) for each in cut)])
                  for cut in ((0, wide // 2, 3), (wide // 2, wide, 3))]  # fmt: skip
        swapped = graph.node("Concat", [graph.node("Neg", [halves[1]]), halves[0]], axis=-1)
        straight = graph.node("Mul", [x, graph.weight(cosine)])
        return graph.node("Add", [straight, graph.node("Mul", [swapped, graph.weight(sine)])])

    def check_places(self) -> None:
        """Hold the places of patches against those that EVA-02's own checkpoints keep: other grids than the one known here were trained with."""
        kept = "rope.freqs_cos"
        if not self.told.grid or not self.weights.has(kept):
            return
        count, wide = self.weights.shape(kept, 2)
        side = round(count**0.5)
        cosine, _ = positions.rotary(positions.counted(side, self.told.grid), wide, self.told.theta, before=0)
        found = self.weights.take(kept, side**2, self.width // self.heads)
        if not np.allclose(np.repeat(cosine[:, : wide // 2], 2, axis=1), found, atol=1e-2):
            raise WeightsError(
                f"Expected places on a grid of {self.told.grid} patches a side in {kept}; received others. {EXPORT}"
            )

    def _perceptron(self, x: str, at: str) -> str:
        graph, width = self.graph, self.width
        up, down = self._first(at, self.layout.up), self._first(at, self.layout.down)
        hidden, into = self.weights.shape(f"{up}.weight", 2)[0], self.weights.shape(f"{down}.weight", 2)[1]
        gate = self._first(at, self.layout.gate) if self.layout.gate else ""
        if gate and self.weights.has(f"{gate}.weight"):
            opened = self.activate(
                self.dense(x, gate, width, hidden), self.layout.gate_activation or self.told.activation
            )
            y = graph.node("Mul", [opened, self.dense(x, up, width, hidden)])
            return self.dense(self._middle(y, at, hidden), down, hidden, width)
        y = self.dense(x, up, width, hidden)
        can_halve = self.told.family in _HALVED or up.endswith("weights_in")
        if can_halve and hidden == 2 * into:  # SwiGLU: the first half opens the second
            cuts = [(0, into, 2), (into, hidden, 2)]
            opened, shut = (graph.node("Slice", [y, *(graph.weight(np.array([each])) for each in cut)]) for cut in cuts)
            y = graph.node("Mul", [self.activate(opened, "silu"), shut])
            return self.dense(self._middle(y, at, into), down, into, width)
        return self.dense(self._middle(self.activate(y, self.told.activation), at, hidden), down, hidden, width)

    def _middle(self, x: str, at: str, wide: int) -> str:
        return self.norm_if_there(x, at + self.layout.middle, wide) if self.layout.middle else x

    def _first(self, at: str, names: Sequence[str]) -> str:
        return next((at + name for name in names if self.weights.has(f"{at}{name}.weight")), at + names[0])

    # From tokens to features.

    def pool(self, tokens: str, how: str) -> str:
        """Make features (n, width) of tokens."""
        layout = self.layout
        if how == "auto":
            how = self.told.pooling
        can = {
            "cls": bool(layout.classes) and self.weights.has(layout.classes),
            "mean": True,
            "map": bool(layout.attention_pool) and self.weights.has(layout.attention_pool["latent"]),
            "pooler": bool(layout.pooler) and self.weights.has(f"{layout.pooler}.weight"),
        }
        if how not in can:
            raise WeightsError(
                f"Expected pooling of token, avg or map in the configuration; received {how}. Set backbone.pooling."
            )
        if not can[how]:
            raise RecipeError(
                f"Expected backbone.pooling of {', '.join(name for name, is_there in can.items() if is_there)}, which this network has; "
                f"received {how}. Set one of them."
            )
        if how == "mean":
            return self._mean(tokens)
        if how == "map":
            return self._attended(self.norm(tokens, layout.norm))
        token = self.graph.node("Gather", [tokens, self.graph.weight(np.array(0))], axis=1)
        name = layout.norm if self.weights.has(f"{layout.norm}.weight") else layout.pooled_norm
        token = self.norm(token, name)
        return (
            self.graph.node("Tanh", [self.dense(token, layout.pooler, self.width, self.width)])
            if how == "pooler"
            else token
        )

    def _mean(self, tokens: str) -> str:
        """Average the patches as maps, the form in which Grad-CAM finds them."""
        graph, layout = self.graph, self.layout
        late = bool(layout.pooled_norm) and self.weights.has(f"{layout.pooled_norm}.weight")
        if not late:
            tokens = self.norm(tokens, layout.norm)
        ends = [graph.weight(np.array([each])) for each in (self.prefix, _FAR, 1)]
        patches = graph.node("Slice", [tokens, *ends])
        maps = self._shaped(graph.node("Transpose", [patches], perm=[0, 2, 1]), 0, self.width, self.side, self.side)
        features = graph.node("Flatten", [graph.node("GlobalAveragePool", [maps])])
        return self.norm(features, layout.pooled_norm) if late else features

    def _attended(self, tokens: str) -> str:
        """Attention pooling: a learnt query asks all patches, and a perceptron follows."""
        graph, width, heads, names = self.graph, self.width, self.heads, self.layout.attention_pool
        wide = width // heads
        query, matrix, shift = self._asking(names)
        asked = np.ascontiguousarray(query.reshape(1, 1, heads, wide).transpose(0, 2, 1, 3) * wide**-0.5, np.float32)
        ends = [graph.weight(np.array([each])) for each in (self.prefix, _FAR, 1)]
        patches = graph.node("Slice", [tokens, *ends]) if self.prefix else tokens
        parts = self._shaped(self._plus(self._times(patches, matrix), shift), 0, self.side**2, 2, heads, wide)
        parts = graph.node("Transpose", [parts], perm=[2, 0, 3, 1, 4])
        keys, values = (graph.node("Gather", [parts, graph.weight(np.array(each))], axis=0) for each in range(2))
        scores = graph.node("MatMul", [graph.weight(asked), graph.node("Transpose", [keys], perm=[0, 1, 3, 2])])
        mixed = graph.node("MatMul", [graph.node("Softmax", [scores], axis=-1), values])
        x = self.dense(self._shaped(mixed, 0, width), names["out"], width, width)
        hidden = self.weights.shape(f"{names['up']}.weight", 2)[0]
        y = self.activate(self.dense(self.norm(x, names["norm"]), names["up"], width, hidden), self.told.activation)
        return graph.node("Add", [x, self.dense(y, names["down"], hidden, width)])

    def _asking(self, names: Any) -> tuple[Array, Array, Array]:
        """Give the query (width), and weights (2 width, width) and biases of keys and values."""
        width, take = self.width, self.weights.take
        latent = take(names["latent"], 1, 1, width).reshape(width)
        if "fused" in names:
            matrix, shift = take(names["fused"] + "weight", 3 * width, width), take(names["fused"] + "bias", 3 * width)
            return matrix[:width] @ latent + shift[:width], matrix[width:], shift[width:]
        keys, query = names["keys"], names["query"]
        asked = take(f"{query}.weight", width, width) @ latent + take(f"{query}.bias", width)
        return asked, take(f"{keys}.weight", 2 * width, width), take(f"{keys}.bias", 2 * width)

    def project(self, features: str) -> tuple[str, int]:
        """Apply the projection into the space of texts."""
        name = self.layout.projection
        weights = self.weights.beside(name) if name else None
        if weights is None:
            raise RecipeError(
                'Expected backbone.output "" with this network, which projects nothing; received "embedding". Leave it out.'
            )
        matrix = (
            weights.take(name, self.width, -1).T
            if weights.has(name)
            else weights.take(f"{name}.weight", -1, self.width)
        )
        return self._times(features, np.asarray(matrix, np.float32)), matrix.shape[0]

    def check_nothing_left(self) -> None:
        """Refuse a network with parts that are not known: it would give other features than its own software."""
        left = next(self.weights.left(self.layout.aside), "")
        if left:
            raise WeightsError(
                f"Expected the tensors of a {self.told.family}; received {left} as well, a part that is not known here. {EXPORT}"
            )
