"""Sources left out in turn, laid out for reading: a row a source, its mean, and what a new hospital may bring."""

from collections.abc import Sequence
from dataclasses import dataclass

from plainfilm.data.spelling import listed
from plainfilm.reporting.formatting import MISSING, percent
from plainfilm.reporting.tables import metrics
from plainfilm.reporting.tables.metrics import Cell
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.metrics import LeftOutFinding, LeftOutSource, LeftOutSources

_CALLS = ("sensitivity", "specificity")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutRow:
    """One source: `classes` counts radiographs by class; `calls` and `calibration` by the names of their columns."""

    name: str
    companions: Sequence[str]
    classes: Sequence[tuple[str, int]]
    area: Cell
    calls: Sequence[tuple[str, Cell]]
    calibration: Sequence[tuple[str, Cell]]
    lungs: str
    is_worst: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutFindingRow:
    """One finding: the source with its lowest AUROC, its mean, what a new hospital may bring, and where it has none, and why."""

    name: str
    at: str
    worst: Cell
    mean: Cell
    new_hospital: Cell
    unmeasured: str
    sentence: str
    is_worst: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutShown:
    """All that the section shows; `ticks` are the marks of the bars, `sums` the rows below, each with its name."""

    rows: Sequence[LeftOutRow]
    findings: Sequence[LeftOutFindingRow]
    sums: Sequence[tuple[str, Cell]]
    ticks: Sequence[tuple[float | None, str]]
    found: LeftOutSources
    looked: bool


def show(found: LeftOutSources) -> LeftOutShown:
    """Lay out the sources, their AUROCs on one scale."""
    sums = sums_of(found)
    known = [
        each for each in (*(own.metrics.auroc for own in found.sources), *(own for _, own in sums)) if each.is_known
    ]
    scale = metrics.round_scale([end for each in known for end in (each.low, each.high)])
    return LeftOutShown(
        rows=[_row(own, scale, is_worst=own.name == found.worst.name) for own in found.sources],
        findings=finding_rows(found),
        sums=[(name, metrics.cell(each, scale, in_percent=False)) for name, each in sums],
        ticks=[(metrics.place(end, scale), f"{end:g}") for end in (scale[0], scale[-1])],
        found=found,
        looked=any(own.attribution_in_lungs for own in found.sources),
    )


def finding_rows(found: LeftOutSources) -> list[LeftOutFindingRow]:
    """Lay out each finding by itself, also one that no source can measure; nothing of classes."""
    each = found.findings or {}
    return [
        _finding_row(name, each.get(name), found, is_worst=name == found.speaks)
        for name in (found.sources[0].classes if each else ())
    ]


def _finding_row(name: str, own: LeftOutFinding | None, found: LeftOutSources, *, is_worst: bool) -> LeftOutFindingRow:
    worst = UNDEFINED if own is None else Estimate(own.worst.value, own.worst.low, own.worst.high)
    estimates = (worst, own.mean if own else UNDEFINED, own.new_hospital if own and own.new_hospital else UNDEFINED)
    cells = [metrics.cell(each, metrics.UNIT, in_percent=False) for each in estimates]
    why: dict[str, list[str]] = {}
    for source in found.sources:
        if reason := source.unmeasured.get(name):
            why.setdefault(reason, []).append(source.name)
    return LeftOutFindingRow(
        name=name,
        at=own.worst.name if own else "",
        worst=cells[0],
        mean=cells[1],
        new_hospital=cells[2],
        unmeasured="; ".join(f"{reason} at {listed(names)}" for reason, names in why.items()),
        sentence=own.sentence if own else "",
        is_worst=is_worst,
    )


def sums_of(found: LeftOutSources) -> list[tuple[str, Estimate]]:
    """Name the mean over the sources and, where it is known, what to expect of a new hospital."""
    sums = [("Mean of these", found.mean)] if len(found.sources) > 1 else []
    return sums + ([("At a new hospital", found.new_hospital)] if found.new_hospital else [])


def _row(own: LeftOutSource, scale: Sequence[float], *, is_worst: bool) -> LeftOutRow:
    line = own.metrics.calibration
    intercept, slope = (line.intercept, line.slope) if line else (UNDEFINED, UNDEFINED)
    return LeftOutRow(
        name=own.name,
        companions=own.companions,
        classes=list(own.classes.items()),
        area=metrics.cell(own.metrics.auroc, scale, in_percent=False),
        calls=[(name.capitalize(), metrics.cell(own.metrics.estimates[name], metrics.UNIT, in_percent=True)) for name in _CALLS],
        calibration=[(name, metrics.cell(each, metrics.UNIT, in_percent=False))
                     for name, each in (("Intercept", intercept), ("Slope", slope))],
        lungs=_in_lungs(own),
        is_worst=is_worst,
    )  # fmt: skip


def _in_lungs(own: LeftOutSource) -> str:
    inside, takes = own.attribution_in_lungs, own.lungs_take
    if inside is None or takes is None or not inside.is_known:
        return MISSING
    return f"{percent(inside)}, by chance {percent(takes)}"
