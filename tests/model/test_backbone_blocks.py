import dataclasses

import numpy as np
import pytest

from made_networks import answers_of, drawn_network, empty_network, keras_encoder, rows
from plainfilm.errors import RecipeError
from plainfilm.model import backbone_blocks, encoder
from plainfilm.model.backbones import BACKBONES, find

SMALL = {name: 75 if name.startswith("resnet") else 64 for name in BACKBONES}


@pytest.mark.parametrize("name", rows("mobilenet", "efficientnet_lite0", slow=["densenet121"]))
def test_a_shortened_network_gives_the_mean_of_the_maps_that_it_ends_with(name):
    import keras

    whole = drawn_network(find(name), SMALL[name])
    names = backbone_blocks.block_names(whole, find(name))
    half = dataclasses.replace(find(name), depth=len(names) // 2)
    short = backbone_blocks.shortened(whole, half)
    maps = backbone_blocks.gate(whole, half, names[half.depth])
    images = np.random.default_rng(0).normal(size=(2, SMALL[name], SMALL[name], 3)).astype(np.float32)
    expected = answers_of(keras.Model(whole.inputs[0], maps), images).mean(axis=(2, 3))
    np.testing.assert_allclose(answers_of(short, images), expected, rtol=1e-4, atol=1e-5)
    assert short.count_params() < whole.count_params()
    assert not {layer.name for layer in short.layers} & {
        layer.name for layer in whole.layers if layer.name.startswith(names[-1] + "_")
    }


def test_without_a_depth_the_network_stays_as_it_is():
    whole = empty_network(find("mobilenet"), 64)
    assert backbone_blocks.shortened(whole, find("mobilenet")) is whole


@pytest.mark.parametrize("depth", [13, 14, 1000])
def test_more_blocks_than_there_are_is_an_error_with_the_range(depth):
    row = find("mobilenet", depth)
    with pytest.raises(RecipeError, match=f"from 1 to 12, or 0 for all, for mobilenet; received {depth}"):
        backbone_blocks.shortened(empty_network(row, 64), row)


def test_the_blocks_of_a_users_file_are_not_known(tmp_path):
    file = tmp_path / "mine.onnx"
    file.touch()
    with pytest.raises(RecipeError, match="received 3"):
        find(str(file), 3)


@pytest.mark.slow
def test_a_shortened_encoder_agrees_with_keras_and_is_kept_apart_from_the_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path))
    images = np.random.default_rng(1).integers(0, 256, (3, 96, 96)).astype(np.uint8)
    keys = set()
    for depth in (0, 5, 9):
        row = find("efficientnet_lite0", depth)
        prepare = encoder.preprocessing(row, image_size=96, input_size=80)
        made = encoder.open_encoder(row, prepare)
        keys.add(made.key)
        expected = np.asarray(keras_encoder(row, prepare)(images.astype(np.float32), training=False))
        assert made.width == expected.shape[1]
        np.testing.assert_allclose(made.encode(images), expected, atol=1e-4)
    assert len(keys) == 3
