"""`train` and `compare --folds source` on radiographs of three made hospitals: the commands of docs/training.md."""

import csv
import json

import numpy as np
import pytest

import plainfilm
from plainfilm.data.store import Store
from plainfilm.errors import SplitError, UsageError

QUICK = {"backbone.input_size": 64, "training.epochs": 2}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(hospitals):
    return plainfilm.train(hospitals.store, hospitals.folder / "run", folds="source", settings=QUICK)


def test_each_hospital_is_tested_by_a_classifier_that_has_not_seen_it(run, hospitals):
    found = run.metrics["left_out"]
    with Store(hospitals.store) as opened:
        sources, labels = opened.source, opened.labels
    assert [own["sources"] for own in found["sources"]] == [[name] for name in sorted(set(sources))]
    for own in found["sources"]:
        rows = sources == own["sources"][0]
        assert own["metrics"]["n"] == rows.sum()
        assert list(own["classes"].values()) == np.bincount(labels[rows]).tolist()
        assert own["metrics"]["calibration"]["slope"].keys() == {"value", "low", "high"}
        assert 0 <= own["attribution_in_lungs"]["value"] <= 1
    areas = [own["metrics"]["auroc"]["value"] for own in found["sources"]]
    assert found["mean"]["value"] == pytest.approx(np.mean(areas))
    assert found["worst"]["value"] == min(areas)
    assert found["new_hospital"]["low"] < found["new_hospital"]["value"] < found["new_hospital"]["high"]


def test_answers_on_left_out_hospitals_stand_in_the_table_of_predictions(run):
    with (run.folder / "predictions.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"].startswith("left out: ")]
    assert len(rows) == sum(own["metrics"]["n"] for own in run.metrics["left_out"]["sources"])
    for own in run.metrics["left_out"]["sources"]:
        asked = [row for row in rows if row["split"] == f"left out: {own['sources'][0]}"]
        right = np.mean([row["label"] == row["predicted"] for row in asked])
        assert right == pytest.approx(own["metrics"]["accuracy"]["value"])


def test_the_report_has_the_worst_hospital_as_its_headline(run):
    page = (run.folder / "report.html").read_text()
    worst = run.metrics["left_out"]["worst"]
    assert page.index("AUROC at the worst hospital") < page.index("Accuracy on the test set")
    assert f"{worst['value']:.3f}" in page
    assert (run.folder / "figures" / "left-out.png").stat().st_size > 1000


def test_the_model_is_the_one_of_a_plain_training(hospitals, run):
    plain = plainfilm.train(hospitals.store, hospitals.folder / "plain", audit=False, settings=QUICK)
    assert plain.metrics["splits"] == run.metrics["splits"]
    assert "left_out" not in json.loads((plain.folder / "metrics.json").read_text())


def test_without_the_flag_there_is_no_learning_curve(run):
    assert "curve" not in run.metrics["left_out"]
    with pytest.raises(UsageError, match="which has a learning curve"):
        run.plot.learning_curve()


def test_what_the_bundle_says_of_its_worth_begins_with_the_worst_hospital(run):
    said = plainfilm.load(run.bundle).predict(np.zeros((0, 64, 64), np.uint8))
    assert said is not None
    assert run.metrics["left_out"]["sentence"].startswith("Left out in turn")


def test_folds_by_source_are_refused_where_they_cannot_be(hospitals):
    store, folder = hospitals.store, hospitals.folder
    with pytest.raises(UsageError, match="Expected from 2 to 100 folds, none, or source; received 1"):
        plainfilm.train(store, folder / "no", folds=1)
    with pytest.raises(UsageError, match="together. with .folds"):
        plainfilm.train(store, folder / "no", together=["a,b"])
    with pytest.raises(UsageError, match="two sources or more; received a"):
        plainfilm.train(store, folder / "no", folds="source", together=["a"])
    with pytest.raises(SplitError, match="received z"):
        plainfilm.train(store, folder / "no", folds="source", together=[("z", "y")])
    assert not (folder / "no").exists()


def test_recipes_are_ranked_by_the_worst_hospital_and_the_choice_is_nested(hospitals):
    store, folder = hospitals.store, hospitals.folder
    own = folder / "linear.toml"
    own.write_text("[backbone]\ndepth = 11\n[head]\nlayers = []\n")
    made = plainfilm.compare(
        store, folder / "compared", recipes=["default", str(own)], seeds=1, folds="source", settings=QUICK
    )
    choice, recipes = made.metrics["choice"], made.metrics["recipes"]
    worst = {row["recipe"]: row["left_out"]["worst"]["mean"] for row in recipes}
    assert choice["recipe"] == max(worst, key=worst.get)
    for name, own in choice["sources"].items():
        row = next(row for row in recipes if row["recipe"] == own["recipe"])
        assert own["auroc"] == pytest.approx(row["left_out"]["sources"][name]["mean"])
    assert choice["worst"] == min(own["auroc"] for own in choice["sources"].values())
    assert choice["sentence"] in (made.folder / "comparison.html").read_text()
    with pytest.raises(UsageError, match="rank. with .folds"):
        plainfilm.compare(store, folder / "no", recipes=["default"], rank="mean")
    with pytest.raises(UsageError, match="or none; received 5"):
        plainfilm.compare(store, folder / "no", recipes=["default"], folds=5)
