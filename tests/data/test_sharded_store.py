"""A store with shards beside it: the same to who reads it, told at once where it is not whole, and one file again when packed."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import plainfilm
from plainfilm.data import ingest as ingesting
from plainfilm.data.store import Store
from plainfilm.data.store_images import shards_folder
from plainfilm.errors import StoreError, UsageError

FILMS = 60


def grow(root: Path, numbers: range) -> Path:
    for number in numbers:
        path = root / ("COVID", "NORMAL")[number % 2] / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 255, (9, 9), dtype=np.uint8)
        Image.fromarray(noise).resize((64, 64), Image.Resampling.BICUBIC).save(path)
    return root


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    root = grow(tmp_path_factory.mktemp("made") / "films", range(FILMS))
    shutil.copy(root / "COVID/000.png", root / "NORMAL/copy.png")  # one film under two labels: both are left out
    return root


def ingest(source: Path, out: Path, **options: object):
    return plainfilm.ingest(source, out, **{"size": 32, "workers": 1, **options})


@pytest.fixture
def sharded(source, tmp_path) -> Path:
    ingest(source, tmp_path / "m.h5", shard=16)
    return tmp_path / "m.h5"


def content(path: Path) -> tuple[object, ...]:
    with Store(path) as store:
        columns = [getattr(store, name).tolist() for name in ("file", "labels", "split", "sha256", "group", "source")]
        return store.fingerprint, columns, store.images(range(len(store))).tobytes()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_shards_hold_what_one_file_does(source, sharded, tmp_path):
    one = tmp_path / "one" / "m.h5"
    ingest(source, one)
    assert content(sharded) == content(one)
    assert names(sharded.parent) == {"m.h5", "m.h5.shards", "m.problems.csv", "one"}
    shards = sorted(shards_folder(sharded).iterdir())
    assert len(shards) == 4
    assert all(np.load(path, allow_pickle=False).shape[1:] == (32, 32) for path in shards)
    with h5py.File(sharded) as file:
        assert file.attrs["version"] == 3
        assert "images" not in file
    with Store(sharded) as store:
        rows = np.array([57, 0, 33, 0])
        np.testing.assert_array_equal(store.images(rows), store.images(range(len(store)))[rows])
        assert store.verify().startswith("every image")


def test_a_store_beyond_a_size_gets_shards_by_itself(source, tmp_path, monkeypatch):
    monkeypatch.setattr(ingesting, "_ONE_FILE_BYTES", (FILMS - 10) * 32**2)
    ingest(source, tmp_path / "m.h5")
    assert len(names(shards_folder(tmp_path / "m.h5"))) == 1


@pytest.mark.parametrize("damage", ["gone", "short", "folder"])
def test_a_shard_that_is_not_whole_is_told_at_opening(sharded, damage):
    shards = sorted(shards_folder(sharded).iterdir())
    if damage == "folder":
        shutil.rmtree(shards_folder(sharded))
    elif damage == "gone":
        shards[1].unlink()
    else:
        shards[1].write_bytes(shards[1].read_bytes()[:-1])
    whole = 0 if damage == "folder" else 3
    with pytest.raises(
        StoreError, match=rf"^Expected 4 shards of .*m\.h5 in .*m\.h5\.shards, .*; received {whole} that are whole"
    ):
        Store(sharded)


def test_a_changed_pixel_or_header_is_told_when_it_is_read(sharded):
    shard = sorted(shards_folder(sharded).iterdir())[0]
    whole = shard.read_bytes()
    for at in (len(whole) - 7, 40, 1):
        data = bytearray(whole)
        data[at] ^= 1
        shard.write_bytes(data)
        with Store(sharded) as store, pytest.raises(StoreError, match=r"is damaged \("):
            store.verify()
    shard.write_bytes(whole)
    with Store(sharded) as store:
        store.verify()


def test_an_index_of_other_files_is_refused(sharded, tmp_path):
    for name in ("../m.h5", "/etc/passwd", "a.npy"):
        other = tmp_path / "other.h5"
        shutil.copy(sharded, other)
        with h5py.File(other, "r+") as file:
            file["shards/file"][0] = name
        with pytest.raises(StoreError, match="table of shards is not the one that was written"):
            Store(other)


def test_packed_it_is_one_file_with_its_log(sharded, tmp_path):
    with Store(sharded) as store:
        store.log_test_opening("train")
    one = plainfilm.pack(sharded, tmp_path / "packed" / "one.h5")
    assert content(one) == content(sharded)
    assert names(one.parent) == {"one.h5", "one.h5.log"}
    with Store(one) as store, Store(sharded) as old:
        assert store.test_openings() == 1
        assert store.attributes == {**old.attributes, "version": 2}
        assert store.verify().startswith("every image")
    with pytest.raises(UsageError, match=r"^Expected another `out` than the store itself"):
        plainfilm.pack(sharded, sharded, overwrite=True)
    with pytest.raises(UsageError, match=r"which is there"):
        plainfilm.pack(sharded, one)


def test_one_file_in_the_place_of_shards_leaves_none(source, sharded):
    ingest(source, sharded, overwrite=True)
    assert names(sharded.parent) == {"m.h5", "m.problems.csv"}
    ingest(source, sharded, overwrite=True, shard=16)
    ingest(source, sharded, overwrite=True, shard=32)
    assert len(names(shards_folder(sharded))) == 2
    with Store(sharded) as store:
        store.verify()


def test_films_are_added_to_shards_without_writing_the_old_ones_anew(tmp_path):
    source, out = grow(tmp_path / "films", range(FILMS)), tmp_path / "m.h5"
    ingest(source, out, shard=16)
    before = {path.name: path.stat().st_ino for path in shards_folder(out).iterdir()}
    with Store(out) as store:
        parts = dict(zip(store.file.tolist(), store.split.tolist(), strict=True))
    (source / "COVID/000.png").unlink()
    grow(source, range(FILMS, FILMS + 20))
    done = ingest(source, out, add=True)
    assert (done.added, done.gone, done.images) == (20, 1, FILMS + 19)
    after = {path.name: path.stat().st_ino for path in shards_folder(out).iterdir()}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1
    with Store(out) as store:
        store.verify()
        now = dict(zip(store.file.tolist(), store.split.tolist(), strict=True))
    parts.pop("COVID/000.png")
    assert {file: now[file] for file in parts} == parts
