import csv
import html
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import plainfilm
from plainfilm.data import phantom
from plainfilm.data.store import Store
from plainfilm.errors import PlainfilmError, UsageError
from plainfilm.model import bundle, recipes, weights
from plainfilm.model.backbones import BACKBONES
from plainfilm.reporting import train
from plainfilm.workflows import checks, fit
from waiting import WAIT_S

METRICS = ("accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "auroc", "auprc", "brier", "ece")
ORIGIN = ("source", "patient", "group")  # the last columns of predictions.csv
QUICK = {"backbone.input_size": 96, "training.epochs": 2}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("whole way")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made / "cache"))
        yield made


def command(*words, cwd):
    return subprocess.run(
        [sys.executable, "-m", "plainfilm.cli", *map(str, words)], cwd=cwd, capture_output=True, text=True, check=True, timeout=WAIT_S
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(folder):
    phantom.write_phantoms(folder / "films", n=78, seed=1)
    command("ingest", "films", "--out", "films.h5", "--size", 128, "--quiet", cwd=folder)
    return folder / "films.h5"


@pytest.fixture(scope="module")
def run(folder, store):
    command("train", "films.h5", "--out", "run", "--set", "backbone.input_size=96", "--epochs", 3, cwd=folder)
    return folder / "run"


@pytest.fixture(scope="module")
def again(folder, store, run):
    """The same training from the recipe that the first one wrote."""
    return plainfilm.train(store, folder / "again", recipe=str(run / "recipe.toml"))


def metrics_of(run):
    return json.loads((run / "metrics.json").read_text())


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_folder_holds_what_the_documents_say(run):
    assert sorted(path.name for path in run.iterdir()) == [
        "card.md",
        "checklists.html",
        "checklists.md",
        "figures",
        "history.csv",
        "metrics.json",
        "model.plainfilm",
        "predictions.csv",
        "recipe.toml",
        "report.html",
        "requirements.lock",
        "tables",
    ]
    figures = list((run / "figures").iterdir())
    assert len(figures) >= 4
    assert {path.read_bytes()[:4] for path in figures} == {b"\x89PNG"}


def test_a_run_says_how_to_repeat_it_and_what_a_paper_needs(run):
    lock = (run / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert f"numpy=={np.__version__}" in lock
    assert f"plainfilm=={plainfilm.__version__}" in lock
    page = html.unescape((run / "report.html").read_text(encoding="utf-8"))
    assert re.search(r"plainfilm ingest FOLDER --out \S+\.h5 --size \d+ --fit stretch --seed 0", page)
    assert "seed 0; all packages: " in page
    assert metrics_of(run)["sample_size"]["sentence"] in page
    sheets = (run / "checklists.md").read_text(encoding="utf-8")
    assert "## CLAIM 2024" in sheets
    assert "## TRIPOD+AI" in sheets
    assert "The run does not know." in sheets
    measured = table(run / "tables" / "metrics.csv")
    assert {row["Metric"] for row in measured} >= {"AUROC", "Sensitivity", "Brier score"}
    assert float(measured[0]["test low"]) < float(measured[0]["test"])
    written = (run / "tables" / "metrics.tex").read_text(encoding="utf-8")
    assert r"\toprule" in written
    assert re.search(r"Sensitivity & [\d.]+\\,\\% \([\d.]+ to [\d.]+\)|AUROC & 0\.\d+ \(0\.\d+ to", written)
    rows = table(run / "predictions.csv")
    assert all(row["group"].isdecimal() and row["source"] for row in rows)
    assert {len(row["patient"]) for row in rows} <= {0, 24}


def test_metrics_json_has_the_keys_that_others_rely_on(run):
    metrics = metrics_of(run)
    assert metrics["classes"] == ["COVID", "NORMAL"]
    assert metrics["positive"] == "COVID"
    assert 0 <= metrics["threshold"] <= 1.0001
    assert set(metrics["splits"]) == {"test", "validation"}
    for part in metrics["splits"].values():
        assert {"n", "confusion_matrix", *METRICS} <= set(part)
        assert sum(map(sum, part["confusion_matrix"])) == part["n"]
        for name in METRICS:
            assert set(part[name]) == {"value", "low", "high"}
            if part[name]["value"] is not None:
                assert 0 <= part[name]["low"] <= part[name]["value"] <= part[name]["high"] <= 1
    assert set(metrics["seconds"]) == {"features", "training", "total"}
    assert metrics["seconds"]["total"] >= metrics["seconds"]["training"] > 0
    assert metrics["worth"]["level"] in {"none", "caution", "warning"}
    assert metrics["worth"]["sentence"].endswith(".")


def test_where_the_model_looked_is_measured_beside_the_audit_and_not_without_it(run, again, store, folder):
    explained = metrics_of(run)["explanation"]
    assert explained["method"] == "Grad-CAM"
    assert 0 < explained["images"] <= 16
    for name in ("attribution_in_lungs", "lungs_take"):
        assert 0 <= explained[name]["low"] <= explained[name]["value"] <= explained[name]["high"] <= 1
    assert explained["faithfulness"]["sentence"].startswith("The picture is ")
    assert explained == again.metrics["explanation"]
    assert bundle.load(run / "model.plainfilm").classifier.looks_at_maps
    plain = plainfilm.train(store, folder / "not looked at", settings=QUICK, audit=False)
    assert "explanation" not in plain.metrics


def test_the_predictions_are_of_every_labelled_image_and_give_the_accuracy_again(run, store):
    rows, metrics = table(run / "predictions.csv"), metrics_of(run)
    assert list(rows[0]) == ["file", "split", "label", "probability", "predicted", *ORIGIN]
    with Store(store) as opened:
        known = {
            (str(f), str(s), opened.classes[k])
            for f, s, k in zip(opened.file, opened.split, opened.labels, strict=True)
        }
    assert {(row["file"], row["split"], row["label"]) for row in rows} == known
    for part in ("test", "validation"):
        own = [row for row in rows if row["split"] == part]
        called = [float(row["probability"]) >= metrics["threshold"] for row in own]
        right = np.mean([call == (row["label"] == "COVID") for call, row in zip(called, own, strict=True)])
        assert right == pytest.approx(metrics["splits"][part]["accuracy"]["value"])
        assert len(own) == metrics["splits"][part]["n"]
        assert [row["predicted"] == "COVID" for row in own] == called


def test_the_history_has_a_row_an_epoch(run):
    rows = table(run / "history.csv")
    assert [float(row["epoch"]) for row in rows] == [1, 2, 3]
    assert set(rows[0]) == {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"}
    assert all(float(row["loss"]) > 0 for row in rows)


@pytest.mark.trains
def test_the_recipe_of_a_run_repeats_it_to_the_last_digit(run, again):
    recipe = recipes.load(str(run / "recipe.toml"))
    assert (recipe.name, recipe.training.epochs, recipe.backbone.input_size) == ("default", 3, 96)
    assert again.metrics["splits"] == metrics_of(run)["splits"]
    assert again.metrics["threshold"] == metrics_of(run)["threshold"]
    for name in ("history.csv", "predictions.csv", "recipe.toml"):
        assert (again.folder / name).read_bytes() == (run / name).read_bytes()


def test_a_second_training_computes_no_features_and_the_openings_are_counted(run, again, store):
    first, second = metrics_of(run), again.metrics
    assert (first["features_cached"], second["features_cached"]) == (False, True)
    assert second["seconds"]["features"] == 0
    assert (first["test_openings"], second["test_openings"]) == (1, 2)
    log = store.with_name("films.h5.log").read_text().splitlines()
    assert len(log) >= 2
    assert "train run" in json.loads(log[0])["by"]


def test_the_report_shows_the_numbers_of_metrics_json(run):
    page, metrics = (run / "report.html").read_text(), metrics_of(run)
    text = html.unescape(re.sub(r"<[^>]+>", " ", page))
    accuracy = metrics["splits"]["test"]["accuracy"]
    for name in ("value", "low", "high"):
        assert f"{100 * accuracy[name]:.1f}" in text
    assert metrics["worth"]["sentence"] in re.sub(r"\s+", " ", text)
    for count in np.ravel(metrics["splits"]["test"]["confusion_matrix"]):
        assert re.search(rf"\b{count}\b", text)
    assert "Research use only" in text
    assert "plainfilm train" in text
    assert not re.search(r'(src|href)="?(https?:|//)', page)


@pytest.mark.trains
def test_the_bundle_answers_like_the_predictions(run, store):
    made = plainfilm.load(run / "model.plainfilm").bundle.classifier
    rows = {row["file"]: row for row in table(run / "predictions.csv")}
    with Store(store) as opened:
        images, files = opened.images(np.arange(len(opened))), opened.file
    received = made.predict_proba(images)[:, made.classes_.index("COVID")]
    expected = [float(rows[str(file)]["probability"]) for file in files]
    np.testing.assert_allclose(received, expected, atol=1e-4)
    assert made.decision.threshold == metrics_of(run)["threshold"]


def test_a_bundle_tells_nothing_of_the_machine_the_files_or_the_patients(folder, store):
    given = folder / "private weights.pth"
    if not given.exists():
        given.symlink_to(weights.locate(BACKBONES["efficientnet_lite0"]).path)
    settings = {**QUICK, "backbone.weights": str(given)}
    made = plainfilm.train(store, folder / "private", settings=settings, command=f"plainfilm train {store}")
    content = (made.folder / "model.plainfilm").read_bytes()
    with Store(store) as opened:
        secrets = {*opened.file, *opened.patient, *opened.sha256} - {""}
        sources = {*opened.source}
    with (folder / "films" / "metadata.csv").open(newline="") as file:
        secrets |= {row["patient_id"] for row in csv.DictReader(file)}
    for secret in {*secrets, str(folder), folder.name, str(Path.home()), sys.prefix}:
        assert str(secret).encode() not in content, secret
    bundle = plainfilm.load(made.folder / "model.plainfilm").bundle
    assert all(source in bundle.card for source in sources)
    assert bundle.recipe.count("private weights.pth") == 1
    assert str(given) in (made.folder / "recipe.toml").read_text()


def test_the_folders_can_be_named_by_text_and_the_store_is_not_changed(folder, store, again):
    before = store.read_bytes()
    made = plainfilm.train(str(store), str(folder / "text"), settings=QUICK, positive="NORMAL")
    assert made.metrics["positive"] == "NORMAL"
    assert store.read_bytes() == before


def test_another_seed_gives_another_model(folder, store, again):
    made = plainfilm.train(store, folder / "seeded", recipe=str(again.folder / "recipe.toml"), settings={"seed": 5})
    assert (made.folder / "predictions.csv").read_bytes() != (again.folder / "predictions.csv").read_bytes()


@pytest.mark.trains
def test_training_and_threshold_never_look_at_the_test_part(store, monkeypatch):
    asked = []
    rows = Store.rows
    monkeypatch.setattr(Store, "rows", lambda self, part: (asked.append(part), rows(self, part))[1])
    with Store(store) as opened:
        openings = opened.test_openings()
        fit.fit(opened, recipes.load("default", QUICK), positive="COVID")
        assert opened.test_openings() == openings
    assert set(asked) == {"train", "validation"}


def test_progress_is_reported_stage_by_stage(folder, store):
    seen = []
    plainfilm.train(store, folder / "watched", settings=QUICK, progress=lambda *step: seen.append(step))
    stages = list(dict.fromkeys(stage for stage, *_ in seen))
    assert stages == [
        "Preparing the backbone",
        "Encoding",
        "Training",
        "Testing",
        "Auditing",
        "Explaining",
        "Writing the report",
    ]
    last = {stage: (done, every) for stage, done, every, _ in seen}
    assert all(done == every for done, every in last.values())
    assert last["Training"] == (2, 2)


def test_an_old_run_is_replaced_only_when_asked_and_whole(folder, store, monkeypatch):
    out = folder / "replaced"
    plainfilm.train(store, out, settings=QUICK)
    before = metrics_of(out)
    with pytest.raises(UsageError, match="overwrite=True"):
        plainfilm.train(store, out, settings=QUICK)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(train, "write_report", full)
        with pytest.raises(OSError, match="No space"):
            plainfilm.train(store, out, settings=QUICK, overwrite=True)
    assert metrics_of(out) == before

    plainfilm.train(store, out, settings={**QUICK, "training.epochs": 1}, overwrite=True)
    assert len(table(out / "history.csv")) == 1
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_a_folder_of_others_is_never_replaced(store, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="has files in it. Name another"):
            plainfilm.train(store, tmp_path / "mine", overwrite=overwrite)
        with pytest.raises(UsageError, match="has files in it. Name another"):
            plainfilm.compare(store, tmp_path / "mine", recipes=["default"], overwrite=overwrite)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_demo_never_removes_radiographs_that_it_has_not_made(tmp_path):
    mine = tmp_path / "radiographs" / "COVID"
    mine.mkdir(parents=True)
    (mine / "patient.png").write_bytes(b"precious")
    with pytest.raises(PlainfilmError, match="Name another"):
        plainfilm.demo(tmp_path, images=60, overwrite=True)
    assert (mine / "patient.png").read_bytes() == b"precious"


def test_recipes_are_compared_over_seeds(folder, store):
    own = folder / "linear.toml"
    own.write_text('[head]\nlayers = []\n[training]\nkeep = "last"\n')
    with Store(store) as opened:
        openings = opened.test_openings()
    made = plainfilm.compare(store, folder / "compared", recipes=["default", str(own)], seeds=2, settings=QUICK)
    assert sorted(path.name for path in made.folder.iterdir()) == [
        "comparison.csv",
        "comparison.html",
        "comparison.json",
        "differences.csv",
        "figures",
        "requirements.lock",
        "tables",
        "trainings",
    ]
    written = json.loads((made.folder / "comparison.json").read_text())
    assert written == made.metrics
    keys = {"format", "version", "data", "recipes", "worth", "test_openings"}
    assert set(written) == keys | {"n", "groups", "pairs", "tests"}
    with Store(store) as opened:
        assert written["data"]["fingerprint"] == opened.fingerprint
    assert [row["recipe"] for row in written["recipes"]] == ["default", "linear"]
    for row in written["recipes"]:
        assert set(row) == {"recipe", "accuracy", "auroc", "seconds", "stability", "metrics", "folders"}
        assert row["metrics"]["auroc"]["value"] == pytest.approx(row["auroc"]["mean"])
        assert row["metrics"]["accuracy"]["value"] == pytest.approx(row["accuracy"]["mean"])
        assert row["metrics"]["brier"]["low"] < row["metrics"]["brier"]["high"]
        assert len(row["accuracy"]["values"]) == 2
        assert 0 <= row["stability"] <= 1
        assert row["seconds"] > 0
    assert written["test_openings"] == openings + 4  # every training run looks
    assert len(table(made.folder / "comparison.csv")) == 4

    alone = plainfilm.train(store, folder / "alone", settings={**QUICK, "seed": 1})
    assert alone.metrics["splits"]["test"]["accuracy"]["value"] == written["recipes"][0]["accuracy"]["values"][1]

    kept = [made.folder / name for row in written["recipes"] for name in row["folders"]]
    assert [path.name for path in kept] == ["default-seed0", "default-seed1", "linear-seed0", "linear-seed1"]
    assert (kept[1] / "predictions.csv").read_bytes() == (alone.folder / "predictions.csv").read_bytes()
    assert metrics_of(kept[1])["versions"] == alone.metrics["versions"]
    assert metrics_of(kept[1])["splits"] == alone.metrics["splits"]
    one, other = (
        plainfilm.load(path).predict(sorted((folder / "films").rglob("*.png"))[:3]) for path in (kept[1], alone.folder)
    )
    assert [each.probabilities for each in one] == [each.probabilities for each in other]

    (pair,) = written["pairs"]
    assert pair["recipes"] == ["default", "linear"]
    assert {"accuracy", "auroc", "brier", "f1", "ppv"} < set(pair["differences"])
    assert pair["auroc"]["p"] <= pair["auroc"]["p_corrected"] <= 1
    assert pair["auroc"]["p"] <= pair["auroc"]["p_seeds"]
    page = (made.folder / "comparison.html").read_text(encoding="utf-8")
    assert pair["auroc"]["sentence"] in html.unescape(page)

    # as finished runs: both commands of docs/training.md
    runs = plainfilm.compare([kept[0], kept[2]], folder / "runs")
    (told,) = runs.metrics["pairs"]
    first = [written["recipes"][number]["auroc"]["values"][0] for number in (0, 1)]
    assert told["differences"]["auroc"]["value"] == pytest.approx(first[0] - first[1], abs=2e-3)
    assert runs.metrics["groups"] == written["groups"] < written["n"] == runs.metrics["n"]
    assert told["auroc"]["p_seeds"] is None
    assert runs.metrics["compared"] == "runs"
    rows = table(kept[2] / "predictions.csv")
    tested = next(row for row in rows if row["split"] == "test")
    (kept[2] / "predictions.csv").write_text(
        (kept[2] / "predictions.csv").read_text().replace(tested["file"], "another.png")
    )
    with pytest.raises(
        PlainfilmError,
        match=rf"same radiographs.*received {written['n']} in .*, {written['n'] - 1} of them alike in both; .* is not, or has another label",
    ):
        plainfilm.compare([kept[0], kept[2]], folder / "runs", overwrite=True)


@pytest.mark.trains
def test_three_classes_train_with_a_softmax_and_are_reported(folder, store):
    with (folder / "films" / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    others = {patient for k, patient in enumerate(sorted({row["patient_id"] for row in rows})) if k % 3 == 0}
    labels = folder / "three.csv"
    with labels.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "label", "patient_id", "source"])
        for row in rows:
            label = "OTHER" if row["patient_id"] in others else row["label"]
            writer.writerow([row["file_name"], label, row["patient_id"], row["source"]])
    done = plainfilm.ingest(folder / "films", folder / "three.h5", labels=labels, size=96, workers=1)
    assert done.classes == ("COVID", "NORMAL", "OTHER")
    made = plainfilm.train(folder / "three.h5", folder / "three", settings=QUICK)
    metrics, test = made.metrics, made.metrics["splits"]["test"]
    assert (metrics["positive"], metrics["threshold"]) == (None, None)
    assert np.shape(test["confusion_matrix"]) == (3, 3)
    assert set(test["per_class"]) == {"COVID", "NORMAL", "OTHER"}
    predictions = table(made.folder / "predictions.csv")
    names = [f"probability {name}" for name in done.classes]
    assert list(predictions[0]) == ["file", "split", "label", *names, "predicted", *ORIGIN]
    chance = np.array([[float(row[name]) for name in names] for row in predictions])
    np.testing.assert_allclose(chance.sum(axis=1), 1, atol=1e-5)
    tested = [k for k, row in enumerate(predictions) if row["split"] == "test"]
    right = np.mean([done.classes[chance[k].argmax()] == predictions[k]["label"] for k in tested])
    assert right == pytest.approx(test["accuracy"]["value"])
    text = (made.folder / "report.html").read_text()
    assert all(name in text for name in done.classes)
    assert plainfilm.load(made.folder / "model.plainfilm").classes_ == done.classes


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["COVID", "NORMAL"], "COVID"),
        (["Healthy", "Pneumonia"], "Pneumonia"),
        (["no_finding", "tb"], "tb"),
        (["0", "1"], "1"),
        (["NonCOVID", "COVID"], "COVID"),
        (["A", "B", "C"], None),
    ],
)
def test_the_positive_class_is_the_one_not_called_normal(classes, expected):
    assert checks.positive_class(classes) == expected


def test_the_positive_class_can_be_named_where_there_are_two():
    assert checks.positive_class(["COVID", "NORMAL"], "NORMAL") == "NORMAL"
    with pytest.raises(UsageError, match="one of COVID, NORMAL; received covid"):
        checks.positive_class(["COVID", "NORMAL"], "covid")
    with pytest.raises(UsageError, match="Expected two classes"):
        checks.positive_class(["A", "B", "C"], "A")
    with pytest.raises(
        UsageError, match="one of A and B to be named as negative.* Name the positive class with `positive`"
    ):
        checks.positive_class(["A", "B"])
    assert checks.positive_class(["A", "B"], "A") == "A"


def test_the_library_has_the_verbs_of_the_command_line():
    for name in ("ingest", "train", "compare", "load", "demo", "describe", "Store", "PlainfilmError"):
        assert callable(getattr(plainfilm, name))
        assert name in dir(plainfilm)
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        plainfilm.trian  # noqa: B018
