"""One SOURCE folder -> its radiographs, with what its folders, its `metadata` tables and DICOM headers say of them."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from plainfilm.data.cataloguing import folders, headers
from plainfilm.data.cataloguing.entry import (
    SPLITS,
    Entry,
    is_ieee8023,
    label_of,
    require,
    trimmed,
    with_row,
)
from plainfilm.data.cataloguing.names import Names, leads_outside, tidy
from plainfilm.data.cataloguing.tables import Table, TableRow, read_table
from plainfilm.errors import CatalogError, Problem

_NO_CLASS = re.compile(r"(images?|imgs?|files?|data|dicoms?|dcm|radiographs?|x-?rays?|pngs?|jpe?gs?)([\s_-]?\d+)?")
_RADIOGRAPHY = {"xray", "cr", "dx", "dr", "rg", "cxr", "radiograph", "radiography"}


@dataclass(slots=True)
class Collection:
    """A SOURCE folder while a catalog is made of it; only this module and the catalog change it.

    `images` are entries by their path below `root`; `identifiers` what DICOM headers say of some of them; `prefix`
    stands before each `file`; `layouts` keeps the layouts met, in order.
    """

    root: Path
    name: str
    prefix: str = ""
    images: dict[str, Entry] = field(default_factory=dict)
    identifiers: dict[str, dict[str, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    layouts: dict[str, None] = field(default_factory=dict)

    def note(self, code: str, sentence: str, *, file: str = "", fatal: bool = True) -> None:
        """Add a problem of one file, or of the whole folder."""
        self.problems.append(Problem(self.prefix + printable(file) if file else self.name, code, sentence, fatal))


@dataclass(slots=True)
class _Reading:
    """A `metadata` table while it is applied to the images below its folder.

    `where` is that folder below SOURCE, "" or ending in /; `own` the images that it alone speaks of, `listed` those
    that it lists, `left_out` those that it lists but that stay out.
    """

    table: Table
    where: str
    own: set[str]
    names: Names
    listed: dict[str, TableRow] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    modalities: Counter[str] = field(default_factory=Counter)


def read_collection(root: Path, *, name: str, prefix: str = "") -> Collection:
    """List the radiographs below a folder.

    The label of an image is the first folder above it, below `root`, that is neither a split nor a plain word such as
    `images`. A `metadata` table speaks for all images below its folder, unless a deeper one does; what it does not list
    is left out. Masks are set aside in every layout.

    Raises
    ------
    CatalogError
        There is nothing to list, or a table cannot be meant.
    """
    collection = Collection(root, name, prefix)
    found = folders.survey(root)
    collection.problems += [replace(problem, file=prefix + problem.file) for problem in found.problems]
    _check_contents(root, found)
    _list_images(collection, found)
    _apply_tables(collection, found)
    if found.masks:
        collection.note("mask", f"{counted(len(found.masks), 'segmentation mask')} set aside: a mask is no radiograph.")
    if found.others:
        collection.note("not-an-image", f"{counted(found.others.total(), 'file')} passed over: {_kinds(found.others)}.")
    return collection


def counted(number: int, noun: str) -> str:
    """Give `1 image` or `1,234 images`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def printable(name: str) -> str:
    """Give a path, even one that is no UTF-8, as text that can be written anywhere; most stay the same object."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return name if name == text else text


def _kinds(extensions: Counter[str]) -> str:
    return ", ".join(f"{extension} {number}" for extension, number in extensions.most_common(4))


def _check_contents(root: Path, found: folders.Contents) -> None:
    if found.images or (found.tables and found.others):
        return
    received = "an empty folder"
    if found.masks:
        received = f"nothing but {counted(len(found.masks), 'segmentation mask')}"
    elif found.others or found.tables:
        received = f"other files alone ({_kinds(found.others) or found.tables[0]})"
    elif found.problems:
        received = f"folders that were not entered ({found.problems[0].file}: {found.problems[0].code})"
    raise CatalogError(
        f"Expected JPEG, PNG, TIFF, WebP, BMP, GIF or DICOM images in {root}; received {received}. "
        "Name the folder that holds the images."
    )


def _list_images(collection: Collection, found: folders.Contents) -> None:
    wrapper = _wrapper(found.images)
    dicom = sorted(found.dicom)
    read = headers.read_headers([collection.root / name for name in dicom])
    collection.identifiers = dict(zip(dicom, read, strict=True))
    for name in found.images:
        label, split = _from_folders(name.removeprefix(wrapper))
        collection.images[name] = replace(_entry(collection, name), label=label, split=split)
        if not found.tables:
            layout = "dicom" if name in found.dicom else "splits" if split else "classes" if label else "flat"
            collection.layouts[layout] = None


def _entry(collection: Collection, name: str) -> Entry:
    header = collection.identifiers.get(name, {})
    return Entry(
        root=collection.root,
        name=name,
        file=collection.prefix + printable(name),
        label=None,
        patient=header.get("patient_id"),
        source=header.get("source", collection.name),
        split=None,
        details={key: header[key] for key in ("view", "sex", "age", "manufacturer") if key in header},
    )


def _wrapper(names: Sequence[str]) -> str:
    """Folder around all images that holds split folders, as archives have one; "" where there is none."""
    tops = {name.split("/", 1)[0] for name in names}
    below = {"/".join(name.split("/")[1:-1]).split("/")[0].lower() for name in names}
    return f"{tops.pop()}/" if len(tops) == 1 and below <= set(SPLITS) else ""


def _from_folders(name: str) -> tuple[str | None, str | None]:
    """Label and split that the folders of a path name."""
    parts = PurePosixPath(name).parts[:-1]
    split = SPLITS.get(parts[0].strip().lower()) if parts else None
    named = [part for part in parts[1 if split else 0 :] if not _NO_CLASS.fullmatch(part.strip().lower())]
    return (trimmed(printable(named[0])) if named else None), split


def _apply_tables(collection: Collection, found: folders.Contents) -> None:
    """Apply the deepest table first; what one speaks of is no more another's."""
    spoken_of: set[str] = set()
    done: set[str] = set()
    for name in sorted(found.tables, key=lambda table: (-table.count("/"), table)):
        where = name[: name.rfind("/") + 1]
        if where in done:
            collection.note("second-table", "A folder has one table; this one was not read.", file=name, fatal=False)
            continue
        done.add(where)
        own = {image for image in collection.images if image.startswith(where)} - spoken_of
        if where and not own:  # a table of something else
            continue
        table = read_table(collection.root / name)
        require(table, "file_name")
        others = {image.removeprefix(where) for image in found.masks | spoken_of if image.startswith(where)}
        names = Names(((image.removeprefix(where), image) for image in own), others)
        reading = _Reading(table, where, own, names)
        for row in table.rows:
            _read_row(collection, reading, row, skip=found.masks | spoken_of)
        _finish(collection, reading)
        spoken_of |= own | set(reading.listed)


def _read_row(collection: Collection, reading: _Reading, row: TableRow, *, skip: set[str]) -> None:
    name = _file_of(collection, reading, row)
    if name is None or name in skip:
        return
    modality = row.get("modality")
    if modality and re.sub(r"[^a-z]", "", modality.lower()) not in _RADIOGRAPHY:
        reading.modalities[modality] += 1
        reading.left_out.add(name)
        return
    if name not in reading.own and not (collection.root / name).is_file():
        collection.note("missing-file", f"Line {row.line} of {reading.table.path.name} lists it.", file=name)
        return
    if name not in reading.listed:
        reading.listed[name] = row
        return
    first = reading.listed[name]
    lines = f"lines {first.line} and {row.line} of {reading.table.path.name}"
    if label_of(reading.table, first) == label_of(reading.table, row):
        collection.note("duplicate-row", f"Listed twice, in {lines}; the first counts.", file=name, fatal=False)
    elif name not in reading.left_out:
        collection.note("two-labels", f"Listed under two labels, in {lines}; left out.", file=name)
        reading.left_out.add(name)


def _file_of(collection: Collection, reading: _Reading, row: TableRow) -> str | None:
    """Path below SOURCE that a row names, whether it is there or not; None, and a problem, where it names none."""
    written = row.get("file_name")
    if not written:
        collection.note("no-file-name", f"Line {row.line} of {reading.table.path.name} names no file.")
        return None
    name = tidy(written)
    in_folder = tidy(f"{row.get('folder')}/{name}") if row.get("folder") and not leads_outside(name) else name
    if leads_outside(in_folder):
        sentence = f"Line {row.line} of {reading.table.path.name} leads outside the folder; not followed."
        collection.problems.append(Problem(written, "outside-folder", sentence))
        return None
    found = reading.names.find(in_folder, reading.table, row) or reading.names.find(name, reading.table, row)
    return found or reading.where + in_folder


def _finish(collection: Collection, reading: _Reading) -> None:
    """Put what the table says into the entries, and leave out what it does not list."""
    table = reading.table
    if not (reading.listed or reading.left_out) and (reading.own or not collection.images):
        raise CatalogError(
            f"Expected the files that {table.path} lists below its folder; received {reading.names.explain(table)}. "
            "Write file_name relative to that folder."
        )
    for name, row in reading.listed.items():
        collection.images[name] = with_row(collection.images.get(name) or _entry(collection, name), table, row)
    unlisted = sorted(reading.own - set(reading.listed) - reading.left_out)
    if unlisted:
        sentence = f"{counted(len(unlisted), 'image')} not in {table.path.name}, such as {printable(unlisted[0])}."
        collection.note("not-in-table", sentence)
    if reading.modalities:
        sentence = f"{counted(reading.modalities.total(), 'row')} of another modality ({_kinds(reading.modalities)})."
        collection.note("other-modality", sentence)
    for name in {*unlisted, *reading.left_out}:
        collection.images.pop(name, None)
    collection.images = {name: collection.images[name] for name in sorted(collection.images, key=folders.natural)}
    collection.layouts["ieee8023" if is_ieee8023(table) else "table"] = None
