"""`plainfilm train`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from plainfilm.cli.ingested import planned
from plainfilm.cli.options import FLAT, AsJson, Out, Quiet, Sources, places_first
from plainfilm.cli.output import load_keras, show_run, typed
from plainfilm.workflows.options import TrainOptions


@places_first
@dataclass(frozen=True, slots=True)
class Options(TrainOptions):
    """As in Python; `--out` is named, and any number of folders and archives, or one store, stands before it."""

    store: Sources
    out: Out = field(default=Path("run"), kw_only=True)


def train(options: Annotated[Options, FLAT], *, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Train a classifier on a store, test it, and write a report."""
    from plainfilm.cli import terminal
    from plainfilm.workflows import train as verb

    plan = planned(verb.plan, replace(options, command=typed()), quiet=quiet, as_json=as_json)
    if not quiet:
        terminal.say(*(terminal.styled(f"Note: {each}", "yellow") for each in plan.remarks), stderr=True)
    with terminal.Shown(quiet=quiet) as progress:
        load_keras(progress, finetunes=plan.finetunes)
        run = verb.run(replace(plan, options=replace(plan.options, progress=progress)))
    show_run(run, as_json=as_json, recipe=plan.recipe.name)
