"""Copies of a radiograph that were mirrored, cropped, turned, inverted or padded: found by a sketch, proved on the pixels.

A sketch is 42 low frequencies of an image, its border faded out. It is linear, so that the sketch of the cropped or turned
image costs no image, and mirroring and inverting change signs only. Of each image, and of what is inside its frame where
it has one, the nearest sketch among the others is a candidate. The two images are then laid over each other (Gauss-Newton
over shift, scale, turn and shear: S. Baker and I. Matthews, Lucas-Kanade 20 Years On, 2004, "inverse compositional"), and
are copies where their fine texture agrees.

Measured on 3,766 real radiographs (COVID-CXNet and Guangzhou; ieee8023 and ChestX-ray14) read at 256 px, with
`benchmarks/honest/copies.py` (docs/results.md has all of it):

- Copies saved as JPEG of quality 50 to 95 after mirroring, cropping by 1 to 5 % a side, turning by 1 to 3 degrees, inverting or
  padding agree by 0.82 or more in 99 %. Two films of one patient, taken anew, reach 0.79; different people 0.61 (synthetic
  ones 0.76). The ten pairs of the collection that agree were looked at as pictures: one film each.

Out of scope: copies cropped by more than 7 % a side, turned by more than 4 degrees, or with most of the image painted over.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plainfilm.data.duplicates import Advance, ThumbnailFile, area_means, chain, join_groups

SIDE_PX = 64
AGREEMENT = 0.8  # correlation of fine texture from which two images are one
NEAR = 0.99  # cosine of two sketches from which a pair is looked at

_WAVES = 7  # of the sketch, in each direction
_WIDTH = 42  # numbers of a sketch
_FLAT = 3.0  # gray levels: a row or column that varies less belongs to a frame
_WHOLE = (-1, 1, -1, 1)
_LEAST_CONTENT = 0.3  # of a side; a frame that leaves less is none
_REACH = (2 - 2 * NEAR) ** 0.5 + 1e-3  # distance of two unit sketches that are NEAR
_SLACK = 0.3  # of that distance: without it the search takes twice as long, and of 3,932 candidates finds none more
_NEIGHBOURS = 4  # to begin with
_CELLS_AT_ONCE = 1 << 18
_QUERIES_AT_ONCE = 1 << 10
_STEPS = 10_000
_PAIRS_AT_ONCE = 32
_COARSE = (1.0, 4.0, 8)  # px of the two blurs whose difference is the texture, and Gauss-Newton steps
_FINE = (0.45, 1.0, 6)
_COARSELY = 0.6  # agreement of coarse texture without which the fine one is not looked at
_STIFFNESS = 0.02
_GRAIN = 2.0  # gray levels of local contrast below which texture fades out
_CLIP = 2.5  # of its standard deviation
_MIDDLE = 0.62  # of the half side
_OVERLAP = 0.4

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
IDENTITY = np.eye(2, 3, dtype=np.float32)
MIRROR = np.array([[1, 0, 0], [0, -1, 0]], np.float32)
_CROPS = (0.015, 0.03, 0.045)
_TURNS_DEG = (-3, -2, -1, 1, 2, 3)


def _turn(angle: float) -> Floats:
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]], np.float32)


_WAYS = (  # of looking at an image: as it is, cropped by 3.5 % a side, turned (either of two copies is turned that way)
    IDENTITY,
    0.93 * IDENTITY,
    _turn(np.deg2rad(2.3)),
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Copies:
    """Pairs of rows that show one radiograph, and how the second lies on the first.

    Attributes
    ----------
    pairs : int64 (m, 2)
        Rows i < j, each pair once; not every pair of k copies, but enough to connect them.
    maps : float32 (m, 2, 3)
        From a place (y, x) of image i, -1 to 1 each way, to that of image j; a negative determinant mirrors.
    inverted : bool (m)
        Whether bright is dark in one of the two.
    agreement : float32 (m)
        Correlation of their fine texture, `AGREEMENT` to 1.
    """

    pairs: Rows
    maps: Floats
    inverted: NDArray[np.bool_]
    agreement: Floats

    def __len__(self) -> int:
        return len(self.pairs)

    @classmethod
    def none(cls) -> Self:
        """No pair."""
        return cls(pairs=np.empty((0, 2), np.int64), maps=np.empty((0, 2, 3), np.float32),
                   inverted=np.empty(0, bool), agreement=np.empty(0, np.float32))  # fmt: skip

    def cut(self, chosen: NDArray[np.bool_] | Rows) -> "Copies":
        """Take some pairs."""
        return Copies(pairs=self.pairs[chosen], maps=self.maps[chosen], inverted=self.inverted[chosen],
                      agreement=self.agreement[chosen])  # fmt: skip

    def and_of(self, other: "Copies") -> "Copies":
        """Put other pairs behind these."""
        return Copies.joined([self, other])

    @classmethod
    def joined(cls, parts: Sequence["Copies"]) -> Self:
        """Put pairs behind each other."""
        names = ("pairs", "maps", "inverted", "agreement")
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


class CopyFinder:
    """Takes images as they are read, and finds the copies among them.

    Keeps 0.5 kB an image; the thumbnails lie in a file (4 kB each).
    """

    def __init__(self, thumbs: ThumbnailFile) -> None:
        """Begin with an empty `thumbs` of `SIDE_PX`."""
        self._thumbs = thumbs
        self._sketches: list[NDArray[np.float16]] = []
        self._boxes: list[Floats] = []

    def append(self, images: NDArray[np.uint8]) -> None:
        """Take gray images, uint8 (n, s, s), s at least 32."""
        self.add(**described(images))

    def add(self, means: NDArray[np.uint8], sketch: NDArray[np.float16], box: Floats) -> None:
        """Take images by what `described` says of them."""
        self._thumbs.append(means)
        self._sketches.append(sketch)
        self._boxes.append(box)

    def find(self, group: Rows, *, advance: Advance = lambda _done, _all: None) -> Copies:
        """Find the copies among all images; images of one `group`, int64 (n), are known to be one and not compared.

        `advance` is called with steps done and steps in all.
        """
        if not self._sketches:
            return Copies.none()
        self._sketches = [np.concatenate(self._sketches)]
        views = _views(self._sketches[0], np.concatenate(self._boxes), self._thumbs)
        found, ask, rounds = Copies.none(), np.arange(len(group)), 0
        while len(ask):
            told = partial(_tell, advance, rounds)
            new = _verified(self._thumbs, _candidates(views, group, ask, told), told)
            joined = join_groups(len(group), np.concatenate([new.pairs, chain(group)]), [""] * len(group))
            # What has just found its twin may have more of them: ask again, beyond the group.
            ask = np.flatnonzero(np.isin(joined, joined[new.pairs[:, 0]])) if len(new) else ask[:0]
            group, found, rounds = joined, found.and_of(new), rounds + 1
        advance(_STEPS, _STEPS)
        return found


def described(images: NDArray[np.uint8], means: Floats | None = None) -> dict[str, NDArray[Any]]:
    """Say by what the copies of images are found, 4.5 kB each.

    Parameters
    ----------
    images : uint8 (n, s, s)
        Gray, s at least 32.
    means : float32 (n, 64, 64)
        Their area means, where known.

    Returns
    -------
    dict
        `means` uint8 (n, 64, 64), `sketch` float16 (n, 42) and `box` float32 (n, 4), what is inside a frame.
    """
    if means is None:
        means = np.concatenate([np.empty((0, SIDE_PX, SIDE_PX), np.float32), *area_means(images, SIDE_PX)])
    # Only what is flat in the small is worth looking at in the large.
    rims = (means[:, 0], means[:, -1], means[:, :, 0], means[:, :, -1])
    framed = np.flatnonzero(np.min([rim.std(axis=1) for rim in rims], axis=0) <= _FLAT)
    box = np.tile(np.array(_WHOLE, np.float32), (len(images), 1))
    box[framed] = content_boxes(images[framed])
    sketch = _sketches(means).astype(np.float16)
    return {"means": np.rint(means).astype(np.uint8), "sketch": sketch, "box": box}


def _tell(advance: Advance, rounds: int, share: float) -> None:
    """Tell how far a round is: the first takes most of the time, each later one most of what is left."""
    advance(int(_STEPS * (1 - 0.2**rounds * (1 - 0.8 * share))), _STEPS)


def content_boxes(images: NDArray[np.uint8]) -> Floats:
    """Find what lies inside a frame of one tone: top, bottom, left and right edge, each from -1 to 1.

    Parameters
    ----------
    images : uint8 (n, s, s)

    Returns
    -------
    float32 (n, 4)
        (-1, 1, -1, 1) without a frame, and where it would leave less than a third of a side.
    """
    values = images.astype(np.float32)
    size = images.shape[1]
    edges = []
    for axis in (2, 1):
        mean = values.mean(axis=axis)
        square = np.einsum("nij,nij->ni" if axis == 2 else "nij,nij->nj", values, values) / size
        varies = square - mean**2 > _FLAT**2
        edges += [varies.argmax(axis=1), size - varies[:, ::-1].argmax(axis=1)]
    box: Floats = (np.stack(edges, axis=1) * 2 / size - 1).astype(np.float32)
    none = ((box[:, 1::2] - box[:, ::2]) / 2 < _LEAST_CONTENT).any(axis=1)
    box[none] = _WHOLE
    return box


def changed_thumbnails(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Undo what may have been done to a copy, each in its turn: thumbnails uint8 (n, 32, 32) to take hashes of.

    Mirrored, inverted, both; without the frame; cropped, or what a crop has left made smaller, its edge drawn out; turned.
    """
    means = np.concatenate(list(area_means(images, SIDE_PX)))

    def seen(maps: Floats) -> NDArray[np.uint8]:
        values, _ = _sampled(means, np.broadcast_to(maps, (len(images), 2, 3)), SIDE_PX)
        return np.rint(_halved(values.reshape(-1, SIDE_PX, SIDE_PX))).astype(np.uint8)

    whole = seen(IDENTITY)
    yield from (np.ascontiguousarray(whole[:, :, ::-1]), 255 - whole, 255 - whole[:, :, ::-1])
    yield seen(_box_maps(content_boxes(images)))
    for share in _CROPS:
        yield seen((1 - 2 * share) * IDENTITY)
        yield seen(IDENTITY / np.float32(1 - 2 * share))
    for degrees in _TURNS_DEG:
        yield seen(_turn(np.deg2rad(degrees)))


def compare(
    left: NDArray[np.uint8], right: NDArray[np.uint8], maps: Floats, inverted: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Lay each right image over the left one, and tell how well the fine texture of the two agrees.

    Parameters
    ----------
    left, right : uint8 (n, 64, 64)
        Thumbnails of `SIDE_PX`.
    maps, inverted
        How they lie, about, as in `Copies`: within 6 % of the side, or 4 degrees.

    Returns
    -------
    float32 (n, 2, 3), float32 (n)
        The maps, refined, and the correlation: the lower of that of the whole overlap and that of its middle; -1 where
        hardly anything overlaps.
    """
    # The one that shows more lies below, so that the other covers no frame of it.
    swap = np.abs(np.linalg.det(maps[:, :, :2])) > 1
    above, below = np.where(swap[:, None, None], right, left), np.where(swap[:, None, None], left, right)
    maps = np.where(swap[:, None, None], _inverse(maps), maps)
    sign = np.where(inverted, -1, 1).astype(np.float32)
    maps, agreement = _laid(above, below, maps, sign, *_COARSE)
    likely = agreement >= _COARSELY
    if likely.any():
        maps[likely], agreement[likely] = _laid(above[likely], below[likely], maps[likely], sign[likely], *_FINE)
    return np.where(swap[:, None, None], _inverse(maps), maps), np.where(likely, agreement, -1).astype(np.float32)


def _laid(
    above: NDArray[np.uint8],
    below: NDArray[np.uint8],
    maps: Floats,
    sign: Floats,
    narrow: float,
    wide: float,
    steps: int,
) -> tuple[Floats, Floats]:
    """Refine the maps on texture of one scale, and tell how well it agrees then."""
    seen, inside = _sampled(below.astype(np.float32), maps, SIDE_PX)
    wanted = _texture(above.astype(np.float32), narrow, wide) * sign[:, None, None]
    texture = _texture(seen.reshape(above.shape), narrow, wide)
    moved = _register(wanted, texture, inside, steps)
    return _after(maps, moved), _agreement(wanted, texture, inside, moved)


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """Sketches of images looked at in one way: rows int64 (k), float16 (k, 42), maps from what is seen to the image (k, 2, 3)."""

    rows: Rows
    sketches: NDArray[np.float16]
    maps: Floats


def _views(sketches: NDArray[np.float16], boxes: Floats, thumbs: ThumbnailFile) -> list[_View]:
    """Each image as it is, cropped and turned, and those with a frame without it."""
    every = np.arange(len(sketches))
    own = np.split(sketches, len(_WAYS), axis=1)
    views = [_View(every, part, np.broadcast_to(way, (len(every), 2, 3))) for way, part in zip(_WAYS, own, strict=True)]
    framed = np.flatnonzero((np.abs(boxes) < 1 - 2 / SIDE_PX).any(axis=1))
    maps = _box_maps(boxes[framed])
    parts = [np.empty((0, _WIDTH), np.float16)]
    for start in range(0, len(framed), _PAIRS_AT_ONCE):
        block = slice(start, start + _PAIRS_AT_ONCE)
        small = _halved(thumbs[framed[block]].astype(np.float32))
        seen, _ = _sampled(small, maps[block], SIDE_PX // 2)
        parts.append(_unit(seen @ _operator()[:_WIDTH].T).astype(np.float16))
    return [*views, _View(framed, np.concatenate(parts), maps)]


def _candidates(views: list[_View], group: Rows, ask: Rows, advance: Callable[[float], None]) -> Copies:
    """Nearest sketches of rows `ask`, in each way of looking, beyond their group; `agreement` is the cosine."""
    plain, framed = views[0], views[-1]
    asked = np.isin(np.arange(len(group)), ask)
    found, done = [Copies.none()], 0.0
    for keys, queries in ((plain, views), (framed, [framed])):
        neighbours = _Neighbours(keys, group)
        for query in queries:
            chosen = np.flatnonzero(asked[query.rows])
            chosen = chosen[np.argsort(neighbours.rank[query.rows[chosen]])]
            for start in range(0, len(chosen), _QUERIES_AT_ONCE):
                found += neighbours.of(query, chosen[start : start + _QUERIES_AT_ONCE])
            done += 0.5 / (len(views) + 1)
            advance(done)
    every = Copies.joined(found)
    swap = every.pairs[:, 0] > every.pairs[:, 1]
    every.maps[swap] = _inverse(every.maps[swap])
    every.pairs[swap] = every.pairs[swap][:, ::-1]
    order = np.argsort(-every.agreement, kind="stable")
    _, first = np.unique(every.pairs[order], axis=0, return_index=True)
    return every.cut(order[first])


class _Neighbours:
    """Finds for a sketch the nearest one of another group, in a k-d tree.

    A cell that begins a little before the distance of `NEAR` is not looked into any more: a sketch with a cosine of 0.9942 is
    found for certain, and of those between nearly all, since few lie at the rim of their cell.
    """

    def __init__(self, keys: _View, group: Rows) -> None:
        from scipy.spatial import cKDTree  # heavy, and needed where there are films to compare

        sketches = _unit(keys.sketches)
        self._places = np.flatnonzero(
            np.linalg.norm(sketches, axis=1) > 0.5
        )  # the sketch of an even image has no length
        # The tree cuts where values vary most; along these axes few numbers hold most of the variance.
        self._axes = np.linalg.eigh(np.cov(sketches.T))[1][:, ::-1] if len(sketches) > 1 else np.eye(_WIDTH)
        self._tree = cKDTree(sketches[self._places] @ self._axes, leafsize=8)
        self._keys, self._group = keys, group
        # Asked in this order, sketches near each other follow each other, and find the tree's cells in the processor's cache.
        self.rank = np.zeros(len(group), np.int64)
        self.rank[keys.rows[self._places[self._tree.indices]]] = np.arange(len(self._places))

    def of(self, query: _View, chosen: Rows) -> Iterator[Copies]:
        """Nearest key of each chosen query: as it is, mirrored, inverted, both."""
        sketches = _unit(query.sketches[chosen])
        for flip, signs in ((IDENTITY, 1), (MIRROR, np.where(_is_odd(), -1, 1))):
            for inverted in (False, True):
                flipped = (sketches * signs * (-1 if inverted else 1)).astype(np.float32)
                asked, other = self._nearest(flipped @ self._axes, self._group[query.rows[chosen]])
                cosine = np.einsum("ij,ij->i", flipped[asked], _unit(self._keys.sketches[other]))
                asked, other, cosine = (each[cosine >= NEAR] for each in (asked, other, cosine))
                seen = chosen[asked]
                yield Copies(
                    pairs=np.stack([query.rows[seen], self._keys.rows[other]], axis=1),
                    maps=_after(self._keys.maps[other], _inverse(_after(query.maps[seen], flip))),
                    inverted=np.full(len(seen), inverted),
                    agreement=cosine,
                )

    def _nearest(self, points: NDArray[np.float64], group: Rows) -> tuple[Rows, Rows]:
        """Which points have a key of another group near, and the nearest such key."""
        asked, other = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        count = min(_NEIGHBOURS, len(self._places))
        left = np.arange(len(points) if count else 0)
        while len(left):
            crowded = []
            step = max(1, _CELLS_AT_ONCE // count)
            for block in (left[start : start + step] for start in range(0, len(left), step)):
                distance, found = self._tree.query(
                    points[block], k=np.arange(1, count + 1), eps=_SLACK, distance_upper_bound=_REACH
                )
                is_near = np.isfinite(distance)
                keys = self._places[np.where(is_near, found, 0)]
                is_other = is_near & (self._group[self._keys.rows[keys]] != group[block, None])
                has, nearest = is_other.any(axis=1), is_other.argmax(axis=1)
                asked.append(block[has])
                other.append(keys[has, nearest[has]])
                crowded.append(block[~has & is_near[:, -1]])
            # Where all the nearest are of its own group, look further.
            left = np.concatenate(crowded) if count < len(self._places) else left[:0]
            count = min(8 * count, len(self._places))
        return np.concatenate(asked), np.concatenate(other)


def _verified(thumbs: ThumbnailFile, candidates: Copies, advance: Callable[[float], None]) -> Copies:
    found = [Copies.none()]
    for start in range(0, len(candidates), _PAIRS_AT_ONCE):
        block = candidates.cut(np.arange(start, min(start + _PAIRS_AT_ONCE, len(candidates))))
        left, right = (thumbs[block.pairs[:, side]] for side in (0, 1))
        maps, agreement = compare(left, right, block.maps, block.inverted)
        block = Copies(pairs=block.pairs, maps=maps, inverted=block.inverted, agreement=agreement)
        found.append(block.cut(agreement >= AGREEMENT))
        advance(0.5 + 0.5 * start / len(candidates))
    return Copies.joined(found)


def _sketches(means: Floats) -> Floats:
    """Sketches in every way of looking, side by side: float32 (n, 3 · 42)."""
    sketches: Floats = _halved(means).reshape(len(means), (SIDE_PX // 2) ** 2) @ _operator().T
    width = len(_is_odd())
    return np.concatenate([_unit(sketches[:, at : at + width]) for at in range(0, sketches.shape[1], width)], axis=1)


@cache
def _operator() -> Floats:
    """From the pixels of 32 x 32 to the sketches in every way of looking: float32 (3 · 42, 1024)."""
    side = SIDE_PX // 2
    column = np.arange(side)
    fade = np.sin(np.pi * (column + 0.5) / side)
    waves = np.cos(np.pi * np.arange(_WAVES)[:, None] * (2 * column + 1) / (2 * side)) * fade
    radius = np.hypot.outer(np.arange(_WAVES), np.arange(_WAVES))
    # The spectrum of a radiograph falls with the frequency; so the lowest do not outweigh the others.
    kernels = (waves[:, None, :, None] * waves[None, :, None, :] * radius[..., None, None])[_kept()].reshape(
        -1, side**2
    )
    weight = np.outer(fade, fade).ravel()
    kernels -= kernels.sum(axis=1, keepdims=True) * weight / weight.sum()
    return np.concatenate([kernels @ _sampler(way, side) for way in _WAYS]).astype(np.float32)


def _sampler(way: Floats, side: int) -> Floats:
    """Matrix, float32 (k, k), from the pixels of an image to those of the image looked at in one way."""
    (first,), (y,), (x,), _ = _corners(way[None], side, 1, 0)
    matrix = np.zeros((side**2, side**2), np.float32)
    rows = np.arange(side**2)
    for step, share in ((0, (1 - y) * (1 - x)), (1, (1 - y) * x), (side, y * (1 - x)), (side + 1, y * x)):
        matrix[rows, first + step] = share
    return matrix


def _kept() -> NDArray[np.bool_]:
    radius = np.hypot.outer(np.arange(_WAVES), np.arange(_WAVES))
    return (radius >= 1) & (radius < _WAVES)


def _is_odd() -> NDArray[np.bool_]:
    """Which of the 42 numbers change sign in a mirror."""
    across = np.broadcast_to(np.arange(_WAVES) % 2 == 1, (_WAVES, _WAVES))
    return across[_kept()]


def _halved(images: Floats) -> Floats:
    tall = images[:, ::2] + images[:, 1::2]
    halved: Floats = (tall[:, :, ::2] + tall[:, :, 1::2]) * np.float32(0.25)
    return halved


def _unit(rows: NDArray[np.floating]) -> Floats:
    length = np.maximum(np.linalg.norm(rows.astype(np.float32), axis=1, keepdims=True), np.float32(1e-6))
    units: Floats = (rows / length).astype(np.float32)
    return units


def _box_maps(boxes: Floats) -> Floats:
    maps = np.zeros((len(boxes), 2, 3), np.float32)
    for axis in (0, 1):
        low, high = boxes[:, 2 * axis], boxes[:, 2 * axis + 1]
        maps[:, axis, axis], maps[:, axis, 2] = (high - low) / 2, (high + low) / 2
    return maps


def _after(outer: Floats, inner: Floats) -> Floats:
    """Map of `inner` followed by `outer`, (…, 2, 3)."""
    joined: Floats = outer[..., :2] @ inner
    joined[..., 2] += outer[..., 2]
    return joined


def _inverse(maps: Floats) -> Floats:
    turned = np.linalg.inv(maps[..., :2])
    return np.concatenate([turned, -turned @ maps[..., 2:]], axis=-1).astype(np.float32)


def _texture(images: Floats, narrow: float, wide: float) -> Floats:
    """Difference of two blurs, measured in its local standard deviation."""
    detail = _blurred(images, narrow) - _blurred(images, wide)
    texture: Floats = np.clip(detail / np.sqrt(_blurred(detail**2, 1.5 * wide) + _GRAIN**2), -_CLIP, _CLIP)
    return texture


def _blurred(images: Floats, sigma: float) -> Floats:
    n, side, _ = images.shape
    blur = _blur(side, sigma)
    across = np.matmul(images.reshape(-1, side), blur.T, dtype=np.float32).reshape(n, side, side).transpose(0, 2, 1)
    down: Floats = np.matmul(across.reshape(-1, side), blur.T, dtype=np.float32)
    return down.reshape(n, side, side).transpose(0, 2, 1)


@cache
def _blur(side: int, sigma: float) -> Floats:
    """Gaussian blur of a line as a matrix; beyond its ends the line goes on as it ends."""
    reach = int(3 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    matrix = np.zeros((side, side), np.float32)
    for offset, weight in zip(range(-reach, reach + 1), weights / weights.sum(), strict=True):
        matrix[np.arange(side), np.clip(np.arange(side) + offset, 0, side - 1)] += np.float32(weight)
    return matrix


def _grid(side: int, step: int, margin: int) -> tuple[NDArray[np.intp], Floats]:
    """Places of every `step`-th pixel: flat indices (k), and (3, k) of y, x (-1 to 1) and 1."""
    line = np.arange(margin, side - margin, step)
    y, x = (each.ravel() for each in np.meshgrid(line, line, indexing="ij"))
    places = np.stack([(2 * y + 1) / side - 1, (2 * x + 1) / side - 1, np.ones(len(y))]).astype(np.float32)
    return y * side + x, places


def _corners(
    maps: Floats, side: int, step: int, margin: int
) -> tuple[NDArray[np.int32], Floats, Floats, NDArray[np.bool_]]:
    """Where the maps lead to: the pixel before, (n, k), how far beyond it in y and x, 0 to 1, and whether it lies inside."""
    _, places = _grid(side, step, margin)
    at = (maps @ places + 1) * np.float32(side / 2) - np.float32(0.5)
    inside: NDArray[np.bool_] = np.all((at >= -0.5) & (at <= side - 0.5), axis=1)
    at = np.clip(at, 0, side - 1.001)
    whole = at.astype(np.int32)
    y, x = np.moveaxis(at - whole, 1, 0)
    return whole[:, 0] * np.int32(side) + whole[:, 1], y.astype(np.float32), x.astype(np.float32), inside


def _sampled(
    images: Floats, maps: Floats, side: int, step: int = 1, margin: int = 0
) -> tuple[Floats, NDArray[np.bool_]]:
    """Values, float32 (n, k), that the maps lead to, between pixels by their shares; and whether they lie inside."""
    first, y, x, inside = _corners(maps, side, step, margin)
    flat, first = images.reshape(-1), first + (np.arange(len(images), dtype=np.int32) * side**2)[:, None]
    top = flat[first] * (1 - x) + flat[first + 1] * x
    below = flat[first + side] * (1 - x) + flat[first + side + 1] * x
    values: Floats = (top * (1 - y) + below * y).astype(np.float32, copy=False)
    return values, inside


def _register(left: Floats, right: Floats, inside: NDArray[np.bool_], steps: int) -> Floats:
    """Find how to look at the right images, which lie about right already, so that they are the left ones."""
    side, step, margin = left.shape[1], 2, 2
    pixels, places = _grid(side, step, margin)
    wanted = left.reshape(len(left), -1)[:, pixels]
    slopes = [slope.reshape(len(left), -1)[:, pixels] * (side / 2) for slope in np.gradient(left, axis=(1, 2))]
    ramp = np.stack([slope * place for slope in slopes for place in places], axis=2) * inside[:, pixels, None]
    square = np.matmul(ramp.transpose(0, 2, 1), ramp)
    # A little stiffness: where there is no texture nothing moves.
    square += (_STIFFNESS * np.trace(square, axis1=1, axis2=2) / 6 + 1e-3)[:, None, None] * np.eye(6, dtype=np.float32)
    solve = np.linalg.inv(square)
    maps = np.tile(IDENTITY, (len(left), 1, 1))
    for _ in range(steps):
        seen, within = _sampled(right, maps, side, step, margin)
        pull = np.matmul(((seen - wanted) * within)[:, None], ramp)[:, 0]
        change = np.clip((solve @ pull[..., None])[..., 0], -0.1, 0.1).reshape(-1, 2, 3)
        maps = _after(maps, _inverse(IDENTITY + change))
    return maps


def _agreement(left: Floats, right: Floats, inside: NDArray[np.bool_], maps: Floats) -> Floats:
    side, margin = left.shape[1], 2
    pixels, places = _grid(side, 1, margin)
    wanted = left.reshape(len(left), -1)[:, pixels]
    seen, within = _sampled(right, maps, side, 1, margin)
    within &= inside[:, pixels]
    middle = within & (np.abs(places[:2]) < _MIDDLE).all(axis=0)
    whole, central = (_correlation(wanted, seen, where) for where in (within, middle))
    return np.where(within.mean(axis=1) < _OVERLAP, -1, np.minimum(whole, central)).astype(np.float32)


def _correlation(left: Floats, right: Floats, where: NDArray[np.bool_]) -> Floats:
    count = np.maximum(where.sum(axis=1, keepdims=True), 1)
    left, right = (
        np.where(where, side - (side * where).sum(axis=1, keepdims=True) / count, 0) for side in (left, right)
    )
    scale = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    product: Floats = (left * right).sum(axis=1) / np.maximum(scale, 1e-6)
    return product
