"""The report of an external validation: one HTML file and its figures. Draws and writes, computes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

import plainfilm
from plainfilm.evidence.external.evaluate import ExternalEvaluation
from plainfilm.evidence.external.recalibration import FOLDS
from plainfilm.evidence.external.unlabelled import UnlabelledEvaluation
from plainfilm.model.bundle import Bundle
from plainfilm.model.cpus import processors
from plainfilm.reporting import environment, page, report_data
from plainfilm.reporting.figures import clinical_utility, evaluation
from plainfilm.reporting.figures.canvas import Drawing
from plainfilm.reporting.figures.evaluation import Curve, Reliability
from plainfilm.reporting.formatting import question
from plainfilm.reporting.tables import answers as answer_tables
from plainfilm.reporting.tables import clinical_utility as utility_tables
from plainfilm.reporting.tables import external, subgroups
from plainfilm.reporting.tables import of_findings as finding_tables
from plainfilm.reporting.tables.answers import AnswersShown, OfFindings
from plainfilm.reporting.view_model import Counts
from plainfilm.results.external import ExternalMetrics, UnlabelledMetrics
from plainfilm.results.task import Task

Values = dict[str, object]  # of a template
Counted = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a report is of: names of model, data and folder for people, what was typed, and the site that is kept, if one is."""

    model: str
    data: str
    folder: str
    command: str
    kept_for: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalReport:
    """All that is written of a test on labelled radiographs."""

    about: About
    evaluation: ExternalEvaluation
    recalibrated: Bundle | None = None
    formats: Sequence[str] = ()  # of figures, beside PNG


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlabelledReport:
    """All that is written of a recalibration to radiographs without labels."""

    about: About
    evaluation: UnlabelledEvaluation
    recalibrated: Bundle


def write_unlabelled(out: Path, report: UnlabelledReport, metrics: UnlabelledMetrics) -> None:
    """Write `out/report.html` of radiographs without labels, whole or not at all.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    found, shares = report.evaluation, metrics.outliers
    cohort = [
        ("Radiographs", f"{metrics.n:,}, of {metrics.groups:,} patients or groups"),
        ("Sources", f"{len(set(found.cohort.store.source[found.cohort.rows].tolist())):,}"),
        ("Left out as seen in training", f"{metrics.overlap.found:,}"),
    ]
    title = _title(
        list(metrics.findings or metrics.classes), found.decision.task, f"Recalibrated to {report.about.data}"
    )
    values: Values = {
        "report": _stated(report.about, title, cohort, found.cohort.store.fingerprint, metrics),
        "found": metrics,
        "overlap": metrics.overlap,
        "shares": shares and external.outlier_shares(shares),
        "each": [(name, own, external.spread(own.before, own.after)) for name, own in metrics.fitted.items()],
        "problems": report_data.problems(found.cohort.store),
    }
    page.write(out, "report.html", page.render("unlabelled.html", values), {})


def _stated(
    about: About, title: str, cohort: Counted, fingerprint: str, metrics: ExternalMetrics | UnlabelledMetrics
) -> Values:
    """Give what every page says of itself, of the data and of the machine."""
    return {
        "title": title,
        "created": environment.now(),
        "version": plainfilm.__version__,
        "command": about.command,
        "folder": about.folder,
        "kept_for": about.kept_for,
        "cohort": [("Model", about.model), ("Data", about.data), *cohort],
        "fingerprint": fingerprint,
        "network": metrics.model.network_sha256,
        "versions": metrics.versions,
        "hardware": environment.hardware(processors()),
    }


def write(out: Path, report: ExternalReport, metrics: ExternalMetrics) -> None:
    """Write `out/report.html` and `out/figures/*.png`, each one whole or not at all.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    found = report.evaluation
    lines = report_data.lines(found.lines, found.external)
    drawings = _draw(found, *lines)
    files: dict[str, Drawing | None] = dict(drawings)
    if found.external.confusion_matrix:
        files["confusion"] = evaluation.confusion(found.external.confusion_matrix, found.decision.classes)
    values = _head(found) | _tables(found) | _recalibration(report) | _outliers(found) | {
        "report": _about(report, metrics) | {"roc": lines[0], "precision_recall": lines[1]},
        "answers": _answers(found, metrics),
        "drawings": {name: drawing and Markup(drawing.svg) for name, drawing in drawings.items()},
    }  # fmt: skip
    page.write(out, "report.html", page.render("external.html", values), files, report.formats)


def _about(report: ExternalReport, metrics: ExternalMetrics) -> Values:
    found = report.evaluation
    cohort = found.cohort
    counted = [
        *([("Calibration of the site", found.site)] if found.site else []),
        ("Radiographs tested", f"{len(cohort.rows):,}"),
        ("Sources", f"{len(found.sources.names):,}"),
        ("Findings not stated here" if found.findings else "Classes missing", ", ".join(found.missing) or "none"),
        ("Left out for their label", f"{_left_out(found):,}"),
        ("Left out as seen in training", f"{len(cohort.overlap.rows):,}"),
    ]
    title = _title(found.decision.classes, found.decision.task, f"Tested on {report.about.data}")
    return _stated(report.about, title, counted, cohort.store.fingerprint, metrics) | {
        "positive": found.decision.positive,
        "threshold": found.threshold,
        "prevalence": found.prevalence,
    }


def _title(names: Sequence[str], task: Task, what: str) -> str:
    asked = question(names, task)
    return f"{asked}{'' if asked.endswith('?') else '.'} {what}"


def _left_out(found: ExternalEvaluation) -> int:
    """Count the radiographs left out: of findings those of which none is known."""
    left_out = found.cohort.labels.left_out
    return left_out.get("", 0) if found.findings else sum(left_out.values())


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


def _answers(found: ExternalEvaluation, metrics: ExternalMetrics) -> AnswersShown:
    """Lay out the answers here, beside the model's own test set."""
    return answer_tables.show(
        ("Here", found.external),
        ("Own test set", None if found.cohort.is_own else found.internal),
        classes=found.decision.classes,
        positive=found.decision.positive,
        three_answers=[("Here", found.three_answers)] if found.three_answers else (),
        by_patient=(found.by_patient, "external") if found.by_patient else None,
        of_findings=_of_findings(metrics),
    )


def _of_findings(metrics: ExternalMetrics) -> OfFindings:
    """Lay out each finding by itself; nothing of classes."""
    each = metrics.findings or {}
    three = {name: (own, own.three_answers, "") for name, own in each.items() if own.three_answers}
    joined = {name: (own.by_patient, own.by_patient.splits["external"]) for name, own in each.items() if own.by_patient}
    return OfFindings(
        rows=external.finding_rows(metrics),
        tables=[finding_tables.three_answers(three), finding_tables.by_patient(joined)],
        measured=[own.splits.external for own in each.values()],
    )


def _tables(found: ExternalEvaluation) -> Values:
    store = found.cohort.store
    stands_for, left_out = found.cohort.labels.stands_for, found.cohort.labels.left_out
    return {
        "test": found.external,
        "own": found.internal,
        "calibrated": found.calibrated,
        "speaks": found.speaks,
        "drops": external.drops(found.external, found.internal, found.drop),
        "sources": Counts(row_label="class", column_label="source", rows=_of_sources(found), columns=found.sources.names, counts=found.sources.table),
        "labels": [(label, stands_for.get(label), left_out.get(label, 0)) for label in sorted({*stands_for, *left_out})],
        "subgroups": subgroups.show(found.subgroups),
        "utility": found.utility and utility_tables.show(found.utility),
        "lower": found.decision.lower_threshold,
        "mistakes": report_data.mistakes(store, found.predictions.scores, found.decision),
        "facts": report_data.facts(store),
        "problems": report_data.problems(store),
    }  # fmt: skip


def _of_sources(found: ExternalEvaluation) -> Sequence[str]:
    """Name the rows of the table of sources: the classes, or the finding that speaks and its absence."""
    return found.findings[found.speaks].decision.classes if found.speaks else found.decision.classes


def _recalibration(report: ExternalReport) -> Values:
    fitted = report.evaluation.recalibration
    each = {name: own for name, own in report.evaluation.findings.items() if own.recalibration}
    return {
        "moved": external.moved({name: own.recalibration.result for name, own in each.items() if own.recalibration}),
        "kept_own": [
            (name, own.no_recalibration) for name, own in report.evaluation.findings.items() if name not in each
        ],
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
        "reliability": evaluation.reliability(reliability, of_answer=positive is None and not found.findings),
        **{
            f"reliability-{name}": evaluation.reliability(report_data.bins_of(lines), name=f"reliability-{name}")
            for name, lines in bins.items()
        },
        "predictive-values": None if use is None else clinical_utility.predictive_values(use),
        "decision-curve": None if use is None else clinical_utility.decision_curve(use),
    }
