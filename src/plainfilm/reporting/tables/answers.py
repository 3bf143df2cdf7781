"""What a classifier came to on a tested set, beside a second set, laid out alike for the page of a run and of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from plainfilm.reporting.tables import by_patient as patient_tables
from plainfilm.reporting.tables import metrics as tables
from plainfilm.reporting.tables import three_answers as three_tables
from plainfilm.reporting.tables.by_patient import ByPatientShown
from plainfilm.reporting.tables.metrics import CalibrationRow, Cell, CountCell, FindingRow, MetricGroup
from plainfilm.reporting.tables.of_findings import EachFinding
from plainfilm.reporting.tables.three_answers import ThreeAnswersShown
from plainfilm.results.metrics import ByPatient, Metrics, ThreeAnswersMeasured


@dataclass(frozen=True, slots=True, kw_only=True)
class OfFindings:
    """Each of several findings: its row, tables with a row a finding, and its metrics on the tested set."""

    rows: Sequence[FindingRow] = ()
    tables: Sequence[EachFinding | None] = ()
    measured: Sequence[Metrics] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersShown:
    """All that the section of results shows; what does not apply is empty or None.

    `micro` are cells of all findings together. `confusion` has a row a class: name, cells, total.
    `wrong` counts wrong answers, of findings those of each.
    """

    is_of: Literal["class", "finding"]
    groups: Sequence[MetricGroup]
    calibration: Sequence[CalibrationRow]
    three_answers: ThreeAnswersShown | None
    by_patient: ByPatientShown | None
    findings: Sequence[FindingRow]
    finding_tables: Sequence[EachFinding]
    micro: Sequence[Cell]
    confusion: Sequence[tuple[str, Sequence[CountCell], int]]
    classes: Sequence[tuple[str, Sequence[Cell]]]
    wrong: int


def show(
    tested: tuple[str, Metrics],
    beside: tuple[str, Metrics | None],
    *,
    classes: Sequence[str],
    positive: str | None,
    three_answers: Sequence[tuple[str, ThreeAnswersMeasured]],
    by_patient: tuple[ByPatient, str] | None,
    of_findings: OfFindings,
) -> AnswersShown:
    """Lay out the answers on a tested set.

    Parameters
    ----------
    tested, beside
        Name and metrics of each set.
    classes, positive
        Names of the classes, and the positive one of two.
    three_answers
        What two thresholds come to, by the set's name, the tested one first; empty with one threshold.
    by_patient
        One answer a patient, and the key of the tested set in it.
    of_findings
        Of several findings each by itself; empty of classes.
    """
    metrics, matrix = tested[1], tested[1].confusion_matrix
    is_of: Literal["class", "finding"] = "finding" if of_findings.rows else "class"
    return AnswersShown(
        is_of=is_of,
        groups=tables.metric_groups(metrics, beside[1], positive=positive, of=is_of),
        calibration=tables.calibration_rows([tested, beside], positive),
        three_answers=three_tables.show(three_answers) if three_answers else None,
        by_patient=patient_tables.show(*by_patient, metrics) if by_patient else None,
        findings=of_findings.rows,
        finding_tables=[each for each in of_findings.tables if each],
        micro=tables.micro_cells(metrics),
        confusion=tables.confusion_rows(matrix, classes) if matrix else [],
        classes=[] if of_findings.rows else tables.class_rows(metrics),
        wrong=sum(tables.wrong_answers(own.confusion_matrix) for own in (metrics, *of_findings.measured)),
    )
