import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import contingency
from scipy.stats.contingency import association

from plainfilm.evidence.audit import sources

CLASSES = ("A", "B")


def _made(source, labels, *, shortcut, seed=0):
    """Features that tell the label weakly, and the source strongly."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(len(labels), 12)).astype(np.float32)
    _, index = np.unique(source, return_inverse=True)
    x[np.arange(len(x)), index] += 5
    x[:, 10] += 0.0 if shortcut else 4 * labels
    return x


def test_a_table_without_dependence_has_v_near_zero_and_a_full_one_one():
    labels = np.arange(400) % 2
    group = np.arange(400)
    assert sources.cramers_v(labels, labels, group).value == pytest.approx(1)
    free = sources.cramers_v(labels, (np.arange(400) // 2) % 2, group)
    assert free.value == pytest.approx(0, abs=1e-9)
    assert free.high < 0.2


@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(2, 7))
@settings(max_examples=15, deadline=None)
def test_v_is_that_of_the_table_of_images_by_class_and_source(seed, classes, hospitals):
    rng = np.random.default_rng(seed)
    labels, source = rng.integers(0, classes, 60), rng.integers(0, hospitals, 60)
    labels[:2], source[:2] = (0, classes - 1), (0, hospitals - 1)
    found = sources.cramers_v(labels, source, rng.integers(0, 40, 60))
    expected = association(contingency.crosstab(labels, source).count, method="cramer")
    assert found.value == pytest.approx(expected)
    assert found.low <= found.value <= found.high


def test_one_source_says_which_checks_could_not_run():
    labels = np.arange(40) % 2
    found, not_run = sources.examine(
        np.zeros((40, 3), np.float32), labels, np.array(["x"] * 40), np.arange(40), CLASSES
    )
    assert {each.check for each in not_run} == {"Telling sources apart", "Leave one source out"}
    assert np.isnan(found.cramers_v.value)


def test_one_source_a_class_cannot_be_left_out_and_says_so():
    labels = np.arange(80) % 2
    source = np.where(labels == 1, "x", "y")
    found, not_run = sources.examine(_made(source, labels, shortcut=True), labels, source, np.arange(80), CLASSES)
    assert not found.left_out
    assert "second hospital" in next(each.reason for each in not_run if each.check == "Leave one source out")
    assert found.table == ((0, 40), (40, 0))


def test_a_signal_travels_and_a_shortcut_does_not():
    labels = np.arange(240) % 2
    source = np.array(["p", "q", "r"])[(np.arange(240) // 2) % 3]
    for shortcut, expected in ((False, 0.9), (True, 0.0)):
        found, _ = sources.examine(_made(source, labels, shortcut=shortcut), labels, source, np.arange(240), CLASSES)
        assert [one.sources for one in found.left_out] == [("p",), ("q",), ("r",)]
        values = [one.auroc.value for one in found.left_out]
        assert min(values) > expected
        assert shortcut is (max(values) < 0.7)
        assert found.told_from_features["A"].value > 0.95


def test_classes_are_recombined_where_each_source_has_one():
    labels = np.arange(160) % 2
    source = np.char.add(np.where(labels == 1, "b", "a"), np.where(np.arange(160) // 2 % 2, "1", "2"))
    found, _ = sources.examine(_made(source, labels, shortcut=True), labels, source, np.arange(160), CLASSES)
    assert len(found.left_out) == 4
    assert all(one.recombined for one in found.left_out)
    assert all(abs(one.auroc.value - 0.5) < 0.5 for one in found.left_out)
    assert min(one.auroc.value for one in found.left_out) < 0.75


def test_made_up_sources_and_fewer_images_to_learn_from_raise_no_alarm():
    rng = np.random.default_rng(0)
    alarms = 0
    for seed in range(20):
        labels = np.arange(200) % 2
        x = rng.normal(size=(200, 40)).astype(np.float32)
        x[:, :5] += 0.6 * labels[:, None]
        source = rng.choice(["p", "q"], 200)
        found, _ = sources.examine(x, labels, source, np.arange(200), CLASSES, seed=seed)
        alarms += any(own.lost.low > 0 for one in found.left_out for own in one.by_class.values())
    assert alarms <= 1


def test_what_is_lost_on_a_source_left_out_is_told_for_each_class():
    labels = np.arange(360) % 3
    source = np.array(["p", "q"])[(np.arange(360) // 3) % 2]
    rng = np.random.default_rng(1)
    x = rng.normal(size=(360, 8)).astype(np.float32)
    x[:, 0] += 4 * (labels == 0)
    x[:, 1] += 4 * ((labels == 1) & (source == "p"))
    x[:, 2] += 4 * ((labels == 1) & (source == "q"))
    found, _ = sources.examine(x, labels, source, np.arange(360), ("A", "B", "C"))
    for one in found.left_out:
        assert one.by_class["A"].lost.value < 0.05
        assert one.by_class["B"].lost.low > 0
        assert one.by_class["B"].with_sources.value > 0.9 > one.by_class["B"].auroc.value
