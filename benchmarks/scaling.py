"""Why a backbone may fail at random: the same recipe with right and wrong input scaling, and with two losses.

    python benchmarks/scaling.py --data ../shared/data/mixed --seeds 5 --out scaling.json

Anyone can run it on a folder of their own; it uses MobileNet, whose inputs are meant to be -1 to 1.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from measuring import SHARED, finish
from plainfilm import pipeline

SCALINGS = ("-1..1", "0..1", "caffe", "0..255")
LOSSES = ("crossentropy", "mean_squared_error")


def one(store: Path, out: Path, recipe: str, scaling: str, loss: str, seeds: int) -> dict[str, Any]:
    settings = {"backbone.name": "mobilenet", "backbone.scaling": scaling, "training.loss": loss}
    row = pipeline.compare(store, out, recipe_names=[recipe], seeds=seeds, settings=settings).metrics["recipes"][0]
    return {
        "recipe": recipe,
        "scaling": scaling,
        "loss": loss,
        **{key: row[key] for key in ("accuracy", "auroc", "stability")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "mixed")
    parser.add_argument("--recipes", default="paper-mobilenet,paper-resnet50")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        store = Path(name) / "data.h5"
        pipeline.ingest(args.data, store)
        for recipe in args.recipes.split(","):
            for scaling in SCALINGS:
                for loss in LOSSES:
                    rows.append(one(store, Path(name) / f"{len(rows)}", recipe, scaling, loss, args.seeds))
    finish({"data": args.data.name, "seeds": args.seeds, "rows": rows}, args.out)


if __name__ == "__main__":
    main()
