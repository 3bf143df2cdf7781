"""Train the lung-field model that plainfilm ships: `src/plainfilm/model/lungs.onnx`.

    python scripts/train_lungs.py --out lungs.onnx --json lungs.json
    python scripts/train_lungs.py --start src/plainfilm/model/lungs.onnx --epochs 5 --rate 1e-3 --hard --out lungs.onnx

Learns from the radiographs and lung masks of ../shared/data/lungs (V7 Labs, CC BY 4.0), synthetic radiographs, whose lungs
are known, and pictures without lungs; from nothing, or from a network of its own that it goes on with. A fifth of the pairs (near duplicates kept together) is kept apart and measured.
Takes about half an hour on 2 cores. Needs plainfilm[tensorflow]: it trains from a `tf.data.Dataset`.
"""

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from plainfilm.data import duplicates, phantom
from plainfilm.model import keras_backend, lung_segmentation
from plainfilm.model.onnx_session import shrunk

PAIRS = Path(__file__).resolve().parents[2] / "shared" / "data" / "lungs"
SIDE = 192  # of the pictures that are turned and cut to the model's size
WIDTHS = (16, 32, 56, 80, 112)
BATCH = 16
Pictures = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Gray pictures uint8 (n, SIDE, SIDE) and their lungs uint8, 0 or 255."""

    images: Pictures
    masks: Pictures

    def take(self, rows: NDArray[Any]) -> "Pairs":
        return Pairs(self.images[rows], self.masks[rows])


def read_pairs(folder: Path) -> Pairs:
    images, masks = [], []
    for path in sorted((folder / "images").glob("*.jpg")):
        with Image.open(path) as image, Image.open(folder / "masks" / f"{path.stem}.png") as mask:
            images.append(np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)))
            masks.append(np.asarray(mask.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)))
    return Pairs(np.stack(images), np.stack(masks))


def kept_apart(pairs: Pairs, share: float = 0.2) -> NDArray[np.bool_]:
    """Choose a fifth of the pairs; near duplicates go together."""
    names = [str(index) for index in range(len(pairs.images))]
    found = duplicates.find_duplicates(
        names, duplicates.perceptual_hash(pairs.images), duplicates.thumbnails(pairs.images)
    )
    group = duplicates.join_groups(len(names), found.pairs, [""] * len(names))
    order = np.random.default_rng(0).permutation(np.unique(group))
    chosen = np.zeros(len(names), bool)
    for each in order:
        if chosen.sum() < share * len(names):
            chosen |= group == each
    return chosen


def _render(visit: phantom.Visit) -> tuple[Pictures, Pictures]:
    made = phantom.render(visit)
    size = (SIDE, SIDE)
    image = Image.fromarray(made.pixels).resize(size, Image.Resampling.BILINEAR)
    mask = Image.fromarray(made.lungs).convert("L").resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image), np.asarray(mask)


def made_pairs(count: int) -> Pairs:
    with ProcessPoolExecutor(2) as pool:
        made = list(pool.map(_render, phantom.plan(count, seed=20261124, duplicates=0), chunksize=8))
    return Pairs(np.stack([image for image, _ in made]), np.stack([mask for _, mask in made]))


def without_lungs(rng: np.random.Generator) -> Image.Image:
    """Draw a picture of something else: a plain ground, noise, slopes, shapes, writing."""
    ground = np.full((SIDE, SIDE), rng.integers(0, 256), np.float64)
    if rng.random() < 0.6:
        ground += np.add.outer(*(np.linspace(-1, 1, SIDE) * rng.normal(0, 60) for _ in range(2)))
    picture = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.integers(0, 9)):
        box = np.sort(rng.integers(-40, SIDE + 40, (2, 2)), axis=0).ravel().tolist()
        shape = (draw.ellipse, draw.rectangle, draw.line)[rng.integers(3)]
        shape(box, fill=int(rng.integers(256)), **({"width": int(rng.integers(1, 12))} if shape == draw.line else {}))
    if rng.random() < 0.7:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.gamma(1.5, 3))))
    noise = rng.normal(0, rng.gamma(1, 8), (SIDE, SIDE))
    coarse = Image.fromarray(rng.normal(0, 1, (12, 12)).astype(np.float32)).resize(
        (SIDE, SIDE), Image.Resampling.BICUBIC
    )
    cloud = np.asarray(coarse) * rng.gamma(1, 30)
    return Image.fromarray(np.clip(np.asarray(picture) + noise + cloud, 0, 255).astype(np.uint8))


def with_opacities(image: Image.Image, mask: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Draw soft opacities into lungs, up to all of them, up to the gray of what surrounds them."""
    gray, lungs = np.asarray(image, np.float64), np.asarray(mask) >= 128
    inside = np.argwhere(lungs)
    if not len(inside):
        return image
    level = np.quantile(gray[~lungs], rng.uniform(0.5, 0.95)) if not lungs.all() else 255.0
    share, dense = rng.uniform(0.05, 0.8), np.zeros_like(gray)
    while (dense[lungs] > 0.5).mean() < share:
        y, x = inside[rng.integers(len(inside))]
        wide, high = np.exp(rng.normal(-2.7, 0.5, 2)) * SIDE
        across, down = (np.arange(SIDE) - x) / wide, (np.arange(SIDE) - y) / high
        dense = np.maximum(dense, np.exp(-(across**2 + down[:, None] ** 2) / 2))
    edge = Image.fromarray(np.where(lungs, 255, 0).astype(np.uint8)).filter(ImageFilter.GaussianBlur(rng.uniform(1, 5)))
    weight = rng.uniform(0.5, 1) * dense * np.asarray(edge) / 255
    return Image.fromarray((gray + weight * np.maximum(level - gray, 0)).astype(np.uint8))


def varied(
    image: Image.Image, mask: Image.Image, rng: np.random.Generator, *, hard: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Turn, cut, light, blur and cover one pair, `hard` with opacities in its lungs and farther; the result has the model's size."""
    if hard and rng.random() < 0.4:
        image = with_opacities(image, mask, rng)
    angle = rng.normal(0, 9) + (90 * rng.integers(1, 4) if rng.random() < (0.3 if hard else 0.08) else 0)
    zoom, stretch = np.exp(rng.normal(0.03, 0.16)), np.exp(rng.normal(0, 0.12 if hard else 0.09))
    if hard and rng.random() < 0.2:
        zoom = np.exp(rng.uniform(-0.5, 0.5))
    turn = np.deg2rad(angle)
    scale = SIDE / lung_segmentation.SIDE / zoom
    flip = -1 if rng.random() < 0.5 else 1
    matrix = (
        np.array([[np.cos(turn) * flip * stretch, -np.sin(turn)], [np.sin(turn) * flip, np.cos(turn) / stretch]])
        * scale
    )
    centre = SIDE / 2 + rng.normal(0, 0.06 * SIDE, 2)
    offset = centre - matrix @ np.full(2, lung_segmentation.SIDE / 2)
    affine = (*matrix[0], offset[0], *matrix[1], offset[1])
    size, how = (
        (lung_segmentation.SIDE, lung_segmentation.SIDE),
        (Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR),
    )
    seen = np.asarray(image.transform(size, *how, fillcolor=int(rng.choice([0, 0, 0, 255, 128]))), np.float64) / 255
    truth = np.asarray(mask.transform(size, *how), np.float32) / 255
    seen = np.clip(seen, 0, 1) ** np.exp(rng.normal(0, 0.3))
    seen = 0.5 + (seen - 0.5) * np.exp(rng.normal(0, 0.25)) + rng.normal(0, 0.08)
    if rng.random() < 0.35:
        seen += rng.normal(0, rng.gamma(1, 0.03), seen.shape)
    picture = Image.fromarray((np.clip(seen, 0, 1) * 255).astype(np.uint8))
    if rng.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.gamma(1.5, 0.6))))
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.poisson(0.7)):  # tags, pads and wires
        left, top = rng.integers(0, lung_segmentation.SIDE, 2).tolist()
        wide, high = rng.integers(2, 26, 2).tolist()
        draw.rectangle((left, top, left + wide, top + high), fill=int(rng.choice([0, 255, rng.integers(256)])))
    pixels = np.asarray(picture)
    return (255 - pixels if rng.random() < 0.12 else pixels), truth


def epoch(real: Pairs, made: Pairs, empty: int, rng: np.random.Generator, *, hard: bool) -> Iterator[tuple[Any, Any]]:
    """Give batches: each real pair twice, half of the made ones, and pictures without lungs."""
    sources = [(real, row) for row in range(len(real.images))] * 2
    sources += [(made, int(row)) for row in rng.choice(len(made.images), len(made.images) // 2, replace=False)]
    jobs: list[tuple[Pairs, int] | None] = [*sources, *[None] * empty]
    order = rng.permutation(len(jobs))
    for at in range(0, len(order) - BATCH + 1, BATCH):
        seen, truth = [], []
        for index in order[at : at + BATCH]:
            job = jobs[index]
            if job is None:
                image, mask = without_lungs(rng), Image.new("L", (SIDE, SIDE))
            else:
                image, mask = (Image.fromarray(part[job[1]]) for part in (job[0].images, job[0].masks))
            one, its = varied(image, mask, rng, hard=hard)
            seen.append(one)
            truth.append(its)
        yield np.stack(seen), np.stack(truth)


def build() -> Any:
    """Build a U-Net (Ronneberger et al. 2015) with one convolution a step upwards: normalised gray to logits."""
    import keras

    def convolve(x: Any, width: int) -> Any:
        x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.97)(x))

    x = images = keras.Input((lung_segmentation.SIDE, lung_segmentation.SIDE, 1))
    across = []
    for width in WIDTHS[:-1]:
        x = convolve(convolve(x, width), width)
        across.append(x)
        x = keras.layers.MaxPooling2D()(x)
    x = convolve(convolve(x, WIDTHS[-1]), WIDTHS[-1])
    for width, other in zip(WIDTHS[-2::-1], across[::-1], strict=True):
        x = keras.layers.UpSampling2D(interpolation="nearest")(x)
        x = convolve(keras.layers.Concatenate()([x, other]), width)
    return keras.Model(images, keras.layers.Conv2D(1, 1)(x))


def go_on_with(model: Any, path: Path) -> None:
    """Take the weights of a network that `export` wrote: kernel, then scale, shift, mean and variance of each convolution."""
    import keras
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    weights = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in {"Conv", "BatchNormalization"}]
    kinds = (keras.layers.Conv2D, keras.layers.BatchNormalization)
    for layer, node in zip((each for each in model.layers if isinstance(each, kinds)), nodes, strict=True):
        first, *rest = (weights[name] for name in node.input[1:])
        layer.set_weights([first.transpose(2, 3, 1, 0) if first.ndim == 4 else first, *rest])


def normalised(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Do what the ONNX file does first: each picture to mean 0 and deviation 1."""
    gray = images.astype(np.float32)[..., None]
    mean, deviation = gray.mean((1, 2), keepdims=True), gray.std((1, 2), keepdims=True)
    return np.asarray((gray - mean) / (deviation + lung_segmentation.EPSILON))


def train(real: Pairs, made: Pairs, epochs: int, watched: Pairs, *, start: Path | None, peak: float, hard: bool) -> Any:
    import keras
    import tensorflow as tf

    model = build()
    if start:
        go_on_with(model, start)
    empty = len(real.images) // 5
    steps = epochs * ((2 * len(real.images) + len(made.images) // 2 + empty) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(
        1e-5, steps, alpha=0.005, warmup_target=peak, warmup_steps=steps // 20
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-4, use_ema=True, ema_momentum=0.995)
    optimizer.build(model.trainable_variables)

    @tf.function(reduce_retracing=True)
    def step(seen: Any, truth: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model(seen, training=True)[..., 0]
            chance = tf.sigmoid(logits)
            cross = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(truth, logits))
            both, either = tf.reduce_sum(chance * truth, (1, 2)), tf.reduce_sum(chance + truth, (1, 2))
            loss = cross + 0.5 * tf.reduce_mean(1 - (2 * both + 50) / (either + 50))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    rng = np.random.default_rng(0)
    for number in range(1, epochs + 1):
        losses = [float(step(normalised(seen), truth)) for seen, truth in epoch(real, made, empty, rng, hard=hard)]
        note = f"epoch {number}: loss {np.mean(losses):.4f}"
        if number % 10 == 0:
            note += f", Dice of the pairs learnt from {dice(model, watched).mean():.4f}"
        print(note, flush=True)
    optimizer.finalize_variable_values(model.trainable_variables)
    settle(model, real, made, rng, hard=hard)
    return model


def settle(model: Any, real: Pairs, made: Pairs, rng: np.random.Generator, *, hard: bool) -> None:
    """Let batch normalisation learn the statistics of the averaged weights."""
    for _ in range(2):
        for seen, _truth in epoch(real, made, len(real.images) // 5, rng, hard=hard):
            model(normalised(seen), training=True)


def dice(model: Any, pairs: Pairs) -> NDArray[np.float64]:
    """Measure the overlap 2 |A ∩ B| / (|A| + |B|) of each pair at the model's size."""
    small = np.stack([shrunk(image, lung_segmentation.SIDE) for image in pairs.images])
    truth = np.stack([shrunk(mask, lung_segmentation.SIDE) for mask in pairs.masks]) >= 128
    called = (
        np.concatenate(
            [model(normalised(small[at : at + 32]), training=False)[..., 0] for at in range(0, len(small), 32)]
        )
        > 0
    )
    return np.asarray(2 * (called & truth).sum((1, 2)) / np.maximum(called.sum((1, 2)) + truth.sum((1, 2)), 1))


def export(model: Any, path: Path, side: int, output: tuple[int, ...]) -> None:
    """Write uint8 "images" (n, side, side) to float32 "logits" (n, *output), normalisation inside."""
    from onnx import TensorProto, helper

    from plainfilm.model.onnx import from_keras

    graph = from_keras.Graph()
    x = graph.node("Unsqueeze", [graph.node("Cast", ["images"], to=1), graph.weight(np.array([1], np.int64))])
    axes = graph.weight(np.array([2, 3], np.int64))
    centred = graph.node("Sub", [x, graph.node("ReduceMean", [x, axes])])
    spread = graph.node("Sqrt", [graph.node("ReduceMean", [graph.node("Mul", [centred, centred]), axes])])
    x = graph.node("Div", [centred, graph.node("Add", [spread, graph.weight(np.float32(lung_segmentation.EPSILON))])])
    x = from_keras.add_keras(graph, model, x)
    graph.node("Reshape", [x, graph.weight(np.array([-1, *output], np.int64))], output="logits")
    inputs = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", side, side])
    outputs = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", *output])
    path.write_bytes(graph.model([inputs], [outputs]).SerializeToString())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, default=PAIRS)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--made", type=int, default=400, help="synthetic radiographs")
    parser.add_argument("--start", type=Path, help="a network of this script to go on with; by default from nothing")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--hard", action="store_true", help="opacities in two films of five, more turns and cuts")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    keras = keras_backend.load(needed="tensorflow")
    keras.utils.set_random_seed(0)
    pairs = read_pairs(args.pairs)
    apart = kept_apart(pairs)
    learnt, tested = pairs.take(~apart), pairs.take(apart)
    model = train(learnt, made_pairs(args.made), args.epochs, learnt, start=args.start, peak=args.rate, hard=args.hard)
    export(model, args.out, lung_segmentation.SIDE, (lung_segmentation.SIDE,) * 2)
    found = dice(model, tested)
    result = {
        "pairs_learnt": int((~apart).sum()),
        "pairs_kept_apart": int(apart.sum()),
        "weights": int(model.count_params()),
        "bytes": args.out.stat().st_size,
        "dice_mean": float(found.mean()),
        "dice_quantiles": dict(
            zip(("5 %", "50 %", "95 %"), np.quantile(found, [0.05, 0.5, 0.95]).tolist(), strict=True)
        ),
        "dice_lowest": float(found.min()),
    }
    print(json.dumps(result, indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
