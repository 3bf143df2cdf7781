"""Kills a fine-tuning at random moments, resumes it, and compares its last weights bit by bit with those of one that ran through.

    python benchmarks/resuming.py --out resuming.json

Synthetic radiographs of 64 px, the default backbone's last three blocks or, with --blocks all, the whole of it; three altered
views an image. A kill may come while Python starts, while maps are cached, in an epoch or while a checkpoint is written.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import plainfilm
from measuring import finish, spread
from plainfilm.data import phantom
from plainfilm.data.store import Store

SIZE, EPOCHS, VIEWS = 64, 6, 3


def train(store_path: Path, folder: Path, blocks: str) -> None:
    """Fine-tune with a checkpoint in `folder`, and keep the network and the head's weights there."""
    from plainfilm.model import backbones, encoder, finetuning, heads, recipes, training
    from plainfilm.model.augmentation import alter

    own = {"blocks": blocks, "epochs": EPOCHS, "patience": 0, "batch_size": 16}
    settings = {"backbone.input_size": SIZE, "augmentation.views": VIEWS}
    recipe = recipes.load("default", {**settings, **{f"finetuning.{name}": value for name, value in own.items()}})
    backbone = backbones.find(recipe.backbone.name)
    prepare = encoder.preprocessing(backbone, image_size=SIZE, input_size=SIZE)
    with Store(store_path) as store:

        def read(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
            rows, views = numbers % len(store), numbers // len(store)
            return alter(store.images(rows), rows, views, recipe.augmentation, seed=recipe.seed)

        parts = [
            training.Part(store.rows(name), store.labels[store.rows(name)], read) for name in ("train", "validation")
        ]
        views = parts[0].rows[:, None] + len(store) * np.arange(1, VIEWS + 1)
        parts[0] = dataclasses.replace(parts[0], views=views)
        head = heads.build_head(backbone.width, 2, recipe.head, seed=0)
        found = finetuning.finetune(head, backbone, prepare, *parts, 2, 0, recipe, fingerprint=store.fingerprint,
                                    checkpoint=folder / "checkpoint.npz")  # fmt: skip
    weights = {f"head{number}": each for number, each in enumerate(found.fitted.model.get_weights())}
    network = np.frombuffer(found.encoder.path.read_bytes(), np.uint8)
    np.savez(folder / "found.npz", network=network, history=np.array(json.dumps(found.fitted.history)), **weights)


def start(store: Path, folder: Path, blocks: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, __file__, "--blocks", blocks, "--train", str(store), str(folder)]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PLAINFILM_CACHE": str(folder)}
    )


def run_through(store: Path, folder: Path, blocks: str) -> dict[str, NDArray[Any]]:
    process = start(store, folder, blocks)
    said = process.communicate()[1]
    if process.returncode:
        sys.exit(f"the training ended with {process.returncode}:\n{said[-2000:]}")
    with np.load(folder / "found.npz") as found:
        return {name: found[name] for name in found.files}


def killed(store: Path, folder: Path, blocks: str, after_s: float) -> int | None:
    """Kill a training after so many seconds; give the epochs that its checkpoint holds, None where it ended before."""
    process = start(store, folder, blocks)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after_s)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    if process.returncode != -signal.SIGKILL:
        return None
    if not (folder / "checkpoint.npz").is_file():
        return 0
    with np.load(folder / "checkpoint.npz", allow_pickle=False) as kept:
        return len(json.loads(str(kept["about"]))["history"])


def alike(a: dict[str, NDArray[Any]], b: dict[str, NDArray[Any]]) -> bool:
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--blocks", default="3")
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--train", type=Path, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.train:
        return train(*args.train, args.blocks)
    with tempfile.TemporaryDirectory() as name:
        folder, moments = Path(name), random.Random(args.seed)
        phantom.write_phantoms(folder / "films", n=args.images)
        store = folder / "s.h5"
        plainfilm.ingest(folder / "films", store, size=SIZE)
        begin = time.perf_counter()
        whole = run_through(store, folder / "whole", args.blocks)
        seconds = time.perf_counter() - begin
        moments_s, epochs, same = [], [], 0
        while len(epochs) < args.kills:
            after_s, own = moments.uniform(0, seconds), folder / f"killed{len(epochs)}"
            reached = killed(store, own, args.blocks, after_s)
            if reached is None:  # the machine is faster now
                seconds = after_s
                shutil.rmtree(own)
                continue
            moments_s.append(after_s)
            epochs.append(reached)
            same += alike(run_through(store, own, args.blocks), whole)
    finish(
        {
            "blocks": args.blocks,
            "kills": len(epochs),
            "same_bits": same,
            "killed_after_s": spread(moments_s),
            "epochs_kept_at_the_kill": epochs,
        },
        args.out,
    )
    return None


if __name__ == "__main__":
    main()
