"""One radiograph as a catalog lists it, and what a row of a table says about it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from plainfilm.data.cataloguing.level_names import split_of
from plainfilm.data.places.place import Place
from plainfilm.data.tables.columns import FLAGS
from plainfilm.data.tables.reading import Table, TableRow
from plainfilm.errors import CatalogError


@dataclass(frozen=True, slots=True)
class Entry:
    """One radiograph to read, and what is known of it before it is decoded.

    `name` is its path below `place`, a SOURCE. `file` is the same as text that can be written anywhere, after the SOURCE's
    name where there are several. `label` and `patient` are None where unknown, `issuer` is DICOM's of the patient's id or
    "". `split` is train, validation, test or None. `details` holds `view`, `sex`, `age`, `manufacturer` and the other
    columns of a table, as text, where they are known; `findings` one int8 a finding of the catalog's. `other_ids` are more
    ids of the same patient, as where a table and a header differ; `of_folder` is the patient whom a folder names. `is_later`
    says whether the study is of the later part of a split by date, None where that is not known, or was not asked.
    """

    place: Place
    name: str
    file: str
    label: str | None
    patient: str | None
    source: str
    split: str | None
    details: Mapping[str, str]
    issuer: str = ""
    findings: bytes = b""
    other_ids: tuple[str, ...] = ()
    of_folder: str | None = None
    is_later: bool | None = None

    @property
    def path(self) -> Path:
        """Where the file lies; made when asked for, as the parts of a `Path` take half a kilobyte."""
        return self.place.root / self.name


def printable(name: str) -> str:
    """Give a path, even one that is no UTF-8, as text that can be written anywhere; most stay the same object."""
    if name.isascii():
        return name
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return name if name == text else text


def counted(number: int, noun: str) -> str:
    """Give `1 image` or `1,234 images`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def trimmed(label: str) -> str:
    """Name of a class without outer spaces, inner ones single."""
    return " ".join(label.split())


def require(table: Table, *columns: str) -> None:
    """Raise CatalogError unless the table has one of our `columns`."""
    if any(column in table.named for column in columns):
        return
    wanted = columns[0] if len(columns) == 1 else f"{', '.join(columns[:-1])} or {columns[-1]}"
    flags = " ".join(f"{FLAGS[column]} {number}" for number, column in enumerate(("file_name", "label"), 1))
    advice = "Rename or add it." if table.has_header else f"Add a header, or name columns by number, as in {flags}."
    raise CatalogError(f"Expected a column {wanted} in {table.path}; received {table.shown_headers()}. {advice}")


def is_ieee8023(table: Table) -> bool:
    """Whether a table has the columns of the covid-chestxray-dataset, whose findings are paths of a taxonomy."""
    return {"folder", "modality"} <= set(table.named) and table.named.get("label", "").lower() == "finding"


def with_row(entry: Entry, table: Table, row: TableRow) -> Entry:
    """Lay a row over an entry, all but the label; an empty cell changes nothing.

    Raises
    ------
    CatalogError
        The split is none that is known.
    """
    written = row.get("split")
    split = split_of(written) if written else entry.split
    if split is None and written:
        raise CatalogError(
            f"Expected train, validation or test; received split {written} in line {row.line} of {table.path}. Name one."
        )
    given = {column: row.get(column) for column in ("view", "sex", "age", "modality") if row.get(column)}
    patient = row.get("patient_id")
    return replace(
        entry,
        patient=patient or entry.patient,
        issuer="" if patient else entry.issuer,
        other_ids=_more_ids(entry, patient),
        source=row.get("source") or entry.source,
        split=split,
        details={**entry.details, **row.details, **given},
    )


def _more_ids(entry: Entry, patient: str) -> tuple[str, ...]:
    is_new = patient and entry.patient not in {None, patient, entry.of_folder}
    return (*entry.other_ids, str(entry.patient)) if is_new else entry.other_ids
