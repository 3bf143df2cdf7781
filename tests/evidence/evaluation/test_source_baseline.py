from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.data.split import Leakage
from plainfilm.evidence.evaluation.source_baseline import SourceRule, source_rule, worth
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.results.estimate import Estimate

CLASSES = ("COVID", "NORMAL", "OTHER")


@st.composite
def collections(draw):
    n = draw(st.integers(6, 40))
    labels = draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n))
    source = draw(st.lists(st.sampled_from(["north", "south", "Ü", ""]), min_size=n, max_size=n))
    part = draw(st.lists(st.sampled_from("tve"), min_size=n, max_size=n))
    group = draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))
    labels[0], labels[1], part[0], part[1] = 0, 1, "t", "e"
    return np.array(labels), np.array(source), np.array(group), np.array(part)


def rows(labels, part, name):
    return np.flatnonzero((part == name) & (labels >= 0))


@given(collections())
def test_the_source_rule_is_what_one_would_count_by_hand(made):
    labels, source, group, part = made
    train, test = rows(labels, part, "t"), rows(labels, part, "e")
    rule = source_rule(labels, source, group, [(train, test)], CLASSES)

    everywhere = Counter(labels[train].tolist())
    overall = min(everywhere, key=lambda label: (-everywhere[label], label))
    right = []
    for row in test:
        seen = Counter(label for label, place in zip(labels[train], source[train], strict=True) if place == source[row])
        named = min(seen, key=lambda label: (-seen[label], label)) if seen else overall
        right.append(named == labels[row])
    assert rule.accuracy.value == pytest.approx(np.mean(right))
    assert rule.accuracy == wilson(np.array(right), group=group[test])

    assert rule.sources == tuple(sorted(set(source.tolist())))
    for c in range(3):
        for s, name in enumerate(rule.sources):
            assert rule.table[c, s] == sum((labels == c) & (source == name))
    tested = Counter(labels[test].tolist())
    assert rule.guess[1] == pytest.approx(max(tested.values()) / len(test))
    assert tested[CLASSES.index(rule.guess[0])] == max(tested.values())


def rule_of(pairs):
    """Source rule of (source, label, part) triples, each so many times."""
    source, labels, part = (np.repeat([p[k] for p in pairs], [p[3] for p in pairs]) for k in range(3))
    labels = labels.astype(int)
    return source_rule(
        labels, source, np.arange(len(labels)), [(rows(labels, part, "t"), rows(labels, part, "e"))], CLASSES[:2]
    )


def test_where_the_source_is_the_label_the_rule_is_always_right():
    rule = rule_of([("a", 0, "t", 30), ("b", 1, "t", 30), ("a", 0, "e", 20), ("b", 1, "e", 20)])
    assert rule.accuracy.value == 1
    np.testing.assert_array_equal(rule.table, [[50, 0], [0, 50]])


def test_a_source_that_training_has_not_seen_gets_the_commonest_class_of_training():
    rule = rule_of([("a", 1, "t", 30), ("a", 0, "t", 10), ("b", 0, "e", 5), ("b", 1, "e", 15)])
    assert rule.accuracy.value == 0.75


def between(low, high):
    return Estimate((low + high) / 2, low, high)


def made_rule(low, value, high, *, share=0.5, sources=("a", "b")):
    return SourceRule(
        sources=sources, table=np.ones((2, len(sources)), np.int64), accuracy=Estimate(value, low, high), guess=("NORMAL", share)
    )  # fmt: skip


def test_an_accuracy_that_the_source_alone_reaches_is_a_warning_with_that_number():
    found = worth(made_rule(0.94, 0.97, 0.99), between(0.95, 0.99))
    assert found.level == "warning"
    assert "97.0 %" in found.sentence
    assert "does not show that the model sees disease" in found.sentence


def test_an_accuracy_above_a_source_that_tells_something_is_a_caution():
    found = worth(made_rule(0.6, 0.65, 0.7), between(0.8, 0.9))
    assert found.level == "caution"
    assert "65.0 %" in found.sentence
    assert "Part of this accuracy may be the source" in found.sentence


def test_an_accuracy_that_the_commonest_class_reaches_is_a_caution():
    found = worth(made_rule(0.5, 0.6, 0.7, share=0.62), between(0.6, 0.8))
    assert found.level == "caution"
    assert "Always answering NORMAL would be right in 62.0 %" in found.sentence


def test_images_of_one_source_are_a_caution_however_good_the_accuracy():
    found = worth(made_rule(0.4, 0.5, 0.6, sources=("a",)), between(0.95, 0.99))
    assert found.level == "caution"
    assert "one source" in found.sentence


def test_a_source_that_tells_nothing_leaves_an_accuracy_as_it_is():
    found = worth(made_rule(0.42, 0.5, 0.58), between(0.8, 0.9))
    assert found.level == "none"
    assert "does not explain this accuracy" in found.sentence


@given(
    st.floats(0.01, 0.99),
    st.floats(0, 0.3),
    st.floats(0.34, 0.99),
    st.floats(0.01, 0.99),
    st.floats(0, 0.3),
    st.booleans(),
)
def test_a_better_accuracy_never_makes_the_verdict_louder(value, width, share, low, more, one):
    rule = made_rule(
        max(value - width, 0), value, min(value + width, 1), share=share, sources=("a",) if one else ("a", "b")
    )
    loudness = ["none", "caution", "warning"].index
    worse, better = between(low, min(low + 0.1, 1)), between(min(low + more, 1), 1)
    assert loudness(worth(rule, better).level) <= loudness(worth(rule, worse).level)
    for found in (worth(rule, worse), worth(rule, better)):
        assert "\n" not in found.sentence
        assert found.sentence.endswith(".")


def test_a_split_that_leaks_is_a_warning_before_all_else():
    said = worth(made_rule(0.99, 1.0, 1.0), between(0.98, 1.0), Leakage(groups=2, images=5))
    assert said.level == "warning"
    assert "5 images of 2 patients" in said.sentence
    assert "--resplit" in said.sentence
