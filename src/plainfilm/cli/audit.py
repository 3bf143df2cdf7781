"""`plainfilm audit`."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from plainfilm.cli.ingested import planned
from plainfilm.cli.options import FLAT, AsJson, Out, Quiet, Sources, places_first
from plainfilm.cli.output import print_document, typed
from plainfilm.workflows.options import AuditOptions


@places_first
@dataclass(frozen=True, slots=True)
class Options(AuditOptions):
    """As in Python; `--out` is named, and any number of folders and archives, or one store, stands before it."""

    store: Sources
    out: Out = field(default=Path("audit"), kw_only=True)


def audit(options: Annotated[Options, FLAT], *, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Say what an accuracy on these data is worth: classifiers that never see the lungs, sources, leaks, a verdict."""
    from plainfilm.cli import terminal
    from plainfilm.workflows import audit as verb

    plan = planned(verb.plan, replace(options, command=typed()), quiet=quiet, as_json=as_json)
    with terminal.Shown(quiet=quiet) as progress:
        run = verb.run(replace(plan, options=replace(plan.options, progress=progress)))
    if as_json:
        print_document(run.result)
    else:
        terminal.say(*terminal.audited(run.result), "", f"Open {run.folder / 'audit.html'}")
    if verb.is_failed(plan, run.result):
        sys.exit(1)
