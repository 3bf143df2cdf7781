"""An answer and what spoke for it come of one pass of the network."""

from pathlib import Path

import numpy as np
import pytest

import plainfilm
from plainfilm.data import phantom
from plainfilm.data.images import fitted
from plainfilm.evidence.explanation import attribution
from plainfilm.evidence.inference import overlays
from plainfilm.model.classifier import Classifier

BUNDLE = Path(__file__).parents[2] / "written_by_0_1_0" / "run" / "model.plainfilm"


@pytest.fixture(scope="module")
def film():
    return phantom.render(phantom.plan(4, duplicates=0)[0]).pixels


@pytest.fixture
def passes(monkeypatch):
    """What was asked of the classifier, a pass each."""
    asked, run = [], Classifier.run

    def noted(self, images, *names):
        asked.append((len(images), names))
        return run(self, images, *names)

    monkeypatch.setattr(Classifier, "run", noted)
    return asked


def test_a_map_takes_no_pass_of_its_own_and_is_the_one_that_it_would_have_had(film, passes, tmp_path):
    predictor = plainfilm.load(BUNDLE)
    found = predictor.explain(film)
    assert passes == [(1, ("logits", "features", "maps", "slopes"))]
    label = predictor.classes_.index(found.explained)
    square = fitted(film, size=predictor.preprocessing.image_size, fit=predictor.preprocessing.fit)
    own = attribution.grad_cam(predictor.bundle.classifier, square[None], [label])[0]
    np.testing.assert_allclose(found.attribution, own, atol=1e-6)
    passes.clear()
    predictor.predict([film, film], explain=tmp_path / "pictures")
    assert passes == [(2, ("logits", "features", "maps", "slopes"))]


def test_a_watcher_that_wants_nothing_is_called_as_ever(film, passes):
    seen = []
    predictor = plainfilm.load(BUNDLE)
    list(predictor.stream(film, explain=lambda file, pixels, label: seen.append((file, pixels.shape, label))))
    side = predictor.preprocessing.image_size
    assert seen == [("array 0", (side, side), seen[0][2])]
    assert passes == [(1, ("logits", "features"))]


def test_occlusion_wants_nothing_of_the_pass(film):
    predictor = plainfilm.load(BUNDLE)
    assert overlays.Way.of(predictor, "occlusion").wants == ()
    assert overlays.Way.of(predictor, "gradcam").wants == ("maps", "slopes")
