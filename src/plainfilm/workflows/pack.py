"""`plainfilm pack`: a store with shards becomes one file."""

import contextlib
import shutil
from pathlib import Path

from plainfilm.data import store_writer
from plainfilm.data.files import followed
from plainfilm.data.store import Columns, Store
from plainfilm.data.store_columns import COLUMNS, GROUPS
from plainfilm.errors import StoreError, UsageError
from plainfilm.reasons import reason_of
from plainfilm.workflows.ingest import check_name, check_new
from plainfilm.workflows.progress import Progress, silent

_AT_ONCE = 64


def pack(store: str | Path, out: str | Path, *, overwrite: bool = False, progress: Progress = silent) -> Path:
    """Write a store with its shards as one HDF5 file, with the same rows, columns and fingerprint; its log of openings goes along.

    Parameters
    ----------
    store
        NAME.h5, with the folder NAME.h5.shards beside it.
    out
        The file to write, NAME.h5.
    overwrite
        Replace a store of that name.
    progress
        Called with stage, steps done, all steps and a note.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    UsageError
        `out` is there and `overwrite` is False, or is the store itself, or no name of a store.
    StoreError
        The store is not whole, or `out` cannot be written.
    """
    path = followed(out)
    check_name(path)
    if path.resolve() == Path(store).resolve():
        raise UsageError(f"Expected another --out than the store itself; received {path}. Name a new file.")
    check_new(path, overwrite=overwrite)
    with Store(store) as opened, store_writer.create(path, size=opened.size, expected=len(opened)) as writer:
        done = 0
        progress("Packing", done, len(opened), "")
        for images in opened.batches(_AT_ONCE):
            writer.append(images)
            done += len(images)
            progress("Packing", done, len(opened), "")
        columns = {name: getattr(opened, name) for name in (*COLUMNS, *GROUPS)}
        writer.finish(Columns(classes=opened.classes, **columns), attributes=opened.attributes)
        log = opened.log_path
    try:
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(log, path.with_name(f"{path.name}.log"))
    except OSError as error:
        raise StoreError(
            f"Expected to copy {log}, which counts the openings of the test set, beside {path}; received: {reason_of(error)}. The store itself is whole."
        ) from error
    return path
