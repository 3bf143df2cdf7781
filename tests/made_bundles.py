"""What a bundle says beside its network, for tests that need a bundle and no run: metrics, manifest, audit."""

import msgspec

from plainfilm.results.audit import Audit
from plainfilm.results.manifest import BackboneUsed, FilePreprocessing, Preprocessing, Provenance
from plainfilm.results.metrics import RunMetrics

ESTIMATE = {"value": 0.9, "low": 0.8, "high": 0.95}
NAMES = ("accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "auroc", "auprc", "brier", "ece")
METRICS = {"n": 60, "groups": 50, "confusion_matrix": [[27, 3], [3, 27]], **dict.fromkeys(NAMES, ESTIMATE)}
RUN = {
    "classes": ["COVID", "NORMAL"],
    "positive": "COVID",
    "threshold": 0.41,
    "splits": {"test": METRICS, "validation": METRICS},
    "worth": {
        "level": "none",
        "sentence": "The source does not explain this accuracy.",
        "source_rule_accuracy": ESTIMATE,
    },
    "outliers": None,
    "subgroups": dict.fromkeys(("sex", "age", "view", "source", "manufacturer"))
    | {"left_out": [], "comparisons": {"made": 0, "apart": []}},
    "data": {"store": "s.h5", "fingerprint": "f" * 64, "images": 300},
    "versions": {"plainfilm": "9.8.7"},
}
AUDIT = {
    "verdict": "not to be believed",
    "sentence": "A classifier that never sees the lungs does as well.",
    "reasons": [],
    "cues": [],
    "model": {"auroc": ESTIMATE, "is": "the model on the test part"},
    "probes": {},
    "sources": {"names": ["north"], "classes": ["COVID", "NORMAL"], "table": [[150], [150]], "cramers_v": ESTIMATE,
                "told_from_features": {}, "left_out": []},
    "suspects": {},
    "not_run": [],
    "images": 300,
    "sampled": 300,
    "lungs_found": 0.97,
    "seconds": {},
}  # fmt: skip


def metrics(**changed) -> RunMetrics:
    """Metrics of a run; `changed` are JSON values."""
    return msgspec.convert(RUN | changed, RunMetrics)


def audit(**changed) -> Audit:
    """What an audit found; `changed` are JSON values."""
    return msgspec.convert(AUDIT | changed, Audit)


def preprocessing(size=32, **changed) -> Preprocessing:
    """Preprocessing that does nothing."""
    return Preprocessing(
        **{"image_size": size, "input_size": size, "scaling": "0..255", "scale": (1.0,) * 3, "offset": (0.0,) * 3}
        | changed
    )


def provenance(classes=("COVID", "NORMAL"), prepare=None, **changed) -> Provenance:
    """What a bundle says beside its decision; `prepare` is its preprocessing, by default of 32 px."""
    prepare = prepare or preprocessing()
    stated = {
        "created": "2026-11-24T06:22:52+00:00",
        "versions": {"plainfilm": "9.8.7"},
        "backbone": BackboneUsed(name="own", weights_sha256="0" * 64, features=32),
        "preprocessing": FilePreprocessing(**msgspec.structs.asdict(prepare), fit="stretch", sha256=prepare.digest()),
        "data_fingerprint": "f" * 64,
        "prevalence": dict.fromkeys(classes, 1 / len(classes)),
        "intended_use": "Research use only.",
    }
    return Provenance(**stated | changed)


def rewritten(path, to, *, card=None, **decision):
    """Write a bundle again with another decision or card: another file, the same network."""
    from dataclasses import replace

    from plainfilm.model import bundle

    own = bundle.load(path)
    classifier = own.classifier.deciding(replace(own.classifier.decision, **decision))
    bundle.write(
        to,
        classifier,
        about=own.manifest,
        metrics=own.metrics,
        recipe=own.recipe,
        card=card or own.card,
        outliers=own.outliers,
        seen=own.seen,
    )
    return to
