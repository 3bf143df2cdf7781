"""The keys of a recipe: each one's type, default, range and meaning stand here, and only here.

The command line makes its flags from `KEYS`, and `scripts/write_docs.py` the tables in docs/recipes.md.
"""

import dataclasses
import difflib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from plainfilm.errors import RecipeError

KINDS: Mapping[Any, str] = MappingProxyType(
    {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "a text",
        tuple[str, ...]: "a list of texts",
        tuple[float, ...]: "a list of numbers",
    }
)
_LAYERS = '"dense UNITS" and "dropout RATE" (0 ≤ RATE < 1), "standardise" as the first at most'
_BLOCKS = "none, all or a number of blocks"
_CHANNELS = "one number, or one for each channel"
_RANGE = "LOWEST..HIGHEST, such as 0..1"
_THRESHOLDS = "a number from 0 to 1, youden, accuracy, sensitivity:0.95 or specificity:0.95"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeKey:
    """One key of a recipe.

    `kind` is the type of its value. Numbers lie from `low` to `high`, both included; a text is one of `choices`, where
    there are any; `check` raises RecipeError for what `form` does not describe. `flag` is its flag of `plainfilm train`.
    """

    key: str
    kind: Any
    default: Any
    meaning: str
    flag: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    form: str = ""
    check: Callable[[Any], object] | None = None

    @property
    def allowed(self) -> str:
        """Range, choices or form, for people: "1 to 10,000"; empty where every value of the type is allowed."""
        if self.low is not None:
            return f"{_shown(self.low)} to {_shown(self.high)}"
        return " or ".join(filter(None, (", ".join(self.choices[:-1]), *self.choices[-1:]))) or self.form

    @property
    def shown_default(self) -> str:
        """The default, for people; empty where it is an empty text or list."""
        return _shown(self.default) if self.default != () else ""


def _shown(value: Any) -> str:
    """Texts as they are, numbers short, the rest as TOML."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | tuple):
        return _as_toml(value)
    return f"{value:,}".removesuffix(".0").replace("e-0", "e-")


def _key(default: Any, meaning: str, **more: Any) -> Any:
    return field(default=default, metadata={"meaning": meaning, **more})


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
            raise RecipeError(f"Expected head.layers of {_LAYERS}; received {layer!r}. Correct it.")
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
        raise RecipeError(f"Expected finetuning.blocks to be {_BLOCKS}; received {blocks!r}. Set one of them.")
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
    raise RecipeError(f"Expected evaluation.threshold to be {_THRESHOLDS}; received {rule!r}. {hint}")


def parse_channels(values: tuple[float, ...]) -> tuple[float, float, float] | None:
    """Read `backbone.mean` or `backbone.std`: a value of each of three channels, None where none is set.

    Raises
    ------
    RecipeError
        Neither one finite number nor three.
    """
    if len(values) not in {0, 1, 3} or not all(map(math.isfinite, values)):
        raise RecipeError(
            f"Expected backbone.mean and backbone.std of {_CHANNELS}, one or three; received {_as_toml(values)}. Correct it."
        )
    return None if not values else (values[0], values[len(values) // 2], values[-1])


def parse_deviations(values: tuple[float, ...]) -> tuple[float, float, float] | None:
    """Read `backbone.std`, as `parse_channels` does.

    Raises
    ------
    RecipeError
        Neither one number nor three, or one that is not above 0.
    """
    if values and min(values) <= 0:
        raise RecipeError(f"Expected backbone.std above 0; received {_as_toml(values)}. Correct it.")
    return parse_channels(values)


def check_channels(channels: int) -> None:
    """Check `backbone.channels`.

    Raises
    ------
    RecipeError
        Two channels, which no radiograph has.
    """
    if channels == 2:
        raise RecipeError(
            "Expected backbone.channels to be 1 or 3, or 0 for the backbone's own; received 2. Correct it."
        )


def parse_range(text: str) -> tuple[float, float] | None:
    """Read `backbone.range`: what black and white become, None where it is not set.

    Raises
    ------
    RecipeError
        Anything else than two finite numbers, the lower one first.
    """
    if not text:
        return None
    low, high = (_number(part) for part in text.partition("..")[::2])
    if low is None or high is None or not -1e9 <= low < high <= 1e9:
        raise RecipeError(f"Expected backbone.range to be {_RANGE}; received {text!r}. Correct it.")
    return low, high


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSettings:
    """The pretrained network that computes features from an image."""

    name: str = _key(
        "efficientnet_lite0", "A name from `plainfilm weights list`, or the path of an ONNX file.", flag="--backbone"
    )
    weights: str = _key("", "File with weights of the backbone. Empty: its ImageNet weights.", flag="--weights")
    input_size: int = _key(
        0, "Height and width of the backbone's input, in pixels. 0: its own size.", low=0, high=2048, flag="--input-size"
    )  # fmt: skip
    depth: int = _key(
        0,
        "Number of blocks that are used, from the first. Their last maps are averaged to features. 0: all blocks.",
        low=0,
        high=1000,
    )
    scaling: str = _key(
        "auto",
        "Pixel values that the backbone expects. auto: known for each backbone, but not for an ONNX file of your own.",
        choices=("auto", "0..255", "0..1", "-1..1", "lite", "caffe", "imagenet"),
    )
    precision: str = _key(
        "float32",
        "Precision in which the frozen backbone computes features. bfloat16 needs the extra openvino and a processor with AVX-512 BF16 or AMX; the bundle answers in float32.",
        choices=("float32", "bfloat16"),
    )
    range: str = _key(
        "",
        "What black and white become, before the mean is subtracted. Empty: that of the scaling.",
        form=_RANGE,
        check=parse_range,
    )
    mean: tuple[float, ...] = _key(
        (),
        "Mean that is subtracted from each channel. Empty: that of the scaling.",
        form=_CHANNELS,
        check=parse_channels,
    )
    std: tuple[float, ...] = _key(
        (),
        "Standard deviation that each channel is divided by after that. Empty: that of the scaling.",
        form=_CHANNELS,
        check=parse_deviations,
    )
    channels: int = _key(
        0, "Channels of the backbone's input: 1 or 3. 0: its own.", low=0, high=3, check=check_channels
    )
    resample: str = _key(
        "auto",
        "How images are resized to the input. auto: as the weights were made, where that is known, else bilinear. bilinear: between the four nearest pixels; with antialias: as Pillow does.",
        choices=("auto", "bilinear", "bilinear-antialias", "bicubic-antialias", "lanczos-antialias"),
    )
    pooling: str = _key(
        "auto",
        "What becomes the features. auto: the backbone's own. cls: the class token; mean: the mean of the patches or of the map; map: attention pooling; pooler: what the network's own pooler gives.",
        choices=("auto", "cls", "mean", "map", "pooler"),
    )
    output: str = _key("", "Name of the network's output that is taken, of those that it has. Empty: its first.")
    crop: str = _key("none", "lungs: crop each image to the box around the lung fields.", choices=("none", "lungs"))
    intensities: str = _key(
        "stored",
        "Gray levels. stored: as in the store; harmonised: with the same mean and standard deviation in the lungs of every image.",
        choices=("stored", "harmonised"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSettings:
    """The layers that are trained on the features."""

    layers: tuple[str, ...] = _key(
        ("dropout 0.2", "dense 64", "dropout 0.2"),
        "Layers in order, without the output layer, which is added. standardise: each feature gets mean 0 and variance 1.",
        form=_LAYERS,
        check=parse_layers,
    )
    activation: str = _key(
        "relu", "Activation of the hidden Dense layers.", choices=("relu", "elu", "gelu", "silu", "tanh", "sigmoid")
    )
    output: str = _key(
        "auto",
        "Activation of the output layer. auto: sigmoid for two classes. Three or more classes always have softmax.",
        choices=("auto", "sigmoid", "softmax"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """How the head is trained."""

    epochs: int = _key(
        20,
        "Passes over the training set. 0: as many as make 1,000 steps, from 20 to 200.",
        low=0,
        high=10_000,
        flag="--epochs",
    )
    batch_size: int = _key(32, "Batch size: images per training step.", low=1, high=65_536, flag="--batch-size")
    optimizer: str = _key(
        "adam", "Optimizer, by its name in Keras.", choices=("adam", "adamw", "sgd", "rmsprop", "nadam"), flag="--optimizer"
    )  # fmt: skip
    learning_rate: float = _key(1e-3, "Learning rate of the optimizer.", low=1e-8, high=10.0, flag="--learning-rate")
    loss: str = _key(
        "crossentropy",
        "Loss function. crossentropy: binary with a sigmoid output, categorical with softmax.",
        choices=("crossentropy", "mean_squared_error"),
        flag="--loss",
    )
    class_weight: str = _key(
        "balanced",
        "What has the same weight in the loss. balanced: all classes; by source: all classes, and all sources within a class; none: all images. group-dro: the more weight the greater the loss, by class and source; balanced where no class has two sources.",
        choices=("balanced", "by source", "group-dro", "none"),
        flag="--class-weight",
    )
    l2: float = _key(
        0.0,
        "L2 penalty on the head's weights: l2/2 × the sum of their squares is added to the mean loss. Biases have none.",
        low=0,
        high=1e6,
    )
    keep: str = _key(
        "best",
        "The epoch that is kept. best: the one with the lowest validation loss. With group-dro the mean of the second half is kept.",
        choices=("best", "last"),
    )
    patience: int = _key(
        0, "Stop after this many epochs without a lower validation loss. 0: never.", low=0, high=10_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationSettings:
    """How training images are changed at random; every copy draws its changes anew, within these limits."""

    views: int = _key(
        0, "Augmented copies of each training image, besides the original.", low=0, high=1000, flag="--augment"
    )
    rotation: float = _key(5.0, "Largest rotation, in degrees, to either side.", low=0, high=45)
    shift: float = _key(
        0.04, "Largest shift along each axis, to either side, as a share of the image's side.", low=0, high=0.5
    )
    zoom: float = _key(0.08, "Largest change of size, as a share: 0.08 gives 92 to 108 %.", low=0, high=0.5)
    contrast: float = _key(0.15, "Largest change of contrast, as a share.", low=0, high=0.9)
    gamma: float = _key(0.15, "Largest change of the gamma exponent, as a share.", low=0, high=0.9)
    noise: float = _key(3.0, "Largest standard deviation of added Gaussian noise, in gray levels.", low=0, high=64)
    blur: float = _key(0.7, "Largest standard deviation of the Gaussian blur, in pixels.", low=0, high=8)
    cutout: float = _key(
        0.0, "Largest side of a square that is made gray, as a share of the image's side.", low=0, high=0.9
    )
    flip: bool = _key(False, "Mirror half of the copies left to right. That moves the heart to the other side.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuningSettings:
    """How the backbone's own weights are trained, after the head."""

    blocks: str = _key(
        "none",
        "Last blocks of the backbone that are trained too, after the head.",
        form=_BLOCKS,
        check=parse_blocks,
        flag="--finetune",
    )
    epochs: int = _key(10, "Passes over the training set.", low=1, high=10_000)
    batch_size: int = _key(32, "Batch size: images per training step.", low=1, high=4096)
    learning_rate: float = _key(3e-5, "Highest learning rate of the optimizer.", low=1e-8, high=1.0)
    warmup: float = _key(
        1.0, "Epochs in which the learning rate rises to its highest; then it falls along a cosine.", low=0, high=1000
    )
    patience: int = _key(
        3, "Stop after this many epochs without a lower validation loss. 0: never.", low=0, high=10_000
    )
    precision: str = _key(
        "auto",
        "Precision of the computation. auto: mixed_float16 where TensorFlow finds a GPU, else float32.",
        choices=("auto", "float32", "mixed_float16"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleSettings:
    """Several classifiers that are combined to one."""

    members: tuple[str, ...] = _key(
        (), 'For each classifier, its changes to this recipe: "backbone.name=mobilenet; seed=1". Empty: one classifier.'
    )
    combine: str = _key(
        "mean",
        "mean: the mean of the log odds; stacking: a logistic regression fitted on the validation set.",
        choices=("mean", "stacking"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """How scores become probabilities and decisions."""

    threshold: str = _key(
        "youden",
        "Decision threshold: a number, or chosen on the validation set for the best Youden index, the best accuracy, or at least this sensitivity or specificity.",
        form=_THRESHOLDS,
        check=parse_threshold,
        flag="--threshold",
    )
    sensitivity: float = _key(
        0.0,
        "With npv: three answers. Above the first of two thresholds radiographs are called positive, at least this share of the ill, who are unsure counting as not found. 0: one threshold.",
        low=0,
        high=0.9999,
        flag="--sensitivity",
    )
    npv: float = _key(
        0.0,
        "With sensitivity: three answers. Below the second threshold radiographs are called negative, at least this share of them rightly; between the two the answer is unsure. 0: one threshold.",
        low=0,
        high=0.9999,
        flag="--npv",
    )
    films: str = _key(
        "auto",
        "How several frontal films of a patient become one probability. mean: the mean of their log odds; worst: the highest; auto: whichever fits the patients of the validation set better.",
        choices=("auto", "mean", "worst"),
    )
    calibrate: bool = _key(
        True,
        "Calibrate probabilities by slope and intercept, one of each a class with more than two, fitted on the validation set.",
    )
    views: int = _key(
        1, "Test-time augmentation: number of views (the whole image, then closer crops) whose features are averaged. 1: none.", low=1, high=9
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A training procedure; `load` checks every value."""

    name: str = _key("default", "Name in reports. In a file without it: the name of the file.")
    description: str = _key("", "What the recipe is, in a sentence.")
    seed: int = _key(
        0,
        "Random seed of initial weights, Dropout, order of images, augmentation and folds.",
        low=0,
        high=2**31 - 1,
        flag="--seed",
    )
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


def _keys(kind: Any, prefix: str = "") -> Iterator[RecipeKey]:
    for each in dataclasses.fields(kind):
        if each.metadata:
            yield RecipeKey(key=prefix + each.name, kind=each.type, default=each.default, **each.metadata)
        else:
            yield from _keys(each.default_factory, f"{each.name}.")


KEYS: Mapping[str, RecipeKey] = MappingProxyType({each.key: each for each in _keys(Recipe)})
FLAGGED: Mapping[str, RecipeKey] = MappingProxyType(
    {
        each.flag.removeprefix("--").replace("-", "_"): each
        for each in sorted(KEYS.values(), key=lambda key: "." not in key.key)  # the seed last
        if each.flag
    }
)
