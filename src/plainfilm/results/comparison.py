"""What a comparison of recipes came to: `comparison.json` of a folder of `plainfilm compare`."""

from typing import Annotated, ClassVar

from msgspec import Meta

from plainfilm.results.documents import Document, Record
from plainfilm.results.estimate import Count, Seconds, Share
from plainfilm.results.severity import Worth
from plainfilm.results.store import StoreIdentity


class Spread(Record, frozen=True, kw_only=True):
    """One number over the seeds of a recipe; null where no seed gives it."""

    mean: Annotated[Share | None, Meta(description="Mean.")]
    sd: Annotated[Share | None, Meta(description="Standard deviation (n - 1); null with one seed.")]
    low: Annotated[Share | None, Meta(description="Least.")]
    high: Annotated[Share | None, Meta(description="Largest.")]
    values: Annotated[tuple[Share | None, ...], Meta(description="The number of each seed, in their order.")]


class RecipeResult(Record, frozen=True, kw_only=True):
    """One recipe over its seeds, on the test set."""

    recipe: Annotated[str, Meta(description="Name of the recipe.")]
    accuracy: Annotated[Spread, Meta(description="Share of radiographs called right.")]
    auroc: Annotated[Spread, Meta(description="Area under the ROC curve; 0.5 is chance.")]
    seconds: Annotated[Seconds, Meta(description="Median time of a training run.")]
    stability: Annotated[
        Share | None, Meta(description="Share of test images that all seeds answer alike; null with one seed.")
    ]


class Comparison(Document, frozen=True, kw_only=True):
    """Recipes side by side, each trained with several seeds."""

    FORMAT: ClassVar[str] = "plainfilm-comparison"

    recipes: Annotated[tuple[RecipeResult, ...], Meta(description="The recipes, as they were asked for.")]
    worth: Annotated[Worth, Meta(description="What the most doubtful accuracy of all training runs is worth.")]
    test_openings: Annotated[Count, Meta(description="Times the store's test set was scored so far.")]
    data: Annotated[StoreIdentity | None, Meta(description="The store.")] = None

    @property
    def trainings(self) -> int:
        """Training runs, each of which was scored on the test set."""
        return sum(len(recipe.accuracy.values) for recipe in self.recipes)
