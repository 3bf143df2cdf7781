"""Images of which none has a label: what to do about it, after what lies there."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from plainfilm.data.cataloguing.collection import Collection
from plainfilm.data.cataloguing.entry import Entry, counted
from plainfilm.data.spelling import shortened
from plainfilm.errors import CatalogError, Problem

_LAYOUTS = (
    "CLASS/*, train|validation|test/CLASS/*, CLASS/images/*, a metadata.csv or .jsonl with file_name and label, "
    "or a table given with --labels"
)
_KINDS = {"plain": "views or portions"}


def check_labelled(
    entries: Sequence[Entry],
    sources: Sequence[Path],
    problems: Sequence[Problem],
    read: Sequence[Collection],
    pattern: re.Pattern[str] | None = None,
) -> None:
    """Raise CatalogError, with what to do, where no entry has a label."""
    if any(entry.label is not None for entry in entries):
        return
    where = ", ".join(str(source) for source in sources)
    if not entries:
        why = next((f" ({problem.file}: {problem.sentence})" for problem in problems if problem.fatal), "")
        raise CatalogError(f"Expected radiographs in {where}; received none that may be used{why}. Correct the table.")
    if pattern is not None:
        raise CatalogError(
            f"Expected a --label-pattern that fits the names of files; received {pattern.pattern}, which fits none of {len(entries):,}, "
            f"such as {entries[0].name.rpartition('/')[2]}. Correct it."
        )
    raise CatalogError(
        f"Expected images as {_LAYOUTS}; received {counted(len(entries), 'image')} without a label in {where}. "
        f"{_why_unlabelled(entries, read)}"
    )


def _why_unlabelled(entries: Sequence[Entry], read: Sequence[Collection]) -> str:
    """What to do about images without a label, after what lies there."""
    advice = [sentence for collection in read for sentence in collection.advice]
    if advice:
        return advice[0]
    tables = [table for collection in read for table in collection.more_tables]
    if tables:
        return f"A table lies there: try --labels {read[0].place.root / tables[0]}, or a preset of `plainfilm presets`."
    passed_by = sorted({_KINDS.get(kind, f"{kind}s") for collection in read for kind in collection.layout.passed_by})
    if passed_by:
        return (
            f"The folders look like those of {' and '.join(passed_by)}, not like classes. Add a table with "
            f"--labels, {_pattern_hint(entries)}or name the level of the classes with --classes-from."
        )
    return f"Sort them into a folder a class, {_pattern_hint(entries)}or add a table."


def _pattern_hint(entries: Sequence[Entry]) -> str:
    """Offer the pattern by which file names end in one of a few numbers or words, as `_0` and `_1`."""
    ends = Counter(found[1] for entry in entries if (found := re.search(r"_([A-Za-z]+|\d)\.[^./]+$", entry.name)))
    if len(ends) in range(2, 11) and ends.total() == len(entries):
        return f"take the ends of the file names ({shortened(sorted(ends))}) with --label-pattern '_([^_]+)\\.', "
    return ""
