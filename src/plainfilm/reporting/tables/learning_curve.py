"""The learning curve over hospitals and films, laid out for reading."""

from collections.abc import Sequence
from dataclasses import dataclass

from plainfilm.reporting.formatting import decimal
from plainfilm.reporting.tables import metrics
from plainfilm.reporting.tables.metrics import Cell
from plainfilm.results.metrics import CurvePoint, LearningCurve


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveRow:
    """One combination of hospitals and films; `reach` from the worst to the best of its trainings."""

    hospitals: str
    films: int
    area: Cell
    reach: str
    trainings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveShown:
    """All that is shown beside the drawing; `lines` are the names of its lines, `ticks` the marks of the bars."""

    rows: Sequence[CurveRow]
    lines: Sequence[str]
    ticks: Sequence[tuple[float | None, str]]
    found: LearningCurve


def show(found: LearningCurve) -> CurveShown:
    """Lay out the points, their AUROCs on one scale."""
    scale = metrics.round_scale([end for point in found.points for end in (point.auroc.low, point.auroc.high)])
    return CurveShown(
        rows=[_row(point, scale) for own in by_sources(found).values() for point in own],
        lines=[line_name(sources) for sources in by_sources(found)],
        ticks=[(metrics.place(end, scale), f"{end:g}") for end in (scale[0], scale[-1])],
        found=found,
    )


def by_sources(found: LearningCurve) -> dict[int, list[CurvePoint]]:
    """Take the lines apart: the points of each number of sources, the fewest films first."""
    lines: dict[int, list[CurvePoint]] = {}
    for point in sorted(found.points, key=lambda point: (point.sources, point.films)):
        lines.setdefault(point.sources, []).append(point)
    return lines


def line_name(sources: int) -> str:
    """Name a line."""
    return "1 hospital" if sources == 1 else f"{sources} hospitals"


def _row(point: CurvePoint, scale: Sequence[float]) -> CurveRow:
    return CurveRow(
        hospitals=line_name(point.sources),
        films=point.films,
        area=metrics.cell(point.auroc, scale, in_percent=False),
        reach=f"{decimal(point.lowest)} to {decimal(point.highest)}",
        trainings=point.trainings,
    )
