"""What an installation weighs and how long it takes; and whether a TensorFlow that is there stays as it is.

    python benchmarks/installing.py --before ../plainfilm-0.2.0 --out installing.json
    python benchmarks/installing.py --alone --out alone.json     each extra alone, every command; half an hour

Needs a package index, up to 6 GB of disk below TMPDIR, and half an hour. Packages are fetched once before they are timed, so
that the seconds are those of pip, not of the line.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measuring import finish, run, spread

ROOT = Path(__file__).resolve().parents[1]
MOST_MB = {"plainfilm[train]": 1000, "plainfilm[serve]": 650}
OLD = ROOT / "tests" / "written_by_0_1_0"
BUNDLE, FILMS = OLD / "run" / "model.plainfilm", OLD / "films"
SIGNED = "from pathlib import Path; from plainfilm.model import signing; print(signing.is_signed_by(b'', bytes(64), Path('public.pem')))"
# What is typed, and the extras that it needs.
TRIED = {
    "help": ("", "help"),
    "doctor": ("", "doctor"),
    "info": ("", f"info {BUNDLE}"),
    "predict": ("", f"predict {BUNDLE} {FILMS}"),
    "presets": ("", "presets"),
    "weights list": ("", "weights list"),
    "audit --model": ("", f"audit store.h5 --model {BUNDLE} --out audited"),
    "weights fetch": ("train", "weights fetch efficientnet_lite0"),
    "train": ("train", "train store.h5 --out run --epochs 2"),
    "train --sign": ("train sign", "train store.h5 --out signed --epochs 2 --sign private.pem"),
    "compare": ("train", "compare store.h5 --out both --recipes default --seeds 2"),
    "audit": ("train", "audit store.h5 --out alone"),
    "demo": ("train", "demo --images 48"),
    "tune": ("train tune", "tune store.h5 --out tuned --trials 1 --epochs 1"),
    "export --to onnx": ("train", f"export {BUNDLE} --to onnx --out m.onnx"),
    "export --to keras": ("train", f"export {BUNDLE} --to keras --out m.keras"),
    "export --to openvino": ("openvino", f"export {BUNDLE} --to openvino --out m.xml"),
    "export --to tflite": ("train tensorflow", f"export {BUNDLE} --to tflite --out m.tflite"),
    "serve": ("serve", f"serve {BUNDLE} --port 0 --json"),
    "serve --dicom-port": ("serve dicom", f"serve {BUNDLE} --port 0 --json --dicom-port 11199 --peer A=127.0.0.1:11198 --spool spool"),
}  # fmt: skip
BRINGS = {"tune": {"train", "tune"}, "tensorflow": {"train", "tensorflow"}}
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
        self.binaries = folder / "bin"
        self._python = str(self.binaries / "python")
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


def tried(binaries: Path, extra: str) -> dict[str, str]:
    """Type every command where one extra is alone: "works", "names EXTRA", or what is wrong."""
    here = BRINGS.get(extra, {extra})
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(OLD / "store.h5", folder)
        private, public = f"{folder}/private.pem", f"{folder}/public.pem"
        run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private])
        run(["openssl", "pkey", "-in", private, "-pubout", "-out", public])
        told = {name: typed(binaries, words, folder, {*needs.split()}, here) for name, (needs, words) in TRIED.items()}
        told["--require-signature"] = _knows_signatures(binaries, folder, here)
    return told


def typed(binaries: Path, words: str, folder: str, needs: set[str], here: set[str]) -> str:
    """Type one command: whether it works where it should, and names what it needs where not."""
    started = subprocess.Popen(
        [binaries / "plainfilm", *words.split()],
        cwd=folder,
        env=os.environ | {"PLAINFILM_CACHE": f"{folder}/cache", "KERAS_HOME": f"{folder}/keras"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if words.startswith("serve") and needs <= here:
        assert started.stdout is not None
        address = json.loads(started.stdout.readline() or "{}").get("address", "")
        healthy = bool(address) and urllib.request.urlopen(f"{address}/api/v1/health").status == 200
        started.send_signal(signal.SIGINT)
        return "works" if healthy and started.wait() == 0 else f"WRONG: {started.communicate()[1][-200:]}"
    _, said = started.communicate()
    if needs <= here:
        return "works" if started.returncode == 0 else f"WRONG: {said[-200:]}"
    missing = re.search(r"pip install 'plainfilm\[(\w+)\]'$", said.strip())
    is_right = started.returncode == 1 and said.count("\n") == 1 and missing and missing[1] in needs
    return f"names {missing[1]}" if is_right and missing else f"WRONG: {said[-200:]}"


def _knows_signatures(binaries: Path, folder: str, here: set[str]) -> str:
    seen = subprocess.run([binaries / "python", "-c", SIGNED], cwd=folder, capture_output=True, text=True, check=False)
    knows = "works" if seen.stdout == "False\n" else "names sign" if "plainfilm[sign]" in seen.stderr else seen.stderr
    return knows if (knows == "works") is bool(here & {"serve", "sign"}) else f"WRONG: {knows[-200:]}"


def alone(wheel: Path) -> dict[str, dict[str, str]]:
    """Install a wheel with each extra alone in an empty environment, and type every command there."""
    found = {}
    for extra in ("", "serve", "dicom", "train", "tune", "tensorflow", "openvino", "sign", "tables", "dask"):
        with empty() as environment:
            environment.pip("install", f"plainfilm{f'[{extra}]' if extra else ''} @ {wheel.resolve().as_uri()}")
            found[extra or "none"] = tried(environment.binaries, extra)
    return found


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
    parser.add_argument("--alone", action="store_true", help="each extra alone, every command, and nothing else")
    args = parser.parse_args()
    if args.alone:
        with tempfile.TemporaryDirectory() as folder:
            run([sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, str(ROOT)])
            finish(alone(next(Path(folder).glob("*.whl"))), args.out)
        return
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
