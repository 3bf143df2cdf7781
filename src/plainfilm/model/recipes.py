"""A training procedure as values: recipes/*.toml, or a user's own file, with single values set from the command line."""

import dataclasses
import difflib
import importlib.resources
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from plainfilm.errors import RecipeError


def _setting(default: Any, explained: str, **bounds: Any) -> Any:
    return field(default=default, metadata={"explained": explained, **bounds})


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSettings:
    """Which network gives the features."""

    name: str = _setting("efficientnet_lite0", "a row of the table of backbones, or the path of an ONNX file")
    weights: str = _setting("", "a file of weights; empty for the ImageNet weights")
    input_size: int = _setting(0, "height and width in pixels; 0 for the backbone's own", low=0, high=2048)
    scaling: str = _setting("auto", "what the network expects gray levels to become; auto for the backbone's own")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSettings:
    """What is trained on the features; the last Dense layer, one output a class, is added."""

    layers: tuple[str, ...] = _setting(
        ("dropout 0.2", "dense 64", "dropout 0.2"), 'in order: "dense UNITS" or "dropout RATE"'
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
    class_weight: str = _setting("balanced", "balanced: each class counts the same", choices=("balanced", "none"))
    keep: str = _setting("best", "best: the epoch of least validation loss; last: the last", choices=("best", "last"))
    patience: int = _setting(
        0, "epochs without a better validation loss before stopping; 0 for never", low=0, high=10_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """How scores become probabilities and decisions; both are fitted on the validation part."""

    threshold: str = _setting("youden", 'a number, or "youden", "accuracy", "sensitivity:0.95", "specificity:0.95"')
    calibrate: bool = _setting(True, "temperature scaling")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A training procedure; `load` checks every value."""

    name: str = "default"
    description: str = ""
    seed: int = _setting(0, "of the first weights, Dropout and the order of images", low=0, high=2**31 - 1)
    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    head: HeadSettings = field(default_factory=HeadSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
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


def names() -> list[str]:
    """Names of the recipes that come with plainfilm, sorted."""
    return sorted(file.name.removesuffix(".toml") for file in _shipped() if file.name.endswith(".toml"))


def _shipped() -> Iterator[Any]:
    return importlib.resources.files("plainfilm.model").joinpath("recipes").iterdir()


def load(name: str = "default", settings: Mapping[str, Any] | None = None) -> Recipe:
    """Load a recipe by name or from a TOML file, and set single values.

    Parameters
    ----------
    name
        One of `names()`, or the path of a file that ends in .toml.
    settings
        Dotted key to value: `{"training.epochs": 5}`. A text is read as a TOML value where it is one.

    Raises
    ------
    RecipeError
        No such recipe, an unknown key, or a value of the wrong type or out of its range.
    """
    values = tomllib.loads(_read(name)) if not name.endswith(".toml") else _parse_file(Path(name))
    values.setdefault("name", Path(name).stem)
    for key, value in (settings or {}).items():
        section, _, last = key.rpartition(".")
        target = values.setdefault(section, {}) if section else values
        if not isinstance(target, dict):
            raise _unknown(key, [each.name for each in dataclasses.fields(Recipe)])
        target[last] = value
    recipe: Recipe = _build(Recipe, values, "")
    return recipe


def _read(name: str) -> str:
    if name not in names():
        close = difflib.get_close_matches(name, names(), 1)
        hint = f"Did you mean {close[0]}?" if close else "Name one of them."
        raise RecipeError(
            f"Expected a recipe of {', '.join(names())}, or a file that ends in .toml; received {name}. {hint}"
        )
    return importlib.resources.files("plainfilm.model").joinpath("recipes", f"{name}.toml").read_text(encoding="utf-8")


def _parse_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(
            f"Expected a recipe file; received {path}: {error.strerror}. Give the path of a TOML file."
        ) from error
    except (ValueError, RecursionError) as error:  # TOML that is none, bytes that are no text, a number of 5,000 digits
        raise RecipeError(
            f"Expected a recipe in TOML; received {path}, which is none ({error}). Correct that line."
        ) from error


def _build(kind: Any, values: Mapping[str, Any], prefix: str) -> Any:
    fields = {each.name: each for each in dataclasses.fields(kind)}
    types = get_type_hints(kind)
    made = {}
    for key, value in values.items():
        if key not in fields:
            raise _unknown(prefix + key, [prefix + name for name in fields])
        if dataclasses.is_dataclass(types[key]):
            made[key] = _build(types[key], _table(value, prefix + key), f"{prefix}{key}.")
        else:
            made[key] = _checked(prefix + key, value, types[key], fields[key].metadata)
    return kind(**made)


def _table(value: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RecipeError(
            f"Expected {key} to be a table of settings; received {value!r}. Write [{key}] and its settings below it."
        )
    return value


def _unknown(key: str, known: Any) -> RecipeError:
    close = difflib.get_close_matches(key, known, 1, 0.5) or [name for name in known if name.endswith(f".{key}")]
    hint = f"Did you mean {close[0]}?" if close else f"Known: {', '.join(known)}."
    return RecipeError(f"Expected a key of a recipe; received {key}. {hint}")


def _checked(key: str, value: Any, kind: Any, bounds: Mapping[str, Any]) -> Any:
    value = _coerced(key, value, kind)
    if "low" in bounds and not bounds["low"] <= value <= bounds["high"]:
        raise RecipeError(
            f"Expected {key} from {bounds['low']:,} to {bounds['high']:,}; received {value:,}. Set it within that range."
        )
    if "choices" in bounds and value not in bounds["choices"]:
        raise RecipeError(
            f"Expected {key} to be one of {', '.join(bounds['choices'])}; received {value}. Set one of them."
        )
    if key == "head.layers":
        parse_layers(value)
    if key == "evaluation.threshold":
        parse_threshold(value)
    return value


def _coerced(key: str, value: Any, kind: Any) -> Any:
    if isinstance(value, str) and kind is not str:
        try:
            value = tomllib.loads(f"value = {value}")["value"]
        except (ValueError, RecursionError):
            value = tuple(part.strip() for part in value.split(",")) if kind == tuple[str, ...] else value
    if kind is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if kind == tuple[str, ...] and isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return tuple(value)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind in {int, str, bool} and type(value) is kind:
        return value
    expected = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}.get(
        kind, "a list of texts"
    )
    raise RecipeError(f"Expected {key} to be {expected}; received {value!r}. Correct the value.")


def parse_layers(layers: tuple[str, ...]) -> list[tuple[str, float]]:
    """Read `head.layers`: ("dense", units ≥ 1) or ("dropout", 0 ≤ rate < 1), in order.

    Raises
    ------
    RecipeError
        Anything else.
    """
    parsed = []
    for layer in layers:
        kind, _, text = layer.partition(" ")
        value = _number(text)
        is_dense = kind == "dense" and value is not None and value.is_integer() and 1 <= value <= 65_536
        if value is None or not (is_dense or (kind == "dropout" and 0 <= value < 1)):
            raise RecipeError(
                f'Expected head.layers of "dense UNITS" and "dropout RATE" (0 ≤ RATE < 1); received {layer!r}. Correct it.'
            )
        parsed.append((kind, value))
    return parsed


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
