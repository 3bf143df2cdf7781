"""The folder of a comparison: comparison.html, .json and .csv, differences.csv, figures/."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import plainfilm
from plainfilm.evidence.evaluation.comparison import ComparedRecipes, SeedResult
from plainfilm.harmless import write_table
from plainfilm.reporting import environment, page, paper_tables
from plainfilm.reporting.figures import canvas, evaluation
from plainfilm.reporting.figures.canvas import Drawing
from plainfilm.reporting.formatting import LABELS, PERCENT, decimal, number
from plainfilm.reporting.tables import metrics as tables
from plainfilm.results import documents
from plainfilm.results.comparison import Comparison, RecipePair
from plainfilm.results.estimate import UNDEFINED

STABILITY = (
    "Stability: the share of test images that the training runs of a recipe, alike but for the random seed, all answer "
    "alike; 100 % where the seed changes no answer."
)
CHOOSE = "The test set judges here; to choose a recipe, look at the validation set (comparison.csv), or the number of the winner flatters."
TESTS = (
    "Differences are the first less the second, with a 95 % interval over patients. AUROCs are tested by DeLong's paired test, accuracies by McNemar's, both "
    "for patients of several films as Obuchowski (1997, 1998) has them; over several seeds the means are compared. p is two-sided and corrected for all tests "
    'of this section (Holm). "Within chance": other patients might turn the difference round. "Within seeds": these patients do not explain it, other random '
    'seeds might. "Apart": neither explains it; of one training each, patients do not, and of seeds nothing is known.'
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


def write(
    folder: Path,
    compared: ComparedRecipes,
    *,
    store: str,
    images: int,
    name: str,
    command: str,
    formats: Sequence[str] = (),
) -> None:
    """Write comparison.html, .json and .csv.

    Parameters
    ----------
    store, images
        File name of the store, and how many images its test set has.
    name, command
        Of the folder, and what the user typed, for the page.
    formats
        Of figures, beside PNG.
    """
    result = compared.result
    of_runs = result.compared == "runs"
    first = result.recipes[0]
    shown = ComparisonPage(
        title="Runs side by side" if of_runs else "Recipes side by side",
        created=environment.now(),
        version=plainfilm.__version__,
        folder=name,
        result=result,
        asked=[
            ("Store", store),
            ("Test images", f"{images:,}"),
            *([("Patients and unrelated images", f"{result.groups:,}")] if result.groups is not None else []),
            *([] if of_runs else [("Seeds per recipe", str(len(first.accuracy.values)))]),
        ],
        repeat=[command] if command else [],
    )
    write_page(shown, folder, formats)
    write_table(folder / "comparison.csv", _rows(compared.seeds) if compared.seeds else _run_rows(result))
    if result.pairs:
        write_table(folder / "differences.csv", _differences(result))
    if result.pairs:
        paper_tables.of_comparison(folder, result)
        paper_tables.of_compared_findings(folder, result)
    environment.write_lock(folder)
    (folder / "comparison.json").write_bytes(documents.encode(compared.result, indent=1))


def write_page(shown: ComparisonPage, out: Path, formats: Sequence[str] = ()) -> None:
    """Write `out/comparison.html` and its figures, each one whole or not at all.

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
        "choose": CHOOSE,
        "several": any(len(each.accuracy.values) > 1 for each in recipes),
        "every": [
            [tables.cell(own, tables.UNIT, in_percent=name in PERCENT) for name, own in each.metrics.items()]
            for each in recipes
        ],
        "axis": [(tables.place(mark, scale), f"{100 * mark:g}") for mark in scale],
        "strips": [[tables.place(value, scale) for value in row] for row in known],
        "means": [tables.place(each.accuracy.mean, scale) for each in recipes],
        "tests": TESTS,
        "labels": LABELS,
        "pairs": [_shown(pair) for pair in shown.result.pairs],
        "of_findings": [_each_finding(shown.result, number) for number in range(len(shown.result.means))],
    }
    names = [each.recipe for each in recipes]
    drawings: dict[str, Drawing | None] = {"accuracy-by-seed": evaluation.strips(names, known, "test accuracy")}
    if differences := [
        (f"{' less '.join(map(canvas.shown, pair.recipes))}", own)
        for pair in shown.result.pairs
        if (own := pair.differences.get("auroc", UNDEFINED)).is_known
    ]:
        drawings["auroc-differences"] = evaluation.differences(differences)
    page.write(out, "comparison.html", page.render("comparison.html", values), drawings, formats)


def _shown(pair: RecipePair) -> dict[str, object]:
    """Lay out two recipes for the page: a row a metric."""
    return {
        "names": pair.recipes,
        "sentences": (pair.auroc, pair.accuracy),
        "rows": [
            (LABELS.get(name, name), decimal(own), f"{decimal(own.low)} to {decimal(own.high)}", {"auroc": pair.auroc, "accuracy": pair.accuracy}.get(name))
            for name, own in pair.differences.items() if own.is_known
        ],
    }  # fmt: skip


def _each_finding(result: Comparison, number: int) -> dict[str, object]:
    """Lay out two recipes on each finding: a row a finding, the differences in AUROC and accuracy, and their tests."""
    rows = []
    for name, own in result.findings.items():
        pair = own.pairs[number]
        rows.append(
            (name, own.n, [(pair.differences[metric], getattr(pair, metric)) for metric in ("auroc", "accuracy")])
        )
    return {"names": result.means[number].recipes, "sentence": result.means[number].sentence, "rows": rows}


def _rows(seeds: Sequence[SeedResult]) -> Iterator[Sequence[object]]:
    names = list(seeds[0].test.estimates)
    yield [
        "recipe", "seed", "accuracy", "auroc", "validation_accuracy", "validation_auroc", "seconds",
        *(f"{name}_{end}" for name in ("accuracy", "auroc") for end in ("low", "high")),
        *(column for name in names if name not in {"accuracy", "auroc"} for column in (name, f"{name}_low", f"{name}_high")),
    ]  # fmt: skip
    for each in seeds:
        measured = (each.test.accuracy, each.test.auroc, each.validation.accuracy, each.validation.auroc)
        values = [number(estimate.value) for estimate in measured]  # None leaves a field empty
        ends = [number(end) for own in measured[:2] for end in (own.low, own.high)]
        others = [own for name, own in each.test.estimates.items() if name not in {"accuracy", "auroc"}]
        rest = [number(end) for own in others for end in (own.value, own.low, own.high)]
        yield [each.recipe, each.seed, *values, f"{each.seconds:.2f}", *ends, *rest]


def _run_rows(result: Comparison) -> Iterator[Sequence[object]]:
    names = list(result.recipes[0].metrics)
    yield ["run", *(column for name in names for column in (name, f"{name}_low", f"{name}_high"))]
    for each in result.recipes:
        found = [each.metrics.get(name, UNDEFINED) for name in names]
        yield [each.recipe, *(number(end) for own in found for end in (own.value, own.low, own.high))]


def _differences(result: Comparison) -> Iterator[Sequence[object]]:
    """Give a row a metric of each pair, with its test where it has one."""
    yield ["first", "second", "metric", "difference", "low", "high", "test", "statistic", "p", "p_corrected", "p_seeds", "p_seeds_corrected", "means"]  # fmt: skip
    for pair in result.pairs:
        for name, own in pair.differences.items():
            tested = {"auroc": pair.auroc, "accuracy": pair.accuracy}.get(name)
            told = (
                (tested.statistic, tested.p, tested.p_corrected, tested.p_seeds, tested.p_seeds_corrected)
                if tested
                else (None,) * 5
            )
            ends = [number(end) for end in (own.value, own.low, own.high)]
            test, means = (tested.test, tested.means) if tested else ("", "")
            yield [*pair.recipes, name, *ends, test, *map(number, told), means]
