"""Mistakes as people make them with plainfilm, one a line; tests/test_types.py asks checkers to find each. It is never run."""

from pathlib import Path

import plainfilm

done = plainfilm.ingest("films", "my.h5")
run = plainfilm.train("my.h5", "run")
plainfilm.ingest("films", "my.h5", sizes=224)  # mistake: size
plainfilm.ingest("films", "my.h5", size="224 px")  # mistake: a number
plainfilm.ingest("films")  # mistake: no place for the store
assert done.image_count  # mistake: images
plainfilm.train("my.h5", "run", epoch=5)  # mistake: epochs
plainfilm.train("my.h5", out=3)  # mistake: a path
plainfilm.train("my.h5", "run", recipe=["default"])  # mistake: one recipe
plainfilm.train("my.h5", "run", folds="five")  # mistake: a number
plainfilm.train("my.h5", "run", "default")  # mistake: by its name alone
assert run.accuracy_score  # mistake: no such result
assert run.metrics.splits  # mistake: a dictionary
assert run.result.thresholds  # mistake: threshold
run.folder.joinpath(1)  # mistake: a name
plainfilm.load(["model.plainfilm"])  # mistake: one bundle
plainfilm.load("model.plainfilm").predict("film.png", prevalence="5 %")  # mistake: a share
assert plainfilm.load("model.plainfilm").predict("film.png")[0].probability  # mistake: probabilities
with plainfilm.Store(Path("my.h5"), mode="r") as store:  # mistake: a store is read only
    pixels, labels = store.arrays(0)  # mistake: the name of a part
plainfilm.compare("my.h5", "compared", recipes="default", seeds=[0, 1])  # mistake: how many seeds
plainfilm.evaluates("model.plainfilm", "films", "evaluated")  # mistake: evaluate
plainfilm.ingest("films", "my.h5", fit="zoom")  # mistake: a choice
plainfilm.ingest("films", "my.h5", classes=Path("COVID"))  # mistake: a list
plainfilm.ingest("films", "my.h5", overwrite="no")  # mistake: True or False
plainfilm.ingest("films", None)  # mistake: no place for the store
plainfilm.train(run)  # mistake: what ingest returned
plainfilm.train(plainfilm.export("model.plainfilm", "onnx", "m.onnx"))  # mistake: a store
plainfilm.train("my.h5", settings={1: 5})  # mistake: keys of a recipe
plainfilm.train("my.h5", optimizer="adamm")  # mistake: a choice
plainfilm.train("my.h5", callbacks=[print])  # mistake: callbacks of Keras
plainfilm.audit("my.h5", fail_on="caution")  # mistake: a choice
plainfilm.evaluate("model.plainfilm", "films", "evaluated", mapping={"COVID-19": 1})  # mistake: names of classes
plainfilm.tune("my.h5", backbones=None)  # mistake: a list
plainfilm.export("model.plainfilm", to="onxx", out="m.onnx")  # mistake: a choice
assert run.metrics()  # mistake: a property
assert run.predictions()  # mistake: a property
assert run["metrics"]  # mistake: an attribute
run.plot.roc("red")  # mistake: axes
run.plot.rocs()  # mistake: roc
assert store.size()  # mistake: a number
assert store.fingerprint.digest  # mistake: a text
plainfilm.load("model.plainfilm").explain("film.png", method="lime")  # mistake: a choice
assert plainfilm.load("model.plainfilm").classes  # mistake: classes_
assert plainfilm.describe("my.h5").radiographs  # mistake: a dictionary
accuracy: float = run.result.test.accuracy  # mistake: its value
