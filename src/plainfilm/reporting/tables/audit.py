"""An audit laid out for reading: probes by what they see, estimates placed on an axis, sources by class.

Places are per cent of the width of the drawing, so that page and picture share them whatever their size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plainfilm.evidence.audit import judging
from plainfilm.evidence.audit.findings import AuditFindings, ProbeFinding, Strip, SuspectsFinding
from plainfilm.reporting.formatting import decimal, isolated, number, percent
from plainfilm.reporting.tables import metrics
from plainfilm.reporting.tables.metrics import CountCell
from plainfilm.results.audit import Audit, FindingVerdict, ForeignObject, ProbedImages, Sees
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.severity import VERDICTS

FILMS = 4  # pictures a row
FILM_PX = 128  # longest side of one: twice what the page gives it
LEFT_OUT_ROWS = 30
FIRST, LAST = 6.0, 96.0  # per cent: where an axis begins and ends; left of it stands what lies below
Colour = Literal["blind", "coarse", "whole"]
_GROUPS: tuple[tuple[Sees, str, Colour], ...] = (
    ("no lungs", "Never sees the lungs", "blind"),
    ("objects", "Sees foreign objects alone", "blind"),
    ("framing", "Sees where the lungs lie alone", "blind"),
    ("coarse", "Sees too little for a radiologist", "coarse"),
    ("no image", "Sees no image at all", "blind"),
    ("lungs", "Sees the lungs only", "whole"),
    ("everything", "Sees everything", "whole"),
)
FROM_CHANCE = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_FEW_FROM_CHANCE = (0.5, 0.75, 1.0)  # for narrow columns
_FROM_ZERO = (0.0, 0.5, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """An estimate as text and on an axis; `why` says why it is not known. `below`: the value lies left of the axis."""

    value: str
    interval: str
    at: float | None = None
    low: float | None = None
    high: float | None = None
    below: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Places and names of the marks, the place of chance (AUROC 0.5), and what all rows are compared with."""

    ticks: Sequence[tuple[float, str]]
    chance: float
    own: Spot | None
    own_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRow:
    """A probe: `films` what it sees, each with words for those who do not see it; None where nothing can be shown."""

    title: str
    means: str
    n: int
    films: Sequence[tuple[NDArray[np.uint8], str]] | None
    spot: Spot


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeGroup:
    """Probes of one kind, the highest AUROC first.

    With more than two classes each probe shows the class that it tells best. `colour` tells "blind" (a high value does not come from the lungs) from "coarse" (it may come from a large shadow
    in them; no rule of the verdict rests on it) and "whole".
    """

    sees: Sees
    title: str
    colour: Colour
    rows: Sequence[ProbeRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutRow:
    """One source, or a pair with one class from each, left out of training; `of_class` that loses most, with more than two."""

    sources: Sequence[str]
    of_class: str
    recombined: bool
    n: int
    spot: Spot


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesShown:
    """Sources down, classes across; how well sources are told; leave one source out, the worst first.

    `told_why` and `left_out_why` say why nothing of it is known, where that is so. `hidden` counts the rows left out
    for length, none of them lower than those in `left_out`.
    """

    rows: Sequence[tuple[str, Sequence[CountCell], int]]
    cramers_v: Spot
    told_axis: Axis
    told: Sequence[tuple[str, Spot]]
    told_why: str
    left_out_axis: Axis
    left_out: Sequence[LeftOutRow]
    left_out_why: str
    hidden: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRow:
    """A kind of foreign object: the share of each class in per cent with its interval, and what the detector is known to get wrong."""

    kind: str
    shares: Sequence[tuple[str, str]]
    missed: str
    in_real_films: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinShown:
    """Probes that learnt from one source alone: their titles, and a row a source with its images and an AUROC each.

    With more than two classes it is that of the class that is told best, which is named.
    """

    titles: Sequence[str]
    rows: Sequence[tuple[str, int, Sequence[tuple[str, Spot]]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EachProbed:
    """Each probe's AUROC of each of several findings.

    `findings` have name, verdict and sentence, the worst first; `groups` title, colour and rows, each with a cell a finding: the AUROC, and whether it surely tells the finding.
    `own` has the AUROC of the classifier on the test part, where there is one.
    """

    findings: Sequence[tuple[str, FindingVerdict]]
    groups: Sequence[tuple[str, Colour, Sequence[tuple[str, Sequence[tuple[Spot, bool]]]]]]
    own: Sequence[Spot]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditShown:
    """All that the audit's sections show beside the audit's own words."""

    each: EachProbed | None  # None of classes
    axis: Axis
    groups: Sequence[ProbeGroup]
    captions: Sequence[str]
    sources: SourcesShown
    suspects: Sequence[SuspectsFinding]
    lungs_found: str  # share in per cent; nothing where it is not known
    objects: Sequence[ObjectRow]
    with_objects: Strip | None
    within: WithinShown | None  # None where no source has two classes, or there is but one
    power: str  # what could have been seen; nothing where it is not known
    left_out_columns: Sequence[
        tuple[str, int, Spot]
    ]  # name, images, Cramér's V; the surest first, none that is not known


def show(found: AuditFindings) -> AuditShown:
    """Lay out an audit."""
    audit, captions = found.result, found.example_captions
    return AuditShown(
        each=_each(audit) if audit.findings else None,
        axis=_axis_beside(audit, FROM_CHANCE),
        groups=probe_groups(found),
        captions=[captions[at] for at in _spread(len(captions))],
        sources=_sources(audit),
        suspects=found.suspects,
        lungs_found="" if audit.lungs_found is None else percent(audit.lungs_found),
        objects=[_object_row(name, each) for name, each in audit.objects.items()],
        with_objects=found.with_objects,
        within=_within(audit),
        power="" if audit.power is None else audit.power.sentence,
        left_out_columns=_left_out_columns(audit),
    )


def _each(audit: Audit) -> EachProbed:
    findings = worst_first(audit)
    titles = {(probe.sees, name): probe.title for _, own in findings for name, probe in own.probes.items()}
    groups = []
    for sees, title, colour in _GROUPS:
        rows = [
            (said, [_cell(each, own, name) for each, own in findings])
            for (of, name), said in titles.items()
            if of == sees
        ]
        if rows:
            groups.append((title, colour, rows))
    return EachProbed(
        findings=findings,
        groups=groups,
        own=[spot(own.auroc or UNDEFINED) for _, own in findings] if audit.compared_with.is_model else [],
    )


def worst_first(audit: Audit) -> list[tuple[str, FindingVerdict]]:
    """Order the findings by their verdicts, the worst first."""
    return sorted(audit.findings.items(), key=lambda own: -VERDICTS.index(own[1].verdict))


def _cell(finding: str, own: FindingVerdict, probe: str) -> tuple[Spot, bool]:
    found = own.probes.get(probe)
    if found is None:
        return spot(UNDEFINED), False
    told = found.by_class.get(finding)
    return spot(found.auroc), told is not None and judging.speaks(told)


def _within(audit: Audit) -> WithinShown | None:
    if not audit.within:
        return None
    return WithinShown(
        titles=[probe.title for probe in audit.probes.values() if probe.by_source],
        rows=[
            (source or "not named", max(each.n for each in own.values()), [_worst(each) for each in own.values()])
            for source, own in audit.within.items()
        ],
    )


def _worst(found: ProbedImages) -> tuple[str, Spot]:
    name, auroc = found.worst
    return name, spot(auroc)


def _left_out_columns(audit: Audit) -> list[tuple[str, int, Spot]]:
    known = [each for each in audit.left_out_columns if each.cramers_v.is_known]
    known.sort(key=lambda each: (-each.cramers_v.low, -each.cramers_v.value))
    return [(each.column, each.n, spot(each.cramers_v, _FROM_ZERO)) for each in known[:LEFT_OUT_ROWS]]


def _object_row(kind: str, found: ForeignObject) -> ObjectRow:
    return ObjectRow(
        kind=kind,
        shares=[
            (percent(share.value), f"{percent(share.low, unit=False)}–{percent(share.high, unit=False)}")
            for share in found.by_class.values()
        ],
        missed=percent(found.missed),
        in_real_films=percent(found.in_real_films),
    )


def probe_groups(found: AuditFindings) -> list[ProbeGroup]:
    """Group the probes by what they see, the kinds that should know nothing first; only kinds that have a probe."""
    groups = []
    for sees, title, colour in _GROUPS:
        own = [probe for probe in found.probes if probe.result.sees == sees]
        if own:
            own.sort(key=lambda probe: -(number(probe.result.worst[1].value) or 0.0))
            rows = [_probe_row(found, probe) for probe in own]
            groups.append(ProbeGroup(sees=sees, title=title, colour=colour, rows=rows))
    return groups


def axis(marks: Sequence[float] = FROM_CHANCE, *, own: Spot | None = None, own_name: str = "") -> Axis:
    """Make an axis of AUROC with these `marks`; `own` is drawn through all rows."""
    ticks = [(_place(mark, marks), f"{mark:g}") for mark in marks]
    return Axis(ticks=ticks, chance=_place(0.5, marks), own=own, own_name=own_name)


def spot(estimate: Estimate, marks: Sequence[float] = FROM_CHANCE, *, why: str = "not known") -> Spot:
    """Write an estimate and place it on an axis with these `marks`; `why` is kept where the value is not known."""
    value, low, high = map(number, (estimate.value, estimate.low, estimate.high))
    if value is None:
        return Spot(value=decimal(None), interval="", why=why)
    at, below = _place(value, marks), value < marks[0]
    if low is None or high is None:
        return Spot(value=decimal(value), interval="", at=at, below=below)
    return Spot(
        value=decimal(value),
        interval=f"{decimal(low)}–{decimal(high)}",
        at=at,
        low=_place(low, marks),
        high=_place(high, marks),
        below=below,
    )


def histogram_film(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw the histogram of a gray image uint8 (h, w), 32 bars, as a picture uint8 of `FILM_PX` each way."""
    counts = np.bincount(image.ravel() // 8, minlength=32) if image.size else np.zeros(32)
    height = np.sqrt(counts / max(counts[1:-1].max(), 1)).clip(0, 1) * (FILM_PX - 8)  # a black border is one high bar
    bars = np.repeat(height, FILM_PX // 32)
    return np.where(np.arange(FILM_PX)[::-1, None] < bars, 200, 24).astype(np.uint8)


def film(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make a picture uint8 (h, w) small; one of few pixels is made large instead, so that each of them is seen."""
    longest = max(pixels.shape, default=0)
    if not pixels.size:
        return np.zeros((FILM_PX, FILM_PX), np.uint8)
    if longest <= FILM_PX // 2:
        return np.kron(pixels, np.ones((FILM_PX // longest,) * 2, np.uint8))
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((FILM_PX, FILM_PX), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _probe_row(found: AuditFindings, probe: ProbeFinding) -> ProbeRow:
    result = probe.result
    of_class, auroc = result.worst
    means = "" if probe.means.lower().startswith(result.title.lower()) else probe.means
    return ProbeRow(
        title=result.title,
        means="; ".join(filter(None, (means, of_class and f"most of all {isolated(of_class)}"))),
        n=result.n,
        films=_films(found, probe),
        spot=spot(auroc, why=_why(found.result, probe.name, result.title)),
    )


def _why(audit: Audit, *checks: str, otherwise: str = "not known") -> str:
    """Find why a check could not run by its name; case does not matter."""
    names = {check.lower() for check in checks}
    return next((each.reason for each in audit.not_run if each.check.lower() in names), otherwise)


def _films(found: AuditFindings, probe: ProbeFinding) -> list[tuple[NDArray[np.uint8], str]] | None:
    seen = found.examples if probe.seen is None and probe.result.sees == "everything" else probe.seen
    if probe.name == "histogram" and len(found.examples):
        seen = np.stack([histogram_film(image) for image in found.examples])
    if seen is None or not len(seen):
        return None
    captions = [isolated(caption) for caption in found.example_captions]
    captions += ["example"] * (len(seen) - len(captions))
    return [(film(seen[at]), f"{probe.result.title}: {captions[at]}") for at in _spread(len(seen))]


def _spread(k: int) -> list[int]:
    """Choose at most FILMS of k examples, evenly: they come ordered by class."""
    return sorted(set(np.linspace(0, k - 1, min(k, FILMS)).round().astype(int).tolist()))


def _place(value: float, marks: Sequence[float]) -> float:
    """Place a value on the axis, in per cent of the width; 0 for what lies below its first mark."""
    if value < marks[0]:
        return 0.0
    share = (value - marks[0]) / (marks[-1] - marks[0])
    return round(FIRST + min(share, 1.0) * (LAST - FIRST), 2)


def _axis_beside(audit: Audit, marks: Sequence[float]) -> Axis:
    own = audit.compared_with
    name = ", ".join(
        filter(None, ("your model" if own.is_model else "whole images", audit.of_class and isolated(audit.of_class)))
    )
    return axis(marks, own=spot(own.of(audit.of_class), marks), own_name=name)


def _sources(audit: Audit) -> SourcesShown:
    own = audit.sources
    order = sorted(own.left_out, key=lambda left: 2.0 if math.isnan(left.worst[1].value) else left.worst[1].value)
    below = any(left.worst[1].low < 0.5 for left in order)
    marks = _FROM_ZERO if below else _FEW_FROM_CHANCE
    return SourcesShown(
        rows=metrics.shaded_rows(list(zip(*own.table, strict=True)), [name or "not named" for name in own.names]),
        cramers_v=spot(own.cramers_v, _FROM_ZERO),
        told_axis=axis(_FEW_FROM_CHANCE),
        told=_told(audit),
        told_why=_why(audit, "Telling sources apart", otherwise="Not checked."),
        left_out_axis=_axis_beside(audit, marks),
        left_out=[
            LeftOutRow(
                sources=[name or "not named" for name in left.sources],
                of_class=left.worst[0],
                recombined=left.recombined,
                n=left.n,
                spot=spot(left.worst[1], marks),
            )
            for left in order[:LEFT_OUT_ROWS]
        ],
        left_out_why=_why(audit, "Leave one source out", otherwise="Not checked."),
        hidden=max(0, len(order) - LEFT_OUT_ROWS),
    )


def _told(audit: Audit) -> list[tuple[str, Spot]]:
    """Give each class how well its sources are told apart, or why that is not known; nothing where no class has it."""
    own = audit.sources
    if not own.told_from_features:
        return []
    held = [sum(count > 0 for count in row) for row in own.table]
    return [
        (
            name,
            spot(
                own.told_from_features.get(name, UNDEFINED),
                why="all from one source" if sources < 2 else "too few images of a second source",
            ),
        )
        for name, sources in zip(own.classes, held, strict=True)
    ]
