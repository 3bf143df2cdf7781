"""How often the peak of a picture lies within a tenth of the side of an opacity that was planted there.

Soft opacities are planted in half of 1,216 normal films of four collections (RSNA, NIH, Shenzhen, Guangzhou); the films are ingested, a
model is trained on who has one, and its pictures of 100 test films that have one are asked where it is, by every method.
For each of `SEEDS` seeds about 3 minutes on one core.
"""

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from honest.row import Row
from measuring import SHARED
from plainfilm.evidence.explanation import attribution
from plainfilm.evidence.explanation.planting import distance, plant
from plainfilm.evidence.statistics.intervals import wilson
from plainfilm.model.lung_segmentation import LungFinder

SEEDS, FILMS, TRIED, NEAR = 2, 1216, 100, 0.1


def measure(work: Path) -> list[Row]:
    os.environ["PLAINFILM_CACHE"] = str(work / "cache")
    found = [_kept(work / f"{seed}.json", work / str(seed), seed) for seed in range(SEEDS)]
    rows = []
    for seed, one in enumerate(found):
        rows.append(Row(f"AUC of the model, seed {seed}", one["auc"], "0.9 or more", one["auc"] >= 0.9))
        for method, rate in one["methods"].items():
            rows.append(Row(f"{method}, seed {seed}", rate, "60 % by the default", rate["value"] >= 0.6))
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
    test = store.rows("test")
    rows = np.array([row for row in test if store.file[row] in places][:TRIED])
    images, where = store.images(rows), np.array([places[store.file[row]] for row in rows])
    label = np.full(len(rows), store.classes.index("OPACITY"))
    methods = {}
    for name, method in METHODS.items():
        near = distance(method(classifier, images, label), where) <= NEAR
        rate = wilson(near)
        methods[name] = {
            "near": int(near.sum()),
            "of": len(near),
            "value": rate.value,
            "low": rate.low,
            "high": rate.high,
        }
    return {
        "auc": run.metrics["splits"]["test"]["auroc"]["value"],
        "methods": methods,
        "said": run.metrics["explanation"],
    }


METHODS = {"grad_cam": attribution.grad_cam, "occlusion": attribution.occlusion}
