"""`plainfilm ingest`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from plainfilm.cli.ingested import show_ingested, show_listed
from plainfilm.cli.options import FLAT, AsJson, Quiet, places_first
from plainfilm.errors import UsageError
from plainfilm.workflows.options import IngestOptions


@places_first
@dataclass(frozen=True, slots=True)
class Options(IngestOptions):
    """As in Python; `--out` is named, and any number of folders and archives stands before it."""

    sources: Annotated[Sequence[Path], Parameter(metavar="FOLDER", show_default=False)] = ()
    out: Annotated[str | Path, Parameter(metavar="PATH", show_default=False)] = field(default="", kw_only=True)


def ingest(
    options: Annotated[Options, FLAT] = Options(),
    *,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Read folders or archives of radiographs into one HDF5 store."""
    from plainfilm.cli import terminal
    from plainfilm.workflows import ingest as verb

    if options.dry_run:
        with terminal.Shown(quiet=True) as progress:
            catalog = verb.listed(replace(options, progress=progress))
        show_listed(catalog, "Nothing was read or written: leave out --dry-run.", as_json=as_json)
        return
    if not options.out:
        raise UsageError(
            "Expected the store to write; received none. Write: plainfilm ingest FOLDER --out NAME.h5, or look first with --dry-run."
        )
    with terminal.Shown(quiet=quiet) as progress:
        done = verb.run(verb.plan(replace(options, progress=progress)))
    show_ingested(done, as_json=as_json)
