"""Who is left out: sick against well at the sources that hold both, COVID against normal over pairs of sources; and how it is judged."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.store import Store
from plainfilm.evidence.statistics.random_effects import random_effects
from plainfilm.results.estimate import Estimate

TOGETHER = (frozenset({"nih-cxr14", "rsna"}),)  # RSNA's films are NIH's
SICK_AND_WELL = ("nih-cxr14", "guangzhou-pediatric", "shenzhen")
COVID = ("bimcv-valencia", "covid-cxnet")
NORMAL = ("rsna", "nih-cxr14", "guangzhou-pediatric", "shenzhen", "jsrt")
CHILDREN = "guangzhou-pediatric"
DRAWS = 400


@dataclass(frozen=True)
class Fold:
    """What is tested: `task` "A" (sick against well) or "B" (COVID against normal) at `tested`; `without` are left out as well."""

    task: str
    tested: tuple[str, ...]
    without: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called where figures are kept."""
        return f"{self.task} {'|'.join(self.tested)}" + (f" without {'|'.join(self.without)}" if self.without else "")


A = tuple(Fold("A", (source,)) for source in SICK_AND_WELL)
B = tuple(Fold("B", (covid, normal)) for covid in COVID for normal in NORMAL)


def with_its_own(sources: Sequence[str]) -> set[str]:
    """Sources and those that leave with them."""
    return set(sources).union(*(group for group in TOGETHER if group & set(sources)))


def choosing(reported: Fold) -> tuple[Fold, ...]:
    """Folds of task A that choose for a fold: nothing of its sources is tested on or trained on."""
    out = with_its_own(reported.tested)
    return tuple(Fold("A", (source,), tuple(sorted(out))) for source in SICK_AND_WELL if source not in out)


FOLDS = tuple(dict.fromkeys([*A, *B, *(fold for reported in (*A, *B) for fold in choosing(reported))]))


class Films:
    """An open store with what folds need of it: `source`, `group`, `label` (class names), each (n)."""

    def __init__(self, store: Store) -> None:
        self.store, self.source, self.group = store, store.source, store.group
        self.label = np.array(store.classes)[store.labels]

    def positive(self, task: str) -> NDArray[np.bool_]:
        """Which films show what a task looks for."""
        return self.label == "COVID" if task == "B" else self.label != "NORMAL"

    def used(self, task: str) -> NDArray[np.bool_]:
        """Which films a task is about."""
        return np.isin(self.label, ["COVID", "NORMAL"]) if task == "B" else np.ones(len(self.label), bool)

    def test(self, fold: Fold) -> NDArray[np.bool_]:
        """Films of the tested sources."""
        return self.used(fold.task) & np.isin(self.source, fold.tested)

    def train(self, fold: Fold) -> NDArray[np.bool_]:
        """Films of other sources, without patients and duplicates of the tested ones."""
        out = np.isin(self.source, [*with_its_own((*fold.tested, *fold.without))])
        return self.used(fold.task) & ~out & ~np.isin(self.group, self.group[self.test(fold)])

    @cached_property
    def draws(self) -> NDArray[np.float32]:
        """How often each film counts: once, then in `DRAWS` draws of patients within the sources; float32 (1 + draws, n)."""
        rng, counts = np.random.default_rng(0), np.ones((1 + DRAWS, len(self.source)), np.float32)
        for source in np.unique(self.source):
            rows = np.flatnonzero(self.source == source)
            _, patient = np.unique(self.group[rows], return_inverse=True)
            drawn = rng.multinomial(patient.max() + 1, np.full(patient.max() + 1, 1 / (patient.max() + 1)), DRAWS)
            counts[1:, rows] = drawn[:, patient]
        return counts

    def areas(self, fold: Fold, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """AUROC of the tested films, as they are and in each draw, float64 (1 + draws); `scores` (n) of all films."""
        rows = self.test(fold)
        return weighted_areas(self.positive(fold.task)[rows], scores[rows], self.draws[:, rows])


def weighted_areas(
    positive: NDArray[np.bool_], scores: NDArray[np.floating], weights: NDArray[np.float32]
) -> NDArray[np.float64]:
    """AUROC under each row of `weights` (k, n); ties count half."""
    well = np.flatnonzero(~positive)[np.argsort(scores[~positive])]
    below = np.pad(np.cumsum(weights[:, well], axis=1, dtype=np.float64), ((0, 0), (1, 0)))
    beats = sum(below[:, np.searchsorted(scores[well], scores[positive], side)] for side in ("left", "right")) / 2
    ill = weights[:, positive]
    return np.asarray((ill * beats).sum(axis=1) / ill.sum(axis=1) / below[:, -1])


def summary(areas: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """What a table shows, each as it is and in each draw: from areas by the folds' names."""
    sick, pairs = (np.stack([areas[fold.name] for fold in folds]) for folds in (A, B))
    adults = np.array([CHILDREN not in fold.tested for fold in B])
    return {
        "A worst": sick.min(axis=0),
        "A mean": sick.mean(axis=0),
        "B worst": pairs.min(axis=0),
        "B mean": pairs.mean(axis=0),
        "B adults worst": pairs[adults].min(axis=0),
    }


def told(values: NDArray[np.float64], reference: NDArray[np.float64] | None = None) -> dict[str, float]:
    """Value and 95 % interval; with a reference, those of the paired difference to it as well."""
    out = {"value": float(values[0]), **_ends(values)}
    if reference is not None:
        out |= {"more": float(values[0] - reference[0])} | {
            f"more_{end}": value for end, value in _ends(values - reference).items()
        }
    return out


def prediction_intervals(areas: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Count pairs whose AUROC lies in the interval that the pairs without a source in common expect of a new one; and its mean width."""
    held, widths = 0, []
    for pair in B:
        others = [other for other in B if not with_its_own(other.tested) & set(pair.tested)]
        fitted = random_effects([Estimate(*told(areas[other.name]).values()) for other in others])
        if fitted is None:
            raise ValueError(f"Expected three pairs without {pair.name}; received {len(others)}.")
        expected = fitted.prediction()
        held += expected.low <= areas[pair.name][0] <= expected.high
        widths.append(expected.high - expected.low)
    return {"held": int(held), "of": len(B), "mean_width": float(np.mean(widths))}


def _ends(values: NDArray[np.float64]) -> dict[str, float]:
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return {"low": float(low), "high": float(high)}


def rows_of(figures: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Iterator[str]:
    """Lines of a table in Markdown: name, then each column of `summary` with the difference and its interval."""
    columns = [*next(iter(figures.values()))]
    yield "| | " + " | ".join(columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for name, row in figures.items():
        yield f"| {name} | " + " | ".join(_cell(row[column]) for column in columns) + " |"


def write_table(path: Path, found: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> None:
    """Write a CSV of what `summary` makes of areas by candidates and folds, a row a candidate."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["candidate", *summary(next(iter(found.values())))])
        rows.writerows([name, *(f"{v[0]:.3f}" for v in summary(areas).values())] for name, areas in found.items())


def _cell(told: Mapping[str, float]) -> str:
    if "more" not in told:
        return f"{told['value']:.3f}"
    return f"{told['value']:.3f} ({told['more']:+.3f}; {told['more_low']:+.3f} to {told['more_high']:+.3f})"
