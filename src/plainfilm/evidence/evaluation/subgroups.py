"""How well a classifier does on parts of the test part: by sex, age, view, source and manufacturer.

Each with its size and intervals; a part that is too small is said to be so. A kind that is not recorded is named too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plainfilm.evidence.evaluation.subgroup_attributes import BANDS, CHILD, Texts
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray, group_codes
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.results.estimate import UNDEFINED, Estimate

METRICS = ("accuracy", "sensitivity", "specificity", "auroc")
COMPARED = ("accuracy", "sensitivity", "specificity")
FEWEST_GROUPS = 20  # patients or unrelated images, for an accuracy
FEWEST_OF_CLASS = 10  # patients or unrelated images of a class, for all that rests on it
MOST_SUBGROUPS = 40  # of one kind; the largest
NOT_KNOWN = "not known"
_AGES = [name for _, name in BANDS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroup:
    """One part of the test part: `n` radiographs in `groups` patients or unrelated images, `by_class` how many of each.

    `estimates` holds each of `METRICS`, not defined where the part is too small: for accuracy fewer than
    `FEWEST_GROUPS` groups, for the others fewer than `FEWEST_OF_CLASS` of a class they rest on. `known` is False for
    what the data do not say; `child` is None but for ages.
    """

    name: str
    known: bool
    child: bool | None
    n: int
    groups: int
    by_class: Mapping[str, int]
    estimates: Mapping[str, Estimate]

    @property
    def too_small(self) -> list[str]:
        """Name the metrics of which nothing can be said."""
        return [name for name, estimate in self.estimates.items() if np.isnan(estimate.value)]

    def as_dict(self) -> dict[str, Any]:
        """Give what `metrics.json` holds of it."""
        child = {} if self.child is None else {"child": self.child}
        return {
            "n": self.n,
            "groups": self.groups,
            "classes": dict(self.by_class),
            **{name: estimate.as_dict() for name, estimate in self.estimates.items()},
            "too_small": self.too_small,
            **child,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Subgroups of one kind ("sex", "age", …), those that are not known last; none where it is not recorded.

    `left_out` counts the subgroups beyond the `MOST_SUBGROUPS` largest, and their radiographs.
    """

    name: str
    subgroups: Sequence[Subgroup]
    left_out: tuple[int, int] = (0, 0)

    @property
    def tells_class(self) -> bool:
        """Whether every known subgroup has one class only, and not all the same one."""
        held = [tuple(name for name, n in part.by_class.items() if n) for part in self.subgroups if part.known]
        return all(len(classes) == 1 for classes in held) and len(set(held)) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two subgroups of one kind whose intervals do not overlap: of all such pairs the ones furthest apart.

    `pairs` is how many pairs of this kind and metric are apart.
    """

    kind: str
    metric: str
    lower: tuple[str, Estimate]
    higher: tuple[str, Estimate]
    pairs: int

    @property
    def sentence(self) -> str:
        """Say it in words."""
        more = f" {self.pairs} pairs are apart; these are the furthest." if self.pairs > 1 else ""
        low, high = (f"{name}: {_percent(estimate)}" for name, estimate in (self.lower, self.higher))
        return f"{self.metric.capitalize()} differs by {self.kind}: {low}, {high}. The intervals do not overlap.{more}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroups:
    """All kinds in the order of `traits.NAMES`; `whole` is the test part itself; `comparisons` how many pairs were compared.

    `positive` is the class that sensitivity is about, None with more than two classes.
    """

    positive: str | None
    whole: Subgroup
    kinds: Sequence[Kind]
    differences: Sequence[Difference]
    comparisons: int

    @property
    def recorded(self) -> list[Kind]:
        """Kinds that the data know of."""
        return [kind for kind in self.kinds if kind.subgroups]

    @property
    def not_recorded(self) -> list[str]:
        """Names of the kinds that the data say nothing of."""
        return [kind.name for kind in self.kinds if not kind.subgroups]

    @property
    def comparing(self) -> str:
        """Say how much was compared, and what chance does to it."""
        if not self.comparisons:
            return "No two subgroups of one kind are large enough to be compared."
        made = "One comparison was made" if self.comparisons == 1 else f"{self.comparisons:,} comparisons were made"
        if not self.differences:
            return f"{made}; all intervals overlap. That shows no difference, and does not rule one out."
        return f"{made}; without any true difference chance would still set up to one in twenty apart."

    def as_dict(self) -> dict[str, Any]:
        """Give what `metrics.json` holds under "subgroups".

        A mapping from name to subgroup for each kind, None for one that is not recorded; beside them "comparisons" and
        "left_out".
        """
        kinds = {kind.name: {part.name: part.as_dict() for part in kind.subgroups} or None for kind in self.kinds}
        apart = [
            {
                "kind": each.kind,
                "metric": each.metric,
                "lower": {"name": each.lower[0], **each.lower[1].as_dict()},
                "higher": {"name": each.higher[0], **each.higher[1].as_dict()},
                "pairs": each.pairs,
                "sentence": each.sentence,
            }
            for each in self.differences
        ]
        left_out = [
            {"kind": kind.name, "subgroups": kind.left_out[0], "n": kind.left_out[1]}
            for kind in self.kinds
            if kind.left_out[0]
        ]
        return {**kinds, "left_out": left_out, "comparisons": {"made": self.comparisons, "apart": apart}}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The answers on the test part; `codes` int64 (n), the group of each row, `threshold` float64 (n)."""

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
) -> Subgroups:
    """Measure each subgroup, and compare those of one kind.

    Parameters
    ----------
    known : mapping
        For each kind text (n), "" where it is not known, or None where nothing is recorded; see `traits.traits`.
    labels, probabilities, classes, positive, threshold, group
        Of the test part, as `metrics.evaluate` takes them. With more than two classes sensitivity, specificity and
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
    kinds = [_kind(kind, names, part) for kind, names in known.items()]
    compared = [pair for kind in kinds for pair in _pairs(kind)]
    return Subgroups(
        positive=positive if positive is not None or len(classes) != 2 else classes[1],
        whole=_subgroup("", "", np.ones(len(truth), dtype=bool), part),
        kinds=kinds,
        differences=_differences(compared),
        comparisons=len(compared),
    )


def _kind(kind: str, names: Texts | None, part: _Part) -> Kind:
    if names is None:
        return Kind(name=kind, subgroups=())
    found, place, counts = np.unique(names, return_inverse=True, return_counts=True)
    order = np.lexsort((-counts, found != ""))  # what is not known is never left out
    shown, hidden = order[:MOST_SUBGROUPS], order[MOST_SUBGROUPS:]
    made = [_subgroup(kind, str(found[at]), place == at, part) for at in shown]
    left_out = len(hidden), int(counts[hidden].sum())
    return Kind(name=kind, subgroups=sorted(made, key=lambda each: _order(kind, each)), left_out=left_out)


def _order(kind: str, part: Subgroup) -> tuple[bool, int, str]:
    """Ages from young to old, sexes by name, the others by size; what is not known comes last."""
    rank = _AGES.index(part.name) if kind == "age" and part.name in _AGES else 0 if kind == "sex" else -part.n
    return not part.known, rank, part.name


def _subgroup(kind: str, name: str, rows: NDArray[np.bool_], part: _Part) -> Subgroup:
    labels, codes = part.labels[rows], part.codes[rows]
    groups = len(np.unique(codes))
    held = [len(np.unique(codes[labels == number])) for number in range(len(part.classes))]
    said = _sayable(groups, held, part)
    measured = _measured(rows, part) if said else {}
    return Subgroup(
        name=name or NOT_KNOWN,
        known=bool(name),
        child=name == CHILD if kind == "age" and name else None,
        n=len(labels),
        groups=groups,
        by_class=dict(zip(part.classes, np.bincount(labels, minlength=len(part.classes)).tolist(), strict=True)),
        estimates={metric: measured[metric] if metric in said else UNDEFINED for metric in METRICS},
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


_Pair = tuple[str, str, Subgroup, Subgroup]  # kind, metric, two subgroups


def _pairs(kind: Kind) -> Iterator[_Pair]:
    """Go through the pairs of known subgroups that are large enough, for each metric."""
    for metric in COMPARED:
        large = [part for part in kind.subgroups if part.known and metric not in part.too_small]
        for one, other in combinations(large, 2):
            yield kind.name, metric, one, other


def _differences(compared: Sequence[_Pair]) -> list[Difference]:
    """Keep the pairs whose intervals do not overlap, for each kind and metric the furthest."""
    apart: dict[tuple[str, str], list[tuple[float, Subgroup, Subgroup]]] = {}
    for kind, metric, one, other in compared:
        lower, higher = sorted((one, other), key=lambda part: part.estimates[metric].value)
        gap = higher.estimates[metric].low - lower.estimates[metric].high
        if gap > 0:
            apart.setdefault((kind, metric), []).append((gap, lower, higher))
    found = []
    for (kind, metric), pairs in apart.items():
        _, lower, higher = max(pairs, key=lambda pair: pair[0])
        ends = [(part.name, part.estimates[metric]) for part in (lower, higher)]
        found.append(Difference(kind=kind, metric=metric, lower=ends[0], higher=ends[1], pairs=len(pairs)))
    return found


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} % ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"
