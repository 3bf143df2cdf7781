"""The report of a test on other data: one HTML file and its figures. Draws and writes, computes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from plainfilm.evidence.external.evaluate import Elsewhere, Strange
from plainfilm.evidence.external.recalibration import FOLDS
from plainfilm.reporting import page, report_data
from plainfilm.reporting.figures import clinical_utility, evaluation
from plainfilm.reporting.figures.canvas import Drawing
from plainfilm.reporting.figures.evaluation import Curve, Reliability
from plainfilm.reporting.tables import clinical_utility as utility_tables
from plainfilm.reporting.tables import external, subgroups
from plainfilm.reporting.tables import metrics as tables
from plainfilm.reporting.view_model import Counts
from plainfilm.results.estimate import UNDEFINED, Estimate

_WITHOUT = ("accuracy", "sensitivity", "specificity", "auroc", "brier")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What the page shows beside the findings: names, times, and how to repeat it."""

    title: str
    created: str  # ISO 8601
    version: str  # of plainfilm
    command: str
    folder: str
    positive: str | None
    threshold: float | None
    roc: Sequence[Curve]
    precision_recall: Sequence[Curve]
    reliability: Reliability
    prevalence: float | None
    asked: Sequence[tuple[str, str]]
    fingerprint: str
    network: str  # SHA-256
    versions: Mapping[str, str]
    hardware: Sequence[tuple[str, str]]


def write(out: Path, shown: Page, found: Elsewhere, *, recalibrated: bool) -> None:
    """Write `out/report.html` and `out/figures/*.png`, each one whole or not at all.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    drawings = _draw(shown, found)
    pngs = {name: drawing.png for name, drawing in drawings.items() if drawing is not None}
    pngs["confusion"] = evaluation.confusion(found.metrics.confusion_matrix, found.decision.classes)
    values = _head(shown, found) | _tables(found) | _probabilities(found) | _strange(found)
    values |= {
        "recalibrated": recalibrated,
        "drawings": {name: drawing and Markup(drawing.svg) for name, drawing in drawings.items()},
    }
    page.write(out, "report.html", page.render("external.html", values), pngs)


def _head(shown: Page, found: Elsewhere) -> dict[str, Any]:
    searched = found.asked.overlap.as_dict()
    notice = ""
    if not found.asked.is_own and not searched["searched"]:
        notice = f"Nobody looked whether the model has seen these radiographs in training. {searched['not_searched']}"
    elif searched["found"]:
        notice = f"{searched['found']:,} of {searched['found'] + len(found.asked.rows):,} radiographs were left out, since the model was made from them."
    return {
        "report": shown,
        "notice": notice,
        "overlap": searched,
        "is_own": found.asked.is_own,
        "sentence": found.travel.sentence,
        "verdict": found.travel.verdict,
        "level": found.level,
        "source_tells": found.source_tells,
        "guess": found.rule.guess,
    }


def _tables(found: Elsewhere) -> dict[str, Any]:
    metrics, classes = found.metrics, found.decision.classes
    own = None if found.asked.is_own else found.internal
    wrong = tables.wrong_answers(metrics.confusion_matrix)
    asked = found.asked
    stands_for, left_out = asked.labels.stands_for, asked.labels.left_out
    return {
        "test": metrics,
        "own": found.internal,
        "metric_groups": tables.metric_groups(metrics, own, positive=found.decision.positive),
        "class_rows": tables.class_rows(metrics),
        "confusion": tables.confusion_rows(metrics.confusion_matrix, classes),
        "drops": external.drops(metrics, found.internal, found.travel.drop),
        "sources": Counts(row_label="class", column_label="source", rows=classes, columns=found.rule.sources, counts=found.rule.table.tolist()),
        "labels": [(label, stands_for.get(label), left_out.get(label, 0)) for label in sorted({*stands_for, *left_out})],
        "subgroups": subgroups.show(found.subgroups),
        "utility": found.utility and utility_tables.show(found.utility),
        "mistakes": report_data.mistakes(asked.store, found.answers.scores, found.decision),
        "wrong": wrong,
        "facts": report_data.facts(asked.store),
        "problems": report_data.problems(asked.store),
    }  # fmt: skip


def _probabilities(found: Elsewhere) -> dict[str, Any]:
    offered = found.recalibration
    return {
        "recalibration": offered,
        "no_recalibration": found.no_recalibration,
        "fits": offered and external.fits(offered.before, offered.after),
        "threshold": offered and f"{offered.threshold:.3g}",
        "folds": FOLDS,
    }


def _strange(found: Elsewhere) -> dict[str, Any]:
    strange = found.strange
    if strange is None:
        return {"strange": None, "shares": [], "without": []}
    rest = strange.without_refused
    without = external.pairs(found.metrics, rest, _WITHOUT) if rest.n < found.metrics.n else []
    return {"strange": strange, "shares": _shares(strange), "without": without}


def _shares(strange: Strange) -> list[tuple[str, str, str]]:
    own = strange.own or (UNDEFINED, UNDEFINED)
    rows = (("refused", strange.refused, own[0]), ("flagged", strange.flagged, own[1]))
    return [(label, _shown(here), _shown(before)) for label, here, before in rows]


def _shown(share: Estimate) -> str:
    return external.shown(share, in_percent=True)


def _draw(shown: Page, found: Elsewhere) -> dict[str, Drawing | None]:
    use, offered = found.utility, found.recalibration
    fits = {"before": offered.before, "after": offered.after} if offered else {}
    return {
        "roc": evaluation.roc(
            shown.roc, point=evaluation.threshold_point(found.metrics, shown.positive, shown.threshold)
        ),
        "precision-recall": evaluation.precision_recall(shown.precision_recall, prevalence=shown.prevalence),
        "reliability": evaluation.reliability(shown.reliability, of_answer=shown.positive is None),
        **{
            f"reliability-{name}": evaluation.reliability(report_data.bins_of(fit.lines), name=f"reliability-{name}")
            for name, fit in fits.items()
        },
        "predictive-values": None if use is None else clinical_utility.predictive_values(use),
        "decision-curve": None if use is None else clinical_utility.decision_curve(use),
    }
