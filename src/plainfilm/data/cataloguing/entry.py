"""One radiograph as a catalog lists it, and what a row of a table says about it."""

from dataclasses import dataclass, replace
from pathlib import Path

from plainfilm.data.cataloguing.columns import FLAGS
from plainfilm.data.cataloguing.tables import Table, TableRow
from plainfilm.errors import CatalogError

SPLITS: dict[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One radiograph to read, and what is known of it before it is decoded.

    `name` is its path below `root`, a SOURCE. `file` is the same as text that can be written anywhere, after the SOURCE's
    name where there are several. `label` and `patient` are None where unknown; `split` is train, validation, test or
    None. `details` holds `view`, `sex`, `age`, `manufacturer` and the other columns of a table, as text, where they are
    known.
    """

    root: Path
    name: str
    file: str
    label: str | None
    patient: str | None
    source: str
    split: str | None
    details: dict[str, str]

    @property
    def path(self) -> Path:
        """Where the file lies; made when asked for, as the parts of a `Path` take half a kilobyte."""
        return self.root / self.name


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


def label_of(table: Table, row: TableRow) -> str | None:
    """Class that a row names: of `Pneumonia/Viral/COVID-19` in the ieee8023 table the last part."""
    text = row.get("label")
    return trimmed(text.rpartition("/")[2] if is_ieee8023(table) else text) or None


def with_row(entry: Entry, table: Table, row: TableRow) -> Entry:
    """Lay a row over an entry; an empty cell changes nothing, except that an empty label is no label.

    Raises
    ------
    CatalogError
        The split is none that is known.
    """
    split = row.get("split")
    if split and split.lower() not in SPLITS:
        raise CatalogError(
            f"Expected train, validation or test; received split {split} in line {row.line} of {table.path}. Name one."
        )
    given = {column: row.get(column) for column in ("view", "sex", "age", "modality") if row.get(column)}
    return replace(
        entry,
        label=label_of(table, row) if "label" in table.named else entry.label,
        patient=row.get("patient_id") or entry.patient,
        source=row.get("source") or entry.source,
        split=SPLITS.get(split.lower(), entry.split),
        details={**entry.details, **row.details, **given},
    )
