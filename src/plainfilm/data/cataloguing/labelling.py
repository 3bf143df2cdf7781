"""What the rows of a table say of one image: its class, or which findings it has, and whether it has the one asked for."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from plainfilm.data.cataloguing.entry import is_ieee8023, trimmed
from plainfilm.data.spelling import did_you_mean, listed, spelling_key
from plainfilm.data.tables.findings import (
    ABSENT,
    NOT_STATED,
    PRESENT,
    UNCERTAIN,
    class_by,
    finding_state,
    findings_of,
    list_separator,
)
from plainfilm.data.tables.reading import Table, TableRow
from plainfilm.errors import CatalogError
from plainfilm.results.task import Task, combination

MOST_FINDINGS = 500
FEWEST_WITH_SEVERAL = 5  # images
ONE_ROW_A_FINDING = 0.05  # share of images under several labels from which a table is of findings, not in error


@dataclass(frozen=True, slots=True)
class Labelling:
    """How labels are read from a table.

    `names` are the findings that a store will keep, sorted, () where each image has one label. `columns` says that they
    are columns of 0 and 1, else names in the column of labels, apart by `separator`; `asked` is the one that is the
    label. `is_combined` says that images have several and none is asked for: a label then names all of an image, and of the
    task "findings" each is told by itself. `has_uncertain` says that labels are 0 and 1 with -1 for uncertain. `speaks` is
    False where the table says nothing of labels.
    """

    table: Table
    speaks: bool = True
    columns: bool = False
    separator: str | None = None
    names: tuple[str, ...] = ()
    asked: str | None = None
    has_uncertain: bool = False
    is_combined: bool = False
    task: Task = "classes"

    def labels(self, rows: Sequence[TableRow]) -> set[str]:
        """Give the classes that the rows of one image name: none, one, or more where they contradict each other."""
        if self.asked is not None or self.is_combined:
            states = _states(self, rows)
            has = [name for name in self.names if states[spelling_key(name)] == PRESENT]
            label = combination(has) if self.asked is None else class_by(self.asked, states[spelling_key(self.asked)])
            return set() if label is None or set(states.values()) == {NOT_STATED} else {label}
        if self.columns:
            return {name for name in self.table.finding_columns for row in rows if finding_state(row.cell(name)) == 1}
        labels = {label for row in rows if (label := trimmed(_text(self.table, row)))}
        return labels - {"-1"} if self.has_uncertain else labels

    def contradicted(self, rows: Sequence[TableRow]) -> str:
        """Give the first finding that one row of an image calls present and another absent, where no column names readers; else ""."""
        if len(rows) < 2 or not (self.columns and self.names) or "reader" in self.table.named:
            return ""
        each = ((name, {finding_state(row.cell(name)) for row in rows}) for name in self.table.finding_columns)
        return next((name for name, states in each if {PRESENT, ABSENT} <= states), "")

    def findings(self, rows: Sequence[TableRow]) -> bytes:
        """Give the state of each of `names`, one int8 each."""
        if not self.names:
            return b""
        states = _states(self, rows)
        return bytes(states[spelling_key(name)] & 0xFF for name in self.names)


def labelling_of(
    table: Table, rows_of: Mapping[str, Sequence[TableRow]], asked: str | None, task: Task | None = None
) -> Labelling:
    """Find out how a table writes labels, and which finding of it is asked for.

    Parameters
    ----------
    table
        The table.
    rows_of
        Its rows by image.
    asked
        The finding that is the label, in any spelling; None where the classes, or all findings, are to be.
    task
        Whether each image is of one class, or has findings; None for findings where images have several or none.

    Raises
    ------
    CatalogError
        The finding asked for is not there.
    """
    if "label" in table.named:
        labelling, several = _in_one_column(table, rows_of, asked)
    elif table.finding_columns:
        labelling, several = _one_column_each(table, rows_of)
    elif asked is not None:
        raise CatalogError(
            f"Expected findings in {table.path} for --label-of {asked}; received no column of labels. Name it with --label-column."
        )
    else:
        return Labelling(table, speaks=False)
    return _asked_for(labelling, several, asked, task)


def _asked_for(labelling: Labelling, several: int, asked: str | None, task: Task | None) -> Labelling:
    table, names = labelling.table, labelling.names
    if (several or asked is not None) and len(names) > MOST_FINDINGS:
        raise CatalogError(
            f"Expected at most {MOST_FINDINGS} findings in {table.path}; received {len(names):,}. Leave some out of the table."
        )
    if asked is not None:
        return replace(labelling, asked=finding_asked_for(asked, names, str(table.path)))
    if several:
        return replace(labelling, is_combined=True, task=task or "findings")
    return Labelling(table, columns=labelling.columns, has_uncertain=not labelling.columns and _has_uncertain(table))


def _has_uncertain(table: Table) -> bool:
    """Whether the labels of a table are 0, 1 and -1: an image of -1 then has no label."""
    found = set(table.column("label")) - {""}
    return "-1" in found and found <= {"0", "1", "-1"}


def finding_asked_for(asked: str | None, names: Sequence[str], where: str) -> str:
    """Give the finding that `--label-of` means.

    Raises
    ------
    CatalogError
        It is none of `names`, or there is none.
    """
    by_key = {spelling_key(name): name for name in names}
    if asked is None or spelling_key(asked) not in by_key:
        meant = "" if asked is None else did_you_mean(asked, names)
        raise CatalogError(
            f"Expected for --label-of a finding of {where}, among {listed(names)}; received {asked or 'none'}. {meant}Name one."
        )
    return by_key[spelling_key(asked)]


def _one_column_each(table: Table, rows_of: Mapping[str, Sequence[TableRow]]) -> tuple[Labelling, int]:
    """Read columns of 0 and 1; where each image has just one of several, that one is its class."""
    labelling = Labelling(table, columns=True, names=_named(table.finding_columns))
    each = [len(labelling.labels(rows)) for rows in rows_of.values()]
    return labelling, sum(number != 1 for number in each)


def _in_one_column(table: Table, rows_of: Mapping[str, Sequence[TableRow]], asked: str | None) -> tuple[Labelling, int]:
    texts = {image: [_text(table, row) for row in rows] for image, rows in rows_of.items()}
    separator = list_separator([cell for cells in texts.values() for cell in cells], asked)
    found = {
        image: {spelling_key(name): name for cell in cells for name in findings_of(cell, separator)}
        for image, cells in texts.items()
    }
    lists = sum(len(names) > 1 for names in found.values())
    is_lists = any(len(findings_of(cell, separator)) > 1 for cells in texts.values() for cell in cells)
    if not is_lists and lists < max(FEWEST_WITH_SEVERAL, ONE_ROW_A_FINDING * len(found)):
        lists = 0  # contradictions of a few rows, each said of its image
    names = _named(name for each in found.values() for name in each.values())
    return Labelling(table, separator=separator, names=names), lists


def _text(table: Table, row: TableRow) -> str:
    """Label as written; of a path of the ieee8023 taxonomy, `Pneumonia/Viral/COVID-19`, the last part."""
    text = row.get("label")
    return text.rpartition("/")[2] if is_ieee8023(table) else text


def _named(names: Iterable[str]) -> tuple[str, ...]:
    """Findings by their commonest spelling, sorted."""
    spellings: dict[str, Counter[str]] = {}
    for name in names:
        spellings.setdefault(spelling_key(name), Counter())[name] += 1
    return tuple(sorted(min(found, key=lambda name: (-found[name], name)) for found in spellings.values()))


def _states(labelling: Labelling, rows: Sequence[TableRow]) -> dict[str, int]:
    """State of each finding by its key; of several readers, what more than half of them say."""
    if "reader" not in labelling.table.named:
        return _states_of_one(labelling, rows)
    by_reader: dict[str, list[TableRow]] = {}
    for row in rows:
        by_reader.setdefault(row.get("reader"), []).append(row)
    each = [_states_of_one(labelling, rows_of_one) for rows_of_one in by_reader.values()]
    return {key: _majority([states[key] for states in each]) for key in each[0]}


def _majority(states: Sequence[int]) -> int:
    if len(states) == 1 or set(states) == {NOT_STATED}:
        return states[0]
    present = states.count(PRESENT)
    return PRESENT if 2 * present > len(states) else UNCERTAIN if 2 * present == len(states) else ABSENT


def _states_of_one(labelling: Labelling, rows: Sequence[TableRow]) -> dict[str, int]:
    """Of rows that differ, present counts before uncertain, absent and not stated."""
    if labelling.columns:
        order = (PRESENT, UNCERTAIN, ABSENT, NOT_STATED)
        return {
            spelling_key(name): min((finding_state(row.cell(name)) for row in rows), key=order.index)
            for name in labelling.table.finding_columns
        }
    has = {spelling_key(name) for row in rows for name in findings_of(_text(labelling.table, row), labelling.separator)}
    stated = ABSENT if has else NOT_STATED
    return {key: PRESENT if key in has else stated for key in map(spelling_key, labelling.names)}
