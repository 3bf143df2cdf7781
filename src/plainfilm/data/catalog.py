"""Folders of radiographs, tables about them, DICOM trees -> one table: file, label, patient, source, split.

Lists and reads tables; decodes nothing. `listing` holds one entry, `collection` one SOURCE folder; here they are
joined, labelled from a table of the user's, and checked.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from plainfilm.data.cataloguing.asked import Asked
from plainfilm.data.cataloguing.collection import Collection, laid_over, read_collection, table_remarks
from plainfilm.data.cataloguing.entry import Entry, counted, require, trimmed
from plainfilm.data.cataloguing.folders import shortened
from plainfilm.data.cataloguing.labelling import Labelling, findings_named, labelling_of
from plainfilm.data.cataloguing.levels import ROLES
from plainfilm.data.cataloguing.names import Names, tidy
from plainfilm.data.cataloguing.presets import Preset, read_preset
from plainfilm.data.decoding.modalities import is_radiography
from plainfilm.data.places.archives import is_archive, open_archive
from plainfilm.data.places.place import Archived, Folder, Place
from plainfilm.data.spelling import did_you_mean, listed, spelling_key
from plainfilm.data.tables.findings import NOT_STATED
from plainfilm.data.tables.reading import Table, TableRow, read_table
from plainfilm.errors import CatalogError, Problem

__all__ = ["Asked", "Catalog", "Entry", "Level", "read_catalog", "spelling_key"]

_KEYS = ("file_name", "sop_instance_uid", "study_instance_uid", "accession_number", "patient_id")
_LAYOUTS = (
    "CLASS/*, train|validation|test/CLASS/*, CLASS/images/*, a metadata.csv or .jsonl with file_name and label, "
    "or a table given with --labels"
)
_KINDS = {"plain": "views or portions"}
_NAMES_SHOWN = 8
_FINDINGS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Level:
    """What the folders on one level, from 1, below a SOURCE were taken for: `role` is one of `levels.ROLES`.

    `names` are the first of them, and none of patients'; `folders` counts them, `images` the images below.
    """

    source: str
    level: int
    role: str
    names: tuple[str, ...]
    folders: int
    images: int


@dataclass(frozen=True, slots=True)
class Catalog:
    """All radiographs of the SOURCE folders, and what was left out or flagged.

    `layout` names the layouts found, joined by `+`: `classes`, `splits`, `table`, `ieee8023`, `lists`, `dicom`, `flat`.
    `levels` says what the folders were taken for; `findings` names those that entries have states of, sorted.
    """

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    layout: str
    levels: tuple[Level, ...] = ()
    findings: tuple[str, ...] = ()
    asked: Asked = field(default_factory=Asked)


def read_catalog(sources: Sequence[Path], asked: Asked | None = None, *, one_class_will_do: bool = False) -> Catalog:
    """List the radiographs of one SOURCE or several, with their labels.

    A label comes from the table of labels, else from the files' names where a pattern is given, else from a `metadata`
    table, else from the folders. Class names that differ only by case, spaces, hyphens or underscores are one class under
    the commoner spelling, with a problem `class-spelling`: joined collections spell by their own habits, and no two
    findings are told apart by a capital.

    Parameters
    ----------
    sources
        Folders, in any layout that `collection` knows. None may lie in another.
    asked
        What the user says of the files and tables. A table of labels has one of `file_name` (a path below a SOURCE, or a
        name that occurs once), `SOPInstanceUID`, `StudyInstanceUID`, `accession_number` or `patient_id`; other columns
        count too. An image that it does not list keeps its folder's label if any folder of that SOURCE bears the name of
        one of the table's labels, that is, if its folders are classes; otherwise it has none.
    one_class_will_do
        A single class is no error: for images that nothing is trained on.

    Returns
    -------
    Catalog
        Entries in the order of `sources`, then by path.

    Raises
    ------
    CatalogError
        Nothing to read, nothing labelled, one class only, most files no radiographs, or a table that cannot be meant.
    UsageError
        A layout or a level of classes that cannot be meant.
    """
    asked = asked or Asked()
    read = _collections(sources, asked)
    problems = [problem for collection in read for problem in collection.problems]
    if asked.labels is not None:
        problems += _lay_over(read, read_table(asked.labels, columns=asked.columns), asked)
    if asked.preset is not None:
        problems += _lay_preset_over(read, asked.preset, asked)
    findings = _join_findings(read)
    entries = [entry for collection in read for entry in collection.images.values()]
    _check_labelled(entries, sources, problems, read)
    problems += _check_modalities(entries, asked)
    entries, spelling = _one_spelling(entries)
    entries, others = _asked_only(entries, asked.classes)
    if not one_class_will_do:
        _check_classes(entries, sources)
    return Catalog(
        entries=tuple(entries),
        problems=(*problems, *spelling, *others, *_unlabelled(entries)),
        layout="+".join(dict.fromkeys(layout for collection in read for layout in collection.layouts)),
        levels=tuple(level for collection in read for level in _levels(collection)),
        findings=findings,
        asked=asked,
    )


def _levels(collection: Collection) -> Iterable[Level]:
    for role in ROLES:
        for level, names in sorted(collection.layout.levels.get(role, {}).items()):
            shown = () if role == "patient" else tuple(name for name, _ in names.most_common(_NAMES_SHOWN))
            yield Level(collection.name, level, role, tuple(sorted(shown)), len(names), names.total())


def _join_findings(collections: Sequence[Collection]) -> tuple[str, ...]:
    """Give all entries one list of findings: not stated where a SOURCE's table does not speak of one."""
    by_key = {spelling_key(name): name for collection in reversed(collections) for name in collection.findings}
    names = tuple(sorted(by_key.values()))
    for collection in collections:
        keys = [spelling_key(name) for name in collection.findings]
        if tuple(by_key[key] for key in keys) == names:
            continue
        places = [keys.index(spelling_key(name)) if spelling_key(name) in keys else None for name in names]
        for name, entry in collection.images.items():
            states = bytes(
                NOT_STATED & 0xFF if place is None or not entry.findings else entry.findings[place] for place in places
            )
            collection.images[name] = replace(entry, findings=states)
    return names


def _check_modalities(entries: Sequence[Entry], asked: Asked) -> list[Problem]:
    """Stop where the headers of most files name another modality than projection radiography."""
    found = Counter(modality for entry in entries if (modality := entry.details.get("modality", "")))
    others = Counter({name: number for name, number in found.items() if not is_radiography(name)})
    if 2 * others.total() <= len(entries) or asked.keep_others:
        return []
    kinds = ", ".join(f"{name} {number:,}" for name, number in others.most_common(3))
    raise CatalogError(
        f"Expected radiographs (CR, DX, DR, RG); received {others.total():,} of {counted(len(entries), 'file')} of another "
        f"modality ({kinds}). Name the folder of radiographs, or go on with --keep-non-radiographs."
    )


# SOURCES


def _collections(sources: Sequence[Path], asked: Asked) -> list[Collection]:
    if not sources:
        raise CatalogError("Expected at least one SOURCE folder; received none. Name the folder of your radiographs.")
    for source in sources:
        _check_source(source)
    real = [source.resolve() for source in sources]
    for i, one in enumerate(real):
        for other in real[:i]:
            if one == other or one in other.parents or other in one.parents:
                raise CatalogError(
                    f"Expected separate SOURCE folders; received {other} and {one}, which share images. Name one."
                )
    return [
        read_collection(
            _place(source),
            asked,
            name=asked.preset.title if asked.preset else _name_of(path),
            prefix=f"{name}/" if len(real) > 1 else "",
        )
        for source, path, name in zip(sources, real, _unique_names(real), strict=True)
    ]


def _name_of(path: Path) -> str:
    return (path.name if path.is_dir() else path.stem.removesuffix(".tar")) or "images"


def _place(source: Path) -> Place:
    return Folder(source) if source.is_dir() else Archived(open_archive(source), source)


def _check_source(source: Path) -> None:
    try:
        if source.is_dir() or is_archive(source):
            return
        is_there = source.exists()
    except OSError as error:
        raise CatalogError(
            f"Expected a folder of radiographs; received {source} ({error.strerror}). Check its name and permissions."
        ) from error
    if is_there:
        raise CatalogError(
            f"Expected a folder of radiographs, or a zip or tar of one; received the file {source}. Name the folder that holds it."
        )
    meant = did_you_mean(source.name, _beside(source))
    raise CatalogError(
        f"Expected a folder of radiographs; received {source}, which does not exist. {meant}Check the path."
    )


def _beside(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return []


def _unique_names(paths: Sequence[Path]) -> list[str]:
    """Shortest ends of the paths, all of the same depth, no two alike."""
    names: list[str] = []
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]).strip("/") for path in paths]
        if len(set(names)) == len(names):
            break
    return names


# The table of labels


def _lay_over(collections: Sequence[Collection], table: Table, asked: Asked) -> list[Problem]:
    """Lay a table of labels over all collections; gives what there is to say about it."""
    if not table.finding_columns:
        require(table, "label")
    return _lay_table_over(collections, table, asked)


def _lay_preset_over(collections: Sequence[Collection], preset: Preset, asked: Asked) -> list[Problem]:
    """Lay the table of a public data set over each collection, all of which are copies or parts of it."""
    problems = []
    for collection in collections:
        table = read_preset(preset, collection.place)
        if preset.several and asked.label_of is None:
            raise CatalogError(
                f"Expected --preset {preset.name} with --label-of and a finding, since {preset.title} names several an image, such as "
                f"{shortened(findings_named(table), _FINDINGS_SHOWN)}; received none. Add it."
            )
        found = _lay_table_over([collection], table, asked)
        problems += [problem for problem in found if problem.code != "duplicate-row"]  # a row a box or a reader
    return problems


def _lay_table_over(collections: Sequence[Collection], table: Table, asked: Asked) -> list[Problem]:
    require(table, *_KEYS)
    keys = [column for column in _KEYS if column in table.named]
    said, lost = next((found for key in keys if (found := _rows_of(collections, key, table))[0]), ({}, []))
    if not said:
        raise _fits_nothing(collections, table, keys)
    labelling = labelling_of(table, said, asked.label_of)
    problems = table_remarks(table.path.name, table)
    problems += [_lost(table, lost)] if lost else []
    for collection in collections:
        problems += _put(collection, said, labelling)
    return problems


def _fits_nothing(collections: Sequence[Collection], table: Table, keys: Sequence[str]) -> CatalogError:
    wanted = " or ".join(table.named[key] for key in keys)
    received, advice = f"no row of {len(table.rows)} that does", "See what the headers of the files say."
    if table.is_about_files:
        names = _names(collections)
        received, advice = names.explain(table), "Write paths below SOURCE, or bare names."
    return CatalogError(f"Expected {table.path} to name images of SOURCE by {wanted}; received {received}. {advice}")


def _rows_of(collections: Sequence[Collection], key: str, table: Table) -> tuple[dict[str, list[TableRow]], list[str]]:
    """Give the rows of each file that they name by one of `_KEYS`, and what to call the rows that fit none: by the file's name, never an id."""
    find = _finder(collections, key, table)
    said: dict[str, list[TableRow]] = defaultdict(list)
    lost = []
    for row in table.rows:
        files = find(row)
        for file in files:
            said[file].append(row)
        if not files:
            lost.append((key == "file_name" and row.get(key)) or f"line {row.line}")
    return said, lost


def _lost(table: Table, names: Sequence[str]) -> Problem:
    sentence = f"{counted(len(names), 'row')} of the table fit no image, such as {names[0]}."
    return Problem(table.path.name, "missing-file", sentence, fatal=False)


def _finder(collections: Sequence[Collection], key: str, table: Table) -> Callable[[TableRow], Sequence[str]]:
    """Give a function from a row to the files that it speaks of."""
    if key == "file_name":
        names = _names(collections)

        def by_name(row: TableRow) -> Sequence[str]:
            written = row.get(key)
            beside = tidy(f"{table.path.absolute().parent.as_posix()}/{written}")
            file = names.find(tidy(written), table, row) or names.find(beside, table, row) if written else None
            return [file] if file else []

        return by_name
    having: dict[str, list[str]] = defaultdict(list)
    for collection in collections:
        for name, entry in collection.images.items():
            value = collection.identifiers.get(name, {}).get(key) or (entry.patient if key == "patient_id" else None)
            if value:
                having[value].append(entry.file)
    return lambda row: having.get(row.get(key), [])


def _names(collections: Sequence[Collection]) -> Names:
    masks = {
        name
        for each in collections
        for mask in each.masks
        for name in (mask, each.prefix + mask, f"{each.name}/{mask}")
    }
    return Names((pair for collection in collections for pair in _names_of(collection)), masks)


def _names_of(collection: Collection) -> Iterable[tuple[str, str]]:
    for name, entry in collection.images.items():
        yield name, entry.file
        yield entry.file, entry.file
        yield f"{collection.name}/{name}", entry.file
        yield tidy(entry.path.absolute().as_posix()), entry.file
        start = name.find(f"/{entry.patient}/") + 1  # the folders above a patient's are often not those in the table
        if start:
            yield name[start:], entry.file


def _put(collection: Collection, said: dict[str, list[TableRow]], labelling: Labelling) -> list[Problem]:
    """Write what the rows of a table say into a collection, and what the table leaves open."""
    table = labelling.table
    known = {spelling_key(label) for rows in said.values() for label in labelling.labels(rows)}
    labels = {entry.label for entry in collection.images.values() if entry.label}
    folders_are_classes = any(spelling_key(label) in known for label in labels)
    before, unlisted, after = len(collection.problems), [], {}
    for name, entry in collection.images.items():
        rows = said.get(entry.file)
        if rows is None:
            unlisted.append(entry.file)
            after[name] = entry if folders_are_classes else replace(entry, label=None)
        elif (laid := laid_over(collection, entry, rows, labelling)) is not None:
            after[name] = laid
    collection.images = after
    collection.findings = labelling.names or collection.findings
    problems = collection.problems[before:]
    if unlisted:
        fate = "keeping the label of the folder" if folders_are_classes else "left without a label"
        sentence = f"{counted(len(unlisted), 'image')} not in {table.path.name}, such as {unlisted[0]}, {fate}."
        problems.append(Problem(collection.name, "not-in-table", sentence, fatal=False))
    return problems


# Classes


def _one_spelling(entries: Sequence[Entry]) -> tuple[list[Entry], list[Problem]]:
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for label, number in Counter(entry.label for entry in entries).items():
        if label is not None:
            spellings[spelling_key(label)][label] = number
    chosen = {key: min(found, key=lambda name: (-found[name], name)) for key, found in spellings.items()}
    problems = [
        Problem(
            chosen[key],
            "class-spelling",
            f"{listed(sorted(found))} are taken as one class, {chosen[key]}; rename one if they are two.",
            fatal=False,
        )
        for key, found in spellings.items()
        if len(found) > 1
    ]
    renamed = {name: chosen[key] for key, found in spellings.items() for name in found if name != chosen[key]}
    if renamed:
        entries = [replace(entry, label=renamed[entry.label]) if entry.label in renamed else entry for entry in entries]
    return list(entries), problems


def _asked_only(entries: Sequence[Entry], classes: Sequence[str] | None) -> tuple[list[Entry], list[Problem]]:
    if classes is None:
        return list(entries), []
    found = Counter(entry.label for entry in entries if entry.label is not None)
    by_key = {spelling_key(label): label for label in found}
    for name in classes:
        if spelling_key(name) not in by_key:
            raise CatalogError(
                f"Expected classes among {listed(sorted(found))}; received {trimmed(name)}. {did_you_mean(name, found)}Correct it."
            )
    asked = {by_key[spelling_key(name)] for name in classes}
    left_out = Counter({label: number for label, number in found.items() if label not in asked})
    kept = [entry for entry in entries if entry.label is None or entry.label in asked]
    problems = [
        Problem(label, "class-not-asked", f"{counted(number, 'image')} of this class left out, as was asked.")
        for label, number in sorted(left_out.items())
    ]
    return kept, problems


def _check_labelled(
    entries: Sequence[Entry], sources: Sequence[Path], problems: Sequence[Problem], read: Sequence[Collection]
) -> None:
    if any(entry.label is not None for entry in entries):
        return
    where = ", ".join(str(source) for source in sources)
    if not entries:
        why = next((f" ({problem.file}: {problem.sentence})" for problem in problems if problem.fatal), "")
        raise CatalogError(f"Expected radiographs in {where}; received none that may be used{why}. Correct the table.")
    raise CatalogError(
        f"Expected images as {_LAYOUTS}; received {counted(len(entries), 'image')} without a label in {where}. "
        f"{_why_unlabelled(entries, read)}"
    )


def _why_unlabelled(entries: Sequence[Entry], read: Sequence[Collection]) -> str:
    """What to do about images without a label, after what lies there."""
    advice = [sentence for collection in read for sentence in collection.advice]
    if advice:
        return advice[0]
    tables = [table for collection in read for table in collection.more_tables]
    if tables:
        return f"A table lies there: try --labels {read[0].place.root / tables[0]}, or a preset of `plainfilm presets`."
    passed_by = sorted({_KINDS.get(kind, f"{kind}s") for collection in read for kind in collection.layout.passed_by})
    if passed_by:
        return (
            f"The folders look like those of {' and '.join(passed_by)}, not like classes. Add a table with "
            f"--labels, {_pattern_hint(entries)}or name the level of the classes with --classes-from."
        )
    return f"Sort them into a folder a class, {_pattern_hint(entries)}or add a table."


def _pattern_hint(entries: Sequence[Entry]) -> str:
    """Offer the pattern by which file names end in one of a few numbers or words, as `_0` and `_1`."""
    ends = Counter(found[1] for entry in entries if (found := re.search(r"_([A-Za-z]+|\d)\.[^./]+$", entry.name)))
    if len(ends) in range(2, 11) and ends.total() == len(entries):
        return f"take the ends of the file names ({shortened(sorted(ends))}) with --label-pattern '_([^_]+)\\.', "
    return ""


def _check_classes(entries: Sequence[Entry], sources: Sequence[Path]) -> None:
    labels = sorted({entry.label for entry in entries if entry.label is not None})
    if len(labels) > 1:
        return
    folders = {str(entry.path.parent) for entry in entries}
    deeper = f"If the classes lie deeper, name {os.path.commonpath(folders)}." if len(folders) > 1 else ""
    where = ", ".join(str(source) for source in sources)
    raise CatalogError(
        f"Expected at least two classes in {where}; received one: {labels[0]}. {deeper or 'Add another.'}"
    )


def _unlabelled(entries: Sequence[Entry]) -> list[Problem]:
    without = [entry.file for entry in entries if entry.label is None]
    if not without:
        return []
    sentence = f"{counted(len(without), 'image')} without a label, such as {without[0]}; kept, but not trained on."
    return [Problem(without[0], "unlabelled", sentence, fatal=False)]
