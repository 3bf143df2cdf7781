"""The Dense / Dropout heads, in Keras."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.model import keras_backend
from plainfilm.model.recipe_schema import HeadSettings, parse_layers


def output_kind(settings: HeadSettings, classes: int, *, findings: bool = False) -> str:
    """Resolve the output: "sigmoid" (one score, of the positive class, or one a finding) or "softmax" (one a class)."""
    if findings:
        return "sigmoid"
    if settings.output != "auto":
        return settings.output if classes == 2 else "softmax"
    return "sigmoid" if classes == 2 else "softmax"


STANDARDISE = "standardise"  # name of the layer, whose mean and variance are the training features', from the start
_LEAST_VARIANCE = 1e-6  # a feature that never changes stays finite
_LAST = 999  # counts as the number of the last Dense layer, whatever stands before it


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What a head is built from: features in, classes (or findings) out, the recipe's settings, and the penalty on its weights."""

    width: int
    classes: int
    settings: HeadSettings
    l2: float = 0.0
    findings: bool = False


def build_head(
    width: int,
    classes: int,
    settings: HeadSettings,
    *,
    seed: int,
    l2: float = 0.0,
    findings: bool = False,
    dropout: Any = None,
) -> Any:
    """Build a head that has not been trained; its attribute `blueprint` is what it was built from.

    Its first weights come from `seed` alone, neither from any global state nor from Keras' backend, by the uniform
    distribution of Glorot & Bengio (AISTATS 2010).

    Parameters
    ----------
    width, classes
        Numbers of features and classes.
    l2
        The penalty l2 / 2 x the sum of squares of the Dense layers' kernels; biases have none.
    findings
        `classes` are findings, each told by itself.
    dropout
        A layer class to stand in for Keras' Dropout.

    Returns
    -------
    keras.Model
        float32 (n, width) features to float32 probabilities: (n, 1) with a sigmoid, (n, classes) with a softmax or of findings. The
        layer before the last, "logits", holds them before the sigmoid or softmax.
    """
    keras = keras_backend.load()
    layers, dropout = keras.layers, dropout or keras.layers.Dropout
    kind = output_kind(settings, classes, findings=findings)
    inputs = keras.Input((width,), name="features")
    told = parse_layers(settings.layers)
    first = next((at for at, (layer, _) in enumerate(told) if layer == "dense"), len(told))
    rest = _Rest(settings, first, told[first:], seed, l2, dropout)
    x = inputs
    for number, (layer, value) in enumerate(told[:first]):
        if layer == "standardise":
            x = layers.BatchNormalization(
                center=False, scale=False, epsilon=_LEAST_VARIANCE, trainable=False, name=STANDARDISE
            )(x)
        else:
            x = dropout(value, seed=(seed * 1000 + number) % 2**32, name=f"dropout{number}")(x)
    outputs = 1 if kind == "sigmoid" and not findings else classes
    if findings and rest.layers:  # each has hidden layers of its own, as a head for it alone
        apart = [rest.after(x, 1, f"_{at}", at) for at in range(classes)]
        x = layers.Concatenate(name="logits")(apart)
    else:
        x = rest.after(x, outputs, "", 0)
    head = keras.Model(inputs, layers.Activation(kind, name="probabilities")(x), name="head")
    head.blueprint = Blueprint(width, classes, settings, l2, findings)
    return head


@dataclass(frozen=True, slots=True)
class _Rest:
    """The layers of a head from its first Dense on, of which the recipe's list has the numbers from `first`."""

    settings: HeadSettings
    first: int
    layers: Sequence[tuple[str, float]]
    seed: int
    l2: float
    dropout: Any

    def after(self, x: Any, outputs: int, mark: str, branch: int) -> Any:
        """Put them behind x, the logits last; `mark` sets their names apart."""
        for number, (layer, value) in enumerate(self.layers, self.first):
            if layer == "dense":
                x = _dense(x, int(value), f"dense{number}{mark}", seed=(self.seed, number), l2=self.l2,
                           activation=self.settings.activation)  # fmt: skip
            else:
                drawn = (self.seed * 1000 + number + 100 * branch) % 2**32
                x = self.dropout(value, seed=drawn, name=f"dropout{number}{mark}")(x)
        return _dense(x, outputs, f"logits{mark}", seed=(self.seed, _LAST), l2=self.l2)


def _dense(x: Any, units: int, name: str, *, seed: tuple[int, int], l2: float, activation: str | None = None) -> Any:
    keras = keras_backend.load()
    penalty = keras.regularizers.L2(l2 / 2) if l2 else None
    layer = keras.layers.Dense(units, activation, kernel_initializer="zeros", kernel_regularizer=penalty, name=name)
    with keras_backend.unfilled():
        after = layer(x)
    layer.set_weights([_glorot(x.shape[-1], units, seed), np.zeros(units, np.float32)])
    return after


def _glorot(rows: int, columns: int, seed: tuple[int, int]) -> NDArray[np.float32]:
    limit = np.sqrt(6 / (rows + columns))
    return np.random.default_rng(seed).uniform(-limit, limit, (rows, columns)).astype(np.float32)


def up_to_logits(model: Any) -> Any:
    """Cut off the sigmoid or softmax of a head; a model around a head says itself how, by its method of this name."""
    if hasattr(model, "up_to_logits"):
        return model.up_to_logits()
    return keras_backend.load().Model(model.inputs[0], model.get_layer("logits").output, name="head")
