"""Lateral films that pass, frontal films called lateral, and legitimate films that are refused.

What the check of the view misses when each patient, or each collection, is left out of what it learns from: as
`scripts/train_view.py` measures it, about 4 minutes on one core. Then `SEEDS` splits of `mixed` and `darkcovidnet` with both
backbones: a detector fitted on the training set, with and without the check, judges test films as they are, with a drawn
pacemaker, in another window and as if taken lying; the real laterals (the shipped check has seen them); and strangers.
About 15 minutes on one core.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import outliers as strangers
import train_view
from honest.row import Row
from measuring import SHARED
from plainfilm.data import split
from plainfilm.data.store import Store
from plainfilm.evidence.outliers import detector as outliers
from plainfilm.evidence.outliers.judging import judge
from plainfilm.model import backbones, encoder
from plainfilm.model.view import ViewFinder

COLLECTIONS, BACKBONES, SEEDS, DRAWN = ("mixed", "darkcovidnet"), ("efficientnet_lite0", "mobilenet"), 5, 200
Pixels = NDArray[np.uint8]


def pacemaker(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw a generator below a clavicle and a lead to the heart."""
    side = len(image)
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    x, y = rng.uniform(0.72, 0.82) * side, rng.uniform(0.2, 0.3) * side
    wide, high = rng.uniform(0.09, 0.13, 2) * side
    if rng.random() < 0.3:
        x = side - x
    draw.rounded_rectangle(
        (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2), side // 40, fill=int(rng.integers(225, 256))
    )
    across = np.linspace(x, side * rng.uniform(0.5, 0.58), 24)
    down = (
        y
        + np.linspace(0, 1, 24) ** 1.6 * (side * rng.uniform(0.62, 0.72) - y)
        - np.sin(np.linspace(0, np.pi, 24)) * 0.08 * side
    )
    draw.line(list(zip(across.tolist(), down.tolist(), strict=True)), fill=240, width=max(1, side // 110))
    return np.asarray(picture)


def windowed(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Show another window: narrower or wider, higher or lower, or with a sigmoid."""
    gray = image / 255
    width, centre = rng.choice([rng.uniform(0.5, 0.8), rng.uniform(1.2, 1.6)]), 0.5 + rng.normal(0, 0.08)
    seen = (gray - centre) / width
    shown = 1 / (1 + np.exp(-4 * seen)) if rng.random() < 0.5 else seen + 0.5
    return np.asarray(255 * np.clip(shown, 0, 1), np.uint8)


def lying(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Make a film look taken lying, from the front: wider, turned a little, blurred, with a veil of scatter and noise."""
    side = len(image)
    picture = Image.fromarray(image).rotate(rng.normal(0, 4), Image.Resampling.BILINEAR)
    cut = rng.uniform(0.02, 0.1) * side
    picture = picture.resize((side, side), Image.Resampling.BILINEAR, (0, cut, side, side - cut / 2))
    picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.6, 1.4) * side / 256))
    veil = rng.uniform(0.15, 0.35)
    seen = (np.asarray(picture) / 255) * (1 - veil) + veil * rng.uniform(0.5, 0.8) + rng.normal(0, 0.02, image.shape)
    return np.asarray(255 * np.clip(seen, 0, 1), np.uint8)


LEGITIMATE = {each.__name__: each for each in (pacemaker, windowed, lying)}


def measure(work: Path) -> list[Row]:
    os.environ["PLAINFILM_CACHE"] = str(work / "cache")
    return [*_left_out(work / "left_out.json"), *_detected(work)]


def _kept(path: Path, compute: Any) -> Any:
    if not path.is_file():
        path.write_bytes(json.dumps(compute()).encode())
    return json.loads(path.read_bytes())


def _left_out(path: Path) -> list[Row]:
    found = _kept(path, lambda: train_view.measured(SHARED / "data")[1])
    marked = {name: found["frontals marked"][name] for name in COLLECTIONS}
    return [
        Row("real laterals unmarked, each patient left out", found["laterals unmarked"], "0 of 21", not found["laterals unmarked"]["wrong"]),
        Row("frontals marked as lateral, each collection left out", marked, "at most 1 %", all(each["share"] <= 0.01 for each in marked.values())),
    ]  # fmt: skip


def _detected(work: Path) -> list[Row]:
    rows = []
    for backbone in BACKBONES:
        found = _kept(work / f"{backbone}.json", lambda name=backbone: _of_backbone(work, name))
        for name, kinds in found.items():
            passed = kinds["real lateral"]["with"]["ok"]
            refused = {kind: kinds[kind]["with"]["refused"] for kind in ("radiograph", *LEGITIMATE)}
            rows += [
                Row(f"real laterals unmarked, {name}, {backbone}", passed, "0", passed == 0),
                Row(
                    f"legitimate films refused, {name}, {backbone}",
                    refused,
                    "at most 2 %",
                    max(refused.values()) <= 0.02,
                ),
                Row(f"all shares, {name}, {backbone}", kinds, "", True),
            ]
    return rows


def _of_backbone(work: Path, backbone: str) -> dict[str, Any]:
    row = backbones.find(backbone)
    weights_file = strangers.KERAS_MOBILENET if backbone == "mobilenet" else None
    opened = encoder.open_encoder(row, encoder.preprocessing(row, image_size=strangers.SIZE), weights_file=weights_file)
    others = {"real lateral": _laterals(), **strangers.read(work, 100)}
    elsewhere = {kind: (opened.encode(pixels), pixels) for kind, pixels in others.items()}
    return {name: _of_store(Store(strangers.ingested(work, name)), opened, elsewhere) for name in COLLECTIONS}


def _laterals() -> Pixels:
    files = sorted((SHARED / "data" / "laterals").glob("*.jpg"))
    return np.stack([strangers.images.read(path, size=strangers.SIZE).pixels for path in files])


def _of_store(
    store: Store, opened: encoder.Encoder, elsewhere: dict[str, tuple[NDArray[np.float32], Pixels]]
) -> dict[str, Any]:
    """Shares of each level over the seeds, by kind, with and without the check of the view."""
    features = strangers.encode(opened, store)
    shares: dict[str, dict[str, list[list[float]]]] = {}
    for seed in range(SEEDS):
        parts = split.make(store.labels, store.group, store.classes, seed=seed)
        train, test = np.flatnonzero(parts == "train"), np.flatnonzero(parts == "test")
        chosen = {way: train[own] for way, own in outliers.dealt(store.group[train], seed=seed).items()}
        turned = {way: opened.encode(outliers.turned(store.images(own), way)) for way, own in chosen.items()}
        views = outliers.Turned(features=turned, group={way: store.group[own] for way, own in chosen.items()})
        detector = outliers.fit(features[train], store.group[train], turned=views, seed=seed)
        rng = np.random.default_rng(seed)
        some = store.images(rng.choice(test, min(len(test), DRAWN // SEEDS), replace=False))
        drawn = {kind: np.stack([alter(image, rng) for image in some]) for kind, alter in LEGITIMATE.items()}
        judged = {"radiograph": (features[test], store.images(test)), **elsewhere}
        judged |= {kind: (opened.encode(pixels), pixels) for kind, pixels in drawn.items()}
        for kind, (own, pixels) in judged.items():
            for name, level in _both(detector, own, pixels).items():
                shares.setdefault(kind, {}).setdefault(name, []).append(
                    [float((level == each).mean()) for each in strangers.LEVELS]
                )
    return {
        kind: {
            name: dict(zip(strangers.LEVELS, np.mean(each, axis=0).tolist(), strict=True))
            for name, each in both.items()
        }
        for kind, both in shares.items()
    }


def _both(detector: outliers.Detector, features: NDArray[np.float32], pixels: Pixels) -> dict[str, NDArray[np.str_]]:
    views = ViewFinder().find(pixels)
    return {
        "without": detector.judge(features, pixels=pixels).level,
        "with": judge(detector, features, views=views, pixels=pixels).level,
    }
