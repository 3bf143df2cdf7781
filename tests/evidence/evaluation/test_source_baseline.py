from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import made_metrics
from plainfilm.data.split import Leakage
from plainfilm.evidence.evaluation.source_baseline import SourceRule, source_rule, worth
from plainfilm.evidence.statistics.discrimination import delong
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.results.estimate import UNDEFINED, Estimate

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


def test_the_area_of_the_source_is_that_of_the_classes_shares_in_train():
    """A source of which 3 % are ill in train, another of which 0.3 % are: naming classes says nothing, ranking does."""
    rule = rule_of([("a", 0, "t", 970), ("a", 1, "t", 30), ("b", 0, "t", 997), ("b", 1, "t", 3),
                    ("a", 0, "e", 100), ("a", 1, "e", 20), ("b", 0, "e", 300), ("b", 1, "e", 2)])  # fmt: skip
    assert rule.accuracy.value == pytest.approx(400 / 422)
    assert rule.auroc.value == pytest.approx((20 * 300 + 0.5 * (20 * 100 + 2 * 300)) / (22 * 400))
    assert rule.tells
    assert rule.of_class(rule.worst) == ""


def test_rows_of_one_fold_alone_are_compared():
    """What is rarer in a fold is commoner in what taught its rule: pooled over folds, chance lies below one half."""
    rng = np.random.default_rng(0)
    below = 0
    for _ in range(20):
        labels, source = rng.permutation(np.repeat([0, 1], 100)), rng.permutation(np.repeat(["a", "b"], 100))
        fold = rng.integers(0, 5, 200)
        parts = [(np.flatnonzero(fold != each), np.flatnonzero(fold == each)) for each in range(5)]
        below += source_rule(labels, source, np.arange(200), parts, CLASSES[:2]).auroc.high < 0.5
    assert below <= 6


def test_with_several_classes_the_one_that_the_source_tells_best_is_named():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 900)
    source = np.where(labels == 2, "c", rng.choice(["a", "b"], 900))
    train, test = np.arange(450), np.arange(450, 900)
    rule = source_rule(labels, source, np.arange(900), [(train, test)], CLASSES)
    assert rule.worst == CLASSES[2]
    assert rule.auroc.value == 1
    one = delong(labels[test] == 0, rule_shares(labels, source, train, test, 0), level=1 - 0.05 / 3)
    assert rule.areas[CLASSES[0]] == one
    assert rule.of_class(rule.worst) == f" for {CLASSES[2]} against the rest"


def rule_shares(labels, source, train, test, column):
    shares = {name: np.mean(labels[train][source[train] == name] == column) for name in set(source[train])}
    return np.array([shares[name] for name in source[test]])


def between(low, high):
    return Estimate((low + high) / 2, low, high)


def made_rule(low, value, high, *, sources=("a", "b")):
    return SourceRule(sources=sources, table=np.ones((2, len(sources)), np.int64), accuracy=UNDEFINED,
                      areas={"NORMAL": Estimate(value, low, high)}, guess=("NORMAL", 0.5))  # fmt: skip


def of_a_test_set(area, ill=100, well=100):
    return made_metrics.metrics(auroc=area, confusion_matrix=((well, 0), (0, ill)))


def test_an_area_that_the_source_alone_reaches_is_a_warning_with_that_number():
    found = worth(made_rule(0.84, 0.88, 0.91), of_a_test_set(between(0.85, 0.95)))
    assert found.level == "warning"
    assert "gives AUROC 0.88 (0.84 to 0.91), the model 0.90 (0.85 to 0.95)" in found.sentence
    assert "does not show that the model sees disease" in found.sentence


def test_an_area_above_a_source_that_tells_something_is_a_caution():
    found = worth(made_rule(0.6, 0.65, 0.7), of_a_test_set(between(0.8, 0.9)))
    assert found.level == "caution"
    assert "already gives AUROC 0.65 (0.60 to 0.70)" in found.sentence
    assert "Part of this accuracy may be the source" in found.sentence


def test_an_area_that_may_be_chance_is_a_caution_that_says_how_many_would_tell():
    found = worth(made_rule(0.4, 0.5, 0.6), of_a_test_set(between(0.45, 0.75), ill=9, well=300))
    assert found.level == "caution"
    assert "The model's AUROC, 0.60 (0.45 to 0.75), may be chance: it has learnt nothing" in found.sentence
    assert "About 21 radiographs of the rarer class would be needed; 9 were tested." in found.sentence


def test_a_rare_disease_told_well_is_not_told_to_have_learnt_nothing():
    """At 3 % ill, answering that all are well is right in 97 %: more than a model of AUROC 0.977 at most thresholds."""
    found = worth(made_rule(0.4, 0.5, 0.6), of_a_test_set(between(0.962, 0.992), ill=9, well=291))
    assert found.level == "none"
    assert "does not explain this accuracy" in found.sentence


def test_too_few_images_to_clear_the_source_are_said_to_be_too_few():
    found = worth(made_rule(0.3, 0.6, 0.9), of_a_test_set(between(0.7, 0.9), ill=9))
    assert found.level == "caution"
    assert "too few images were tested to say that the source does not explain" in found.sentence
    assert "would be needed; 9 were tested." in found.sentence


def test_the_worst_of_several_classes_speaks_and_is_named():
    """The mean of the classes hides the one that the model cannot tell."""
    areas = {"A": between(0.9, 0.95), "B": between(0.9, 0.95), "C": between(0.48, 0.7)}
    each = {name: made_metrics.of_a_class(auroc=area) for name, area in areas.items()}
    rule = SourceRule(sources=("a", "b"), table=np.ones((3, 2), np.int64), accuracy=UNDEFINED,
                      areas=dict.fromkeys(areas, between(0.4, 0.6)), guess=("A", 0.4))  # fmt: skip
    metrics = made_metrics.metrics(per_class=each, confusion_matrix=((50, 0, 0), (0, 50, 0), (0, 0, 20)))
    found = worth(rule, metrics)
    assert found.level == "caution"
    assert "The model's AUROC for C against the rest, 0.59" in found.sentence
    assert "radiographs of C would be needed; 20 were tested." in found.sentence


def test_images_of_one_source_are_a_caution_however_good_the_area():
    found = worth(made_rule(0.4, 0.5, 0.6, sources=("a",)), of_a_test_set(between(0.95, 0.99)))
    assert found.level == "caution"
    assert "one source" in found.sentence


def test_a_source_that_tells_nothing_leaves_an_accuracy_as_it_is():
    found = worth(made_rule(0.42, 0.5, 0.58), of_a_test_set(between(0.8, 0.9)))
    assert found.level == "none"
    assert "does not explain this accuracy" in found.sentence


@given(
    st.floats(0.01, 0.99),
    st.floats(0, 0.3),
    st.floats(0.01, 0.99),
    st.floats(0, 0.3),
    st.booleans(),
)
def test_a_better_area_never_makes_the_verdict_louder(value, width, low, more, one):
    rule = made_rule(max(value - width, 0), value, min(value + width, 1), sources=("a",) if one else ("a", "b"))
    loudness = ["none", "caution", "warning"].index
    worse, better = (of_a_test_set(area) for area in (between(low, min(low + 0.1, 1)), between(min(low + more, 1), 1)))
    assert loudness(worth(rule, better).level) <= loudness(worth(rule, worse).level)
    for found in (worth(rule, worse), worth(rule, better)):
        assert "\n" not in found.sentence
        assert found.sentence.endswith(".")


def test_a_split_that_leaks_is_a_warning_before_all_else():
    said = worth(made_rule(0.99, 1.0, 1.0), of_a_test_set(between(0.98, 1.0)), Leakage(groups=2, images=5))
    assert said.level == "warning"
    assert "5 images of 2 patients" in said.sentence
    assert "--resplit" in said.sentence
