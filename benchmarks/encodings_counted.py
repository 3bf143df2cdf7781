"""How many images one audited training sends through its backbone, and through the default one that probes look with.

    python benchmarks/encodings_counted.py --work encodings --backbone mobilenet --out encodings.json

Of mixed and darkcovidnet (../shared), each with an empty cache of features. Images are counted where they enter an encoder or the
finished classifier; the two golden images of each opening, and what the small networks of plainfilm's own look at, are not.
"""

import argparse
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import plainfilm
from measuring import SHARED, finish
from plainfilm.data.store import Store
from plainfilm.model.classifier import Classifier
from plainfilm.model.encoder import Encoder


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count images by the name of the encoder, and those of the classifier as "explanations"."""
    found, encode, run = Counter[str](), Encoder.encode, Classifier.run

    def encoded(self: Encoder, images: Any) -> Any:
        found[self.name] += len(images)
        return encode(self, images)

    def answered(self: Classifier, images: Any, *names: str) -> Any:
        found["explanations"] += len(images)
        return run(self, images, *names)

    with patch.object(Encoder, "encode", encoded), patch.object(Classifier, "run", answered):
        yield found


def measure(work: Path, name: str, backbone: str, weights: Path | None) -> dict[str, Any]:
    path = work / f"{name}.h5"
    if not path.is_file():
        plainfilm.ingest(SHARED / "data" / name, path)
    for part in ("features", "turned", "probes"):
        shutil.rmtree(work / "cache" / part, ignore_errors=True)
    with counted() as found:
        plainfilm.train(path, work / f"run-{name}", backbone=backbone, weights=weights, overwrite=True)
    with Store(path) as store:
        every = len(store)
    own = found[Path(backbone).stem] + found["explanations"]
    return {"images": every, "sent": dict(found), "encodings_by_its_backbone": own / every}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for stores and caches, kept for repeats")
    parser.add_argument("--sets", default="mixed,darkcovidnet")
    parser.add_argument("--backbone", default="mobilenet", help="a name, or an ONNX file")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    os.environ["PLAINFILM_CACHE"] = str(args.work.absolute() / "cache")
    args.work.mkdir(parents=True, exist_ok=True)
    found = {name: measure(args.work, name, args.backbone, args.weights) for name in args.sets.split(",")}
    finish({"backbone": args.backbone, **found}, args.out)


if __name__ == "__main__":
    main()
