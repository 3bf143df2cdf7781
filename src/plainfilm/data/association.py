"""How closely a column goes with the class: its values as a few categories, and Cramér's V of the two."""

import datetime as dt
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chndtr

from plainfilm.results.estimate import UNDEFINED, Estimate

RARE = 5  # images of a category that counts by itself
_LEVELS = 10  # bins of a number
_FEWEST = 20  # patients or unrelated images
_LOOKED_AT = 100  # values that tell whether all are dates
_RECUR = 0.5  # share of the images whose value recurs, for values to be categories
_FORM_LETTERS = 16
_DATES = ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%Y年%m月%d日")


def levels(column: NDArray[Any]) -> NDArray[np.int64]:
    """Give numbers the bin of ten quantiles, and words a number each, int64 (n); a missing number is a level of its own."""
    if column.dtype.kind != "f":
        return np.unique(column, return_inverse=True)[1].astype(np.int64)
    known = np.isfinite(column)
    edges = np.unique(np.quantile(column[known], np.linspace(0, 1, _LEVELS + 1)[1:-1])) if known.any() else np.empty(0)
    return np.where(known, np.searchsorted(edges, column, side="right"), -1).astype(np.int64)


def categories(column: NDArray[Any]) -> NDArray[np.int64]:
    """Give the values of a column as categories, int64 (n), so that even names and numbers that never recur tell what they can.

    Numbers and dates are binned; words that recur stay; others are known by their form, `COV-017` by `cov-#`, free text by its
    length. What fewer than five images have is one category.
    """
    found = levels(_comparable(column))
    _, code, count = np.unique(found, return_inverse=True, return_counts=True)
    return np.where(count[code] >= RARE, code, -1)


def _comparable(column: NDArray[Any]) -> NDArray[Any]:
    if column.dtype.kind == "f":
        return column
    if (days := _days(column)) is not None:
        return days
    forms = np.array([re.sub(r"\d+", "#", text.casefold())[:_FORM_LETTERS] for text in column.tolist()])
    lengths = np.array([float(len(text)) for text in column.tolist()])
    return next((own for own in (column, forms) if _recurring(own) >= _RECUR), lengths)


def _recurring(column: NDArray[Any]) -> float:
    count = Counter(column.tolist())
    return sum(number for number in count.values() if number >= RARE) / max(1, len(column))


def _days(column: NDArray[Any]) -> NDArray[np.float64] | None:
    """Give dates as days, None where they are none."""
    filled = [text for text in column.tolist() if text]
    for form in _DATES:
        if not _fit(filled[:_LOOKED_AT], form):
            continue
        days = {text: _day(text, form) for text in set(filled)}
        return np.array([days.get(text, math.nan) for text in column.tolist()])
    return None


def _fit(texts: Sequence[str], form: str) -> bool:
    return sum(not math.isnan(_day(text, form)) for text in texts) >= 0.9 * max(1, len(texts))


def _day(text: str, form: str) -> float:
    try:
        return float(dt.datetime.strptime(re.split(r"[T ]", text.strip())[0], form).toordinal())
    except ValueError:
        return math.nan


def cramers_v(labels: NDArray[np.int64], column: NDArray[np.int64]) -> Estimate:
    """Estimate Cramér's V of class and categories, 0 (independent) to 1, of independent images, int64 (n) each.

    Corrected for bias (Bergsma, Journal of the Korean Statistical Society 2013); the 95 % interval is that of the
    noncentrality of chi squared (Smithson, Confidence Intervals, 2003). Not defined with one class, one category, or fewer
    than twenty images.
    """
    (known, label), (values, value) = (np.unique(each, return_inverse=True) for each in (labels, column))
    n, rows, columns = len(labels), len(known), len(values)
    if n < _FEWEST or min(rows, columns) < 2:
        return UNDEFINED
    table = np.bincount(label * columns + value, minlength=rows * columns).reshape(rows, columns)
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / n
    chi2, freedom = float((np.square(table - expected) / expected).sum()), (rows - 1) * (columns - 1)
    fewest = min(size - (size - 1) ** 2 / (n - 1) for size in (rows, columns)) - 1
    v = math.sqrt(min(1.0, max(0.0, chi2 / n - freedom / (n - 1)) / fewest)) if fewest > 0 else 0.0
    low, high = (_noncentrality(chi2, freedom, level) for level in (0.975, 0.025))
    most = n * (min(rows, columns) - 1)
    return Estimate(v, min(v, math.sqrt(low / most)), max(v, min(1.0, math.sqrt(high / most))))


def _noncentrality(chi2: float, freedom: int, level: float) -> float:
    """Find the noncentrality at which chi squared is below what was seen with a probability of `level`, 0 where there is none."""
    low, high = 0.0, 2 * chi2 + 100.0
    if chndtr(chi2, freedom, low) <= level:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if chndtr(chi2, freedom, middle) > level else (low, middle)
    return low


def first_of_each(groups: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the first row of each group, int64 (k)."""
    return np.sort(np.unique(groups, return_index=True)[1])
