"""What stands beside every answer: classes, threshold, prevalences, and what the classifier's accuracy is worth."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plainfilm.arguments import By, Prevalence
from plainfilm.data.spelling import listed
from plainfilm.results.metrics import FindingMetrics, RunMetrics
from plainfilm.results.predictions import Context, Prediction
from plainfilm.results.severity import LEVELS, SEVERITY, Verdict, Worth
from plainfilm.results.task import Task

if TYPE_CHECKING:
    from plainfilm.evidence.inference.predictor import Predictor
    from plainfilm.model.classifier import Decision


_MANY: dict[By | None, str] = {None: "radiographs", "study": "studies", "patient": "patients"}


def worth(metrics: RunMetrics) -> tuple[Worth, ...]:
    """Say what an accuracy is worth: at sources left out, if any were; the audit's verdict; and the rules without images, where they say as much against it."""
    elsewhere = (metrics.left_out,) if metrics.left_out else ()
    return (*elsewhere, *_worth_here(metrics))


def _worth_here(metrics: RunMetrics) -> tuple[Worth, ...]:
    audit, blind = metrics.audit, metrics.worth
    if not audit:
        return (Worth(level=blind.level, sentence=f"Not audited. {blind.sentence}"),)
    verdict = Worth(level=SEVERITY[audit.verdict], sentence=f"{audit.verdict.capitalize()}. {audit.sentence}")
    is_drowned = blind.level == "none" or (verdict.level == "warning" and blind.level == "caution")
    return (verdict,) if is_drowned else (verdict, blind)


def loudest(said: Iterable[Worth]) -> Worth:
    """Take the most severe sentence, of several as severe the first."""
    return max(said, key=lambda each: LEVELS.index(each.level))


def in_one(said: Iterable[Worth]) -> str:
    """Join sentences of what an accuracy is worth."""
    return " ".join(each.sentence for each in said)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What stands beside the answers of a bundle.

    `positive`, `calibrated_at` and `prevalence` are None with more than two classes, the latter two also where the
    probabilities are not calibrated; `threshold`, both prevalences: 0 to 1. `site` is the hospital whose calibration is
    used, None for the bundle's own; `sites` are those that the bundle knows. Below `lower_threshold` the other class is
    called and between the two the answer is unsure; None where there is one threshold. `by` says what one answer is for, None for a film.
    Of findings `calibrated_at_each` and `prevalences` are by name, the latter only where some were stated.
    """

    classes: tuple[str, ...]
    positive: str | None
    threshold: float
    calibrated_at: float | None
    prevalence: float | None
    metrics: RunMetrics
    task: Task = "classes"
    calibrated_at_each: Mapping[str, float] = field(default_factory=dict)
    prevalences: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    lower_thresholds: Mapping[str, float] = field(default_factory=dict)
    site: str | None = None
    sites: tuple[str, ...] = ()
    lower_threshold: float | None = None
    by: By | None = None

    @classmethod
    def of(cls, predictor: "Predictor", prevalence: Prevalence | None = None, by: By | None = None) -> "About":
        """Take it from an opened bundle; `prevalence` None means the one it was calibrated at, `by` None that answers are of films."""
        decision = predictor.bundle.classifier.decision
        upper, lower = _of_findings(decision, by)
        at_each = predictor.prevalences
        if by is not None and at_each and decision.ways:
            at_each = {name: how.prevalence for name, how in decision.ways.items() if name in at_each}
        cuts = decision if by is None or decision.combining is None else decision.combining
        of_units = by is not None and decision.combining is not None and predictor.prevalence is not None
        calibrated_at = decision.combining.prevalence if of_units and decision.combining else predictor.prevalence
        return cls(
            classes=tuple(predictor.classes_),
            positive=decision.positive,
            task=decision.task,
            thresholds=upper,
            lower_thresholds=lower,
            threshold=cuts.threshold,
            lower_threshold=cuts.lower_threshold,
            by=by,
            calibrated_at=calibrated_at,
            prevalence=calibrated_at if prevalence is None or isinstance(prevalence, Mapping) else prevalence,
            calibrated_at_each=at_each,
            prevalences={**at_each, **prevalence} if isinstance(prevalence, Mapping) else {},
            metrics=predictor.bundle.metrics,
            site=predictor.site,
            sites=tuple(predictor.bundle.manifest.known_sites),
        )

    @property
    def worth(self) -> tuple[Worth, ...]:
        """What the classifier's accuracy is worth, the audit's verdict first."""
        return worth(self.metrics)

    @property
    def loudest(self) -> Worth:
        """The loudest of these sentences."""
        return loudest(self.worth)

    @property
    def calibration(self) -> str:
        """Say whose calibration is used; nothing where the bundle knows no hospital."""
        if self.site is not None:
            return f"The calibration of the site {self.site} is used."
        return (
            f"The model's own calibration is used, of none of its sites ({listed(self.sites)})." if self.sites else ""
        )

    @property
    def called(self) -> str:
        """Say from which probability on the positive class is called; of two thresholds also where the answer is unsure."""
        said = f"{self.positive} is called from a probability of {100 * self.threshold:.1f} % on"
        if self.lower_threshold is None:
            return said
        other = next(name for name in self.classes if name != self.positive)
        unsure = ", and between them the answer is unsure" if self.lower_threshold < self.threshold else ""
        return f"{said}, {other} below {100 * self.lower_threshold:.1f} %{unsure}"

    @property
    def combined(self) -> str:
        """Say how several films became one answer; nothing where answers are of films."""
        if not self.by:
            return ""
        return _each({name: own.by_patient.sentence if own.by_patient else "" for name, own in self._measured.items()})

    @property
    def promise(self) -> str:
        """Say what two thresholds promise; nothing where there is one."""
        if self.lower_threshold is None and not self.lower_thresholds:
            return ""
        told = {}
        for name, own in self._measured.items():
            three = own.three_answers if self.by is None else own.by_patient and own.by_patient.three_answers
            told[name] = three.sentence if three else ""
        said = _each(told)
        return f"{said} {_ALONE}" if said and self.task == "findings" else said

    @property
    def _measured(self) -> Mapping[str, RunMetrics | FindingMetrics]:
        """What each finding came to; of classes all, under ""."""
        return self.metrics.findings or {"": self.metrics}

    @property
    def verdict(self) -> Verdict | None:
        """The audit's verdict; None where there was no audit."""
        return self.metrics.audit.verdict if self.metrics.audit else None

    def meaning(self, answer: Prediction) -> str:
        """Say what an answer's probability means among those examined, of each finding that is called; nothing where it means nothing."""
        if answer.label is not None and answer.at_prevalences and answer.findings:
            chances = answer.at_prevalences
            said = [
                self._meant(name, self.prevalences[name], chances[name]) for name in answer.findings if name in chances
            ]
            return " ".join(said)
        if self.prevalence is None or answer.label is None or answer.at_prevalence is None:
            return ""
        return self._meant(str(self.positive), self.prevalence, answer.at_prevalence)

    def _meant(self, name: str, prevalence: float, chance: float) -> str:
        return (
            f"Where {100 * prevalence:.3g} % of those examined have {name}, "
            f"{_of_hundred(chance)} of 100 {_MANY[self.by]} with this answer show it, if the probability is right."
        )

    @property
    def context(self) -> Context:
        """The same as it stands above the answers in JSON."""
        return Context(
            classes=self.classes,
            positive=self.positive,
            threshold=self.threshold if self.positive else None,
            task=self.task,
            thresholds=self.thresholds,
            lower_thresholds=self.lower_thresholds,
            lower_threshold=self.lower_threshold,
            by=self.by,
            combined=self.combined,
            three_answers=self.promise,
            calibrated_at_prevalence=self.calibrated_at,
            calibrated=self.metrics.is_calibrated,
            calibrated_at_prevalences=self.calibrated_at_each,
            prevalence=self.prevalence,
            prevalences=self.prevalences,
            site=self.site,
            verdict=self.verdict,
            worth=in_one(self.worth),
        )


_ALONE = "That is promised of each finding by itself, not of all together."


def _of_findings(decision: "Decision", by: By | None) -> tuple[dict[str, float], dict[str, float]]:
    """Give the thresholds of each finding and the lower ones, of films or of what one answer is for; nothing of classes."""
    ways = decision.ways if by is not None and decision.task == "findings" else {}
    upper = [how.threshold for how in ways.values()] or decision.thresholds
    lower = (
        [how.lower_threshold for how in ways.values() if how.lower_threshold is not None]
        if ways
        else decision.lower_thresholds
    )
    named = [dict(zip(decision.classes, each, strict=True)) if each else {} for each in (upper, lower)]
    return named[0], named[1]


def _each(said: Mapping[str, str]) -> str:
    """Put sentences about findings together, those that are alike once: "Effusion, Mass: …"; that about classes stands alone."""
    alike: dict[str, list[str]] = {}
    for name, sentence in said.items():
        if sentence:
            alike.setdefault(sentence, []).append(name)
    return " ".join(f"{', '.join(names)}: {each}" if names[0] else each for each, names in alike.items())


def _of_hundred(share: float) -> str:
    """Write a share as a count; never none and never all, which no probability can promise."""
    count = round(100 * share)
    return "fewer than 1" if count < 1 else "more than 99" if count > 99 else str(count)
