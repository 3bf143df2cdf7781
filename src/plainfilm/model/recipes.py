"""A training procedure as values: recipes/*.toml, or a user's own file, with single values set from the command line."""

import dataclasses
import difflib
import importlib.resources
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plainfilm.data import files
from plainfilm.errors import RecipeError
from plainfilm.model.recipe_schema import (
    KEYS,
    KINDS,
    EnsembleSettings,
    EvaluationSettings,
    Recipe,
    parse_blocks,
    parse_channels,
    parse_deviations,
    parse_range,
)
from plainfilm.reasons import reason_of

if TYPE_CHECKING:
    from plainfilm.model.backbones import Backbone
    from plainfilm.results.manifest import Preprocessing, WeightsOrigin


_CLUSTER = "cluster"


def names() -> list[str]:
    """Names of the recipes that come with plainfilm, sorted."""
    return sorted(file.name.removesuffix(".toml") for file in _shipped() if file.name.endswith(".toml"))


def _shipped() -> Iterator[Any]:
    return importlib.resources.files("plainfilm.model").joinpath("recipes").iterdir()


def load(name: str | Path = "default", settings: Mapping[str, Any] | None = None) -> Recipe:
    """Load a recipe by name or from a TOML file, and set single values.

    Parameters
    ----------
    name
        One of `names()`, or the path of a file that ends in .toml.
    settings
        Dotted key to value: `{"training.epochs": 5}`. A text is read as a TOML value where it is one. Another backbone
        than the recipe's is used whole, unless `backbone.depth` is set as well.

    Raises
    ------
    RecipeError
        No such recipe, an unknown key, or a value of the wrong type or out of its range.
    """
    name = str(name)
    values = tomllib.loads(shipped(name)) if not name.endswith(".toml") else _parse_file(Path(name))
    values.pop(_CLUSTER, None)  # `cluster_of` reads it
    values.setdefault("name", Path(name).stem)
    _set_all(values, settings or {})
    recipe: Recipe = _build(Recipe, values, "")
    _check_three_answers(recipe.evaluation)
    return recipe


def _check_three_answers(asked: EvaluationSettings) -> None:
    """Refuse one target without the other, and a rule for one threshold beside them."""
    if bool(asked.sensitivity) != bool(asked.npv):
        here, there = ("sensitivity", "npv") if asked.sensitivity else ("npv", "sensitivity")
        raise RecipeError(
            f"Expected evaluation.sensitivity and evaluation.npv together, for three answers; received {here} alone. Set {there} too, "
            "or evaluation.threshold=sensitivity:0.95 for one threshold."
        )
    if asked.sensitivity and asked.threshold != KEYS["evaluation.threshold"].default:
        raise RecipeError(
            f"Expected either evaluation.threshold or evaluation.sensitivity with npv; received {asked.threshold} beside them. Leave one out."
        )


def cluster_of(name: str | Path) -> tuple[str, bool]:
    """Give what the table [cluster] of a recipe's file says of where it runs, which is no part of the recipe.

    Returns
    -------
    tuple of str and bool
        `where`, as `--cluster` takes it, "" for nothing, and `mixed`.

    Raises
    ------
    RecipeError
        Another key, or a value of another kind.
    """
    if not str(name).endswith(".toml"):
        return "", False
    told = _table(_parse_file(Path(name)).get(_CLUSTER, {}), _CLUSTER)
    if unknown := told.keys() - {"where", "mixed"}:
        raise _unknown(f"{_CLUSTER}.{min(unknown)}", [f"{_CLUSTER}.where", f"{_CLUSTER}.mixed"])
    kinds = {"where": str, "mixed": bool}
    where, mixed = (_coerced(f"{_CLUSTER}.{key}", told.get(key, kind()), kind) for key, kind in kinds.items())
    return where, mixed


def _set_all(values: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Set single values; another backbone than before is used whole, unless its depth is set too: each counts its own blocks."""
    backbone = values.get("backbone", {})
    name = backbone.get("name", KEYS["backbone.name"].default) if isinstance(backbone, dict) else ""
    for key, value in changes.items():
        _set(values, key, value)
    if changes.get("backbone.name", name) != name and "backbone.depth" not in changes:
        values["backbone"].pop("depth", None)


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    section, _, last = key.rpartition(".")
    target = values.setdefault(section, {}) if section else values
    if not isinstance(target, dict):
        raise _unknown(key, [each.name for each in dataclasses.fields(Recipe)])
    target[last] = value


def shipped(name: str) -> str:
    """Give a recipe that comes with plainfilm as it is written, with the words above its keys.

    Raises
    ------
    RecipeError
        There is none of that name.
    """
    if name not in names():
        close = difflib.get_close_matches(name, names(), 1)
        hint = f"Did you mean {close[0]}?" if close else "Name one of them."
        raise RecipeError(
            f"Expected a recipe of {', '.join(names())}, or a file that ends in .toml; received {name}. {hint}"
        )
    return importlib.resources.files("plainfilm.model").joinpath("recipes", f"{name}.toml").read_text(encoding="utf-8")


def _parse_file(path: Path) -> dict[str, Any]:
    files.settle(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(
            f"Expected a recipe file; received {path}: {reason_of(error)}. Give the path of a TOML file."
        ) from error
    except (ValueError, RecursionError) as error:  # TOML that is none, bytes that are no text, a number of 5,000 digits
        raise RecipeError(
            f"Expected a recipe in TOML; received {path}, which is none ({reason_of(error)}). Correct that line."
        ) from error


def _build(kind: Any, values: Mapping[str, Any], prefix: str) -> Any:
    fields = {each.name: each for each in dataclasses.fields(kind)}
    made = {}
    for name, value in values.items():
        key = prefix + name
        if name not in fields:
            raise _unknown(key, [prefix + each for each in fields])
        if key in KEYS:
            made[name] = checked(key, value)
        else:
            made[name] = _build(fields[name].default_factory, _table(value, key), f"{key}.")
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


def checked(key: str, value: Any) -> Any:
    """Give the value of a key of `KEYS` in its type; a text is read as a TOML value where it is one.

    Raises
    ------
    RecipeError
        A value of the wrong type or out of its range.
    """
    known = KEYS[key]
    value = _coerced(key, value, known.kind)
    if known.low is not None and known.high is not None and not known.low <= value <= known.high:
        raise RecipeError(f"Expected {key} from {known.allowed}; received {value:,}. Set it within that range.")
    if known.choices and value not in known.choices:
        raise RecipeError(f"Expected {key} to be {known.allowed}; received {value}. Set one of them.")
    if known.check:
        known.check(value)
    return value


def _coerced(key: str, value: Any, kind: Any) -> Any:
    if isinstance(value, str) and kind is not str:
        try:
            value = tomllib.loads(f"value = {value}")["value"]
        except (ValueError, RecursionError):
            value = _listed(value, kind)
    if kind is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if kind == tuple[str, ...] and isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return tuple(value)
    if kind == tuple[float, ...]:
        parts = value if isinstance(value, list | tuple) else [value]
        if all(isinstance(part, int | float) and not isinstance(part, bool) for part in parts):
            return tuple(map(float, parts))
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind in {int, str, bool} and type(value) is kind:
        return value
    raise RecipeError(f"Expected {key} to be {KINDS[kind]}; received {value!r}. Correct the value.")


def _listed(text: str, kind: Any) -> Any:
    """Take "a, b" as a list, of numbers where they are some."""
    parts = tuple(part.strip() for part in text.split(","))
    if kind == tuple[str, ...]:
        return parts
    try:
        return tuple(map(float, parts)) if kind == tuple[float, ...] else text
    except ValueError:
        return text


def finetunes(recipe: Recipe) -> bool:
    """Whether the backbone's own weights are trained, of any member."""
    return any(parse_blocks(member.finetuning.blocks) != 0 for member in members(recipe))


def prepared(recipe: Recipe, image_size: int) -> "tuple[Backbone, Preprocessing]":
    """Give the backbone of one classifier's recipe, and how images of a size in px are prepared for it.

    Raises
    ------
    RecipeError
        The backbone or its scaling is not known.
    """
    from plainfilm.model import backbones, encoder  # with NumPy, which a flag is checked without

    asked = recipe.backbone
    found = backbones.find(asked.name, asked.depth, pooling=asked.pooling, output=asked.output)
    backbone = dataclasses.replace(found, precision=asked.precision)
    return backbone, encoder.preprocessing(
        backbone,
        image_size=image_size,
        input_size=asked.input_size,
        scaling=asked.scaling,
        span=parse_range(asked.range),
        mean=parse_channels(asked.mean),
        std=parse_deviations(asked.std),
        channels=asked.channels,
        resample=asked.resample,
        crop=asked.crop,
        intensities=asked.intensities,
    )


def origins(recipe: Recipe) -> "tuple[WeightsOrigin, ...]":
    """Say where the weights of a recipe's backbones come from, each once.

    Raises
    ------
    WeightsError
        Some are not here.
    """
    from plainfilm.model import backbones, weights  # with NumPy, which a flag is checked without

    found = {}
    for member in members(recipe):
        asked = member.backbone
        backbone = backbones.find(asked.name, asked.depth, pooling=asked.pooling, output=asked.output)
        found[asked.name, asked.weights] = weights.origin(backbone, Path(asked.weights) if asked.weights else None)
    return tuple(found.values())


def members(recipe: Recipe) -> list[Recipe]:
    """Give the recipe of each member of an ensemble; of one classifier, the recipe itself.

    Raises
    ------
    RecipeError
        A member sets an unknown key, a value out of its range, or an ensemble of its own.
    """
    values = dataclasses.asdict(dataclasses.replace(recipe, ensemble=EnsembleSettings()))
    return [_member(values, member) for member in recipe.ensemble.members] or [recipe]


def _member(values: Mapping[str, Any], changes: str) -> Recipe:
    own = {key: dict(value) if isinstance(value, dict) else value for key, value in values.items()}
    found = {}
    for change in filter(None, (part.strip() for part in changes.split(";"))):
        key, equals, value = (part.strip() for part in change.partition("="))
        if not equals or key.startswith("ensemble"):
            raise RecipeError(
                f'Expected ensemble.members of changes like "backbone.name=mobilenet; seed=1"; received {change!r}. Correct it.'
            )
        found[key] = value
    _set_all(own, found)
    recipe: Recipe = _build(Recipe, own, "")
    return recipe
