"""An external validation laid out for reading: differences to the model's own test set, outliers, recalibration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plainfilm.reporting.formatting import LABELS, MISSING, PERCENT, number, percent
from plainfilm.reporting.tables import metrics
from plainfilm.reporting.tables.metrics import Cell, FindingRow
from plainfilm.results.estimate import UNDEFINED, Estimate, written
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
_WHOLE = (0.0, 1.0)
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
    rows = [
        DropRow(
            label=LABELS[name],
            here=_cell(name, external),
            own=_cell(name, internal),
            drop=signed(each, scale, in_percent=name in PERCENT),
        )
        for name, each in drop.estimates.items()
    ]
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
    excess = [signed(each.excess, _WHOLE, in_percent=False) for each in (before, after)]
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
            threshold=f"{own.threshold:.3g}",
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
    return [(label, shown(here), shown(own)) for label, here, own in rows]


def signed(each: Estimate, scale: tuple[float, float], *, in_percent: bool) -> Cell:
    """Write a number of either sign, in points where it is one of shares, and place it on a scale."""
    value, low, high = map(number, (each.value, each.low, each.high))
    if value is None or low is None or high is None:
        return Cell(MISSING, "", None, None, None)
    factor, form = (100, "+.1f") if in_percent else (1, "+.3f")
    ends = [written(factor * end, form) for end in (value, low, high)]
    places = (metrics.place(end, scale) for end in (value, low, high))
    return Cell(ends[0], f"{ends[1]} to {ends[2]}", *places)


def shown(share: Estimate) -> str:
    """Write a share with its interval in one piece, in per cent; "–" where it is not defined."""
    if not share.is_known:
        return MISSING
    return f"{percent(share.value)} ({percent(share.low, unit=False)} to {percent(share.high, unit=False)})"


def _pairs(first: Estimates, second: Estimates, names: Sequence[str]) -> list[PairRow]:
    return [PairRow(label=LABELS[name], first=_cell(name, first), second=_cell(name, second)) for name in names]


def _cell(name: str, of: Estimates) -> Cell:
    return metrics.cell(of.estimates[name], _WHOLE, in_percent=name in PERCENT)
