"""One answer a study or a patient (docs/predict.md): who is on a film, and how the answers to several become one."""

import csv
import io
import json

import numpy as np
import pytest
from scipy.special import expit, logit

import plainfilm
from made_dicom import instance_bytes
from plainfilm.data import phantom
from plainfilm.errors import UsageError
from plainfilm.evidence.inference import grouping
from plainfilm.evidence.inference.context import About
from plainfilm.model import bundle
from plainfilm.results.manifest import Combining
from plainfilm.results.predictions import Prediction

HOW = Combining(rule="mean", slope=1.5, intercept=-0.2, threshold=0.6, prevalence=0.4, decided=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = tmp_path_factory.mktemp("grouped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made / "cache"))
        phantom.write_phantoms(made / "films", n=150, seed=6, duplicates=0)
        plainfilm.ingest(made / "films", made / "s.h5", size=64)
        settings = {"backbone.input_size": 64, "backbone.depth": 3, "training.epochs": 2}
        yield plainfilm.train(made / "s.h5", made / "run", settings=settings, audit=False)


@pytest.fixture(scope="module")
def predictor(run):
    return plainfilm.load(run.folder)


def film(chance, level="ok", **more):
    told = {"COVID": chance, "NORMAL": 1 - chance} if level != "unreadable" else {}
    return Prediction(file=f"{chance}", label=None, level=level, probabilities=told, **more)


def test_a_run_says_how_and_measures_by_patient(run):
    found, how = run.result.by_patient, bundle.load(run.folder).classifier.decision.combining
    assert found.rule == how.rule
    assert found.splits["test"].n == run.result.test.groups
    assert found.splits["test"].auroc.is_known
    page = (run.folder / "report.html").read_text()
    assert "By patient, n = " in page
    assert "AUROC by patient, test set" in (run.folder / "card.md").read_text()


def test_answers_join_as_training_chose_and_name_nobody(predictor, run, call):
    folder = run.folder.parent / "films"
    with (folder / "metadata.csv").open(newline="") as file:
        rows = {row["file_name"]: row["patient_id"] for row in csv.DictReader(file)}
    code, out, _ = call(
        "predict", run.folder, folder, "--by", "patient", "--patients", folder / "metadata.csv", "--json"
    )
    told = json.loads(out)
    assert code == 0
    assert told["by"] == "patient"
    assert told["combined"] == run.result.by_patient.sentence
    assert len(told["predictions"]) == len(set(rows.values()))
    assert not any(patient in out for patient in rows.values())
    alone = {answer.file: answer for answer in predictor.predict(folder)}
    how = predictor.bundle.classifier.decision.combining
    for answer in told["predictions"][:20]:
        films = [alone[file] for file in answer["films"]]
        assert len({rows["/".join(file.split("/")[-2:])] for file in answer["films"]}) == 1
        used = [each for each in films if each.level != "refused" and "looks like a lateral view" not in each.reasons]
        if not used:
            continue
        odds = logit([each.probabilities["COVID"] for each in used])
        one = odds.mean() if how.rule == "mean" else odds.max()
        assert answer["probabilities"]["COVID"] == pytest.approx(expit(how.slope * one + how.intercept))
        assert answer["used"] == len(used)
    code, out, _ = call(
        "predict", run.folder, folder, "--by", "patient", "--patients", folder / "metadata.csv", "--csv"
    )
    assert next(csv.reader(io.StringIO(out)))[-2:] == ["films", "films_used"]
    assert About.of(predictor, by="patient").threshold == how.threshold


def test_refused_unreadable_and_lateral_films_have_no_say(predictor):
    films = [film(0.8), film(0.4, "flagged", reasons=("unusual",)), film(0.9, "refused"), film(0.5, "unreadable"),
             film(0.1, "flagged", reasons=("looks like a lateral view",))]  # fmt: skip
    found = grouping.join(predictor, {"COVID": HOW}, films, "patient 1")
    value = float(expit(1.5 * logit([0.8, 0.4]).mean() - 0.2))
    assert found.probabilities["COVID"] == pytest.approx(value)
    assert (found.level, found.label, found.used) == ("flagged", "COVID" if value >= 0.6 else "NORMAL", 2)
    assert found.reasons == ("3 of 5 films left out: 1 unreadable, 1 refused, 1 lateral", "unusual")
    assert found.at_prevalence == pytest.approx(value)
    lone = grouping.join(predictor, {"COVID": HOW}, films[-1:], "patient 2")
    assert lone.used == 1
    assert grouping.join(predictor, {"COVID": HOW}, [film(0.9, "refused")], "p").level == "refused"
    none = grouping.join(predictor, {"COVID": HOW}, [film(0.5, "unreadable", reasons=("broken",))], "p")
    assert (none.level, none.probabilities, none.reasons) == ("unreadable", {}, ("broken",))


def test_answers_come_in_the_order_of_first_films_and_move_with_the_prevalence(predictor):
    units = grouping.numbered(["b", "a", "b", "c"])
    assert units == [0, 1, 0, 2]
    found = list(
        grouping.joined(predictor, [film(0.2), film(0.7), film(0.4), film(0.9)], units, "study", prevalence=0.1)
    )
    assert [(each.file, len(each.films)) for each in found] == [("study 1", 2), ("study 2", 1), ("study 3", 1)]
    how = predictor.bundle.classifier.decision.combining
    odds = logit(found[1].probabilities["COVID"]) + logit(0.1) - logit(how.prevalence)
    assert found[1].at_prevalence == pytest.approx(expit(odds))


def test_arrays_need_a_patient_each(predictor):
    films = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    found = predictor.predict(list(films), by="patient", patients=["x", "y", "x"])
    assert [len(each.films) for each in found] == [2, 1]
    unknown = predictor.predict([*films, *films], by="patient", patients=["x", "", "", "nan", "Anonymous", "x"])
    assert [len(each.films) for each in unknown] == [2, 1, 1, 1, 1]
    with pytest.raises(UsageError, match="Expected a patient for each of 3 films; received 2"):
        predictor.predict(list(films), by="patient", patients=["x", "y"])
    with pytest.raises(UsageError, match="Expected patients with arrays"):
        predictor.predict(list(films), by="patient")


def test_headers_name_studies_and_patients(tmp_path):
    told = {
        "a": ("P1", "1.2.1"),
        "b": ("P1", "1.2.2"),
        "c": ("P2", "1.2.3"),
        "d": ("P1", "1.2.1"),
        "f": ("ANONYMOUS", "1.2.4"),
        "g": ("anonymous", "1.2.5"),
    }
    for name, (patient, study) in told.items():
        (tmp_path / f"{name}.dcm").write_bytes(instance_bytes(name, PatientID=patient, StudyInstanceUID=study))
    (tmp_path / "e.png").write_bytes(b"no picture")
    files = [str(tmp_path / name) for name in ("a.dcm", "b.dcm", "c.dcm", "d.dcm", "e.png", "f.dcm", "g.dcm")]
    assert grouping.units_of(files, "patient") == ([0, 0, 1, 0, 2, 3, 4], 3)
    assert grouping.units_of(files, "study") == ([0, 1, 2, 0, 3, 4, 5], 1)


def test_a_table_names_them_by_path_or_by_a_name_that_occurs_once(tmp_path):
    (tmp_path / "t.csv").write_text("file_name,patient_id,accession_number\nx/1.png,P1,A\nx/2.png,p1,B\ny/1.png,P2,A\n")
    files = [str(tmp_path / "x" / "1.png"), "elsewhere/2.png", str(tmp_path / "y" / "1.png"), "elsewhere/1.png"]
    assert grouping.units_of(files, "patient", tmp_path / "t.csv") == ([0, 0, 1, 2], 1)
    assert grouping.units_of(files, "study", tmp_path / "t.csv") == ([0, 1, 2, 3], 1)
    (tmp_path / "u.csv").write_text("file_name,age\nx/1.png,3\n")
    with pytest.raises(UsageError, match="one of patients in .*u.csv; received"):
        grouping.units_of(files, "patient", tmp_path / "u.csv")


def test_what_cannot_be_joined_is_one_line(run, call):
    code, _, err = call("predict", run.folder, "x.png", "--patients", "t.csv")
    assert (code, err) == (
        2,
        "plainfilm: Expected --by with --patients; received none. Add --by study or --by patient.\n",
    )
