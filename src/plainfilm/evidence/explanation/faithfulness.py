"""Whether the pictures of where the model looked can be believed: hide what they mark, and see whether the answer moves.

Pixels are replaced by a blurred film, the most important first (deletion), or brought back into it (insertion). Beside
the maps stand two orders that know nothing of the model: random spots, and the middle of the radiograph first.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageFilter

from plainfilm.evidence.statistics import intervals
from plainfilm.model.classifier import Classifier
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.metrics import Faithfulness, Order, Pointing

FloatArray = NDArray[np.float64]

MAP, RANDOM, CENTRE = "map", "random", "centre"
ORDERS = (MAP, RANDOM, CENTRE)
BLUR = 1 / 16  # standard deviation of the blur, of the radiograph's side
_GRAIN = 7  # random spots a side: as coarse as the maps, since scattered pixels would spoil a radiograph faster than any spot


def faithfulness(
    classifier: Classifier,
    images: NDArray[np.uint8],
    maps: NDArray[np.float32],
    label: ArrayLike | None = None,
    *,
    steps: int = 20,
    group: ArrayLike | None = None,
    pointing: Pointing | None = None,
    seed: int = 0,
    level: float = 0.95,
) -> Faithfulness:
    """Measure whether attribution maps mark what moves the answer.

    Parameters
    ----------
    classifier
        The one that the maps explain.
    images, maps : uint8 (n, s, s), float32 (n, s, s)
        Gray radiographs and their maps; pixels of equal attribution come in random order.
    label : int (n,), optional
        Class that each map explains; by default the one predicted.
    steps
        Equal steps from nothing replaced to everything, at least 2. Takes 5 `steps` - 3 passes a radiograph.
    group : (n,), optional
        Radiographs with the same value are one draw (`intervals`).
    pointing
        Whether the maps' peaks find planted opacities: without, or where they do not, the maps are not called faithful.
    seed, level
        Of the random orders; coverage of the intervals.

    Returns
    -------
    Faithfulness
        Of the class explained. Faithful maps have a small area under the deletion curve and a large one under the
        insertion curve. `better_than` is by how much the latter less the former is larger for the maps than for random
        spots and for the middle, paired by film, -2 to 2; for a random order that difference of areas is 0.

    References
    ----------
    Petsiuk, Das & Saenko, RISE, BMVC 2018 (deletion and insertion; they delete to black, which leaves what training
    never saw). Blurring as deletion: Fong & Vedaldi, ICCV 2017.
    """
    if images.shape != maps.shape or steps < 2:
        raise ValueError(
            f"Expected images and maps of one shape, 2 steps or more; received {images.shape}, {maps.shape}."
        )
    if label is None:
        label = classifier.decision.predict(classifier.predict_proba(images))
    random = np.random.default_rng(seed)
    chances = np.array(
        [_chances(classifier, *each, steps, random) for each in zip(images, maps, np.asarray(label), strict=True)]
    ).reshape(-1, 2, len(ORDERS), steps + 1)
    return _summed(chances, intervals.group_codes(group, len(images)), level, pointing)


def _chances(
    classifier: Classifier,
    image: NDArray[np.uint8],
    attribution: NDArray[np.float32],
    label: int,
    steps: int,
    random: np.random.Generator,
) -> FloatArray:
    """Probability of a class as a radiograph is blurred and brought back, (deletion and insertion, orders, steps + 1)."""
    blurred = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(BLUR * len(image))))
    by_map, by_lot, by_place = (
        _ranks(values, random) for values in (attribution, _spots(len(image), random), _nearness(len(image)))
    )
    shares = np.linspace(0, 1, steps + 1)[1:-1]
    # A random order is as random backwards, so what brings a radiograph back spot by spot also shows how it goes.
    hidden = [rank >= share for rank in (by_map, by_lot, by_place) for share in shares]
    hidden += [rank < share for rank in (by_map, by_place) for share in shares]
    films = np.stack([image, blurred, *(np.where(where, blurred, image) for where in hidden)])
    found = classifier.predict_proba(films)[:, label]
    back, gone = np.split(found[2:].reshape(-1, steps - 1), [len(ORDERS)])
    gone = np.stack([gone[0], back[1, ::-1], gone[1]])
    whole, nothing = (np.full((len(ORDERS), 1), end) for end in found[:2])
    return np.stack([np.hstack([whole, gone, nothing]), np.hstack([nothing, back, whole])])


def _ranks(values: NDArray[Any], random: np.random.Generator) -> FloatArray:
    """Place of each pixel, from 0 for the highest value to below 1; equal ones in random order."""
    mixed = random.permutation(values.size)
    order = mixed[np.argsort(-values.ravel()[mixed])]
    ranks = np.empty(values.size)
    ranks[order] = np.arange(values.size) / values.size
    return ranks.reshape(values.shape)


def _spots(size: int, random: np.random.Generator) -> NDArray[np.float32]:
    coarse = Image.fromarray(random.random((_GRAIN, _GRAIN)).astype(np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BILINEAR))


def _nearness(size: int) -> FloatArray:
    away = (np.arange(size) - (size - 1) / 2) ** 2
    return -(away[:, None] + away)


def _summed(chances: FloatArray, codes: NDArray[np.int64], level: float, pointing: Pointing | None) -> Faithfulness:
    """Sum up probabilities (n, 2, orders, steps + 1)."""
    areas = (chances[..., 1:] + chances[..., :-1]).mean(axis=-1) / 2
    gains = areas[:, 1] - areas[:, 0]
    means = chances.mean(axis=0) if len(chances) else np.full(chances.shape[1:], np.nan)
    better_than = {
        name: mean_difference(gains[:, 0] - gains[:, at], codes, level) for at, name in enumerate(ORDERS) if at
    }
    return Faithfulness(
        sentence=_sentence(better_than, pointing),
        faithful=bool(better_than[RANDOM].low > 0 and pointing and pointing.points),
        images=len(chances),
        unmoved=int((chances[:, 0, 0, -1] > chances[:, 0, 0, 0] / 2).sum()),
        replaced=tuple(np.linspace(0, 1, chances.shape[-1]).tolist()),
        orders={
            name: Order(
                deletion=tuple(means[0, at].tolist()),
                insertion=tuple(means[1, at].tolist()),
                deletion_area=intervals.mean(areas[:, 0, at], codes, level).estimate,
                insertion_area=intervals.mean(areas[:, 1, at], codes, level).estimate,
            )
            for at, name in enumerate(ORDERS)
        },
        better_than=better_than,
    )


def _sentence(better_than: Mapping[str, Estimate], pointing: Pointing | None) -> str:
    chance = better_than[RANDOM]
    if np.isnan(chance.low):
        return "The picture is not shown to be better than chance: these radiographs are too few or too alike to tell."
    if chance.low <= 0:
        moves = "moves the answer less" if chance.high < 0 else "does not surely move the answer more"
        return f"The picture is not shown to be better than chance: what it marks {moves} than random spots do."
    also = "and more than" if better_than[CENTRE].low > 0 else "though not surely more than"
    moves = f"what it marks moves the answer more than random spots do, {also} the middle of the radiograph"
    if pointing and pointing.points:
        return f"The picture is faithful: {moves}, and it points at planted opacities."
    missing = (
        "misses planted opacities too often"
        if pointing and pointing.near
        else "could not be tried on planted opacities"
    )
    return f"The picture is not shown to be faithful: {moves}, but its peak {missing}."


def mean_difference(differences: FloatArray, codes: NDArray[np.int64], level: float = 0.95) -> Estimate:
    """Estimate the mean of paired differences (n) of rows with group `codes` (n), with Student's t over the groups.

    The limits are NaN for a single group, or where all differences are alike and nothing tells how they vary.
    """
    groups = int(codes.max(initial=-1)) + 1
    if not len(differences):
        return UNDEFINED
    value = float(differences.mean())
    size = np.bincount(codes, minlength=groups)
    influence = (intervals.group_sums(codes, differences, groups) - value * size) / len(differences)
    spread = intervals.variance(influence)
    if spread <= intervals.SMALLEST_VARIANCE:
        return Estimate(value, float("nan"), float("nan"))
    half = intervals.student(influence, groups - 1, level) * float(np.sqrt(spread))
    return Estimate(value, value - half, value + half)
