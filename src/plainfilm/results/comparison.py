"""What a comparison of recipes came to: `comparison.json` of a folder of `plainfilm compare`."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from plainfilm.results.documents import Document, Record
from plainfilm.results.estimate import Count, Estimate, Known, Seconds, Share, ShareEstimate
from plainfilm.results.severity import Worth
from plainfilm.results.store import StoreIdentity

Means = Literal["apart", "within seeds", "within chance", "not tested"]
Rank = Literal["worst", "mean"]  # what of the left-out sources a choice is made by


class Spread(Record, frozen=True, kw_only=True):
    """One number over the seeds of a recipe; null where no seed gives it."""

    mean: Annotated[Share | None, Meta(description="Mean.")]
    sd: Annotated[Share | None, Meta(description="Standard deviation (n - 1); null with one seed.")]
    low: Annotated[Share | None, Meta(description="Least.")]
    high: Annotated[Share | None, Meta(description="Largest.")]
    values: Annotated[tuple[Share | None, ...], Meta(description="The number of each seed, in their order.")]


class FindingLeftOut(Record, frozen=True, kw_only=True):
    """One finding of one recipe at sources that were left out, over its seeds."""

    worst: Annotated[Spread, Meta(description="AUROC at the worst source of each seed.")]
    mean: Annotated[Spread, Meta(description="Mean AUROC over the sources, of each seed.")]


class RecipeLeftOut(Record, frozen=True, kw_only=True):
    """One recipe at sources that were left out, over its seeds."""

    sources: Annotated[Mapping[str, Spread], Meta(description="AUROC at each source, by its name.")]
    worst: Annotated[Spread, Meta(description="AUROC at the worst source of each seed.")]
    mean: Annotated[Spread, Meta(description="Mean AUROC over the sources, of each seed.")]
    findings: Annotated[
        Mapping[str, FindingLeftOut], Meta(description="Of findings: each at the sources where it can be measured.")
    ] = {}


class SourceChoice(Record, frozen=True, kw_only=True):
    """What the other sources chose, and its AUROC at this one."""

    recipe: Annotated[str, Meta(description="The recipe that the other sources chose; of a search the trial's number.")]
    auroc: Annotated[Share, Meta(description="Its AUROC here, where it was neither trained nor chosen.")]


class LeftOutChoice(Record, frozen=True, kw_only=True):
    """The choice by left-out sources, and what it is worth at sources that took no part in it (nested)."""

    rank: Annotated[Rank, Meta(description="What was ranked by: the worst left-out source, or the mean.")]
    recipe: Annotated[str, Meta(description="The recipe that all sources choose; of a search the trial's number.")]
    sources: Annotated[
        Mapping[str, SourceChoice] | None, Meta(description="By source; null where no nested choice can be made.")
    ] = None
    worst: Annotated[Share | None, Meta(description="The least of these AUROCs, its mean over the seeds.")] = None
    mean: Annotated[Share | None, Meta(description="Their mean.")] = None
    sentence: Annotated[str, Meta(description="The same in words.")]


class RecipeResult(Record, frozen=True, kw_only=True):
    """One recipe over its seeds, on the test set."""

    recipe: Annotated[str, Meta(description="Name of the recipe.")]
    accuracy: Annotated[Spread, Meta(description="Share of radiographs called right.")]
    auroc: Annotated[Spread, Meta(description="Area under the ROC curve; 0.5 is chance.")]
    seconds: Annotated[Seconds, Meta(description="Median time of a training run.")]
    stability: Annotated[
        Share | None, Meta(description="Share of test images that all seeds answer alike; null with one seed.")
    ]
    left_out: Annotated[RecipeLeftOut | None, Meta(description="At sources left out, where that was asked for.")] = None
    metrics: Annotated[
        Mapping[str, ShareEstimate],
        Meta(description="Each metric, its mean over the seeds, with an interval over patients."),
    ] = {}
    folders: Annotated[
        tuple[str, ...],
        Meta(description="Where each seed's training is kept, in this folder; of runs, which they are."),
    ] = ()


class TestedDifference(Record, frozen=True, kw_only=True):
    """A difference of two recipes on the same patients, tested; p values are two-sided."""

    test: Annotated[
        Literal["DeLong", "McNemar"], Meta(description="The test; for patients of several films Obuchowski's.")
    ]
    statistic: Annotated[Known, Meta(description="DeLong's z or McNemar's chi square; null where neither can be had.")]
    p: Annotated[Known, Meta(description="Of these very trainings, over patients.")]
    p_corrected: Annotated[Known, Meta(description="The same, corrected for all tests of the comparison (Holm).")]
    p_seeds: Annotated[Known, Meta(description="With seeds drawn anew too; null with one training of either.")]
    p_seeds_corrected: Annotated[Known, Meta(description="The same, corrected for all tests of the comparison (Holm).")]
    means: Annotated[
        Means,
        Meta(
            description="What explains it: within chance, the choice of patients; within seeds, other seeds might; apart, neither."
        ),
    ]
    sentence: Annotated[str, Meta(description="The same in words.")]


class RecipePair(Record, frozen=True, kw_only=True):
    """Two recipes on the same patients: the first less the second."""

    recipes: Annotated[tuple[str, str], Meta(description="Their names.")]
    differences: Annotated[
        Mapping[str, Estimate],
        Meta(description="The first less the second in each metric, -1 to 1, with an interval over patients."),
    ]
    auroc: Annotated[TestedDifference, Meta(description="The difference in AUROC.")]
    accuracy: Annotated[TestedDifference, Meta(description="The difference in accuracy.")]


class ComparedFinding(Record, frozen=True, kw_only=True):
    """Recipes or runs on one finding of several, on the radiographs of which it is known."""

    n: Annotated[Count, Meta(description="Radiographs of which it is known.")]
    groups: Annotated[Count, Meta(description="Patients and unrelated radiographs among them.")]
    pairs: Annotated[
        tuple[RecipePair, ...],
        Meta(description="Each two of them; p values are corrected for the tests of all findings (Holm)."),
    ]


class MeanPair(Record, frozen=True, kw_only=True):
    """Two recipes or runs by the mean over the findings, on the same patients: the first less the second."""

    recipes: Annotated[tuple[str, str], Meta(description="Their names.")]
    differences: Annotated[
        Mapping[str, Estimate],
        Meta(description="The first less the second in the mean of each metric, with an interval over patients."),
    ]
    sentence: Annotated[str, Meta(description="That of the AUROC in words.")]


class Comparison(Document, frozen=True, kw_only=True):
    """Recipes side by side, each trained with several seeds."""

    FORMAT: ClassVar[str] = "plainfilm-comparison"

    recipes: Annotated[tuple[RecipeResult, ...], Meta(description="The recipes, as they were asked for.")]
    worth: Annotated[Worth, Meta(description="What the most doubtful accuracy of all training runs is worth.")]
    test_openings: Annotated[Count, Meta(description="Times the store's test set was scored so far.")]
    choice: Annotated[
        LeftOutChoice | None, Meta(description="The choice by left-out sources, where that was asked for.")
    ] = None
    data: Annotated[StoreIdentity | None, Meta(description="The store.")] = None
    compared: Annotated[
        Literal["recipes", "runs"], Meta(description="Recipes that were trained, or runs that were finished before.")
    ] = "recipes"
    n: Annotated[Count | None, Meta(description="Radiographs that all were tested on.")] = None
    groups: Annotated[Count | None, Meta(description="Patients and unrelated radiographs among them.")] = None
    pairs: Annotated[tuple[RecipePair, ...], Meta(description="Each two of them.")] = ()
    tests: Annotated[Count, Meta(description="Tests that p values are corrected for.")] = 0
    findings: Annotated[
        Mapping[str, ComparedFinding],
        Meta(
            description="Of several findings: each by itself; `pairs` and metrics are then over all pairs of a radiograph and a finding."
        ),
    ] = {}
    means: Annotated[
        tuple[MeanPair, ...], Meta(description="Of several findings: each two by the mean over them.")
    ] = ()

    @property
    def trainings(self) -> int:
        """Training runs, each of which was scored on the test set."""
        return sum(len(recipe.accuracy.values) for recipe in self.recipes)
