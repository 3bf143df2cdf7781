"""Dates of studies, for which part of a split they belong to; what is kept of a date is that alone."""

import calendar
import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence

from plainfilm.data.spelling import listed
from plainfilm.data.tables.columns import letters
from plainfilm.errors import CatalogError, UsageError

Days = tuple[dt.date, dt.date]  # the first and the last that a text may mean

_NAMES = (  # of columns, by their letters, the surest first
    *(
        "studydate",
        "studydatetime",
        "studydatedicom",
        "examdate",
        "examinationdate",
        "acquisitiondate",
        "acquisitiondatetime",
    ),
    *("imagedate", "imagingdate", "scandate", "xraydate", "proceduredate", "performeddate", "datetime", "date"),
    *(
        "untersuchungsdatum",
        "aufnahmedatum",
        "datum",
        "datedexamen",
        "dateexamen",
        "fechaestudio",
        "fechadelestudio",
        "fecha",
    ),
    *("dataesame", "dataexame", "datadoexame", "检查日期", "拍摄日期", "日期"),
)
_NUMBERED = re.compile(r"(\d{4})[-./年]?(\d{1,2})[-./月]?(\d{1,2})日?")
_MONTH = re.compile(r"(\d{4})[-./年](\d{1,2})月?")
_TO_THE_SECOND = re.compile(r"\d{14}(\.\d*)?([+-]\d{4})?")
_YEAR = re.compile(r"(\d{4})年?")
_TURNED = re.compile(r"(\d{1,2})([-./])(\d{1,2})[-./](\d{4})")
_SPELT = re.compile(r"(?:(\d{1,2})\.? )?([A-Za-z]{3,9})\.? (?:(\d{1,2}),? )?(\d{4})")
_MONTHS = {
    name.lower(): number
    for names in (calendar.month_name, calendar.month_abbr)
    for number, name in enumerate(names)
    if name
}


def read_start(text: str) -> dt.date:
    """Read the first day of the later part, of a day, a month or a year: 2025-01-15, 2025-01, 2025.

    Raises
    ------
    UsageError
        It is none of them.
    """
    found = next(iter(_readings(text)), None) if re.fullmatch(r"\d{4}(-\d{2}){0,2}", text) else None
    if found is None:
        raise UsageError(
            f"Expected --test-from as a day, a month or a year; received {text}. Write for example --test-from 2025-01"
        )
    return found[0]


def date_column(asked: str | None, columns: Iterable[str]) -> str | None:
    """Name the column of dates among those of the tables: the one asked for, else the surest by its name; None without one.

    Raises
    ------
    CatalogError
        There is none of the name asked for.
    """
    known = {letters(name): name for name in sorted(columns)}
    if asked is None:
        return next((known[name] for name in _NAMES if name in known), None)
    if letters(asked) not in known:
        raise CatalogError(
            f"Expected a column {asked} in a table of the radiographs, for --date-column; received {listed([*known.values()]) or 'none'}. Name another."
        )
    return known[letters(asked)]


def are_later(texts: Sequence[str], start: dt.date) -> list[bool | None]:
    """Say of each date whether it is `start` or later; None where it is none, or may be either.

    Raises
    ------
    CatalogError
        Days and months stand in an order that nothing tells.
    """
    meant: Mapping[str, list[Days]] = {text: _readings(text) for text in set(texts)}
    sides = {text: {_side(days, start) for days in found} for text, found in meant.items()}
    if any(len(found) > 1 for found in sides.values()):
        order = _order(meant)
        sides = {
            text: {_side(found[min(order, len(found) - 1)], start)} if found else set() for text, found in meant.items()
        }
    return [next(iter(sides[text]), None) for text in texts]


def _side(days: Days, start: dt.date) -> bool | None:
    first, last = days
    return True if first >= start else False if last < start else None


def _order(meant: Mapping[str, Sequence[Days]]) -> int:
    """Say whether the day (0) or the month (1) stands first, by a date that can be read in one way alone."""
    told = {_TURNED.match(text): found for text, found in meant.items() if found}
    orders = {
        int(int(match[3]) > 12) for match, found in told.items() if match and len(found) == 1 and match[1] != match[3]
    }
    if len(orders) == 1:
        return orders.pop()
    raise CatalogError(
        "Expected dates whose day and month can be told apart; received some that may be either, as in 03/04/2024. Write them as 2024-04-03."
    )


def _readings(text: str) -> list[Days]:
    """Give what a text may mean: one day, month or year, or two days where the order of day and month is not told, the day first."""
    written = " ".join(text.split())
    if match := _SPELT.match(written):
        month, day = _MONTHS.get(match[2].lower(), 0), match[1] or match[3]
        return _spans((int(match[4]), month, int(day)) if day else (int(match[4]), month))
    written = written.split(" ")[0].split("T")[0]
    if match := _TURNED.fullmatch(written):
        one, other, year = int(match[1]), int(match[3]), int(match[4])
        same = one == other or match[2] == "."
        return [*_spans((year, other, one)), *([] if same else _spans((year, one, other)))]
    digits = written[:8] if _TO_THE_SECOND.fullmatch(written) else written
    match = _NUMBERED.fullmatch(digits) if len(digits) >= 8 else None
    match = match or _MONTH.fullmatch(written) or _YEAR.fullmatch(written.removesuffix(".0"))
    return _spans(tuple(map(int, match.groups()))) if match else []


def _spans(parts: tuple[int, ...]) -> list[Days]:
    """Give the first and the last day of a year, a month or a day; nothing where there is none such."""
    try:
        first = dt.date(*(*parts, 1, 1)[:3])
        last_month = parts[1] if len(parts) > 1 else 12
        last_day = parts[2] if len(parts) > 2 else calendar.monthrange(first.year, last_month)[1]
        return [(first, dt.date(first.year, last_month, last_day))]
    except ValueError:
        return []
