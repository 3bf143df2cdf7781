"""The later test set beside the earlier studies, laid out for reading."""

from collections.abc import Sequence
from dataclasses import dataclass

from plainfilm.reporting.formatting import LABELS, PERCENT, percent
from plainfilm.reporting.tables import metrics
from plainfilm.reporting.tables.metrics import Cell
from plainfilm.results.metrics import InTime, Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class InTimeShown:
    """What the section of earlier and later shows.

    `classes` and `metrics` are rows of a name and two or three cells: earlier, later, and by how much lower; `mix` are rows of a kind,
    a value and two shares.
    """

    found: InTime
    classes: Sequence[tuple[str, Sequence[Cell]]]
    metrics: Sequence[tuple[str, Sequence[Cell]]]
    mix: Sequence[tuple[str, str, str, str]]


def show(found: InTime, validation: Metrics, test: Metrics) -> InTimeShown:
    """Lay out what differs between the earlier and the later studies."""
    parts = (found.earlier, found.later)
    rows = []
    for name, lower in found.lower.items():
        shown = [own for part in (validation, test) for own in metrics.cells(part, [name])]
        rows.append((LABELS[name], [*shown, metrics.signed(lower, (-1.0, 1.0), in_percent=name in PERCENT)]))
    return InTimeShown(
        found=found,
        classes=[
            (name, [metrics.cell(part.classes[name], metrics.UNIT, in_percent=True) for part in parts])
            for name in found.earlier.classes
        ],
        metrics=rows,
        mix=[
            (kind, value, *(percent(part.mix[kind].get(value, 0.0)) for part in parts))  # type: ignore[misc]
            for kind in found.earlier.mix
            for value in dict.fromkeys([*found.earlier.mix[kind], *found.later.mix[kind]])
        ],
    )
