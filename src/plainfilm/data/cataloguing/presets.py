"""How well-known public data sets are read: which tables lie beside the images, and what their columns are for."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from plainfilm.data.cataloguing.level_names import split_of
from plainfilm.data.cataloguing.spelling import did_you_mean
from plainfilm.data.cataloguing.tables import Table, read_table
from plainfilm.errors import CatalogError, UsageError


@dataclass(frozen=True, slots=True)
class Join:
    """A further table: its columns stand beside the rows of the first that have the same `key`."""

    files: tuple[str, ...]
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """How one public data set is read.

    Parameters
    ----------
    name, title
        What the user writes, and what the set is called.
    tables
        Names of its tables, with `*`; all that are there count, each for its own images. With `alternatives` the first.
    columns
        Our name of a column -> the table's.
    joins
        Further tables.
    several
        Whether an image has several findings, so that one must be asked for.
    split_by_table
        Whether the name of each table, such as train.txt, says the split of its images.
    note
        What else its user should know.
    """

    name: str
    title: str
    tables: tuple[str, ...]
    columns: Mapping[str, str]
    joins: tuple[Join, ...] = ()
    several: bool = False
    alternatives: bool = False
    split_by_table: bool = False
    note: str = ""


PRESETS: tuple[Preset, ...] = (
    Preset(
        name="nih14",
        title="NIH ChestX-ray14",
        tables=("Data_Entry_2017*.csv",),
        columns={"file_name": "Image Index", "label": "Finding Labels", "patient_id": "Patient ID"},
        several=True,
        note="train_val_list.txt and test_list.txt give the split",
    ),
    Preset(
        name="chexpert",
        title="CheXpert",
        tables=("train.csv", "valid.csv", "test.csv", "val_labels.csv", "test_labels.csv"),
        columns={"file_name": "Path"},
        several=True,
        note="uncertain images (-1) get no label; what is not stated counts as absent",
    ),
    Preset(
        name="mimic-cxr",
        title="MIMIC-CXR-JPG",
        tables=("mimic-cxr-2.*-metadata.csv*",),
        columns={"file_name": "dicom_id", "patient_id": "subject_id"},
        joins=(
            Join(("mimic-cxr-2.*-split.csv*",), "dicom_id"),
            Join(("mimic-cxr-2.*-chexpert.csv*", "mimic-cxr-2.*-negbio.csv*"), "study_id"),
        ),
        several=True,
        note="uncertain images (-1) get no label; what is not stated counts as absent",
    ),
    Preset(
        name="padchest",
        title="PadChest",
        tables=("PADCHEST*.csv*", "chest_x_ray_images_labels*.csv*"),
        columns={"file_name": "ImageID", "label": "Labels", "patient_id": "PatientID", "view": "Projection"},
        alternatives=True,
        several=True,
    ),
    Preset(
        name="vindr",
        title="VinDr-CXR",
        tables=("image_labels_train.csv", "image_labels_test.csv", "train.csv"),
        columns={"file_name": "image_id"},
        several=True,
        note="a finding is present where one radiologist or more saw it",
    ),
    Preset(
        name="rsna",
        title="RSNA Pneumonia Detection Challenge",
        tables=("stage_2_detailed_class_info.csv", "stage_2_train_labels.csv"),
        columns={"file_name": "patientId", "patient_id": "patientId"},
        alternatives=True,
    ),
    Preset(
        name="covidx",
        title="COVIDx CXR",
        tables=("train*.txt", "val*.txt", "test*.txt"),
        columns={"patient_id": "1", "file_name": "2", "label": "3", "source": "4"},
        split_by_table=True,
    ),
    Preset(
        name="radiography-database",
        title="COVID-19 Radiography Database",
        tables=("*metadata.xlsx",),
        columns={"file_name": "FILE NAME", "source": "URL"},
        note="the tables give the sources; needs the extra `tables`",
    ),
)


def find(name: str) -> Preset:
    """Give the preset of a name.

    Raises
    ------
    UsageError
        There is none.
    """
    known = {preset.name: preset for preset in PRESETS}
    if name.lower() not in known:
        raise UsageError(
            f"Expected a preset among {', '.join(known)}; received {name}. {did_you_mean(name, known)}See plainfilm presets."
        )
    return known[name.lower()]


def read_preset(preset: Preset, root: Path) -> Table:
    """Read the tables of a data set that lie in SOURCE, one folder deeper, or beside it, as one.

    Raises
    ------
    CatalogError
        None of its tables is there, or one lacks a column.
    """
    paths = _found(preset.tables, root)
    if not paths:
        raise CatalogError(
            f"Expected {' or '.join(preset.tables)} in {root} for --preset {preset.name}; received none. "
            f"Name the folder of {preset.title} as it was published."
        )
    tables = [read_table(path, columns=preset.columns) for path in paths[: 1 if preset.alternatives else None]]
    for join in preset.joins:
        further = [read_table(path) for path in _found(join.files, root)[:1]]
        tables = [_joined(table, other, join.key) for table in tables for other in further] or tables
    return _stacked([_with_split(table) if preset.split_by_table else table for table in tables])


def _stacked(tables: Sequence[Table]) -> Table:
    """Put tables below each other; a cell is "" where a table has no such column."""
    first = tables[0]
    if len(tables) == 1:
        return first
    headers = tuple(dict.fromkeys(header for table in tables for header in table.headers))
    nothing = [[""] * len(table.lines) for table in tables]
    cells = {
        header: [cell for table, empty in zip(tables, nothing, strict=True) for cell in table.cells.get(header, empty)]
        for header in headers
    }
    named = {ours: header for table in reversed(tables) for ours, header in table.named.items()}
    return replace(
        first,
        headers=headers,
        cells=cells,
        lines=array("L", [line for table in tables for line in table.lines]),
        named=named,
        others=tuple(header for header in headers if header not in named.values()),
        finding_columns=tuple(dict.fromkeys(name for table in tables for name in table.finding_columns)),
        remarks=tuple(remark for table in tables for remark in table.remarks),
    )


def _found(patterns: Iterable[str], root: Path) -> list[Path]:
    found = dict.fromkeys(
        path
        for pattern in patterns
        for folder in (root, *(sub for sub in sorted(root.iterdir()) if sub.is_dir()), root.parent)
        for path in sorted(folder.glob(pattern))
        if path.is_file()
    )
    names = dict.fromkeys(path.name for path in found)
    return [next(path for path in found if path.name == name) for name in names]


def _with_split(table: Table) -> Table:
    split = split_of(table.path.stem)
    return table if split is None else _with_columns(table, {"split": [split] * len(table.lines)}, {"split": "split"})


def _joined(table: Table, other: Table, key: str) -> Table:
    """Put the columns of another table beside the rows that have the same key."""
    mine, theirs = _key_cells(table, key), _key_cells(other, key)
    place_of = {cell: place for place, cell in enumerate(theirs)}
    places = [place_of.get(cell) for cell in mine]
    added = {
        header: ["" if place is None else cells[place] for place in places]
        for header, cells in other.cells.items()
        if header not in table.cells
    }
    named = {ours: header for ours, header in other.named.items() if header in added and ours not in table.named}
    joined = _with_columns(table, added, named)
    findings = tuple(header for header in other.finding_columns if header in added)
    return replace(joined, finding_columns=(*table.finding_columns, *findings))


def _key_cells(table: Table, key: str) -> list[str]:
    if key not in table.cells:
        raise CatalogError(
            f"Expected a column {key} in {table.path}; received {table.shown_headers()}. Get the file again."
        )
    return table.cells[key]


def _with_columns(table: Table, cells: Mapping[str, list[str]], named: Mapping[str, str]) -> Table:
    return replace(
        table,
        headers=(*table.headers, *cells),
        cells={**table.cells, **cells},
        named={**table.named, **named},
        others=(*table.others, *(header for header in cells if header not in named.values())),
    )
