"""What a log of answers tells: `drift --json`."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Meta

from plainfilm.results.documents import Document, Record
from plainfilm.results.drift import DriftWeek
from plainfilm.results.estimate import Count, Share
from plainfilm.results.metrics import Metrics


class OutcomeMetrics(Record, frozen=True, kw_only=True):
    """Answers against outcomes that were learnt later; refused ones gave no answer and are not among them."""

    refused: Annotated[Count, Meta(description="Radiographs with an outcome whose answer was refused.")]
    known: Annotated[
        Mapping[str, Share], Meta(description="Share of the answers whose outcome is known, by the class answered.")
    ]
    warning: Annotated[str, Meta(description="What stands against believing the metrics; empty for nothing.")]
    metrics: Annotated[
        Metrics,
        Meta(
            description="All metrics of radiographs with an answer and an outcome, with intervals; of findings their means."
        ),
    ]
    findings: Annotated[
        Mapping[str, Metrics],
        Meta(description="Of findings: each by itself, on the radiographs with an outcome of it."),
    ] = {}


class WatchedBundle(Record, frozen=True, kw_only=True):
    """The answers of one bundle in a log, at one site."""

    bundle: Annotated[str, Meta(description="SHA-256 of the bundle.")]
    site: Annotated[
        str | None, Meta(description="The site whose calibration it answered with; null for the bundle's own.")
    ] = None
    classes: Annotated[tuple[str, ...], Meta(description="Names of the classes, or of the findings.")]
    answers: Annotated[Count, Meta(description="Answers, each time that was asked.")]
    images: Annotated[Count, Meta(description="Radiographs that could be read, each counted once.")]
    levels: Annotated[Mapping[str, Count], Meta(description="Answers by level: ok, flagged, refused, unreadable.")]
    called: Annotated[
        Mapping[str, Count],
        Meta(description="Radiographs by the class of their last answer; of findings each that is called counts."),
    ] = {}
    first: Annotated[str, Meta(description="Time of the first answer, ISO 8601.")]
    last: Annotated[str, Meta(description="Time of the last answer.")]
    weeks: Annotated[tuple[DriftWeek, ...], Meta(description="The weeks, in order; none without a reference.")]
    outcomes: Annotated[OutcomeMetrics | None, Meta(description="What outcomes say of the answers.")] = None


class DriftFindings(Document, frozen=True, kw_only=True):
    """What a log of answers tells."""

    FORMAT: ClassVar[str] = "plainfilm-drift"

    bundles: Annotated[tuple[WatchedBundle, ...], Meta(description="Each bundle that answered, in order.")]
    broken: Annotated[
        Count, Meta(description="Lines that could not be read, such as one that a failure of power cut short.")
    ] = 0
    unmatched: Annotated[Count, Meta(description="Outcomes of radiographs that the log lacks.")] = 0

    @property
    def alarms(self) -> int:
        """How many weeks have an alarm."""
        return sum(bool(week.alarms) for own in self.bundles for week in own.weeks)
