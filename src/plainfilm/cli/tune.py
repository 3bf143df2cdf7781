"""`plainfilm tune`."""

from dataclasses import dataclass, field, replace
from typing import Annotated

from plainfilm.cli.options import FLAT, AsJson, Out, Quiet
from plainfilm.cli.output import fail, load_keras, print_document, typed
from plainfilm.workflows.options import TuneOptions


@dataclass(frozen=True, slots=True)
class Options(TuneOptions):
    """As in Python; `--out` is named."""

    out: Out = field(kw_only=True)


def tune(options: Annotated[Options, FLAT], *, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Search for a recipe: try heads and trainings on cached features; the test set is never looked at.

    The same command on the same folder goes on with the search.
    """
    from plainfilm.cli import terminal
    from plainfilm.workflows import tune as verb

    with terminal.Shown(quiet=quiet) as progress:
        plan = verb.plan(replace(options, command=typed(), progress=progress))
        load_keras(progress)
        run = verb.run(plan)
    if as_json:
        print_document(run.result)
    else:
        page, then = run.folder / "tuning.html", run.result.next_command
        terminal.say("", *terminal.tuned(run.result), "", f"Open {page}", f"Next: {then}")
    if run.result.interrupted:
        same = "the same command without --overwrite" if options.overwrite else "the same command"
        fail(f"Stopped. What was tried is kept; run {same} to go on.", "", 130)
