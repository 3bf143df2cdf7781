"""Answers with an unsure band between them, laid out for reading."""

from collections.abc import Sequence
from dataclasses import dataclass

from plainfilm.reporting.tables import metrics
from plainfilm.reporting.tables.metrics import Cell
from plainfilm.results.metrics import ThreeAnswersMeasured

PARTS = {
    "unsure": "Unsure",
    "found": "Found of the ill, unsure counting as not found",
    "sensitivity": "Sensitivity outside the unsure band",
    "specificity": "Specificity outside it",
    "ppv": "PPV outside it",
    "npv": "NPV outside it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreeAnswersShown:
    """All that the section of three answers shows: each set by its name, each part with its estimate in each set."""

    sets: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    sentence: str  # whether what was asked for holds in the first set


def show(sets: Sequence[tuple[str, ThreeAnswersMeasured]]) -> ThreeAnswersShown:
    """Lay out what two thresholds come to, the tested set first."""
    return ThreeAnswersShown(
        sets=[name for name, _ in sets],
        rows=[
            (label, [metrics.cell(own.estimates[part], metrics.UNIT, in_percent=True) for _, own in sets])
            for part, label in PARTS.items()
        ],
        sentence=sets[0][1].sentence,
    )
