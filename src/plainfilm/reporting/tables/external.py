"""An external validation laid out for reading: differences to the model's own test set, outliers, recalibration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plainfilm.reporting.formatting import LABELS, PERCENT, percent, threshold, with_interval
from plainfilm.reporting.tables import metrics
from plainfilm.reporting.tables.metrics import Cell, FindingRow
from plainfilm.results.estimate import UNDEFINED
from plainfilm.results.external import VERDICTS as VERDICT_ORDER
from plainfilm.results.external import (
    CalibrationFit,
    Distribution,
    ExternalMetrics,
    OutlierShares,
    PerformanceDrop,
    Recalibration,
    SiteVerdict,
)
from plainfilm.results.metrics import Estimates, Metrics
from plainfilm.results.severity import Worth

VERDICTS: Mapping[SiteVerdict, str] = {
    "travels": "holds",
    "cannot be said": "cannot be said",
    "travels in part": "partly drops",
    "does not travel": "does not hold",
}
_STEPS = (0.05, 0.1, 0.2, 0.5, 1.0)  # half widths of a scale of differences
_WITHOUT = ("accuracy", "sensitivity", "specificity", "auroc", "brier")


@dataclass(frozen=True, slots=True, kw_only=True)
class DropRow:
    """One metric here, on the model's own test set, and the difference: in points where the metric is in per cent."""

    label: str
    here: Cell
    own: Cell
    drop: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTable:
    """The rows; `ticks` are the places and names of the marks of the differences' bar, `zero` the place of none."""

    rows: Sequence[DropRow]
    ticks: Sequence[tuple[float | None, str]]
    zero: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """One metric twice: of all, and without those refused; or before and after."""

    label: str
    first: Cell
    second: Cell


def drops(external: Metrics, internal: Metrics, drop: PerformanceDrop) -> DropTable:
    """Lay out the differences, positive where the metric is lower on the external data."""
    ends = [end for each in drop.estimates.values() if each.is_known for end in (each.value, each.low, each.high)]
    reach = next((step for step in _STEPS if max(map(abs, ends), default=0.0) <= step), _STEPS[-1])
    scale = (-reach, reach)
    names = list(drop.estimates)
    rows = [
        DropRow(label=LABELS[name], here=here, own=own, drop=metrics.signed(drop.estimates[name], scale, in_percent=name in PERCENT))
        for name, here, own in zip(names, metrics.cells(external, names), metrics.cells(internal, names), strict=True)
    ]  # fmt: skip
    ticks = [(metrics.place(-reach, scale), "higher here"), (metrics.place(reach, scale), "lower here")]
    return DropTable(rows=rows, ticks=ticks, zero=metrics.place(0.0, scale))


def finding_rows(found: ExternalMetrics) -> list[FindingRow]:
    """Lay out each finding here, the one whose performance falls most first; nothing for classes."""
    rows = []
    each = sorted(
        (found.findings or {}).items(), key=lambda item: -VERDICT_ORDER.index(item[1].transportability.verdict)
    )
    for name, own in each:
        said = own.transportability
        sentence = " ".join(filter(None, (said.sentence, own.sources.sentence)))
        rows.append(
            metrics.finding_row(name, own.splits.external, own.threshold, Worth(level=said.level, sentence=sentence))
        )
    return rows


def fits(before: CalibrationFit, after: CalibrationFit) -> list[PairRow]:
    """Lay out how well probabilities fit, before and after."""
    excess = [metrics.signed(each.excess, metrics.UNIT, in_percent=False) for each in (before, after)]
    last = PairRow(label="Mean probability less the share that came true", first=excess[0], second=excess[1])
    return [*_pairs(before, after, ("brier", "ece")), last]


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedRow:
    """What recalibration would do to one finding: in words, its warning, and how well probabilities fit before and after."""

    name: str
    sentence: str
    warning: str
    threshold: str
    pairs: Sequence[PairRow]


def moved(each: Mapping[str, Recalibration]) -> list[MovedRow]:
    """Lay out what recalibration would do to each finding that it is offered for."""
    return [
        MovedRow(
            name=name,
            sentence=own.sentence or "",
            warning=own.warning or "",
            threshold=threshold(own.threshold),
            pairs=fits(own.before, own.after),
        )
        for name, own in each.items()
        if own.before and own.after
    ]


def spread(before: Distribution, after: Distribution) -> list[tuple[str, str, str]]:
    """Lay out how probabilities are spread, before and after: their mean, and below what many of the radiographs lie."""
    rows = [("Mean", before.mean, after.mean)]
    rows += [(f"{100 * float(at):g} % lie below", low, after.quantiles[at]) for at, low in before.quantiles.items()]
    return [(label, percent(one), percent(other)) for label, one, other in rows]


def without_refused(whole: Metrics, rest: Metrics) -> list[PairRow]:
    """Lay out some metrics of all radiographs, and without those refused."""
    return _pairs(whole, rest, _WITHOUT)


def outlier_shares(found: OutlierShares) -> list[tuple[str, str, str]]:
    """Lay out the shares refused and flagged, here and of the model's own test set."""
    refused, flagged = (found.own.refused, found.own.flagged) if found.own else (UNDEFINED, UNDEFINED)
    rows = (("refused", found.refused, refused), ("flagged", found.flagged, flagged))
    return [(label, with_interval(here), with_interval(own)) for label, here, own in rows]


def _pairs(first: Estimates, second: Estimates, names: Sequence[str]) -> list[PairRow]:
    both = zip(names, metrics.cells(first, names), metrics.cells(second, names), strict=True)
    return [PairRow(label=LABELS[name], first=one, second=other) for name, one, other in both]
