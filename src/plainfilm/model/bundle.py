"""One file to keep and share: `model.plainfilm`, a ZIP of stored members with fixed names, safe to open.

Nothing in it is unpickled, extracted or executed. Opening checks layout, names, sizes, hashes, version, types, the network
and its golden answers first, in memory of at most twice the file's size and `BESIDE`; see docs/bundle.md.
"""

import dataclasses
import hashlib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plainfilm.data import cache, files
from plainfilm.data.files import written_whole
from plainfilm.errors import BundleError, UsageError
from plainfilm.model import answered, bundle_zip, devices, golden, manifest, signing
from plainfilm.model.bundle_zip import Damaged
from plainfilm.model.classifier import Classifier, Decision
from plainfilm.model.golden import Golden
from plainfilm.model.onnx_safety import check
from plainfilm.model.onnx_safety.reading import NetworkRefused
from plainfilm.model.onnx_session import ImageNetwork, pictures
from plainfilm.reasons import reason_of
from plainfilm.results import documents
from plainfilm.results.manifest import Manifest, Member, Provenance
from plainfilm.results.metrics import RunMetrics

NAME = "model.plainfilm"  # of the bundle in a run folder
SEEN_BYTES = 1 << 26  # of what it was made from, by hash, at most
BESIDE = (
    128 << 20
)  # bytes that opening takes at most beside twice the file's size, for images of up to 256 px, also where a network enlarges them
_MANIFEST, _NETWORK, _METRICS, _RECIPE, _IMAGES, _LOGITS, _CARD, _OUTLIERS, _SEEN = "manifest.json", "network.onnx", "metrics.json", "recipe.toml", "golden_images.npy", "golden_logits.npy", "card.md", "outliers.bin", "seen.bin"  # fmt: skip
_SIGNATURE = "signature.ed25519"  # the only member that may be missing
_LIMITS = {
    _MANIFEST: 1 << 20,
    _NETWORK: check.MOST_BYTES,
    _METRICS: 1 << 22,
    _RECIPE: 1 << 20,
    _IMAGES: 1 << 24,
    _LOGITS: 1 << 20,
    _CARD: 1 << 20,
    _OUTLIERS: 1 << 22,
    _SEEN: SEEN_BYTES,
    _SIGNATURE: signing.BYTES,
}
_LARGE = 384  # pixels, above which a network is slow, and one golden image has to do


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle: classifier, manifest, metrics, recipe (TOML), model card (Markdown), and two members as bytes."""

    classifier: Classifier
    manifest: Manifest
    metrics: RunMetrics
    recipe: str
    card: str
    outliers: bytes  # of `evidence.outliers.Detector`; empty where too few images could teach one
    seen: bytes  # of `evidence.seen.Seen`: which images it was made from, by hash
    is_signed: bool  # by whom, only `load(…, require_signature=…)` can say
    site: str | None = None  # whose calibration it answers with; None: its own


class _Opened(Classifier):
    """A classifier out of a file: once ONNX Runtime has replaced its operators by faster ones, it must answer the same."""

    def __init__(self, path: Path, network: bytes, decision: Decision, shown: Golden, kept: Path | None) -> None:
        super().__init__(network, decision)
        self._device = devices.current()
        self._path, self._golden, self._kept = path, shown, kept if self.device == devices.CPU else None

    def through(self, network: Any) -> Classifier:
        return super().through(self._checked(lambda: network, None))

    def _prepare(self) -> ImageNetwork:
        prepared: ImageNetwork = self._checked(super()._prepare, self._kept)
        return prepared

    def _checked(self, make: Callable[[], Any], kept: Path | None) -> Any:
        try:
            prepared = make()
            if kept and cache.has(kept):
                return prepared
            received = prepared.run(self._golden.pictures, "logits")[0]
        except UsageError:  # of the device
            raise
        except Exception as error:  # ONNX Runtime's errors have no class of their own
            raise _not_one(self._path, reason_of(error)) from error
        if not golden.agree(received, self._golden.expected):
            raise _not_one(self._path, "its network gives other answers here than where it was made")
        if kept:
            answered.keep(kept)
        return prepared


def write(
    path: Path,
    classifier: Classifier,
    *,
    about: Provenance,
    metrics: RunMetrics,
    recipe: str,
    card: str = "",
    outliers: bytes = b"",
    seen: bytes = b"",
    sign: Path | None = None,
) -> None:
    """Write a bundle, and open it again before it takes its place.

    `sign` is a private key (PEM, Ed25519): the manifest is signed, and with it the hash of every member.

    Raises
    ------
    BundleError
        It would not open: the network has operators that `onnx_check` does not allow, needs too much memory, or a
        member is too large.
    """
    images = pictures(classifier.image_size)[: 1 if classifier.image_size > _LARGE else 2]
    contents = {
        _NETWORK: classifier.network,
        _METRICS: documents.encode(metrics),
        _RECIPE: recipe.encode(),
        _IMAGES: golden.to_npy(images),
        _LOGITS: golden.to_npy(classifier.logits(images)),
        _CARD: card.encode("utf-8", errors="replace"),
        _OUTLIERS: outliers,
        _SEEN: seen,
    }
    stated = {name: getattr(about, name) for name in Provenance.__struct_fields__}
    told = Manifest(**stated, **dataclasses.asdict(classifier.decision), members=_hashes(contents))
    first = documents.encode(told, indent=1)
    signature = {_SIGNATURE: signing.sign(first, sign)} if sign else {}
    with written_whole(path) as partial:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            for name, data in {_MANIFEST: first, **contents, **signature}.items():
                archive.writestr(zipfile.ZipInfo(name), data)
        _check_written(partial)
    if (
        classifier.image_size > _LARGE and classifier.device == devices.CPU
    ):  # what is prepared here has just given these answers
        answered.keep(_kept(told.members))


def _check_written(path: Path) -> None:
    try:
        _open(path, None, prepare=False)
    except (Damaged, NetworkRefused) as error:
        hint = "Train with another backbone, or a smaller backbone.input_size."
        raise BundleError(
            f"Expected a classifier that a bundle can hold; received one that it cannot ({_reason(error)}). {hint}"
        ) from error


def place_of(named: str | Path) -> Path:
    """Give the path of a bundle; of a run folder that of the model.plainfilm in it, or of the only bundle.

    Raises
    ------
    BundleError
        A folder without a bundle.
    """
    path = Path(named)
    files.settle(path)
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.plainfilm"))
    if (path / NAME).is_file() or len(found) == 1:
        return path / NAME if (path / NAME).is_file() else found[0]
    received = f"{len(found)}: {', '.join(each.name for each in found)}" if found else "none"
    raise BundleError(
        f"Expected a run folder with a {NAME} in it; received {path} ({received}). Give the path of a {NAME}."
    )


def load(path: str | Path, *, require_signature: str | Path | None = None, prepare: bool = False) -> Bundle:
    """Open a bundle, after everything in it has been checked.

    Parameters
    ----------
    path
        A model.plainfilm, or the run folder that it is in.
    require_signature
        A public key (PEM, Ed25519) that the bundle must be signed for.
    prepare
        Prepare the network for speed at once, and let the golden images go through that alone: for who has images to answer. A large
        network on the processor is asked once a kind of processor, as the cache tells (`answered`).

    Raises
    ------
    BundleError
        No such file, not a bundle, an altered, truncated or newer one, one whose network may not be run or answers
        otherwise here, or one that does not bear the signature asked for.
    """
    path = place_of(path)
    try:
        return _open(path, Path(require_signature) if require_signature else None, prepare=prepare)
    except FileNotFoundError as error:
        raise BundleError(
            f"Expected a plainfilm bundle; received {path}, which does not exist. Give the path of a model.plainfilm."
        ) from error
    except manifest.Newer as error:
        raise BundleError(
            f"Expected a bundle of version {Manifest.VERSION} or older; {path} has {error}. Update plainfilm."
        ) from error
    except (Damaged, NetworkRefused) as error:
        raise _not_one(path, _reason(error)) from error
    except (OSError, ValueError) as error:  # ValueError: a path that cannot be one
        raise _not_one(path, reason_of(error)) from error


def _open(path: Path, key: Path | None, *, prepare: bool) -> Bundle:
    with bundle_zip.opened(path) as archive:
        first = archive.read(_MANIFEST, _LIMITS[_MANIFEST])
        told = manifest.read(first)  # before its names: a newer one may have others
        archive.check(_LIMITS, optional=[_SIGNATURE])
        contents = archive.read_all()
    signature = contents.pop(_SIGNATURE, None)
    if signature is not None and len(signature) != signing.BYTES:
        raise Damaged("its signature is none")
    if key is not None:
        _check_signature(path, first, signature, key)
    del contents[_MANIFEST]
    if told.members != _hashes(contents):
        raise Damaged("a member does not have the hash in its manifest: the file was altered")
    metrics, decision = manifest.read_metrics(contents[_METRICS]), manifest.decision(told)
    recipe, card = (_text(contents[name]) for name in (_RECIPE, _CARD))
    shown = _checked(told, contents, decision, is_run=not prepare)
    kept = _kept(told.members) if prepare and told.preprocessing.image_size > _LARGE else None
    made = _Opened(path, contents[_NETWORK], decision, shown, kept)
    if prepare:
        made.prepare()
    return Bundle(made, told, metrics, recipe, card, contents[_OUTLIERS], contents[_SEEN], signature is not None)


def _kept(members: Mapping[str, Member]) -> Path:
    return answered.entry(*(members[name].sha256 for name in (_NETWORK, _IMAGES, _LOGITS)))


def _checked(told: Manifest, contents: Mapping[str, bytes], decision: Decision, *, is_run: bool) -> Golden:
    """Check a network, and what it answers to its golden images if it `is_run` here; give these."""
    network = check.check(contents[_NETWORK])
    if told.preprocessing.image_size != network.image_size:
        raise Damaged("its network takes images of another size than its manifest says")
    is_one_of_two = len(decision.classes) == 2 and decision.task == "classes"
    widths = (1, 2) if is_one_of_two else (len(decision.classes),)
    try:
        found = golden.read(network, contents[_IMAGES], contents[_LOGITS], outputs=widths)
        if is_run:
            golden.check(network, found)
    except Damaged:
        raise
    except Exception as error:  # ONNX Runtime's errors have no class of their own
        raise Damaged(reason_of(error)) from error
    return found


def _check_signature(path: Path, first: bytes, signature: bytes | None, key: Path) -> None:
    if signature is None:
        raise BundleError(
            f"Expected a bundle signed for {key}; received {path}, which is not signed. Get a signed one, or leave the key out."
        )
    if not signing.is_signed_by(first, signature, key):
        raise BundleError(
            f"Expected a bundle signed for {key}; received {path}, whose signature is another's or does not fit. Do not use it."
        )


def _hashes(contents: Mapping[str, bytes]) -> dict[str, Member]:
    return {name: Member(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data)) for name, data in contents.items()}


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Damaged("its recipe or its card is no text") from error


def _reason(error: Damaged | NetworkRefused) -> str:
    return f"its network {error}" if isinstance(error, NetworkRefused) else reason_of(error)


def _not_one(path: Path, reason: str) -> BundleError:
    return BundleError(
        f"Expected a whole plainfilm bundle; received {path} ({reason}). Get the file again from where it was made."
    )
