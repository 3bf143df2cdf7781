"""One SOURCE -> its radiographs, with what its folders, its `metadata` tables and DICOM headers say of them."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from plainfilm.data.cataloguing import folders, headers
from plainfilm.data.cataloguing.asked import Asked
from plainfilm.data.cataloguing.entry import (
    Entry,
    counted,
    is_ieee8023,
    printable,
    require,
    trimmed,
    with_row,
)
from plainfilm.data.cataloguing.label_patterns import labels_in
from plainfilm.data.cataloguing.labelling import Labelling, finding_asked_for, labelling_of
from plainfilm.data.cataloguing.level_names import split_of
from plainfilm.data.cataloguing.levels import Layout, Said, read_levels
from plainfilm.data.cataloguing.names import Names, leads_outside, tidy
from plainfilm.data.decoding.modalities import is_radiography, named_modality
from plainfilm.data.places.place import Archived, Place
from plainfilm.data.spelling import shortened
from plainfilm.data.tables.findings import PRESENT, class_by
from plainfilm.data.tables.reading import Table, TableRow, read_table
from plainfilm.errors import CatalogError, Problem
from plainfilm.results.task import Task, combination

_FROM_HEADER = ("view", "sex", "age", "manufacturer", "modality")
_NOTHING: Mapping[str, str] = {}


@dataclass(slots=True)
class Collection:
    """A SOURCE while a catalog is made of it; only this module and the catalog change it.

    `images` are entries by their path below the place; `identifiers` what DICOM headers say of some of them; `prefix`
    stands before each `file`; `layouts` keeps the layouts met, in order; `findings` names those of the entries, and of the
    `task` "findings" each is told by itself; `masks` are what was set aside; `advice` says what a table lacks to give labels.
    """

    place: Place
    name: str
    prefix: str = ""
    images: dict[str, Entry] = field(default_factory=dict)
    identifiers: dict[str, dict[str, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    layouts: dict[str, None] = field(default_factory=dict)
    layout: Layout = field(default_factory=lambda: Layout({}, {}))
    more_tables: list[str] = field(default_factory=list)
    findings: tuple[str, ...] = ()
    task: Task = "classes"
    masks: set[str] = field(default_factory=set)
    advice: list[str] = field(default_factory=list)

    def take(self, labelling: Labelling) -> None:
        """Name the findings that a table speaks of."""
        self.findings = labelling.names or self.findings
        self.task = "findings" if labelling.task == "findings" else self.task

    def note(self, code: str, sentence: str, *, file: str = "", fatal: bool = True) -> None:
        """Add a problem of one file, or of the whole SOURCE."""
        self.problems.append(Problem(self.prefix + printable(file) if file else self.name, code, sentence, fatal))


@dataclass(slots=True)
class _Reading:
    """A `metadata` table while it is applied to the images below its folder.

    `where` is that folder below SOURCE, "" or ending in /; `own` the images that it alone speaks of, `listed` the rows of
    those that it lists, `left_out` those that it lists but that stay out.
    """

    table: Table
    where: str
    own: set[str]
    names: Names
    listed: dict[str, list[TableRow]] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    modalities: Counter[str] = field(default_factory=Counter)


def read_collection(
    place: Place, asked: Asked, *, name: str, prefix: str = "", seen: Callable[[str], None] = lambda _: None
) -> Collection:
    """List the radiographs of a SOURCE; `seen` is called with the name of each file as it is met.

    Folders mean what `levels.read_levels` says. A `metadata` table speaks for all images below its folder, unless a
    deeper one does; what it does not list is left out. Masks are set aside in every layout.

    Raises
    ------
    CatalogError
        There is nothing to list, or a table cannot be meant.
    """
    collection = Collection(place, name, prefix)
    found = folders.survey(place, seen, labels=asked.labels)
    collection.problems += [replace(problem, file=prefix + printable(problem.file)) for problem in found.problems]
    collection.more_tables, collection.masks = found.more_tables, found.masks
    _check_contents(place, found)
    _list_images(collection, found, asked)
    _apply_tables(collection, found, asked)
    _apply_lists(collection, found, asked)
    _apply_arrays(collection, asked)
    if found.masks:
        first = printable(min(found.masks))
        collection.note("mask", f"{counted(len(found.masks), 'segmentation mask')} set aside, such as {first}.")
    if found.others:
        told = printable(replace(found, masks=set()).passed_over())
        collection.note("not-an-image", f"{counted(found.others.total(), 'file')} passed over: {told}.")
    return collection


def _kinds(extensions: Counter[str]) -> str:
    return ", ".join(f"{extension} {number}" for extension, number in extensions.most_common(4))


def _check_contents(place: Place, found: folders.Contents) -> None:
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
        f"Expected JPEG, PNG, TIFF, WebP, BMP, GIF, JPEG 2000 or DICOM images in {place.root}; received {received}. "
        "Name the folder that holds the images."
    )


# Folders and headers


def _list_images(collection: Collection, found: folders.Contents, asked: Asked) -> None:
    counts = Counter(map(_folder_of, found.images))
    collection.layout = read_levels(counts, layout=asked.layout, classes_from=asked.classes_from)
    said = {folder: _of_collection(collection, each) for folder, each in collection.layout.said.items()}
    dicom = sorted(found.dicom, key=collection.place.order)
    read = headers.read_headers(collection.place, dicom)
    collection.identifiers = dict(zip(dicom, read, strict=True))
    in_names = labels_in(found.images, asked.label_pattern) if asked.label_pattern is not None else {}
    for name in found.images:
        entry = _entry(collection, name, said[_folder_of(name)])
        if asked.label_pattern is not None:
            entry = replace(entry, label=in_names[name])
        collection.images[name] = entry
        if not found.tables:
            layout = (
                "dicom" if name in found.dicom else "splits" if entry.split else "classes" if entry.label else "flat"
            )
            collection.layouts[layout] = None


def _of_collection(collection: Collection, said: Said) -> Said:
    """What folders say, as text that can be written anywhere; the SOURCE itself is the source where they name none."""
    source = said.source and (f"{collection.name}/{said.source}" if collection.prefix else said.source)
    label = said.label and trimmed(printable(said.label))
    return replace(said, label=label or None, source=printable(source) if source else collection.name)


def _entry(collection: Collection, name: str, said: Said) -> Entry:
    header = collection.identifiers.get(name, _NOTHING)
    return Entry(
        place=collection.place,
        name=name,
        file=collection.prefix + printable(name) if collection.prefix else printable(name),
        label=said.label,
        patient=header.get("patient_id") or said.patient,
        source=header.get("source") or said.source or collection.name,
        split=said.split,
        details={key: header[key] for key in _FROM_HEADER if key in header} if header else _NOTHING,
        issuer=header.get("issuer", "") if header.get("patient_id") else "",
        of_folder=said.patient,
    )


# Tables


def _apply_tables(collection: Collection, found: folders.Contents, asked: Asked) -> None:
    """Apply the deepest table first; what one speaks of is no more another's."""
    passed = set(found.masks)
    below = _Below(map(_folder_of, found.tables), [*collection.images, *found.masks])
    done: set[str] = set()
    for name in sorted(found.tables, key=lambda table: (-table.count("/"), table)):
        where = _folder_of(name)
        if where in done:
            collection.note("second-table", "A folder has one table; this one was not read.", file=name, fatal=False)
            continue
        done.add(where)
        own = {image for image in below.names[where] if image in collection.images and image not in passed}
        if where and not own:  # a table of something else
            continue
        with collection.place.on_disk(name) as path:
            table = read_table(path, columns=asked.columns if asked.labels is None else None)
        table = replace(table, path=collection.place.root / name)
        if not _speaks_of_files(collection, table, name):
            continue
        others = {image.removeprefix(where) for image in below.names[where] if image in passed}
        names = Names(((image.removeprefix(where), image) for image in own), others)
        reading = _Reading(table, where, own, names)
        for row in table.rows:
            _read_row(collection, reading, row, skip=passed)
        _finish(collection, reading, asked)
        below.add(reading.listed.keys() - own - passed)
        passed |= own | reading.listed.keys()
    if collection.layouts:  # tables were applied
        collection.images = {
            name: collection.images[name] for name in sorted(collection.images, key=collection.place.order)
        }


def _folder_of(name: str) -> str:
    """Folder of a file below SOURCE, "" or ending in /."""
    return name[: name.rfind("/") + 1]


class _Below:
    """Names of files in and below each of some folders, so that not every table looks through all of them."""

    def __init__(self, wanted: Iterable[str], names: Iterable[str]) -> None:
        self.names: dict[str, list[str]] = {folder: [] for folder in wanted}
        self.add(names)

    def add(self, names: Iterable[str]) -> None:
        """Take further names."""
        for name in names:
            above = _folder_of(name)
            while above:
                if above in self.names:
                    self.names[above].append(name)
                above = _folder_of(above[:-1])
            if "" in self.names:
                self.names[""].append(name)


def _speaks_of_files(collection: Collection, table: Table, name: str) -> bool:
    if table.is_about_files:
        return True
    if "label" in table.named or table.finding_columns:
        require(table, "file_name")
    collection.note(
        "other-table",
        f"Has no column that names files (received {table.shown_headers()}); it was not read.",
        file=name,
        fatal=False,
    )
    collection.advice.append(
        f"{table.path.name} has no column that names files; received {table.shown_headers()}. Name it with --file-column."
    )
    return False


def _read_row(collection: Collection, reading: _Reading, row: TableRow, *, skip: set[str]) -> None:
    name = _file_of(collection, reading, row)
    if name is None or name in skip:
        return
    modality = row.get("modality")
    if modality and not is_radiography(modality):
        reading.modalities[named_modality(modality)] += 1
        reading.left_out.add(name)
        return
    if name not in reading.own and collection.place.size(name) < 0:
        collection.note("missing-file", f"Line {row.line} of {reading.table.path.name} lists it.", file=name)
        return
    reading.listed.setdefault(name, []).append(row)


def _file_of(collection: Collection, reading: _Reading, row: TableRow) -> str | None:
    """Path below SOURCE that a row names, whether it is there or not; None, and a problem, where it names none."""
    written = row.get("file_name")
    if not written:
        collection.note("no-file-name", f"Line {row.line} of {reading.table.path.name} names no file.")
        return None
    name = tidy(written)
    in_folder = tidy(f"{row.get('folder')}/{name}") if row.get("folder") and not leads_outside(name) else name
    found = reading.names.find(in_folder, reading.table, row) or reading.names.find(name, reading.table, row)
    if found is None and leads_outside(in_folder):
        sentence = f"Line {row.line} of {reading.table.path.name} leads outside the folder; not followed."
        collection.problems.append(Problem(written, "outside-folder", sentence))
        return None
    return found or reading.where + in_folder


def _finish(collection: Collection, reading: _Reading, asked: Asked) -> None:
    """Put what the table says into the entries, and leave out what it does not list."""
    table = reading.table
    if not (reading.listed or reading.left_out) and (reading.own or not collection.images):
        raise CatalogError(
            f"Expected the files that {table.path} lists below its folder; received {reading.names.explain(table)}. "
            "Write file_name relative to that folder."
        )
    if _leaves_labels(collection, reading, asked):
        labelling = Labelling(table, speaks=False)
    else:
        labelling = labelling_of(table, reading.listed, asked.label_of, asked.task)
    collection.take(labelling)
    if not labelling.speaks:
        collection.advice.append(
            f"{table.path.name} has no column of labels; received {table.shown_headers()}. Name it with --label-column."
        )
    collection.problems += table_remarks(collection.prefix + reading.where + printable(table.path.name), table)
    for name, rows in reading.listed.items():
        entry = collection.images.get(name) or _entry(collection, name, Said())
        laid = laid_over(collection, entry, rows, labelling)
        if laid is None or name in reading.left_out:
            reading.left_out.add(name)
        else:
            collection.images[name] = laid
    unlisted = sorted(reading.own - set(reading.listed) - reading.left_out)
    if unlisted:
        sentence = f"{counted(len(unlisted), 'image')} not in {table.path.name}, such as {printable(unlisted[0])}."
        collection.note("not-in-table", sentence)
    if reading.modalities:
        sentence = f"{counted(reading.modalities.total(), 'row')} of another modality ({_kinds(reading.modalities)})."
        collection.note("other-modality", sentence)
    for name in {*unlisted, *reading.left_out}:
        collection.images.pop(name, None)
    collection.layouts["ieee8023" if is_ieee8023(table) else "table"] = None


def _leaves_labels(collection: Collection, reading: _Reading, asked: Asked) -> bool:
    """Whether folders keep their labels, since nothing but columns that may mean something else speaks of labels."""
    table = reading.table
    is_sure = "label" in table.named and ("label" not in table.weak or "label" in asked.columns)
    may_be = [table.named["label"]] if "label" in table.named else list(table.finding_columns)
    have_labels = any(collection.images[name].label for name in reading.own)
    if is_sure or asked.label_of is not None or not may_be or not have_labels:
        return False
    collection.note(
        "labels-of-folders",
        f"The classes are those of the folders; {table.path.name} has {shortened(may_be)} too. To take labels from there, "
        "name the column with --label-column, or a finding with --label-of.",
        fatal=False,
    )
    return True


def table_remarks(file: str, table: Table) -> list[Problem]:
    """What a table's reader has to say of it."""
    return [Problem(file, "table", remark, fatal=False) for remark in table.remarks]


def laid_over(collection: Collection, entry: Entry, rows: Sequence[TableRow], labelling: Labelling) -> Entry | None:
    """Lay the rows of one image over its entry; None, and a problem, where they give it two labels."""
    table = labelling.table
    labels = labelling.labels(rows)
    lines = " and ".join(str(row.line) for row in rows[:2])
    if len(labels) > 1:
        sentence = f"Listed under two labels, in lines {lines} of {table.path.name}; left out."
        collection.problems.append(Problem(entry.file, "two-labels", sentence))
        return None
    if len(rows) > 1 and not labelling.names:
        sentence = f"Listed twice, in lines {lines} of {table.path.name}; the first counts."
        collection.problems.append(Problem(entry.file, "duplicate-row", sentence, fatal=False))
    if finding := labelling.contradicted(rows):
        sentence = f"Lines {lines} of {table.path.name} do not agree whether it has {finding}; present counts."
        collection.problems.append(Problem(entry.file, "rows-differ", sentence, fatal=False))
    laid = _of_all_rows(collection, with_row(entry, table, rows[0]), rows)
    if labelling.columns and labelling.names:
        kept = {name: text for name, text in laid.details.items() if name not in table.finding_columns}
        laid = replace(laid, details=kept)
    if not labelling.speaks:
        return laid
    return replace(laid, label=next(iter(labels), None), findings=labelling.findings(rows))


def _of_all_rows(collection: Collection, entry: Entry, rows: Sequence[TableRow]) -> Entry:
    """Add what further rows of an image say of its patient, and the part that keeps it out of training where they differ."""
    ids = {row.get("patient_id") for row in rows[1:]} - {"", entry.patient}
    parts = {split_of(row.get("split")) for row in rows if row.get("split")} - {None}
    if len(parts) > 1:
        entry = replace(entry, split=_safest(collection, entry, parts))
    return replace(entry, other_ids=(*entry.other_ids, *sorted(ids))) if ids else entry


def _safest(collection: Collection, entry: Entry, parts: Iterable[str | None]) -> str:
    """Of several parts that an image is given, test before validation before train."""
    chosen = min((part for part in parts if part), key=("test", "validation", "train").index)
    sentence = f"Stands in several parts of the given split; taken for {chosen}."
    collection.problems.append(Problem(entry.file, "two-splits", sentence, fatal=False))
    return chosen


# What an archive itself says of its images


def _apply_arrays(collection: Collection, asked: Asked) -> None:
    """Take labels, parts of the split and findings that come with MedMNIST's arrays."""
    archive = collection.place.archive if isinstance(collection.place, Archived) else None
    if archive is None or not archive.splits:
        return
    names = tuple(next(iter(archive.findings.values()), {}))
    is_asked = names and asked.label_of is not None
    finding = finding_asked_for(asked.label_of, names, str(collection.place.root)) if is_asked else None
    collection.findings = tuple(sorted(names))
    if names and finding is None:
        collection.task = asked.task or "findings"
    for name, entry in collection.images.items():
        states = archive.findings.get(name, {})
        label = archive.labels.get(name) if finding is None else class_by(finding, states[finding])
        if names and finding is None:
            label = combination(each for each in collection.findings if states[each] == PRESENT)
        collection.images[name] = replace(
            entry,
            label=label,
            split=archive.splits[name],
            findings=bytes(states[each] for each in collection.findings),
        )
    collection.layouts = {"arrays": None}


# Lists of the parts of a split


def _apply_lists(collection: Collection, found: folders.Contents, asked: Asked) -> None:
    """Take the split from text files such as `test_list.txt`, a file name a line."""
    lists = [name for name in found.lists if asked.preset is None or not asked.preset.reads(name)]
    if not lists:
        return
    by_name: dict[str, list[str]] = defaultdict(list)
    by_end: dict[str, str] = {}
    for name in collection.images:
        by_name[PurePosixPath(name).name].append(name)
        by_name[PurePosixPath(name).stem].append(name)
        for place in [0, *(slash.end() for slash in re.finditer("/", name))]:
            by_end.setdefault(name[place:], name)
    said: dict[str, set[str | None]] = defaultdict(set)
    for listed in lists:
        split = split_of(listed.rpartition("/")[2].removesuffix(".txt").replace("list", ""))
        lines = [line.strip() for line in collection.place.text(listed).splitlines() if line.strip()]
        hits = [hit for line in lines for hit in _listed(line, by_name, by_end)]
        if 2 * len(hits) < len(lines) or not hits:
            collection.note(
                "other-list", "Does not list the images of SOURCE; it was not read.", file=listed, fatal=False
            )
            continue
        if lost := len(lines) - len(hits):
            sentence = f"{counted(lost, 'line')} of {len(lines):,} fit no image."
            collection.note("missing-file", sentence, file=listed, fatal=False)
        for name in hits:
            said[name].add(split)
        collection.layouts["lists"] = None
    for name, parts in said.items():
        entry = collection.images[name]
        split = next(iter(parts)) if len(parts) == 1 else _safest(collection, entry, parts)
        collection.images[name] = replace(entry, split=split)


def _listed(line: str, by_name: Mapping[str, Sequence[str]], by_end: Mapping[str, str]) -> Sequence[str]:
    """Image that a line names by its path or name; of several the first whose path ends so."""
    written = tidy(line)
    found = by_name.get(PurePosixPath(written).name, ())
    return found if len(found) == 1 else [by_end[written]] if found and written in by_end else []
