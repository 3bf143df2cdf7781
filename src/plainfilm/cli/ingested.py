"""What `plainfilm ingest` says of what it has read, or would read."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plainfilm.cli.output import print_document
from plainfilm.errors import Problem

_ROLE_NAMES = {"class": "classes", "split": "split", "source": "sources", "patient": "patients", "-": "not used"}


def show_ingested(done: Any, *, as_json: bool) -> None:
    """Say what an ingest has made, and what to do next."""
    from plainfilm.cli import terminal
    from plainfilm.data.ingest import problems_path
    from plainfilm.data.pseudonyms import key_path

    if as_json:
        print_document(_summary(done))
        return
    unlabelled = done.images - sum(sum(parts.values()) for parts in done.counts.values())
    terminal.say(
        terminal.class_table(done.counts, unlabelled=unlabelled),
        "",
        f"{done.images:,} radiographs in {done.path}",
        *_level_lines(done.levels),
    )
    if done.exact or done.near:
        kept = "" if done.leakage else " Each group stays in one part of the split."
        terminal.say(f"Pairs of duplicates: {done.exact:,} the same, {done.near:,} nearly the same.{kept}")
    if done.leakage and done.leakage.images:
        terminal.say(terminal.styled(f"Leak: the given split has {done.leakage.images:,} images of {done.leakage.groups:,} patients or duplicates in more than one part. Make a new one with --resplit.", "bold red"))  # fmt: skip
    if written_on := _codes(done.problems).get("text", 0):
        terminal.say(terminal.styled(f"Text, maybe names, is burned into {written_on:,} of {done.looked_for_text:,} radiographs that were looked at. The store holds it; pictures in reports cover it.", "yellow"))  # fmt: skip
    if len(done.sources) == 1:
        terminal.say(terminal.styled(f"Only one source is known ({done.sources[0]}), so nobody can tell the disease from the hospital. Name the sources: a column `source` in a metadata.csv, or one folder a hospital.", "yellow"))  # fmt: skip
    terminal.say(*_column_lines(done))
    if done.key is not None:
        terminal.say(
            f"Numbers stand for the names of files and sources; what they mean is in {key_path(done.path)}: keep it apart."
        )
    terminal.say(
        *_problem_lines(done.problems), *([f"Each is listed in {problems_path(done.path)}"] if done.problems else [])
    )
    terminal.say("", f"Next: plainfilm train {done.path} --out run")


def show_listed(catalog: Any, *, as_json: bool) -> None:
    """Say what would be read: classes, splits, sources, and what was passed over."""
    from plainfilm.cli import terminal

    listed = _listing(catalog)
    if as_json:
        print_document(listed)
        return
    terminal.say(
        terminal.class_table(listed.counts, unlabelled=listed.unlabelled),
        "",
        f"{listed.images:,} radiographs would be read, "
        + (f"of {listed.patients:,} known patients." if listed.patients else "of patients that nothing names."),
        f"Sources: {_some(listed.sources)}.",
        *_level_lines(catalog.levels),
        *_problem_lines(catalog.problems),
        "",
        "Nothing was read or written: leave out --dry-run.",
    )


def _summary(done: Any) -> Any:
    from plainfilm.data.pseudonyms import key_path
    from plainfilm.results.ingested import IngestSummary

    return IngestSummary(
        store=done.path,
        images=done.images,
        classes=tuple(done.classes),
        counts=done.counts,
        problems=len(done.problems),
        left_out=sum(problem.fatal for problem in done.problems),
        exact_duplicates=done.exact,
        near_duplicates=done.near,
        label_conflicts=done.conflicts,
        leaking_images=done.leakage.images if done.leakage else 0,
        problem_counts=_codes(done.problems),
        levels=done.levels,
        left_out_columns=done.left_out_columns,
        kept_columns=done.kept_columns,
        looked_for_text=done.looked_for_text,
        pseudonyms=key_path(done.path) if done.key is not None else None,
    )


def _listing(catalog: Any) -> Any:
    from plainfilm.data.patients import named_by, patient_keys
    from plainfilm.results.ingested import IngestListing
    from plainfilm.workflows.ingest import as_listed

    listed = as_listed(catalog)
    keys, _ = patient_keys(list(map(named_by, catalog.entries)), apart=catalog.asked.separate_sources)
    return IngestListing(
        images=listed.images,
        classes=listed.classes,
        counts=listed.counts,
        unlabelled=sum(entry.label is None for entry in catalog.entries),
        sources=listed.sources,
        patients=len({*keys} - {""}),
        findings=catalog.findings,
        levels=listed.levels,
        problem_counts=_codes(listed.problems),
    )


def _codes(problems: Iterable[Problem]) -> Mapping[str, int]:
    return dict(Counter(problem.code for problem in problems).most_common())


def _level_lines(levels: Sequence[Any]) -> list[str]:
    """Say which folder level was taken for what; nothing where there are no folders."""
    several = len({level.source for level in levels}) > 1
    return [
        f"Folders{f' of {level.source}' if several else ''}, level {level.level}: {_ROLE_NAMES[level.role]}"
        + (f" ({_some(level.names, level.folders)})" if level.names else f" ({level.folders:,})")
        for level in sorted(levels, key=lambda level: (level.source, level.level, level.role))
    ]


def _column_lines(done: Any) -> list[str]:
    """Say which columns the store lacks, and which it has since they were asked for."""
    whole = [each.column for each in done.left_out_columns if not each.kept]
    part = [f"{each.values:,} of {each.column}" for each in done.left_out_columns if each.kept]
    lines = [f"Columns kept as they are, as was asked: {_some(done.kept_columns)}."] if done.kept_columns else []
    if whole:
        lines.append(f"Columns left out, since they may tell who somebody is: {_some(whole)}.")
    if part:
        lines.append(f"Values left out, since they may tell who somebody is: {_some(part)}.")
    return (
        [*lines, "Keep one with --keep COLUMN; why, and what else a store tells: docs/privacy.md."]
        if whole or part
        else lines
    )


def _some(names: Sequence[str], number: int | None = None, most: int = 4) -> str:
    more = (number or len(names)) - min(most, len(names))
    return ", ".join(names[:most]) + (f" and {more:,} more" if more else "")


def _problem_lines(problems: Sequence[Problem]) -> list[str]:
    """Count what was left out, and what was flagged, by its code, and say what each code means."""
    from plainfilm.data.problem_words import how_many, meaning

    lines = []
    for is_fatal, what in ((True, "Left out:"), (False, "Remarks:")):
        found: Counter[str] = Counter()
        for problem in problems:
            if problem.fatal == is_fatal:
                found[problem.code] += how_many(problem.sentence)
        lines += [what] if found else []
        lines += [f"  {code} {number:,}: {meaning(code)}".removesuffix(": ") for code, number in found.most_common()]
    return lines
