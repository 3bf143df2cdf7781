from pathlib import Path

import numpy as np
import pytest

from plainfilm.errors import MissingExtraError, RecipeError
from plainfilm.model import bfloat16, bundle, view
from plainfilm.model.onnx_session import ImageNetwork


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (9, view.SIDE, view.SIDE), np.uint8)


@pytest.mark.skipif(not bfloat16.is_native(), reason="without instructions for bfloat16")
@pytest.mark.parametrize("threads", [1, 2])
def test_answers_are_those_in_float32_but_for_what_bfloat16_rounds(images, threads):
    network = bfloat16.Bfloat16Network(view.NETWORK.read_bytes(), threads=threads)
    (found,), (expected,) = network.run(images, "scores"), ImageNetwork(view.NETWORK).run(images, "scores")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected).max())
    assert network.width("scores") == 2
    assert network.run(images[:0], "scores")[0].shape == (0, 2)


def test_a_processor_without_instructions_is_told(monkeypatch):
    monkeypatch.setattr(bfloat16, "is_native", lambda: False)
    with pytest.raises(RecipeError, match="AVX-512 BF16 or AMX for backbone.precision bfloat16"):
        bfloat16.Bfloat16Network(b"")


def test_openvino_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    assert not bfloat16.is_native()
    with pytest.raises(MissingExtraError, match=r"plainfilm\[openvino\]"):
        bfloat16.check()


@pytest.mark.skipif(not bfloat16.is_native(), reason="without instructions for bfloat16")
def test_a_network_that_begins_with_a_convolution_of_scaled_gray_runs():
    opened = bundle.load(Path(__file__).parents[1] / "written_by_0_1_0" / "run" / "model.plainfilm").classifier
    images = np.random.default_rng(0).integers(0, 256, (5, opened.image_size, opened.image_size), np.uint8)
    (found,) = bfloat16.Bfloat16Network(opened.network).run(images, "features")
    np.testing.assert_allclose(found, opened.encode(images), atol=0.02 * np.abs(found).max())
