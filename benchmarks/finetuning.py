"""Fine-tuning all of MobileNet at 224 px from a store against a bare `model.fit` on an array in memory, in turn on the same cores.

    python benchmarks/finetuning.py --out finetuning.json

After each epoch of plainfilm's, Keras' `fit` has one: the same network, loss, optimizer and batches of 32, batch
normalisation in inference mode; its images are float32 (n, 224, 224, 3) in memory, scaled before. Both validate on as many
images. Then the last two blocks alone, on cached maps. Random weights: speed does not ask for ImageNet's.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import plainfilm
from measuring import finish, spread
from plainfilm.data import phantom
from plainfilm.data.store import Store
from plainfilm.model import backbones, encoder, finetuning, heads, recipes, training
from plainfilm.model.cpus import processors
from plainfilm.model.frozen_trunk import Trunk

ROW = backbones.find("mobilenet")
BATCH = 32


class Clock:
    """Seconds of each epoch, of the wall and of the processors: from the end of what came after the one before to its own end."""

    def __init__(self, after: Any = lambda: None) -> None:
        self.taken: list[NDArray[Any]] = []
        self._after, self._start = after, now()

    def __call__(self, number: int, _row: Any) -> None:
        """Note the seconds of an epoch; the first one builds the graph."""
        if number > 1:
            self.taken.append(now() - self._start)
        self._after()
        self._start = now()


def now() -> NDArray[Any]:
    return np.array([time.perf_counter(), time.process_time()])


def bare(weights: Path, inputs: Any, labels: Any, recipe: Any, taken: list[Any], validation: int) -> Any:
    """Give a function that trains the bare network for one epoch and notes its seconds."""
    import keras

    network = backbones.build(ROW, ROW.input_size)
    network.load_weights(weights)
    head = heads.build_head(ROW.width, 2, recipe.head, seed=0)

    class Bare(keras.Model):  # in a functional model, `fit` would put the batch normalisation into training mode
        def __init__(self) -> None:
            super().__init__()
            self.network, self.head = network, head

        def call(self, images: Any, training: bool = False) -> Any:
            return self.head(self.network(images, training=False), training=training)

    model = Bare()
    model.compile(keras.optimizers.Adam(recipe.finetuning.learning_rate), "binary_crossentropy", metrics=["accuracy"])
    norms = [layer for layer in network.layers if layer.name.endswith("_bn")]
    x, y, held = inputs[validation:], labels[validation:, None], (inputs[:validation], labels[:validation, None])

    def epoch() -> None:
        before, start = [norm.get_weights()[2:] for norm in norms], now()
        model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0, validation_data=held)
        taken.append(now() - start)
        after = [norm.get_weights()[2:] for norm in norms]
        for old, new in zip(before, after, strict=True):
            np.testing.assert_array_equal(old, new)

    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=128, help="to train on; 32 more to validate on")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, total = Path(name), args.images + BATCH
        os.environ["PLAINFILM_CACHE"] = name
        phantom.write_phantoms(folder / "films", n=total, duplicates=0)
        plainfilm.ingest(folder / "films", folder / "s.h5")
        weights = folder / "mobilenet.weights.h5"
        backbones.build(ROW, ROW.input_size).save_weights(weights)
        with Store(folder / "s.h5") as store:
            figures = measure(store, weights, args.images, args.rounds)
    finish(figures, args.out)


def measure(store: Store, weights: Path, count: int, rounds: int) -> dict[str, Any]:
    prepare = encoder.preprocessing(ROW, image_size=store.size)
    whole = recipes.load("default", settings(rounds, "all"))
    import keras

    prelude = Trunk(keras.Model(*[keras.Input((224, 224, 3))] * 2), prepare, threads=1)
    rows = np.arange(BATCH + count)
    inputs = prelude.run(store.images(rows))
    theirs: list[Any] = []
    clock = Clock(bare(weights, inputs, store.labels[rows].astype(np.float32), whole, theirs, BATCH))
    tune(store, prepare, weights, whole, clock, count)
    del inputs
    cached, filled = Clock(), []
    start = time.perf_counter()
    tune(store, prepare, weights, recipes.load("default", settings(8, "2")), cached, count,
         progress=lambda done, _all: filled.append((done, time.perf_counter() - start)))  # fmt: skip

    def share(column: int) -> float:
        return statistics.median(b[column] / a[column] for a, b in zip(clock.taken, theirs[1:], strict=True))

    return {
        "backbone": ROW.name,
        "processors": processors(),
        "all_blocks_images_per_s": spread([count / wall for wall, _ in clock.taken]),
        "bare_fit_images_per_s": spread([count / wall for wall, _ in theirs[1:]]),
        "share_of_bare_fit": share(0),
        "share_of_bare_fit_by_processor_seconds": share(1),
        "two_blocks_images_per_s": spread([count / wall for wall, _ in cached.taken]),
        "maps_per_s": (filled[-1][0] - filled[0][0]) / (filled[-1][1] - filled[0][1]),
    }


def settings(epochs: int, blocks: str) -> dict[str, Any]:
    """One epoch more than is timed: the first builds the graph."""
    own = {"blocks": blocks, "epochs": epochs + 1, "batch_size": BATCH, "patience": 0}
    return {"training.class_weight": "none", **{f"finetuning.{name}": value for name, value in own.items()}}


def tune(store: Store, prepare: Any, weights: Path, recipe: Any, clock: Clock, count: int, **more: Any) -> None:
    head = heads.build_head(ROW.width, 2, recipe.head, seed=0)
    rows = np.arange(BATCH + count)
    train, validation = (training.Part(own, store.labels[own], store.images) for own in (rows[BATCH:], rows[:BATCH]))
    finetuning.finetune(head, ROW, prepare, train, validation, 2, 1, recipe, fingerprint=store.fingerprint,
                        weights_file=weights, on_epoch=clock, **more)  # fmt: skip


if __name__ == "__main__":
    main()
