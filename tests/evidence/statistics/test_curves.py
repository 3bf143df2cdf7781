import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score, roc_curve

from plainfilm.evidence.statistics.curves import MAX_POINTS, _thin, curves


def sample(seed, n=300, ties=False):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, n)
    labels[:2] = 0, 1
    chances = 1 / (1 + np.exp(-(random.normal(size=n) + 1.5 * labels - 0.75)))
    return labels, (chances.round(2) if ties else chances)


@settings(max_examples=40)
@given(st.integers(0, 2**16), st.booleans())
def test_the_roc_is_scikit_learns(seed, ties):
    labels, chances = sample(seed, 80, ties)
    found = curves(labels, chances)
    fpr, tpr, thresholds = roc_curve(labels, chances, drop_intermediate=False)
    way = found.fpr + found.tpr
    assert np.interp(fpr + tpr, way, found.tpr) == pytest.approx(tpr)  # corners are kept, points between them are not
    known = dict(zip(thresholds, zip(fpr, tpr, strict=True), strict=True))
    assert np.array([known[t] for t in found.roc_thresholds]) == pytest.approx(np.stack([found.fpr, found.tpr], axis=1))


@settings(max_examples=40)
@given(st.integers(0, 2**16))
def test_every_point_of_the_precision_recall_curve_is_scikit_learns(seed):
    labels, chances = sample(seed, 80, ties=True)
    found = curves(labels, chances)
    precision, recall, thresholds = precision_recall_curve(labels, chances)
    known = {t: (r, p) for r, p, t in zip(recall, precision, thresholds, strict=False)}
    for x, y, threshold in zip(found.recall[1:], found.precision[1:], found.pr_thresholds[1:], strict=True):
        assert (x, y) == pytest.approx(known[threshold])
    assert (found.recall[0], found.recall[-1]) == (0.0, 1.0)


def test_the_points_stand_at_their_thresholds():
    labels, chances = sample(0)
    found = curves(labels, chances)
    for x, y, threshold in zip(found.fpr, found.tpr, found.roc_thresholds, strict=True):
        called = chances >= threshold
        assert (x, y) == pytest.approx((called[labels == 0].mean(), called[labels == 1].mean()))


def test_long_curves_are_thinned_without_changing_their_shape():
    labels, chances = sample(1, 20_000)
    found = curves(labels, chances)
    assert max(len(found.fpr), len(found.recall)) <= MAX_POINTS
    assert (found.fpr[0], found.tpr[0], found.fpr[-1], found.tpr[-1]) == (0, 0, 1, 1)
    assert auc(found.fpr, found.tpr) == pytest.approx(roc_auc_score(labels, chances), abs=1e-3)
    fpr, tpr, _ = roc_curve(labels, chances)
    assert np.abs(np.interp(fpr + tpr, found.fpr + found.tpr, found.tpr) - tpr).max() < 0.005  # along the line
    precision, recall, _ = precision_recall_curve(labels, chances)
    late = recall > 0.05  # before that a few rows make the line jump up and down
    assert np.abs(np.interp(recall[late], found.recall, found.precision) - precision[late]).max() < 0.02


def test_points_are_chosen_evenly_along_a_staircase():
    steps = np.arange(1025)
    x, y = (steps // 2) / 512, ((steps + 1) // 2) / 512  # 1025 corners, one unit of way apart
    chosen = _thin(x, y)
    assert chosen.tolist() == sorted({int(np.ceil(round(way, 9))) for way in np.linspace(0, 1024, MAX_POINTS)})
    assert _thin(x[:MAX_POINTS], y[:MAX_POINTS]).tolist() == list(range(MAX_POINTS))
    assert len(_thin(x[: MAX_POINTS + 1], y[: MAX_POINTS + 1])) <= MAX_POINTS


def test_the_corner_behind_a_long_first_step_is_kept():
    steps = np.arange(1024)
    x, y = np.append(0.0, 0.5 + steps // 2 / 1024), np.append(0.0, (steps + 1) // 2 / 512)
    assert _thin(x, y)[:2].tolist() == [0, 1]


def test_points_on_a_straight_way_are_left_out():
    assert _thin(np.array([0.0, 0.1, 0.5, 1.0]), np.array([0.0, 0.2, 1.0, 1.0])).tolist() == [0, 2, 3]


def test_reliability_is_scikit_learns_with_wilson_intervals():
    labels, chances = sample(2)
    found = curves(labels, chances)
    observed, predicted = calibration_curve(labels, chances, n_bins=10)
    assert found.observed == pytest.approx(observed)
    assert found.mean_predicted == pytest.approx(predicted)
    assert found.count.sum() == len(labels)
    for share, low, high, count in zip(found.observed, found.low, found.high, found.count, strict=True):
        expected = binomtest(round(share * count), int(count)).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_bins_without_rows_are_left_out_and_groups_widen_the_others():
    labels, chances = np.tile([0, 1, 1, 1], 10), np.full(40, 0.72)
    alone, grouped = curves(labels, chances, 5), curves(labels, chances, 5, group=np.arange(40) // 20)
    assert (alone.count.tolist(), alone.observed.tolist()) == ([40], [0.75])
    assert grouped.low[0] < alone.low[0]


def test_one_class_alone_has_bins_but_no_lines():
    found = curves([1, 1], [0.2, 0.9])
    assert len(found.fpr) == len(found.precision) == 0
    assert found.observed.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("labels", "chances", "bins"),
    [([0, 2], [0.1, 0.2], 10), ([0], [0.1, 0.2], 10), ([0, 1], [0.1, 1.2], 10), ([0, 1], [0.1, 0.2], 0)],
)
def test_curves_say_what_does_not_fit(labels, chances, bins):
    with pytest.raises(ValueError, match="Expected"):
        curves(labels, chances, bins)
