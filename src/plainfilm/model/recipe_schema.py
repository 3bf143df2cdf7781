"""The values of a training procedure: what can be set, its range and its default; and what the texts among them mean."""

import dataclasses
import difflib
import json
from dataclasses import dataclass, field
from typing import Any

from plainfilm.errors import RecipeError


def _setting(default: Any, explained: str, **bounds: Any) -> Any:
    return field(default=default, metadata={"explained": explained, **bounds})


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSettings:
    """Which network gives the features."""

    name: str = _setting("efficientnet_lite0", "a row of the table of backbones, or the path of an ONNX file")
    weights: str = _setting("", "a file of weights; empty for the ImageNet weights")
    input_size: int = _setting(0, "height and width in pixels; 0 for the backbone's own", low=0, high=2048)
    depth: int = _setting(0, "how many of the first blocks are used; 0 for all", low=0, high=1000)
    scaling: str = _setting("auto", "what the network expects gray levels to become; auto for the backbone's own")
    crop: str = _setting(
        "none", "lungs: the network sees the box around the lung fields only", choices=("none", "lungs")
    )
    intensities: str = _setting(
        "stored", "harmonised: each image's gray levels are spread alike first", choices=("stored", "harmonised")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSettings:
    """What is trained on the features; the last Dense layer, one output a class, is added."""

    layers: tuple[str, ...] = _setting(
        ("dropout 0.2", "dense 64", "dropout 0.2"),
        'in order: "dense UNITS", "dropout RATE"; first perhaps "standardise"',
    )
    activation: str = _setting(
        "relu", "of the Dense layers but the last", choices=("relu", "elu", "gelu", "silu", "tanh", "sigmoid")
    )
    output: str = _setting(
        "auto", "auto: sigmoid with two classes, softmax with more", choices=("auto", "sigmoid", "softmax")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """How the head is trained."""

    epochs: int = _setting(20, "passes over the training part", low=1, high=10_000)
    batch_size: int = _setting(32, "images a step", low=1, high=65_536)
    optimizer: str = _setting("adam", "Keras' name", choices=("adam", "adamw", "sgd", "rmsprop", "nadam"))
    learning_rate: float = _setting(1e-3, "of the optimizer", low=1e-8, high=10.0)
    loss: str = _setting(
        "crossentropy", "crossentropy is binary with two classes", choices=("crossentropy", "mean_squared_error")
    )
    class_weight: str = _setting(
        "balanced",
        "balanced: each class counts the same; by source: and within a class each source",
        choices=("balanced", "by source", "none"),
    )
    keep: str = _setting("best", "best: the epoch of least validation loss; last: the last", choices=("best", "last"))
    patience: int = _setting(
        0, "epochs without a better validation loss before stopping; 0 for never", low=0, high=10_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationSettings:
    """How training images are altered; each view draws anew within these bounds."""

    views: int = _setting(0, "altered views of each training image, beside itself; 0 for none", low=0, high=1000)
    rotation: float = _setting(5.0, "degrees, either way", low=0, high=45)
    shift: float = _setting(0.04, "share of the side, along each axis, either way", low=0, high=0.5)
    zoom: float = _setting(0.08, "share by which the image grows or shrinks", low=0, high=0.5)
    contrast: float = _setting(0.15, "share by which gray levels spread around their mean or close up", low=0, high=0.9)
    gamma: float = _setting(0.15, "share by which the exponent of gray levels rises or falls", low=0, high=0.9)
    noise: float = _setting(3.0, "largest standard deviation, in gray levels", low=0, high=64)
    blur: float = _setting(0.7, "largest standard deviation, in pixels", low=0, high=8)
    cutout: float = _setting(0.0, "largest side of a square made gray, as a share of the image's", low=0, high=0.9)
    flip: bool = _setting(False, "mirror half of the views left to right: that moves the heart")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuningSettings:
    """How the backbone's own weights are trained on, after the head."""

    blocks: str = _setting("none", 'none; how many of the last blocks, "2"; or all')
    epochs: int = _setting(10, "passes over the training part", low=1, high=10_000)
    batch_size: int = _setting(32, "images a step", low=1, high=4096)
    learning_rate: float = _setting(3e-5, "of the optimizer, at its highest", low=1e-8, high=1.0)
    warmup: float = _setting(1.0, "epochs over which the rate rises; then it falls along a cosine", low=0, high=1000)
    patience: int = _setting(3, "epochs without a better validation loss before stopping; 0 for never", low=0, high=10_000)  # fmt: skip
    precision: str = _setting(
        "auto", "auto: mixed_float16 where there is a GPU", choices=("auto", "float32", "mixed_float16")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleSettings:
    """Several classifiers whose answers are joined to one."""

    members: tuple[str, ...] = _setting(
        (), 'each as what differs from this recipe: "backbone.name=mobilenet; seed=1"; empty for one classifier'
    )
    combine: str = _setting(
        "mean", "of the log odds; stacking: a logistic regression on the validation part", choices=("mean", "stacking")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """How scores become probabilities and decisions; both are fitted on the validation part."""

    threshold: str = _setting("youden", 'a number, or "youden", "accuracy", "sensitivity:0.95", "specificity:0.95"')
    calibrate: bool = _setting(True, "temperature scaling")
    views: int = _setting(
        1, "views of each image that are answered and averaged: the whole, then closer ones", low=1, high=9
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A training procedure; `load` checks every value."""

    name: str = "default"
    description: str = ""
    seed: int = _setting(0, "of the first weights, Dropout and the order of images", low=0, high=2**31 - 1)
    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    head: HeadSettings = field(default_factory=HeadSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    finetuning: FinetuningSettings = field(default_factory=FinetuningSettings)
    ensemble: EnsembleSettings = field(default_factory=EnsembleSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)

    def to_toml(self) -> str:
        """Write every value, resolved, as TOML that `load` reads back."""
        values = dataclasses.asdict(self)
        lines = [f"{key} = {_as_toml(value)}" for key, value in values.items() if not isinstance(value, dict)]
        for section, content in values.items():
            if isinstance(content, dict):
                lines += ["", f"[{section}]", *(f"{key} = {_as_toml(value)}" for key, value in content.items())]
        return "\n".join(lines) + "\n"


def _as_toml(value: Any) -> str:
    """TOML writes these values as JSON does, but knows no surrogate pairs and wants DEL escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def parse_layers(layers: tuple[str, ...]) -> list[tuple[str, float]]:
    """Read `head.layers`: ("standardise", 0) as the first, ("dense", units ≥ 1) or ("dropout", 0 ≤ rate < 1), in order.

    Raises
    ------
    RecipeError
        Anything else.
    """
    parsed = []
    for place, layer in enumerate(layers):
        if layer == "standardise" and place == 0:
            parsed.append((layer, 0.0))
            continue
        kind, _, text = layer.partition(" ")
        value = _number(text)
        is_dense = kind == "dense" and value is not None and value.is_integer() and 1 <= value <= 65_536
        if value is None or not (is_dense or (kind == "dropout" and 0 <= value < 1)):
            raise RecipeError(
                'Expected head.layers of "dense UNITS" and "dropout RATE" (0 ≤ RATE < 1), "standardise" as the first at most; '
                f"received {layer!r}. Correct it."
            )
        parsed.append((kind, value))
    return parsed


def parse_blocks(blocks: str) -> int | None:
    """Read `finetuning.blocks`: how many of the last blocks are trained, 0 for "none", None for "all".

    Raises
    ------
    RecipeError
        Anything else.
    """
    if blocks in {"none", "all"}:
        return 0 if blocks == "none" else None
    if not blocks.isascii() or not blocks.isdigit() or len(blocks) > 3:
        raise RecipeError(
            f"Expected finetuning.blocks to be none, all or a number of blocks; received {blocks!r}. Set one of them."
        )
    return int(blocks)


def parse_threshold(rule: str) -> tuple[str, float]:
    """Read `evaluation.threshold`: ("fixed", value), ("youden", nan), ("accuracy", nan), ("sensitivity", target), ("specificity", target).

    Raises
    ------
    RecipeError
        Anything else.
    """
    kind, _, text = rule.partition(":")
    value = _number(text if text else kind)
    if rule in {"youden", "accuracy"}:
        return rule, float("nan")
    if value is not None and 0 <= value <= 1 and (kind in {"sensitivity", "specificity"} if text else True):
        return (kind if text else "fixed"), value
    close = difflib.get_close_matches(kind, ("youden", "accuracy", "sensitivity", "specificity"), 1, 0.5)
    hint = f"Did you mean {close[0]}{':' + text if text else ''}?" if close and close[0] != kind else "Set one of them."
    raise RecipeError(
        'Expected evaluation.threshold to be a number from 0 to 1, "youden", "accuracy", "sensitivity:0.95" or "specificity:0.95"; '
        f"received {rule!r}. {hint}"
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
