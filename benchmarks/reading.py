"""Ingest of 3,000 JPEG of 2,000 x 2,000 px against a plain Pillow loop (`open`, `convert`, `resize`), in turn.

    python benchmarks/reading.py --out reading.json

The radiographs are made: 60 different ones at full size, each in 50 files that differ in a comment, so that every file is
read and none is the same to the byte.
"""

import argparse
import io
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from measuring import finish, plainfilm, spread
from plainfilm.data import phantom

SIDE = 2000
DIFFERENT = 60


def make_files(folder: Path, count: int) -> list[Path]:
    rng = np.random.default_rng(0)
    files = []
    visits = phantom.plan(DIFFERENT, duplicates=0)
    for number, visit in enumerate(visits):
        film = np.asarray(
            Image.fromarray(phantom.render(visit).pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32
        )
        grainy = np.clip(film + rng.normal(0, 3, film.shape), 0, 255).astype(np.uint8)
        own = folder / visit.label
        own.mkdir(exist_ok=True)
        buffer = io.BytesIO()
        for copy in range(count // DIFFERENT):
            buffer.seek(0)
            if copy == 0:
                Image.fromarray(grainy).save(buffer, "JPEG", quality=90)
                data = buffer.getvalue()
            comment = f"copy {copy}".encode()
            marked = data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]
            files.append(own / f"{number:03}-{copy:03}.jpg")
            files[-1].write_bytes(marked)
    return files


def plain_loop(files: list[Path], size: int) -> float:
    start = time.perf_counter()
    for file in files:
        np.asarray(Image.open(file).convert("L").resize((size, size)))
    return len(files) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "films").mkdir()
        files = make_files(folder / "films", args.images)
        sample = files[:: max(len(files) // 600, 1)]
        plain, ours, peaks = [], [], []
        for _ in range(args.rounds):
            plain.append(plain_loop(sample, 256))
            words = ("--out", folder / "films.h5", "--overwrite", "--quiet", "--json")
            done = plainfilm("ingest", folder / "films", *words, cache=folder / "cache")
            ours.append(len(files) / done.seconds)
            peaks.append(done.peak_mb)
        finish(
            {
                "images": len(files),
                "megabytes_each": statistics.mean(f.stat().st_size for f in files) / 1e6,
                "ingest_images_per_s": spread(ours),
                "plain_loop_images_per_s": spread(plain),
                "times_faster": statistics.median(x / y for x, y in zip(ours, plain, strict=True)),
                "peak_mb": max(peaks),
            },
            args.out,
        )


if __name__ == "__main__":
    main()
