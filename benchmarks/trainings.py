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
import threading
import time
from contextlib import suppress
from pathlib import Path

from measuring import SHARED, plainfilm, tree

COMMANDS = {
    "folds": ("train", "{store}", "--folds", "5", "--no-audit", "--out", "{out}"),
    "longer_folds": ("train", "{store}", "--folds", "5", "--no-audit", "--set", "training.epochs=400", "--out", "{out}"),
    "seeds": ("compare", "{store}", "--recipes", "default", "--seeds", "4", "--out", "{out}"),
    "longer": ("compare", "{store}", "--recipes", "default", "--seeds", "2", "--set", "training.epochs=2000", "--out", "{out}"),
}  # fmt: skip
SEEN = {"folds": ("predictions.csv", "history.csv"), "longer_folds": ("predictions.csv", "history.csv")}


class Family:
    """A command and its processes: their processor time, and which of them runs now."""

    def __init__(self, words: list[str], cache: Path) -> None:
        self.command = subprocess.Popen(
            [sys.executable, "-m", "plainfilm.cli", *words],
            env=os.environ | {"PLAINFILM_CACHE": str(cache)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._start, self._spent = time.perf_counter(), dict[int, float]()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()

    def others(self) -> list[int]:
        """Give the processes that the command has started, and theirs."""
        return tree(self.command.pid)[1:]

    def _look(self) -> None:
        while self.command.poll() is None:
            for pid in tree(self.command.pid):
                with suppress(OSError):
                    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                    self._spent[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            time.sleep(0.1)

    def end(self) -> tuple[float, float]:
        """Wait for the command; give its wall seconds and the processor time of all."""
        said = self.command.communicate()[1]
        seconds = time.perf_counter() - self._start
        self._watch.join()
        if self.command.returncode:
            sys.exit(f"{self.command.args} ended with {self.command.returncode}: {said[-2000:]}")
        return seconds, sum(self._spent.values())


def main() -> None:
    """Measure pairs, or kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["folds", "seeds", "kills"])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--cases", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cache, store = Path(folder, "cache"), Path(folder, "films.h5")
        plainfilm("ingest", SHARED / "data" / "mixed", "--size", "128", "--out", store, cache=cache)
        _once("folds", "here", store, cache).end()  # encodes and compiles
        for part in told.parts:
            _kills(told, store, cache) if part == "kills" else _pairs(part, told.pairs, store, cache)


def _once(part: str, where: str, store: Path, cache: Path) -> Family:
    shutil.rmtree(cache / "fits", ignore_errors=True)
    out = store.with_name(f"{part}-{where.replace(':', '')}")
    words = [word.format(store=store, out=out) for word in COMMANDS[part]]
    return Family([*words, "--overwrite", "--cluster", where], cache)


def _made(part: str, where: str, store: Path, cache: Path) -> str:
    """Hash what came out: fits without their seconds, and files without any."""
    import numpy as np

    digest = hashlib.sha256()
    for path in sorted((cache / "fits").glob("[!s]*.npz")):
        with np.load(path, allow_pickle=False) as fit:
            digest.update(path.name.encode() + b"".join(fit[name].tobytes() for name in fit.files if name != "about"))
    out = store.with_name(f"{part}-{where.replace(':', '')}")
    return digest.hexdigest()[:12] + "".join(f" {hashlib.sha256((out / name).read_bytes()).hexdigest()[:12]}" for name in SEEN.get(part, ()))  # fmt: skip


def _pairs(part: str, pairs: int, store: Path, cache: Path) -> None:
    ratios = {"wall": [], "processor": []}
    for _ in range(pairs):
        made, taken = {}, {}
        for where in ("here", "local:2"):
            taken[where] = _once(part, where, store, cache).end()
            made[where] = _made(part, where, store, cache)
            print(part, where, *(f"{each:.1f}" for each in taken[where]), made[where], flush=True)
        for at, name in enumerate(ratios):
            ratios[name].append(taken["local:2"][at] / taken["here"][at])
        if len(set(made.values())) != 1:
            sys.exit("Not the same bits.")
    print(part, *(f"{name} {statistics.median(each):.2f}" for name, each in ratios.items()), flush=True)


def _kills(told: argparse.Namespace, store: Path, cache: Path) -> None:
    """Kill a worker, or the process in which it trains, at a time that is drawn; all bits must be those of a run without."""
    draws = random.Random(told.seed)
    _once("longer_folds", "here", store, cache).end()
    wanted, same, seen = _made("longer_folds", "here", store, cache), 0, []
    for _ in range(told.cases):
        family, killed = _once("longer_folds", "local:2", store, cache), 0
        while family.command.poll() is None and len(family.others()) < 4:
            time.sleep(0.1)
        time.sleep(draws.uniform(0, 6))
        with suppress(IndexError, ProcessLookupError):
            os.kill(draws.choice(family.others()), signal.SIGKILL)
            killed = 1
        family.end()
        same += _made("longer_folds", "local:2", store, cache) == wanted
        seen.append(killed)
        print(f"kills: {same} of {len(seen)} the same, {sum(seen)} killed", flush=True)


if __name__ == "__main__":
    main()
