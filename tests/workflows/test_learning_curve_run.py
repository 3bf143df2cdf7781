"""`train --folds source --curve` on radiographs of three made hospitals."""

import csv

import numpy as np
import pytest

import plainfilm
from plainfilm.data.store import Store
from plainfilm.errors import SplitError, UsageError

QUICK = {"backbone.input_size": 64, "training.epochs": 1}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(hospitals):
    return plainfilm.train(
        hospitals.store, hospitals.folder / "run", folds="source", curve=True, audit=False, settings=QUICK
    )


def test_the_curve_has_one_hospital_and_two_over_films_at_each_left_out_source(run, hospitals):
    found = run.metrics["left_out"]["curve"]
    with Store(hospitals.store) as opened:
        assert found["tested"] == sorted(np.unique(opened.source).tolist())
    points = {(point["sources"], point["films"]): point for point in found["points"]}
    assert {sources for sources, _ in points} == {1, 2}
    assert {films for sources, films in points if sources == 2} & {films for sources, films in points if sources == 1}
    for point in points.values():
        area = point["auroc"]
        assert 0 <= area["low"] <= area["value"] <= area["high"] <= 1
        assert point["lowest"] <= area["value"] <= point["highest"]
        assert point["trainings"] >= 3
    assert " films of one hospital, AUROC at those left out is 0." in found["sentence"]


def test_the_report_draws_it_and_has_its_sentence_and_each_of_its_points(run):
    page = (run.folder / "report.html").read_text()
    found = run.metrics["left_out"]["curve"]
    assert found["sentence"] in page
    assert all(f"{point['films']:,} films</th>" in page for point in found["points"])
    assert 'id="learning-curve-' in page
    assert (run.folder / "figures" / "learning-curve.png").stat().st_size > 1000
    lines = run.plot.learning_curve().lines
    assert [len(line.get_xdata()) for line in lines[:2]] == [
        sum(point["sources"] == sources for point in found["points"]) for sources in (1, 2)
    ]


def test_a_curve_without_folds_by_source_is_refused(hospitals):
    with pytest.raises(UsageError, match=r"^Expected curve=True with `folds` source; received it without[^\n]*$"):
        plainfilm.train(hospitals.store, hospitals.folder / "no", curve=True)


def test_sources_that_lack_a_class_are_refused_before_anything_is_read(hospitals, tmp_path):
    table = hospitals.films / "metadata.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["source"] = f"{row['label']} {int(row['patient_id'][1:]) // 2 % 2}"
    with (tmp_path / "split.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(SplitError, match="at least two sources[^\n]*that hold every class; received fewer"):
        plainfilm.train(hospitals.films, tmp_path / "no", labels=tmp_path / "split.csv", folds="source", curve=True)
    assert not (tmp_path / "no").exists()
