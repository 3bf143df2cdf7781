"""PPV and NPV over prevalence, and the decision curve: one SVG for the page and one PNG for slides each."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from plainfilm.reporting.figures import canvas
from plainfilm.reporting.figures.canvas import DASHES, MUTED, SERIES, Drawing
from plainfilm.results.estimate import Estimate
from plainfilm.results.metrics import Utility

_MARKS = (0.001, 0.01, 0.1, 0.5)


def predictive_values(utility: Utility) -> Drawing | None:
    """Draw PPV (line) and NPV (dashes) with their intervals over prevalence; None where neither is known.

    The upright dotted line is the share of the positive class in the test set.
    """
    if not any(point.is_known for point in (*utility.ppv, *utility.npv)):
        return None
    with canvas.style():
        figure, axes = canvas.plot(4.6, 3.0)
        places = np.log10(utility.prevalence)
        curve = utility.decision_curve
        if curve is not None and _MARKS[0] <= curve.prevalence <= _MARKS[-1]:
            axes.axvline(np.log10(curve.prevalence), **canvas.GUIDE)
        lines = [_line(axes, places, utility.ppv, 0), _line(axes, places, utility.npv, 1)]
        axes.set_xticks(np.log10(_MARKS), [f"{100 * mark:g} %" for mark in _MARKS])
        canvas.quarters(axes.yaxis)
        axes.set(xlim=(places[0], places[-1] + 0.08), ylim=canvas.UNIT)  # room for the name of the last mark
        canvas.label(axes, "prevalence", "PPV, NPV")
        return canvas.both(
            figure, "predictive-values", legend=canvas.legend(axes, lines, ("PPV", "NPV"), place="center left")
        )


def decision_curve(utility: Utility) -> Drawing | None:
    """Draw net benefit over the threshold probability: the model, treating all (dashes) and none (dotted, at 0).

    The part far below 0, where treating all falls without end, is cut off.
    """
    curve = utility.decision_curve
    if curve is None:
        return None
    with canvas.style():
        figure, axes = canvas.plot(4.6, 3.0)
        none = axes.plot([0, 1], [0, 0], color=MUTED, linewidth=1.2, dashes=DASHES[2])[0]
        lines = [_line(axes, curve.threshold, curve.model, 0), _line(axes, curve.threshold, curve.treat_all, 1), none]
        top = max(curve.prevalence, *(point.high for point in curve.model)) * 1.08
        axes.set(xlim=(0, 1), ylim=(-0.3 * top, top))
        canvas.quarters(axes.xaxis)
        canvas.label(axes, "threshold probability", "net benefit")
        return canvas.both(
            figure,
            "decision-curve",
            legend=canvas.legend(axes, lines, ("model", "treat all", "treat none"), place="upper right"),
        )


def _line(axes: Any, x: Any, points: Sequence[Estimate], index: int) -> Any:
    """Draw a line over its interval."""
    value, low, high = np.array([(point.value, point.low, point.high) for point in points]).T
    colour, style = SERIES[index], {"dashes": DASHES[index]} if index else {}
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    return axes.plot(x, value, color=colour, linewidth=2.0, **style)[0]
