"""One recipe on one store: encoded, its head trained, its backbone fine-tuned. Ensembles and cross-validations have several of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import cache
from plainfilm.data.store import Store
from plainfilm.engines import current
from plainfilm.model import classifier, encoder, ensembling, finetuning, kept_fits, recipes, training
from plainfilm.model.augmentation import Altered, alter
from plainfilm.model.backbones import Backbone
from plainfilm.model.callbacks import Callback
from plainfilm.model.encoder import Encoder, Features, ImageSource
from plainfilm.model.ensembling import EncoderHead
from plainfilm.model.finetuning import Finetuned
from plainfilm.model.kept_fits import Computes
from plainfilm.model.recipe_schema import Recipe, parse_blocks
from plainfilm.model.training import Fitted
from plainfilm.results.manifest import Preprocessing
from plainfilm.workflows.progress import Progress


@dataclass(frozen=True, slots=True)
class Member:
    """One trained encoder and head, before its answers are calibrated, joined to others' and cut at a threshold."""

    part: EncoderHead
    fitted: Fitted
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Base:
    """What a recipe begins with: a backbone, how images are prepared for it, and the user's file of weights."""

    backbone: Backbone
    prepare: Preprocessing
    weights_file: Path | None

    @classmethod
    def of(cls, store: Store, recipe: Recipe) -> Self:
        """Name what a recipe begins with on a store."""
        backbone, prepare = recipes.prepared(recipe, store.size)
        return cls(backbone, prepare, Path(recipe.backbone.weights) if recipe.backbone.weights else None)

    def open(self, progress: Progress) -> Encoder:
        """Open its encoder."""
        progress("Preparing the backbone", 0, 1, self.backbone.name)
        opened = encoder.open_encoder(self.backbone, self.prepare, weights_file=self.weights_file)
        progress("Preparing the backbone", 1, 1, self.backbone.name)
        return opened


def fit_member(
    store: Store,
    recipe: Recipe,
    positive: str | None,
    checkpoints: Path | None,
    callbacks: Sequence[Callback],
    progress: Progress,
    *,
    is_one_of_several: bool,
) -> Member:
    """Encode a store, train the recipe's head on its features, and fine-tune the encoder where the recipe says so.

    One of several trainings is kept in the cache, and so is what runs elsewhere; but for one that callbacks are told of.
    """
    base, index = Base.of(store, recipe), index_of(store, positive)
    is_kept = (is_one_of_several or current.elsewhere() is not None) and not callbacks
    computes = kept_fits.computes_here(mixed=current.is_mixed()) if is_kept else None
    opened = base.open(progress)
    every = encode(opened, store, recipe, progress)
    fitted = fit_head(store, recipe, index, every, computes, callbacks, progress)
    features = every[0]
    if finetunes(recipe):
        path = None
        if computes and current.elsewhere():
            path = tuned_path(store, recipe, base, head_path(store, recipe, index, every, computes))
        tuned = finetune(store, recipe, index, fitted, base, path, checkpoints, callbacks, progress)
        opened, fitted = tuned.encoder, _continued(fitted, tuned.fitted)
        features = _encoded(opened, store, progress, "Encoding, fine-tuned")
    part = EncoderHead(encoder=opened, head=classifier.export_head(fitted.model), features=features)
    if recipe.evaluation.views > 1:
        advance = partial(progress, "Encoding closer views")
        part = ensembling.with_views(part, recipe.evaluation.views, store, progress=advance)
    return Member(part, fitted, recipe)


def index_of(store: Store, positive: str | None) -> int:
    """Number the class that a sigmoid's one output means; 0 where there are more than two."""
    return store.classes.index(positive) if positive else 0


def encode(opened: Encoder, store: Store, recipe: Recipe, progress: Progress) -> list[Features]:
    """Encode a store, and with augmentation each altered view of it."""
    settings = recipe.augmentation
    return [_encoded(opened, store, progress)] + [
        _encoded(opened, Altered(store, settings, seed=recipe.seed, view=view), progress, f"Encoding view {view}")
        for view in range(1, settings.views + 1)
    ]


def _encoded(opened: Encoder, store: ImageSource, progress: Progress, stage: str = "Encoding") -> Features:
    features = encoder.encode_store(opened, store, progress=lambda done, every: progress(stage, done, every, ""))
    if features.cached:
        progress(stage, features.rows, features.rows, "features found in the cache")
    return features


def fit_head(
    store: Store,
    recipe: Recipe,
    positive: int,
    features: Sequence[Features],
    computes: Computes | None,
    callbacks: Sequence[Callback],
    progress: Progress,
) -> Fitted:
    """Train a recipe's head on the features of `encode`; with `computes` it is found in the cache, or kept there."""
    train, validation = _feature_parts(store, recipe, training.kept_reader(features))
    told = _told(progress, "Training", training.epochs(recipe, len(train.rows)))
    do = training.fit_head
    if computes:
        do = partial(kept_fits.fit_head, head_path(store, recipe, positive, features, computes))
    return do(
        features[0].width, len(store.classes), positive, train, validation, recipe, on_epoch=told, callbacks=callbacks
    )


def head_path(store: Store, recipe: Recipe, positive: int, features: Sequence[Features], computes: Computes) -> Path:
    """Name the entry of the cache for a head of `fit_head`."""
    return kept_fits.path_of(
        features[0].width,
        len(store.classes),
        positive,
        *_feature_parts(store, recipe, features[0].read),
        recipe,
        features=[each.path.stem for each in features],
        computes=computes,
    )


def _feature_parts(
    store: Store, recipe: Recipe, read: Callable[[NDArray[np.int64]], NDArray[Any]]
) -> tuple[training.Part, training.Part]:
    """Train and validation set as features, with augmentation those of every view."""
    ahead = training.READ_AHEAD
    train = part_of(store, "train", read, views=recipe.augmentation.views, ahead=ahead)
    return train, part_of(store, "validation", read, ahead=ahead)


def part_of(
    store: Store, name: str, read: Callable[[NDArray[np.int64]], NDArray[Any]], *, views: int = 0, ahead: int = 1
) -> training.Part:
    """Take a part of the store; `read` knows altered views by `training.view_numbers`."""
    rows = store.rows(name)
    numbers = training.view_numbers(rows, len(store), views)
    sources = store.codes("source")
    strata = (sources[rows] + int(sources.min(initial=0) < 0)).astype(np.int64)  # as np.unique numbers them
    return training.Part(rows, store.targets[rows], read, views=numbers, strata=strata, ahead=ahead)


def finetunes(recipe: Recipe) -> bool:
    """Whether a member trains its backbone's own weights on."""
    return parse_blocks(recipe.finetuning.blocks) != 0


def tuned_path(store: Store, recipe: Recipe, base: Base, head: Path) -> Path:
    """Name the entry of the cache for the fine-tuning of a member whose head has the entry `head`."""
    return finetuning.entry(
        head, base.backbone, base.prepare, recipe, store.fingerprint, weights_file=base.weights_file
    )


def finetune(
    store: Store,
    recipe: Recipe,
    positive: int,
    head: Fitted,
    base: Base,
    path: Path | None,
    checkpoints: Path | None,
    callbacks: Sequence[Callback],
    progress: Progress,
) -> Finetuned:
    """Train a member's backbone on; where it has a `path` in the cache it is found there, or kept."""
    do = partial(_finetune, store, recipe, positive, head, base)
    if path is None:
        return do(checkpoints, callbacks, progress)
    with cache.missing(path) as is_missing:
        if not is_missing and (found := finetuning.read(path, head.model, base.backbone, base.prepare)):
            return found
        tuned = do(checkpoints, callbacks, progress)
        finetuning.write(path, tuned)
    return tuned


def _finetune(
    store: Store,
    recipe: Recipe,
    positive: int,
    head: Fitted,
    base: Base,
    checkpoints: Path | None,
    callbacks: Sequence[Callback],
    progress: Progress,
) -> Finetuned:
    """Train the last blocks of the backbone on, with a head that was trained on its features."""
    settings, count = recipe.augmentation, len(store)

    def read(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        views, rows = np.divmod(numbers, count)
        return alter(store.images(rows), rows, views, settings, seed=recipe.seed)

    if checkpoints:
        checkpoints.mkdir(parents=True, exist_ok=True)
    return finetuning.finetune(
        head.model,
        base.backbone,
        base.prepare,
        part_of(store, "train", read, views=settings.views),
        part_of(store, "validation", read),
        len(store.classes),
        positive,
        recipe,
        fingerprint=store.fingerprint,
        ended=head.weights,
        weights_file=base.weights_file,
        checkpoint=checkpoints / "epochs.npz" if checkpoints else None,
        on_epoch=_told(progress, "Fine-tuning", recipe.finetuning.epochs),
        callbacks=callbacks,
        progress=partial(progress, "Running what stays"),
    )


def _continued(head: Fitted, tuned: Fitted) -> Fitted:
    """Number the epochs of fine-tuning on from the head's."""
    before = len(head.history)
    history = [row | {"epoch": before + row["epoch"]} for row in tuned.history]
    kept = before + tuned.epoch if tuned.epoch else head.epoch
    return Fitted(tuned.model, head.history + history, kept, head.seconds + tuned.seconds, tuned.backend, tuned.weights)


def _told(progress: Progress, stage: str, epochs: int) -> training.EpochCallback:
    progress(stage, 0, epochs, "")

    def on_epoch(epoch: int, row: Mapping[str, float]) -> None:
        note = f"validation: loss {row['val_loss']:.3f}, accuracy {row['val_accuracy']:.3f}"
        progress(stage, epoch, epochs, note)

    return on_epoch
