"""Changed copies of real films: how many are found at ingest, how many the audit adds, and how many pairs are false.

200 random films a kind of `../shared/data/{mixed,darkcovidnet}` (PLAINFILM_DATA names another folder) are changed and saved as JPEG of
quality 50 to 95 (mirrored, cropped by 1 to 5 % a side, turned by 1 to 3 degrees, inverted, padded with black or white or
to a square, and mirrored or turned and cropped), put among all 3,766 and ingested. The audit runs
the same search over the store, and adds what features bring together, so that it finds no less. Pairs among the films themselves stand in `pairs.csv`, and as
pictures in `pairs.png`, to be looked at. About ten minutes on two cores.
"""

import csv
import io
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from honest.row import Row
from plainfilm.data import duplicates, images
from plainfilm.data.copies import SIDE_PX, CopyFinder
from plainfilm.data.duplicates import ThumbnailFile, join_groups

COPIES = 200
SIZE = 256
DATA = Path(os.environ.get("PLAINFILM_DATA", "../shared/data"))
TRUE_PAIRS = 10  # new pairs of the collections that were looked at: one film each


def measure(work: Path) -> list[Row]:
    """Give a row a kind, and one of false pairs."""
    paths = sorted(path for name in ("mixed", "darkcovidnet") for path in (DATA / name).glob("*/*.jpg"))
    kept = work / "found.json"
    found = json.loads(kept.read_text()) if kept.is_file() else {}
    films = np.stack([images.read(path, size=SIZE).pixels for path in paths])
    known = _near(films)
    for kind, change in _changes().items():
        if kind not in found:
            found[kind] = _share(films, known, paths, change)
            kept.write_text(json.dumps(found, indent=1))
    pairs = _search(films, known)
    _write_pairs(work, paths, films, pairs)
    rows = [
        Row(f"{kind}: copies found at ingest", share, "at least 0.95", share >= 0.95) for kind, share in found.items()
    ]
    return [
        *rows,
        Row(
            f"pairs among the {len(films):,} films, to be looked at (pairs.png)",
            len(pairs),
            "at most 2 besides the 10 that were looked at and show one film",
            len(pairs) <= TRUE_PAIRS + 2,
        ),
    ]


def _changes() -> dict[str, Callable[[Image.Image], Image.Image]]:
    def cropped(film: Image.Image, share: float) -> Image.Image:
        x, y = round(share * film.width), round(share * film.height)
        return film.crop((x, y, film.width - x, film.height - y))

    def turned(film: Image.Image, degrees: float) -> Image.Image:
        return film.rotate(degrees, resample=Image.Resampling.BICUBIC)

    def padded(film: Image.Image, share: float, tone: int = 0) -> Image.Image:
        return ImageOps.expand(film, (round(share * film.width), round(share * film.height)), tone)

    def square(film: Image.Image) -> Image.Image:
        return ImageOps.pad(film, (max(film.size), max(film.size)), color=0)

    return {
        "mirrored": ImageOps.mirror,
        **{f"cropped by {n} %": lambda film, n=n: cropped(film, n / 100) for n in range(1, 6)},
        **{f"turned by {n}°": lambda film, n=n: turned(film, n) for n in (-3, -2, -1, 1, 2, 3)},
        "inverted": ImageOps.invert,
        "padded by 5 %": lambda film: padded(film, 0.05),
        "padded by 10 %": lambda film: padded(film, 0.10),
        "padded with white": lambda film: padded(film, 0.08, 255),
        "padded to a square": square,
        "mirrored and cropped by 3 %": lambda film: cropped(ImageOps.mirror(film), 0.03),
        "turned by -2° and cropped by 3 %": lambda film: cropped(turned(film, -2), 0.03),
    }


def _share(
    films: NDArray[np.uint8], known: NDArray[np.int64], paths: list[Path], change: Callable[[Image.Image], Image.Image]
) -> float:
    rng = np.random.default_rng(0)
    chosen, qualities = rng.choice(len(films), COPIES, replace=False), rng.integers(50, 96, COPIES)
    changed = np.stack([_saved(change, paths[film], int(q)) for film, q in zip(chosen, qualities, strict=True)])
    every = np.concatenate([films, changed])
    group = np.concatenate([known, known.max() + 1 + np.arange(COPIES)])
    pairs = np.concatenate([duplicates.chain(group), _search(every, group)])
    joined = join_groups(len(every), pairs, [""] * len(every))
    return float((joined[len(films) :] == joined[chosen]).mean())


def _saved(change: Callable[[Image.Image], Image.Image], path: Path, quality: int) -> NDArray[np.uint8]:
    stream = io.BytesIO()
    change(Image.open(path).convert("L")).save(stream, "JPEG", quality=quality)
    return images.decode(stream.getvalue(), size=SIZE).pixels


def _near(films: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Groups as ingest finds them without the search for changed copies."""
    digests = [str(row) for row in range(len(films))]
    found = duplicates.find_duplicates(digests, duplicates.perceptual_hash(films), duplicates.thumbnails(films))
    return join_groups(len(films), found.pairs, [""] * len(films))


def _search(films: NDArray[np.uint8], group: NDArray[np.int64]) -> NDArray[np.int64]:
    with tempfile.TemporaryFile() as file:
        finder = CopyFinder(ThumbnailFile(file, SIDE_PX))
        for start in range(0, len(films), 32):
            finder.append(films[start : start + 32])
        return finder.find(group).pairs


def _write_pairs(work: Path, paths: list[Path], films: NDArray[np.uint8], pairs: NDArray[np.int64]) -> None:
    with (work / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([[str(paths[row].relative_to(DATA)) for row in pair] for pair in pairs])
    if len(pairs):
        Image.fromarray(np.concatenate([np.concatenate(list(films[pair]), axis=1) for pair in pairs])).save(
            work / "pairs.png"
        )
