"""What an audit found: `audit.json`, and "audit" in `metrics.json`."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, structs

from plainfilm.results.columns import LeftOutColumn
from plainfilm.results.documents import Document, Record
from plainfilm.results.estimate import Count, Estimate, Seconds, Share, ShareEstimate
from plainfilm.results.severity import SEVERITY, Level, Verdict
from plainfilm.results.store import StoreIdentity

Sees = Literal["everything", "lungs", "no lungs", "objects", "framing", "coarse", "no image"]
Whose = Literal["the model on the test part", "a head on the whole images"]


class Reason(Record, frozen=True, kw_only=True, rename={"class_": "class"}):
    """A rule that led to the verdict."""

    rule: Annotated[str, Meta(description="Name of the rule in docs/audit.md.")]
    verdict: Annotated[Verdict, Meta(description="The verdict that this rule asks for.")]
    sentence: Annotated[str, Meta(description="What was seen.")]
    also: Annotated[str | None, Meta(description="What else was seen.")]
    advice: Annotated[str, Meta(description="Which data would change the verdict.")]
    cue: Annotated[str | None, Meta(description="Name of the shortcut, where it can be named.")]
    class_: Annotated[str | None, Meta(description="The class that it is told of, with more than two classes.")] = None

    @property
    def level(self) -> Level:
        """How severe its verdict is."""
        return SEVERITY[self.verdict]


class ComparedWith(Record, frozen=True, kw_only=True, rename={"is_": "is"}):
    """The AUROC that the probes are compared with."""

    auroc: Annotated[ShareEstimate, Meta(description="AUROC of the classifier, or of what stands for it.")]
    is_: Annotated[Whose, Meta(description="Whose AUROC it is.")]
    by_class: Annotated[
        Mapping[str, ShareEstimate], Meta(description="With more than two classes: each against the rest.")
    ] = {}

    @property
    def is_model(self) -> bool:
        """Whether it is the classifier's own."""
        return self.is_ == "the model on the test part"

    def of(self, name: str | None) -> Estimate:
        """Give the AUROC for a class, or the one of all where it is not known."""
        return self.by_class.get(name or "", self.auroc)


class ProbedClass(Record, frozen=True, kw_only=True):
    """How well a probe tells one class from the rest."""

    auroc: Annotated[ShareEstimate, Meta(description="Cross-validated AUROC of the class against the rest.")]
    surely: Annotated[Share | None, Meta(description="What that AUROC is at least, as the rules ask.")]
    n: Annotated[Count, Meta(description="Images of the class.")]
    told: Annotated[
        ShareEstimate, Meta(description="Share of the class that scores above all but 2 % of the other images.")
    ]
    told_surely: Annotated[
        Share | None, Meta(description="By how much that share surely exceeds the others' share above the same score.")
    ]


class ProbedImages(Record, frozen=True, kw_only=True):
    """How well a probe tells the classes of some images. With more than two classes its AUROC is the mean."""

    auroc: Annotated[ShareEstimate, Meta(description="Cross-validated AUROC.")]
    n: Annotated[Count, Meta(description="Images.")]
    by_class: Annotated[Mapping[str, ProbedClass], Meta(description="Each class against the rest.")] = {}

    @property
    def worst(self) -> tuple[str, Estimate]:
        """The class that is told best, and its AUROC; with two classes, and where classes are not known, "" and the AUROC."""
        if len(self.by_class) < 3:
            return "", self.auroc
        name, own = max(self.by_class.items(), key=lambda each: each[1].surely or 0.0)
        return name, own.auroc


class Probe(ProbedImages, frozen=True, kw_only=True):
    """A classifier that is kept from a part of each image. With more than two classes its AUROC is the mean."""

    title: Annotated[str, Meta(description="Its name for people.")]
    sees: Annotated[Sees, Meta(description="What it sees.")]
    by_source: Annotated[
        Mapping[str, ProbedImages],
        Meta(
            description="Of framing, brightness and detail of the lungs, where several sources are known: learnt and tested within each that has two classes."
        ),
    ] = {}


class LeftOutClass(Record, frozen=True, kw_only=True):
    """How well one class is told from the rest on sources that were left out, and on the same images otherwise."""

    auroc: Annotated[ShareEstimate, Meta(description="AUROC without the sources.")]
    with_sources: Annotated[
        ShareEstimate,
        Meta(description="AUROC on the same images, trained on as many that come from these sources too."),
    ]
    lost: Annotated[Estimate, Meta(description="The latter less the former, with the interval that rules rest on.")]


class LeftOut(Record, frozen=True, kw_only=True):
    """Sources that were left out of training, and how well they were told then."""

    sources: Annotated[tuple[str, ...], Meta(description="Names of the sources left out.")]
    recombined: Annotated[bool, Meta(description="Whether their classes come from different sources.")]
    auroc: Annotated[ShareEstimate, Meta(description="AUROC on them.")]
    n: Annotated[Count, Meta(description="Images of them.")]
    by_class: Annotated[Mapping[str, LeftOutClass], Meta(description="Each class against the rest.")] = {}

    @property
    def worst(self) -> tuple[str, Estimate]:
        """The class that loses most, and its AUROC; with two classes, and where classes are not known, "" and the AUROC."""
        if len(self.by_class) < 3:
            return "", self.auroc
        name, own = max(self.by_class.items(), key=lambda each: each[1].lost.low)
        return name, own.auroc


class Sources(Record, frozen=True, kw_only=True):
    """How sources and classes go together."""

    names: Annotated[tuple[str, ...], Meta(description="Names of the sources.")]
    classes: Annotated[tuple[str, ...], Meta(description="Names of the classes.")]
    table: Annotated[tuple[tuple[int, ...], ...], Meta(description="Images, a row a class, a column a source.")]
    cramers_v: Annotated[ShareEstimate, Meta(description="Cramér's V of the table; 1: the source tells the class.")]
    told_from_features: Annotated[
        Mapping[str, ShareEstimate], Meta(description="By class: AUROC of telling the sources apart within it.")
    ]
    left_out: Annotated[tuple[LeftOut, ...], Meta(description="Leave one source out.")]


class Suspects(Record, frozen=True, kw_only=True):
    """Images that may be leaks, or have a wrong label."""

    count: Annotated[Count, Meta(description="Images.")]
    sentence: Annotated[str, Meta(description="What was found.")]


class ForeignObject(Record, frozen=True, kw_only=True):
    """A kind of foreign object inside the lungs, as a small detector finds it."""

    by_class: Annotated[Mapping[str, ShareEstimate], Meta(description="Share of a class's images that hold it.")]
    missed: Annotated[Share, Meta(description="Share of drawn objects of the kind that the detector is known to miss.")]
    in_real_films: Annotated[
        Share,
        Meta(description="Share of films of hospitals it never saw in which it finds one; most of these hold one."),
    ]


class Power(Record, frozen=True, kw_only=True, rename={"class_": "class"}):
    """What the audit had four chances in five to see, of the class that it saw worst."""

    class_: Annotated[str, Meta(description="That class.")]
    auroc: Annotated[Share, Meta(description="The smallest AUROC of a probe that would have spoken.")]
    told: Annotated[Share, Meta(description="The smallest part of the class whose sign would have spoken.")]

    @property
    def sentence(self) -> str:
        """Say it."""
        return (
            f"A shortcut below AUROC {self.auroc:.2f}, or a sign on less than {100 * self.told:.0f} % of {self.class_}, "
            "could not have been seen for sure."
        )


class NotRun(Record, frozen=True, kw_only=True):
    """A check that could not run; it never counts as passed."""

    check: Annotated[str, Meta(description="Name of the check.")]
    reason: Annotated[str, Meta(description="Why it could not run.")]


class FindingVerdict(Record, frozen=True, kw_only=True):
    """What an audit found of one finding of several."""

    verdict: Annotated[Verdict, Meta(description="The verdict.")]
    sentence: Annotated[str, Meta(description="Why, in one sentence.")]
    auroc: Annotated[
        ShareEstimate | None, Meta(description="AUROC that its probes are compared with; null before 0.3.0.")
    ] = None
    probes: Annotated[Mapping[str, Probe], Meta(description="Its probes by name; not in a bundle.")] = {}

    @property
    def level(self) -> Level:
        """How severe the verdict is."""
        return SEVERITY[self.verdict]


class Audit(Document, frozen=True, kw_only=True, rename={"compared_with": "model"}):
    """What an audit found."""

    FORMAT: ClassVar[str] = "plainfilm-audit"

    verdict: Annotated[Verdict, Meta(description="The verdict.")]
    sentence: Annotated[str, Meta(description="Why, in one sentence.")]
    reasons: Annotated[tuple[Reason, ...], Meta(description="The rules that led to it, the strongest first.")]
    findings: Annotated[
        Mapping[str, FindingVerdict],
        Meta(description="Of several findings: verdict and probes of each; all else is of the worst one."),
    ] = {}
    cues: Annotated[tuple[str, ...], Meta(description="Shortcuts that could be named, the strongest first.")]
    compared_with: Annotated[ComparedWith, Meta(description="What the probes are compared with.")]
    probes: Annotated[Mapping[str, Probe], Meta(description="The probes by name.")]
    sources: Annotated[Sources, Meta(description="How sources and classes go together.")]
    suspects: Annotated[Mapping[str, Suspects], Meta(description="Leaks and doubtful labels, by kind.")]
    not_run: Annotated[tuple[NotRun, ...], Meta(description="Checks that could not run.")]
    images: Annotated[Count, Meta(description="Images in the store.")]
    sampled: Annotated[Count, Meta(description="Images that the probes saw.")]
    lungs_found: Annotated[Share | None, Meta(description="Share of the sample whose lung fields were found.")]
    seconds: Annotated[Mapping[str, Seconds], Meta(description="Time by stage.")]
    power: Annotated[Power | None, Meta(description="What the probes had the power to see.")] = None
    objects: Annotated[
        Mapping[str, ForeignObject],
        Meta(description="Foreign objects inside the lungs, by kind; none where not looked for."),
    ] = {}
    left_out_columns: Annotated[
        tuple[LeftOutColumn, ...],
        Meta(description="Columns that the store lacks, measured over its labelled images when it was made."),
    ] = ()
    data: Annotated[StoreIdentity | None, Meta(description="The store, in audit.json alone.")] = None

    @property
    def level(self) -> Level:
        """How severe the verdict is."""
        return SEVERITY[self.verdict]

    @property
    def to_share(self) -> "Audit":
        """The same without the probes of each finding, which a bundle has beside the finding's metrics."""
        verdicts = {name: structs.replace(own, probes={}) for name, own in self.findings.items()}
        return structs.replace(self, findings=verdicts)

    @property
    def within(self) -> dict[str, dict[str, ProbedImages]]:
        """What probes reach within each source, by source and name."""
        names = dict.fromkeys(source for probe in self.probes.values() for source in probe.by_source)
        return {
            source: {name: probe.by_source[source] for name, probe in self.probes.items() if source in probe.by_source}
            for source in names
        }

    @property
    def probed(self) -> str:
        """How many images probes saw: "600", or "600 to 2,000" where some saw more."""
        counts = [self.sampled, *(probe.n for probe in self.probes.values())]
        return f"{min(counts):,}" + (f" to {max(counts):,}" if max(counts) > min(counts) else "")

    @property
    def of_class(self) -> str | None:
        """The class that the verdict is about, with more than two classes."""
        return self.reasons[0].class_ if self.reasons else None
