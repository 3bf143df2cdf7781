"""How time and memory of each stage grow with the number of films: `python benchmarks/growth.py --out growth.json`.

Films are made: smooth fields with detail of their own, whose perceptual hashes lie as near to each other as those of real radiographs
(0.16 % of the pairs within 10 bits), without copies and with 20 % (half of them in another tone, half mirrored). The store has images of 32 px, and the features
of its films are put into the cache, so that a training encodes nothing. Each stage runs in a process of its own; figures are its CPU
seconds, without those of its preparation, and its peak memory. An exponent is the slope of their logarithms over that of the rows.
"""

import argparse
import json
import math
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import idctn

from measuring import finish

SIDE, AT_ONCE, CLASSES, HOSPITALS, WIDTH = 64, 1024, 2, 8, 1280
COMMON = 0.5  # share of the shadows' variance that all films have, so that hashes lie as near as real ones
MODES = (
    0.15,
    0.14,
    0.1,
    0.07,
    0.04,
    0.03,
    0.02,
    0.02,
    0.02,
    0.01,
)  # shares of the rest in its main ways to vary, about as of real films
DETAIL, CONTRAST = 0.22, 45.0  # of ribs and vessels; gray levels
RECIPE = "hidden-layer"
Run = Callable[[], object]


def made_films(count: int, copies: float) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Films uint8 (count, 64, 64) and which film each shows; a share of `copies` shows another's."""
    rng = np.random.default_rng(0)
    radius = np.hypot.outer(np.arange(SIDE), np.arange(SIDE))
    shadows = np.where((radius > 0) & (radius < 9), 1 / np.maximum(radius, 1) ** 1.3, 0)
    detail = np.where(radius >= 9, DETAIL / np.maximum(radius, 1) ** 0.8, 0)
    shared = np.sqrt(COMMON) * rng.normal(size=(SIDE, SIDE)) * shadows
    modes = np.sqrt((1 - COMMON) * np.array(MODES))[:, None, None] * rng.normal(size=(len(MODES), SIDE, SIDE)) * shadows
    rest = np.sqrt((1 - COMMON) * (1 - sum(MODES))) * shadows
    scale = CONTRAST * SIDE / np.sqrt(np.square(shadows).sum())
    films = np.empty((count, SIDE, SIDE), np.uint8)
    single = count - int(copies * count)
    for start in range(0, single, AT_ONCE):
        block = films[start : min(start + AT_ONCE, single)]
        own = np.tensordot(rng.normal(size=(len(block), len(MODES))), modes, 1) + rng.normal(size=block.shape) * (
            rest + detail
        )
        block[:] = np.clip(128 + scale * idctn(shared + own, norm="ortho", axes=(1, 2)), 0, 255)
    shows = np.append(np.arange(single), rng.integers(0, single, count - single))
    for start in range(single, count, AT_ONCE):
        rows = np.arange(start, min(start + AT_ONCE, count))
        changed = 128 + rng.uniform(0.8, 1.1, (len(rows), 1, 1)) * (films[shows[rows]] - 128.0)
        changed += rng.normal(0, 1, changed.shape)
        changed[::2] = changed[::2, :, ::-1]
        films[rows] = np.clip(changed, 0, 255)
    order = rng.permutation(count)
    return films[order], shows[order]


def prepare_listing(folder: Path, rows: int, *, tables: bool) -> Run:
    from plainfilm.data.catalog import read_catalog

    for patient in range(rows // 4):
        below = (
            folder
            / "films"
            / f"hospital {patient % HOSPITALS}"
            / "AB"[patient // HOSPITALS % 2]
            / f"patient {patient:06}"
        )
        below.mkdir(parents=True)
        for film in range(4):
            (below / f"{film}.png").touch()
        if tables:
            lines = [f"{film}.png,{'AB'[film % 2]},p{patient}\n" for film in range(4)]
            (below / "metadata.csv").write_text("".join(["file_name,label,patient_id\n", *lines]))
    return lambda: read_catalog([folder / "films"])


def prepare_duplicates(_: Path, rows: int, *, copies: float) -> Run:
    from plainfilm.data import duplicates

    films, _shows = made_films(rows, copies)
    hashes, thumbs = duplicates.perceptual_hash(films), duplicates.thumbnails(films)
    pairs = np.random.default_rng(1).integers(0, rows, (2, 1_000_000))
    near = (np.bitwise_count(hashes[pairs[0]] ^ hashes[pairs[1]]) <= duplicates.HASH_BITS)[pairs[0] != pairs[1]]
    print(f"{near.mean():.2%} of the pairs within {duplicates.HASH_BITS} bits", file=sys.stderr)
    names = list(map(str, range(rows)))
    return lambda: duplicates.find_duplicates(names, hashes, thumbs)


def prepare_copies(folder: Path, rows: int, *, copies: float) -> Run:
    from plainfilm.data.copies import SIDE_PX, CopyFinder
    from plainfilm.data.duplicates import ThumbnailFile

    films, _shows = made_films(rows, copies)
    finder = CopyFinder(ThumbnailFile((folder / "thumbs").open("w+b"), SIDE_PX))
    for start in range(0, rows, 32):
        finder.append(films[start : start + 32])
    return lambda: finder.find(np.arange(rows))


def prepare_split(_: Path, rows: int) -> Run:
    from plainfilm.data import split

    rng = np.random.default_rng(0)
    group = np.arange(rows) // 4
    labels = rng.integers(0, CLASSES, rows // 4)[group]
    return lambda: split.make(labels, group, ("COVID", "NORMAL"))


def prepare_opening(folder: Path, rows: int) -> Run:
    from plainfilm.data.store import Store

    path = apart(made_store, folder, rows)

    def open_and_close() -> None:
        with Store(path) as store:
            assert len(store) == rows

    return open_and_close


def prepare_info(folder: Path, rows: int) -> Run:
    from plainfilm.workflows.info import describe

    path = apart(made_store, folder, rows)
    return lambda: describe(path)


def prepare_train(folder: Path, rows: int) -> Run:
    import plainfilm

    path = apart(made_store, folder, rows)
    apart(fill_cache, path)
    return lambda: plainfilm.train(path, folder / "run", recipe=RECIPE, epochs=3, audit=False)


def prepare_detector(folder: Path, rows: int) -> Run:
    from plainfilm.evidence.outliers import detector

    path = folder / "features.npy"
    features = np.lib.format.open_memmap(path, "w+", np.float32, (rows, WIDTH))
    rng = np.random.default_rng(0)
    for start in range(0, rows, AT_ONCE):
        features[start : start + AT_ONCE] = rng.normal(size=(min(AT_ONCE, rows - start), WIDTH))
    del features
    group = np.arange(rows) // 4

    def fit_and_judge() -> None:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            begin = file.tell()

            def read(chosen: NDArray[np.int64]) -> NDArray[np.float32]:
                out = np.empty((len(chosen), WIDTH), np.float32)
                for place, row in enumerate(chosen.tolist()):
                    file.seek(begin + row * WIDTH * 4)
                    file.readinto(out[place].data)
                return out

            chosen = detector.sample(group, detector.ROWS)
            fitted = detector.fit(read(chosen), group[chosen])
            for start in range(0, rows, AT_ONCE):
                fitted.judge(read(np.arange(start, min(start + AT_ONCE, rows))))

    return fit_and_judge


def prepare_evaluation(_: Path, rows: int) -> Run:
    from plainfilm.evidence.statistics.metrics import evaluate

    rng = np.random.default_rng(0)
    labels, group = rng.integers(0, 2, rows), np.arange(rows) // 4
    chance = np.clip(0.5 + 0.2 * (labels - 0.5) + rng.normal(0, 0.2, rows), 0.01, 0.99)
    both = np.stack([1 - chance, chance], axis=1)
    return lambda: evaluate(labels, both, classes=("A", "B"), positive="B", threshold=0.5, group=group)


def prepare_association(_: Path, rows: int) -> Run:
    from plainfilm.data.association import categories, cramers_v
    from plainfilm.evidence.audit import sources

    rng = np.random.default_rng(0)
    labels, station = rng.integers(0, CLASSES, rows), rng.integers(0, rows // 20, rows)
    words = np.array([f"station {number}" for number in station.tolist()])

    def measure() -> None:
        cramers_v(labels, categories(words))
        sources.cramers_v(labels, rng.integers(0, HOSPITALS, rows), np.arange(rows))

    return measure


def apart(function: Callable[..., Any], *arguments: object) -> Any:
    """Call a function in a process of its own, so that what it takes is not counted."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def made_store(folder: Path, rows: int) -> Path:
    """A store as `ingest` writes it, of noise of 32 px, with some columns that tables have."""
    from plainfilm.data import store, store_writer

    rng = np.random.default_rng(0)
    group = np.arange(rows) // 2
    patient = rng.permutation(rows // 2 + 1)[group]
    labels = rng.integers(0, CLASSES, rows)
    parts = np.array(["train", "validation", "test"])[np.searchsorted([0.7, 0.85], rng.random(rows // 2 + 1))][group]
    columns = store.Columns(
        classes=("COVID", "NORMAL"),
        labels=labels,
        split=parts,
        patient=np.array([f"{number:024x}" for number in patient.tolist()]),
        source=np.array([f"hospital {number}" for number in (group % HOSPITALS).tolist()]),
        file=np.array([f"patients/p{number // 2:08}/study/series/{number:08}.jpg" for number in range(rows)]),
        sha256=np.array([f"{number:064x}" for number in range(rows)]),
        group=group,
        provenance={
            "width": rng.integers(1800, 3000, rows).astype(float),
            "height": rng.integers(1800, 3000, rows).astype(float),
            "age": rng.integers(18, 90, rows).astype(float),
            "format": np.full(rows, "JPEG"),
            "sex": np.where(group % 2, "M", "F"),
            "view": np.where(group % 3, "PA", "AP"),
        },
    )
    path = folder / "made.h5"
    with store_writer.create(path, size=32, expected=rows) as writer:
        for start in range(0, rows, AT_ONCE):
            writer.append(rng.integers(0, 256, (min(AT_ONCE, rows - start), 32, 32), np.uint8))
        told = {"tool": "plainfilm", "fit": "stretch", "seed": 0, "layout": "table", "split": "made", "problems": "{}"}
        counts = dict.fromkeys(
            ("left_out", "exact_duplicates", "near_duplicates", "label_conflicts", "leaking_images"), 0
        )
        writer.finish(columns, keep=np.ones(rows, bool), attributes=told | counts)
    return path


def fill_cache(path: Path) -> None:
    """Put made features of the films of a store where a training looks for them."""
    from plainfilm.data.store import Store
    from plainfilm.model import encoder, recipes

    rng = np.random.default_rng(0)
    with Store(path) as store:
        backbone, prepared = recipes.prepared(recipes.load(RECIPE), store.size)
        real = encoder.open_encoder(backbone, prepared)
        noise, way = rng.normal(size=(AT_ONCE, real.width)).astype(np.float32), rng.normal(0, 0.05, real.width)
        labels = iter(store.labels.tolist())

        def encode(images: NDArray[np.uint8]) -> NDArray[np.float32]:
            signs = np.array([2 * next(labels) - 1 for _ in images])
            return (noise[: len(images)] + signs[:, None] * way).astype(np.float32)

        made = SimpleNamespace(key=real.key, width=real.width, name=real.name, encode=encode, rest=real.rest)
        encoder.encode_store(made, store)  # type: ignore[arg-type]


STAGES: dict[str, Callable[[Path, int], Run]] = {
    "listing": partial(prepare_listing, tables=False),
    "listing, a table in each folder": partial(prepare_listing, tables=True),
    "duplicates": partial(prepare_duplicates, copies=0),
    "duplicates, 20 % copies": partial(prepare_duplicates, copies=0.2),
    "changed copies": partial(prepare_copies, copies=0),
    "changed copies, 20 % copies": partial(prepare_copies, copies=0.2),
    "split": prepare_split,
    "opening": prepare_opening,
    "info": prepare_info,
    "association": prepare_association,
    "train, cached features, with its page": prepare_train,
    "detector": prepare_detector,
    "evaluation": prepare_evaluation,
}


def one(stage: str, rows: int) -> None:
    """Prepare and run a stage in this process; print what it took."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["PLAINFILM_CACHE"] = str(Path(name) / "cache")
        run = STAGES[stage](Path(name), rows)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = _cpu()
        run()
        peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        print(json.dumps({"cpu_s": round(_cpu() - before, 3), "peak_mb": round(int(peak.split()[1]) / 1024, 1)}))


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measure(stage: str, rows: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--stage", stage, "--rows", str(rows)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    if done.returncode:
        sys.exit(f"{stage} of {rows:,} rows ended with {done.returncode}")
    return {"rows": rows, **json.loads(done.stdout.splitlines()[-1])}


def exponents(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Slopes over the rows from the first to the last and in the last step, of CPU seconds and memory; and what a row adds to memory."""

    def slope(key: str, first: dict[str, Any], last: dict[str, Any]) -> float:
        return round(math.log(last[key] / first[key]) / math.log(last["rows"] / first["rows"]), 2)

    first, before, last = runs[0], runs[-2], runs[-1]
    return {
        "cpu": slope("cpu_s", first, last),
        "cpu_last_step": slope("cpu_s", before, last),
        "memory": slope("peak_mb", first, last),
        "kb_a_row": round(1024 * (last["peak_mb"] - first["peak_mb"]) / (last["rows"] - first["rows"]), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[4096, 16384, 65536])
    parser.add_argument("--only", nargs="+", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--stage", choices=list(STAGES), help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.stage:
        one(args.stage, args.rows)
        return
    found = {}
    for stage in args.only:
        runs = [measure(stage, rows) for rows in args.sizes]
        found[stage] = {"runs": runs, "exponents": exponents(runs)}
        print(stage, found[stage], file=sys.stderr)
    finish(found, args.out)


if __name__ == "__main__":
    main()
