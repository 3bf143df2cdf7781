"""`plainfilm audit`."""

import sys
from dataclasses import dataclass, field, replace
from typing import Annotated

from plainfilm.cli.options import FLAT, AsJson, Out, Quiet
from plainfilm.cli.output import print_document, typed
from plainfilm.errors import UsageError
from plainfilm.workflows.options import AuditOptions


@dataclass(frozen=True, slots=True)
class Options(AuditOptions):
    """As in Python; `--out` is named."""

    out: Out = field(kw_only=True)


def audit(
    options: Annotated[Options, FLAT],
    *,
    fail_on: str | None = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Say what an accuracy on these data is worth: classifiers that never see the lungs, sources, leaks, a verdict.

    Parameters
    ----------
    fail_on
        possible or not-to-be-believed: exit with 1 at that verdict or a worse one.
    """
    from plainfilm.cli import terminal
    from plainfilm.workflows import audit as verb

    worst = _fail_on(fail_on)
    with terminal.Shown(quiet=quiet) as progress:
        run = verb.run(verb.plan(replace(options, command=typed(), progress=progress)))
    if as_json:
        print_document(run.result)
    else:
        terminal.say(*terminal.audited(run.result), "", f"Open {run.folder / 'audit.html'}")
    if run.result.level in worst:
        sys.exit(1)


def _fail_on(asked: str | None) -> tuple[str, ...]:
    """Levels of the verdict at which to fail."""
    levels = {None: (), "possible": ("caution", "warning"), "not-to-be-believed": ("warning",)}
    if asked not in levels:
        raise UsageError(f"Expected --fail-on to be possible or not-to-be-believed; received {asked}.")
    return levels[asked]
