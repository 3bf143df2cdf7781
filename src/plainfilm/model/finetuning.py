"""Trains a backbone's own weights on, after the head: its last blocks on cached maps, or all of it; then exports it again.

Batch normalisation stays in inference mode: with few images a batch its statistics would forget ImageNet's.
"""

import contextlib
import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from plainfilm.data import cache
from plainfilm.errors import RecipeError
from plainfilm.model import backbones, checkpoints, encoder, heads, kept_fits, keras_backend, training, weights
from plainfilm.model.backbones import Backbone
from plainfilm.model.callbacks import Callback, Following
from plainfilm.model.encoder import Encoder
from plainfilm.model.frozen_trunk import divide, mapped
from plainfilm.model.group_dro import GroupWeights
from plainfilm.model.passes import Stretch
from plainfilm.model.recipe_schema import FinetuningSettings, Recipe, parse_blocks
from plainfilm.model.training import Course, Fitted, Part
from plainfilm.results.manifest import Preprocessing

_VERSION = 1
_AHEAD = 2  # batches read while one is trained on


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetuned:
    """The tuned encoder, and the head tuned with it; `fitted.epoch` 0 means that no epoch was better than the frozen backbone."""

    encoder: Encoder
    fitted: Fitted


def finetune(
    head: Any,
    backbone: Backbone,
    prepare: Preprocessing,
    train: Part,
    validation: Part,
    classes: int,
    positive: int,
    recipe: Recipe,
    *,
    fingerprint: str,
    ended: GroupWeights | None = None,
    weights_file: Path | None = None,
    checkpoint: Path | None = None,
    on_epoch: training.EpochCallback = lambda _n, _m: None,
    callbacks: Sequence[Callback] = (),
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Finetuned:
    """Train the last blocks of a backbone, or all, together with its head.

    Parameters
    ----------
    head
        Keras model of `training.fit_head`, trained on the frozen backbone's features; it stays as it is.
    backbone, prepare, weights_file
        As for `encoder.open_encoder`.
    train, validation
        Parts whose inputs are gray uint8 images (b, s, s).
    classes, positive
        Number of classes; index of the positive one.
    fingerprint
        Of the images that the parts read, altered views included.
    ended
        What group DRO weighed when the head's training ended; it stays.
    checkpoint
        A file that each epoch is kept in; where it is there, the training goes on from it and ends with the same bits as
        if it had never stopped. It stays when the training ends.
    on_epoch
        Called after each epoch with its number (from 1) and its metrics.
    callbacks
        Callbacks of Keras that passed `callbacks.check`; a training that goes on tells them of its own epochs alone.
    progress
        Called with done and all while the trunk runs over the images.

    Raises
    ------
    RecipeError
        A user's ONNX file as backbone; more blocks than there are; the training diverged.
    UsageError
        The checkpoint is of another training.
    """
    if not backbone.builder:
        raise RecipeError(
            f"Expected a backbone of {', '.join(backbones.BACKBONES)} to fine-tune; received the ONNX file {backbone.name}. "
            "Set finetuning.blocks to none."
        )
    found = weights.locate(backbone, weights_file)
    with _precision(recipe.finetuning.precision):
        network = weights.network(backbone, prepare.input_size, found)
        tuned_head = _copy(head)
        digest = _digest(network, head, prepare, train, validation, recipe, fingerprint)
        trunk, top = divide(network, backbone, parse_blocks(recipe.finetuning.blocks))
        model = _joined(top, tuned_head)
    start = time.perf_counter()
    about = f"{fingerprint} {recipe.augmentation} {recipe.seed}"
    with mapped(trunk, prepare, train, validation, about=about, progress=progress) as parts:
        course = _course(model, classes, positive, *parts, recipe, ended)
        _train(model, course, recipe, digest, checkpoint, on_epoch, callbacks)
    kept = course.settle("finetuning.learning_rate")
    backend = keras_backend.used("gpu" if keras_backend.has_gpu() else "cpu")
    fitted = Fitted(tuned_head, course.history, kept, time.perf_counter() - start, backend, ended)
    return Finetuned(encoder=_export(network, backbone, prepare, found.sha256), fitted=fitted)


def entry(
    head: Path,
    backbone: Backbone,
    prepare: Preprocessing,
    recipe: Recipe,
    fingerprint: str,
    *,
    weights_file: Path | None,
) -> Path:
    """Name the entry of the cache for a fine-tuning that begins with a head of `kept_fits.path_of`; the rest is as for `finetune`."""
    found = weights.locate(backbone, weights_file)
    about = f"{_VERSION} {backbone.builder} {backbone.depth} {found.sha256} {prepare.digest()} {fingerprint}"
    device = "gpu" if keras_backend.has_gpu() else "cpu"
    return kept_fits.tuned_path(head, about, device, recipe.finetuning, recipe.augmentation)


def write(path: Path, tuned: Finetuned) -> None:
    """Keep what `finetune` gave as an entry of the cache; the encoder is one of its own."""
    of = tuned.encoder
    told = kept_fits.to_arrays(tuned.fitted, network=of.path.name, key=of.key, weights_sha256=of.weights_sha256)
    cache.write_arrays(path, told)


def read(path: Path, head: Any, backbone: Backbone, prepare: Preprocessing) -> Finetuned | None:
    """Give back what `write` kept; None where the encoder is no more. `head` is as for `finetune`."""
    kept = cache.read_arrays(path)
    if kept is None:
        return None
    about = json.loads(str(kept["about"]))
    network = encoder.cached_at(about["network"])
    if not cache.has(network):
        return None
    opened = Encoder(
        network, key=about["key"], name=backbone.name, preprocessing=prepare, weights_sha256=about["weights_sha256"]
    )
    return Finetuned(encoder=opened, fitted=kept_fits.from_arrays(kept, _copy(head)))


@contextlib.contextmanager
def _precision(asked: str) -> Iterator[None]:
    """Build layers in a precision: "auto" is mixed_float16 where there is a GPU."""
    keras = keras_backend.load()
    before = keras.config.dtype_policy()
    has_gpu = asked == "auto" and keras_backend.has_gpu()
    keras.config.set_dtype_policy("mixed_float16" if has_gpu else "float32" if asked == "auto" else asked)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _copy(head: Any) -> Any:
    """Copy a head; its Dropout begins again from its seed, whatever was drawn before."""
    copy = type(head).from_config(
        head.get_config()
    )  # not compiled: Keras could not find a loss of findings by its name
    copy.set_weights(head.get_weights())
    return copy


def _joined(top: Any, head: Any) -> Any:
    """Join top and head to a model that trains both, the top always in inference mode, Dropout in the head not."""
    keras = keras_backend.load()

    class Joined(keras.Model):  # type: ignore[misc, name-defined]  # Keras ships no types
        def __init__(self) -> None:
            super().__init__()
            self.top, self.head = top, head

        def call(self, maps: Any, training: bool = False) -> Any:
            return self.head(self.top(maps, training=False), training=training)

        def up_to_logits(self) -> Any:
            return _joined(self.top, heads.up_to_logits(self.head))

    joined = Joined()
    joined(keras.Input(top.inputs[0].shape[1:]))
    return joined


def _course(
    model: Any, classes: int, positive: int, train: Part, validation: Part, recipe: Recipe, ended: GroupWeights | None
) -> Course:
    """Compile, and begin with the validation loss of the frozen backbone, which every epoch is measured against."""
    settings = recipe.finetuning
    steps = -(-len(train.rows) // settings.batch_size)
    rate = _schedule(settings, steps)
    training.compile_as_told(model, recipe, classes, rate, findings=train.is_of_findings)
    size = settings.batch_size
    both = training.prepared_passes(model, classes, positive, train, validation, recipe,
                           batch_size=size, validation_batch=size, feed=_read_ahead, ended=ended)  # fmt: skip
    course = Course(model, *both, patience=settings.patience)
    course.note(course.validate()["loss"])
    return course


def _schedule(settings: FinetuningSettings, steps: int) -> Any:
    """Rise linearly over the first epochs, then fall along half a cosine to 0 (Loshchilov & Hutter 2017, arXiv:1608.03983)."""
    keras = keras_backend.load()
    warm = round(min(settings.warmup, settings.epochs) * steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=settings.learning_rate / (warm + 1),
        warmup_target=settings.learning_rate if warm else None,
        warmup_steps=warm,
        decay_steps=max(1, settings.epochs * steps - warm),
    )


def _read_ahead(stretches: Iterator[Stretch]) -> Iterator[Any]:
    """Read the next batches while one is trained on, with TensorFlow by `tf.data`."""
    if keras_backend.choose() != "tensorflow":
        return stretches
    import tensorflow as tf

    first = next(stretches)
    signature = tuple(tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in first)

    def every() -> Iterator[Stretch]:
        yield first
        yield from stretches

    return iter(tf.data.Dataset.from_generator(every, output_signature=signature).prefetch(_AHEAD))


def _train(
    model: Any,
    course: Course,
    recipe: Recipe,
    digest: str,
    checkpoint: Path | None,
    on_epoch: training.EpochCallback,
    callbacks: Sequence[Callback],
) -> None:
    """Go on to the last epoch; what an epoch draws depends on the seed and its number alone."""
    if checkpoint:
        checkpoints.read(checkpoint, model, course, digest=digest)
    following = Following(callbacks, model, recipe.finetuning.epochs)
    while len(course.history) < recipe.finetuning.epochs and not (course.is_over or following.is_stopped):
        done = len(course.history)
        row = following.epoch(done, partial(course.advance, np.random.default_rng([recipe.seed, done + 1])))
        if checkpoint:
            checkpoints.write(checkpoint, model, course, digest=digest)
        on_epoch(len(course.history), row)
    following.end()


def _digest(
    network: Any, head: Any, prepare: Preprocessing, train: Part, validation: Part, recipe: Recipe, fingerprint: str
) -> str:
    """SHA-256 over everything that the training depends on, in hex."""
    keras = keras_backend.load()
    settings = {**dataclasses.asdict(recipe), "name": "", "description": ""}
    settings["backbone"] = {**settings["backbone"], "weights": ""}  # a path; what it holds is below
    versions = [_VERSION, keras.__version__, keras_backend.choose()]
    digest = hashlib.sha256(json.dumps([settings, versions, prepare.digest(), fingerprint]).encode())
    for part in (train, validation):
        for column in (part.rows, part.labels, part.views, part.strata):
            digest.update(b"none" if column is None else column.tobytes())
    for values in (*network.get_weights(), *head.get_weights()):
        digest.update(values.tobytes())
    return digest.hexdigest()


def _export(network: Any, backbone: Backbone, prepare: Preprocessing, sha256: str) -> Encoder:
    content = encoder.to_onnx(network, prepare).SerializeToString()
    key = hashlib.sha256(content).hexdigest()[:32]
    path = encoder.cached(f"{backbone.name}-tuned-{key}", lambda: content)
    return Encoder(
        path,
        key=key,
        name=backbone.name,
        preprocessing=prepare,
        weights_sha256=sha256,
        precision=backbone.precision,
    )
