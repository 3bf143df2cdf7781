"""What a training came to: `metrics.json` of a run folder and of a bundle."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, structs

from plainfilm.results.audit import Audit
from plainfilm.results.documents import Document, Record
from plainfilm.results.estimate import Count, Estimate, Seconds, Share, ShareEstimate
from plainfilm.results.severity import Worth
from plainfilm.results.store import StoreIdentity
from plainfilm.results.task import Task

HEAVY = 0.03  # share of a set that no one patient should hold more of
Confusion = tuple[tuple[int, ...], ...]
Curve = tuple[float, ...]


Groups = Annotated[Count, Meta(description="Patients and unrelated radiographs, which intervals rest on.")]
Accuracy = Annotated[ShareEstimate, Meta(description="Share of radiographs called right.")]
Sensitivity = Annotated[ShareEstimate, Meta(description="Share of the class, or of the sick, that is called so.")]
Specificity = Annotated[ShareEstimate, Meta(description="Share of the others that is not called so.")]
Ppv = Annotated[ShareEstimate, Meta(description="Share of what is called so that is right.")]
Npv = Annotated[ShareEstimate, Meta(description="Share of what is not called so that is right.")]
F1 = Annotated[ShareEstimate, Meta(description="Harmonic mean of sensitivity and PPV.")]
Auroc = Annotated[ShareEstimate, Meta(description="Area under the ROC curve; 0.5 is chance.")]
Auprc = Annotated[ShareEstimate, Meta(description="Average precision; the prevalence is chance.")]


class Estimates(Record, frozen=True, kw_only=True):
    """Metrics under their names."""

    @property
    def estimates(self) -> dict[str, Estimate]:
        """Its metrics by name, in their order."""
        named = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in named.items() if isinstance(value, Estimate)}


class Calibration(Estimates, frozen=True, kw_only=True):
    """Probabilities of a class against what is observed (Cox 1958; Van Calster et al. 2019)."""

    mean_probability: Annotated[ShareEstimate, Meta(description="Mean probability of the class.")]
    share: Annotated[ShareEstimate, Meta(description="Share of the class among the radiographs.")]
    intercept: Annotated[
        Estimate,
        Meta(description="Added to the log odds, it makes the mean the share; 0 is best, below it they are too high."),
    ]
    slope: Annotated[
        Estimate,
        Meta(description="Of the log odds, in a logistic regression; 1 is best, below it they are too extreme."),
    ]


CalibrationOf = Annotated[Calibration | None, Meta(description="Its probabilities against what is observed.")]


class ClassMetrics(Estimates, frozen=True, kw_only=True):
    """One class against the rest."""

    sensitivity: Sensitivity
    specificity: Specificity
    ppv: Ppv
    npv: Npv
    f1: F1
    auroc: Auroc
    auprc: Auprc
    calibration: CalibrationOf = None


class Micro(Estimates, frozen=True, kw_only=True):
    """All findings together: each pair of a radiograph and a finding that is known of it counts once."""

    n: Annotated[Count, Meta(description="Pairs.")]
    accuracy: Annotated[ShareEstimate, Meta(description="Share of pairs called right.")]
    sensitivity: Sensitivity
    specificity: Specificity
    ppv: Ppv
    npv: Npv
    f1: F1
    auroc: Auroc
    auprc: Auprc
    brier: Annotated[ShareEstimate, Meta(description="Mean squared distance to the truth; 0 is best.")]


class Metrics(Estimates, frozen=True, kw_only=True):
    """All metrics of a set of radiographs.

    With more than two classes sensitivity to AUPRC are macro means; of findings all are, each finding on the radiographs of
    which it is known.
    """

    n: Annotated[Count, Meta(description="Radiographs.")]
    groups: Groups
    confusion_matrix: Annotated[
        Confusion, Meta(description="Counts; rows are the truth, columns what was called.")
    ] = ()
    accuracy: Accuracy
    sensitivity: Sensitivity
    specificity: Specificity
    ppv: Ppv
    npv: Npv
    f1: F1
    auroc: Auroc
    auprc: Auprc
    brier: Annotated[ShareEstimate, Meta(description="Brier score: half the squared distance to the truth; 0 is best.")]
    ece: Annotated[ShareEstimate, Meta(description="Expected calibration error over ten bins; 0 is best.")]
    calibration: Annotated[
        Calibration | None,
        Meta(description="With two classes: probabilities of the positive one against what is observed."),
    ] = None
    per_class: Annotated[
        Mapping[str, ClassMetrics] | None, Meta(description="Each class against the rest, or each finding.")
    ] = None
    micro: Annotated[Micro | None, Meta(description="Of findings: all of them together.")] = None
    largest_group: Annotated[
        Share | None, Meta(description="Share of the radiographs that the patient with most of them holds.")
    ] = None

    def calibrations(self, positive: str | None) -> dict[str, Calibration]:
        """Probabilities against what is observed, of the positive class, or of each with more than two."""
        if positive is not None:
            return {positive: self.calibration} if self.calibration else {}
        return {name: own.calibration for name, own in (self.per_class or {}).items() if own.calibration}

    @property
    def heavy(self) -> str:
        """A caution where one patient holds much of the set; "" where none does."""
        if self.largest_group is None or self.largest_group <= HEAVY or self.largest_group * self.n < 2:
            return ""
        return (
            f"One patient holds {100 * self.largest_group:.0f} % of these radiographs: the numbers rest on few people, "
            "and their intervals allow for it as far as so few can show."
        )


class RunSeconds(Record, frozen=True, kw_only=True):
    """Where the time went."""

    features: Annotated[Seconds, Meta(description="Encoding.")]
    training: Annotated[Seconds, Meta(description="Training.")]
    total: Annotated[Seconds | None, Meta(description="All of the run; not in a bundle.")] = None


class KerasBackend(Record, frozen=True, kw_only=True):
    """What Keras computed with in a training."""

    name: Annotated[str, Meta(description="Its name: jax, tensorflow or torch.")]
    version: Annotated[str, Meta(description="Its version.")]
    device: Annotated[
        str, Meta(description="What was trained on: cpu, or gpu for a backbone that was fine-tuned on one.")
    ]

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"{self.name} {self.version}, on {self.device}"


class RunWorth(Worth, frozen=True, kw_only=True):
    """What an accuracy is worth by rules that see no image."""

    source_rule_accuracy: Annotated[
        ShareEstimate, Meta(description="Accuracy of predicting each source's majority class.")
    ]
    source_rule_auroc: Annotated[
        ShareEstimate | None,
        Meta(description="AUROC of the source alone: the share of the class in the source in the training set."),
    ] = None
    source_rule_class: Annotated[
        str | None, Meta(description="With more than two classes: the one it is of, against the rest.")
    ] = None


class ClassAttribution(Record, frozen=True, kw_only=True):
    """Where the network looks in radiographs of one class."""

    attribution_in_lungs: Annotated[Share | None, Meta(description="Share of the attribution that lies in the lungs.")]
    lungs_take: Annotated[Share | None, Meta(description="Share of the image that the lungs take.")]


class Order(Record, frozen=True, kw_only=True):
    """Deletion and insertion curves of one order of pixels."""

    deletion: Annotated[Curve, Meta(description="Probability of the answer as pixels are blurred.")]
    insertion: Annotated[Curve, Meta(description="Probability of the answer as pixels are put back.")]
    deletion_area: Annotated[ShareEstimate, Meta(description="Area under the deletion curve.")]
    insertion_area: Annotated[ShareEstimate, Meta(description="Area under the insertion curve.")]


class Faithfulness(Record, frozen=True, kw_only=True):
    """Whether attribution maps mark what moves the answer."""

    sentence: Annotated[str, Meta(description="What was found.")]
    faithful: Annotated[bool | None, Meta(description="Whether the maps are shown to be faithful.")]
    images: Annotated[Count, Meta(description="Radiographs.")]
    unmoved: Annotated[Count, Meta(description="Radiographs whose answer moves little when all is replaced.")]
    replaced: Annotated[Curve, Meta(description="Share of the pixels replaced, at each step of the curves.")]
    orders: Annotated[Mapping[str, Order], Meta(description="Curves by the order of the pixels: map, random, centre.")]
    better_than: Annotated[
        Mapping[str, Estimate], Meta(description="Gain of the map over random pixels and over the centre; 0 is none.")
    ]


class Pointing(Record, frozen=True, kw_only=True):
    """How often the pictures point at soft opacities that were planted in films of the classifier's own."""

    sentence: Annotated[str, Meta(description="What was found.")]
    planted: Annotated[Count, Meta(description="Radiographs that an opacity was planted in.")]
    reacted: Annotated[Count, Meta(description="Those of them whose answer moved.")]
    near: Annotated[
        ShareEstimate | None,
        Meta(description="Share of these whose peak lies within a tenth of the side; null with too few of them."),
    ]
    points: Annotated[bool, Meta(description="Whether that is surely more often than not.")]


class Explanation(Record, frozen=True, kw_only=True):
    """Where the network looks."""

    method: Annotated[str, Meta(description="Method of attribution.")]
    images: Annotated[Count, Meta(description="Radiographs.")]
    sentence: Annotated[str, Meta(description="What was found.")]
    attribution_in_lungs: Annotated[ShareEstimate, Meta(description="Share of the attribution in the lungs.")]
    lungs_take: Annotated[ShareEstimate, Meta(description="Share of the image that the lungs take.")]
    difference: Annotated[Estimate, Meta(description="The former less the latter.")]
    by_class: Annotated[Mapping[str, ClassAttribution], Meta(description="The same by class.")]
    without_lungs: Annotated[Count, Meta(description="Radiographs whose lungs were not found.")]
    empty_maps: Annotated[Count, Meta(description="Radiographs whose map is empty.")]
    faithfulness: Annotated[Faithfulness, Meta(description="Whether to believe the maps.")]
    pointing: Annotated[
        Pointing | None, Meta(description="Whether the maps' peaks find planted opacities; null if not tried.")
    ] = None


class Outliers(Record, frozen=True, kw_only=True):
    """What the outlier detector does with radiographs of the test set."""

    refused: Annotated[ShareEstimate | None, Meta(description="Share refused.")] = None
    flagged: Annotated[ShareEstimate | None, Meta(description="Share flagged.")] = None
    promise: Annotated[str, Meta(description="What the detector promises of new radiographs.")]


class SubgroupClass(Estimates, frozen=True, kw_only=True):
    """One class against the rest in a subgroup; null where it holds too few of the class, or of the rest."""

    sensitivity: Sensitivity
    specificity: Specificity
    auroc: Auroc


class Subgroup(Estimates, frozen=True, kw_only=True):
    """Metrics of one subgroup of the test set."""

    n: Annotated[Count, Meta(description="Radiographs.")]
    groups: Groups
    classes: Annotated[Mapping[str, Count], Meta(description="Radiographs by class.")]
    accuracy: Accuracy
    sensitivity: Sensitivity
    specificity: Specificity
    auroc: Auroc
    per_class: Annotated[
        Mapping[str, SubgroupClass] | None, Meta(description="With more than two classes: each against the rest.")
    ] = None
    too_small: Annotated[tuple[str, ...], Meta(description="Metrics that rest on too few radiographs.")]
    child: Annotated[bool | None, Meta(description="Of an age: whether they are children.")] = None


class NamedEstimate(Record, frozen=True, kw_only=True):
    """The estimate of one subgroup, with its name."""

    name: Annotated[str, Meta(description="The subgroup.")]
    value: Annotated[Share, Meta(description="The metric.")]
    low: Annotated[Share, Meta(description="Lower 95 % confidence limit.")]
    high: Annotated[Share, Meta(description="Upper 95 % confidence limit.")]


class Apart(Record, frozen=True, kw_only=True):
    """Two subgroups that differ by more than chance explains, all comparisons counted in."""

    kind: Annotated[str, Meta(description="Kind of subgroup.")]
    metric: Annotated[str, Meta(description="Metric.")]
    lower: Annotated[NamedEstimate, Meta(description="The lower one.")]
    higher: Annotated[NamedEstimate, Meta(description="The higher one.")]
    of_class: Annotated[
        str | None, Meta(description="With more than two classes: the one that the metric is of, against the rest.")
    ] = None
    pairs: Annotated[Count, Meta(description="Pairs of this kind and metric that are apart.")]
    sentence: Annotated[str, Meta(description="The same in words.")]


class Comparisons(Record, frozen=True, kw_only=True):
    """Subgroups that were compared."""

    made: Annotated[Count, Meta(description="Pairs that were compared.")]
    apart: Annotated[
        tuple[Apart, ...],
        Meta(description="Pairs that differ by more than chance explains, all comparisons counted in."),
    ]


class Interaction(Record, frozen=True, kw_only=True):
    """Whether a metric is the same in all subgroups of a kind, tested once for all of them."""

    kind: Annotated[str, Meta(description="Kind of subgroup.")]
    metric: Annotated[str, Meta(description="The metric.")]
    of_class: Annotated[
        str | None, Meta(description="With more than two classes: the one it is of, against the rest.")
    ] = None
    subgroups: Annotated[Count, Meta(description="Subgroups that are large enough to be told from one another.")]
    statistic: Annotated[float, Meta(ge=0, description="Chi square, with one degree of freedom less.")]
    p: Annotated[Share, Meta(description="How often chance alone sets them so far apart.")]
    p_corrected: Annotated[
        Share, Meta(description="The same, corrected for all these tests (Holm), of findings for those of all.")
    ]


class SampleSize(Record, frozen=True, kw_only=True):
    """What intervals would be with more patients of the same kind."""

    groups: Groups
    times: Annotated[Count, Meta(description="How many times as many.")]
    estimates: Annotated[
        Mapping[str, ShareEstimate], Meta(description="The metrics, with the intervals that they would have.")
    ]
    sentence: Annotated[str, Meta(description="The same in words.")]


class SubgroupsLeftOut(Record, frozen=True, kw_only=True):
    """Subgroups beyond the largest ones."""

    kind: Annotated[str, Meta(description="Kind of subgroup.")]
    subgroups: Annotated[Count, Meta(description="How many.")]
    n: Annotated[Count, Meta(description="Radiographs in them.")]


BySubgroup = Mapping[str, Subgroup] | None


class Subgroups(Record, frozen=True, kw_only=True):
    """Metrics by subgroup; null where it is not recorded."""

    sex: Annotated[BySubgroup, Meta(description="By sex.")]
    age: Annotated[BySubgroup, Meta(description="By age in years.")]
    view: Annotated[BySubgroup, Meta(description="By view.")]
    source: Annotated[BySubgroup, Meta(description="By source.")]
    manufacturer: Annotated[BySubgroup, Meta(description="By manufacturer of the device.")]
    left_out: Annotated[tuple[SubgroupsLeftOut, ...], Meta(description="Subgroups that are not shown.")]
    comparisons: Annotated[Comparisons, Meta(description="Subgroups compared with one another.")]
    columns: Annotated[
        Mapping[str, Mapping[str, Subgroup]], Meta(description="By the columns that were asked for, by their names.")
    ] = {}
    interactions: Annotated[
        tuple[Interaction, ...], Meta(description="Each kind and metric tested once over all its subgroups.")
    ] = ()

    @property
    def kinds(self) -> dict[str, BySubgroup]:
        """Subgroups by kind."""
        return {
            "sex": self.sex,
            "age": self.age,
            "view": self.view,
            "source": self.source,
            "manufacturer": self.manufacturer,
            **self.columns,
        }


Unmeasured = Literal["not stated", "never present", "always present", "too few"]


class LeftOutSource(Record, frozen=True, kw_only=True):
    """A source that took no part in training, calibration and threshold, and what the classifier is worth there."""

    sources: Annotated[
        tuple[str, ...], Meta(description="Its name; of a pair one source a class, or as many as there are.")
    ]
    companions: Annotated[tuple[str, ...], Meta(description="Sources that were left out with it, untested.")] = ()
    classes: Annotated[Mapping[str, Count], Meta(description="Radiographs by class, or that have each finding.")]
    threshold: Annotated[
        float | None, Meta(description="Threshold, chosen without it; null with more classes and of findings.")
    ]
    unmeasured: Annotated[
        Mapping[str, Unmeasured],
        Meta(description="Findings without an AUROC there, which have no part in its metrics, and why."),
    ] = {}
    metrics: Annotated[Metrics, Meta(description="All metrics there.")]
    attribution_in_lungs: Annotated[
        ShareEstimate | None, Meta(description="Share of the attribution there that lies in the lungs.")
    ] = None
    lungs_take: Annotated[ShareEstimate | None, Meta(description="Share of the image that the lungs take.")] = None

    @property
    def name(self) -> str:
        """What is tested, for people."""
        return " + ".join(self.sources)


class CurvePoint(Record, frozen=True, kw_only=True):
    """So many sources and so many films to learn from, and what came of them at the sources that were left out."""

    sources: Annotated[Count, Meta(description="Sources that each training learns from, as many films of each.")]
    films: Annotated[Count, Meta(description="Their films, training and validation set, within a patient or two.")]
    auroc: Annotated[
        ShareEstimate, Meta(description="Mean AUROC of the left-out sources; its interval is over patients.")
    ]
    lowest: Annotated[Share, Meta(description="AUROC of the worst training.")]
    highest: Annotated[Share, Meta(description="AUROC of the best training.")]
    trainings: Annotated[
        Count, Meta(description="Trainings: choices of sources and of films, for all left-out sources.")
    ]


class LearningCurve(Record, frozen=True, kw_only=True):
    """What another source is worth, and what more films are."""

    tested: Annotated[tuple[str, ...], Meta(description="The sources that were left out, each in turn.")]
    points: Annotated[tuple[CurvePoint, ...], Meta(description="By sources, then by films, the most first.")]
    sentence: Annotated[str, Meta(description="What another source is worth, in words.")]


class LeftOutFinding(Worth, frozen=True, kw_only=True):
    """Each source left out in turn: what to expect of a hospital that was never seen, of classes or of one finding."""

    sources: Annotated[tuple[LeftOutSource, ...], Meta(description="Each source that was left out.")]
    mean: Annotated[ShareEstimate, Meta(description="Mean AUROC of the sources; its interval is over patients.")]
    worst: Annotated[NamedEstimate, Meta(description="The source with the lowest AUROC.")]
    new_hospital: Annotated[
        ShareEstimate | None,
        Meta(description="Mean and 95 % prediction interval of the AUROC at a new hospital; null below three sources."),
    ] = None
    hospitals_needed: Annotated[
        Count | None,
        Meta(description="How many more would bring the interval above chance; null where none would, or unknown."),
    ] = None
    sentence: Annotated[str, Meta(description="What to expect of a new hospital, in words.")]

    def __post_init__(self) -> None:
        """Refuse none."""
        if not self.sources:
            raise ValueError("no source that was left out")


class LeftOutSources(LeftOutFinding, frozen=True, kw_only=True):
    """Each source left out in turn; of findings the AUROC is the mean over those that can be measured at a source."""

    paired: Annotated[
        bool, Meta(description="Whether each test joins sources of one class each, since none holds every class.")
    ]
    together: Annotated[
        tuple[tuple[str, ...], ...], Meta(description="Sources that leave as one, since they share films or patients.")
    ] = ()
    not_tested: Annotated[
        tuple[str, ...], Meta(description="Sources that were trained on and never tested: too few of a class.")
    ] = ()
    findings: Annotated[
        Mapping[str, LeftOutFinding] | None,
        Meta(description="Of findings: each by itself, at the sources where it can be measured; not in a bundle."),
    ] = None
    speaks: Annotated[str | None, Meta(description="Of findings: the worst, of which the last sentence is.")] = None
    looked_at: Annotated[str | None, Meta(description="Of findings: the one that the attribution is of.")] = None
    curve: Annotated[
        LearningCurve | None, Meta(description="AUROC over sources and films learnt from, where that was asked for.")
    ] = None

    @property
    def to_share(self) -> "LeftOutSources":
        """What a bundle of findings holds: of a source the means over its findings, and nothing of each."""
        sources = (structs.replace(own, metrics=structs.replace(own.metrics, per_class=None)) for own in self.sources)
        return structs.replace(self, findings=None, sources=tuple(sources))


class DecisionCurve(Record, frozen=True, kw_only=True):
    """Net benefit over the threshold probability (Vickers & Elkin 2006)."""

    prevalence: Annotated[Share, Meta(description="Prevalence of the positive class in the test set.")]
    threshold: Annotated[Curve, Meta(description="Threshold probabilities.")]
    model: Annotated[tuple[Estimate, ...], Meta(description="Net benefit of the classifier.")]
    treat_all: Annotated[tuple[Estimate, ...], Meta(description="Net benefit of treating everyone.")]
    treat_none: Annotated[float, Meta(description="Net benefit of treating no one.")]
    better: Annotated[
        tuple[tuple[float, float], ...],
        Meta(description="Ranges of threshold where the classifier is better than both."),
    ]


class Utility(Record, frozen=True, kw_only=True):
    """What answers mean at other prevalences."""

    prevalence: Annotated[Curve, Meta(description="Prevalences.")]
    ppv: Annotated[tuple[Estimate, ...], Meta(description="PPV at each prevalence.")]
    npv: Annotated[tuple[Estimate, ...], Meta(description="NPV at each prevalence.")]
    decision_curve: Annotated[DecisionCurve | None, Meta(description="Decision curve.")]


RecalibrationMethod = Literal["labels", "prevalence"]


class Recalibrated(Record, frozen=True, kw_only=True):
    """How a bundle was recalibrated to other data."""

    shift: Annotated[float, Meta(description="Added to the log odds of the positive class.")]
    slope: Annotated[float, Meta(description="The log odds are multiplied by it first.")] = 1.0
    method: Annotated[
        RecalibrationMethod, Meta(description="Fitted to labels, or to a stated prevalence without looking at labels.")
    ] = "labels"
    radiographs: Annotated[Count, Meta(description="Radiographs that it was fitted to.")]
    data_fingerprint: Annotated[str, Meta(description="SHA-256 over the pixels of the other data.")]


class GroupWeight(Record, frozen=True, kw_only=True):
    """What one class of one source weighed in the loss of a training by group DRO, in the end."""

    label: Annotated[str, Meta(description="Class.")]
    source: Annotated[str, Meta(description="Source; empty where it is not known.")]
    share: Annotated[Share, Meta(description="Share of the training radiographs.")]
    weight: Annotated[Share, Meta(description="Share of the loss; above its share of the radiographs it was hard.")]


class ThreeAnswersMeasured(Estimates, frozen=True, kw_only=True):
    """Positive, negative or unsure on some radiographs; sensitivity to NPV are of those that are not unsure."""

    n: Annotated[Count, Meta(description="Radiographs.")]
    groups: Groups
    unsure: Annotated[ShareEstimate, Meta(description="Share between the two thresholds.")]
    found: Annotated[
        ShareEstimate, Meta(description="Share of the ill called positive; who are unsure count as not found.")
    ]
    sensitivity: Sensitivity
    specificity: Specificity
    ppv: Ppv
    npv: Npv
    sensitivity_holds: Annotated[
        bool | None,
        Meta(description="Whether the sensitivity asked for holds by the interval of found; null: cannot be said."),
    ]
    npv_holds: Annotated[bool | None, Meta(description="Whether the NPV asked for holds; null: cannot be said.")]
    sentence: Annotated[str, Meta(description="The same in words.")]


class Promise(Record, frozen=True, kw_only=True):
    """What two thresholds, chosen on the validation set, promise of new patients from the same place."""

    sensitivity: Annotated[Share, Meta(description="The sensitivity asked for.")]
    npv: Annotated[Share, Meta(description="The NPV asked for.")]
    confidence: Annotated[Share, Meta(description="That what is promised holds on new patients from the same place.")]
    sensitivity_promised: Annotated[bool, Meta(description="Whether validation is enough to promise the sensitivity.")]
    npv_promised: Annotated[bool, Meta(description="Whether validation is enough to promise the NPV.")]
    sentence: Annotated[str, Meta(description="The same in words.")]


class ThreeAnswers(Promise, frozen=True, kw_only=True):
    """Two thresholds with an unsure band between them, and what they come to."""

    splits: Annotated[
        Mapping[str, ThreeAnswersMeasured], Meta(description="By set: test or out_of_fold, and validation.")
    ]

    @classmethod
    def measured(cls, promise: Promise, splits: Mapping[str, ThreeAnswersMeasured]) -> "ThreeAnswers":
        """Put what was measured beside what was promised; `promise` may have measurements of its own, which are left out."""
        told = {name: getattr(promise, name) for name in Promise.__struct_fields__}
        return cls(**told, splits=splits)

    def elsewhere(self) -> "ThreeAnswers":
        """Give the same where nothing is promised: at another hospital the thresholds were moved with the probabilities alone."""
        asked = f"a sensitivity of {100 * self.sensitivity:g} % and an NPV of {100 * self.npv:g} %"
        said = f"The two thresholds were set for {asked} where the model was trained; here that is promised by nobody."
        return structs.replace(self, sensitivity_promised=False, npv_promised=False, sentence=said)


class ByPatient(Record, frozen=True, kw_only=True):
    """One answer a patient, out of the answers to all of theirs; a patient is positive where any film is."""

    rule: Annotated[Literal["mean", "worst"], Meta(description="The mean of the films' log odds, or the highest.")]
    decided: Annotated[
        bool, Meta(description="Whether patients of the validation set with several films chose and calibrated it.")
    ]
    threshold: Annotated[float, Meta(description="Probability from which a patient is called positive.")]
    lower_threshold: Annotated[
        float | None, Meta(description="Below it the other class is called, unsure between; null with one threshold.")
    ] = None
    films: Annotated[Count, Meta(description="Frontal films of those tested.")]
    several: Annotated[Count, Meta(description="Patients tested who have several.")]
    splits: Annotated[Mapping[str, Metrics], Meta(description="Metrics by set, of patients.")]
    three_answers: Annotated[
        ThreeAnswers | None, Meta(description="Two thresholds by patient, where they were asked for.")
    ] = None
    sentence: Annotated[str, Meta(description="The same in words.")]

    def elsewhere(self) -> "ByPatient":
        """Give the same where two thresholds promise nothing."""
        return structs.replace(self, three_answers=self.three_answers and self.three_answers.elsewhere())


class FindingMetrics(Record, frozen=True, kw_only=True):
    """One finding of several by itself: a classifier of two classes, on the radiographs of which it is known."""

    threshold: Annotated[
        float | None, Meta(description="Probability from which it is called; null where folds have their own.")
    ]
    lower_threshold: Annotated[
        float | None, Meta(description="Probability below which it is denied, unsure between; null with one.")
    ] = None
    splits: Annotated[Mapping[str, Metrics], Meta(description="Metrics by set, as of two classes.")]
    worth: Annotated[RunWorth, Meta(description="What its accuracy is worth by rules that see no image.")]
    audit: Annotated[Audit | None, Meta(description="Its audit, where that ran.")] = None
    subgroups: Annotated[Subgroups | None, Meta(description="Its metrics by subgroup; not in a bundle.")] = None
    utility: Annotated[Utility | None, Meta(description="Answers at other prevalences; not in a bundle.")] = None
    three_answers: Annotated[
        ThreeAnswers | None, Meta(description="Two thresholds with an unsure band, where they were asked for.")
    ] = None
    by_patient: Annotated[ByPatient | None, Meta(description="One answer a patient.")] = None
    recalibrated: Annotated[Recalibrated | None, Meta(description="In a recalibrated bundle: how, where it was.")] = (
        None
    )


class TimePart(Record, frozen=True, kw_only=True):
    """What the earlier or the later studies of a split by date are."""

    n: Annotated[Count, Meta(description="Radiographs.")]
    groups: Groups
    classes: Annotated[Mapping[str, ShareEstimate], Meta(description="Share of each class.")]
    mix: Annotated[
        Mapping[str, Mapping[str, Share]],
        Meta(description="Share of each value by what the store knows: sex, age, view, source, manufacturer."),
    ]


class InTime(Record, frozen=True, kw_only=True):
    """A test set of later studies beside the earlier ones: TRIPOD's temporal validation."""

    earlier: Annotated[TimePart, Meta(description="Training and validation set.")]
    later: Annotated[TimePart, Meta(description="Test set.")]
    lower: Annotated[
        Mapping[str, Estimate],
        Meta(
            description="Validation, which is of earlier studies, less test; positive where the metric is lower later."
        ),
    ]
    undated: Annotated[Count, Meta(description="Radiographs without a date, none of them in the test set.")]
    on_both_sides: Annotated[
        Count, Meta(description="Radiographs of patients, or copies, with studies on both sides, none in the test set.")
    ]
    sentence: Annotated[str, Meta(description="What differs, in words.")]


class RunData(StoreIdentity, frozen=True, kw_only=True):
    """The store that was trained on."""

    images: Annotated[Count, Meta(description="Images in it.")]


class Encoded(Record, frozen=True, kw_only=True):
    """What computed the features that were trained and tested on; the bundle answers in float32."""

    device: Annotated[str, Meta(description="Execution provider: cpu, cuda, rocm, openvino, directml or coreml.")]
    precision: Annotated[str, Meta(description="Precision: float32 or bfloat16.")]

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"{self.precision} on {self.device}; the bundle answers in float32"


class RunMetrics(Document, frozen=True, kw_only=True):
    """What a training came to."""

    FORMAT: ClassVar[str] = "plainfilm-metrics"

    task: Annotated[
        Task, Meta(description="What is told of a radiograph: one of the classes, or which of several findings it has.")
    ] = "classes"
    classes: Annotated[
        tuple[str, ...], Meta(description="Names of the classes, as labels number them, or of the findings.")
    ]
    positive: Annotated[str | None, Meta(description="The positive class; null with more than two classes.")]
    threshold: Annotated[float | None, Meta(description="Probability from which a radiograph is called positive.")]
    temperature: Annotated[
        float | None, Meta(description="Logits are divided by it: the inverse of the calibration slope.")
    ] = None
    calibrated: Annotated[
        bool | None,
        Meta(description="Whether slope and intercept were fitted on the validation set; null before 0.3.0."),
    ] = None
    splits: Annotated[Mapping[str, Metrics], Meta(description="Metrics by set: test or out_of_fold, and validation.")]
    findings: Annotated[Mapping[str, FindingMetrics] | None, Meta(description="Of findings: each by itself.")] = None
    speaks: Annotated[
        str | None, Meta(description="The finding that worth, subgroups and utility are of: the worst one.")
    ] = None
    folds: Annotated[Count | None, Meta(description="Folds of a cross-validation.")] = None
    left_out: Annotated[
        LeftOutSources | None, Meta(description="Each source left out in turn, where that was asked for.")
    ] = None
    group_weights: Annotated[
        tuple[GroupWeight, ...] | None, Meta(description="Weights that group DRO ended with, where it weighed sources.")
    ] = None
    seconds: Annotated[RunSeconds | None, Meta(description="Where the time went.")] = None
    features_cached: Annotated[bool | None, Meta(description="Whether features were found in the cache.")] = None
    encoded: Annotated[Encoded | None, Meta(description="What computed them; null for float32 on a processor.")] = None
    test_openings: Annotated[Count | None, Meta(description="Times the store's test set was scored so far.")] = None
    worth: Annotated[RunWorth, Meta(description="What the accuracy is worth by rules that see no image.")]
    audit: Annotated[Audit | None, Meta(description="The audit, where it ran.")] = None
    explanation: Annotated[Explanation | None, Meta(description="Where the network looks, where it was asked.")] = None
    outliers: Annotated[Outliers | None, Meta(description="The outlier detector; null with too few radiographs.")]
    subgroups: Annotated[Subgroups, Meta(description="Metrics by subgroup.")]
    utility: Annotated[Utility | None, Meta(description="With two classes: answers at other prevalences.")] = None
    three_answers: Annotated[
        ThreeAnswers | None, Meta(description="Two thresholds with an unsure band, where they were asked for.")
    ] = None
    by_patient: Annotated[ByPatient | None, Meta(description="With two classes: one answer a patient.")] = None
    in_time: Annotated[
        InTime | None,
        Meta(description="The later test set beside the earlier studies, where the split was made by date."),
    ] = None
    sample_size: Annotated[
        SampleSize | None, Meta(description="What the intervals would be with twice the patients.")
    ] = None
    data: Annotated[RunData, Meta(description="The store.")]
    versions: Annotated[Mapping[str, str], Meta(description="Versions of the software, by name.")]
    backend: Annotated[KerasBackend | None, Meta(description="What Keras ran on; null before 0.3.0.")] = None
    recalibrated: Annotated[Recalibrated | None, Meta(description="In a recalibrated bundle: how.")] = None

    def __post_init__(self) -> None:
        """Refuse metrics of nothing that was kept for testing."""
        if self.tested not in self.splits:
            raise ValueError("no metrics of the test set")

    @property
    def to_share(self) -> "RunMetrics":
        """What a bundle holds: of each finding no subgroups, no other prevalences and no sources, which are many numbers."""
        if self.findings is None:
            return self
        slim = {name: structs.replace(own, subgroups=None, utility=None) for name, own in self.findings.items()}
        left_out = self.left_out and self.left_out.to_share
        return structs.replace(self, findings=slim, left_out=left_out, audit=self.audit and self.audit.to_share)

    @property
    def by_subgroup(self) -> dict[str, Subgroups]:
        """Metrics by subgroup, under ""; of findings those of each that tells them, by its name."""
        each = {name: own.subgroups for name, own in (self.findings or {}).items() if own.subgroups}
        return each or {"": self.subgroups}

    @property
    def may_be_unsure(self) -> bool:
        """Whether an answer may lie between two thresholds."""
        return bool(self.three_answers or any(own.three_answers for own in (self.findings or {}).values()))

    @property
    def is_calibrated(self) -> bool:
        """Whether probabilities hold at a prevalence; before 0.3.0 a temperature of 1 says that nothing was fitted."""
        fitted = self.temperature != 1 if self.calibrated is None else self.calibrated
        return fitted or self.recalibrated is not None

    @property
    def tested(self) -> str:
        """Name of the set that was kept for testing: "test", or "out_of_fold" after a cross-validation."""
        return "out_of_fold" if "out_of_fold" in self.splits else "test"

    @property
    def test(self) -> Metrics:
        """Metrics of the set that was kept for testing."""
        return self.splits[self.tested]
