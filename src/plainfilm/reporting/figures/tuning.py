"""A search drawn: which settings mattered, how the score went with each, and its course; one SVG and one PNG each."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plainfilm.reporting.figures import canvas
from plainfilm.reporting.figures.canvas import INK, MUTED, SERIES, Drawing
from plainfilm.results.search import Choice, Importance

_LEAST = 1e-15
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_DOTS: dict[str, object] = {"linestyle": "", "marker": "o", "markersize": 4.5, "clip_on": False, "zorder": 3}
_DONE = _DOTS | {"color": SERIES[0], "markeredgewidth": 0, "alpha": 0.7}
_STOPPED = _DOTS | {"color": "none", "markeredgecolor": MUTED, "markeredgewidth": 0.8, "markersize": 3.5}
_BEST = _DOTS | {"color": "none", "markeredgecolor": SERIES[1], "markeredgewidth": 1.8, "markersize": 9}


@dataclass(frozen=True, slots=True)
class Point:
    """A trial as a dot: its number from 1, its score, whether it ran to its end, and its choices."""

    number: int
    score: float
    is_done: bool
    chosen: Mapping[str, Choice]

    @property
    def level(self) -> float:
        """The score where a logarithmic axis can show it."""
        return max(self.score, _LEAST)


@dataclass(frozen=True, slots=True)
class Slice:
    """A setting to draw: its name among the choices, its values in order where each has a place of its own, or the marks of its logarithmic axis."""

    name: str
    values: Sequence[Choice] = ()
    marks: Sequence[float] = ()


def importance(found: Sequence[Importance]) -> Drawing | None:
    """Draw a bar a setting, and a tick where chance alone would end in 95 of 100 cases; None without settings."""
    if not found:
        return None
    shares, by_chance = [each.share for each in found], [each.by_chance for each in found]
    rows, height = np.arange(len(found)), 0.6 + 0.24 * len(found)
    with canvas.style():
        figure = canvas.sheet(4.6, height)
        axes = figure.add_axes((0.37, 0.42 / height, 0.6, 1 - 0.48 / height))
        canvas.plain(axes)
        axes.grid(visible=False, axis="y")
        colours = [SERIES[0] if share > chance else MUTED for share, chance in zip(shares, by_chance, strict=True)]
        axes.barh(rows, shares, height=0.62, color=colours, linewidth=0)
        axes.vlines(by_chance, rows - 0.42, rows + 0.42, color=INK, linewidth=1.2)
        axes.set_yticks(rows, [each.title for each in found])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set(xlim=(0, 1.05 * max(*shares, *by_chance, 0.01)), ylim=(len(found) - 0.4, -0.6))
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
        canvas.label(axes, "share of what mattered", "")
        return canvas.both(figure, "importance")


def course(points: Sequence[Point], best: Point, marks: Sequence[float] = ()) -> Drawing:
    """Draw each trial's score in order, the best so far as a line, and `marks` (scores of known recipes) as guides."""
    from matplotlib.ticker import MaxNLocator

    with canvas.style():
        figure, axes = _plot(4.6, 3.0)
        for mark in marks:
            axes.axhline(max(mark, _LEAST), **canvas.GUIDE)
        done = [point for point in points if point.is_done]
        so_far = np.minimum.accumulate([point.level for point in done])
        edges = [*(point.number for point in done), points[-1].number]
        (line,) = axes.step(edges, [*so_far, so_far[-1]], where="post", color=INK, linewidth=1.2)
        dots = _dots(axes, points, best, lambda point: float(point.number))
        _scores(axes, points)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        canvas.label(axes, "trial", "")
        names = ("to its end", "stopped early", "the best", "best so far")
        return canvas.both(figure, "course", legend=canvas.legend(axes, [*dots, line], names, place="upper right"))


def by_setting(points: Sequence[Point], best: Point, setting: Slice) -> Drawing | None:
    """Draw the score over one setting, of the trials that had it; None where fewer than two had."""
    having = [point for point in points if setting.name in point.chosen]
    if len(having) < 2:
        return None
    with canvas.style():
        figure, axes = _plot(2.9, 2.2)
        rng = np.random.default_rng(0)  # dots of one choice stand beside each other, in the same places each time
        spread = {point.number: rng.uniform(-0.22, 0.22) for point in having}

        def place(point: Point) -> float:
            value = point.chosen[setting.name]
            return float(setting.values.index(value) + spread[point.number]) if setting.values else float(value)

        _dots(axes, having, best, place)
        _scores(axes, points)
        if setting.values:
            words = [str(value).replace("_", " ") for value in setting.values]
            is_long = sum(map(len, words)) > 18
            axes.set_xticks(
                range(len(words)), words, rotation=25 if is_long else 0, ha="right" if is_long else "center"
            )
            axes.set_xlim(-0.5, len(words) - 0.5)
            axes.tick_params(axis="x", labelsize=7.5 if is_long else 8.5)
        elif setting.marks:
            _log_axis(axes.xaxis, *_reach([place(point) for point in having]), steps=setting.marks)
        return canvas.both(figure, f"by-{setting.name.replace('_', '-')}")


def _dots(axes: Any, points: Sequence[Point], best: Point, place: Callable[[Point], float]) -> list[Any]:
    lines = []
    for style, kind in ((_DONE, True), (_STOPPED, False)):
        own = [point for point in points if point.is_done == kind]
        lines += axes.plot([place(point) for point in own], [point.level for point in own], **style)
    at = [place(point) for point in points if point.number == best.number]
    return [*lines, *axes.plot(at, [best.level] * len(at), **_BEST)]


def _plot(width_in: float, height_in: float) -> tuple[Any, Any]:
    """Make a figure with room for scores such as 5·10⁻⁴ at the left and slanted names below."""
    figure = canvas.sheet(width_in, height_in)
    axes = figure.add_axes((0.62 / width_in, 0.5 / height_in, 1 - 0.72 / width_in, 1 - 0.6 / height_in))
    canvas.plain(axes)
    return figure, axes


def _scores(axes: Any, points: Sequence[Point]) -> None:
    """Mark scores on a logarithmic axis: the good trials lie close together, the bad ones far off."""
    low, high = _reach([point.level for point in points])
    _log_axis(axes.yaxis, low, high, steps=score_marks(low, high))


def score_marks(low: float, high: float) -> list[float]:
    """Choose the fewest round marks between two scores, at least two of them."""
    halves, tenths = [mark / 2 for mark in range(2, 20)], [mark / 10 for mark in range(10, 100)]
    for marks in ((1,), (1, 2, 5), range(1, 10), halves, tenths):
        steps = [mark * 10.0**power for power in range(-16, 3) for mark in marks]
        held = [step for step in steps if low <= step <= high]
        if len(held) > 1:
            break
    return held


def _reach(values: Sequence[float]) -> tuple[float, float]:
    return min(values) / 1.2, max(values) * 1.2


def _log_axis(axis: Any, low: float, high: float, *, steps: Sequence[float]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    set_scale, set_limits = (getattr(axis.axes, f"set_{axis.axis_name}{what}") for what in ("scale", "lim"))
    set_scale("log")
    set_limits(low, high)
    axis.set_major_locator(FixedLocator([step for step in steps if low <= step <= high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: short(value))


def short(value: float) -> str:
    """Write a mark of an axis: 0.5, 0.02, 5·10⁻³; on the page more than two decimals would be cut."""
    if value >= 0.0099:
        return f"{value:.10g}"
    power = math.floor(math.log10(value) + 1e-9)
    times, small = f"{value / 10.0**power:.2g}", str(power).translate(_SUPERSCRIPT)
    return f"10{small}" if times == "1" else f"{times}·10{small}"
