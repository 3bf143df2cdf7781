"""A test on other data laid out for reading: differences to the model's own test part, labels, what was refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plainfilm.evidence.external.recalibration import Fit
from plainfilm.reporting.formatting import LABELS, MISSING, PERCENT, decimal, number, percent
from plainfilm.reporting.tables import metrics
from plainfilm.reporting.tables.metrics import Cell
from plainfilm.results.estimate import Estimate
from plainfilm.results.metrics import Metrics

MINUS = "\N{MINUS SIGN}"
_WHOLE = (0.0, 1.0)
_STEPS = (0.05, 0.1, 0.2, 0.5, 1.0)  # half widths of a scale of differences


@dataclass(frozen=True, slots=True, kw_only=True)
class DropRow:
    """One metric here, on the model's own test part, and the difference: in points where the metric is in per cent."""

    label: str
    here: Cell
    own: Cell
    drop: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class DropShown:
    """The rows; `ticks` are the places and names of the marks of the differences' bar, `zero` the place of none."""

    rows: Sequence[DropRow]
    ticks: Sequence[tuple[float | None, str]]
    zero: float | None


@dataclass(frozen=True, slots=True)
class PairRow:
    """One metric twice: of all, and without those refused; or before and after."""

    label: str
    first: Cell
    second: Cell


def drops(here: Metrics, own: Metrics, drop: Mapping[str, Estimate]) -> DropShown:
    """Lay out the differences, positive where the metric is lower here."""
    ends = [end for each in drop.values() for end in map(number, (each.value, each.low, each.high)) if end is not None]
    reach = next((step for step in _STEPS if max(map(abs, ends), default=0.0) <= step), _STEPS[-1])
    scale = (-reach, reach)
    rows = [
        DropRow(
            label=LABELS[name],
            here=metrics.cell(here.estimates[name], _WHOLE, in_percent=name in PERCENT),
            own=metrics.cell(own.estimates[name], _WHOLE, in_percent=name in PERCENT),
            drop=signed(each, scale, in_percent=name in PERCENT),
        )
        for name, each in drop.items()
    ]
    ticks = [(metrics.place(-reach, scale), "higher here"), (metrics.place(reach, scale), "lower here")]
    return DropShown(rows=rows, ticks=ticks, zero=metrics.place(0.0, scale))


def fits(before: Fit, after: Fit) -> list[PairRow]:
    """Lay out how well probabilities fit, before and after."""
    rows = [_pair("brier", before.brier, after.brier), _pair("ece", before.ece, after.ece)]
    excess = [signed(each.excess, _WHOLE, in_percent=False) for each in (before, after)]
    return [*rows, PairRow("Mean probability less the share that came true", *excess)]


def signed(each: Estimate, scale: tuple[float, float], *, in_percent: bool) -> Cell:
    """Write a number of either sign, in points where it is one of shares, and place it on a scale."""
    value, low, high = map(number, (each.value, each.low, each.high))
    if value is None or low is None or high is None:
        return Cell(MISSING, "", None, None, None)
    factor, form = (100, "+.1f") if in_percent else (1, "+.3f")
    written = [f"{factor * end:{form}}".replace("-", MINUS) for end in (value, low, high)]
    places = (metrics.place(end, scale) for end in (value, low, high))
    return Cell(written[0], f"{written[1]} to {written[2]}", *places)


def pairs(first: Metrics, second: Metrics, names: Sequence[str]) -> list[PairRow]:
    """Lay out some metrics that two have."""
    return [_pair(name, first.estimates[name], second.estimates[name]) for name in names]


def _pair(name: str, first: Estimate, second: Estimate) -> PairRow:
    cells = (metrics.cell(each, _WHOLE, in_percent=name in PERCENT) for each in (first, second))
    return PairRow(LABELS[name], *cells)


def shown(metric: Estimate, *, in_percent: bool) -> str:
    """Write an estimate with its interval in one piece; "–" where it is not defined."""
    write = percent if in_percent else decimal
    value, low, high = map(number, (metric.value, metric.low, metric.high))
    if value is None or low is None or high is None:
        return MISSING
    return f"{write(value)} ({write(low, unit=False)} to {write(high, unit=False)})"
