"""The JSON members of a bundle: read strictly, and of the types that later code relies on."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from plainfilm.model.bundle_zip import Damaged
from plainfilm.model.classifier import Decision

FORMAT = "plainfilm-bundle"
VERSION = 1
_DEEPEST = 32
MOST = 50_000  # values in metrics; each becomes an object many times its size
_LARGEST = 1 << 63
_MOST_CLASSES, _LONGEST_CLASS = 1000, 200
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"
)  # a terminal obeys some; half a character cannot be printed


def parse(data: bytes, *, most: int = 5000) -> dict[str, Any]:
    """Read a JSON object (RFC 8259) without what Python alone would take: NaN, two values under one key, numbers out of range.

    `most` values, a fifth of them lists and objects.

    Raises
    ------
    Damaged
        It is none, is nested too deeply, or holds too much.
    """
    if data.count(b"[") + data.count(b"{") > most // 5 or data.count(b",") > most:
        raise Damaged("its JSON is too large")
    try:
        value = json.loads(
            data.decode(), object_pairs_hook=_once, parse_int=_int, parse_float=_float, parse_constant=_float
        )
    except (ValueError, RecursionError) as error:
        raise Damaged("its JSON cannot be read") from error
    if not isinstance(value, dict):
        raise Damaged("its JSON is not an object")
    _check_plain(value)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("two values under one key")
    return found


def _int(text: str) -> int:
    if len(text) > 20 or not -_LARGEST <= int(text) < _LARGEST:
        raise ValueError("a number out of range")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number that is not finite")
    return value


def _check_plain(whole: Mapping[str, Any]) -> None:
    level: list[Any] = [whole]
    for _ in range(_DEEPEST):
        inside = [each for value in level for each in _parts(value)]
        if any(isinstance(each, str) and _CONTROLS.search(each) for each in inside):
            raise Damaged("its JSON has control characters in it")
        level = [each for each in inside if isinstance(each, dict | list)]
        if not level:
            return
    raise Damaged("its JSON is nested too deeply")


def _parts(value: Any) -> Sequence[Any]:
    return [*value, *value.values()] if isinstance(value, dict) else value


def check_kind(manifest: Mapping[str, Any]) -> None:
    """Check format and version.

    Raises
    ------
    Damaged
        Of another kind. A newer version is not damaged: see `is_newer`.
    """
    if manifest.get("format") != FORMAT:
        raise Damaged("its manifest is of another kind")
    if type(manifest.get("version")) is not int or manifest["version"] < 1:
        raise Damaged("its manifest names no version")


def is_newer(manifest: Mapping[str, Any]) -> bool:
    """Whether it was written by a plainfilm that knows more than this one."""
    return int(manifest["version"]) > VERSION


def decision(manifest: Mapping[str, Any]) -> Decision:
    """Take what turns logits into a class.

    Raises
    ------
    Damaged
        Classes, positive class, temperature, threshold or shift make no sense.
    """
    classes, positive = manifest.get("classes"), manifest.get("positive")
    if not isinstance(classes, list) or not 2 <= len(classes) <= _MOST_CLASSES or not all(map(_is_class, classes)):
        raise Damaged("its manifest names no classes")
    if len(set(classes)) != len(classes):
        raise Damaged("its manifest names a class twice")
    if positive not in (classes if len(classes) == 2 else [None]):
        raise Damaged("its positive class is none of its classes")
    temperature, threshold, shift = (_number(manifest, name) for name in ("temperature", "threshold", "shift"))
    if temperature <= 0 or threshold < 0:
        raise Damaged("its temperature or threshold is no such number")
    return Decision(
        classes=tuple(classes), positive=positive, temperature=temperature, threshold=threshold, shift=shift
    )


def _is_class(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_CLASS and name.isprintable()


def _number(manifest: Mapping[str, Any], name: str) -> float:
    value: Any = manifest.get(name)
    if not _is_number(value) or not -1000 <= value <= 1000:
        raise Damaged(f"its {name} is no such number")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    return type(value) is int and 0 < value <= 1 << 20


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _is_three_numbers(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))


def _is_estimate(value: Any) -> bool:
    ends = [value.get(name) for name in ("value", "low", "high")] if isinstance(value, dict) else [""]
    return all(each is None or _is_number(each) for each in ends)


# What later code reads, by its path; whatever is there must be of this kind.
_MANIFEST: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        "created": _is_text,
        "data_fingerprint": _is_text,
        "intended_use": _is_text,
        "versions": _is_texts,
        "backbone.name": _is_text,
        "backbone.weights_sha256": _is_text,
        "backbone.features": _is_whole,
        "preprocessing.image_size": _is_whole,
        "preprocessing.input_size": _is_whole,
        "preprocessing.scaling": _is_text,
        "preprocessing.scale": _is_three_numbers,
        "preprocessing.offset": _is_three_numbers,
        "preprocessing.fit": _is_text,
        "preprocessing.sha256": _is_text,
    }
)
_METRICS: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        "worth.level": _is_text,
        "worth.sentence": _is_text,
        "audit.verdict": _is_text,
        "audit.sentence": _is_text,
        "splits.test.accuracy": _is_estimate,
        "splits.test.auroc": _is_estimate,
    }
)


def check_types(manifest: Mapping[str, Any], metrics: Mapping[str, Any], classes: Sequence[str]) -> None:
    """Check the types of what later code reads.

    Raises
    ------
    Damaged
        One is of another type.
    """
    for values, kinds, where in ((manifest, _MANIFEST, "manifest"), (metrics, _METRICS, "metrics")):
        for path, is_kind in kinds.items():
            _check_at(values, path.split("."), is_kind, f"{path} in its {where}")
    shares = manifest.get("prevalence", dict.fromkeys(classes, 0.0))
    if not isinstance(shares, dict) or set(shares) != set(classes):
        raise Damaged("prevalence in its manifest is not of its classes")
    if not all(_is_number(share) and 0 <= share <= 1 for share in shares.values()):
        raise Damaged("prevalence in its manifest is no share")


def _check_at(values: Any, names: Sequence[str], is_kind: Callable[[Any], bool], said: str) -> None:
    for name in names:
        if not isinstance(values, dict):
            raise Damaged(f"{said} is of another type")
        if name not in values:
            return
        values = values[name]
    if not is_kind(values):
        raise Damaged(f"{said} is of another type")
