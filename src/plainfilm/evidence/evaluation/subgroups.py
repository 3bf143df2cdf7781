"""How well a classifier does on parts of the test set: by sex, age, view, source and manufacturer.

Each with its size and intervals; a part that is too small is said to be so. A kind that is not recorded is named too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from msgspec import structs
from numpy.typing import ArrayLike, NDArray

from plainfilm.evidence.attributes import BANDS, CHILD, NAMES, Texts
from plainfilm.evidence.statistics import homogeneity
from plainfilm.evidence.statistics.differences import independent_difference
from plainfilm.evidence.statistics.intervals import FloatArray, IntArray, for_several, group_codes
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.evidence.statistics.paired import holm
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.metrics import (
    Apart,
    Comparisons,
    Interaction,
    Metrics,
    NamedEstimate,
    Subgroup,
    SubgroupClass,
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
        AUROC are macro averages, and need enough of every class; compared is each class against the rest, which needs
        enough of that class and of the rest.

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
            columns={kind: own for kind, own in kinds.items() if kind not in NAMES},
            interactions=tuple(_interactions(recorded, kinds, part)),
            left_out=tuple(each for each in left_out if each.subgroups),
            comparisons=Comparisons(made=len(compared), apart=_apart(compared)),
        ),
    )


_Test = tuple[
    str, str, str | None, float, int, float
]  # kind, metric, class of more than two, chi square, its degrees of freedom, p


def _interactions(
    recorded: Mapping[str, Texts], kinds: Mapping[str, Mapping[str, Subgroup]], part: _Part
) -> list[Interaction]:
    """Test each kind and metric once over all subgroups that are large enough; of more than two classes each against the rest."""
    target = 1 if part.positive is None else part.classes.index(part.positive)
    asked = [target] if len(part.classes) == 2 else range(len(part.classes))
    found = [
        each for kind, names in recorded.items() for at in asked for each in _tests(kind, names, kinds[kind], part, at)
    ]
    corrected = holm([each[-1] for each in found])
    return [
        Interaction(
            kind=kind, metric=metric, of_class=of_class, subgroups=freedom + 1, statistic=chi2, p=p, p_corrected=own
        )
        for (kind, metric, of_class, chi2, freedom, p), own in zip(found, corrected, strict=True)
    ]


def _tests(kind: str, names: Texts, parts: Mapping[str, Subgroup], part: _Part, target: int) -> Iterator[_Test]:
    """Test the metrics of one class against the rest over the subgroups of one kind."""
    chance, is_of_two = part.probabilities[:, target], len(part.classes) == 2
    of_class = None if is_of_two else part.classes[target]
    called = chance >= part.threshold if is_of_two else part.probabilities.argmax(axis=1) == target
    is_it = part.labels == target
    asked = {"sensitivity": is_it, "specificity": ~is_it, "auroc": np.ones(len(is_it), bool)}
    for metric, counted in asked.items():
        large = [name for name, own in parts.items() if name != NOT_KNOWN and _told(own, metric, of_class).is_known]
        place = {name: at for at, name in enumerate(large)}
        member = np.array([place.get(str(name), -1) for name in names], np.int64)
        rows = counted & (member >= 0)
        if metric == "auroc":
            tested = homogeneity.of_areas(is_it[rows], chance[rows], member[rows], part.codes[rows])
        else:
            tested = homogeneity.of_shares((called == is_it)[rows], member[rows], part.codes[rows])
        if tested[1]:
            yield (kind, metric, of_class, *tested)


def _told(own: Subgroup, metric: str, of_class: str | None) -> Estimate:
    """Give a metric of a subgroup, of one class where there are several."""
    if of_class is None:
        return own.estimates[metric]
    return own.per_class[of_class].estimates[metric] if own.per_class else UNDEFINED


def corrected_together(each: Mapping[str, SubgroupFindings]) -> dict[str, SubgroupFindings]:
    """Give the subgroups of several findings with interaction tests that are corrected for those of all of them (Holm)."""
    values = iter(holm([test.p for found in each.values() for test in found.result.interactions]))
    return {
        name: replace(
            found,
            result=structs.replace(
                found.result,
                interactions=tuple(
                    structs.replace(test, p_corrected=next(values)) for test in found.result.interactions
                ),
            ),
        )
        for name, found in each.items()
    }


def tells_class(parts: Mapping[str, Subgroup]) -> bool:
    """Whether every known subgroup of a kind has one class only, and not all the same one."""
    held = [tuple(c for c, n in part.classes.items() if n) for name, part in parts.items() if name != NOT_KNOWN]
    return all(len(classes) == 1 for classes in held) and len(set(held)) > 1


def comparing(comparisons: Comparisons) -> str:
    """Say how much was compared, and what chance does to it."""
    if not comparisons.made:
        return "No two subgroups of one kind are large enough to be compared."
    is_one = comparisons.made == 1
    made = "One comparison was made" if is_one else f"{comparisons.made:,} comparisons were made"
    if not comparisons.apart:
        found = "chance may explain what it shows" if is_one else "none differs by more than chance explains"
        return f"{made}; {found}. That shows no difference, and does not rule one out."
    return (
        f"{made}; counting them all, chance would set any apart in one of twenty test sets without a true difference."
    )


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
    several = len(part.classes) > 2
    found = _measured(rows, part) if said or several else None
    measured = found.estimates if found else {}
    estimates = {metric: measured[metric] if metric in said else UNDEFINED for metric in METRICS}
    return Subgroup(
        n=len(labels),
        groups=groups,
        classes=dict(zip(part.classes, np.bincount(labels, minlength=len(part.classes)).tolist(), strict=True)),
        **estimates,
        per_class=_by_class(found, held) if found and several else None,
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


def _by_class(found: Metrics, held: Sequence[int]) -> dict[str, SubgroupClass]:
    """Each class against the rest, as far as its own counts and those of the rest allow."""
    made = {}
    for (name, own), count in zip((found.per_class or {}).items(), held, strict=True):
        enough = {"sensitivity": count >= FEWEST_OF_CLASS, "specificity": sum(held) - count >= FEWEST_OF_CLASS}
        enough["auroc"] = all(enough.values())
        made[name] = SubgroupClass(
            **{each: own.estimates[each] if fits else UNDEFINED for each, fits in enough.items()}
        )
    return made


def _measured(rows: NDArray[np.bool_], part: _Part) -> Metrics:
    """Evaluate the rows; without the bootstrap, which only the calibration error would need."""
    return evaluate(
        part.labels[rows],
        part.probabilities[rows],
        classes=part.classes,
        positive=part.positive,
        threshold=part.threshold[rows],
        group=part.codes[rows],
        repeats=1,
    )


_Asked = tuple[str, str, str | None]  # kind, metric, class with more than two
_Pair = tuple[_Asked, NamedEstimate, NamedEstimate]


def _pairs(kind: str, parts: Mapping[str, Subgroup]) -> Iterator[_Pair]:
    """Go through the pairs of known subgroups that are large enough, for each metric, and of each of several classes."""
    compared: dict[_Asked, list[NamedEstimate]] = {}
    for name, part in parts.items():
        for metric in COMPARED if name != NOT_KNOWN else ():
            several = part.per_class if metric != "accuracy" else None
            each = (
                [(c, own.estimates[metric]) for c, own in several.items()]
                if several
                else [(None, part.estimates[metric])]
            )
            for of_class, estimate in each:
                if estimate.is_known:
                    compared.setdefault((kind, metric, of_class), []).append(_named(name, estimate))
    for asked, large in compared.items():
        yield from ((asked, *pair) for pair in combinations(large, 2))


def _named(name: str, estimate: Estimate) -> NamedEstimate:
    return NamedEstimate(name=name, value=estimate.value, low=estimate.low, high=estimate.high)


def _apart(compared: Sequence[_Pair]) -> tuple[Apart, ...]:
    """Keep the pairs that differ by more than chance explains, for each kind and metric the class and pair furthest apart."""
    apart: dict[tuple[str, str], list[tuple[float, str | None, NamedEstimate, NamedEstimate]]] = {}
    for (kind, metric, of_class), one, other in compared:
        lower, higher = sorted((one, other), key=lambda each: each.value)
        surely = _surely(lower, higher, len(compared))
        if surely > 0:
            apart.setdefault((kind, metric), []).append((surely, of_class, lower, higher))
    found = []
    for (kind, metric), pairs in apart.items():
        _, of_class, lower, higher = max(pairs, key=lambda pair: pair[0])
        said = _difference(kind, metric, of_class, lower, higher, len(pairs))
        found.append(Apart(kind=kind, metric=metric, of_class=of_class, lower=lower, higher=higher, pairs=len(pairs), sentence=said))  # fmt: skip
    return tuple(found)


def _surely(lower: NamedEstimate, higher: NamedEstimate, comparisons: int) -> float:
    """Lower end of the difference, its interval widened for the number of comparisons (Newcombe 1998, Bonferroni)."""
    ends = (for_several(Estimate(each.value, each.low, each.high), comparisons) for each in (higher, lower))
    return independent_difference(*ends).low


def _difference(
    kind: str, metric: str, of_class: str | None, lower: NamedEstimate, higher: NamedEstimate, pairs: int
) -> str:
    more = f" {pairs} pairs are apart; these are the furthest." if pairs > 1 else ""
    low, high = (f"{each.name}: {_percent(each)}" for each in (lower, higher))
    which = f" for {of_class}" if of_class else ""
    return f"{metric.capitalize()}{which} differs by {kind}: {low}, {high}. Chance does not explain it, all comparisons counted in.{more}"


def _percent(each: NamedEstimate) -> str:
    return f"{100 * each.value:.1f} % ({100 * each.low:.1f} to {100 * each.high:.1f})"
