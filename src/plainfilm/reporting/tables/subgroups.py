"""Subgroups laid out for reading: a row a subgroup, its metrics as text and as places on one common scale."""

from collections.abc import Sequence
from dataclasses import dataclass

from plainfilm.evidence.evaluation.subgroups import (
    FEWEST_GROUPS,
    FEWEST_OF_CLASS,
    METRICS,
    NOT_KNOWN,
    SubgroupFindings,
    comparing,
    tells_class,
)
from plainfilm.reporting.formatting import LABELS, NARROW_SPACE, PERCENT, number, p_value, with_interval
from plainfilm.reporting.tables import metrics
from plainfilm.reporting.tables.metrics import Cell
from plainfilm.results.estimate import Estimate
from plainfilm.results.metrics import Apart, NamedEstimate, Subgroup

TITLES = {"sex": "Sex", "age": "Age, years", "view": "View", "source": "Source", "manufacturer": "Manufacturer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricCell:
    """One metric of one subgroup; `why` says why it is not known."""

    label: str
    cell: Cell
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgroupRow:
    """One subgroup: `classes` counts radiographs by class; `cells` in the order of the columns."""

    name: str
    known: bool
    child: bool
    n: int
    groups: int
    classes: Sequence[tuple[str, int]]
    cells: Sequence[MetricCell]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Subgroups of one kind; `left_out` counts those not shown, and their radiographs."""

    kind: str
    title: str
    rows: Sequence[SubgroupRow]
    tells_class: bool
    left_out: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A difference in words: each end is a name and its value with interval."""

    metric: str
    kind: str
    ends: Sequence[tuple[str, str]]
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgroupsShown:
    """All that the section of subgroups shows. `columns` are metrics with places and names of the ends of their bars.

    `least` is where all bars begin, in words.
    """

    columns: Sequence[tuple[str, Sequence[tuple[float | None, str]]]]
    least: str
    whole: SubgroupRow
    blocks: Sequence[Block]
    not_recorded: Sequence[str]
    apart: Sequence[Difference]
    comparing: str
    interactions: Sequence[tuple[str, str, int, str, str]]  # kind, metric, subgroups, p, p corrected
    fewest_groups: int = FEWEST_GROUPS
    fewest_of_class: int = FEWEST_OF_CLASS


def show(found: SubgroupFindings) -> SubgroupsShown:
    """Lay out subgroups."""
    kinds = {kind: parts for kind, parts in found.result.kinds.items() if parts}
    shown = [found.whole, *(part for parts in kinds.values() for part in parts.values())]
    scale = _scale([estimate for part in shown for estimate in part.estimates.values()])
    left_out = {each.kind: (each.subgroups, each.n) for each in found.result.left_out}
    return SubgroupsShown(
        columns=[(LABELS[metric], _ticks(metric, scale)) for metric in METRICS],
        least=f"{100 * scale[0]:g}{NARROW_SPACE}%",
        whole=_row("", found.whole, found.positive, scale),
        blocks=[
            Block(
                kind=kind,
                title=TITLES.get(kind, kind),
                rows=[_row(name, part, found.positive, scale) for name, part in parts.items()],
                tells_class=tells_class(parts),
                left_out=left_out.get(kind, (0, 0)),
            )
            for kind, parts in kinds.items()
        ],
        not_recorded=[kind for kind, parts in found.result.kinds.items() if not parts],
        apart=[_difference(each) for each in found.result.comparisons.apart],
        comparing=comparing(found.result.comparisons),
        interactions=[
            (
                TITLES.get(each.kind, each.kind),
                LABELS[each.metric] + (f", {each.of_class}" if each.of_class else ""),
                each.subgroups,
                p_value(each.p),
                p_value(each.p_corrected),
            )
            for each in found.result.interactions
        ],
    )


def _scale(estimates: Sequence[Estimate]) -> list[float]:
    """Choose one scale for all bars, up to 1: it holds every value and most intervals; the longest end at its edge."""
    known = [estimate for estimate in estimates if number(estimate.value) is not None]
    lows = sorted(estimate.low for estimate in known)
    least = min([estimate.value for estimate in known] + lows[len(lows) // 10 :], default=0.5)
    return metrics.round_scale([least, 1.0])


def _ticks(metric: str, scale: Sequence[float]) -> list[tuple[float | None, str]]:
    write = f"{{:g}}{NARROW_SPACE}%" if metric in PERCENT else "{:g}"
    factor = 100 if metric in PERCENT else 1
    return [(metrics.place(end, scale), write.format(factor * end)) for end in (scale[0], scale[-1])]


def _row(name: str, part: Subgroup, positive: str | None, scale: Sequence[float]) -> SubgroupRow:
    return SubgroupRow(
        name=_shown(name, part.child is not None),
        known=name != NOT_KNOWN,
        child=bool(part.child),
        n=part.n,
        groups=part.groups,
        classes=list(part.classes.items()),
        cells=[
            MetricCell(
                label=LABELS[metric],
                cell=metrics.cell(estimate, scale, in_percent=metric in PERCENT),
                why=_why(metric, part, positive),
            )
            for metric, estimate in part.estimates.items()
        ],
    )


def _why(metric: str, part: Subgroup, positive: str | None) -> str:
    """Say why a metric is not known, if it is not: none of a class, or too few."""
    if metric not in part.too_small:
        return ""
    needed = set() if metric == "accuracy" else set(part.classes)
    if positive is not None and metric == "sensitivity":
        needed = {positive}
    elif positive is not None and metric == "specificity":
        needed.discard(positive)
    missing = next((name for name, n in part.classes.items() if name in needed and not n), None)
    return "too small to say" if missing is None else f"no {missing}"


def _difference(apart: Apart) -> Difference:
    ends = [(_shown(each.name, apart.kind == "age"), _written(each)) for each in (apart.lower, apart.higher)]
    named = LABELS[apart.metric] + (f" for {apart.of_class}" if apart.of_class else "")
    return Difference(metric=named, kind=apart.kind, ends=ends, pairs=apart.pairs)


def _written(each: NamedEstimate) -> str:
    return with_interval(Estimate(each.value, each.low, each.high))


def _shown(name: str, is_age: bool) -> str:
    return name.replace("-", "–") if is_age else name
