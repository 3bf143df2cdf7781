"""`plainfilm export`."""

from typing import Annotated

from plainfilm import NOTICE
from plainfilm.cli.options import FLAT, AsJson, Quiet
from plainfilm.cli.output import print_document
from plainfilm.workflows.options import ExportOptions


def export(options: Annotated[ExportOptions, FLAT], *, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Write a bundle in another runtime's format, and keep the file only if it answers as the bundle does."""
    from plainfilm.cli import terminal
    from plainfilm.model import bundle as bundles
    from plainfilm.model import export as exporting
    from plainfilm.model import sites

    to, out, site, overwrite = options.to, options.out, options.site, options.overwrite
    exporting.check(to, out, overwrite=overwrite)
    opened = bundles.load(options.bundle, require_signature=options.require_signature)
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
