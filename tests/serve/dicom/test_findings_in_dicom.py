"""What the DICOM report says of several findings: each that is called, under its own code."""

from types import SimpleNamespace

import pytest

from plainfilm.results.predictions import Prediction
from plainfilm.serve.dicom.narrative import DicomAnswer

pytest.importorskip("highdicom")
CHANCES = {"Effusion": 0.81, "Mass": 0.42, "Odd shadow": 0.6}
ABOUT = SimpleNamespace(task="findings", positive=None, thresholds={"Effusion": 0.5, "Mass": 0.7, "Odd shadow": 0.5})


def answer(findings, label, level="ok"):
    prediction = Prediction(file="f", label=label, level=level, probabilities=CHANCES, findings=findings)
    return DicomAnswer(examined=SimpleNamespace(prediction=prediction), identity=None, about=ABOUT)


def test_the_headline_names_every_finding_with_its_probability():
    said = answer(("Effusion", "Odd shadow"), "Effusion|Odd shadow", "flagged").headline
    assert said == "Effusion: probability 81 %, Odd shadow: probability 60 % (flagged)"
    assert answer((), "No Finding").headline == "No Finding: of what was looked for Effusion is the most probable, 81 %"
