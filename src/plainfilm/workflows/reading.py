"""What a user says of the files and tables of a SOURCE, checked: for `ingest` and `evaluate`."""

import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from plainfilm import shell
from plainfilm.data.catalog import Asked
from plainfilm.data.cataloguing import presets
from plainfilm.data.cataloguing.levels import roles_of
from plainfilm.data.tables.columns import FLAGS
from plainfilm.errors import UsageError
from plainfilm.reasons import reason_of
from plainfilm.workflows.options import WHERE_IT_RUNS, ReadingOptions


def asked_of(options: ReadingOptions) -> Asked:
    """Check the options that say what files and tables mean.

    Raises
    ------
    UsageError
        A pattern that is none, a layout that cannot be meant, or two options that exclude each other.
    """
    if options.layout and options.classes_from is not None:
        raise UsageError("Expected --layout or --classes-from; received both. Leave one out.")
    if options.layout:
        roles_of(options.layout)
    if options.label_of and options.task == "findings":
        raise UsageError("Expected --label-of or --task findings; received both. Leave one out.")
    given = {ours: getattr(options, flag.removeprefix("--").replace("-", "_")) for ours, flag in FLAGS.items()}
    columns = {ours: str(column) for ours, column in given.items() if column is not None}
    if options.preset and (options.labels or columns):
        other = "--labels" if options.labels else FLAGS[next(iter(columns))]
        raise UsageError(
            f"Expected --preset or {other}; received both. A preset knows its tables and columns: leave one out."
        )
    return Asked(
        labels=Path(options.labels) if options.labels else None,
        columns=columns,
        preset=presets.find(options.preset) if options.preset else None,
        label_of=options.label_of,
        task=options.task,
        label_pattern=_pattern(options.label_pattern),
        layout=options.layout,
        classes_from=options.classes_from,
        keep=tuple(options.keep or ()),
        pseudonyms=options.pseudonyms,
    )


def given_of(options: ReadingOptions, kind: type[ReadingOptions] = ReadingOptions) -> str:
    """Flags of `kind` that are given, "" for none; where it runs says nothing of what is read."""
    every = [each for each in fields(kind) if each.name not in WHERE_IT_RUNS]
    names = [each.name for each in every if getattr(options, each.name) not in (None, each.default)]
    return " and ".join(f"--{name.replace('_', '-')}" for name in names)


def without_paths(command: str, paths: Iterable[str | Path]) -> str:
    """Give a command that was typed, with DATA in the place of paths."""
    hidden = {Path(each).resolve() for each in paths}
    words = shell.split(command)
    return shell.joined(["DATA" if Path(word.rpartition("=")[2]).resolve() in hidden else word for word in words])


def _pattern(text: str | None) -> re.Pattern[str] | None:
    if text is None:
        return None
    try:
        pattern = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(
            f"Expected a regular expression for --label-pattern; received {text} ({reason_of(error)}). Correct it."
        ) from error
    if not pattern.groups:
        raise UsageError(
            f"Expected a --label-pattern with a group in brackets that is the label; received {text}. Write for example '_([01])\\.png$'."
        )
    return pattern
