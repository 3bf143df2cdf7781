"""Commands that use a bundle: predict, evaluate, export."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from plainfilm import NOTICE
from plainfilm.cli.options import AsJson, Map, Overwrite, Quiet, Signed, mapping_of
from plainfilm.cli.output import typed
from plainfilm.errors import UsageError
from plainfilm.results.external import ExternalMetrics


def predict(
    bundle: Path,
    *files: Path,
    prevalence: float | None = None,
    explain: Path | None = None,
    explain_by: str = "gradcam",
    require_signature: Signed = None,
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
    explain
        A folder for one picture a file of where the model looked.
    explain_by
        gradcam, or occlusion, which is slower.
    workers
        Processes that decode; 0 for one a processor where there are many files.
    """
    from plainfilm.cli import predictions, terminal
    from plainfilm.evidence.inference import predictor as prediction
    from plainfilm.evidence.inference.context import About

    if not files:
        raise UsageError("Expected an image or a folder; received none. Write: plainfilm predict BUNDLE FILE")
    if as_csv and as_json:
        raise UsageError("Expected --csv or --json; received both. Leave one out.")
    predictor = prediction.load(bundle, require_signature=require_signature)
    about, tally = About.of(predictor, prevalence), predictions.Tally()
    is_watched = sys.stdout.isatty() and not (as_csv or as_json)  # then the lines themselves show how far it is
    with terminal.Shown(quiet=quiet or is_watched) as progress:
        paths = prediction.paths(files)
        answers = tally.watch(
            predictor.stream(
                paths, prevalence=prevalence, workers=workers, explain=_overlays(predictor, explain, explain_by)
            )
        )
        write = predictions.as_json if as_json else predictions.as_csv if as_csv else predictions.as_lines
        write(terminal.counted(answers, progress, "Predicting", len(paths)), about)
    if not (as_csv or as_json):
        predictions.say_summary(tally, about)
    if tally.all_unreadable:
        sys.exit(1)


def _overlays(predictor: Any, folder: Path | None, method: str) -> Any:
    if folder is None:
        return None
    from plainfilm.evidence.inference.overlays import Overlays

    return Overlays(folder, predictor, method=method)


def evaluate(
    bundle: Path,
    source: Path,
    *,
    out: Path,
    mapping: Map = [],  # noqa: B006 - cyclopts reads the default and never changes it
    labels: Path | None = None,
    recalibrate: Annotated[bool, Parameter(negative="")] = False,
    workers: int = 0,
    require_signature: Signed = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Test a classifier on another hospital's data, at its own threshold.

    Parameters
    ----------
    bundle
        A model.plainfilm of `plainfilm train`.
    source
        A folder of radiographs as for `plainfilm ingest`, or a store.
    out
        The folder to make: report.html, metrics.json, predictions.csv, overlap.csv, figures/.
    labels
        A CSV with file_name and label that overrides the folders' names.
    recalibrate
        Also write recalibrated.plainfilm, whose probabilities fit these data; no answer changes.
    workers
        Processes that decode; 0 for one a processor.
    """
    from plainfilm.cli import terminal
    from plainfilm.workflows import pipeline

    stands_for = mapping_of(mapping)
    with terminal.Shown(quiet=quiet) as progress:
        run = pipeline.evaluate(
            bundle,
            source,
            out,
            mapping=stands_for,
            labels=labels,
            recalibrate=recalibrate,
            workers=workers,
            overwrite=overwrite,
            require_signature=require_signature,
            command=typed(),
            progress=progress,
        )
    if as_json:
        print(json.dumps(run.metrics))
        return
    found = msgspec.convert(run.metrics, ExternalMetrics)
    terminal.say("", *terminal.evaluated(found), "", f"Open {run.folder / 'report.html'}")
    terminal.say(terminal.styled(NOTICE, "dim"))


def export(
    bundle: Path,
    *,
    to: str,
    out: Path,
    overwrite: Annotated[bool, Parameter(help="Replace a file that is there.", negative="")] = False,
    require_signature: Signed = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write a bundle in another runtime's format, and keep the file only if it answers as the bundle does.

    Parameters
    ----------
    bundle
        A model.plainfilm of `plainfilm train`.
    to
        onnx, openvino, keras or tflite.
    out
        The file to write: .onnx, .xml (its .bin comes beside it), .keras or .tflite.
    """
    from plainfilm.cli import terminal
    from plainfilm.model import bundle as bundles
    from plainfilm.model import export as exporting

    exporting.check(to, out, overwrite=overwrite)
    opened = bundles.load(bundle, require_signature=require_signature)
    with terminal.Shown(quiet=quiet) as progress:
        progress("Exporting", 0, 1, "")
        with terminal.muted_native_logs():
            done = exporting.export(opened, to, out, overwrite=overwrite)
        progress("Exporting", 1, 1, "")
    if as_json:
        print(json.dumps({"path": str(done.path), "to": done.to, "images": done.images, "largest_difference": done.largest_difference,
                          "largest_log_difference": done.largest_log_difference, "bytes": done.bytes}))  # fmt: skip
        return
    terminal.say(
        f"{done.path}: {done.bytes / 1e6:.1f} MB",
        f"Largest difference from the bundle over {done.images} images: {done.largest_difference:.1e} of a probability, "
        f"{done.largest_log_difference:.1e} of its logarithm.",
        terminal.styled("Unlike `plainfilm predict`, it refuses no image and knows no prevalence.", "yellow"),
        terminal.styled(NOTICE, "dim"),
    )
