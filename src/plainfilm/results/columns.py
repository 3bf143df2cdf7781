"""What became of the columns of tables and headers: `ingest --json`, and `left_out_columns` in `audit.json`."""

from typing import Annotated

from msgspec import Meta

from plainfilm.results.documents import Record
from plainfilm.results.estimate import UNDEFINED, Count, ShareEstimate


class LeftOutColumn(Record, frozen=True, kw_only=True):
    """A column whose values, all or some, do not stand in the store."""

    column: Annotated[str, Meta(description="Its name.")]
    values: Annotated[Count, Meta(description="Values that were left out.")]
    kept: Annotated[Count, Meta(description="Values that were kept, as they were or coarsened.")] = 0
    n: Annotated[Count, Meta(description="Labelled patients, or unrelated images, that the next is about.")] = 0
    cramers_v: Annotated[
        ShareEstimate, Meta(description="Cramér's V of the class and all values of the column, corrected for bias.")
    ] = UNDEFINED
    of_the_making: Annotated[
        bool,
        Meta(description="Whether its name is of the making of an image: hospital, station, device, operator, date."),
    ] = False
