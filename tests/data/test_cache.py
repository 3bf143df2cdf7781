"""Entries of the cache: whole or not there, whatever happened to the file."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainfilm.data import cache, claims
from plainfilm.errors import CacheError


@pytest.fixture
def path(tmp_path):
    cache.write(tmp_path / "kind" / "name.bin", b"content" * 50)
    cache._whole.clear()
    return tmp_path / "kind" / "name.bin"


def test_an_entry_is_read_as_it_was_written(path):
    assert cache.read(path) == b"content" * 50
    assert cache.has(path)


def test_an_entry_that_is_not_there_is_none(tmp_path):
    assert cache.read(tmp_path / "kind" / "none") is None
    assert not cache.has(tmp_path / "kind" / "none")
    assert cache.read_arrays(tmp_path / "kind" / "none") is None


def test_an_entry_written_in_pieces_is_that_written_at_once(path, tmp_path):
    with cache.written(tmp_path / "other" / "kind" / "name.bin") as file:
        for _ in range(50):
            file.write(b"content")
    assert (tmp_path / "other" / "kind" / "name.bin").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("how", ["folder", "disk", "file"])
def test_a_cache_that_cannot_be_written_is_said_so_and_no_hidden_file_is_named(how, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    if how == "file":
        (tmp_path / "cache").write_text("mine")
    elif how == "folder":
        monkeypatch.setattr(claims.os, "open", lambda *_, **__: raise_(OSError(errno.EROFS, "x", ".claim")))
    else:
        monkeypatch.setattr(cache.SealedFile, "seal", lambda _: raise_(OSError(errno.ENOSPC, "x")))
    reason = {"folder": "Read-only file system", "disk": "No space left on device", "file": "File exists"}[how]
    path = tmp_path / "cache" / "name.bin"
    with pytest.raises(CacheError) as raised:
        cache.write(path, b"content")
    assert str(raised.value) == (
        f"Expected a cache that can be written; received {tmp_path / 'cache'} ({reason}). "
        "Free space there, or set PLAINFILM_CACHE to another folder."
    )
    if how != "disk":
        with pytest.raises(CacheError, match=reason), cache.missing(path):
            pass


def raise_(error):
    """Raise, in an expression."""
    raise error


def test_an_error_of_what_makes_an_entry_is_not_the_caches(tmp_path):
    with pytest.raises(OSError, match="the store's") as raised, cache.missing(tmp_path / "kind" / "name.bin"):
        raise OSError("the store's")
    assert not isinstance(raised.value, CacheError)


@given(at=st.integers(0, 397), bit=st.integers(0, 7))
def test_a_single_bit_is_noticed_and_the_entry_taken_away(at, bit, tmp_path_factory):
    for found in (cache.read, cache.has):
        path = tmp_path_factory.mktemp("flips") / "name.bin"
        cache.write(path, b"content" * 50)
        held = bytearray(path.read_bytes())
        assert len(held) == 350 + cache.TAIL_BYTES == 398
        held[at] ^= 1 << bit
        path.write_bytes(held)
        assert not found(path)
        assert not path.exists()


@pytest.mark.parametrize("length", [0, 1, 47, 48, 49, 350, 397])
def test_an_entry_that_is_cut_short_is_noticed(path, length):
    for found in (cache.read, cache.has):
        cache.write(path, b"content" * 50)
        path.write_bytes(path.read_bytes()[:length])
        assert not found(path)


def test_an_entry_with_more_behind_it_is_noticed(path):
    path.write_bytes(path.read_bytes() + b"\0")
    assert not cache.has(path)


@pytest.mark.parametrize("folder", ["kind", "other"])
def test_an_entry_does_not_pass_under_the_name_of_another(path, tmp_path, folder):
    other = tmp_path / folder / ("other.bin" if folder == "kind" else path.name)
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(path.read_bytes())
    assert not cache.has(other)
    assert cache.has(path)


def test_an_entry_of_0_1_which_has_no_checksum_is_taken_away(tmp_path):
    np.save(tmp_path / "old.npy", np.zeros((3, 4), np.float32))
    assert not cache.has(tmp_path / "old.npy")
    assert not (tmp_path / "old.npy").exists()


def test_an_entry_is_read_through_once_a_run_unless_it_changes(path, monkeypatch):
    assert cache.has(path)
    monkeypatch.setattr(cache, "_fits", lambda *_: pytest.fail("read again"))
    assert cache.has(path)
    monkeypatch.undo()
    path.write_bytes(b"damage" + path.read_bytes()[6:])
    os.utime(path, ns=(0, 1))
    assert not cache.has(path)


def test_a_failure_while_writing_leaves_no_entry(tmp_path):
    def fail_halfway():
        with cache.written(tmp_path / "kind" / "name") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    assert not list((tmp_path / "kind").iterdir())


def test_arrays_come_back_with_their_names_shapes_and_types(tmp_path):
    made = {"a": np.arange(6).reshape(2, 3), "b": np.array([0.5], np.float32), "c": np.array(["x", "yz"])}
    cache.write_arrays(tmp_path / "made.npz", made)
    found = cache.read_arrays(tmp_path / "made.npz")
    assert found.keys() == made.keys()
    for name, values in made.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype


def test_entries_are_all_files_but_those_whose_names_say_what_they_are(tmp_path):
    for name in ("features/a.npy", "compiled/b", "openings/films/line", "weights/net.h5", "features/.c.1.partial"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert cache.entries(tmp_path) == [tmp_path / "compiled/b", tmp_path / "features/a.npy"]


MAKE = """
import sys
from pathlib import Path
from plainfilm.data import cache
with cache.missing(Path(sys.argv[1])) as is_missing:
    print("makes" if is_missing else "finds", flush=True)
    if is_missing:
        sys.stdin.readline()
        cache.write(Path(sys.argv[1]), sys.argv[2].encode())
"""


def making(path, content):
    command = [sys.executable, "-c", MAKE, str(path), content]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_an_entry_is_made_by_whoever_is_first_and_the_second_waits_for_it(tmp_path):
    path = tmp_path / "kind" / "name"
    first = making(path, "first")
    assert first.stdout.readline() == "makes\n"
    second = making(path, "second")
    first.communicate("\n")
    assert second.stdout.readline() == "finds\n"
    second.communicate()
    assert cache.read(path) == b"first"
    assert [each.name for each in path.parent.iterdir()] == ["name"]


def test_an_entry_whose_maker_was_killed_is_made_by_the_second(tmp_path):
    path = tmp_path / "kind" / "name"
    first = making(path, "first")
    assert first.stdout.readline() == "makes\n"
    second = making(path, "second")
    first.kill()
    first.communicate()
    assert second.stdout.readline() == "makes\n"
    second.communicate("\n")
    assert cache.read(path) == b"second"
    assert [each.name for each in path.parent.iterdir()] == ["name"]


def test_a_damaged_entry_that_another_has_made_anew_meanwhile_is_not_removed(tmp_path):
    path = tmp_path / "kind" / "name"
    cache.write(path, b"content")
    number = path.stat().st_ino
    cache.write(path, b"content")
    cache._take_away(path, number)
    assert cache.read(path) == b"content"
