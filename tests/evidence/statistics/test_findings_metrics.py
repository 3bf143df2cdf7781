"""Metrics of several findings: means whose intervals hold, and all pairs together."""

import numpy as np
import pytest

from plainfilm.evidence.statistics.discrimination import area_under_roc
from plainfilm.evidence.statistics.findings import evaluate_findings, mean_metrics
from plainfilm.evidence.statistics.intervals import group_codes
from plainfilm.evidence.statistics.metrics import evaluate

NAMES = ("A", "B", "C")
THRESHOLDS = np.array([0.4, 0.5, 0.6])


def made(patients=200, seed=0, unknown=0.2):
    """States and probabilities (n, 3) of films of patients, whose findings and scores go together; patients (n)."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(patients), rng.choice([1, 2], patients, p=[0.7, 0.3]))
    ill = rng.normal(size=patients)[group]
    has = ill[:, None] + rng.normal(size=(len(group), 3)) > [0, 0.7, 1.4]
    score = 1.2 * has + 0.5 * ill[:, None] + rng.normal(size=has.shape)
    states = has.astype(np.int8)
    states[rng.random(states.shape) < unknown] = -1
    return states, 1 / (1 + np.exp(-score)), group


def each_of(states, chance, group):
    found = {}
    for at, name in enumerate(NAMES):
        known = states[:, at] >= 0
        pair = np.stack([1 - chance[known, at], chance[known, at]], axis=1)
        found[name] = evaluate(states[known, at], pair, classes=(f"no {name}", name), positive=name,
                               threshold=THRESHOLDS[at], group=group[known], repeats=50)  # fmt: skip
    return found


def whole(states, chance, group):
    each = each_of(states, chance, group)
    return evaluate_findings(states, chance, each, threshold=THRESHOLDS, group=group), each


def test_means_are_those_of_each_finding_on_what_is_known():
    data = made()
    found, each = whole(*data)
    assert found.n == len(data[0])
    assert found.confusion_matrix == ()
    for name in ("accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "auroc", "auprc", "brier", "ece"):
        value = getattr(found, name)
        assert value.value == pytest.approx(np.mean([getattr(own, name).value for own in each.values()]), rel=1e-9)
        assert value.low < value.value < value.high
    assert found.per_class["B"].auroc == each["B"].auroc
    assert found.per_class["B"].calibration == each["B"].calibration
    assert found.calibrations(None).keys() == set(NAMES)


def test_all_pairs_together_count_a_patient_as_one_draw():
    states, chance, group = made()
    micro = whole(states, chance, group)[0].micro
    known = states >= 0
    truth, score = states[known] == 1, chance[known]
    pairs = np.broadcast_to(group[:, None], states.shape)[known]
    assert micro.n == known.sum()
    own = area_under_roc(truth, score, group_codes(pairs, len(pairs)), 0.95).estimate
    assert (micro.auroc.value, micro.auroc.low) == pytest.approx((own.value, own.low))
    right = ((chance >= THRESHOLDS) == (states == 1))[known].mean()
    assert micro.accuracy.value == pytest.approx(right)


def test_findings_that_go_together_make_the_interval_of_their_mean_wider():
    states, chance, group = made(unknown=0.0)
    same = whole(np.repeat(states[:, :1], 3, axis=1), np.repeat(chance[:, :1], 3, axis=1), group)[0]
    first = each_of(states, chance, group)["A"]
    assert same.auroc.high - same.auroc.low == pytest.approx(first.auroc.high - first.auroc.low, rel=1e-6)
    apart = whole(states, chance, group)[0].auroc
    assert apart.high - apart.low < same.auroc.high - same.auroc.low + 0.03


def test_the_interval_of_the_mean_auroc_holds_the_truth():
    truth = np.mean([area_under_roc(own == 1, score, np.arange(len(own)), 0.95).estimate.value
                     for states, chance, _ in [made(40_000, 99, 0.0)] for own, score in zip(states.T, chance.T, strict=True)])  # fmt: skip
    held = 0
    for seed in range(60):
        states, chance, group = made(120, seed)
        each = dict.fromkeys(NAMES, each_of(states, chance, group)["A"])
        found = evaluate_findings(states, chance, each, threshold=THRESHOLDS, group=group).auroc
        held += found.low <= truth <= found.high
    assert held >= 52


def test_thresholds_of_folds_are_those_of_each_row():
    states, chance, group = made()
    each = each_of(states, chance, group)
    rows = np.broadcast_to(THRESHOLDS, states.shape)
    one, other = (evaluate_findings(states, chance, each, threshold=cut, group=group) for cut in (THRESHOLDS, rows))
    assert one == other


def test_the_mean_of_some_has_the_same_value_and_an_interval_that_is_not_narrower():
    states, chance, group = made()
    own, each = whole(states, chance, group)
    some = {name: each[name] for name in ("A", "C")}
    found = mean_metrics(own, some)
    measured = evaluate_findings(states[:, [0, 2]], chance[:, [0, 2]], some, threshold=THRESHOLDS[[0, 2]], group=group)
    assert found.micro is None
    assert list(found.per_class) == ["A", "C"]
    for name in ("auroc", "sensitivity", "specificity", "accuracy", "brier"):
        wide, narrow = getattr(found, name), getattr(measured, name)
        assert wide.value == pytest.approx(narrow.value)
        assert wide.low <= narrow.low + 1e-9
        assert wide.high >= narrow.high - 1e-9
