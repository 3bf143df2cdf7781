"""A backbone small enough to be trained in a test: a stem and three blocks, the last two with a path around them."""

import numpy as np

from plainfilm.model.backbones import Backbone, WeightsSource

SIZE = 32  # pixels
TINY = Backbone(
    name="tiny",
    builder="made_backbone:build",
    width=16,
    scaling="-1..1",
    weights=WeightsSource(kind="keras", file="tiny.h5"),
    input_size=SIZE,
)


def build(weights, include_top, pooling, input_shape):  # what Keras' builders take
    import keras
    from keras import layers

    inputs = keras.Input(input_shape)
    x = _block(inputs, "stem", 8, stride=2)
    x = _block(x, "block1", 16, stride=2)
    for name in ("block2", "block3"):
        x = layers.Add(name=f"{name}_add")([x, _block(x, name, 16)])
    return keras.Model(inputs, layers.GlobalAveragePooling2D(name="average")(x), name="tiny")


def _block(x, name, filters, stride=1):
    from keras import layers

    x = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))


def weights_file(path):
    """Random weights, the same each time, whose batch normalisations do something."""
    import keras

    keras.utils.set_random_seed(0)
    network, rng = build(None, False, "avg", (SIZE, SIZE, 3)), np.random.default_rng(0)
    for layer in network.layers:
        if layer.name.endswith("_bn"):
            gamma, beta, mean, variance = layer.get_weights()
            lively = rng.uniform(-0.1, 0.3, (3, len(gamma)))
            layer.set_weights([gamma + lively[0], beta + lively[1], mean + lively[2] / 3, 0.05 * variance])
    network.save_weights(path)
    return path


def pictures(n, seed=0):
    """Gray uint8 images (n, SIZE, SIZE) of noise with stripes that lie in class 0 and stand in class 1, and labels int64 (n)."""
    rng, labels = np.random.default_rng(seed), np.arange(n) % 2
    stripes = 90 * (np.arange(SIZE) // 2 % 2)
    lying = np.where(labels[:, None, None] == 0, stripes[None, :, None], stripes[None, None, :])
    return (rng.integers(40, 160, (n, SIZE, SIZE)) + lying).astype(np.uint8), labels
