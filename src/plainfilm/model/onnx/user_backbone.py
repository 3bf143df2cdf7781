"""A user's ONNX backbone with our preprocessing in front of it, at the file's own operator version: tried before it is used."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from plainfilm.errors import WeightsError
from plainfilm.model.cpus import processors
from plainfilm.model.onnx import pooling, weights_beside
from plainfilm.model.onnx.from_keras import Graph, float_output
from plainfilm.model.onnx_safety import check, shapes, writing
from plainfilm.model.onnx_safety.calls import Shape
from plainfilm.model.onnx_safety.check import Checked
from plainfilm.model.onnx_safety.fields import DTYPES
from plainfilm.model.onnx_safety.reading import NetworkRefused, shown
from plainfilm.model.onnx_safety.running import Plain
from plainfilm.reasons import reason_of

_LEAST_OPSET = 13
_LEAST_IR = min(check.IR_VERSIONS)  # an older one says nothing that this does not
_MOST_BYTES = check.MOST_BYTES - (32 << 20)  # the head and its preprocessing stand in the same bundle
_PREFIX = "backbone_"
_NOT_QUANTISED = "float32 is wanted, so a network before it is quantised"
_OTHER_FLOATS = {TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}
_CLASSES = {1000, 1001, 21841, 21843}  # of ImageNet, with and without one of nothing
_TOLERANCE = 1e-3  # of the largest feature, alone and beside another image: kernels add in another order
_MOST_TOLD = 6  # names of outputs in a line
_IMAGES = 2  # for which the shapes are followed
_TRIED = ("an image of noise over a slope of gray", "a dark one")
_FOLLOWED = 1 << 36  # bytes of a tensor whose shape is told; the check of the whole comes after


@dataclass(frozen=True, slots=True)
class Taken:
    """What of a network becomes the features: the name of an `output` or inner tensor, empty for the first output, and its `pooling`.

    "cls" takes the first token, "mean" the mean of patches or of a map; "auto" stands where there is no choice.
    """

    output: str = ""
    pooling: str = "auto"


def with_prelude(
    path: Path,
    input_size: int,
    images: onnx.ValueInfoProto,
    prelude: Callable[[Graph, bool], str],
    *,
    channels: int = 3,
    taken: Taken = Taken(),
) -> bytes:
    """Join preprocessing and a file that maps float32 images to features, and try both on a few images.

    Parameters
    ----------
    path
        ONNX file with one input, (n, channels, h, w) or (n, h, w, channels); its weights in it or in files beside it.
    input_size
        Height and width in pixels that the preprocessing gives.
    images
        The input of the joined graph.
    prelude
        Adds the preprocessing to a graph, channels last if told so, and returns the name of its output.
    channels
        That the preprocessing gives.
    taken
        Has sides (n, width), (n, tokens, width), (n, width, h, w) or (n, h, w, width).

    Returns
    -------
    bytes
        An ONNX network.

    Raises
    ------
    WeightsError
        The file is no such network, or one that no bundle may hold: too large, or with operators, loops, memory or work
        that `onnx_safety.check` refuses, of which nothing has run; or one that gives NaN, or other features of an image alone.
    """
    given = _Given.read(path)
    graph = Graph(given.opset)
    scaled = prelude(graph, given.is_channels_last(input_size, channels))
    graph.nodes.append(helper.make_node("Identity", [scaled], [_PREFIX + given.entry.name]))
    graph.nodes.extend(_renamed(node) for node in given.model.graph.node)
    name = given.named(taken.output)
    seen = given.shapes(images, graph)
    sides = seen.get(name, ())
    if not taken.output:
        given.check_is_no_classifier(name, seen)
    try:
        features = pooling.added(graph, _PREFIX + name, sides, taken.pooling)
    except pooling.Unpooled as error:
        raise WeightsError(
            f"Expected an ONNX network whose output is (n, features); received {given.path}, whose output "
            f'"{shown(name)}" is {_told(sides)}. {error}{given.other_outputs(name, seen)}'
        ) from error
    graph.node("Identity", [features], output="features")
    whole = given.joined(images, graph, pooling.width(sides))
    _try(whole, path)
    return whole


@dataclass(frozen=True, slots=True)
class _Given:
    """A user's file as it was read: its graph, without the bytes of larger weights, and these apart, by name."""

    path: Path
    model: onnx.ModelProto
    apart: Mapping[str, NDArray[Any]]

    @classmethod
    def read(cls, path: Path) -> Self:
        _check_size(path.stat().st_size, path)
        model, apart = _parted(path)
        beside = weights_beside.files(path)
        _check_size(path.stat().st_size + sum(each.stat().st_size for each in beside), path)
        given = cls(path, model, apart | weights_beside.taken_in(model, path))
        if given.opset < _LEAST_OPSET:
            raise WeightsError(
                f"Expected ONNX operators of version {_LEAST_OPSET} or newer; received {given.opset} in {path}. Export it again."
            )
        return given

    @property
    def opset(self) -> int:
        return next((each.version for each in self.model.opset_import if each.domain in {"", "ai.onnx"}), 0)

    @property
    def entry(self) -> onnx.ValueInfoProto:
        """Its one input that is no weight."""
        own = {weight.name for weight in self.model.graph.initializer}
        inputs = [value for value in self.model.graph.input if value.name not in own]
        if len(inputs) != 1:
            raise WeightsError(
                f"Expected an ONNX network with one input, the images; received {len(inputs)} in {self.path}. Export it so."
            )
        return inputs[0]

    def is_channels_last(self, input_size: int, channels: int) -> bool:
        """Whether its input is (n, h, w, channels), not (n, channels, h, w), as which one is taken whose sides are all free."""
        tensor = self.entry.type.tensor_type
        shape = [side.dim_value for side in tensor.shape.dim]
        self._check_takes_floats()
        last = (
            len(shape) == 4
            and shape[1] != channels
            and (shape[3] == channels or shape[1:] == [input_size, input_size, 0])
        )
        size, found = (shape[1:3], shape[3:]) if last else (shape[2:], shape[1:2])
        if len(shape) != 4 or found not in ([channels], [0]) or any(side not in {0, input_size} for side in size):
            other = 4 - channels
            hint = f", or set backbone.channels={other}" if len(shape) == 4 and other in {shape[1], shape[3]} else ""
            raise WeightsError(
                f"Expected an ONNX network with one input (n, {channels}, {input_size}, {input_size}) or (n, {input_size}, {input_size}, "
                f"{channels}); received {shape} in {self.path}. Export it so, or set backbone.input_size{hint}."
            )
        return last

    def _check_takes_floats(self) -> None:
        kind, number = self.entry.type.WhichOneof("value"), self.entry.type.tensor_type.elem_type
        if kind == "tensor_type" and number == TensorProto.FLOAT:
            return
        if kind not in {None, "tensor_type"}:
            takes, hint = f"takes a {kind.removesuffix('_type').replace('_', ' ')}", "Export one that takes a tensor."
        elif number == TensorProto.UNDEFINED:
            takes, hint = "does not say of what type its input is", "Export it again: the file is damaged."
        else:
            takes = f"takes {weights_beside.kind(number)}"
            hint = (
                "Export it again with model.float()."
                if number in _OTHER_FLOATS
                else "Export the part of it that takes float32 images."
            )
        raise WeightsError(f"Expected an ONNX network that takes float32; received {self.path}, which {takes}. {hint}")

    def named(self, output: str) -> str:
        """Find the tensor that is taken: an output, or one inside."""
        made = {name for node in self.model.graph.node for name in node.output}
        if output and output not in made:
            outputs = ", ".join(f'"{shown(each.name)}"' for each in self.model.graph.output[:_MOST_TOLD])
            raise WeightsError(
                f"Expected backbone.output to name a tensor of {self.path}, whose outputs are {outputs}; "
                f'received "{output}". Name one of them.'
            )
        if not output and not self.model.graph.output:
            raise WeightsError(
                f"Expected an ONNX network with an output; received {self.path} without one. Export it again."
            )
        first = self.model.graph.output[0].name
        if not output and first not in made:
            raise WeightsError(
                f"Expected an ONNX network whose operators make its output; received {self.path}, none of which makes "
                f'"{shown(first)}". Export it again, or set backbone.output.'
            )
        return output or first

    def shapes(self, images: onnx.ValueInfoProto, graph: Graph) -> dict[str, Shape]:
        """Tell the shape of each of its tensors, by its own name, for several images; nothing of it has run."""
        bare = self._closed(images, graph, []).SerializeToString()
        side = images.type.tensor_type.shape.dim[1].dim_value
        told = [self._followed(bare, side, count) for count in (1, _IMAGES)]
        return {name.removeprefix(_PREFIX): value for name, value in told[-1].items() if name.startswith(_PREFIX)}

    def _followed(self, bare: bytes, side: int, count: int) -> dict[str, Shape]:
        apart = {_PREFIX + name: values for name, values in self.apart.items()}
        try:
            found = shapes.values(bare, apart, size=side, count=count, most_bytes=_FOLLOWED)
        except NetworkRefused as error:
            if count > 1:
                raise self.one_at_a_time() from error
            sides = [each.dim_value for each in self.entry.type.tensor_type.shape.dim]
            if "fit" in str(error) and 0 in sides[2:]:
                raise WeightsError(
                    f"Expected an ONNX network that takes the images it is given, where its sides are free; received {self.path}, which {error}. Set "
                    "backbone.input_size to the side that it was exported for, or export it with its sides told, (n, 3, h, w) or (n, h, w, 3)."
                ) from error
            raise _refused(self.path, error) from error
        return {name: value.shape for name, value in found.items()}

    def one_at_a_time(self) -> WeightsError:
        return WeightsError(
            f"Expected an ONNX network that takes any number of images; received {self.path}, which takes one at a time. Export it with "
            "its first axis free: dynamic_shapes (or dynamic_axes) in torch.onnx.export."
        )

    def check_is_no_classifier(self, name: str, seen: Mapping[str, Shape]) -> None:
        """Refuse what a classifier of ImageNet says; name the features that it says it from."""
        if len(seen[name]) != 2 or seen[name][1] not in _CLASSES:
            return
        makers = {made: node for node in self.model.graph.node for made in node.output}
        weights = {each.name for each in self.model.graph.initializer}
        before = name
        while before in makers and makers[before].op_type in {"Add", "Identity", "Softmax"}:
            before = next((each for each in makers[before].input if each not in weights), "")
        last = makers[before].input[0] if before in makers and makers[before].op_type in {"Gemm", "MatMul"} else ""
        hint = (
            f"Set backbone.output={last} for the {seen[last][1]:,} features before"
            if len(seen.get(last, ())) == 2
            else "Cut its classifier off"
        )
        raise WeightsError(
            f"Expected an ONNX network that gives features; received {self.path}, whose {seen[name][1]:,} outputs are a classifier's of "
            f"ImageNet. {hint}, or backbone.output={shown(name)} if you mean them."
        )

    def other_outputs(self, name: str, seen: Mapping[str, Shape]) -> str:
        """Name another output that has features already, or else the last of several, as of the maps of all stages."""
        names = [
            each.name for each in self.model.graph.output if each.name != name and len(seen.get(each.name, ())) == 2
        ]
        if names:
            return f" Or take another output: backbone.output={shown(names[0])}."
        last = self.model.graph.output[-1].name
        is_other = last != name and last in seen
        return f" Its last output is {_told(seen[last])}: backbone.output={shown(last)}." if is_other else ""

    def joined(self, images: onnx.ValueInfoProto, graph: Graph, width: int) -> bytes:
        graph.nodes[:] = _needed(graph.nodes)
        used = {name for node in graph.nodes for name in node.input}
        model = self._closed(images, graph, [float_output("features", width)])
        unused = [each for each in model.graph.initializer if each.name not in used]
        for each in unused:
            model.graph.initializer.remove(each)
        apart = {_PREFIX + name: values for name, values in self.apart.items() if _PREFIX + name in used}
        return writing.joined(model.SerializeToString(), apart)

    def _closed(self, images: onnx.ValueInfoProto, graph: Graph, outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        own = helper.make_graph(graph.nodes, "plainfilm", [images], outputs, graph.weights)
        for weight in self.model.graph.initializer:
            copy = own.initializer.add()
            copy.CopyFrom(weight)
            copy.name = _PREFIX + weight.name
        return helper.make_model(
            own, opset_imports=list(self.model.opset_import), ir_version=max(_LEAST_IR, self.model.ir_version)
        )


def _parted(path: Path) -> tuple[onnx.ModelProto, dict[str, NDArray[Any]]]:
    data, none = weights_beside.mapping(path), "is none, or is cut off"
    try:
        others = sorted(writing.kinds(data) - DTYPES.keys())
        bare, apart = (b"", {}) if others else writing.parted(data)
        model = onnx.load_from_string(bare)
    except Exception as error:  # protobuf's have no types
        is_told = isinstance(error, NetworkRefused) and "cut off" not in str(error)
        raise _no_network(path, str(error) if is_told else none) from error
    if others:
        kinds = ", ".join(map(weights_beside.kind, others[:_MOST_TOLD]))
        hint = "model.float() makes them float32" if _OTHER_FLOATS & set(others) else _NOT_QUANTISED
        raise _no_network(path, f"has weights in {kinds}: {hint}")
    if not model.graph.node:
        raise _no_network(path, none)
    if not all(isinstance(name, str) for name in _names(model.graph)):  # protobuf gives bytes where it is no UTF-8
        raise _no_network(path, "has names that are no text")
    return model, apart


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (each.name for each in (*graph.input, *graph.output, *graph.initializer))
    for node in graph.node:
        yield from (*node.input, *node.output, node.op_type, node.domain)


def _no_network(path: Path, why: str) -> WeightsError:
    return WeightsError(f"Expected an ONNX network; received {path}, which {why}. Export it again.")


def _renamed(node: onnx.NodeProto) -> onnx.NodeProto:
    """Copy a node under names of its own, without what exporters tell of where it came from."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for field in ("name", "doc_string", "metadata_props"):
        copy.ClearField(field)
    copy.input[:] = [_PREFIX + name if name else "" for name in node.input]
    copy.output[:] = [_PREFIX + name if name else "" for name in node.output]
    return copy


def _needed(nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Leave out what the features do not come from."""
    needed, kept = {"features"}, list[onnx.NodeProto]()
    for node in reversed(nodes):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    return kept[::-1]


def _check_size(size: int, path: Path) -> None:
    if size > _MOST_BYTES:
        raise WeightsError(
            f"Expected an ONNX file of at most {_MOST_BYTES / 1e6:,.0f} MB, which a bundle can hold; "
            f"received {path} with {size / 1e6:,.0f} MB. Take a smaller network."
        )


def _told(sides: Shape) -> str:
    return f"({', '.join(['n', *map(str, sides[1:])])})"


# A pattern in why a network is refused -> what to do.
_HINTS = {
    "a graph inside a node": "Export it again with torch.onnx.export(..., dynamo=True), which writes none.",
    r"operator (\S*[Qq]uant|QLinear|\S*Integer )|com\.microsoft\.(\S*Quant|Q[A-Z]|\S*Integer|\S*NBits)|holds quantization": (
        "A bundle holds no quantised networks: export the float32 network before it is quantised."
    ),
    "operator (LSTM|GRU|RNN) ": "A bundle holds no recurrent networks: export a convolutional network or a transformer.",
    "not ONNX's own": "Export it without ONNX Runtime's or other fused operators, as torch.onnx.export writes it.",
    "weights of a type": "Its weights or constants are not float32: export it again with model.float().",
    "to a type that": "It computes in another type than float32: export it again with model.float(), without autocast.",
    "in training|operator (Random|Bernoulli|Multinomial)": "Export it after model.eval(), which leaves nothing random.",
    "operators of version": "Export it again with opset_version=20.",
    "justify": "Set a smaller backbone.input_size, or take a smaller network.",
    "NaN": "Its weights are damaged: get them again.",
}


def _refused(path: Path, error: NetworkRefused) -> WeightsError:
    hint = next((hint for mark, hint in _HINTS.items() if re.search(mark, str(error))), "Export it without that.")
    return WeightsError(f"Expected a network that a bundle can hold; received {path}, which {error}. {hint}")


def check_holdable(network: bytes, path: Path) -> Checked:
    """Check that a bundle can hold a network with its preprocessing, that comes from `path`.

    Raises
    ------
    WeightsError
        It cannot.
    """
    try:
        return check.check(network, outputs=("features",))
    except NetworkRefused as error:
        raise _refused(path, error) from error


def _try(whole: bytes, path: Path) -> None:
    """Check the network as a bundle does, then look at an image before and behind another one, and at that one alone.

    Four passes show what six of three images did: what one takes from those before it, behind it or from all, and what hangs on the
    number of images or on their place.
    """
    checked = check_holdable(whole, path)
    first, other = _different_images(checked.image_size)
    try:
        network = Plain(checked, threads=processors())
        alone = network.run(other[None], "features")[0]
        together = network.run(np.stack([first, other, first]), "features")
    except Exception as error:  # ONNX Runtime's errors have no class of their own
        raise WeightsError(
            f"Expected an ONNX network that ONNX Runtime runs; it does not run {path} ({reason_of(error)}). Export it again."
        ) from error
    expected = np.stack([together[0], alone, together[0]])
    for name, features in zip(_TRIED, expected[:2], strict=True):
        if not np.isfinite(features).all():
            raise WeightsError(
                f"Expected finite features; {path} gave NaN or infinity for {name}. Its weights are damaged or backbone.scaling is wrong."
            )
    # "not <=", since NaN beside another image counts as other features.
    if not np.abs(together - expected).max() <= _TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise WeightsError(
            f"Expected the features of an image to be its own; {path} gives others beside another image. Export it after model.eval()."
        )


def _different_images(size: int) -> NDArray[np.uint8]:
    """Draw the images of `_TRIED`, which have neither mean nor spread in common, so that what one takes from the other shows."""
    random = np.random.default_rng(0)
    noisy = np.add.outer(np.linspace(60, 255, size), np.zeros(size))
    noisy[: size // 2] = random.integers(0, 256, (size // 2, size))
    return np.stack([noisy, random.integers(8, 12, (size, size))]).astype(np.uint8)
