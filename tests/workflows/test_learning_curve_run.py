"""`train --folds source --curve` on radiographs of three made hospitals."""

import csv

import numpy as np
import pytest

import plainfilm
from plainfilm.data import phantom
from plainfilm.data.store import Store
from plainfilm.errors import SplitError, UsageError

QUICK = {"backbone.input_size": 64, "training.epochs": 1}
pytestmark = [pytest.mark.slow, pytest.mark.trains]


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("hospitals")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made / "cache"))
        yield made


@pytest.fixture(scope="module")
def store(folder):
    phantom.write_phantoms(folder / "films", n=150, seed=3)
    return plainfilm.ingest(folder / "films", folder / "films.h5", size=64).path


@pytest.fixture(scope="module")
def run(folder, store):
    return plainfilm.train(store, folder / "run", folds="source", curve=True, audit=False, settings=QUICK)


def test_the_curve_has_one_hospital_and_two_over_films_at_each_left_out_source(run, store):
    found = run.metrics["left_out"]["curve"]
    with Store(store) as opened:
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


def test_without_the_flag_there_is_no_curve(folder, store):
    with pytest.raises(UsageError, match=r"^Expected curve=True with `folds` source; received it without[^\n]*$"):
        plainfilm.train(store, folder / "no", curve=True)
    plain = plainfilm.train(store, folder / "plain", folds="source", audit=False, settings=QUICK)
    assert "curve" not in plain.metrics["left_out"]
    with pytest.raises(UsageError, match="which has a learning curve"):
        plain.plot.learning_curve()


@pytest.mark.usefixtures("store")
def test_sources_that_lack_a_class_are_refused_before_anything_is_read(folder, tmp_path):
    table = folder / "films" / "metadata.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["source"] = f"{row['label']} {int(row['patient_id'][1:]) // 2 % 2}"
    with (tmp_path / "split.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(SplitError, match="at least two sources[^\n]*that hold every class; received fewer"):
        plainfilm.train(folder / "films", tmp_path / "no", labels=tmp_path / "split.csv", folds="source", curve=True)
    assert not (tmp_path / "no").exists()
