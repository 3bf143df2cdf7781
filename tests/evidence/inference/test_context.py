import json

import pytest
from msgspec import structs

from made_bundles import AUDIT, RUN, metrics
from plainfilm import NOTICE
from plainfilm.evidence.inference.context import About, in_one, loudest, worth
from plainfilm.results import documents
from plainfilm.results.predictions import Prediction
from plainfilm.results.severity import Worth

BLIND = RUN["worth"] | {"level": "caution", "sentence": "The file's size alone does nearly as well."}
FINE = RUN["worth"] | {"level": "none", "sentence": "No rule without images does as well."}
SICK = Prediction(
    file="a.png", label="COVID", probabilities={"COVID": 0.93, "NORMAL": 0.07}, level="ok", at_prevalence=0.3124
)


def audit(verdict):
    return AUDIT | {"verdict": verdict, "sentence": "What was found."}


def about(**changed):
    known = {
        "classes": ("COVID", "NORMAL"), "positive": "COVID", "threshold": 0.41, "calibrated_at": 0.5, "prevalence": 0.02,
        "metrics": metrics(worth=BLIND, audit=audit("not to be believed")),
    }  # fmt: skip
    return About(**{**known, **changed})


def test_without_an_audit_the_rules_without_images_speak_and_that_is_said():
    (said,) = worth(metrics(worth=BLIND))
    assert said == Worth(level="caution", sentence=f"Not audited. {BLIND['sentence']}")
    assert worth(metrics(worth=FINE))[0].level == "none"


@pytest.mark.parametrize(
    ("verdict", "level"),
    [("no shortcut found", "none"), ("shortcut possible", "caution"), ("not to be believed", "warning")],
)
def test_the_verdict_comes_first_with_its_level(verdict, level):
    first = worth(metrics(worth=FINE, audit=audit(verdict)))
    assert first == (Worth(level=level, sentence=f"{verdict.capitalize()}. What was found."),)


def test_a_clean_audit_does_not_silence_the_rules_without_images():
    clean = about(metrics=metrics(worth=BLIND, audit=audit("no shortcut found")))
    assert [each.level for each in clean.worth] == ["none", "caution"]
    assert BLIND["sentence"] in clean.worth[1].sentence
    assert clean.loudest == clean.worth[1]


def test_what_is_not_to_be_believed_needs_no_caution_besides():
    assert len(worth(metrics(worth=BLIND, audit=audit("not to be believed")))) == 1


def test_a_leak_is_said_beside_any_verdict():
    leak = RUN["worth"] | {"level": "warning", "sentence": "The given split leaks."}
    said = worth(metrics(worth=leak, audit=audit("not to be believed")))
    assert [each.sentence for each in said] == ["Not to be believed. What was found.", "The given split leaks."]
    assert loudest(said) == said[0]
    assert in_one(said) == "Not to be believed. What was found. The given split leaks."


def test_the_meaning_names_the_prevalence_the_class_and_what_it_comes_to():
    assert about().meaning(SICK) == (
        "Where 2 % of those examined have COVID, 31 of 100 radiographs with this answer show it, if the probability is right."
    )
    assert about(prevalence=0.0005).meaning(SICK).startswith("Where 0.05 % of")


@pytest.mark.parametrize("answer", [structs.replace(SICK, label=None), structs.replace(SICK, at_prevalence=None)])
def test_where_an_answer_means_nothing_nothing_is_said(answer):
    assert about().meaning(answer) == ""
    assert about(prevalence=None).meaning(SICK) == ""


def test_what_stands_above_the_answers_is_json_with_every_name():
    told = documents.plain(about().context)
    assert json.loads(json.dumps(told)) == told
    assert told == {
        "classes": ["COVID", "NORMAL"], "positive": "COVID", "threshold": 0.41, "calibrated_at_prevalence": 0.5,
        "prevalence": 0.02, "verdict": "not to be believed", "worth": "Not to be believed. What was found.",
    }  # fmt: skip


def test_with_more_than_two_classes_there_is_neither_threshold_nor_prevalence():
    three = about(
        classes=("A", "B", "C"), positive=None, calibrated_at=None, prevalence=None, metrics=metrics(worth=FINE)
    )
    told = documents.plain(three.context)
    assert [told[name] for name in ("positive", "threshold", "calibrated_at_prevalence", "prevalence", "verdict")] == [
        None
    ] * 5
    assert told["worth"].startswith("Not audited. ")


def test_the_notice_says_what_it_is_not():
    assert "not a medical device" in NOTICE


def test_whose_calibration_is_used_is_never_silent():
    assert about().calibration == ""
    assert about().context.site is None
    there = about(site="Guangzhou", sites=("Guangzhou", "Hill"))
    assert there.calibration == "The calibration of the site Guangzhou is used."
    assert documents.plain(there.context)["site"] == "Guangzhou"
    assert "of none of its sites (Guangzhou, Hill)" in about(sites=("Guangzhou", "Hill")).calibration
