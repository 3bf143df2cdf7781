"""The classifier of a bundle as `plainfilm audit --model` compares its probes with it."""

import dataclasses
from dataclasses import dataclass

from msgspec.structs import replace

from plainfilm.data.store import Store
from plainfilm.evidence.audit.findings import AuditFindings
from plainfilm.evidence.evaluation.evaluate import Scores
from plainfilm.evidence.external import evaluate
from plainfilm.model.bundle import Bundle
from plainfilm.model.classifier import Classifier
from plainfilm.results.audit import NotRun
from plainfilm.results.metrics import Metrics
from plainfilm.results.store import StoreIdentity

_CHECK = "The model's own AUROC"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedModel:
    """The classifier of a bundle as an audit uses it; without an encoder or metrics, `not_run` says why."""

    encoder: Classifier | None = None
    metrics: Metrics | None = None
    not_run: tuple[NotRun, ...] = ()


def compared_model(store: Store, opened: Bundle | None, name: str) -> ComparedModel:
    """Find the metrics of the bundle that an audit is asked to compare with, called `name`, on the store's test set."""
    if opened is None:
        return ComparedModel()
    own, classes = opened.classifier, opened.classifier.classes_
    if own.image_size != store.size:
        return _unlike(f"The model takes images of {own.image_size} px; the store has {store.size} px.", None)
    if classes != store.classes:
        return _unlike(f"The model was trained on {', '.join(classes)}; the store has {', '.join(store.classes)}.", own)
    return ComparedModel(encoder=own, metrics=_metrics(store, opened, name))


def complete(found: AuditFindings, store: Store, compared: ComparedModel) -> AuditFindings:
    """Add to an audit what the comparison could not do, and which store it is about."""
    result = replace(
        found.result,
        not_run=(*found.result.not_run, *compared.not_run),
        data=StoreIdentity(store=store.path.name, fingerprint=store.fingerprint, kept_at=store.kept_at),
    )
    return dataclasses.replace(found, result=result)


def _unlike(reason: str, encoder: Classifier | None) -> ComparedModel:
    return ComparedModel(encoder=encoder, not_run=(NotRun(check=_CHECK, reason=reason),))


def _metrics(store: Store, opened: Bundle, name: str) -> Metrics:
    """Take the metrics that stand in the bundle if it was trained on this store; else score the test set."""
    if opened.manifest.data_fingerprint == store.fingerprint:
        return opened.metrics.test
    store.log_test_opening(f"audit of {name}")
    rows = store.rows("test")
    chance = opened.classifier.predict_proba(store.images(rows))
    decision = opened.classifier.decision
    scores = Scores(
        rows=rows,
        labels=store.labels[rows],
        probabilities=chance,
        group=store.group[rows],
        threshold=decision.threshold,
    )
    return evaluate.score(scores, decision)
