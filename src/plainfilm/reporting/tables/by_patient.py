"""One answer a patient beside one a film, laid out for reading."""

from collections.abc import Sequence
from dataclasses import dataclass

from plainfilm.reporting.formatting import LABELS
from plainfilm.reporting.tables import metrics
from plainfilm.reporting.tables.metrics import Cell
from plainfilm.results.metrics import ByPatient, Metrics

_SHOWN = ("accuracy", "sensitivity", "specificity", "ppv", "npv", "auroc", "auprc", "brier")


@dataclass(frozen=True, slots=True, kw_only=True)
class ByPatientShown:
    """What the section by patient shows: each metric by film and by patient, and how many of each there are."""

    found: ByPatient
    films: int
    patients: int
    rows: Sequence[tuple[str, Cell, Cell]]


def show(found: ByPatient, tested: str, films: Metrics) -> ByPatientShown:
    """Lay out the metrics of the tested set by film and by patient."""
    own = found.splits[tested]
    return ByPatientShown(
        found=found,
        films=films.n,
        patients=own.n,
        rows=list(
            zip(map(LABELS.__getitem__, _SHOWN), metrics.cells(films, _SHOWN), metrics.cells(own, _SHOWN), strict=True)
        ),
    )
