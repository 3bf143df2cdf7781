"""The verdict on an accuracy, how severe it is, and the sentence that says so."""

from typing import Annotated, Literal, get_args

from msgspec import Meta

from plainfilm.results.documents import Record

Level = Literal["none", "caution", "warning"]
LEVELS: tuple[Level, ...] = get_args(Level)  # the most severe last
Verdict = Literal["no shortcut found", "shortcut possible", "not to be believed"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)  # the worst last
SEVERITY: dict[Verdict, Level] = dict(zip(VERDICTS, LEVELS, strict=True))


class Worth(Record, frozen=True, kw_only=True):
    """The plain sentence beside an accuracy, and how severe it is."""

    level: Annotated[Level, Meta(description="How severe the sentence is.")]
    sentence: Annotated[str, Meta(description="What the accuracy is worth, in one sentence.")]
