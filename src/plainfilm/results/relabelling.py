"""What `plainfilm relabel` found doubtful, and what it has corrected."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Meta

from plainfilm.results.documents import Document, Record
from plainfilm.results.estimate import Count, Seconds
from plainfilm.results.store import StoreIdentity


class Relabelling(Document, frozen=True, kw_only=True):
    """Labels that are doubtful: `relabel.json`."""

    FORMAT: ClassVar[str] = "plainfilm-relabelling"

    data: Annotated[StoreIdentity, Meta(description="The store.")]
    classes: Annotated[tuple[str, ...], Meta(description="Names of the classes.")]
    images: Annotated[Count, Meta(description="Labelled radiographs, which all stand in the table.")]
    doubtful: Annotated[Count, Meta(description="Radiographs whose label is doubtful; they stand first.")]
    copies: Annotated[Count, Meta(description="Those of them whose copy bears another label.")]
    counted: Annotated[
        tuple[tuple[Count, ...], ...],
        Meta(description="Radiographs by label (rows) and the class that they are confidently counted to (columns)."),
    ]
    left_out: Annotated[
        Count, Meta(description="Radiographs that ingest left out, since a copy bears another label; not in the table.")
    ]
    shown: Annotated[Count, Meta(description="Radiographs on the page.")]
    repeats: Annotated[Count, Meta(description="Cross-validations whose scores were averaged.")]
    folds: Annotated[Count, Meta(description="Folds of each.")]
    encoder: Annotated[str, Meta(description="Backbone whose features were judged.")]
    seconds: Annotated[Seconds, Meta(description="Time that all took.")]


class Correction(Record, frozen=True, kw_only=True):
    """Labels of a store that were corrected at one time."""

    when: Annotated[str, Meta(description="When, ISO 8601.")]
    corrected: Annotated[Count, Meta(description="Radiographs whose label was changed.")]
    confirmed: Annotated[Count, Meta(description="Radiographs whose label was looked at and stayed.")]
    by: Annotated[Mapping[str, Count], Meta(description="By whom labels were changed, with how many.")]
    changes: Annotated[Mapping[str, Count], Meta(description="Changes by the label before and after, with how many.")]

    @property
    def sentence(self) -> str:
        """Say it."""
        who = ", ".join(f"{name} ({count:,})" for name, count in self.by.items())
        kept = f"; {self.confirmed:,} confirmed" if self.confirmed else ""
        return f"{self.corrected:,} by {who}, {self.when[:10]}{kept}"


class Relabelled(Correction, Document, frozen=True, kw_only=True):
    """A store that was written with corrected labels: `relabel --apply --json`."""

    FORMAT: ClassVar[str] = "plainfilm-relabelled"

    store: Annotated[str, Meta(description="The new store.")]
    classes: Annotated[tuple[str, ...], Meta(description="Names of the classes.")]
    counts: Annotated[
        Mapping[str, Mapping[str, Count]], Meta(description="Radiographs by class and set, after the corrections.")
    ]
    copies: Annotated[Count, Meta(description="Radiographs that bear another label than a copy of theirs.")] = 0
