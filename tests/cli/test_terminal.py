import re

import pytest
from msgspec import structs

from made_bundles import AUDIT, RUN, metrics
from plainfilm.cli import terminal
from plainfilm.results.audit import Probe, ProbedImages
from plainfilm.results.estimate import Estimate

LEARNT_NOTHING = "The model has learnt nothing."


def shown(worth_level, verdict=None):
    worth = RUN["worth"] | {"level": worth_level, "sentence": LEARNT_NOTHING}
    audit = {"audit": AUDIT | {"verdict": verdict, "sentence": "So says the audit."}} if verdict else {}
    return [line.plain for line in terminal.verdict(metrics(worth=worth, **audit))]


def test_the_accuracy_stands_with_its_interval_and_its_worth():
    assert shown("none") == [
        "Accuracy  90.0 % (80.0 to 95.0) on 60 images of the test set, 95 % interval",
        f"Worth     Not audited. {LEARNT_NOTHING}",
    ]


@pytest.mark.parametrize("verdict", ["no shortcut found", "shortcut possible"])
def test_an_audit_that_passes_hides_no_other_warning(verdict):
    said = f"Worth     {verdict.capitalize()}. So says the audit."
    assert shown("caution", verdict)[1:] == [said, f"          {LEARNT_NOTHING}"]
    assert shown("none", verdict)[1:] == [said]


def test_beside_the_worst_verdict_a_warning_is_said_and_a_caution_is_not():
    said = "Worth     Not to be believed. So says the audit."
    assert shown("warning", "not to be believed")[1:] == [said, f"          {LEARNT_NOTHING}"]
    assert shown("caution", "not to be believed")[1:] == [said]


def test_an_audit_says_what_probes_reach_within_each_source(capsys):
    within = ProbedImages(auroc=Estimate(0.912, 0.88, 0.94), n=391)
    probe = Probe(auroc=Estimate(0.61, 0.5, 0.7), n=600, title="Framing", sees="framing", by_source={"East": within, "": within})  # fmt: skip
    found = structs.replace(metrics(audit=AUDIT).audit, probes={"framing": probe})
    terminal.say(*terminal.audited(found))
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["AUROC", "within", "framing"] in said
    assert ["East", "0.91", "(0.88–0.94)"] in said
    assert ["not", "named", "0.91", "(0.88–0.94)"] in said


def test_what_a_file_holds_is_written_for_people():
    found = {
        "threshold": 0.5101094846525049, "findings": {}, "seed": None, "seconds": {"training": 4.641727049995097},
        "accuracy": {"value": 0.9, "low": 0.8, "high": 0.95}, "scale": [0.5, 0.25],
        "statistics": [{"name": "brightness", "edges": [1.0, 2.0]}, {"name": "contrast", "edges": []}],
        "origins": [{"backbone": "mobilenet", "licence": "Apache-2.0"}],
    }  # fmt: skip
    assert [re.sub(r"  +", ": ", line.plain.strip()) for line in terminal.outline(found)] == [
        "threshold: 0.5101", "seconds", "training: 4.642", "accuracy: 0.900 (0.800 to 0.950)", "scale: 0.5, 0.25",
        "statistics: brightness, contrast", "origins: mobilenet; Apache-2.0",
    ]  # fmt: skip
