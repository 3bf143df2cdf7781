"""Several trainings, one after another here and by two processes of `--cluster local:2`: time, and whether all bits are the same; and kills.

Features are encoded before. Processor time is that of the command and of all its processes, killed ones too.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from measuring import SHARED, plainfilm, tree

WHERE = ("here", "local:2")
FOLDS = ("train", "--folds", "5", "--no-audit")
COMPARE = ("compare", "--recipes", "default", "--seeds")
COMMANDS = {
    "folds": FOLDS,
    "seeds": (*COMPARE, "4"),
    "longer_folds": (*FOLDS, "--set", "training.epochs=400"),
    "longer_seeds": (*COMPARE, "2", "--set", "training.epochs=2000"),
}
SEEN = ("predictions.csv", "history.csv")


def main() -> None:
    """Measure pairs, or kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=[*COMMANDS, "kills"])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--cases", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store, cache = Path(folder, "films.h5"), Path(folder, "cache")
        plainfilm("ingest", SHARED / "data" / "mixed", "--size", "128", "--out", store, cache=cache)
        plainfilm(*_words("folds", "here", store), cache=cache)  # encodes and compiles
        for part in told.parts:
            if part == "kills":
                _kills(told.cases, told.seed, store, cache)
            else:
                _pairs(part, told.pairs, store, cache)


def _words(part: str, where: str, store: Path) -> list[str | Path]:
    verb, *more = COMMANDS[part]
    return [verb, store, "--out", store.with_name("made"), *more, "--overwrite", "--cluster", where]


def _pairs(part: str, pairs: int, store: Path, cache: Path) -> None:
    ratios = []
    for _ in range(pairs):
        taken, made = [], set()
        for where in WHERE:
            shutil.rmtree(cache / "fits", ignore_errors=True)
            measured = plainfilm(*_words(part, where, store), cache=cache)
            taken.append((measured.seconds, measured.processor_s))
            made.add(_made(store, cache))
            print(part, where, *(f"{each:.1f}" for each in taken[-1]), *sorted(made), flush=True)
        ratios.append([there / here for here, there in zip(*taken, strict=True)])
        if len(made) != 1:
            sys.exit("Not the same bits.")
    wall, processor = map(statistics.median, zip(*ratios, strict=True))
    print(f"{part}: wall {wall:.2f}, processor {processor:.2f} times", flush=True)


def _made(store: Path, cache: Path) -> str:
    """Hash what came out: fits without their seconds, and files without any."""
    digest = hashlib.sha256()
    for path in sorted((cache / "fits").glob("[!s]*.npz")):
        with np.load(path, allow_pickle=False) as fit:
            digest.update(path.name.encode() + b"".join(fit[name].tobytes() for name in fit.files if name != "about"))
    for path in (store.with_name("made") / name for name in SEEN):
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()[:16]


def _kills(cases: int, seed: int, store: Path, cache: Path) -> None:
    """Kill a worker, or the process in which it trains, at a time that is drawn; all bits must be those of a run without."""
    draws, same, killed = random.Random(seed), 0, 0
    shutil.rmtree(cache / "fits", ignore_errors=True)
    plainfilm(*_words("longer_folds", "here", store), cache=cache)
    wanted = _made(store, cache)
    for case in range(1, cases + 1):
        shutil.rmtree(cache / "fits")
        command = [sys.executable, "-m", "plainfilm.cli", *map(str, _words("longer_folds", "local:2", store))]
        with subprocess.Popen(
            command, env=os.environ | {"PLAINFILM_CACHE": str(cache)}, stdout=subprocess.DEVNULL
        ) as ran:
            while ran.poll() is None and len(tree(ran.pid)) < 5:
                time.sleep(0.1)
            time.sleep(draws.uniform(0, 20))
            with suppress(IndexError, ProcessLookupError):
                os.kill(draws.choice(tree(ran.pid)[1:]), signal.SIGKILL)
                killed += 1
        same += not ran.returncode and _made(store, cache) == wanted
        print(f"kills: {same} of {case} the same, {killed} processes killed", flush=True)


if __name__ == "__main__":
    main()
