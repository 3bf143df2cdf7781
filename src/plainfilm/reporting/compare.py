"""The folder of a comparison: comparison.html, .json and .csv, figures/."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import plainfilm
from plainfilm.evidence.evaluation.comparison import ComparedRecipes, SeedResult
from plainfilm.harmless import write_table
from plainfilm.reporting import environment, page
from plainfilm.reporting.figures import evaluation
from plainfilm.reporting.formatting import number
from plainfilm.reporting.tables import metrics as tables
from plainfilm.results import documents
from plainfilm.results.comparison import Comparison

STABILITY = (
    "Stability is the share of test images that the training runs of a recipe, alike but for the random seed, all answer "
    "alike: 1 where the seed changes no answer. The test set judges here; to choose a recipe, look at the validation set "
    "(comparison.csv), or the number of the winner flatters."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonPage:
    """All that comparison.html shows."""

    title: str
    created: str  # ISO 8601
    version: str  # of plainfilm
    folder: str
    result: Comparison
    asked: Sequence[tuple[str, str]] = ()
    repeat: Sequence[str] = ()  # commands


def write(folder: Path, compared: ComparedRecipes, *, store: str, images: int, name: str, command: str) -> None:
    """Write comparison.html, .json and .csv.

    Parameters
    ----------
    store, images
        File name of the store, and how many images its test set has.
    name, command
        Of the folder, and what the user typed, for the page.
    """
    first = compared.result.recipes[0]
    shown = ComparisonPage(
        title="Recipes side by side",
        created=environment.now(),
        version=plainfilm.__version__,
        folder=name,
        result=compared.result,
        asked=[
            ("Store", store),
            ("Test images", f"{images:,}"),
            ("Seeds per recipe", str(len(first.accuracy.values))),
        ],
        repeat=[command] if command else [],
    )
    write_page(shown, folder)
    write_table(folder / "comparison.csv", _rows(compared.seeds))
    (folder / "comparison.json").write_bytes(documents.encode(compared.result, indent=1))


def write_page(shown: ComparisonPage, out: Path) -> None:
    """Write `out/comparison.html` and `out/figures/accuracy-by-seed.png`, each one whole or not at all.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    recipes = shown.result.recipes
    known = [[value for value in each.accuracy.values if value is not None] for each in recipes]
    scale = tables.round_scale([value for row in known for value in row])
    values = {
        "report": shown,
        "stability": STABILITY,
        "axis": [(tables.place(mark, scale), f"{100 * mark:g}") for mark in scale],
        "strips": [[tables.place(value, scale) for value in row] for row in known],
        "means": [tables.place(each.accuracy.mean, scale) for each in recipes],
    }
    png = evaluation.strips([each.recipe for each in recipes], known, "test accuracy")
    page.write(out, "comparison.html", page.render("comparison.html", values), {"accuracy-by-seed": png})


def _rows(seeds: Sequence[SeedResult]) -> Iterator[Sequence[object]]:
    yield ["recipe", "seed", "accuracy", "auroc", "validation_accuracy", "validation_auroc", "seconds"]
    for each in seeds:
        measured = (each.test.accuracy, each.test.auroc, each.validation.accuracy, each.validation.auroc)
        values = [number(estimate.value) for estimate in measured]  # None leaves a field empty
        yield [each.recipe, each.seed, *values, f"{each.seconds:.2f}"]
