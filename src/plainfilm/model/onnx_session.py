"""Networks in ONNX Runtime, on the processors that this process may use."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.cpus import processors

BATCH = 8  # images at a time; larger batches leave the processor's cache: measured 5 to 10 % slower at 32


def open_network(network: bytes | Path, *, threads: int | None = None) -> Any:
    """Open an ONNX network, given whole or as a file, as an `InferenceSession`; what goes wrong is raised, not logged as well."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or processors()
    options.log_severity_level = 4
    return ort.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def shrunk(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize an image uint8 (h, w) to (side, side), averaging over what a pixel covers."""
    from PIL import Image  # not needed to open a network

    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))
