import numpy as np
import pytest

from plainfilm.evidence.audit import ridge


def _made(n, width, strength, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    x = rng.normal(size=(n, width))
    x[:, : width // 3] += strength * labels[:, None]
    return x, labels, np.arange(n)


@pytest.mark.parametrize("width", [3, 400])
def test_finds_a_signal_and_none_where_there_is_none(width):
    def area(strength, seed):
        x, labels, group = _made(200, width, strength, seed)
        part = ridge.folds(labels, group, seed)
        return ridge.area(labels, ridge.out_of_fold(x, labels, part, 2), group, part).value

    assert np.mean([area(0.0, seed) for seed in range(15)]) == pytest.approx(0.5, abs=0.02)
    assert area(6.0, 0) > 0.9


def test_what_each_class_has_alike_is_chance_and_never_surely_below():
    labels, source, group = np.arange(120) % 2, np.arange(120) // 2 % 3, np.arange(120)
    found = []
    for seed in range(20):
        part = ridge.folds(labels, group, seed)
        found.append(ridge.area(labels, ridge.out_of_fold(np.eye(3)[source], labels, part, 2), group, part))
    assert np.mean([each.value for each in found]) == pytest.approx(0.5, abs=0.02)
    assert min(each.high for each in found) >= 0.5


def test_only_rows_of_one_part_are_compared():
    labels, part = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    scores = np.array([[0, 1.0], [0, 2.0], [0, 11.0], [0, 12.0]])
    assert ridge.area(labels, scores, np.arange(4), part).value == 1.0
    assert ridge.area(labels, scores, np.arange(4)).value == 0.75


def test_wide_and_narrow_features_are_solved_alike():
    x, labels, group = _made(60, 40, 2.0)
    part = ridge.folds(labels, group)
    narrow = ridge.out_of_fold(x, labels, part, 2)
    wide = ridge.out_of_fold(np.repeat(x, 2, axis=1), labels, part, 2)  # the same kernel, more columns than rows
    assert np.allclose(narrow, wide, atol=1e-6)


def test_a_row_does_not_help_to_score_itself():
    rng = np.random.default_rng(1)
    x, labels = rng.normal(size=(80, 300)), rng.integers(0, 2, 80)
    group = np.arange(80)
    part = ridge.folds(labels, group)
    changed = labels.copy()
    changed[part == 0] = 1 - changed[part == 0]
    before, after = (ridge.out_of_fold(x, each, part, 2)[part == 0] for each in (labels, changed))
    assert np.array_equal(before, after)


def test_groups_stay_together_and_classes_are_dealt_evenly():
    group = np.repeat(np.arange(50), 3)
    labels = (group % 2).astype(np.int64)
    part = ridge.folds(labels, group)
    assert all(len(set(part[group == g])) == 1 for g in range(50))
    shares = [labels[part == p].mean() for p in range(ridge.FOLDS)]
    assert np.allclose(shares, 0.5, atol=0.11)


def test_constant_features_are_chance():
    labels = np.arange(40) % 2
    scores = ridge.out_of_fold(np.ones((40, 5)), labels, ridge.folds(labels, np.arange(40)), 2)
    assert ridge.area(labels, scores, np.arange(40)).value == 0.5


def test_three_classes():
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 3
    x = rng.normal(size=(150, 6))
    x[np.arange(150), labels] += 4
    scores = ridge.out_of_fold(x, labels, ridge.folds(labels, np.arange(150)), 3)
    assert ridge.area(labels, scores, np.arange(150)).value > 0.95


def test_a_missing_number_and_a_middle_number_tell():
    labels = np.arange(120) % 2
    rng = np.random.default_rng(0)
    middle = np.where(labels == 1, 0.5, rng.choice([0.1, 0.9], 120)) + rng.normal(0, 0.01, 120)
    missing = np.where(labels == 1, np.nan, 3.0)
    for column in (middle, missing):
        x = ridge.as_indicators({"c": column})
        scores = ridge.out_of_fold(x, labels, ridge.folds(labels, np.arange(120)), 2)
        assert ridge.area(labels, scores, np.arange(120)).value > 0.95


def test_rare_words_get_no_column():
    words = np.array([f"w{k}" for k in range(30)] + ["common"] * 30)
    assert ridge.as_indicators({"c": words}).shape == (60, 1)
    assert ridge.as_indicators({"c": np.array(["one"] * 9)}).shape == (9, 0)
