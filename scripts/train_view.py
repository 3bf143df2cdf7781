"""Train the check of the view that plainfilm ships: `src/plainfilm/model/view.onnx`, frontal, lateral or neither.

    python scripts/train_view.py --out view.onnx --json view.json

Takes the first four stages of the lung-field network as they are, weights rounded to 8 bits, and fits on what they give of
radiographs a logistic head (frontal or lateral) and a description of where frontal films lie. Learns from ../shared/data: 21
laterals and the frontal films of four folders, each also altered. The figures are of laterals whose patient, and of frontals
whose whole collection, was left out; collections that share films are left out together. Takes some ten minutes on a core. Needs scikit-learn.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageFilter

from plainfilm.evidence.outliers.feature_space import ALONG, Space
from plainfilm.evidence.outliers.learning import describe
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.model import lung_segmentation
from plainfilm.model.onnx.from_keras import Graph, float_output
from plainfilm.model.onnx_session import open_network
from plainfilm.model.view import SIDE

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
LATERAL, FRONTAL = "laterals", ("darkcovidnet", "lungs/images", "several", "mixed")
WIDTH = 80 * 4 * 4  # of the features: maps of the last stage that is kept, times cells
STAGES = 4  # of the lung-field network, each at half the size of the one before
VARIANTS = 40  # of each lateral, beside itself; one of each frontal
PENALTY = 100.0  # of the squared slopes
NOT_LATERAL = 0.995  # share of the frontals of collections left out that lie below the limit on the log odds
KNOWN = 0.99  # and below that on the distance: it only softens a refusal, so it may be strict
SHARED = {
    "cohen": "ieee8023, COVID-CXNet",
    "covid-cxnet": "ieee8023, COVID-CXNet",
    "nih-cxr14": "NIH, RSNA",
    "rsna": "NIH, RSNA",
}
MASKED = "cohen"  # collection of the films with lung masks, which have no table
BATCH = 64
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the trunk gives of radiographs, float32 (n, width), each with its patient or collection, and its folder."""

    features: Floats
    of: NDArray[np.str_]
    folder: NDArray[np.str_]
    altered: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A logistic head on features: log odds of a lateral view are `slopes` (width) times them and `offset`."""

    slopes: Floats
    offset: float

    def score(self, features: Floats) -> Floats:
        return np.asarray(features @ self.slopes + np.float32(self.offset))


def trunk() -> Graph:
    """Cut the lung-field network: "images" uint8 (n, SIDE, SIDE) to "features", the means over 4 x 4 cells of its maps."""
    whole = onnx.load(lung_segmentation.NETWORK).graph
    weights = {each.name: numpy_helper.to_array(each) for each in whole.initializer}
    graph, names, stage = Graph(), {"images": "images"}, 1
    for node in whole.node:
        stage += node.op_type == "MaxPool"
        if stage > STAGES:
            break
        given = [names[name] if name in names else _weight(graph, weights[name]) for name in node.input]
        settings = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        names[node.output[0]] = last = graph.node(node.op_type, given, **settings)
    cells = graph.node("AveragePool", [last], kernel_shape=[2, 2], strides=[2, 2])
    graph.node("Flatten", [cells], output="features")
    return graph


def _weight(graph: Graph, value: NDArray[Any]) -> str:
    """Add a weight; that of a convolution in 8 bits, with a scale for each of what it gives."""
    if value.ndim != 4:
        return graph.weight(value)
    scale = np.abs(value).max(axis=(1, 2, 3)) / 127
    rounded = np.rint(value / scale[:, None, None, None]).astype(np.int8)
    return graph.node("DequantizeLinear", [graph.weight(rounded), graph.weight(scale.astype(np.float32))], axis=0)


def closed(graph: Graph, output: str, width: int) -> bytes:
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIDE, SIDE])
    return graph.model([images], [float_output(output, width)]).SerializeToString()


def whole_network(head: Head, space: Space, limits: tuple[float, float]) -> bytes:
    """Add "scores" float32 (n, 2) to the trunk: log odds of a lateral view, log distance from frontal films, less the limits."""
    graph = trunk()
    odds = graph.node("Add", [graph.node("MatMul", ["features", graph.weight(head.slopes[:, None])]), graph.weight(np.float32(head.offset - limits[0]))])  # fmt: skip
    scaled = graph.node("Div", [graph.node("Sub", ["features", graph.weight(space.mean)]), graph.weight(space.spread)])
    along = graph.node("MatMul", [scaled, graph.node("Cast", [graph.weight(space.basis.T.astype(np.float16))], to=1)])
    squares = graph.node("Mul", [along, along])
    last = graph.weight(np.array([1]))
    everything, inside, part = (
        graph.node("ReduceSum", [each, last], keepdims=1)
        for each in (
            graph.node("Mul", [scaled, scaled]),
            squares,
            graph.node("Div", [squares, graph.weight(space.variance)]),
        )
    )
    directions, width = space.basis.shape
    beside = _times(graph, graph.node("Sub", [everything, inside]), 1 / (space.rest * (width - directions)))
    distance = graph.node("Max", [beside, _times(graph, part, ALONG / directions), graph.weight(np.float32(1e-6))])
    unlike = graph.node("Sub", [graph.node("Log", [distance]), graph.weight(np.float32(limits[1]))])
    graph.node("Concat", [odds, unlike], output="scores", axis=1)
    return closed(graph, "scores", 2)


def _times(graph: Graph, x: str, factor: float) -> str:
    return graph.node("Mul", [x, graph.weight(np.float32(factor))])


def altered(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Mirror, turn, cut, pad, light, blur, invert and compress a radiograph, each by chance."""
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    ground = int(rng.choice([0, 0, 255, int(np.asarray(image).mean())]))
    image = image.rotate(rng.normal(0, 6), Image.Resampling.BILINEAR, fillcolor=ground)
    share = rng.uniform(0.75, 1, 2)
    start = rng.uniform(0, 1 - share)
    size = np.array(image.size)
    image = image.crop(tuple(np.rint(np.concatenate([start * size, (start + share) * size])).astype(int).tolist()))
    if rng.random() < 0.4:
        side = max(image.size)
        padded = Image.new("L", (side, side), 0)
        padded.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        image = padded
    seen = np.clip(np.asarray(image, np.float64) / 255, 0, 1) ** np.exp(rng.normal(0, 0.35))
    seen = 0.5 + (seen - 0.5) * np.exp(rng.normal(0, 0.25)) + rng.normal(0, 0.08)
    if rng.random() < 0.3:
        seen += rng.normal(0, 0.04, seen.shape)
    image = Image.fromarray((np.clip(seen, 0, 1) * 255).astype(np.uint8))
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.gamma(1.5, 0.8))))
    return Image.fromarray(255 - np.asarray(image)) if rng.random() < 0.1 else image


def told(folder: Path, column: str) -> dict[str, str]:
    """Read a column of a folder's table, by file name."""
    with (folder / "metadata.csv").open(newline="") as file:
        return {Path(row["file_name"]).name: row[column] for row in csv.DictReader(file)}


def see(session: Any, data: Path, folders: Sequence[str], column: str, variants: int) -> Seen:
    """Give the features of the radiographs of some folders, and of `variants` altered ones of each."""
    paths = [path for folder in folders for path in sorted((data / folder).rglob("*.jpg"))]
    of = {
        name: value
        for folder in folders
        if (data / folder / "metadata.csv").is_file()
        for name, value in told(data / folder, column).items()
    }
    found, batch, rng = [], [], np.random.default_rng(0)
    for place, path in enumerate(paths):
        with Image.open(path) as opened:
            image = opened.convert("L")
        every = (image, *(altered(image, rng) for _ in range(variants)))
        batch += [np.asarray(each.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for each in every]
        if len(batch) >= BATCH or place + 1 == len(paths):
            found.append(session.run(["features"], {"images": np.stack(batch)})[0])
            batch = []
    named = [of.get(path.name, MASKED) for path in paths]
    return Seen(
        features=np.concatenate(found),
        of=np.repeat([SHARED.get(name, name) for name in named], variants + 1),
        folder=np.repeat([path.relative_to(data).parts[0] for path in paths], variants + 1),
        altered=np.tile(np.arange(variants + 1) > 0, len(paths)),
    )


def fit(frontal: Floats, lateral: Floats) -> Head:
    """Fit the logistic head; both views weigh the same."""
    from sklearn.linear_model import LogisticRegression

    rows = np.concatenate([frontal, lateral])
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    spread += 0.1 * np.median(spread) + 1e-6
    truth = np.repeat([0, 1], [len(frontal), len(lateral)])
    weight = 500 / np.where(truth, len(lateral), len(frontal))
    found = LogisticRegression(C=1 / PENALTY, max_iter=300).fit((rows - mean) / spread, truth, sample_weight=weight)
    slopes = (found.coef_[0] / spread).astype(np.float32)
    return Head(slopes=slopes, offset=float(found.intercept_[0] - mean @ slopes))


def left_out(frontal: Seen, lateral: Seen) -> tuple[Floats, Floats, Floats]:
    """Score each without its collection or patient: log odds and log distances of frontals, and log odds of laterals."""
    odds, distances, found = (np.empty(len(each.of), np.float32) for each in (frontal, frontal, lateral))
    for name in np.unique(frontal.of):
        out = frontal.of == name
        odds[out] = fit(frontal.features[~out], lateral.features).score(frontal.features[out])
        distances[out] = describe(frontal.features[~out], seed=0).log_distance(frontal.features[out])
    for name in np.unique(lateral.of):
        out = lateral.of == name
        found[out] = fit(frontal.features, lateral.features[~out]).score(lateral.features[out])
    return odds, distances, found


def measured(data: Path) -> tuple[bytes, dict[str, Any]]:
    """Fit the network and give it with its figures."""
    session = open_network(closed(trunk(), "features", WIDTH))
    lateral = see(session, data, [LATERAL], "patient_id", VARIANTS)
    frontal = see(session, data, FRONTAL, "source", 1)
    odds, distances, found = left_out(frontal, lateral)
    plain = ~frontal.altered
    limits = (float(np.quantile(odds[plain], NOT_LATERAL)), float(np.quantile(distances[plain], KNOWN)))
    network = whole_network(fit(frontal.features, lateral.features), describe(frontal.features, seed=0), limits)
    missed, marked, unknown = found <= limits[0], odds > limits[0], distances > limits[1]
    places = [(kind, name) for kind in ("folder", "of") for name in np.unique(getattr(frontal, kind)).tolist()]
    return network, {
        "bytes": len(network),
        "limits": limits,
        "laterals unmarked": _counted(missed[~lateral.altered], lateral.of[~lateral.altered]),
        "altered laterals unmarked": _counted(missed[lateral.altered], lateral.of[lateral.altered]),
        "lowest log odds of a lateral": float(found[~lateral.altered].min()),
        "frontals marked": {name: _counted(marked[plain & (getattr(frontal, kind) == name)]) for kind, name in places},
        "altered frontals marked": _counted(marked[frontal.altered]),
        "frontals not known as frontal": {
            name: _counted(unknown[plain & (getattr(frontal, kind) == name)]) for kind, name in places
        },
    }


def _counted(wrong: NDArray[np.bool_], group: NDArray[np.str_] | None = None) -> dict[str, Any]:
    share = wilson(wrong, group=group)
    return {"wrong": int(wrong.sum()), "of": len(wrong), "share": share.value, "low": share.low, "high": share.high}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    network, figures = measured(args.data)
    args.out.write_bytes(network)
    print(json.dumps(figures, indent=1))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
