"""The report's drawings: arrays in, one SVG for the page and files for a paper out. Knows nothing of files or HTML."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.reporting.figures import canvas
from plainfilm.reporting.figures.canvas import DASHES, INK, MUTED, PAPER, SERIES, Drawing
from plainfilm.reporting.formatting import number
from plainfilm.results.audit import Audit
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.metrics import Metrics

WIDE_IN = 6.4  # of figures with names at the left: within a page of two columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One line of a ROC or precision-recall plot.

    `x`, `y` float (m) in 0 to 1; `area` is shown in the legend.
    """

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    area: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Bins of predicted probability, each array (b); empty bins may be left out.

    `mean_predicted`, `observed` (share of positives), its interval `low`, `high`: float, 0 to 1. `count`: radiographs.
    `bins` is how many bins of equal width there are between 0 and 1, the empty ones included.
    """

    mean_predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    count: NDArray[Any]
    bins: int = 10


def learning(history: Sequence[Mapping[str, float]], measure: str) -> Drawing | None:
    """Draw `measure` ("loss", "accuracy") and `val_` + measure over the epochs; None where the history has neither."""
    if not any(np.isfinite(_column(history, key)).any() for key in (measure, f"val_{measure}")):
        return None
    with canvas.style():
        figure, axes = canvas.plot(4.6, 2.7)
        return canvas.both(figure, f"learning-{measure}", legend=on_learning(axes, history, measure))


def on_learning(axes: Any, history: Sequence[Mapping[str, float]], measure: str) -> Callable[[], Any]:
    """Draw the same on axes; give what makes the legend."""
    canvas.plain(axes)
    for number_, own in enumerate(trainings(history)):
        epochs = _epochs(own, axes)
        look = {"marker": "o" if len(own) < 4 else "", "markersize": 4}
        for key in [key for key in (measure, f"val_{measure}") if np.isfinite(_column(history, key)).any()]:
            name = "training" if key == measure else "validation"
            line = {"color": MUTED, "dashes": DASHES[1]} if key == measure else {"color": SERIES[0]}
            axes.plot(epochs, _column(own, key), **line, **look, label="" if number_ else name)
    if measure == "loss":
        axes.set_ylim(bottom=0)
    canvas.label(axes, "epoch", measure)
    return canvas.legend(axes)


def trainings(history: Sequence[Mapping[str, float]]) -> list[list[Mapping[str, float]]]:
    """Take the epochs of several folds or members apart, in their order."""
    found: dict[tuple[float | None, float | None], list[Mapping[str, float]]] = {}
    for row in history:
        found.setdefault((row.get("fold"), row.get("member")), []).append(row)
    return list(found.values())


def threshold_point(metrics: Metrics, positive: str | None, threshold: float | None) -> tuple[float, float] | None:
    """Give where the threshold lies on the ROC, (1 - specificity, sensitivity); None where that is not defined."""
    sensitivity, specificity = map(number, (metrics.sensitivity.value, metrics.specificity.value))
    if positive is None or threshold is None or sensitivity is None or specificity is None:
        return None
    return 1 - specificity, sensitivity


def roc(curves: Sequence[Curve], *, point: tuple[float, float] | None = None) -> Drawing | None:
    """Draw ROC lines, the line of chance, and `point` (false positive rate, sensitivity) where the threshold stands."""
    if not any(len(curve.x) for curve in curves):
        return None
    with canvas.style():
        figure, axes = canvas.plot(3.5, 3.3)
        return canvas.both(figure, "roc", legend=on_roc(axes, curves, point=point))


def on_roc(axes: Any, curves: Sequence[Curve], *, point: tuple[float, float] | None = None) -> Callable[[], Any] | None:
    """Draw the same on axes; give what makes the legend, None where one line needs none."""
    _unit(axes, "false positive rate (1 − specificity)", "sensitivity")
    axes.plot([0, 1], [0, 1], **canvas.GUIDE)
    lines = _lines(axes, curves)
    if point is not None:
        axes.plot(*point, "o", color=PAPER, markersize=6, markeredgecolor=INK, markeredgewidth=1.4, zorder=5)
    return _legend(axes, lines, curves, "lower right", "AUROC")


def precision_recall(curves: Sequence[Curve], *, prevalence: float | None = None) -> Drawing | None:
    """Draw precision over recall, and the `prevalence` (0 to 1) that a blind guess would reach."""
    if not any(len(curve.x) for curve in curves):
        return None
    with canvas.style():
        figure, axes = canvas.plot(3.5, 3.3)
        return canvas.both(figure, "precision-recall", legend=on_precision_recall(axes, curves, prevalence=prevalence))


def on_precision_recall(
    axes: Any, curves: Sequence[Curve], *, prevalence: float | None = None
) -> Callable[[], Any] | None:
    """Draw the same on axes; give what makes the legend, None where one line needs none."""
    _unit(axes, "recall (sensitivity)", "precision (PPV)")
    if prevalence is not None and math.isfinite(prevalence):
        axes.plot([0, 1], [prevalence, prevalence], **canvas.GUIDE)
    lines = _lines(axes, curves)
    return _legend(axes, lines, curves, "lower left", "AUPRC")


def reliability(bins: Reliability, *, of_answer: bool = False, name: str = "reliability") -> Drawing | None:
    """Draw the share that came true over the predicted probability, and below it how many radiographs each bin holds.

    `of_answer`: the probability is that of the class answered (more than two classes), not of the positive class.
    `name` goes into the SVG's identifiers.
    """
    filled = _filled(bins)
    if not filled.any():
        return None
    x, n = bins.mean_predicted[filled], np.asarray(bins.count)[filled]
    with canvas.style():
        figure, axes = canvas.plot(3.5, 3.3, bottom=0.34)
        on_reliability(axes, bins, of_answer=of_answer)
        axes.set_xlabel("")
        axes.set_xticklabels([])
        counts = figure.add_axes((0.59 / 3.5, 0.145, 1 - 0.695 / 3.5, 0.15))
        canvas.plain(counts)
        first = np.minimum(np.floor(x * bins.bins), bins.bins - 1) / bins.bins
        counts.bar(first, n, width=0.9 / bins.bins, align="edge", color=MUTED, linewidth=0)
        canvas.quarters(counts.xaxis)
        counts.set(xlim=canvas.UNIT, ylim=(0, n.max()), yticks=[0, n.max()])
        canvas.label(counts, _predicted(of_answer=of_answer), "n")
        return canvas.both(figure, name)


def on_reliability(axes: Any, bins: Reliability, *, of_answer: bool = False) -> None:
    """Draw the shares alone on axes."""
    filled = _filled(bins)
    x, y = bins.mean_predicted[filled], bins.observed[filled]
    reach = np.nan_to_num(np.clip([y - bins.low[filled], bins.high[filled] - y], 0, None))
    shares = "share answered rightly" if of_answer else "share truly positive"
    _unit(axes, _predicted(of_answer=of_answer), shares)
    axes.plot([0, 1], [0, 1], **canvas.GUIDE)
    points = axes.errorbar(x, y, yerr=reach, fmt="o", markersize=4, color=SERIES[0], elinewidth=1.2)
    points.lines[0].set_clip_on(False)


def _filled(bins: Reliability) -> NDArray[np.bool_]:
    filled: NDArray[np.bool_] = np.isfinite(bins.mean_predicted) & np.isfinite(bins.observed)
    return filled & (np.asarray(bins.count) > 0)


def _predicted(*, of_answer: bool) -> str:
    return "probability of the answer" if of_answer else "predicted probability"


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Drawing:
    """Draw counts int (k, k), truth down, prediction across, shaded by the share of each row."""
    with canvas.style():
        longest = max(len(canvas.shown(name)) for name in classes)
        left, top = 0.55 + 0.075 * longest, 0.62 if _is_roomy(classes) else 0.45 + 0.068 * longest
        cells = 0.72 * len(classes)
        width, height = left + cells + 0.12, top + cells + 0.12
        figure = canvas.sheet(width, height)
        axes = figure.add_axes((left / width, 0.12 / height, cells / width, cells / height))
        on_confusion(axes, matrix, classes)
        return canvas.apart(figure)


def on_confusion(axes: Any, matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> None:
    """Draw the same on axes."""
    counts = np.asarray(matrix, dtype=np.float64).reshape(len(classes), len(classes))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap=_blues(), vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        text = f"{counts[row, column]:.0f}\n{100 * share:.1f} %"
        size = 9 if len(classes) < 7 else 7
        axes.text(column, row, text, ha="center", va="center", color=PAPER if share > 0.55 else INK, fontsize=size)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    canvas.label(axes, "predicted", "truth")
    canvas.name_ticks(axes.xaxis, classes, rotation=0 if _is_roomy(classes) else 60)
    canvas.name_ticks(axes.yaxis, classes)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _is_roomy(classes: Sequence[str]) -> bool:
    return len(classes) < 4 and max(map(len, classes), default=0) < 10


def on_intervals(
    axes: Any, names: Sequence[str], values: Sequence[Estimate], *, model: Estimate, label: str, chance: float = 0.5
) -> None:
    """Draw a value with its interval a name, the line of chance, and the line of what all are compared with."""
    canvas.plain(axes)
    axes.axvline(chance, **canvas.GUIDE)
    if model.is_known:
        axes.axvline(model.value, color=INK, linewidth=1.2)
    for row, value in enumerate(values):
        if value.is_known:
            axes.plot([value.low, value.high], [row, row], color=SERIES[0], linewidth=1.2)
            axes.plot(value.value, row, "o", color=SERIES[0], markersize=5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.yaxis.set_ticks(range(len(names)), names)
    axes.locator_params(axis="x", nbins=7)
    canvas.label(axes, label, "")


def probes(audit: Audit) -> Drawing | None:
    """Draw the AUROC of each probe with its interval, the line of chance and the classifier's own AUROC; None without probes."""
    if not audit.probes:
        return None
    with canvas.style():
        height = 0.9 + 0.3 * len(audit.probes)
        figure = canvas.sheet(WIDE_IN, height)
        axes = figure.add_axes((0.36, 0.5 / height, 0.61, 1 - 0.62 / height))
        on_probes(axes, audit)
        return canvas.apart(figure)


def on_probes(axes: Any, audit: Audit) -> None:
    """Draw the same on axes."""
    names = [probe.title for probe in audit.probes.values()]
    values = [probe.worst[1] for probe in audit.probes.values()]
    own = audit.compared_with.of(audit.of_class)
    on_intervals(axes, names, values, model=own, label="AUROC, 95 % interval")
    axes.grid(visible=False, axis="y")


def forest(rows: Sequence[tuple[str, Estimate]]) -> Drawing:
    """Draw the AUROC of each source that was left out with its interval, and what they come to below."""
    with canvas.style():
        height = 0.9 + 0.38 * len(rows)
        figure = canvas.sheet(WIDE_IN, height)
        axes = figure.add_axes((0.36, 0.55 / height, 0.61, 1 - 0.75 / height))
        names, values = zip(*rows, strict=True)
        on_intervals(axes, names, values, model=UNDEFINED, label="AUROC, 95 % interval")
        axes.grid(visible=False, axis="y")
        canvas.name_ticks(axes.yaxis, names, longest=30)
        return canvas.apart(figure)


def differences(rows: Sequence[tuple[str, Estimate]]) -> Drawing:
    """Draw each difference in AUROC with its interval, and the line of none."""
    with canvas.style():
        height = 0.9 + 0.3 * len(rows)
        figure = canvas.sheet(WIDE_IN, height)
        axes = figure.add_axes((0.42, 0.5 / height, 0.55, 1 - 0.62 / height))
        names, values = zip(*rows, strict=True)
        on_intervals(axes, names, values, model=UNDEFINED, label="difference in AUROC, 95 % interval", chance=0.0)
        axes.grid(visible=False, axis="y")
        canvas.name_ticks(axes.yaxis, names, longest=48)
        return canvas.apart(figure)


def strips(names: Sequence[str], values: Sequence[Sequence[float]], label: str) -> Drawing:
    """Draw one row of dots a name (`values` float, one a seed) and a bar at the mean."""
    with canvas.style():
        height = 0.9 + 0.38 * max(len(names), 1)
        figure = canvas.sheet(WIDE_IN, height)
        axes = figure.add_axes((0.3, 0.55 / height, 0.66, 1 - 0.75 / height))
        canvas.plain(axes)
        axes.grid(visible=False, axis="y")
        for row, numbers in enumerate(values):
            kept = np.asarray([v for v in numbers if math.isfinite(v)])
            axes.plot(kept, np.full(len(kept), row), "o", color=SERIES[0], alpha=0.65, markersize=6, markeredgewidth=0)
            if len(kept):
                axes.plot([kept.mean()] * 2, [row - 0.28, row + 0.28], color=INK, linewidth=1.6)
        axes.set_ylim(len(names) - 0.5, -0.5)
        canvas.name_ticks(axes.yaxis, names)
        canvas.label(axes, label, "")
        return canvas.apart(figure)


def _column(history: Sequence[Mapping[str, float]], key: str) -> NDArray[np.float64]:
    values = [row.get(key) for row in history]
    return np.array([math.nan if v is None else v for v in values], dtype=np.float64)


def _epochs(history: Sequence[Mapping[str, float]], axes: Any) -> NDArray[np.float64]:
    """Mark whole epochs along the plot and give them; counted from 1 where the history does not number them."""
    from matplotlib.ticker import MaxNLocator

    epochs = _column(history, "epoch")
    epochs = epochs if np.isfinite(epochs).all() else np.arange(1.0, len(history) + 1)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    if len(epochs) == 1:
        axes.set_xlim(epochs[0] - 1, epochs[0] + 1)
    return epochs


def _unit(axes: Any, x: str, y: str) -> None:
    """Prepare a plot of two shares, 0 to 1."""
    canvas.plain(axes)
    canvas.quarters(axes.xaxis)
    canvas.quarters(axes.yaxis)
    axes.set(xlim=canvas.UNIT, ylim=canvas.UNIT)
    canvas.label(axes, x, y)


def _lines(axes: Any, curves: Sequence[Curve]) -> list[Any]:
    drawn = []
    for index, curve in enumerate(curves):
        dashes = canvas.dashes(index)
        style = {"dashes": dashes} if dashes else {}
        width = 2.0 if len(curves) == 1 else 1.5
        drawn += axes.plot(curve.x, curve.y, color=SERIES[index % len(SERIES)], linewidth=width, clip_on=False, **style)
    return drawn


def _legend(
    axes: Any, lines: Sequence[Any], curves: Sequence[Curve], place: str, what: str
) -> Callable[[], Any] | None:
    areas = [curve.area for curve in curves if curve.area and curve.area.is_known]
    if len(curves) < 2 and not areas:
        return None
    notes = [_area(curve.area, what, whole=len(curves) == 1) for curve in curves]
    return partial(canvas.name_legend, axes, lines, [curve.name for curve in curves], place=place, notes=notes)


def _area(area: Estimate | None, what: str, *, whole: bool) -> str:
    if area is None or not area.is_known:
        return ""
    return (
        f", {what} {area.value:.3f}\n(95 % interval {area.low:.3f} to {area.high:.3f})"
        if whole
        else f", {what} {area.value:.3f}"
    )


def _blues() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("plainfilm", [PAPER, SERIES[0]])
