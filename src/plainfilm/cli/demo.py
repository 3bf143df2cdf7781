"""`plainfilm demo`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from plainfilm import shell
from plainfilm.cli.options import FLAT, AsJson, Out, Quiet
from plainfilm.cli.output import load_keras, show_run, typed
from plainfilm.workflows.options import DemoOptions


@dataclass(frozen=True, slots=True)
class Options(DemoOptions):
    """As in Python; `--out` is named, and has a default."""

    out: Out = field(default=Path("demo"), kw_only=True)


def demo(options: Annotated[Options, FLAT] = Options(), *, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Go the whole way on synthetic radiographs, without a network."""
    from plainfilm.cli import terminal
    from plainfilm.workflows import demo as verb

    with terminal.Shown(quiet=quiet) as progress:
        plan = verb.plan(replace(options, command=typed(), progress=progress))
        load_keras(progress)
        run = verb.run(plan)
    show_run(run, as_json=as_json)
    if not as_json:
        terminal.say(
            "",
            terminal.Typed(
                f"On a page of its own, with the extra `serve`: {shell.command('serve', run.folder / 'model.plainfilm')}"
            ),
            "",
            "A program made these radiographs; their accuracy says nothing about patients.",
            "Now your own: a folder with one folder a class, or with a metadata.csv.",
            "",
            "  plainfilm YOUR_FOLDER                       says what is seen in it",
            "  plainfilm train YOUR_FOLDER --out my-run    then open my-run/report.html",
        )
