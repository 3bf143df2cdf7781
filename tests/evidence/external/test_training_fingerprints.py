import hashlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

import plainfilm
from plainfilm.data import images, phantom, store_writer
from plainfilm.data.store import Columns, Store
from plainfilm.evidence.external import training_fingerprints
from plainfilm.evidence.external.training_fingerprints import ImageHashes, TrainingFingerprints, changed

FILMS = 24


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("seen")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made / "cache"))
        yield made


def pictures(n, seed):
    return [phantom.render(visit).pixels for visit in phantom.plan(n, seed=seed, duplicates=0)]


def write_store(path, films, *, digests=None):
    n = len(films)
    columns = Columns(
        classes=("COVID", "NORMAL"),
        labels=np.arange(n) % 2,
        split=np.array(["train", "train", "validation", "test"])[np.arange(n) // 2 % 4],
        patient=np.array([""] * n),
        source=np.array(["north"] * n),
        file=np.array([f"film {k:02d}.png" for k in range(n)]),
        sha256=np.array(digests or [hashlib.sha256(b"%d" % k).hexdigest() for k in range(n)]),
        group=np.arange(n),
    )
    with store_writer.create(path, size=256, expected=n) as writer:
        writer.append(np.stack([images.fitted(film) for film in films]))
        writer.finish(columns, attributes={"fit": "stretch", "seed": 0})
    return path


def copied(film, rng):
    """The film as somebody else would save it: another size, brightness and compression."""
    picture = Image.fromarray(film)
    share = rng.uniform(0.6, 1.8)
    picture = picture.resize((round(picture.width * share), round(picture.height * share)), Image.Resampling.BICUBIC)
    picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.85, 1.2))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=int(rng.integers(30, 96)))
    return np.asarray(Image.open(stream))


@pytest.fixture(scope="module")
def films():
    return pictures(FILMS, seed=1)


@pytest.fixture(scope="module")
def store(folder, films):
    with Store(write_store(folder / "s.h5", films)) as opened:
        yield opened


@pytest.fixture(scope="module")
def made(store):
    return TrainingFingerprints.of(store)


def found(made, path, films):
    with Store(write_store(path, films, digests=[f"other {k}" for k in range(len(films))])) as other:
        return made.find(other.sha256, ImageHashes.of(other, np.arange(len(other))))


def test_copies_in_another_size_brightness_and_compression_are_found_and_other_films_are_not(made, films, folder):
    rng = np.random.default_rng(0)
    copies = [copied(film, rng) for film in films]
    matches = found(made, folder / "copies.h5", copies)
    assert matches.picture.all()
    assert not matches.file.any()
    assert not found(made, folder / "others.h5", pictures(40, seed=2)).any.any()


CHANGES = {
    "mirrored": lambda image: image[:, ::-1],
    "inverted": lambda image: 255 - image,
    "framed": lambda image: np.pad(image, ((image.shape[0] // 10,) * 2, (image.shape[1] // 10,) * 2)),
    "turned": lambda image: np.asarray(Image.fromarray(image).rotate(2, resample=Image.Resampling.BICUBIC)),
    "cropped": lambda image: image[image.shape[0] // 50 : -image.shape[0] // 50, image.shape[1] // 50 : -image.shape[1] // 50],
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_copies_are_found_by_undoing_the_change_and_other_films_are_not(made, films, folder, change):
    def matched(name, pictures):
        path = write_store(folder / name, pictures, digests=[f"other {k}" for k in range(len(pictures))])
        with Store(path) as other:
            rows = np.arange(len(other))
            return made.find(other.sha256, ImageHashes.of(other, rows), changed(other, rows)).picture

    assert matched("changed.h5", [change(film) for film in films]).mean() >= 0.75
    assert not matched("changed others.h5", [change(film) for film in pictures(12, seed=2)]).any()


def test_the_same_file_is_found_by_its_bytes_whatever_it_shows(made, store):
    nothing = ImageHashes(hashes=np.zeros(3, np.uint64), details=np.zeros((3, 24), np.uint8))
    matches = made.find(np.array([store.sha256[5], "unknown", store.sha256[0]]), nothing)
    assert matches.file.tolist() == [True, False, True]
    assert not matches.picture.any()


def test_a_hash_of_the_whole_picture_alone_makes_no_match(made):
    own = made.images
    other = ImageHashes(hashes=own.hashes, details=~own.details)
    assert not made.find(np.array(["x"] * len(made)), other).any.any()


@pytest.mark.parametrize(
    ("bits", "is_found"), [(training_fingerprints.DETAIL_BITS, True), (training_fingerprints.DETAIL_BITS + 1, False)]
)
def test_the_detail_may_differ_in_so_many_bits(made, bits, is_found):
    flips = np.packbits(np.arange(192) < bits)
    one = ImageHashes(hashes=made.images.hashes[:1], details=made.images.details[:1] ^ flips)
    assert made.find(np.array(["x"]), one).picture.tolist() == [is_found]


def test_the_files_of_the_test_set_are_known_from_the_others(made, store):
    np.testing.assert_array_equal(made.in_test_set(store.sha256), store.split == "test")
    assert not made.in_test_set(np.array(["unknown"])).any()


def test_what_is_read_again_is_what_was_written(made, store):
    again = TrainingFingerprints.from_bytes(made.to_bytes())
    assert again.to_bytes() == made.to_bytes() == TrainingFingerprints.of(store).to_bytes()
    assert len(again) == FILMS
    np.testing.assert_array_equal(again.in_test_set(store.sha256), made.in_test_set(store.sha256))
    assert again.find(store.sha256, again.images).file.all()


def test_an_empty_list_finds_nothing():
    nothing = ImageHashes(hashes=np.empty(0, np.uint64), details=np.empty((0, 24), np.uint8))
    empty = TrainingFingerprints(salt=bytes(16), marks=np.empty(0, np.uint64), tests=0, images=nothing)
    again = TrainingFingerprints.from_bytes(empty.to_bytes())
    one = ImageHashes(hashes=np.ones(1, np.uint64), details=np.ones((1, 24), np.uint8))
    assert not again.find(np.array(["x"]), one).any.any()
    assert len(again.find(np.array([], str), nothing).any) == 0


def test_no_hash_of_a_file_stands_in_it_and_two_stores_mark_one_file_differently(made, store, folder):
    data = made.to_bytes()
    for digest in store.sha256:
        assert str(digest).encode() not in data
        assert bytes.fromhex(str(digest))[:8] not in data
    with Store(write_store(folder / "again.h5", pictures(4, seed=3))) as other:
        assert not np.isin(TrainingFingerprints.of(other).marks, made.marks).any()
        assert set(other.sha256) <= set(store.sha256)


def test_damaged_bytes_are_refused(made):
    data = made.to_bytes()
    head = training_fingerprints._HEAD
    magic, salt, count, tests = head.unpack_from(data)
    body = data[head.size :]
    for bad in (
        b"",
        data[:10],
        data[:-1],
        data + b"\0",
        b"X" + data[1:],
        head.pack(magic, salt, count + 1, tests) + body,
        head.pack(magic, salt, 2**32 - 1, 0) + body,
        head.pack(magic, salt, count, count + 1) + body,
    ):
        with pytest.raises(ValueError, match="Expected"):
            TrainingFingerprints.from_bytes(bad)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data):
    for each in (data, training_fingerprints._MAGIC + data):
        try:
            read = TrainingFingerprints.from_bytes(each)
        except ValueError:
            continue
        assert read.to_bytes() == each


def test_a_long_list_is_searched_a_stretch_at_a_time(made, monkeypatch):
    sha256 = np.array(["x"] * FILMS)
    whole = made.find(sha256, made.images)
    monkeypatch.setattr(training_fingerprints, "_HASHES_AT_ONCE", 1)
    apart = made.find(sha256, made.images)
    np.testing.assert_array_equal(apart.picture, whole.picture)
    assert whole.picture.all()


@pytest.mark.slow
def test_films_that_two_real_collections_share_are_found_and_no_others(shared, tmp_path):
    """COVID-CXNet took films from the ieee8023 collection; the normals of both come from other hospitals."""

    plainfilm.ingest(shared / "data" / "mixed", tmp_path / "mixed.h5", classes=["COVID", "NORMAL"])
    plainfilm.ingest(shared / "data" / "darkcovidnet", tmp_path / "dark.h5")
    with Store(tmp_path / "mixed.h5") as mine, Store(tmp_path / "dark.h5") as other:
        matches = TrainingFingerprints.of(mine).find(other.sha256, ImageHashes.of(other, np.arange(len(other))))
        by_class = {name: int(matches.any[other.labels == k].sum()) for k, name in enumerate(other.classes)}
    assert by_class == {"COVID": 48, "NORMAL": 0, "PNEUMONIA": 0}
    assert matches.file.sum() == 30
