"""A table of the user's, or of a public data set, over all SOURCES: each row finds its files and says what it says of them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from plainfilm.data.cataloguing.asked import Asked
from plainfilm.data.cataloguing.collection import Collection, laid_over, table_remarks
from plainfilm.data.cataloguing.entry import counted, require
from plainfilm.data.cataloguing.labelling import Labelling, labelling_of
from plainfilm.data.cataloguing.names import Names, tidy
from plainfilm.data.cataloguing.presets import Preset, read_preset
from plainfilm.data.spelling import plain_id, spelling_key
from plainfilm.data.tables.reading import Table, TableRow
from plainfilm.errors import CatalogError, Problem

_KEYS = ("file_name", "sop_instance_uid", "study_instance_uid", "accession_number", "patient_id")


def lay_over(collections: Sequence[Collection], table: Table, asked: Asked) -> list[Problem]:
    """Lay a table of labels over all collections; gives what there is to say about it."""
    if not table.finding_columns:
        require(table, "label")
    return _lay_table_over(collections, table, asked)


def lay_preset_over(collections: Sequence[Collection], preset: Preset, asked: Asked) -> list[Problem]:
    """Lay the table of a public data set over each collection, all of which are copies or parts of it."""
    problems = []
    for collection in collections:
        table = read_preset(preset, collection.place)
        found = _lay_table_over([collection], table, asked)
        problems += [problem for problem in found if problem.code != "duplicate-row"]  # a row a box or a reader
    return problems


def _lay_table_over(collections: Sequence[Collection], table: Table, asked: Asked) -> list[Problem]:
    require(table, *_KEYS)
    keys = [column for column in _KEYS if column in table.named]
    if "file_name" in asked.columns:
        keys = ["file_name"]
    said, lost = next((found for key in keys if (found := _rows_of(collections, key, table))[0]), ({}, []))
    if not said:
        raise _fits_nothing(collections, table, keys)
    labelling = labelling_of(table, said, asked.label_of, asked.task)
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
            if value and (own := _plain(key, value)):
                having[own].append(entry.file)
    return lambda row: having.get(_plain(key, row.get(key)), [])


def _plain(key: str, value: str) -> str:
    return plain_id(value) if key == "patient_id" else value


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
    collection.take(labelling)
    problems = collection.problems[before:]
    if unlisted:
        fate = "keeping the label of the folder" if folders_are_classes else "left without a label"
        sentence = f"{counted(len(unlisted), 'image')} not in {table.path.name}, such as {unlisted[0]}, {fate}."
        problems.append(Problem(collection.name, "not-in-table", sentence, fatal=False))
    return problems
