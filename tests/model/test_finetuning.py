import dataclasses
import functools
import hashlib
import importlib.util
import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from made_backbone import SIZE, TINY, pictures, weights_file
from made_networks import drawn_network, rows
from plainfilm.errors import RecipeError, UsageError, WeightsError
from plainfilm.model import (
    backbones,
    checkpoints,
    classifier,
    encoder,
    finetuning,
    frozen_trunk,
    heads,
    keras_backend,
    recipes,
    training,
    weights,
)
from plainfilm.model.backbones import BACKBONES
from plainfilm.model.group_dro import GroupWeights
from plainfilm.model.onnx_safety import check

pytestmark = [pytest.mark.slow, pytest.mark.trains]

PREPARE = encoder.preprocessing(TINY, image_size=SIZE)
FEW = {
    "efficientnet_lite0",
    "mobilenet",
    "densenet121",
}  # without a path around blocks too, and with one into all of them
SETTINGS = {
    "head.layers": "dropout 0.2, dense 8",
    "finetuning.epochs": 3,
    "finetuning.blocks": "2",
    "finetuning.batch_size": 16,
    "finetuning.learning_rate": 0.005,
    "finetuning.patience": 0,
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A file of weights for the tiny backbone, and a head trained on its features."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(tmp_path_factory.mktemp("cache")))
        file = weights_file(tmp_path_factory.mktemp("weights") / "tiny.weights.h5")
        opened = encoder.open_encoder(TINY, PREPARE, weights_file=file)
        parts = [training.Part(each.rows, each.labels, lambda rows, each=each: opened.encode(each.read(rows)))
                 for each in both_parts()]  # fmt: skip
        long = {**SETTINGS, "training.epochs": 30, "training.learning_rate": 0.01}
        head = training.fit_head(TINY.width, 2, 1, *parts, recipes.load("hidden-layer", long)).model
    return file, head


def both_parts(seen=None):
    """64 images to train on, 32 to validate; `seen` notes which are read."""
    images, labels = pictures(96)

    def read(rows):
        if seen is not None:
            seen.append(np.array(rows))
        return images[rows]

    return [training.Part(rows, labels[rows], read) for rows in (np.arange(64), np.arange(64, 96))]


def tune(made, settings=None, *, parts=None, backbone=TINY, prepare=PREPARE, **more):
    file, head = made
    recipe = recipes.load("hidden-layer", {**SETTINGS, **(settings or {})})
    train, validation = parts or both_parts()
    more = {"fingerprint": "made", "weights_file": file, **more}
    return finetuning.finetune(head, backbone, prepare, train, validation, 2, 1, recipe, **more)


def bits(finetuned):
    return finetuned.encoder.key, b"".join(np.asarray(each).tobytes() for each in finetuned.fitted.model.get_weights())


def scores(finetuned, images):
    return np.asarray(finetuned.fitted.model(finetuned.encoder.encode(images)), np.float64)[:, 0]


def validation_loss(finetuned):
    images, labels = pictures(96)
    score = scores(finetuned, images[64:])
    return -np.log(np.where(labels[64:] == 1, score, 1 - score)).mean()


@pytest.fixture
def watched(monkeypatch):
    """Keep the networks that are tuned, with their weights before."""
    kept = []

    def build(backbone, input_size, own=backbones.build):
        kept.append(own(backbone, input_size))
        return kept[-1]

    def load(network, *rest, own=weights.load_into):
        own(network, *rest)
        kept.append({weight.path: np.array(weight) for weight in network.weights})

    monkeypatch.setattr(backbones, "build", build)
    monkeypatch.setattr(weights, "load_into", load)
    return kept


def moved(watched):
    network, before = watched[:2]
    return {weight.path for weight in network.weights if not np.array_equal(weight, before[weight.path])}


@pytest.mark.parametrize("blocks", ["1", "2", "all"])
def test_the_last_blocks_are_trained_and_no_others_and_statistics_of_batch_normalisation_never_move(
    made, watched, blocks
):
    tune(made, {"finetuning.blocks": blocks})
    open_blocks = {"1": ["block3"], "2": ["block2", "block3"], "all": ["stem", "block1", "block2", "block3"]}[blocks]
    trainable = {f"{block}_{part}" for block in open_blocks
                 for part in ("depthwise/kernel", "project/kernel", "bn/gamma", "bn/beta")}  # fmt: skip
    assert moved(watched) == trainable


def test_of_a_backbone_that_ends_early_the_last_blocks_that_are_left_are_trained(made, watched):
    tune(made, {"finetuning.blocks": "1"}, backbone=dataclasses.replace(TINY, depth=2))
    assert {path.partition("_")[0] for path in moved(watched)} == {"block2"}


def test_dropout_of_the_head_is_active_while_it_is_tuned(made):
    fitted = tune(made).fitted
    state = fitted.model.get_layer("dropout0").seed_generator.state
    fresh = finetuning._copy(made[1]).get_layer("dropout0").seed_generator.state
    assert not np.array_equal(state, fresh)


def test_mean_and_variance_of_a_head_that_standardises_stay(made):
    recipe = recipes.load("hidden-layer", {"head.layers": "standardise, dense 8"})
    head = heads.build_head(TINY.width, 2, recipe.head, seed=0)
    statistics = [np.full(TINY.width, 0.5, np.float32), np.full(TINY.width, 0.2, np.float32)]
    head.get_layer(heads.STANDARDISE).set_weights(statistics)
    tuned = tune((made[0], head)).fitted.model.get_layer(heads.STANDARDISE)
    for received, expected in zip(tuned.get_weights(), statistics, strict=True):
        np.testing.assert_array_equal(received, expected)


def test_the_penalty_stays_on_the_head_and_no_block_has_one(made, watched):
    sizes = []
    for l2 in (0.0, 30.0):
        watched.clear()
        recipe = recipes.load("hidden-layer", {"head.layers": "dense 8"})
        head = heads.build_head(TINY.width, 2, recipe.head, seed=0, l2=l2)
        found = tune((made[0], head), {"training.l2": l2, "finetuning.learning_rate": 0.02})
        assert [bool(each.regularizer) for each in found.fitted.model.trainable_weights] == [bool(l2), False] * 2
        assert not any(each.regularizer for each in watched[0].trainable_weights)
        sizes.append(sum(np.square(each).sum() for each in found.fitted.model.get_weights() if each.ndim == 2))
    assert sizes[1] < 0.7 * sizes[0]


def test_films_weigh_what_group_dro_ended_with(made):
    strata = np.arange(64) % 4 // 2
    train, validation = both_parts()
    train = dataclasses.replace(train, strata=strata)
    ended = GroupWeights(*np.array([[0, 0, 1, 1], [0, 1, 0, 1]]), np.full(4, 0.25), np.array([0.4, 0.3, 0.2, 0.1]))
    settings = {"training.class_weight": "group-dro"}
    found = tune(made, settings, parts=(train, validation), ended=ended)
    assert found.fitted.weights is ended
    other = tune(made, settings, parts=(train, validation))
    assert bits(found)[1] != bits(other)[1]
    alike = dataclasses.replace(ended, weight=np.full(4, 0.25))
    assert bits(tune(made, settings, parts=(train, validation), ended=alike)) == bits(other)


def test_what_was_tuned_is_found_in_the_cache_to_the_last_bit_while_its_encoder_is_there(made, tmp_path):
    tuned, path = tune(made, {"finetuning.epochs": 1}), tmp_path / "cache" / "fits" / "a.npz"
    finetuning.write(path, tuned)
    found = finetuning.read(path, made[1], TINY, PREPARE)
    assert bits(found) == bits(tuned)
    assert found.fitted.history == tuned.fitted.history
    assert (found.encoder.encode(pictures(4)[0]) == tuned.encoder.encode(pictures(4)[0])).all()
    tuned.encoder.path.unlink()
    assert finetuning.read(path, made[1], TINY, PREPARE) is None
    assert finetuning.read(path.with_name("b.npz"), made[1], TINY, PREPARE) is None


def test_tuning_lowers_the_validation_loss_that_the_exported_network_has_and_leaves_the_frozen_head_as_it_was(made):
    before = made[1].get_weights()
    reported = []
    found = tune(made, on_epoch=lambda number, row: reported.append((number, row)))
    losses = [row["val_loss"] for row in found.fitted.history]
    assert found.fitted.epoch == np.argmin(losses) + 1
    np.testing.assert_allclose(validation_loss(found), min(losses), rtol=2e-3)  # maps are kept in float16
    assert min(losses) < 0.8 * frozen_loss(made)
    assert reported == list(enumerate(found.fitted.history, 1))
    assert [set(row) for row in reported_rows(reported)] == [
        {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"}
    ] * 3
    for old, new in zip(before, made[1].get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def reported_rows(reported):
    return [row for _, row in reported]


def frozen_loss(made):
    images, labels = pictures(96)
    opened = encoder.open_encoder(TINY, PREPARE, weights_file=made[0])
    score = np.asarray(made[1](opened.encode(images[64:])), np.float64)[:, 0]
    return -np.log(np.where(labels[64:] == 1, score, 1 - score)).mean()


def test_where_no_epoch_is_better_the_frozen_network_is_kept(made, watched):
    found = tune(made, {"finetuning.learning_rate": 1.0, "finetuning.warmup": 0})
    assert found.fitted.epoch == 0
    assert min(row["val_loss"] for row in found.fitted.history) > frozen_loss(made)
    assert not moved(watched)
    np.testing.assert_allclose(validation_loss(found), frozen_loss(made), rtol=1e-5)


def test_patience_stops_after_so_many_epochs_that_are_no_better(made):
    found = tune(made, {"finetuning.learning_rate": 1.0, "finetuning.warmup": 0,
                        "finetuning.patience": 2, "finetuning.epochs": 9})  # fmt: skip
    assert len(found.fitted.history) == 2


def test_the_rate_rises_over_the_warm_up_then_falls_along_a_cosine_to_zero():
    settings = recipes.load("hidden-layer", {"finetuning.epochs": 5, "finetuning.warmup": 1}).finetuning
    rates = [float(finetuning._schedule(settings, 10)(step)) for step in range(51)]
    assert 0 < rates[0] < rates[5] < rates[10]
    np.testing.assert_allclose(rates[10], settings.learning_rate, rtol=1e-5)
    np.testing.assert_allclose(rates[30], settings.learning_rate / 2, rtol=1e-5)
    assert np.all(np.diff(rates[10:]) < 0)
    np.testing.assert_allclose(rates[50], 0, atol=1e-9)
    long = recipes.load("hidden-layer", {"finetuning.epochs": 2, "finetuning.warmup": 9}).finetuning
    assert np.all(np.diff([float(finetuning._schedule(long, 10)(step)) for step in range(20)]) > 0)


@pytest.mark.parametrize("blocks", ["2", pytest.param("all", marks=pytest.mark.slow)])
def test_the_same_seed_gives_the_same_bits(made, blocks):
    settings = {"finetuning.blocks": blocks, "finetuning.epochs": 2}
    assert bits(tune(made, settings)) == bits(tune(made, settings))
    assert bits(tune(made, settings)) != bits(tune(made, {**settings, "seed": 1}))


def with_views(parts, seen, count=2):
    """The training set with altered views: image 100 + row is view 1 of row, 200 + row view 2."""
    train, validation = parts

    def read(numbers):
        seen.append(np.array(numbers))
        images = train.read(numbers % 100)
        return images + (numbers // 100).astype(np.uint8)[:, None, None]

    views = train.rows[:, None] + 100 * np.arange(1, count + 1)
    return dataclasses.replace(train, read=read, views=views), dataclasses.replace(validation, read=read)


def test_an_epoch_sees_each_image_once_in_a_view_drawn_by_seed_and_number_of_the_epoch(made):
    seen = []
    tune(made, {"finetuning.blocks": "all", "finetuning.epochs": 2}, parts=with_views(both_parts(), seen))
    numbers = np.concatenate([each for each in seen if len(each) > 1])
    trained = numbers[numbers % 100 < 64].reshape(2, 64)
    np.testing.assert_array_equal(np.sort(trained % 100), [np.arange(64)] * 2)
    assert {*(trained // 100).ravel().tolist()} == {0, 1, 2}
    assert not np.array_equal(np.sort(trained[0]), np.sort(trained[1]))
    rng = np.random.default_rng([0, 2])
    order, views = rng.permutation(64), rng.integers(3, size=64)
    np.testing.assert_array_equal(trained[1], (np.arange(64) + 100 * views)[order])


def test_maps_are_made_once_for_all_epochs_and_removed_when_the_training_ends(made, tmp_path):
    seen = []
    tune(made, parts=with_views(both_parts(), seen))
    counted = np.bincount(np.concatenate([each for each in seen if len(each) > 1]), minlength=264)
    np.testing.assert_array_equal(
        np.flatnonzero(counted), np.concatenate([np.arange(96), 100 + np.arange(64), 200 + np.arange(64)])
    )
    assert counted.max() == 1
    assert not [*(tmp_path / "cache" / "maps").glob("*")]


def test_without_room_for_maps_they_are_made_anew_in_each_epoch(made, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=96 * 2 * 8 * 8 * 16))
    seen = []
    tune(made, parts=both_parts(seen))
    assert len(np.concatenate([each for each in seen if len(each) > 1])) == 3 * 96 + 32


@pytest.mark.parametrize(("largest", "dtype"), [(999, np.float16), (1001, np.float32)])
def test_maps_are_read_back_as_the_trunk_gave_them_as_half_floats_where_these_hold_them(largest, dtype):
    images = np.random.default_rng(0).uniform(-largest, largest, (1300, 2, 2, 1)).astype(np.float32)
    images[0, 0, 0] = largest
    numbers = np.flatnonzero(np.random.default_rng(1).integers(3, size=1300) != 1)
    numbers[0] = 0
    made = frozen_trunk.Maps(Through(), numbers, lambda asked: images[asked], about="")
    steps = []
    made.fill(lambda done, every: steps.append((done, every)))
    asked = np.random.default_rng(2).permutation(numbers)[:700]
    received = made.read(asked)
    assert received.dtype == dtype
    np.testing.assert_array_equal(received, images[asked].astype(dtype))
    assert steps[-1] == (len(numbers), len(numbers))
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


class Through:
    """A trunk that gives what it gets."""

    key, shape = "through", (2, 2, 1)

    def run(self, images):
        return images


def test_maps_that_a_killed_run_left_are_not_made_again():
    images, asked = np.ones((1300, 2, 2, 1), np.float32), []

    def read(numbers, last=1300):
        if numbers.max() > last:
            raise KeyboardInterrupt
        asked.append(np.array(numbers))
        return images[numbers]

    killed = frozen_trunk.Maps(Through(), np.arange(1300), functools.partial(read, last=1200), about="")
    with pytest.raises(KeyboardInterrupt):
        killed.fill(lambda _done, _all: None)
    asked.clear()
    again = frozen_trunk.Maps(Through(), np.arange(1300), read, about="")
    again.fill(lambda _done, _all: None)
    assert np.concatenate([each for each in asked if len(each) > 1]).min() == 1024
    assert (again.read(np.arange(1300)) == 1).all()
    others = frozen_trunk.Maps(Through(), np.arange(1300), read, about="other images")
    assert others.folder != again.folder


def test_maps_that_are_no_numbers_are_said_so():
    def read(numbers):
        return np.where(numbers[:, None, None, None] == 70, np.inf, np.ones((len(numbers), 2, 2, 1), np.float32))

    made = frozen_trunk.Maps(Through(), np.arange(100), read, about="")
    with pytest.raises(WeightsError, match="Expected finite maps"):
        made.fill(lambda _done, _all: None)


class KilledError(Exception):
    pass


@pytest.mark.parametrize(
    ("blocks", "precision"),
    [
        ("2", "float32"),
        pytest.param("all", "float32", marks=pytest.mark.slow),
        pytest.param("2", "mixed_float16", marks=pytest.mark.slow),
    ],
)
def test_a_training_that_stopped_goes_on_from_its_checkpoint_and_ends_with_the_same_bits(
    made, tmp_path, blocks, precision
):
    settings = {"finetuning.blocks": blocks, "finetuning.precision": precision, "training.optimizer": "adamw"}
    parts = with_views(both_parts(), [])
    whole = tune(made, settings, parts=parts)

    def kill(number, _row):
        if number == 2:
            raise KilledError

    with pytest.raises(KilledError):
        tune(made, settings, parts=parts, checkpoint=tmp_path / "c.npz", on_epoch=kill)
    numbers = []
    again = tune(
        made, settings, parts=parts, checkpoint=tmp_path / "c.npz", on_epoch=lambda number, _row: numbers.append(number)
    )
    assert numbers == [3]
    assert bits(again) == bits(whole)
    assert again.fitted.history == whole.fitted.history
    assert again.fitted.epoch == whole.fitted.epoch
    ended = tune(
        made, settings, parts=parts, checkpoint=tmp_path / "c.npz", on_epoch=lambda number, _row: numbers.append(number)
    )
    assert numbers == [3]
    assert bits(ended) == bits(whole)


@pytest.fixture(scope="module")
def checkpoint(made, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(tmp_path_factory.mktemp("cache")))
        path = tmp_path_factory.mktemp("checkpoint") / "c.npz"
        tune(made, {"finetuning.epochs": 1}, checkpoint=path)
    return path


@pytest.mark.parametrize(
    "change",
    ["rate", "seed", "blocks", "fingerprint", "labels", "rows", "views", "sources", "weights", "head", "preprocessing"],
)
def test_the_checkpoint_of_another_training_is_never_continued(made, checkpoint, tmp_path, change):
    file, head = made
    images, labels = pictures(96)
    rows = np.arange(63) if change == "rows" else np.arange(64)
    own = labels[rows] if change != "labels" else 1 - labels[rows]
    more = {"views": {"views": rows[:, None]}, "sources": {"strata": rows % 3}}.get(change, {})
    parts = [training.Part(rows, own, images.__getitem__, **more), both_parts()[1]]
    settings = {"rate": {"finetuning.learning_rate": 0.02}, "seed": {"seed": 1}, "blocks": {"finetuning.blocks": "1"}}
    if change == "weights":
        file = tmp_path / "other.weights.h5"
        network = backbones.build(TINY, SIZE)
        network.save_weights(file)
    if change == "head":
        head = finetuning._copy(head)
        head.set_weights([1.01 * each for each in head.get_weights()])
    scaling = {"scaling": "0..1"} if change == "preprocessing" else {}
    prepare = encoder.preprocessing(TINY, image_size=SIZE, **scaling)
    fingerprint = "other" if change == "fingerprint" else "made"
    with pytest.raises(UsageError, match="Expected .* to be of this training"):
        tune((file, head), {"finetuning.epochs": 1, **settings.get(change, {})}, parts=parts, prepare=prepare,
             fingerprint=fingerprint, checkpoint=checkpoint)  # fmt: skip


@pytest.mark.parametrize("damage", ["cut", "empty", "no archive", "pickle"])
def test_a_damaged_checkpoint_is_said_so_and_nothing_in_it_is_run(made, checkpoint, tmp_path, damage):
    path, whole = tmp_path / "c.npz", checkpoint.read_bytes()
    path.write_bytes(
        {"cut": whole[: len(whole) // 2], "empty": b"", "no archive": b"text " * 100, "pickle": b""}[damage]
    )
    if damage == "pickle":
        with path.open("wb") as file:
            np.savez(file, about=np.array([{}, object()], dtype=object))
    with pytest.raises(UsageError, match="is damaged"):
        tune(made, {"finetuning.epochs": 1}, checkpoint=path)


@pytest.mark.parametrize("precision", [pytest.param("float32", marks=pytest.mark.slow), "mixed_float16"])
def test_the_exported_network_answers_as_the_tuned_one_in_keras_and_may_go_into_a_bundle(made, watched, precision):
    found = tune(made, {"finetuning.blocks": "all", "finetuning.precision": precision})
    network, images = watched[0], pictures(20, seed=1)[0]
    assert {weight.dtype for weight in network.weights} == {"float32"}
    joined = classifier.join(found.encoder.network(), classifier.export_head(found.fitted.model))
    received = classifier.Classifier(joined, classifier.Decision(classes=("a", "b"), positive="b")).logits(images)
    plain = backbones.build(TINY, SIZE)
    plain.set_weights(network.get_weights())
    features = encoder.to_keras(plain, PREPARE)(images.astype("float32"), training=False)
    logits = finetuning._copy(found.fitted.model)
    expected = np.asarray(until_logits(logits)(features))
    assert np.abs(expected).max() > 0.1
    assert np.abs(received - expected).max() < 1e-4
    assert check.check(joined).image_size == SIZE


def until_logits(head):
    import keras

    return keras.Model(head.inputs, head.get_layer("logits").output)


def test_mixed_precision_computes_in_half_floats_and_leaves_the_setting_of_keras_as_it_was(made, watched):
    import keras

    found = tune(made, {"finetuning.precision": "mixed_float16"})
    assert watched[0].get_layer("block3_project").compute_dtype == "float16"
    assert keras.config.dtype_policy().name == "float32"
    losses = [row["val_loss"] for row in found.fitted.history]
    assert np.isfinite(losses).all()
    assert min(losses) < frozen_loss(made)


def test_automatic_precision_is_mixed_where_there_is_a_gpu_only(monkeypatch):
    import keras

    for has_gpu, policy in ((True, "mixed_float16"), (False, "float32")):
        monkeypatch.setattr(keras_backend, "has_gpu", lambda has_gpu=has_gpu: has_gpu)
        with finetuning._precision("auto"):
            assert keras.config.dtype_policy().name == policy


def test_a_training_without_a_usable_epoch_says_what_to_do(made):
    head = finetuning._copy(made[1])
    head.set_weights([np.full_like(each, np.nan) for each in head.get_weights()])
    with pytest.raises(RecipeError, match=r"Lower finetuning\.learning_rate"):
        tune((made[0], head))


@pytest.mark.parametrize("name", rows(*FEW))
def test_every_row_divides_into_a_trunk_and_blocks_that_together_are_the_network(name, tmp_path):
    row = BACKBONES[name]
    network = drawn_network(row, 32)
    prepare = encoder.preprocessing(row, image_size=32, input_size=32)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32), dtype=np.uint8)
    expected = np.asarray(encoder.to_keras(network, prepare)(images.astype("float32"), training=False))
    assert expected.std() > 0
    trained = []
    for blocks in (1, 3, None):
        lower, top = frozen_trunk.divide(network, row, blocks)
        received = np.asarray(top(frozen_trunk.Trunk(lower, prepare, threads=1).run(images), training=False))
        assert np.abs(received - expected).max() / np.abs(expected).max() < 1e-4
        trained.append({weight.path for weight in top.trainable_weights})
    assert trained[0] < trained[1] < trained[2] == {weight.path for weight in network.trainable_weights}
    with pytest.raises(RecipeError, match="Expected finetuning.blocks from 1 to [0-9]+, or all"):
        frozen_trunk.divide(network, row, 99)


def test_an_onnx_file_of_the_users_cannot_be_tuned_and_this_is_said(made, tmp_path):
    file = tmp_path / "own.onnx"
    file.write_bytes(b"")
    with pytest.raises(RecipeError, match=r"Set finetuning\.blocks to none"):
        tune(made, backbone=backbones.find(str(file)))


def small_training(folder, dropout):
    """Tune a head that knows nothing together with the tiny backbone; write the validation losses and a hash of all weights."""
    file = Path(folder, "tiny.weights.h5")
    settings = {"finetuning.blocks": "all", "finetuning.epochs": 6, "head.layers": f"dropout {dropout}, dense 8"}
    recipe = recipes.load("hidden-layer", {**SETTINGS, **settings})
    head, rng = heads.build_head(TINY.width, 2, recipe.head, seed=0), np.random.default_rng(0)
    head.set_weights([rng.normal(0, 0.3, weight.shape) for weight in head.get_weights()])  # backends draw differently
    more = {"fingerprint": "made", "weights_file": file, "checkpoint": Path(folder, "c.npz")}
    found = finetuning.finetune(head, TINY, PREPARE, *both_parts(), 2, 1, recipe, **more)
    losses = [row["val_loss"] for row in found.fitted.history]
    Path(folder, "found.json").write_text(
        json.dumps({"losses": losses, "bits": hashlib.sha256(bits(found)[1]).hexdigest()})
    )


def killed_training(folder, kept):
    """As `small_training`, killed at the end of the epoch after `kept` were kept."""
    write, written = checkpoints.write, itertools.count()

    def dying(*given, **named):
        if next(written) == kept:
            os.kill(os.getpid(), signal.SIGKILL)
        write(*given, **named)

    checkpoints.write = dying
    small_training(folder, 0.2)


def start_small(folder, dropout=0.2, *, kept=None, **environment):
    """Run `small_training`, or `killed_training`, in a process of its own."""
    folder.mkdir(exist_ok=True)
    if not (folder / "tiny.weights.h5").is_file():
        weights_file(folder / "tiny.weights.h5")
    paths = [Path(__file__).parent, Path(__file__).parents[1], *sys.path]
    call = (
        f"small_training({str(folder)!r}, {dropout})" if kept is None else f"killed_training({str(folder)!r}, {kept})"
    )
    code = f"import test_finetuning; test_finetuning.{call}"
    own = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PLAINFILM_CACHE": str(folder), **environment}
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, env={**os.environ, **own})


def finish_small(process, folder):
    err = process.communicate()[1]
    assert process.returncode == 0, err[-3000:]
    return json.loads((folder / "found.json").read_text())


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_of_keras_tune_a_backbone_as_tensorflow_does(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs the package {backend}, which is not installed")
    theirs = finish_small(start_small(tmp_path / backend, dropout=0, KERAS_BACKEND=backend), tmp_path / backend)
    ours = finish_small(start_small(tmp_path / "own", dropout=0, KERAS_BACKEND="tensorflow"), tmp_path / "own")
    np.testing.assert_allclose(theirs["losses"], ours["losses"], rtol=0.01)
    assert min(ours["losses"]) < 0.9 * ours["losses"][0]


@pytest.mark.parametrize("number", [pytest.param(1, marks=pytest.mark.nightly), 3])
def test_a_training_killed_in_any_epoch_and_resumed_ends_with_the_same_bits(number, tmp_path):
    whole = finish_small(start_small(tmp_path / "whole"), tmp_path / "whole")
    folder = tmp_path / "killed"
    process = start_small(folder, kept=number)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert epochs_kept(folder / "c.npz") == number
    assert finish_small(start_small(folder), folder) == whole


def epochs_kept(path):
    if not path.is_file():
        return 0
    with np.load(path) as kept:
        return len(json.loads(str(kept["about"]))["history"])
