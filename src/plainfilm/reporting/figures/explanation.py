"""Probability of the answer as radiographs are blurred and brought back: one SVG for the page and one PNG for slides each."""

import numpy as np

from plainfilm.evidence.explanation.faithfulness import CENTRE, MAP, ORDERS, RANDOM
from plainfilm.reporting.figures import canvas
from plainfilm.reporting.figures.canvas import DASHES, MUTED, SERIES, Drawing
from plainfilm.reporting.tables.explanation import NAMES, Kind
from plainfilm.results.metrics import Faithfulness

_STYLES: dict[str, dict[str, object]] = {
    MAP: {"color": SERIES[0], "linewidth": 2.0},
    RANDOM: {"color": MUTED, "linewidth": 1.5, "dashes": DASHES[2]},
    CENTRE: {"color": SERIES[1], "linewidth": 1.5, "dashes": DASHES[1]},
}


def hiding(measured: Faithfulness, kind: Kind) -> Drawing | None:
    """Draw the mean probability over the share of the radiograph that is blurred ("deletion") or brought back; None without radiographs."""
    lines = {name: order.deletion if kind == "deletion" else order.insertion for name, order in measured.orders.items()}
    if not np.isfinite(lines[MAP]).all():
        return None
    with canvas.style():
        figure, axes = canvas.plot(4.6, 2.7)
        drawn = [axes.plot(measured.replaced, lines[order], clip_on=False, **_STYLES[order])[0] for order in ORDERS]
        ticks = np.linspace(0, 1, 6)
        axes.set_xticks(ticks, [f"{100 * tick:.0f} %" for tick in ticks])
        canvas.quarters(axes.yaxis)
        axes.set(xlim=(canvas.UNIT[0], 1.05), ylim=canvas.UNIT)  # room for the name of the last mark
        share = "blurred" if kind == "deletion" else "brought back"
        canvas.label(axes, f"share of the radiograph {share}", "probability of the answer")
        names = [NAMES[order] for order in ORDERS]
        return canvas.both(figure, kind, legend=canvas.legend(axes, drawn, names))
