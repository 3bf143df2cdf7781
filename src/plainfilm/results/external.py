"""What an external validation came to: `metrics.json` of a folder of `plainfilm evaluate`."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, get_args

import msgspec
from msgspec import Meta

from plainfilm.results.documents import Document, Record
from plainfilm.results.estimate import Count, Estimate, Seconds, Share, ShareEstimate
from plainfilm.results.metrics import (
    F1,
    Accuracy,
    Auprc,
    Auroc,
    ByPatient,
    Estimates,
    Groups,
    Metrics,
    Npv,
    Ppv,
    RecalibrationMethod,
    Sensitivity,
    Specificity,
    Subgroups,
    ThreeAnswersMeasured,
    Utility,
)
from plainfilm.results.severity import Level
from plainfilm.results.task import Task

SiteVerdict = Literal["travels", "cannot be said", "travels in part", "does not travel"]
VERDICTS: tuple[SiteVerdict, ...] = get_args(SiteVerdict)  # the worst last
SEVERITY: dict[SiteVerdict, Level] = {
    "travels": "none",
    "cannot be said": "caution",
    "travels in part": "caution",
    "does not travel": "warning",
}


class Transportability(Record, frozen=True, kw_only=True):
    """Whether the performance holds on the external data."""

    verdict: Annotated[SiteVerdict, Meta(description="The verdict.")]
    level: Annotated[Level, Meta(description="How severe the sentence is.")]
    sentence: Annotated[str, Meta(description="The verdict in words, with the numbers it rests on.")]


class Splits(Record, frozen=True, kw_only=True):
    """The set that was scored."""

    external: Annotated[Metrics, Meta(description="Metrics on the external data.")]


class InternalMetrics(Estimates, frozen=True, kw_only=True):
    """Metrics of the model's own test set, as its bundle has them."""

    n: Annotated[Count, Meta(description="Radiographs.")]
    groups: Groups
    accuracy: Accuracy
    sensitivity: Sensitivity
    specificity: Specificity
    auroc: Auroc
    ppv: Ppv
    npv: Npv
    f1: F1
    auprc: Auprc
    brier: Annotated[ShareEstimate, Meta(description="Brier score.")]
    ece: Annotated[ShareEstimate, Meta(description="Expected calibration error over ten bins.")]


class PerformanceDrop(Estimates, frozen=True, kw_only=True):
    """The model's own test set less the external data; positive where the metric is lower on the external data."""

    accuracy: Annotated[Estimate, Meta(description="Difference of the accuracies.")]
    sensitivity: Annotated[Estimate, Meta(description="Difference of the sensitivities.")]
    specificity: Annotated[Estimate, Meta(description="Difference of the specificities.")]
    auroc: Annotated[Estimate, Meta(description="Difference of the AUROCs.")]


class Overlap(Record, frozen=True, kw_only=True):
    """External radiographs that the model was trained, validated or tested on; they are left out."""

    searched: Annotated[bool, Meta(description="Whether they were searched for.")]
    not_searched: Annotated[str | None, Meta(description="Why not.")]
    found: Annotated[Count, Meta(description="Radiographs left out.")]
    same_file: Annotated[Count, Meta(description="Of these: the same file.")]
    same_film: Annotated[Count, Meta(description="Of these: the same radiograph in another file.")]
    same_patient: Annotated[Count, Meta(description="Of these: other radiographs of the same patients.")]


class LabelsLeftOut(Record, frozen=True, kw_only=True):
    """Radiographs whose label stands for no class of the model."""

    labels: Annotated[
        Mapping[str, Count],
        Meta(
            description="Radiographs by label; of findings those that have one the model does not tell, which may be tested for others."
        ),
    ]
    without_label: Annotated[Count, Meta(description="Radiographs without a label.")]


class SourceBaseline(Record, frozen=True, kw_only=True):
    """How well the source of an external radiograph predicts its class, without the image."""

    names: Annotated[tuple[str, ...], Meta(description="Names of the sources.")]
    table: Annotated[tuple[tuple[int, ...], ...], Meta(description="Radiographs, a row a class, a column a source.")]
    source_alone: Annotated[
        ShareEstimate, Meta(description="Cross-validated accuracy of predicting each source's majority class.")
    ]
    auroc: Annotated[
        ShareEstimate | None, Meta(description="Cross-validated AUROC of the source alone, with a 99.5 % interval.")
    ] = None
    auroc_class: Annotated[
        str | None, Meta(description="With more than two classes: the one it is of, against the rest.")
    ] = None
    sentence: Annotated[str | None, Meta(description="Said where the source alone predicts the class.")]


class OwnOutliers(Record, frozen=True, kw_only=True):
    """Shares of the model's own test set."""

    refused: Annotated[ShareEstimate, Meta(description="Share refused.")]
    flagged: Annotated[ShareEstimate, Meta(description="Share flagged.")]


class OutlierShares(Record, frozen=True, kw_only=True):
    """External radiographs that are unlike the training set."""

    refused: Annotated[ShareEstimate, Meta(description="Share refused.")]
    flagged: Annotated[ShareEstimate, Meta(description="Share flagged.")]
    reasons: Annotated[Mapping[str, Count], Meta(description="Radiographs by reason, the commonest first.")]
    promise: Annotated[str, Meta(description="What the detector promises of new radiographs.")]
    own: Annotated[OwnOutliers | None, Meta(description="The same of the model's own test set, where it is known.")]


class ExternalOutliers(OutlierShares, frozen=True, kw_only=True):
    """External radiographs that are unlike the training set."""

    without_refused: Annotated[Metrics, Meta(description="Metrics without the radiographs that were refused.")]


class CalibrationFit(Estimates, frozen=True, kw_only=True):
    """How well probabilities fit."""

    brier: Annotated[ShareEstimate, Meta(description="Brier score.")]
    ece: Annotated[ShareEstimate, Meta(description="Expected calibration error over ten bins.")]
    excess: Annotated[Estimate, Meta(description="Mean probability of the positive class less its share.")]


class Recalibration(Record, frozen=True, kw_only=True):
    """What moving the log odds would do; with labels by cross-validation. Only "reason" where it is not offered."""

    offered: Annotated[bool, Meta(description="Whether it can be done.")]
    reason: Annotated[str | None, Meta(description="Why it cannot.")] = None
    method: Annotated[
        RecalibrationMethod,
        Meta(
            description="Fitted to labels, or to a stated prevalence without looking at labels; left out with labels."
        ),
    ] = "labels"
    prevalence: Annotated[Share | None, Meta(description="The stated prevalence.")] = None
    site: Annotated[str | None, Meta(description="The site that the bundle keeps it for.")] = None
    shift: Annotated[float | None, Meta(description="Added to the log odds of the positive class.")] = None
    slope: Annotated[float, Meta(description="The log odds are multiplied by it first; left out where it is 1.")] = 1.0
    fitted_shift: Annotated[
        Estimate | None, Meta(description="The number as it fits best, before it is drawn towards 0.")
    ] = None
    fitted_slope: Annotated[
        Estimate | None,
        Meta(description="The slope as it fits best, before it is drawn towards 1; left out without labels."),
    ] = None
    threshold: Annotated[float | None, Meta(description="Threshold that moves along, so that no answer changes.")] = (
        None
    )
    helps: Annotated[bool | None, Meta(description="Whether it is shown to bring probabilities nearer to the truth.")] = None  # fmt: skip
    sentence: Annotated[str | None, Meta(description="The same in words.")] = None
    before: Annotated[CalibrationFit | None, Meta(description="How well probabilities fit as they are.")] = None
    after: Annotated[CalibrationFit | None, Meta(description="How well they would fit.")] = None
    brier_gain: Annotated[Estimate | None, Meta(description="Brier score before less after.")] = None
    warning: Annotated[str | None, Meta(description="Said where recalibration cannot make answers worth more.")] = None


class ExternalData(Record, frozen=True, kw_only=True):
    """The external data."""

    name: Annotated[str, Meta(description="Name of the folder or the store.")]
    fingerprint: Annotated[str, Meta(description="SHA-256 over the pixels of all images.")]
    own_test_part: Annotated[bool, Meta(description="Whether they are the model's own test set.")]


class EvaluatedModel(Record, frozen=True, kw_only=True):
    """The bundle."""

    name: Annotated[str, Meta(description="File name of the bundle.")]
    network_sha256: Annotated[str, Meta(description="SHA-256 of its network.")]
    site: Annotated[str | None, Meta(description="The site whose calibration was tested.")] = None


class TotalSeconds(Record, frozen=True, kw_only=True):
    """How long it took."""

    total: Annotated[Seconds, Meta(description="All of it.")]


class ExternalFinding(Record, frozen=True, kw_only=True, rename={"transportability": "travels"}):
    """One finding of several by itself: a classifier of two classes, on the radiographs of which it is known."""

    threshold: Annotated[float, Meta(description="Probability from which it is called.")]
    lower_threshold: Annotated[
        float | None, Meta(description="Probability below which it is denied, unsure between; left out with one.")
    ] = None
    transportability: Annotated[Transportability, Meta(description="Whether the performance holds on these data.")]
    splits: Annotated[Splits, Meta(description="Metrics on the external data, as of two classes.")]
    internal: Annotated[InternalMetrics, Meta(description="Metrics of the model's own test set.")]
    drop: Annotated[PerformanceDrop, Meta(description="The latter less the former.")]
    sources: Annotated[SourceBaseline, Meta(description="How well the source alone predicts it.")]
    recalibration: Annotated[Recalibration | None, Meta(description="What recalibration would do to it.")] = None
    subgroups: Annotated[Subgroups, Meta(description="Its metrics by subgroup.")]
    utility: Annotated[Utility | None, Meta(description="Answers at other prevalences.")] = None
    three_answers: Annotated[
        ThreeAnswersMeasured | None,
        Meta(description="The model's two thresholds here, and whether what they were set for holds."),
    ] = None
    by_patient: Annotated[ByPatient | None, Meta(description="One answer a patient.")] = None


class ExternalMetrics(Document, frozen=True, kw_only=True, rename={"transportability": "travels"}):
    """What an external validation came to."""

    FORMAT: ClassVar[str] = "plainfilm-external-metrics"

    task: Annotated[
        Task, Meta(description="What is told of a radiograph: one of the classes, or which of several findings it has.")
    ] = "classes"
    classes: Annotated[
        tuple[str, ...], Meta(description="Names of the classes, or of the findings that the data state.")
    ]
    positive: Annotated[str | None, Meta(description="The positive class; null with more than two classes.")]
    threshold: Annotated[float | None, Meta(description="The model's own threshold on its probability.")]
    transportability: Annotated[Transportability, Meta(description="Whether the performance holds on these data.")]
    splits: Annotated[Splits, Meta(description="Metrics on the external data.")]
    internal: Annotated[InternalMetrics, Meta(description="Metrics of the model's own test set.")]
    drop: Annotated[PerformanceDrop, Meta(description="The latter less the former.")]
    overlap: Annotated[Overlap, Meta(description="Radiographs that the model was made from.")]
    left_out: Annotated[LabelsLeftOut, Meta(description="Radiographs left out for their label.")]
    stands_for: Annotated[Mapping[str, str], Meta(description="By label: the class of the model that it stands for.")]
    missing_classes: Annotated[
        tuple[str, ...],
        Meta(description="Classes of the model that the data lack, or findings that they do not state."),
    ]
    sources: Annotated[SourceBaseline, Meta(description="How well the source alone predicts the class.")]
    outliers: Annotated[
        ExternalOutliers | None, Meta(description="Radiographs unlike the training set; null without a detector.")
    ]
    recalibration: Annotated[Recalibration, Meta(description="What recalibration would do.")]
    subgroups: Annotated[Subgroups, Meta(description="Metrics by subgroup.")]
    utility: Annotated[Utility | None, Meta(description="With two classes: answers at other prevalences.")] = None
    by_patient: Annotated[
        ByPatient | None, Meta(description="One answer a patient; left out where the bundle does not know how.")
    ] = None
    three_answers: Annotated[
        ThreeAnswersMeasured | None,
        Meta(
            description="The model's two thresholds here, and whether what they were set for holds; left out with one."
        ),
    ] = None
    findings: Annotated[Mapping[str, ExternalFinding] | None, Meta(description="Of findings: each by itself.")] = None
    speaks: Annotated[
        str | None, Meta(description="The finding that travels, sources, subgroups and utility are of: the worst one.")
    ] = None
    data: Annotated[ExternalData, Meta(description="The external data.")]
    model: Annotated[EvaluatedModel, Meta(description="The bundle.")]
    versions: Annotated[Mapping[str, str], Meta(description="Versions of the software, by name.")]
    seconds: Annotated[TotalSeconds | None, Meta(description="How long it took.")] = None

    @property
    def external(self) -> Metrics:
        """Metrics on the external data."""
        return self.splits.external


class Distribution(Record, frozen=True, kw_only=True):
    """How the probabilities of the positive class are spread over some radiographs."""

    mean: Annotated[Share, Meta(description="Their mean.")]
    quantiles: Annotated[Mapping[str, Share], Meta(description="By share of the radiographs that lie below.")]


class UnlabelledFinding(Record, frozen=True, kw_only=True):
    """What a recalibration of one finding to radiographs without labels came to."""

    threshold: Annotated[float, Meta(description="The model's own threshold on its probability.")]
    recalibration: Annotated[Recalibration, Meta(description="What was fitted.")]
    before: Annotated[Distribution, Meta(description="The probabilities as they are.")]
    after: Annotated[Distribution, Meta(description="The probabilities with the recalibration.")]
    called: Annotated[ShareEstimate, Meta(description="Share called, which recalibration does not change.")]


class UnlabelledMetrics(Document, frozen=True, kw_only=True):
    """What a recalibration to radiographs without labels came to; nothing in it says how often the model is right."""

    FORMAT: ClassVar[str] = "plainfilm-unlabelled-metrics"

    task: Annotated[
        Task, Meta(description="What is told of a radiograph: one of the classes, or which of several findings it has.")
    ] = "classes"
    classes: Annotated[tuple[str, ...], Meta(description="Names of the classes, or of the findings.")]
    positive: Annotated[str | None, Meta(description="The positive class; null of findings.")]
    threshold: Annotated[
        float | None, Meta(description="The model's own threshold on its probability; null of findings.")
    ]
    n: Annotated[Count, Meta(description="Radiographs.")]
    groups: Groups
    recalibration: Annotated[Recalibration, Meta(description="What was fitted.")]
    before: Annotated[Distribution | None, Meta(description="The probabilities as they are; left out of findings.")] = (
        None
    )
    after: Annotated[
        Distribution | None, Meta(description="The probabilities with the recalibration; left out of findings.")
    ] = None
    called: Annotated[
        ShareEstimate | None,
        Meta(description="Share called positive, which recalibration does not change; left out of findings."),
    ] = None
    findings: Annotated[
        Mapping[str, UnlabelledFinding] | None,
        Meta(description="Of findings: each of which a prevalence was stated, by itself."),
    ] = None
    overlap: Annotated[Overlap, Meta(description="Radiographs that the model was made from.")]
    outliers: Annotated[
        OutlierShares | None, Meta(description="Radiographs unlike the training set; null without a detector.")
    ]
    data: Annotated[ExternalData, Meta(description="The data.")]
    model: Annotated[EvaluatedModel, Meta(description="The bundle.")]
    versions: Annotated[Mapping[str, str], Meta(description="Versions of the software, by name.")]
    seconds: Annotated[TotalSeconds | None, Meta(description="How long it took.")] = None

    @property
    def fitted(self) -> Mapping[str, UnlabelledFinding]:
        """What was fitted, by the positive class or by finding."""
        if self.findings:
            return self.findings
        if self.before is None or self.after is None or self.called is None or self.threshold is None:
            return {}
        one = UnlabelledFinding(
            threshold=self.threshold,
            recalibration=self.recalibration,
            before=self.before,
            after=self.after,
            called=self.called,
        )
        return {str(self.positive): one}


class _Head(msgspec.Struct):
    format: str = ""
    splits: Mapping[str, msgspec.Raw] = {}


def is_external(data: bytes | str) -> bool:
    """Whether a `metrics.json` is of an external validation and not of a training; those of 0.1 name no format."""
    head = _head(data)
    return head.format == ExternalMetrics.FORMAT if head.format else "external" in head.splits


def is_unlabelled(data: bytes | str) -> bool:
    """Whether a `metrics.json` is of radiographs without labels."""
    return _head(data).format == UnlabelledMetrics.FORMAT


def _head(data: bytes | str) -> _Head:
    try:
        return msgspec.json.decode(data, type=_Head)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _Head()
