"""Networks in ONNX Runtime, on the processors that this process may use."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.cpus import processors

BATCH = 8  # images at a time; larger batches leave the processors' caches: measured 5 to 10 % slower at 32
_OF_ONE = 2  # images at a time of a processor that has a batch of its own: measured 10 % slower at 8
_FEW = 32  # images for which a network is not prepared a second time, which takes some 40 ms


def open_network(network: bytes | Path, *, threads: int | None = None, has_packed_weights: bool = False) -> Any:
    """Open an ONNX network, given whole or as a file, as an `InferenceSession`; what goes wrong is raised, not logged as well.

    Weights that are kept in 8 bits, of a network that computes in 32, are unpacked once if it says so, and not at each run.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or processors()
    options.log_severity_level = 4
    if has_packed_weights:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    return ort.InferenceSession(network, options, providers=["CPUExecutionProvider"])


class ImageNetwork:
    """An ONNX network that looks at gray "images" uint8 (n, h, w): few with all processors together, many side by side.

    Side by side each processor has a batch of its own, and none waits for another in the middle of one. That is a tenth faster, and
    twice as fast where something else works beside it. The answers are the same, but for the last bits of some networks.

    Parameters
    ----------
    network
        Whole, or its file.
    threads
        Processors to use; by default all that this process may use.
    has_packed_weights
        As for `open_network`.
    """

    def __init__(self, network: bytes | Path, *, threads: int | None = None, has_packed_weights: bool = False) -> None:
        self._threads = threads or processors()
        self._opened = partial(open_network, network, has_packed_weights=has_packed_weights)
        self.session, self._seen = self._opened(threads=self._threads), 0

    def run(self, images: NDArray[np.uint8], *names: str, side: int | None = None) -> list[NDArray[np.float32]]:
        """Give outputs by their names, or all, for images uint8 (n, h, w), which are made (side, side) if that is given."""
        self._seen += len(images)
        is_many = self._seen > _FEW and len(images) >= 2 * self._threads > 2
        length = _OF_ONE if is_many or self._threads == 1 else BATCH
        batches = [images[at : at + length] for at in range(0, len(images), length)]
        work = partial(_answers, self._alone if is_many else self.session, list(names) or None, side)
        parts = list(self._pool.map(work, batches) if is_many else map(work, batches))
        return [np.concatenate(part) for part in zip(*parts, strict=True)] if parts else self._nothing(names)

    def _nothing(self, names: Sequence[str]) -> list[NDArray[np.float32]]:
        shapes = {
            each.name: [length if isinstance(length, int) else 0 for length in each.shape[1:]]
            for each in self.session.get_outputs()
        }
        return [np.empty((0, *shapes[name]), np.float32) for name in names or shapes]

    @cached_property
    def _alone(self) -> Any:
        return self._opened(threads=1)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, "network")


def _answers(
    session: Any, names: list[str] | None, side: int | None, images: NDArray[np.uint8]
) -> list[NDArray[np.float32]]:
    fitting = images if side is None else np.stack([shrunk(image, side) for image in images])
    return list(session.run(names, {"images": fitting}))


def shrunk(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize an image uint8 (h, w) to (side, side), averaging over what a pixel covers."""
    from PIL import Image  # not needed to open a network

    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))
