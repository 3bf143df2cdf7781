"""Radiographs without labels, at a place whose prevalence is known: what their probabilities are moved by.

Nothing here says how often the classifier is right there: that takes labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from plainfilm.evidence.external import recalibration
from plainfilm.evidence.external.cohort import Cohort
from plainfilm.evidence.external.evaluate import ExternalPredictions, outlier_shares
from plainfilm.evidence.external.recalibration import Fit
from plainfilm.evidence.statistics.intervals import FloatArray, wilson
from plainfilm.model.bundle import Bundle
from plainfilm.model.classifier import Decision
from plainfilm.results.estimate import Estimate
from plainfilm.results.external import (
    Distribution,
    EvaluatedModel,
    ExternalData,
    OutlierShares,
    Recalibration,
    TotalSeconds,
    UnlabelledMetrics,
)

WITHOUT_LABELS = (
    "Without labels nobody can see whether the model tells the classes apart here. Where it does not (AUROC below "
    f"{recalibration.LEAST_AUROC}), no calibration helps: test it on labelled radiographs of this place."
)
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlabelledEvaluation:
    """What was fitted. `log_odds` float64 (n) of the positive class, as the model gives them."""

    cohort: Cohort
    predictions: ExternalPredictions
    decision: Decision
    positive: str
    log_odds: FloatArray
    prevalence: float
    fit: Fit
    called: Estimate
    network_sha256: str
    outliers: OutlierShares | None

    @property
    def sentence(self) -> str:
        """Say what it does."""
        mean = expit(self.log_odds).mean()
        return (
            f"On average the model says {100 * mean:.0f} % {self.positive}; {100 * self.prevalence:.3g} % of those examined are, as was "
            f"stated. {self.fit.sentence} brings the mean to {100 * expit(self.fit.of(self.log_odds)).mean():.2g} %."
        )

    def result(
        self, *, model: str, data: str, kept_for: str | None, versions: Mapping[str, str], seconds: float
    ) -> UnlabelledMetrics:
        """Give what is written of it; `model` and `data` are their names for people, `kept_for` that of the site kept."""
        group = self.predictions.scores.group
        return UnlabelledMetrics(
            classes=self.decision.classes,
            positive=self.positive,
            threshold=self.decision.threshold,
            n=len(self.log_odds),
            groups=len(np.unique(group)),
            recalibration=Recalibration(
                offered=True,
                method="prevalence",
                prevalence=self.prevalence,
                site=kept_for,
                shift=self.fit.shift,
                fitted_shift=self.fit.fitted_shift,
                threshold=self.fit.moved(self.decision.threshold),
                sentence=self.sentence,
                warning=WITHOUT_LABELS,
            ),
            before=_distribution(expit(self.log_odds)),
            after=_distribution(expit(self.fit.of(self.log_odds))),
            called=self.called,
            overlap=self.cohort.overlap.counts,
            outliers=self.outliers,
            data=ExternalData(name=data, fingerprint=self.cohort.store.fingerprint, own_test_part=self.cohort.is_own),
            model=EvaluatedModel(name=model, network_sha256=self.network_sha256),
            versions=versions,
            seconds=TotalSeconds(total=seconds),
        )


def evaluate(
    bundle: Bundle, cohort: Cohort, predictions: ExternalPredictions, *, prevalence: float
) -> UnlabelledEvaluation:
    """Fit to a known prevalence, above 0 and below 1; the model has two classes, and the cohort enough patients."""
    decision, group, log_odds = bundle.classifier.decision, predictions.scores.group, predictions.log_odds
    if decision.positive is None or log_odds is None:
        raise ValueError("Expected two classes; received more.")
    called = decision.predict(predictions.scores.probabilities) == decision.classes.index(decision.positive)
    return UnlabelledEvaluation(
        cohort=cohort,
        predictions=predictions,
        decision=decision,
        positive=decision.positive,
        log_odds=log_odds,
        prevalence=prevalence,
        fit=recalibration.fit_to_prevalence(log_odds, prevalence, group),
        called=wilson(called, group=group),
        network_sha256=bundle.classifier.key,
        outliers=outlier_shares(bundle, predictions),
    )


def _distribution(chance: FloatArray) -> Distribution:
    found = np.quantile(chance, _QUANTILES)
    return Distribution(
        mean=float(chance.mean()), quantiles={f"{at:g}": float(v) for at, v in zip(_QUANTILES, found, strict=True)}
    )
