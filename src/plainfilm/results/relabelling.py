"""What `plainfilm relabel` found doubtful, and what it has corrected."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Meta

from plainfilm.results.documents import Document, Record
from plainfilm.results.estimate import Count, Seconds
from plainfilm.results.store import StoreIdentity
from plainfilm.results.task import Task

Counted = tuple[tuple[Count, ...], ...]


class RelabelledFinding(Record, frozen=True, kw_only=True):
    """One finding of several: the radiographs of which it is known, and whose label of it is doubtful."""

    images: Annotated[Count, Meta(description="Radiographs of which it is known.")]
    doubtful: Annotated[Count, Meta(description="Those whose label is doubtful.")]
    copies: Annotated[Count, Meta(description="Those of them whose copy bears the other label.")]
    counted: Annotated[
        Counted, Meta(description="By label (rows: absent, present) and what they are confidently counted to.")
    ]


class FilmBeside(Record, frozen=True, kw_only=True):
    """A film to look at beside a doubtful one."""

    sha256: Annotated[str, Meta(description="SHA-256 of its file.")]
    caption: Annotated[str, Meta(description="What it is to the doubtful one, and its label.")]


class Beside(Record, frozen=True, kw_only=True):
    """What to look at beside a doubtful label."""

    sha256: Annotated[str, Meta(description="SHA-256 of the file whose label is doubtful.")]
    finding: Annotated[str, Meta(description="Of several findings: which one is doubtful.")] = ""
    films: Annotated[
        tuple[FilmBeside, ...],
        Meta(
            description="Its copy under another label; else the nearest of its label and of the class that it looks like."
        ),
    ]


class Relabelling(Document, frozen=True, kw_only=True):
    """Labels that are doubtful: `relabel.json`."""

    FORMAT: ClassVar[str] = "plainfilm-relabelling"

    data: Annotated[StoreIdentity, Meta(description="The store.")]
    task: Annotated[Task, Meta(description="Whether labels are classes or several findings.")] = "classes"
    classes: Annotated[tuple[str, ...], Meta(description="Names of the classes, or of the findings.")]
    images: Annotated[Count, Meta(description="Labelled radiographs, which all stand in the table.")]
    doubtful: Annotated[
        Count,
        Meta(description="Labels that are doubtful, one a radiograph, or one a finding of it; they stand first."),
    ]
    copies: Annotated[Count, Meta(description="Those of them where a copy bears another label.")]
    counted: Annotated[
        Counted,
        Meta(
            description="Radiographs by label (rows) and the class that they are confidently counted to (columns); empty of findings."
        ),
    ]
    findings: Annotated[Mapping[str, RelabelledFinding], Meta(description="Of findings: each by itself.")] = {}
    not_judged: Annotated[
        Mapping[str, str], Meta(description="Findings whose labels could not be judged, and why.")
    ] = {}
    left_out: Annotated[
        Count, Meta(description="Radiographs that ingest left out, since a copy bears another label; not in the table.")
    ]
    shown: Annotated[Count, Meta(description="Labels on the page.")]
    beside: Annotated[
        tuple[Beside, ...], Meta(description="What the page shows beside each of them, in its order.")
    ] = ()
    repeats: Annotated[Count, Meta(description="Cross-validations whose scores were averaged.")]
    folds: Annotated[Count, Meta(description="Folds of each.")]
    encoder: Annotated[str, Meta(description="Backbone whose features were judged.")]
    seconds: Annotated[Seconds, Meta(description="Time that all took.")]

    @property
    def labels(self) -> int:
        """How many labels stand in the table: one a radiograph, or one a finding of which it is known."""
        return sum(own.images for own in self.findings.values()) or self.images


class Correction(Record, frozen=True, kw_only=True):
    """Labels of a store that were corrected at one time."""

    when: Annotated[str, Meta(description="When, ISO 8601.")]
    corrected: Annotated[Count, Meta(description="Labels that were changed, one a radiograph or one a finding of it.")]
    confirmed: Annotated[Count, Meta(description="Labels that were looked at and stayed.")]
    by: Annotated[Mapping[str, Count], Meta(description="By whom labels were changed, with how many.")]
    changes: Annotated[Mapping[str, Count], Meta(description="Changes by the label before and after, with how many.")]

    @property
    def sentence(self) -> str:
        """Say it."""
        who = " by " + ", ".join(f"{name} ({count:,})" for name, count in self.by.items()) if self.by else ""
        kept = f"; {self.confirmed:,} confirmed" if self.confirmed else ""
        return f"{self.corrected:,}{who}, {self.when[:10]}{kept}"


class Relabelled(Correction, Document, frozen=True, kw_only=True):
    """A store that was written with corrected labels: `relabel --apply --json`."""

    FORMAT: ClassVar[str] = "plainfilm-relabelled"

    store: Annotated[str, Meta(description="The new store.")]
    classes: Annotated[tuple[str, ...], Meta(description="Names of the classes, or of the findings.")]
    counts: Annotated[
        Mapping[str, Mapping[str, Count]],
        Meta(description="Radiographs by class or finding, and set, after the corrections."),
    ]
    copies: Annotated[Count, Meta(description="Radiographs that bear another label than a copy of theirs.")] = 0
