"""Why a frozen backbone may fail, differently at each try: right and wrong input scaling, two losses, larger steps.

    python benchmarks/scaling.py --data ../shared/data/mixed --seeds 5 --out scaling.json
    python benchmarks/scaling.py --recipes paper-resnet50 --scalings=-1..1 --learning-rates 1e-3,1e-2,1e-1 --out steps.json

Anyone can run it on a folder of their own; it uses MobileNet, whose inputs are meant to be -1 to 1.
"""

import argparse
import itertools
import tempfile
from pathlib import Path
from typing import Any

import plainfilm
from measuring import SHARED, finish

SCALINGS = ("-1..1", "0..1", "caffe", "0..255")
LOSSES = ("crossentropy", "mean_squared_error")


def one(store: Path, out: Path, recipe: str, scaling: str, loss: str, rate: float, seeds: int) -> dict[str, Any]:
    settings = {
        "backbone.name": "mobilenet",
        "backbone.scaling": scaling,
        "training.loss": loss,
        "training.learning_rate": rate,
    }
    row = plainfilm.compare(store, out, recipes=[recipe], seeds=seeds, settings=settings).metrics["recipes"][0]
    return {
        "recipe": recipe,
        "scaling": scaling,
        "loss": loss,
        "learning_rate": rate,
        **{key: row[key] for key in ("accuracy", "auroc", "stability")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "mixed")
    parser.add_argument("--recipes", default="paper-mobilenet,paper-resnet50")
    parser.add_argument("--scalings", default=",".join(SCALINGS))
    parser.add_argument("--learning-rates", default="1e-3")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        store = Path(name) / "data.h5"
        plainfilm.ingest(args.data, store)
        tried = itertools.product(
            args.recipes.split(","), args.scalings.split(","), LOSSES, map(float, args.learning_rates.split(","))
        )
        for recipe, scaling, loss, rate in tried:
            rows.append(one(store, Path(name) / f"{len(rows)}", recipe, scaling, loss, rate, args.seeds))
    finish({"data": args.data.name, "seeds": args.seeds, "rows": rows}, args.out)


if __name__ == "__main__":
    main()
