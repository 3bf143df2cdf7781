import numpy as np
import pytest
from onnx import TensorProto, helper

from plainfilm.model.map_geometry import cells
from plainfilm.model.onnx.from_keras import Graph

SIDE = 64


def network(*layers, maps=True):
    """Convolutions (kernel, stride, pads) of ones over the image, as a network with "maps"."""
    graph = Graph()
    x = graph.node("Unsqueeze", [graph.node("Cast", ["images"], to=1), graph.weight(np.array([1]))])
    for kernel, stride, pads in layers:
        x = graph.node("Relu", [graph.node("Conv", [x, graph.weight(np.ones((1, 1, kernel, kernel), np.float32))], strides=[stride] * 2, pads=pads)])  # fmt: skip
    graph.node("Identity", [x], output="maps" if maps else "others")
    return closed(graph, "maps" if maps else "others")


def closed(graph, output):
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIDE, SIDE])
    return graph.model(
        [images], [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", 1, None, None])]
    ).SerializeToString()


def centre(data):
    """Where a cell in the middle looks: the mean place of the pixels that change it, and its index."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    dots = np.zeros((2 * SIDE, SIDE, SIDE), np.uint8)
    lines = np.arange(SIDE)
    dots[lines, lines, :], dots[SIDE + lines, :, lines] = 1, 1
    maps = session.run(["maps"], {"images": dots})[0][:, 0]
    cell = maps.shape[1] // 2
    seen = maps[:, cell, cell].reshape(2, SIDE)
    return cell, (seen * lines).sum(axis=1) / seen.sum(axis=1)


@pytest.mark.parametrize(
    "layers",
    [
        [(8, 8, [0, 0, 0, 0])],
        [(3, 2, [0, 0, 1, 1]), (3, 2, [0, 0, 1, 1]), (5, 2, [1, 1, 2, 2])],  # TensorFlow's "same"
        [(7, 2, [3, 3, 3, 3]), (3, 2, [1, 1, 1, 1]), (1, 2, [0, 0, 0, 0])],  # PyTorch's
        [(3, 2, [1, 0, 0, 1]), (3, 1, [1, 1, 1, 1])],
    ],
)
def test_cells_lie_where_the_pixels_that_change_them_do(layers):
    data = network(*layers)
    found = cells(data)
    cell, middle = centre(data)
    np.testing.assert_allclose(found.start + found.step * cell, middle, atol=1e-4)
    np.testing.assert_array_equal(found.step, np.prod([stride for _, stride, _ in layers]))


def test_resizing_and_padding_before_count():
    graph = Graph()
    x = graph.node("Unsqueeze", [graph.node("Cast", ["images"], to=1), graph.weight(np.array([1]))])
    scales = graph.weight(np.array([1, 1, 0.5, 0.5], np.float32))
    x = graph.node("Resize", [x, "", scales], mode="linear", coordinate_transformation_mode="half_pixel")
    x = graph.node("Pad", [x, graph.weight(np.array([0, 0, 0, 2, 0, 0, 2, 0]))])
    graph.node("Conv", [x, graph.weight(np.ones((1, 1, 2, 2), np.float32))], strides=[2, 2], output="maps")
    found = cells(closed(graph, "maps"))
    np.testing.assert_allclose(found.step, [4, 4])
    np.testing.assert_allclose(found.start, [1.5, -2.5])


def test_what_cannot_be_told_is_none():
    assert cells(network((3, 2, [0, 0, 1, 1]), maps=False)) is None
    assert cells(b"no network") is None
    graph = Graph()
    x = graph.node("Unsqueeze", [graph.node("Cast", ["images"], to=1), graph.weight(np.array([1]))])
    graph.node("Conv", [x, graph.weight(np.ones((1, 1, 3, 3), np.float32))], auto_pad="SAME_UPPER", output="maps")
    assert cells(closed(graph, "maps")) is None
