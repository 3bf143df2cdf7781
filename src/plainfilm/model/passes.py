"""One pass of a compiled Keras model over rows, on each of Keras' backends.

`model.fit` spends more on handing over each batch than a head's step takes (measured: 5 ms a step, of which 1.5 compute),
so a stretch of rows is handed over at once, and cut into batches inside one compiled graph.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plainfilm.model import heads, keras_backend
from plainfilm.model.heads import Blueprint
from plainfilm.model.keyboard_interrupt import held
from plainfilm.model.recipe_schema import parse_layers

Stretch = tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]  # inputs, targets, weights of some rows
_SHARED = 32  # shapes of heads whose compiled passes are kept
_ROWS = 512  # of which logits are asked for at once


class Runner(Protocol):
    """What takes a model over rows, batch by batch."""

    def run(self, stretches: Iterator[Stretch]) -> dict[str, float]:
        """Train or test on the rows in their order, and give "loss" and "accuracy", means over the rows."""


def runner(model: Any, kind: str, batch_size: int, like: Stretch) -> Runner:
    """Prepare passes of a compiled model that ends like a head of `heads.build_head`.

    Parameters
    ----------
    kind
        "train" or "test".
    batch_size
        Rows a step; the last step of a stretch may have fewer.
    like
        A stretch of one row, for shapes and dtypes.
    """
    with held():
        model.optimizer.build(model.trainable_variables)
    if keras_backend.choose() == "jax":
        return _Jax(model, kind, batch_size)
    with held():
        model.test_on_batch(*like)  # builds the metrics
    return (_TensorFlow if keras_backend.choose() == "tensorflow" else _Batchwise)(model, kind, batch_size, like)


def logits(head: Any, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits float32 (n, 1) or (n, classes) of features (n, width), by a head of `heads.build_head` as it is now."""
    starts = range(0, len(features), _ROWS)
    if keras_backend.choose() != "jax":
        called = heads.up_to_logits(head)
        parts = [called(features[at : at + _ROWS], training=False) for at in starts]
        return np.concatenate([keras_backend.load().ops.convert_to_numpy(part) for part in parts])
    program, values = _program(_Shape.of(head, "logits", _ROWS)), _values(heads.up_to_logits(head))
    parts = [program.logits(values[:2], _padded(features[at : at + _ROWS], _ROWS)) for at in starts]
    return np.concatenate([np.asarray(part, np.float32) for part in parts])[: len(features)]


class _Metered:
    """A pass by Keras' own steps and metrics; `_take` takes a stretch."""

    def __init__(self, model: Any, kind: str, batch_size: int, like: Stretch) -> None:
        self._model, self._batch_size = model, batch_size
        self._take = self._prepare(kind, like)

    def _prepare(self, kind: str, like: Stretch, /) -> Callable[..., None]:
        raise NotImplementedError

    def run(self, stretches: Iterator[Stretch]) -> dict[str, float]:
        self._model.reset_metrics()
        for columns in stretches:
            with held():
                self._take(*columns)
        with held():
            return {name: float(value) for name, value in self._model.get_metrics_result().items()}


class _TensorFlow(_Metered):
    """A graph a stretch."""

    def _prepare(self, kind: str, like: Stretch, /) -> Callable[..., None]:
        import tensorflow as tf

        step, size = getattr(self._model, f"{kind}_step"), self._batch_size

        def batches(*columns: Any) -> None:
            for at in tf.range(0, tf.shape(columns[0])[0], size):
                step(tuple(column[at : at + size] for column in columns))

        signature = [tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in like]
        take: Callable[..., None] = tf.function(batches, input_signature=signature)
        return take


class _Batchwise(_Metered):
    """A call a batch, for a backend that has nothing better."""

    def _prepare(self, kind: str, _like: Stretch, /) -> Callable[..., None]:
        step = getattr(self._model, f"{kind}_on_batch")

        def batches(*columns: NDArray[Any]) -> None:
            for at in range(0, len(columns[0]), self._batch_size):
                step(*(column[at : at + self._batch_size] for column in columns))

        return batches


class _Jax:
    """A compiled loop a stretch, shared by all heads of one shape: `_Program`."""

    def __init__(self, model: Any, kind: str, batch_size: int) -> None:
        self._model, self._batch_size = model, batch_size
        self._network = heads.up_to_logits(model)
        self._trains = kind == "train"
        self._program = _program(_Shape.of(model, kind, batch_size))
        self._rates = _rates(model)

    def run(self, stretches: Iterator[Stretch]) -> dict[str, float]:
        import jax

        state = _values(self._network, self._model.optimizer if self._trains else None)
        sums = np.zeros(4, np.float32)
        totals = np.zeros(4)
        take = self._program.train if self._trains else self._program.test
        for columns in stretches:
            jax.block_until_ready(sums)  # so that one stretch at most is read while another is computed
            totals += np.asarray(sums)
            rows = len(columns[0])
            steps = -(-rows // self._batch_size)
            room = self._batch_size << (steps - 1).bit_length()
            state, sums = take(state, self._rates, [_padded(column, room) for column in columns], rows)
        totals += np.asarray(sums)
        if self._trains:
            with held():
                self._keep(state)
        return {"loss": float(totals[0] / totals[1]), "accuracy": float(totals[2] / totals[3])}

    def _keep(self, state: "_State") -> None:
        for variables, values in zip(_variables(self._network, self._model.optimizer), state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)


_State = Sequence[Sequence[Any]]  # values of trainable, fixed and the optimizer's variables


def _variables(network: Any, optimizer: Any) -> _State:
    return network.trainable_variables, network.non_trainable_variables, optimizer.variables if optimizer else []


def _values(network: Any, optimizer: Any = None) -> _State:
    return tuple([variable.value for variable in group] for group in _variables(network, optimizer))


def _padded(column: NDArray[Any], rows: int) -> NDArray[Any]:
    return np.concatenate([column, np.zeros((rows - len(column), *column.shape[1:]), column.dtype)])


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a compiled pass depends on, in `key`: not weights, seeds, Dropout rates and learning rate, if it is of a head."""

    key: Hashable
    model: Any = field(compare=False)
    kind: str
    batch_size: int

    @classmethod
    def of(cls, model: Any, kind: str, batch_size: int) -> "_Shape":
        """Describe a pass of a model."""
        drawn = _blueprint(model)
        if drawn is None:
            return cls(None, model, kind, batch_size)
        optimizer = model.optimizer.get_config() | _UNSHARED if kind == "train" else {}
        loss = "" if kind == "logits" else model.loss
        layers = tuple((name, bool(value) if name == "dropout" else value) for name, value in parse_layers(drawn.settings.layers))  # fmt: skip
        head = (drawn.width, drawn.classes, layers, drawn.settings.activation, drawn.settings.output)
        return cls(
            (head, loss, str(optimizer), keras_backend.load().config.dtype_policy().name), model, kind, batch_size
        )


_UNSHARED = {"name": "", "learning_rate": 0.0}


def _blueprint(model: Any) -> Blueprint | None:
    return getattr(model, "blueprint", None)


def _rates(model: Any) -> list[np.float32]:
    """Rates of the Dropout layers of a head; those of a model that has its passes to itself are not asked for."""
    drawn = _blueprint(model)
    layers = parse_layers(drawn.settings.layers) if drawn else []
    return [np.float32(value) for name, value in layers if name == "dropout" and value]


def _program(shape: _Shape) -> "_Program":
    return _Program(shape) if shape.key is None else _shared(shape)


@lru_cache(_SHARED)
def _shared(shape: _Shape) -> "_Program":
    return _Program(shape)


class _Program:
    """The compiled passes of one shape; weights, Dropout rates and the learning rate are arguments.

    `train` and `test` take a state, Dropout rates, padded columns and the number of rows among them, and give the state
    after them and four sums: losses, rows, weights of right answers, weights.
    """

    def __init__(self, shape: _Shape) -> None:
        import jax

        self._rates: Iterator[Any] = iter(())
        drawn = _blueprint(shape.model)
        model = self._template(drawn) if drawn else shape.model
        self._network, self._batch_size = heads.up_to_logits(model), shape.batch_size
        self._loss = shape.model.loss
        self._optimizer: Any = self._own_optimizer(shape) if shape.kind == "train" else None
        self.train, self.test, self.logits = jax.jit(self._train), jax.jit(self._test), jax.jit(self._logits)

    def _own_optimizer(self, shape: _Shape) -> Any:
        optimizer = shape.model.optimizer
        if _blueprint(shape.model):
            optimizer = type(optimizer).from_config(optimizer.get_config())
            optimizer.build(self._network.trainable_variables)
        return optimizer

    def _template(self, drawn: Blueprint) -> Any:
        """Build a head whose Dropout layers take their rates, one after the other, from the arguments of a pass."""
        keras = keras_backend.load()

        class Dropout(keras.layers.Dropout):  # type: ignore[misc, name-defined]  # Keras ships no types
            def call(_self, inputs: Any, training: bool = False) -> Any:  # noqa: N805
                if not training or _self.rate == 0:
                    return inputs
                share = 1 - next(self._rates)
                kept = keras.random.uniform(keras.ops.shape(inputs), seed=_self.seed_generator) < share
                return keras.ops.where(kept, inputs / share, 0)

        return heads.build_head(drawn.width, drawn.classes, drawn.settings, seed=0, dropout=Dropout)

    def _train(self, state: _State, rates: Sequence[Any], columns: Sequence[Any], rows: Any) -> Any:
        import jax

        def step(state: _State, batch: Sequence[Any], count: Any) -> tuple[_State, Any]:
            self._rates = iter(rates)
            weights, fixed, moments = state
            gradients, (sums, fixed) = jax.grad(self._scaled_loss, has_aux=True)(weights, fixed, moments, batch, count)
            weights, moments = self._optimizer.stateless_apply(moments, gradients, weights)
            return (weights, fixed, moments), sums

        return self._loop(step, state, columns, rows)

    def _test(self, state: _State, _rates: Sequence[Any], columns: Sequence[Any], rows: Any) -> Any:
        def step(state: _State, batch: Sequence[Any], count: Any) -> tuple[_State, Any]:
            found, _ = self._network.stateless_call(*state[:2], batch[0], training=False)
            return state, self._sums(found, batch[1], batch[2], count)

        return self._loop(step, state, columns, rows)

    def _logits(self, values: _State, inputs: Any) -> Any:
        return self._network.stateless_call(*values, inputs, training=False)[0]

    def _loop(self, step: Callable[..., Any], state: _State, columns: Sequence[Any], rows: Any) -> Any:
        import jax
        from jax import numpy as jnp

        size = self._batch_size

        def taken(at: Any, carried: Any) -> Any:
            batch = [jax.lax.dynamic_slice_in_dim(column, at * size, size) for column in columns]
            state, sums = step(carried[0], batch, jnp.minimum(rows - at * size, size).astype(jnp.float32))
            return state, carried[1] + sums

        return jax.lax.fori_loop(0, (rows + size - 1) // size, taken, (state, jnp.zeros(4)))

    def _scaled_loss(self, weights: Any, fixed: Any, moments: Any, batch: Sequence[Any], count: Any) -> Any:
        """Give the mean loss, as large as the optimizer wants it in half precision, the sums, and the fixed values after."""
        inputs, wanted, row_weights = batch
        found, fixed = self._network.stateless_call(weights, fixed, inputs, training=True)
        sums = self._sums(found, wanted, row_weights, count)
        mapping = list(zip(self._optimizer.variables, moments, strict=True))
        with keras_backend.load().StatelessScope(state_mapping=mapping):
            return self._optimizer.scale_loss(sums[0] / count), (sums, fixed)

    def _sums(self, found: Any, wanted: Any, row_weights: Any, count: Any) -> Any:
        from jax import numpy as jnp

        losses, right = _judged(found.astype(jnp.float32), wanted, self._loss)
        summed = jnp.sum(losses * row_weights)
        return jnp.stack([summed, count, jnp.sum(right * row_weights), jnp.sum(row_weights)])


def _judged(found: Any, wanted: Any, loss: str) -> tuple[Any, Any]:
    """Loss of each row and whether its answer is right, of logits (n, 1) or (n, classes)."""
    from jax import nn
    from jax import numpy as jnp

    keras = keras_backend.load()
    is_sigmoid = found.shape[-1] == 1
    if loss.endswith("crossentropy"):
        losses = getattr(keras.losses, loss)(wanted, found, from_logits=True)
    else:
        losses = getattr(keras.losses, loss)(wanted, nn.sigmoid(found) if is_sigmoid else nn.softmax(found))
    if is_sigmoid:
        return losses, (found[:, 0] > 0) == (wanted[:, 0] > 0.5)
    return losses, jnp.argmax(found, axis=-1) == jnp.argmax(wanted, axis=-1)
