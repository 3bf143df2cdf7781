import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import log_loss, roc_auc_score

from plainfilm.evidence.tuning import scoring
from plainfilm.model.trials import InnerFold, Outcome


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


@pytest.mark.parametrize(("classes", "times"), [(2, 1), (2, 9), (3, 4)])
def test_with_classes_alike_a_coin_has_the_same_loss_at_any_share_of_sick(classes, times):
    labels = np.array([0] * 20 * times + [*range(1, classes)] * 20)
    coin = np.zeros((len(labels), 1 if classes == 2 else classes))
    assert scoring.balanced_log_losses(coin, labels, positive=1).mean() == pytest.approx(np.log(classes), abs=0.02)


@pytest.mark.parametrize("classes", [2, 3])
def test_with_classes_alike_and_of_one_size_the_loss_is_the_plain_one(classes):
    logits, labels = drawn(classes, 3)
    even = np.concatenate([np.flatnonzero(labels == each)[:20] for each in range(classes)])
    plain, alike = (
        loss(logits[even], labels[even], positive=1) for loss in (scoring.log_losses, scoring.balanced_log_losses)
    )
    assert alike == pytest.approx(plain)


def at_three_sources(rank, classes=2):
    """A trial at three sources, the first and the last also left out together: what it scored, and the parts."""
    logits, labels = drawn(classes, 5, n=240)
    source = np.arange(240) // 80
    rows = [np.flatnonzero(source == each) for each in range(3)]
    folds = [InnerFold(rows[0], rows[0], {name: own}) for name, own in zip("abc", rows, strict=True)]
    folds.append(InnerFold(rows[1], rows[1], {"a": rows[0], "c": rows[2]}))
    own = np.concatenate([part for fold in folds for part in fold.scored])
    losses = np.concatenate([scoring.balanced_log_losses(logits[part], labels[part], positive=1)
                             for fold in folds for part in fold.scored])  # fmt: skip
    ended = Outcome(losses=losses, logits=logits[own], rows=own, epochs=(1, 2, 3, 4))
    found = scoring.score_left_out(ended, folds, labels, np.arange(240), positive=1, rank=rank)
    return found, [(logits[part], labels[part]) for part in rows]


@pytest.mark.parametrize("classes", [2, 3])
def test_a_trial_at_left_out_sources_is_worth_its_worst_or_their_mean(classes):
    worst, parts = at_three_sources("worst", classes)
    mean, _ = at_three_sources("mean", classes)
    losses = [scoring.balanced_log_losses(*part, positive=1).mean() for part in parts]
    areas = [
        roc_auc_score(labels, logits[:, 0] if classes == 2 else softmax(logits, axis=1), multi_class="ovr")
        for logits, labels in parts
    ]
    assert (worst.score, worst.auroc) == pytest.approx((max(losses), min(areas)))
    assert (mean.score, mean.auroc) == pytest.approx((np.mean(losses), np.mean(areas)))
    assert worst.kept == mean.kept == (1, 2, 3)
    assert mean.error < worst.error
    assert [own.sources for own in worst.at] == [("a",), ("b",), ("c",), ("a", "c")]
    assert worst.at[3].areas == pytest.approx((areas[0], areas[2]))
    assert worst.at[3].losses == pytest.approx((losses[0], losses[2]))


def test_a_row_that_is_wrong_beyond_doubt_costs_much_but_not_without_end():
    losses = scoring.log_losses(np.array([[500.0], [-500.0], [500.0]]), np.array([1, 0, 0]), positive=1)
    assert np.isfinite(losses).all()
    assert losses[2] > 2


def test_with_findings_each_counts_where_it_is_known_and_both_present_and_absent():
    logits, labels = drawn(2, 5, n=120)
    states = np.stack([labels, np.where(np.arange(120) < 40, 1 - labels, -1), np.zeros(120)], axis=1).astype(np.int8)
    every = np.repeat(logits, 3, axis=1)
    known = [scoring.balanced_log_losses(logits[rows], own, positive=1).mean()
             for rows, own in ((slice(None), labels), (slice(0, 40), 1 - labels[:40]))]  # fmt: skip
    assert scoring.balanced_log_losses(every, states, positive=0).mean() == pytest.approx(np.mean(known))
    never = scoring.balanced_log_losses(every[:, 2:], states[:, 2:], positive=0)
    assert never == pytest.approx(np.log(2))
