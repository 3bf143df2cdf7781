"""`plainfilm predict`."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from plainfilm.arguments import Method
from plainfilm.cli.options import AsJson, OnDevice, Quiet, ShowText, Signed
from plainfilm.errors import UsageError, telling
from plainfilm.workflows.parsing import a_choice


def predict(
    bundle: Path,
    *files: Path,
    prevalence: float | None = None,
    site: str | None = None,
    explain: Path | None = None,
    explain_by: Annotated[Method, a_choice] = "gradcam",
    show_text: ShowText = False,
    require_signature: Signed = None,
    device: OnDevice = None,
    workers: int = 0,
    quiet: Quiet = False,
    as_csv: Annotated[bool, Parameter(name="--csv", help="Print one row a file as CSV.", negative="")] = False,
    as_json: AsJson = False,
) -> None:
    """Answer for radiographs: class, calibrated probability, and what stands against believing it.

    Parameters
    ----------
    bundle
        A model.plainfilm of `plainfilm train`.
    files
        Images, DICOM files, or folders of them.
    prevalence
        Share of those examined who have the positive class, 0 to 1: what a probability means there.
    site
        The hospital whose calibration is used, by the name that evaluate --recalibrate --site kept it under.
    explain
        A folder for one picture a file of where the model looked.
    explain_by
        gradcam, or occlusion, which is slower.
    workers
        Processes that decode; 0 for one a processor where there are many files.
    """
    from plainfilm.cli import predictions, terminal
    from plainfilm.cli.console import is_terminal
    from plainfilm.evidence.inference import predictor as prediction
    from plainfilm.evidence.inference.context import About

    if not files:
        raise UsageError("Expected an image or a folder; received none. Write: plainfilm predict BUNDLE FILE")
    if as_csv and as_json:
        raise UsageError("Expected --csv or --json; received both. Leave one out.")
    predictor = prediction.load(bundle, require_signature=require_signature, site=site, device=device)
    about, tally = About.of(predictor, prevalence), predictions.Tally()
    is_watched = is_terminal(sys.stdout)  # then the answers themselves show how far it is
    paths, passed_over = prediction.paths(files)
    predictions.say_passed_over(passed_over)
    stopped = telling(
        lambda: f"{tally.levels.total():,} of {len(paths):,} files are answered; run the same command to begin again."
    )
    with stopped, terminal.Shown(quiet=quiet or is_watched) as progress:
        answers = tally.watch(
            predictor.stream(
                paths,
                prevalence=prevalence,
                workers=workers,
                explain=_overlays(predictor, explain, explain_by, shows_text=show_text),
            )
        )
        write = predictions.as_json if as_json else predictions.as_csv if as_csv else predictions.as_lines
        write(terminal.counted(answers, progress, "Predicting", len(paths)), about)
    if not (as_csv or as_json):
        predictions.say_summary(tally, about)
    if tally.nothing_answered:
        sys.exit(1)


def _overlays(predictor: Any, folder: Path | None, method: Method, *, shows_text: bool) -> Any:
    if folder is None:
        return None
    from plainfilm.evidence.inference.overlays import Overlays

    return Overlays(folder, predictor, method=method, shows_text=shows_text)
