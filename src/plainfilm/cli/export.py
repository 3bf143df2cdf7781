"""`plainfilm export`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from plainfilm import NOTICE
from plainfilm.arguments import Target
from plainfilm.cli.options import AsJson, Quiet, Signed
from plainfilm.cli.output import print_document
from plainfilm.workflows.parsing import a_choice


def export(
    bundle: Path,
    *,
    to: Annotated[Target, a_choice],
    out: Path,
    site: str | None = None,
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
    site
        The hospital whose calibration it has, by the name that evaluate --recalibrate --site kept it under.
    """
    from plainfilm.cli import terminal
    from plainfilm.model import bundle as bundles
    from plainfilm.model import export as exporting
    from plainfilm.model import sites

    exporting.check(to, out, overwrite=overwrite)
    opened = bundles.load(bundle, require_signature=require_signature)
    if site is not None:
        sites.find(opened, site)
    with terminal.Shown(quiet=quiet) as progress:
        progress("Exporting", 0, 1, "")
        done = exporting.export(opened, to, out, overwrite=overwrite, site=site)
        progress("Exporting", 1, 1, "")
    if as_json:
        print_document(done)
        return
    terminal.say(
        f"{done.path}: {done.bytes / 1e6:.1f} MB",
        f"Largest difference from the bundle over {done.images} images: {done.largest_difference:.1e} of a probability, "
        f"{done.largest_log_difference:.1e} of its logarithm.",
        *(f"Weights of {each.backbone}: {each}, which goes with the file." for each in done.weights),
        *([f"With the calibration of the site {site}."] if site else []),
        terminal.styled("Unlike `plainfilm predict`, it refuses no image and knows no prevalence.", "yellow"),
        terminal.styled(NOTICE, "dim"),
    )
