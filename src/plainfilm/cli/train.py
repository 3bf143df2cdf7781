"""`plainfilm train`."""

from dataclasses import dataclass, field, replace
from typing import Annotated

from plainfilm.cli.options import FLAT, AsJson, Out, Quiet, places_first
from plainfilm.cli.output import load_keras, show_run, typed
from plainfilm.workflows.options import TrainOptions


@places_first
@dataclass(frozen=True, slots=True)
class Options(TrainOptions):
    """As in Python; `--out` is named."""

    out: Out = field(kw_only=True)


def train(options: Annotated[Options, FLAT], *, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Train a classifier on a store, test it, and write a report."""
    from plainfilm.cli import terminal
    from plainfilm.workflows import train as verb

    with terminal.Shown(quiet=quiet) as progress:
        plan = verb.plan(replace(options, command=typed(), progress=progress))
        load_keras(progress, finetunes=plan.finetunes)
        run = verb.run(plan)
    show_run(run, as_json=as_json, recipe=plan.recipe.name)
