"""What the DICOM report says of several findings: each that is called, under its own code."""

from types import SimpleNamespace

import pytest

from plainfilm.evidence.inference.grouping import deciding
from plainfilm.results.manifest import Combining
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


def test_an_unsure_finding_is_named_beside_those_that_are_called_and_alone():
    def unsure(findings, names, level):
        prediction = Prediction(
            file="f",
            label="|".join(findings) or None,
            level=level,
            probabilities=CHANCES,
            findings=findings,
            unsure=names,
        )
        return DicomAnswer(examined=SimpleNamespace(prediction=prediction), identity=None, about=ABOUT)

    assert (
        unsure(("Effusion",), ("Mass",), "ok").headline == "Effusion: probability 81 %; unsure: Mass: probability 42 %"
    )
    assert unsure((), ("Mass",), "unsure").headline == "Unsure: Mass: probability 42 %"
    assert unsure((), ("Mass",), "unsure").is_given


def test_the_film_that_speaks_most_for_any_finding_decides_what_is_shown_of_a_study():
    ways = {
        name: Combining(rule="mean", threshold=cut, prevalence=0.3, decided=True)
        for name, cut in (("A", 0.2), ("B", 0.9))
    }

    def film(a, b, level="ok"):
        return Prediction(file="f", label=None, level=level, probabilities={"A": a, "B": b})

    films = [film(0.3, 0.1), film(0.1, 0.97), film(0.99, 0.99, level="refused")]
    assert deciding(ways, films) == 1, "0.97 stands higher above 0.9 than 0.3 above 0.2; a refused film has no say"
    assert deciding(ways, films[:1]) == 0
    assert deciding(ways, [Prediction(file="f", label=None, level="unreadable", probabilities={})]) is None
