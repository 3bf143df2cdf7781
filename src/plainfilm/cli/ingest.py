"""`plainfilm ingest`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from plainfilm.cli.options import FLAT, AsJson, Out, Quiet
from plainfilm.cli.output import show_ingested
from plainfilm.workflows.options import IngestOptions


@dataclass(frozen=True, slots=True)
class Options(IngestOptions):
    """As in Python; `--out` is named, and any number of folders stands before it."""

    sources: Annotated[Sequence[Path], Parameter(metavar="FOLDER", show_default=False)] = ()
    out: Out = field(kw_only=True)


def ingest(options: Annotated[Options, FLAT], *, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Read folders of radiographs into one HDF5 store."""
    from plainfilm.cli import terminal
    from plainfilm.workflows import ingest as verb

    with terminal.Shown(quiet=quiet) as progress:
        done = verb.run(verb.plan(replace(options, progress=progress)))
    show_ingested(done, as_json=as_json)
