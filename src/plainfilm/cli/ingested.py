"""What `plainfilm ingest` says of what it has read, or would read."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from plainfilm.cli.output import print_document
from plainfilm.errors import Problem

Options = TypeVar("Options")
Plan = TypeVar("Plan", bound=Any)
_EXAMPLES = 4
_ROLE_NAMES = {"class": "classes", "split": "split", "source": "sources", "patient": "patients", "-": "not used"}


def show_ingested(done: Any, *, as_json: bool) -> None:
    """Say what an ingest has made, and what to do next."""
    from plainfilm.cli import terminal

    if as_json:
        print_document(_summary(done))
        return
    terminal.say(*_ingested(done), "", terminal.following("train", done.path, "--out", free_name("run")))


def planned(plan: Callable[[Options], Plan], options: Options, *, quiet: bool, as_json: bool) -> Plan:
    """Plan in sight of who waits, and say what was read for it: beside JSON, to stderr."""
    from plainfilm.cli import terminal

    with terminal.Shown(quiet=quiet) as progress:
        made = plan(replace(options, progress=progress))  # type: ignore[type-var]
    if made.read is not None and not (as_json and quiet):
        lines = _found_again(made) if made.read.done is None else _ingested(made.read.done)
        terminal.say(*lines, "", stderr=as_json)
    return made


def free_name(name: str) -> str:
    """Give a name for a folder that is not there yet, such as run-2."""
    names = (name, *(f"{name}-{number}" for number in range(2, 1000)))
    return next((each for each in names if not Path(each).exists()), name)


def _found_again(plan: Any) -> Iterator[Any]:
    from plainfilm.cli import terminal
    from plainfilm.data.problem_words import meaning

    store = plan.store
    yield terminal.class_table(store.counts(), unlabelled=int((store.labels < 0).sum()), task=store.task)
    yield ""
    yield f"{len(store):,} radiographs in {store.path}, as they were read before ({store.attributes['created']})"
    noted = json.loads(store.attributes.get("problems", "{}"))
    yield from ["Left out, or read with a remark:"] if noted else []
    for code, group in noted.items():
        yield f"  {code} {group['count']:,}: {meaning(code)}".removesuffix(": ")


def _ingested(done: Any) -> Iterator[Any]:
    from plainfilm.cli import terminal
    from plainfilm.data.ingest import problems_path
    from plainfilm.data.pseudonyms import key_path

    yield terminal.class_table(done.counts, unlabelled=done.unlabelled, task=done.task)
    yield ""
    added = "" if done.added is None else f", {done.added:,} of them new; the others keep their part of the split"
    yield f"{done.images:,} radiographs in {done.path}{added}"
    if done.gone:
        yield f"{done.gone:,} that it had are not in these folders any more, and were left out."
    yield from _level_lines(done.levels)
    if done.exact or done.near:
        kept = "" if done.leakage else " Each group stays in one part of the split."
        yield f"Pairs of duplicates: {done.exact:,} the same, {done.near:,} nearly the same.{kept}"
    if done.leakage and done.leakage.images:
        yield terminal.styled(f"Leak: the given split has {done.leakage.images:,} images of {done.leakage.groups:,} patients or duplicates in more than one part. Make a new one with --resplit.", "bold red")  # fmt: skip
    if written_on := _codes(done.problems).get("text", 0):
        yield terminal.styled(f"Text, maybe names, is burned into {written_on:,} of {done.looked_for_text:,} radiographs that were looked at. The store holds it; pictures in reports cover it.", "yellow")  # fmt: skip
    if len(done.sources) == 1:
        yield terminal.styled(f"Only one source is known ({done.sources[0]}), so nobody can tell the disease from the hospital. Name the sources: a column source in a metadata.csv, or one folder a hospital.", "yellow")  # fmt: skip
    yield from _column_lines(done)
    if done.key is not None:
        yield f"Numbers stand for the names of files and sources; what they mean is in {key_path(done.path)}: keep it apart."
    yield from _problem_lines(done.problems)
    if done.problems:
        yield f"Each is listed in {problems_path(done.path)}"


def show_listed(catalog: Any, last: object, *, as_json: bool) -> None:
    """Say what would be read: classes, splits, sources, and what was passed over; and `last`."""
    from plainfilm.cli import terminal

    listed = _listing(catalog)
    if as_json:
        print_document(listed)
        return
    terminal.say(
        terminal.class_table(listed.counts, unlabelled=listed.unlabelled, task=listed.task),
        "",
        f"{listed.images:,} radiographs would be read"
        + (f", of {listed.patients:,} known patients." if listed.patients else "; nothing names their patients."),
        f"Sources: {_some(listed.sources)}.",
        *_level_lines(catalog.levels),
        *_problem_lines(catalog.problems),
        "",
        last,
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
        added=done.added,
        gone=done.gone,
        pseudonyms=key_path(done.path) if done.key is not None else None,
        task=done.task,
    )


def _listing(catalog: Any) -> Any:
    from plainfilm.data.class_names import positive_of
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
        task=listed.task,
        positive=positive_of(*listed.classes) if len(listed.classes) == 2 and listed.task == "classes" else None,
        levels=listed.levels,
        problem_counts=_codes(listed.problems),
        examples={name: _spread(own) for name, own in catalog.by_class().items()},
        passed_over=tuple(_passed_over(listed.problems)),
    )


def _spread(entries: Sequence[Any]) -> tuple[str, ...]:
    """Give the paths of a few entries that lie far apart."""
    places = sorted({place * len(entries) // _EXAMPLES for place in range(_EXAMPLES)})
    return tuple(str(entries[place].path.absolute()) for place in places) if entries else ()


def _passed_over(problems: Sequence[Problem]) -> Iterator[Any]:
    from plainfilm.data.problem_words import how_many, meaning
    from plainfilm.results.ingested import PassedOver

    by_code = defaultdict[tuple[bool, str], list[Problem]](list)
    for problem in problems:
        by_code[not problem.fatal, problem.code].append(problem)
    for (is_remark, code), own in sorted(by_code.items()):
        yield PassedOver(
            code=code,
            meaning=meaning(code),
            number=sum(how_many(each.sentence) for each in own),
            left_out=not is_remark,
            examples=tuple(f"{each.file}: {each.sentence}" for each in own[:_EXAMPLES]),
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
    said = [f"    {problem.file}: {problem.sentence}" for problem in problems if problem.code == "table"]
    return [*lines, *said[:_EXAMPLES]]
