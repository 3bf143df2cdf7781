"""One pass of a compiled Keras model over rows, on each of Keras' backends.

`model.fit` spends more on handing over each batch than a head's step takes (measured: 5 ms a step, of which 1.5 compute),
so a stretch of rows is handed over at once, and cut into batches inside one compiled graph.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plainfilm.model import group_dro, heads, keras_backend
from plainfilm.model.group_dro import FindingsDro, GroupDro
from plainfilm.model.heads import Blueprint
from plainfilm.model.keyboard_interrupt import held
from plainfilm.model.recipe_schema import parse_layers

Stretch = tuple[NDArray[Any], NDArray[np.float32], NDArray[Any]]  # inputs, targets, weights (or groups) of some rows
_MOST_SHARED = 32  # shapes of heads whose compiled passes are kept
_QUICKER_TO_COMPILE = {"xla_backend_optimization_level": 1}  # by a quarter, measured; a head's pass is no slower
VALIDATION_BATCH = 512  # rows


class Runner(Protocol):
    """What takes a model over rows, batch by batch."""

    def run(self, stretches: Iterator[Stretch]) -> dict[str, float]:
        """Train or test on the rows in their order, and give "loss" and "accuracy", means over the rows.

        The loss of a training has the penalty on the weights in it, as Keras' has; that of a test has not.
        """


def runner(
    model: Any, kind: str, batch_size: int, like: Stretch, groups: "GroupDro | FindingsDro | None" = None
) -> Runner:
    """Prepare passes of a compiled model that ends like a head of `heads.build_head`.

    Parameters
    ----------
    kind
        "train" or "test".
    batch_size
        Rows a step; the last step of a stretch may have fewer.
    like
        A stretch of one row, for shapes and dtypes.
    groups
        What weighs the rows of a training, and goes on with each step; stretches then hold `groups.numbers`.
    """
    with held():
        model.optimizer.build(model.trainable_variables)
    name = keras_backend.choose()
    if name == "jax":
        return _JaxTraining(model, batch_size, groups) if kind == "train" else _JaxTest(model, batch_size)
    if groups:
        return _Weighing(model, batch_size, groups)
    return _TensorFlow(model, kind, batch_size, like) if name == "tensorflow" else _Batchwise(model, kind, batch_size)


def logits_of(head: Any) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Give what makes logits float32 (n, 1) or (n, classes) of features (n, width), by a head of `heads.build_head` as it then is."""
    if keras_backend.choose() == "jax":
        return _JaxLogits(head, VALIDATION_BATCH)
    network, to_numpy = heads.up_to_logits(head), keras_backend.load().ops.convert_to_numpy
    return lambda features: np.asarray(to_numpy(network(features, training=False)))


class _TensorFlow:
    """A graph a stretch, by Keras' own steps and metrics."""

    def __init__(self, model: Any, kind: str, batch_size: int, like: Stretch) -> None:
        import tensorflow as tf

        self._model, self._kind, step = model, kind, getattr(model, f"{kind}_step")
        with held():
            model.test_on_batch(*like)  # builds the metrics

        def batches(*columns: Any) -> None:
            for at in tf.range(0, tf.shape(columns[0])[0], batch_size):
                step(tuple(column[at : at + batch_size] for column in columns))

        signature = [tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in like]
        self._take = tf.function(batches, input_signature=signature)

    def run(self, stretches: Iterator[Stretch]) -> dict[str, float]:
        self._model.reset_metrics()
        for columns in stretches:
            with held():
                self._take(*columns)
        with held():
            found = {name: float(value) for name, value in self._model.get_metrics_result().items()}
        return found | {"loss": found["loss"] - _untold(self._model, self._kind)}


class _Batchwise:
    """A call a batch, for a backend that has nothing better."""

    def __init__(self, model: Any, kind: str, batch_size: int) -> None:
        self._model, self._kind, self._batch_size = model, kind, batch_size
        self._step = getattr(model, f"{kind}_on_batch")

    def run(self, stretches: Iterator[Stretch]) -> dict[str, float]:
        totals = np.zeros(4)
        for columns in stretches:
            for at in range(0, len(columns[0]), self._batch_size):
                totals += self._take(*(column[at : at + self._batch_size] for column in columns))
        found = _metrics(totals)
        return found | {"loss": found["loss"] - _untold(self._model, self._kind)}

    def _take(self, *batch: NDArray[Any]) -> NDArray[np.float64]:
        self._model.reset_metrics()  # which newer releases of Keras do themselves
        found, rows, weights = self._step(*batch, return_dict=True), len(batch[0]), batch[2].sum()
        return np.array([found["loss"] * rows, rows, found["accuracy"] * weights, weights])


class _Weighing(_Batchwise):
    """Training batch by batch, with weights by the losses that a batch has before its step."""

    def __init__(self, model: Any, batch_size: int, groups: "GroupDro | FindingsDro") -> None:
        super().__init__(model, "train", batch_size)
        self._groups, self._logits = groups, logits_of(model)

    def _take(self, *batch: NDArray[Any]) -> NDArray[np.float64]:
        inputs, wanted, numbers = batch
        with np.errstate(all="ignore"):  # a training that diverges gives no numbers
            logits, loss = self._logits(inputs).astype(np.float64), loss_of(self._model)
            if numbers.ndim == 1:
                return super()._take(inputs, wanted, self._groups.take(_judged(logits, wanted, loss, np)[0], numbers))
            each, _ = _each_finding(logits, wanted, loss, np)
            weights = self._groups.take(each, numbers)
        told = np.concatenate([wanted[:, : weights.shape[1]], weights], axis=1)
        return super()._take(inputs, told, np.asarray((numbers > 0).any(axis=1), np.float32))


def _untold(model: Any, kind: str) -> float:
    """Penalty on the weights that Keras has in the loss of a test, where it says nothing of the films."""
    return sum(float(each) for each in model.losses) if kind == "test" else 0.0


class _JaxTraining:
    """A compiled loop a stretch, shared by all heads of one shape: `_Program`."""

    def __init__(self, model: Any, batch_size: int, groups: "GroupDro | FindingsDro | None") -> None:
        self._model, self._batch_size, self._groups = model, batch_size, groups
        self._network, self._numbers = heads.up_to_logits(model), _numbers(model)
        self._program = _program(_Shape.of(model, "train", batch_size))
        self._last: Stretch | None = None
        self._padded: list[Any] = []

    def run(self, stretches: Iterator[Stretch]) -> dict[str, float]:
        import jax

        weighing = self._groups.state if self._groups else ()
        state: _State = (*_values(self._network, self._model.optimizer), weighing)
        sums = np.zeros(4, np.float32)
        totals = np.zeros(4)
        for columns in stretches:
            jax.block_until_ready(sums)  # so that one stretch at most is read while another is computed
            totals += np.asarray(sums)
            state, sums = self._program.train(state, self._numbers, self._in_batches(columns), len(columns[0]))
        totals += np.asarray(sums)
        with held():
            self._keep(state)
        return _metrics(totals)

    def _in_batches(self, columns: Stretch) -> list[Any]:
        """Fill columns up to a power of two of batches; the very stretch of the last pass is there still."""
        import jax

        if columns is self._last:
            return self._padded
        room = self._batch_size << (-(-len(columns[0]) // self._batch_size) - 1).bit_length()
        padded = [_padded(column, room) for column in columns]
        if self._groups:
            self._last, self._padded = columns, [jax.device_put(column) for column in padded]
        return self._padded if self._groups else padded

    def _keep(self, state: "_State") -> None:
        *values, weighing = state
        for variables, own in zip(_variables(self._network, self._model.optimizer), values, strict=True):
            for variable, value in zip(variables, own, strict=True):
                variable.assign(value)
        if self._groups:
            self._groups.state = tuple(weighing)


class _JaxTest:
    """Logits by a compiled graph, judged in NumPy."""

    def __init__(self, model: Any, batch_size: int) -> None:
        self._logits, self._loss = _JaxLogits(model, batch_size), loss_of(model)

    def run(self, stretches: Iterator[Stretch]) -> dict[str, float]:
        totals = np.zeros(4)
        for inputs, wanted, weights in stretches:
            found = self._logits(inputs).astype(np.float64)
            with np.errstate(all="ignore"):  # a training that diverges gives no numbers
                totals += np.array(_sums(*_judged(found, wanted, self._loss, np), weights, len(found)))
        return _metrics(totals)


class _JaxLogits:
    """Logits float32 of inputs, so many rows at once."""

    def __init__(self, model: Any, rows: int) -> None:
        self._network, self._rows = heads.up_to_logits(model), rows
        self._program = _program(_Shape.of(model, "logits", rows))

    def __call__(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        values = _values(self._network)[:2]
        starts = range(0, len(inputs), self._rows)
        parts = [self._program.logits(values, _padded(inputs[at : at + self._rows], self._rows)) for at in starts]
        return np.concatenate([np.asarray(part, np.float32) for part in parts])[: len(inputs)]


def _metrics(totals: NDArray[np.float64]) -> dict[str, float]:
    losses, rows, right, weights = totals
    return {"loss": float(losses / rows), "accuracy": float(right / weights)}


_State = Sequence[
    Sequence[Any]
]  # values of trainable, fixed and the optimizer's variables; in training what weighs groups


def _variables(network: Any, optimizer: Any) -> _State:
    return network.trainable_variables, network.non_trainable_variables, optimizer.variables if optimizer else []


def _values(network: Any, optimizer: Any = None) -> _State:
    return tuple([variable.value for variable in group] for group in _variables(network, optimizer))


def _padded(column: NDArray[Any], rows: int) -> NDArray[Any]:
    return np.concatenate([column, np.zeros((rows - len(column), *column.shape[1:]), column.dtype)])


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a compiled pass depends on, in `key`: not weights, seeds, penalty, Dropout rates and learning rate, if it is of a head."""

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
        loss = "" if kind == "logits" else loss_of(model)
        layers = tuple((name, bool(value) if name == "dropout" else value) for name, value in parse_layers(drawn.settings.layers))  # fmt: skip
        head = (
            drawn.width,
            drawn.classes,
            drawn.findings,
            layers,
            drawn.settings.activation,
            drawn.settings.output,
            bool(drawn.l2),
        )
        return cls(
            (head, loss, str(optimizer), keras_backend.load().config.dtype_policy().name), model, kind, batch_size
        )


_UNSHARED = {"name": "", "learning_rate": 0.0}
_SHARED: dict[_Shape, "_Program"] = {}


def _blueprint(model: Any) -> Blueprint | None:
    return getattr(model, "blueprint", None)


def _numbers(model: Any) -> list[np.float32]:
    """Penalty and Dropout rates of a head; a model that has its passes to itself has its own, and takes its penalty once."""
    drawn = _blueprint(model)
    layers = parse_layers(drawn.settings.layers) if drawn else []
    first = next((at for at, (name, _) in enumerate(layers) if name == "dense"), len(layers))
    times = [drawn.classes if drawn and drawn.findings and at > first else 1 for at in range(len(layers))]
    rates = [
        np.float32(value)
        for (name, value), k in zip(layers, times, strict=True)
        for _ in range(k)
        if name == "dropout" and value
    ]
    return [np.float32(drawn.l2 if drawn else 1), *rates]


def _program(shape: _Shape) -> "_Program":
    if shape.key is None:
        return _Program(shape)
    if shape not in _SHARED:
        if len(_SHARED) >= _MOST_SHARED:
            import jax

            _SHARED.clear()
            jax.clear_caches()  # or what was compiled stays in memory: measured 8 MB a shape
        _SHARED[shape] = _Program(shape)
    return _SHARED[shape]


class _Program:
    """The compiled passes of one shape; weights, penalty, Dropout rates and the learning rate are arguments.

    `train` takes a state, `_numbers`, padded columns and the number of rows among them, and gives the state after them
    and four sums: losses, rows, weights of right answers, weights. `logits` takes the first two parts of a state, and rows.
    """

    def __init__(self, shape: _Shape) -> None:
        import jax

        self._rates: Iterator[Any] = iter(())
        drawn = _blueprint(shape.model)
        model = self._template(drawn) if drawn else shape.model
        self._network, self._batch_size = heads.up_to_logits(model), shape.batch_size
        if shape.kind == "train":
            self._loss = loss_of(shape.model)
            self._penalties = [each.regularizer for each in self._network.trainable_variables]
            self._optimizer = self._own_optimizer(shape.model)
        self.train = jax.jit(self._train, compiler_options=_QUICKER_TO_COMPILE if drawn else None)
        self.logits = jax.jit(self._logits)

    def _own_optimizer(self, model: Any) -> Any:
        if not _blueprint(model):
            return model.optimizer
        optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
        optimizer.build(self._network.trainable_variables)
        return optimizer

    def _template(self, drawn: Blueprint) -> Any:
        """Build a head with a penalty of 1, whose Dropout layers take their rates, one after the other, from a pass' arguments."""
        keras = keras_backend.load()

        class Dropout(keras.layers.Dropout):  # type: ignore[misc, name-defined]  # Keras ships no types
            def call(_self, inputs: Any, training: bool = False) -> Any:  # noqa: N805
                if not training or _self.rate == 0:
                    return inputs
                share = 1 - next(self._rates)
                kept = keras.random.uniform(keras.ops.shape(inputs), seed=_self.seed_generator) < share
                return keras.ops.where(kept, inputs / share, 0)

        l2 = 1.0 if drawn.l2 else 0.0
        return heads.build_head(
            drawn.width, drawn.classes, drawn.settings, seed=0, l2=l2, findings=drawn.findings, dropout=Dropout
        )

    def _train(self, state: _State, numbers: Sequence[Any], columns: Sequence[Any], rows: Any) -> Any:
        import jax
        from jax import numpy as jnp

        size, (l2, *rates) = self._batch_size, numbers

        def step(at: Any, carried: Any) -> Any:
            (weights, fixed, moments, weighing), totals = carried
            batch = [jax.lax.dynamic_slice_in_dim(column, at * size, size) for column in columns]
            count = jnp.minimum(rows - at * size, size).astype(jnp.float32)
            self._rates = iter(rates)
            gradient = jax.grad(self._scaled_loss, has_aux=True)
            gradients, (sums, fixed, weighing) = gradient(weights, fixed, moments, weighing, l2, batch, count)
            weights, moments = self._optimizer.stateless_apply(moments, gradients, weights)
            return (weights, fixed, moments, weighing), totals + sums

        return jax.lax.fori_loop(0, (rows + size - 1) // size, step, (state, jnp.zeros(4)))

    def _scaled_loss(
        self, weights: Any, fixed: Any, moments: Any, weighing: Any, l2: Any, batch: Sequence[Any], count: Any
    ) -> Any:
        """Give the mean loss, as large as the optimizer wants it in half precision, the sums, and the rest of the state after."""
        import jax
        from jax import numpy as jnp

        inputs, wanted, row_weights = batch
        found, fixed = self._network.stateless_call(weights, fixed, inputs, training=True)
        losses, right = _judged(found.astype(jnp.float32), wanted, self._loss, jnp)
        if weighing and row_weights.ndim == 2:  # groups of findings
            each, _ = _each_finding(found.astype(jnp.float32), wanted, self._loss, jnp)
            weighing, weights_of = group_dro.step_findings(weighing, jax.lax.stop_gradient(each), row_weights, jnp)
            losses, row_weights = (each * weights_of).mean(axis=-1), (row_weights > 0).any(axis=-1).astype(jnp.float32)
        elif weighing:
            weighing, row_weights = group_dro.step(weighing, jax.lax.stop_gradient(losses), row_weights, jnp)
        total, *others = _sums(losses, right, row_weights, count)
        for penalty, values in zip(self._penalties, weights, strict=True):
            total = total + l2 * penalty(values) * count if penalty else total
        sums = jnp.stack([total, *others])
        mapping = list(zip(self._optimizer.variables, moments, strict=True))
        with keras_backend.load().StatelessScope(state_mapping=mapping):
            return self._optimizer.scale_loss(sums[0] / count), (sums, fixed, weighing)

    def _logits(self, values: _State, inputs: Any) -> Any:
        return self._network.stateless_call(*values, inputs, training=False)[0]


def _judged(found: Any, wanted: Any, loss: str, xp: Any) -> tuple[Any, Any]:
    """Losses of rows (n), and whether their answers are right, of logits (n, 1) or (n, classes); `xp` is NumPy or JAX's.

    Of findings `wanted` (n, 2k) is the truth, and behind it the weight of each: the loss is the mean over them, and right is
    the share of those that are known.
    """
    if wanted.shape[-1] == 2 * found.shape[-1]:
        return _judged_findings(found, wanted, loss, xp)
    if found.shape[-1] == 1:
        log_is, log_is_not = -xp.logaddexp(0, -found), -xp.logaddexp(0, found)
        losses = -(wanted * log_is + (1 - wanted) * log_is_not)[:, 0]
        right = (found[:, 0] > 0) == (wanted[:, 0] > 0.5)
    else:
        shifted = found - found.max(axis=-1, keepdims=True)
        log_is = shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))
        losses = -(wanted * log_is).sum(axis=-1)
        right = found.argmax(axis=-1) == wanted.argmax(axis=-1)
    if loss == "mean_squared_error":
        losses = ((xp.exp(log_is) - wanted) ** 2).mean(axis=-1)
    return losses, right


def _judged_findings(found: Any, wanted: Any, loss: str, xp: Any) -> tuple[Any, Any]:
    each, right = _each_finding(found, wanted, loss, xp)
    return (each * wanted[:, found.shape[-1] :]).mean(axis=-1), right


def _each_finding(found: Any, wanted: Any, loss: str, xp: Any) -> tuple[Any, Any]:
    """Losses of rows and findings (n, k), without weights, and the share of those known of a row that is right (n)."""
    truth, weights = wanted[:, : found.shape[-1]], wanted[:, found.shape[-1] :]
    log_is, log_is_not = -xp.logaddexp(0, -found), -xp.logaddexp(0, found)
    each = -(truth * log_is + (1 - truth) * log_is_not)
    if loss == "mean_squared_error":
        each = (xp.exp(log_is) - truth) ** 2
    known = weights > 0
    right = (((found > 0) == (truth > 0.5)) & known).sum(axis=-1) / xp.maximum(known.sum(axis=-1), 1)
    return each, right


def loss_of(model: Any) -> str:
    """Name the loss of a compiled model."""
    return model.loss if isinstance(model.loss, str) else str(model.loss.__name__)


def findings_loss(name: str) -> Callable[[Any, Any], Any]:
    """Give a loss of findings for Keras, as `_judged` has it: "binary_crossentropy" or "mean_squared_error"."""
    ops, least = keras_backend.load().ops, 1e-7

    def loss(wanted: Any, found: Any) -> Any:
        truth, weights = ops.split(ops.cast(wanted, found.dtype), 2, axis=-1)
        chance = ops.clip(found, least, 1 - least)
        each = -(truth * ops.log(chance) + (1 - truth) * ops.log(1 - chance))
        return ops.mean(weights * (ops.square(found - truth) if name == "mean_squared_error" else each), axis=-1)

    loss.__name__ = name
    return loss


def findings_accuracy() -> Any:
    """Give Keras' metric "accuracy" of findings: the share of those that are known that is right."""
    keras = keras_backend.load()
    ops = keras.ops

    def right(wanted: Any, found: Any) -> Any:
        truth, weights = ops.split(ops.cast(wanted, found.dtype), 2, axis=-1)
        known = ops.cast(weights > 0, found.dtype)
        same = ops.cast(ops.equal(found > 0.5, truth > 0.5), found.dtype)
        return ops.sum(same * known, axis=-1) / ops.maximum(ops.sum(known, axis=-1), 1)

    return keras.metrics.MeanMetricWrapper(right, name="accuracy")


def _sums(losses: Any, right: Any, weights: Any, count: Any) -> list[Any]:
    """Sum losses, rows, weights of right answers and weights."""
    return [(losses * weights).sum(), count, (right * weights).sum(), weights.sum()]
