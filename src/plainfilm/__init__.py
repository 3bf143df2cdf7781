"""plainfilm: from a folder of chest X-rays to a classifier, and plain words about what its accuracy is worth."""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what __getattr__ hides from editors and from checkers of types
    from plainfilm.data.store import Store as Store
    from plainfilm.errors import PlainfilmError as PlainfilmError
    from plainfilm.model.export import export as export
    from plainfilm.workflows.audit import audit as audit
    from plainfilm.workflows.compare import compare as compare
    from plainfilm.workflows.demo import demo as demo
    from plainfilm.workflows.drift import drift as drift
    from plainfilm.workflows.evaluate import evaluate as evaluate
    from plainfilm.workflows.info import describe as describe
    from plainfilm.workflows.ingest import ingest as ingest
    from plainfilm.workflows.pack import pack as pack
    from plainfilm.workflows.predict import load as load
    from plainfilm.workflows.relabel import relabel as relabel
    from plainfilm.workflows.train import train as train
    from plainfilm.workflows.tune import tune as tune

# ONNX Runtime from 1.32 on tells its maker of every session, and keeps a device's number below HOME, unless it finds this set.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.2.0"
NOTICE = "Research use only; not a medical device."  # beside every answer

_WHERE = {
    "ingest": "plainfilm.workflows.ingest",
    "train": "plainfilm.workflows.train",
    "audit": "plainfilm.workflows.audit",
    "relabel": "plainfilm.workflows.relabel",
    "evaluate": "plainfilm.workflows.evaluate",
    "compare": "plainfilm.workflows.compare",
    "tune": "plainfilm.workflows.tune",
    "demo": "plainfilm.workflows.demo",
    "drift": "plainfilm.workflows.drift",
    "pack": "plainfilm.workflows.pack",
    "describe": "plainfilm.workflows.info",
    "Store": "plainfilm.data.store",
    "load": "plainfilm.workflows.predict",
    "export": "plainfilm.model.export",
    "PlainfilmError": "plainfilm.errors",
}
__all__ = [*sorted(_WHERE), "__version__"]


if not TYPE_CHECKING:  # or every name that is not there would be Any to them

    def __getattr__(name: str) -> Any:
        """Load a public name when it is first used: importing plainfilm alone stays quick."""
        if name not in _WHERE:
            raise AttributeError(f"module 'plainfilm' has no attribute {name!r}")
        return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return __all__
