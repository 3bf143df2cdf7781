"""How well a classifier does on parts of the test set: by sex, age, view, source and manufacturer.

Each with its size and intervals; a part that is too small is said to be so. A kind that is not recorded is named too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plainfilm.evidence.attributes import BANDS, CHILD, NAMES, Texts
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray, group_codes
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.metrics import (
    Apart,
    Comparisons,
    NamedEstimate,
    Subgroup,
    Subgroups,
    SubgroupsLeftOut,
)

METRICS = ("accuracy", "sensitivity", "specificity", "auroc")
COMPARED = ("accuracy", "sensitivity", "specificity")
FEWEST_GROUPS = 20  # patients or unrelated images, for an accuracy
FEWEST_OF_CLASS = 10  # patients or unrelated images of a class, for all that rests on it
MOST_SUBGROUPS = 40  # of one kind; the largest
NOT_KNOWN = "not known"
_AGES = [name for _, name in BANDS]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgroupFindings:
    """Subgroups, and beside them the `whole` test set, of which no more is said than of a subgroup of its size.

    `positive` is the class that sensitivity is about, None with more than two classes.
    """

    positive: str | None
    whole: Subgroup
    result: Subgroups


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The answers on the test set; `codes` int64 (n), the group of each row, `threshold` float64 (n)."""

    labels: IntArray
    probabilities: NDArray[np.float64]
    codes: IntArray
    classes: tuple[str, ...]
    positive: str | None
    threshold: FloatArray


def measure(
    known: Mapping[str, Texts | None],
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    classes: Sequence[str],
    positive: str | None,
    threshold: float | FloatArray,
    group: ArrayLike | None = None,
) -> SubgroupFindings:
    """Measure each subgroup, and compare those of one kind.

    Parameters
    ----------
    known : mapping
        For each kind text (n), "" where it is not known, or None where nothing is recorded; see `attributes.traits`.
    labels, probabilities, classes, positive, threshold, group
        Of the test set, as `metrics.evaluate` takes them. With more than two classes sensitivity, specificity and
        AUROC are macro averages, and need enough of every class.

    Raises
    ------
    ValueError
        Shapes, labels, probabilities or names that do not fit together.
    """
    truth, chance = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    for kind, names in known.items():
        if names is not None and names.shape != truth.shape:
            raise ValueError(f"Expected one {kind} a row, shape {truth.shape}; received shape {names.shape}.")
    part = _Part(
        labels=truth.astype(np.int64),
        probabilities=chance,
        codes=group_codes(group, len(truth)),
        classes=tuple(classes),
        positive=positive,
        threshold=np.broadcast_to(threshold, truth.shape),
    )
    recorded = {kind: names for kind, names in known.items() if names is not None}
    kinds = {kind: _by_subgroup(kind, names, part) for kind, names in recorded.items()}
    compared = [pair for kind, parts in kinds.items() for pair in _pairs(kind, parts)]
    left_out = [_left_out(kind, names) for kind, names in recorded.items()]
    return SubgroupFindings(
        positive=positive if positive is not None or len(classes) != 2 else classes[1],
        whole=_subgroup(np.ones(len(truth), dtype=bool), part),
        result=Subgroups(
            **{kind: kinds.get(kind) or None for kind in NAMES},
            left_out=tuple(each for each in left_out if each.subgroups),
            comparisons=Comparisons(made=len(compared), apart=_apart(compared)),
        ),
    )


def tells_class(parts: Mapping[str, Subgroup]) -> bool:
    """Whether every known subgroup of a kind has one class only, and not all the same one."""
    held = [tuple(c for c, n in part.classes.items() if n) for name, part in parts.items() if name != NOT_KNOWN]
    return all(len(classes) == 1 for classes in held) and len(set(held)) > 1


def comparing(comparisons: Comparisons) -> str:
    """Say how much was compared, and what chance does to it."""
    if not comparisons.made:
        return "No two subgroups of one kind are large enough to be compared."
    made = "One comparison was made" if comparisons.made == 1 else f"{comparisons.made:,} comparisons were made"
    if not comparisons.apart:
        return f"{made}; all intervals overlap. That shows no difference, and does not rule one out."
    return f"{made}; without any true difference chance would still set up to one in twenty apart."


def _ranked(names: Texts) -> tuple[Texts, IntArray]:
    """Names with how many rows have them, the largest first; before them what is not known, which is never left out."""
    found, counts = np.unique(names, return_counts=True)
    order = np.lexsort((-counts, found != ""))
    return found[order], counts[order]


def _left_out(kind: str, names: Texts) -> SubgroupsLeftOut:
    counts = _ranked(names)[1][MOST_SUBGROUPS:]
    return SubgroupsLeftOut(kind=kind, subgroups=len(counts), n=int(counts.sum()))


def _by_subgroup(kind: str, names: Texts, part: _Part) -> dict[str, Subgroup]:
    made = {}
    for name in map(str, _ranked(names)[0][:MOST_SUBGROUPS]):
        made[name] = _subgroup(names == name, part, child=name == CHILD if kind == "age" and name else None)
    return {name or NOT_KNOWN: made[name] for name in sorted(made, key=lambda each: _order(kind, each, made[each].n))}


def _order(kind: str, name: str, n: int) -> tuple[bool, int, str]:
    """Ages from young to old, sexes by name, the others by size; what is not known comes last."""
    rank = _AGES.index(name) if kind == "age" and name in _AGES else 0 if kind == "sex" else -n
    return not name, rank, name


def _subgroup(rows: NDArray[np.bool_], part: _Part, *, child: bool | None = None) -> Subgroup:
    """Measure the rows; a metric that rests on fewer than `FEWEST_GROUPS` or `FEWEST_OF_CLASS` is not defined."""
    labels, codes = part.labels[rows], part.codes[rows]
    groups = len(np.unique(codes))
    held = [len(np.unique(codes[labels == number])) for number in range(len(part.classes))]
    said = _sayable(groups, held, part)
    measured = _measured(rows, part) if said else {}
    estimates = {metric: measured[metric] if metric in said else UNDEFINED for metric in METRICS}
    return Subgroup(
        n=len(labels),
        groups=groups,
        classes=dict(zip(part.classes, np.bincount(labels, minlength=len(part.classes)).tolist(), strict=True)),
        **estimates,
        too_small=tuple(metric for metric, estimate in estimates.items() if not estimate.is_known),
        child=child,
    )


def _sayable(groups: int, held: Sequence[int], part: _Part) -> set[str]:
    """Name the metrics that `groups` patients or unrelated images, `held` of each class, allow."""
    enough = [count >= FEWEST_OF_CLASS for count in held]
    said = {"accuracy"} if groups >= FEWEST_GROUPS else set()
    if len(part.classes) == 2:
        target = 1 if part.positive is None else part.classes.index(part.positive)
        said |= {name for name, number in (("sensitivity", target), ("specificity", 1 - target)) if enough[number]}
    elif all(enough):
        said |= {"sensitivity", "specificity"}
    return said | ({"auroc"} if all(enough) else set())


def _measured(rows: NDArray[np.bool_], part: _Part) -> dict[str, Estimate]:
    """Evaluate the rows; without the bootstrap, which only the calibration error would need."""
    return evaluate(
        part.labels[rows],
        part.probabilities[rows],
        classes=part.classes,
        positive=part.positive,
        threshold=part.threshold[rows],
        group=part.codes[rows],
        repeats=1,
    ).estimates


_Pair = tuple[str, str, NamedEstimate, NamedEstimate]  # kind, metric, two subgroups


def _pairs(kind: str, parts: Mapping[str, Subgroup]) -> Iterator[_Pair]:
    """Go through the pairs of known subgroups that are large enough, for each metric."""
    for metric in COMPARED:
        large = [
            _named(name, part.estimates[metric])
            for name, part in parts.items()
            if name != NOT_KNOWN and metric not in part.too_small
        ]
        for one, other in combinations(large, 2):
            yield kind, metric, one, other


def _named(name: str, estimate: Estimate) -> NamedEstimate:
    return NamedEstimate(name=name, value=estimate.value, low=estimate.low, high=estimate.high)


def _apart(compared: Sequence[_Pair]) -> tuple[Apart, ...]:
    """Keep the pairs whose intervals do not overlap, for each kind and metric the furthest."""
    apart: dict[tuple[str, str], list[tuple[NamedEstimate, NamedEstimate]]] = {}
    for kind, metric, one, other in compared:
        lower, higher = sorted((one, other), key=lambda each: each.value)
        if higher.low > lower.high:
            apart.setdefault((kind, metric), []).append((lower, higher))
    found = []
    for (kind, metric), pairs in apart.items():
        lower, higher = max(pairs, key=lambda pair: pair[1].low - pair[0].high)
        said = _difference(kind, metric, lower, higher, len(pairs))
        found.append(Apart(kind=kind, metric=metric, lower=lower, higher=higher, pairs=len(pairs), sentence=said))
    return tuple(found)


def _difference(kind: str, metric: str, lower: NamedEstimate, higher: NamedEstimate, pairs: int) -> str:
    more = f" {pairs} pairs are apart; these are the furthest." if pairs > 1 else ""
    low, high = (f"{each.name}: {_percent(each)}" for each in (lower, higher))
    return f"{metric.capitalize()} differs by {kind}: {low}, {high}. The intervals do not overlap.{more}"


def _percent(each: NamedEstimate) -> str:
    return f"{100 * each.value:.1f} % ({100 * each.low:.1f} to {100 * each.high:.1f})"
