"""Five findings told at once, beside five trainings of one each, on made radiographs: AUROC of each, and the seconds.

Run: python benchmarks/findings.py [--images 1000] [--seed 0] [--keep FOLDER] [--audit]

The films are those of `plainfilm.data.phantom`; four further findings are drawn into them (nodules, an effusion, a dark apex, a large
heart), each by itself, on about a fifth of the patients. Seconds are the processor's, of whole commands of `plainfilm train`; features are
encoded before.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

import plainfilm
from plainfilm.data import phantom, store_writer
from plainfilm.data.phantom import Phantom
from plainfilm.data.store import Columns, Store
from plainfilm.harmless import write_table
from plainfilm.results import documents
from plainfilm.results.metrics import RunMetrics

FINDINGS = ("Opacity", "Nodule", "Effusion", "Pneumothorax", "Cardiomegaly")
SHARE = 0.22  # of the patients that have each drawn finding
UNKNOWN = 0.05  # of the labels that are left blank


def draw(film: Phantom, has: dict[str, bool], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw the findings that a patient has into a film, softly, and as strongly as chance will have it."""
    pixels, lungs = film.pixels.astype(np.float64), film.lungs
    rows, columns = np.nonzero(lungs)
    top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
    height, width = bottom - top, right - left
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    added = np.zeros_like(pixels)
    if has["Nodule"]:
        for _ in range(rng.integers(1, 4)):
            at = rng.integers(len(rows))
            radius = width * rng.uniform(0.02, 0.045)
            added += rng.uniform(25, 60) * (np.hypot(y - rows[at], x - columns[at]) < radius)
    if has["Effusion"]:
        side = left + width * rng.choice([0.25, 0.75])
        level = bottom - height * rng.uniform(0.08, 0.25)
        added += rng.uniform(30, 70) * ((y > level) & (np.abs(x - side) < width * 0.27) & (y < bottom + height * 0.05))
    if has["Pneumothorax"]:
        side = rng.choice([left + width * 0.22, left + width * 0.78])
        far = np.hypot((y - top) / (height * 0.35), (x - side) / (width * 0.2))
        added -= rng.uniform(18, 45) * ((far < rng.uniform(0.7, 1.1)) & lungs)
    if has["Cardiomegaly"]:
        middle = left + width * rng.uniform(0.5, 0.58)
        far = np.hypot((y - top - 0.72 * height) / (height * 0.3), (x - middle) / (width * rng.uniform(0.24, 0.32)))
        added += rng.uniform(25, 55) * (far < 1)
    soft = gaussian_filter(added, width * 0.012)
    return np.clip(pixels + soft, 0, 255).astype(np.uint8)


def make(folder: Path, images: int, seed: int) -> None:
    """Write the films, and a table with a column a finding: 1, 0, or blank where it is not known."""
    folder.mkdir(parents=True)
    rng, by_patient, table = np.random.default_rng(seed), dict[str, dict[str, bool]](), []
    for visit in phantom.plan(images, seed=seed, duplicates=0):
        drawn = {name: bool(rng.random() < SHARE) for name in FINDINGS[1:]}
        has = by_patient.setdefault(visit.patient, {"Opacity": visit.sick, **drawn})
        film = phantom.render(visit)
        Image.fromarray(draw(film, has, rng)).save(folder / f"{visit.name}.png")
        known = {name: "" if rng.random() < UNKNOWN else str(int(has[name])) for name in FINDINGS}
        table.append([f"{visit.name}.png", visit.patient, visit.hospital.name, *known.values()])
    write_table(folder / "metadata.csv", [["file_name", "patient_id", "source", *FINDINGS], *table])


def alone(store: Store, name: str, path: Path) -> None:
    """Write a store of one finding: the same films in the same order under the same split, of which some have no label."""
    own = store.of(name)
    with store_writer.create(path, size=store.size, expected=len(store)) as writer:
        for films in store.batches(256):
            writer.append(films)
        columns = Columns(
            classes=own.classes,
            labels=own.labels,
            split=np.where(own.labels >= 0, own.split, ""),
            **{each: getattr(own, each) for each in ("patient", "source", "file", "sha256", "group", "provenance")},
        )
        writer.finish(columns, attributes={"fit": "stretch", "seed": 0, "tool": "plainfilm", "problems": "{}"})


def trained(store: Path, out: Path, *words: str) -> tuple[RunMetrics, float]:
    """Train by the command line; give what came of it, and the processor seconds of the command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "plainfilm", "train", store, "--out", out, "--overwrite", "--quiet", *words]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return documents.decode((out / "metrics.json").read_bytes(), RunMetrics, out), seconds


def main() -> None:
    """Make, train both ways, and print a row a finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for films, stores and cache, where a later run finds them")
    parser.add_argument("--audit", action="store_true", help="with probes and verdict")
    asked = parser.parse_args()
    words = [] if asked.audit else ["--no-audit"]
    with tempfile.TemporaryDirectory() as made:
        work = asked.keep or Path(made)
        os.environ["PLAINFILM_CACHE"] = str(work / "cache")
        if not (work / "films").is_dir():
            make(work / "films", asked.images, asked.seed)
        if not (work / "all.h5").is_file():
            plainfilm.ingest(work / "films", work / "all.h5", size=256)
        trained(work / "all.h5", work / "run", "--no-audit")  # encodes
        together, seconds = trained(work / "all.h5", work / "run", *words)
        alone_s = 0.0
        with Store(work / "all.h5") as store:
            for name in store.classes:
                alone(store, name, work / f"{name}.h5")
                found, taken = trained(work / f"{name}.h5", work / "run", "--positive", name, *words)
                alone_s += taken
                told, single = together.findings[name].splits["test"].auroc, found.test.auroc
                row = {
                    "finding": name,
                    "together": told.value,
                    "low": told.low,
                    "high": told.high,
                    "alone": single.value,
                }
                print(json.dumps(row | {"apart": told.value - single.value, "seconds": taken}), flush=True)
        print(json.dumps({"seconds together": seconds, "five alone": alone_s, "share": seconds / alone_s}))


if __name__ == "__main__":
    main()
