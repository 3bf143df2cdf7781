import numpy as np
import pytest

from plainfilm.model import onnx_session, view
from plainfilm.model.onnx_session import ImageNetwork, open_network, shrunk

ODD = 71  # images: no multiple of a batch


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (ODD, 90, 80), np.uint8)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_side_by_side_each_image_has_the_answer_that_it_has_alone(images, threads):
    network = ImageNetwork(view.NETWORK, threads=threads)
    session = open_network(view.NETWORK, has_packed_weights=True)
    alone = [session.run(None, {"images": shrunk(image, view.SIDE)[None]})[0] for image in images]
    for _ in range(2):  # the second time many are side by side
        np.testing.assert_allclose(network.run(images, side=view.SIDE)[0], np.concatenate(alone), atol=1e-5)
    assert ("_alone" in vars(network)) == (threads > 1), "a network of one thread needs no second one"


def test_few_images_do_not_wait_for_a_second_network(images, monkeypatch):
    opened = []
    monkeypatch.setattr(
        onnx_session, "open_network", lambda *_, **told: opened.append(told) or open_network(*_, **told)
    )
    network = ImageNetwork(view.NETWORK, threads=2)
    for at in range(0, 32, 8):
        network.run(images[at : at + 8], side=view.SIDE)
    assert [told["threads"] for told in opened] == [2]
    network.run(images[:8], side=view.SIDE)
    assert [told["threads"] for told in opened] == [2, 1]


def test_no_images_have_no_answers(images):
    (scores,) = ImageNetwork(view.NETWORK).run(images[:0], "scores", side=view.SIDE)
    assert scores.shape == (0, 2)
    assert scores.dtype == np.float32
