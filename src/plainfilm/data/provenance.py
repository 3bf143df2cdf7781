"""What tables and headers say of the images: which columns a store gets, and what is known of those that it does not.

A column that is left out is measured against the class, so that an audit can still name it, and forgotten.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from plainfilm.data import texts
from plainfilm.data.association import categories, cramers_v, first_of_each
from plainfilm.data.kept_columns import cells_of, is_of_the_making, looks_personal
from plainfilm.data.tables.columns import letters
from plainfilm.errors import StoreError
from plainfilm.reasons import reason_of
from plainfilm.results.columns import LeftOutColumn

_T = TypeVar("_T")
_READ = tuple[LeftOutColumn, ...]
_MOST_LETTERS, _MOST_WORDS = 40, 6  # of a column's name that is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Columns of a store, numbers or text, one value an image; columns left out, as they are reported; columns kept as was asked."""

    columns: Mapping[str, NDArray[Any]]
    left_out: tuple[LeftOutColumn, ...]
    kept: tuple[str, ...]


def sorted_out(
    columns: Mapping[str, Sequence[Any]],
    *,
    labels: NDArray[np.int64] | NDArray[np.int8],
    group: NDArray[np.int64],
    keep: Collection[str] = (),
) -> Provenance:
    """Keep what may stand in a store, and measure the rest.

    Parameters
    ----------
    columns
        Values by name, n each, None where an image has none.
    labels, group
        Class index, -1 for none, and patient or duplicates, int64 (n). Columns are measured on the labelled images of all
        sets, one a group; of findings, int8 (n, k), against the one that they go with the most.
    keep
        Names, by letters and digits, of columns that stay as they are.
    """
    asked = {letters(name) for name in keep}
    measured = list(_measured(labels, group))
    stored: dict[str, NDArray[Any]] = {}
    left_out: list[LeftOutColumn] = []
    kept: list[str] = []
    for name, values in columns.items():
        whole = as_column(values)
        if letters(name) in asked:
            stored[name] = whole
            kept.append(name)
            continue
        told, told_of = _told(name, whole, group)
        if told is not None:
            stored[name] = told
        if told_of is not None:
            each = [(cramers_v(own, categories(whole[known])), len(known)) for own, known in measured]
            v, n = max(each, key=lambda found: np.nan_to_num(found[0].low, nan=-1.0))
            left_out.append(replace(told_of, column=_shown(name, len(left_out)), cramers_v=v, n=n))
    return Provenance(columns=stored, left_out=tuple(left_out), kept=tuple(kept))


def _measured(
    labels: NDArray[np.int64] | NDArray[np.int8], group: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Give labels and rows that columns are measured on: of classes once, of findings for each."""
    for own in labels.reshape(len(labels), -1).T:
        known = np.flatnonzero(own >= 0)
        known = known[first_of_each(group[known])]
        yield own[known].astype(np.int64), known


def left_out_columns(attributes: Mapping[str, Any]) -> tuple[LeftOutColumn, ...]:
    """Read from the attributes of a store which columns it lacks; none of a store of 0.2 and before.

    Raises
    ------
    StoreError
        They cannot be read.
    """
    return _noted(attributes, "left_out_columns", _READ)


def kept_columns(attributes: Mapping[str, Any]) -> list[str]:
    """Read from the attributes of a store which columns it has since `--keep` named them; raises as `left_out_columns`."""
    return _noted(attributes, "kept_columns", list[str])


def _noted(attributes: Mapping[str, Any], name: str, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(str(attributes.get(name, "[]")), type=kind)
    except msgspec.MsgspecError as error:
        raise StoreError(
            f"Expected a store that tells which columns it has; received one that is damaged ({reason_of(error)}). Ingest it again."
        ) from error


def _told(name: str, whole: NDArray[Any], group: NDArray[np.int64]) -> tuple[NDArray[Any] | None, LeftOutColumn | None]:
    """Give what may be kept of a column, and the record of what may not; None where there is nothing of it."""
    cells = _as_text(whole)
    filled = len(cells) - cells.count("")
    kept = cells_of(name, cells, group.tolist())
    if kept is None:
        return None, LeftOutColumn(column=name, values=filled, of_the_making=is_of_the_making(name))
    fitting = len(kept) - kept.count("")
    lost = LeftOutColumn(column=name, values=filled - fitting, kept=fitting, of_the_making=is_of_the_making(name))
    return (whole if kept == cells else as_column(kept)), (lost if filled > fitting else None)


def _as_text(column: NDArray[Any]) -> list[str]:
    if column.dtype.kind != "f":
        return list(map(str, column.tolist()))
    return ["" if math.isnan(number) else f"{number:.12g}" for number in column.tolist()]


def _shown(name: str, number: int) -> str:
    """Give the name of a column for people; a number where the name may itself be a patient's data, as in a table without a header."""
    short = " ".join(name.split()[:_MOST_WORDS])[:_MOST_LETTERS].strip("?!,")
    return f"column {number + 1}" if looks_personal(short) else short


def as_column(values: Sequence[Any]) -> NDArray[Any]:
    """Float64 where every value is a finite number (NaN for none), else text ("" for none)."""
    values = ["" if value is None else value for value in values]
    numbers = [_number(value) for value in values]
    is_number = all(number is not None for number in numbers) and any(value != "" for value in values)
    return np.array(numbers, np.float64) if is_number else texts.as_array([str(value) for value in values])


def _number(value: Any) -> float | None:
    if value == "":
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and "_" not in str(value) else None  # 1_2 is a name
