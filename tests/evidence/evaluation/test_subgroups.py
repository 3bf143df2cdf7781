"""What a user reads of parts of the test set."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plainfilm.evidence.attributes import NAMES
from plainfilm.evidence.evaluation.subgroups import (
    FEWEST_GROUPS,
    FEWEST_OF_CLASS,
    METRICS,
    MOST_SUBGROUPS,
    NOT_KNOWN,
    comparing,
    measure,
    tells_class,
)
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.results import documents
from plainfilm.results.metrics import Subgroups

CLASSES = ("COVID", "NORMAL")


def answers(n, *, seed=0, gap=2.5, k=2):
    random = np.random.default_rng(seed)
    labels = np.arange(n) % k
    logits = random.normal(size=(n, k)) + gap * np.eye(k)[labels]
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, chances


def measured(known, labels, chances, *, group=None, threshold=0.5, positive="COVID", classes=CLASSES):
    known = {kind: names if names is None else np.asarray(names, dtype=np.str_) for kind, names in known.items()}
    return measure(known, labels, chances, classes=classes, positive=positive, threshold=threshold, group=group)


def parts(found):
    """Subgroups of the only kind that is recorded."""
    [found] = filter(None, found.result.kinds.values())
    return found


@settings(max_examples=25)
@given(st.integers(0, 2**16), st.sampled_from([0.3, 0.5]), st.sampled_from(CLASSES), st.sampled_from([2, 3]))
def test_a_subgroup_has_the_metrics_of_its_rows(seed, threshold, positive, k):
    labels, chances = answers(240, seed=seed, k=k)
    random = np.random.default_rng(seed)
    sex, group = random.choice(["F", "M"], 240), random.integers(0, 200, 240)
    classes, positive = (CLASSES, positive) if k == 2 else (("A", "B", "C"), None)
    found = measured({"sex": sex}, labels, chances, group=group, threshold=threshold, positive=positive, classes=classes)  # fmt: skip
    for name, part in parts(found).items():
        rows = sex == name
        whole = evaluate(labels[rows], chances[rows], classes=classes, positive=positive, threshold=threshold, group=group[rows])  # fmt: skip
        assert dict(part.estimates) == {metric: whole.estimates[metric] for metric in METRICS}
        assert (part.n, part.groups) == (whole.n, whole.groups)
        assert list(part.classes.values()) == np.bincount(labels[rows], minlength=k).tolist()


def test_too_few_groups_say_nothing_of_accuracy():
    labels, chances = answers(60)
    for groups, silent in ((FEWEST_GROUPS - 1, True), (FEWEST_GROUPS, False)):
        part = measured({}, labels, chances, group=np.arange(60) % groups).whole
        assert ("accuracy" in part.too_small) == silent
        assert np.isnan(part.estimates["accuracy"].value) == silent


def test_too_few_of_a_class_say_nothing_of_what_rests_on_it():
    _, chances = answers(60)
    few = (np.arange(60) >= FEWEST_OF_CLASS - 1).astype(int)
    assert measured({}, few, chances).whole.too_small == ("sensitivity", "auroc")
    assert measured({}, 1 - few, chances).whole.too_small == ("specificity", "auroc")
    enough = (np.arange(60) >= FEWEST_OF_CLASS).astype(int)
    assert measured({}, enough, chances).whole.too_small == ()
    in_pairs = measured({}, enough, chances, group=np.arange(60) // 2).whole
    assert in_pairs.too_small == ("sensitivity", "auroc"), "patients count, not images"


def test_with_more_classes_all_of_them_must_be_large_enough():
    labels, chances = answers(60, k=3)
    assert measured({}, labels, chances, positive=None, classes=("A", "B", "C")).whole.too_small == ()
    few = np.where(np.arange(60) < 52, labels % 2, 2)
    found = measured({}, few, chances, positive=None, classes=("A", "B", "C")).whole
    assert found.too_small == ("sensitivity", "specificity", "auroc")


def test_what_is_not_known_is_a_row_of_its_own_at_the_end_and_is_not_compared():
    labels, chances = answers(120)
    found = measured({"sex": np.array(["", "M", "F"])[np.arange(120) % 3]}, labels, chances)
    assert list(parts(found)) == ["F", "M", NOT_KNOWN]
    last = parts(found)[NOT_KNOWN]
    assert last.n == 40
    assert last.accuracy.is_known
    assert found.result.comparisons.made == 3  # F and M, in three metrics


def test_a_kind_that_is_not_recorded_has_no_subgroups():
    labels, chances = answers(60)
    found = measured({"sex": ["F"] * 60, "view": None}, labels, chances).result
    assert (list(found.sex), found.view) == (["F"], None)
    assert list(found.kinds) == list(NAMES)
    assert [kind for kind, own in found.kinds.items() if own] == ["sex"]


def test_ages_go_from_young_to_old_and_children_are_flagged():
    labels, chances = answers(100)
    ages = np.array(["65+", "18-39", "", "under 18", "40-64"])[np.arange(100) % 5]
    made = measured({"age": ages}, labels, chances).result.age
    assert list(made) == ["under 18", "18-39", "40-64", "65+", NOT_KNOWN]
    assert [part.child for part in made.values()] == [True, False, False, False, None]


def test_sources_go_from_large_to_small():
    labels, chances = answers(60)
    found = measured({"source": np.repeat(["a", "b", "c"], [10, 30, 20])}, labels, chances)
    assert list(parts(found)) == ["b", "c", "a"]


def one_bad_part(seed=1):
    """F is answered by chance, M perfectly."""
    labels, chances = answers(400, seed=seed, gap=0)
    sex = np.where(np.arange(400) < 200, "F", "M")
    chances[sex == "M"] = np.eye(2)[labels[sex == "M"]]
    return sex, labels, chances


def test_a_difference_beyond_chance_is_said_with_the_number_of_comparisons():
    sex, labels, chances = one_bad_part()
    found = measured({"sex": sex}, labels, chances)
    apart = found.result.comparisons.apart
    assert {each.metric for each in apart} == {"accuracy", "sensitivity", "specificity"}
    assert all((each.lower.name, each.higher.name, each.pairs) == ("F", "M", 1) for each in apart)
    assert apart[0].sentence.startswith("Accuracy differs by sex: F: ")
    assert "M: 100.0 % (98.1 to 100.0). Chance does not explain it, all comparisons counted in." in apart[0].sentence
    assert "3 comparisons were made; counting them all, chance would set any apart in one of twenty" in comparing(
        found.result.comparisons
    )


def test_of_several_pairs_the_furthest_is_said_and_the_others_counted():
    sex, labels, chances = one_bad_part()
    view = np.where(sex == "F", "AP", np.where(np.arange(400) % 3, "PA", "lateral"))
    found = measured({"view": view}, labels, chances)
    accuracy = found.result.comparisons.apart[0]
    assert (accuracy.lower.name, accuracy.higher.name, accuracy.pairs) == ("AP", "PA", 2)
    assert "2 pairs are apart; these are the furthest." in accuracy.sentence
    assert found.result.comparisons.made == 9


def test_subgroups_that_do_not_differ_are_not_said_to():
    labels, chances = answers(400)
    found = measured({"sex": np.array(["F", "M"])[np.arange(400) // 2 % 2]}, labels, chances).result.comparisons
    assert found.apart == ()
    assert "3 comparisons were made; none differs by more than chance explains" in comparing(found)


def test_a_difference_in_one_of_several_classes_is_found_and_the_class_is_named():
    """In the macro average one class of three that fails in one sex is a third of the difference."""
    random = np.random.default_rng(0)
    labels, sex = np.arange(900) % 3, random.choice(["F", "M"], 900)
    called = np.where((labels == 2) & (sex == "F") & (random.random(900) < 0.4), 0, labels)
    chances = np.eye(3)[called] * 0.8 + 0.2 / 3
    found = measure({"sex": sex}, labels, chances, classes=("A", "B", "C"), positive=None, threshold=0.5).result
    assert found.comparisons.made == 7  # accuracy; sensitivity and specificity of three classes
    [said] = [each for each in found.comparisons.apart if each.metric == "sensitivity"]
    assert (said.of_class, said.lower.name) == ("C", "F")
    assert "Sensitivity for C differs by sex: F: " in said.sentence
    assert found.sex["F"].per_class["C"].sensitivity.value < 0.7


def test_each_of_several_classes_needs_enough_of_itself_and_of_the_rest_alone():
    labels = np.repeat([0, 1, 2], [60, 55, 5])
    found = measure({"sex": np.array(["F"] * 120)}, labels, np.eye(3)[labels], classes=("A", "B", "C"), positive=None, threshold=0.5)  # fmt: skip
    part = found.result.sex["F"]
    assert part.too_small == ("sensitivity", "specificity", "auroc")
    assert part.per_class["A"].sensitivity.is_known
    assert not part.per_class["C"].sensitivity.is_known
    assert part.per_class["C"].specificity.is_known


def test_chance_alone_parts_few_pairs():
    random = np.random.default_rng(5)
    made = apart = 0
    for seed in range(60):
        labels, chances = answers(300, seed=seed, gap=1.5)
        found = measured({"source": random.choice(list("abc"), 300)}, labels, chances).result.comparisons
        made, apart = made + found.made, apart + sum(each.pairs for each in found.apart)
    assert made == 60 * 9
    assert apart <= 0.05 * made, "as the sentence says"


def test_nothing_to_compare_is_said():
    labels, chances = answers(12)
    found = measured({"sex": ["F"] * 12}, labels, chances)
    assert comparing(found.result.comparisons).startswith("No two subgroups")


def test_a_kind_that_tells_the_class_is_said_to():
    labels, chances = answers(100)
    ages = np.where(labels == 0, "65+", "under 18")
    assert tells_class(parts(measured({"age": ages}, labels, chances)))
    ages[0] = "under 18"
    assert not tells_class(parts(measured({"age": ages}, labels, chances)))
    one_class = measured({"age": ["65+", "under 18"] * 50}, np.zeros(100, int), chances)
    assert not tells_class(parts(one_class))


def test_many_small_sources_are_counted_not_listed():
    labels, chances = answers(400)
    sources = np.array([f"s{row // 4:03d}" if row < 390 else "" for row in range(400)])
    found = measured({"source": sources}, labels, chances)
    assert len(parts(found)) == MOST_SUBGROUPS
    assert list(parts(found))[-1] == NOT_KNOWN
    [left_out] = found.result.left_out
    assert sum(part.n for part in parts(found).values()) + left_out.n == 400
    assert (left_out.kind, left_out.subgroups) == ("source", 59)


@settings(max_examples=40)
@given(st.integers(0, 2**16), st.integers(0, 60), st.integers(1, 4))
def test_every_row_is_in_one_subgroup_and_json_has_no_nan(seed, n, groups):
    labels, chances = answers(n, seed=seed) if n else (np.zeros(0, int), np.zeros((0, 2)))
    random = np.random.default_rng(seed)
    labels = random.permutation(labels)
    names = random.choice(["PA", "AP", "lateral", ""], n).astype(np.str_)
    found = measured({"view": names}, labels, chances, group=random.integers(0, n // groups + 1, n))
    made = found.result.view or {}
    assert sum(part.n for part in made.values()) == n
    again = msgspec.json.decode(documents.encode(found.result), type=Subgroups)
    assert documents.plain(again) == documents.plain(found.result)
    for part in (found.whole, *made.values()):
        for metric, estimate in part.estimates.items():
            assert (metric in part.too_small) == np.isnan(estimate.value)
            assert np.isnan(estimate.value) or 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def test_shapes_that_do_not_fit_are_refused():
    labels, chances = answers(40)
    with pytest.raises(ValueError, match="one sex a row"):
        measured({"sex": ["F"] * 39}, labels, chances)
    with pytest.raises(ValueError, match="one group a row"):
        measured({}, labels, chances, group=np.arange(39))
    with pytest.raises(ValueError, match="finite probabilities"):
        measured({}, labels, chances * np.nan)
