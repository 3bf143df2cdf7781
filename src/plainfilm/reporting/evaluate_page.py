"""The report of an external validation: one HTML file and its figures. Draws and writes, computes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

import plainfilm
from plainfilm.evidence.external.evaluate import ExternalEvaluation
from plainfilm.evidence.external.recalibration import FOLDS
from plainfilm.model.bundle import Bundle
from plainfilm.model.cpus import processors
from plainfilm.reporting import environment, page, report_data
from plainfilm.reporting.figures import clinical_utility, evaluation
from plainfilm.reporting.figures.canvas import Drawing
from plainfilm.reporting.figures.evaluation import Curve, Reliability
from plainfilm.reporting.tables import clinical_utility as utility_tables
from plainfilm.reporting.tables import external, subgroups
from plainfilm.reporting.tables import metrics as tables
from plainfilm.reporting.view_model import Counts

Values = dict[str, object]  # of a template


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalReport:
    """All that is written. `model` and `data` are names for people, `folder` is the folder's, `command` what was typed."""

    evaluation: ExternalEvaluation
    model: str
    data: str
    folder: str
    command: str
    recalibrated: Bundle | None = None


def write(out: Path, report: ExternalReport, versions: Mapping[str, str]) -> None:
    """Write `out/report.html` and `out/figures/*.png`, each one whole or not at all; `versions` are of the software.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    found = report.evaluation
    lines = report_data.lines(found.lines, found.external)
    drawings = _draw(found, *lines)
    pngs = {name: drawing.png for name, drawing in drawings.items() if drawing is not None}
    pngs["confusion"] = evaluation.confusion(found.external.confusion_matrix, found.decision.classes)
    values = _head(found) | _tables(found) | _recalibration(report) | _outliers(found) | {
        "report": _about(report, versions) | {"roc": lines[0], "precision_recall": lines[1]},
        "drawings": {name: drawing and Markup(drawing.svg) for name, drawing in drawings.items()},
    }  # fmt: skip
    page.write(out, "report.html", page.render("external.html", values), pngs)


def _about(report: ExternalReport, versions: Mapping[str, str]) -> Values:
    found = report.evaluation
    cohort, classes = found.cohort, found.decision.classes
    asked = " or ".join(classes) if len(classes) < 4 else f"{len(classes)} classes"
    return {
        "title": f"{asked}? Tested on {report.data}",
        "created": environment.now(),
        "version": plainfilm.__version__,
        "command": report.command,
        "folder": report.folder,
        "positive": found.decision.positive,
        "threshold": found.threshold,
        "prevalence": found.prevalence,
        "cohort": [
            ("Model", report.model),
            ("Data", report.data),
            ("Radiographs tested", f"{len(cohort.rows):,}"),
            ("Sources", f"{len(found.sources.names):,}"),
            ("Classes missing", ", ".join(found.missing) or "none"),
            ("Left out for their label", f"{sum(cohort.labels.left_out.values()):,}"),
            ("Left out as seen in training", f"{len(cohort.overlap.rows):,}"),
        ],
        "fingerprint": cohort.store.fingerprint,
        "network": found.network_sha256,
        "versions": versions,
        "hardware": environment.hardware(processors()),
    }


def _head(found: ExternalEvaluation) -> Values:
    overlap, notice = found.cohort.overlap.counts, ""
    if not found.cohort.is_own and not overlap.searched:
        notice = f"Nobody looked whether the model has seen these radiographs in training. {overlap.not_searched}"
    elif overlap.found:
        notice = f"{overlap.found:,} of {overlap.found + len(found.cohort.rows):,} radiographs were left out, since the model was made from them."
    return {
        "notice": notice,
        "overlap": overlap,
        "is_own": found.cohort.is_own,
        "transportability": found.transportability,
        "verdict": external.VERDICTS[found.transportability.verdict],
        "source_sentence": found.sources.sentence,
        "majority": found.majority,
    }


def _tables(found: ExternalEvaluation) -> Values:
    classes, positive, store = found.decision.classes, found.decision.positive, found.cohort.store
    metrics, internal, matrix = found.external, found.internal, found.external.confusion_matrix
    stands_for, left_out = found.cohort.labels.stands_for, found.cohort.labels.left_out
    return {
        "test": metrics,
        "own": internal,
        "metric_groups": tables.metric_groups(metrics, None if found.cohort.is_own else internal, positive=positive),
        "class_rows": tables.class_rows(metrics),
        "calibration_rows": tables.calibration_rows(
            [("Here", metrics), ("Own test set", None if found.cohort.is_own else internal)], positive),
        "calibrated": found.calibrated,
        "confusion": tables.confusion_rows(matrix, classes),
        "drops": external.drops(found.external, found.internal, found.drop),
        "sources": Counts(row_label="class", column_label="source", rows=classes, columns=found.sources.names, counts=found.sources.table),
        "labels": [(label, stands_for.get(label), left_out.get(label, 0)) for label in sorted({*stands_for, *left_out})],
        "subgroups": subgroups.show(found.subgroups),
        "utility": found.utility and utility_tables.show(found.utility),
        "mistakes": report_data.mistakes(store, found.predictions.scores, found.decision),
        "wrong": tables.wrong_answers(matrix),
        "facts": report_data.facts(store),
        "problems": report_data.problems(store),
    }  # fmt: skip


def _recalibration(report: ExternalReport) -> Values:
    fitted = report.evaluation.recalibration
    return {
        "recalibration": fitted,
        "recalibrated": report.recalibrated is not None,
        "no_recalibration": report.evaluation.no_recalibration,
        "fits": fitted and external.fits(fitted.before, fitted.after),
        "folds": FOLDS,
    }


def _outliers(found: ExternalEvaluation) -> Values:
    outliers = found.outliers
    if outliers is None:
        return {"outliers": None}
    rest = outliers.without_refused
    return {
        "outliers": outliers,
        "shares": external.outlier_shares(outliers),
        "without": external.without_refused(found.external, rest) if rest.n < found.external.n else [],
    }


def _draw(
    found: ExternalEvaluation, roc: list[Curve], precision_recall: list[Curve], reliability: Reliability
) -> dict[str, Drawing | None]:
    use = found.utility.result if found.utility else None
    fitted, positive = found.recalibration, found.decision.positive
    bins = {"before": fitted.before_lines, "after": fitted.after_lines} if fitted else {}
    point = evaluation.threshold_point(found.external, positive, found.threshold)
    return {
        "roc": evaluation.roc(roc, point=point),
        "precision-recall": evaluation.precision_recall(precision_recall, prevalence=found.prevalence),
        "reliability": evaluation.reliability(reliability, of_answer=positive is None),
        **{
            f"reliability-{name}": evaluation.reliability(report_data.bins_of(lines), name=f"reliability-{name}")
            for name, lines in bins.items()
        },
        "predictive-values": None if use is None else clinical_utility.predictive_values(use),
        "decision-curve": None if use is None else clinical_utility.decision_curve(use),
    }
