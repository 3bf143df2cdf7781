"""All that is measured of a run, each thing once."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from plainfilm.data.store import SPLITS, Store
from plainfilm.evidence import run
from plainfilm.evidence.evaluation import evaluate
from plainfilm.evidence.evaluation.evaluate import judge, judge_folds
from plainfilm.evidence.external.training_fingerprints import TrainingFingerprints
from plainfilm.model import bfloat16, recipes
from plainfilm.results import documents
from plainfilm.results.metrics import Encoded, RunMetrics
from plainfilm.workflows.fit import cross_validate, fit

OLD = Path(__file__).parents[1] / "written_by_0_1_0"
FOLDS = 3


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def store():
    with Store(OLD / "store.h5") as opened:
        yield opened


@pytest.fixture(scope="module")
def recipe():
    return recipes.load(str(OLD / "run" / "recipe.toml"), {"backbone.name": str(OLD / "backbone.onnx")})


@pytest.fixture
def calls(monkeypatch):
    """How often each of what is slow was called."""
    counted: Counter[str] = Counter()

    def counting(name, function):
        def call(*args):
            counted[name] += 1
            return function(*args)

        return call

    score = counting("score", evaluate.score)
    for module in (evaluate, run):
        monkeypatch.setattr(module, "score", score)
    monkeypatch.setattr(run, "usual", counting("fit", run.usual))
    monkeypatch.setattr(TrainingFingerprints, "of", counting("fingerprints", TrainingFingerprints.of))
    return counted


def test_one_training_is_scored_fitted_and_fingerprinted_once(store, recipe, calls):
    trained = fit(store, recipe, positive="COVID")
    measured = run.measure(
        store, trained, trained.classifier(), judge(store, trained), openings=2, versions={"plainfilm": "1"}
    )
    assert calls == {"score": len(SPLITS), "fit": 1, "fingerprints": 1}
    assert list(measured.predictions) == list(SPLITS)
    assert sum(len(own.rows) for own in measured.predictions.values()) == np.count_nonzero(store.labels >= 0)
    result = measured.whole.result
    right = trained.decision.predict(measured.test.probabilities) == measured.test.labels
    assert result.test.accuracy.value == pytest.approx(right.mean())
    assert measured.prevalence == pytest.approx((measured.test.labels == 0).mean())
    assert (result.folds, result.test_openings, result.audit, result.explanation) == (None, 2, None, None)
    assert result.outliers.promise == measured.whole.detector.promise
    assert result.outliers.refused.is_known
    again = documents.decode(documents.encode(result), RunMetrics, "metrics.json")
    assert documents.plain(again) == documents.plain(result)


def test_each_fold_of_a_cross_validation_is_scored_fitted_and_fingerprinted_once(store, recipe, calls):
    found = cross_validate(store, recipe, FOLDS, positive="COVID")
    judged = judge_folds(store, found.trained, found.folds)
    measured = run.measure(
        store, found.trained, found.trained.classifier(), judged, openings=1, versions={}, folds=found.folds
    )
    assert calls == {"score": 2 * FOLDS, "fit": 1 + FOLDS, "fingerprints": 1 + FOLDS}
    assert [own.result.tested for own in (measured.whole, *measured.folds)] == ["out_of_fold"] + ["test"] * FOLDS
    assert list(measured.predictions) == [f"fold {number}" for number in range(1, FOLDS + 1)]
    rows = np.concatenate([own.rows for own in measured.predictions.values()])
    assert sorted(rows) == np.flatnonzero(store.labels >= 0).tolist()
    assert measured.whole.result.folds == FOLDS
    assert measured.whole.result.outliers.refused is None, "the joined detector has learnt from all of them"
    assert all(own.result.outliers.refused.is_known for own in measured.folds)
    assert [own.result.folds for own in measured.folds] == [None] * FOLDS


@pytest.mark.skipif(not bfloat16.is_native(), reason="without instructions for bfloat16")
def test_a_training_in_bfloat16_says_so_and_its_bundle_answers_about_alike(store):
    asked = {"backbone.name": str(OLD / "backbone.onnx"), "backbone.precision": "bfloat16", "training.epochs": 2}
    trained = fit(store, recipes.load(str(OLD / "run" / "recipe.toml"), asked), positive="COVID")
    classifier, judged = trained.classifier(), judge(store, trained)
    measured = run.measure(store, trained, classifier, judged, openings=1, versions={})
    assert measured.whole.result.encoded == Encoded(device="cpu", precision="bfloat16")
    answered = classifier.predict_proba(store.images(measured.test.rows))
    np.testing.assert_allclose(answered, measured.test.probabilities, atol=0.05)
    assert np.abs(answered - measured.test.probabilities).max() > 0
