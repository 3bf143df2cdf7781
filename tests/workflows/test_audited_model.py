from types import SimpleNamespace

import pytest

from plainfilm.errors import MissingExtraError, WeightsError
from plainfilm.model import backbones, encoder
from plainfilm.workflows import audited_model

STORE = SimpleNamespace(size=256)
OWN = backbones.BACKBONES["densenet121"]


def own(**told):
    prepare = encoder.preprocessing(OWN, image_size=256, **told)
    return SimpleNamespace(weights_sha256="own", preprocessing=prepare)


@pytest.fixture
def opened(monkeypatch):
    """Backbones that were opened, and how images are prepared for them; no network is built."""
    found = []

    def open_encoder(backbone, prepare):
        found.append((backbone.name, prepare))
        return SimpleNamespace(weights_sha256="lite", preprocessing=prepare)

    monkeypatch.setattr(encoder, "open_encoder", open_encoder)
    return found


def test_probes_look_with_the_default_backbone_prepared_as_the_run_is(opened):
    found = audited_model.probing_encoder(STORE, own(input_size=512, crop="lungs", intensities="harmonised"))
    assert found.weights_sha256 == "lite"
    ((name, prepare),) = opened
    assert name == backbones.DEFAULT
    assert (prepare.input_size, prepare.crop, prepare.intensities) == (224, "lungs", "harmonised")
    audited_model.probing_encoder(STORE, own(input_size=96))
    assert opened[1][1].input_size == 96, "no finer than the run looks"


def test_a_run_of_the_default_backbone_looks_with_its_own(opened):
    mine = SimpleNamespace(weights_sha256="lite", preprocessing=own().preprocessing)
    assert audited_model.probing_encoder(STORE, mine) is mine


@pytest.mark.parametrize("error", [MissingExtraError, WeightsError])
def test_without_the_default_weights_a_run_looks_with_its_own(monkeypatch, error):
    def missing(*_):
        raise error("Expected the weights; received none.")

    monkeypatch.setattr(encoder, "open_encoder", missing)
    mine = own()
    assert audited_model.probing_encoder(STORE, mine) is mine
