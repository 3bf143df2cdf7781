"""What an installation weighs and how long it takes; and whether a TensorFlow that is there stays as it is.

    python benchmarks/installing.py --before ../plainfilm-0.2.0 --out installing.json

Needs a package index, up to 6 GB of disk below TMPDIR, and half an hour. Packages are fetched once before they are timed, so
that the seconds are those of pip, not of the line.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measuring import finish, run, spread

ROOT = Path(__file__).resolve().parents[1]
MOST_MB = {"plainfilm[train]": 1000, "plainfilm[serve]": 650}
WORKS = """
import tempfile
import numpy as np
import tensorflow as tf
model = tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(2)])
model.compile("adam", "mse")
model.fit(np.ones((8, 3)), np.ones((8, 2)), verbose=0)
with tempfile.TemporaryDirectory() as folder:
    model.export(folder, verbose=False)
    size = len(tf.lite.TFLiteConverter.from_saved_model(folder).convert())
print("TensorFlow", tf.__version__, "trains, saves and converts" if size else "converts to nothing")
"""


class Environment:
    """An environment in a folder of its own; empty at first."""

    def __init__(self, folder: Path) -> None:
        run([sys.executable, "-m", "venv", str(folder)])
        self._python = str(folder / "bin" / "python")
        self._packages = next(folder.glob("lib/python*/site-packages"))
        self._empty_mb = disk_mb(self._packages)

    def pip(self, *words: str) -> float:
        """Run pip: seconds."""
        return run([self._python, "-m", "pip", *words]).seconds

    def last_line(self, code: str) -> str:
        """Run code: the last line it prints, or that of its error."""
        done = subprocess.run([self._python, "-c", code], capture_output=True, text=True, check=False)
        return (done.stderr if done.returncode else done.stdout).strip().splitlines()[-1][:200]

    def versions(self) -> dict[str, str]:
        """Give every distribution and its version; plainfilm apart."""
        lines = run([self._python, "-m", "pip", "freeze", "--exclude", "plainfilm"]).stdout.split()
        return dict(line.replace("_", "-").lower().split("==") for line in lines if "==" in line)

    @property
    def megabytes(self) -> float:
        """What was installed, on the disk."""
        return disk_mb(self._packages) - self._empty_mb

    def heaviest(self, count: int = 12) -> dict[str, int]:
        """What lies in the folder of packages, the largest first, in MB."""
        sizes = {path.name: round(disk_mb(path)) for path in self._packages.iterdir()}
        return dict(sorted(sizes.items(), key=lambda row: -row[1])[:count])


def disk_mb(path: Path) -> float:
    """Blocks that a file, or all files of a folder, take on the disk."""
    return sum(each.lstat().st_blocks for each in (path, *path.rglob("*"))) * 512 / 2**20


@contextmanager
def empty() -> Iterator[Environment]:
    with tempfile.TemporaryDirectory() as folder:
        yield Environment(Path(folder, "env"))


def weigh(wanted: Mapping[str, str], rounds: int) -> dict[str, Any]:
    """Install each in empty environments, in turn: the first round fetches, the others are timed."""
    figures: dict[str, Any] = {name: {"seconds": []} for name in wanted}
    for timed in range(rounds + 1):
        for name, requirement in wanted.items():
            with empty() as environment:
                seconds = environment.pip("install", requirement)
                figures[name]["seconds"] += [round(seconds, 1)] * (timed > 0)
                figures[name] |= {"mb": round(environment.megabytes), "heaviest_mb": environment.heaviest()}
    return figures


def demo(checkout: Path) -> float:
    """Seconds of `make demo` in a fresh clone without a cache, from nothing to the report."""
    with tempfile.TemporaryDirectory() as folder:
        clone, own = Path(folder, "clone"), {"PLAINFILM_CACHE": f"{folder}/cache", "KERAS_HOME": f"{folder}/keras"}
        run(["git", "clone", "--quiet", str(checkout), str(clone)])
        return run(["make", "-C", str(clone), "demo"], PYTHONDONTWRITEBYTECODE="", **own).seconds


def beside(tensorflow: str) -> dict[str, Any]:
    """Install and uninstall plainfilm[train] where a TensorFlow is, and see what that does to it."""
    with empty() as environment:
        environment.pip("install", tensorflow)
        before, works = environment.versions(), [environment.last_line(WORKS)]
        environment.pip("install", f"{ROOT}[train]")
        between = environment.versions()
        works.append(environment.last_line(WORKS))
        environment.pip("uninstall", "--yes", "plainfilm")
        after = environment.versions()
        works.append(environment.last_line(WORKS))
    ours = [
        {name: each[name] for name in each if re.match("tensorflow|tf[-_]", name)} for each in (before, between, after)
    ]
    return {
        "has": ours[0],
        "the_same_after": ours[0] == ours[1] == ours[2],
        "works_before_between_after": works,
        "changed": {name: [version, after.get(name)] for name, version in before.items() if version != after.get(name)},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="a checkout of what to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--extras", nargs="*", default=["", "train", "serve", "serve,dicom", "tensorflow"])
    parser.add_argument(
        "--demos", type=int, default=0, help="pairs of `make demo`, before and now, of what is committed"
    )
    parser.add_argument("--beside", nargs="*", default=["tensorflow==2.19.*", "tensorflow"])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    before = args.before and args.before.resolve()
    wanted = {"before": str(before)} if before else {}
    wanted |= {f"plainfilm[{extra}]".removesuffix("[]"): f"{ROOT}[{extra}]".removesuffix("[]") for extra in args.extras}
    weighed = weigh(wanted, args.rounds)
    pairs = [[round(demo(each), 1) for each in (before, ROOT)] for _ in range(args.demos)]
    figures = {
        "installations": weighed,
        "reached": {name: weighed[name]["mb"] <= most for name, most in MOST_MB.items() if name in weighed},
        "demos": {"seconds": pairs, "ratios": spread([now / then for then, now in pairs]) if pairs else {}},
        "beside": {each: beside(each) for each in args.beside},
    }
    finish(figures, args.out)


if __name__ == "__main__":
    main()
