"""Networks in ONNX Runtime, on the processors that this process may use."""

from pathlib import Path
from typing import Any

from plainfilm.model.cpus import processors

BATCH = 8  # images at a time; larger batches leave the processor's cache: measured 5 to 10 % slower at 32


def open_network(network: bytes | Path, *, threads: int | None = None) -> Any:
    """Open an ONNX network, given whole or as a file, as an `InferenceSession`; what goes wrong is raised, not logged as well."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or processors()
    options.log_severity_level = 4
    return ort.InferenceSession(network, options, providers=["CPUExecutionProvider"])
