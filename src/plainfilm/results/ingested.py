"""What an ingest made, or would read: `ingest --json`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta

from plainfilm.results.columns import LeftOutColumn
from plainfilm.results.documents import Document, Record
from plainfilm.results.estimate import Count
from plainfilm.results.task import Task


class FolderLevel(Record, frozen=True, kw_only=True):
    """What the folders on one level below a SOURCE were taken for."""

    source: Annotated[str, Meta(description="Name of the SOURCE.")]
    level: Annotated[Count, Meta(description="Level below it, from 1.")]
    role: Annotated[str, Meta(description="What they were taken for: class, split, source, patient, or - for nothing.")]
    names: Annotated[tuple[str, ...], Meta(description="Names of the commonest folders; none of patients'.")]
    folders: Annotated[Count, Meta(description="Different names of folders on this level in this role.")]
    images: Annotated[Count, Meta(description="Radiographs below them.")]


class PassedOver(Record, frozen=True, kw_only=True):
    """What was left out, or remarked on, for one reason."""

    code: Annotated[str, Meta(description="Reason code.")]
    meaning: Annotated[str, Meta(description="What it means.")]
    number: Annotated[Count, Meta(description="How many files or folders.")]
    left_out: Annotated[bool, Meta(description="Whether they would be left out.")]
    examples: Annotated[tuple[str, ...], Meta(description="A sentence each about some of them.")]


class IngestListing(Document, frozen=True, kw_only=True):
    """What an ingest would read: `ingest --dry-run --json`."""

    FORMAT: ClassVar[str] = "plainfilm-ingest-listing"

    images: Annotated[Count, Meta(description="Files that would be read.")]
    classes: Annotated[tuple[str, ...], Meta(description="Names of the classes.")]
    counts: Annotated[Mapping[str, Mapping[str, Count]], Meta(description="Files by class and given set.")]
    unlabelled: Annotated[Count, Meta(description="Files without a label.")]
    sources: Annotated[tuple[str, ...], Meta(description="Names of the sources.")]
    patients: Annotated[Count, Meta(description="Patients that headers, tables or folders name.")]
    findings: Annotated[tuple[str, ...], Meta(description="Findings that a table states of each image.")]
    task: Annotated[
        Task, Meta(description="What is told of a radiograph: one of the classes, or which of several findings it has.")
    ] = "classes"
    positive: Annotated[
        str | None,
        Meta(description="Which of two classes is the positive one by its name; null where names do not say."),
    ] = None
    levels: Annotated[tuple[FolderLevel, ...], Meta(description="What the folders were taken for.")]
    problem_counts: Annotated[Mapping[str, Count], Meta(description="Problems by reason code.")]
    examples: Annotated[
        Mapping[str, tuple[str, ...]],
        Meta(description="Paths of up to four files of each class; of a member, its path below the archive's."),
    ] = {}
    passed_over: Annotated[
        tuple[PassedOver, ...], Meta(description="What was left out or remarked on, by reason.")
    ] = ()


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
    problem_counts: Annotated[Mapping[str, Count], Meta(description="Problems by reason code.")] = {}
    looked_for_text: Annotated[
        Count,
        Meta(
            description="Radiographs, drawn at random, on which burned-in text was looked for; `text` of `problem_counts` is on how many it was seen."
        ),
    ] = 0
    levels: Annotated[tuple[FolderLevel, ...], Meta(description="What the folders were taken for.")] = ()
    left_out_columns: Annotated[
        tuple[LeftOutColumn, ...], Meta(description="Columns whose values, all or some, are not in the store.")
    ] = ()
    kept_columns: Annotated[tuple[str, ...], Meta(description="Columns that `--keep` named.")] = ()
    added: Annotated[Count | None, Meta(description="With `--add`: radiographs that the store had not.")] = None
    gone: Annotated[
        Count, Meta(description="With `--add`: radiographs that it had, and the folders have not any more.")
    ] = 0
    pseudonyms: Annotated[
        Path | None,
        Meta(description="What the numbers of files and sources stand for; null where names are as they were."),
    ] = None
    task: Annotated[
        Task, Meta(description="What is told of a radiograph: one of the classes, or which of several findings it has.")
    ] = "classes"
