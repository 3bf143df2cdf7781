"""Folders and archives of radiographs, tables about them, DICOM trees -> one table: file, label, patient, source, split.

Lists and reads tables; decodes nothing. `cataloguing` reads each SOURCE; here they are joined, labelled from a table of the
user's, and checked.
"""

import datetime as dt
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import files, study_dates
from plainfilm.data.cataloguing.asked import Asked
from plainfilm.data.cataloguing.collection import Collection
from plainfilm.data.cataloguing.combinations import as_findings, check_no_combinations
from plainfilm.data.cataloguing.entry import Entry, counted, trimmed
from plainfilm.data.cataloguing.laying import lay_over, lay_preset_over
from plainfilm.data.cataloguing.levels import ROLES
from plainfilm.data.cataloguing.sources import read_sources
from plainfilm.data.cataloguing.unlabelled import check_labelled
from plainfilm.data.decoding.modalities import is_radiography
from plainfilm.data.kept_columns import is_told_by_files
from plainfilm.data.spelling import did_you_mean, listed, spelling_key
from plainfilm.data.tables.columns import FLAGS, letters
from plainfilm.data.tables.findings import NOT_STATED, PRESENT, UNCERTAIN
from plainfilm.data.tables.reading import read_table
from plainfilm.errors import CatalogError, Problem
from plainfilm.results.ingested import FolderLevel
from plainfilm.results.task import Task

__all__ = ["Asked", "Catalog", "Entry", "read_catalog", "spelling_key"]

_NAMES_SHOWN = 8
_NO_DATE = "Expected the date of a study for --test-from; this image has none that says which side it is on. It is not in the test set."


@dataclass(frozen=True, slots=True)
class Catalog:
    """All radiographs of the SOURCE folders, and what was left out or flagged.

    `layout` names the layouts found, joined by `+`: `classes`, `splits`, `table`, `ieee8023`, `lists`, `dicom`, `flat`.
    `levels` says what the folders were taken for; `findings` names those that entries have states of, sorted. `told` are
    those of them that are to be told apart, each by itself; of classes there are none.
    """

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    layout: str
    levels: tuple[FolderLevel, ...] = ()
    findings: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    asked: Asked = field(default_factory=Asked)

    @property
    def task(self) -> Task:
        """Whether each entry is of one class or has findings."""
        return "findings" if self.told else "classes"

    def by_class(self) -> dict[str, list[Entry]]:
        """Give the entries of each class; of findings those of which each is present."""
        if self.told:
            states = self.states_of(self.entries) == PRESENT
            return {
                name: [self.entries[row] for row in np.flatnonzero(has)]
                for name, has in zip(self.told, states.T, strict=True)
            }
        found = defaultdict[str, list[Entry]](list)
        for entry in self.entries:
            if entry.label is not None:
                found[entry.label].append(entry)
        return dict(sorted(found.items()))

    def states_of(self, entries: Sequence[Entry]) -> NDArray[np.int8]:
        """State of each finding that is to be told, of some entries, int8 (n, k): 1 present, 0 absent, -1 not known."""
        every = np.frombuffer(b"".join(entry.findings for entry in entries), np.int8)
        places = [self.findings.index(name) for name in self.told]
        return np.maximum(every.reshape(len(entries), len(self.findings))[:, places], np.int8(UNCERTAIN))


def read_catalog(
    sources: Sequence[Path],
    asked: Asked | None = None,
    *,
    one_class_will_do: bool = False,
    no_label_will_do: bool = False,
    seen: Callable[[str], None] = lambda _: None,
) -> Catalog:
    """List the radiographs of one SOURCE or several, with their labels.

    A label comes from the table of labels, else from the files' names where a pattern is given, else from a `metadata`
    table, else from the folders. Class names that differ only by case, spaces, hyphens or underscores are one class under
    the commoner spelling, with a problem `class-spelling`: joined collections spell by their own habits, and no two
    findings are told apart by a capital.

    Parameters
    ----------
    sources
        Folders in any layout that `collection` knows, or archives. No folder may lie in another.
    asked
        What the user says of the files and tables. A table of labels has one of `file_name` (a path below a SOURCE, or a
        name that occurs once), `SOPInstanceUID`, `StudyInstanceUID`, `accession_number` or `patient_id`; other columns
        count too. An image that it does not list keeps its folder's label if any folder of that SOURCE bears the name of
        one of the table's labels, that is, if its folders are classes; otherwise it has none.
    one_class_will_do
        A single class is no error: for images that nothing is trained on.
    no_label_will_do
        No label at all is none either.
    seen
        Called with the name of each file below its SOURCE as it is met.

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
    for source in sources:
        files.settle(source)
    table = (
        read_table(asked.labels, columns=asked.columns) if asked.labels else None
    )  # the headers of a folder take longer
    read = read_sources(sources, asked, seen)
    problems = [problem for collection in read for problem in collection.problems]
    if table is not None:
        problems += lay_over(read, table, asked)
    if asked.preset is not None:
        problems += lay_preset_over(read, asked.preset, asked)
    findings = _join_findings(read)
    entries = [entry for collection in read for entry in collection.images.values()]
    if asked.test_from is not None:
        entries, undated = _by_date(entries, read, asked, asked.test_from)
        problems += undated
    _check_used(asked, read)
    if not (entries and no_label_will_do and asked.label_pattern is None):
        check_labelled(entries, sources, problems, read, asked.label_pattern)
    _check_modalities(entries, asked)
    told: tuple[str, ...] = ()
    if asked.label_of is None and (asked.task == "findings" or any(each.task == "findings" for each in read)):
        if asked.mapping:
            raise CatalogError(
                "Expected classes for --map; received several findings an image. Leave --map out, or choose one with --label-of."
            )
        stated = as_findings(entries, findings, asked.classes, fewest=1 if one_class_will_do else 2)
        entries, findings, told, remarks = stated.entries, stated.names, stated.trained, stated.problems
    else:
        entries, remarks = _of_classes(entries, asked)
        if not one_class_will_do:
            _check_classes(entries, sources, problems)
            check_no_combinations(sorted({entry.label for entry in entries if entry.label}), asked.task)
    _check_kept(entries, asked.keep)
    levels = tuple(level for collection in read for level in _levels(collection, is_laid_over=table is not None))
    if not any(level.role == "class" for level in levels):  # a table gave the labels instead
        problems = [each for each in problems if each.code != "labels-of-folders"]
    return Catalog(
        entries=tuple(entries),
        problems=(*problems, *remarks, *_unlabelled(entries)),
        layout="+".join(dict.fromkeys(layout for collection in read for layout in collection.layouts)),
        levels=levels,
        findings=findings,
        told=told,
        asked=asked,
    )


def _by_date(
    entries: Sequence[Entry], read: Sequence[Collection], asked: Asked, start: dt.date
) -> tuple[list[Entry], list[Problem]]:
    """Say of each entry whether its study is of the later part, by a table's date, else by that of its header; and name those without."""
    column = study_dates.date_column(asked.date_column, {name for entry in entries for name in entry.details})
    headers = [each.identifiers.get(name, {}) for each in read for name in each.images]
    in_tables = [entry.details.get(column, "") if column else "" for entry in entries]
    of_files = study_dates.are_later([header.get("study_date", "") for header in headers], start)
    later = [
        own if own is not None or text else of_file
        for own, text, of_file in zip(study_dates.are_later(in_tables, start), in_tables, of_files, strict=True)
    ]
    if not any(each is not None for each in later):
        raise CatalogError(
            "Expected dates of studies for --test-from, in DICOM headers or in a column of a table; received none that can be read. Name "
            "the column with --date-column."
        )
    dated = [replace(entry, is_later=each) for entry, each in zip(entries, later, strict=True)]
    undated = [entry for entry in dated if entry.is_later is None and entry.label is not None]
    return dated, [Problem(entry.file, "no-date", _NO_DATE, fatal=False) for entry in undated]


def _check_used(asked: Asked, read: Sequence[Collection]) -> None:
    """Refuse options about tables where no table was read, rather than pass over them."""
    if (
        any(collection.layouts.keys() & {"table", "ieee8023", "arrays"} for collection in read)
        or asked.labels
        or asked.preset
    ):
        return
    given = ["--label-of"] if asked.label_of else []
    given += [FLAGS[column] for column in asked.columns]
    if given:
        raise CatalogError(
            f"Expected a table for {' and '.join(given)}; received none: there is no `metadata` table in the folders. Name one with --labels."
        )


def _levels(collection: Collection, *, is_laid_over: bool) -> Iterable[FolderLevel]:
    """Say which level of folders was taken for what; of classes nothing where a table that was laid over gave all labels."""
    labels = {spelling_key(entry.label) for entry in collection.images.values() if entry.label}
    for role in ROLES:
        for level, names in sorted(collection.layout.levels.get(role, {}).items()):
            is_used = role != "class" or not is_laid_over or any(spelling_key(name) in labels for name in names)
            shown = () if role == "patient" else tuple(name for name, _ in names.most_common(_NAMES_SHOWN))
            yield FolderLevel(
                source=collection.name,
                level=level,
                role=role if is_used else "-",
                names=tuple(sorted(shown)),
                folders=len(names),
                images=names.total(),
            )


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


def _check_modalities(entries: Sequence[Entry], asked: Asked) -> None:
    """Stop where the headers of most files name another modality than projection radiography."""
    found = Counter(modality for entry in entries if (modality := entry.details.get("modality", "")))
    others = Counter({name: number for name, number in found.items() if not is_radiography(name)})
    if 2 * others.total() <= len(entries) or asked.keep_others:
        return
    kinds = ", ".join(f"{name} {number:,}" for name, number in others.most_common(3))
    raise CatalogError(
        f"Expected radiographs (CR, DX, DR, RG); received {others.total():,} of {counted(len(entries), 'file')} of another "
        f"modality ({kinds}). Name the folder of radiographs, or go on with --keep-non-radiographs."
    )


def _check_kept(entries: Sequence[Entry], keep: Sequence[str]) -> None:
    """Refuse columns to keep that nothing has."""
    names = {name for entry in entries for name in entry.details} if keep else set()
    known = {letters(name) for name in names}
    for name in keep:
        if letters(name) not in known and not is_told_by_files(name):
            raise CatalogError(
                f"Expected --keep to name a column of a table that has values and is read for nothing else (label, patient, source); "
                f"received {name}. {did_you_mean(name, names)}Correct it."
            )


# Classes


def _of_classes(entries: Sequence[Entry], asked: Asked) -> tuple[list[Entry], list[Problem]]:
    """Give the entries of the classes that are asked for, each class under one spelling, or under the name that the user gives it."""
    entries, spelling = _one_spelling(entries)
    entries, mapped = _mapped(entries, asked.mapping)
    kept, others = _asked_only(entries, asked.classes)
    return kept, [*spelling, *mapped, *others]


def _mapped(entries: Sequence[Entry], mapping: Mapping[str, str]) -> tuple[list[Entry], list[Problem]]:
    if not mapping:
        return list(entries), []
    found = Counter(entry.label for entry in entries if entry.label is not None)
    named = dict(zip(_meant([*mapping], found, "labels for --map"), mapping.values(), strict=True))
    entries = [replace(entry, label=named[entry.label]) if entry.label in named else entry for entry in entries]
    made, spelling = _one_spelling(entries)
    return made, spelling + [
        Problem(label, "class-mapped", f"{counted(found[label], 'image')} labelled so: of the class {name}, as was asked.", fatal=False)
        for label, name in sorted(named.items())
    ]  # fmt: skip


def _meant(names: Sequence[str], found: Counter[str], what: str) -> list[str]:
    """Give the label that each name means, however it is spelt."""
    by_key = {spelling_key(label): label for label in found}
    for name in names:
        if spelling_key(name) not in by_key:
            raise CatalogError(
                f"Expected {what} among {listed(sorted(found))}; received {trimmed(name)}. {did_you_mean(name, found)}Correct it."
            )
    return [by_key[spelling_key(name)] for name in names]


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
    asked = {*_meant(classes, found, "classes")}
    left_out = Counter({label: number for label, number in found.items() if label not in asked})
    kept = [entry for entry in entries if entry.label is None or entry.label in asked]
    problems = [
        Problem(label, "class-not-asked", f"{counted(number, 'image')} of this class left out, as was asked.")
        for label, number in sorted(left_out.items())
    ]
    return kept, problems


def _check_classes(entries: Sequence[Entry], sources: Sequence[Path], problems: Sequence[Problem]) -> None:
    labels = sorted({entry.label for entry in entries if entry.label is not None})
    if len(labels) > 1:
        return
    folders = {str(entry.path.parent) for entry in entries}
    deeper = f"If the classes lie deeper, name {os.path.commonpath(folders)}." if len(folders) > 1 else ""
    where = ", ".join(str(source) for source in sources)
    unlisted = [problem.file for problem in problems if problem.code == "no-permission"]
    locked = f"The folder {unlisted[0]} cannot be listed: check its permissions." if unlisted else ""
    raise CatalogError(
        f"Expected at least two classes in {where}; received one: {labels[0]}. {locked or deeper or 'Add another.'}"
    )


def _unlabelled(entries: Sequence[Entry]) -> list[Problem]:
    without = [entry.file for entry in entries if entry.label is None]
    if not without:
        return []
    sentence = f"{counted(len(without), 'image')} without a label, such as {without[0]}; kept, but not trained on."
    return [Problem(without[0], "unlabelled", sentence, fatal=False)]
