"""What a store says of patient, view and device, in a few names of one spelling: sex, age, view, source, manufacturer.

Tables and DICOM headers write these as they like; here "female", "f" and "F" are one. Ages become bands.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import sexes, texts
from plainfilm.data.ages import years
from plainfilm.data.spelling import listed
from plainfilm.data.store import Store
from plainfilm.data.tables.columns import COLUMNS, letters
from plainfilm.errors import UsageError

Texts = NDArray[np.str_]

CHILD = "under 18"
BANDS = ((18.0, CHILD), (40.0, "18-39"), (65.0, "40-64"), (float("inf"), "65+"))  # years below which a band ends
PATIENT = ("age", "sex", "view")
NAMES: Mapping[str, tuple[str, ...]] = {
    "sex": COLUMNS["sex"],
    "age": COLUMNS["age"],
    "view": COLUMNS["view"],
    "source": (),
    "manufacturer": ("manufacturer", "devicemanufacturer", "vendor"),
}  # letters of the columns that say it, the surest first
_NOT_KNOWN = frozenset(
    {"", "-", "?", "na", "n/a", "nan", "none", "null", "unk", "unknown", "not known", "unspecified", "missing"}
)
_VIEWS = {
    **dict.fromkeys(("posteroanterior", "postero anterior"), "PA"),
    **dict.fromkeys(("anteroposterior", "antero posterior"), "AP"),
    **dict.fromkeys(("l", "ll", "rl", "lat", "llat", "rlat", "left lateral", "right lateral"), "lateral"),
}


def patient(store: Store, rows: NDArray[np.int64]) -> dict[str, NDArray[Any] | None]:
    """Give age in years float64 (k), not-a-number where it is not known, and sex and view as `traits` does."""
    read = {**_READ, "age": lambda column: _mapped(column, _years)}
    known: dict[str, NDArray[Any] | None] = {kind: _told(store, kind, read[kind]) for kind in PATIENT}
    if known["age"] is not None:
        known["age"] = np.where(known["age"] == "", "nan", known["age"]).astype(np.float64)
    return {kind: column[rows] if column is not None and _is_told(column) else None for kind, column in known.items()}


def traits(store: Store, rows: NDArray[np.int64]) -> dict[str, Texts | None]:
    """Give what is known of `rows` (int64 (k)): for each kind of `NAMES` text (k), "" where it is not known.

    Age is a band of `BANDS`; view PA, AP, lateral or what else was written; sex F, M, other or what else was written.
    A kind that no image of the store has is None. Columns of `store.subgroups` follow under their names, as they were written.
    """
    found: dict[str, Texts | None] = {}
    for kind in NAMES:
        known = source_names(store.source) if kind == "source" else _told(store, kind, _READ[kind])
        found[kind] = known[rows] if known is not None and (known != "").any() else None
    for name in store.subgroups:
        if name not in NAMES:
            known = _mapped(
                store.provenance[name], lambda text: "" if _tidy(text) in _NOT_KNOWN else " ".join(text.split())
            )
            found[name] = known[rows]
    return found


def check_columns(store: Store, names: Sequence[str]) -> None:
    """Raise UsageError where the store keeps no column of a name that is no kind of `NAMES` either."""
    kept = [*NAMES, *store.provenance]
    if unknown := [name for name in names if name not in kept]:
        raise UsageError(
            f"Expected --subgroups to name columns that the store keeps: {listed(kept)}; received {listed(unknown)}. "
            f"Ingest the radiographs again with --keep {unknown[0]}"
        )


def source_names(source: Texts) -> Texts:
    """Leave sources as they are, "" for one that says that it is not known."""
    return _mapped(source, lambda text: "" if _tidy(text) in _NOT_KNOWN else text)


def age_band(text: str) -> str:
    """Give the band of an age as `ages.years` reads it; "" where it is none."""
    age = years(text)
    return next((name for end, name in BANDS if age < end), "")


def sex(text: str, read: Callable[[str], str] = sexes.sex) -> str:
    """Give F, M or other; a code of another kind as it was written; "" where it is not known."""
    tidy = _tidy(text)
    return "" if tidy in _NOT_KNOWN else read(text)


def view(text: str) -> str:
    """Give PA, AP or lateral, with what else was said ("AP supine"); other views in one spelling; "" for not known."""
    tidy = _tidy(re.sub(r"[\s_/-]+", " ", text)) if text.strip() not in _NOT_KNOWN else ""
    if tidy in _NOT_KNOWN:
        return ""
    if tidy in _VIEWS:
        return _VIEWS[tidy]
    words = tidy.split(" ")
    codes = {"pa", "ap"} if len(words) > 1 else {word for word in words if len(word) <= 3}
    return " ".join(word.upper() if word in codes else word for word in words)


def is_lateral(view: str) -> bool:
    """Whether a view, as `traits` gives it, is lateral: `lateral`, `XTABLE lateral`; not `left lateral decubitus`, which is taken from the front."""
    words = view.casefold().split()
    return "lateral" in words and not any(word.startswith("decub") for word in words)


def _is_told(column: NDArray[Any]) -> bool:
    return bool(np.isfinite(column).any() if column.dtype.kind == "f" else (column != "").any())


def _told(store: Store, kind: str, read: Callable[[NDArray[Any]], Texts]) -> Texts | None:
    """Join the columns that say the kind, row by row the first that knows; None where there is no such column."""
    own = {name: letters(name) for name in store.provenance}
    columns = [name for alias in map(letters, NAMES[kind]) for name, its in own.items() if its == alias]
    known: Texts | None = None
    for name in columns:
        more = read(store.provenance[name])
        known = more if known is None else np.where(known == "", more, known)
    return known


def _mapped(column: NDArray[Any], read: Callable[[str], str]) -> Texts:
    found, place = np.unique(column, return_inverse=True)
    return texts.spread([read(_text(value)) for value in found], place)


def _years(text: str) -> str:
    return "" if np.isnan(years(text)) else f"{years(text):.4g}"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.12g}"
    return str(value)


def _tidy(text: str) -> str:
    return " ".join(text.split()).casefold()


def _sexes(column: NDArray[Any]) -> Texts:
    read = sexes.reader_of(map(_text, np.unique(column)))
    return _mapped(column, lambda text: sex(text, read))


def _makers(column: NDArray[Any]) -> Texts:
    """Give names that differ by case or spaces only in their commonest spelling."""
    names, place, counts = np.unique(
        _mapped(column, lambda text: " ".join(text.split())), return_inverse=True, return_counts=True
    )
    spelling: dict[str, str] = {}
    for at in np.argsort(-counts, kind="stable"):
        spelling.setdefault(str(names[at]).casefold(), str(names[at]))
    shown = ["" if name.casefold() in _NOT_KNOWN else spelling[name.casefold()] for name in map(str, names)]
    return texts.spread(shown, place)


_READ: Mapping[str, Callable[[NDArray[Any]], Texts]] = {
    "sex": _sexes,
    "age": lambda column: _mapped(column, age_band),
    "view": lambda column: _mapped(column, view),
    "manufacturer": _makers,
}
