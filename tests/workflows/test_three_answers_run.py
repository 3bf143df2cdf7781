"""Two thresholds with an unsure band between them, from the training (docs/training.md) to every place that shows an answer."""

import io
import json
from dataclasses import replace

import pytest
from pydicom import dcmread

import plainfilm
from made_dicom import FakeExaminer, instance_bytes
from plainfilm.data import phantom
from plainfilm.errors import RecipeError, UsageError
from plainfilm.evidence.inference.context import About
from plainfilm.model import bundle, recipes, sites
from plainfilm.results import documents
from plainfilm.serve.dicom import header, structured_report
from plainfilm.serve.dicom.narrative import DicomAnswer
from plainfilm.serve.explaining import Examined
from plainfilm.workflows import checks

SETTINGS = {"backbone.input_size": 64, "backbone.depth": 3, "training.epochs": 2}
ASKED = {"sensitivity": 0.9, "npv": 0.8}
ASKED_OF_A_RECIPE = {f"evaluation.{name}": target for name, target in ASKED.items()}


@pytest.fixture(scope="module")
def trained(hospitals):
    return plainfilm.train(hospitals.store, hospitals.folder / "run", settings=SETTINGS, audit=False, **ASKED)


@pytest.fixture(scope="module")
def unsure(trained):
    """The same bundle with thresholds that leave about half of all unsure."""
    predictor = plainfilm.load(trained.folder)
    classifier = predictor.bundle.classifier
    decision = replace(classifier.decision, lower_threshold=0.001, threshold=0.999)
    return type(predictor)(replace(predictor.bundle, classifier=classifier.deciding(decision)))


def test_the_run_says_what_its_thresholds_promise_and_what_they_come_to(trained):
    run, opened = trained.result, bundle.load(trained.folder)
    three, decision = run.three_answers, opened.classifier.decision
    assert decision.threshold == run.threshold
    assert decision.lower_threshold <= run.threshold
    assert (three.sensitivity, three.npv, three.confidence) == (0.9, 0.8, 0.95)
    assert "The validation set is too small to promise a sensitivity of 90 %" in three.sentence
    assert set(three.splits) == {"test", "validation"}
    assert three.splits["validation"].found.value >= 0.9
    assert three.splits["test"].found.value == pytest.approx(run.test.sensitivity.value)
    assert opened.manifest.least_version == 3
    for name in ("report.html", "card.md"):
        written = (trained.folder / name).read_text()
        assert three.splits["test"].sentence[-40:] in written
        assert "Sensitivity outside the unsure band" in written


def test_answers_between_the_thresholds_have_no_class_but_their_probability(unsure, hospitals):
    films = sorted((hospitals.films).rglob("*.jpg"))[:4]
    (answer, *_) = unsure.predict(films)
    assert (answer.label, answer.level) == (None, "unsure")
    assert set(answer.probabilities) == {"COVID", "NORMAL"}
    told = documents.plain(About.of(unsure).context)
    assert (told["lower_threshold"], told["threshold"]) == (0.001, 0.999)
    assert told["three_answers"].startswith("The validation set is too small")
    assert About.of(unsure).called.endswith("NORMAL below 0.1 %, and between them the answer is unsure")


def test_another_hospital_is_told_whether_they_hold_and_promised_nothing(trained, hospitals, tmp_path):
    phantom.write_phantoms(tmp_path / "other", n=60, seed=11)
    found = plainfilm.evaluate(trained.folder, tmp_path / "other", tmp_path / "tested", recalibrate=True, site="There")
    measured = json.loads((tmp_path / "tested" / "metrics.json").read_text())["three_answers"]
    assert measured["sentence"] == found.result.three_answers.sentence
    assert measured["sentence"] in (tmp_path / "tested" / "report.html").read_text()
    opened = bundle.load(tmp_path / "tested" / "recalibrated.plainfilm")
    there = sites.at(opened, sites.find(opened, "There"))
    own, moved = opened.classifier.decision, there.classifier.decision
    assert moved.lower_threshold <= moved.threshold
    assert (moved.lower_threshold, moved.threshold) != (own.lower_threshold, own.threshold)
    assert "promised by nobody" in there.metrics.three_answers.sentence
    assert "promised by nobody" in there.metrics.by_patient.three_answers.sentence


def test_the_dicom_report_of_an_unsure_answer_gives_its_probability_and_no_class(unsure, hospitals):
    (answer,) = unsure.predict(sorted(hospitals.films.rglob("*.jpg"))[0])
    examined = Examined(prediction=answer, view=None, attribution=None, explained=None)
    said = DicomAnswer(examined=examined, identity=FakeExaminer().identity, about=About.of(unsure))
    data = instance_bytes()
    read = header.opened(data)
    made = structured_report.made(header.source(data, syntax=read.syntax, start=read.start), said)
    text = "\n".join(str(each.value) for each in dcmread(io.BytesIO(made)).iterall())
    assert "Unsure: between two thresholds" in text
    assert "Probability of COVID" in text
    assert "lower threshold: 0.001" in text
    assert f"Unsure: probability of COVID {100 * answer.probabilities['COVID']:.0f} %" in text


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"sensitivity": 0.95}, RecipeError, "sensitivity and evaluation.npv together"),
        ({"npv": 0.95}, RecipeError, "received npv alone. Set sensitivity too"),
        ({"sensitivity": 0.9, "npv": 0.9, "threshold": "0.4"}, RecipeError, "received 0.4 beside them. Leave one out."),
    ],
)
def test_one_target_alone_or_beside_a_rule_is_refused_before_anything_is_done(
    settings, error, said, hospitals, tmp_path
):
    with pytest.raises(error, match=said):
        plainfilm.train(hospitals.store, tmp_path / "run", **settings)


def test_three_answers_are_for_two_classes():
    with pytest.raises(UsageError, match="Expected two classes, or findings, for `sensitivity` with `npv`"):
        checks.check_three_answers([recipes.load("default", ASKED_OF_A_RECIPE)], None, "classes")
