"""The HDF5 file with images, labels and where they came from; with `store_writer` the only user of h5py.

Once written it is never opened for writing again; openings of its test set are appended to `NAME.h5.log`, and kept in the cache.
"""

import contextlib
import copy
import datetime as dt
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from plainfilm.arguments import checked
from plainfilm.data import burned_text, files, hdf5, openings, store_images
from plainfilm.data.shard_files import digest_of
from plainfilm.data.store_columns import DIGEST_BYTES, ColumnGroup, ColumnReader, Words
from plainfilm.data.store_images import ShardedImages, ShardTable
from plainfilm.data.tables.findings import ABSENT, PRESENT, UNCERTAIN, joined
from plainfilm.errors import FlawError, StoreError, UsageError
from plainfilm.extras import require
from plainfilm.harmless import as_html, harmless
from plainfilm.reasons import reason_of
from plainfilm.results.task import NO_FINDING, Task, combination

if TYPE_CHECKING:
    from PIL import Image

Rows = Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]
FORMAT = "plainfilm-store"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNSHARDED, SHARDED, VERSION = (
    2,
    3,
    4,
)  # 3 is an index of shards, 4 has findings to tell; 1 has text as text alone, and one SHA-256 over all columns, or none
KEPT = "stores"  # the cache's folder of stores that folders were read into
SPLITS = ("train", "validation", "test")
UNLABELLED = -1
_READ_AT_ONCE = 64
DIGESTS = "images_sha256"  # a dataset
SEAL = "contents_sha256"  # an attribute; both or, in a store of 0.2 and before, neither
COLUMN_DIGESTS = "columns_sha256"  # an attribute, since version 2
_NUMBERS = (
    "size",
    "version",
    "seed",
    "exact_duplicates",
    "near_duplicates",
    "label_conflicts",
    "leaking_images",
    "left_out",
)
_TEXTS = ("format", "fingerprint", "created", "fit", "tool", "layout", "split", "patients", "problems")
_DAMAGE = (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError)  # what h5py makes of other contents


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What a store knows of its images beside their pixels, one value a row.

    `labels` int64, index into `classes` or -1 (of findings to tell 0 where one of `classes` is known, else -1); `split` one of `SPLITS` or ""; `patient` salted hashes, "" for unknown;
    `group` int64, patient and duplicates joined; `provenance` one array a name (numbers or text); `findings` one int8
    array a finding: 1 present, 0 absent, -1 uncertain, -2 not stated. Text is as `texts.as_array` gives it.
    """

    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    split: NDArray[np.str_]
    patient: NDArray[np.str_]
    source: NDArray[np.str_]
    file: NDArray[np.str_]
    sha256: NDArray[np.str_]
    group: NDArray[np.int64]
    provenance: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    findings: Mapping[str, NDArray[np.int8]] = field(default_factory=dict)


class Store:
    """An open store. Columns are NumPy arrays; they and images are read when asked for. Closes as a context manager.

    Attributes
    ----------
    classes : tuple of str
        Of the task "findings" those that are to be told, of `findings`.
    task : str
        "classes": each radiograph is of one of `classes`; "findings": each has none, one or several of them.
    size : int
        Height and width of the images in pixels.
    labels, split, patient, source, file, sha256, group, provenance, findings
        As in `Columns`. Text that would take more than 64 MB as NumPy's "U" is of `numpy.dtypes.StringDType`.
    subgroups : tuple of str
        Columns of `provenance` that results are told apart by, beside those that always are; none unless it is set.
    shows_text : bool
        Whether `pictures` leaves burned-in text, such as names, as it is.
    fingerprint : str
        SHA-256 over the pixels of all images.
    is_checked : bool
        Whether it carries checksums, by which all that is read is checked; stores of 0.2 and before do not.
    attributes : dict
        All root attributes.

    Raises
    ------
    StoreError
        No such file, not a store, a truncated one, or one of a newer version; or, when a column is read, another one than
        was written.
    """

    @checked
    def __init__(self, path: str | Path, *, shows_text: bool = False) -> None:
        self.path, self.shows_text, self._is_verified = Path(path), shows_text, False
        self.subgroups: tuple[str, ...] = ()
        files.settle(self.path)
        self._file, self._state = _open(self.path)
        try:
            with _whole(self.path, *_DAMAGE):
                self._load()
        except StoreError:
            self._file.close()
            raise

    def _load(self) -> None:
        attributes = read_attributes(self._file)
        _check_kind(attributes, self.path)
        told_aside = {"classes", SEAL, COLUMN_DIGESTS}
        self.attributes = {name: value for name, value in attributes.items() if name not in told_aside}
        self.classes: tuple[str, ...] = tuple(attributes["classes"])
        self.task: Task = "findings" if attributes.get("task") == "findings" else "classes"
        self.size: int = attributes["size"]
        self.fingerprint: str = attributes["fingerprint"]
        self._images = store_images.opened(
            self._file, self.path, self.size, json.loads(attributes.get(COLUMN_DIGESTS, "{}"))
        )
        self._columns = ColumnReader(self._file, self._again, file_bytes=self.path.stat().st_size)
        self._columns.check_length(len(self))
        self.is_checked = DIGESTS in self._file or SEAL in attributes
        self._check_seal(attributes)
        self.labels: NDArray[np.int64] = self._columns.column("labels")
        if not np.isin(self.labels, np.arange(UNLABELLED, len(self.classes))).all():
            raise FlawError("its labels are not numbers of its classes")
        self.provenance: Mapping[str, NDArray[Any]] = ColumnGroup(self._columns, "provenance")
        self.findings: Mapping[str, NDArray[np.int8]] = ColumnGroup(self._columns, "findings")
        if self.task == "findings" and not set(self.classes) <= set(self.findings):
            raise FlawError("it lacks findings that it is to tell")
        self._split: NDArray[np.str_] | None = None

    def _check_seal(self, attributes: Mapping[str, Any]) -> None:
        """Hold the attributes against their SHA-256, and see to it that columns are; those of version 1, all at once."""
        if attributes["version"] >= 2:
            digests = json.loads(attributes[COLUMN_DIGESTS])
            digests = {name: each for name, each in digests.items() if not name.startswith(f"{store_images.GROUP}/")}
            is_whole = seal_of(attributes) == attributes[SEAL]
        else:
            digests = self._columns.digests()
            is_whole = not self.is_checked or seal_of(attributes, digests) == attributes[SEAL]
        if not is_whole:
            raise FlawError("its columns or attributes are not those that were written")
        held = self._file[DIGESTS] if self.is_checked else None
        if held is not None and (held.dtype != np.uint8 or held.shape != (len(self), DIGEST_BYTES)):
            raise FlawError("its checksums are not one an image")
        self._columns.hold_against(digests)

    @property
    def _digests(self) -> NDArray[np.uint8] | None:
        """The SHA-256 of each image, uint8 (n, 32), held against the fingerprint; None of a store of 0.2 and before."""
        return self._columns.once(DIGESTS, self._read_digests) if self.is_checked else None

    def _read_digests(self) -> NDArray[np.uint8]:
        with self._again() as file:
            digests = np.asarray(file[DIGESTS][:])
            if hashlib.sha256(digests.data).hexdigest() != self.fingerprint:
                raise FlawError("its checksums are not those that were written")
        return digests

    @contextlib.contextmanager
    def _again(self) -> Iterator[h5py.File]:
        """Give the file; one that was closed is opened for as long as it takes, if it is the same still."""
        with _whole(self.path, *_DAMAGE), contextlib.ExitStack() as held:
            file = self._file
            if not file:
                file, state = _open(self.path)
                held.enter_context(file)
                if state != self._state:
                    raise StoreError(
                        f"Expected {self.path} as it was when it was opened; another one lies there now. Open it again."
                    )
            yield file

    @property
    def split(self) -> NDArray[np.str_]:
        """The part of each row, one of "train", "validation", "test", or "" (n)."""
        return self._columns.column("split") if self._split is None else self._split

    @property
    def patient(self) -> NDArray[np.str_]:
        """Salted hashes of the patients, "" for unknown (n)."""
        return self._columns.column("patient")

    @property
    def source(self) -> NDArray[np.str_]:
        """The hospital or collection that each image is from (n)."""
        return self._columns.column("source")

    @property
    def file(self) -> NDArray[np.str_]:
        """The file of each image, below the SOURCE that it was read from (n)."""
        return self._columns.column("file")

    @property
    def sha256(self) -> NDArray[np.str_]:
        """SHA-256 of each file, in hex (n)."""
        return self._columns.column("sha256")

    @property
    def group(self) -> NDArray[np.int64]:
        """Patients and duplicates joined, a number each, int64 (n)."""
        return self._columns.column("group")

    def words(self, name: str) -> Words:
        """Give a column of text as it was written, such as "source" or "provenance/view", by its values and their places."""
        return self._columns.words(name)

    def codes(self, name: str) -> NDArray[np.signedinteger[Any]]:
        """Number the values of such a column, -1 for "" (n), without the values."""
        return self._columns.codes(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __len__(self) -> int:
        return self._images.shape[0]

    def rows(self, split: str) -> NDArray[np.int64]:
        """Give the labelled rows of a split ("train", "validation" or "test") in the store's order, int64 (k).

        Raises
        ------
        UsageError
            No such split.
        """
        if split not in SPLITS:
            raise UsageError(f"Expected a split among {', '.join(SPLITS)}; received {split!r}. Name one of them.")
        return np.flatnonzero((self.split == split) & (self.labels >= 0))

    @property
    def states(self) -> NDArray[np.int8]:
        """State of each finding that is to be told, int8 (n, k): 1 present, 0 absent, -1 not known."""
        held = [self.findings[name] for name in self.classes]
        return np.maximum(np.stack(held, axis=1), UNCERTAIN, dtype=np.int8)

    @property
    def targets(self) -> NDArray[np.int64] | NDArray[np.int8]:
        """What is split by and trained on: `labels` of classes, `states` of findings."""
        return self.states if self.task == "findings" else self.labels

    def of(self, finding: str) -> "Store":
        """Give the same open store as one of two classes, "no FINDING" and FINDING; a row of which it is not known has no label.

        Raises
        ------
        UsageError
            It is none of the findings to tell.
        """
        if self.task != "findings" or finding not in self.classes:
            raise UsageError(
                f"Expected a finding among {', '.join(self.classes)}; received {finding}. Name one of them."
            )
        other = copy.copy(self)
        other.task, other.classes = "classes", (f"no {finding}", finding)
        other.labels = np.maximum(self.findings[finding], UNCERTAIN).astype(np.int64)
        return other

    @property
    def each(self) -> "dict[str, Store]":
        """Each finding that is to be told by its name, as `of` gives it; a store of classes itself, under ""."""
        return {name: self.of(name) for name in self.classes} if self.task == "findings" else {"": self}

    def standing_for(self, findings: Mapping[str, Sequence[str]]) -> "Store":
        """Give the same open store with findings under other names, each of which some of its own stand for.

        One is present where one of those that stand for it is, and absent where they all are.
        """
        other = copy.copy(self)
        other.task, other.classes = "findings", tuple(findings)
        other.findings = {name: joined([self.findings[each] for each in own]) for name, own in findings.items()}
        other.labels = np.where((other.states >= 0).any(axis=1), 0, -1)
        return other

    def named(self, rows: NDArray[np.int64]) -> list[str]:
        """Give what each of some rows shows: its class, or its findings, `Effusion|Mass`; "" where none is known."""
        if self.task == "classes":
            return [self.classes[label] if label >= 0 else "" for label in self.labels[rows]]
        states = self.states[rows]
        is_told = (states == PRESENT).any(axis=1) | (states == ABSENT).all(axis=1)
        told = [combination(np.array(self.classes)[own == PRESENT].tolist()) for own in states]
        return [name if is_known else "" for name, is_known in zip(told, is_told, strict=True)]

    def with_split(self, split: NDArray[np.str_]) -> "Store":
        """Give the same open store under another split (n) that was made, for cross-validation; the file stays as it is."""
        other = copy.copy(self)
        other._split = split
        other.attributes = self.attributes | {"split": "made", "leaking_images": 0}
        return other

    def images(self, rows: Rows) -> NDArray[np.uint8]:
        """Read images, uint8 (len(rows), size, size), in the order asked for; of a mask, bool (n), those that are True.

        Raises
        ------
        UsageError
            Rows that are no whole numbers, or not in the store.
        StoreError
            One of them is not what was written, or cannot be read.
        """
        rows = self._numbers(rows)
        with _whole(self.path, OSError, ValueError):
            out = self._images.read(rows)
            for image, row in zip(out, rows.tolist(), strict=True):
                if self._digests is not None and digest_of(image) != self._digests[row].tobytes():
                    raise FlawError(f"image {row} is not the one that was written")
        return out

    @property
    def is_sharded(self) -> bool:
        """Whether its images lie in shards beside it."""
        return isinstance(self._images, ShardedImages)

    def in_shards(self, rows: NDArray[np.int64]) -> tuple[list[Path], NDArray[np.int64], NDArray[np.int64]] | None:
        """Give the files of the shards, and for each row its shard and its place there, int64 (k); None of a store in one file."""
        if not isinstance(self._images, ShardedImages):
            return None
        return self._images.files, *self._images.where(rows)

    def shelved(self, folder: Path) -> tuple[ShardTable, NDArray[np.uint8]]:
        """Put the shards into a new folder too, for a store with the same images; with their table and the SHA-256 of each image, uint8 (n, 32).

        Raises
        ------
        UsageError
            It is a store in one file.
        """
        if not isinstance(self._images, ShardedImages) or self._digests is None:
            raise UsageError(f"Expected a store in shards; received {self.path}, which is one file.")
        return self._images.shelved(folder), self._digests

    def _numbers(self, rows: Rows) -> NDArray[np.int64]:
        given = np.asarray(rows)
        if given.dtype == bool and given.shape == (len(self),):
            return np.flatnonzero(given)
        if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
            raise UsageError(
                f"Expected rows as a list of whole numbers, or a mask of {len(self):,}; received {rows!r:.60}."
            )
        if given.size and not -len(self) <= given.min() <= given.max() < len(self):
            raise UsageError(f"Expected rows from 0 to {len(self) - 1:,}; received {given.min()} to {given.max()}.")
        return given.astype(np.int64)

    def pictures(self, rows: Rows) -> NDArray[np.uint8]:
        """Read images for people to look at, as `images` does: lines of text are covered unless `shows_text`."""
        images = self.images(rows)
        return images if self.shows_text or not len(images) else np.stack([burned_text.covered(one) for one in images])

    @checked
    def show(self, n: int = 8, *, seed: int = 0) -> "Image.Image":
        """Draw `n` radiographs at random, each class as often as the others, with the names of their classes: a picture of Pillow's.

        Lines of text are covered unless `shows_text`; a notebook shows the picture by itself.

        Raises
        ------
        UsageError
            `n` is less than one.
        """
        if n < 1:
            raise UsageError(f"Expected one radiograph or more to show; received {n}.")
        from plainfilm.data.contact_sheet import contact_sheet

        order = np.random.default_rng(seed).permutation(len(self))
        turn = np.zeros(len(order), np.int64)  # how many of its class come before a row
        for label in np.unique(self.labels):
            own = self.labels[order] == label
            turn[own] = np.arange(own.sum())
        rows = order[np.argsort(turn, kind="stable")[:n]]
        return contact_sheet(self.pictures(rows), [harmless(name) or "no label" for name in self.named(rows)])

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {is_it.sum():,}" for name, is_it in members(self.targets, self.classes).items())
        return harmless(f"<Store {self.path.name}: {len(self):,} radiographs of {self.size} px; {told}>")

    def _repr_html_(self) -> str:
        counts = self.counts()
        rows = [[name, *parts.values()] for name, parts in counts.items()]
        return as_html(rows, [f"{self.path.name}, {self.size} px", *SPLITS])

    def counts(self) -> dict[str, dict[str, int]]:
        """Count the images of each class, or with each finding and with none, by split."""
        return count_by_split(self.targets, self.split, self.classes)

    @checked
    def batches(self, size: int, start: int = 0) -> Iterator[NDArray[np.uint8]]:
        """Give all images from row `start` on in the store's order, uint8 (up to `size`, s, s) at a time.

        Raises
        ------
        StoreError
            One of them is not what was written; of a store without checksums, before the first is given.
        """
        if not self.is_checked and not self._is_verified:
            self.verify()
        for at in range(start, len(self), size):
            yield self.images(range(at, min(at + size, len(self))))

    def verify(self) -> str:
        """Read all images, and say what was held against checksums.

        Raises
        ------
        StoreError
            Something is not what was written.
        """
        total = hashlib.sha256()
        for at in range(0, len(self), _READ_AT_ONCE):
            total.update(b"".join(map(digest_of, self.images(range(at, min(at + _READ_AT_ONCE, len(self)))))))
        with _whole(self.path, ValueError):
            if total.hexdigest() != self.fingerprint:
                raise FlawError("its images are not those that were written")
        self._is_verified = True
        self._columns.digests()
        if self.is_checked:
            return "every image, column and attribute, by their SHA-256"
        return "every image, by the fingerprint; columns and attributes carry no checksum in a store of this age"

    def arrays(self, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Read a whole split into memory: images uint8 (n, s, s) and labels int64 (n)."""
        rows = self.rows(split)
        return self.images(rows), self.labels[rows]

    @checked
    def to_tf_dataset(
        self,
        split: str,
        batch_size: int = 32,
        *,
        input_size: int | None = None,
        shuffle: bool | None = None,
        seed: int = 0,
    ) -> Any:
        """Give a split as a `tf.data.Dataset` that goes straight into `model.fit`; images are read batch by batch.

        Parameters
        ----------
        split
            "train", "validation" or "test".
        batch_size
            Images a batch; the last one may be smaller.
        input_size
            Height and width in pixels to resize to; the store's own by default.
        shuffle
            A new order each epoch; by default for "train" only.
        seed
            Of the shuffling.

        Returns
        -------
        tf.data.Dataset
            Pairs of float32 (b, input_size, input_size, 3), gray levels 0 to 255 repeated to three channels, and labels
            float32 (b): the class index.

        Raises
        ------
        MissingExtraError
            TensorFlow is not installed: no other library has a `tf.data.Dataset`.
        """
        require("a tf.data.Dataset", "tensorflow")
        import tensorflow as tf

        rows, rng = self.rows(split), np.random.default_rng(seed)
        mixed = split == "train" if shuffle is None else shuffle

        def batches() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
            order = rng.permutation(rows) if mixed else rows
            for at in range(0, len(order), batch_size):
                part = order[at : at + batch_size]
                yield self.images(part)[..., None], self.labels[part].astype(np.float32)

        shapes = (tf.TensorSpec((None, self.size, self.size, 1), tf.uint8), tf.TensorSpec((None,), tf.float32))
        size = input_size or self.size

        def to_rgb(images: Any, labels: Any) -> tuple[Any, Any]:
            resized = tf.image.resize(images, (size, size)) if size != self.size else tf.cast(images, tf.float32)
            return tf.repeat(resized, 3, axis=-1), labels

        dataset = tf.data.Dataset.from_generator(batches, output_signature=shapes)
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(-(-len(rows) // batch_size)))
        return dataset.map(to_rgb, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

    @property
    def kept_at(self) -> str | None:
        """Where it lies, if that is in the cache, where folders are read to without anybody naming a place."""
        return str(self.path) if self.path.parent == files.cache_folder() / KEPT else None

    @property
    def shown(self) -> str:
        """What a page calls it: its file name; its path where nobody has named it."""
        return self.kept_at or self.path.name

    @property
    def log_path(self) -> Path:
        """The file beside the store that counts the openings of its test set."""
        return self.path.with_name(self.path.name + ".log")

    def log_test_opening(self, *by: str) -> int:
        """Note that models are scored on the test set, a line each, and give how often it was scored so far, these included.

        Raises
        ------
        StoreError
            The log cannot be written: a test that nobody counts is not run.
        """
        when = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        lines = [
            json.dumps({"opened": "test", "when": when, "by": each, "fingerprint": self.fingerprint}) for each in by
        ]
        self._log(lines)
        return self.test_openings()

    def _log(self, lines: Sequence[str]) -> None:
        try:
            with self.log_path.open("a", encoding="utf-8") as log:
                log.write("".join(line + "\n" for line in lines))
        except OSError as error:
            raise StoreError(
                f"Expected to note the opening of the test set in {self.log_path}; received: {reason_of(error)}. "
                "Move the store to a folder that you can write to."
            ) from error
        openings.keep(self._films, self.logged_openings())

    def take_over(self, lines: Sequence[str]) -> None:
        """Count openings of a store that this one was made of, since its test films are here too; raises as `log_test_opening`."""
        told = [json.dumps({**json.loads(line), "fingerprint": self.fingerprint}) for line in lines]
        self._log(told)

    def test_openings(self) -> int:
        """Count how often the test set was scored so far, in this store or another one made of the same files.

        The log counts, or the cache where it knows of more. What the log says of another content under the same name is
        not counted.

        Raises
        ------
        StoreError
            The log cannot be read.
        """
        logged = self.logged_openings()
        return max(len(logged), len(openings.known(self._films) | openings.names_of(logged)))

    @property
    def _films(self) -> str:
        return self._columns.once("films", self._named_films)

    def _named_films(self) -> str:
        in_bytes = self._columns.in_bytes("sha256")
        return openings.films(self.sha256.tolist()) if in_bytes is None else openings.films_in_bytes(in_bytes)

    def logged_openings(self) -> list[str]:
        """Give the lines of the log about this very content; raises as `test_openings`."""
        try:
            lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(
                f"Expected to count the openings of the test set in {self.log_path}; received: {reason_of(error)}. "
                "Change its permissions."
            ) from error
        return [line for line in lines if f'"fingerprint": "{self.fingerprint}"' in line]


def is_store(path: Path) -> bool:
    """Whether a path is a file that begins like HDF5."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE


def members(labels: NDArray[np.int64] | NDArray[np.int8], classes: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Tell the images of each class, bool (n) by name; of findings (n, k) those that have each, and those that surely have none."""
    if labels.ndim == 1:
        return {name: labels == number for number, name in enumerate(classes)}
    has = labels == PRESENT
    return dict(zip(classes, has.T, strict=True)) | {NO_FINDING: (labels == ABSENT).all(axis=1)}


def count_by_split(
    labels: NDArray[np.int64] | NDArray[np.int8], split: NDArray[np.str_], classes: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Count images by class name and split, or by finding as `members` says."""
    found = members(labels, classes)
    return {name: {part: int((is_it & (split == part)).sum()) for part in SPLITS} for name, is_it in found.items()}


def _open(path: Path) -> tuple[h5py.File, str]:
    """Open a file, and say which state of it."""
    with _whole(path, OSError, RuntimeError, ValueError):
        if not path.is_file():
            received = "a folder" if path.is_dir() else "no such file"
            raise StoreError(
                f"Expected a plainfilm store; received {path} ({received}). Make one with: plainfilm ingest FOLDER --out {path.stem}.h5"
            )
        looked = hdf5.look_through(path)
        if looked.reason:
            raise _refused(path, looked)
        if looked.format != FORMAT:
            raise _of_another_kind(path)
        file = h5py.File(path, "r")
        if hdf5.state_of(os.fstat(file.id.get_vfd_handle())) != looked.state:
            file.close()
            raise StoreError(f"Expected a store that stays as it is; {path} changed while it was opened. Try again.")
        return file, looked.state


def _refused(path: Path, looked: hdf5.Looked) -> StoreError:
    if looked.fault == "unopened":
        return StoreError(f"Expected a plainfilm store; received {path} ({looked.reason}). Ingest it again.")
    if looked.fault == "busy":
        return _busy(path, looked.reason)
    if looked.fault == "damaged":
        return StoreError(f"Expected a whole plainfilm store; {path} is damaged ({looked.reason}). Ingest it again.")
    return StoreError(
        f"Expected a plainfilm store, which holds its data in itself; received {path}, which {looked.reason}. Ingest it again."
    )


def _busy(path: Path, reason: str) -> StoreError:
    return StoreError(f"Expected a plainfilm store that can be locked for reading; received {path}: {reason}.")


def _of_another_kind(path: Path) -> StoreError:
    return StoreError(
        f"Expected a plainfilm store; received {path}, an HDF5 file of another kind. Make one with: plainfilm ingest"
    )


@contextlib.contextmanager
def _whole(path: Path, *damage: type[Exception]) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise StoreError(f"Expected a plainfilm store; {path} may not be read. Change its permissions.") from error
    except BlockingIOError as error:
        raise _busy(path, reason_of(error)) from error
    except damage as error:
        raise StoreError(
            f"Expected a whole plainfilm store; {path} is damaged ({reason_of(error)}). Ingest it again."
        ) from error


def read_attributes(file: h5py.File) -> dict[str, Any]:
    """Read the root attributes of an open file: text, numbers, and lists of them."""
    found = {
        name: value.tolist() if isinstance(value, np.generic | np.ndarray) else value
        for name, value in file.attrs.items()
    }
    json.dumps(found, ensure_ascii=False).encode()  # text that is none is damage
    return found


def _check_kind(attributes: Mapping[str, Any], path: Path) -> None:
    if attributes.get("format") != FORMAT:
        raise _of_another_kind(path)
    if attributes["version"] > VERSION:
        raise StoreError(
            f"Expected a store of version {VERSION} or older; {path} has version {attributes['version']}. Update plainfilm, or ingest again."
        )
    kinds: dict[str, type] = dict.fromkeys(_NUMBERS, int) | dict.fromkeys(_TEXTS, str)
    strange = [name for name, kind in kinds.items() if not isinstance(attributes.get(name, kind()), kind)]
    classes = attributes["classes"]
    if strange or isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        raise FlawError(f"its attribute {', '.join(strange) or 'classes'} is of another kind")


def seal_of(attributes: Mapping[str, Any], digests: Mapping[str, str] | None = None) -> str:
    """SHA-256, in hex, over the root attributes, the seal aside; of version 1 with those of all columns by name."""
    told = {name: value for name, value in attributes.items() if name != SEAL}
    return hashlib.sha256(json.dumps(told if digests is None else [told, digests], sort_keys=True).encode()).hexdigest()
