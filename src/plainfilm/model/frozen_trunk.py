"""The part of a network that fine-tuning leaves as it is: run once over the images in ONNX Runtime, its maps kept on disk."""

import contextlib
import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import cache, claims
from plainfilm.data.files import cache_folder
from plainfilm.errors import RecipeError, WeightsError
from plainfilm.model import encoder, keras_backend
from plainfilm.model.backbone_blocks import block_names, gate
from plainfilm.model.backbones import Backbone
from plainfilm.model.onnx_session import BATCH, ImageNetwork
from plainfilm.model.training import Part
from plainfilm.results.manifest import Preprocessing

_SEGMENT = 512  # images a file: what a kill may cost
_HALF_UP_TO = 1000.0  # largest value of the first maps under which float16, which ends at 65,504, is safe
_ROOM = 0.5  # share of the free disk that maps may take
Progress = Callable[[int, int], None]
Read = Callable[[NDArray[np.int64]], NDArray[Any]]


def divide(network: Any, backbone: Backbone, blocks: int | None) -> tuple[Any, Any]:
    """Divide a network before its last blocks, at a tensor that every path goes through.

    Parameters
    ----------
    network
        Of `backbones.build`; both parts use its layers.
    blocks
        How many of the last ones the second part has; None for the whole network.

    Returns
    -------
    tuple of keras.Model
        Trunk, images scaled float32 (n, s, s, 3) to maps (n, h, w, c), and top, maps to features (n, width).

    Raises
    ------
    RecipeError
        The network has fewer blocks.
    """
    keras = keras_backend.load()
    if blocks is None:
        return keras.Model(network.inputs, network.inputs, name="trunk"), network
    names = block_names(network, backbone)
    if not 0 < blocks <= len(names):
        raise RecipeError(
            f"Expected finetuning.blocks from 1 to {len(names)}, or all, for {backbone.name}; received {blocks}. Set one of them."
        )
    before = gate(network, backbone, names[-blocks])
    return keras.Model(network.inputs, before, name="trunk"), keras.Model(before, network.outputs, name="top")


@contextlib.contextmanager
def mapped(
    trunk: Any,
    prepare: Preprocessing,
    train: Part,
    validation: Part,
    *,
    about: str,
    progress: Progress = lambda _done, _all: None,
) -> Iterator[tuple[Part, Part]]:
    """Give parts of gray images with a trunk's maps as inputs instead, float16 or float32 (b, h, w, c).

    They come from disk, until the context ends; where the trunk is the preprocessing alone, or the disk has no room, they are
    made as they are asked for.

    Parameters
    ----------
    trunk
        Of `divide`.
    train, validation
        Parts with one `read`, of gray uint8 images (b, s, s).
    about
        Everything that the images depend on, in words.
    progress
        Called with done and all while the maps are made.
    """
    is_bare = not trunk.layers[1:]
    running = Trunk(trunk, prepare, threads=1 if is_bare else None)
    altered = [] if train.views is None else [train.views.ravel()]
    maps = Maps(running, np.concatenate([train.rows, validation.rows, *altered]), train.read, about=about)
    if is_bare or not maps.fits():
        yield _through(running, train), _through(running, validation)
        return
    with maps.kept():
        maps.fill(progress)
        yield dataclasses.replace(train, read=maps.read), dataclasses.replace(validation, read=maps.read)


def _through(trunk: "Trunk", part: Part) -> Part:
    return dataclasses.replace(part, read=lambda numbers: trunk.run(part.read(numbers)))


class Trunk:
    """Preprocessing and trunk in ONNX Runtime: gray uint8 (n, s, s) to maps (n, h, w, c).

    Attributes
    ----------
    key : str
        SHA-256 of the graph, in hex.
    shape : tuple of int
        (h, w, c) of a map.
    """

    def __init__(self, trunk: Any, prepare: Preprocessing, *, threads: int | None = None) -> None:
        content = _to_onnx(trunk, prepare).SerializeToString()
        self._network = ImageNetwork(content, threads=threads)
        self.key, self.shape = hashlib.sha256(content).hexdigest(), tuple(trunk.outputs[0].shape[1:])

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give the maps float32 (n, h, w, c) of gray uint8 images (n, s, s)."""
        return self._network.run(images)[0]


def _to_onnx(trunk: Any, prepare: Preprocessing) -> Any:
    """Export a trunk with its preprocessing; its maps come out channels last, as Keras wants them."""
    from onnx import TensorProto, helper

    model = encoder.to_onnx(trunk, prepare)
    made = model.graph.output[0].name
    model.graph.node.append(helper.make_node("Transpose", [made], ["maps"], perm=[0, 2, 3, 1]))
    del model.graph.output[:]
    model.graph.output.append(
        helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", *trunk.outputs[0].shape[1:]])
    )
    return model


class Maps:
    """Maps of some images on disk; read by the numbers under which the images are known.

    They are float16 where the first ones are far from what float16 can hold: half the disk and half the reading, at 11
    bits a value, which is finer than what one step of training moves.
    """

    def __init__(self, trunk: Trunk, numbers: NDArray[np.int64], read: Read, *, about: str) -> None:
        self._trunk, self._read, self._numbers = trunk, read, np.unique(numbers)
        first = trunk.run(read(self._numbers[:1]))
        self.dtype = np.dtype(np.float16 if np.abs(first).max() < _HALF_UP_TO else np.float32)
        self._bytes = int(np.prod(trunk.shape)) * self.dtype.itemsize
        digest = hashlib.sha256(f"{trunk.key} {about} ".encode() + self._numbers.tobytes())
        self.folder = cache_folder() / "maps" / digest.hexdigest()[:32]

    def fits(self) -> bool:
        """Whether the maps take no more than half of what is free on the disk."""
        place = next(folder for folder in self.folder.parents if folder.is_dir())
        return len(self._numbers) * self._bytes < _ROOM * shutil.disk_usage(place).free

    def fill(self, progress: Progress) -> None:
        """Run the trunk over all images; what an earlier run that was killed has left is kept."""
        for at in range(0, len(self._numbers), _SEGMENT):
            path = self._segment(at)
            with cache.missing(path) as is_missing:
                if is_missing:
                    self._write(path, at, progress)
        progress(len(self._numbers), len(self._numbers))

    def _write(self, path: Path, start: int, progress: Progress) -> None:
        end = min(start + _SEGMENT, len(self._numbers))
        with cache.written(path) as file:
            for at in range(start, end, 4 * BATCH):
                progress(at, len(self._numbers))
                maps = self._trunk.run(self._read(self._numbers[at : min(at + 4 * BATCH, end)])).astype(self.dtype)
                if not np.isfinite(maps).all():
                    raise WeightsError(
                        "Expected finite maps from the blocks that are not trained; received NaN or infinity. Their weights are damaged or the scaling is wrong."
                    )
                file.write(maps.tobytes())

    def read(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """Read maps (len(numbers), h, w, c)."""
        out = np.empty((len(numbers), *self._trunk.shape), self.dtype)
        places = np.searchsorted(self._numbers, numbers)
        for segment in np.unique(places // _SEGMENT):
            with self._segment(segment * _SEGMENT).open("rb", buffering=0) as file:
                for here in np.flatnonzero(places // _SEGMENT == segment):
                    file.seek(int(places[here] % _SEGMENT) * self._bytes)
                    file.readinto(out[here].data)
        return out

    def _segment(self, at: int) -> Path:
        return self.folder / f"{at // _SEGMENT}.bin"

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the maps while they are used here; the last who uses them removes them, unless it was stopped.

        Those that a stopped training left are kept for a week, since it may be gone on with.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as use:
            with claims.turn(self.folder) as own:
                claims.sweep(own)
                self.folder.mkdir(exist_ok=True)
                use.enter_context(claims.claimed(self.folder / "use"))
            yield
        now = self._remove_unused(self.folder)
        for folder in self.folder.parent.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if folder.is_dir() and now - folder.stat().st_mtime > claims.WEEK_S:
                    self._remove_unused(folder)

    @staticmethod
    def _remove_unused(folder: Path) -> float:
        """Remove maps that nobody uses, and tell the time."""
        with claims.turn(folder) as own:
            if not claims.is_used(folder):
                shutil.rmtree(folder, ignore_errors=True)
            return own.now()
