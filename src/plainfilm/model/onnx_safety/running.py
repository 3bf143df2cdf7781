"""A checked network run as it stands: node after node, its weights where they lie, nothing prepared for speed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.model.onnx_safety.check import Checked


class Plain:
    """A checked network that takes no more than `Checked.activations` an image beside its own bytes; slower than a prepared one."""

    def __init__(self, network: Checked, *, threads: int) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.execution_order = ort.ExecutionOrder.PRIORITY_BASED  # of equal priority: the order of the file
        options.enable_mem_pattern = False  # a pattern would hold what all tensors need together
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # what goes wrong is raised as well
        bare, self._weights = network.bare()
        self._session: Any = ort.InferenceSession(bare, options, providers=["CPUExecutionProvider"])

    def run(self, images: NDArray[np.uint8], output: str) -> NDArray[np.float32]:
        """Give an output for gray images uint8 (n, s, s). What goes wrong is ONNX Runtime's error, which has no class of its own."""
        found: NDArray[np.float32] = self._session.run([output], {"images": images, **self._weights})[0]
        return found
