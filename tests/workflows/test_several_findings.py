"""Several findings, the whole way: a table becomes a run whose bundle answers for each of them."""

import csv
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import plainfilm
from plainfilm.data.store import Store
from plainfilm.errors import ExportError, PlainfilmError
from plainfilm.results import documents
from plainfilm.results.metrics import RunMetrics

FINDINGS = ("Effusion", "Mass", "Nodule")
PLACES = {"Effusion": (44, 6), "Mass": (10, 38), "Nodule": (12, 8)}
QUICK = {"backbone.input_size": 64, "backbone.depth": 3, "training.epochs": 40}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """Films of noise with a bright square for each finding; some cells are blank, and so is all of one row."""
    made, rng = tmp_path_factory.mktemp("findings"), np.random.default_rng(0)
    (made / "films").mkdir()
    rows = [["file_name", "patient_id", "source", *FINDINGS]]
    for k in range(120):
        has = rng.random(3) < (0.4, 0.35, 0.3)
        pixels = rng.normal(90, 18, (64, 64))
        for name, is_it in zip(FINDINGS, has, strict=True):
            y, x = PLACES[name]
            pixels[y : y + 14, x : x + 14] += 70 * is_it
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(made / f"films/{k}.png")
        cells = ["" if k == 0 or rng.random() < 0.08 else str(int(own)) for own in has]
        rows.append([f"{k}.png", f"P{k // 2 if k < 60 else k}", ("North", "South")[k % 2], *cells])
    with (made / "films/metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made / "cache"))
        plainfilm.ingest(made / "films", made / "s.h5", size=64, workers=1)
        yield made


@pytest.fixture(scope="module")
def run(folder):
    plainfilm.train(folder / "s.h5", folder / "run", settings=QUICK)
    return folder / "run"


@pytest.fixture(scope="module")
def metrics(run):
    return documents.decode((run / "metrics.json").read_bytes(), RunMetrics, "metrics.json")


@pytest.mark.trains
def test_each_finding_is_told_and_the_worst_speaks(metrics):
    assert (metrics.task, metrics.classes, metrics.positive) == ("findings", FINDINGS, None)
    assert all(own.splits["test"].auroc.value > 0.8 for own in metrics.findings.values())
    assert metrics.test.auroc.value == pytest.approx(
        np.mean([own.splits["test"].auroc.value for own in metrics.findings.values()])
    )
    assert metrics.test.micro.n == sum(own.splits["test"].n for own in metrics.findings.values())
    assert metrics.speaks in FINDINGS
    assert metrics.worth.sentence == f"{metrics.speaks}: {metrics.findings[metrics.speaks].worth.sentence}"
    assert metrics.audit.findings.keys() == set(FINDINGS)
    for name, own in metrics.findings.items():
        assert own.audit.verdict == metrics.audit.findings[name].verdict
        assert own.audit.probes == metrics.audit.findings[name].probes
        assert own.audit.compared_with.auroc == metrics.audit.findings[name].auroc
        assert own.splits["test"].confusion_matrix
        assert 0 < own.threshold < 1.1


def test_predictions_leave_blank_what_is_not_known(folder, run):
    with (run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with Store(folder / "s.h5") as store:
        assert len(rows) == (store.split != "").sum() == (store.labels >= 0).sum() < 120
        states = {str(file): own for file, own in zip(store.file, store.states, strict=True)}
    for row in rows:
        truth = [-1 if row[f"truth {name}"] == "" else int(row[f"truth {name}"]) for name in FINDINGS]
        assert truth == states[row["file"]].tolist()
        assert set(row["predicted"].split("|")) <= {*FINDINGS, "No Finding"}


def test_report_and_card_name_every_finding(run):
    for name in ("report.html", "card.md"):
        text = (run / name).read_text()
        assert all(finding in text for finding in FINDINGS)
    page = (run / "report.html").read_text()
    assert "Each finding, test set" in page
    assert "Each finding with the lungs hidden" in page
    assert "| AUROC, Effusion | AUROC, Mass | AUROC, Nodule |" in (run / "card.md").read_text()
    assert "which of 3 findings it has" in (run / "card.md").read_text()


@pytest.mark.trains
def test_the_bundle_answers_as_the_run_did(folder, run, metrics):
    opened = plainfilm.load(run)
    assert opened.bundle.manifest.task == "findings"
    assert opened.bundle.metrics.findings["Mass"].subgroups is None
    assert opened.bundle.metrics.findings["Mass"].audit.probes
    assert not opened.bundle.metrics.audit.findings["Mass"].probes, "they stand once in a bundle"
    with (run / "predictions.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    answers = opened.predict([folder / "films" / row["file"] for row in rows])
    for row, answer in zip(rows, answers, strict=True):
        assert list(answer.probabilities.values()) == pytest.approx(
            [float(row[f"probability {name}"]) for name in FINDINGS], abs=1e-3
        )
        called = tuple(name for name in FINDINGS if answer.probabilities[name] >= metrics.findings[name].threshold)
        if answer.level != "refused":
            assert answer.findings == called
            assert answer.label == ("|".join(called) or "No Finding")
    with pytest.raises(
        PlainfilmError, match="prevalence of findings by name, since each has its own; received 0.1 alone"
    ):
        opened.predict(folder / "films/1.png", prevalence=0.1)
    with pytest.raises(
        PlainfilmError, match=r"findings of the model \(Effusion, Mass, Nodule\); received Masss. Correct it"
    ):
        opened.predict(folder / "films/1.png", prevalence={"Masss": 0.1})
    (answer,) = opened.predict(folder / "films/1.png", prevalence={"Mass": 0.01})
    assert answer.at_prevalences["Effusion"] == pytest.approx(answer.probabilities["Effusion"])
    odds = 0.01 / 0.99 / (opened.prevalences["Mass"] / (1 - opened.prevalences["Mass"]))
    raised = answer.probabilities["Mass"] * odds
    assert answer.at_prevalences["Mass"] == pytest.approx(raised / (raised + 1 - answer.probabilities["Mass"]))
    with pytest.raises(PlainfilmError, match="received one of several findings"):
        opened.score([folder / "films/1.png"], ["Mass"])
    looked = (
        opened.explain(folder / "films/1.png", method="gradcam") if opened.bundle.classifier.looks_at_maps else None
    )
    assert looked is None or looked.explained in FINDINGS


def test_the_command_counts_each_finding(folder, run, call):
    code, out, _ = call("predict", run, folder / "films/1.png", folder / "films/2.png", "--json")
    told = json.loads(out)
    assert (code, told["task"], told["positive"], set(told["thresholds"])) == (0, "findings", None, set(FINDINGS))
    assert all("|".join(one["findings"]) in {one["class"], ""} for one in told["predictions"])


@pytest.mark.trains
def test_onnx_has_a_sigmoid_each_and_tflite_says_that_it_does_not(run, tmp_path):
    made = plainfilm.export(run, "onnx", tmp_path / "m.onnx")
    assert made.largest_difference < 1e-4
    if find_spec("tensorflow"):
        with pytest.raises(ExportError, match="several findings, which it does not hold yet"):
            plainfilm.export(run, "tflite", tmp_path / "m.tflite")


def test_folds_test_each_film_once_with_each_finding(folder):
    found = plainfilm.train(folder / "s.h5", folder / "folds", settings=QUICK, folds=3, audit=False).result
    with Store(folder / "s.h5") as store:
        assert found.splits["out_of_fold"].n == (store.labels >= 0).sum()
    assert found.splits["out_of_fold"].micro.n == sum(own.splits["out_of_fold"].n for own in found.findings.values())
    assert all(own.threshold is None for own in found.findings.values())
    assert plainfilm.load(folder / "folds").bundle.manifest.thresholds


@pytest.fixture(scope="module")
def three(folder):
    asked = {**QUICK, "evaluation.sensitivity": 0.6, "evaluation.npv": 0.95}
    return plainfilm.train(folder / "s.h5", folder / "three", settings=asked, audit=False)


def test_each_finding_has_two_thresholds_a_promise_and_an_unsure_band(folder, three, call):
    found = three.result
    assert found.three_answers is None, "each finding has its own"
    for own in found.findings.values():
        assert own.lower_threshold <= own.threshold
        assert own.three_answers.splits["test"].n == own.splits["test"].n
    opened = plainfilm.load(three.folder)
    lower = opened.bundle.manifest.lower_thresholds
    assert lower == tuple(own.lower_threshold for own in found.findings.values())
    code, out, _ = call("predict", three.folder, folder / "films", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["lower_thresholds"] == dict(zip(FINDINGS, lower, strict=True))
    assert told["three_answers"].endswith("of each finding by itself, not of all together.")
    for answer in (each for each in told["predictions"] if each["level"] not in {"refused", "unreadable"}):
        chances = answer["probabilities"]
        between = [n for n in FINDINGS if told["lower_thresholds"][n] <= chances[n] < told["thresholds"][n]]
        assert answer["unsure"] == between
        assert (answer["level"] == "unsure") == (bool(between) and not answer["findings"])
        assert (answer["class"] is None) == (answer["level"] == "unsure")
    assert any(answer["unsure"] for answer in told["predictions"])
    frame = opened.predict(folder / "films").to_frame()
    assert frame["unsure"].tolist() == ["|".join(answer.get("unsure", ())) for answer in told["predictions"]]
    with (three.folder / "predictions.csv").open(newline="") as file:
        assert any(row["unsure"] for row in csv.DictReader(file))
    assert "Present, absent or unsure, each finding" in (three.folder / "report.html").read_text()
    assert "Three answers, Mass" in (three.folder / "card.md").read_text()


def test_findings_join_by_patient_each_as_training_chose(folder, three, call):
    opened = plainfilm.load(three.folder)
    ways = opened.bundle.classifier.decision.ways
    assert {name: how.rule for name, how in ways.items()} == {
        name: own.by_patient.rule for name, own in three.result.findings.items()
    }
    patients = folder / "films/metadata.csv"
    code, out, _ = call("predict", three.folder, folder / "films", "--by", "patient", "--patients", patients, "--json")
    told = json.loads(out)
    assert (code, len(told["predictions"])) == (0, 90)
    assert told["thresholds"] == {name: how.threshold for name, how in ways.items()}
    films = {each.file: each for each in opened.predict(folder / "films")}
    for answer in [each for each in told["predictions"] if len(each["films"]) == each["used"] == 2][:5]:
        for name, how in ways.items():
            chance = np.array([films[file].probabilities[name] for file in answer["films"]])
            odds = np.log(chance / (1 - chance))
            joined = how.slope * (odds.mean() if how.rule == "mean" else odds.max()) + how.intercept
            assert answer["probabilities"][name] == pytest.approx(1 / (1 + np.exp(-joined)))
    found = three.result.findings["Mass"].by_patient
    assert found.splits["test"].n <= three.result.findings["Mass"].splits["test"].n
    assert "By patient, each finding" in (three.folder / "report.html").read_text()


def test_of_its_own_store_three_answers_of_findings_are_what_they_were(folder, three):
    found = plainfilm.evaluate(three.folder, folder / "s.h5", folder / "three-again").result
    for name, own in found.findings.items():
        before = three.result.findings[name]
        assert own.three_answers.unsure == before.three_answers.splits["test"].unsure
        assert own.by_patient.splits["external"].auroc == before.by_patient.splits["test"].auroc


def test_what_findings_do_not_have_yet_is_one_line(folder, run):
    for words, says in (
        ({"folds": "source"}, "30 of Effusion, 30 of Mass|apart from those that leave together"),
        ({"positive": "Mass"}, "no `positive` with several findings"),
        ({"task": "classes"}, "a store of findings"),
    ):
        with pytest.raises(PlainfilmError, match=says) as caught:
            plainfilm.train(folder / "s.h5", folder / "x", **words)
        assert "\n" not in str(caught.value)
    for words, says in (
        ({"prevalence": 0.1}, "of findings by name, since each has its own; received 0.1 alone"),
        ({"prevalence": {"Fracture": 0.1}}, "findings of the model"),
        ({"prevalence": {"Mass": 1.0}}, "between 0 and 1, neither of them; received 1.0"),
    ):
        with pytest.raises(PlainfilmError, match=says):
            plainfilm.evaluate(run, folder / "s.h5", folder / "y", recalibrate=True, **words)
    with pytest.raises(PlainfilmError, match="no `label_of` with a classifier of findings"):
        plainfilm.evaluate(run, folder / "films", folder / "y", label_of="Mass")


@pytest.fixture(scope="module")
def elsewhere(folder):
    """Other films of the same kind, whose table knows two of the findings, one by another name, and one that is new."""
    made, rng = folder / "elsewhere", np.random.default_rng(1)
    made.mkdir()
    rows = [["file_name", "patient_id", "pleural effusion", "Mass", "Fracture"]]
    for k in range(60):
        has = rng.random(2) < 0.4
        pixels = rng.normal(90, 18, (64, 64))
        for name, is_it in zip(("Effusion", "Mass"), has, strict=True):
            y, x = PLACES[name]
            pixels[y : y + 14, x : x + 14] += 70 * is_it
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(made / f"{k}.png")
        rows.append([f"{k}.png", f"P{k}", int(has[0]), "" if k < 10 else int(has[1]), int(k == 3)])
    with (made / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return made


def test_findings_of_another_hospital_are_tested_each_and_what_it_does_not_state_is_named(run, elsewhere, call):
    code, out, err = call("evaluate", run, elsewhere, "--out", "there", "--map", "pleural effusion=Effusion", "--quiet")
    assert (code, err) == (0, "")
    found = json.loads(Path("there/metrics.json").read_text())
    assert (found["task"], found["classes"]) == ("findings", ["Effusion", "Mass"])
    assert found["missing_classes"] == ["Nodule"]
    assert found["left_out"] == {"labels": {"Fracture": 1}, "without_label": 0}
    assert {name: own["splits"]["external"]["n"] for name, own in found["findings"].items()} == {
        "Effusion": 60,
        "Mass": 50,
    }
    areas = [own["splits"]["external"]["auroc"]["value"] for own in found["findings"].values()]
    assert min(areas) > 0.8
    assert found["splits"]["external"]["auroc"]["value"] == pytest.approx(np.mean(areas))
    assert (
        found["travels"]["sentence"]
        == f"{found['speaks']}: {found['findings'][found['speaks']]['travels']['sentence']}"
    )
    assert "Not stated here: Nodule" in out
    assert "Fracture 1" in out
    assert "Own test set" in Path("there/tables/metrics.csv").read_text()
    assert Path("there/requirements.lock").read_text().startswith("# Python")
    page = Path("there/report.html").read_text()
    assert "Each finding, new data" in page
    assert "Effusion, Mass: which of them? Tested on elsewhere" in page
    with Path("there/predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    answers = plainfilm.load(run).predict([elsewhere / row["file"] for row in rows])
    for row, answer in zip(rows, answers, strict=True):
        assert float(row["probability Mass"]) == pytest.approx(answer.probabilities["Mass"], abs=1e-3)
        assert row["outlier"] == answer.level
    assert sum(row["truth Mass"] == "" for row in rows) == 10


def test_each_finding_is_recalibrated_by_itself_and_kept_for_a_site(run, elsewhere, tmp_path):
    words = {"mapping": {"pleural effusion": "Effusion"}, "recalibrate": True}
    found = plainfilm.evaluate(run, elsewhere, tmp_path / "there", site="Hill", **words)
    assert found.result.recalibration.sentence.startswith("Moving the log odds of each finding by itself")
    moved = {name: own.recalibration for name, own in found.result.findings.items()}
    assert {name: own.offered for name, own in moved.items()} == {"Effusion": True, "Mass": True}
    assert "Each finding is recalibrated by itself" in (tmp_path / "there/report.html").read_text()
    own, there = plainfilm.load(run), plainfilm.load(found.bundle, site="Hill")
    assert set(there.bundle.manifest.finding_sites["Hill"]) == {"Effusion", "Mass"}
    films = [elsewhere / f"{k}.png" for k in range(30)]
    before, after = own.predict(films), there.predict(films)
    assert [each.findings for each in after] == [each.findings for each in before]
    for name, fit in moved.items():
        shown, told = (np.array([each.probabilities[name] for each in answers]) for answers in (before, after))
        assert np.log(told / (1 - told)) == pytest.approx(fit.slope * np.log(shown / (1 - shown)) + fit.shift, abs=1e-4)
        assert there.bundle.metrics.findings[name].threshold == pytest.approx(fit.threshold)
        rows = [row for row in csv.DictReader((tmp_path / "there/predictions.csv").open()) if row[f"truth {name}"]]
        held = np.array([float(row[f"probability {name}"]) for row in rows])
        odds = fit.slope * np.log(held / (1 - held)) + fit.shift
        assert there.prevalences[name] == pytest.approx((1 / (1 + np.exp(-odds))).mean(), abs=1e-4)
    assert [each.probabilities["Nodule"] for each in after] == [each.probabilities["Nodule"] for each in before]
    tested = plainfilm.evaluate(found.bundle, elsewhere, tmp_path / "at", site="Hill", mapping=words["mapping"])
    assert tested.result.model.site == "Hill"
    assert tested.result.external.brier.value < found.result.external.brier.value


def test_a_prevalence_moves_its_finding_alone_and_needs_no_labels(run, elsewhere, tmp_path):
    for k in range(30):
        (tmp_path / f"{k}.png").write_bytes((elsewhere / f"{k}.png").read_bytes())
    made = plainfilm.evaluate(run, tmp_path, tmp_path / "out", recalibrate=True, prevalence={"Mass": 0.1})
    assert (made.result.positive, made.result.threshold, made.result.before) == (None, None, None)
    ((name, fitted),) = made.result.findings.items()
    assert name == "Mass"
    assert fitted.after.mean == pytest.approx(0.1, abs=0.03)
    assert "As they were: Effusion, Nodule." in made.result.recalibration.sentence
    own, moved = plainfilm.load(run), plainfilm.load(made.bundle)
    assert moved.prevalences == {**own.prevalences, "Mass": 0.1}
    assert moved.bundle.metrics.findings["Mass"].recalibrated.method == "prevalence"
    assert moved.bundle.metrics.findings["Nodule"].recalibrated is None
    labelled = plainfilm.evaluate(run, elsewhere, tmp_path / "l", recalibrate=True, prevalence={"Mass": 0.1}).result
    assert labelled.findings["Mass"].recalibration.method == "prevalence"
    with pytest.raises(PlainfilmError, match="of findings that these data state"):
        plainfilm.evaluate(run, elsewhere, tmp_path / "n", recalibrate=True, prevalence={"Nodule": 0.1})


def test_others_answer_for_findings_elsewhere_as_this_machine_does(folder, three, elsewhere):
    """By workers of a Dask scheduler that somebody else has started on this machine."""
    distributed = pytest.importorskip("distributed")
    asked = {"mapping": {"pleural effusion": "Effusion"}}
    here = plainfilm.evaluate(three.folder, elsewhere, folder / "here", **asked)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        there = plainfilm.evaluate(
            three.folder, elsewhere, folder / "theirs", cluster=cluster.scheduler_address, **asked
        )
    assert there.result.splits == here.result.splits
    assert there.result.findings == here.result.findings
    theirs, ours = (list(csv.DictReader((folder / name / "predictions.csv").open())) for name in ("theirs", "here"))
    assert [row | {"patient": ""} for row in theirs] == [row | {"patient": ""} for row in ours], "but for the salt"


@pytest.fixture(scope="module")
def hospitals(folder):
    """Films of three hospitals without a patient in common; West never has a nodule, and East does not state masses."""
    made, rng = folder / "hospitals", np.random.default_rng(2)
    made.mkdir()
    rows = [["file_name", "source", *FINDINGS]]
    for k in range(150):
        source = ("North", "West", "East")[k % 3]
        has = rng.random(3) < (0.4, 0.4, 0 if source == "West" else 0.4)
        pixels = rng.normal(90, 18, (64, 64))
        for name, is_it in zip(FINDINGS, has, strict=True):
            y, x = PLACES[name]
            pixels[y : y + 14, x : x + 14] += 70 * is_it
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(made / f"{k}.png")
        cells = [int(own) for own in has]
        rows.append([f"{k}.png", source, cells[0], "" if source == "East" else cells[1], cells[2]])
    with (made / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    plainfilm.ingest(made, folder / "hospitals.h5", size=64, workers=1)
    return folder / "hospitals.h5"


def test_each_hospital_is_left_out_and_a_finding_without_an_auroc_there_is_named(folder, hospitals, call):
    words = {"settings": QUICK, "folds": "source", "audit": False}
    found = plainfilm.train(hospitals, folder / "without", **words).result.left_out
    assert {own.name: dict(own.unmeasured) for own in found.sources} == {
        "East": {"Mass": "not stated"}, "North": {}, "West": {"Nodule": "never present"},
    }  # fmt: skip
    assert {name: [own.name for own in each.sources] for name, each in found.findings.items()} == {
        "Effusion": ["East", "North", "West"], "Mass": ["North", "West"], "Nodule": ["East", "North"],
    }  # fmt: skip
    areas = {name: {own.name: own.metrics.auroc.value for own in each.sources} for name, each in found.findings.items()}
    for own in found.sources:
        assert own.metrics.auroc.value == pytest.approx(
            np.mean([at[own.name] for at in areas.values() if own.name in at])
        )
        assert own.metrics.auroc.value > 0.6
    assert found.mean.value == pytest.approx(np.mean([own.metrics.auroc.value for own in found.sources]))
    worst = found.findings[found.speaks]
    assert worst.worst.value == min(areas[found.speaks].values())
    assert found.sentence.endswith(f"The worst finding, {found.speaks}: {worst.sentence}")
    page = (folder / "without/report.html").read_text()
    assert "Each finding where it was left out" in page
    assert "never present at West" in page
    assert "left out: West" in (folder / "without/predictions.csv").read_text()
    kept = plainfilm.load(folder / "without").bundle.metrics.left_out
    assert kept.findings is None
    assert [own.metrics.per_class for own in kept.sources] == [None] * 3
    with pytest.raises(
        PlainfilmError, match="with classes; received several findings, which are not all in each hospital"
    ):
        plainfilm.train(hospitals, folder / "x", **words, curve=True)
    compared = plainfilm.compare(
        hospitals, folder / "c2", recipes=["default"], seeds=1, settings=QUICK, folds="source"
    ).result.recipes[0].left_out  # fmt: skip
    assert compared.worst.mean == pytest.approx(min(own.metrics.auroc.value for own in found.sources), abs=0.02)
    assert compared.findings["Mass"].worst.mean == pytest.approx(min(areas["Mass"].values()), abs=0.02)


def test_of_its_own_store_findings_are_tested_on_the_test_set_again(folder, run, metrics):
    found = plainfilm.evaluate(run, folder / "s.h5", folder / "again").result
    assert found.data.own_test_part
    assert found.external.auroc.value == pytest.approx(metrics.test.auroc.value, abs=1e-3)
    for name, own in found.findings.items():
        assert own.splits.external.n == metrics.findings[name].splits["test"].n
        assert own.internal.auroc == metrics.findings[name].splits["test"].auroc


def test_two_recipes_are_compared_over_all_pairs_of_a_film_and_a_finding(folder):
    found = plainfilm.compare(
        folder / "s.h5", folder / "compared", recipes=["default", "hidden-layer"], seeds=1, settings=QUICK
    ).result
    with Store(folder / "s.h5") as store:
        assert found.n == len(store.rows("test"))
    assert len(found.pairs) == 1
    assert found.recipes[0].auroc.mean > 0.7
    assert found.findings.keys() == set(FINDINGS)
    assert found.means[0].recipes == found.pairs[0].recipes


def test_finished_runs_are_compared_on_each_finding(folder, run, three, metrics):
    found = plainfilm.compare([run, three.folder], folder / "runs").result
    assert (found.compared, found.n) == ("runs", metrics.test.n)
    for name, own in found.findings.items():
        assert own.n == metrics.findings[name].splits["test"].n
        apart = (
            metrics.findings[name].splits["test"].auroc.value - three.result.findings[name].splits["test"].auroc.value
        )
        assert own.pairs[0].differences["auroc"].value == pytest.approx(apart, abs=1e-6)
    apart = metrics.test.auroc.value - three.result.test.auroc.value
    assert found.means[0].differences["auroc"].value == pytest.approx(apart, abs=1e-6)
    assert "Each finding" in (folder / "runs/comparison.html").read_text()
    assert (folder / "runs/tables/differences-by-finding.tex").is_file()
