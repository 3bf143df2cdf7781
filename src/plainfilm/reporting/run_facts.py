"""What is known of a run: its metrics, the manifest, and a few facts of the store."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from plainfilm.model.recipe_schema import Recipe
from plainfilm.reporting.formatting import PERCENT, WHERE, with_interval
from plainfilm.reporting.view_model import Counts, DuplicateCounts, ProblemGroup
from plainfilm.results.estimate import Estimate
from plainfilm.results.manifest import Provenance
from plainfilm.results.metrics import Metrics, RunMetrics, Subgroup

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a card tells that neither the metrics nor the manifest hold; None means that it is not known.

    `by_split`, `by_source`: `report_data.tables`. `problems`: `report_data.problems`; () means that none was met.
    `duplicates`: `report_data.duplicate_counts`. `patients` counts the known ones, `without_patient` the images of unknown
    ones, `groups` patients and unrelated images: the store's columns `patient` and `group`. `split` says who made the
    split, `left_out` how many files are not in the store: its attributes. `recorded` counts, for each column of
    provenance, the images that have a value. `recipe` has no paths; `repeat` are the commands; `corrected`
    says of each time that labels were corrected how many, and by whom; `kept` names columns that stay as they are since `--keep`.
    """

    title: str
    folder: str
    by_split: Counts
    by_source: Counts
    patients: int
    without_patient: int
    groups: int
    split: Literal["given", "made", "by date"] | None
    recorded: Mapping[str, int]
    problems: Sequence[ProblemGroup] | None
    left_out: int | None
    duplicates: DuplicateCounts
    recipe: Recipe
    repeat: Sequence[str]
    corrected: Sequence[str] = ()
    kept: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Metrics, manifest, and the facts beside them."""

    metrics: RunMetrics
    about: Provenance
    card: Card

    @property
    def verdict(self) -> str:
        """The verdict of the audit, "" where there is none."""
        return self.metrics.audit.verdict if self.metrics.audit else ""

    @property
    def test(self) -> Metrics:
        """Metrics of what was kept for testing: the test set, or each fold of a cross-validation."""
        return self.metrics.test

    @property
    def where(self) -> str:
        """What was kept for testing, in words."""
        return WHERE[self.metrics.tested]

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources."""
        return tuple(self.card.by_source.columns)

    @property
    def patients_known(self) -> bool:
        """Whether the patient of every image is known."""
        return bool(self.card.patients) and self.card.without_patient == 0

    @property
    def subgroups(self) -> dict[str, Mapping[str, Subgroup]]:
        """Metrics of subgroups by kind, of the kinds that are recorded."""
        return {kind: groups for kind, groups in self.metrics.subgroups.kinds.items() if groups}


def class_weight(recipe: Recipe, metrics: RunMetrics) -> str:
    """What had the same weight in the loss: the recipe's `training.class_weight`, or "balanced" where group DRO found no class of two sources.

    Of joined trainings, which have weights of their own, what the recipe asks for.
    """
    asked = recipe.training.class_weight
    is_one = not metrics.folds and not recipe.ensemble.members
    return "balanced" if asked == "group-dro" and is_one and metrics.group_weights is None else asked


def has_interval(metric: Estimate) -> bool:
    """Tell whether value, low and high are all known."""
    return all(map(math.isfinite, (metric.value, metric.low, metric.high)))


def estimate(name: str, metric: Estimate) -> str:
    """Write a metric with its interval, "97.2 % (95.0 to 98.4)", or "" where its value is not known."""
    return with_interval(metric, "percent" if name in PERCENT else "decimal") if metric.is_known else ""


def count_of(number_: int, one: str, many: str = "") -> str:
    """Write "1 image", "1,204 images"."""
    return f"{number_:,} {one if number_ == 1 else many or one + 's'}"


def leaking(leaks: int, where: str = "") -> str:
    """Say how many images stand in two parts of the split by their patient or a copy; `where` stands behind their number."""
    return (
        f"{count_of(leaks, 'image')}{where} {'shares' if leaks == 1 else 'share'} a patient or a copy with another part"
    )
