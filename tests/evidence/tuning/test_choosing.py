import numpy as np
import pytest

from plainfilm.evidence.tuning.choosing import choose
from plainfilm.model.trials import AtSources
from plainfilm.results.search import TrialResult

NAMES = ("a", "b", "c")


def trial(number, log_loss, *, state="done"):
    return TrialResult(
        number=number, state=state, recipe="", log_loss=log_loss, standard_error=0.01, accuracy=0.9, auroc=0.8,
        kept_epoch="1 1 1", epochs=3, seconds=1.0, chosen={},
    )  # fmt: skip


def at(losses, areas, beside):
    """What one trial came to: at each source alone, and at each of two, from a matrix of losses (source, left out with it)."""
    alone = [AtSources(sources=(name,), losses=(loss,), areas=(area,))
             for name, loss, area in zip(NAMES, losses, areas, strict=False)]  # fmt: skip
    pairs = [
        AtSources(sources=(NAMES[one], NAMES[two]), losses=(beside[one][two], beside[two][one]), areas=(0.5, 0.5))
        for one in range(len(losses))
        for two in range(one + 1, len(losses))
        if beside is not None
    ]
    return (*alone, *pairs)


EVEN = np.full((3, 3), 0.5)
LUCKY = np.array([[0.0, 0.9, 0.9], [0.9, 0.0, 0.9], [0.1, 0.1, 0.0]])  # at c alone it is good


def test_each_source_is_told_what_the_others_chose():
    """The lucky trial is the best of all; without c nobody would choose it, and it is not worth much at a and b."""
    found = choose(
        [trial(1, 0.5), trial(2, None, state="diverged"), trial(3, 0.4)],
        {1: at((0.5, 0.5, 0.5), (0.70, 0.71, 0.72), EVEN), 3: at((0.4, 0.4, 0.1), (0.6, 0.6, 0.99), LUCKY)},
        "worst",
    )
    assert (found.rank, found.recipe) == ("worst", "3")
    assert {name: (own.recipe, own.auroc) for name, own in found.sources.items()} == {
        "a": ("1", 0.70), "b": ("1", 0.71), "c": ("1", 0.72),
    }  # fmt: skip
    assert (found.worst, found.mean) == (0.70, pytest.approx(0.71))
    assert found.sentence == (
        "Chosen by the other sources alone, a trial has AUROC 0.70 at a, the worst of 3 sources, and 0.71 on average. The 0.60 and "
        "0.73 of the best trial flatter: all sources chose it."
    )


def test_by_the_mean_another_trial_may_be_chosen():
    lucky = np.array([[0.0, 0.6, 0.6], [0.6, 0.0, 0.6], [0.1, 0.1, 0.0]])
    of = {1: at((0.5,) * 3, (0.7,) * 3, EVEN), 2: at((0.6, 0.6, 0.1), (0.6, 0.6, 0.9), lucky)}
    chosen = {
        rank: [own.recipe for own in choose([trial(1, 0.5), trial(2, 0.43)], of, rank).sources.values()]
        for rank in ("worst", "mean")
    }
    assert chosen == {"worst": ["1", "1", "1"], "mean": ["2", "2", "1"]}


def test_with_two_sources_it_is_said_why_no_number_is_free_of_the_choice():
    found = choose([trial(1, 0.5)], {1: at((0.5, 0.4), (0.7, 0.8), None)}, "worst")
    assert (found.sources, found.worst, found.mean, found.recipe) == (None, None, None, "1")
    assert "AUROC 0.70 at the worst" in found.sentence
    assert "three unrelated sources" in found.sentence


def test_without_a_trial_that_settled_nothing_is_chosen():
    assert choose([trial(1, None, state="diverged")], {}, "mean") is None
