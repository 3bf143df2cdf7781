"""Report of a run, page of an audit: one HTML file each. Draws and writes, computes nothing.

Every number, sentence and picture comes in a frozen `Report` or `AuditPage`; the modules of `tables` and `figures` give
them their form, `page` fills the templates.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from plainfilm.evidence.audit.findings import AuditFindings
from plainfilm.evidence.evaluation.clinical_utility import UtilityFindings
from plainfilm.evidence.evaluation.subgroups import SubgroupFindings
from plainfilm.evidence.explanation.summary import ExplanationFindings
from plainfilm.reporting import formatting, page
from plainfilm.reporting.figures import audit as audit_figures
from plainfilm.reporting.figures import clinical_utility, evaluation, learning_curve
from plainfilm.reporting.figures import explanation as looked_figures
from plainfilm.reporting.figures.canvas import Drawing
from plainfilm.reporting.figures.evaluation import Curve, Reliability
from plainfilm.reporting.tables import answers as answer_tables
from plainfilm.reporting.tables import audit as audit_tables
from plainfilm.reporting.tables import clinical_utility as utility_tables
from plainfilm.reporting.tables import explanation as looked_tables
from plainfilm.reporting.tables import in_time as time_tables
from plainfilm.reporting.tables import learning_curve as curve_tables
from plainfilm.reporting.tables import left_out as left_out_tables
from plainfilm.reporting.tables import metrics as tables
from plainfilm.reporting.tables import of_findings as finding_tables
from plainfilm.reporting.tables import subgroups as subgroup_tables
from plainfilm.reporting.tables.answers import AnswersShown, OfFindings
from plainfilm.reporting.view_model import Counts, DuplicateCounts, Mistake, Picture, ProblemGroup
from plainfilm.results.estimate import Estimate
from plainfilm.results.metrics import LeftOutSources, RunMetrics
from plainfilm.results.severity import LEVELS, Level

__all__ = [
    "AuditPage",
    "Counts",
    "Curve",
    "DuplicateCounts",
    "Mistake",
    "Picture",
    "ProblemGroup",
    "Reliability",
    "Report",
    "write_audit",
    "write_report",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a report shows."""

    title: str
    created: str  # ISO 8601
    version: str  # of plainfilm
    command: str
    folder: str  # name of the run folder
    result: RunMetrics
    subgroups: SubgroupFindings
    audit: AuditFindings | None = None  # None: not audited, and the page says so
    guess: tuple[str, float] | None = None  # the commonest class of the test set, and the accuracy of always naming it
    asked: Sequence[tuple[str, str]] = ()
    paper: Sequence[tuple[str, str]] = ()  # what the paper reports whose recipe this is, and the same of this run
    tables: Sequence[Counts] = ()  # class by split, source by class
    facts: Sequence[tuple[str, str]] = ()  # patients, groups, … as name and value
    samples: Mapping[str, Sequence[Picture]] = field(default_factory=dict)  # by class
    problems: Sequence[ProblemGroup] = ()
    duplicates: DuplicateCounts | None = None
    history: Sequence[Mapping[str, float]] = ()  # epoch, loss, val_loss, accuracy, val_accuracy
    balanced_instead: bool = False  # group DRO was asked for, and no class has two sources
    altered: Sequence[Picture] = ()  # a training image and views of it that the training saw
    altered_means: str = ""  # how they were altered
    roc: Sequence[Curve] = ()  # one, or one a class
    precision_recall: Sequence[Curve] = ()
    prevalence: float | None = None  # of the positive class in the test set
    reliability: Reliability | None = None
    lower_threshold: float | None = None  # None: one threshold
    utility: UtilityFindings | None = None  # None: more than two classes, or not asked for
    explanation: ExplanationFindings | None = None  # None: not audited, or the network has no maps to look at
    mistakes: Sequence[Mistake] = ()  # the most wrong first
    times: Sequence[tuple[str, float]] = ()  # stage, seconds
    images_per_second: float | None = None  # of encoding
    recipe: str = ""  # TOML, every value resolved
    hardware: Sequence[tuple[str, str]] = ()
    repeat: Sequence[str] = ()  # commands

    @property
    def positive(self) -> str | None:
        """The positive class; None with more than two."""
        return self.result.positive

    @property
    def threshold(self) -> float | None:
        """The threshold of all answers; None where folds have their own."""
        return None if self.result.folds else self.result.threshold

    @property
    def worth(self) -> str:
        """What the accuracy is worth, in a plain sentence, apart from the audit."""
        return self.result.worth.sentence

    @property
    def worth_level(self) -> Level:
        """How severe that sentence is."""
        return self.result.worth.level


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """All that the page of `plainfilm audit` shows."""

    title: str
    created: str
    version: str
    command: str
    folder: str
    audit: AuditFindings
    asked: Sequence[tuple[str, str]] = ()
    repeat: Sequence[str] = ()


def write_report(report: Report, out: Path, formats: Sequence[str] = ()) -> None:
    """Write `out/report.html` and `out/figures/*.png`, and in other `formats`, each one whole or not at all.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    drawings = _draw(report)
    values = _worth(report) | _sections(report) | _training(report) | {
        "report": report,
        "run": report.result,
        "drawings": {name: drawing and Markup(drawing.svg) for name, drawing in drawings.items()},
    }  # fmt: skip
    page.write(out, "report.html", page.render("report.html", values), drawings | _files_alone(report), formats)


def _files_alone(report: Report) -> dict[str, Drawing | None]:
    """Draw what the page shows in another form: confusion matrix, sources left out, audit."""
    run, files = report.result, dict[str, Drawing | None]()
    if run.test.confusion_matrix:
        files["confusion"] = evaluation.confusion(run.test.confusion_matrix, run.classes)
    if run.left_out is not None:
        files["left-out"] = evaluation.forest(_forest(run.left_out))
    if report.audit is not None:
        files |= _of_audit(report.audit)
    return files


def _training(report: Report) -> dict[str, object]:
    """Lay out the section on training."""
    trainings = evaluation.trainings(report.history)
    return {
        "last_epoch": report.history[-1] if report.history else {},
        "trainings": len(trainings),
        "epochs": max(map(len, trainings), default=0),
        "longest_s": max((s for _, s in report.times if math.isfinite(s)), default=0.0),
    }


def _sections(report: Report) -> dict[str, object]:
    """Lay out the sections on what was measured; None where there is none."""
    run = report.result
    return {
        "test": run.test,
        "validation": run.splits.get("validation"),
        "where": formatting.WHERE[run.tested],
        "answers": _answers(run),
        "left_out": run.left_out and left_out_tables.show(run.left_out),
        "curve": run.left_out and run.left_out.curve and curve_tables.show(run.left_out.curve),
        "subgroups": subgroup_tables.show(report.subgroups),
        "utility": report.utility and utility_tables.show(report.utility),
        "in_time": run.in_time and time_tables.show(run.in_time, run.splits["validation"], run.test),
        "looked": report.explanation and looked_tables.show(report.explanation),
    }


def write_audit(audit: AuditPage, out: Path, formats: Sequence[str] = ()) -> None:
    """Write `out/audit.html`, `out/figures/audit.png` and `audit-probes.png`, and these in other `formats`, each one whole or not at all.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    values = {"report": audit, "shown": audit_tables.show(audit.audit)}
    page.write(out, "audit.html", page.render("audit_page.html", values), _of_audit(audit.audit), formats)


def _of_audit(found: AuditFindings) -> dict[str, Drawing | None]:
    """Draw the audit for slides, and its probes for a paper."""
    return {"audit": audit_figures.picture(found), "audit-probes": evaluation.probes(found.result)}


def _answers(run: RunMetrics) -> AnswersShown:
    """Lay out the answers on the tested set, beside the validation set."""
    tested, three = "Test" if run.tested == "test" else "Held-out folds", run.three_answers
    return answer_tables.show(
        (tested, run.test),
        ("Validation", run.splits.get("validation")),
        classes=run.classes,
        positive=run.positive,
        three_answers=[(tested, three.splits[run.tested]), ("Validation", three.splits["validation"])] if three else (),
        by_patient=(run.by_patient, run.tested) if run.by_patient else None,
        of_findings=_of_findings(run),
    )


def _of_findings(run: RunMetrics) -> OfFindings:
    """Lay out each finding by itself; nothing of classes."""
    found, part = run.findings or {}, run.tested
    three = {
        name: (own, own.three_answers.splits[part], own.three_answers.sentence)
        for name, own in found.items()
        if own.three_answers
    }
    joined = {name: (own.by_patient, own.by_patient.splits[part]) for name, own in found.items() if own.by_patient}
    return OfFindings(
        rows=tables.finding_rows(run),
        tables=[finding_tables.three_answers(three), finding_tables.by_patient(joined)],
        measured=[own.splits[part] for own in found.values()],
    )


def _forest(found: LeftOutSources) -> list[tuple[str, Estimate]]:
    return [*((own.name, own.metrics.auroc) for own in found.sources), *left_out_tables.sums_of(found)]


def _worth(of: Report) -> dict[str, object]:
    """What the box beside the number needs: the audit laid out, and how loud the box is, the louder of both."""
    shown = None if of.audit is None else audit_tables.show(of.audit)
    audited = "none" if of.audit is None else of.audit.result.level
    elsewhere = of.result.left_out.level if of.result.left_out else "none"
    return {"shown": shown, "worth_level": max(of.worth_level, audited, elsewhere, key=LEVELS.index)}


def _draw(report: Report) -> dict[str, Drawing | None]:
    """Every drawing of the report by name; None where there is nothing to draw."""
    bins, utility = report.reliability, report.utility.result if report.utility else None
    hidden = report.explanation.result.faithfulness if report.explanation else None
    curve = report.result.left_out.curve if report.result.left_out else None
    return {
        "roc": evaluation.roc(
            report.roc, point=evaluation.threshold_point(report.result.test, report.positive, report.threshold)
        ),
        "precision-recall": evaluation.precision_recall(report.precision_recall, prevalence=report.prevalence),
        "reliability": None
        if bins is None
        else evaluation.reliability(bins, of_answer=report.positive is None and not report.result.findings),
        "learning-loss": evaluation.learning(report.history, "loss"),
        "learning-accuracy": evaluation.learning(report.history, "accuracy"),
        "predictive-values": None if utility is None else clinical_utility.predictive_values(utility),
        "decision-curve": None if utility is None else clinical_utility.decision_curve(utility),
        "deletion": None if hidden is None else looked_figures.hiding(hidden, "deletion"),
        "learning-curve": None if curve is None else learning_curve.draw(curve),
        "insertion": None if hidden is None else looked_figures.hiding(hidden, "insertion"),
    }
