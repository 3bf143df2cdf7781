"""The films that a search sees, how they may be prepared, and their features: the product's encoder, and its cache."""

import copy
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, laplace, map_coordinates

import plainfilm
from plainfilm.data.store import Store
from plainfilm.model import encoder, recipes
from plainfilm.model.lung_segmentation import SIDE, LungFinder

Picture = NDArray[np.uint8]
_VERSION = 1  # of the preparations below


def ingested(folder: Path, work: Path, classes: Sequence[str] = ()) -> Store:
    """Open the store of a folder, or of some classes of it; it is made the first time."""
    path = work / f"{'-'.join([folder.name, *classes])}.h5"
    if not path.exists():
        plainfilm.ingest(folder, path, classes=list(classes) or None)
    return Store(path)


def relabelled(store: Store, classes: tuple[str, str], positive: NDArray[np.bool_], used: NDArray[np.bool_]) -> Store:
    """Give the same open store under two other classes; rows that are not used have no label."""
    other = copy.copy(store)
    other.classes, other.labels = classes, np.where(used, positive.astype(np.int64), -1)
    return other


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """A backbone, how the product prepares films for it, and how they are prepared before that (a name of `PREPARATIONS`)."""

    name: str = "mobilenet"
    depth: int = 9
    input_size: int = 0
    crop: str = "none"
    intensities: str = "stored"
    films: str = ""

    def features(self, store: Store) -> NDArray[np.float32]:
        """Features of all films, float32 (n, width), from the cache where it has them."""
        settings = {f"backbone.{key}": value for key, value in vars(self).items() if key != "films"}
        backbone, prepare = recipes.prepared(recipes.load("default", settings), store.size)
        source = Prepared(store, self.films) if self.films else store
        found = encoder.encode_store(encoder.open_encoder(backbone, prepare), source)
        return found.read(np.arange(len(store)))


class Prepared:
    """A store with every film prepared, to be encoded like a store (`encoder.ImageSource`)."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._prepare = store, PREPARATIONS[name]
        self.fingerprint = hashlib.sha256(f"{store.fingerprint} {name} {_VERSION}".encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._store)

    def batches(self, size: int, start: int = 0) -> Iterator[Picture]:
        """Give all films from row `start` on prepared, in order."""
        for images in self._store.batches(size, start):
            yield np.stack([self._prepare(image) for image in images])


def masked(image: Picture) -> Picture:
    """Black outside the lung fields."""
    inside = Image.fromarray(_lungs(image)).resize(image.shape[::-1])
    return np.where(np.asarray(inside), image, 0).astype(np.uint8)


@cache
def _finder() -> LungFinder:
    return LungFinder()


def _lungs(image: Picture) -> NDArray[np.bool_]:
    """Lung fields bool (SIDE, SIDE); all of the film where none are found."""
    found = _finder().find(image[None])
    return found.masks[0] if found.found[0] else np.ones((SIDE, SIDE), bool)


def local_contrast(image: Picture, reach: float = 20 / 224) -> Picture:
    """Each pixel against mean and deviation of its neighbourhood (Gaussian, `reach` of the side)."""
    gray, sigma = image.astype(np.float32), reach * len(image)
    away = gray - gaussian_filter(gray, sigma)
    return _bytes(100 + 40 * away / (np.sqrt(gaussian_filter(away**2, sigma)) + 4))


def equalised(image: Picture) -> Picture:
    """Histogram equalisation."""
    return _levels(np.bincount(image.ravel(), minlength=256))[image]


def clahe(image: Picture, tiles: int = 8, clip: float = 3.0) -> Picture:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994), bilinear between tiles."""
    side = len(image)
    edges = np.linspace(0, side, tiles + 1).astype(int)
    levels = np.empty((tiles, tiles, 256))
    for row, column in np.ndindex(tiles, tiles):
        tile = image[edges[row] : edges[row + 1], edges[column] : edges[column + 1]]
        counts = np.bincount(tile.ravel(), minlength=256).astype(float)
        most = clip * tile.size / 256
        levels[row, column] = _levels(np.minimum(counts, most) + np.maximum(counts - most, 0).sum() / 256)
    place = (np.arange(side) + 0.5) / side * tiles - 0.5
    rows, columns = np.meshgrid(place, place, indexing="ij")
    return _bytes(map_coordinates(levels, [rows, columns, image], order=1, mode="nearest"))


def _levels(counts: NDArray[np.floating] | NDArray[np.int64]) -> Picture:
    return _bytes(255 * np.cumsum(counts) / counts.sum())


def gamma(image: Picture) -> Picture:
    """The exponent that brings the median gray level to the middle."""
    median = np.clip(np.median(image) / 255, 0.05, 0.95)
    return _bytes(255 * (image / 255) ** (np.log(0.5) / np.log(median)))


def blurred(image: Picture, sigma: float = 1.5) -> Picture:
    return _bytes(gaussian_filter(image.astype(np.float32), sigma))


def one_sharpness(image: Picture, aim: float = 0.06) -> Picture:
    """Blur until the fine detail, against the film's contrast, is no more than `aim`."""
    gray = image.astype(np.float32)
    for sigma in (0.0, 0.5, 0.7, 0.9, 1.1, 1.4, 1.8, 2.3, 3.0):
        softer = gaussian_filter(gray, sigma) if sigma else gray
        if np.std(laplace(softer)) <= aim * (np.std(softer) + 1):
            break
    return _bytes(softer)


def resized(image: Picture, side: int) -> Picture:
    """To `side` px, averaging, and back."""
    small = Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small.resize(image.shape[::-1], Image.Resampling.BILINEAR))


def jpeg(image: Picture, quality: int = 60) -> Picture:
    """Through 128 px and JPEG."""
    file = io.BytesIO()
    Image.fromarray(resized(image, 128)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def mirrored(image: Picture) -> Picture:
    return image[:, ::-1]


def closer(image: Picture, share: float = 0.85) -> Picture:
    """The middle of the film."""
    side = len(image)
    edge = round(side * (1 - share) / 2)
    inner = Image.fromarray(image[edge : side - edge, edge : side - edge])
    return np.asarray(inner.resize((side, side), Image.Resampling.BILINEAR))


def _bytes(gray: NDArray[np.floating]) -> Picture:
    return np.clip(np.rint(gray), 0, 255).astype(np.uint8)


PREPARATIONS: Mapping[str, Callable[[Picture], Picture]] = {
    "lungs alone": masked,
    "local contrast": local_contrast,
    "equalised": equalised,
    "CLAHE": clahe,
    "gamma": gamma,
    "blurred": blurred,
    "one sharpness": one_sharpness,
    "128 px": lambda image: resized(image, 128),
    "150 px": lambda image: resized(image, 150),  # lungs of about 112 px
    "JPEG": jpeg,
    "mirrored": mirrored,
    "closer": closer,
}
