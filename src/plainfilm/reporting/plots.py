"""Plots of a finished run on matplotlib's axes, for notebooks and papers: `run.plot`."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from plainfilm.errors import UsageError
from plainfilm.evidence.statistics.curves import Curves, curves
from plainfilm.harmless import as_named
from plainfilm.reporting.figures import canvas, evaluation, learning_curve
from plainfilm.reporting.figures.evaluation import Curve
from plainfilm.reporting.report_data import bins_of
from plainfilm.results.audit import Audit
from plainfilm.results.documents import Document
from plainfilm.results.external import ExternalMetrics
from plainfilm.results.metrics import Metrics, RunMetrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    class Drawn(Axes):
        """Axes of a whole figure, so that checkers let `run.plot.roc().figure.savefig(…)` pass."""

        @property
        def figure(self) -> Figure:
            """The figure."""


_NOT_TESTED = ("train", "validation", "left out: ")  # how the names of such rows begin


@dataclass(frozen=True, slots=True)
class Plots:
    """Each method draws on `ax`, by default on new axes of pyplot, and returns it; what a run has not is a `UsageError`."""

    folder: Path
    result: Document

    def roc(self, ax: "Axes | None" = None) -> "Drawn":
        """Draw the ROC of the tested set, of each class where there are more than two, and where the threshold stands."""
        tested, metrics = self._tested("a ROC curve"), self._metrics
        drawn = [Curve(name=name, x=own.fpr, y=own.tpr) for name, own in tested.by_class().items()]
        point = evaluation.threshold_point(metrics, tested.positive, tested.threshold)
        with _axes(ax, 3.5, 3.3) as axes:
            if legend := evaluation.on_roc(axes, drawn, point=point):
                legend()
        return axes

    def precision_recall(self, ax: "Axes | None" = None) -> "Drawn":
        """Draw precision over recall of the tested set, of each class where there are more than two."""
        tested = self._tested("a precision-recall curve")
        drawn = [Curve(name=name, x=own.recall, y=own.precision) for name, own in tested.by_class().items()]
        with _axes(ax, 3.5, 3.3) as axes:
            if legend := evaluation.on_precision_recall(axes, drawn, prevalence=tested.prevalence):
                legend()
        return axes

    def reliability(self, ax: "Axes | None" = None) -> "Drawn":
        """Draw the share that came true over the predicted probability; each radiograph counts as one draw."""
        tested = self._tested("a reliability diagram")
        with _axes(ax, 3.5, 3.3) as axes:
            evaluation.on_reliability(
                axes, bins_of(tested.reliability()), of_answer=tested.positive is None and not tested.has_findings
            )
        return axes

    def confusion_matrix(self, ax: "Axes | None" = None) -> "Drawn":
        """Draw the counts of the tested set, truth down, prediction across."""
        result = self._classified("a confusion matrix")
        if not self._metrics.confusion_matrix:
            raise UsageError(
                "Expected a run of classes, which has a confusion matrix; received one of several findings."
            )
        side = 1.7 + 0.62 * len(result.classes)
        with _axes(ax, side + 0.4, side) as axes:
            evaluation.on_confusion(axes, self._metrics.confusion_matrix, result.classes)
        return axes

    def learning(self, ax: "Axes | None" = None, *, measure: str = "loss") -> "Drawn":
        """Draw `measure`, "loss" or "accuracy", over the epochs, of training and validation."""
        path = self.folder / "history.csv"
        if not path.is_file():
            raise UsageError("Expected a run of train or demo, which has epochs; received another.")
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
        if not any(measure in row for row in rows):
            raise UsageError(f"Expected a measure among loss and accuracy; received {measure}.")
        with _axes(ax, 4.6, 2.7) as axes:
            evaluation.on_learning(axes, rows, measure)()
        return axes

    def learning_curve(self, ax: "Axes | None" = None) -> "Drawn":
        """Draw the AUROC at sources that were left out over the films learnt from, a line a number of sources."""
        left_out = getattr(self.result, "left_out", None)
        if left_out is None or left_out.curve is None:
            raise UsageError(
                "Expected a run of train, which has a learning curve with --folds source --curve; received another."
            )
        with _axes(ax, 4.6, 3.0) as axes:
            learning_curve.on_axes(axes, left_out.curve)()
        return axes

    def probes(self, ax: "Axes | None" = None) -> "Drawn":
        """Draw the AUROC of each probe of the audit, the line of chance and the classifier's own AUROC."""
        audit = self.result if isinstance(self.result, Audit) else getattr(self.result, "audit", None)
        if audit is None or not audit.probes:
            raise UsageError("Expected a run with an audit whose probes ran; received one without.")
        with _axes(ax, 5.2, 0.9 + 0.3 * len(audit.probes)) as axes:
            evaluation.on_probes(axes, audit)
        return axes

    @property
    def _metrics(self) -> Metrics:
        result = self._classified("metrics")
        return result.test if isinstance(result, RunMetrics) else result.external

    def _classified(self, what: str) -> RunMetrics | ExternalMetrics:
        if not isinstance(self.result, RunMetrics | ExternalMetrics):
            raise UsageError(f"Expected a run of train, demo or evaluate, which has {what}; received another.")
        return self.result

    def _tested(self, what: str) -> "_Tested":
        result = self._classified(what)
        return _Tested(rows_tested(self.folder), result.classes, result.positive, result.threshold)


def rows_tested(folder: Path) -> list[dict[str, str]]:
    """Read the tested rows of predictions.csv, names as they were before they were written for spreadsheets."""
    with (folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
        read = csv.DictReader(file, restkey="", restval="")  # of a row that is cut short, or has more cells than names
        rows = [{as_named(name): as_named(value) for name, value in row.items() if name} for row in read]
    return [row for row in rows if not row["split"].startswith(_NOT_TESTED)]


@dataclass(frozen=True, slots=True)
class _Tested:
    """The tested rows of predictions.csv."""

    rows: Sequence[Mapping[str, str]]
    classes: tuple[str, ...]
    positive: str | None
    threshold: float | None

    @property
    def prevalence(self) -> float | None:
        """Share of the positive class; None with more than two classes."""
        if self.positive is None:
            return None
        return float(np.mean([row["label"] == self.positive for row in self.rows]))

    def by_class(self) -> dict[str, Curves]:
        """Compute the curves of the positive class, or of each against the rest."""
        if self.positive is not None:
            return {self.positive: self._curves(self.positive, "probability")}
        return {name: self._curves(name, f"probability {name}") for name in self.classes}

    @property
    def has_findings(self) -> bool:
        """Whether each row may have several findings."""
        return bool(self.rows) and f"truth {self.classes[0]}" in self.rows[0]

    def _curves(self, name: str, column: str) -> Curves:
        if self.has_findings:
            known = [row for row in self.rows if row[f"truth {name}"]]
            return curves([int(row[f"truth {name}"]) for row in known], [float(row[column]) for row in known])
        truth = np.array([row["label"] == name for row in self.rows], int)
        return curves(truth, np.array([float(row[column]) for row in self.rows]))

    def reliability(self) -> Curves:
        """Compute the bins, of the positive class's probability, or of that of the answer."""
        if self.positive is not None:
            return self._curves(self.positive, "probability")
        if self.has_findings:
            known = [(row, name) for row in self.rows for name in self.classes if row[f"truth {name}"]]
            truth = [int(row[f"truth {name}"]) for row, name in known]
            return curves(truth, [float(row[f"probability {name}"]) for row, name in known])
        right = np.array([row["label"] == row["predicted"] for row in self.rows], int)
        return curves(right, [max(float(row[f"probability {name}"]) for name in self.classes) for row in self.rows])


@contextmanager
def _axes(given: "Axes | None", width_in: float, height_in: float) -> "Iterator[Drawn]":
    """Give axes to draw on in the report's style.

    The figure is made before the style is set: with its first one pyplot opens the backend, which a notebook's makes interactive; the
    end of a style would take that back, and no later plot would show itself.
    """
    figure = None
    if given is None:
        from matplotlib import pyplot

        figure = pyplot.figure(figsize=(width_in, height_in), layout="constrained")
    with canvas.style():
        yield cast("Drawn", figure.add_subplot() if figure else given)
