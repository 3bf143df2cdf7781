"""A backbone as it runs: exported once to ONNX with its preprocessing inside, images in, features out, both cached.

The cache keys are of content: an encoder's of weights and preprocessing, the features' of images and encoder.
"""

import hashlib
import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plainfilm import extras
from plainfilm.data import cache, claims, pieces, shared_store
from plainfilm.data.files import cache_folder
from plainfilm.data.store import Store
from plainfilm.engines.current import elsewhere, is_mixed
from plainfilm.engines.engine import Engine
from plainfilm.engines.left_files import LeftFile
from plainfilm.engines.terms import host
from plainfilm.errors import EngineError, RecipeError, WeightsError
from plainfilm.model import devices, keras_backend, kernels, lung_segmentation, weights
from plainfilm.model.augmentation import Alteration, Altered
from plainfilm.model.backbones import FLOAT32, SCALINGS, Backbone, Channels, Scaling
from plainfilm.model.bfloat16 import Bfloat16Network
from plainfilm.model.memory import trim
from plainfilm.model.onnx_session import BATCH, ImageNetwork
from plainfilm.results.manifest import Preprocessing

_EXPORT_VERSION = 2
SEGMENT = 64 * BATCH  # images that a kill may cost
_READ_AT_ONCE_BYTES = 1 << 20  # of features
_READ_OVER_BYTES = 1 << 14  # as long as another call takes


class ImageSource(Protocol):
    """What has images to encode: a store, or anything like one."""

    fingerprint: str

    def __len__(self) -> int: ...

    def batches(self, size: int, start: int = 0) -> Iterator[NDArray[np.uint8]]:
        """Give all images from row `start` on in order, uint8 (up to `size`, s, s) at a time."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Features:
    """Features of all images of a store, in its order, on disk: float32 (n, width). Rows are read when asked for."""

    path: Path
    rows: int
    width: int
    seconds: float  # spent on encoding now; 0 where the cache had them
    cached: bool

    def read(self, rows: NDArray[np.int64] | Sequence[int]) -> NDArray[np.float32]:
        """Read some rows, float32 (len(rows), width), in the order in which they lie on disk.

        Memory stays with the rows asked for: a memory map would count the whole file in the end.
        """
        out, row_bytes = np.empty((len(rows), self.width), np.float32), self.width * 4
        order = np.argsort(rows, kind="stable")
        lying = np.asarray(rows, np.int64)[order]
        with self.path.open("rb", buffering=0) as file:
            file.seek(8)
            start = 10 + int.from_bytes(file.read(2), "little")  # NPY format 1.0: the length of the rest of its header
            for first, end in _stretches(lying, row_bytes):
                file.seek(start + int(lying[first]) * row_bytes)
                if end - first == 1:
                    file.readinto(out[order[first]].data)
                    continue
                block = np.empty((lying[end - 1] - lying[first] + 1, self.width), np.float32)
                file.readinto(block.data)
                out[order[first:end]] = block[lying[first:end] - lying[first]]
        return out


def _stretches(rows: NDArray[np.int64], row_bytes: int) -> list[tuple[int, int]]:
    """Divide sorted rows into stretches that are read at once, as their first place and the one behind their last."""
    if not len(rows):
        return []
    is_far = np.diff(rows) * row_bytes > _READ_OVER_BYTES
    is_beyond = np.diff(rows * row_bytes // _READ_AT_ONCE_BYTES) > 0
    cuts = (np.flatnonzero(is_far | is_beyond) + 1).tolist()
    return list(pairwise([0, *cuts, len(rows)]))


class Encoder:
    """A backbone with its preprocessing in ONNX Runtime: gray uint8 (n, s, s) to float32 (n, width).

    It runs on the device of `devices.current`; in bfloat16, if it is of that `precision`, in OpenVINO on the processor. `key` tells
    both, since features then differ.
    """

    def __init__(
        self,
        path: Path,
        *,
        key: str,
        name: str,
        preprocessing: Preprocessing,
        weights_sha256: str,
        threads: int | None = None,
        precision: str = FLOAT32,
    ) -> None:
        self._threads, self.precision = threads, precision
        self._device = devices.current() if precision == FLOAT32 else devices.PROCESSOR
        self.path, self.name = path, name
        with cache.held(path) as keep:
            keep(self)
        self.preprocessing, self.weights_sha256 = preprocessing, weights_sha256
        self.width, self.device = self._network.width("features"), self._network.device
        self.key = " ".join([key, *({precision, self.device} - {FLOAT32, devices.CPU})])

    def network(self) -> bytes:
        """Read the ONNX network from the cache.

        Raises
        ------
        WeightsError
            It was damaged or removed since the encoder was opened.
        """
        content = cache.read(self.path)
        if content is None:
            raise WeightsError(
                f"Expected the encoder {self.path}; it was damaged or removed meanwhile. Run again: it is made anew."
            )
        return content

    @cached_property
    def _network(self) -> ImageNetwork | Bfloat16Network:
        if self.precision == FLOAT32:
            return ImageNetwork(self.network, threads=self._threads, device=self._device)
        return Bfloat16Network(self.network(), threads=self._threads)

    def rest(self) -> None:
        """Let go the memory that building and encoding took, some 170 MB, until images are encoded again."""
        self.__dict__.pop("_network", None)
        trim()

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode gray uint8 images (n, s, s) to float32 features (n, width)."""
        return self._network.run(images, "features")[0]


def preprocessing(
    backbone: Backbone,
    *,
    image_size: int,
    input_size: int = 0,
    scaling: str = "auto",
    span: tuple[float, float] | None = None,
    mean: Channels | None = None,
    std: Channels | None = None,
    channels: int = 0,
    resample: str = "auto",
    crop: str = "none",
    intensities: str = "stored",
) -> Preprocessing:
    """Resolve a backbone's preprocessing; 0, "auto" and None mean the backbone's own.

    All are those of `recipe_schema.BackboneSettings`, `span` its range.

    Raises
    ------
    RecipeError
        A scaling that is not known, or none for a user's ONNX file, which cannot say what it expects; or a number of channels
        that the network cannot have.
    WeightsError
        A network from a hub that is not here.
    """
    if backbone.weights.kind == "folder" and not backbone.weights.file:
        raise weights.not_here(backbone)
    if channels not in {0, backbone.channels} and backbone.weights.kind != "file":
        raise RecipeError(
            f"Expected backbone.channels {backbone.channels}, which {backbone.name} has; received {channels}. Leave it out."
        )
    name, own = _scaling(backbone, scaling, span, mean, std)
    return Preprocessing(
        image_size=image_size,
        input_size=input_size or backbone.input_size or image_size,
        scaling=name,
        scale=own.scale,
        offset=own.offset,
        crop=crop,
        intensities=intensities,
        channels=1 if (channels or backbone.channels) == 1 else 3,
        resample=backbone.resample if resample == "auto" else resample,
    )


def _scaling(
    backbone: Backbone, asked: str, span: tuple[float, float] | None, mean: Channels | None, std: Channels | None
) -> tuple[str, Scaling]:
    """Give a scaling and its name: a known one, or by its values where some of them are set."""
    name = backbone.scaling if asked == "auto" else asked
    known = backbone.own if asked == "auto" and backbone.own else SCALINGS.get(name)
    if known is None and asked == "auto" and backbone.weights.kind == "folder" and not (mean and std):
        raise RecipeError(
            f"Expected {backbone.weights.file} to say the mean and deviation of its images; received none. Set backbone.mean and backbone.std, "
            "or backbone.scaling."
        )
    if not (span or mean or std):
        if known is None:
            received = name or "none, and an ONNX file does not say it"
            raise RecipeError(
                f"Expected backbone.scaling of {', '.join(SCALINGS)}; received {received}. Set one of them, or backbone.range, "
                "backbone.mean and backbone.std."
            )
        return name or str(known), known
    base = known or SCALINGS["0..1"]
    made = Scaling(span or base.span, mean or base.mean, std or base.std)
    return str(made), made


def open_encoder(backbone: Backbone, prepare: Preprocessing, *, weights_file: Path | None = None) -> Encoder:
    """Open a backbone's encoder; the first time, build it in Keras and export it.

    Raises
    ------
    WeightsError
        The weights are missing or of another architecture; or the user's ONNX file does not map images to features.
    MissingExtraError
        No encoder in the cache, and what builds one is not installed.
    """
    found = weights.locate(backbone, weights_file)
    depth = f" depth {backbone.depth}" if backbone.depth else ""
    lungs = "" if prepare.is_plain else f" {lung_segmentation.fingerprint()}"
    taken = f" {backbone.pooling} {backbone.output!r}" if (backbone.pooling, backbone.output) != ("auto", "") else ""
    about = f"{_EXPORT_VERSION} {backbone.builder or 'checked'}{depth}{taken} {found.sha256} {prepare.digest()}{lungs}"
    key = hashlib.sha256(about.encode()).hexdigest()[:32]
    path = cached(f"{backbone.name}-{key}", lambda: _built(backbone, prepare, found))
    return Encoder(
        path,
        key=key,
        name=backbone.name,
        preprocessing=prepare,
        weights_sha256=found.sha256,
        precision=backbone.precision,
    )


def cached(name: str, build: Callable[[], bytes]) -> Path:
    """Find a network in the cache, or build it. plainfilm 0.1, which knows no SHA-256 behind an entry, looks for another ending."""
    path = cached_at(f"{name}.network")
    with cache.missing(path) as is_missing:
        if is_missing:
            cache.write(path, build())
    return path


def cached_at(file: str) -> Path:
    """Give the place of a network in the cache by the name of its file."""
    return cache_folder() / "encoders" / file


def _built(backbone: Backbone, prepare: Preprocessing, found: weights.WeightsFile) -> bytes:
    kind = backbone.weights.kind
    needs = {"file": ["onnx"], "folder": ["onnx", "safetensors"]}.get(kind, ["onnx", "keras"])
    extras.require(f"building the encoder of {backbone.name}", *needs)
    if kind == "folder":
        return _from_folder(backbone, prepare, found)
    if kind == "file":
        return _around_onnx(backbone, prepare, found.path)
    return bytes(_from_keras(backbone, prepare, found).SerializeToString())


def to_keras(network: Any, prepare: Preprocessing) -> Any:
    """Put the preprocessing before a network of `backbones.build`, in Keras.

    Returns
    -------
    keras.Model
        uint8 or float32 (n, image_size, image_size), gray levels 0 to 255, to float32 (n, width).

    Raises
    ------
    ValueError
        A lung crop, harmonised intensities or another resizing, which ONNX graphs alone hold.
    """
    keras = keras_backend.load()
    if not prepare.is_plain or prepare.resample != "bilinear":
        raise ValueError(
            f"Expected images as they are, resized bilinearly; received crop {prepare.crop}, intensities {prepare.intensities}, "
            f"{prepare.resample}, which Keras models lack."
        )
    gray = keras.Input((prepare.image_size, prepare.image_size), name="images")
    x = keras.layers.Reshape((prepare.image_size, prepare.image_size, 1))(gray)
    if prepare.input_size != prepare.image_size:
        x = keras.layers.Resizing(prepare.input_size, prepare.input_size, interpolation="bilinear")(x)
    x = keras.layers.Concatenate()([x, x, x])
    x = keras.layers.Rescaling(np.array(prepare.scale, "float32"), np.array(prepare.offset, "float32"))(x)
    return keras.Model(gray, network(x), name=f"{network.name}_encoder")


def to_onnx(network: Any, prepare: Preprocessing) -> Any:
    """Put the preprocessing before a network of `backbones.build`, in ONNX.

    Returns
    -------
    onnx.ModelProto
        uint8 "images" (n, image_size, image_size) to float32 "features" (n, width).
    """
    from plainfilm.model.onnx import from_keras

    graph = from_keras.Graph()
    from_keras.add_keras(graph, network, _prelude(graph, prepare), output="features")
    features = from_keras.float_output("features", network.outputs[0].shape[-1])
    return graph.model([_images_input(prepare)], [features])


def _prelude(graph: Any, prepare: Preprocessing, *, channels_last: bool = False) -> str:
    """Add the preprocessing to an ONNX graph and return the name of its output."""
    from plainfilm.model.onnx import preprocessing as prelude

    x = prelude.add(
        graph,
        image_size=prepare.image_size,
        input_size=prepare.input_size,
        crop=prepare.crop,
        intensities=prepare.intensities,
        resample=prepare.resample,
    )
    scale, offset = (np.array(each[: prepare.channels], np.float32) for each in (prepare.scale, prepare.offset))
    x = graph.node("Mul", [x, graph.weight(scale[:, None, None])])
    x = graph.node("Add", [x, graph.weight(offset[:, None, None])])
    return str(graph.node("Transpose", [x], perm=[0, 2, 3, 1])) if channels_last else x


def _images_input(prepare: Preprocessing) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", prepare.image_size, prepare.image_size])


def _from_keras(backbone: Backbone, prepare: Preprocessing, found: weights.WeightsFile) -> Any:
    network = weights.network(backbone, prepare.input_size, found)
    return to_onnx(network, prepare)


def _from_folder(backbone: Backbone, prepare: Preprocessing, found: weights.WeightsFile) -> bytes:
    from plainfilm.model.hub import folder, network
    from plainfilm.model.onnx import from_keras, user_backbone

    graph = from_keras.Graph()
    features, width = network.add(
        graph,
        folder.open_folder(found.path),
        _prelude(graph, prepare),
        prepare.input_size,
        pooling=backbone.pooling,
        output=backbone.output,
        depth=backbone.depth,
    )
    graph.node("Identity", [features], output="features")
    model = graph.model([_images_input(prepare)], [from_keras.float_output("features", width)])
    content = bytes(model.SerializeToString())
    user_backbone.check_holdable(content, found.path)
    return content


def _around_onnx(backbone: Backbone, prepare: Preprocessing, path: Path) -> bytes:
    """Put the preprocessing before a user's ONNX file that maps float images (channels first or last) to features."""
    from plainfilm.model.onnx import user_backbone

    return user_backbone.with_prelude(
        path,
        prepare.input_size,
        _images_input(prepare),
        lambda graph, last: _prelude(graph, prepare, channels_last=last),
        channels=prepare.channels,
        taken=user_backbone.Taken(backbone.output, backbone.pooling),
    )


def encode_store(
    encoder: Encoder, store: ImageSource, *, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> Features:
    """Encode every image of a store, or find the features in the cache.

    They are written in segments as they come, and joined in the end: a run goes on where one that was killed has ended.
    `progress(done, all)` is called after each batch.
    """
    mixed = " mixed" * is_mixed()  # in their last bits no machine's own
    key = hashlib.sha256(f"{encoder.key} {store.fingerprint}{mixed}".encode()).hexdigest()[:32]
    path = cache_folder() / "features" / f"{key}.npy"
    start = time.perf_counter()
    with cache.held(path) as keep:
        with cache.missing(path) as is_missing:
            if is_missing:
                _write_features(path, encoder, store, progress)
        seconds = time.perf_counter() - start if is_missing else 0.0
        features = Features(path, len(store), encoder.width, seconds, cached=not is_missing)
        keep(features)
    if is_missing:
        encoder.rest()
    return features


@dataclass(frozen=True, slots=True)
class SegmentJob:
    """Features for another process to make: the store, how its images are altered, the row that they start with, the encoder, and where they go."""

    number: int
    path: str
    store: str
    fingerprint: str
    start: int
    length: int
    network: str
    key: str
    name: str
    preprocessing: Preprocessing
    weights_sha256: str
    precision: str = FLOAT32
    alteration: Alteration | None = None


def encode_segment(job: SegmentJob) -> LeftFile:
    """Encode a segment of a store in one thread, unless it is there and whole.

    Raises
    ------
    EngineError
        The encoder cannot be seen here, or the store is another.
    """
    part, network = Path(job.path), Path(job.network)
    if not network.is_file():
        raise EngineError(
            f"Expected the cache at the same path on every machine; received none with {network} on {host()}. Share it: PLAINFILM_CACHE."
        )
    with cache.missing(part) as is_missing:
        if is_missing:
            encoder = _opened(network, job.key, job.name, job.preprocessing, job.weights_sha256, job.precision)
            store = shared_store.opened(job.store, job.fingerprint)
            images = job.alteration.of(store) if job.alteration else store
            cache.write(part, segment(encoder, images, job.start, length=job.length))
    return LeftFile.of(job.number, part)


@lru_cache(maxsize=1)
def _opened(network: Path, key: str, name: str, prepare: Preprocessing, weights_sha256: str, precision: str) -> Encoder:
    with devices.using(devices.CPU):
        return Encoder(
            network,
            key=key,
            name=name,
            preprocessing=prepare,
            weights_sha256=weights_sha256,
            threads=1,
            precision=precision,
        )


def _send(
    engine: Engine,
    encoder: Encoder,
    images: ImageSource,
    parts: Sequence[Path],
    progress: Callable[[int, int], None],
) -> None:
    """Let an engine make those segments of the features of a store, or of an altered view of it, that are missing."""
    store, alteration = (images.store, images.alteration) if isinstance(images, Altered) else (images, None)
    if not isinstance(store, Store):
        return

    def job_of(number: int) -> SegmentJob:
        return SegmentJob(
            number=number,
            path=str(parts[number].absolute()),
            store=str(store.path.absolute()),
            fingerprint=store.fingerprint,
            start=number * SEGMENT,
            length=SEGMENT,
            network=str(encoder.path.absolute()),
            key=encoder.key,
            name=encoder.name,
            preprocessing=encoder.preprocessing,
            weights_sha256=encoder.weights_sha256,
            precision=encoder.precision,
            alteration=alteration,
        )

    films = [min(SEGMENT, len(store) - start) for start in range(0, len(store), SEGMENT)]
    made = [*zip(parts, films, strict=True)]
    pieces.send(engine, encode_segment, job_of, made, check=kernels.kernel_class, advance=progress)


def _write_features(path: Path, encoder: Encoder, store: ImageSource, progress: Callable[[int, int], None]) -> None:
    header = io.BytesIO()
    told = {"descr": "<f4", "fortran_order": False, "shape": (len(store), encoder.width)}
    np.lib.format.write_array_header_1_0(header, told)
    if len(store) <= SEGMENT:
        with cache.written(path) as file:
            file.write(header.getvalue())
            file.write(segment(encoder, store, 0, progress))
        return
    kind = kernels.kind()  # no features are of two kinds of processors
    parts = [segments_of(path) / f"{start // SEGMENT}-{kind}.f4" for start in range(0, len(store), SEGMENT)]
    if engine := elsewhere():
        _send(engine, encoder, store, parts, progress)
    for number, part in enumerate(parts):
        with cache.missing(part) as is_missing:
            if is_missing:
                cache.write(part, segment(encoder, store, number * SEGMENT, progress))
    with cache.written(path) as file:
        file.write(header.getvalue())
        for number, part in enumerate(parts):
            file.write(cache.read(part) or segment(encoder, store, number * SEGMENT, progress))
    claims.remove(segments_of(path))


def segments_of(features: Path) -> Path:
    """Give the folder of the segments of features that are being made."""
    return features.with_suffix(".parts")


def segment(
    encoder: Encoder,
    store: ImageSource,
    start: int,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    *,
    length: int = 0,
) -> bytes:
    """Encode `length` images of a store, `SEGMENT` by default, from row `start` on, or what is left of them: float32 (k, width) as bytes."""
    made = list[bytes]()
    done = start
    batches = islice(store.batches(8 * BATCH, start), (length or SEGMENT) // (8 * BATCH))
    for images in batches if encoder.device == devices.CPU else _ahead(batches):
        features = encoder.encode(images)
        if not np.isfinite(features).all():
            raise WeightsError(
                f"Expected finite features; {encoder.name} gave NaN or infinity. Its weights are damaged or its scaling is wrong."
            )
        made.append(features.astype("<f4", copy=False).tobytes())
        done += len(images)
        progress(done, len(store))
    return b"".join(made)


def _ahead(batches: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Read the next batch while a device is at one."""
    with ThreadPoolExecutor(1, "ahead") as pool:
        coming = pool.submit(next, batches, None)
        while (images := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield images


def remembered(
    folder: str, about: str, compute: Callable[[], Mapping[str, NDArray[Any]]]
) -> tuple[dict[str, NDArray[Any]], bool]:
    """Take named arrays from the cache, or compute and keep them; whether the cache had them.

    Parameters
    ----------
    folder
        Of the cache.
    about
        Everything that the arrays depend on, in words: encoder, fingerprint of the images, rows, version.
    compute
        Gives the arrays.
    """
    path = cache_folder() / folder / f"{hashlib.sha256(about.encode()).hexdigest()[:32]}.npz"
    with cache.missing(path) as is_missing:
        if not is_missing and (kept := cache.read_arrays(path)) is not None:
            return kept, True
        found = dict(compute())
        cache.write_arrays(path, found)
    return found, False
