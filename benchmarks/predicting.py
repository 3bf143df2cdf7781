"""Prediction: one radiograph from process start to answer, 2,000 files a second, and the same answers as Keras.

    python benchmarks/predicting.py --bundle run/model.plainfilm --keras model.keras --out predicting.json
    python benchmarks/predicting.py --bundle run/model.plainfilm --cluster local:2 --rounds 3    # in pairs with and without

`model.keras` comes from `plainfilm export run/model.plainfilm --to keras --out model.keras`. Needs ../shared.
"""

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from PIL import Image

import plainfilm as library
from measuring import SHARED, finish, plainfilm, run, spread
from plainfilm.model.cpus import processors

KERAS = """
import sys, numpy as np, keras
from PIL import Image
model = keras.saving.load_model(sys.argv[1])
image = np.asarray(Image.open(sys.argv[2]).convert("L").resize((int(sys.argv[3]),) * 2, Image.Resampling.BICUBIC))
print(model.predict(image[None], verbose=0))
"""


def starting(bundle: Path, keras: Path, film: Path, size: int, rounds: int) -> dict[str, Any]:
    """One radiograph in turn by both; a first round, which fills the disk's cache, is left out."""
    ours, theirs = [], []
    for _ in range(rounds + 1):
        ours.append(plainfilm("predict", bundle, film, "--quiet", cache=Path(tempfile.gettempdir())).seconds)
        theirs.append(run([sys.executable, "-c", KERAS, str(keras), str(film), str(size)]).seconds)
    return {
        "plainfilm_s": spread(ours[1:]),
        "keras_s": spread(theirs[1:]),
        "share": statistics.median(ours[1:]) / statistics.median(theirs[1:]),
    }


def decode(path: str, size: int = 256) -> np.ndarray:
    image = Image.open(path)
    image.draft("L", (size, size))
    return np.asarray(image.convert("L").resize((size, size), Image.Resampling.BICUBIC))


def decode_some(paths: Sequence[str], size: int) -> np.ndarray:
    return np.stack([decode(path, size) for path in paths])


def bare(bundle: Any, files: Sequence[str], size: int, workers: int) -> dict[str, float]:
    """Seconds of decoding alone in as many processes as there are cores, and of the network alone with as many threads."""
    chunks = [files[at : at + 32] for at in range(0, len(files), 32)]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(decode_some, chunks[:workers], [size] * workers))  # processes are started
        start = time.perf_counter()
        images = np.concatenate(list(pool.map(decode_some, chunks, [size] * len(chunks))))
        decoding = time.perf_counter() - start
    options = ort.SessionOptions()
    options.intra_op_num_threads = workers
    session = ort.InferenceSession(bundle.classifier.network, options, providers=["CPUExecutionProvider"])
    session.run(["logits"], {"images": images[:8]})
    start = time.perf_counter()
    for at in range(0, len(images), 8):
        session.run(["logits"], {"images": images[at : at + 8]})
    return {"decoding_s": decoding, "network_s": time.perf_counter() - start}


def many(path: Path, files: Sequence[str], rounds: int) -> dict[str, Any]:
    predictor = library.load(path)
    size = predictor.bundle.classifier.image_size
    rows = []
    for _ in range(rounds):
        start = time.perf_counter()
        answers = sum(1 for _ in predictor.stream(files))
        ours = time.perf_counter() - start
        least = bare(predictor.bundle, files, size, processors())
        command = plainfilm("predict", path, *files, "--csv", "--quiet", cache=Path(tempfile.gettempdir()))
        assert answers == len(files) == command.stdout.count("\n") - 1
        rows.append({"library_s": ours, "command_s": command.seconds, "command_peak_mb": command.peak_mb, **least,
                     "share": (least["decoding_s"] + least["network_s"]) / ours,
                     "share_of_command": (least["decoding_s"] + least["network_s"]) / command.seconds})  # fmt: skip
    return {
        "files": len(files),
        "share": spread([row["share"] for row in rows]),
        "share_of_command": spread([row["share_of_command"] for row in rows]),
        "rounds": rows,
    }


def shared_out(path: Path, files: Sequence[str], rounds: int, cluster: str) -> dict[str, Any]:
    """The same command here and on a cluster, in pairs; both print the same."""
    rows = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            told = {where: plainfilm("predict", path, *files, "--json", "--quiet", cache=Path(folder), PLAINFILM_CLUSTER=where)
                    for where in ("here", cluster)}  # fmt: skip
        assert told["here"].stdout == told[cluster].stdout
        rows.append({where: {"seconds": each.seconds, "processor_s": each.processor_s} for where, each in told.items()})
    return {
        "files": len(files),
        **{
            name: spread([row[cluster][name] / row["here"][name] for row in rows])
            for name in ("seconds", "processor_s")
        },
        "rounds": rows,
    }


def parity(path: Path, keras_file: Path, files: Sequence[str]) -> dict[str, Any]:
    import keras

    predictor = library.load(path)
    size = predictor.bundle.classifier.image_size
    images = decode_some(files, size)
    ours = predictor.bundle.classifier.predict_proba(images)
    theirs = keras.saving.load_model(keras_file).predict(images, verbose=0)
    decide = predictor.bundle.classifier.decision.predict
    return {
        "radiographs": len(files),
        "largest_difference": float(np.abs(ours - theirs).max()),
        "flipped": int((decide(ours) != decide(theirs)).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--keras", type=Path)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "mixed")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--cluster", help="compare with --cluster WHERE, and nothing else")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    files = sorted(map(str, args.data.glob("*/*.jpg")))
    chosen = np.random.default_rng(0).permutation(len(files))[: args.files]
    some = [files[index] for index in chosen]
    if args.cluster:
        finish(shared_out(args.bundle, some, args.rounds, args.cluster), args.out)
        return
    figures: dict[str, Any] = {"many": many(args.bundle, some, args.rounds)}
    if args.keras:
        size = library.load(args.bundle).bundle.classifier.image_size
        figures["one"] = starting(args.bundle, args.keras, Path(some[0]), size, args.rounds)
        figures["parity"] = parity(args.bundle, args.keras, some[:500])
    finish(figures, args.out)


if __name__ == "__main__":
    main()
