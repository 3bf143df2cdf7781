"""`plainfilm evaluate` as it is typed: a classifier of three invented hospitals, tested in a fourth."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import plainfilm
from made_external import own_metrics, own_run, write_bundle
from made_networks import encoder_file, head
from plainfilm.data import phantom
from plainfilm.data.store import Store
from plainfilm.errors import BundleError, CatalogError, UsageError
from plainfilm.model import classifier
from plainfilm.model.classifier import Classifier, Decision

pytestmark = pytest.mark.slow
QUICK = {"backbone.input_size": 96, "training.epochs": 4}
MOUNTAIN = replace(phantom.HOSPITALS[1], name="Mountain", gamma=1.3, scatter=0.5, marker="X", quality=(70, 80))
NAMES = {"COVID": "COVID-19", "NORMAL": "well"}
FILES = [
    "figures",
    "metrics.json",
    "overlap.csv",
    "predictions.csv",
    "problems.csv",
    "report.html",
    "requirements.lock",
    "tables",
]


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made / "cache"))
        patch.setenv("COLUMNS", "200")
        yield made


@pytest.fixture(scope="module")
def model(folder):
    phantom.write_phantoms(folder / "films", n=90, seed=1)
    plainfilm.ingest(folder / "films", folder / "films.h5", size=128, fit="pad", workers=1)
    run = plainfilm.train(folder / "films.h5", folder / "run", settings=QUICK, audit=False)
    return run.folder / "model.plainfilm"


def write_films(folder, n, *, seed, classes=("COVID", "NORMAL")):
    for visit in phantom.plan(n, seed=seed, duplicates=0):
        if visit.label in classes:
            path = folder / NAMES[visit.label] / f"m{visit.name}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(phantom.encode(phantom.render(replace(visit, hospital=MOUNTAIN))))


@pytest.fixture(scope="module")
def mountain(folder, model):
    """Sixty films of a hospital that the model never saw, ten of its training films among them, and some of another disease.

    Five of the ten are the same files, five were resized and saved anew.
    """
    made = folder / "mountain"
    write_films(made, 60, seed=2)
    taken = sorted((folder / "films" / "COVID").glob("*.jpg"))[::4][:10]
    for number, path in enumerate(taken):
        target = made / NAMES["COVID"] / f"old{number}.jpg"
        if number < 5:
            shutil.copy(path, target)
        else:
            picture = Image.open(path)
            picture.resize((picture.width * 3 // 4, picture.height * 3 // 4)).save(target, quality=55)
    (made / "PNEUMONIA").mkdir()
    rng = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(rng.integers(0, 255, (90, 80), np.uint8)).save(made / "PNEUMONIA" / f"{number}.png")
    (made / "well" / "broken.jpg").write_bytes(b"\xff\xd8\xff but no picture")
    return made


@pytest.fixture(scope="module")
def ward(folder):
    """Films of the sick alone."""
    write_films(folder / "ward", 40, seed=5, classes=["COVID"])
    return folder / "ward"


MAPPED = ("--map", "COVID-19=COVID,well=NORMAL")


@pytest.fixture(scope="module")
def tested(folder, model, mountain):
    return plainfilm.evaluate(model, mountain, folder / "tested", mapping={"covid 19": "COVID", "well": "NORMAL"}, recalibrate=True, workers=1)  # fmt: skip


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_command_tests_a_folder_and_says_what_it_came_to(call, model, mountain):
    code, out, err = call("evaluate", model, mountain, "--out", "here", *MAPPED, "--quiet")
    assert (code, err) == (0, "")
    assert sorted(path.name for path in Path("here").iterdir()) == FILES
    metrics = json.loads(Path("here/metrics.json").read_text())
    assert " ".join(metrics["travels"]["sentence"].split()) in " ".join(out.split())
    assert "PNEUMONIA 4" in out
    assert "the model was made from them: 10 radiographs" in out
    assert "Open here/report.html" in out
    assert not list(Path().glob(".*"))


def test_json_holds_the_same_as_the_file(call, model, mountain):
    code, out, _ = call("evaluate", model, mountain, "--out", "here", "--map", "COVID-19=COVID", "--map", "well=NORMAL", "--json", "--quiet")  # fmt: skip
    assert code == 0
    assert json.loads(out) == json.loads(Path("here/metrics.json").read_text())


def test_exactly_the_films_seen_in_training_are_left_out(tested):
    rows = table(tested.folder / "overlap.csv")
    assert {row["file"] for row in rows} == {f"COVID-19/old{number}.jpg" for number in range(10)}
    told = {row["file"]: row["seen in training as"] for row in rows}
    assert [told[f"COVID-19/old{number}.jpg"] for number in range(10)] == ["the same file"] * 5 + ["the same film"] * 5
    metrics = tested.metrics
    assert (metrics["overlap"]["found"], metrics["overlap"]["same_file"], metrics["overlap"]["same_film"]) == (10, 5, 5)
    assert metrics["left_out"] == {"labels": {"PNEUMONIA": 4}, "without_label": 0}
    assert metrics["stands_for"] == {"COVID-19": "COVID", "well": "NORMAL"}
    assert metrics["splits"]["external"]["n"] == 60
    assert not {row["file"] for row in table(tested.folder / "predictions.csv")} & set(told)


def test_the_answers_are_those_of_predict(tested, model, mountain):
    rows = table(tested.folder / "predictions.csv")
    predictor = plainfilm.load(model)
    answers = predictor.predict([mountain / row["file"] for row in rows])
    np.testing.assert_allclose(answers.probabilities[:, 0], [float(row["probability"]) for row in rows], atol=1e-4)
    called = [predictor.classes_[k] for k in predictor.bundle.classifier.decision.predict(answers.probabilities)]
    assert [row["predicted"] for row in rows] == called
    assert [row["outlier"] for row in rows] == [answer.level for answer in answers]


def test_the_threshold_is_the_bundles_own_and_the_numbers_are_of_the_rows_written(tested, model):
    metrics = tested.metrics
    run = json.loads((model.parent / "metrics.json").read_text())
    assert metrics["threshold"] == run["threshold"]
    assert metrics["internal"]["auroc"] == run["splits"]["test"]["auroc"]
    rows = table(tested.folder / "predictions.csv")
    right = np.mean([row["label"] == row["predicted"] for row in rows])
    assert metrics["splits"]["external"]["accuracy"]["value"] == pytest.approx(right)
    drop = run["splits"]["test"]["accuracy"]["value"] - right
    assert metrics["drop"]["accuracy"]["value"] == pytest.approx(drop)


def test_files_that_cannot_be_read_are_listed(tested):
    assert [(row["file"], row["left_out"]) for row in table(tested.folder / "problems.csv") if row["left_out"] == "yes"] == [("well/broken.jpg", "yes")]  # fmt: skip
    assert "well/broken.jpg" in (tested.folder / "report.html").read_text()


def test_the_recalibrated_bundle_answers_the_same_with_probabilities_that_fit(tested, model, mountain):
    rows = table(tested.folder / "predictions.csv")
    second = plainfilm.load(tested.folder / "recalibrated.plainfilm")
    answers = second.predict([mountain / row["file"] for row in rows])
    classes = second.bundle.classifier.decision.predict(answers.probabilities)
    assert [second.classes_[k] for k in classes] == [row["predicted"] for row in rows]
    truth = np.array([row["label"] == "COVID" for row in rows])
    assert answers.probabilities[:, 0].mean() == pytest.approx(truth.mean(), abs=0.05)
    before = np.array([float(row["probability"]) for row in rows])
    assert abs(answers.probabilities[:, 0].mean() - truth.mean()) <= abs(before.mean() - truth.mean()) + 1e-4
    assert second.prevalence == pytest.approx(answers.probabilities[:, 0].mean())
    assert second.bundle.classifier.decision.threshold == tested.metrics["recalibration"]["threshold"]


def test_a_store_gives_the_numbers_of_its_folder(folder, model, mountain, tested):
    labels = folder / "mountain.csv"
    with labels.open("w", newline="") as file:
        csv.writer(file).writerows([("file_name", "label"), *((f"{p.parent.name}/{p.name}", p.parent.name) for p in sorted(mountain.rglob("*.jpg")))])  # fmt: skip
    plainfilm.ingest(mountain, folder / "mountain.h5", size=128, fit="pad", workers=1, labels=labels)
    run = plainfilm.evaluate(model, folder / "mountain.h5", folder / "of store", mapping={"COVID-19": "COVID", "well": "NORMAL"})  # fmt: skip
    for name in ("n", "confusion_matrix", "accuracy", "auroc"):
        assert run.metrics["splits"]["external"][name] == tested.metrics["splits"]["external"][name]
    assert run.metrics["overlap"] == tested.metrics["overlap"]
    with Store(folder / "mountain.h5") as store:
        assert store.test_openings() == 1
    assert (folder / "mountain.h5").is_file()


def test_of_the_models_own_store_only_the_test_set_is_used(folder, model):
    run = plainfilm.evaluate(model, folder / "films.h5", folder / "own")
    own = json.loads((model.parent / "metrics.json").read_text())["splits"]["test"]
    assert run.metrics["splits"]["external"]["confusion_matrix"] == own["confusion_matrix"]
    assert run.metrics["data"]["own_test_part"]
    assert "says nothing about another hospital" in run.metrics["travels"]["sentence"]
    assert not (run.folder / "overlap.csv").exists()


def test_the_models_own_folder_is_refused(folder, model, call):
    code, out, err = call("evaluate", model, folder / "films", "--out", "here", "--quiet")
    assert (code, out) == (1, "")
    assert "it was made from all of them" in err
    assert len(err.strip().splitlines()) == 1
    assert list(Path().iterdir()) == []


def test_one_class_alone_is_tested_and_what_it_leaves_open_is_said(ward, model, call):
    code, out, _ = call("evaluate", model, ward, "--out", "here", "--map", "COVID-19=COVID", "--quiet")
    assert code == 0
    assert "There is no NORMAL among these radiographs" in out
    assert "Missing here: NORMAL" in out
    external = json.loads(Path("here/metrics.json").read_text())["splits"]["external"]
    assert external["specificity"]["value"] is external["auroc"]["value"] is None
    assert external["sensitivity"]["value"] is not None


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--map", "Covid=COVID"), "one of the labels COVID-19, PNEUMONIA, well; received Covid"),
        (("--map", "well=HEALTHY"), "the model's classes COVID, NORMAL; received HEALTHY"),
        (("--map", "well"), "--map LABEL=CLASS; received well"),
        ((), "received COVID-19, PNEUMONIA, well. Say which is which: --map"),
    ],
)
def test_a_wrong_map_is_told_what_is_there(call, model, mountain, words, match):
    code, out, err = call("evaluate", model, mountain, "--out", "here", "--quiet", *words)
    assert (code, out) == (2, "")
    assert match in err
    assert len(err.strip().splitlines()) == 1
    assert list(Path().iterdir()) == []


def test_recalibration_that_is_not_on_offer_is_an_error_and_leaves_nothing(ward, model, call):
    words = ("--map", "COVID-19=COVID", "--recalibrate", "--quiet")
    code, out, err = call("evaluate", model, ward, "--out", "here", *words)
    assert (code, out) == (1, "")
    assert "10 patients or unrelated images of each class" in err
    assert list(Path().iterdir()) == []


def test_recalibration_is_refused_before_anything_is_read_where_a_class_has_too_few_files(ward, model, tmp_path):
    stages = []
    with pytest.raises(CatalogError, match="there are 20 of the positive and 0 of the other"):
        plainfilm.evaluate(model, ward, tmp_path / "x", mapping={"COVID-19": "COVID"}, recalibrate=True, progress=lambda stage, *_: stages.append(stage))  # fmt: skip
    assert stages == []


def test_recalibration_is_refused_before_any_answer_where_a_class_has_too_few_patients(folder, model, tmp_path):
    write_films(folder / "clinic", 30, seed=6)
    copies = sorted((folder / "clinic" / NAMES["NORMAL"]).glob("*.jpg"))
    for path in copies[1:]:
        shutil.copy(copies[0], path)
    stages = []
    with pytest.raises(CatalogError, match="and 1 of the other"):
        plainfilm.evaluate(model, folder / "clinic", tmp_path / "x", mapping={"COVID-19": "COVID", "well": "NORMAL"}, recalibrate=True, workers=1, progress=lambda stage, *_: stages.append(stage))  # fmt: skip
    assert set(stages) == {"Reading radiographs", "Looking for overlap"}


def test_with_more_than_two_classes_recalibration_is_refused_first(tmp_path):
    decision = Decision(classes=("a", "b", "c"), positive=None)
    path = encoder_file(tmp_path / "three.onnx", [np.full((8, 8), 1 / 64)] * 2, [0.0, 0.0])
    network = classifier.join(path.read_bytes(), head((np.eye(2, 3), [0.0, 0.0, 0.0])))
    write_bundle(tmp_path / "three.plainfilm", tmp_path, classifier=Classifier(network, decision), metrics=own_run(own_metrics(("a", "b", "c"), None)))  # fmt: skip
    with pytest.raises(UsageError, match="two classes for recalibrate=True; the model has 3"):
        plainfilm.evaluate(tmp_path / "three.plainfilm", tmp_path / "no folder", tmp_path / "x", recalibrate=True)


def test_what_cannot_be_meant_is_refused_before_anything_is_read(folder, model, mountain, tmp_path):
    with pytest.raises(UsageError, match="`labels` with a folder"):
        plainfilm.evaluate(model, folder / "films.h5", tmp_path / "a", labels=mountain)
    with pytest.raises(BundleError, match="does not exist"):
        plainfilm.evaluate(folder / "no.plainfilm", mountain, tmp_path / "b")
    with pytest.raises(CatalogError, match="does not exist"):
        plainfilm.evaluate(model, folder / "no folder", tmp_path / "c")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="has files in it"):
        plainfilm.evaluate(model, mountain, tmp_path / "mine", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_a_model_without_the_signature_asked_for_is_not_tested(model, mountain, tmp_path):
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    public = ed25519.Ed25519PrivateKey.generate().public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    with pytest.raises(BundleError, match="sign"):
        plainfilm.evaluate(model, mountain, tmp_path / "x", require_signature=tmp_path / "key.pem")
    assert not (tmp_path / "x").exists()


def test_info_tells_of_the_test(tested, call):
    code, out, _ = call("info", tested.folder, "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["kind"], told["data"], told["images"]) == ("test on other data", "mountain", 60)
    assert told["travels"] == tested.metrics["travels"]["sentence"]


def test_an_earlier_test_is_replaced_when_asked(folder, model, mountain, tmp_path):
    given = {"mapping": {"COVID-19": "COVID", "well": "NORMAL"}, "workers": 1}
    plainfilm.evaluate(model, mountain, tmp_path / "x", **given)
    with pytest.raises(UsageError, match="overwrite=True"):
        plainfilm.evaluate(model, mountain, tmp_path / "x", **given)
    again = plainfilm.evaluate(model, mountain, tmp_path / "x", overwrite=True, **given)
    assert sorted(path.name for path in again.folder.iterdir()) == FILES


def test_progress_is_reported_stage_by_stage(model, mountain, tmp_path):
    seen = []
    plainfilm.evaluate(model, mountain, tmp_path / "x", mapping={"COVID-19": "COVID"}, workers=1, progress=lambda *step: seen.append(step))  # fmt: skip
    stages = list(dict.fromkeys(stage for stage, *_ in seen))
    assert stages == ["Reading radiographs", "Looking for overlap", "Answering", "Writing the report"]
    assert all(done == every for done, every in {stage: (done, every) for stage, done, every, _ in seen}.values())


# A new hospital


@pytest.fixture(scope="module")
def unlabelled(folder, mountain):
    """The films of the hospital in one folder, as a PACS gives them."""
    made = folder / "unlabelled"
    made.mkdir()
    for path in sorted(mountain.rglob("m*.jpg")):
        shutil.copy(path, made / path.name)
    return made


def test_a_known_prevalence_and_films_without_labels_make_a_site_that_predict_uses(call, folder, model, unlabelled):
    code, out, err = call("evaluate", model, unlabelled, "--out", "here", "--recalibrate", "--prevalence", "0.09", "--site", "São José, 2", "--quiet")  # fmt: skip
    assert (code, err) == (0, "")
    said = " ".join(out.split())
    assert "60 radiographs; no label was looked at" in said
    assert "9 % of those examined are, as was stated. Adding" in said
    assert "Without labels nobody can see" in said
    assert "Kept for the site São José, 2" in said
    assert "--site 'São José, 2'" in said
    assert sorted(path.name for path in Path("here").iterdir()) == sorted(
        [*FILES[1:-1], "recalibrated.plainfilm"]
    )  # no figure, no table
    told = json.loads(Path("here/metrics.json").read_text())
    assert told["after"]["mean"] == pytest.approx(0.09, abs=0.03)
    assert told["recalibration"]["site"] == "São José, 2"
    code, out, _ = call("info", "here", "--json")
    assert (code, json.loads(out)["kind"]) == (0, "recalibration without labels")
    code, out, _ = call("info", "here/recalibrated.plainfilm", "--json")
    assert json.loads(out)["sites"]["São José, 2"]["recalibrated"]["method"] == "prevalence"
    film = str(next(unlabelled.iterdir()))
    _, own, _ = call("predict", model, film, "--json", "--quiet")
    _, out, _ = call("predict", "here/recalibrated.plainfilm", film, "--json", "--quiet")
    named, own = json.loads(out), json.loads(own)
    assert "site" not in named
    assert named["predictions"] == own["predictions"]
    _, out, _ = call("predict", "here/recalibrated.plainfilm", film, "--site", "São José, 2", "--json", "--quiet")
    there = json.loads(out)
    assert (there["site"], there["calibrated_at_prevalence"]) == ("São José, 2", 0.09)
    assert there["predictions"][0]["class"] == own["predictions"][0]["class"]
    assert there["predictions"][0]["probabilities"] != own["predictions"][0]["probabilities"]
    _, out, _ = call("predict", "here/recalibrated.plainfilm", film, "--site", "São José, 2", "--quiet")
    assert "The calibration of the site São José, 2 is used." in " ".join(out.split())
    _, out, _ = call("predict", "here/recalibrated.plainfilm", film, "--quiet")
    assert "The model's own calibration is used, of none of its sites (São José, 2)." in " ".join(out.split())
    _, out, _ = call("predict", "here/recalibrated.plainfilm", film, "--site", "São José, 2", "--csv", "--quiet")
    assert next(csv.DictReader(out.splitlines()))["site"] == "São José, 2"
    code, out, err = call("predict", "here/recalibrated.plainfilm", film, "--site", "Lyon", "--quiet")
    assert (code, out) == (2, "")
    assert "Expected --site to be one of São José, 2; received Lyon." in err
    answered = plainfilm.load("here/recalibrated.plainfilm", site="São José, 2")
    assert answered.prevalence == 0.09
    assert "São José, 2" in repr(answered)
    code, out, _ = call("evaluate", "here/recalibrated.plainfilm", folder / "mountain", "--out", "again", *MAPPED, "--site", "São José, 2", "--quiet")  # fmt: skip
    assert code == 0
    assert "Tested with the calibration of the site São José, 2." in " ".join(out.split())
    assert json.loads(Path("again/metrics.json").read_text())["model"]["site"] == "São José, 2"


def test_without_a_site_the_bundle_itself_is_recalibrated_to_the_prevalence(model, unlabelled, tmp_path):
    run = plainfilm.evaluate(model, unlabelled, tmp_path / "x", recalibrate=True, prevalence=0.2, workers=1)
    second = plainfilm.load(run.bundle)
    assert second.prevalence == 0.2
    assert second.bundle.manifest.recalibrated.method == "prevalence"
    chances = second.predict(sorted(unlabelled.iterdir())).probabilities[:, 0]
    assert chances.mean() == pytest.approx(run.metrics["after"]["mean"], abs=1e-4)
    assert run.metrics["recalibration"]["shift"] == second.bundle.manifest.recalibrated.shift


def test_labels_tell_what_a_known_prevalence_does(call, model, mountain):
    code, out, _ = call("evaluate", model, mountain, "--out", "here", *MAPPED, "--recalibrate", "--prevalence", "0.01", "--quiet")  # fmt: skip
    assert code == 0
    assert "not the 1 % stated" in " ".join(out.split())
    told = json.loads(Path("here/metrics.json").read_text())["recalibration"]
    assert (told["method"], told["prevalence"]) == ("prevalence", 0.01)
    assert plainfilm.load("here/recalibrated.plainfilm").prevalence == 0.01


@pytest.mark.parametrize("prevalence", [0, 1, 2, -0.1, "nan"])
def test_a_prevalence_that_cannot_be_meant_is_refused_first(call, model, prevalence):
    code, out, err = call("evaluate", model, "no folder", "--out", "here", "--recalibrate", f"--prevalence={prevalence}")  # fmt: skip
    assert (code, out) == (2, "")
    assert "--prevalence between 0 and 1, neither of them" in err
    assert len(err.strip().splitlines()) == 1


def test_a_prevalence_is_for_recalibrating(call, model, unlabelled):
    code, _, err = call("evaluate", model, unlabelled, "--out", "here", "--prevalence", "0.1")
    assert code == 2
    assert "Expected --recalibrate with --prevalence" in err


def test_films_without_labels_are_no_test_without_a_prevalence(call, model, unlabelled):
    code, _, err = call("evaluate", model, unlabelled, "--out", "here", "--recalibrate", "--quiet")
    assert code == 1
    assert "without a label" in err


def test_a_prevalence_needs_no_ten_of_each_class(model, ward, tmp_path):
    run = plainfilm.evaluate(model, ward, tmp_path / "x", mapping={"COVID-19": "COVID"}, recalibrate=True, prevalence=0.9, workers=1)  # fmt: skip
    assert run.metrics["format"] == "plainfilm-unlabelled-metrics"
    assert plainfilm.load(run.bundle).prevalence == 0.9


def test_one_film_is_too_few(model, unlabelled, tmp_path):
    (tmp_path / "one").mkdir()
    shutil.copy(next(unlabelled.iterdir()), tmp_path / "one")
    with pytest.raises(CatalogError, match="10 patients or unrelated images; there are 1"):
        plainfilm.evaluate(model, tmp_path / "one", tmp_path / "x", recalibrate=True, prevalence=0.1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one"]


def test_a_name_that_no_bundle_can_keep_is_refused_first(model, tmp_path):
    with pytest.raises(UsageError, match="a name of 1 to 200 signs"):
        plainfilm.evaluate(model, tmp_path / "no folder", tmp_path / "x", recalibrate=True, site="a\nb")
