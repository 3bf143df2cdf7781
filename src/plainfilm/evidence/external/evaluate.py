"""External validation: what a classifier predicts on data that it was not made from, and how well.

Threshold and probabilities are the bundle's, frozen; nothing is fitted to these data and then tested on them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from msgspec.structs import asdict
from msgspec.structs import replace as replaced
from numpy.typing import NDArray

from plainfilm.data.spelling import listed
from plainfilm.data.split import assign
from plainfilm.errors import CatalogError, UsageError
from plainfilm.evidence.evaluation import by_patient as by_patients
from plainfilm.evidence.evaluation import evaluate as judge
from plainfilm.evidence.evaluation.clinical_utility import UtilityFindings
from plainfilm.evidence.evaluation.evaluate import Lines, Scores
from plainfilm.evidence.evaluation.source_baseline import source_rule
from plainfilm.evidence.evaluation.subgroups import SubgroupFindings, corrected_together
from plainfilm.evidence.external import recalibration
from plainfilm.evidence.external.answers import Advance, answers_of
from plainfilm.evidence.external.cohort import Cohort
from plainfilm.evidence.external.recalibration import FittedRecalibration
from plainfilm.evidence.external.transportability import compare, of_own_test_set
from plainfilm.evidence.outliers.detector import opened
from plainfilm.evidence.statistics.findings import evaluate_findings, mean_metrics
from plainfilm.evidence.statistics.intervals import IntArray, group_codes, wilson
from plainfilm.evidence.statistics.metrics import evaluate as measure
from plainfilm.model.bundle import Bundle
from plainfilm.model.classifier import Decision
from plainfilm.model.shared_bundle import SharedBundle
from plainfilm.results.estimate import Estimate, with_range
from plainfilm.results.external import (
    VERDICTS,
    EvaluatedModel,
    ExternalData,
    ExternalFinding,
    ExternalMetrics,
    ExternalOutliers,
    InternalMetrics,
    LabelsLeftOut,
    OutlierShares,
    OwnOutliers,
    PerformanceDrop,
    Recalibration,
    SourceBaseline,
    Splits,
    TotalSeconds,
    Transportability,
)
from plainfilm.results.metrics import ByPatient, Metrics, ThreeAnswersMeasured
from plainfilm.results.severity import LEVELS

_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalPredictions:
    """What the classifier said.

    `log_odds` float64 (n) of the positive class, or (n, k) of findings, None with more than two classes; `level` and `reason` text (n) of the outlier
    detector, None where the bundle has none.
    """

    scores: Scores
    log_odds: NDArray[np.float64] | None
    level: NDArray[np.str_] | None
    reason: NDArray[np.str_] | None

    def of(self, number: int) -> "ExternalPredictions":
        """Give what was said of one finding, of the radiographs of which it is known."""
        known = self.scores.labels[:, number] >= 0
        log_odds = None if self.log_odds is None else self.log_odds[known, number]
        return ExternalPredictions(scores=self.scores.of(number), log_odds=log_odds, level=None, reason=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalEvaluation:
    """What was found.

    `external` are the metrics on these data, `internal` those of the model's own test set. `majority` is the commonest
    class and its share, 0 to 1. `recalibration` is None where nothing can be offered; `no_recalibration` says why.
    Of findings `external` and `internal` are macro means; `findings` has each by itself, as of two classes, and `speaks` names
    the worst, whose are verdict, sources, subgroups and utility.
    """

    cohort: Cohort
    predictions: ExternalPredictions
    lines: Lines
    decision: Decision
    calibrated: bool
    network_sha256: str
    external: Metrics
    internal: Metrics
    missing: tuple[str, ...]
    drop: PerformanceDrop
    transportability: Transportability
    sources: SourceBaseline
    majority: tuple[str, float]
    outliers: ExternalOutliers | None
    recalibration: FittedRecalibration | None
    no_recalibration: str
    subgroups: SubgroupFindings
    utility: UtilityFindings | None
    three_answers: ThreeAnswersMeasured | None = None
    by_patient: ByPatient | None = None
    site: str | None = None  # whose calibration was tested
    findings: Mapping[str, "ExternalEvaluation"] = field(default_factory=dict)
    speaks: str | None = None

    @property
    def threshold(self) -> float | None:
        """On the probability of the positive class; None with more than two classes."""
        return self.decision.threshold if self.decision.positive else None

    @property
    def prevalence(self) -> float | None:
        """Share of the positive class, 0 to 1; None with more than two classes."""
        if self.decision.positive is None:
            return None
        return float(_labels01(self.cohort, self.decision).mean())

    def result(
        self, *, model: str, data: str, kept_for: str | None, versions: Mapping[str, str], seconds: float
    ) -> ExternalMetrics:
        """Give what is written of it; `model` and `data` are their names for people, `kept_for` that of the site kept."""
        cohort, decision, left_out = self.cohort, self.decision, self.cohort.labels.left_out
        return ExternalMetrics(
            task=decision.task,
            classes=decision.classes,
            positive=decision.positive,
            threshold=self.threshold,
            transportability=self.transportability,
            splits=Splits(external=self.external),
            internal=self._own,
            drop=self.drop,
            overlap=cohort.overlap.counts,
            left_out=LabelsLeftOut(
                labels={name: n for name, n in left_out.items() if name}, without_label=left_out.get("", 0)
            ),
            stands_for=cohort.labels.stands_for,
            missing_classes=self.missing,
            sources=self.sources,
            outliers=self.outliers,
            recalibration=replaced(self._recalibration, site=kept_for),
            subgroups=self.subgroups.result,
            utility=self.utility.result if self.utility else None,
            three_answers=self.three_answers,
            by_patient=self.by_patient,
            findings={name: own._as_finding for name, own in self.findings.items()} or None,
            speaks=self.speaks,
            data=ExternalData(name=data, fingerprint=cohort.store.fingerprint, own_test_part=cohort.is_own),
            model=EvaluatedModel(name=model, network_sha256=self.network_sha256, site=self.site),
            versions=versions,
            seconds=TotalSeconds(total=seconds),
        )

    @property
    def _recalibration(self) -> Recalibration:
        if self.findings:
            return recalibration.of_findings({name: own._recalibration for name, own in self.findings.items()})
        if self.recalibration:
            return self.recalibration.result
        return Recalibration(offered=False, reason=self.no_recalibration)

    @property
    def _own(self) -> InternalMetrics:
        return InternalMetrics(**{name: getattr(self.internal, name) for name in InternalMetrics.__struct_fields__})

    @property
    def _as_finding(self) -> ExternalFinding:
        return ExternalFinding(
            threshold=self.decision.threshold,
            lower_threshold=self.decision.lower_threshold,
            transportability=self.transportability,
            splits=Splits(external=self.external),
            internal=self._own,
            drop=self.drop,
            sources=self.sources,
            recalibration=self._recalibration,
            subgroups=self.subgroups.result,
            utility=self.utility.result if self.utility else None,
            three_answers=self.three_answers,
            by_patient=self.by_patient,
        )


def predict(
    bundle: Bundle,
    cohort: Cohort,
    *,
    shared: SharedBundle | None = None,
    advance: Advance = lambda _done, _all: None,
) -> ExternalPredictions:
    """Let the classifier answer, a block of radiographs at a time; `shared` names it to other processes.

    Raises
    ------
    BundleError
        The bundle's outlier detector is damaged.
    EngineError
        Other processes cannot do the work.
    """
    whole, decision = bundle.classifier.decision, _decision(bundle, cohort)
    found = answers_of(bundle, cohort.store, cohort.rows, shared=shared, advance=advance)
    logits = found["logits"]
    if decision.task == "findings":
        logits = logits[:, [whole.classes.index(name) for name in decision.classes]]
    of_none = decision.task == "findings" and cohort.classes.ndim == 1  # labels are not looked at
    return ExternalPredictions(
        scores=Scores(
            rows=cohort.rows,
            labels=np.full((len(cohort.rows), len(decision.classes)), -1) if of_none else cohort.classes,
            probabilities=decision.probabilities(logits),
            group=cohort.store.group[cohort.rows],
            **judge.cuts(decision),
        ),
        log_odds=None if decision.positive is None and decision.task == "classes" else decision.log_odds(logits),
        level=found.get("level"),
        reason=found.get("reason"),
    )


def _decision(bundle: Bundle, cohort: Cohort) -> Decision:
    """Give what decides; of findings on those that the data state, on all where labels are not looked at."""
    decision = bundle.classifier.decision
    if decision.task == "classes" or not cohort.labels.stands_for:
        return decision
    return Decision.joined([decision.of(name) for name in cohort.store.classes])


def score(scores: Scores, decision: Decision) -> Metrics:
    """Compute every metric of some predictions at the decision's threshold; of findings their means."""
    if decision.task == "findings":
        return _means(
            scores, {name: score(scores.of(at), decision.of(name)) for at, name in enumerate(decision.classes)}
        )
    return measure(scores.labels, scores.probabilities, classes=decision.classes, positive=decision.positive,
                   threshold=scores.threshold, group=scores.group)  # fmt: skip


def _means(scores: Scores, each: Mapping[str, Metrics]) -> Metrics:
    return evaluate_findings(
        scores.labels, scores.probabilities, each, threshold=np.asarray(scores.threshold), group=scores.group
    )


def check_recalibration(decision: Decision, classes: Sequence[str | None] = (), group: IntArray | None = None) -> None:
    """Refuse a recalibration that cannot be fitted: by the model or, where they are given, by the radiographs.

    Parameters
    ----------
    classes
        Names (n) of the classes of the radiographs; None for all of them where no label is looked at.
    group
        int64 (n), rows that are one draw; where it is not yet known each row counts alone.

    Raises
    ------
    UsageError
        The model has more than two classes.
    CatalogError
        Too few radiographs, or too few of a class.
    """
    if decision.task == "findings":
        return
    if decision.positive is None:
        raise UsageError(f"Expected two classes for --recalibrate; the model has {len(decision.classes)}. Leave it out.")  # fmt: skip
    if not len(classes):
        return
    codes = group_codes(group, len(classes))
    is_positive = np.array([name == decision.positive for name in classes], np.int64)
    labelled = any(name is not None for name in classes)
    reason = recalibration.why_not(is_positive, codes) if labelled else recalibration.why_not_unlabelled(codes)
    if reason:
        raise _too_few(reason)


def check_findings_recalibration(
    states: Mapping[str, NDArray[Any]], group: IntArray, prevalence: Mapping[str, float] | None
) -> None:
    """Refuse a recalibration that cannot be fitted to any finding of radiographs.

    Parameters
    ----------
    states
        By finding: 1 present, 0 absent, below 0 not known (n); none where labels are not looked at.
    group
        int64 (n), rows that are one draw.
    prevalence
        Those that are stated; of other findings nothing is fitted then.

    Raises
    ------
    UsageError
        One is stated of a finding that labelled data do not state.
    CatalogError
        Too few radiographs, or too few with and without each finding.
    """
    if not states:
        if reason := recalibration.why_not_unlabelled(group):
            raise _too_few(reason)
        return
    if unknown := [name for name in prevalence or () if name not in states]:
        raise UsageError(
            f"Expected --prevalence of findings that these data state ({listed([*states])}); received {listed(unknown)}. Leave it out."
        )
    known = {name: states[name] >= 0 for name in prevalence or states}
    reasons = {
        name: recalibration.why_not(states[name][own].astype(np.int64), group[own]) for name, own in known.items()
    }
    if all(reasons.values()):
        first = next(iter(reasons))
        raise _too_few(f"{first}: {reasons[first]}")


def _too_few(reason: str) -> CatalogError:
    return CatalogError(f"Expected enough radiographs for --recalibrate. {reason} Leave it out, or add radiographs.")


def evaluate(
    bundle: Bundle,
    cohort: Cohort,
    predictions: ExternalPredictions,
    *,
    prevalence: float | Mapping[str, float] | None = None,
    site: str | None = None,
    among: int = 1,
) -> ExternalEvaluation:
    """Say what the predictions are worth: metrics, the drop against the model's own test set, and all that a report shows.

    `prevalence` is what recalibration is fitted to, in the place of labels, of findings by name; `site` names the one that the bundle answers at.
    `among` is the number of findings of which this is one.
    """
    if cohort.store.task == "findings":
        return _of_findings(bundle, cohort, predictions, prevalence if isinstance(prevalence, Mapping) else None, site)
    stated = None if isinstance(prevalence, Mapping) else prevalence
    decision, scores, internal = bundle.classifier.decision, predictions.scores, bundle.metrics.test
    promise = bundle.metrics.three_answers
    external, (sources, majority) = score(scores, decision), _source_baseline(cohort, decision, among)
    missing = tuple(name for number, name in enumerate(decision.classes) if number not in scores.labels)
    drop, verdict = of_own_test_set() if cohort.is_own else compare(
        internal, external, two_classes=decision.positive is not None, missing=missing, sources=len(sources.names), among=among
    )  # fmt: skip
    if sources.sentence and verdict.level == "none":
        verdict = replaced(verdict, level="caution")
    return ExternalEvaluation(
        cohort=cohort,
        predictions=predictions,
        lines=judge.lines(scores, decision),
        decision=decision,
        calibrated=bundle.metrics.is_calibrated,
        network_sha256=bundle.classifier.key,
        external=external,
        internal=internal,
        missing=missing,
        drop=drop,
        transportability=verdict,
        sources=sources,
        majority=majority,
        outliers=_outliers(bundle, predictions, decision),
        recalibration=_recalibration(cohort, predictions, decision, stated, external.auroc),
        no_recalibration=_no_recalibration(cohort, decision),
        subgroups=judge.by_subgroup(cohort.store, decision, scores),
        utility=judge.of_use(decision, scores),
        three_answers=judge.of_three_answers(decision, scores, promise) if promise else None,
        by_patient=_by_patient(cohort, bundle, scores),
        site=site,
    )


def _of_findings(
    bundle: Bundle,
    cohort: Cohort,
    predictions: ExternalPredictions,
    prevalence: Mapping[str, float] | None,
    site: str | None,
) -> ExternalEvaluation:
    """Judge each finding by itself, as a classifier of two classes, and put them together; the worst speaks."""
    decision, scores, whole = _decision(bundle, cohort), predictions.scores, bundle.metrics.test
    names = decision.classes
    each = {
        name: _one_of(
            evaluate(
                _telling(bundle, name),
                cohort.of(name),
                predictions.of(at),
                prevalence=(prevalence or {}).get(name),
                site=site,
                among=len(names),
            ),
            keeps=prevalence is not None and name not in prevalence,
        )
        for at, name in enumerate(names)
    }
    told = corrected_together({name: own.subgroups for name, own in each.items()})
    each = {name: replace(own, subgroups=told[name]) for name, own in each.items()}
    external = _means(scores, {name: own.external for name, own in each.items()})
    missing = tuple(name for name in bundle.classifier.classes_ if name not in names)
    internal = mean_metrics(whole, {name: own.internal for name, own in each.items()}) if missing else whole
    drop, _ = of_own_test_set() if cohort.is_own else compare(internal, external, two_classes=False)
    speaks = max(each, key=lambda name: _badness(each[name]))
    worst = each[speaks].transportability
    return replace(
        each[speaks],
        cohort=cohort,
        predictions=predictions,
        lines=judge.lines(scores, decision),
        decision=decision,
        external=external,
        internal=internal,
        missing=missing,
        drop=drop,
        transportability=replaced(worst, sentence=f"{speaks}: {worst.sentence}"),
        outliers=_outliers(bundle, predictions, decision),
        recalibration=None,
        three_answers=None,
        by_patient=None,
        findings=each,
        speaks=speaks,
    )


def _one_of(found: ExternalEvaluation, *, keeps: bool) -> ExternalEvaluation:
    """Give one finding of several, which `keeps` its own calibration where prevalences are stated of others alone."""
    if not keeps:
        return found
    return replace(found, recalibration=None, no_recalibration="It keeps its own: no prevalence of it was stated.")


def _badness(found: ExternalEvaluation) -> tuple[int, int, float]:
    verdict = found.transportability
    return VERDICTS.index(verdict.verdict), LEVELS.index(verdict.level), -float(np.nan_to_num(found.external.auroc.low))


def _telling(bundle: Bundle, finding: str) -> Bundle:
    """Give the bundle as one that tells one finding alone, with what its own test set came to for it."""
    found = (bundle.metrics.findings or {})[finding]
    metrics = replaced(
        bundle.metrics, splits=found.splits, three_answers=found.three_answers, by_patient=found.by_patient
    )
    return replace(bundle, classifier=bundle.classifier.of(finding), metrics=metrics)


def _by_patient(cohort: Cohort, bundle: Bundle, scores: Scores) -> ByPatient | None:
    decision, own = bundle.classifier.decision, bundle.metrics.by_patient
    units = by_patients.units_of(cohort.store, decision, scores.rows, scores.labels, scores.probabilities)
    if units is None:
        return None
    promise = own.three_answers.elsewhere() if own and own.three_answers else None
    return by_patients.measure(decision, {"external": units}, "external", promise, seed=0)


def _labels01(cohort: Cohort, decision: Decision) -> IntArray:
    return np.asarray(np.array(decision.classes)[cohort.classes] == decision.positive, np.int64)


def _no_recalibration(cohort: Cohort, decision: Decision) -> str:
    """Say why none can be fitted; "" where one can."""
    if decision.positive is None:
        return "It is for two classes only."
    return recalibration.why_not(_labels01(cohort, decision), cohort.store.group[cohort.rows])


def _recalibration(
    cohort: Cohort, predictions: ExternalPredictions, decision: Decision, prevalence: float | None, auroc: Estimate
) -> FittedRecalibration | None:
    if predictions.log_odds is None or decision.positive is None or _no_recalibration(cohort, decision):
        return None
    return recalibration.measure(predictions.log_odds, _labels01(cohort, decision), positive=decision.positive,
                                 threshold=decision.threshold, group=predictions.scores.group,
                                 prevalence=prevalence, auroc=auroc)  # fmt: skip


def _outliers(bundle: Bundle, predictions: ExternalPredictions, decision: Decision) -> ExternalOutliers | None:
    """Take the shares of radiographs unlike the training set, and the metrics without those refused."""
    shares, level, scores = outlier_shares(bundle, predictions), predictions.level, predictions.scores
    if shares is None or level is None:
        return None
    kept = level != "refused"
    rest = replace(scores, **{name: getattr(scores, name)[kept] for name in ("rows", "labels", "probabilities", "group")})  # fmt: skip
    return ExternalOutliers(**asdict(shares), without_refused=score(rest, decision))


def outlier_shares(bundle: Bundle, predictions: ExternalPredictions) -> OutlierShares | None:
    """Take the shares of radiographs unlike the training set; None without a detector."""
    detector, level, reason, scores = opened(bundle.outliers), predictions.level, predictions.reason, predictions.scores
    if detector is None or level is None or reason is None:
        return None
    return OutlierShares(
        refused=wilson(level == "refused", group=scores.group),
        flagged=wilson(level == "flagged", group=scores.group),
        reasons=dict(Counter(reason[level != "ok"].tolist()).most_common()),
        promise=detector.promise,
        own=_own_outliers(bundle),
    )


def _own_outliers(bundle: Bundle) -> OwnOutliers | None:
    own = bundle.metrics.outliers
    return OwnOutliers(refused=own.refused, flagged=own.flagged) if own and own.refused and own.flagged else None


def _source_baseline(cohort: Cohort, decision: Decision, among: int) -> tuple[SourceBaseline, tuple[str, float]]:
    """Cross-validate how well the source alone tells the classes; give also the commonest class, and its share.

    The source tells a class where its AUROC is above one half by the lower end of a 99.5 % interval, since radiographs of
    one source are right or wrong together.
    """
    store, rows = cohort.store, cohort.rows
    source, group = store.source[rows], store.group[rows]
    fold = assign(cohort.classes, group, shares=[1.0] * _FOLDS, seed=0)
    parts = [(np.flatnonzero(fold != each), np.flatnonzero(fold == each)) for each in range(_FOLDS)]
    parts = [each for each in parts if len(each[0]) and len(each[1])]
    if not parts:
        parts = [(np.arange(len(rows)),) * 2]
    rule = source_rule(cohort.classes, source, group, parts, decision.classes, level=0.995, among=among)
    area = rule.auroc
    sentence = f"In these data, too, knowing only which source an image came from gives AUROC {with_range(area)}{rule.of_class(rule.worst)}: a right answer may still be the source, not the disease."
    return SourceBaseline(
        names=rule.sources,
        table=tuple(map(tuple, rule.table.tolist())),
        source_alone=rule.accuracy,
        auroc=area,
        auroc_class=rule.worst if len(rule.areas) > 1 else None,
        sentence=sentence if rule.tells and not cohort.is_own else None,
    ), rule.guess
