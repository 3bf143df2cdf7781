"""What a notebook's cell shows of a finished run: a few lines and a link to its report."""

from pathlib import Path

from plainfilm.evidence.inference.context import worth
from plainfilm.harmless import as_html, linked
from plainfilm.reporting.formatting import WHERE
from plainfilm.results.audit import Audit
from plainfilm.results.comparison import Comparison
from plainfilm.results.documents import Document
from plainfilm.results.estimate import Estimate
from plainfilm.results.external import ExternalMetrics
from plainfilm.results.metrics import Metrics, RunMetrics
from plainfilm.results.search import Search

PAGES = ("report.html", "audit.html", "comparison.html", "tuning.html")


def facts(result: Document) -> dict[str, str]:
    """Name what a result came to, the most telling first."""
    match result:
        case RunMetrics():
            return _measured(result.test, WHERE[result.tested]) | {
                "Worth": " ".join(said.sentence for said in worth(result))
            }
        case ExternalMetrics():
            return _measured(result.external, "data") | {"Verdict": result.transportability.sentence}
        case Audit():
            return {"Verdict": f"{result.verdict.capitalize()}. {result.sentence}"}
        case Comparison():
            means = [
                f"{each.recipe} {100 * each.accuracy.mean:.1f} %"
                for each in result.recipes
                if each.accuracy.mean is not None
            ]
            return {"Accuracy": ", ".join(means), "Worth": result.worth.sentence}
        case Search():
            return {"Best": f"trial {result.best.number}, log loss {result.best.log_loss:.4f}", "Worth": result.worth}
    return {}


def short(result: Document) -> str:
    """Say the same in a few words: accuracy or the like, and the verdict of an audit."""
    said = facts(result)
    audit = result if isinstance(result, Audit) else getattr(result, "audit", None)
    words = [f"{name.lower()} {value}" for name, value in said.items() if name in {"Accuracy", "Best"}]
    return ", ".join([*words, *([audit.verdict] if audit else [])])


def html(result: Document, report: Path | None) -> str:
    """Give the same as a table, with a link to the report."""
    rows = [[name, value] for name, value in facts(result).items()]
    link = "" if report is None else f"<p>{linked(report)}</p>"
    return as_html(rows) + link


def _measured(metrics: Metrics, where: str) -> dict[str, str]:
    told = {"Accuracy": f"{percent(metrics.accuracy)} on {metrics.n:,} images of the {where}"}
    area = metrics.auroc
    return told | ({"AUROC": f"{area.value:.3f} ({area.low:.3f} to {area.high:.3f})"} if area.is_known else {})


def percent(metric: Estimate) -> str:
    """Write a share with its interval: "97.3 % (95.1 to 98.6)"."""
    if not metric.is_known:
        return "not defined"
    return f"{100 * metric.value:.1f} % ({100 * metric.low:.1f} to {100 * metric.high:.1f})"
