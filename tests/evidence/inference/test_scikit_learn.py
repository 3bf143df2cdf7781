"""A predictor where scikit-learn expects a classifier: the real scikit-learn, with a bundle and a store of 0.1.0."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibrationDisplay, calibration_curve
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    DetCurveDisplay,
    PrecisionRecallDisplay,
    RocCurveDisplay,
    accuracy_score,
    confusion_matrix,
    get_scorer,
    roc_auc_score,
)
from sklearn.model_selection import cross_val_score
from sklearn.utils.validation import check_is_fitted

import plainfilm
from plainfilm.errors import ImageError, UsageError

OLD = Path(__file__).parents[2] / "written_by_0_1_0"


@pytest.fixture(scope="module")
def predictor():
    return plainfilm.load(OLD / "run" / "model.plainfilm")


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    """Pixels and class names of a test set."""
    path = shutil.copy(OLD / "store.h5", tmp_path_factory.mktemp("store"))
    with plainfilm.Store(path) as store:
        pixels, labels = store.arrays("test")
        return pixels, np.array(store.classes)[labels]


def test_it_is_a_fitted_classifier_that_cannot_be_fitted_again(predictor):
    assert is_classifier(predictor)
    check_is_fitted(predictor)
    assert clone(predictor) is predictor
    assert predictor.get_params() == {}
    with pytest.raises(UsageError, match=r"plainfilm\.train"):
        predictor.fit([], [])


def test_cross_validation_says_what_to_do(predictor, tested):
    with pytest.raises(UsageError, match=r"Train another with plainfilm\.train"):
        cross_val_score(predictor, *tested, cv=2, error_score="raise")


def test_names_of_files_may_be_an_array_and_labels_may_be_weighed(predictor, tested, tmp_path):
    pixels, truth = tested
    files = [str(tmp_path / f"{number}.png") for number in range(len(pixels))]
    for file, film in zip(files, pixels, strict=True):
        Image.fromarray(film).save(file)
    table = pd.DataFrame({"file": files, "age": 50})
    for names in (np.array(files), np.array(files, object), table["file"], table[["file"]]):
        assert predictor.predict(names).labels == predictor.predict(files).labels
    with pytest.raises(UsageError, match="received a table of 2 columns"):
        predictor.predict(table)
    weights = np.arange(len(truth))
    called = np.asarray(predictor.predict(pixels))
    expected = accuracy_score(truth, called, sample_weight=weights)
    assert predictor.score(pixels, truth, sample_weight=weights) == pytest.approx(expected)


def test_what_is_no_radiograph_is_one_line(predictor):
    for films in ([3], (each for each in [None]), {"a": 1}):
        with pytest.raises(UsageError, match="Expected .*films"):
            predictor.predict(films)


@pytest.mark.parametrize("positive", ["COVID", "NORMAL"])
@pytest.mark.parametrize(
    "display", [RocCurveDisplay, PrecisionRecallDisplay, DetCurveDisplay, CalibrationDisplay, ConfusionMatrixDisplay]
)
def test_displays_are_made_of_it_with_a_class_by_its_name(predictor, tested, display, positive):
    asked = {} if display is ConfusionMatrixDisplay else {"pos_label": positive}
    drawn = display.from_estimator(predictor, *tested, **asked)
    if display is RocCurveDisplay:
        chances = predictor.predict_proba(tested[0])[:, predictor.classes_.index(positive)]
        assert drawn.roc_auc == pytest.approx(roc_auc_score(tested[1] == positive, chances))
    if display is ConfusionMatrixDisplay:
        assert drawn.confusion_matrix.sum() == len(tested[1])
        assert list(drawn.display_labels) == ["COVID", "NORMAL"]


def test_metrics_take_its_answers(predictor, tested):
    pixels, truth = tested
    called = predictor.predict(pixels)
    assert accuracy_score(truth, called) == predictor.score(pixels, truth) == get_scorer("accuracy")(predictor, *tested)
    assert confusion_matrix(truth, called, labels=list(predictor.classes_)).sum() == len(truth)
    assert 0 <= get_scorer("roc_auc")(predictor, *tested) <= 1
    chances = predictor.predict_proba(pixels)[:, 0]
    shares, means = calibration_curve(truth, chances, pos_label="COVID", n_bins=2)
    assert ((shares >= 0) & (means <= 1)).all()


def test_as_an_array_answers_are_the_classes_that_they_call(predictor, tested, tmp_path):
    answers = predictor.predict(tested[0])
    called = np.asarray(answers)
    assert set(called.tolist()) <= set(predictor.classes_)
    assert [label for label in answers.labels if label] == [
        name for name, label in zip(called.tolist(), answers.labels, strict=True) if label
    ]
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"bad\.png"):
        np.asarray(predictor.predict(tmp_path / "bad.png"))


def test_classes_are_a_tuple_that_is_compared_with_one_name_as_an_array(predictor):
    assert predictor.classes_ == ("COVID", "NORMAL")
    assert (predictor.classes_ == "NORMAL").tolist() == [False, True]
    assert predictor.classes_.tolist() == ["COVID", "NORMAL"]
    assert hash(predictor.classes_) == hash(("COVID", "NORMAL"))


@pytest.mark.parametrize(
    ("labels", "received"),
    [
        (lambda names: np.zeros(len(names), int), "received 0."),
        (lambda names: ["covid"] * len(names), "received covid."),
    ],
)
def test_labels_that_are_no_classes_are_one_line(predictor, tested, labels, received):
    with pytest.raises(UsageError, match="Expected labels among COVID, NORMAL; ") as refused:
        predictor.score(tested[0], labels(tested[1]))
    assert received in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(UsageError, match="labels, one a radiograph"):
        predictor.score(tested[0], tested[1][:1])
