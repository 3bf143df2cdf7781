"""How often the peak of a picture lies within a tenth of the side of an opacity that was planted there.

Soft opacities are planted in half of 1,216 normal films of four collections (RSNA, NIH, Shenzhen, Guangzhou); the films are ingested, a
model is trained on who has one, and its pictures of 100 test films that have one are asked where it is, by every method.
Occlusion, which takes 225 passes a film, is asked for 20 films. For each of `SEEDS` seeds about 5 minutes on one core.
"""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from honest.row import Row
from measuring import SHARED
from plainfilm.evidence.explanation import attribution
from plainfilm.evidence.explanation.planting import distance, plant
from plainfilm.evidence.explanation.pointing import NEAR
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.model.classifier import Classifier
from plainfilm.model.lung_segmentation import LungFinder

SEEDS, FILMS, TRIED, OCCLUDED = 3, 1360, 100, 20

DEFAULT = "Grad-CAM"


def measure(work: Path) -> list[Row]:
    os.environ["PLAINFILM_CACHE"] = str(work / "cache")
    found = [_kept(work / f"{seed}.json", work / str(seed), seed) for seed in range(SEEDS)]
    rows = []
    for seed, one in enumerate(found):
        rows.append(Row(f"AUC of the model, seed {seed}", one["auc"], "0.9 or more", one["auc"] >= 0.9))
        for method, rate in one["methods"].items():
            rows.append(
                Row(f"{method}, seed {seed}", rate, "60 % by the default", method != DEFAULT or rate["value"] >= 0.6)
            )
        rows.append(Row(f"what the report says, seed {seed}", one["said"], "", True))
    return rows


def _kept(path: Path, work: Path, seed: int) -> Any:
    if not path.is_file():
        path.write_text(json.dumps(_one(work, seed), indent=1))
    return json.loads(path.read_text())


def _films(folder: Path, seed: int) -> dict[str, tuple[int, int]]:
    """Write films with and without an opacity, and give the place of each that has one."""
    rng, finder, places = np.random.default_rng(seed), LungFinder(), {}
    with (SHARED / "data" / "several" / "metadata.csv").open(newline="") as file:
        names = [
            row["file_name"] for row in csv.DictReader(file) if row["label"] == "NORMAL" and row["source"] != "jsrt"
        ]
    for number, name in enumerate(rng.permutation(names)[:FILMS]):
        with Image.open(SHARED / "data" / "several" / name) as opened:
            image = np.asarray(opened.convert("L").resize((256, 256), Image.Resampling.BILINEAR))
        planted = plant(image, finder.find(image[None]).masks[0], rng) if number % 2 else None
        path = folder / ("OPACITY" if planted else "NORMAL") / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if planted:
            image, places[f"{path.parent.name}/{path.name}"] = planted
        Image.fromarray(image).save(path)
    return places


def _one(work: Path, seed: int) -> dict[str, Any]:
    import plainfilm
    from plainfilm.data.store import Store

    places = _films(work / "films", seed)
    plainfilm.ingest(work / "films", work / "films.h5", seed=seed)
    run = plainfilm.train(work / "films.h5", work / "run", settings={"seed": seed})
    store, classifier = Store(work / "films.h5"), plainfilm.load(run.folder / "model.plainfilm").bundle.classifier
    rows = np.array([row for row in store.rows("test") if store.file[row] in places][:TRIED])
    images, where = store.images(rows), np.array([places[store.file[row]] for row in rows])
    label = np.full(len(rows), store.classes.index("OPACITY"))
    explained = run.metrics["explanation"]
    return {
        "auc": run.metrics["splits"]["test"]["auroc"]["value"],
        "methods": {name: _rate(maps, where) for name, maps in _maps(classifier, images, label)},
        "said": {"pointing": explained["pointing"], "faithfulness": explained["faithfulness"]["sentence"]},
    }


def _rate(maps: NDArray[np.float32], places: NDArray[np.int64]) -> dict[str, Any]:
    near = distance(maps, places[: len(maps)]) <= NEAR
    rate = wilson(near)
    return {"near": int(near.sum()), "of": len(near), "value": rate.value, "low": rate.low, "high": rate.high}


def _maps(
    classifier: Classifier, images: NDArray[np.uint8], label: NDArray[np.int64]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Maps by method: Grad-CAM as it is, with cells joined by straight lines, of the positive weights alone; occlusion."""
    yield DEFAULT, attribution.grad_cam(classifier, images, label)
    maps, slopes = classifier.run(images, "maps", "slopes")
    sign = 1 if classifier.decision.positive == classifier.classes_[label[0]] else -1
    weights = slopes[np.arange(len(label)), label] if slopes.shape[1] > 1 else sign * slopes[:, 0]
    layer = np.einsum("nc,nchw->nhw", np.maximum(weights, 0), np.maximum(maps, 0))
    yield "LayerCAM of the last maps", attribution._enlarged(layer, images.shape[1])
    cam = np.maximum(np.einsum("nc,nchw->nhw", weights, maps), 0)
    yield "Grad-CAM enlarged bilinearly", np.stack([_bilinear(each, images.shape[1]) for each in cam])
    few = slice(OCCLUDED)
    for squares in (8, 5):
        found = attribution.occlusion(classifier, images[few], label[few], squares=squares)
        yield f"occlusion by a square of 1/{squares}", found


def _bilinear(one: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(one).resize((size, size), Image.Resampling.BILINEAR))
