"""`plainfilm audit`."""

import sys
from dataclasses import dataclass, field, replace
from typing import Annotated

from plainfilm.cli.options import FLAT, AsJson, Out, Quiet
from plainfilm.cli.output import print_document, typed
from plainfilm.workflows.options import AuditOptions


@dataclass(frozen=True, slots=True)
class Options(AuditOptions):
    """As in Python; `--out` is named."""

    out: Out = field(kw_only=True)


def audit(options: Annotated[Options, FLAT], *, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Say what an accuracy on these data is worth: classifiers that never see the lungs, sources, leaks, a verdict."""
    from plainfilm.cli import terminal
    from plainfilm.workflows import audit as verb

    with terminal.Shown(quiet=quiet) as progress:
        plan = verb.plan(replace(options, command=typed(), progress=progress))
        run = verb.run(plan)
    if as_json:
        print_document(run.result)
    else:
        terminal.say(*terminal.audited(run.result), "", f"Open {run.folder / 'audit.html'}")
    if verb.is_failed(plan, run.result):
        sys.exit(1)
