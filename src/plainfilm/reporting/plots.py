"""Plots of a finished run on matplotlib's axes, for notebooks and papers: `run.plot`."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from plainfilm.errors import UsageError
from plainfilm.evidence.statistics.curves import Curves, curves
from plainfilm.reporting.figures import canvas, evaluation
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


_NOT_TESTED = frozenset({"train", "validation"})


@dataclass(frozen=True, slots=True)
class Plots:
    """Each method draws on `ax`, by default on new axes of pyplot, and returns it; what a run has not is a `UsageError`."""

    folder: Path
    result: Document

    def roc(self, ax: "Axes | None" = None) -> "Drawn":
        """Draw the ROC of the tested set, of each class where there are more than two, and where the threshold stands."""
        tested, metrics = self._tested("a ROC curve"), self._metrics
        with canvas.style():
            drawn_on = _axes(ax, 3.5, 3.3)
            drawn = [Curve(name=name, x=own.fpr, y=own.tpr) for name, own in tested.by_class().items()]
            point = evaluation.threshold_point(metrics, tested.positive, tested.threshold)
            if legend := evaluation.on_roc(drawn_on, drawn, point=point):
                legend()
        return drawn_on

    def reliability(self, ax: "Axes | None" = None) -> "Drawn":
        """Draw the share that came true over the predicted probability; each radiograph counts as one draw."""
        tested = self._tested("a reliability diagram")
        with canvas.style():
            drawn_on = _axes(ax, 3.5, 3.3)
            evaluation.on_reliability(drawn_on, bins_of(tested.reliability()), of_answer=tested.positive is None)
        return drawn_on

    def confusion_matrix(self, ax: "Axes | None" = None) -> "Drawn":
        """Draw the counts of the tested set, truth down, prediction across."""
        result = self._classified("a confusion matrix")
        side = 1.7 + 0.62 * len(result.classes)
        with canvas.style():
            drawn_on = _axes(ax, side + 0.4, side)
            evaluation.on_confusion(drawn_on, self._metrics.confusion_matrix, result.classes)
        return drawn_on

    def probes(self, ax: "Axes | None" = None) -> "Drawn":
        """Draw the AUROC of each probe of the audit, the line of chance and the classifier's own AUROC."""
        audit = self.result if isinstance(self.result, Audit) else getattr(self.result, "audit", None)
        if audit is None or not audit.probes:
            raise UsageError("Expected a run with an audit whose probes ran; received one without.")
        names = [probe.title for probe in audit.probes.values()]
        with canvas.style():
            drawn_on = _axes(ax, 5.2, 0.9 + 0.3 * len(names))
            values = [probe.worst[1] for probe in audit.probes.values()]
            evaluation.on_intervals(
                drawn_on, names, values, model=audit.compared_with.of(audit.of_class), label="AUROC, 95 % interval"
            )
        return drawn_on

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
        with (self.folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] not in _NOT_TESTED]
        return _Tested(rows, result.classes, result.positive, result.threshold)


@dataclass(frozen=True, slots=True)
class _Tested:
    """The tested rows of predictions.csv."""

    rows: Sequence[dict[str, str]]
    classes: tuple[str, ...]
    positive: str | None
    threshold: float | None

    def by_class(self) -> dict[str, Curves]:
        """Compute the curves of the positive class, or of each against the rest."""
        if self.positive is not None:
            return {self.positive: self._curves(self.positive, "probability")}
        return {name: self._curves(name, f"probability {name}") for name in self.classes}

    def _curves(self, name: str, column: str) -> Curves:
        truth = np.array([row["label"] == name for row in self.rows], int)
        return curves(truth, np.array([float(row[column]) for row in self.rows]))

    def reliability(self) -> Curves:
        """Compute the bins, of the positive class's probability, or of that of the answer."""
        if self.positive is not None:
            return self._curves(self.positive, "probability")
        right = np.array([row["label"] == row["predicted"] for row in self.rows], int)
        return curves(right, [max(float(row[f"probability {name}"]) for name in self.classes) for row in self.rows])


def _axes(ax: "Axes | None", width_in: float, height_in: float) -> "Drawn":
    from matplotlib import pyplot

    return cast("Drawn", ax or pyplot.subplots(figsize=(width_in, height_in), layout="constrained")[1])
