"""Which images a bundle was made from, by hash, so that they can be found among others and left out of a test.

Of each image of the training store, whatever its split, 40 bytes are kept: eight of a salted SHA-256 of the file's hash,
the 64-bit perceptual hash, and the 192-bit hash of its fine detail. They hold no picture, file name or patient; but who
holds an image can ask whether it was among them.

Measured on 3,766 radiographs (2,642 of COVID-CXNet and Guangzhou, 1,124 of ieee8023 and ChestX-ray14), read at 256 px:

- The perceptual hash alone is weak. Of 7 million pairs, 11,163 show different radiographs and differ in 10 bits or less: none in
  0, 1 in 2, 61 in 4, 397 in 6, 2,407 in 8. But of 3,766 copies (resized by 0.5 to 2, JPEG quality 30 to 95, half of them
  changed in brightness or contrast) a distance of 0 misses 632, of 2 still 57, of 4 still 11; all differ in 8 at most.
- So the fine detail has the last word. Copies differ in 24 of its bits at most, 99 % of them in 14; the 11,163 pairs of
  different radiographs in 47 at least, and in 31 at least where all stand in one heavy frame (554,118 pairs). Two
  synthetic radiographs of different people came as near as 28, hence 24.
- Found so: all 3,766 copies, and 467 of the 477 pairs within and between the collections whose texture correlates by 0.6
  or more. In ieee8023's COVID, 124 images, 48 stand in COVID-CXNet too, 30 of them as the same file.

A changed copy is looked for by undoing the change: mirrored, inverted, framed, cropped by 1.5, 3 or 4.5 % a side, turned by 1 to 3
degrees. The 16 further hashes of an image that come of it must agree in all but 32 bits of the detail. Of 200 copies a kind,
compared with the 3,766: mirrored, inverted, turned or cropped by up to 2 % at least 99 % are found, cropped by 3 % 92.5 %; different
radiographs stay 40 bits apart in all of it. Hashes cannot tell many copies that were cropped by 4 % and more (what is cut off
is not in them) or whose frame is wide, and hardly any that were changed in two ways at once.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from plainfilm.data import copies, duplicates
from plainfilm.data.duplicates import DETAIL_BYTES, HASH_BITS
from plainfilm.data.store import Store
from plainfilm.model.encoder import remembered

DETAIL_BITS = 24
CHANGED_BITS = 32  # where a change was undone
_MAGIC = b"plainfilm-seen 1"
_SALT_BYTES, _MARK_BYTES = 16, 8
_HEAD = struct.Struct(f"<{len(_MAGIC)}s{_SALT_BYTES}sII")
_IMAGES_AT_ONCE = 32
_HASHES_AT_ONCE = 1 << 20
_NAMES_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ImageHashes:
    """What two copies of one radiograph share: `hashes` uint64 (n), `details` uint8 (n, 24)."""

    hashes: NDArray[np.uint64]
    details: NDArray[np.uint8]

    @classmethod
    def of(cls, store: Store, rows: NDArray[np.int64]) -> Self:
        """Take them from images of a store."""
        hashes, details = [np.empty(0, np.uint64)], [np.empty((0, DETAIL_BYTES), np.uint8)]
        for start in range(0, len(rows), _IMAGES_AT_ONCE):
            images = store.images(rows[start : start + _IMAGES_AT_ONCE])
            hashes.append(duplicates.perceptual_hash(images))
            details.append(duplicates.detail_hash(duplicates.thumbnails(images)))
        return cls(hashes=np.concatenate(hashes), details=np.concatenate(details))


def changed(store: Store, rows: NDArray[np.int64]) -> list[ImageHashes]:
    """Take the hashes of images of a store as they would be if a change (mirrored, cropped, turned, …) were undone."""
    parts: list[list[ImageHashes]] = []
    for start in range(0, len(rows), _IMAGES_AT_ONCE):
        images = store.images(rows[start : start + _IMAGES_AT_ONCE])
        parts.append(
            [
                ImageHashes(hashes=duplicates.perceptual_hash(thumbs), details=duplicates.detail_hash(thumbs))
                for thumbs in copies.changed_thumbnails(images)
            ]
        )
    return [
        ImageHashes(
            hashes=np.concatenate([part.hashes for part in way]), details=np.concatenate([part.details for part in way])
        )
        for way in zip(*parts, strict=True)
    ]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Matches:
    """Which of n images are in the training store: `file` bool (n) by the bytes of the file, `picture` bool (n) by what it shows."""

    file: NDArray[np.bool_]
    picture: NDArray[np.bool_]

    @property
    def any(self) -> NDArray[np.bool_]:
        """Either, bool (n)."""
        return self.file | self.picture


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainingFingerprints:
    """The images of a training store, test set included, by hash.

    `marks` uint64 (n) stand for their files, those of the test set first, `tests` of them; `images` are of the n images
    in another order.
    """

    salt: bytes
    marks: NDArray[np.uint64]
    tests: int
    images: ImageHashes

    @classmethod
    def of(cls, store: Store) -> Self:
        """Take them from every image of a store; what its pixels give is kept in the cache."""
        # From the store's content, so that the same store gives the same bytes.
        salt = hashlib.sha256(f"seen {store.fingerprint}".encode()).digest()[:_SALT_BYTES]

        def compute() -> dict[str, NDArray[np.uint64] | NDArray[np.uint8]]:
            found = ImageHashes.of(store, np.arange(len(store)))
            return {"hashes": found.hashes, "details": found.details}

        known, _ = remembered("signatures", f"signatures 1 {store.fingerprint}", compute)
        is_test = np.isin(np.arange(len(store)), store.rows("test"))
        parts = [np.sort(_marks(salt, store.sha256[rows])) for rows in (is_test, ~is_test)]
        return cls(salt=salt, marks=np.concatenate(parts), tests=len(parts[0]), images=ImageHashes(**known))

    def __len__(self) -> int:
        return len(self.marks)

    def find(self, sha256: NDArray[np.str_], images: ImageHashes, undone: Sequence[ImageHashes] = ()) -> Matches:
        """Tell which of n images are among them, from the hashes of their files, hex text (n), and of their pictures.

        `undone` are further hashes of the same images, from `changed`.
        """
        picture = self._pictures(images, DETAIL_BITS)
        for each in undone:
            picture |= self._pictures(each, CHANGED_BITS)
        return Matches(file=np.isin(_marks(self.salt, sha256), self.marks), picture=picture)

    def _pictures(self, images: ImageHashes, bits: int) -> NDArray[np.bool_]:
        picture = np.zeros(len(images.hashes), bool)
        rows = max(1, _HASHES_AT_ONCE // max(1, len(self)))
        own = self.images
        for start in range(0, len(picture), rows):
            close = np.bitwise_count(images.hashes[start : start + rows, None] ^ own.hashes) <= HASH_BITS
            theirs, ours = np.nonzero(close)
            differing = images.details[start + theirs] ^ own.details[ours]
            alike = np.bitwise_count(differing).sum(axis=1, dtype=np.int64) <= bits
            picture[start + theirs[alike]] = True
        return picture

    def in_test_set(self, sha256: NDArray[np.str_]) -> NDArray[np.bool_]:
        """Tell which files, by their hashes as hex text (n), were of the store's test set."""
        return np.isin(_marks(self.salt, sha256), self.marks[: self.tests])

    @staticmethod
    def most(size: int) -> int:
        """Give how many images those of a file of `size` bytes may be of."""
        return (size - _HEAD.size) // (2 * _MARK_BYTES + DETAIL_BYTES)

    def to_bytes(self) -> bytes:
        """Write a magic word, the salt, how many images and how many of the test set, then marks, hashes, details; little-endian."""
        parts = (self.marks.astype("<u8"), self.images.hashes.astype("<u8"), self.images.details)
        return _HEAD.pack(_MAGIC, self.salt, len(self), self.tests) + b"".join(part.tobytes() for part in parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises
        ------
        ValueError
            Bytes of another kind or version, or too few or too many of them.
        """
        if len(data) < _HEAD.size:
            raise ValueError(f"Expected training fingerprints; received {len(data)} bytes, too few.")
        magic, salt, count, tests = _HEAD.unpack_from(data)
        size = _HEAD.size + count * (2 * _MARK_BYTES + DETAIL_BYTES)
        if magic != _MAGIC or len(data) != size or tests > count:
            raise ValueError("Expected whole training fingerprints; received bytes of another kind, or damaged ones.")
        numbers = np.frombuffer(data, "<u8", 2 * count, _HEAD.size).astype(np.uint64)
        details = np.frombuffer(data, np.uint8, offset=_HEAD.size + 2 * count * _MARK_BYTES).reshape(-1, DETAIL_BYTES)
        images = ImageHashes(hashes=numbers[count:], details=details)
        return cls(salt=salt, marks=numbers[:count], tests=tests, images=images)


def _marks(salt: bytes, sha256: NDArray[np.str_]) -> NDArray[np.uint64]:
    marks = np.empty(len(sha256), np.uint64)
    for at in range(0, len(sha256), _NAMES_AT_ONCE):
        names = sha256[at : at + _NAMES_AT_ONCE].tolist()
        digests = b"".join(hashlib.sha256(salt + name.encode()).digest()[:_MARK_BYTES] for name in names)
        marks[at : at + len(names)] = np.frombuffer(digests, "<u8")
    return marks
