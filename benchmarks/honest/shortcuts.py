"""Shortcuts of one class, or of a part of a class, caught and named; false alarms on sets without any; balanced sources.

All sets are real films of one hospital whose labels are drawn by lot, so that nothing tells the class but what is planted:
a letter in a corner of every film of one class of 3, 5, 6 or 8 (20 seeds each, 60 films a class); the same on 30 % of one of
two classes (2,000 and 300 films, 10 seeds each); nothing at all, or an opacity inside the lungs, under made-up names of sources
(200 sets of 300 films); and the probe that reads the source, which each class has in equal shares. A fifth of the sets is audited with the default backbone, the others with an encoder of block means, which costs nothing:
letters in corners are found without an encoder. About an hour on two cores.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from honest import sets
from honest.row import Row
from plainfilm.data.store import Store
from plainfilm.evidence.audit import ridge
from plainfilm.evidence.audit.findings import AuditFindings
from plainfilm.evidence.audit.judging import tell
from plainfilm.evidence.audit.sample import Sample
from plainfilm.evidence.statistics.discrimination import area_under_roc
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.model.lung_segmentation import LungFinder
from plainfilm.results.documents import plain

CLASSES = (3, 5, 6, 8)
SEEDS = 20
CLEAN = 200


def measure(work: Path) -> list[Row]:
    return [*_one_class(work), *_part(work), *_clean(work), *_balanced()]


def _one_class(work: Path) -> list[Row]:
    keys = [("one class", classes, seed) for seed in range(SEEDS) for classes in CLASSES]
    done = sets.runs(
        work, keys, lambda kind, classes, seed: _tagged(work, "several", "rsna", 60 * classes, 1.0, kind, classes, seed)
    )
    caught = [
        run["verdict"] != "no shortcut found" and run["named"] == ["class B"] and "corner tag" in run["cues"]
        for run in done
    ]
    by_number = {
        number: sum(c for c, run in zip(caught, done, strict=True) if run["key"][1] == number) for number in CLASSES
    }
    return [Row("letter on one class of 3, 5, 6, 8: caught, and class and corner tag named", {**plain(wilson(caught)), "of 20": by_number}, "at least 0.95", np.mean(caught) >= 0.95)]  # fmt: skip


def _part(work: Path) -> list[Row]:
    rows = []
    for size, reach in ((2000, "at least 0.8"), (300, "said to be out of reach, or caught")):
        done = sets.runs(work, [("part", 2, seed, size) for seed in range(10)], lambda kind, classes, seed, size: _tagged(work, "several", "", size, 0.3, kind, classes, seed))  # fmt: skip
        caught = [run["verdict"] != "no shortcut found" for run in done]
        said = [c or run["told"] > 0.3 for c, run in zip(caught, done, strict=True)]
        held = np.mean(caught) >= 0.8 if size == 2000 else all(said)
        rows.append(Row(f"letter on 30 % of one class, {size:,} films: caught", {**plain(wilson(caught)), "or said to be out of reach": sum(said)}, reach, held))  # fmt: skip
    return rows


def _clean(work: Path) -> list[Row]:
    kinds = [("rsna", "several"), ("guangzhou", "mixed"), ("nih", "darkcovidnet"), ("", "several")]
    keys = [("clean", 2 + seed % 4, seed, *kinds[seed % 4]) for seed in range(CLEAN)]
    done = sets.runs(work, keys, partial(_clean_run, work))
    alarms = [run["verdict"] != "no shortcut found" for run in done]
    return [Row("sets without a shortcut, made-up sources, half with an opacity in the lungs: alarms", plain(wilson(alarms)), "at most 0.05", np.mean(alarms) <= 0.05)]  # fmt: skip


def _balanced() -> list[Row]:
    below, values = [], []
    for seed in range(300):
        n = (120, 240, 600)[seed % 3]
        labels, source, each = np.arange(n) % 2, np.arange(n) // 2 % 3, np.arange(n)
        sample = Sample(rows=each, labels=labels, group=each, part=ridge.folds(labels, each, seed), classes=("A", "B"))
        scores = ridge.out_of_fold(np.eye(3)[source], labels, sample.part, 2)
        below.append(area_under_roc(labels == 1, scores[:, 1], each, 0.95, strata=sample.part).estimate.high < 0.5)
        values.append(tell(sample, scores)[0].value)
    return [Row("source that each class has alike: interval wholly below 0.5, before its upper end is held at 0.5", {**plain(wilson(below)), "mean AUROC": float(np.mean(values))}, "at most 0.05", np.mean(below) <= 0.05)]  # fmt: skip


def _tagged(work: Path, name: str, source: str, n: int, share: float, _kind: str, classes: int, seed: int, *_: int) -> dict[str, Any]:  # fmt: skip
    random = np.random.default_rng([seed, classes])
    images, group = _drawn(work, name, source, n, random)
    labels = random.permutation(np.arange(len(images)) % classes)
    for row in np.flatnonzero((labels == 1) & (random.random(len(images)) < share)):
        images[row] = sets.tag(images[row], random, corner=seed % 4)
    return _found(_audited(work, seed, lambda: sets.write(work / "now.h5", images, labels, group, seed=seed)))


def _clean_run(work: Path, _kind: str, classes: int, seed: int, source: str, name: str) -> dict[str, Any]:
    random = np.random.default_rng([seed, 7])
    images, group = _drawn(work, name, source, 300, random)
    labels = random.permutation(np.arange(len(images)) % classes)
    hospitals = np.array([f"hospital {k}" for k in range(int(random.integers(2, 5)))])
    if seed // 4 % 2:
        _opacities(images, labels == 1, random)
    made_up = random.choice(hospitals, len(images))
    return _found(_audited(work, seed, lambda: sets.write(work / "now.h5", images, labels, group, seed=seed, source=made_up)))  # fmt: skip


def _audited(work: Path, seed: int, write_it: Callable[[], Store]) -> AuditFindings:
    return sets.audited(work / "now.h5", seed, write_it, None if seed % 5 == 0 else sets.BlockMeans())


def _drawn(work: Path, name: str, source: str, n: int, random: np.random.Generator) -> tuple[sets.Films, Any]:
    images, group = sets.films(work, name, source=source)
    rows = random.permutation(len(images))[:n]
    return images[rows].copy(), group[rows]


def _opacities(images: sets.Films, where: np.ndarray, random: np.random.Generator) -> None:
    """Brighten a round patch deep inside the lungs."""
    rows = np.flatnonzero(where)
    masks = LungFinder().find(images[rows]).masks
    for row, mask in zip(rows, masks, strict=True):
        inside = np.argwhere(gaussian_filter(mask.astype(float), 6) > 0.95) * images.shape[1] // mask.shape[0]
        if len(inside):
            spot = np.zeros(images.shape[1:])
            spot[tuple(inside[random.integers(len(inside))])] = 1
            spot = gaussian_filter(spot, 9)
            images[row] = np.clip(images[row] + 70 * spot / spot.max(), 0, 255).astype(np.uint8)


def _found(found: AuditFindings) -> dict[str, Any]:
    result = found.result
    return {
        "verdict": result.verdict,
        "sentence": result.sentence,
        "cues": list(result.cues),
        "named": sorted({reason.class_ for reason in result.reasons[:1] if reason.class_}),
        "rules": [reason.rule for reason in result.reasons],
        "told": result.power.told if result.power else None,
        "seconds": result.seconds["total"],
        "probes": {name: {c: [own.auroc.value, own.surely, own.told.value, own.told_surely] for c, own in probe.by_class.items()} for name, probe in result.probes.items()},
    }  # fmt: skip
