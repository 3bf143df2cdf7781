import csv
import io
import json
import re

import msgspec
import pytest

import made_bundles
from plainfilm.cli import predictions
from plainfilm.evidence.inference import context
from plainfilm.results import documents
from plainfilm.results.predictions import Prediction, PredictionDocument

WORTH = made_bundles.RUN["worth"] | {"level": "warning", "sentence": "The source gives it away."}
METRICS = made_bundles.metrics(worth=WORTH, audit=made_bundles.AUDIT)
SICK = Prediction(
    file="a.png", label="COVID", probabilities={"COVID": 0.93, "NORMAL": 0.07}, level="ok", at_prevalence=0.3124, in_lungs=0.41
)  # fmt: skip
TURNED = Prediction(
    file="b, left.png",
    label="NORMAL",
    probabilities={"COVID": 0.2, "NORMAL": 0.8},
    level="flagged",
    reasons=("looks inverted",),
    notes=("no lungs found",),
    at_prevalence=0.01,
)
CAT = Prediction(file="cat.jpg", label=None, probabilities={"COVID": 0.9, "NORMAL": 0.1}, level="refused", reasons=("unlike the training images",), at_prevalence=0.3)  # fmt: skip
BROKEN = Prediction(
    file="bad.jpg", label=None, probabilities={}, level="unreadable", reasons=("Expected an image; received none.",)
)
EVERY = [SICK, TURNED, CAT, BROKEN]


def about(**changed):
    known = {
        "classes": ("COVID", "NORMAL"),
        "positive": "COVID",
        "threshold": 0.41,
        "calibrated_at": 0.5,
        "prevalence": 0.02,
    }
    return context.About(metrics=METRICS, **{**known, **changed})


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def lines(capsys, answers, told):
    tally = predictions.Tally()
    predictions.as_lines(tally.watch(answers), told)
    predictions.say_summary(tally, told)
    return capsys.readouterr().out.splitlines()


def test_each_answer_is_a_line_and_the_verdict_stands_below(capsys):
    said = lines(capsys, EVERY, about())
    assert re.split(r"\s{2,}", said[0].strip()) == ["COVID", "at 2 %", "class", "file"]
    cells = [re.split(r"\s{2,}", line.strip()) for line in said[1:5]]
    assert cells[0] == ["93.0 %", "31.2 %", "COVID", "a.png", "41 % of what it looked at lies in the lungs"]
    assert cells[1] == ["20.0 %", "1.0 %", "NORMAL", "b, left.png", "flagged: looks inverted; no lungs found"]
    assert cells[2] == ["90.0 %", "30.0 %", "refused", "cat.jpg", "unlike the training images"]
    assert cells[3] == ["–", "–", "unreadable", "bad.jpg", "Expected an image; received none."]
    assert said[6] == "4 files: 1 COVID, 1 NORMAL, 1 refused, 1 unreadable."
    assert "from a probability of 41.0 % on" in said[7]
    assert any("Not to be believed. A classifier that never sees the lungs" in line for line in said)
    assert said[-1] == "Research use only; not a medical device."


def test_one_answer_says_what_it_means_at_the_stated_prevalence(capsys):
    assert "Where 2 % of those examined have COVID, 31 of 100 radiographs with this answer show it, if the probability is right." in lines(capsys, [SICK], about())  # fmt: skip
    assert not any("of 100 radiographs" in line for line in lines(capsys, [CAT], about()))


def test_the_column_for_a_prevalence_stands_only_where_one_is_stated(capsys):
    said = lines(capsys, [SICK], about(prevalence=0.5))
    assert "at 50" not in said[0]
    assert "31.2 %" not in said[1]


def test_a_bundle_without_audit_says_so(capsys):
    told = about()
    bare = context.About(**{name: getattr(told, name) for name in ("classes", "positive", "threshold", "calibrated_at", "prevalence")},
                           metrics=made_bundles.metrics(worth=WORTH))  # fmt: skip
    assert any("Not audited. The source gives it away." in line for line in lines(capsys, [SICK], bare))


def test_csv_has_one_row_an_answer(capsys):
    predictions.as_csv(EVERY, about())
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["file"] for row in rows] == ["a.png", "b, left.png", "cat.jpg", "bad.jpg"]
    assert [row["class"] for row in rows] == ["COVID", "NORMAL", "", ""]
    assert [row["probability"] for row in rows] == ["0.930000", "0.200000", "0.900000", ""]
    assert (rows[1]["reasons"], rows[1]["notes"]) == ("looks inverted", "no lungs found")
    assert (rows[0]["attribution_in_lungs"], rows[0]["at_prevalence"]) == ("0.410000", "0.312400")


def test_json_is_one_object_with_what_is_needed_to_read_it(capsys):
    predictions.as_json(iter(EVERY), about())
    told = json.loads(capsys.readouterr().out)
    assert (told["positive"], told["threshold"], told["prevalence"]) == ("COVID", 0.41, 0.02)
    assert told["verdict"] == "not to be believed"
    assert (told["format"], told["version"]) == ("plainfilm-predictions", 1)
    assert told["predictions"] == [documents.plain(answer) for answer in EVERY]
    assert list(told["predictions"][0]) == ["file", "class", "level", "probabilities", "at_prevalence", "reasons", "notes", "attribution_in_lungs"]  # fmt: skip
    assert told["predictions"][3]["probabilities"] == {}
    predictions.as_json([msgspec.structs.replace(SICK, file="\udce4.png")], about())
    text = capsys.readouterr().out
    assert json.loads(text)["predictions"][0]["file"] == "\udce4.png", "a name that is no Unicode"
    predictions.as_json(iter(EVERY), about())
    assert documents.decode(capsys.readouterr().out, PredictionDocument, "stdout").predictions == tuple(EVERY)
    predictions.as_json([], about())
    assert json.loads(capsys.readouterr().out)["predictions"] == []


def test_more_than_two_classes_have_a_column_each_and_no_prevalence(capsys):
    told = about(classes=("A", "B", "C"), positive=None, calibrated_at=None, prevalence=None)
    answer = Prediction(file="x.png", label="B", probabilities={"A": 0.2, "B": 0.7, "C": 0.1}, level="ok")
    predictions.as_csv([answer], told)
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["probability B"], row["at_prevalence"]) == ("0.700000", "")
    said = lines(capsys, [answer], told)
    assert re.split(r"\s{2,}", said[1].strip()) == ["70.0 %", "B", "x.png"]


def test_the_tally_knows_when_nothing_could_be_read():
    tally = predictions.Tally()
    list(tally.watch([BROKEN, BROKEN]))
    assert tally.nothing_answered
    list(tally.watch([SICK]))
    assert not tally.nothing_answered


def test_of_findings_it_is_said_whose_probability_stands_before_each(capsys):
    none = Prediction(file="a.png", label="No Finding", probabilities={"Effusion": 0.2, "Mass": 0.1}, level="ok")
    told = about(classes=("Effusion", "Mass"), positive=None, task="findings", calibrated_at=None, prevalence=None)
    said = lines(capsys, [none], told)
    assert re.fullmatch(r" +20\.0 % +No Finding +a\.png", said[1])
    assert "Most probable: the probability of the most probable finding, called or not." in "\n".join(said)
