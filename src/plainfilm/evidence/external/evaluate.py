"""A classifier tested on other data than its own: its answers, and what they say.

Threshold and probabilities are the bundle's, frozen; nothing is fitted to these data and then tested on them.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from plainfilm.data.split import assign
from plainfilm.evidence.evaluation import evaluate as judge
from plainfilm.evidence.evaluation.clinical_utility import Utility
from plainfilm.evidence.evaluation.evaluate import Scores
from plainfilm.evidence.evaluation.source_baseline import SourceRule, source_rule
from plainfilm.evidence.evaluation.subgroups import Subgroups
from plainfilm.evidence.evaluation.tested_part import tested
from plainfilm.evidence.external import recalibration
from plainfilm.evidence.external.cohort import Asked, damaged
from plainfilm.evidence.external.recalibration import Recalibration
from plainfilm.evidence.external.transportability import Travel, same_data, travel
from plainfilm.evidence.outliers.detector import Detector
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.model.bundle import Bundle
from plainfilm.model.classifier import Decision
from plainfilm.results import documents
from plainfilm.results.estimate import Estimate
from plainfilm.results.metrics import Metrics
from plainfilm.results.severity import Level

BLOCK = 256  # radiographs a step
_FOLDS = 5
Advance = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the classifier said.

    `log_odds` float64 (n) of the positive class, None with more than two; `level` and `reason` text (n) of the outlier
    detector, None where the bundle has none.
    """

    scores: Scores
    log_odds: NDArray[np.float64] | None
    level: NDArray[np.str_] | None
    reason: NDArray[np.str_] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strange:
    """How many radiographs are unlike the training images: shares, reasons, and the metrics without those refused.

    `own` are the shares refused and flagged of the model's own test part, None where the bundle does not tell.
    """

    refused: Estimate
    flagged: Estimate
    own: tuple[Estimate, Estimate] | None
    reasons: Mapping[str, int]
    promise: str
    without_refused: Metrics

    def as_dict(self) -> dict[str, object]:
        """Give what `metrics.json` holds under "outliers"."""
        return {
            "refused": self.refused.as_dict(),
            "flagged": self.flagged.as_dict(),
            "reasons": dict(self.reasons),
            "promise": self.promise,
            "own": self.own and {"refused": self.own[0].as_dict(), "flagged": self.own[1].as_dict()},
            "without_refused": documents.plain(self.without_refused),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """What was found.

    `internal` are the metrics of the model's own test part. `rule` knows only the source of an image, and is right in
    `source_surely` at least. `recalibration` is None where nothing can be offered; `no_recalibration` says why.
    """

    asked: Asked
    answers: Answers
    decision: Decision
    metrics: Metrics
    internal: Metrics
    missing: Sequence[str]
    travel: Travel
    rule: SourceRule
    source_surely: float
    strange: Strange | None
    recalibration: Recalibration | None
    no_recalibration: str
    subgroups: Subgroups
    utility: Utility | None

    @property
    def level(self) -> Level:
        """How loud the sentence is: at least a caution where the source alone tells the label."""
        return "caution" if self.travel.level == "none" and self.source_tells else self.travel.level

    @property
    def source_tells(self) -> str:
        """Say that the source alone gives the label away in these data too; "" where it does not."""
        if self.asked.is_own or len(self.rule.sources) < 2 or self.source_surely <= self.rule.guess[1]:
            return ""
        known = f"{100 * self.rule.accuracy.value:.1f} %"
        return f"In these data, too, knowing only which source an image came from gives {known}: a right answer may still be the source, not the disease."


def answer(bundle: Bundle, asked: Asked, *, advance: Advance = lambda _done, _all: None) -> Answers:
    """Let the classifier answer, `BLOCK` radiographs at a time, so that memory does not grow with their pixels.

    Raises
    ------
    BundleError
        The bundle's outlier detector is damaged.
    """
    detector, decision = _detector(bundle), bundle.classifier.decision
    logits, levels, reasons = [], [], []
    for start in range(0, len(asked.rows), BLOCK):
        advance(start, len(asked.rows))
        pixels = asked.store.images(asked.rows[start : start + BLOCK])
        scores, features = bundle.classifier.run(pixels, "logits", "features")
        logits.append(scores)
        if detector is not None:
            judged = detector.judge(features, pixels=pixels)
            levels.append(judged.level)
            reasons.append(judged.reason)
    advance(len(asked.rows), len(asked.rows))
    every = np.concatenate(logits)
    probabilities = decision.probabilities(every)
    group = asked.store.group[asked.rows]
    return Answers(
        scores=Scores(
            rows=asked.rows,
            labels=asked.classes,
            probabilities=probabilities,
            group=group,
            threshold=decision.threshold,
        ),
        log_odds=decision.log_odds(every) if decision.positive is not None else None,
        level=np.concatenate(levels) if levels else None,
        reason=np.concatenate(reasons) if reasons else None,
    )


def _detector(bundle: Bundle) -> Detector | None:
    try:
        return Detector.from_bytes(bundle.outliers) if bundle.outliers else None
    except ValueError as error:
        raise damaged("what is usual for it") from error


def internal(bundle: Bundle) -> Metrics:
    """Give the metrics of a bundle's own test part, without those of each class.

    Raises
    ------
    BundleError
        It has none, or damaged ones.
    """
    try:
        kept = msgspec.convert(tested(bundle.metrics["splits"])[1], Metrics)
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise damaged("how it did on its own test part") from error
    return msgspec.structs.replace(kept, confusion_matrix=(), per_class=None)


def score(scores: Scores, decision: Decision) -> Metrics:
    """Compute every metric of some answers at the decision's threshold."""
    return evaluate(scores.labels, scores.probabilities, classes=decision.classes, positive=decision.positive,
                    threshold=scores.threshold, group=scores.group)  # fmt: skip


def examine(bundle: Bundle, asked: Asked, answers: Answers) -> Elsewhere:
    """Say what the answers are worth: metrics, the drop against the model's own test part, and all that a report shows.

    Raises
    ------
    BundleError
        The bundle's metrics are damaged.
    """
    decision, scores, own = bundle.classifier.decision, answers.scores, internal(bundle)
    metrics = score(scores, decision)
    missing = [name for number, name in enumerate(decision.classes) if number not in scores.labels]
    rule, source_surely = _source_rule(asked, decision)
    offered, why_not = _recalibration(answers, decision)
    return Elsewhere(
        asked=asked,
        answers=answers,
        decision=decision,
        metrics=metrics,
        internal=own,
        missing=missing,
        travel=same_data()
        if asked.is_own
        else travel(
            own, metrics, two_classes=decision.positive is not None, missing=missing, sources=len(rule.sources)
        ),
        rule=rule,
        source_surely=source_surely,
        strange=_strange(bundle, answers, decision),
        recalibration=offered,
        no_recalibration=why_not,
        subgroups=judge.by_subgroup(asked.store, decision, scores),
        utility=judge.of_use(decision, scores),
    )


def _recalibration(answers: Answers, decision: Decision) -> tuple[Recalibration | None, str]:
    if answers.log_odds is None or decision.positive is None:
        return None, "It is for two classes only."
    scores = answers.scores
    labels01 = (scores.labels == decision.classes.index(decision.positive)).astype(np.int64)
    why_not = recalibration.why_not(labels01, scores.group)
    if why_not:
        return None, why_not
    return recalibration.measure(
        answers.log_odds, labels01, positive=decision.positive, threshold=decision.threshold, group=scores.group
    ), ""


def _strange(bundle: Bundle, answers: Answers, decision: Decision) -> Strange | None:
    detector, level, reason, scores = _detector(bundle), answers.level, answers.reason, answers.scores
    if detector is None or level is None or reason is None:
        return None
    kept = level != "refused"
    rest = Scores(
        rows=scores.rows[kept],
        labels=scores.labels[kept],
        probabilities=scores.probabilities[kept],
        group=scores.group[kept],
        threshold=decision.threshold,
    )
    return Strange(
        refused=wilson(~kept, group=scores.group),
        flagged=wilson(level == "flagged", group=scores.group),
        own=_own_shares(bundle),
        reasons=dict(Counter(reason[level != "ok"].tolist()).most_common()),
        promise=detector.promise,
        without_refused=score(rest, decision),
    )


def _own_shares(bundle: Bundle) -> tuple[Estimate, Estimate] | None:
    try:
        own = bundle.metrics["outliers"]
        return msgspec.convert(own["refused"], Estimate), msgspec.convert(own["flagged"], Estimate)
    except (KeyError, TypeError, msgspec.ValidationError):
        return None


def _source_rule(asked: Asked, decision: Decision) -> tuple[SourceRule, float]:
    """Measure by cross-validation how often one is right who only knows the source, and how often at least.

    At least: the lower end of a 99.5 % interval, since radiographs of one source are right or wrong together.
    """
    store, rows, every = asked.store, asked.rows, np.arange(len(asked.rows))
    source, group = store.source[rows], store.group[rows]
    whole = source_rule(asked.classes, source, group, [(every, every)], decision.classes)
    fold = assign(asked.classes, group, shares=[1.0] * _FOLDS, seed=0)
    right = np.zeros(len(rows), bool)
    for out in (fold == each for each in range(_FOLDS)):
        for name in np.unique(source[out]):
            here = out & (source == name)
            taught = asked.classes[~out & (source == name)]
            named = np.bincount(taught).argmax() if len(taught) else decision.classes.index(whole.guess[0])
            right[here] = asked.classes[here] == named
    rule = replace(whole, accuracy=wilson(right, group=group))
    return rule, wilson(right, group=group, level=0.995).low
