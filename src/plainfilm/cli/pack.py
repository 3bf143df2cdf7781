"""`plainfilm pack`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from plainfilm.cli.options import Quiet


def pack(
    store: Path,
    *,
    out: Path,
    overwrite: Annotated[
        bool, Parameter(help="Replace a store of that name.", negative="", show_default=False)
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Join a store and its shards into one file, to be mailed or read by another HDF5 tool.

    Parameters
    ----------
    store
        NAME.h5, with the folder NAME.h5.shards beside it.
    out
        The file to write, NAME.h5.
    """
    from plainfilm.cli import terminal
    from plainfilm.workflows import pack as verb

    with terminal.Shown(quiet=quiet) as progress:
        path = verb.pack(store, out, overwrite=overwrite, progress=progress)
    terminal.say(f"{path}: {path.stat().st_size / 1e6:,.1f} MB")
