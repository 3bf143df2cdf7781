import numpy as np
import pytest

from made_metrics import metrics
from plainfilm.evidence.evaluation import sample_size
from plainfilm.evidence.statistics.discrimination import delong
from plainfilm.results.estimate import Estimate


def test_twice_the_patients_give_the_interval_that_is_foretold():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 150)
    scores = labels * 1.5 + random.normal(size=300)
    foretold = sample_size.narrower(delong(labels, scores), 2)
    twice = delong(np.tile(labels, 2), np.tile(scores, 2))
    assert (foretold.low, foretold.high) == pytest.approx((twice.low, twice.high), abs=2e-3)


def test_a_perfect_value_comes_nearer_by_the_number():
    assert sample_size.narrower(Estimate(1.0, 0.9, 1.0), 2) == Estimate(1.0, 0.95, 1.0)


def test_the_note_names_what_is_known():
    found = sample_size.note(metrics(n=200, auroc=Estimate(0.9, 0.85, 0.94)), 120)
    assert set(found.estimates) == {"auroc"}
    assert found.sentence.startswith("With twice the patients, 240 instead of 120, ")
    assert "AUROC 0.866 to 0.930 instead of 0.850 to 0.940" in found.sentence
    assert sample_size.note(metrics(n=200), 120) is None
