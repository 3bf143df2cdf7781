"""The same, or nearly the same, image: perceptual hashes, duplicate pairs, and the groups that a split keeps together.

Files with the same SHA-256 are exact duplicates. Of the others, a pair whose perceptual hashes differ in at most
`HASH_BITS` bits is a candidate, and a near duplicate when the *texture* of the two thumbnails correlates by at least
`TEXTURE`: all chests share the large shadows, and only ribs, vessels and edges tell one radiograph from another.

Measured on 3,766 real radiographs (COVID-CXNet and Guangzhou; ieee8023 and ChestX-ray14), read at 256 px:

- Found: 11,295 of 11,298 pairs of an image and its copies, resized by 0.5 to 2, saved as JPEG of quality 30 to 95, half
  of them changed in brightness (0.85 to 1.2) or contrast (0.8 to 1.25). The hash loses the three; the least texture
  correlation is 0.89.
- Joined at 0.80: 419 pairs within the collections. The 7 that correlate by less than 0.975 and 32 of the others were looked at
  as pictures: one radiograph each, in another tone or size, slightly cropped, or with arrows or a date drawn on it. The most
  alike pair of two different radiographs correlates by 0.64, and no false pair came up among 20,000 images made of these by
  turning and cropping at random. (Plain correlation of the thumbnails would not do: two different children reach 0.969,
  a radiograph with arrows on it and the same without stay below 0.9725.)
- Synthetic radiographs of different bodies reach 0.82, hence 0.85: 418 pairs, one slightly cropped copy fewer.
- A frame that a whole collection shares must not join it: the middle of the two images has to agree as well. Of 123,001
  candidate pairs of different radiographs in one heavy frame none is joined; 3,545 without this rule.

Out of scope: copies that are cropped (by 1 % a side 99 % are found, by 2 % hardly any), mirrored, turned or inverted,
and images without texture, such as an empty one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import bit_search

THUMB_PX = 32
HASH_BITS = 10
TEXTURE = 0.85
DETAIL_BYTES = 24

_MARGIN_PX = 6  # of the thumbnail's 32: what lies inside is its middle
_CLIP = 2.0  # in medians of the absolute texture: one bright marker must not outweigh the chest
_SIGNS = 512
_MOST_SIGNS = 154  # two textures that agree by 0.85 differ in 90 of them, by 7 standard deviations less than in 154
_IMAGES_AT_ONCE = 32
_PAIRS_AT_ONCE = 1 << 13


Images = NDArray[np.uint8] | NDArray[np.float32]
Advance = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Pairs of rows that show one image.

    Of k equal images not all k (k - 1) / 2 pairs are given, but enough to connect them.

    Attributes
    ----------
    pairs : int64 (m, 2)
        Rows i < j, sorted.
    exact : bool (m)
        True where the two files have the same bytes.
    """

    pairs: NDArray[np.int64]
    exact: NDArray[np.bool_]


def thumbnails(images: Images) -> NDArray[np.uint8]:
    """Area means of each image on a grid of 32 x 32.

    Parameters
    ----------
    images : uint8 or float32 (n, s, s)
        Gray radiographs, s at least 32; s need not be a multiple of 32.

    Returns
    -------
    uint8 (n, 32, 32)

    Raises
    ------
    ValueError
        For another shape.
    """
    parts = [np.rint(means).astype(np.uint8) for means in area_means(images)]
    return np.concatenate(parts) if parts else np.empty((0, THUMB_PX, THUMB_PX), np.uint8)


class ThumbnailFile:
    """Thumbnails in a file, so that they take no memory; indexed by rows like an array of them.

    Not memory-mapped: what is read of a map counts as memory of the process.
    """

    def __init__(self, file: IO[bytes], side: int = THUMB_PX) -> None:
        """Begin an empty file, open for writing and reading, of thumbnails of `side` pixels."""
        self._file, self._side, self._count = file, side, 0

    def append(self, thumbs: NDArray[np.uint8]) -> None:
        """Append thumbnails, uint8 (n, side, side)."""
        self._file.seek(self._count * self._side**2)
        self._file.write(thumbs.tobytes())
        self._count += len(thumbs)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read rows, uint8 (len(rows), side, side)."""
        data = bytearray()
        for row in rows.tolist():
            self._file.seek(row * self._side**2)
            data += self._file.read(self._side**2)
        return np.frombuffer(data, np.uint8).reshape(-1, self._side, self._side)


Thumbnails = NDArray[np.uint8] | ThumbnailFile


def perceptual_hash(images: Images) -> NDArray[np.uint64]:
    """64-bit hash of the low frequencies of an image; it hardly changes with size, compression, brightness or contrast.

    The area means on 32 x 32 go through a DCT-II; of its frequencies 1 to 8 in each direction (so without the mean) a
    bit is set where the coefficient lies above their median (C. Zauner, Implementation and Benchmarking of Perceptual
    Image Hash Functions, 2010: "DCT based hash").

    Parameters
    ----------
    images : uint8 or float32 (n, s, s)
        Gray radiographs, s at least 32.

    Returns
    -------
    uint64 (n)
        Compare two by the number of bits that differ.

    Raises
    ------
    ValueError
        For another shape.
    """
    column = np.arange(THUMB_PX)
    dct = np.cos(np.pi * np.arange(1, 9)[:, None] * (2 * column + 1) / (2 * THUMB_PX))
    parts = []
    for means in area_means(images):
        waves = (dct @ means.astype(np.float64) @ dct.T).reshape(-1, 64)
        bits = waves > np.median(waves, axis=1, keepdims=True)
        parts.append(np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64))
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def detail_hash(thumbs: Thumbnails) -> NDArray[np.uint8]:
    """192-bit hash of the fine detail of thumbnails, for telling apart radiographs that `perceptual_hash` takes for one.

    Their texture (see the head of this module) goes through a DCT-II; of its frequencies 1 to 16 in each direction,
    without those that both are below 9, which `perceptual_hash` looks at, a bit says which coefficients are positive.

    Parameters
    ----------
    thumbs : uint8 (n, 32, 32), or a ThumbnailFile of n
        From `thumbnails`.

    Returns
    -------
    uint8 (n, 24)
        Compare two by the number of bits that differ.
    """
    column, highest = np.arange(THUMB_PX), 16
    dct = np.cos(np.pi * np.arange(1, highest + 1)[:, None] * (2 * column + 1) / (2 * THUMB_PX)).astype(np.float32)
    fine = np.ones((highest, highest), bool)
    fine[:8, :8] = False
    parts = [np.empty((0, DETAIL_BYTES), np.uint8)]
    for start in range(0, len(thumbs), _IMAGES_AT_ONCE):
        rows = np.arange(start, min(start + _IMAGES_AT_ONCE, len(thumbs)))
        texture = _texture(thumbs, rows).astype(np.float32).reshape(-1, THUMB_PX, THUMB_PX)
        parts.append(np.packbits((dct @ texture @ dct.T)[:, fine] > 0, axis=1))
    return np.concatenate(parts)


def find_duplicates(
    sha256: Sequence[str],
    hashes: NDArray[np.uint64],
    thumbs: Thumbnails,
    *,
    advance: Advance = lambda _done, _all: None,
) -> Duplicates:
    """Pairs of rows with the same bytes, or with nearly the same image.

    Not all pairs are compared: those whose textures share some of 512 random signs are (`bit_search`). Of 1,000 pairs whose
    textures agree by just `TEXTURE` about 4 are missed, of 10,000 that agree by 0.9 one. 120 B of memory a row.

    Parameters
    ----------
    sha256 : n strings
        Digest of each file.
    hashes : uint64 (n)
        From `perceptual_hash`.
    thumbs : uint8 (n, 32, 32), or a ThumbnailFile of n
        From `thumbnails`.
    advance
        Called with steps done and steps in all.

    Raises
    ------
    ValueError
        When the three differ in length.
    """
    if not len(sha256) == len(hashes) == len(thumbs):
        raise ValueError(f"Expected one row an image; received {len(sha256)}, {len(hashes)} and {len(thumbs)} rows.")
    first: dict[str, int] = {}
    original = np.array([first.setdefault(digest, row) for row, digest in enumerate(sha256)], np.int64)
    copies = np.flatnonzero(original != np.arange(len(original)))
    rows = np.fromiter(first.values(), np.int64, len(first))
    near = _near_pairs(hashes, thumbs, rows, advance)
    pairs = np.concatenate([np.stack([original[copies], copies], axis=1), near])
    exact = np.arange(len(pairs)) < len(copies)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return Duplicates(pairs=pairs[order], exact=exact[order])


def join_groups(n: int, pairs: NDArray[np.int64], patient: Sequence[str]) -> NDArray[np.int64]:
    """Group of each row: rows of one patient, and rows that are duplicates, through any chain, share a group.

    Parameters
    ----------
    n : int
        Number of rows.
    pairs : int64 (m, 2)
        Rows that belong together.
    patient : n strings
        Patient of each row, unique over all sources; "" is an unknown patient and joins nothing.

    Returns
    -------
    int64 (n)
        0 to g - 1, numbered by first appearance.

    Raises
    ------
    ValueError
        When `patient` does not have n rows, or a pair names a row outside 0 to n - 1.
    """
    if len(patient) != n:
        raise ValueError(f"Expected {n} patients, one a row; received {len(patient)}.")
    first: dict[str, int] = {}
    same = [(first.setdefault(name, row), row) for row, name in enumerate(patient) if name]
    return _components(n, np.concatenate([_as_pairs(pairs), _as_pairs(np.array(same, np.int64))]))


def label_conflicts(duplicates: Duplicates, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows whose image also stands under another label.

    Parameters
    ----------
    duplicates : Duplicates
        Of the same rows as `labels`.
    labels : int64 (n)
        Class of each row; -1 is unlabelled, and neither makes nor takes part in a conflict.

    Returns
    -------
    bool (n)
        True for every labelled row of a set of duplicates that bears two labels or more.
    """
    group = _components(len(labels), duplicates.pairs)
    known = np.flatnonzero(labels >= 0)
    low = np.full(len(labels), np.iinfo(np.int64).max)
    high = np.full(len(labels), -1)
    np.minimum.at(low, group[known], labels[known])
    np.maximum.at(high, group[known], labels[known])
    return (labels >= 0) & (low < high)[group]


def area_means(images: Images, side: int = THUMB_PX) -> Iterator[NDArray[np.float32]]:
    """Means over a grid of `side` x `side` equal cells, in blocks of images; a pixel on a cell's edge counts by its share."""
    if images.ndim != 3 or images.shape[1] != images.shape[2] or images.shape[1] < THUMB_PX:
        raise ValueError(f"Expected images of shape (n, s, s), s at least {THUMB_PX}; received {images.shape}.")
    size = images.shape[1]
    edge = np.linspace(0, size, side + 1)
    pixel = np.arange(size)
    overlap = np.minimum(edge[1:, None], pixel + 1) - np.maximum(edge[:-1, None], pixel)
    mean = (overlap.clip(0) * side / size).astype(np.float32)
    for start in range(0, len(images), _IMAGES_AT_ONCE):
        block = images[start : start + _IMAGES_AT_ONCE].astype(np.float32)
        # Two large products: many small ones are shared among threads one by one, which is slow on a busy machine.
        across = (block.reshape(-1, size) @ mean.T).reshape(len(block), size, side).transpose(0, 2, 1)
        yield (across.reshape(-1, size) @ mean.T).reshape(len(block), side, side).transpose(0, 2, 1)


def _near_pairs(
    hashes: NDArray[np.uint64], thumbs: Thumbnails, rows: NDArray[np.int64], advance: Advance
) -> NDArray[np.int64]:
    """Pairs of near duplicates among `rows`, the first one earlier there, that connect each set of them."""
    signs, is_textured = _texture_signs(thumbs, rows, lambda done: advance(done, 2 * len(rows)))
    rows, signs = rows[is_textured], signs[is_textured]
    hashes, words = hashes[rows], signs.view(np.uint64)
    group = np.arange(len(rows))
    found = [np.empty((0, 2), np.int64)]
    drawn = bit_search.tables(len(rows), _SIGNS, np.arccos(TEXTURE) / np.pi)
    for number, chosen in enumerate(drawn, 1):
        for candidates in _likely(bit_search.meetings(bit_search.codes(signs, chosen), group), hashes, words):
            pairs = candidates[group[candidates[:, 0]] != group[candidates[:, 1]]]
            pairs = pairs[_agreement_of(thumbs, rows[pairs], margin=_MARGIN_PX) >= TEXTURE]
            pairs = pairs[_agreement_of(thumbs, rows[pairs]) >= TEXTURE]
            if len(pairs):
                found.append(pairs)
                group = _components(len(rows), np.concatenate([pairs, chain(group)]))
        advance(len(is_textured) + len(is_textured) * number // len(drawn), 2 * len(is_textured))
    return rows[_forest(len(rows), np.concatenate(found))]


def _texture_signs(
    thumbs: Thumbnails, rows: NDArray[np.int64], advance: Callable[[int], None]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Signs of the textures' projections on `_SIGNS` random directions, packed, uint8 (n, 64), and which rows have any texture.

    Two textures that correlate by c differ in a share of arccos(c) / pi of the signs (M. Charikar, Similarity Estimation
    Techniques from Rounding Algorithms, 2002).
    """
    directions = np.random.default_rng(0).normal(size=(THUMB_PX**2, _SIGNS)).astype(np.float32)
    signs, is_textured = np.empty((len(rows), _SIGNS // 8), np.uint8), np.empty(len(rows), bool)
    for start in range(0, len(rows), _IMAGES_AT_ONCE):
        block = slice(start, start + _IMAGES_AT_ONCE)
        texture = _texture(thumbs, rows[block]).astype(np.float32)
        signs[block] = np.packbits(texture @ directions > 0, axis=1)
        is_textured[block] = texture.any(axis=1)
        advance(min(block.stop, len(rows)))
    return signs, is_textured


def _likely(
    meetings: Iterator[NDArray[np.int64]], hashes: NDArray[np.uint64], words: NDArray[np.uint64]
) -> Iterator[NDArray[np.int64]]:
    """Of pairs of rows those with hashes within HASH_BITS and most signs in common, in blocks of _PAIRS_AT_ONCE."""
    waiting = [np.empty((0, 2), np.int64)]
    for pairs in meetings:
        pairs = pairs[np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]) <= HASH_BITS]
        differing = np.bitwise_count(words[pairs[:, 0]] ^ words[pairs[:, 1]]).sum(axis=1, dtype=np.int64)
        waiting.append(pairs[differing <= _MOST_SIGNS])
        if sum(map(len, waiting)) >= _PAIRS_AT_ONCE:
            yield from _blocks(np.concatenate(waiting))
            waiting = waiting[:1]
    yield from _blocks(np.concatenate(waiting))


def _blocks(pairs: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    return (pairs[start : start + _PAIRS_AT_ONCE] for start in range(0, len(pairs), _PAIRS_AT_ONCE))


def _texture(thumbs: Thumbnails, rows: NDArray[np.int64], *, margin: int = 0) -> NDArray[np.float16]:
    """Thumbnails of some rows less their 3 x 3 means, clipped, as rows of mean 0 and length 1 (0 where flat)."""
    parts = [np.empty((0, (THUMB_PX - 2 * margin) ** 2), np.float16)]
    inside = slice(margin, THUMB_PX - margin)
    for start in range(0, len(rows), _IMAGES_AT_ONCE):
        block = thumbs[rows[start : start + _IMAGES_AT_ONCE]].astype(np.float32)
        wide = np.pad(block, ((0, 0), (1, 1), (1, 1)), mode="edge")
        tall = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
        blur = (tall[:, :, :-2] + tall[:, :, 1:-1] + tall[:, :, 2:]) / 9
        detail = (block - blur)[:, inside, inside].reshape(len(block), -1)
        # Half a gray level more, because thumbnails are rounded to whole levels.
        limit = _CLIP * np.median(np.abs(detail), axis=1, keepdims=True) + 0.5
        detail = np.clip(detail, -limit, limit)
        detail -= detail.mean(axis=1, keepdims=True)
        length = np.maximum(np.linalg.norm(detail, axis=1, keepdims=True), 1e-3)
        parts.append((detail / length).astype(np.float16))
    return np.concatenate(parts)


def _agreement(texture: NDArray[np.float16], pairs: NDArray[np.int64]) -> NDArray[np.float32]:
    """Correlation of two textures, -1 to 1, for each pair."""
    left, right = (texture[pairs[:, side]].astype(np.float32) for side in (0, 1))
    product: NDArray[np.float32] = np.einsum("ij,ij->i", left, right)
    return product


def _agreement_of(thumbs: Thumbnails, pairs: NDArray[np.int64], *, margin: int = 0) -> NDArray[np.float32]:
    """Correlation of thumbnails; textures are worked out for these rows only, as n of them would fill memory."""
    rows, place = np.unique(pairs, return_inverse=True)
    return _agreement(_texture(thumbs, rows, margin=margin), place.reshape(pairs.shape))


def chain(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give pairs that connect the rows of each group."""
    order = np.argsort(group, kind="stable")
    links = np.stack([order[:-1], order[1:]], axis=1)
    same: NDArray[np.int64] = links[group[links[:, 0]] == group[links[:, 1]]]
    return same


def _forest(n: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of pairs i < j of n rows as many as are needed to connect what they connect: k - 1 of k rows."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    tree = minimum_spanning_tree(coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(n, n)).tocsr()).tocoo()
    return np.stack([tree.row, tree.col], axis=1).astype(np.int64)


def _as_pairs(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(pairs, np.int64).reshape(-1, 2)


def _components(n: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the connected component of each of n rows, numbered by first appearance."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if len(pairs) and (pairs.min() < 0 or pairs.max() >= n):
        raise ValueError(f"Expected pairs of rows from 0 to {n - 1}; received a row outside.")
    if n == 0:
        return np.empty(0, np.int64)
    links = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, component = connected_components(links, directed=False)
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    group: NDArray[np.int64] = np.argsort(np.argsort(first)).astype(np.int64)[inverse]
    return group
