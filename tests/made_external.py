"""Stores and bundles for tests of a classifier on other data: made films with and without a bright square."""

import hashlib

import numpy as np
from msgspec import structs

import made_bundles
from made_networks import SIZE, films, square_finder
from plainfilm.data import store_writer
from plainfilm.data.store import Columns
from plainfilm.evidence.outliers import detector
from plainfilm.evidence.statistics.metrics import evaluate
from plainfilm.model import bundle

OWN = "f" * 64  # fingerprint of the store that the bundle was trained on


def pictures(truth, *, seed=0):
    """Films uint8 (n, SIZE, SIZE), with a square where `truth` (n) is 1."""
    with_square, without = films(len(truth), seed=seed)[0], films(len(truth), seed=seed + 1000, squares=False)[0]
    return np.where(np.asarray(truth, bool)[:, None, None], with_square, without)


def write_store(path, images, labels, *, classes=("square", "empty"), fit="stretch", **changed):
    """Write a store; `labels` int64 (n) index `classes`, -1 for none; `changed` are columns."""
    n = len(images)
    columns = {
        "split": np.where(np.asarray(labels) < 0, "", "test"),
        "patient": np.array([""] * n),
        "source": np.array(["harbour"] * n),
        "file": np.array([f"film {k:03d}.png" for k in range(n)]),
        "sha256": np.array([hashlib.sha256(image.tobytes()).hexdigest() for image in images]),
        "group": np.arange(n),
    }
    made = Columns(classes=classes, labels=np.asarray(labels, np.int64), **(columns | changed))
    with store_writer.create(path, size=images.shape[1], expected=n) as writer:
        writer.append(images)
        writer.finish(made, attributes={"fit": fit, "seed": 0})
    return path


def own_metrics(classes=("empty", "square"), positive="square", right=0.98, n=200):
    """Metrics of the model's own test set."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % len(classes)
    chance = np.where(np.arange(len(classes)) == labels[:, None], 0.9, 0.1 / (len(classes) - 1))
    wrong = rng.random(n) > right
    chance[wrong] = np.roll(chance[wrong], 1, axis=1)
    return evaluate(labels, chance, classes=classes, positive=positive, threshold=0.5)


def own_run(test, **changed):
    """Metrics of the run, in which the model's own test set came to `test`."""
    return structs.replace(made_bundles.metrics(**changed), splits={"test": test, "validation": test})


def write_bundle(path, folder, *, classifier=None, seen=b"", metrics=None, **about):
    """Write the finder of squares as a bundle, and open it again."""
    made = classifier or square_finder(folder)
    usual = made.encode(pictures(np.arange(60) % 2, seed=77))
    bundle.write(
        path,
        made,
        about=made_bundles.provenance(
            made.classes_, made_bundles.preprocessing(SIZE), **{"data_fingerprint": OWN} | about
        ),
        metrics=metrics or own_run(own_metrics()),
        recipe='name = "made"\n',
        card="# Card\n",
        outliers=detector.fit(usual).to_bytes(),
        seen=seen,
    )
    return bundle.load(path)
