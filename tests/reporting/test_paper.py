"""The paper's results beside a run of one of its recipes."""

from pathlib import Path

import made_metrics
from plainfilm.model import recipes
from plainfilm.reporting import paper
from plainfilm.results.estimate import Estimate

TEST = made_metrics.metrics(n=400, accuracy=Estimate(0.98, 0.96, 0.99), confusion_matrix=((190, 10), (5, 195)))


def test_the_accuracy_of_the_papers_matrix_is_not_the_one_it_names():
    told = dict(paper.beside("paper-mobilenet", TEST))
    assert told["Accuracy, the paper"].startswith("97.33 %")
    assert told["Accuracy, the paper's matrix"].replace("\u202f", " ") == "96.0 % (93.0 to 97.8): 264 of 275"
    assert told["Confusion matrix, the paper"] == "168, 11 / 0, 96"
    assert told["Accuracy, this run"].replace("\u202f", " ") == "98.0 % (96.0 to 99.0), n = 400"
    assert told["Confusion matrix, this run"] == "190, 10 / 5, 195"


def test_of_resnet50_the_paper_gives_no_matrix():
    told = dict(paper.beside("paper-resnet50", TEST))
    assert told["Accuracy, the paper"].startswith("55 % at best")
    assert not any("paper's matrix" in name for name in told)


def test_each_of_the_papers_recipes_has_its_results_and_no_other_recipe():
    assert set(paper.REPORTED) == {name for name in recipes.names() if name.startswith("paper-")}
    assert paper.beside("default", TEST) == []


def test_the_documented_rows_agree_with_the_module():
    text = (Path(__file__).parents[2] / "docs" / "paper.md").read_text(encoding="utf-8")
    for each in paper.REPORTED.values():
        assert each.accuracy.split(" at")[0] in text
    assert "264 of 275, **96.0 %** (93.0 to 97.8)" in text
