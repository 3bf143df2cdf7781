"""What is said of each finding of several by itself, laid out for reading: three answers, and one answer a patient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from plainfilm.reporting.formatting import LABELS, percent
from plainfilm.reporting.tables import metrics
from plainfilm.reporting.tables.metrics import Cell
from plainfilm.reporting.tables.three_answers import PARTS
from plainfilm.results.metrics import ByPatient, Metrics, ThreeAnswersMeasured

_BY_PATIENT = ("auroc", "sensitivity", "specificity", "ppv", "npv")


class Measured(Protocol):
    """A finding as a run or an evaluation elsewhere holds it."""

    @property
    def threshold(self) -> float | None:
        """Probability from which it is called."""

    @property
    def lower_threshold(self) -> float | None:
        """Probability below which it is denied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EachFinding:
    """A table with a row a finding, and what is said of each below it; `heads` name the texts and then the estimates of a row."""

    title: str
    note: str
    heads: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str], Sequence[Cell]]]
    said: Sequence[tuple[str, str]]


def three_answers(found: Mapping[str, tuple[Measured, ThreeAnswersMeasured, str]]) -> EachFinding | None:
    """Lay out the thresholds of each finding, what they come to and what they promise; None where there is one threshold."""
    if not found:
        return None
    rows = []
    for name, (own, measured, _) in found.items():
        cuts = [percent(cut) if cut is not None else "each fold's" for cut in (own.lower_threshold, own.threshold)]
        cells = [metrics.cell(measured.estimates[part], metrics.UNIT, in_percent=True) for part in PARTS]
        rows.append((name, cuts, cells))
    said = {name: f"{promise} {measured.sentence}".strip() for name, (_, measured, promise) in found.items()}
    return EachFinding(
        title="Present, absent or unsure, each finding",
        note=f"Found: {PARTS['found'].partition(' ')[2]}. Sensitivity to NPV are of those that are not unsure; all other metrics count an unsure answer as absent. What is promised is promised of each finding by itself, not of all together.",
        heads=("Absent below", "Present from", "Unsure", "Found", "Sensitivity", "Specificity", "PPV", "NPV"),
        rows=rows,
        said=list(said.items()),
    )


def by_patient(found: Mapping[str, tuple[ByPatient, Metrics]]) -> EachFinding | None:
    """Lay out the answers by patient of each finding; None where the classifier does not know how films become one."""
    if not found:
        return None
    rows = []
    for name, (own, measured) in found.items():
        texts = [own.rule, f"{measured.n:,}", percent(own.threshold)]
        rows.append((name, texts, metrics.cells(measured, _BY_PATIENT)))
    said = {
        name: " ".join(filter(None, (own.sentence, own.three_answers.sentence if own.three_answers else "")))
        for name, (own, _) in found.items()
    }
    return EachFinding(
        title="By patient, each finding",
        note="A patient has a finding where any film has it.",
        heads=("Films joined by", "Patients", "Present from", *(LABELS[each] for each in _BY_PATIENT)),
        rows=rows,
        said=list(said.items()),
    )
