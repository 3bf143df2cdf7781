from pathlib import Path

import numpy as np
import pytest

import plainfilm
from plainfilm.errors import UsageError
from plainfilm.model import devices, onnx_session
from plainfilm.model.onnx_session import open_network

BUNDLE = Path(__file__).parents[2] / "written_by_0_1_0" / "run" / "model.plainfilm"


def test_a_device_that_is_not_offered_is_told_when_a_bundle_is_loaded():
    with pytest.raises(UsageError, match="received rocm. Put onnxruntime-migraphx in the place"):
        plainfilm.load(BUNDLE, device="rocm")
    with pytest.raises(UsageError, match="'cpu', .*; received 'gpu'"):
        plainfilm.load(BUNDLE, device="gpu")


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_device_that_does_not_start_is_told_before_the_first_answer(monkeypatch):
    monkeypatch.setattr(devices, "offered", lambda: ("cuda", "cpu"))
    with pytest.raises(
        UsageError, match=r"Expected the device cuda to run networks; .*\(its driver or its libraries are missing\)"
    ):
        plainfilm.load(BUNDLE, device="cuda")


class Elsewhere:
    """A session on a GPU, here."""

    def __init__(self, network, **told):
        self.session = open_network(network, **told)
        self.run, self.get_inputs = self.session.run, self.session.get_inputs

    def get_providers(self):
        return ["CUDAExecutionProvider"]


def test_answers_of_a_device_are_the_processors(monkeypatch):
    monkeypatch.setattr(devices, "offered", lambda: ("cuda", "cpu"))
    monkeypatch.setattr(
        onnx_session,
        "open_network",
        lambda network, device="cpu", **told: (Elsewhere if device == "cuda" else open_network)(network, **told),
    )
    there, here = (plainfilm.load(BUNDLE, device=name) for name in ("cuda", "cpu"))
    assert (there.bundle.classifier.device, here.bundle.classifier.device) == ("cuda", "cpu")
    films = np.random.default_rng(0).integers(0, 256, (3, 70, 80), np.uint8)
    np.testing.assert_allclose(there.predict_proba(films), here.predict_proba(films), atol=1e-5)
