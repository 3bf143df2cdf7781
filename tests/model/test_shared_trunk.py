"""Bundles of one backbone run it in one session, and answer as each would alone."""

import gc
from pathlib import Path

import numpy as np
import pytest

from made_bundles import rewritten
from plainfilm.errors import BundleError
from plainfilm.model import bundle, devices
from plainfilm.model.onnx_session import ImageNetwork
from plainfilm.model.shared_trunk import Trunks

OLD = Path(__file__).parents[1] / "written_by_0_1_0" / "run" / "model.plainfilm"
ALL = ("logits", "features", "maps", "slopes")


@pytest.fixture(scope="module")
def own():
    return bundle.load(OLD).classifier


@pytest.fixture(scope="module")
def images(own):
    return np.random.default_rng(0).integers(0, 256, (5, own.image_size, own.image_size)).astype(np.uint8)


def opened(path=OLD):
    return bundle.load(path).classifier


@pytest.mark.parametrize(
    "names", [ALL, ("logits", "features"), ("logits",), ("features",), ("slopes", "maps"), ("maps", "logits")]
)
def test_outputs_are_those_of_the_whole_network_in_the_order_asked_for(own, images, names):
    shared = Trunks().share(opened())
    for expected, received in zip(own.run(images, *names), shared.run(images, *names), strict=True):
        np.testing.assert_allclose(received, expected, atol=1e-5)
    assert (shared.image_size, shared.looks_at_maps, shared.key) == (own.image_size, own.looks_at_maps, own.key)


def test_one_trunk_is_opened_for_bundles_of_one_backbone_and_let_go_with_the_last(tmp_path, images, monkeypatch):
    made = []
    start = ImageNetwork.__init__
    monkeypatch.setattr(
        ImageNetwork, "__init__", lambda self, *told, **named: made.append(1) or start(self, *told, **named)
    )
    trunks = Trunks()
    first = trunks.share(opened())
    other = trunks.share(opened(rewritten(OLD, tmp_path / "b.plainfilm", threshold=0.9)))
    assert len(made) == 1 + 1, "one trunk; the other is of `rewritten`, which looks at what it writes"
    assert first.network == other.network == b""
    assert other.decision.threshold == 0.9
    np.testing.assert_array_equal(first.logits(images), other.logits(images))
    del first, other
    gc.collect()
    assert not list(trunks._open)


def test_another_head_of_the_same_backbone_shares_it_and_answers_its_own(tmp_path, own, images):
    """The weights of the last layer, turned round: the logits change their sign."""
    onnx = pytest.importorskip("onnx")
    from onnx import numpy_helper

    from plainfilm.model.classifier import Classifier

    model = onnx.load_from_string(own.network)
    for weight in model.graph.initializer:
        if weight.name in {"head_w2", "head_w3"}:
            weight.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(weight), weight.name))
    trunks = Trunks()
    first = trunks.share(opened())
    turned = trunks.share(Classifier(model.SerializeToString(), own.decision))
    assert turned._prepared._trunk is first._prepared._trunk
    np.testing.assert_allclose(turned.logits(images), -own.logits(images), atol=1e-5)


def test_a_trunk_that_answers_otherwise_is_found_by_the_golden_answers():
    shared = opened()
    wrong = type("Wrong", (), {"run": lambda *_: [np.full((2, 1), 9.0, np.float32)]})()
    with pytest.raises(BundleError, match="other answers here"):
        shared.through(wrong)


def test_what_another_device_runs_is_left_as_it_is():
    elsewhere = opened()
    elsewhere._device = devices.Chosen("cuda", is_demanded=False)
    assert Trunks().share(elsewhere) is elsewhere
