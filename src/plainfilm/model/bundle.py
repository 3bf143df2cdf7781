"""One file to keep and share: `model.plainfilm`, a ZIP of stored members with fixed names, safe to open.

Nothing in it is unpickled, extracted or executed. Opening checks names, sizes, hashes, version and golden outputs first.
"""

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.files import written_whole
from plainfilm.errors import BundleError
from plainfilm.model import signing
from plainfilm.model.classifier import Classifier, Decision

FORMAT = "plainfilm-bundle"
VERSION = 1
_MANIFEST, _NETWORK, _METRICS, _RECIPE, _IMAGES, _LOGITS, _CARD, _OUTLIERS, _SEEN = "manifest.json", "network.onnx", "metrics.json", "recipe.toml", "golden_images.npy", "golden_logits.npy", "card.md", "outliers.bin", "seen.bin"  # fmt: skip
_SIGNATURE = "signature.ed25519"  # the only member that may be missing
_LIMITS = {
    _MANIFEST: 1 << 20,
    _NETWORK: 1 << 30,
    _METRICS: 1 << 24,
    _RECIPE: 1 << 20,
    _IMAGES: 1 << 24,
    _LOGITS: 1 << 20,
    _CARD: 1 << 20,
    _OUTLIERS: 1 << 22,
    _SEEN: 1 << 26,
}
_GOLDEN_TOLERANCE = 1e-3  # of a logit; other processors add in another order


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle: classifier, manifest, metrics, recipe (TOML), model card (Markdown), and two members as bytes."""

    classifier: Classifier
    manifest: dict[str, Any]
    metrics: dict[str, Any]
    recipe: str
    card: str
    outliers: bytes  # of `evidence.outliers.Detector`; empty where too few images could teach one
    seen: bytes  # of `evidence.seen.Seen`: which images it was made from, by hash
    is_signed: bool = False  # by whom, only `load(…, require_signature=…)` can say


def write(
    path: Path,
    classifier: Classifier,
    *,
    about: Mapping[str, Any],
    metrics: Mapping[str, Any],
    recipe: str,
    card: str = "",
    outliers: bytes = b"",
    seen: bytes = b"",
    sign: Path | None = None,
) -> None:
    """Write a bundle.

    `about` is put into the manifest: versions, backbone, preprocessing, data fingerprint, intended use. `sign` is a
    private key (PEM, Ed25519): the manifest is signed, and with it the hash of every member.
    """
    images = _golden_images(classifier.image_size)
    members = {
        _NETWORK: classifier.network,
        _METRICS: json.dumps(metrics).encode(),
        _RECIPE: recipe.encode(),
        _IMAGES: _npy(images),
        _LOGITS: _npy(classifier.logits(images)),
        _CARD: card.encode("utf-8", errors="replace"),
        _OUTLIERS: outliers,
        _SEEN: seen,
    }
    decision = classifier.decision
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "classes": list(decision.classes),
        "positive": decision.positive,
        "temperature": decision.temperature,
        "shift": decision.shift,
        "threshold": decision.threshold,
        **about,
        "members": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in members.items()
        },
    }
    head = json.dumps(manifest, indent=1).encode()
    signature = {_SIGNATURE: signing.sign(head, sign)} if sign else {}
    with written_whole(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for name, data in {_MANIFEST: head, **members, **signature}.items():
            archive.writestr(zipfile.ZipInfo(name), data)


def _golden_images(size: int) -> NDArray[np.uint8]:
    """Two made pictures, no radiograph of anyone: seeded noise, and noise on a slope."""
    noise = np.random.default_rng(0).integers(0, 256, (2, size, size)).astype(np.float64)
    noise[1] = 0.5 * noise[1] + np.linspace(0, 127, size)[:, None]
    return noise.astype(np.uint8)


def _npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue()


def load(path: str | Path, *, require_signature: Path | None = None) -> Bundle:
    """Open a bundle, after everything in it has been checked.

    Parameters
    ----------
    path
        A model.plainfilm.
    require_signature
        A public key (PEM, Ed25519) that the bundle must be signed for.

    Raises
    ------
    BundleError
        No such file, not a bundle, an altered, truncated or newer one, or one whose network answers otherwise here.
    """
    path = Path(path)
    members = _read_members(path)
    manifest = _json(path, members[_MANIFEST])
    if require_signature is not None:
        _check_signature(path, members, require_signature)
    signature = members.pop(_SIGNATURE, b"")
    _check_manifest(path, manifest, members)
    metrics, decision = _json(path, members[_METRICS]), _decision(path, manifest)
    try:
        recipe, card = members[_RECIPE].decode(), members[_CARD].decode()
        images, logits = (np.load(io.BytesIO(members[name]), allow_pickle=False) for name in (_IMAGES, _LOGITS))
        classifier = Classifier(members[_NETWORK], decision)
        received = classifier.logits(images)
    except Exception as error:  # ONNX Runtime's errors have no class of their own
        raise _not_one(path, _first_line(error)) from error
    _check_golden(path, decision, received, logits)
    return Bundle(classifier, manifest, metrics, recipe, card, members[_OUTLIERS], members[_SEEN], bool(signature))


def _read_members(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.infolist()
            names = sorted(info.filename for info in listed)
            if names not in (sorted(_LIMITS), sorted([*_LIMITS, _SIGNATURE])):
                raise _not_one(path, "its members are not a bundle's")
            for info in listed:
                most = _LIMITS.get(info.filename, signing.BYTES)
                if info.compress_type != zipfile.ZIP_STORED or info.file_size > most:
                    raise _not_one(path, f"{info.filename} is compressed or too large")
            return {info.filename: archive.read(info) for info in listed}
    except FileNotFoundError as error:
        raise BundleError(
            f"Expected a plainfilm bundle; received {path}, which does not exist. Give the path of a model.plainfilm."
        ) from error
    except (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, RuntimeError, ValueError) as error:
        raise _not_one(path, _first_line(error)) from error


def _not_one(path: Path, reason: str) -> BundleError:
    return BundleError(
        f"Expected a whole plainfilm bundle; received {path} ({reason}). Get the file again from where it was made."
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def _json(path: Path, data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _not_one(path, "its JSON cannot be read") from error
    if not isinstance(value, dict):
        raise _not_one(path, "its JSON is not an object")
    return value


def _check_manifest(path: Path, manifest: Mapping[str, Any], members: Mapping[str, bytes]) -> None:
    if manifest.get("format") != FORMAT:
        raise _not_one(path, "its manifest is of another kind")
    if type(manifest.get("version")) is not int or manifest["version"] > VERSION:
        raise BundleError(
            f"Expected a bundle of version {VERSION} or older; {path} has version {manifest.get('version')}. Update plainfilm."
        )
    hashes = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in members.items()
        if name != _MANIFEST
    }
    if manifest.get("members") != hashes:
        raise _not_one(path, "a member does not have the hash in its manifest: the file was altered")


def _check_signature(path: Path, members: Mapping[str, bytes], key: Path) -> None:
    signature = members.get(_SIGNATURE)
    if signature is None:
        raise BundleError(
            f"Expected a bundle signed for {key}; received {path}, which is not signed. Get a signed one, or leave the key out."
        )
    if not signing.is_signed_by(members[_MANIFEST], signature, key):
        raise BundleError(
            f"Expected a bundle signed for {key}; received {path}, whose signature is another's or does not fit. Do not use it."
        )


def _decision(path: Path, manifest: Mapping[str, Any]) -> Decision:
    classes, positive = manifest.get("classes"), manifest.get("positive")
    if not isinstance(classes, list) or len(set(map(str, classes))) < 2 or not all(isinstance(c, str) for c in classes):
        raise _not_one(path, "its manifest names no classes")
    if (positive is not None or len(classes) == 2) and positive not in classes:
        raise _not_one(path, "its positive class is none of its classes")
    temperature, threshold, shift = (_number(path, manifest, name) for name in ("temperature", "threshold", "shift"))
    if temperature <= 0 or threshold < 0:
        raise _not_one(path, "its temperature or threshold is no such number")
    return Decision(
        classes=tuple(classes), positive=positive, temperature=temperature, threshold=threshold, shift=shift
    )


def _number(path: Path, manifest: Mapping[str, Any], name: str) -> float:
    value = manifest.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1000 <= value <= 1000:
        raise _not_one(path, f"its {name} is no such number")
    return float(value)


def _check_golden(path: Path, decision: Decision, received: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    widths = {1, 2} if len(decision.classes) == 2 else {len(decision.classes)}
    if not len(received) or received.shape[1] not in widths:
        raise _not_one(path, "its network does not answer for its classes")
    if received.shape != expected.shape or not np.allclose(received, expected, rtol=1e-3, atol=_GOLDEN_TOLERANCE):
        raise _not_one(path, "its network gives other answers here than where it was made")
