"""plainfilm: from a folder of chest X-rays to a classifier, and plain words about what its accuracy is worth."""

import importlib
import os
from typing import Any

# ONNX Runtime from 1.32 on tells its maker of every session, and keeps a device's number below HOME, unless it finds this set.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.2.0"
NOTICE = "Research use only; not a medical device."  # beside every answer

_WHERE = {
    "ingest": "plainfilm.workflows.ingest",
    "train": "plainfilm.workflows.train",
    "audit": "plainfilm.workflows.audit",
    "evaluate": "plainfilm.workflows.evaluate",
    "compare": "plainfilm.workflows.compare",
    "tune": "plainfilm.workflows.tune",
    "demo": "plainfilm.workflows.demo",
    "describe": "plainfilm.workflows.info",
    "Store": "plainfilm.data.store",
    "load": "plainfilm.evidence.inference.predictor",
    "export": "plainfilm.model.export",
    "PlainfilmError": "plainfilm.errors",
}
__all__ = [*sorted(_WHERE), "__version__"]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: importing plainfilm alone stays quick."""
    if name not in _WHERE:
        raise AttributeError(f"module 'plainfilm' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return __all__
