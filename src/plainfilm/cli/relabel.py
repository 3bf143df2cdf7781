"""`plainfilm relabel`."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from plainfilm.cli.ingested import free_name, planned
from plainfilm.cli.options import FLAT, AsJson, Out, Quiet, Sources, places_first
from plainfilm.cli.output import print_document, typed
from plainfilm.workflows.options import RelabelOptions


@places_first
@dataclass(frozen=True, slots=True)
class Options(RelabelOptions):
    """As in Python; `--out` is named, and any number of folders and archives, or one store, stands before it."""

    store: Sources
    out: Out = field(default=Path("relabel"), kw_only=True)


def relabel(options: Annotated[Options, FLAT], *, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """List the radiographs whose label is doubtful, as a table and a page of pictures; with --apply, write a store with corrected labels."""
    from plainfilm.cli import terminal
    from plainfilm.workflows import relabel as verb

    plan = planned(verb.plan, replace(options, command=typed()), quiet=quiet, as_json=as_json)
    with terminal.Shown(quiet=quiet) as progress:
        run = verb.run(replace(plan, options=replace(plan.options, progress=progress)))
    if as_json:
        print_document(run.result)
    else:
        terminal.say(*(_listed(run) if plan.made is None else _applied(run)))


def _listed(run: Any) -> Iterator[Any]:
    from plainfilm.cli import terminal
    from plainfilm.reporting.relabel import TABLE

    found, table = run.result, run.folder / TABLE
    yield f"{found.doubtful:,} of {found.labels:,} labels are doubtful; {found.copies:,} of these radiographs have a copy under another label."
    for name, own in found.findings.items():
        yield f"{name}: {own.doubtful:,} of {own.images:,}"
    for name, why in found.not_judged.items():
        yield terminal.styled(f"{name} is not judged. {why}", "yellow")
    if found.left_out:
        yield f"{found.left_out:,} more were left out by ingest, since one image stood under two labels."
    yield f"All stand in {table}, the most doubtful first. Write the right class into its column `correction`."
    yield ""
    yield f"Open {run.folder / 'relabel.html'}"
    yield terminal.following("relabel", run.store, "--apply", table, "--by", "NAME", "--out", free_name("corrected.h5"))


def _applied(run: Any) -> Iterator[Any]:
    from plainfilm.cli import terminal

    done = run.result
    yield terminal.class_table(done.counts, unlabelled=0)
    yield ""
    yield f"Corrected: {done.sentence}. {', '.join(f'{change} {count:,}' for change, count in done.changes.items())}"
    if done.copies:
        yield terminal.styled(f"{done.copies:,} radiographs now bear another label than a copy of theirs: see plainfilm relabel {done.store}", "yellow")  # fmt: skip
    yield ""
    yield terminal.following("train", done.store, "--out", free_name("run"))
