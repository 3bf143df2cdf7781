import numpy as np
import onnx
import pytest

from plainfilm.errors import UsageError
from plainfilm.model import devices, onnx_session, view
from plainfilm.model.onnx import from_keras
from plainfilm.model.onnx_safety import writing
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


def wide(side=32, *, has_more=False):
    """A network of one product, whose weights are large enough to be kept apart; and others, if asked, that nothing takes."""
    graph = from_keras.Graph()
    if has_more:
        graph.weight(np.zeros((32, 600), np.float32))
    floats = graph.node("Cast", ["images"], to=onnx.TensorProto.FLOAT)
    rows = graph.node("ReduceMean", [floats, graph.weight(np.array([1]))], keepdims=0)
    matrix = np.random.default_rng(0).standard_normal((side, 600)).astype(np.float32)
    graph.node("MatMul", [rows, graph.weight(matrix)], output="features")
    taken = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["n", side, side])
    return graph.model([taken], [from_keras.float_output("features", 600)]).SerializeToString()


def test_weights_that_are_given_apart_answer_to_the_same_bit(monkeypatch):
    pictures = np.random.default_rng(1).integers(0, 256, (3, 32, 32), np.uint8)
    (whole,) = open_network(wide()).run(None, {"images": pictures})
    parted = []
    monkeypatch.setattr(onnx_session, "_HEAVY", 0)
    monkeypatch.setattr(writing, "parted", lambda *_, parted_=writing.parted, **told: parted.append(parted_(*_, **told)) or parted[-1])  # fmt: skip
    network = ImageNetwork(wide)
    np.testing.assert_array_equal(network.run(pictures, "features")[0], whole)
    ((bare, apart),) = parted
    assert len(bare) < 1000 < sum(each.nbytes for each in apart.values())


def test_a_network_with_weights_that_nothing_takes_is_opened_whole(monkeypatch):
    monkeypatch.setattr(onnx_session, "_HEAVY", 0)
    pictures = {"images": np.ones((1, 32, 32), np.uint8)}
    plain, more = (open_network(wide(has_more=each)).run(None, pictures)[0] for each in (False, True))
    np.testing.assert_array_equal(more, plain)


@pytest.mark.parametrize(("side", "lengths"), [(384, [8, 2]), (385, [1] * 10)])
def test_large_images_go_one_by_one(side, lengths):
    network = ImageNetwork(wide(side), threads=2)
    network.session = Elsewhere(network.session)
    network.run(np.zeros((10, side, side), np.uint8), "features")
    assert network.session.lengths == lengths


def test_no_images_have_no_answers(images):
    (scores,) = ImageNetwork(view.NETWORK).run(images[:0], "scores", side=view.SIDE)
    assert scores.shape == (0, 2)
    assert scores.dtype == np.float32


# other devices


class Elsewhere:
    """A session that says it runs on CUDA: it runs here, answers `off` more, and has memory for `most` images."""

    def __init__(self, session, off=0.0, most=1000, runs_on="CUDAExecutionProvider"):
        self.session, self.off, self.most, self.lengths, self.runs_on = session, off, most, [], runs_on

    def get_providers(self):
        return [self.runs_on]

    def get_outputs(self):
        return self.session.get_outputs()

    def get_inputs(self):
        return self.session.get_inputs()

    def run(self, names, inputs):
        if len(inputs["images"]) > self.most:
            raise RuntimeError("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 1")
        self.lengths.append(len(inputs["images"]))
        return [each + self.off for each in self.session.run(names, inputs)]


def moved(monkeypatch, *, is_demanded=False, **told):
    there = Elsewhere(open_network(view.NETWORK, has_packed_weights=True), **told)
    monkeypatch.setattr(
        onnx_session,
        "open_network",
        lambda *_, device="cpu", **more: there if device == "cuda" else open_network(*_, **more),
    )
    device = devices.Chosen("cuda", is_demanded=is_demanded)
    return ImageNetwork(view.NETWORK, threads=2, has_packed_weights=True, device=device), there


def test_a_device_that_answers_alike_is_used_with_as_many_images_as_its_memory_holds(monkeypatch, images, caplog):
    small = images[:, : view.SIDE, : view.SIDE]
    network, there = moved(monkeypatch, most=20)
    assert network.device == "cuda"
    here = ImageNetwork(view.NETWORK, threads=1, has_packed_weights=True)
    for found, expected in zip(network.run(small), here.run(small), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert there.lengths == [2, 16, 16, 16, 16, 7], "the two pictures, then 71 images"
    assert network.run(small[:0], "scores")[0].shape == (0, 2)
    assert caplog.text == ""


def test_an_error_that_is_none_of_memory_is_raised(monkeypatch, images):
    network, there = moved(monkeypatch)
    monkeypatch.setattr(there, "run", lambda *_: (_ for _ in ()).throw(RuntimeError("a kernel failed")))
    with pytest.raises(RuntimeError, match="a kernel failed"):
        network.run(images[:, : view.SIDE, : view.SIDE])


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"off": 1.0}, "cuda answers otherwise than the processor, by"),
        ({"off": np.nan}, "cuda answers otherwise than the processor, by nan where 1e-03"),
        ({"runs_on": "CPUExecutionProvider"}, "cuda cannot be used (its driver or its libraries are missing)"),
        ({"most": 1}, "cuda cannot be used ("),
    ],
)
def test_a_device_that_fails_or_answers_otherwise_gives_way_to_the_processor_in_one_line(
    monkeypatch, images, caplog, told, line
):
    network, _ = moved(monkeypatch, **told)
    assert network.device == "cpu"
    assert np.isfinite(network.run(images, side=view.SIDE)[0]).all()
    (record,) = caplog.records
    assert line in record.getMessage()
    assert "processor" in record.getMessage()


def test_a_device_that_was_asked_for_and_cannot_be_used_is_an_error(monkeypatch):
    with pytest.raises(UsageError, match="Expected the device cuda to run networks; .*leave `device` out"):
        moved(monkeypatch, is_demanded=True, runs_on="CPUExecutionProvider")
    network, _ = moved(monkeypatch, is_demanded=True, off=1.0)
    assert network.device == "cpu", "one that answers otherwise is never used"
