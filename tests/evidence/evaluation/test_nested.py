import numpy as np
import pytest

from plainfilm.evidence.evaluation import nested
from plainfilm.evidence.evaluation.left_out_comparison import choice

# candidate 0 is best at the third source alone, candidate 1 everywhere else
ALONE = np.array([[0.60, 0.60, 0.95], [0.70, 0.72, 0.65]])
BESIDE = {
    (0, 1): np.array([[0.58, 0.59], [0.69, 0.71]]),
    (0, 2): np.array([[0.58, 0.93], [0.69, 0.66]]),
    (1, 2): np.array([[0.59, 0.94], [0.71, 0.64]]),
}


def test_the_source_that_is_reported_has_no_part_in_the_choice():
    found = nested.choose(ALONE, BESIDE, "worst")
    assert found.chosen.tolist() == [1, 1, 1]
    assert found.areas.tolist() == [0.70, 0.72, 0.65]
    changed = ALONE.copy()
    changed[0, 2] = 1.0  # however good candidate 0 is there, the third source does not choose for itself
    assert nested.choose(changed, BESIDE, "mean").chosen[2] == 1


def test_the_mean_may_choose_another_than_the_worst():
    assert nested.ranked(ALONE, "worst").argmax() == 1
    assert nested.ranked(ALONE, "mean").argmax() == 0
    assert nested.choose(ALONE, BESIDE, "mean").chosen.tolist() == [0, 0, 1]


def test_without_another_source_no_score_is_free_of_the_choice():
    assert nested.choose(ALONE[:, :2], {}, "worst") is None
    said = choice(ALONE[:, :2], {}, "worst", candidates=("plain", "robust"), sources=("a", "b"))
    assert said.recipe == "robust"
    assert said.sources is None
    assert "flatters" in said.sentence


def test_a_choice_says_what_it_is_worth_where_it_had_no_part():
    said = choice(ALONE, BESIDE, "mean", candidates=("plain", "robust"), sources=("a", "b", "c"))
    assert said.recipe == "plain"
    assert {name: own.recipe for name, own in said.sources.items()} == {"a": "plain", "b": "plain", "c": "robust"}
    assert said.mean == pytest.approx(np.mean([0.60, 0.60, 0.65]))
    assert said.worst == pytest.approx(0.60)


def test_an_area_or_a_loss_that_is_not_known_is_never_chosen():
    assert nested.ranked(np.array([[np.nan, 0.9], [0.4, 0.5]]), "worst").argmax() == 1
    assert nested.ranked(-np.array([[np.nan, 0.9], [0.4, 0.5]]), "mean").argmax() == 1


def test_the_worst_source_is_that_of_each_seed_as_it_is_shown():
    seeds = np.array([[[0.80, 0.70], [0.70, 0.80]], [[0.74, 0.74], [0.74, 0.74]]])  # recipes, seeds, sources
    assert nested.ranked(seeds, "worst").tolist() == pytest.approx([0.70, 0.74])
    said = choice(seeds, {}, "worst", candidates=("unsteady", "steady"), sources=("a", "b"))
    assert said.recipe == "steady"
    third = np.concatenate([seeds, seeds[..., :1]], axis=-1)
    beside = {pair: third[..., list(pair)] for pair in ((0, 1), (0, 2), (1, 2))}
    found = nested.choose(third, beside, "worst")
    assert found.chosen.tolist() == [1, 0, 1]
    assert found.areas.tolist() == pytest.approx([0.74, 0.75, 0.74])
    assert found.worst == pytest.approx((0.70 + 0.74) / 2)
    assert (
        choice(third, beside, "worst", candidates=("unsteady", "steady"), sources=("a", "b", "c")).worst == found.worst
    )
