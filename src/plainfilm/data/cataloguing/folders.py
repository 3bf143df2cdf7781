"""What lies in a folder of images: radiographs by their names, tables, masks and the rest. Follows no linked folder."""

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from plainfilm.errors import CatalogError, Problem

IMAGE_EXTENSIONS = frozenset({
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif"),
    *(".dcm", ".dicom", ".dic"),
})  # fmt: skip
TABLE_NAMES = ("metadata.csv", "metadata.jsonl")

_DICOM_EXTENSIONS = {".dcm", ".dicom", ".dic"}
_MASK_FOLDER = re.compile(r"(.*[\s_.-])?(left|right|manual|lungs?|infection)?(masks?|segmentations?|segs?)")
_MASK_STEM = re.compile(r".*[\s_-](masks?|segs?|segmentations?)")
_SYSTEM_NAMES = {"__macosx", "thumbs.db", "desktop.ini", "dicomdir"}


@dataclass(slots=True)
class Contents:
    """What was found below a folder; all names are posix paths relative to it, sorted.

    `images` are radiographs by their name, `dicom` those of them that begin as DICOM files do, `masks` images that are
    segmentations, `tables` the `metadata` tables, `others` counts what is neither, by extension.
    """

    images: list[str] = field(default_factory=list)
    dicom: set[str] = field(default_factory=set)
    masks: set[str] = field(default_factory=set)
    tables: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)


def survey(folder: Path) -> Contents:
    """List a folder and all below it.

    Radiographs are known by extension; a file without one (or with digits for one, as in a DICOM UID) is taken when it
    bears the DICOM preamble (PS3.10 section 7.1). Hidden files, `__MACOSX`, `Thumbs.db`, `desktop.ini` and `DICOMDIR`
    are passed over. A linked folder is not entered, so that a loop cannot hang; a linked file is a file.

    Raises
    ------
    CatalogError
        The folder itself may not be listed. A folder below it that may not becomes a problem.
    """
    found = Contents()

    def refused(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise CatalogError(
                f"Expected a folder that can be listed; received {folder} ({error.strerror}). Check its permissions."
            ) from error
        below = _name(Path(error.filename), folder)
        found.problems.append(Problem(below, "no-permission", f"The folder cannot be listed ({error.strerror})."))

    for where, below, files in os.walk(folder, onerror=refused, followlinks=False):
        here = Path(where)
        _note_links(found, here, below, folder)
        below[:] = sorted(name for name in below if not _is_passed_over(name))
        for name in files:
            if not _is_passed_over(name):
                _sort(found, here / name, _name(here / name, folder))
    found.images.sort(key=natural)
    found.tables.sort()
    return found


def natural(name: str) -> tuple[str, ...]:
    """Sort key that puts the files of a folder together, in the order of their names."""
    return PurePosixPath(name).parts


def is_mask(name: str) -> bool:
    """Whether a relative path names a segmentation: by a folder such as `masks`, or a stem that ends in `_mask`."""
    path = PurePosixPath(name.lower())
    return any(_MASK_FOLDER.fullmatch(part) for part in path.parent.parts) or bool(_MASK_STEM.fullmatch(path.stem))


def has_preamble(path: Path) -> bool:
    """Whether a file begins as DICOM files do: 128 bytes of anything, then DICM."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def _note_links(found: Contents, here: Path, below: list[str], folder: Path) -> None:
    found.problems.extend(
        Problem(
            _name(here / name, folder),
            "linked-folder",
            "The folder is a link and was not entered; name its target as a SOURCE.",
        )
        for name in sorted(below)
        if (here / name).is_symlink() and not _is_passed_over(name)
    )


def _sort(found: Contents, path: Path, name: str) -> None:
    extension = path.suffix.lower()
    if path.name.lower() in TABLE_NAMES:
        found.tables.append(name)
        return
    could_be_dicom = extension in _DICOM_EXTENSIONS or not extension or extension[1:].isdigit()
    is_dicom = could_be_dicom and path.is_file() and has_preamble(path)
    if not is_dicom and extension not in IMAGE_EXTENSIONS:
        found.others[extension or "without extension"] += 1
    elif is_mask(name):
        found.masks.add(name)
    else:
        found.images.append(name)
        if is_dicom:
            found.dicom.add(name)
