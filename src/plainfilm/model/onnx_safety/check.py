"""Whether a network from a file that nobody vouches for may be run: what it is made of, what it takes in and gives, what it costs.

ONNX Runtime itself asks none of this: it reads other files that a network names, computes constants of any size while
loading, and gives memory to whatever a graph multiplies out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.onnx_safety import shapes as following
from plainfilm.model.onnx_safety.calls import Value
from plainfilm.model.onnx_safety.reading import Network, NetworkRefused, Tensor, read, shown
from plainfilm.model.onnx_safety.shapes import Step
from plainfilm.model.onnx_safety.writing import as_inputs

OPSETS = range(13, 26)
IR_VERSIONS = range(7, 15)
SIDES = range(32, 2049)  # pixels
OUTPUTS = frozenset({"features", "logits", "maps", "slopes"})
ACTIVATIONS = 56 << 20  # bytes that an image may take on its way, beside as many as the weights have
PLAIN_SIDE = 256  # pixels; larger images, or what they are enlarged to, may take as much more as they have more pixels
LARGEST_SIDE = 1024  # of which more is taken into account
PLAIN_WORK_SIDE = 512  # pixels; the same for the work
WORK = 200_000_000_000  # multiplications an image of up to 512 px; ResNet50 has 22 thousand million there
WORK_A_WEIGHT = 2000  # beside them: a transformer multiplies each weight with each of its tokens, 1,370 at 518 px
IN_ALL = 32  # times as much may all tensors of an image together take: other orders keep more of them alive at a time
BATCH = 8  # images, to see what grows faster than their number
MOST_NODES = 8000
MOST_BYTES = (1 << 31) - (1 << 20)  # of the file; protobuf ends at 2 GiB
BESIDE_WEIGHTS = 8 << 20  # bytes of the file that are no weights
_SMALL = 1024  # bytes of a weight that stays in the graph
_FOLDED = 1 << 20  # bytes that expressions of constants may come to, beside as many as the weights have
_PIECE = 1 << 20  # numbers looked at in one go
_FLOAT, _UINT8 = 1, 2  # TensorProto.DataType
_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """A network that may be run.

    Attributes
    ----------
    image_size : int
        Height and width in pixels of what it takes.
    widths : mapping of str to int
        Second side of each output.
    activations : int
        Bytes that one image takes at most, in the order of the file, weights left out.
    network : bytes
    """

    image_size: int
    widths: Mapping[str, int]
    activations: int
    network: bytes
    _weights: Mapping[str, NDArray[Any]]

    def bare(self) -> tuple[bytes, dict[str, NDArray[Any]]]:
        """Split into a network whose larger weights are inputs, and these weights as views into `network`."""
        large = {name: values for name, values in self._weights.items() if values.nbytes >= _SMALL}
        return as_inputs(self.network, frozenset(large)), large


def check(network: bytes, *, outputs: Collection[str] = ("features", "logits")) -> Checked:
    """Check an ONNX network from gray uint8 images "images" (n, s, s) to float32 outputs.

    Parameters
    ----------
    network
        The file's bytes.
    outputs
        That it must have; it may have others of `OUTPUTS`.

    Raises
    ------
    NetworkRefused
        Weights in other files, operators that are not ONNX's own or that make much out of little, graphs inside nodes,
        NaN or infinite weights, shapes that do not fit their bytes, other inputs or outputs, or more memory or work
        than its size and its images justify.
    """
    if len(network) > MOST_BYTES:
        raise NetworkRefused(f"has {len(network) / 1e6:,.0f} MB, more than {MOST_BYTES / 1e6:,.0f} MB")
    graph = read(network)
    _check_versions(graph)
    weights = {name: weight.values for name, weight in graph.weights.items()}
    held = sum(values.nbytes for values in weights.values())
    if len(graph.nodes) > MOST_NODES or len(network) - held > BESIDE_WEIGHTS:
        raise NetworkRefused("is mostly not weights")
    _check_finite(graph)
    size = _image_size(graph)
    activations = [_check_cost(graph, size, count, held) for count in (1, BATCH)]
    _check_needed(graph, outputs)
    return Checked(size, _widths(graph), activations[0], network, weights)


def _check_cost(graph: Network, size: int, count: int, held: int) -> int:
    """Bound what a batch takes, and give the bytes alive at a time at most."""
    steps = _follow(graph, size, count, count * (held + allowed(LARGEST_SIDE)))
    side = max(size, _enlarged(graph, steps))
    most = count * (held + allowed(side))
    more = max(1.0, (side / PLAIN_WORK_SIDE) ** 2)
    work = count * (WORK * more + WORK_A_WEIGHT * held // _FLOAT_BYTES)
    if sum(step.work for step in steps) > work:
        raise NetworkRefused("takes far more work than its size and its images justify")
    if count == 1:  # what depends on the number of images is not known while loading
        _check_folded(graph, steps, held)
    peak = _peak(graph, steps, size, count)
    in_all = sum(value.size for step in steps for value in step.outputs.values())
    if peak > most or in_all > IN_ALL * most:
        raise NetworkRefused(
            f"takes {peak / count / 1e6:,.0f} MB an image, {in_all / count / 1e6:,.0f} MB in all: more than its size and its images justify"
        )
    return peak


def allowed(side: int) -> int:
    """Tell how many bytes an image of a side in pixels may take on its way, beside as many as the weights have."""
    return int(ACTIVATIONS * (min(max(side, PLAIN_SIDE), LARGEST_SIDE) / PLAIN_SIDE) ** 2)


def _enlarged(graph: Network, steps: Sequence[Step]) -> int:
    """Give the largest side in pixels, `LARGEST_SIDE` at most, to which a picture of one or three channels is enlarged; 0 where none is."""
    shapes = [
        value.shape
        for node, step in zip(graph.nodes, steps, strict=True)
        if node.op == "Resize"
        for value in step.outputs.values()
    ]
    sides = [min(shape[2:]) for shape in shapes if len(shape) == 4 and shape[1] in {1, 3}]
    return max((side for side in sides if side <= LARGEST_SIDE), default=0)


def _check_versions(network: Network) -> None:
    if network.opset not in OPSETS or network.ir_version not in IR_VERSIONS:
        raise NetworkRefused(f"has operators of version {network.opset}, IR {network.ir_version}, unknown here")


def _check_finite(network: Network) -> None:
    attributes = (value for node in network.nodes for value in node.attributes.values())
    inside = [each.values for each in attributes if isinstance(each, Tensor)]
    for values in [*(weight.values for weight in network.weights.values()), *inside]:
        flat = values.reshape(-1)
        for at in range(0, flat.size if flat.dtype.kind == "f" else 0, _PIECE):
            if not np.isfinite(flat[at : at + _PIECE]).all():
                raise NetworkRefused("has weights that are NaN or infinite")


def _image_size(network: Network) -> int:
    if len(network.inputs) != 1:
        raise NetworkRefused("has another number of inputs than one")
    (images,) = network.inputs
    sides = images.sides or ()
    if (
        images.name != "images"
        or images.dtype != _UINT8
        or len(sides) != 3
        or sides[0] is not None
        or sides[1] != sides[2]
    ):
        raise NetworkRefused('does not take uint8 "images" (n, s, s)')
    side = sides[1] or 0
    if side not in SIDES:
        raise NetworkRefused(f"takes images of {side} px, not {SIDES.start} to {SIDES.stop - 1}")
    return side


def _follow(network: Network, size: int, count: int, most_bytes: int) -> list[Step]:
    """Follow the shapes, and compare them with what the file says of them: ONNX Runtime plans its memory by that."""
    images = {"images": Value((count, size, size), np.dtype("u1"))}
    steps = following.follow(network, images, most_bytes=most_bytes, count=count)
    shapes = {name: value for step in steps for name, value in step.outputs.items()}
    for info in (*network.infos, *network.outputs):
        if info.name not in shapes:
            raise NetworkRefused(f"tells of a tensor that is not there: {shown(info.name)}")
        found = shapes[info.name].shape
        if info.sides is not None and not _fits(info.sides, found):
            raise NetworkRefused(f"tells the wrong shape of {shown(info.name)}")
    for info in network.outputs:
        if info.name not in OUTPUTS or info.dtype != _FLOAT or shapes[info.name].dtype != np.dtype("<f4"):
            raise NetworkRefused(f"has an output that is none of {', '.join(sorted(OUTPUTS))} in float32")
        if shapes[info.name].shape[:1] != (count,):
            raise NetworkRefused(f"does not give one row of {info.name} an image")
    return steps


def _fits(told: Sequence[int | None], found: Sequence[int]) -> bool:
    return len(told) == len(found) and all(side in {None, real} for side, real in zip(told, found, strict=True))


def _check_folded(network: Network, steps: Sequence[Step], held: int) -> None:
    """Bound what ONNX Runtime computes while loading, when it replaces expressions of constants by their values."""
    made = [step.outputs.values() for step, node in zip(steps, network.nodes, strict=True) if node.op != "Constant"]
    if sum(value.size for values in made for value in values if value.constant) > held + _FOLDED:
        raise NetworkRefused("multiplies constants out to more than its weights")


def _peak(network: Network, steps: Sequence[Step], size: int, count: int) -> int:
    """Most bytes alive at a time, node after node in the order of the file, which is how the golden images go through."""
    last = {name: at for at, node in enumerate(network.nodes) for name in node.inputs}
    last |= {info.name: len(steps) for info in network.outputs}
    alive = {"images": count * size * size}
    peak = taken = alive["images"]
    for at, (node, step) in enumerate(zip(network.nodes, steps, strict=True)):
        made = {name: value.size for name, value in step.outputs.items()}
        alive |= made
        taken += sum(made.values())
        peak = max(peak, taken + step.workspace)
        taken -= sum(alive.pop(name, 0) for name in (*node.inputs, *node.outputs) if last.get(name, at) <= at)
    return peak


def _check_needed(network: Network, outputs: Collection[str]) -> None:
    names = [info.name for info in network.outputs]
    if len(set(names)) != len(names) or not set(outputs) <= set(names):
        raise NetworkRefused(f"does not give {' and '.join(outputs)}")
    for info in network.outputs:
        if info.name in {"features", "logits"} and (info.sides is None or len(info.sides) != 2 or not info.sides[1]):
            raise NetworkRefused(f"does not give {info.name} (n, width)")


def _widths(network: Network) -> dict[str, int]:
    return {info.name: info.sides[1] or 0 for info in network.outputs if info.sides and len(info.sides) > 1}
