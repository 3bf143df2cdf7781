import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainfilm.data import source_split
from plainfilm.data.source_split import leave_out
from plainfilm.errors import SplitError

CLASSES = ("NORMAL", "SICK")


def rows(*cells):
    """Labels, sources and groups of cells (source, label, how many), each row a group of its own."""
    labels = np.concatenate([np.full(count, label) for _, label, count in cells])
    source = np.concatenate([np.full(count, name, "U20") for name, _, count in cells])
    return labels, source, np.arange(len(labels))


def test_each_source_with_every_class_is_left_out_and_the_rest_is_dealt_whole():
    labels, source, group = rows(("a", 0, 40), ("a", 1, 40), ("b", 0, 30), ("b", 1, 20), ("c", 0, 50))
    found = leave_out(labels, source, group, CLASSES)
    assert [fold.sources for fold in found.folds] == [("a",), ("b",)]
    assert found.not_tested == ("c",)
    assert not found.paired
    for fold in found.folds:
        assert set(source[fold.split == "test"]) == set(fold.sources)
        assert set(np.unique(source[np.isin(fold.split, ["train", "validation"])])) == {"a", "b", "c"} - set(
            fold.sources
        )
        for name in {"a", "b", "c"} - set(fold.sources):
            for label in np.unique(labels[source == name]):
                cell = (source == name) & (labels == label)
                assert (fold.split[cell] == "validation").sum() == pytest.approx(0.15 / 0.85 * cell.sum(), abs=1)


def test_a_patient_of_a_tested_source_is_not_learnt_from_elsewhere():
    labels, source, group = rows(("a", 0, 40), ("a", 1, 40), ("b", 0, 40), ("b", 1, 40), ("c", 0, 40), ("c", 1, 40))
    group[80] = group[0]  # one patient in a and b: below 5 % of either
    found = leave_out(labels, source, group, CLASSES)
    assert not found.together
    assert found.folds[0].split[80] == ""
    assert found.folds[1].split[0] == ""


def test_sources_that_share_films_leave_together_named_or_found():
    labels, source, group = rows(*((name, label, 40) for name in "abc" for label in (0, 1)))
    named = leave_out(labels, source, group, CLASSES, together=[("a", "b")])
    assert [(fold.sources, fold.companions) for fold in named.folds] == [
        (("a",), ("b",)),
        (("b",), ("a",)),
        (("c",), ()),
    ]
    assert named.together == (("a", "b"),)
    assert set(source[named.folds[0].split != ""]) == {"a", "c"}
    group[80:88] = group[:8]
    found = leave_out(labels, source, group, CLASSES)
    assert found.together == (("a", "b"),)
    assert all(
        np.array_equal(one.split == "test", other.split == "test")
        for one, other in zip(named.folds, found.folds, strict=True)
    )


def test_sources_of_one_class_are_paired_and_both_are_unseen():
    labels, source, group = rows(("a", 0, 40), ("b", 0, 40), ("c", 0, 40), ("x", 1, 40), ("y", 1, 40))
    found = leave_out(labels, source, group, CLASSES, together=[("a", "b")])
    assert found.paired
    assert [fold.name for fold in found.folds] == ["a + x", "a + y", "b + x", "b + y", "c + x", "c + y"]
    first = found.folds[0]
    assert first.companions == ("b",)
    assert set(source[first.split == "test"]) == {"a", "x"}
    assert set(source[first.split != ""]) == {"a", "x", "c", "y"}


def test_what_has_no_source_or_no_label_takes_no_part():
    labels, source, group = rows(("a", 0, 40), ("a", 1, 40), ("b", 0, 40), ("b", 1, 40), ("", 0, 40), ("b", -1, 10))
    found = leave_out(labels, source, group, CLASSES)
    for fold in found.folds:
        assert (fold.split[160:] == "").all()


@pytest.mark.parametrize(
    ("cells", "match"),
    [
        ([("a", 0, 40), ("a", 1, 40)], "at least two sources.*received 1 of NORMAL, 1 of SICK"),
        ([("a", 0, 40), ("b", 1, 40)], "received 1 of NORMAL, 1 of SICK"),
        ([("a", 0, 40), ("a", 1, 40), ("b", 0, 40), ("b", 1, 9)], "received 2 of NORMAL, 1 of SICK"),
        ([("", 0, 40), ("", 1, 40)], "received 0 of NORMAL, 0 of SICK"),
    ],
)
def test_too_few_sources_are_refused_with_what_to_do(cells, match):
    with pytest.raises(SplitError, match=match):
        leave_out(*rows(*cells), CLASSES)


def test_a_name_that_is_no_source_is_refused():
    labels, source, group = rows(*((name, label, 40) for name in "ab" for label in (0, 1)))
    with pytest.raises(SplitError, match="together. to name sources of a, b; received z"):
        leave_out(labels, source, group, CLASSES, together=[("a", "z")])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 3), st.integers(2, 6), st.integers(1, 4))
def test_no_source_and_no_group_stands_on_both_sides(seed, classes, sources, size):
    rng = np.random.default_rng(seed)
    count = 600
    labels, named = rng.integers(classes, size=count), rng.integers(sources, size=count)
    source, group = np.array(list("abcdef"))[named], rng.integers(count // size, size=count)
    try:
        found = leave_out(labels, source, group, [f"c{n}" for n in range(classes)], seed=seed)
    except SplitError:
        return
    for fold in found.folds:
        learnt, tested = np.isin(fold.split, ["train", "validation"]), fold.split == "test"
        assert not set(source[learnt]) & {*fold.sources, *fold.companions}
        assert not set(group[learnt]) & set(group[tested])
        assert not set(group[fold.split == "train"]) & set(group[fold.split == "validation"])
        for label in range(classes):
            assert len(np.unique(group[tested & (labels == label)])) >= source_split.FEWEST
            assert len(np.unique(group[learnt & (labels == label)])) >= source_split.FEWEST


def test_two_folds_are_left_out_together_where_they_have_nothing_in_common():
    labels, source, group = rows(*((name, label, 40) for name in "abcd" for label in (0, 1)))
    folds = leave_out(labels, source, group, CLASSES, together=[("a", "b")])
    found = source_split.leave_two_out(labels, source, group, CLASSES, folds)
    assert set(found) == {(0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}
    assert set(source[found[0, 2] == "test"]) == {"a", "c"}
    assert set(source[np.isin(found[0, 2], ["train", "validation"])]) == {"d"}
    few = leave_out(*(each[:160] for each in (labels, source, group)), CLASSES)
    assert not source_split.leave_two_out(labels[:160], source[:160], group[:160], CLASSES, few)


def findings(**held):
    """States of the findings 0 and 1, sources and groups: of each source (films with, without) each finding, None for not stated."""
    parts = []
    for own in held.values():
        columns = [np.full(60, -1) if each is None else np.repeat([1, 0], each) for each in own]
        parts.append(np.stack(columns, axis=1))
    states = np.concatenate(parts).astype(np.int8)
    return states, np.repeat([*held], 60).astype("U20"), np.arange(len(states))


def test_a_source_of_findings_is_left_out_where_one_of_them_can_be_measured():
    states, source, group = findings(
        a=((20, 40), (30, 30)), b=((20, 40), None), c=((0, 60), (15, 45)), d=((60, 0), None)
    )
    found = leave_out(states, source, group, ("Mass", "Nodule"))
    assert [fold.sources for fold in found.folds] == [("a",), ("b",), ("c",)]
    assert found.not_tested == ("d",)
    for fold in found.folds:
        learnt = np.isin(fold.split, ["train", "validation"])
        assert set(source[fold.split == "test"]) == set(fold.sources)
        for column in states.T:
            for state in (0, 1):
                cell = learnt & (column == state)
                assert (fold.split[cell] == "validation").sum() == pytest.approx(0.15 / 0.85 * cell.sum(), abs=2)
    pairs = source_split.leave_two_out(states, source, group, ("Mass", "Nodule"), found)
    assert [*pairs] == [(0, 1), (1, 2)]  # without a and c nothing is left of nodules


def test_a_finding_that_could_not_be_learnt_without_a_source_is_named():
    states, source, group = findings(a=((20, 40), (30, 30)), b=((20, 40), None))
    assert [fold.sources for fold in leave_out(states, source, group, ("Mass", "Nodule")).folds] == [("b",)]
    states[:60, 0] = -1
    with pytest.raises(SplitError, match="1 of Mass, 1 of Nodule. Leave findings out"):
        leave_out(states, source, group, ("Mass", "Nodule"))


def test_a_patient_with_films_of_two_sources_is_on_one_side_alone():
    states, source, group = findings(a=((20, 40), (30, 30)), b=((30, 30), (20, 40)), c=((15, 45), (15, 45)))
    group[60:62] = group[:2]  # below 5 % of either
    third = leave_out(states, source, group, ("Mass", "Nodule")).folds[2]
    assert third.split[60] == third.split[0]
    assert third.split[61] == third.split[1]
