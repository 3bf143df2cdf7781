"""`plainfilm predict`."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from plainfilm.arguments import By, Method, Prevalence
from plainfilm.cli.options import AsJson, OnDevice, Quiet, ShowText, Signed
from plainfilm.errors import UsageError, telling
from plainfilm.workflows.parsing import a_choice, a_prevalence

if TYPE_CHECKING:
    from plainfilm.evidence.inference.overlays import Overlays
    from plainfilm.evidence.inference.predictor import Predictor
    from plainfilm.results.predictions import Prediction

_CLUSTER = Parameter(group=Group("Several machines"))


def predict(
    bundle: Path,
    *files: Path,
    prevalence: Annotated[Prevalence | None, a_prevalence] = None,
    site: str | None = None,
    explain: Path | None = None,
    explain_by: Annotated[Method, a_choice] = "auto",
    explain_seconds: float = 10.0,
    show_text: ShowText = False,
    require_signature: Signed = None,
    device: OnDevice = None,
    workers: int = 0,
    cluster: Annotated[str | None, Parameter(metavar="WHERE"), _CLUSTER] = None,
    mixed: Annotated[bool, Parameter(negative="", show_default=False), _CLUSTER] = False,
    by: Annotated[By | None, a_choice] = None,
    patients: Annotated[Path | None, Parameter(metavar="TABLE")] = None,
    quiet: Quiet = False,
    as_csv: Annotated[
        bool, Parameter(name="--csv", help="Print one row a file as CSV.", negative="", show_default=False)
    ] = False,
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
        Share of those examined who have the positive class, 0 to 1: what a probability means there. Of findings by name,
        Effusion=0.1,Mass=0.02; one that is left out keeps that of its calibration.
    site
        The hospital whose calibration is used, by the name that evaluate --recalibrate --site kept it under.
    explain
        A folder for one picture a file of where the model looked.
    explain_by
        gradcam, occlusion, which is slower, or auto: the first where the network has maps.
    explain_seconds
        Seconds that occlusion may take for a file: a slow network is asked with fewer, larger squares.
    workers
        Processes that decode; 0 for one a processor where there are many files.
    cluster
        here, local:N for N processes of this machine, or a Dask scheduler, tls://HOST:8786: docs/cluster.md. By default what
        PLAINFILM_CLUSTER says, or here.
    mixed
        Let processors of several kinds answer: probabilities differ in their last bits by the machine that gave them.
    by
        study or patient: one answer for all films of one, joined as training chose; by film where it is left out.
    patients
        With --by, a table with file names and a column of patients or of studies; by default DICOM headers name them.
    """
    from plainfilm.cli import predictions, terminal
    from plainfilm.cli.console import is_terminal
    from plainfilm.engines.current import elsewhere
    from plainfilm.engines.opening import running
    from plainfilm.evidence.inference.context import About
    from plainfilm.evidence.inference.grouping import joined
    from plainfilm.evidence.inference.predictor import opened, paths

    _check(files, by=by, patients=patients, both=as_csv and as_json)
    with running(cluster or "", mixed=mixed):
        predictor = opened(
            bundle,
            require_signature=require_signature,
            site=site,
            device=device,
            running=running,
            prepare=elsewhere() is None,
        )
        predictor.stated(prevalence)  # refused before a file is read
        about, tally = About.of(predictor, prevalence, by), predictions.Tally()
        overlays = _overlays(predictor, explain, explain_by, explain_seconds, shows_text=show_text)
        named, passed_over = paths(files)
        units = _units(predictor, named, by, patients)
        predictions.say_passed_over(passed_over)
        sent = _sent(predictor, named, prevalence, workers, overlays, quiet=quiet)
        is_watched = sent is not None or is_terminal(sys.stdout)  # then the answers themselves show how far it is
        write = predictions.as_json if as_json else predictions.as_csv if as_csv else predictions.as_lines
        stopped = telling(
            lambda: (
                f"{tally.levels.total():,} of {len(named):,} files are answered; run the same command to begin again."
            )
        )
        with stopped, terminal.Shown(quiet=quiet or is_watched) as progress:
            answers = sent or predictor.stream(named, prevalence=prevalence, workers=workers, explain=overlays)
            answers = terminal.counted(answers, progress, "Predicting", len(named))
            if by is not None:
                answers = joined(predictor, answers, units, by, prevalence=prevalence)
            write(tally.watch(answers), about)
    if not (as_csv or as_json):
        predictions.say_summary(tally, about)
    if tally.nothing_answered:
        sys.exit(1)


def _check(files: Sequence[Path], *, by: By | None, patients: Path | None, both: bool) -> None:
    if not files:
        raise UsageError("Expected an image or a folder; received none. Write: plainfilm predict BUNDLE FILE")
    if both:
        raise UsageError("Expected --csv or --json; received both. Leave one out.")
    if patients is not None and by is None:
        raise UsageError("Expected --by with --patients; received none. Add --by study or --by patient.")


def _units(predictor: "Predictor", named: Sequence[str], by: By | None, patients: Path | None) -> list[int]:
    """Number the study or patient of each file, and say of how many none is known."""
    from plainfilm.cli import terminal
    from plainfilm.evidence.inference import grouping

    if by is None:
        return []
    grouping.ways_of(predictor)
    units, unknown = grouping.units_of(named, by, patients)
    if unknown:
        said = f"Note: nothing names the {by} of {unknown:,} of {len(named):,} files; each of them stands alone."
        terminal.say(terminal.styled(said, "yellow"), stderr=True)
    return units


def _sent(
    predictor: "Predictor",
    named: Sequence[str],
    prevalence: Prevalence | None,
    workers: int,
    overlays: "Overlays | None",
    *,
    quiet: bool,
) -> "Iterator[Prediction] | None":
    """Let the engine of the command answer, if it is another than this process; nothing is printed before all is done."""
    from plainfilm.cli import terminal
    from plainfilm.engines.current import elsewhere

    if not elsewhere():
        return None
    from plainfilm.evidence.inference.pieces import sent_of

    goes_on = telling(lambda: "What is answered stays in the cache: the same command goes on from there.")
    with goes_on, terminal.Shown(quiet=quiet) as progress:

        def advance(done: int, every: int) -> None:
            progress("Predicting", done, every, "")

        return sent_of(predictor, named, prevalence=prevalence, workers=workers, overlays=overlays, advance=advance)


def _overlays(
    predictor: "Predictor", folder: Path | None, method: Method, seconds: float, *, shows_text: bool
) -> "Overlays | None":
    if folder is None:
        return None
    from plainfilm.evidence.inference.overlays import Overlays

    return Overlays(folder, predictor, method=method, seconds=seconds, shows_text=shows_text)
