"""Where the model looked: Grad-CAM, occlusion, the share of it inside the lungs, and its picture over the radiograph.

NumPy, Pillow and ONNX Runtime alone. An attribution map says what moved the answer, not why, and not that it is right;
`faithfulness` measures whether it says even that.
"""

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from plainfilm.errors import UsageError
from plainfilm.model.classifier import Classifier

Maps = NDArray[np.float32]

SQUARES = 8  # an occluding square has this part of the image's side, and moves by half of its own
_FEWEST = 3  # squares a side, 25 passes: with 2 the peak misses a bright square on a quarter of made films
OF_GRAD_CAM = ("maps", "slopes")  # outputs of the network that it takes
_BLOCK = 32  # images whose maps are held at once: 8 MB of EfficientNet-Lite0
SPREAD = 0.9  # standard deviation, of a cell of Grad-CAM's maps; docs/results.md has how well others point
HALF = 0.5  # of the highest; a line goes round what lies above
# Colours by attribution from 0 to 1, each with how much of it covers the radiograph. Cover and lightness rise all the way, so
# that the colours read without red or green; below the second row the radiograph stays gray.
_TABLE = np.array(
    [
        (0.00, 70, 50, 190, 0.00),
        (0.25, 70, 50, 190, 0.00),
        (0.50, 150, 50, 160, 0.26),
        (0.75, 235, 100, 70, 0.38),
        (1.00, 255, 215, 50, 0.52),
    ]
)
_LINE = (255, 215, 50)


def grad_cam(classifier: Classifier, images: NDArray[np.uint8], label: ArrayLike | None = None) -> Maps:
    """Weigh the last maps of the network by the mean gradient of a class's logit, and keep what speaks for the class.

    Of a transformer whose features are one token, the maps are the values that its last attention sums, and what is kept is
    attention times its gradient, summed over the heads (`model.onnx.gradients`).

    Parameters
    ----------
    classifier
        One that looks at maps (`Classifier.looks_at_maps`).
    images : uint8 (n, s, s)
        Gray.
    label : int (n,), optional
        Class of each image whose evidence is asked for; by default the one predicted. The negative class of a
        network with one logit has the negative gradient.

    Returns
    -------
    float32 (n, s, s)
        From 0 to 1, the highest of each image being 1; the maps' cells (7 x 7 of a 224 px input) are spread by a Gaussian,
        since a small spot answers in the cells around it: the middle of these is where it lies. All 0 where nothing in the
        maps speaks for the class.

    Raises
    ------
    UsageError
        The network has no maps.

    References
    ----------
    Selvaraju et al., Grad-CAM, ICCV 2017. Chefer, Gur & Wolf, Generic attention-model explainability, ICCV 2021.
    """
    if not classifier.looks_at_maps:
        raise UsageError("Expected a network with maps for Grad-CAM; received one without. Use occlusion instead.")
    images = np.asarray(images)
    found = np.zeros(images.shape, np.float32)
    for at in range(0, len(images), _BLOCK):
        block = slice(at, at + _BLOCK)
        logits, maps, slopes = classifier.run(images[block], "logits", *OF_GRAD_CAM)
        labels = _labels(classifier, logits, None if label is None else np.asarray(label)[block])
        found[block] = weighed(classifier, maps, slopes, labels, images.shape[1])
    return found


def weighed(
    classifier: Classifier,
    maps: NDArray[np.float32],
    slopes: NDArray[np.float32],
    labels: NDArray[np.int64],
    size: int,
) -> Maps:
    """Make `grad_cam`'s maps (n, size, size) for classes int (n) of what a pass gave already: "maps" (n, c, h, w) and "slopes" (n, outputs, c)."""
    rows = np.arange(len(labels))
    weights = slopes[rows, labels] if slopes.shape[1] > 1 else slopes[:, 0] * _sign(classifier, labels)[:, None]
    return _enlarged(np.maximum(np.einsum("nc,nchw->nhw", weights, maps), 0), size)


def occlusion(
    classifier: Classifier, images: NDArray[np.uint8], label: ArrayLike | None = None, *, squares: int = SQUARES
) -> Maps:
    """Slide a gray square over each image and note by how much the log odds of a class fall.

    Slower than `grad_cam`, (2 `squares` - 1)² passes an image (`squares_within` some seconds), but finer, and it asks the network itself: no gradient.

    Parameters
    ----------
    classifier
        Any.
    images : uint8 (n, s, s)
        Gray.
    label : int (n,), optional
        Class of each image whose evidence is asked for; by default the one predicted.
    squares
        The square's side is s / `squares`; it moves by half of that and is as gray as the image is on average.

    Returns
    -------
    float32 (n, s, s)
        Mean fall under the squares that cover a pixel, rises left out, from 0 to 1, the highest of each image being 1.
        All 0 where no square lowers the odds.

    References
    ----------
    Zeiler & Fergus, ECCV 2014.
    """
    images = np.asarray(images)
    whole = classifier.logits(images)
    labels = _labels(classifier, whole, label)
    before = _log_odds(classifier, whole, labels)
    found = np.zeros(images.shape, np.float32)
    for row, image in enumerate(images):
        total, covered = np.zeros(image.shape), np.zeros(image.shape)
        for places, hidden in _hidden(image, squares):
            after = _log_odds(classifier, classifier.logits(hidden), np.full(len(hidden), labels[row]))
            for place, value in zip(places, after, strict=True):
                total[place] += before[row] - value
                covered[place] += 1
        found[row] = _scaled(np.maximum(total / covered, 0)[None])[0]
    return found


def squares_within(classifier: Classifier, seconds: float) -> int:
    """Count the squares a side, `SQUARES` at most, that `occlusion` can try of one image in some seconds on this machine, and 3 at least.

    It is measured, by a few passes.
    """
    images = np.zeros((2 * _FEWEST - 1, classifier.image_size, classifier.image_size), np.uint8)
    classifier.logits(images)  # opens the network
    start = time.perf_counter()
    classifier.logits(images)
    each = (time.perf_counter() - start) / len(images)
    return next((count for count in range(SQUARES, _FEWEST, -1) if (2 * count - 1) ** 2 * each <= seconds), _FEWEST)


def share_in_lungs(maps: Maps, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of each attribution map that lies inside the lung fields.

    Parameters
    ----------
    maps : float32 (n, s, s)
        Of `grad_cam` or `occlusion`.
    masks : bool (n, m, m)
        Of `model.lung_segmentation.LungFinder`, over the whole image; all False where no lungs were found.

    Returns
    -------
    float64 (n,)
        From 0 to 1; NaN where no lungs were found or the map is all 0. Chance would give `lung_area`.
    """
    inside = np.array(
        [own[_resized(mask, len(own))].sum(dtype=np.float64) for own, mask in zip(maps, masks, strict=True)]
    )
    every: NDArray[np.float64] = np.where(masks.any(axis=(1, 2)), maps.sum(axis=(1, 2), dtype=np.float64), 0)
    return np.asarray(np.divide(inside, every, out=np.full(len(maps), np.nan), where=every > 0))


def lung_area(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of each image that the lung fields `masks` bool (n, m, m) take, float64 (n,); NaN where none were found."""
    return np.where(masks.any(axis=(1, 2)), masks.mean(axis=(1, 2)), np.nan)


def overlay(image: NDArray[np.uint8], attribution: Maps) -> NDArray[np.uint8]:
    """Lay an attribution map (h, w), 0 to 1, over a gray radiograph uint8 (h, w): RGB uint8 (h, w, 3).

    Yellow is highest, then orange and violet; where the map is low the radiograph stays gray. A line goes round all that is
    above `HALF`.
    """
    if image.shape != attribution.shape or image.ndim != 2:
        raise ValueError(
            f"Expected a radiograph and a map of one shape (h, w); received {image.shape}, {attribution.shape}."
        )
    red, green, blue, cover = (np.interp(attribution, _TABLE[:, 0], column) for column in _TABLE.T[1:])
    mixed = image[..., None] * (1 - cover[..., None]) + np.stack([red, green, blue], axis=-1) * cover[..., None]
    mixed[_edge(attribution >= HALF)] = _LINE
    return np.asarray(np.rint(mixed), np.uint8)


def _edge(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the pixels of an area that have a neighbour outside it; the image's border is none."""
    padded = np.pad(inside, 1, mode="edge")
    return inside & ~(padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:])


def _labels(classifier: Classifier, logits: NDArray[np.float32], label: ArrayLike | None) -> NDArray[np.int64]:
    if label is None:
        return classifier.decision.predict(classifier.decision.probabilities(logits))
    labels = np.asarray(label, np.int64)
    if labels.shape != (len(logits),) or (labels < 0).any() or (labels >= len(classifier.classes_)).any():
        raise ValueError(f"Expected {len(logits)} labels from 0 to {len(classifier.classes_) - 1}; received {labels}.")
    return labels


def _sign(classifier: Classifier, labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """What a single logit counts for each class: 1 for the positive one, -1 for the other."""
    positive = classifier.classes_.index(str(classifier.decision.positive))
    return np.where(labels == positive, np.float32(1), np.float32(-1))


def _log_odds(classifier: Classifier, logits: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log odds of each image's class against all others, before temperature and shift."""
    values = logits.astype(np.float64)
    if values.shape[1] == 1:
        return values[:, 0] * _sign(classifier, labels)
    others = np.arange(values.shape[1]) != labels[:, None]
    return np.asarray(values[~others] - np.logaddexp.reduce(np.where(others, values, -np.inf), axis=1))


def _hidden(image: NDArray[np.uint8], squares: int) -> Iterator[tuple[list[tuple[slice, slice]], NDArray[np.uint8]]]:
    """Give rows of places, and the image with a gray square at each of them."""
    size = len(image)
    side = max(1, round(size / squares))
    starts = np.unique(np.rint(np.linspace(0, size - side, 2 * squares - 1)).astype(int))
    for top in starts:
        places = [(slice(top, top + side), slice(left, left + side)) for left in starts]
        hidden = np.repeat(image[None], len(places), axis=0)
        for copy, place in zip(hidden, places, strict=True):
            copy[place] = round(float(image.mean()))
        yield places, hidden


def _enlarged(maps: Maps, size: int) -> Maps:
    """Enlarge maps (n, h, w) to (n, size, size), each cell spread by a Gaussian of `SPREAD`, then scale them."""
    down, across = (_spread(size, cells) for cells in maps.shape[1:])
    return _scaled(np.einsum("ai,nij,bj->nab", down, maps, across, optimize=True))


def _spread(size: int, cells: int) -> NDArray[np.float64]:
    """What each cell counts for each pixel, (size, cells)."""
    away = ((np.arange(size) + 0.5) * cells / size - 0.5)[:, None] - np.arange(cells)
    return np.asarray(np.exp(-((away / SPREAD) ** 2) / 2))


def _scaled(maps: NDArray[np.floating]) -> Maps:
    most = maps.max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(maps, most, out=np.zeros(maps.shape), where=most > 0), np.float32)


def _resized(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    return np.asarray(Image.fromarray(mask).resize((size, size), Image.Resampling.NEAREST))
