import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.data import source_split
from plainfilm.errors import SplitError
from plainfilm.model import trials
from plainfilm.model.encoder import Features
from plainfilm.model.search_space import SearchSpace
from plainfilm.model.trials import Diverged, InnerFold, Material, StoppedEarly

pytestmark = pytest.mark.trains

N, WIDTH = 90, 6
SPACE = SearchSpace(backbones=("efficientnet_lite0",), epochs=4)
CHOSEN = {
    "loss": "crossentropy",
    "optimizer": "adam",
    "batch_size": 16,
    "class_weight": "none",
    "hidden_layers": 1,
    "dropout_on_features": 0.1,
    "dropout_after_1": 0.0,
    "width_1": 32,
    "activation": "relu",
    "learning_rate": 0.01,
}


class Told:
    """A trial that notes what is reported, and gives up after an epoch if asked to."""

    def __init__(self, give_up_after=None):
        self.reported, self.give_up_after = {}, give_up_after

    def report(self, value, step):
        self.reported[step] = value

    def should_prune(self):
        return max(self.reported) == self.give_up_after


class Asked(Features):
    """Features that note which rows were read."""

    def read(self, rows):
        self.seen.update(np.asarray(rows).tolist())
        return super().read(rows)


def kept(path, values):
    np.save(path, np.asarray(values, np.float32))
    features = Asked.__new__(Asked)
    for name, value in {"path": path, "rows": len(values), "width": values.shape[1], "seconds": 0.0, "cached": True}.items():  # fmt: skip
        object.__setattr__(features, name, value)
    object.__setattr__(features, "seen", set())
    return features


def square(logits, labels):
    """A loss that any head can be scored by: labels 0 and 1 against the sign of the logit."""
    return np.square(np.asarray(logits[:, 0], np.float64) - (2 * labels - 1))


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 2
    return rng.normal(0, 1, (N, WIDTH)) + 2.0 * labels[:, None], labels


@pytest.fixture
def material(tmp_path, values):
    found, labels = values
    features = kept(tmp_path / "view0.npy", found)
    thirds = np.arange(N) % 3
    folds = [InnerFold(np.flatnonzero(thirds == 0), np.flatnonzero(thirds == 1))]
    return Material(
        features={("efficientnet_lite0", 0): [features]},
        labels=labels,
        strata=np.arange(N) // 2 % 5,
        folds=folds,
        classes=2,
        positive=1,
        score=square,
    )


def replaced(material, **changes):
    return dataclasses.replace(material, **changes)


def test_a_trial_is_scored_on_the_rows_of_its_fold_and_reads_no_others(material):
    told = Told()
    ended = trials.attempt(told, SPACE, CHOSEN, material)
    fold, features = material.folds[0], material.features["efficientnet_lite0", 0][0]
    assert ended.rows.tolist() == fold.validation.tolist()
    assert ended.losses == pytest.approx(square(ended.logits, material.labels[ended.rows]))
    assert features.seen == {*fold.train.tolist(), *fold.validation.tolist()}
    assert list(told.reported) == [1, 2, 3, 4]
    assert told.reported[ended.epochs[0]] == pytest.approx(ended.losses.mean(), abs=1e-6)


def test_the_same_choices_give_the_same_scores(material):
    first, again = (trials.attempt(Told(), SPACE, CHOSEN, material) for _ in range(2))
    assert first.losses.tolist() == again.losses.tolist()


def test_a_trial_leaves_no_graph_behind(material):
    """TensorFlow's registry of gradients keeps whole graphs; a thousand trials would take gigabytes."""
    from tensorflow.python.framework import ops

    before = set(ops.gradient_registry._registry)
    trials.attempt(Told(), SPACE, CHOSEN, material)
    assert set(ops.gradient_registry._registry) == before


def test_a_trial_that_is_told_to_give_up_trains_no_further(material):
    told = Told(give_up_after=2)
    with pytest.raises(StoppedEarly):
        trials.attempt(told, SPACE, CHOSEN, material)
    assert list(told.reported) == [1, 2]


def test_features_that_are_no_numbers_are_called_diverged(tmp_path, values, material):
    broken = kept(tmp_path / "broken.npy", np.full((N, WIDTH), np.nan))
    with pytest.raises(Diverged):
        trials.attempt(Told(), SPACE, CHOSEN, replaced(material, features={("efficientnet_lite0", 0): [broken]}))


def test_folds_are_each_trained_and_scored_and_only_the_first_is_reported(material):
    thirds = np.arange(N) % 3
    folds = [InnerFold(np.flatnonzero(thirds != number), np.flatnonzero(thirds == number)) for number in range(3)]
    told = Told()
    ended = trials.attempt(told, SPACE, CHOSEN, replaced(material, folds=folds))
    assert sorted(ended.rows.tolist()) == list(range(N))
    assert len(ended.epochs) == 3
    assert list(told.reported) == [1, 2, 3, 4]
    alone = trials.attempt(Told(), SPACE, CHOSEN, replaced(material, folds=folds[1:2]))
    assert ended.losses[N // 3 : 2 * N // 3].tolist() == alone.losses.tolist()


def test_with_views_training_sees_altered_images_and_validation_never_does(tmp_path, values, material):
    found, _ = values
    space = SearchSpace(backbones=("efficientnet_lite0",), epochs=8, views=2)
    views = [kept(tmp_path / f"view{number}.npy", found + number) for number in range(3)]
    with_views = replaced(material, features={("efficientnet_lite0", 0): views})
    altered = trials.attempt(Told(), space, {**CHOSEN, "views": 2}, with_views)
    train, validation = (set(rows.tolist()) for rows in (material.folds[0].train, material.folds[0].validation))
    assert validation <= views[0].seen <= train | validation
    assert views[1].seen <= train
    assert len(views[1].seen) > len(train) / 2
    plain = trials.attempt(Told(), space, {**CHOSEN, "views": 0}, with_views)
    assert plain.losses.tolist() != altered.losses.tolist()


def left_out(**rows):
    thirds = np.arange(N) % 3
    return InnerFold(np.flatnonzero(thirds == 0), np.flatnonzero(thirds == 1), rows)


def test_at_a_source_that_is_left_out_a_trial_is_scored_and_nothing_is_chosen_there(material):
    rows = {"here": np.arange(2, 45, 3), "there": np.arange(47, N, 3)}
    both = replaced(material, folds=[left_out(**rows)])
    told = Told(give_up_after=1)
    ended = trials.attempt(told, SPACE, CHOSEN, both)
    assert ended.rows.tolist() == np.flatnonzero(np.arange(N) % 3 == 2).tolist()
    assert list(told.reported) == [1, 2, 3, 4]
    plain = trials.attempt(Told(), SPACE, CHOSEN, material)
    assert ended.epochs == plain.epochs
    turned = np.where(np.arange(N) % 3 == 2, 1 - material.labels, material.labels)
    other = trials.attempt(Told(), SPACE, CHOSEN, replaced(both, labels=turned))
    assert other.logits.tolist() == ended.logits.tolist()


@pytest.mark.parametrize("weight", ["by source", "group-dro"])
def test_the_sources_of_the_training_rows_are_known_to_what_weighs_them(material, weight):
    chosen = {**CHOSEN, "class_weight": weight}
    ended = trials.attempt(Told(), SPACE, chosen, material)
    uneven = replaced(material, strata=np.where(np.arange(N) < 12, 0, 1))
    assert trials.attempt(Told(), SPACE, chosen, uneven).logits.tolist() != ended.logits.tolist()


def test_features_are_standardised_as_the_recipe_says(tmp_path, values, material):
    found, _ = values
    stretched = kept(tmp_path / "stretched.npy", 100 * found + 5)
    chosen = {**CHOSEN, "features": "standardised", "l2": 1.0}
    plain, large = (
        trials.attempt(Told(), SPACE, chosen, replaced(material, features={("efficientnet_lite0", 0): [each]}))
        for each in (material.features["efficientnet_lite0", 0][0], stretched)
    )
    assert large.logits == pytest.approx(plain.logits, abs=1e-3)


def test_folds_by_source_leave_out_each_one_and_each_two():
    source = np.repeat(["a", "b", "c"], 60)
    labels, group = np.arange(180) % 2, np.arange(180)
    sources = source_split.leave_out(labels, source, group, ("WELL", "SICK"))
    pairs = source_split.leave_two_out(labels, source, group, ("WELL", "SICK"), sources)
    made = trials.source_folds(sources, pairs)
    assert [tuple(fold.left_out) for fold in made] == [("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c")]
    for fold in made:
        for name, rows in fold.left_out.items():
            assert rows.tolist() == np.flatnonzero(source == name).tolist()
        learnt = np.concatenate([fold.train, fold.validation])
        assert sorted(learnt.tolist()) == np.flatnonzero(~np.isin(source, [*fold.left_out])).tolist()


@given(st.integers(2, 5), st.integers(0, 99), st.integers(1, 4))
def test_inner_folds_hold_each_row_outside_the_test_part_once_and_no_group_twice(folds, seed, size):
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.arange(120) // size)
    labels = group % 2
    split = np.array(["train", "validation", "test"])[group % 3]
    train, validation = np.flatnonzero(split == "train"), np.flatnonzero(split == "validation")
    made = trials.inner_folds(train, validation, labels, group, ("A", "B"), folds=folds, seed=seed)
    assert len(made) == folds
    scored = np.concatenate([fold.validation for fold in made])
    assert sorted(scored.tolist()) == sorted([*train.tolist(), *validation.tolist()])
    for fold in made:
        assert not set(group[fold.train]) & set(group[fold.validation])
        assert set(labels[fold.validation]) == {0, 1}


def test_one_fold_is_the_stores_own_validation_part():
    train, validation = np.array([0, 2]), np.array([1])
    [fold] = trials.inner_folds(train, validation, np.zeros(4, int), np.arange(4), ("A",), folds=1, seed=0)
    assert (fold.train is train, fold.validation is validation) == (True, True)


def test_a_class_with_fewer_groups_than_folds_is_refused_by_name():
    labels, group = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 3, 3, 4])
    with pytest.raises(SplitError, match="received 2 of SICK"):
        trials.inner_folds(np.arange(4), np.arange(4, 6), labels, group, ("WELL", "SICK"), folds=3, seed=0)
