import numpy as np
import pytest

from made_metrics import metrics
from plainfilm.evidence.evaluation import sample_size
from plainfilm.evidence.statistics.discrimination import delong
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.results.estimate import Estimate


def test_twice_the_patients_give_the_interval_that_is_foretold():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 150)
    scores = labels * 1.5 + random.normal(size=300)
    foretold = sample_size.narrower(delong(labels, scores), 2)
    twice = delong(np.tile(labels, 2), np.tile(scores, 2))
    assert (foretold.low, foretold.high) == pytest.approx((twice.low, twice.high), abs=2e-3)


@pytest.mark.parametrize("hits", [0, 1])
@pytest.mark.parametrize("patients", [1, 4, 300])
def test_a_share_of_none_or_all_comes_nearer_as_wilsons_interval_does(hits, patients):
    foretold = sample_size.narrower(wilson(np.full(patients, hits)), 2)
    twice = wilson(np.full(2 * patients, hits))
    assert (foretold.value, foretold.low, foretold.high) == pytest.approx((hits, twice.low, twice.high))


def test_a_perfect_area_comes_nearer_as_newcombes_interval_does():
    labels = np.repeat([0, 1], 40)
    foretold, twice = sample_size.narrower(delong(labels, labels), 2), delong(np.tile(labels, 2), np.tile(labels, 2))
    assert foretold.low == pytest.approx(twice.low, abs=3e-3)


def test_the_note_names_what_is_known():
    found = sample_size.note(metrics(n=200, auroc=Estimate(0.9, 0.85, 0.94)), 120)
    assert set(found.estimates) == {"auroc"}
    assert found.sentence.startswith("With twice the patients, 240 instead of 120, ")
    assert "AUROC 0.866 to 0.930 instead of 0.850 to 0.940" in found.sentence
    assert sample_size.note(metrics(n=200), 120) is None
