"""`plainfilm train`."""

from dataclasses import dataclass, field, replace
from typing import Annotated

from plainfilm.cli.options import FLAT, AsJson, Out, Quiet
from plainfilm.cli.output import load_keras, show_run, typed
from plainfilm.cli.recipe_flags import NO_FLAGS, RecipeFlags, recipe_settings
from plainfilm.workflows.options import TrainOptions
from plainfilm.workflows.parsing import settings_of


@dataclass(frozen=True, slots=True)
class Options(TrainOptions):
    """As in Python; `--out` is named."""

    out: Out = field(kw_only=True)


def train(
    options: Annotated[Options, FLAT],
    flags: Annotated[RecipeFlags, FLAT] = NO_FLAGS,
    *,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a classifier on a store, test it, and write a report."""
    from plainfilm.cli import terminal
    from plainfilm.workflows import train as verb

    settings = settings_of(options.settings) | recipe_settings(flags)
    with terminal.Shown(quiet=quiet) as progress:
        plan = verb.plan(replace(options, settings=settings, command=typed(), progress=progress))
        load_keras(progress, finetunes=plan.finetunes)
        run = verb.run(plan)
    show_run(run, as_json=as_json, recipe=plan.recipe.name)
