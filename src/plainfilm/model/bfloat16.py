"""Networks in bfloat16, in OpenVINO, on processors that have instructions for it."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm import extras
from plainfilm.errors import RecipeError
from plainfilm.model.cpus import processors
from plainfilm.model.devices import CPU

_AT_ONCE = 4  # images; a batch of a fixed length is a tenth faster than one of any


def is_native() -> bool:
    """Whether OpenVINO is installed, works, and finds instructions for bfloat16 here: AVX-512 BF16 or AMX, or those of ARM."""
    try:
        import openvino

        return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except (ImportError, OSError, AttributeError, RuntimeError):  # none, or one without a part of it
        return False


def check() -> None:
    """Raise unless networks can run in bfloat16 here.

    Raises
    ------
    MissingExtraError
        OpenVINO is not installed.
    RecipeError
        The processor has no instructions for it, and would be slower than in float32.
    """
    extras.require("backbone.precision bfloat16", "openvino")
    if not is_native():
        raise RecipeError(
            "Expected a processor with AVX-512 BF16 or AMX for backbone.precision bfloat16; received one without. Set it to float32."
        )


class Bfloat16Network:
    """An ONNX network that looks at gray "images" uint8 (n, h, w), as `onnx_session.ImageNetwork`, its arithmetic in bfloat16.

    Parameters
    ----------
    network
        Whole.
    threads
        Processors to use, each with a batch of its own; by default all that this process may use.

    Raises
    ------
    MissingExtraError, RecipeError
        As `check`.
    """

    def __init__(self, network: bytes, *, threads: int | None = None) -> None:
        check()
        self.device = CPU
        self._network, self._threads = network, threads or processors()

    @cached_property
    def _compiled(self) -> Any:
        import openvino

        core, count = openvino.Core(), str(self._threads)
        model = core.read_model(self._network, b"")
        repeat_gray(model)
        model.reshape({"images": [_AT_ONCE, *model.input("images").get_partial_shape()[1:]]})
        hints = {"INFERENCE_PRECISION_HINT": "bf16", "NUM_STREAMS": count, "INFERENCE_NUM_THREADS": count}
        return core.compile_model(model, "CPU", hints)

    def width(self, name: str) -> int:
        """Give the last side of an output."""
        return int(self._compiled.output(name).shape[-1])

    def run(self, images: NDArray[np.uint8], name: str) -> list[NDArray[np.float32]]:
        """Give an output by its name for images uint8 (n, h, w)."""
        out = np.empty((-(-len(images) // _AT_ONCE), _AT_ONCE, self.width(name)), np.float32)
        # No callback: a thread of OpenVINO that still leaves one waits for Python's lock, and who closes the network for that thread.
        requests = [self._compiled.create_infer_request() for _ in range(min(self._threads, len(out)))]

        def take(place: int) -> None:
            request = requests[place % len(requests)]
            request.wait()
            out[place] = request.get_tensor(name).data

        for place in range(len(out)):
            if place >= len(requests):
                take(place - len(requests))
            batch = images[place * _AT_ONCE : (place + 1) * _AT_ONCE]
            if len(batch) < _AT_ONCE:
                batch = np.pad(batch, ((0, _AT_ONCE - len(batch)), (0, 0), (0, 0)))
            requests[place % len(requests)].start_async({"images": batch})
        for place in range(max(0, len(out) - len(requests)), len(out)):
            take(place)
        return [out.reshape(-1, out.shape[-1])[: len(images)]]


def repeat_gray(model: Any) -> None:
    """Make three channels of one before they are scaled; OpenVINO lets a convolution behind take in the factors, and forgets the channels."""
    from openvino import opset13

    for node in model.get_ordered_ops():
        if node.get_type_name() == "Multiply" and (_channels(node.input(0)), _channels(node.output(0))) == (1, 3):
            gray = node.input(0).get_source_output()
            node.input(0).replace_source_output(opset13.concat([gray] * 3, axis=1).output(0))
            return


def _channels(port: Any) -> int:
    """Give the second dimension of four; 0 of another shape."""
    shape = port.get_partial_shape()
    return shape[1].get_max_length() if len(shape) == 4 else 0
