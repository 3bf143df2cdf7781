"""The audit in one picture for slides: the verdict, what each probe sees, and where it stands beside the model."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from plainfilm import NOTICE
from plainfilm.evidence.audit.findings import AuditFindings
from plainfilm.reporting.figures import canvas
from plainfilm.reporting.figures.canvas import INK, LINE, MUTED, PAPER, SERIES, Drawing
from plainfilm.reporting.tables import audit as audit_tables
from plainfilm.reporting.tables.audit import AuditShown, ProbeGroup, ProbeRow, Spot
from plainfilm.results.audit import Audit
from plainfilm.results.severity import Level

WIDTH_IN = 11.0
_CHIP: dict[Level, str] = {"none": SERIES[0], "caution": "#7d4b00", "warning": "#a3201a"}  # as in report.css
_COLOURS = {"blind": SERIES[1], "coarse": SERIES[5], "whole": SERIES[0]}
_NAME, _FILMS, _AXIS, _NUMBER = 0.3, 3.25, 6.1, 10.7  # inches from the left: columns begin here, the last one ends
_AXIS_WIDTH = 3.4
_FILM, _GAP = 0.6, 0.05
_ROW, _SLIM, _KIND, _LINE = 0.68, 0.42, 0.36, 0.235  # heights: a row with and without films, a heading, a line
_HIGHEST = 3  # rows of a kind that are drawn without radiographs: a slide is looked at for seconds
_WRAP, _MOST_LINES = 112, 4


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The whole figure as one plot in inches, y downwards."""

    axes: Any

    def write(self, x: float, y: float, text: str, **style: Any) -> Any:
        return self.axes.text(x, y, text, parse_math=False, fontfamily=canvas.fonts(), **{"va": "center"} | style)

    def line(self, xs: tuple[float, float], ys: tuple[float, float], **style: Any) -> None:
        self.axes.plot(xs, ys, **{"solid_capstyle": "butt"} | style)


def picture(found: AuditFindings) -> Drawing:
    """Draw the verdict, its sentence, and a row a probe with what it sees and its AUROC.

    The line through all rows is `Audit.compared_with`. Of each kind the three highest are drawn, and all that have radiographs; the page
    has every one. Without a probe the picture says that none could run.
    """
    audit, shown = found.result, audit_tables.show(found)
    sentence = textwrap.wrap(audit.sentence, _WRAP, max_lines=_MOST_LINES, placeholder=" …")
    top = 0.95 + _LINE * len(sentence) + 0.45
    rows = sum(_KIND + sum(map(_height, _drawn(group))) for group in shown.groups)
    height = top + max(rows, _ROW) + 0.75
    with canvas.style():
        figure = canvas.sheet(WIDTH_IN, height)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, WIDTH_IN), ylim=(height, 0), autoscale_on=False)
        axes.set_axis_off()
        sheet = _Sheet(axes)
        _head(sheet, audit, sentence)
        if shown.groups:
            _axis(sheet, shown, top, top + rows)
            for at, item in _places(shown.groups, top):
                _kind(sheet, item, at) if isinstance(item, ProbeGroup) else _row(sheet, *item, shown.axis.chance, at)
        else:
            sheet.write(_NAME, top + _ROW / 2, "No probe could run.", color=INK, fontsize=11)
        _foot(sheet, audit, height)
        axes.set(xlim=(0, WIDTH_IN), ylim=(height, 0))
        return canvas.apart(figure)


def _head(sheet: _Sheet, audit: Audit, sentence: list[str]) -> None:
    box = {"boxstyle": "square,pad=0.35", "facecolor": _CHIP[audit.level], "edgecolor": "none"}
    sheet.write(_NAME + 0.07, 0.42, audit.verdict.capitalize(), color=PAPER, fontsize=13, weight="bold", bbox=box)
    for number, line in enumerate(sentence):
        sheet.write(_NAME, 0.9 + _LINE * number, line, color=INK, fontsize=11)


def _axis(sheet: _Sheet, shown: AuditShown, top: float, bottom: float) -> None:
    """Draw marks and upright lines, and what all rows are compared with."""
    for place, label in shown.axis.ticks:
        sheet.line((_x(place),) * 2, (top, bottom), color=LINE, linewidth=0.7)
        sheet.write(_x(place), bottom + 0.14, label, color=MUTED, fontsize=8.5, ha="center")
    sheet.line((_x(shown.axis.chance),) * 2, (top, bottom), color=MUTED, linewidth=1.2, dashes=(1, 2))
    sheet.write(_x(shown.axis.chance), bottom + 0.32, "chance", color=MUTED, fontsize=8.5, ha="center")
    sheet.write(_NUMBER, top - 0.12, "AUROC", color=MUTED, fontsize=8.5, ha="right")
    own = shown.axis.own
    if own is None or own.at is None or own.below:
        return
    if own.low is not None and own.high is not None:
        sheet.axes.fill_betweenx((top, bottom), _x(own.low), _x(own.high), color=INK, alpha=0.1, linewidth=0)
    sheet.line((_x(own.at),) * 2, (top - 0.05, bottom), color=INK, linewidth=1.6)
    side = "right" if own.at > 60 else "left"
    sheet.write(
        _x(own.at), top - 0.17, f"{shown.axis.own_name} {own.value}", color=INK, fontsize=9.5, weight="bold", ha=side
    )


def _places(
    groups: Sequence[ProbeGroup], top: float
) -> Iterator[tuple[float, ProbeGroup | tuple[ProbeRow, ProbeGroup]]]:
    """Go through groups and their rows with the height, in inches, at which each begins."""
    for group in groups:
        yield top, group
        top += _KIND
        for row in _drawn(group):
            yield top, (row, group)
            top += _height(row)


def _drawn(group: ProbeGroup) -> list[ProbeRow]:
    return [row for place, row in enumerate(group.rows) if place < _HIGHEST or row.films]


def _height(row: ProbeRow) -> float:
    return _ROW if row.films else _SLIM


def _kind(sheet: _Sheet, group: ProbeGroup, top: float) -> None:
    sheet.line((_NAME, _NUMBER), (top, top), color=LINE, linewidth=0.7)
    colour = _COLOURS[group.colour]
    sheet.write(_NAME, top + _KIND / 2 + 0.02, group.title, color=colour, fontsize=10, weight="bold")
    hidden = len(group.rows) - len(_drawn(group))
    if hidden:
        sheet.write(_FILMS, top + _KIND / 2 + 0.02, f"{hidden} more in the report", color=MUTED, fontsize=8)


def _row(sheet: _Sheet, row: ProbeRow, group: ProbeGroup, chance: float, top: float) -> None:
    middle, spot = top + _height(row) / 2, row.spot
    lines = textwrap.wrap(row.means, 46, max_lines=2 if row.films else 1, placeholder=" …")
    first = middle - 0.085 * len(lines)
    sheet.write(_NAME, first, row.title, color=INK, fontsize=10)
    for number, line in enumerate(lines):
        sheet.write(_NAME, first + 0.19 + 0.155 * number, line, color=MUTED, fontsize=8)
    _strip(sheet, row, group, middle)
    if spot.at is None:
        why = "\n".join(textwrap.wrap(spot.why, 52, max_lines=2, placeholder=" …"))
        box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.5}
        sheet.write(_x(audit_tables.FIRST) + 0.08, middle, why, color=MUTED, fontsize=8.5, bbox=box)
    else:
        _spot(sheet, spot, _x(chance), _COLOURS[group.colour], middle)
    sheet.write(
        _NUMBER, middle - (0.09 if spot.interval else 0), spot.value, color=INK, fontsize=10, weight="bold", ha="right"
    )
    sheet.write(_NUMBER, middle + 0.11, spot.interval, color=MUTED, fontsize=8.5, ha="right")


def _strip(sheet: _Sheet, row: ProbeRow, group: ProbeGroup, middle: float) -> None:
    """Draw what a probe sees side by side; empty frames for one that sees no image."""
    for number in range(len(row.films) if row.films else audit_tables.FILMS):
        left = _FILMS + number * (_FILM + _GAP)
        if row.films:
            extent = (left, left + _FILM, middle + _FILM / 2, middle - _FILM / 2)
            sheet.axes.imshow(row.films[number][0], cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto")
        elif group.sees == "no image":
            low, high, right = middle + 0.12, middle - 0.12, left + _FILM
            corners = ((left, right, right, left, left), (high, high, low, low, high))
            sheet.axes.plot(*corners, color=MUTED, linewidth=0.7, dashes=(3, 2))


def _spot(sheet: _Sheet, spot: Spot, chance: float, colour: str, middle: float) -> None:
    if spot.low is not None and spot.high is not None:
        sheet.line((_x(spot.low), _x(spot.high)), (middle, middle), color=colour, linewidth=3)
    if spot.at is not None:
        mark, size = ("<", 8) if spot.below else ("o", 8)
        ends = (chance, max(chance, _x(spot.at)))
        sheet.axes.fill_betweenx((middle - 0.09, middle + 0.09), *ends, color=colour, alpha=0.22, linewidth=0)
        sheet.axes.plot(_x(spot.at), middle, mark, color=colour, markersize=size, markeredgecolor=PAPER, zorder=5)


def _foot(sheet: _Sheet, audit: Audit, height: float) -> None:
    words = f"With 95 % intervals, cross-validated on {audit.probed} of {audit.images:,} radiographs."
    sheet.write(_NAME, height - 0.2, f"{words} {NOTICE}", color=MUTED, fontsize=8)


def _x(place: float) -> float:
    """Turn a place on the axis, in per cent of its width, into inches."""
    return _AXIS + _AXIS_WIDTH * place / 100
