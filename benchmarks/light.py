"""An environment with JAX against one from before, in pairs: seconds, and peak memory of a process and its children.

    python benchmarks/light.py train --before BEFORE/bin/python --after AFTER/bin/python --rounds 5
    python benchmarks/light.py seeds --data ../shared/data/darkcovidnet --seeds 10

Parts: `train` (cold from ingest to report, then with cached features: shapes not compiled yet, and compiled), `compare`
(3 recipes, 5 seeds), `tune` (50 trials), `finetune` (the last two blocks of the default backbone; AFTER needs TensorFlow),
`seeds` (the same recipe and seeds on both backends of this environment; a paired interval). Needs ../shared, and
MobileNet's weights in Keras' cache. Make the environments from the two checkouts: `pip install .`, `pip install '.[train]'`.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from measuring import SHARED, Measured, run

RECIPE = ("--recipe", "paper-mobilenet", "--no-audit", "--quiet")
Rows = dict[str, list[tuple[Measured, Measured]]]


class Side:
    """An environment with a cache and a store of its own."""

    def __init__(self, python: str, folder: Path, data: Path) -> None:
        self.python, self.folder, self.data = python, folder, data
        self.cache, self.store = folder / "cache", folder / "films.h5"
        folder.mkdir()

    def plainfilm(self, *words: str) -> Measured:
        """Run a command in this environment, on its own cache."""
        command = [self.python, "-m", "plainfilm", *words]
        return run(command, PLAINFILM_CACHE=str(self.cache), TF_CPP_MIN_LOG_LEVEL="3")

    def ingest(self) -> Measured:
        """Make the store."""
        self.store.unlink(missing_ok=True)
        return self.plainfilm("ingest", str(self.data), "--out", str(self.store), "--quiet")

    def verb(self, name: str, *words: str) -> Measured:
        """Run a verb on the store, into a folder that is removed."""
        out = self.folder / name
        done = self.plainfilm(name, str(self.store), "--out", str(out), *words)
        shutil.rmtree(out)
        return done


def cold(side: Side) -> Measured:
    """From radiographs to a report, with nothing in the cache."""
    shutil.rmtree(side.cache, ignore_errors=True)
    first, second = side.ingest(), side.verb("train", *RECIPE)
    return Measured(first.seconds + second.seconds, max(first.peak_mb, second.peak_mb), "")


def uncompiled(side: Side) -> Measured:
    """With cached features, and shapes of heads that are new to the cache."""
    shutil.rmtree(side.cache / "compiled", ignore_errors=True)
    return side.verb("train", *RECIPE)


def compare(side: Side) -> Measured:
    """Three recipes with five seeds each, on cached features."""
    wide = side.folder / "wide.toml"
    wide.write_text('[head]\nlayers = ["dropout 0.3", "dense 256", "dropout 0.5"]\n', encoding="utf-8")
    return side.verb("compare", "--recipes", f"default,paper-mobilenet,{wide}", "--seeds", "5", "--quiet")


def tune(side: Side) -> Measured:
    """Fifty trials on cached features."""
    return side.verb("tune", "--trials", "50", "--backbones", "mobilenet", "--quiet")


def finetune(side: Side) -> Measured:
    """The last two blocks of the default backbone, two epochs."""
    return side.verb("train", "--finetune", "2", "--epochs", "2", "--set", "finetuning.epochs=2", "--no-audit", "--quiet")  # fmt: skip


PARTS: dict[str, dict[str, Callable[[Side], Measured]]] = {
    "train": {
        "cold, from ingest to report": cold,
        "cached features, shapes new": uncompiled,
        "cached features": lambda side: side.verb("train", *RECIPE),
    },
    "compare": {"compare": compare},
    "tune": {"tune": tune},
    "finetune": {"finetune": finetune},
}


def pairs(part: str, before: Side, after: Side, rounds: int) -> None:
    """Measure by turns and print each ratio's median with its ends."""
    for side in (before, after):
        side.ingest()
        if part != "train":
            next(iter(PARTS[part].values()))(side)  # fills the cache with features
    for name, measure in PARTS[part].items():
        done = [(measure(before), measure(after)) for _ in range(rounds)]
        ratios = sorted(new.seconds / old.seconds for old, new in done)
        old, new = (statistics.median(pair[at].seconds for pair in done) for at in (0, 1))
        peaks = [max(pair[at].peak_mb for pair in done) for at in (0, 1)]
        print(f"{name}: {old:.1f} s to {new:.1f} s, ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}), "
              f"peak {peaks[0]:.0f} MB to {peaks[1]:.0f} MB, {rounds} pairs", flush=True)  # fmt: skip


def seeds(data: Path, count: int, folder: Path) -> None:
    """Train the same seeds on both backends of this environment and print the paired differences."""
    side = Side(sys.executable, folder / "own", data)
    side.ingest()
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(count):
        for backend in ("tensorflow", "jax"):
            out = side.folder / "run"
            run([side.python, "-m", "plainfilm", "train", str(side.store), "--out", str(out), "--seed", str(seed), *RECIPE],
                PLAINFILM_CACHE=str(side.cache), KERAS_BACKEND=backend, TF_CPP_MIN_LOG_LEVEL="3")  # fmt: skip
            test = json.loads((out / "metrics.json").read_text())["splits"]["test"]
            found.setdefault(backend, []).append((test["accuracy"]["value"], test["auroc"]["value"]))
            shutil.rmtree(out)
    from scipy.stats import t

    for at, name in enumerate(("accuracy", "AUROC")):
        theirs, ours = (np.array([each[at] for each in found[backend]]) for backend in ("tensorflow", "jax"))
        apart = ours - theirs
        reach = t.ppf(0.975, count - 1) * apart.std(ddof=1) / np.sqrt(count)
        print(f"{data.name}, {name}: TensorFlow {theirs.mean():.4f}, JAX {ours.mean():.4f}, difference {apart.mean():+.4f} "
              f"({apart.mean() - reach:+.4f} to {apart.mean() + reach:+.4f}), {count} seeds", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*PARTS, "seeds"])
    parser.add_argument("--before", help="an interpreter")
    parser.add_argument("--after", help="an interpreter")
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "mixed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=10)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if args.part == "seeds":
            seeds(args.data, args.seeds, Path(name))
        else:
            before, after = (Side(getattr(args, each), Path(name, each), args.data) for each in ("before", "after"))
            pairs(args.part, before, after, args.rounds)


if __name__ == "__main__":
    main()
