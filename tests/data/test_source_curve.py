import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainfilm.data import source_curve
from plainfilm.data.source_split import FEWEST, leave_out
from plainfilm.errors import SplitError

CLASSES = ("NORMAL", "SICK")


def rows(**sizes):
    """Labels, sources and groups of sources by name, so many images of each class, each a group of its own."""
    labels = np.concatenate([np.repeat([0, 1], count) for count in sizes.values()])
    source = np.concatenate([np.full(2 * count, name, "U20") for name, count in sizes.items()])
    return labels, source, np.arange(len(labels))


def drawn(labels, source, group, *, seed=0, **options):
    folds = leave_out(labels, source, group, CLASSES, seed=seed, **options)
    return source_curve.draw(labels, source, group, CLASSES, folds, seed=seed)


def combinations(made):
    return {(each.hospitals, each.films) for each in made}


def test_hospitals_and_films_are_halved_from_the_most_that_all_left_out_sources_have():
    labels, source, group = rows(a=160, b=160, c=200)
    made = drawn(labels, source, group)
    assert combinations(made) == {(1, 320), (1, 160), (1, 80), (1, 40), (2, 640), (2, 320), (2, 160), (2, 80)}
    for each in made:
        assert abs(len(each.rows) - each.films) <= 2 * each.hospitals
        names, counts = np.unique(source[each.rows], return_counts=True)
        assert len(names) == each.hospitals
        assert counts.max() - counts.min() <= 4
        assert not set(names) & {*each.fold.sources}
        assert set(source[each.split == "test"]) == {*each.fold.sources}
        assert {(part, label) for part, label in zip(each.split[each.rows], labels[each.rows], strict=True)} == {
            ("train", 0), ("train", 1), ("validation", 0), ("validation", 1)}  # fmt: skip


def test_each_left_out_source_learns_from_each_of_the_others_alone():
    labels, source, group = rows(a=40, b=40, c=40)
    alone = [each for each in drawn(labels, source, group) if (each.hospitals, each.films) == (1, 80)]
    assert sorted((each.fold.name, *np.unique(source[each.rows])) for each in alone) == [
        ("a", "b"), ("a", "c"), ("b", "a"), ("b", "c"), ("c", "a"), ("c", "b")]  # fmt: skip


def test_the_same_films_are_drawn_once_and_others_for_another_seed():
    labels, source, group = rows(a=40, b=40)
    first, other = drawn(labels, source, group), drawn(labels, source, group, seed=7)
    assert sum((each.hospitals, each.films) == (1, 80) for each in first) == 2  # one for each that is left out
    assert sum((each.hospitals, each.films) == (1, 40) for each in first) == 8  # four draws
    assert [each.rows.tolist() for each in first] == [each.rows.tolist() for each in drawn(labels, source, group)]
    assert [each.rows.tolist() for each in first] != [each.rows.tolist() for each in other]


def test_with_two_sources_there_is_one_to_learn_from():
    assert {each.hospitals for each in drawn(*rows(a=40, b=60))} == {1}


def test_sources_that_leave_together_are_one_hospital():
    labels, source, group = rows(a=40, b=40, c=60)
    made = drawn(labels, source, group, together=[("a", "b")])
    assert {each.hospitals for each in made} == {1}
    assert all(set(source[each.rows]) == {"a", "b"} for each in made if each.fold.name == "c")


def test_sources_of_one_class_take_no_part():
    labels, source, _ = rows(a=40, b=40)
    labels, source = np.append(labels, np.zeros(50, int)), np.append(source, np.full(50, "z"))
    made = drawn(labels, source, np.arange(len(labels)))
    assert all("z" not in source[each.rows] for each in made)


def test_what_many_hospitals_cost_is_bounded():
    labels, source, group = rows(**dict.fromkeys("abcdefghij", 60))
    made = drawn(labels, source, group)
    assert {each.hospitals for each in made} == {1, 2, 4, 8, 9}
    assert len(made) <= 120
    pairs = [tuple(np.unique(source[each.rows])) for each in made if each.hospitals == 2]
    assert all(len(pair) == 2 for pair in pairs)


@pytest.mark.parametrize(
    "cells",
    [
        [("a", 0), ("b", 0), ("x", 1), ("y", 1)],  # each source holds one class
        [("a", 0), ("a", 1), ("b", 0), ("x", 1)],  # one holds both
    ],
)
def test_sources_without_every_class_are_refused(cells):
    labels = np.repeat([label for _, label in cells], 40)
    source = np.repeat([name for name, _ in cells], 40)
    with pytest.raises(SplitError, match="^Expected curve=True on at least two sources[^\n]*hold every class"):
        drawn(labels, source, np.arange(len(labels)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 5), st.integers(1, 3))
def test_nothing_of_what_is_left_out_is_learnt_from(seed, sources, size):
    rng = np.random.default_rng(seed)
    count = 800
    labels, index = rng.integers(2, size=count), rng.integers(sources, size=count)
    source, group = np.array(list("abcde"))[index], index * count + rng.integers(count // size // sources, size=count)
    group[:4] = group[4:8]  # a few patients of two sources
    made = drawn(labels, source, group, seed=seed)
    points = {}
    for each in made:
        points.setdefault((each.hospitals, each.films), set()).add(each.fold.name)
        learnt, tested = np.isin(each.split, ["train", "validation"]), each.split == "test"
        assert np.array_equal(tested, each.fold.split == "test")
        assert np.array_equal(np.flatnonzero(learnt), each.rows)
        assert not set(source[learnt]) & {*each.fold.sources, *each.fold.companions}
        assert not set(group[learnt]) & set(group[tested])
        assert not set(group[each.split == "train"]) & set(group[each.split == "validation"])
        assert all(len(np.unique(group[learnt & (labels == label)])) >= FEWEST for label in (0, 1))
    assert len({frozenset(names) for names in points.values()}) == 1  # all points are means over the same sources
