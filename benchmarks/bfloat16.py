"""What bfloat16 saves in encoding, and what it costs in features and in accuracy, also at hospitals that are left out.

    python benchmarks/bfloat16.py --work bfloat16 --backbone mobilenet --seeds 10 --left-out 5 --out bfloat16.json

Of several (../shared) with its labels NORMAL and SICK. Speed in pairs, float32 in ONNX Runtime and bfloat16 in OpenVINO in turn, by
the time of the processors. `--backbone` may be an ONNX file: then its speed and features alone are measured.
"""

import argparse
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

import plainfilm
from measuring import SHARED, finish, spread
from plainfilm.data.store import Store
from plainfilm.model import encoder, recipes
from plainfilm.model.backbones import BFLOAT16, FLOAT32

PRECISIONS = (FLOAT32, BFLOAT16)
SCALING = {".onnx": {"backbone.scaling": "imagenet", "backbone.input_size": 224}}


def settings(backbone: str, precision: str) -> dict[str, Any]:
    own = SCALING.get(Path(backbone).suffix, {})
    return {"backbone.name": backbone, "backbone.depth": 0, "backbone.precision": precision, **own}


def speed(store: Store, backbone: str, images: int, rounds: int) -> dict[str, Any]:
    shown = store.images(np.arange(images))
    opened = [
        encoder.open_encoder(*recipes.prepared(recipes.load("default", settings(backbone, each)), store.size))
        for each in PRECISIONS
    ]
    exact, rough = (each.encode(shown) for each in opened)
    seconds: list[list[float]] = []
    for _ in range(rounds):
        taken = []
        for each in opened:
            start = time.process_time()
            each.encode(shown)
            taken.append(time.process_time() - start)
        seconds.append(taken)
    alike = np.sum(exact * rough, axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rough, axis=1)
    return {
        "images_per_processor_second": [images / statistics.median(each) for each in zip(*seconds, strict=True)],
        "times_as_fast": spread([slow / quick for slow, quick in seconds]),
        "cosine": {"least": float(alike.min()), "mean": float(alike.mean())},
    }


def aurocs(path: Path, work: Path, backbone: str, precision: str, seeds: int, left_out: int) -> dict[str, Any]:
    """AUROC of the test set for each seed; and at each source that is left out."""
    tested, sources = [], dict[str, list[float]]()
    for seed in range(max(seeds, left_out)):
        by_source = seed < left_out
        told: dict[str, Any] = {"folds": "source"} if by_source else {}
        run = plainfilm.train(
            path,
            work / f"run-{precision}",
            recipe="default",
            settings=settings(backbone, precision),
            seed=seed,
            audit=False,
            overwrite=True,
            **told,
        )
        tested.append(run.result.test.auroc.value)
        for own in run.result.left_out.sources if by_source else ():
            sources.setdefault(own.name, []).append(own.metrics.auroc.value)
        print(precision, seed, tested[-1], {name: each[-1] for name, each in sources.items()}, flush=True)
    return {"test": tested, "left_out": sources}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for stores and caches, kept for repeats")
    parser.add_argument("--backbone", default="mobilenet")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--left-out", type=int, default=5, help="seeds that are also trained without each source")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    os.environ["PLAINFILM_CACHE"] = str(args.work.absolute() / "cache")
    args.work.mkdir(parents=True, exist_ok=True)
    path, folder = args.work / "several.h5", SHARED / "data" / "several"
    if not path.is_file():
        plainfilm.ingest(folder, path, labels=folder / "sick.csv")
    with Store(path) as store:
        found: dict[str, Any] = {"backbone": args.backbone, **speed(store, args.backbone, args.images, args.rounds)}
    if not args.backbone.endswith(".onnx"):
        measured = {
            each: aurocs(path, args.work, args.backbone, each, args.seeds, args.left_out) for each in PRECISIONS
        }
        exact, rough = (measured[each] for each in PRECISIONS)
        found["auroc"] = {
            each: {"test": spread(own["test"]), "left_out": own["left_out"]} for each, own in measured.items()
        }
        found["change"] = {
            "test": spread(np.subtract(rough["test"], exact["test"]).tolist()),
            **{
                name: spread(np.subtract(rough["left_out"][name], own).tolist())
                for name, own in exact["left_out"].items()
            },
        }
    finish(found, args.out)


if __name__ == "__main__":
    main()
