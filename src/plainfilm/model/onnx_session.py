"""Networks in ONNX Runtime, on the processors that this process may use."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.cpus import processors

BATCH = 8  # images at a time; larger batches leave the processor's cache: measured 5 to 10 % slower at 32


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


def small_answers(
    session: Any, images: NDArray[np.uint8], side: int, output: str | None = None
) -> Iterator[NDArray[np.float32]]:
    """Answer for gray images uint8 (n, h, w), made (side, side), a batch at a time with the first output, or the one named."""
    for at in range(0, len(images), BATCH):
        small = np.stack([shrunk(image, side) for image in images[at : at + BATCH]])
        yield session.run([output] if output else None, {"images": small})[0]


def shrunk(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize an image uint8 (h, w) to (side, side), averaging over what a pixel covers."""
    from PIL import Image  # not needed to open a network

    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))
