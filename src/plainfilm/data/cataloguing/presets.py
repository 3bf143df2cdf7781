"""How well-known public data sets are read: which tables lie beside the images, and what their columns are for."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice
from pathlib import Path

from plainfilm.data.places.place import Archived, Place
from plainfilm.data.spelling import did_you_mean
from plainfilm.data.tables.reading import Table, read_table
from plainfilm.errors import CatalogError, UsageError

_MOST_FOLDERS = 1000  # looked into for tables, of one kind


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
        Name of a table, with `*` -> the part of the split that it is about, "" where that is not said. All that are there
        count, each for its own images; with `alternatives` the first.
    columns, optional
        Our name of a column -> the table's, which must be there, or may be. `reader` is who has read the image: a finding
        is present where more than half of its readers say so.
    joins
        Further tables.
    several
        Whether an image has findings, none or several, rather than one class.
    images, size, licence, note
        For the list of presets, "" where it is not known; the note is a sentence or two.
    """

    name: str
    title: str
    tables: Mapping[str, str]
    columns: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)
    joins: tuple[Join, ...] = ()
    several: bool = False
    alternatives: bool = False
    images: int
    size: str
    licence: str
    note: str

    @property
    def files(self) -> tuple[str, ...]:
        """Names of all tables, with `*`."""
        return (*self.tables, *(name for join in self.joins for name in join.files))

    def reads(self, name: str) -> bool:
        """Whether a file is one of its tables, by name."""
        return any(fnmatchcase(name.rpartition("/")[2], pattern) for pattern in self.files)


PRESETS: tuple[Preset, ...] = (
    Preset(
        name="nih14",
        title="NIH ChestX-ray14",
        tables=dict.fromkeys(("Data_Entry_2017_v2020.csv*", "Data_Entry_2017*.csv*", "sample_labels.csv"), ""),
        columns={"file_name": "Image Index", "label": "Finding Labels", "patient_id": "Patient ID"},
        alternatives=True,
        several=True,
        images=112_120,
        size="45 GB",
        licence="free",
        note="The official train_val_list.txt and test_list.txt give the split.",
    ),
    Preset(
        name="chexpert",
        title="CheXpert",
        tables={
            "train.csv": "train",
            "valid.csv": "validation",
            "val_labels.csv": "validation",
            "test_labels.csv": "test",
        },
        columns={"file_name": "Path"},
        several=True,
        images=224_316,
        size="439 GB",
        licence="research",
        note="Also the small version, of 11 GB. What is uncertain gets no label, what is not stated is absent.",
    ),
    Preset(
        name="mimic-cxr",
        title="MIMIC-CXR-JPG",
        tables={"mimic-cxr-2.*-metadata.csv*": ""},
        columns={"file_name": "dicom_id", "patient_id": "subject_id"},
        joins=(
            Join(("mimic-cxr-2.*-split.csv*",), "dicom_id"),
            Join(("mimic-cxr-2.*-chexpert.csv*", "mimic-cxr-2.*-negbio.csv*"), "study_id"),
        ),
        alternatives=True,
        several=True,
        images=377_110,
        size="570 GB",
        licence="PhysioNet",
        note="What is uncertain gets no label, what is not stated is absent.",
    ),
    Preset(
        name="padchest",
        title="PadChest",
        tables=dict.fromkeys(("PADCHEST*.csv*", "chest_x_ray_images_labels*.csv*"), ""),
        columns={"file_name": "ImageID", "label": "Labels", "patient_id": "PatientID", "view": "Projection"},
        alternatives=True,
        several=True,
        images=160_868,
        size="1 TB",
        licence="research",
        note="A row whose Labels are empty gets no label.",
    ),
    Preset(
        name="vindr",
        title="VinDr-CXR",
        tables={"image_labels_train.csv": "train", "image_labels_test.csv": "test", "train.csv": "train"},
        columns={"file_name": "image_id"},
        optional={"reader": "rad_id"},
        several=True,
        images=18_000,
        size="200 GB",
        licence="PhysioNet",
        note="Also Kaggle's VinBigData. A finding is present where most radiologists saw it.",
    ),
    Preset(
        name="rsna",
        title="RSNA Pneumonia Detection Challenge",
        tables=dict.fromkeys(("stage_2_detailed_class_info.csv", "stage_2_train_labels.csv"), ""),
        columns={"file_name": "patientId", "patient_id": "patientId"},
        alternatives=True,
        images=29_684,
        size="4 GB",
        licence="free",
        note="Three classes; --label-of 'Lung Opacity' makes the two of the challenge.",
    ),
    Preset(
        name="covidx",
        title="COVIDx CXR",
        tables={"train*.txt": "train", "val*.txt": "validation", "test*.txt": "test"},
        columns={"patient_id": "1", "file_name": "2", "label": "3"},
        optional={"source": "4"},
        images=84_818,
        size="",
        licence="that of each source",
        note="All versions up to CXR-4, of two classes or three.",
    ),
    Preset(
        name="radiography-database",
        title="COVID-19 Radiography Database",
        tables={"*metadata.xlsx": ""},
        columns={"file_name": "FILE NAME", "source": "URL"},
        images=21_165,
        size="0.8 GB",
        licence="that of each source",
        note="The tables give the sources; they need the extra `tables`.",
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


def read_preset(preset: Preset, place: Place) -> Table:
    """Read the tables of a data set as one: those of an archive, or those that lie in, below or beside a folder.

    Raises
    ------
    CatalogError
        None of its tables is there, or one lacks a column.
    """
    found = _found(preset.tables, place)
    if not found:
        raise CatalogError(
            f"Expected {' or '.join(preset.tables)} in {place.root} for --preset {preset.name}; received none. "
            f"Name the folder of {preset.title} as it was published."
        )
    chosen = found[: 1 if preset.alternatives else None]
    tables = [_with_split(_main_table(preset, place, path), split) for path, split in chosen]
    for join in preset.joins:
        further = [_read(place, path) for path, _ in _found(dict.fromkeys(join.files, ""), place)[:1]]
        tables = [_joined(table, other, join.key) for table in tables for other in further] or tables
    return _stacked(tables)


def _main_table(preset: Preset, place: Place, path: Path) -> Table:
    try:
        table = _read(place, path, preset.columns)
    except CatalogError as error:
        if not str(error).startswith("Expected a column"):
            raise
        raise CatalogError(
            f"{str(error).partition('. ')[0]}. Name the folder of {preset.title} as it was published."
        ) from error
    given = {ours: header for ours, header in preset.optional.items() if header in table.cells}
    named = {**table.named, **given}
    others = tuple(header for header in table.others if header not in named.values())
    remarks = tuple(remark for remark in table.remarks if not remark.startswith("No header"))
    return replace(table, named=named, others=others, remarks=remarks)


# Where the tables lie


def _found(patterns: Mapping[str, str], place: Place) -> list[tuple[Path, str]]:
    """Nearest files of these names, in the order of the patterns, each with its part of the split; of one name the first."""
    for look in _looks(place):
        found: dict[str, tuple[Path, str]] = {}
        for pattern, split in patterns.items():
            for path in look(pattern):
                found.setdefault(path.name, (path, split))
        if found:
            return list(found.values())
    return []


def _looks(place: Place) -> Iterator[Callable[[str], list[Path]]]:
    """What finds the files of a pattern: in an archive, or in, below, around and beside a folder, and deeper."""
    if isinstance(place, Archived):
        yield partial(_in_archive, place, sorted(place.files(), key=lambda name: name.count("/")))
        return
    root = place.root.absolute()
    inner = _folders(root)
    yield partial(_in_folders, [root])
    yield partial(_in_folders, inner)
    yield partial(_in_folders, [root.parent])
    yield partial(_in_folders, _folders(root.parent))
    yield partial(_in_folders, [*islice((deeper for folder in inner for deeper in _folders(folder)), _MOST_FOLDERS)])


def _in_archive(place: Archived, names: Sequence[str], pattern: str) -> list[Path]:
    return [place.root / name for name in names if fnmatchcase(name.rpartition("/")[2], pattern)]


def _in_folders(folders: Iterable[Path], pattern: str) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.glob(pattern)) if path.is_file()]


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(islice((path for path in folder.iterdir() if path.is_dir()), _MOST_FOLDERS))
    except OSError:
        return []


def _read(place: Place, path: Path, columns: Mapping[str, str] | None = None) -> Table:
    if not isinstance(place, Archived):
        return read_table(path, columns=columns)
    with place.on_disk(path.relative_to(place.root).as_posix()) as copy:
        return replace(read_table(copy, columns=columns), path=path)


# Several tables as one


def _stacked(tables: Sequence[Table]) -> Table:
    """Put tables below each other; a cell is "" where a table has no such column."""
    first = tables[0]
    if len(tables) == 1:
        return first
    headers = tuple(dict.fromkeys(header for table in tables for header in table.headers))
    cells = {
        header: [cell for table in tables for cell in table.cells.get(header) or [""] * len(table.lines)]
        for header in headers
    }
    named = {ours: header for table in reversed(tables) for ours, header in table.named.items()}
    return replace(
        first,
        path=first.path.with_name(" + ".join(table.path.name for table in tables)),
        headers=headers,
        cells=cells,
        lines=array("L", [line for table in tables for line in table.lines]),
        named=named,
        others=tuple(header for header in headers if header not in named.values()),
        finding_columns=tuple(dict.fromkeys(name for table in tables for name in table.finding_columns)),
        remarks=tuple(remark for table in tables for remark in table.remarks),
    )


def _with_split(table: Table, split: str) -> Table:
    return _with_columns(table, {"split": [split] * len(table.lines)}, {"split": "split"}) if split else table


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
