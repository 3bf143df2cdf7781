"""Train the detector of foreign objects that plainfilm ships: `src/plainfilm/model/objects.onnx`.

    python scripts/train_objects.py --films films.npz --out objects.onnx --json objects.json

Draws text, electrodes and clips, tubes and lines over real films of ../shared/data and learns to find them. Films of NIH
ChestX-ray14, RSNA and Valencia (BIMCV) are never learnt from; what is drawn over them is measured. Takes about 25 minutes
on 2 cores; a network that stands in --out is measured and not trained again. Needs plainfilm[tensorflow].
"""

import argparse
import csv
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import train_lungs
from plainfilm.evidence.audit.masking import hide
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.model import keras_backend, lung_segmentation
from plainfilm.model.foreign_objects import CELLS, KINDS, SIDE, responses
from plainfilm.model.onnx_session import open_network

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
FILM = 256  # of the films that are cut to the model's size
FINE = 2 * SIDE  # objects are drawn twice as large, for smooth edges
BATCH = 24
VISIBLE, DOUBTFUL = 12, 4  # gray levels that an object changes a cell by: it is there; it may be there
DIRTY = ("covid-cxnet", "cohen", "lungs")  # collections that hold many real objects, none of them labelled
APART = ("nih-cxr14", "rsna", "bimcv-valencia")
NAMES = [kind.name for kind in KINDS]
FALSE_ALARMS = {"sure": 0.02, "least": 0.1}  # share of clean films that a kind's thresholds let pass
Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Films:
    """Gray films uint8 (n, FILM, FILM), the cells over their lungs bool (n, CELLS, CELLS), and their collections."""

    images: Pixels
    lungs: Mask
    source: NDArray[np.str_]


def listed(data: Path, rng: np.random.Generator) -> list[tuple[Path, str]]:
    """List the films: at most 500 a collection."""
    found: dict[str, list[Path]] = {"lungs": sorted((data / "lungs" / "images").glob("*.jpg"))}
    for folder in ("several", "mixed", "darkcovidnet"):
        with (data / folder / "metadata.csv").open() as file:
            for row in csv.DictReader(file):
                found.setdefault(row["source"], []).append(data / folder / row["file_name"])
    chosen = []
    for source, paths in found.items():
        kept = [paths[at] for at in rng.permutation(len(paths))[:500]]
        chosen += [(path, source) for path in kept]
    return chosen


def read(files: list[tuple[Path, str]]) -> Films:
    images = []
    for path, _ in files:
        with Image.open(path) as image:
            images.append(np.asarray(image.convert("L").resize((FILM, FILM), Image.Resampling.BICUBIC)))
    gray = np.stack(images)
    lungs = hide(lung_segmentation.LungFinder().find(gray)).lungs
    return Films(gray, lungs, np.array([source for _, source in files]))


def _fonts() -> list[str | None]:
    """Name the fonts: Pillow's own, and those that Matplotlib brings."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return [None, *sorted(str(path) for path in folder.glob("DejaVu*.ttf") if "Display" not in path.name)]


FONTS = _fonts()
_LETTERS = "ABCDEFGHIKLMNOPRSTUVWXYZabcdefghiklmnoprstuvwxyz0123456789-:/. "
_WORDS = ("PORTABLE", "AP", "PA", "SUPINE", "ERECT", "SEMI-ERECT", "R", "L", "LEFT", "ICU", "09:41", "MOBILE", "12/03/2019", "kV 110")  # fmt: skip


def text(draw: ImageDraw.ImageDraw, place: NDArray[Any], rng: np.random.Generator) -> None:
    size = int(np.clip(rng.lognormal(3.1, 0.5), 10, 90))
    name = FONTS[rng.integers(len(FONTS))]
    font = ImageFont.truetype(name, size) if name else ImageFont.load_default(size)
    lines = [
        rng.choice(_WORDS) if rng.random() < 0.4 else "".join(rng.choice(list(_LETTERS), rng.integers(1, 12)))
        for _ in range(rng.integers(1, 3))
    ]
    draw.text(tuple(place), "\n".join(lines), fill=255, font=font, anchor="mm" if len(lines) == 1 else None)


def _curve(points: NDArray[Any]) -> list[tuple[float, float]]:
    """Give a smooth curve through control points: cubic Bernstein polynomials."""
    t = np.linspace(0, 1, 60)[:, None]
    a, b, c, d = points
    line = (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d
    return [(float(x), float(y)) for x, y in line]


def tube(draw: ImageDraw.ImageDraw, place: NDArray[Any], rng: np.random.Generator) -> None:
    """Draw a catheter, a drain, an airway or a cable: solid, with two walls, with a stripe, with side holes."""
    way = rng.normal(0, 1, 2)
    way *= rng.uniform(50, 260) / np.hypot(*way)
    steps = np.linspace(-0.5, 0.5, 4)[:, None]
    line = _curve(place + steps * way + rng.normal(0, np.hypot(*way) / 6, (4, 2)))
    width = int(rng.integers(2, 14))
    style = rng.integers(4)
    draw.line(line, fill=255, width=width, joint="curve")
    if style == 1 and width > 4:
        draw.line(line, fill=int(rng.integers(0, 120)), width=width - int(rng.integers(2, 4)), joint="curve")
    if style == 2 and width > 4:
        draw.line(line, fill=110, width=width, joint="curve")
        draw.line(line, fill=255, width=2, joint="curve")
    if style == 3:
        for x, y in line[: rng.integers(5, 30) : 4]:
            draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=0)


def _disc(draw: ImageDraw.ImageDraw, at: NDArray[Any], radius: float, fill: int) -> None:
    draw.ellipse((*(at - radius), *(at + radius)), fill=fill)


def electrode(draw: ImageDraw.ImageDraw, place: NDArray[Any], rng: np.random.Generator) -> None:
    """Draw a pad with a snap, a ring, a button or a coin."""
    radius = rng.uniform(6, 24)
    style = rng.integers(4)
    if style == 0:
        _disc(draw, place, radius, int(rng.integers(60, 160)))
        _disc(draw, place, radius * rng.uniform(0.3, 0.6), 255)
    elif style == 1:
        _disc(draw, place, radius, 255)
        _disc(draw, place, radius * rng.uniform(0.4, 0.8), int(rng.integers(0, 120)))
    elif style == 2:
        _disc(draw, place, radius, 255)
    else:
        half = radius * rng.uniform(0.5, 1.3, 2)
        draw.rounded_rectangle((*(place - half), *(place + half)), radius / 3, fill=int(rng.integers(110, 255)))
        _disc(draw, place, radius * 0.35, 255)


def clips(draw: ImageDraw.ImageDraw, place: NDArray[Any], rng: np.random.Generator) -> None:
    """Draw surgical clips, wires or a chain: a few short strokes, loops or dots in a row."""
    style, way = rng.integers(3), rng.normal(0, 1, 2)
    way /= np.hypot(*way)
    for step in range(rng.integers(2, 9)):
        at = place + way * step * rng.uniform(8, 16) + rng.normal(0, 4, 2)
        turn = rng.uniform(0, np.pi)
        half = rng.uniform(3, 9) * np.array([np.cos(turn), np.sin(turn)])
        if style == 0:
            draw.line((*(at - half), *(at + half)), fill=255, width=int(rng.integers(2, 5)))
        elif style == 1:
            draw.arc((*(at - 7), *(at + 7)), 0, int(rng.integers(200, 361)), fill=255, width=2)
        else:
            _disc(draw, at, rng.uniform(2, 4), 255)


def pacemaker(draw: ImageDraw.ImageDraw, place: NDArray[Any], rng: np.random.Generator) -> None:
    half = rng.uniform(18, 34, 2)
    draw.rounded_rectangle((*(place - half), *(place + half)), float(half.min()) * 0.7, fill=255)
    if rng.random() < 0.5:
        draw.rectangle((*(place - half * 0.6), *(place + half * rng.uniform(-0.1, 0.5))), fill=170)


_DRAWN: tuple[tuple[int, float, Callable[..., None]], ...] = (  # kind, how often, how
    (0, 0.33, text),
    (1, 0.20, electrode),
    (1, 0.10, clips),
    (1, 0.04, pacemaker),
    (2, 0.33, tube),
)


def _shape(kind: int, draw_it: Callable[..., None], place: NDArray[Any], rng: np.random.Generator) -> list[Any]:
    """Draw one object, with the cable of an electrode: its kinds and coverage float (SIDE, SIDE) 0 to 1."""
    asked = [(kind, draw_it)]
    if draw_it in (electrode, pacemaker) and rng.random() < 0.4:
        asked.append((2, tube))
    made = []
    blur = rng.gamma(1.5, 0.7)
    for number, how in asked:
        picture = Image.new("L", (FINE, FINE))
        how(ImageDraw.Draw(picture), place, rng)
        if draw_it is text and rng.random() < 0.15:
            picture = picture.rotate(float(rng.choice([90, 180, 270, rng.normal(0, 8)])), center=tuple(place))
        small = picture.filter(ImageFilter.GaussianBlur(blur)).resize((SIDE, SIDE), Image.Resampling.BOX)
        made.append((number, np.asarray(small, np.float32) / 255))
    return made


def _cells(values: NDArray[Any]) -> NDArray[Any]:
    """Take the largest value of each cell of a map (SIDE, SIDE)."""
    step = SIDE // CELLS
    return np.asarray(values.reshape(CELLS, step, CELLS, step).max((1, 3)))


def lit(film: NDArray[np.float32], coverage: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Lay an object over a film: mostly brighter than it, partly transparent."""
    bright = rng.random() < 0.82
    if rng.random() < 0.5:  # shadows add up
        return np.asarray(np.clip(film + (1 if bright else -1) * rng.uniform(15, 130) * coverage, 0, 255))
    level = rng.uniform(170, 256) if bright else rng.uniform(0, 60)
    return np.asarray(film + rng.uniform(0.35, 1) * coverage * (level - film))


def distracted(film: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Add what is no object: soft opacities, bands, grain."""
    picture = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.integers(1, 5)):
        place = rng.uniform(0, SIDE, 2)
        if rng.random() < 0.6:
            _disc(draw, place, rng.uniform(3, 25), int(rng.integers(60, 255)))
        else:
            far = place + rng.normal(0, 50, 2)
            draw.line((*place, *far), fill=int(rng.integers(60, 255)), width=int(rng.integers(3, 14)))
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(rng.uniform(3, 9))), np.float32)
    return np.asarray(film + soft * rng.uniform(-0.3, 0.6) + rng.normal(0, rng.gamma(1, 4), film.shape), np.float32)


def _seen(image: Pixels, lungs: Mask, rng: np.random.Generator) -> tuple[NDArray[np.float32], Mask]:
    """Cut, turn and light a film and its lungs."""
    turn, zoom = np.deg2rad(rng.normal(0, 5)), np.exp(rng.normal(0.08, 0.13))
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * FILM / SIDE / zoom
    if rng.random() < 0.5:
        matrix[:, 0] *= -1
    middle = FILM / 2 + rng.normal(0, 8, 2)
    offset = middle - matrix @ np.full(2, SIDE / 2)
    size, affine = (SIDE, SIDE), (*matrix[0], offset[0], *matrix[1], offset[1])
    how = (Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)
    film = np.asarray(Image.fromarray(image).transform(size, *how), np.float32) / 255
    field = Image.fromarray(lungs.astype(np.uint8) * 255).resize((FILM, FILM)).transform(size, *how)
    film = np.clip(film, 0, 1) ** np.exp(rng.normal(0, 0.2)) * np.exp(rng.normal(0, 0.1))
    return np.asarray(film * 255, np.float32), np.asarray(field) >= 128


def _finished(film: NDArray[np.float32], rng: np.random.Generator) -> Pixels:
    picture = Image.fromarray(np.clip(film, 0, 255).astype(np.uint8))
    if rng.random() < 0.25:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.2, 0.9))))
    if rng.random() < 0.3:
        with BytesIO() as file:
            picture.save(file, "JPEG", quality=int(rng.integers(35, 96)))
            picture = Image.open(BytesIO(file.getvalue()))
    return np.asarray(picture)


def sample(
    image: Pixels, lungs: Mask, rng: np.random.Generator, *, objects: list[int] | None = None
) -> tuple[Pixels, NDArray[np.float32], NDArray[np.float32]]:
    """Draw objects over one film; `objects` asks for kinds, by default none in two films of five.

    Returns the film, target and weight float32 (CELLS, CELLS, kinds): outside the lungs only what was drawn counts.
    """
    film, field = _seen(image, lungs, rng)
    if rng.random() < 0.3:
        film = distracted(film, rng)
    inside = np.argwhere(field)
    target = np.zeros((CELLS, CELLS, len(KINDS)), np.float32)
    weight = np.repeat(_cells(field)[..., None], len(KINDS), 2).astype(np.float32)
    count = 0 if rng.random() < 0.4 or not len(inside) else 1 + rng.poisson(0.8)
    chances = np.array([often for _, often, _ in _DRAWN])
    wanted = [[at for at, one in enumerate(_DRAWN) if one[0] == kind] for kind in objects or []]
    picked = (
        [int(rng.choice(own, p=chances[own] / chances[own].sum())) for own in wanted]
        if objects is not None
        else rng.choice(len(_DRAWN), count, p=chances / chances.sum()).tolist()
    )
    for index in picked:
        kind, _, how = _DRAWN[index]
        place = inside[rng.integers(len(inside))][::-1] * 2.0 if len(inside) else np.full(2, float(SIDE))
        for number, coverage in _shape(kind, how, place, rng):
            before, film = film, lit(film, coverage, rng)
            change = _cells(np.abs(film - before))
            target[..., number] = np.maximum(target[..., number], change >= VISIBLE)
            weight[change >= DOUBTFUL] = 0  # other kinds are not judged where an object is
            weight[..., number][change >= VISIBLE] = 1
            weight[..., number][(change >= DOUBTFUL) & (change < VISIBLE)] = 0
    return _finished(film, rng), target, np.maximum(weight, target)


_FILMS: dict[str, Any] = {}


def _load(path: str) -> None:
    with np.load(path) as file:
        _FILMS.update(file)


def batch(seed: int, rows: NDArray[np.int64], objects: list[int] | None = None) -> tuple[Any, ...]:
    """Draw a batch of films; the last part says which come from collections that hold real objects."""
    rng = np.random.default_rng(seed)
    made = [sample(_FILMS["images"][row], _FILMS["lungs"][row], rng, objects=objects) for row in rows]
    dirty = np.isin(_FILMS["source"][rows], DIRTY)
    return (*(np.stack(part) for part in zip(*made, strict=True)), dirty)


def build() -> Any:
    """Build a fully convolutional network: normalised gray to a logit a kind in cells of 8 px."""
    import keras

    def settled(x: Any) -> Any:
        return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.97)(x))

    def convolve(x: Any, width: int, size: int = 3, stride: int = 1) -> Any:
        return settled(keras.layers.Conv2D(width, size, stride, padding="same", use_bias=False)(x))

    def mixed(x: Any, width: int) -> Any:
        own = settled(keras.layers.DepthwiseConv2D(5, padding="same", use_bias=False)(x))
        return keras.layers.Add()([x, convolve(own, width, 1)])

    images = keras.Input((SIDE, SIDE, 1))
    x = convolve(convolve(images, 16, 5, 2), 32, 3, 2)
    x = convolve(mixed(x, 32), 64, 3, 2)
    for _ in range(3):
        x = mixed(x, 64)
    return keras.Model(images, keras.layers.Conv2D(len(KINDS), 1, bias_initializer=keras.initializers.Constant(-3))(x))


def batches(pool: ProcessPoolExecutor, films: Films, count: int) -> Iterator[tuple[Any, ...]]:
    """Give batches of films that may be learnt from, each collection alike; a few are drawn ahead."""
    rng = np.random.default_rng(0)
    source = np.where(np.isin(films.source, APART), "", films.source)
    chance = np.array([1 / (source == one).sum() if one else 0.0 for one in source])
    ahead: list[Any] = []
    for number in range(count + 4):
        if number < count:
            ahead.append(pool.submit(batch, number, rng.choice(len(source), BATCH, p=chance / chance.sum())))
        if number >= 4:
            yield ahead.pop(0).result()


def train(pool: ProcessPoolExecutor, films: Films, steps: int, minutes: float) -> Any:
    """Learn for so many steps, or until the time is over; the rate goes down with whichever is nearer its end."""
    import keras
    import tensorflow as tf

    model = build()
    optimizer = keras.optimizers.AdamW(1e-5, weight_decay=1e-4, use_ema=True, ema_momentum=0.99)
    optimizer.build(model.trainable_variables)

    @tf.function(reduce_retracing=True)
    def step(seen: Any, target: Any, weight: Any, dirty: Any, late: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model(seen, training=True)
            real = dirty[:, None, None, None] & late & (tf.reduce_max(logits, -1, keepdims=True) > 0) & (target < 0.5)
            counted = tf.where(real, 0.0, weight * (1 + 2 * target))  # a real object is nobody's mistake
            cross = tf.nn.sigmoid_cross_entropy_with_logits(target, logits)
            loss = tf.reduce_sum(counted * cross) / tf.reduce_sum(counted)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    start, losses = time.monotonic(), []
    for number, (seen, target, weight, dirty) in enumerate(batches(pool, films, steps)):
        done = max(number / steps, (time.monotonic() - start) / 60 / minutes)
        if done >= 1:
            break
        optimizer.learning_rate.assign(4e-3 * min(1.0, number / 50) * (0.5 + 0.5 * np.cos(np.pi * done)) + 1e-6)
        losses.append(float(step(train_lungs.normalised(seen), target, weight, dirty, tf.constant(done > 0.25))))
        if number % 50 == 0:
            print(f"step {number}, {100 * done:.0f} %: loss {np.mean(losses[-50:]):.4f}", flush=True)
    optimizer.finalize_variable_values(model.trainable_variables)
    for seen, *_ in batches(pool, films, 40):  # batch normalisation learns the statistics of the averaged weights
        model(train_lungs.normalised(seen), training=True)
    return model


def largest(
    pool: ProcessPoolExecutor,
    rows: NDArray[np.int64],
    answer: Callable[[Pixels], NDArray[np.float32]],
    kind: int | None = None,
) -> NDArray[np.float32]:
    """Largest answer a kind within the lungs of films as they are (n, kinds), or of those with one visible object drawn in."""
    blocks = [rows[at : at + 50] for at in range(0, len(rows), 50)]
    jobs = [pool.submit(batch, 10**6 + int(own[0]), own, [] if kind is None else [kind]) for own in blocks]
    found = []
    for seen, target, weight, _ in (job.result() for job in jobs):
        inside = (weight.max(-1) > 0)[:, None]
        kept = np.ones(len(seen), bool) if kind is None else target[..., kind].any((1, 2))
        found.append(np.where(inside, answer(seen), -99).max((2, 3))[kept])
    return np.concatenate(found)


def thresholds(pool: ProcessPoolExecutor, session: Any, films: Films) -> dict[str, Any]:
    """Logits that few films of clean collections exceed, by kind."""
    clean = np.flatnonzero(~np.isin(films.source, (*APART, *DIRTY)))[::2]
    plain = largest(pool, clean, lambda seen: np.asarray(session.run(None, {"images": seen})[0]))
    return {
        name: dict(zip(NAMES, np.round(np.quantile(plain, 1 - share, axis=0), 2).tolist(), strict=True))
        for name, share in FALSE_ALARMS.items()
    }


def figures(pool: ProcessPoolExecutor, session: Any, films: Films) -> dict[str, Any]:
    """Count what is missed, and what is found in films as they are, by the thresholds that `foreign_objects` has."""

    def said(rows: NDArray[np.int64], kind: int | None = None) -> Mask:
        answers = largest(pool, rows, lambda seen: responses(session.run(None, {"images": seen})[0]), kind)
        return answers >= np.array([each.found for each in KINDS])

    apart = {source: np.flatnonzero(films.source == source)[:300] for source in APART}
    result: dict[str, Any] = {}
    for source, rows in {**apart, "all kept apart": np.concatenate(list(apart.values()))}.items():
        plain = said(rows)
        result[source] = {"any": {"in real films": _share(plain.any(1))}}
        for kind, name in enumerate(NAMES):
            drawn = said(rows, kind)
            result[source][name] = {
                "missed": _share(~drawn.any(1)),
                "found as": dict(zip(NAMES, drawn.mean(0).round(3).tolist(), strict=True)),
                "in real films": _share(plain[:, kind]),
            }
    return result


def _share(hits: Mask) -> list[float]:
    estimate = wilson(hits)
    return [round(float(value), 3) for value in (estimate.value, estimate.low, estimate.high)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--films", type=Path, required=True, help="where to keep the films that were read (.npz)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not args.films.is_file():
        read_films = read(listed(args.data, np.random.default_rng(0)))
        np.savez(args.films, images=read_films.images, lungs=read_films.lungs, source=read_films.source)
    with np.load(args.films) as file:
        films = Films(file["images"], file["lungs"], file["source"])
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, _load, (str(args.films),)) as pool:
        if not args.out.is_file():
            keras = keras_backend.load(needed="tensorflow")
            keras.utils.set_random_seed(0)
            model = train(pool, films, args.steps, args.minutes)
            train_lungs.export(model, args.out, SIDE, (len(KINDS), CELLS, CELLS))
            print(f"{model.count_params():,} weights", flush=True)
        session = open_network(args.out)
        result = {"bytes": args.out.stat().st_size, **thresholds(pool, session, films), **figures(pool, session, films)}
    print(json.dumps(result, indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
