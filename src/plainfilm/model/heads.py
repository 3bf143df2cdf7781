"""The Dense / Dropout heads, in Keras."""

from typing import Any

from plainfilm.model.recipe_schema import HeadSettings, parse_layers


def output_kind(settings: HeadSettings, classes: int) -> str:
    """Resolve the output: "sigmoid" (one score, of the positive class) or "softmax" (one a class)."""
    if settings.output != "auto":
        return settings.output if classes == 2 else "softmax"
    return "sigmoid" if classes == 2 else "softmax"


STANDARDISE = "standardise"  # name of the layer, whose mean and variance are the training features', from the start
_LEAST_VARIANCE = 1e-6  # a feature that never changes stays finite


def build_head(width: int, classes: int, settings: HeadSettings, *, seed: int) -> Any:
    """Build a head that has not been trained.

    Its random numbers come from `seed` alone, not from any global state.

    Returns
    -------
    keras.Model
        float32 (n, width) features to float32 probabilities: (n, 1) with a sigmoid, (n, classes) with a softmax. The
        layer before the last, "logits", holds them before the sigmoid or softmax.
    """
    import keras

    kind = output_kind(settings, classes)
    inputs = keras.Input((width,), name="features")
    x = inputs
    for number, (layer, value) in enumerate(parse_layers(settings.layers)):
        own_seed = seed * 1000 + number
        if layer == "dense":
            start = keras.initializers.GlorotUniform(seed=own_seed)
            x = keras.layers.Dense(int(value), settings.activation, kernel_initializer=start, name=f"dense{number}")(x)
        elif layer == "standardise":
            x = keras.layers.BatchNormalization(
                center=False, scale=False, epsilon=_LEAST_VARIANCE, trainable=False, name=STANDARDISE
            )(x)
        else:
            x = keras.layers.Dropout(value, seed=own_seed, name=f"dropout{number}")(x)
    start = keras.initializers.GlorotUniform(seed=seed * 1000 + 999)
    x = keras.layers.Dense(1 if kind == "sigmoid" else classes, kernel_initializer=start, name="logits")(x)
    return keras.Model(inputs, keras.layers.Activation(kind, name="probabilities")(x), name="head")
