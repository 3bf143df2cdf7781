"""Radiographs without labels, at a place whose prevalence is known: what their probabilities are moved by.

Nothing here says how often the classifier is right there: that takes labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from plainfilm.data.spelling import listed
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
    UnlabelledFinding,
    UnlabelledMetrics,
)

WITHOUT_LABELS = (
    "Without labels nobody can see whether the model tells the classes apart here. Where it does not (AUROC below "
    f"{recalibration.LEAST_AUROC}), no calibration helps: test it on labelled radiographs of this place."
)
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedToPrevalence:
    """What was fitted to one class or finding. `log_odds` float64 (n), as the model gives them."""

    decision: Decision
    log_odds: FloatArray
    prevalence: float
    fit: Fit
    called: Estimate

    @property
    def sentence(self) -> str:
        """Say what it does."""
        mean = expit(self.log_odds).mean()
        return (
            f"On average the model says {100 * mean:.0f} % {self.decision.positive}; {100 * self.prevalence:.3g} % of those examined are, as was "
            f"stated. {self.fit.sentence} brings the mean to {100 * expit(self.fit.of(self.log_odds)).mean():.2g} %."
        )

    def result(self, kept_for: str | None) -> UnlabelledFinding:
        """Give what is written of it; `kept_for` names the site that it is kept for."""
        return UnlabelledFinding(
            threshold=self.decision.threshold,
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
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlabelledEvaluation:
    """What was fitted, by the positive class or by finding."""

    cohort: Cohort
    predictions: ExternalPredictions
    decision: Decision
    fitted: Mapping[str, FittedToPrevalence]
    network_sha256: str
    outliers: OutlierShares | None

    def result(
        self, *, model: str, data: str, kept_for: str | None, versions: Mapping[str, str], seconds: float
    ) -> UnlabelledMetrics:
        """Give what is written of it; `model` and `data` are their names for people, `kept_for` that of the site kept."""
        group, of_findings = self.predictions.scores.group, self.decision.task == "findings"
        each = {name: own.result(kept_for) for name, own in self.fitted.items()}
        one = next(iter(each.values()))
        return UnlabelledMetrics(
            task=self.decision.task,
            classes=self.decision.classes,
            positive=self.decision.positive,
            threshold=None if of_findings else one.threshold,
            n=len(self.cohort.rows),
            groups=len(np.unique(group)),
            recalibration=self._of_findings(kept_for) if of_findings else one.recalibration,
            before=None if of_findings else one.before,
            after=None if of_findings else one.after,
            called=None if of_findings else one.called,
            findings=each if of_findings else None,
            overlap=self.cohort.overlap.counts,
            outliers=self.outliers,
            data=ExternalData(name=data, fingerprint=self.cohort.store.fingerprint, own_test_part=self.cohort.is_own),
            model=EvaluatedModel(name=model, network_sha256=self.network_sha256),
            versions=versions,
            seconds=TotalSeconds(total=seconds),
        )

    def _of_findings(self, kept_for: str | None) -> Recalibration:
        rest = [name for name in self.decision.classes if name not in self.fitted]
        said = " ".join(own.sentence for own in self.fitted.values())
        keeps = f" As they were: {listed(rest)}." if rest else ""
        return Recalibration(
            offered=True, method="prevalence", site=kept_for, sentence=f"{said}{keeps}", warning=WITHOUT_LABELS
        )


def evaluate(
    bundle: Bundle, cohort: Cohort, predictions: ExternalPredictions, *, prevalence: float | Mapping[str, float]
) -> UnlabelledEvaluation:
    """Fit to a known prevalence, above 0 and below 1, of the positive class of two, or of some findings, by name; of enough patients."""
    decision, group, log_odds = bundle.classifier.decision, predictions.scores.group, predictions.log_odds
    if log_odds is None:
        raise ValueError("Expected two classes, or findings; received more classes.")
    fitted: dict[str, FittedToPrevalence] = {}
    stated = prevalence if isinstance(prevalence, Mapping) else {str(decision.positive): prevalence}
    for name, share in stated.items():
        at = decision.classes.index(name)
        own, odds = (decision, log_odds) if decision.task == "classes" else (decision.of(name), log_odds[:, at])
        called = predictions.scores.probabilities[:, at] >= own.threshold
        fitted[name] = FittedToPrevalence(
            decision=own,
            log_odds=odds,
            prevalence=share,
            fit=recalibration.fit_to_prevalence(odds, share, group),
            called=wilson(called, group=group),
        )
    return UnlabelledEvaluation(
        cohort=cohort,
        predictions=predictions,
        decision=decision,
        fitted=fitted,
        network_sha256=bundle.classifier.key,
        outliers=outlier_shares(bundle, predictions),
    )


def _distribution(chance: FloatArray) -> Distribution:
    found = np.quantile(chance, _QUANTILES)
    return Distribution(
        mean=float(chance.mean()), quantiles={f"{at:g}": float(v) for at, v in zip(_QUANTILES, found, strict=True)}
    )
