"""Encoding MobileNet at 224 px against a NumPy float32 matrix product, and against bare ONNX Runtime on the same device, in turn.

    python benchmarks/encoding.py --out encoding.json
    python benchmarks/encoding.py --device cuda --images 8192

Floating-point operations are counted in the exported graph: two for each multiply-add of its convolutions.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

import numpy as np
import onnx

from measuring import finish, spread
from plainfilm.model import backbones, devices, encoder
from plainfilm.model.cpus import processors
from plainfilm.model.onnx_session import open_network

MATRIX = 2048


def operations(network: bytes, input_size: int) -> float:
    """Floating-point operations an image in the convolutions of a graph."""
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(network))
    kernels = {weight.name: weight.dims for weight in model.graph.initializer}
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in model.graph.value_info}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert convolutions
    assert input_size in {side for shape in shapes.values() for side in shape}
    return sum(2.0 * np.prod(kernels[node.input[1]]) * np.prod(shapes[node.output[0]][2:]) for node in convolutions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="mobilenet")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--at-once", type=int, default=64, help="images a batch of bare ONNX Runtime")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    row = backbones.find(args.backbone)
    with devices.using(args.device):
        opened = encoder.open_encoder(row, encoder.preprocessing(row, image_size=256))
    bare = open_network(opened.network(), device=opened.device)
    each = operations(opened.network(), row.input_size)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (args.images, 256, 256), dtype=np.uint8)
    a, b = (rng.random((MATRIX, MATRIX), dtype=np.float32) for _ in range(2))
    opened.encode(images[:32]), a @ b
    rates, products, bare_rates = [], [], []
    for _ in range(args.rounds):
        start = time.perf_counter()
        for _ in range(8):
            a @ b
        products.append(8 * 2 * MATRIX**3 / (time.perf_counter() - start) / 1e9)
        start = time.perf_counter()
        opened.encode(images)
        rates.append(args.images / (time.perf_counter() - start))
        start = time.perf_counter()
        for at in range(0, args.images, args.at_once):
            bare.run(["features"], {"images": images[at : at + args.at_once]})
        bare_rates.append(args.images / (time.perf_counter() - start))
    gflops = [rate * each / 1e9 for rate in rates]
    finish(
        {
            "backbone": row.name,
            "device": opened.device,
            "processors": processors(),
            "threads_of_numpy": os.environ.get("OPENBLAS_NUM_THREADS", "all"),
            "mega_operations_per_image": each / 1e6,
            "images_per_s": spread(rates),
            "share_of_bare_onnx_runtime": statistics.median(x / y for x, y in zip(rates, bare_rates, strict=True)),
            "encoding_gflops": spread(gflops),
            "matrix_product_gflops": spread(products),
            "share_of_matrix_product": statistics.median(x / y for x, y in zip(gflops, products, strict=True)),
        },
        args.out,
    )


if __name__ == "__main__":
    main()
