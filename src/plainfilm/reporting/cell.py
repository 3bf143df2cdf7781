"""What a notebook's cell shows of a finished run: a few lines and a link to its report."""

import html
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plainfilm.evidence.inference.context import in_one, worth
from plainfilm.harmless import as_html, harmless, linked
from plainfilm.reporting import formatting
from plainfilm.reporting.formatting import MISSING, NARROW_SPACE, WHERE, seconds, with_interval
from plainfilm.results.audit import Audit
from plainfilm.results.comparison import Comparison, Spread
from plainfilm.results.documents import Document
from plainfilm.results.estimate import Estimate
from plainfilm.results.external import ExternalMetrics, UnlabelledMetrics
from plainfilm.results.metrics import Metrics, RunMetrics
from plainfilm.results.pages import PAGES
from plainfilm.results.relabelling import Relabelled, Relabelling
from plainfilm.results.search import Search

PAGE_NAMES = tuple(page for _, page in PAGES.values())


def facts(result: Document) -> dict[str, str]:
    """Name what a result came to, the most telling first."""
    told: dict[str, str] = {}
    match result:
        case RunMetrics():
            told = _left_out(result) | _measured(result.test, WHERE[result.tested]) | {"Worth": in_one(worth(result))}
        case ExternalMetrics():
            told = _measured(result.external, "data") | {"Verdict": result.transportability.sentence}
        case UnlabelledMetrics():
            told = {"Fit": result.recalibration.sentence or "", "Open": result.recalibration.warning or ""}
        case Audit():
            told = {"Verdict": f"{result.verdict.capitalize()}. {result.sentence}"}
        case Relabelling():
            told = {"Doubtful": f"{result.doubtful:,} of {result.labels:,} labels"}
        case Relabelled():
            told = {"Corrected": result.sentence}
        case Comparison():
            told = {"Worth": result.worth.sentence}
        case Search():
            told = {"Best": f"trial {result.best.number}, log loss {result.best.log_loss:.4f}", "Worth": result.worth}
    return told


def short(result: Document) -> str:
    """Say the same in a few words: accuracy or the like, and the verdict of an audit."""
    said = facts(result)
    audit = result if isinstance(result, Audit) else getattr(result, "audit", None)
    words = [f"{name.lower()} {value}" for name, value in said.items() if name in {"Accuracy", "Best"}]
    return ", ".join([*words, *_means(result), *([audit.verdict] if audit else [])])


def in_cell(result: Document, report: Path | None) -> str:
    """Give the same as a table, with a link to the report."""
    rows = [[name, value] for name, value in facts(result).items()]
    link = "" if report is None else f"<p>{linked(report, notebooks_folder())}</p>"
    return _side_by_side(result) + as_html(rows) + link


@dataclass(frozen=True, slots=True)
class Framed:
    """A page that a cell shows whole, in a frame of its own, with no file that a browser would have to reach."""

    page: Path
    height_px: int

    def _repr_html_(self) -> str:
        inside = html.escape(self.page.read_text(encoding="utf-8"))
        look = f"width:100%;height:{self.height_px}px;border:0"
        return f'<iframe title="{html.escape(self.page.name)}" style="{look}" srcdoc="{inside}"></iframe>'


def notebooks_folder() -> Path:
    """Folder of the notebook whose kernel runs this, by which its page follows links; else the current one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    known = shell.user_ns if shell else {}
    if path := known.get("__vsc_ipynb_file__"):  # Visual Studio Code says it
        return Path(path).parent
    return Path(next(iter(known.get("_dh", ())), Path.cwd()))  # elsewhere kernels start in it


def _side_by_side(result: Document) -> str:
    if not isinstance(result, Comparison):
        return ""
    rows = [
        [each.recipe, *(_spread(spread) for spread in (each.accuracy, each.auroc)), seconds(each.seconds)]
        for each in result.recipes
    ]
    return as_html(rows, ["Recipe", "Accuracy, mean (least to most)", "AUROC", "A training"])


def _means(result: Document) -> Sequence[str]:
    of = result.recipes if isinstance(result, Comparison) else ()
    return [harmless(f"{each.recipe} {formatting.percent(each.accuracy.mean)}") for each in of]


def _spread(of: Spread) -> str:
    if of.mean is None or of.low is None or of.high is None:
        return MISSING
    return f"{of.mean:.3f} ({of.low:.3f} to {of.high:.3f})"


def _left_out(result: RunMetrics) -> dict[str, str]:
    if result.left_out is None:
        return {}
    worst = result.left_out.worst
    return {
        "AUROC at the worst hospital left out": f"{worst.value:.3f} ({worst.low:.3f} to {worst.high:.3f}), {harmless(worst.name)}"
    }


def _measured(metrics: Metrics, where: str) -> dict[str, str]:
    told = {"Accuracy": f"{percent(metrics.accuracy)} on {metrics.n:,} images of the {where}"}
    area = metrics.auroc
    return told | ({"AUROC": f"{area.value:.3f} ({area.low:.3f} to {area.high:.3f})"} if area.is_known else {})


def percent(metric: Estimate) -> str:
    """Write a share with its interval: "97.3 % (95.1 to 98.6)"."""
    return with_interval(metric).replace(NARROW_SPACE, " ") if metric.is_known else "not defined"
