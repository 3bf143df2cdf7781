"""What answers are watched by: the reference in a bundle's manifest, the lines of a log of answers, and a week of them."""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta

from plainfilm.results.documents import Record
from plainfilm.results.estimate import Count
from plainfilm.results.task import Task

Family = Literal["scores", "refusals", "image"]
Edges = Annotated[tuple[float, ...], Meta(max_length=100)]


class WatchedStatistic(Record, frozen=True, kw_only=True):
    """How a number of each radiograph lay on radiographs that the classifier had not learnt from."""

    name: Annotated[str, Meta(max_length=300, description="Its name.")]
    family: Annotated[Family, Meta(description="What it tells of: scores, refusals, or the image.")]
    edges: Annotated[Edges, Meta(description="Values that part it into bins, rising: some of those that were seen.")]
    gaps: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=1 << 30)], ...],
        Meta(max_length=101, description="Gaps between the values that were seen, in each bin: one more than values in all."),
    ]  # fmt: skip
    positives: Annotated[
        tuple[Annotated[int, Meta(ge=0, le=1 << 30)], ...],
        Meta(max_length=101, description="Of a score: radiographs of the positive class in each bin."),
    ] = ()


class DriftReference(Record, frozen=True, kw_only=True):
    """What new radiographs are compared with."""

    statistics: Annotated[
        tuple[WatchedStatistic, ...], Meta(max_length=200, description="Each number that is watched.")
    ]


class LogStart(Record, frozen=True, kw_only=True, tag_field="event", tag="start"):
    """A line of the log: from here on a bundle answers."""

    time: str
    bundle: str
    version: str
    classes: tuple[str, ...]
    task: Task = "classes"
    positive: str | None = None
    threshold: float | None = None
    thresholds: tuple[float, ...] = ()  # of findings, in their order
    site: str | None = None  # whose calibration it answers with; None for its own
    verdict: str | None = None
    reference: DriftReference | None = None

    def __post_init__(self) -> None:
        """Refuse thresholds that are not one a finding, and a positive class that is none of the classes."""
        if self.thresholds and len(self.thresholds) != len(self.classes):
            raise ValueError("thresholds")
        if self.positive is not None and self.positive not in self.classes:
            raise ValueError("positive")


class LoggedAnswer(Record, frozen=True, kw_only=True, tag_field="event", tag="answer"):
    """A line of the log: one answer, and no name.

    `image` is the SHA-256 of the file, "" of one that cannot be read, `scores` a probability a class, `watched` the numbers of the reference's statistics, in
    order; `id` the name that the file was sent under, where the server was told to keep it.
    """

    time: str
    bundle: str
    image: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")]
    answer: str | None
    level: str
    scores: tuple[Annotated[float, Meta(ge=0, le=1)], ...] = ()
    watched: tuple[float, ...] = ()
    verdict: str | None = None
    id: str | None = None


class DriftFamily(Record, frozen=True, kw_only=True):
    """What speaks for a drift of one kind in a week."""

    evidence: Annotated[
        float,
        Meta(
            ge=0,
            description="Evidence that it drifted: how many times as well as no drift it explains what came, at most.",
        ),
    ]
    alarm: Annotated[bool, Meta(description="Whether that reached the alarm's limit.")]
    since: Annotated[str | None, Meta(description="When it did first, ISO 8601.")] = None
    images: Annotated[Count | None, Meta(description="Radiographs of the week until then.")] = None
    most: Annotated[str, Meta(description="The number that speaks most for it.")] = ""


class DriftWeek(Record, frozen=True, kw_only=True):
    """A week of answers of one bundle against its reference."""

    week: Annotated[str, Meta(description="Its Monday, UTC.")]
    images: Annotated[Count, Meta(description="Radiographs that were answered for, each counted once.")]
    families: Annotated[
        Mapping[str, DriftFamily], Meta(description="Scores, refusals and image, as far as the bundle has a reference.")
    ]

    @property
    def alarms(self) -> list[str]:
        """Names of the kinds that alarmed."""
        return [name for name, own in self.families.items() if own.alarm]
