"""Right uses of plainfilm in their variants; tests/test_types.py asks checkers to let each pass. It is never run."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

import plainfilm
from plainfilm.results.external import UnlabelledMetrics

folder = Path("films")
more: dict[str, int] = {"training.epochs": 5}
asked: dict[str, Any] = {"size": 224, "fit": "pad"}


class Follower(keras.callbacks.Callback):  # type: ignore[misc, unused-ignore]
    """Says what came of an epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Say it."""
        print(epoch, logs)


def told(stage: str, done: int, every: int, note: str = "") -> None:
    """Say how far it is."""
    print(stage, done, every, note)


done = plainfilm.ingest(
    [folder, "more"], "my.h5", classes=("COVID", "NORMAL"), labels=folder / "labels.csv", fit="pad", on_bad="fail"
)
plainfilm.ingest(sorted(folder.glob("*.zip")), out=Path("my.h5"), keep=["sex"], **asked)
run = plainfilm.train(done, recipe=folder / "mine.toml", settings=more, callbacks=[Follower()], progress=told)
run = plainfilm.train("my.h5", settings=["training.epochs=5"], learning_rate=1, weights=folder, mlflow="sqlite:///m.db")
run = plainfilm.train(
    "my.h5", callbacks=(keras.callbacks.EarlyStopping(), keras.callbacks.CSVLogger("log.csv")), mlflow=True
)
value = run.metrics["splits"]["test"]["accuracy"]["value"] + run.result.test.accuracy.low
run.plot.confusion_matrix(run.plot.roc()).figure.savefig("figure.pdf")
print(
    value,
    run.report.name,
    run.bundle.stem,
    run.predictions["label"].unique(),
    run.result.audit and run.result.audit.verdict,
)
with plainfilm.Store("my.h5") as store:
    for part in ("train", "test"):
        pixels, labels = store.arrays(part)
    store.show(4).save("sheet.png")
    print(
        store.images([0, 1]),
        store.images(np.arange(3)),
        store.images(store.labels == 1),
        store.size + 1,
        store.classes[0],
    )
    plainfilm.audit(store, model=run.bundle, fail_on="possible")
    plainfilm.tune(store, backbones=["mobilenet"], input_sizes=[0, 96], timeout=60)
predictor = plainfilm.load(run.bundle, require_signature="key.pem")
answers = [
    predictor.predict("film.png"),
    predictor.predict(folder),
    predictor.predict(["film.png", folder], prevalence=0.05),
]
answers += [
    predictor.predict(list(folder.iterdir())),
    predictor.predict(pixels),
    predictor.predict([pixels[0], "film.png"]),
    predictor.predict(
        folder, cluster="local:2", mixed=True, progress=lambda stage, done, every, note: print(stage, done, every, note)
    ),
]
print(answers[0][0].probabilities["COVID"], answers[1].labels, [answer.level for answer in answers[2][:3]])
print(predictor.predict(folder.glob("*.png"), explain=folder, explain_by="occlusion").to_frame().head())
print(predictor.predict_proba(pixels)[:, 1], predictor.score(pixels, [predictor.classes_[label] for label in labels]))
predictor.explain("film.png").picture.save("film.png")
plainfilm.export(predictor.bundle, "onnx", folder / "m.onnx", require_signature=Path("key.pem"))
print(plainfilm.compare("my.h5", recipes=["default", folder / "mine.toml"], seeds=3).result.recipes[0].accuracy.mean)
elsewhere = plainfilm.evaluate(
    run.bundle, folder, "at", mapping={"COVID-19": "COVID"}, require_signature="key.pem"
).result
print(elsewhere.recalibration.shift if isinstance(elsewhere, UnlabelledMetrics) else elsewhere.external.n)
about = plainfilm.describe("my.h5", verify=True)
print(about["radiographs"] > 10, about["classes"]["COVID"])
