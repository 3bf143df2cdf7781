"""Measure the lung-field model that plainfilm ships on every kind of film that is to hand.

    python scripts/measure_lungs.py --json lungs-kinds.json

Dice on the pairs that `train_lungs.py` keeps apart, as they are and turned, mirrored, cut, padded, stretched, flat, dark, inverted, small
or blurred, with opacities drawn into the lungs, and on those fifths of them that are densest, flattest and farthest from a square: a film in
which no lungs are found counts as 0. Then, for films of collections without drawn masks, children among them, how plausible the fields
are: found at all, two of them, and the same when the film is mirrored. Neither view nor disease is recorded of the pairs. Needs ../shared;
three minutes on two free cores.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps
from scipy import ndimage

import train_lungs
from plainfilm.model import lung_segmentation
from plainfilm.model.lung_segmentation import SIDE, LungFields, LungFinder
from plainfilm.model.onnx_session import shrunk

STORED = 256  # px, as a store keeps a film
FIFTH = 0.2
PLAUSIBLE = ("mixed", "several")
FILMS = 200  # of a class and source
AREA = (0.15, 0.55)  # share of the picture that both lungs of a whole film fill
MIRRORED = 0.9  # Dice
Field = NDArray[np.bool_]
Lights = Callable[[NDArray[np.float64], Field, np.random.Generator], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Pair:
    """A film of its own height and width, and its lungs, 0 or 255."""

    film: Image.Image
    lungs: Image.Image

    def both(self, change: Callable[[Image.Image], Image.Image]) -> "Pair":
        return Pair(change(self.film), change(self.lungs))

    @property
    def stored(self) -> tuple[NDArray[np.uint8], Field]:
        """The film as a store keeps it, and its lungs at the model's size."""
        film, lungs = (
            np.asarray(each.resize((STORED,) * 2, Image.Resampling.BICUBIC)) for each in (self.film, self.lungs)
        )
        return film, shrunk(lungs, SIDE) >= 128


def read_apart(folder: Path) -> list[Pair]:
    """Read the pairs that no training saw."""
    apart = train_lungs.kept_apart(train_lungs.read_pairs(folder))
    paths = np.array(sorted((folder / "images").glob("*.jpg")))[apart]
    return [
        Pair(Image.open(path).convert("L"), Image.open(folder / "masks" / f"{path.stem}.png").convert("L"))
        for path in paths
    ]


def turned(degrees: float) -> Callable[[Pair, np.random.Generator], Pair]:
    def change(pair: Pair, rng: np.random.Generator) -> Pair:
        sign = 1 if degrees % 90 == 0 or rng.random() < 0.5 else -1
        return pair.both(lambda each: each.rotate(sign * degrees, Image.Resampling.BILINEAR, expand=degrees % 90 == 0))

    return change


def cut(share: float) -> Callable[[Pair, np.random.Generator], Pair]:
    """Cut off a share of the width or height at two neighbouring edges, drawn by lot."""

    def change(pair: Pair, rng: np.random.Generator) -> Pair:
        wide, high = pair.film.size
        left, top = (int(share * side * rng.integers(2)) for side in (wide, high))
        return pair.both(
            lambda each: each.crop((left, top, left + wide - int(share * wide), top + high - int(share * high)))
        )

    return change


def cut_all_round(share: float) -> Callable[[Pair, np.random.Generator], Pair]:
    def change(pair: Pair, _: np.random.Generator) -> Pair:
        wide, high = pair.film.size
        x, y = int(share * wide), int(share * high)
        return pair.both(lambda each: each.crop((x, y, wide - x, high - y)))

    return change


def padded(share: float) -> Callable[[Pair, np.random.Generator], Pair]:
    def change(pair: Pair, _: np.random.Generator) -> Pair:
        return pair.both(lambda each: ImageOps.expand(each, (int(share * each.width), int(share * each.height))))

    return change


def stretched(ratio: float) -> Callable[[Pair, np.random.Generator], Pair]:
    """Pad so that, made square, the film is narrower than it is high by `ratio`, or the other way round."""

    def change(pair: Pair, rng: np.random.Generator) -> Pair:
        more = round((ratio - 1) / 2 * pair.film.width)
        border = (more, 0) if rng.random() < 0.5 else (0, more)
        return pair.both(lambda each: ImageOps.expand(each, border))

    return change


def lit(change: Lights) -> Callable[[Pair, np.random.Generator], Pair]:
    def changed(pair: Pair, rng: np.random.Generator) -> Pair:
        gray = np.asarray(pair.film, np.float64) / 255
        seen = change(gray, np.asarray(pair.lungs) >= 128, rng)
        return Pair(Image.fromarray((np.clip(seen, 0, 1) * 255).round().astype(np.uint8)), pair.lungs)

    return changed


def opaque(share: float) -> Lights:
    """Draw soft opacities into the lungs until `share` of them is on its way to what surrounds them, as a consolidation is."""

    def change(gray: NDArray[np.float64], lungs: Field, rng: np.random.Generator) -> NDArray[np.float64]:
        inside = np.argwhere(lungs)
        around = ndimage.binary_dilation(lungs, iterations=max(1, gray.shape[1] // 20)) & ~lungs
        level = np.quantile(gray[around], 0.75)
        dense = np.zeros_like(gray)
        while (dense[lungs] > 0.5).mean() < share:
            y, x = inside[rng.integers(len(inside))]
            wide, high = rng.uniform(0.04, 0.1, 2) * gray.shape[1]
            grid = np.ogrid[: gray.shape[0], : gray.shape[1]]
            dense = np.maximum(dense, np.exp(-(((grid[1] - x) / wide) ** 2 + ((grid[0] - y) / high) ** 2) / 2))
        near = ndimage.gaussian_filter(lungs.astype(np.float64), gray.shape[1] / 60)
        weight = 0.9 * dense * near
        return gray + weight * np.maximum(level - gray, 0)

    return change


def blurred(share: float) -> Callable[[Pair, np.random.Generator], Pair]:
    return lambda pair, _: Pair(pair.film.filter(ImageFilter.GaussianBlur(share * pair.film.width)), pair.lungs)


KINDS: dict[str, Callable[[Pair, np.random.Generator], Pair]] = {
    "as they are": lambda pair, _: pair,
    "mirrored": lambda pair, _: pair.both(ImageOps.mirror),
    "turned by 10 degrees": turned(10),
    "turned by 15 degrees": turned(15),
    "turned by 20 degrees": turned(20),
    "turned by 90 degrees": turned(90),
    "turned by 180 degrees": turned(180),
    "turned by 270 degrees": turned(270),
    "cut by 10 % at two edges": cut(0.1),
    "cut by 20 % at two edges": cut(0.2),
    "cut by 10 % all round": cut_all_round(0.1),
    "cut by 20 % all round": cut_all_round(0.2),
    "padded by 15 % all round": padded(0.15),
    "padded by 30 % all round": padded(0.3),
    "squeezed by 1.3": stretched(1.3),
    "squeezed by 1.6": stretched(1.6),
    "a quarter of the lungs opaque": lit(opaque(0.25)),
    "half of the lungs opaque": lit(opaque(0.5)),
    "a third of the contrast": lit(lambda gray, _lungs, _rng: 0.5 + (gray - 0.5) / 3),
    "dark (gamma 2)": lit(lambda gray, _lungs, _rng: gray**2),
    "pale (gamma 0.5)": lit(lambda gray, _lungs, _rng: gray**0.5),
    "noisy": lit(lambda gray, _lungs, rng: gray + rng.normal(0, 0.08, gray.shape)),
    "inverted": lit(lambda gray, _lungs, _rng: 1 - gray),
    "blurred by 1 % of the width": blurred(0.01),
}


def overlap(one: Field, other: Field) -> NDArray[np.float64]:
    """Measure 2 |A ∩ B| / (|A| + |B|) of masks bool (n, h, w)."""
    return np.asarray(2 * (one & other).sum((1, 2)) / np.maximum(one.sum((1, 2)) + other.sum((1, 2)), 1))


def summary(found: NDArray[np.float64]) -> dict[str, float]:
    rng = np.random.default_rng(0)
    low, high = np.quantile(rng.choice(found, (2000, len(found))).mean(axis=1), [0.025, 0.975])
    return {
        "n": len(found),
        "dice": round(float(found.mean()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "tenth": round(float(np.quantile(found, 0.1)), 4),
        "least": round(float(found.min()), 4),
    }


def of_kinds(finder: LungFinder, pairs: list[Pair]) -> dict[str, dict[str, float]]:
    """Measure each kind, and of the plain films the fifths that may be hardest."""
    found = {}
    for name, change in KINDS.items():
        rng = np.random.default_rng(0)
        films, truth = (np.stack(each) for each in zip(*(change(pair, rng).stored for pair in pairs), strict=True))
        found[name] = overlap(finder.find(films).masks, truth)
    kinds = {name: summary(dice) for name, dice in found.items()}
    for name, measure in (
        ("densest fifth", density),
        ("flattest fifth", flatness),
        ("fifth farthest from a square", oblong),
    ):
        order = np.argsort([-measure(pair) for pair in pairs])[: round(FIFTH * len(pairs))]
        kinds[name] = summary(found["as they are"][order])
    return kinds


def density(pair: Pair) -> float:
    """How bright the lungs are beside what surrounds them, in deviations of the film."""
    gray, lungs = pair.stored
    small = shrunk(gray, SIDE).astype(np.float64)
    around = ndimage.binary_dilation(lungs, iterations=8) & ~lungs
    return float((small[lungs].mean() - small[around].mean()) / small.std())


def flatness(pair: Pair) -> float:
    return -float(np.asarray(pair.film, np.float64).std())


def oblong(pair: Pair) -> float:
    return abs(float(np.log(pair.film.width / pair.film.height)))


def collections(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """Go through classes and sources, at most `FILMS` each."""
    rng = np.random.default_rng(0)
    for name in PLAUSIBLE:
        lines = [
            line.split(",") for line in (folder / name / "metadata.csv").read_text(encoding="utf-8").splitlines()[1:]
        ]
        for label, source in sorted({(line[1], line[2]) for line in lines}):
            own = [folder / name / line[0] for line in lines if (line[1], line[2]) == (label, source)]
            yield f"{name}: {source}, {label}", [own[row] for row in np.sort(rng.permutation(len(own))[:FILMS])]


def plausible(finder: LungFinder, paths: list[Path]) -> dict[str, float]:
    """Say what share of films has fields as lungs are, and how alike the fields of a film and of its mirror image are."""
    films = np.stack(
        [np.asarray(Image.open(path).convert("L").resize((STORED,) * 2, Image.Resampling.BICUBIC)) for path in paths]
    )
    fields, mirrored = finder.find(films), finder.find(np.ascontiguousarray(films[:, :, ::-1]))
    alike = overlap(fields.masks, mirrored.masks[:, :, ::-1])
    shares = fields.masks.mean((1, 2))
    checks = {
        "found": fields.found,
        "two lungs": two_lungs(fields),
        "of a usual size": (shares >= AREA[0]) & (shares <= AREA[1]),
        "the same mirrored": alike >= MIRRORED,
    }
    every = np.all(list(checks.values()), axis=0)
    return {
        "n": len(paths),
        **{name: round(float(held.mean()), 3) for name, held in checks.items()},
        "all four": round(float(every.mean()), 3),
        "dice with the mirror image": round(float(alike.mean()), 4),
    }


def two_lungs(fields: LungFields) -> Field:
    """Whether each field is of two pieces, one left and one right, neither less than a third of the other."""
    found = np.zeros(len(fields.found), bool)
    for row, mask in enumerate(fields.masks):
        pieces, count = ndimage.label(mask)
        sizes = np.bincount(pieces.ravel(), minlength=2)[1:]
        if count == 2 and sizes.min() >= sizes.max() / 3:
            (_, one), (_, other) = ndimage.center_of_mass(mask, pieces, [1, 2])
            found[row] = abs(one - other) >= SIDE / 8
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, default=train_lungs.PAIRS)
    parser.add_argument("--network", type=Path, default=lung_segmentation.NETWORK)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    lung_segmentation.NETWORK = args.network
    finder = LungFinder()
    kinds = of_kinds(finder, read_apart(args.pairs))
    result: dict[str, Any] = {
        "worst": min(kinds, key=lambda name: kinds[name]["dice"]),
        "kinds": kinds,
        "collections": {name: plausible(finder, paths) for name, paths in collections(args.pairs.parent)},
    }
    print(json.dumps(result, indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
