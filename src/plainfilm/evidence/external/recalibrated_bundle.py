"""A bundle whose probabilities fit external data: the same network and answers, another shift and threshold."""

from dataclasses import replace

from msgspec import structs

from plainfilm.evidence.external.evaluate import ExternalEvaluation
from plainfilm.evidence.external.recalibration import FittedRecalibration
from plainfilm.model.bundle import Bundle
from plainfilm.model.classifier import Classifier
from plainfilm.results.metrics import Recalibrated


def recalibrate(opened: Bundle, evaluation: ExternalEvaluation, fitted: FittedRecalibration, *, created: str) -> Bundle:
    """Move the probabilities of a bundle by what was fitted; `created` is the time, ISO 8601."""
    decision, cohort = evaluation.decision, evaluation.cohort
    moved = replace(decision, shift=decision.shift + fitted.shift, threshold=fitted.threshold)
    others = [name for name in decision.classes if name != fitted.positive]
    how = Recalibrated(shift=fitted.shift, radiographs=len(cohort.rows), data_fingerprint=cohort.store.fingerprint)
    prevalence = {fitted.positive: fitted.share, **dict.fromkeys(others, 1 - fitted.share)}
    return replace(
        opened,
        classifier=Classifier(opened.classifier.network, moved),
        manifest=structs.replace(opened.manifest, created=created, prevalence=prevalence, recalibrated=how),
        metrics=structs.replace(opened.metrics, threshold=fitted.threshold, recalibrated=how),
        card=opened.card + _note(evaluation, fitted),
    )


def _note(evaluation: ExternalEvaluation, fitted: FittedRecalibration) -> str:
    return (
        f"\n## Recalibrated\n\n{fitted.shift:+.3f} was added to the log odds of {fitted.positive}, fitted to {len(evaluation.cohort.rows):,} "
        f"radiographs of another collection, {fitted.share:.1%} of them {fitted.positive}; the threshold moved from "
        f"{evaluation.decision.threshold:.3f} to {fitted.threshold:.3f}, so that no answer changed. Brier score, ECE and "
        "decision curve above are those of the model before.\n"
    )
