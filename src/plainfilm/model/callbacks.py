"""Callbacks of Keras beside a training that does not go through `model.fit`: called where a training and its epochs begin and end."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from plainfilm.errors import MissingExtraError, UsageError
from plainfilm.extras import find

_CALLED = ("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end")
_NOT_CALLED = (
    *(f"on_{part}batch_{end}" for part in ("", "train_", "test_", "predict_") for end in ("begin", "end")),
    *(f"on_{part}_{end}" for part in ("test", "predict") for end in ("begin", "end")),
)
_UNLESS = {"ModelCheckpoint": ("save_freq", "epoch"), "TensorBoard": ("update_freq", "epoch")}  # they wait for batches
_OF_RATE = ("LearningRateScheduler", "ReduceLROnPlateau")


class Callback(Protocol):
    """A callback as `keras.callbacks.Callback` makes it; epochs count from 0."""

    def set_model(self, model: Any) -> Any:
        """Take the Keras model that is trained."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> Any:
        """Be told that an epoch begins."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> Any:
        """Be told what it gave: loss, accuracy, val_loss, val_accuracy."""


def check(callbacks: Sequence[Callback], *, finetunes: bool = False) -> None:
    """Refuse what cannot be served, without loading Keras.

    Raises
    ------
    UsageError
        Something that is no callback of Keras; one that waits for batches, tests or predictions; one that sets the learning rate
        of a fine-tuning, which has a schedule.
    MissingExtraError
        TensorBoard without its package.
    """
    for each in callbacks:
        name = f"the class {each.__name__}" if isinstance(each, type) else type(each).__name__
        if isinstance(each, type) or not all(
            callable(getattr(each, hook, None)) for hook in (*_CALLED, "set_model", "set_params")
        ):
            raise UsageError(
                f"Expected callbacks of Keras; received {name}. Give instances of keras.callbacks.Callback."
            )
        waits_for = [hook for hook in _NOT_CALLED if _overrides(each, hook)]
        if waits_for:
            raise UsageError(
                f"Expected callbacks for the begin and end of training and epochs; received {name}, which waits for {waits_for[0]}. "
                f"Batches run inside one compiled step here: {_way_out(each)}."
            )
        if _is_of(each, "TensorBoard") and find("tensorboard") is None:
            raise MissingExtraError(
                "Expected the package tensorboard for the callback TensorBoard; it is not installed. Install it with: pip install tensorboard"
            )
        if finetunes and _is_of(each, *_OF_RATE):
            raise UsageError(
                f"Expected callbacks that leave the learning rate of fine-tuning to its schedule; received {name}. Leave it out, or set "
                "finetuning.learning_rate."
            )


def _of_keras(callback: Callback) -> list[type]:
    return [kind for kind in type(callback).__mro__ if kind.__module__.startswith("keras.")]


def _is_of(callback: Callback, *names: str) -> bool:
    return any(kind.__name__ in names for kind in _of_keras(callback))


def _overrides(callback: Callback, hook: str) -> bool:
    idle = {"Callback", "LambdaCallback"} | {
        name for name, (option, value) in _UNLESS.items() if getattr(callback, option, None) == value
    }
    idle_kinds = [kind for kind in _of_keras(callback) if kind.__name__ in idle]
    own = [kind for kind in type(callback).__mro__ if kind not in idle_kinds]
    return hook in vars(callback) or any(hook in vars(kind) for kind in own)


def _way_out(callback: Callback) -> str:
    options = [_UNLESS[kind.__name__] for kind in _of_keras(callback) if kind.__name__ in _UNLESS]
    return " or ".join([f'give it {option}="{value}"' for option, value in options] + ["leave it out"])


class Following:
    """Tells callbacks of one training; `is_stopped` says whether one has set `model.stop_training`."""

    def __init__(self, callbacks: Sequence[Callback], model: Any, epochs: int) -> None:
        self._model, self._logs = model, dict[str, float]()
        self._list = None
        if callbacks:
            from plainfilm.model import keras_backend  # brings NumPy, which options and their help do without

            model.stop_training = False
            made = keras_backend.load().callbacks.CallbackList
            self._list = made(list(callbacks), model=model, epochs=epochs, steps=None, verbose=0)
            self._list.on_train_begin()

    @property
    def is_stopped(self) -> bool:
        """Whether a callback wants no further epoch; one is run in any case, as `model.fit` does."""
        return bool(self._logs) and bool(self._model.stop_training)

    def epoch(self, number: int, advance: Callable[[], Mapping[str, float]]) -> Mapping[str, float]:
        """Run an epoch, numbered from 0, between its two calls; its metrics are handed through."""
        if self._list is None:
            return advance()
        self._list.on_epoch_begin(number)
        row = advance()
        self._logs = {name: value for name, value in row.items() if name != "epoch"}
        self._list.on_epoch_end(number, self._logs)
        return row

    def end(self) -> None:
        """Tell that the training is over."""
        if self._list is not None:
            self._list.on_train_end(self._logs)
