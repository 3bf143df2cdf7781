import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from plainfilm.evidence.tuning import scoring
from plainfilm.model.trials import Outcome


def drawn(classes, seed, n=80):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    labels[:classes] = np.arange(classes)
    return rng.normal(0, 1, (n, 1 if classes == 2 else classes)) + (
        (2 * labels - 1)[:, None] if classes == 2 else np.eye(classes)[labels]
    ), labels


def scored(losses, logits, labels, group):
    """As a trial of two folds: its rows are not in the order of the store."""
    rows = np.roll(np.arange(len(labels)), 7)
    ended = Outcome(losses=losses[rows], logits=logits[rows], rows=rows, epochs=(3, 4))
    return scoring.score(ended, labels, group, positive=1)


@given(st.integers(2, 4), st.integers(0, 99))
def test_losses_and_areas_are_those_of_scikit_learn(classes, seed):
    logits, labels = drawn(classes, seed)
    losses = scoring.log_losses(logits, labels, positive=1)
    chance = scoring.probabilities(logits, labels, positive=1)
    assert losses.mean() == pytest.approx(log_loss(labels, chance))
    found = scored(losses, logits, labels, np.arange(len(labels)))
    expected = (
        roc_auc_score(labels, chance[:, 1])
        if classes == 2
        else roc_auc_score(labels, chance, multi_class="ovr", average="macro")
    )
    assert found.auroc == pytest.approx(expected)
    assert found.accuracy == (chance.argmax(axis=1) == labels).mean()
    assert found.score == pytest.approx(losses.mean())
    assert found.kept == (3, 4)
    assert found.error == pytest.approx(losses.std(ddof=1) / np.sqrt(len(losses)))


@given(st.floats(0.3, 3), st.integers(0, 99))  # beyond, a temperature meets its bounds
def test_how_sure_a_head_is_of_itself_does_not_count(times, seed):
    logits, labels = drawn(2, seed)
    plain = scoring.log_losses(logits, labels, positive=1).mean()
    assert scoring.log_losses(times * logits, labels, positive=1).mean() == pytest.approx(plain, abs=0.02)


@given(st.integers(0, 99))
def test_which_class_is_positive_does_not_count(seed):
    logits, labels = drawn(2, seed)
    one, other = (scoring.log_losses(sign * logits, labels, positive=p) for sign, p in ((1, 1), (-1, 0)))
    assert one == pytest.approx(other, abs=1e-6)


def test_the_standard_error_takes_a_patients_images_as_one():
    logits, labels = drawn(2, 1, n=40)
    twice, losses = np.repeat(labels, 2), np.repeat(scoring.log_losses(logits, labels, positive=1), 2)
    both = np.repeat(logits, 2, axis=0)
    alone = scored(losses, both, twice, np.arange(80)).error
    joined = scored(losses, both, twice, np.repeat(np.arange(40), 2)).error
    assert joined == pytest.approx(np.sqrt(2) * alone, rel=0.02)


def test_a_row_that_is_wrong_beyond_doubt_costs_much_but_not_without_end():
    losses = scoring.log_losses(np.array([[500.0], [-500.0], [500.0]]), np.array([1, 0, 0]), positive=1)
    assert np.isfinite(losses).all()
    assert losses[2] > 2
