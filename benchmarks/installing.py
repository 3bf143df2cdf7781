"""What an installation weighs and how long it takes; and whether a TensorFlow that is there stays as it is.

    python benchmarks/installing.py --before ../plainfilm-0.2.0 --out installing.json
    python benchmarks/installing.py --alone --out alone.json     each extra alone, every command; an hour
    python benchmarks/installing.py --alone serve                one; exit code 1 where a command does not do as it should

Needs a package index, up to 6 GB of disk below TMPDIR, and half an hour. Packages are fetched once before they are timed, so
that the seconds are those of pip, not of the line.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measuring import finish, run, spread

ROOT = Path(__file__).resolve().parents[1]
MOST_MB = {"plainfilm[train]": 1000, "plainfilm[serve]": 650}
OLD = ROOT / "tests" / "written_by_0_1_0"
BUNDLE, FILMS = OLD / "run" / "model.plainfilm", OLD / "films"
# What is typed, and the extras that it needs.
TRIED = {
    "help": ("", "help"),
    "doctor": ("", "doctor"),
    "recipes": ("", "recipes"),
    "presets": ("", "presets"),
    "weights list": ("", "weights list"),
    "info": ("", f"info {BUNDLE}"),
    "predict": ("", f"predict {BUNDLE} {FILMS}"),
    "predict --require-signature": ("sign", f"predict signed.plainfilm {FILMS} --require-signature public.pem"),
    "ingest": ("", "ingest made --keep-non-radiographs --labels labels.csv --out films.h5"),
    "ingest --labels xlsx": ("tables", "ingest made --keep-non-radiographs --labels labels.xlsx --out sheet.h5"),
    "ingest --labels parquet": ("tables", "ingest made --keep-non-radiographs --labels labels.parquet --out parquet.h5"),
    "evaluate": ("", f"evaluate {BUNDLE} store.h5 --out evaluated"),
    "audit --model": ("", f"audit store.h5 --model {BUNDLE} --out audited"),
    "weights fetch": ("train", "weights fetch efficientnet_lite0"),
    "train": ("train", "train store.h5 --out run --epochs 2 --overwrite"),
    "train FOLDER": ("train", "train made --labels labels.csv --keep-non-radiographs --out mine --epochs 2"),
    "train --sign": ("train sign", "train store.h5 --out own --epochs 2 --sign private.pem"),
    "train --mlflow": ("train mlflow", "train store.h5 --out logged --epochs 2 --mlflow sqlite:///mlflow.db"),
    "compare": ("train", "compare store.h5 --out both --recipes default --seeds 2"),
    "audit": ("train", "audit store.h5 --out alone"),
    "demo": ("train", "demo --images 48"),
    "tune": ("train tune", "tune store.h5 --out tuned --trials 1 --epochs 1"),
    "export --to onnx": ("train", f"export {BUNDLE} --to onnx --out m.onnx"),
    "export --to keras": ("train", "export run/model.plainfilm --to keras --out m.keras"),
    "export --to openvino": ("openvino", f"export {BUNDLE} --to openvino --out m.xml"),
    "export --to tflite": ("train tensorflow", "export run/model.plainfilm --to tflite --out m.tflite"),
    "serve": ("serve", f"serve {BUNDLE} --port 0 --json"),
    "serve --require-signature": ("serve", "serve signed.plainfilm --require-signature public.pem --port 0 --json"),
    "serve --dicom-port": ("serve dicom", f"serve {BUNDLE} --port 0 --json --dicom-port 11199 --peer A=127.0.0.1:11198 --spool spool"),
}  # fmt: skip
# The same in Python.
CALLED = {
    "load": ("", f"plainfilm.load({str(BUNDLE)!r}).predict({str(FILMS)!r})"),
    "predict().to_frame": ("notebook", f"plainfilm.load({str(BUNDLE)!r}).predict({str(FILMS)!r}).to_frame()"),
    "Store.to_tf_dataset": ("train tensorflow", "next(iter(plainfilm.Store('store.h5').to_tf_dataset('train')))"),
    "train": ("train", "plainfilm.train('store.h5', out='called', epochs=2).plot.roc()"),
}
BRINGS = {
    "all": {"cluster", "train", "tune", "serve", "sign", "dicom", "openvino", "tables", "mlflow", "notebook"},
    "dask": {"cluster"},
    "jax": {"train"},
    "serve": {"serve", "sign"},
    "tensorflow": {"train", "tensorflow"},
    "tune": {"train", "tune"},
}
ALONE = ("", "serve", "dicom", "serve,dicom", "train", "tune", "tensorflow", "openvino", "sign", "train,sign", "tables")
ALONE += ("cluster", "dask", "mlflow", "train,mlflow", "notebook", "jax", "all")
PARQUET = "from pyarrow import csv, parquet; parquet.write_table(csv.read_csv('labels.csv'), 'labels.parquet')"
OOXML = "http://schemas.openxmlformats.org"
DOCUMENT = f"{OOXML}/officeDocument/2006/relationships"
LINKED = f"""<Relationships xmlns="{OOXML}/package/2006/relationships"><Relationship Id="a" Type="{DOCUMENT}/%s" Target="%s"/></Relationships>"""
SHEET = {
    "_rels/.rels": LINKED % ("officeDocument", "xl/workbook.xml"),
    "xl/workbook.xml": f"""<workbook xmlns="{OOXML}/spreadsheetml/2006/main" xmlns:r="{DOCUMENT}">
        <sheets><sheet name="A" sheetId="1" r:id="a"/></sheets></workbook>""",
    "xl/_rels/workbook.xml.rels": LINKED % ("worksheet", "worksheets/sheet1.xml"),
    "xl/worksheets/sheet1.xml": f"""<worksheet xmlns="{OOXML}/spreadsheetml/2006/main"><sheetData>ROWS</sheetData></worksheet>""",
}
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


def alone(wheel: Path, extras: str) -> dict[str, str]:
    """Install a wheel with extras in an empty environment, and type every command there.

    Returns
    -------
    dict of str to str
        "works", "names EXTRA", or what is wrong.
    """
    here = set().union(*(BRINGS.get(each, {each}) for each in extras.split(",")))
    with empty() as environment, tempfile.TemporaryDirectory() as name:
        environment.pip("install", f"plainfilm[{extras}] @ {wheel.resolve().as_uri()}".replace("[]", ""))
        folder = Path(name)
        lay_out(folder, environment.binaries)
        told = {"pip check": _ended_well(_start([environment.binaries / "python", "-m", "pip", "check"], folder))}
        for title, (needs, words) in TRIED.items():
            command = [environment.binaries / "plainfilm", *words.split()]
            told[title] = outcome(_start(command, folder), {*needs.split()}, here, serves=words.startswith("serve"))
        for title, (needs, code) in CALLED.items():
            command = [environment.binaries / "python", "-c", f"import plainfilm; {code}"]
            told[f"plainfilm.{title}"] = outcome(_start(command, folder), {*needs.split()}, here)
    return told


def lay_out(folder: Path, binaries: Path) -> None:
    """Put into a folder what the commands name: a store, a run, keys, a signed bundle, radiographs and tables of labels."""
    shutil.copy(OLD / "store.h5", folder)
    shutil.copytree(OLD / "run", folder / "run")
    run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", f"{folder}/private.pem"])
    run(["openssl", "pkey", "-in", f"{folder}/private.pem", "-pubout", "-out", f"{folder}/public.pem"])
    sign(folder)
    rows = [("file_name", "label"), *((f"{n}.pgm", "COVID" if n < 4 else "NORMAL") for n in range(8))]
    (folder / "made").mkdir()
    for seed, (film, _) in enumerate(rows[1:]):
        (folder / "made" / film).write_bytes(b"P5 96 96 255\n" + random.Random(seed).randbytes(96 * 96))
    write_labels(folder, rows)
    if _start([binaries / "python", "-c", PARQUET], folder).wait():
        (folder / "labels.parquet").write_bytes(b"PAR1")


def sign(folder: Path) -> None:
    """Write signed.plainfilm: the bundle of 0.1.0 with a signature of its manifest."""
    manifest, signature = folder / "manifest", folder / "signature"
    with zipfile.ZipFile(BUNDLE) as old, zipfile.ZipFile(folder / "signed.plainfilm", "w") as signed:
        manifest.write_bytes(old.read("manifest.json"))
        words = f"openssl pkeyutl -sign -rawin -inkey {folder}/private.pem -in {manifest} -out {signature}"
        run(words.split())
        for member in old.infolist():
            signed.writestr(zipfile.ZipInfo(member.filename), old.read(member))
        signed.writestr(zipfile.ZipInfo("signature.ed25519"), signature.read_bytes())


def write_labels(folder: Path, rows: Sequence[tuple[str, str]]) -> None:
    """Write a table as CSV and XLSX."""
    (folder / "labels.csv").write_text("".join(f"{','.join(row)}\n" for row in rows))
    cells = [[f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in row] for row in rows]
    with zipfile.ZipFile(folder / "labels.xlsx", "w") as sheet:
        for name, text in SHEET.items():
            sheet.writestr(name, text.replace("ROWS", "".join(f"<row>{''.join(row)}</row>" for row in cells)))


def outcome(started: "subprocess.Popen[str]", needs: set[str], here: set[str], *, serves: bool = False) -> str:
    """Wait for a command: whether it works where it should, and names what it needs where it does not."""
    if needs <= here:
        return _served(started) if serves else _ended_well(started)
    _, said = started.communicate()
    last = said.strip().rpartition("\n")[2] if said.startswith("Traceback") else said.strip()
    missing = re.search(r"^[^\n]* pip install 'plainfilm\[(\w+)\]'$", last)
    if started.returncode == 0 and not serves:
        return "works"
    if started.returncode == 1 and missing and missing[1] in needs - here:
        return f"names {missing[1]}"
    return f"WRONG: {said[-400:]}"


def _start(command: Sequence[str | Path], folder: Path) -> "subprocess.Popen[str]":
    own = {"PLAINFILM_CACHE": f"{folder}/cache", "KERAS_HOME": f"{folder}/keras", "HOME": str(folder)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=os.environ | own, stdout=pipe, stderr=pipe, text=True)


def _ended_well(started: "subprocess.Popen[str]") -> str:
    out, said = started.communicate()
    return "works" if started.returncode == 0 else f"WRONG: {(out + said)[-400:]}"


def _served(started: "subprocess.Popen[str]") -> str:
    """Ask a server that has just been started for its health, and stop it."""
    assert started.stdout is not None
    address = json.loads(started.stdout.readline() or "{}").get("address", "")
    healthy = bool(address) and urllib.request.urlopen(f"{address}/api/v1/health").status == 200
    started.send_signal(signal.SIGINT)
    told = _ended_well(started)
    return told if healthy else f"WRONG: does not answer; {told}"


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
    parser.add_argument(
        "--alone", nargs="*", metavar="EXTRA,EXTRA", help="each extra, or these, alone: every command, and nothing else"
    )
    args = parser.parse_args()
    if args.alone is not None:
        with tempfile.TemporaryDirectory() as folder:
            run([sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, str(ROOT)])
            wheel = next(Path(folder).glob("*.whl"))
            told = {extras or "none": alone(wheel, extras) for extras in args.alone or ALONE}
        finish(told, args.out)
        sys.exit(any(said.startswith("WRONG") for each in told.values() for said in each.values()))
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
