"""Cramér's V against a textbook and by chance, and columns of any kind as categories."""

import numpy as np
import pytest

from plainfilm.data.association import categories, cramers_v, levels


def test_the_value_is_bergsmas():
    table = np.array([[30, 10, 20], [10, 40, 10]])
    labels, column = (np.repeat(np.indices(table.shape)[axis].ravel(), table.ravel()) for axis in (0, 1))
    expected = table.sum(1, keepdims=True) * table.sum(0) / 120
    phi2 = ((table - expected) ** 2 / expected).sum() / 120
    least = min(2 - 1 / 119, 3 - 4 / 119) - 1
    assert cramers_v(labels, column).value == pytest.approx(np.sqrt((phi2 - 2 / 119) / least))


@pytest.mark.parametrize(("n", "kinds"), [(60, 2), (60, 8), (400, 40)])
def test_by_chance_the_interval_seldom_leaves_nothing_and_never_comes_near_a_half(n, kinds):
    rng = np.random.default_rng(0)
    lows = [cramers_v(rng.integers(0, 2, n), rng.integers(0, kinds, n)).low for _ in range(200)]
    assert np.mean(np.array(lows) > 0) < 0.08
    assert max(lows) < 0.4


def test_the_interval_covers_the_truth():
    rng, chance = np.random.default_rng(1), np.array([0.9, 0.5, 0.3, 0.1])
    many = rng.integers(0, 4, 400_000)
    truth = cramers_v((rng.random(len(many)) < chance[many]).astype(int), many).value
    covered = 0
    for _ in range(200):
        column = rng.integers(0, 4, 150)
        found = cramers_v((rng.random(150) < chance[column]).astype(int), column)
        covered += found.low <= truth <= found.high
    assert covered >= 180


def test_what_tells_everything_is_one_and_what_cannot_be_measured_is_not_known():
    labels = np.arange(40) % 2
    assert cramers_v(labels, labels).value == pytest.approx(1)
    assert cramers_v(labels, labels).low > 0.6
    assert not cramers_v(labels[:10], labels[:10]).is_known
    assert not cramers_v(labels, np.zeros(40, int)).is_known
    assert not cramers_v(np.zeros(40, int), labels).is_known


def test_levels_are_ten_bins_of_a_number_and_one_for_none():
    assert set(levels(np.array([np.nan, *range(100)]))) == {-1, *range(10)}


@pytest.mark.parametrize(
    "of",
    [
        lambda k: ("north", "south")[k % 2],
        lambda k: f"{('COV', 'NOR')[k % 2]}-{1000 + k}",
        lambda k: f"2020-0{1 + k % 2}-{1 + k % 28:02}",
        lambda k: f"{1 + k % 28:02}.0{1 + k % 2}.2020",
        lambda k: "x" * (5 + 40 * (k % 2)) + chr(0x4E00 + k),
        lambda k: float(1e6 * (k % 2) + k),
        lambda k: "" if k % 2 else f"Dr {chr(0x4E00 + k)}{k}",
    ],
)
def test_columns_of_any_kind_tell_the_class_that_they_were_made_of(of):
    labels = np.arange(80) % 2
    assert cramers_v(labels, categories(np.array([of(k) for k in range(80)]))).low > 0.5


def test_names_that_never_recur_tell_nothing():
    rng = np.random.default_rng(3)
    names = np.array(["".join(rng.choice(list("abcdefgh"), 6)) for _ in range(200)])
    found = cramers_v(rng.integers(0, 2, 200), categories(names))
    assert not found.is_known or found.low < 0.2
