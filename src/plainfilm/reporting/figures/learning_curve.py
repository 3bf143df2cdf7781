"""AUROC at left-out sources over the films learnt from, a line a number of sources: one SVG for the page, one PNG for slides."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from plainfilm.reporting.figures import canvas
from plainfilm.reporting.figures.canvas import SERIES, Drawing
from plainfilm.reporting.tables.learning_curve import by_sources, line_name
from plainfilm.results.metrics import CurvePoint, LearningCurve

_APART = 0.03  # of a doubling: so that intervals at one number of films stand side by side


def draw(curve: LearningCurve) -> Drawing:
    """Draw each line with its intervals on a logarithmic axis of films, and the line of chance where it is near."""
    with canvas.style():
        figure, axes = canvas.plot(4.6, 3.0)
        return canvas.both(figure, "learning-curve", legend=on_axes(axes, curve))


def on_axes(axes: Any, curve: LearningCurve) -> Callable[[], Any]:
    """Draw the same on axes; give what makes the legend."""
    canvas.plain(axes)
    lines = by_sources(curve)
    drawn = [_line(axes, own, index, len(lines)) for index, own in enumerate(lines.values())]
    films = sorted({point.films for point in curve.points})
    axes.set_xticks(np.log2(films), [f"{each:,}" for each in films])
    axes.set_xlim(np.log2(films[0]) - 0.25, np.log2(films[-1]) + 0.25)
    if axes.get_ylim()[0] < 0.5:
        axes.axhline(0.5, **canvas.GUIDE)
    canvas.label(axes, "films learnt from", "AUROC")
    return canvas.legend(axes, drawn, [line_name(sources) for sources in lines], place="lower right")


def _line(axes: Any, points: Sequence[CurvePoint], index: int, lines: int) -> Any:
    x = np.log2([point.films for point in points]) + _APART * (index - (lines - 1) / 2)
    value, low, high = np.array([(own.auroc.value, own.auroc.low, own.auroc.high) for own in points]).T
    colour = SERIES[index % len(SERIES)]
    dashes = canvas.dashes(index)
    axes.vlines(x, low, high, color=colour, linewidth=1.0, alpha=0.6)
    style = {"dashes": dashes} if dashes else {}
    return axes.plot(x, value, color=colour, linewidth=1.8, marker="o", markersize=4, **style)[0]
