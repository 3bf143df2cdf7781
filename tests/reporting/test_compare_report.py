import csv
import json

from msgspec.structs import replace

from made_metrics import metrics
from plainfilm.evidence.evaluation.comparison import ComparedRecipes, SeedResult
from plainfilm.reporting import compare
from plainfilm.results import documents
from plainfilm.results.comparison import Comparison, RecipeResult, Spread
from plainfilm.results.estimate import Estimate
from plainfilm.results.severity import Worth

SPREAD = Spread(mean=0.8, sd=0.1, low=0.7, high=0.9, values=(0.7, 0.9))
NONE = Spread(mean=None, sd=None, low=None, high=None, values=(None, None))
RESULT = Comparison(
    recipes=(
        RecipeResult(recipe="steady", accuracy=SPREAD, auroc=NONE, seconds=2.0, stability=0.75),
        RecipeResult(recipe="shaky", accuracy=SPREAD, auroc=SPREAD, seconds=2.0, stability=0.5),
    ),
    worth=Worth(level="caution", sentence="shaky with seed 1, accuracy 70.0 %: too few images."),
    test_openings=4,
)


def seed_result(recipe, seed):
    known, unknown = (
        metrics(accuracy=Estimate(0.75, 0.5, 0.9), auroc=Estimate(0.875, 0.7, 0.9)),
        metrics(accuracy=Estimate(0.5, 0.2, 0.8)),
    )
    return SeedResult(recipe=recipe, seed=seed, test=known, validation=unknown, seconds=1.234)


def test_a_comparison_is_written_as_json_csv_and_page(tmp_path):
    seeds = [seed_result(name, seed) for name in ("steady", "shaky") for seed in range(2)]
    compared = ComparedRecipes(result=RESULT, seeds=seeds)
    compare.write(tmp_path, compared, store="my.h5", images=1234, name="out", command="plainfilm compare …")

    text = (tmp_path / "comparison.json").read_text()
    assert json.loads(text) == documents.plain(RESULT)
    assert documents.decode(text, Comparison, "comparison.json") == RESULT

    with (tmp_path / "comparison.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["recipe"], row["seed"]) for row in table] == [
        (name, seed) for name in ("steady", "shaky") for seed in "01"
    ]
    assert [table[0][name] for name in ("accuracy", "auroc", "validation_accuracy")] == ["0.75", "0.875", "0.5"]
    assert table[0]["validation_auroc"] == ""
    assert table[0]["seconds"] == "1.23"

    page = (tmp_path / "comparison.html").read_text()
    for expected in (
        "steady",
        "shaky",
        "80.0",
        "1,234",
        "opened 4 times, 4 of them by the training runs of this comparison",
        compare.STABILITY,
        RESULT.worth.sentence,
        "Not audited",
    ):
        assert expected in page


def test_of_finished_runs_it_is_not_said_that_nobody_audited_them(tmp_path):
    runs = ComparedRecipes(result=replace(RESULT, compared="runs"), seeds=[seed_result("steady", 0)])
    compare.write(tmp_path, runs, store="my.h5", images=1234, name="out", command="plainfilm compare …")
    page = (tmp_path / "comparison.html").read_text()
    assert "Finished runs" in page
    assert "Not audited" not in page


def test_of_one_training_each_nothing_is_said_of_seeds(tmp_path):
    once = Spread(mean=0.7, sd=None, low=0.7, high=0.7, values=(0.7,))
    recipe = RecipeResult(
        recipe="steady", accuracy=once, auroc=once, seconds=2.0, stability=None,
        metrics={"accuracy": Estimate(0.7, 0.6, 0.8), "auroc": Estimate(0.8, 0.7, 0.9)},
    )  # fmt: skip
    runs = ComparedRecipes(result=replace(RESULT, recipes=(recipe,), compared="runs"), seeds=[])
    compare.write(tmp_path, runs, store="my.h5", images=1234, name="out", command="plainfilm compare …")
    page = (tmp_path / "comparison.html").read_text()
    assert "1 seed" not in page
    assert "Stability" not in page
    assert "p with seeds" not in page
    assert '70.0\N{NARROW NO-BREAK SPACE}%</span> <span class="range">60.0–80.0' in page
