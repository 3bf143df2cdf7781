"""`plainfilm compare`."""

from dataclasses import dataclass, field, replace
from typing import Annotated

from plainfilm.cli.options import FLAT, AsJson, Out, Quiet
from plainfilm.cli.output import load_keras, print_document, typed
from plainfilm.workflows.options import CompareOptions


@dataclass(frozen=True, slots=True)
class Options(CompareOptions):
    """As in Python; `--out` is named."""

    out: Out = field(kw_only=True)


def compare(options: Annotated[Options, FLAT], *, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Train several recipes with several seeds each and set them side by side."""
    from plainfilm.cli import terminal
    from plainfilm.workflows import compare as verb

    with terminal.Shown(quiet=quiet) as progress:
        plan = verb.plan(replace(options, command=typed(), progress=progress))
        load_keras(progress, finetunes=plan.finetunes)
        run = verb.run(plan)
    if as_json:
        print_document(run.result)
        return
    terminal.say(
        terminal.compared(run.result),
        "",
        run.result.worth.sentence,
        f"The test set's films were scored {run.result.test_openings} times so far, {run.result.trainings} of them by this comparison.",
        f"Open {run.folder / 'comparison.html'}",
    )
