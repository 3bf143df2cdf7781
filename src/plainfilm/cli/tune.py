"""`plainfilm tune`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from plainfilm.cli.ingested import planned
from plainfilm.cli.options import FLAT, AsJson, Out, Quiet, Sources, places_first
from plainfilm.cli.output import fail, load_keras, print_document, typed
from plainfilm.workflows.options import TuneOptions


@places_first
@dataclass(frozen=True, slots=True)
class Options(TuneOptions):
    """As in Python; `--out` is named, and any number of folders and archives, or one store, stands before it."""

    store: Sources
    out: Out = field(default=Path("tuning"), kw_only=True)


def tune(options: Annotated[Options, FLAT], *, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Search for a recipe: try heads and trainings on cached features; the test set is never looked at.

    The same command on the same folder goes on with the search.
    """
    from plainfilm.cli import terminal
    from plainfilm.workflows import tune as verb

    plan = planned(verb.plan, replace(options, command=typed()), quiet=quiet, as_json=as_json)
    with terminal.Shown(quiet=quiet) as progress:
        load_keras(progress)
        run = verb.run(replace(plan, options=replace(plan.options, progress=progress)))
    if as_json:
        print_document(run.result)
    else:
        page, then = run.folder / "tuning.html", run.result.next_command
        terminal.say("", *terminal.tuned(run.result), "", f"Open {page}", terminal.Typed(f"Next: {then}"))
    if run.result.interrupted:
        same = "the same command without --overwrite" if options.overwrite else "the same command"
        fail(f"Stopped. What was tried is kept; run {same} to go on.", "", 130)
