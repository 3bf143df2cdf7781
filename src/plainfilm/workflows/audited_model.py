"""What an audit looks with, and the classifier of a bundle as `plainfilm audit --model` compares its probes with it."""

import dataclasses
from dataclasses import dataclass

from msgspec.structs import replace

from plainfilm.data.store import Store
from plainfilm.errors import MissingExtraError, WeightsError
from plainfilm.evidence.audit.findings import AuditFindings
from plainfilm.evidence.evaluation.evaluate import Scores
from plainfilm.evidence.external import evaluate
from plainfilm.model import backbones, encoder
from plainfilm.model.bundle import Bundle
from plainfilm.model.classifier import Classifier
from plainfilm.model.encoder import Encoder
from plainfilm.results.audit import NotRun
from plainfilm.results.manifest import Preprocessing
from plainfilm.results.metrics import Metrics
from plainfilm.results.store import StoreIdentity

_CHECK = "The model's own AUROC"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedModel:
    """The classifier of a bundle as an audit uses it; without an encoder or metrics, `not_run` says why."""

    encoder: Classifier | None = None
    metrics: Metrics | None = None
    not_run: tuple[NotRun, ...] = ()


def default_encoder(store: Store, like: Preprocessing | None = None) -> Encoder:
    """Open the default backbone at the size of a store's images; prepared as `like` and no finer, if that is given."""
    backbone = backbones.find(backbones.DEFAULT)
    size = min(backbone.input_size, like.input_size) if like else 0
    crop, intensities = (like.crop, like.intensities) if like else ("none", "stored")
    prepare = encoder.preprocessing(
        backbone, image_size=store.size, input_size=size, crop=crop, intensities=intensities
    )
    return encoder.open_encoder(backbone, prepare)


def probing_encoder(store: Store, own: Encoder) -> Encoder:
    """Open what probes see parts of images with: the default backbone, so that they cost the same whatever was trained.

    What they see is then in the cache for every later training on the store. Where its weights are not installed, it is `own`.
    """
    try:
        found = default_encoder(store, own.preprocessing)
    except (MissingExtraError, WeightsError):
        return own
    return own if own.weights_sha256 == found.weights_sha256 else found


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
