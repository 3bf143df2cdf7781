"""What the report's tables show: estimates as text with their places on a bar, shares of a confusion matrix, scales."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from plainfilm.reporting.formatting import LABELS, MISSING, NARROW_SPACE, PERCENT, decimal, isolated, number, percent
from plainfilm.results.estimate import Estimate, written
from plainfilm.results.metrics import Estimates, Metrics, RunMetrics
from plainfilm.results.severity import LEVELS, Level, Worth

BAR_PX = 140
UNIT = (0.0, 1.0)  # the scale of shares
_OF_PROBABILITY = {"brier": "mean squared error of the probability", "ece": "mean gap between probability and truth"}
_FROM_BELOW = ((0.95, 1.0), (0.9, 1.0), (0.8, 1.0), (0.5, 1.0), (0.0, 1.0))
_FROM_ZERO = ((0.0, 0.05), (0.0, 0.1), (0.0, 0.2), (0.0, 0.5), (0.0, 1.0))
_OF_FINDING = ("auroc", "sensitivity", "specificity", "ppv")
_GROUPS = (
    ("Answers", ("accuracy", "sensitivity", "specificity", "ppv", "npv", "f1"), _FROM_BELOW),
    ("Ranking, at any threshold", ("auroc", "auprc"), _FROM_BELOW),
    ("Probabilities, lower is better", ("brier", "ece"), _FROM_ZERO),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """An estimate as text, and where it and its interval stand on a bar of `BAR_PX`."""

    value: str
    interval: str
    at: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric: its name, a line that says what it is, and its estimates."""

    label: str
    note: str
    test: Cell
    validation: Cell | None


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """A class's probabilities against what is observed: the set and class, then four numbers as text, with intervals."""

    label: str
    name: str
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class MetricGroup:
    """Metrics that share a scale; `ticks` are the places and names of its ends."""

    title: str
    ticks: list[tuple[float | None, str]]
    rows: list[MetricRow]


@dataclass(frozen=True, slots=True)
class CountCell:
    """A cell of a table of counts: `share` of its row, `shade` 0 to 5; `right` False is shaded as wrong answers are."""

    count: int
    share: float | None
    right: bool
    shade: int


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One finding by itself: how many have it of those of which it is known, threshold, metrics, and what they are worth."""

    name: str
    present: int
    known: int
    threshold: float | None
    cells: list[Cell]
    level: Level
    sentence: str


def metric_groups(
    test: Metrics, validation: Metrics | None, *, positive: str | None, of: str = "class"
) -> list[MetricGroup]:
    """Lay out all metrics, grouped by what they speak of; means are over classes, or over findings."""
    notes, parts = _notes(positive, of), [part.estimates for part in (test, validation) if part]
    groups = []
    for title, names, scales in _GROUPS:
        scale = _scale([part[name] for part in parts for name in names], scales)
        rows = []
        for name in names:
            own, *other = (cell(part[name], scale, in_percent=name in PERCENT) for part in parts)
            rows.append(MetricRow(LABELS[name], notes[name], own, other[0] if other else None))
        unit, factor = (f"{NARROW_SPACE}%", 100) if names[0] in PERCENT else ("", 1)
        groups.append(MetricGroup(title, [(place(end, scale), f"{factor * end:g}{unit}") for end in scale], rows))
    return groups


def class_rows(test: Metrics) -> list[tuple[str, list[Cell]]]:
    """Lay out sensitivity, specificity, PPV and AUROC of each class; nothing for two classes."""
    shown = ("sensitivity", "specificity", "ppv", "auroc")
    return [(name, cells(own, shown)) for name, own in (test.per_class or {}).items()]


def finding_rows(run: RunMetrics) -> list[FindingRow]:
    """Lay out each finding on what was kept for testing, the most doubtful first; nothing for classes."""
    rows = []
    for name, own in (run.findings or {}).items():
        test = own.splits[run.tested]
        said: list[Worth] = [own.worth]
        if own.audit:
            said.append(
                Worth(level=own.audit.level, sentence=f"{own.audit.verdict.capitalize()}. {own.audit.sentence}")
            )
        worst = max(said, key=lambda each: LEVELS.index(each.level))
        rows.append(finding_row(name, test, own.threshold, worst))
    return sorted(rows, key=lambda row: -LEVELS.index(row.level))


def finding_row(name: str, test: Metrics, threshold: float | None, worst: Worth) -> FindingRow:
    """Lay out one finding, with the worst that is said of it."""
    present = sum(test.confusion_matrix[1]) if test.confusion_matrix else 0
    return FindingRow(name, present, test.n, threshold, cells(test, _OF_FINDING), worst.level, worst.sentence)


def micro_cells(test: Metrics) -> list[Cell]:
    """Lay out AUROC, sensitivity, specificity and PPV of all findings together; nothing for classes."""
    return [] if test.micro is None else cells(test.micro, _OF_FINDING)


def calibration_rows(sets: Sequence[tuple[str, Metrics | None]], positive: str | None) -> list[CalibrationRow]:
    """Lay out mean probability, share, calibration intercept and slope of each set and class; nothing where not known."""
    found = []
    for label, metrics in sets:
        for name, own in metrics.calibrations(positive).items() if metrics else ():
            shares = [cell(each, UNIT, in_percent=True) for each in (own.mean_probability, own.share)]
            lines = [cell(each, UNIT, in_percent=False) for each in (own.intercept, own.slope)]
            found.append(CalibrationRow(label, name, shares + lines))
    return found


def confusion_rows(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> list[tuple[str, list[CountCell], int]]:
    """Lay out each row of the confusion matrix: class, cells, total."""
    return [
        (name, [replace(cell, right=truth == predicted) for predicted, cell in enumerate(cells)], total)
        for truth, (name, cells, total) in enumerate(shaded_rows(matrix, classes))
    ]


def shaded_rows(counts: Sequence[Sequence[int]], names: Sequence[str]) -> list[tuple[str, list[CountCell], int]]:
    """Lay out each row of a table of counts: name, cells shaded by their share of the row, total."""
    rows = []
    for name, row in zip(names, counts, strict=True):
        total = sum(row)
        cells = [CountCell(n, n / total if total else None, True, math.ceil(5 * n / total) if n else 0) for n in row]
        rows.append((name, cells, total))
    return rows


def wrong_answers(matrix: Sequence[Sequence[int]]) -> int:
    """Count what stands off the diagonal."""
    return sum(n for truth, row in enumerate(matrix) for predicted, n in enumerate(row) if truth != predicted)


def cells(of: Estimates, names: Sequence[str]) -> list[Cell]:
    """Write some metrics by their names, each on a bar from 0 to 1."""
    return [cell(of.estimates[name], UNIT, in_percent=name in PERCENT) for name in names]


def cell(metric: Estimate, scale: Sequence[float], *, in_percent: bool) -> Cell:
    """Write an estimate and place it on a scale."""
    value, low, high = map(number, (metric.value, metric.low, metric.high))
    write = percent if in_percent else decimal
    joint = " to " if low is not None and low < 0 else "–"
    interval = "" if low is None or high is None else f"{write(low, unit=False)}{joint}{write(high, unit=False)}"
    return Cell(write(value), interval, place(value, scale), place(low, scale), place(high, scale))


def signed(each: Estimate, scale: tuple[float, float], *, in_percent: bool) -> Cell:
    """Write a number of either sign, in points where it is one of shares, and place it on a scale."""
    value, low, high = map(number, (each.value, each.low, each.high))
    if value is None or low is None or high is None:
        return Cell(MISSING, "", None, None, None)
    factor, form = (100, "+.1f") if in_percent else (1, "+.3f")
    ends = [written(factor * end, form) for end in (value, low, high)]
    places = (place(end, scale) for end in (value, low, high))
    return Cell(ends[0], f"{ends[1]} to {ends[2]}", *places)


def place(value: float | None, scale: Sequence[float]) -> float | None:
    """Find where `value` stands on a bar of `BAR_PX`, with room for a dot at both ends."""
    known = number(value)
    if known is None:
        return None
    share = (known - scale[0]) / (scale[-1] - scale[0])
    return round(5 + min(max(share, 0.0), 1.0) * (BAR_PX - 10), 1)


def round_scale(values: Sequence[float]) -> list[float]:
    """Choose two to five round marks in equal steps that hold all `values` (0 to 1)."""
    if not values:
        return [0.0, 0.5, 1.0]
    low, high = min(values), max(values)
    for step in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        first = min(first, last - 1)
        if last - first <= 4:
            return [round(mark * step, 3) for mark in range(first, last + 1)]
    return [0.0, 0.25, 0.5, 0.75, 1.0]


def _scale(metrics: Sequence[Estimate], scales: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Take the first of `scales` that holds every value and interval; the last one where nothing is known."""
    ends = (end for metric in metrics for end in (metric.value, metric.low, metric.high))
    known = [end for end in ends if math.isfinite(end)]
    fitting = (scale for scale in scales if known and scale[0] <= min(known) and max(known) <= scale[1])
    return next(fitting, scales[-1])


def _notes(positive: str | None, of: str) -> dict[str, str]:
    if of == "finding":
        return dict.fromkeys(LABELS, "mean over the findings")
    if positive is None:
        means = dict.fromkeys(LABELS, "mean over the classes")
        return means | {"accuracy": "right answers among all"} | _OF_PROBABILITY
    name = isolated(positive)
    return {
        "accuracy": "right answers among all",
        "sensitivity": f"{name} found, among all {name}",
        "specificity": "others cleared, among all others",
        "ppv": f"truly {name}, among those called {name}",
        "npv": "truly other, among those called other",
        "f1": "harmonic mean of PPV and sensitivity",
        "auroc": f"chance that a {name} image scores above another",
        "auprc": "area under precision and recall",
    } | _OF_PROBABILITY
