"""The main job against the paper's procedure as a notebook has it, side by side in one run.

    python benchmarks/main_job.py --out main_job.json

Per seed: `ingest` and `train --recipe paper-mobilenet` with an empty cache, then `train` again with cached features.
The reference runs between the seeds. Needs ../shared and MobileNet's weights in Keras' cache; takes half an hour on 2 cores.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import SHARED, Measured, finish, plainfilm, run, spread

EPOCHS = 20


def one_seed(seed: int, data: Path, folder: Path) -> dict[str, Any]:
    cache, store = folder / f"cache{seed}", folder / f"m{seed}.h5"
    ingest = plainfilm("ingest", data, "--out", store, "--seed", str(seed), "--quiet", cache=cache)
    first = train(store, folder / f"run{seed}", seed, cache, "--no-audit")
    again = train(store, folder / f"again{seed}", seed, cache, "--no-audit")
    audited = train(store, folder / f"audited{seed}", seed, folder / f"audited-cache{seed}")
    metrics = json.loads((folder / f"run{seed}" / "metrics.json").read_text())
    assert json.loads((folder / f"again{seed}" / "metrics.json").read_text())["features_cached"]
    return {
        "seed": seed,
        "ingest_s": ingest.seconds,
        "train_s": first.seconds,
        "cached_train_s": again.seconds,
        "audited_to_report_s": ingest.seconds + audited.seconds,
        "ingest_to_report_s": ingest.seconds + first.seconds,
        "peak_mb": max(ingest.peak_mb, first.peak_mb),
        "test_accuracy": metrics["splits"]["test"]["accuracy"],
        "stages_s": metrics["seconds"],
    }


def train(store: Path, out: Path, seed: int, cache: Path, *flags: str) -> Measured:
    recipe = ("--recipe", "paper-mobilenet", "--seed", str(seed), "--quiet")
    return plainfilm("train", store, "--out", out, *recipe, *flags, cache=cache)


def reference(data: Path, epochs: int, folder: Path) -> dict[str, Any]:
    out = folder / "reference.json"
    command = [
        sys.executable,
        str(SHARED / "baseline" / "paper_way.py"),
        str(data),
        "--classes",
        "NORMAL",
        "COVID",
        "--epochs",
        str(epochs),
    ]
    whole = run([*command, "--h5", str(folder / "reference.h5"), "--json", str(out)])
    found = json.loads(out.read_text())
    fit = found["seconds"]["fit"]
    return {
        "total_s": whole.seconds - fit + fit * EPOCHS / epochs,
        "fit_s": fit * EPOCHS / epochs,
        "epochs_run": epochs,
        "test_accuracy": found["accuracy"],
        "peak_mb": whole.peak_mb,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "mixed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20, help="of the reference that are run; fewer are scaled to 20")
    parser.add_argument("--reference", type=Path, help="take the reference from an earlier --out instead of running it")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        half = (args.seeds + 1) // 2
        ours = [one_seed(seed, args.data, folder) for seed in range(half)]
        if args.reference:
            theirs = json.loads(args.reference.read_text())["reference"]
        else:
            theirs = reference(args.data, args.epochs, folder)
        ours += [one_seed(seed, args.data, folder) for seed in range(half, args.seeds)]
    accuracies = [row["test_accuracy"]["value"] for row in ours]
    figures = {
        "times_faster": theirs["total_s"] / statistics.median(row["ingest_to_report_s"] for row in ours),
        "times_faster_with_audit": theirs["total_s"] / statistics.median(row["audited_to_report_s"] for row in ours),
        "times_faster_than_fit_with_cached_features": theirs["fit_s"]
        / statistics.median(row["cached_train_s"] for row in ours),
        "test_accuracy": {**spread(accuracies), "mean": statistics.mean(accuracies)},
        "peak_mb": max(row["peak_mb"] for row in ours),
        "reference": theirs,
        "seeds": ours,
    }
    finish(figures, args.out)


if __name__ == "__main__":
    main()
