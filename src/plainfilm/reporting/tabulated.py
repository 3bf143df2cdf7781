"""A result as plain rows, for data frames: metrics, probes, recipes or trials."""

from collections.abc import Iterator, Mapping
from typing import Any

from plainfilm.results import documents
from plainfilm.results.audit import Audit, Probe
from plainfilm.results.comparison import Comparison, Spread
from plainfilm.results.documents import Document
from plainfilm.results.estimate import Estimate
from plainfilm.results.external import ExternalMetrics, UnlabelledMetrics
from plainfilm.results.metrics import Metrics, RunMetrics

Row = dict[str, Any]


def rows(result: Document) -> list[Row]:
    """Give a row a metric, a probe or a recipe, as the result has them."""
    match result:
        case RunMetrics():
            return [row for name, own in result.splits.items() for row in _of_set(name, own)]
        case ExternalMetrics():
            inside = [{"set": "model's own test", "class": "", **row} for row in _estimates(result.internal.estimates)]
            return [*_of_set("external", result.external), *inside]
        case UnlabelledMetrics():
            return [
                {
                    **({"finding": name} if result.findings else {}),
                    "quantile": at,
                    "before": low,
                    "after": own.after.quantiles[at],
                }
                for name, own in result.fitted.items()
                for at, low in own.before.quantiles.items()
            ]
        case Audit():
            return [row for name, probe in result.probes.items() for row in _of_probe(name, probe)]
        case Comparison():
            return [
                {"recipe": each.recipe, **_spread("accuracy", each.accuracy), **_spread("auroc", each.auroc)}
                | {"stability": each.stability, "seconds": each.seconds}
                for each in result.recipes
            ]
    return [documents.plain(result)]


def _of_probe(name: str, probe: Probe) -> Iterator[Row]:
    """Give a probe's AUROC over all images, then within each source."""
    within = [(source or "not named", own) for source, own in probe.by_source.items()]
    for source, own in [("", probe), *within]:
        yield _interval(own.auroc, probe=name, title=probe.title, sees=probe.sees, source=source, n=own.n)


def _of_set(name: str, metrics: Metrics) -> Iterator[Row]:
    """Give the metrics of a set, then those of each class against the rest."""
    for of, own in {"": metrics, **(metrics.per_class or {})}.items():
        yield from ({"set": name, "class": of, **row} for row in _estimates(own.estimates))


def _estimates(of: Mapping[str, Estimate]) -> list[Row]:
    return [_interval(value, metric=name) for name, value in of.items()]


def _interval(of: Estimate, **named: object) -> Row:
    return {**named, "value": of.value, "low": of.low, "high": of.high}


def _spread(name: str, of: Spread) -> Row:
    return {name: of.mean, f"{name}_sd": of.sd, f"{name}_low": of.low, f"{name}_high": of.high}
