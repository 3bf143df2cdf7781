"""`plainfilm evaluate`."""

from dataclasses import dataclass, field, replace
from typing import Annotated

from plainfilm import NOTICE
from plainfilm.cli.options import FLAT, AsJson, Out, Quiet, places_first
from plainfilm.cli.output import print_document, typed
from plainfilm.workflows.options import EvaluateOptions


@places_first
@dataclass(frozen=True, slots=True)
class Options(EvaluateOptions):
    """As in Python; `--out` is named."""

    out: Out = field(kw_only=True)


def evaluate(options: Annotated[Options, FLAT], *, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """External validation: test a classifier on another hospital's radiographs, at its own threshold."""
    from plainfilm.cli import terminal
    from plainfilm.results.external import ExternalMetrics
    from plainfilm.workflows import evaluate as verb

    with terminal.Shown(quiet=quiet) as progress:
        run = verb.run(verb.plan(replace(options, command=typed(), progress=progress)))
    if as_json:
        print_document(run.result)
        return
    told = run.result
    said = terminal.evaluated(told) if isinstance(told, ExternalMetrics) else terminal.recalibrated(told)
    kept = terminal.kept(told.recalibration, run.folder) if options.recalibrate else ()
    terminal.say("", *said, *kept, "", f"Open {run.folder / 'report.html'}")
    terminal.say(terminal.styled(NOTICE, "dim"))
