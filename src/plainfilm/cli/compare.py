"""`plainfilm compare`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from plainfilm.cli.ingested import planned
from plainfilm.cli.options import FLAT, AsJson, Out, Quiet, Sources, places_first
from plainfilm.cli.output import load_keras, print_document, typed
from plainfilm.workflows.options import CompareOptions


@places_first
@dataclass(frozen=True, slots=True)
class Options(CompareOptions):
    """As in Python; `--out` is named, and any number of folders and archives, or one store, stands before it."""

    store: Sources
    out: Out = field(default=Path("comparison"), kw_only=True)


def compare(options: Annotated[Options, FLAT], *, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Train several recipes with several seeds each, or take finished runs, and test them on the same patients."""
    from plainfilm.cli import terminal
    from plainfilm.workflows import compare as verb

    plan = planned(verb.plan, replace(options, command=typed()), quiet=quiet, as_json=as_json)
    with terminal.Shown(quiet=quiet) as progress:
        if plan.trains:
            load_keras(progress, finetunes=plan.finetunes)
        run = verb.run(replace(plan, options=replace(plan.options, progress=progress)))
    if as_json:
        print_document(run.result)
        return
    terminal.say(
        terminal.compared(run.result),
        "",
        *(line for pair in run.result.pairs for line in (pair.auroc.sentence, pair.accuracy.sentence, "")),
        *(line for pair in run.result.means for line in (pair.sentence, "")),
        *([run.result.choice.sentence, ""] if run.result.choice else []),
        run.result.worth.sentence,
        *(
            [
                f"The test set's films were scored {run.result.test_openings} times so far, {run.result.trainings} of them by this comparison."
            ]
            if plan.trains
            else []
        ),
        f"Open {run.folder / 'comparison.html'}",
    )
