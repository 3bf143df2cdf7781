"""A text, an electrode or a tube inside the lungs as the only difference between two classes: caught and named.

All sets are 300 real films of one class of one collection from which the detector never learnt (RSNA, NIH ChestX-ray14,
Valencia), whose labels are drawn by lot. Every film of one of the two classes gets one object inside the lungs (20 seeds
a kind), drawn by other code and letters than what the detector was trained on; 40 sets get none. Then the shares of sick
and well in which objects are found, within one collection. The encoder is one of block means, which knows nothing of
such objects and costs nothing: the probe of objects does without. About half an hour on two cores.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from honest import sets
from honest.row import Row
from plainfilm.evidence.audit.audit import SAMPLE
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.model.lung_segmentation import LungFinder
from plainfilm.results.documents import plain

SEEDS = 20
CLEAN = 40
FILMS = 300
COLLECTIONS = (("several", "rsna", "NORMAL"), ("darkcovidnet", "", "NORMAL"), ("several", "bimcv-valencia", "COVID"))
REAL = (("darkcovidnet", "", "NORMAL", "PNEUMONIA"), ("several", "nih-cxr14", "NORMAL", "PNEUMONIA"),
        ("several", "guangzhou-pediatric", "NORMAL", "PNEUMONIA"), ("several", "shenzhen", "NORMAL", "TB"))  # fmt: skip
Coverage = NDArray[np.float64]
_WORDS = ("PORTABEL", "LIEGEND", "BETT 12", "Rechts", "14.02.21", "St. Anna", "ICU 3", "AP 90kV", "X-RAY 7")


def measure(work: Path) -> list[Row]:
    rows, every = [], []
    for kind in OBJECTS:
        done = sets.runs(work, [(kind, seed) for seed in range(SEEDS)], partial(_run, work))
        caught = [run["verdict"] != "no shortcut found" and "foreign objects" in run["cues"] for run in done]
        every += caught
        rows.append(Row(f"{kind} inside the lungs of one class: caught and named", plain(wilson(caught)), "at least 0.9", np.mean(caught) >= 0.9))  # fmt: skip
    rows.append(Row("all three", plain(wilson(every)), "at least 0.9", np.mean(every) >= 0.9))
    clean = [run["verdict"] != "no shortcut found" for run in sets.runs(work, [("none", seed) for seed in range(CLEAN)], partial(_run, work))]  # fmt: skip
    rows.append(Row("nothing drawn: alarms", plain(wilson(clean)), "at most 0.05", np.mean(clean) <= 0.05))
    rows += [
        Row(
            f"{' '.join(run['of'])}: the probe of objects, and shares found",
            {"auroc": run["auroc"], "speaks": run["speaks"], **run["shares"]},
            "no aim: real objects are among them",
            reached=True,
        )
        for run in sets.runs(work, [("real", at) for at in range(len(REAL))], partial(_real, work))
    ]
    return rows


def _distance(size: int, points: NDArray[np.float64]) -> Coverage:
    """Distance of each pixel from the nearest of some points (row, column)."""
    place = np.stack(np.mgrid[:size, :size], axis=-1).astype(np.float64)
    return np.asarray(np.min([np.hypot(*(place - point).transpose(2, 0, 1)) for point in points], axis=0))


def _text(size: int, at: NDArray[np.float64], random: np.random.Generator) -> Coverage:
    """Write a word in Pillow's old bitmap letters."""
    word = str(random.choice(_WORDS))
    font = ImageFont.load_default_imagefont()
    left, top, right, bottom = font.getbbox(word)
    letters = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2))
    ImageDraw.Draw(letters).text((1, 1), word, fill=255, font=font)
    scale = random.uniform(0.9, 1.6)
    letters = letters.resize((round(letters.width * scale), round(letters.height * scale)), Image.Resampling.BICUBIC)
    picture = Image.new("L", (size, size))
    picture.paste(letters, (int(at[1] - letters.width / 2), int(at[0] - letters.height / 2)))
    return np.asarray(picture, np.float64) / 255


def _electrode(size: int, at: NDArray[np.float64], random: np.random.Generator) -> Coverage:
    """Draw a round pad with a bright snap, and sometimes the beginning of its cable."""
    far = _distance(size, at[None])
    radius = random.uniform(6, 10)
    made = 0.35 * (far < radius) + 0.65 * (far < radius * random.uniform(0.35, 0.55))
    if random.random() < 0.5:
        way = np.linspace(0, random.uniform(20, 50), 80)[:, None] * np.array([-1.0, random.normal(0, 0.4)])
        made = np.maximum(made, 0.7 * (_distance(size, at + way) < 0.9))
    return np.asarray(gaussian_filter(made, 0.6))


def _tube(size: int, at: NDArray[np.float64], random: np.random.Generator) -> Coverage:
    """Draw a wavy tube with two walls, or a solid line, 60 to 140 px long."""
    along = np.linspace(-0.5, 0.5, 200) * random.uniform(60, 140)
    side = random.uniform(2, 10) * np.sin(along / random.uniform(15, 40) + random.uniform(0, 6))
    turn = random.normal(np.pi / 2, 0.6)
    points = at + np.stack([along * np.sin(turn) + side * np.cos(turn), along * np.cos(turn) - side * np.sin(turn)], 1)
    far, half = _distance(size, points), random.uniform(1.0, 2.6)
    made = np.exp(-np.square((far - half) / 0.7)) if half > 1.8 else (far < half).astype(np.float64)
    return np.asarray(gaussian_filter(made + 0.25 * (far < half), 0.5).clip(0, 1))


OBJECTS: dict[str, Callable[[int, NDArray[np.float64], np.random.Generator], Coverage]] = {
    "text": _text,
    "electrode": _electrode,
    "tube": _tube,
}


def planted(images: sets.Films, where: NDArray[np.bool_], kind: str, random: np.random.Generator) -> sets.Films:
    """Draw an object inside the lungs of some films uint8 (n, s, s): bright, 40 to 90 % opaque."""
    images = images.copy()
    rows = np.flatnonzero(where)
    for row, mask in zip(rows, LungFinder().find(images[rows]).masks, strict=True):
        deep = gaussian_filter(mask.astype(float), 3)
        inside = np.argwhere(deep > 0.9 * deep.max()) * images.shape[1] / mask.shape[0]
        if mask.any():
            shape = OBJECTS[kind](images.shape[1], inside[random.integers(len(inside))], random)
            light = random.uniform(0.4, 0.9) * shape * (random.uniform(200, 250) - images[row])
            images[row] = np.clip(images[row] + np.maximum(light, 0), 0, 255).astype(np.uint8)
    return images


def _run(work: Path, kind: str, seed: int) -> dict[str, Any]:
    random = np.random.default_rng([seed, 15])
    name, source, label = COLLECTIONS[seed % len(COLLECTIONS)]
    images, group = sets.films(work, name, source=source, label=label)
    rows = random.permutation(len(images))[:FILMS]
    labels = random.permutation(np.arange(len(rows)) % 2)
    films = images[rows] if kind == "none" else planted(images[rows], labels == 1, kind, random)
    found = sets.audited(work / "now.h5", seed, lambda: sets.write(work / "now.h5", films, labels, group[rows], seed=seed), sets.BlockMeans()).result  # fmt: skip
    shares = {name: {own: share.value for own, share in each.by_class.items()} for name, each in found.objects.items()}
    return {
        "verdict": found.verdict,
        "cues": list(found.cues),
        "sentence": found.sentence,
        "auroc": found.probes["objects"].auroc.value,
        "shares": shares,
        "seconds": dict(found.seconds),
    }


def _real(work: Path, _kind: str, at: int) -> dict[str, Any]:
    name, source, *classes = REAL[at]
    parts = [sets.films(work, name, source=source, label=label) for label in classes]
    labels = np.repeat([0, 1], [len(images) for images, _ in parts])
    images, group = (np.concatenate(own) for own in zip(*parts, strict=True))
    found = sets.audited(work / "now.h5", 0, lambda: sets.write(work / "now.h5", images, labels, group, seed=0, classes=tuple(classes)), sets.BlockMeans()).result  # fmt: skip
    own = found.probes["objects"]
    return {
        "of": REAL[at],
        "n": min(own.n, SAMPLE),
        "auroc": plain(own.auroc),
        "speaks": any(reason.rule.startswith("objects") for reason in found.reasons),
        "shares": {name: {c: plain(share) for c, share in each.by_class.items()} for name, each in found.objects.items()},
    }  # fmt: skip
