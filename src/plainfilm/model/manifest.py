"""The JSON members of a bundle: read strictly, then as the types of `results`."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from plainfilm.model.bundle_zip import Damaged
from plainfilm.model.classifier import Decision
from plainfilm.reasons import reason_of
from plainfilm.results.documents import Document
from plainfilm.results.manifest import Manifest
from plainfilm.results.metrics import RunMetrics

D = TypeVar("D", bound=Document)
_DEEPEST = 32
MOST = (
    150_000  # values in metrics, and in a manifest with sites of findings; each becomes an object many times its size
)
_LARGEST = 1 << 63
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"
)  # a terminal obeys some; half a character cannot be printed


def parse(data: bytes, *, most: int = 5000) -> dict[str, object]:
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


def _once(pairs: list[tuple[str, Any]]) -> dict[str, object]:
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


def _check_plain(whole: Mapping[str, object]) -> None:
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


class Newer(Damaged):
    """Written by a plainfilm that knows more than this one."""


def read(data: bytes) -> Manifest:
    """Read a manifest.

    Raises
    ------
    Damaged
        It is none, or makes no sense; `Newer` where it has a newer version.
    """
    manifest = _typed(parse(data, most=MOST), Manifest, "manifest")
    _check_classes(manifest)
    return manifest


def read_metrics(data: bytes) -> RunMetrics:
    """Read the metrics; those of plainfilm 0.1 name neither format nor version.

    Raises
    ------
    Damaged
        They are none; `Newer` where they have a newer version.
    """
    unnamed = {"format": RunMetrics.FORMAT, "version": 1}
    return _typed(unnamed | parse(data, most=MOST), RunMetrics, "metrics.json")


def _typed(values: Mapping[str, object], kind: type[D], said: str) -> D:
    version = values.get("version")
    if values.get("format") != kind.FORMAT:
        raise Damaged(f"its {said} is of another kind")
    if type(version) is not int or version < 1:
        raise Damaged(f"its {said} names no version")
    if version > kind.VERSION:
        raise Newer(f"{said} version {version}")
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise Damaged(f"its {said}: {reason_of(error)}") from error


def _check_classes(manifest: Manifest) -> None:
    """Check what no type says of one value alone."""
    classes = manifest.classes
    if not all(map(str.isprintable, classes)) or len(set(classes)) != len(classes):
        raise Damaged("its manifest names a class twice, or one that cannot be printed")
    of_findings = manifest.task == "findings"
    if manifest.positive not in (classes if len(classes) == 2 and not of_findings else [None]):
        raise Damaged("its positive class is none of its classes")
    calibrated = len(manifest.slopes), len(manifest.intercepts)
    fitting = {(len(classes),) * 2} if of_findings else {(0, 0), (len(classes),) * 2}
    if calibrated not in fitting or (manifest.positive and any(calibrated)):
        raise Damaged("slopes and intercepts in its manifest are not of its classes")
    parts = [(manifest.lower_threshold, manifest.threshold)]
    parts += [(each.lower_threshold, each.threshold) for each in manifest.sites.values()]
    between = zip(manifest.lower_thresholds, manifest.thresholds, strict=False)
    combined = [(each.lower_threshold, each.threshold) for each in (manifest.combining, *manifest.combinings) if each]
    above = any(lower is not None and lower > upper for lower, upper in (*between, *combined))
    if above or any(lower is not None and (lower > upper or not manifest.positive) for lower, upper in parts):
        raise Damaged("its manifest has a lower threshold above the other, or for more than two classes")
    of_findings_there = [each for own in manifest.finding_sites.values() for each in own.values()]
    if any(each.lower_threshold is not None and each.lower_threshold > each.threshold for each in of_findings_there):
        raise Damaged("its manifest has a lower threshold above the other for a finding at a site")
    told = len(classes) if of_findings else 0
    lengths = len(manifest.lower_thresholds), len(manifest.combinings)
    if len(manifest.thresholds) != told or not set(lengths) <= {0, told}:
        raise Damaged("thresholds in its manifest are not of its findings")
    if (manifest.sites and not manifest.positive) or not all(map(str.isprintable, manifest.known_sites)):
        raise Damaged("its manifest names a site for more than two classes, or one that cannot be printed")
    if any(set(own) - set(classes if of_findings else ()) for own in manifest.finding_sites.values()):
        raise Damaged("its manifest names a site for a finding that it does not tell")
    if set(manifest.prevalence) != set(classes):
        raise Damaged("prevalence in its manifest is not of its classes")


def decision(manifest: Manifest) -> Decision:
    """Take what turns logits into a class."""
    return Decision(**{each.name: getattr(manifest, each.name) for each in dataclasses.fields(Decision)})
