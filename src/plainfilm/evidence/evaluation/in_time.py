"""A test set of later studies beside the earlier ones that the classifier was made from (TRIPOD's temporal validation)."""

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.store import Store
from plainfilm.evidence import attributes
from plainfilm.evidence.statistics.differences import independent_difference
from plainfilm.evidence.statistics.intervals import for_several, wilson
from plainfilm.results.estimate import Estimate
from plainfilm.results.metrics import InTime, Metrics, TimePart

BY_DATE = "by date"  # what a store says of such a split
COMPARED = ("accuracy", "sensitivity", "specificity", "auroc")
_VALUES_SHOWN = 12  # of sources and manufacturers, the commonest


def compare(store: Store, splits: Mapping[str, Metrics]) -> InTime | None:
    """Compare a store's test set with its training and validation set; None where the split was not made by date.

    `splits` are the metrics of "validation", which are of earlier studies, and of "test".
    """
    if store.attributes.get("split") != BY_DATE or "test" not in splits:
        return None
    rows = {part: store.rows(part) for part in ("train", "validation", "test")}
    before = np.concatenate([rows["train"], rows["validation"]])
    traits = attributes.traits(store, np.concatenate([before, rows["test"]]))
    told = {kind: column for kind, column in traits.items() if column is not None}
    earlier = _part(store, before, {kind: column[: len(before)] for kind, column in told.items()})
    later = _part(store, rows["test"], {kind: column[len(before) :] for kind, column in told.items()})
    own, here = splits["validation"].estimates, splits["test"].estimates
    lower = {name: independent_difference(own[name], here[name]) for name in COMPARED}
    noted = json.loads(str(store.attributes.get("problems", "{}")))
    undated, both = (int(noted.get(code, {}).get("count", 0)) for code in ("no-date", "on-both-sides"))
    return InTime(
        earlier=earlier,
        later=later,
        lower=lower,
        undated=undated,
        on_both_sides=both,
        sentence=_sentence(earlier, later, lower["auroc"], here["auroc"], are_findings=store.task == "findings"),
    )


def _part(store: Store, rows: NDArray[np.int64], told: Mapping[str, NDArray[np.str_]]) -> TimePart:
    group = store.group[rows]
    return TimePart(
        n=len(rows),
        groups=len(np.unique(group)),
        classes={name: wilson(*_is_it(store, rows, number), group=group) for number, name in enumerate(store.classes)},
        mix={kind: _shares(column) for kind, column in told.items()},
    )


def _is_it(store: Store, rows: NDArray[np.int64], number: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Say which rows are of a class, or show a finding, and of which that is known."""
    if store.task == "findings":
        state = store.states[rows, number]
        return state == 1, state >= 0
    labels = store.labels[rows]
    return labels == number, labels >= 0


def _shares(column: NDArray[np.str_]) -> dict[str, float]:
    """Give the share of each value, the commonest first, "not known" for none."""
    values, counts = np.unique(np.where(column == "", "not known", column), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_VALUES_SHOWN]
    return {str(values[at]): float(counts[at] / len(column)) for at in order}


def _sentence(earlier: TimePart, later: TimePart, lower: Estimate, area: Estimate, *, are_findings: bool) -> str:
    """Say by how much the class that changed most did, and whether the classifier holds later."""
    mix = _changed(earlier, later, are_findings=are_findings)
    if not (lower.is_known and area.is_known):
        return f"{mix} The later ones do not tell the classes apart well enough to compare."
    way, ends = ("lower", (lower.low, lower.high)) if lower.value >= 0 else ("higher", (-lower.high, -lower.low))
    beside = f"AUROC {area.value:.2f} on the later ones, {way} than on earlier validation by {abs(lower.value):.2f} ({ends[0]:.2f} to {ends[1]:.2f})"
    said = (
        "it falls with time"
        if lower.low > 0
        else f"no fall is shown, nor is one of up to {max(lower.high, 0):.2f} ruled out"
    )
    return f"{mix} {beside}: {said}."


def _changed(earlier: TimePart, later: TimePart, *, are_findings: bool) -> str:
    """Say of the class or finding whose share changed most whether chance explains it, which had as many chances as there are."""
    several = (
        len(earlier.classes) if len(earlier.classes) > 2 or are_findings else 1
    )  # of two classes both change alike
    changes = {
        name: independent_difference(for_several(later.classes[name], several), for_several(own, several))
        for name, own in earlier.classes.items()
        if own.is_known and later.classes[name].is_known
    }
    if not changes:
        return "Nothing is known of what the later radiographs show."
    most = max(changes, key=lambda name: abs(changes[name].value))
    change = changes[most]
    differs = "no more than chance may make it" if change.low <= 0 <= change.high else "more than chance explains"
    known = " of which that is known" if are_findings else ""
    return (
        f"{most} is {_percent(later.classes[most])} of the later radiographs{known} and {_percent(earlier.classes[most])} of the earlier ones: "
        f"it differs by {differs}."
    )


def _percent(share: Estimate) -> str:
    return f"{100 * share.value:.1f} %"
