import sys

import numpy as np
import pytest

from made_networks import drawn_network, keras_encoder, rows
from plainfilm.errors import RecipeError
from plainfilm.model import backbones, encoder, keras_backend
from plainfilm.model.backbones import BACKBONES, SCALINGS

IMAGE_SIZE = 64


@pytest.mark.parametrize("name", rows("mobilenet", slow=["efficientnet_lite0"]))
def test_every_row_gives_the_same_features_in_keras_and_in_onnx_runtime(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    row, weights = BACKBONES[name], tmp_path / "own.weights.h5"
    drawn_network(row, row.input_size).save_weights(weights)
    prepare = encoder.preprocessing(row, image_size=IMAGE_SIZE)
    opened = encoder.open_encoder(row, prepare, weights_file=weights)
    images = np.random.default_rng(1).integers(0, 256, (3, IMAGE_SIZE, IMAGE_SIZE), dtype=np.uint8)
    received = opened.encode(images)
    expected = np.asarray(keras_encoder(row, prepare, weights)(images.astype("float32"), training=False))
    assert received.shape == expected.shape == (3, row.width)
    assert received.dtype == np.float32
    assert expected.std() > 0
    assert np.abs(received - expected).max() / np.abs(expected).max() < 1e-4


@pytest.mark.parametrize("name", [name for name, row in BACKBONES.items() if row.builder.startswith("keras.")])
def test_every_row_scales_as_keras_own_preprocessing_does(name):
    import keras

    row = BACKBONES[name]
    gray = np.arange(0, 256, 15, dtype=np.float32)
    scaling = SCALINGS[row.scaling]
    ours = gray[:, None] * np.array(scaling.scale) + np.array(scaling.offset)
    image = np.repeat(gray[None, :, None, None], 3, axis=-1)
    if "include_preprocessing" not in row.options:
        builder = getattr(keras.applications, row.builder.split(":")[1])
        own = sys.modules[builder.__module__].preprocess_input(image.copy())
    else:
        own = inside_preprocessing(row, image)
    np.testing.assert_allclose(ours, np.asarray(own)[0, :, 0], rtol=1e-4, atol=1e-4)


def inside_preprocessing(row, image):
    """What a network with its preprocessing inside makes of an image before its first convolution."""
    import keras

    builder = getattr(keras.applications, row.builder.split(":")[1])
    with keras_backend.unfilled():
        network = builder(weights=None, include_top=False, input_shape=(64, 64, 3))
    x = keras.ops.convert_to_tensor(image)
    layers = [
        layer for layer in network.layers[1:6] if type(layer).__name__ in {"Rescaling", "Normalization", "Sequential"}
    ]
    for layer in layers:
        if type(layer).__name__ == "Sequential" and "prestem" not in layer.name:
            continue
        x = layer(x)
    return x


def test_resnet50_sees_blue_green_red_with_the_mean_subtracted():
    scaling = SCALINGS[BACKBONES["resnet50"].scaling]
    assert scaling.scale == (1.0, 1.0, 1.0)
    assert scaling.offset == (-103.939, -116.779, -123.68)


def test_an_unknown_backbone_is_answered_with_the_nearest_name():
    with pytest.raises(RecipeError, match="Did you mean mobilenet"):
        backbones.find("mobilnet")


def test_an_onnx_file_that_does_not_exist_is_said_so(tmp_path):
    with pytest.raises(RecipeError, match="does not exist"):
        backbones.find(str(tmp_path / "none.onnx"))
