import csv
import json
import re
import sys

import msgspec
import numpy as np
import pytest

import plainfilm
from plainfilm.data import claims, store_writer
from plainfilm.data.store import Columns, Store
from plainfilm.errors import MissingExtraError, UsageError, WeightsError
from plainfilm.model import encoder, recipes, trials, weights
from plainfilm.workflows import fit, tune
from plainfilm.workflows.options import TuneOptions

N, SIZE = 72, 32
QUICK = {"epochs": 3, "backbones": ["efficientnet_lite0"], "input_sizes": [64]}
SPLIT = np.array(["train", "train", "validation", "test"])[np.arange(N) // 3 % 4]


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("search")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made / "cache"))
        yield made


def write_store(path, *, classes=2, test_seed=0):
    """Spots on noise, whose number is the class; `test_seed` makes other images and other labels of the test set alone."""
    labels, test = np.arange(N) % classes, np.flatnonzero(SPLIT == "test")
    rng, other = np.random.default_rng(1), np.random.default_rng([2, test_seed])
    images = rng.integers(0, 60, (N, SIZE, SIZE)).astype(np.uint8)
    for row, label in enumerate(labels):
        images[row, 6:14, 4 : 10 + 8 * label] += rng.integers(0, 120, dtype=np.uint8)
    if test_seed:
        labels[test], images[test] = other.permutation(labels[test]), other.integers(0, 255, (len(test), SIZE, SIZE))
    columns = Columns(
        classes=("NORMAL", "SICK", "WORSE")[:classes], labels=labels, split=SPLIT, patient=np.full(N, ""),
        source=np.full(N, "here"), file=np.array([f"{row}.png" for row in range(N)]), sha256=np.full(N, ""), group=np.arange(N),
    )  # fmt: skip
    with store_writer.create(path, size=SIZE, expected=N) as writer:
        writer.append(images)
        writer.finish(columns, attributes={"fit": "pad", "seed": 0})
    return path


@pytest.fixture(scope="module")
def store(folder):
    return write_store(folder / "films.h5")


@pytest.fixture(scope="module")
def run(folder, store):
    return plainfilm.tune(store, folder / "tuned", trials=4, command="plainfilm tune films.h5 --out tuned", **QUICK)


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def told(found):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in found]


def log_loss(store, trained):
    """Of a trained classifier on the validation set."""
    rows = store.rows("validation")
    return -np.log(trained.probabilities(rows)[np.arange(len(rows)), store.labels[rows]]).mean()


@pytest.mark.slow
def test_a_folder_holds_what_the_documents_say(run):
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "best.toml", "figures", "requirements.lock", "tables", "trials.csv", "trials.db", "tuning.html", "tuning.json",
    ]  # fmt: skip
    assert json.loads((run.folder / "tuning.json").read_text()) == run.metrics
    rows = table(run.folder / "trials.csv")
    assert [row["trial"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["recipe"] for row in rows] == ["default", "paper-mobilenet, on efficientnet_lite0", "", ""]
    best = run.metrics["best"]
    assert best["log_loss"] == min(float(row["log_loss"]) for row in rows)
    assert best["log_loss"] <= run.metrics["starts"][0]["log_loss"]
    assert run.metrics["trials"] == {"asked": 4, "in_all": 4, "stopped_early": 0, "diverged": 0}


@pytest.mark.slow
def test_the_page_opens_without_a_network_and_says_what_its_number_is_worth(run):
    page = (run.folder / "tuning.html").read_text()
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", page)
    assert "<script" not in page
    for said in (f"{run.metrics['best']['log_loss']:.4f}", "best of 4 trials", "not opened", "too few", "best.toml", "plainfilm tune films.h5 --out tuned"):  # fmt: skip
        assert said in page, said


@pytest.mark.slow
def test_the_best_recipe_trained_anew_scores_what_its_trial_scored(store, run):
    recipe = recipes.load(str(run.folder / "best.toml"))
    with Store(store) as opened:
        trained = fit.fit(opened, recipe, positive="SICK")
        assert log_loss(opened, trained) == pytest.approx(run.metrics["best"]["log_loss"], abs=1e-5)
    assert trained.fitted.epoch == int(run.metrics["best"]["kept_epoch"])


@pytest.mark.slow
def test_whatever_stands_in_the_test_part_the_search_is_the_same(folder, run):
    for seed in (1, 2):
        other = write_store(folder / f"other{seed}.h5", test_seed=seed)
        again = plainfilm.tune(other, folder / f"tuned{seed}", trials=4, **QUICK)
        assert told(table(again.folder / "trials.csv")) == told(table(run.folder / "trials.csv"))


@pytest.mark.slow
def test_no_feature_of_the_test_part_is_read_and_its_opening_not_counted(folder, store, monkeypatch):
    seen, read = set(), encoder.Features.read
    monkeypatch.setattr(encoder.Features, "read", lambda self, rows: seen.update(np.asarray(rows).tolist()) or read(self, rows))  # fmt: skip
    plainfilm.tune(store, folder / "watched", trials=2, folds=2, **QUICK)
    with Store(store) as opened:
        assert not seen & set(opened.rows("test").tolist())
        assert seen == {*opened.rows("train").tolist(), *opened.rows("validation").tolist()}
        assert opened.test_openings() == 0
        assert not opened.log_path.exists()


@pytest.mark.slow
def test_a_search_is_gone_on_with_and_comes_to_the_same_as_in_one_go(folder, store, run):
    for number in (1, 3, 4):
        parts = plainfilm.tune(store, folder / "parts", trials=number, **QUICK)
    assert told(table(parts.folder / "trials.csv")) == told(table(run.folder / "trials.csv"))
    assert (parts.folder / "best.toml").read_text().splitlines()[2:] == (run.folder / "best.toml").read_text().splitlines()[2:]  # fmt: skip


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_tried_and_writes_the_page(folder, store, monkeypatch, call):
    tried, attempt = [], trials.attempt

    def stopped_at_the_third(*arguments):
        tried.append(arguments)
        if len(tried) == 3:
            raise KeyboardInterrupt
        return attempt(*arguments)

    monkeypatch.setattr(trials, "attempt", stopped_at_the_third)
    words = ("tune", store, "--out", folder / "stopped", "--trials", 4, "--epochs", 3, "--backbones", "efficientnet_lite0", "--input-sizes", 64, "--quiet")  # fmt: skip
    code, out, err = call(*words)
    assert (code, len(table(folder / "stopped" / "trials.csv"))) == (130, 2)
    assert "same command to go on" in err
    assert "log loss" in out
    assert "2 of those asked for are left" in (folder / "stopped" / "tuning.html").read_text()
    code, out, err = call(*words, "--json")
    assert (code, err, json.loads(out)["trials"]["in_all"]) == (0, "", 4)


@pytest.mark.slow
def test_a_search_of_another_store_is_not_gone_on_with(folder, run):
    other = write_store(folder / "another.h5", classes=3)
    with pytest.raises(UsageError, match="another store"):
        tune.plan(TuneOptions(other, run.folder, **QUICK))
    with pytest.raises(UsageError, match=r"other epochs \(9 instead of 3\)"):
        tune.plan(TuneOptions(folder / "films.h5", run.folder, **{**QUICK, "epochs": 9}))


@pytest.mark.slow
def test_three_classes_are_searched_too_and_a_trial_may_train_with_views(folder):
    three = write_store(folder / "three.h5", classes=3)
    found = plainfilm.tune(three, folder / "tuned three", trials=3, views=1, timeout=1_000_000, **QUICK).metrics
    assert found["trials"]["in_all"] == 3
    assert "views" in found["best"]["chosen"]
    assert 0 < found["best"]["auroc"] <= 1
    recipe = recipes.load(str(folder / "tuned three" / "best.toml"))
    with Store(three) as opened:
        assert log_loss(opened, fit.fit(opened, recipe, positive=None)) == pytest.approx(
            found["best"]["log_loss"],
            abs=0.02,  # the search's prior does not know the class weights
        )


def test_labels_of_the_test_part_are_not_among_what_a_search_is_of(folder, store):
    other = write_store(folder / "garbage.h5", test_seed=7)
    first, second = (tune.plan(TuneOptions(each, folder / "nowhere", **QUICK)).about for each in (store, other))
    assert {name for name in first if first[name] != second[name]} == {"store"}  # its pixels


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"trials": 0}, "`trials` from 1"),
        ({"folds": 0}, "from 2 to 20 folds, 1, or source; received 0"),
        ({"rank": "mean"}, "`rank` with `folds` source"),
        ({"together": ["a,b"]}, "`together` with `folds` source"),
        ({"timeout": -1}, "`timeout` from 0"),
        ({"input_sizes": [7]}, "`input_sizes` from 32"),
        ({"backbones": ["mobilnet"]}, "Did you mean mobilenet"),
        ({"backbones": ["net.onnx"]}, "received the file net.onnx"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_done(folder, store, asked, said):
    with pytest.raises(UsageError, match=said):
        tune.plan(TuneOptions(store, folder / "nowhere", **{**QUICK, **asked}))
    assert not (folder / "nowhere").exists()


def test_weights_that_are_not_here_are_never_fetched(folder, store, monkeypatch):
    [here] = [row for row in weights.listing() if row.name == "efficientnet_lite0"]
    gone = msgspec.structs.replace(here, name="mobilenet", present="no", sha256="")
    monkeypatch.setattr(weights, "listing", lambda: iter([here, gone]))
    monkeypatch.setattr(weights, "locate", lambda *_: pytest.fail("looked for weights"))
    with pytest.raises(WeightsError, match="plainfilm weights fetch mobilenet"):
        tune.plan(TuneOptions(store, folder / "nowhere", **{**QUICK, "backbones": ["mobilenet"]}))
    assert tune.plan(TuneOptions(store, folder / "nowhere")).space.backbones == ("efficientnet_lite0",)


@pytest.mark.slow
def test_overwrite_begins_anew_and_removes_nothing_but_the_search(folder, store):
    out = folder / "anew"
    plainfilm.tune(store, out, trials=3, **QUICK)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="pass overwrite=True to begin anew"):
        plainfilm.tune(store, out, trials=2, **{**QUICK, "epochs": 2})
    found = plainfilm.tune(store, out, trials=2, overwrite=True, **{**QUICK, "epochs": 2}).metrics
    assert found["trials"]["in_all"] == 2
    assert found["best"]["settings"]["training.epochs"] == 2
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.slow
def test_overwrite_keeps_the_older_search_until_the_new_one_has_its_page(folder, store):
    out, beside = folder / "kept", folder / ".kept.search"
    plainfilm.tune(store, out, trials=2, **QUICK)
    before = {file.name: file.read_bytes() for file in out.glob("*.*")}

    def dies(stage, done, *_):
        if stage == "Searching" and done == 1:
            raise SystemExit

    with pytest.raises(SystemExit):
        plainfilm.tune(store, out, trials=2, overwrite=True, progress=dies, **{**QUICK, "seed": 5})
    assert {file.name: file.read_bytes() for file in out.glob("*.*")} == before
    goes_on = plainfilm.tune(store, out, trials=2, **{**QUICK, "seed": 5}).metrics
    assert goes_on["trials"]["in_all"] == 2
    assert not beside.exists()
    assert sorted(file.name for file in out.glob("*.*")) == sorted(before)
    with pytest.raises(UsageError, match="Expected to go on with the search"):
        plainfilm.tune(store, out, trials=2, **QUICK)


def test_overwrite_replaces_no_folder_that_is_not_a_search(folder, store):
    (folder / "thesis").mkdir()
    (folder / "thesis" / "metrics.json").write_text("{}")
    with pytest.raises(UsageError, match="has other files in it"):
        tune.plan(TuneOptions(store, folder / "thesis", overwrite=True, **QUICK))


class WaitedError(Exception):
    pass


def test_two_searches_do_not_run_in_one_folder_the_second_waits(folder, store):
    (folder / "busy").mkdir()

    def progress(stage, *_):
        assert stage == "Waiting for the search that runs there"
        raise WaitedError

    with claims.turn(folder / "busy"):
        plan = tune.plan(TuneOptions(store, folder / "busy", progress=progress, **QUICK))
        with pytest.raises(WaitedError):
            tune.run(plan)
        with pytest.raises(UsageError, match=r"busy, where one is running .*\. Wait for it"):
            tune.plan(TuneOptions(store, folder / "busy", overwrite=True, **QUICK))
    assert not list((folder / "busy").iterdir())


def test_a_folder_with_other_files_in_it_is_left_alone(folder, store):
    (folder / "full").mkdir()
    (folder / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="has other files in it"):
        tune.plan(TuneOptions(store, folder / "full", **QUICK))


def test_without_optuna_one_line_says_what_installs_it(folder, store, monkeypatch, call):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError):
        tune.plan(TuneOptions(store, folder / "nowhere", **QUICK))
    code, _, err = call("tune", store, "--out", folder / "nowhere")
    assert (code, err.count("\n")) == (1, 1)
    assert "pip install 'plainfilm[tune]'" in err


def test_sizes_that_are_no_numbers_are_refused(store, call):
    code, _, err = call("tune", store, "--out", "nowhere", "--input-sizes", "224,big")
    assert code == 2
    assert "--input-sizes" in err
