"""Peak memory of ingest and train at 2,000 and at 20,000 images.

    python benchmarks/memory.py --out memory.json

The images are made textures, no two alike, half of each class. Memory is that of the command and its children together,
pages shared between them counted once.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from measuring import finish, plainfilm

SIDE = 320


def make_files(folder: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    for label in ("A", "B"):
        (folder / label).mkdir(parents=True)
    for number in range(count):
        coarse = rng.integers(0, 256, (20, 20), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        picture.save(folder / "AB"[number % 2] / f"{number:05}.jpg", quality=85)


def measure(count: int, folder: Path) -> dict[str, float]:
    make_files(folder / "files", count)
    store = folder / "files.h5"
    ingest = plainfilm("ingest", folder / "files", "--out", store, "--quiet", cache=folder / "cache")
    train = plainfilm(
        "train",
        store,
        "--out",
        folder / "run",
        "--recipe",
        "paper-mobilenet",
        "--epochs",
        "3",
        "--quiet",
        cache=folder / "cache",
    )
    return {
        "images": count,
        "ingest_mb": ingest.peak_mb,
        "ingest_s": ingest.seconds,
        "train_mb": train.peak_mb,
        "train_s": train.seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=2000)
    parser.add_argument("--many", type=int, default=20000)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    for count in (args.few, args.many):
        with tempfile.TemporaryDirectory() as name:
            rows.append(measure(count, Path(name)))
    growth = {stage: rows[1][f"{stage}_mb"] / rows[0][f"{stage}_mb"] - 1 for stage in ("ingest", "train")}
    overall = max(rows[1]["ingest_mb"], rows[1]["train_mb"]) / max(rows[0]["ingest_mb"], rows[0]["train_mb"]) - 1
    finish({"growth": growth, "growth_of_the_peak": overall, "runs": rows}, args.out)


if __name__ == "__main__":
    main()
