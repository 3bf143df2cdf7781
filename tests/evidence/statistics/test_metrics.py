import importlib.util
import math
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from plainfilm.evidence.statistics.intervals import bootstrap
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.results import documents

METRICS = ["accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "auroc", "auprc", "brier", "ece"]
OF_A_CLASS = METRICS[1:8]
NAMES = ["a", "b", "c", "d", "e"]


def sample(seed, n=120, k=2, gap=1.5):
    random = np.random.default_rng(seed)
    labels = random.integers(0, k, n)
    labels[:k] = np.arange(k)
    logits = random.normal(size=(n, k))
    logits[np.arange(n), labels] += gap
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, chances


def measure(labels, chances, *, positive=None, threshold=0.5, group=None, repeats=200, seed=0):
    return evaluate(
        labels,
        chances,
        classes=NAMES[: chances.shape[1]],
        positive=positive,
        threshold=threshold,
        group=group,
        repeats=repeats,
        seed=seed,
    )


@settings(max_examples=40)
@given(st.integers(0, 2**16), st.sampled_from([0.2, 0.5, 0.8]), st.sampled_from(["a", "b"]))
def test_two_class_values_are_scikit_learns(seed, threshold, positive):
    labels, chances = sample(seed)
    target = NAMES.index(positive)
    found = measure(labels, chances, positive=positive, threshold=threshold, repeats=1)
    ill, chance = labels == target, chances[:, target]
    called = chance >= threshold
    expected = {
        "accuracy": oracle.accuracy_score(ill, called),
        "sensitivity": oracle.recall_score(ill, called),
        "specificity": oracle.recall_score(ill, called, pos_label=False),
        "ppv": oracle.precision_score(ill, called, zero_division=np.nan),
        "npv": oracle.precision_score(ill, called, pos_label=False, zero_division=np.nan),
        "f1": oracle.f1_score(ill, called),
        "auroc": oracle.roc_auc_score(ill, chance),
        "auprc": oracle.average_precision_score(ill, chance),
        "brier": oracle.brier_score_loss(ill, chance),
    }
    assert {name: found.estimates[name].value for name in expected} == pytest.approx(expected, nan_ok=True)
    matrix = oracle.confusion_matrix(labels, np.where(called, target, 1 - target), labels=[0, 1])
    np.testing.assert_array_equal(found.confusion_matrix, matrix)


@settings(max_examples=40)
@given(st.integers(0, 2**16))
def test_values_of_several_classes_are_scikit_learns_macro_averages(seed):
    labels, chances = sample(seed, 150, 3)
    found = measure(labels, chances, repeats=1)
    called = chances.argmax(axis=1)
    onehot = np.eye(3)[labels]
    expected = {
        "accuracy": oracle.accuracy_score(labels, called),
        "sensitivity": oracle.recall_score(labels, called, average="macro"),
        "ppv": oracle.precision_score(labels, called, average="macro"),
        "f1": oracle.f1_score(labels, called, average="macro"),
        "auroc": oracle.roc_auc_score(labels, chances, multi_class="ovr"),
        "auprc": oracle.average_precision_score(onehot, chances),
        "brier": np.square(onehot - chances).sum(axis=1).mean() / 2,
    }
    assert {name: found.estimates[name].value for name in expected} == pytest.approx(expected)
    np.testing.assert_array_equal(found.confusion_matrix, oracle.confusion_matrix(labels, called))
    per_class = oracle.recall_score(labels, called, average=None)
    assert [found.per_class[c].sensitivity.value for c in NAMES[:3]] == pytest.approx(per_class)
    assert list(found.per_class["a"].estimates) == OF_A_CLASS


def estimates(found):
    assert list(found.estimates) == METRICS
    yield from found.estimates.items()
    for name, each in (found.per_class or {}).items():
        yield from ((f"{name} {metric}", estimate) for metric, estimate in each.estimates.items())


def ends(estimate):
    return estimate.value, estimate.low, estimate.high


@settings(max_examples=60)
@given(
    st.integers(0, 2**16),
    st.integers(1, 40),
    st.sampled_from([2, 3]),
    st.sampled_from([0.0, 2.0, 30.0]),
    st.integers(1, 5),
)
def test_every_value_lies_within_its_interval_within_zero_and_one(seed, n, k, gap, groups):
    random = np.random.default_rng(seed)
    labels, chances = sample(seed, n + k, k, gap)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measure(labels[k:], chances[k:], group=random.integers(0, n // groups + 1, n), repeats=50)
    for name, estimate in estimates(found):
        value, low, high = ends(estimate)
        assert np.isnan(value) == np.isnan(low) == np.isnan(high), name
        if estimate.is_known:
            assert 0 <= low <= value <= high <= 1, name
            assert low < high, f"{name} is a point"


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [2, 3])
@given(seed=st.integers(0, 2**16))
@settings(max_examples=10)
def test_the_order_of_rows_does_not_matter(metric, k, seed):
    labels, chances = sample(seed, 60, k)
    group = np.arange(60) // 2
    order = np.random.default_rng(seed).permutation(60)
    first = measure(labels, chances, group=group).estimates[metric]
    again = measure(labels[order], chances[order], group=group[order]).estimates[metric]
    assert ends(first) == pytest.approx(ends(again), abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [2, 3])
@given(seed=st.integers(0, 2**16), copies=st.integers(2, 3))
@settings(max_examples=10)
def test_repeated_radiographs_of_a_patient_add_no_certainty(metric, k, seed, copies):
    labels, chances = sample(seed, 60, k)
    once = measure(labels, chances).estimates[metric]
    many = np.repeat(np.arange(60), copies)
    grouped = measure(labels[many], chances[many], group=many).estimates[metric]
    apart = measure(labels[many], chances[many]).estimates[metric]
    assert grouped.value == pytest.approx(once.value)
    widths = [e.high - e.low for e in (apart, once, grouped)]
    if metric == "ece":  # its interval may start at 0 or not, by a hair
        assert ends(grouped) == pytest.approx(ends(once), abs=1e-9)
    else:
        assert widths[0] < widths[1] <= widths[2] + 1e-9


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [2, 3])
def test_a_perfect_classifier_is_never_certain(metric, k):
    labels = np.tile(np.arange(k), 20)
    found = measure(labels, np.eye(k)[labels]).estimates[metric]
    best = 0.0 if metric in ("brier", "ece") else 1.0
    assert found.value == best
    assert found.low < found.high
    assert best in (found.low, found.high)


@pytest.mark.parametrize(
    ("labels", "chance", "undefined"),
    [
        ([], [], METRICS),
        ([1], [0.9], ["specificity", "ppv", "npv", "f1", "auroc", "auprc"]),
        ([0, 0, 0], [0.1, 0.2, 0.7], ["sensitivity", "ppv", "npv", "f1", "auroc", "auprc"]),
        ([1, 1, 1], [0.1, 0.2, 0.7], ["specificity", "ppv", "npv", "f1", "auroc", "auprc"]),
        ([0, 1, 1], [0.1, 0.2, 0.3], ["ppv"]),
        ([0, 1, 1], [0.7, 0.8, 0.9], ["npv"]),
    ],
)
def test_what_is_not_defined_is_not_a_number_without_a_warning(labels, chance, undefined):
    chances = np.stack([1 - np.array(chance), chance], axis=1).reshape(-1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measure(np.array(labels, dtype=int), chances)
    assert [name for name, each in found.estimates.items() if not each.is_known] == undefined
    assert b"NaN" not in documents.encode(found)


def test_a_macro_average_is_not_defined_where_a_class_is_absent():
    labels, chances = sample(0, 60, 3)
    found = measure(labels[labels < 2], chances[labels < 2])
    assert not found.sensitivity.is_known
    assert found.per_class["a"].sensitivity.is_known
    assert found.accuracy.is_known


def test_the_threshold_itself_is_positive():
    found = measure(np.array([0, 1]), np.array([[0.4, 0.6], [0.4, 0.6]]), threshold=0.6)
    assert found.confusion_matrix == ((0, 1), (0, 1))


def test_rows_groups_and_seed_are_told_and_kept():
    labels, chances = sample(1)
    found = measure(labels, chances, group=np.arange(120) // 4)
    assert (found.n, found.groups) == (120, 30)
    assert found == measure(labels, chances, group=np.arange(120) // 4)
    assert found.ece != measure(labels, chances, group=np.arange(120) // 4, seed=1).ece


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"labels": [0, 2]}, "labels 0 to 1"),
        ({"labels": [0, -1]}, "labels 0 to 1"),
        ({"labels": [0]}, "received shapes"),
        ({"probabilities": [[0.5, 0.5], [0.5, 0.6]]}, "sum to 1"),
        ({"probabilities": [[0.5, 0.5], [-0.1, 1.1]]}, "from 0 to 1"),
        ({"probabilities": [[0.5, 0.5], [np.nan, 1.0]]}, "finite"),
        ({"positive": "COVID"}, "positive to be one of"),
        ({"threshold": np.nan}, "finite threshold"),
        ({"group": [1]}, "one group a row"),
        ({"level": 1.0}, "level"),
        ({"classes": ["a"], "probabilities": [[1.0], [1.0]]}, "2 or more"),
    ],
)
def test_evaluate_says_what_does_not_fit(change, complaint):
    right = {
        "labels": [0, 1],
        "probabilities": [[0.5, 0.5], [0.4, 0.6]],
        "classes": ["a", "b"],
        "positive": "b",
        "threshold": 0.5,
    }
    with pytest.raises(ValueError, match=complaint):
        evaluate(**{**right, **change})


def test_the_memory_of_many_repeats_is_bounded():
    values = np.random.default_rng(3).random(5000)
    tracemalloc.start()
    bootstrap(lambda w: (w @ values) / w.sum(axis=1), np.arange(5000) // 2, repeats=3000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


@pytest.fixture(scope="module")
def benchmark():
    path = Path(__file__).resolve().parents[3] / "benchmarks" / "coverage.py"
    spec = importlib.util.spec_from_file_location("coverage_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("design", ["rows", "patients"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(benchmark, monkeypatch, design):
    monkeypatch.setattr(benchmark, "DESIGNS", (design,))
    monkeypatch.setattr(benchmark, "SIZES", (300,))
    monkeypatch.setattr(benchmark, "AREAS", (0.9,))
    trials = 300
    cells = [cell for cell in benchmark.two_classes(trials, seed=5) if cell["setting"].startswith(design)]
    assert len(cells) == 9
    slack = 3.5 * math.sqrt(0.05 * 0.95 / trials)  # of the count in so few trials
    for cell in cells:
        assert abs(cell["coverage"] - 0.95) < slack, cell
