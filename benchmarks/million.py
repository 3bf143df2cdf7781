"""Opening a store of a million films, `plainfilm info`, and `plainfilm train` on cached features: peak memory and processor time.

    python benchmarks/million.py --out million.json

Store and features are made: columns, digests and seals as an ingest and an encoding write them, but no pixels. HDF5 gives zeros in their place, which
is what the digests are of, so that all that is read is checked as ever. `--cell` adds a column in which one cell is that long.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from measuring import finish
from plainfilm.data import cache, hdf5, store_writer
from plainfilm.data.store import FORMAT, Columns, Store
from plainfilm.model import encoder, recipes

SIZE, AT_ONCE = 64, 4096
WAITS = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_maxrss / 1024, used.ru_utime + used.ru_stime]))
"""  # a small process: the kernel counts the memory of whoever starts a process as that process's own
OPENS = "import sys; from plainfilm.data.store import Store; Store(sys.argv[1]).close()"
ABOUT = {"fit": "stretch", "seed": 0, "layout": "table", "tool": "plainfilm", "patients": "over all sources", "split": "made", "left_out": 0,
         "exact_duplicates": 0, "near_duplicates": 0, "label_conflicts": 0, "leaking_images": 0, "problems": "{}"}  # fmt: skip


def make_store(path: Path, rows: int, cell: int) -> None:
    """Write a store of two classes, eight hospitals and two films a patient."""
    rng, row = np.random.default_rng(0), np.arange(rows)
    group = row // 2
    words = {"format": ["JPEG"], "sex": ["F", "M"], "view": ["PA", "PA", "AP"]}
    provenance = {name: np.array(values)[group % len(values)] for name, values in words.items()}
    provenance |= {
        name: rng.integers(18, most, rows).astype(float) for name, most in {"width": 3000, "age": 90}.items()
    }
    if cell:
        provenance["report"] = np.array(["y" * cell, *["short"] * (rows - 1)], object)
    told = Columns(
        classes=("COVID", "NORMAL"),
        labels=rng.integers(0, 2, rows),
        split=np.array(["train", "validation", "test"])[np.searchsorted([0.7, 0.85], rng.random(group[-1] + 1))[group]],
        patient=np.array([hashlib.sha256(b"%d" % each).hexdigest()[:24] for each in group.tolist()]),
        source=np.array([f"hospital {number}" for number in range(8)])[group % 8],
        file=np.array([f"p{each // 2:08}/a folder of one examination/film {each:08}.jpg" for each in row.tolist()]),
        sha256=np.array([hashlib.sha256(b"film %d" % each).hexdigest() for each in row.tolist()]),
        group=group,
        provenance=provenance,
    )  # fmt: skip
    with store_writer.create(path, size=SIZE, expected=rows) as writer:
        writer._digests += hashlib.sha256(bytes(SIZE * SIZE)).digest() * rows
        writer.finish(told, attributes=ABOUT)
    hdf5.remember(path, FORMAT)


def make_features(path: Path) -> None:
    """Write what an encoding of a store would: features that tell the classes a little, and the hashes of its images."""
    recipe, rng = recipes.load("default"), np.random.default_rng(0)
    with Store(path) as store:
        opened = encoder.open_encoder(*recipes.prepared(recipe, store.size))
        key = hashlib.sha256(f"{opened.key} {store.fingerprint}".encode()).hexdigest()[:32]
        base, apart = (
            rng.normal(0, wide, (high, opened.width)).astype("f4") for wide, high in ((1, AT_ONCE), (0.03, 1))
        )
        with cache.written(cache.cache_folder() / "features" / f"{key}.npy") as file:
            shape = (len(store), opened.width)
            np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
            for at in range(0, len(store), AT_ONCE):
                label = store.labels[at : at + AT_ONCE, None]
                file.write((base[: len(label)] + np.where(label > 0, apart, -apart) + np.float32(at * 1e-7)).tobytes())
        hashes = {
            "hashes": rng.integers(0, 2**63, len(store), dtype=np.uint64),
            "details": rng.integers(0, 256, (len(store), 24), np.uint8),
        }
        encoder.remembered("signatures", f"signatures 1 {store.fingerprint}", lambda: hashes)


def measured(command: Sequence[str | Path]) -> dict[str, float]:
    """Run a command to its end: peak memory (MB), processor time and time of the clock (s)."""
    began = time.perf_counter()
    waited = subprocess.run(
        [sys.executable, "-S", "-c", WAITS, sys.executable, *map(str, command)], stdout=subprocess.PIPE, check=True
    )
    code, peak_mb, cpu_s = json.loads(waited.stdout)
    if code:
        sys.exit(f"{command} ended with {code}")
    return {"mb": peak_mb, "cpu_s": cpu_s, "s": time.perf_counter() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--cell", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        os.environ["PLAINFILM_CACHE"] = str(folder / "cache")
        folder.mkdir(exist_ok=True)
        store = folder / "million.h5"
        make_store(store, args.rows, args.cell)
        found = {
            "nothing": measured(["-c", "import h5py, plainfilm.data.store"]),
            "opening": measured(["-c", OPENS, store]),
        }
        found["info"] = measured(["-m", "plainfilm", "info", store, "--json"])
        if args.epochs:
            make_features(store)
            train = [
                "-m",
                "plainfilm",
                "train",
                store,
                "--out",
                folder / "run",
                "--overwrite",
                "--no-audit",
                "--quiet",
                "--epochs",
                args.epochs,
            ]
            found["train"] = measured(train)
            found["train"] |= {
                "seconds": json.loads((folder / "run" / "metrics.json").read_text())["seconds"]["training"]
            }
    finish({"rows": args.rows, "cell": args.cell, "epochs": args.epochs, **found}, args.out)


if __name__ == "__main__":
    main()
