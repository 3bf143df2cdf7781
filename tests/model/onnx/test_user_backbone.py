import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from made_networks import OWN_SIDE, endless_loop, own_backbone, own_mean, own_value
from plainfilm.errors import WeightsError
from plainfilm.model import backbones, encoder
from plainfilm.model.onnx import user_backbone


def greedy(path):
    """Multiplies a picture out to 4 GB."""
    times = np.array([1, 1, 2048, 2048], np.int64)
    nodes = [
        helper.make_node("Expand", ["x1", "times"], ["large"]),
        helper.make_node("ReduceMean", ["x"], ["x1"], axes=[2, 3], keepdims=1),
        helper.make_node("ReduceMean", ["large"], ["y"], axes=[2, 3], keepdims=0),
    ]
    return own_backbone(path, [nodes[1], nodes[0], nodes[2]], [("times", times)])


def random(path):
    return own_backbone(path, [helper.make_node("RandomNormalLike", ["m"], ["y"]), own_mean("m")][::-1])


def not_a_number(path):
    nodes = [own_mean("m"), helper.make_node("MatMul", ["m", "w"], ["y"])]
    return own_backbone(path, nodes, [("w", np.full((3, 3), np.nan, np.float32))])


@pytest.mark.parametrize(
    ("make", "reason"),
    [(endless_loop, "a graph inside a node"), (greedy, "Expand over more"), (random, "RandomNormalLike"), (not_a_number, "NaN")],
)  # fmt: skip
def test_what_a_bundle_may_not_hold_is_refused_before_it_runs(tmp_path, monkeypatch, make, reason):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(encoder, "ImageNetwork", lambda _: pytest.fail("the network was opened"))
    own = backbones.find(str(make(tmp_path / "own.onnx")))
    with pytest.raises(WeightsError, match=rf"^Expected [^\n]*own\.onnx[^\n]*{reason}[^\n]*$"):
        encoder.open_encoder(
            own, encoder.preprocessing(own, image_size=OWN_SIDE * 2, scaling="0..1", input_size=OWN_SIDE)
        )
    assert not list((tmp_path / "cache").rglob("*.network"))


def test_a_file_that_is_too_large_is_not_even_read(tmp_path, monkeypatch):
    path = tmp_path / "own.onnx"
    with path.open("wb") as file:
        file.truncate(user_backbone._MOST_BYTES + 1)
    monkeypatch.setattr(onnx, "load", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(WeightsError, match="of at most 1,040 MB"):
        user_backbone.with_prelude(
            path, OWN_SIDE, own_value("images", ["n", OWN_SIDE, OWN_SIDE], TensorProto.UINT8), lambda *_: "x"
        )
