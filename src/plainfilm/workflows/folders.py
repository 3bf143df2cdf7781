"""The folder that a verb makes: whole, or as it was before, and kept from other commands from the start."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from plainfilm.data.files import reserved


@contextlib.contextmanager
def new_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a folder to fill that becomes `folder` when it is whole; an old one is there until then."""
    with reserved(folder, overwrite=overwrite) as (partial,):
        partial.mkdir()
        yield partial
