"""Splits: whole groups, near the shares, every class in every part, reproducible; leakage counted right."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainfilm.data import split
from plainfilm.errors import SplitError

SEEDS = st.integers(0, 2**32 - 1)
CLASSES = ("COVID", "NORMAL", "OTHER", "TB")


@st.composite
def grouped(draw: st.DrawFn, singles: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Labels and groups of 1 to 4 classes: some groups of one class each, at least `singles` of one image."""
    classes = draw(st.integers(1, 4))
    sizes = [[1] * singles + draw(st.lists(st.integers(1, 40), max_size=30)) for _ in range(classes)]
    labels = np.concatenate([np.full(sum(each), number) for number, each in enumerate(sizes)])
    group = np.repeat(np.arange(sum(map(len, sizes))), [size for each in sizes for size in each])
    order = np.random.default_rng(draw(SEEDS)).permutation(len(labels))
    return labels[order], group[order] * 7 + 3


def films(n_patients: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, groups, and films of each patient: mostly one, sometimes two or three, two classes."""
    rng = np.random.default_rng(seed)
    sizes = rng.choice([1, 2, 3], n_patients, p=[0.75, 0.17, 0.08])
    return np.repeat(np.arange(n_patients) % 2, sizes), np.repeat(np.arange(n_patients), sizes), sizes


def parts_of_groups(parts: np.ndarray, group: np.ndarray) -> list[set[str]]:
    return [set(parts[group == one].tolist()) for one in np.unique(group)]


# A new split


@given(grouped(), SEEDS)
def test_a_patient_never_stands_in_two_parts_and_every_image_stands_in_one(data, seed):
    labels, group = data
    parts = split.make(labels, group, CLASSES[: labels.max() + 1], seed=seed)
    assert parts.shape == labels.shape
    assert set(parts.tolist()) <= set(split.NAMES)
    assert all(len(found) == 1 for found in parts_of_groups(parts, group))


@given(grouped(singles=0), SEEDS)
def test_every_class_of_three_patients_or_more_stands_in_every_part(data, seed):
    labels, group = data
    classes = CLASSES[: int(labels.max(initial=-1)) + 1]
    enough = all(len(np.unique(group[labels == number])) >= 3 for number in range(len(classes)))
    if not enough:
        with pytest.raises(SplitError):
            split.make(labels, group, classes, seed=seed)
        return
    parts = split.make(labels, group, classes, seed=seed)
    for number in range(len(classes)):
        assert set(parts[labels == number].tolist()) == set(split.NAMES)


@given(st.lists(st.integers(1, 60), min_size=3, max_size=3), st.lists(st.integers(1, 60), min_size=3, max_size=3))
def test_three_patients_of_a_class_are_enough_however_many_images_they_have(some, others):
    labels = np.repeat([0, 0, 0, 1, 1, 1], some + others)
    group = np.repeat(np.arange(6), some + others)
    parts = split.make(labels, group, ("A", "B"))
    for number, sizes in enumerate((some, others)):
        mine = labels == number
        assert {name: (parts[mine] == name).sum() for name in split.NAMES}["train"] == max(sizes)
        assert set(parts[mine].tolist()) == set(split.NAMES)


@given(st.lists(st.integers(3, 200), min_size=1, max_size=4), SEEDS)
def test_shares_of_single_images_are_kept_within_two_rows_a_class(sizes, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    parts = split.make(labels, np.arange(len(labels)), CLASSES[: len(sizes)], seed=seed)
    for number, size in enumerate(sizes):
        for name, share in zip(split.NAMES, split.SHARES, strict=True):
            assert abs(((labels == number) & (parts == name)).sum() - share * size) <= 2


@pytest.mark.parametrize("n_patients", [60, 200, 1000])
def test_shares_are_kept_where_patients_have_several_images(n_patients):
    for seed in range(10):
        labels, group, _ = films(n_patients, seed)
        parts = split.make(labels, group, ("A", "B"), seed=seed)
        for name, share in zip(split.NAMES, split.SHARES, strict=True):
            assert abs((parts == name).sum() - share * len(labels)) <= 4


@pytest.mark.parametrize("n_patients", [60, 200, 600])
def test_patients_with_several_images_come_to_every_part_in_its_share(n_patients):
    repeats, singles = np.zeros(3), np.zeros(3)
    for seed in range(40):
        labels, group, sizes = films(n_patients, seed)
        parts = split.make(labels, group, ("A", "B"), seed=seed)
        first = np.unique(group, return_index=True)[1]
        for number, name in enumerate(split.NAMES):
            here = parts[first] == name
            repeats[number] += (here & (sizes > 1)).sum()
            singles[number] += (here & (sizes == 1)).sum()
    assert np.abs(repeats / repeats.sum() - split.SHARES).max() < 0.08
    assert np.abs(singles / singles.sum() - split.SHARES).max() < 0.08


def test_the_split_follows_the_seed():
    labels = np.arange(200) % 2
    one, again, *others = (split.make(labels, np.arange(200), ("A", "B"), seed=seed) for seed in (5, 5, 6, 7, 8))
    assert (one == again).all()
    assert all((left != right).any() for left, right in pairwise([one, *others]))


def dealt(labels: np.ndarray, group: np.ndarray, shares: list[float], seed: int) -> list[int]:
    """The rule of `assign`, group by group."""
    names, classes, total = np.unique(group), np.unique(labels), sum(shares)
    held = [[int(((group == name) & (labels == label)).sum()) for label in classes] for name in names]
    whole = [sum(column) for column in zip(*held, strict=True)]
    wanted = [[share / total * size for size in whole] for share in shares]
    lacking, filled = [list(row) for row in wanted], [set() for _ in shares]
    left = [sum(1 for row in held if row[k]) for k in range(len(classes))]
    part = {}
    for at in sorted(np.random.default_rng(seed).permutation(len(names)).tolist(), key=lambda each: -sum(held[each])):
        has = {k for k, count in enumerate(held[at]) if count}
        urgent = {k for k in has if left[k] <= sum(k not in each for each in filled)}
        best = min(
            range(len(shares)),
            key=lambda p: (
                -len(urgent - filled[p]),
                -sum((lacking[p][k] - held[at][k] / 2) / wanted[p][k] * held[at][k] for k in range(len(classes))),
            ),
        )
        part[names[at]] = best
        filled[best] |= has
        for k in range(len(classes)):
            lacking[best][k] -= held[at][k]
            left[k] -= k in has
    return [part[name] for name in group]


@settings(max_examples=60)
@given(grouped(singles=1), SEEDS, st.sampled_from([[0.7, 0.15, 0.15], [7.0, 1.5], [1.0] * 5]))
def test_groups_are_dealt_by_the_rule(data, seed, shares):
    labels, group = data
    assert split.assign(labels, group, shares=shares, seed=seed).tolist() == dealt(labels, group, shares, seed)


def test_groups_of_one_size_are_dealt_in_the_order_of_the_seed_however_many_they_are():
    labels = np.arange(400) % 2
    assert split.assign(labels, np.arange(400), shares=[3.0, 1.0], seed=1).tolist() == dealt(
        labels, np.arange(400), [3.0, 1.0], 1
    )


def test_any_row_may_come_to_any_part():
    labels = np.arange(20) % 2
    seen = {name: np.zeros(20, bool) for name in split.NAMES}
    for seed in range(150):
        parts = split.make(labels, np.arange(20), ("A", "B"), seed=seed)
        for name in split.NAMES:
            seen[name] |= parts == name
    assert all(rows.all() for rows in seen.values())


def test_images_without_a_label_stand_in_no_part():
    labels = np.array([0, 1, -1] * 10)
    parts = split.make(labels, np.arange(30), ("A", "B"))
    assert ((parts == "") == (labels == -1)).all()


@pytest.mark.parametrize("huge", [50, 5000])
def test_one_patient_with_half_of_a_class_goes_to_train_and_the_rest_fills_the_other_parts(huge):
    labels = np.repeat([0, 0, 1], [huge, huge, 2 * huge])
    group = np.concatenate([np.zeros(huge, int), np.arange(1, 3 * huge + 1)])
    parts = split.make(labels, group, ("A", "B"))
    assert set(parts[:huge].tolist()) == {"train"}
    for name in ("validation", "test"):
        assert abs(((parts == name) & (labels == 0)).sum() - 0.15 * 2 * huge) <= 2


def test_a_small_class_with_one_large_patient_beside_a_big_class_is_split():
    # Large for its own class, small beside the other: its single images must not all go to train before it.
    labels = np.repeat([0, 0, 1], [10, 3, 10_000])
    group = np.concatenate([np.zeros(10, int), np.arange(1, 10_004)])
    for seed in range(5):
        parts = split.make(labels, group, ("A", "B"), seed=seed)
        assert set(parts[labels == 0].tolist()) == set(split.NAMES)


def test_patients_with_images_of_several_classes_stay_whole():
    rng = np.random.default_rng(0)
    group, labels = np.arange(600) // 3, rng.integers(0, 3, 600)
    parts = split.make(labels, group, CLASSES[:3])
    assert all(len(found) == 1 for found in parts_of_groups(parts, group))
    for number in range(3):
        for name, share in zip(split.NAMES, split.SHARES, strict=True):
            assert abs(((parts == name) & (labels == number)).mean() - share * (labels == number).mean()) < 0.01


@pytest.mark.parametrize("patients", [0, 1, 2])
def test_too_few_patients_of_a_class_are_an_error_with_both_numbers(patients):
    labels = np.array([0] * 10 + [1] * patients * 5)
    group = np.array([*range(10), *np.repeat(np.arange(10, 10 + patients), 5)])
    with pytest.raises(
        SplitError,
        match=rf"^Expected at least 3 patients .*; received {patients} of NORMAL\. Add {3 - patients} more.*",
    ) as raised:
        split.make(labels, group, ("COVID", "NORMAL"))
    assert "\n" not in str(raised.value)


def test_three_patients_with_images_of_both_classes_come_to_a_part_each():
    labels = np.array([0] * 90 + [1] * 3)
    group = np.concatenate([np.repeat([0, 1, 2], 30), [0, 1, 2]])
    parts = split.make(labels, group, ("A", "B"))
    assert all(set(parts[labels == number].tolist()) == set(split.NAMES) for number in (0, 1))


def test_any_shares_can_be_dealt():
    labels = np.zeros(100, int)
    parts = split.assign(labels, np.arange(100), shares=[1, 1, 1, 1, 1], seed=0)
    assert np.bincount(parts).tolist() == [20] * 5
    assert len(split.assign(labels[:0], labels[:0], shares=(0.5, 0.5), seed=0)) == 0


# A given split


def given_parts(*names: str) -> np.ndarray:
    """As NumPy makes it of a list: as wide as its longest word."""
    return np.array(list(names))


def test_a_whole_given_split_is_kept_as_it_is():
    given = given_parts(*["train", "validation", "test"] * 4)
    labels = np.repeat([0, 1], 6)
    assert (split.complete(given, labels, np.zeros(12, int), ("A", "B")) == given).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_missing_validation_part_is_taken_from_train_by_patient(seed):
    given = given_parts(*["train"] * 80, *["test"] * 20)
    labels, group = np.arange(100) % 2, np.arange(100) // 4
    group[80:] += 100
    parts = split.complete(given, labels, group, ("A", "B"), seed=seed)
    assert (parts[80:] == "test").all()
    assert set(parts[:80].tolist()) == {"train", "validation"}
    assert all(len(found) == 1 for found in parts_of_groups(parts, group))
    assert abs((parts == "validation").sum() - 80 * 0.15 / 0.85) <= 4


def test_validation_from_train_follows_the_seed():
    given, labels = given_parts(*["train"] * 60, *["test"] * 20), np.arange(80) % 2
    one, again, other = (split.complete(given, labels, np.arange(80), ("A", "B"), seed=seed) for seed in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


def test_a_given_part_of_an_unlabelled_image_is_dropped():
    given = given_parts("train", "test", "validation", "train", "test", "validation", "test")
    parts = split.complete(given, np.array([0, 0, 0, 1, 1, 1, -1]), np.arange(7), ("A", "B"))
    assert parts.tolist() == [*given[:6].tolist(), ""]


def test_a_split_given_for_some_images_only_is_an_error_with_both_numbers():
    with pytest.raises(SplitError, match="received 2 of 6 without"):
        split.complete(
            given_parts("train", "test", "", "", "train", "test"), np.arange(6) % 2, np.arange(6), ("A", "B")
        )


def test_a_given_part_without_a_class_is_an_error_that_names_both():
    given, labels = given_parts(*["train", "validation", "test"] * 2), np.array([0, 0, 0, 1, 1, 0])
    with pytest.raises(SplitError, match="test has none of NORMAL"):
        split.complete(given, labels, np.arange(6), ("COVID", "NORMAL"))


def test_a_given_train_part_of_one_patient_cannot_give_a_validation_part():
    given, labels = given_parts(*["train"] * 4, *["test"] * 2), np.array([0, 0, 1, 1, 0, 1])
    with pytest.raises(SplitError, match=r"at least 2 patients .* received 1 of A"):
        split.complete(given, labels, np.array([0, 0, 1, 2, 3, 4]), ("A", "B"))


# Leakage


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from([*split.NAMES, ""]), st.integers(0, 6)), max_size=40))
def test_leakage_is_what_counting_by_hand_finds(rows):
    parts: dict[int, set[str]] = {}
    for part, group in rows:
        if part:
            parts.setdefault(group, set()).add(part)
    leaking = {group for group, found in parts.items() if len(found) > 1}
    images = sum(1 for part, group in rows if part and group in leaking)
    found = split.leakage(np.array([part for part, _ in rows], "U10"), np.array([group for _, group in rows], int))
    assert (found.groups, found.images) == (len(leaking), images)


@given(grouped(), SEEDS)
def test_a_split_of_our_own_never_leaks(data, seed):
    labels, group = data
    parts = split.make(labels, group, CLASSES[: labels.max() + 1], seed=seed)
    assert split.leakage(parts, group) == split.Leakage(0, 0)


# Cross-validation


@given(st.integers(20, 200), st.integers(2, 5), st.integers(0, 1000))
def test_every_image_is_tested_in_one_fold_and_its_patient_stands_in_one_part_of_each(patients, count, seed):
    labels, group, _ = films(patients, seed)
    splits = split.folds(labels, group, CLASSES[:2], count=count, seed=seed)
    tested = sum((parts == "test").astype(int) for parts in splits)
    assert (tested == 1).all()
    for parts in splits:
        assert set(parts.tolist()) == set(split.NAMES)
        assert all(len(seen) == 1 for seen in parts_of_groups(parts, group))
        for label in np.unique(labels):
            assert set(parts[labels == label].tolist()) == set(split.NAMES)


@pytest.mark.parametrize("count", [2, 5, 10])
def test_folds_are_of_one_size_and_the_rest_is_dealt_as_a_split_is(count):
    labels, group, sizes = films(600, seed=1)
    for parts in split.folds(labels, group, CLASSES[:2], count=count):
        assert abs((parts == "test").sum() - sizes.sum() / count) <= 3
        rest = (parts != "test").sum()
        assert abs((parts == "validation").sum() / rest - 0.15 / 0.85) < 0.01


def test_an_image_without_a_label_stands_in_no_part_of_any_fold():
    labels, group, _ = films(60, seed=2)
    labels[:5] = -1
    for parts in split.folds(labels, group, CLASSES[:2], count=3):
        assert (parts[:5] == "").all()
        assert (parts[5:] != "").all()


def test_more_folds_than_patients_of_a_class_are_an_error_with_both_numbers():
    labels, group = np.repeat([0, 1], [20, 4]), np.arange(24)
    with pytest.raises(SplitError, match="at least 5 patients .* received 4 of NORMAL"):
        split.folds(labels, group, CLASSES[:2], count=5)


def test_one_patient_as_large_as_a_fold_may_leave_too_few_others_and_is_told():
    labels, group = np.zeros(10, int), np.array([31, 38, 17, 38, 24, 38, 38, 3, 38, 10])
    with pytest.raises(SplitError, match="enough patients of COVID for 2 folds"):
        split.folds(labels, group, CLASSES[:1], count=2)


# Findings


def stated(patients: int, shares: tuple[float, ...], seed: int, unknown: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """States int8 (n, k) of findings that so many of the patients have, some not known, and patients of 1 to 3 films."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(patients), rng.choice([1, 2, 3], patients, p=[0.75, 0.17, 0.08]))
    states = (rng.random((len(group), len(shares))) < shares).astype(np.int8)
    states[rng.random(states.shape) < unknown] = -1
    return states, group


@given(SEEDS)
@settings(max_examples=20)
def test_findings_are_dealt_by_patient_and_each_comes_near_its_share(seed):
    states, group = stated(800, (0.5, 0.2, 0.05, 0.02), seed)
    parts = split.make(states, group, ("A", "B", "C", "D"), seed=seed)
    assert all(len(found) == 1 for found in parts_of_groups(parts[parts != ""], group[parts != ""]))
    assert ((parts == "") == (states < 0).all(axis=1)).all()
    for finding in states.T:
        for state in (0, 1):
            own = parts[finding == state]
            for part, share in zip(split.NAMES, split.SHARES, strict=True):
                assert abs((own == part).sum() - share * len(own)) <= 3 + 0.02 * len(own)


def test_a_rare_finding_is_spread_better_than_by_chance():
    off = {"iterative": [], "chance": []}
    for seed in range(20):
        states, group = stated(600, (0.4, 0.3, 0.02), seed, unknown=0.0)
        parts = split.make(states, group, ("A", "B", "C"), seed=seed)
        by_chance = np.random.default_rng(seed).choice(split.NAMES, group.max() + 1, p=split.SHARES)[group]
        for name, found in (("iterative", parts), ("chance", by_chance)):
            off[name].append(abs((found[states[:, 2] == 1] == "test").mean() - split.SHARES[2]))
    assert np.mean(off["iterative"]) < np.mean(off["chance"]) / 2


@given(SEEDS)
@settings(max_examples=20)
def test_a_finding_of_three_patients_stands_in_every_part(seed):
    states, group = stated(60, (0.4, 0.0), seed, unknown=0.0)
    rare = np.random.default_rng(seed).choice(np.unique(group), 3, replace=False)
    states[np.isin(group, rare), 1] = 1
    parts = split.make(states, group, ("A", "B"), seed=seed)
    assert set(parts[states[:, 1] == 1].tolist()) == set(split.NAMES)
    assert split.filled(states, parts).all()


def test_folds_of_findings_test_each_row_once_and_a_rare_one_is_refused_by_name():
    states, group = stated(200, (0.4, 0.1), 0)
    folds = split.folds(states, group, ("A", "B"), count=5, seed=0)
    tested = np.sum([own == "test" for own in folds], axis=0)
    assert (tested == (states >= 0).any(axis=1)).all()
    states[:, 1] = 0
    states[np.isin(group, [1, 2]), 1] = 1
    with pytest.raises(SplitError, match="with and without each finding, .* received 2 of B. .*leave the finding out"):
        split.folds(states, group, ("A", "B"), count=5, seed=0)
    assert split.with_enough(states, group).tolist() == [True, False]


def test_new_rows_join_the_findings_that_a_part_holds():
    states, group = stated(300, (0.4, 0.1), 3, unknown=0.0)
    before = split.make(states, group, ("A", "B"), seed=0)
    old = before.copy()
    old[group >= 200] = ""
    parts, leaking = split.extend(old, states, group, ("A", "B"), seed=1)
    assert (parts[group < 200] == before[group < 200]).all()
    assert not len(leaking)
    own = parts[states[:, 1] == 1]
    assert abs((own == "test").mean() - 0.15) < 0.06
