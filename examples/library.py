"""The whole way from Python, on made radiographs: ingest, train, look, and use the classifier.

python examples/library.py
"""

import tempfile
from pathlib import Path

import plainfilm
from plainfilm.data.phantom import write_phantoms  # made radiographs; take your own folder instead


def main(images: int = 300) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_phantoms(folder / "radiographs", n=images)
        done = plainfilm.ingest(folder / "radiographs", folder / "made.h5")
        print(done.images, "radiographs,", done.counts)

        run = plainfilm.train(folder / "made.h5", folder / "run", settings={"training.epochs": 10, "seed": 1})
        test = run.metrics["splits"]["test"]
        print("accuracy", test["accuracy"])
        print("worth   ", run.metrics["worth"]["sentence"])

        classifier = plainfilm.load(run.folder / "model.plainfilm").classifier
        with plainfilm.Store(folder / "made.h5") as store:
            pixels, labels = store.arrays("test")
        print(classifier.classes_, classifier.predict_proba(pixels[:3]).round(3).tolist(), labels[:3].tolist())


if __name__ == "__main__":
    main()
