"""What an ingest made: `ingest --json`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta

from plainfilm.results.documents import Document
from plainfilm.results.estimate import Count


class IngestSummary(Document, frozen=True, kw_only=True):
    """A store that was written, and what was noticed on the way."""

    FORMAT: ClassVar[str] = "plainfilm-ingest"

    store: Annotated[Path, Meta(description="The store.")]
    images: Annotated[Count, Meta(description="Radiographs in it.")]
    classes: Annotated[tuple[str, ...], Meta(description="Names of the classes.")]
    counts: Annotated[Mapping[str, Mapping[str, Count]], Meta(description="Radiographs by class and set.")]
    problems: Annotated[Count, Meta(description="Rows of NAME.problems.csv.")]
    left_out: Annotated[Count, Meta(description="Those that say why a file was left out.")]
    exact_duplicates: Annotated[Count, Meta(description="Pairs of radiographs that are the same.")]
    near_duplicates: Annotated[Count, Meta(description="Pairs of radiographs that are nearly the same.")]
    label_conflicts: Annotated[Count, Meta(description="Radiographs left out, since two labels are given for one.")]
    leaking_images: Annotated[Count, Meta(description="Radiographs of a given split that stand in two sets.")]
