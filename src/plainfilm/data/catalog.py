"""Folders of radiographs, tables about them, DICOM trees -> one table: file, label, patient, source, split.

Lists and reads tables; decodes nothing. `listing` holds one entry, `collection` one SOURCE folder; here they are
joined, labelled from a table of the user's, and checked.
"""

import difflib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from plainfilm.data.cataloguing.collection import Collection, counted, read_collection
from plainfilm.data.cataloguing.entry import Entry, label_of, require, trimmed, with_row
from plainfilm.data.cataloguing.names import Names, tidy
from plainfilm.data.cataloguing.tables import Table, TableRow, read_table
from plainfilm.errors import CatalogError, Problem

__all__ = ["Catalog", "Entry", "read_catalog", "spelling_key"]

_KEYS = ("file_name", "sop_instance_uid", "study_instance_uid", "accession_number", "patient_id")
_LAYOUTS = (
    "CLASS/*, train|validation|test/CLASS/*, CLASS/images/*, a metadata.csv or .jsonl with file_name and label, "
    "or a table given with --labels"
)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All radiographs of the SOURCE folders, and what was left out or flagged.

    `layout` names the layouts found, joined by `+`: `classes`, `splits`, `table`, `ieee8023`, `dicom`, `flat`.
    """

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    layout: str


def read_catalog(
    sources: Sequence[Path],
    *,
    labels: Path | None = None,
    classes: Sequence[str] | None = None,
    one_class_will_do: bool = False,
) -> Catalog:
    """List the radiographs of one SOURCE folder or several, with their labels.

    A label comes from the table `labels`, else from a `metadata` table, else from the folders. Class names that differ
    only by case, spaces, hyphens or underscores are one class under the commoner spelling, with a problem
    `class-spelling`: joined collections spell by their own habits, and no two findings are told apart by a capital.

    Parameters
    ----------
    sources
        Folders, in any layout that `collection` knows. None may lie in another.
    labels
        A table (CSV or JSON Lines) with `label` and one of `file_name` (a path below a SOURCE, or a name that occurs
        once), `SOPInstanceUID`, `StudyInstanceUID`, `accession_number` or `patient_id`; other columns count too. An
        image that it does not list keeps its folder's label if any folder of that SOURCE bears the name of one of the
        table's labels, that is, if its folders are classes; otherwise it has none.
    classes
        Keep these alone, and images without a label.
    one_class_will_do
        A single class is no error: for images that nothing is trained on.

    Returns
    -------
    Catalog
        Entries in the order of `sources`, then by path.

    Raises
    ------
    CatalogError
        Nothing to read, nothing labelled, one class only, or a table that cannot be meant.
    """
    read = _collections(sources)
    problems = [problem for collection in read for problem in collection.problems]
    if labels is not None:
        problems += _lay_over(read, read_table(labels))
    entries = [entry for collection in read for entry in collection.images.values()]
    _check_labelled(entries, sources, problems)
    entries, spelling = _one_spelling(entries)
    entries, others = _asked_only(entries, classes)
    if not one_class_will_do:
        _check_classes(entries, sources)
    layouts = dict.fromkeys(layout for collection in read for layout in collection.layouts)
    return Catalog(tuple(entries), (*problems, *spelling, *others, *_unlabelled(entries)), "+".join(layouts))


# SOURCE folders


def _collections(sources: Sequence[Path]) -> list[Collection]:
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
        read_collection(source, name=path.name or "images", prefix=f"{name}/" if len(real) > 1 else "")
        for source, path, name in zip(sources, real, _unique_names(real), strict=True)
    ]


def _check_source(source: Path) -> None:
    try:
        if source.is_dir():
            return
        is_there = source.exists()
    except OSError as error:
        raise CatalogError(
            f"Expected a folder of radiographs; received {source} ({error.strerror}). Check its name and permissions."
        ) from error
    if is_there:
        is_archive = source.suffix.lower() in {".zip", ".gz", ".tgz", ".tar", ".7z", ".rar"}
        advice = "Unpack it and name the folder." if is_archive else "Name the folder that holds it."
        raise CatalogError(f"Expected a folder of radiographs; received the file {source}. {advice}")
    meant = _did_you_mean(source.name, _beside(source))
    raise CatalogError(
        f"Expected a folder of radiographs; received {source}, which does not exist. {meant}Check the path."
    )


def _beside(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return []


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return f"Did you mean {by_lower[close[0]]}? " if close else ""


def _unique_names(paths: Sequence[Path]) -> list[str]:
    """Shortest ends of the paths, all of the same depth, no two alike."""
    names: list[str] = []
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]).strip("/") for path in paths]
        if len(set(names)) == len(names):
            break
    return names


# The table of labels


def _lay_over(collections: Sequence[Collection], table: Table) -> list[Problem]:
    """Lay a table of labels over all collections; gives what there is to say about it."""
    require(table, "label")
    require(table, *_KEYS)
    key = next(column for column in _KEYS if column in table.named)
    find = _finder(collections, key, table)
    said: dict[str, list[TableRow]] = defaultdict(list)
    lost = []
    for row in table.rows:
        files = find(row)
        for file in files:
            said[file].append(row)
        if not files:
            lost.append(row.get(key) or f"line {row.line}")
    if not said:
        raise CatalogError(
            f"Expected {table.path} to name images of SOURCE by {table.named[key]}; received no row of "
            f"{len(table.rows)} that does. Write paths below SOURCE, or bare names."
        )
    problems = [_lost(table, lost)] if lost else []
    for collection in collections:
        problems += _put(collection, said, table)
    return problems


def _lost(table: Table, names: Sequence[str]) -> Problem:
    sentence = f"{counted(len(names), 'row')} of the table fit no image, such as {names[0]}."
    return Problem(table.path.name, "missing-file", sentence, fatal=False)


def _finder(collections: Sequence[Collection], key: str, table: Table) -> Callable[[TableRow], Sequence[str]]:
    """Give a function from a row to the files that it speaks of."""
    if key == "file_name":
        names = Names(pair for collection in collections for pair in _names_of(collection))

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


def _names_of(collection: Collection) -> Iterable[tuple[str, str]]:
    for name, entry in collection.images.items():
        yield name, entry.file
        yield entry.file, entry.file
        yield f"{collection.name}/{name}", entry.file
        yield tidy(entry.path.absolute().as_posix()), entry.file


def _put(collection: Collection, said: dict[str, list[TableRow]], table: Table) -> list[Problem]:
    """Write what the rows of a table say into a collection, and what the table leaves open."""
    known = {spelling_key(label) for row in table.rows if (label := label_of(table, row))}
    labels = {entry.label for entry in collection.images.values() if entry.label}
    folders_are_classes = any(spelling_key(label) in known for label in labels)
    problems, unlisted, after = [], [], {}
    for name, entry in collection.images.items():
        rows = said.get(entry.file)
        if rows is None:
            unlisted.append(entry.file)
            after[name] = entry if folders_are_classes else replace(entry, label=None)
        elif len({label_of(table, row) for row in rows}) == 1:
            after[name] = with_row(entry, table, rows[0])
        else:
            lines = " and ".join(str(row.line) for row in rows[:2])
            sentence = f"Listed under two labels, in lines {lines} of {table.path.name}; left out."
            problems.append(Problem(entry.file, "two-labels", sentence))
    collection.images = after
    if unlisted:
        fate = "keeping the label of the folder" if folders_are_classes else "left without a label"
        sentence = f"{counted(len(unlisted), 'image')} not in {table.path.name}, such as {unlisted[0]}, {fate}."
        problems.append(Problem(collection.name, "not-in-table", sentence, fatal=False))
    return problems


# Classes


def spelling_key(label: str) -> str:
    """Give what all spellings of a class share: case, spaces, hyphens and underscores do not count."""
    return re.sub(r"[\s_-]+", " ", label).strip().casefold()


def _one_spelling(entries: Sequence[Entry]) -> tuple[list[Entry], list[Problem]]:
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        if entry.label is not None:
            spellings[spelling_key(entry.label)][entry.label] += 1
    chosen = {key: min(found, key=lambda name: (-found[name], name)) for key, found in spellings.items()}
    problems = [
        Problem(
            chosen[key],
            "class-spelling",
            f"{', '.join(sorted(found))} are taken as one class, {chosen[key]}; rename one if they are two.",
            fatal=False,
        )
        for key, found in spellings.items()
        if len(found) > 1
    ]
    return [
        entry if entry.label is None else replace(entry, label=chosen[spelling_key(entry.label)]) for entry in entries
    ], problems


def _asked_only(entries: Sequence[Entry], classes: Sequence[str] | None) -> tuple[list[Entry], list[Problem]]:
    if classes is None:
        return list(entries), []
    found = Counter(entry.label for entry in entries if entry.label is not None)
    by_key = {spelling_key(label): label for label in found}
    for name in classes:
        if spelling_key(name) not in by_key:
            listed = ", ".join(sorted(found))
            raise CatalogError(
                f"Expected classes among {listed}; received {trimmed(name)}. {_did_you_mean(name, found)}Correct it."
            )
    asked = {by_key[spelling_key(name)] for name in classes}
    left_out = Counter({label: number for label, number in found.items() if label not in asked})
    kept = [entry for entry in entries if entry.label is None or entry.label in asked]
    problems = [
        Problem(label, "class-not-asked", f"{counted(number, 'image')} of this class left out, as was asked.")
        for label, number in sorted(left_out.items())
    ]
    return kept, problems


def _check_labelled(entries: Sequence[Entry], sources: Sequence[Path], problems: Sequence[Problem]) -> None:
    if any(entry.label is not None for entry in entries):
        return
    where = ", ".join(str(source) for source in sources)
    if not entries:
        why = next((f" ({problem.file}: {problem.sentence})" for problem in problems if problem.fatal), "")
        raise CatalogError(f"Expected radiographs in {where}; received none that may be used{why}. Correct the table.")
    raise CatalogError(
        f"Expected images as {_LAYOUTS}; received {counted(len(entries), 'image')} without a label in {where}. "
        "Sort them into a folder a class, or add a table."
    )


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
