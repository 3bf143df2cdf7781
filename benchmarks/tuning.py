"""A search of 100 trials of 20 epochs on cached features: its time, its memory, and what it gains over the recipes that come with plainfilm.

    python benchmarks/tuning.py --out tuning.json

Of mixed (../shared), COVID and NORMAL, with the backbones whose weights are on this machine. The search runs in one go, and once more
with a kill in the middle: both must come to the same. Takes ten minutes on 2 cores.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import SHARED, finish, plainfilm


def search(store: Path, out: Path, cache: Path, *more: str) -> dict[str, Any]:
    measured = plainfilm("tune", store, "--out", out, "--quiet", "--json", *more, cache=cache)
    found = json.loads(measured.stdout)
    return {
        "seconds": measured.seconds,
        "seconds_a_trial": found["seconds"] / found["trials"]["in_all"],
        "peak_mb": measured.peak_mb,
        "trials": found["trials"],
        "best": {name: found["best"][name] for name in ("trial", "log_loss", "standard_error", "accuracy", "auroc")},
        "starts": {row["recipe"]: row["log_loss"] for row in found["starts"]},
        "within_one_standard_error": found["within_one_standard_error"],
        "mattered": [each["title"] for each in found["importances"] if each["share"] > each["by_chance"]],
    }


def killed(store: Path, out: Path, cache: Path, after_s: float, *more: str) -> None:
    """Begin a search and kill it."""
    command = [sys.executable, "-m", "plainfilm.cli", "tune", str(store), "--out", str(out), "--quiet", *more]
    process = subprocess.Popen(command, env={**os.environ, "PLAINFILM_CACHE": str(cache)})
    time.sleep(after_s)
    process.kill()
    process.wait()


def trials(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open(newline="", encoding="utf-8") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "mixed")
    parser.add_argument("--store", type=Path, help="take this store instead of ingesting --data")
    parser.add_argument("--trials", default="100")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache, store = folder / "cache", args.store or folder / "mixed.h5"
        if args.store is None:
            plainfilm("ingest", args.data, "--out", store, "--classes", "COVID,NORMAL", "--quiet", cache=cache)
        search(store, folder / "first", cache, "--trials", "1")  # encodes
        whole = search(store, folder / "whole", cache, "--trials", args.trials)
        killed(store, folder / "parts", cache, whole["seconds"] / 2, "--trials", args.trials)
        parts = search(store, folder / "parts", cache, "--trials", args.trials)
        alike = trials(folder / "whole") == trials(folder / "parts")
        finish({"whole": whole, "after_a_kill": parts, "the_same_trials": alike}, args.out)


if __name__ == "__main__":
    main()
