"""The whole way from Python, on synthetic radiographs: ingest, train, look, and use the classifier.

python examples/library.py
"""

import tempfile
from pathlib import Path

import plainfilm
from plainfilm.data.phantom import write_phantoms  # synthetic radiographs; take your own folder instead


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

        predictor = plainfilm.load(run.folder / "model.plainfilm")
        for answer in predictor.predict(folder / "radiographs", prevalence=0.05)[:3]:
            print(answer.file.rpartition("/")[2], answer.label, answer.probabilities, answer.level, answer.notes)
        with plainfilm.Store(folder / "made.h5") as store:
            pixels, labels = store.arrays("test")
        print("accuracy once more", predictor.score(pixels, [predictor.classes_[label] for label in labels]))


if __name__ == "__main__":
    main()
