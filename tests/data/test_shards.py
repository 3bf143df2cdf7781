"""Shards: what was read before a command ended is not read again, and the store is the same as if it had never ended."""

import os
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import plainfilm
from plainfilm.data import claims, decoder_pool, shard_files, shards, store_writer
from plainfilm.data.store import Store
from plainfilm.errors import CatalogError, StoreError

FILMS, EACH = 20, 4  # in all, and a shard


@pytest.fixture(autouse=True)
def small(monkeypatch) -> None:
    monkeypatch.setattr(shards, "MOST_FILMS", EACH)
    monkeypatch.setattr(shards, "BATCH", 4)


@pytest.fixture
def source(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(FILMS):
        path = tmp_path / "films" / ("COVID", "NORMAL")[number % 2] / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = Image.fromarray(rng.integers(0, 255, (9, 9), dtype=np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)
        noise.save(path)
    return tmp_path / "films"


@pytest.fixture
def decoded(monkeypatch) -> list[object]:
    """Every file that a decoder is given."""
    given = list[object]()
    whole = decoder_pool.read_many

    def noted(files, **options):
        def each() -> Iterator[object]:
            for file in files:
                given.append(file)
                yield file

        return whole(each(), **options)

    monkeypatch.setattr(decoder_pool, "read_many", noted)
    return given


def ingest(source: Path, out: Path, **options: object):
    return plainfilm.ingest(source, out, **{"size": 32, "workers": 1, "overwrite": True, **options})


def stopped(source: Path, out: Path, at: int, error: type[BaseException] = KeyboardInterrupt) -> BaseException:
    def stop(_stage, done, *_):
        if done == at:
            raise error

    with pytest.raises(error) as raised:
        ingest(source, out, progress=stop)
    return raised.value


def content(path: Path) -> tuple[object, ...]:
    with Store(path) as store:
        columns = [getattr(store, name).tolist() for name in ("file", "labels", "split", "sha256", "group", "source")]
        provenance = {name: values.tolist() for name, values in store.provenance.items()}
        return store.fingerprint, columns, provenance, store.images(range(len(store))).tobytes()


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_stopped_command_goes_on_and_gives_the_same_store(source, tmp_path, decoded):
    whole, out = tmp_path / "whole" / "m.h5", tmp_path / "m" / "m.h5"
    ingest(source, whole)
    decoded.clear()
    stop = stopped(source, out, 17)
    assert stop.__notes__ == ["What was read is kept for a week: the same command goes on from there."]
    decoded.clear()
    told = list[int]()
    ingest(source, out, progress=lambda _stage, done, *_: told.append(done))
    assert len(decoded) == FILMS - 16
    assert told[0] == 16
    assert content(out) == content(whole)
    assert left_in(out.parent) == {"m.h5", "m.problems.csv"}


def test_what_changed_is_read_again(source, tmp_path, decoded):
    out = tmp_path / "m" / "m.h5"
    stopped(source, out, 20)
    changed = source / "COVID/000.png"
    image = Image.open(changed).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image.save(changed)
    os.utime(changed, ns=(0, 1))
    decoded.clear()
    ingest(source, out)
    assert len(decoded) == 2 * EACH  # the shard of the file that changed, and the last one, which was not written yet
    assert changed in [path for path, _ in decoded]
    fresh = tmp_path / "fresh" / "m.h5"
    ingest(source, fresh)
    assert content(out) == content(fresh)


def test_another_size_or_fit_reads_everything(source, tmp_path, decoded):
    out = tmp_path / "m" / "m.h5"
    stopped(source, out, 18)
    decoded.clear()
    ingest(source, out, fit="pad")
    assert len(decoded) == FILMS


@pytest.mark.parametrize("ending", [shard_files.PIXELS, shard_files.KNOWN])
@pytest.mark.parametrize("damage", ["short", "flipped", "gone"])
def test_a_damaged_shard_is_read_again(source, tmp_path, decoded, ending, damage):
    out = tmp_path / "m" / "m.h5"
    stopped(source, out, 18)
    path = sorted(shards.reading_folder(out).glob(f"*{ending}"))[0]
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data[: len(data) // 2] if damage == "short" else data)
    decoded.clear()
    ingest(source, out)
    assert len(decoded) == FILMS - 16 + EACH
    fresh = tmp_path / "fresh" / "m.h5"
    ingest(source, fresh)
    assert content(out) == content(fresh)


def test_a_file_that_could_not_be_reached_is_tried_again(source, tmp_path, monkeypatch, decoded):
    out, lost = tmp_path / "m" / "m.h5", source / "COVID/004.png"
    away = lost.rename(tmp_path / "away.png")
    lost.symlink_to(tmp_path / "nowhere")  # as on a server that does not answer: listed, and not there
    stopped(source, out, FILMS)
    lost.unlink()
    away.rename(lost)
    ingest(source, out)
    with Store(out) as store:
        assert len(store) == FILMS


def test_what_was_left_out_before_is_told_again(source, tmp_path):
    out = tmp_path / "m" / "m.h5"
    (source / "NORMAL/bad.png").write_bytes(b"no image")
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 20:40] = 255
    Image.fromarray(mask).save(source / "COVID/mask.png")
    stopped(source, out, FILMS + 2)
    done = ingest(source, out)
    told = {problem.file: (problem.code, problem.fatal) for problem in done.problems}
    assert told == {"NORMAL/bad.png": ("unknown-format", True), "COVID/mask.png": ("mask", True)}
    with pytest.raises(CatalogError, match=r"^NORMAL/bad\.png \(unknown-format\): .* Use on_bad"):
        ingest(source, out, on_bad="fail")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_shards_are_for_their_owner_alone(source, tmp_path):
    out = tmp_path / "m" / "m.h5"
    stopped(source, out, 18)
    assert stat.S_IMODE(shards.reading_folder(out).stat().st_mode) == 0o700


def test_a_catalog_of_one_shard_leaves_nothing(source, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MOST_FILMS", FILMS)
    out = tmp_path / "m" / "m.h5"
    stop = stopped(source, out, FILMS)
    assert not hasattr(stop, "__notes__") or not stop.__notes__
    assert left_in(out.parent) == set()


def test_what_nobody_came_back_for_is_removed_after_a_week(source, tmp_path):
    out = tmp_path / "m" / "m.h5"
    stopped(source, out, 18)
    folder = shards.reading_folder(out)
    ingest(source, out.with_name("other.h5"))
    assert folder.is_dir()
    old = time.time() - claims.WEEK_S - 60
    os.utime(folder, (old, old))
    ingest(source, out.with_name("other.h5"))
    assert not folder.exists()


def test_a_store_that_cannot_be_written_keeps_what_was_read(source, tmp_path, monkeypatch, decoded):
    out = tmp_path / "m" / "m.h5"

    def full(*_args, **_options):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(store_writer.StoreWriter, "finish", full)
    with pytest.raises(StoreError, match=r"^Expected to write .*m\.h5; received: No space left on device\."):
        ingest(source, out)
    monkeypatch.undo()
    monkeypatch.setattr(shards, "MOST_FILMS", EACH)
    assert len(list(shards.reading_folder(out).glob("*.npz"))) == FILMS // EACH


def test_archives_go_on_too(source, tmp_path, decoded):
    for ending, kind in (("zip", "zip"), ("tar.gz", "gztar")):
        archive = Path(shutil.make_archive(str(tmp_path / "films"), kind, source))
        out = tmp_path / kind / "m.h5"
        stopped(archive, out, 17)
        decoded.clear()
        ingest(archive, out)
        assert len(decoded) == FILMS - 16, ending
        fresh = tmp_path / kind / "fresh.h5"
        ingest(archive, fresh)
        assert content(out) == content(fresh)


# ---- read by others


def test_other_processes_read_the_same_store(source, tmp_path, decoded):
    ingest(source, tmp_path / "here.h5")
    decoded.clear()
    told = list[tuple[int, int]]()
    ingest(source, tmp_path / "there.h5", cluster="local:2", progress=lambda _stage, *at: told.append(at[:2]))
    assert not decoded
    assert told[-1] == (FILMS, FILMS)
    assert content(tmp_path / "here.h5") == content(tmp_path / "there.h5")
    assert not list(tmp_path.glob(".*.shards"))


@pytest.mark.parametrize(("kind", "read_here"), [("zip", 0), ("tar", 0), ("gztar", FILMS)])
def test_members_of_an_archive_are_read_by_others_unless_it_is_read_in_order(
    source, tmp_path, decoded, kind, read_here
):
    archive = shutil.make_archive(str(tmp_path / "films"), kind, source)
    ingest(archive, tmp_path / "here.h5")
    decoded.clear()
    ingest(archive, tmp_path / "there.h5", cluster="local:2")
    assert len(decoded) == read_here
    assert content(tmp_path / "here.h5") == content(tmp_path / "there.h5")


def test_a_kill_costs_a_thirtieth_of_a_catalog_that_is_not_large(source, tmp_path, monkeypatch, decoded):
    monkeypatch.setattr(shards, "MOST_FILMS", FILMS - 1)
    monkeypatch.setattr(shards, "BATCH", 1)
    out = tmp_path / "m" / "m.h5"
    stopped(source, out, 17)
    decoded.clear()
    ingest(source, out)
    assert len(decoded) == FILMS - 16
