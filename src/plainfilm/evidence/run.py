"""All that is measured of a training run, each thing once: what `metrics.json` holds, and what is written beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from plainfilm.data.store import SPLITS, Store
from plainfilm.evidence.audit.findings import AuditFindings
from plainfilm.evidence.drift.reference import reference
from plainfilm.evidence.evaluation import in_time, sample_size
from plainfilm.evidence.evaluation.evaluate import Fold, Judged, Lines, Scores, lines, score
from plainfilm.evidence.evaluation.left_out import LeftOut
from plainfilm.evidence.explanation.summary import ExplanationFindings
from plainfilm.evidence.external.training_fingerprints import TrainingFingerprints
from plainfilm.evidence.outliers.detector import Detector
from plainfilm.evidence.outliers.fitting import levels, refusals, usual
from plainfilm.model.backbones import FLOAT32
from plainfilm.model.classifier import Classifier, Trained
from plainfilm.model.devices import CPU
from plainfilm.model.group_dro import GroupWeights
from plainfilm.results.drift import DriftReference
from plainfilm.results.metrics import (
    Encoded,
    FindingMetrics,
    GroupWeight,
    Outliers,
    RunData,
    RunMetrics,
    RunSeconds,
    RunWorth,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredClassifier:
    """What goes into a bundle: a classifier, its metrics, the outlier detector, and what it was made from, by hash.

    `store` is under the split that it was tested with.
    """

    store: Store
    trained: Trained
    classifier: Classifier
    judged: Judged
    result: RunMetrics
    detector: Detector | None  # None with too few radiographs
    fingerprints: TrainingFingerprints
    drift: DriftReference | None  # None with too few radiographs that were not learnt from


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRun:
    """All that a run came to. `folds` are the classifiers of a cross-validation, which `whole` joins.

    `predictions` are scores by the name of their set or fold, `lines` of the set that was kept for testing.
    """

    whole: MeasuredClassifier
    folds: Sequence[MeasuredClassifier]
    predictions: Mapping[str, Scores]
    lines: Lines
    audit: AuditFindings | None  # None: left out by --no-audit
    explanation: ExplanationFindings | None  # None: not audited, or the network has no maps to look at

    @property
    def test(self) -> Scores:
        """Scores of the set that was kept for testing."""
        return self.whole.judged.scores[self.whole.judged.tested]

    @property
    def prevalence(self) -> float | None:
        """Share of the positive class in that set, 0 to 1; None with more than two classes."""
        positive = self.whole.result.positive
        return float((self.test.labels == self.whole.result.classes.index(positive)).mean()) if positive else None


def measure(
    store: Store,
    trained: Trained,
    classifier: Classifier,
    judged: Judged,
    *,
    openings: int,
    versions: Mapping[str, str],
    folds: Sequence[Fold] = (),
    left_out: LeftOut | None = None,
    audit: AuditFindings | None = None,
    explanation: ExplanationFindings | None = None,
) -> MeasuredRun:
    """Fit the outlier detector, take the training fingerprints, score the training set, and put everything together.

    Parameters
    ----------
    store, trained, classifier, judged
        `classifier` is of `trained`; `judged` of `judge`, or of `judge_folds` and then with its `folds`.
    openings
        Times the test set was scored so far.
    versions
        Of the software, by name.
    left_out, audit, explanation
        None where they were not asked for.
    """
    measured = partial(_measured, openings=openings, versions=versions)
    return MeasuredRun(
        whole=measured(store, trained, classifier, judged, left_out=left_out, audit=audit, explanation=explanation),
        folds=[
            measured(fold.store, fold.trained, fold.trained.classifier(), own)
            for fold, own in zip(folds, judged.folds, strict=True)
        ],
        predictions=_predictions(store, trained, judged, left_out),
        lines=lines(judged.scores[judged.tested], trained.decision),
        audit=audit,
        explanation=explanation,
    )


def _measured(
    store: Store,
    trained: Trained,
    classifier: Classifier,
    judged: Judged,
    *,
    openings: int,
    versions: Mapping[str, str],
    left_out: LeftOut | None = None,
    audit: AuditFindings | None = None,
    explanation: ExplanationFindings | None = None,
) -> MeasuredClassifier:
    # What a cross-validation joins has seen every radiograph with a label.
    learnt = store.with_split(np.where(store.labels >= 0, "train", "")) if judged.folds else store
    detector = usual(learnt, trained)
    metrics = RunMetrics(
        task=store.task,
        classes=trained.decision.classes,
        positive=trained.decision.positive,
        threshold=trained.decision.threshold if trained.decision.positive else None,
        temperature=trained.decision.temperature,
        calibrated=trained.recipe.evaluation.calibrate,
        splits={part: judged.metrics[part] for part in (judged.tested, "validation")},
        findings=_by_finding(judged, trained, audit) if judged.findings else None,
        speaks=judged.speaks,
        folds=len(judged.folds) or None,
        left_out=left_out.result if left_out else None,
        group_weights=_group_weights(store, trained),
        seconds=RunSeconds(features=trained.features.seconds, training=trained.fitted.seconds),
        features_cached=trained.features.cached,
        encoded=_encoded(trained),
        test_openings=openings,
        worth=_worth(judged),
        audit=audit.result if audit else None,
        explanation=explanation.result if explanation else None,
        outliers=_outliers(detector, store, trained, judged),
        subgroups=judged.subgroups.result,
        sample_size=sample_size.note(judged.metrics[judged.tested], judged.metrics[judged.tested].groups),
        utility=judged.utility.result if judged.utility else None,
        three_answers=judged.three_answers,
        by_patient=judged.by_patient,
        in_time=None if judged.folds else in_time.compare(store, judged.metrics),
        data=RunData(store=store.path.name, fingerprint=store.fingerprint, images=len(store)),
        versions=versions,
        backend=trained.fitted.backend,
    )
    return MeasuredClassifier(
        store=store,
        trained=trained,
        classifier=classifier,
        judged=judged,
        result=metrics,
        detector=detector,
        fingerprints=TrainingFingerprints.of(learnt),
        drift=_drift(store, trained, judged, detector),
    )


def _drift(store: Store, trained: Trained, judged: Judged, detector: Detector | None) -> DriftReference | None:
    """Describe what answers will be watched by: radiographs that were not learnt from; of a cross-validation, which has seen all, their images alone."""
    seed = trained.recipe.seed
    if judged.folds:
        rows = np.flatnonzero(store.labels >= 0)
        return reference(store, trained.decision, rows=rows, probabilities=None, refused=None, seed=seed)
    own = [judged.scores[part] for part in ("test", "validation")]
    rows = np.concatenate([each.rows for each in own])
    return reference(
        store,
        trained.decision,
        rows=rows,
        probabilities=np.concatenate([each.probabilities for each in own]),
        refused=None if detector is None else levels(detector, store, trained, rows) == "refused",
        seed=seed,
    )


def _worth(judged: Judged) -> RunWorth:
    return RunWorth(
        level=judged.worth.level,
        sentence=judged.worth.sentence,
        source_rule_accuracy=judged.rule.accuracy,
        source_rule_auroc=judged.rule.auroc,
        source_rule_class=judged.rule.worst if len(judged.rule.areas) > 1 else None,
    )


def _by_finding(judged: Judged, trained: Trained, audit: AuditFindings | None) -> dict[str, FindingMetrics]:
    """What each finding came to by itself."""
    ways = {name: trained.decision.of(name) for name in judged.findings}
    return {
        name: FindingMetrics(
            threshold=None if judged.folds else ways[name].threshold,
            lower_threshold=None if judged.folds else ways[name].lower_threshold,
            splits={part: own.metrics[part] for part in (judged.tested, "validation")},
            worth=_worth(own),
            audit=audit.findings[name].result if audit else None,
            subgroups=own.subgroups.result,
            utility=own.utility.result if own.utility else None,
            three_answers=own.three_answers,
            by_patient=own.by_patient,
        )
        for name, own in judged.findings.items()
    }


def _encoded(trained: Trained) -> Encoded | None:
    found = Encoded(device=trained.encoder.device, precision=trained.encoder.precision)
    return None if found == Encoded(device=CPU, precision=FLOAT32) else found


def _group_weights(store: Store, trained: Trained) -> tuple[GroupWeight, ...] | None:
    """Name what group DRO weighed, the heaviest first."""
    found = trained.fitted.weights
    if found is None:
        return None
    if store.task == "findings":
        each = [(store.of(name), found.of(number)) for number, name in enumerate(store.classes)]
        return tuple(group for own, weights in each for group in _named_weights(own, weights))
    return _named_weights(store, found)


def _named_weights(store: Store, found: GroupWeights) -> tuple[GroupWeight, ...]:
    sources = np.unique(store.source)
    return tuple(
        GroupWeight(
            label=store.classes[found.label[at]],
            source=str(sources[found.stratum[at]]),
            share=float(found.share[at]),
            weight=float(found.weight[at]),
        )
        for at in np.argsort(-found.weight, kind="stable")
    )


def _outliers(detector: Detector | None, store: Store, trained: Trained, judged: Judged) -> Outliers | None:
    """What the detector promises, and what it refuses of radiographs that it has not learnt from, where there are any."""
    if detector is None:
        return None
    if judged.folds:
        return Outliers(promise=detector.promise)
    return refusals(detector, store, trained, judged.scores["test"])


def _predictions(store: Store, trained: Trained, judged: Judged, left_out: LeftOut | None) -> dict[str, Scores]:
    """Scores by set; of a cross-validation those of each fold or left-out source, by the classifier that has not seen it."""
    if judged.folds:
        return {f"fold {number}": own.scores["test"] for number, own in enumerate(judged.folds, 1)}
    own = {part: judged.scores.get(part) or score(store, trained, part) for part in SPLITS}
    return own | {f"left out: {name}": scores for name, scores in (left_out.scores if left_out else {}).items()}
