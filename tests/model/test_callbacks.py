"""Callbacks of Keras beside trainings of a head on made features: real callbacks, real trainings."""

import numpy as np
import pytest

from plainfilm.errors import MissingExtraError, UsageError
from plainfilm.model import callbacks, keras_backend, recipes, training

pytestmark = pytest.mark.trains


def fit(followers, **settings):
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 2
    inputs = (labels[:, None] * 2.0 + rng.normal(0, 1, (48, 4))).astype(np.float32)
    part = training.Part(np.arange(48), labels, lambda rows: inputs[rows])
    asked = {"head.layers": "dense 4", "training.epochs": 4, "training.keep": "last"} | settings
    recipe = recipes.load("hidden-layer", {name.replace("__", "."): value for name, value in asked.items()})
    callbacks.check(followers)
    return training.fit_head(4, 2, 1, part, part, recipe, callbacks=followers)


@pytest.fixture(scope="module")
def keras():
    return keras_backend.load()


def noted(keras, **more):
    class Noting(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seen = []

        def on_train_begin(self, _logs=None):
            self.seen.append(("begin", self.params["epochs"], self.model.count_params() > 0))

        def on_epoch_begin(self, epoch, _logs=None):
            self.seen.append(epoch)

        def on_epoch_end(self, _epoch, logs=None):
            self.seen.append(dict(logs))

        def on_train_end(self, logs=None):
            self.seen.append(("end", dict(logs)))

    return Noting()


def test_a_callback_sees_the_model_and_the_logs_of_each_epoch_as_keras_gives_them(keras):
    follower = noted(keras)
    fitted = fit([follower])
    logs = [{name: row[name] for name in ("loss", "accuracy", "val_loss", "val_accuracy")} for row in fitted.history]
    between = [seen for number in range(4) for seen in (number, logs[number])]
    assert follower.seen == [("begin", 4, True), *between, ("end", logs[-1])]
    assert follower.model is fitted.model


def test_a_callback_that_only_looks_changes_no_bit(keras):
    plain, followed = fit([]), fit([noted(keras)])
    for one, other in zip(plain.model.get_weights(), followed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert plain.history == followed.history


def test_stop_training_ends_it_after_that_epoch(keras):
    class Stopping(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, _logs=None):
            self.model.stop_training = epoch == 1

    assert len(fit([Stopping()]).history) == 2
    early = keras.callbacks.EarlyStopping("val_loss", min_delta=100.0, patience=0)
    assert len(fit([early]).history) == 2


def test_a_learning_rate_that_a_callback_sets_is_trained_with(keras):
    still = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.0 if epoch else rate)
    losses = [row["val_loss"] for row in fit([still]).history]
    assert losses[1:] == losses[:1] * 3
    assert len({*(row["val_loss"] for row in fit([]).history)}) == 4


def test_callbacks_of_keras_that_write_a_table_or_keep_a_history_do(keras, tmp_path):
    history = keras.callbacks.History()
    fit([keras.callbacks.CSVLogger(str(tmp_path / "log.csv")), history])
    assert (tmp_path / "log.csv").read_text().count("\n") == 5
    assert len(history.history["val_accuracy"]) == 4


@pytest.mark.parametrize("hook", ["on_batch_end", "on_train_batch_begin", "on_test_batch_end", "on_test_end"])
def test_one_that_waits_for_batches_or_tests_is_refused_in_one_line(keras, hook):
    kind = type("Waiting", (keras.callbacks.Callback,), {hook: lambda *_: None})
    with pytest.raises(UsageError, match=f"received Waiting, which waits for {hook}") as refused:
        callbacks.check([kind()])
    assert "\n" not in str(refused.value)


def test_of_keras_own_those_that_need_batches_are_refused_and_others_are_not(keras):
    made = keras.callbacks
    with pytest.raises(UsageError, match="LambdaCallback, which waits for on_train_batch_end"):
        callbacks.check([made.LambdaCallback(on_train_batch_end=lambda *_: None)])
    with pytest.raises(UsageError, match="TerminateOnNaN, which waits for"):
        callbacks.check([made.TerminateOnNaN()])
    with pytest.raises(UsageError, match=r'ModelCheckpoint, which .*: give it save_freq="epoch" or leave it out'):
        callbacks.check([made.ModelCheckpoint("m.keras", save_freq=3)])
    callbacks.check([made.LambdaCallback(on_epoch_end=lambda *_: None), made.ReduceLROnPlateau(), made.EarlyStopping()])


def test_a_checkpoint_an_epoch_is_written(keras, tmp_path):
    fit([keras.callbacks.ModelCheckpoint(tmp_path / "m{epoch}.keras")])
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"m{number}.keras" for number in (1, 2, 3, 4)]


def test_tensorboard_without_its_package_is_refused_before_the_training(keras, tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "find", lambda _: None)
    with pytest.raises(MissingExtraError, match="pip install tensorboard"):
        callbacks.check([keras.callbacks.TensorBoard(tmp_path)])
    monkeypatch.setattr(callbacks, "find", lambda _: True)
    callbacks.check([keras.callbacks.TensorBoard(tmp_path)])


def test_the_learning_rate_of_a_fine_tuning_stays_with_its_schedule(keras):
    sets = keras.callbacks.LearningRateScheduler(lambda _: 0.1)
    callbacks.check([sets])
    with pytest.raises(UsageError, match="received LearningRateScheduler.*finetuning.learning_rate"):
        callbacks.check([sets], finetunes=True)


def test_what_is_set_before_the_first_epoch_ends_it_after_that_as_in_keras(keras):
    class Stopping(keras.callbacks.Callback):
        def on_train_begin(self, _logs=None):
            self.model.stop_training = True

    assert len(fit([Stopping()]).history) == 1


def test_an_error_of_a_callback_is_its_own(keras):
    class Broken(keras.callbacks.Callback):
        def on_epoch_end(self, _epoch, _logs=None):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fit([Broken()])


def test_a_class_in_the_place_of_a_callback_is_refused(keras):
    with pytest.raises(UsageError, match="received the class EarlyStopping. Give instances"):
        callbacks.check([keras.callbacks.EarlyStopping])


@pytest.mark.parametrize("given", [print, "EarlyStopping", None])
def test_what_is_no_callback_is_refused(given):
    with pytest.raises(UsageError, match="Expected callbacks of Keras; received"):
        callbacks.check([given])
