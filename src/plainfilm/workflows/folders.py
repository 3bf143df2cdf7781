"""The folder that a verb makes: whole, or as it was before."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from plainfilm.data.files import written_whole


@contextlib.contextmanager
def new_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a folder to fill that becomes `folder` when it is whole; an old one is put aside first and removed last."""
    aside = folder.with_name(f".{folder.name}.old")
    with written_whole(folder) as partial:
        partial.mkdir()
        yield partial
        if overwrite and folder.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
            folder.replace(aside)
    shutil.rmtree(aside, ignore_errors=True)
