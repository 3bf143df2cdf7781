"""`tune --folds source` on radiographs of three made hospitals. The command of docs/tune.md."""

import csv
import json

import numpy as np
import pytest

import plainfilm
from plainfilm.data.store import Store
from plainfilm.errors import SplitError, UsageError
from plainfilm.model import encoder
from plainfilm.workflows import tune
from plainfilm.workflows.options import TuneOptions

QUICK = {"epochs": 2, "backbones": ["efficientnet_lite0"], "input_sizes": [64], "folds": "source"}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def searched(hospitals):
    """A search of two trials, and the rows whose features it read."""
    seen, read = set(), encoder.Features.read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder.Features, "read", lambda self, rows: seen.update(np.asarray(rows).tolist()) or read(self, rows))  # fmt: skip
        run = plainfilm.tune(hospitals.store, hospitals.folder / "tuned", trials=2, **QUICK)
    return run, seen


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_hospital_is_left_out_and_the_test_set_never_looked_at(searched, hospitals):
    run, seen = searched
    with Store(hospitals.store) as opened:
        rows = np.concatenate([opened.rows(name) for name in ("train", "validation")])
        names = sorted(set(opened.source[rows]))
        assert seen == set(rows.tolist())
        assert opened.test_openings() == 0
    assert run.metrics["scored"] == {"radiographs": len(rows), "folds": 3, "sources": names}
    assert run.metrics["best"]["sources"].keys() == set(names)
    assert run.metrics["best"]["auroc"] == min(run.metrics["best"]["sources"].values())


def test_the_number_to_report_is_of_trials_that_the_other_hospitals_chose(searched):
    run, _ = searched
    rows = {row["trial"]: row for row in table(run.folder / "trials.csv")}
    choice = run.metrics["choice"]
    assert choice["recipe"] == str(run.metrics["best"]["trial"])
    for name, own in choice["sources"].items():
        assert own["auroc"] == pytest.approx(float(rows[own["recipe"]][f"auroc {name}"]))
    areas = [own["auroc"] for own in choice["sources"].values()]
    assert (choice["worst"], choice["mean"]) == pytest.approx((min(areas), np.mean(areas)))
    page = (run.folder / "tuning.html").read_text()
    assert page.index("AUROC at the worst source left out, chosen without it") < page.index(
        "Chosen by the other sources"
    )
    assert f"{choice['worst']:.3f}" in page
    assert choice["sentence"] in page


def test_the_same_search_goes_on_and_another_question_is_refused(searched, hospitals):
    (run, _), store = searched, hospitals.store
    more = plainfilm.tune(store, run.folder, trials=3, **QUICK)
    assert more.metrics["trials"]["in_all"] == 3
    told = [{**row, "seconds": ""} for row in table(run.folder / "trials.csv")]
    again = plainfilm.tune(store, hospitals.folder / "again", trials=3, **QUICK)
    assert [{**row, "seconds": ""} for row in table(again.folder / "trials.csv")] == told
    names = list(run.metrics["scored"]["sources"])
    for other, said in (
        ({"rank": "mean"}, "other rank"),
        ({"together": [names[:2]]}, "other together"),
        ({"folds": 2}, "other folds"),
    ):
        with pytest.raises(UsageError, match=said):
            tune.plan(TuneOptions(store, run.folder, **{**QUICK, **other}))


def test_with_two_hospitals_it_is_said_why_the_number_flatters(hospitals, call):
    store, folder = hospitals.store, hospitals.folder
    with Store(store) as opened:
        names = sorted(set(opened.source))
    words = ("--epochs", 2, "--backbones", "efficientnet_lite0", "--input-sizes", 64, "--quiet", "--rank", "mean")
    code, out, _ = call("tune", store, "--out", folder / "two", "--trials", 1, "--folds", "source", "--together", ",".join(names[:2]), *words)  # fmt: skip
    assert code == 0
    assert "three unrelated sources" in " ".join(out.split())
    found = json.loads((folder / "two" / "tuning.json").read_text())
    assert found["scored"]["together"] == [names[:2]]
    assert "sources" not in found["choice"]
    assert "mean of the sources left out" in found["measure"]


def test_sources_that_are_not_there_are_refused(hospitals):
    with pytest.raises(SplitError, match="received z"):
        tune.plan(TuneOptions(hospitals.store, hospitals.folder / "no", together=[("z", "y")], **QUICK))
    assert not (hospitals.folder / "no").exists()
