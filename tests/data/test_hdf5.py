"""HDF5 files of strangers: what reaches beyond the file, declares more than it holds, or harms the library is refused, once."""

import os
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from plainfilm.data import hdf5, hdf5_worker
from plainfilm.errors import PlainfilmError

ROWS = np.arange(12)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["format"] = "somebody's"
        file["rows"] = ROWS
        file["group/texts"] = np.array(["é", "b"] * 6, object)
        file.create_dataset("images", data=np.zeros((12, 8, 8), np.uint8), chunks=(1, 8, 8))
    return tmp_path / "a.h5"


def vast(shape, **more):
    return lambda file: file.create_dataset("odd", shape, np.int64, **more)


def virtual(file):
    layout = h5py.VirtualLayout((12,), np.int64)
    layout[:] = h5py.VirtualSource("/etc/passwd", "rows", (12,))
    file.create_virtual_dataset("odd", layout)


def named(file):
    file["odd"] = np.dtype("i4")


REFUSED = {
    "external storage": (lambda file: file.create_dataset("odd", (4,), "i1", external=[("/etc/passwd", 0, 4)]), "keeps /odd in another file"),
    "external link": (lambda file: file.__setitem__("odd", h5py.ExternalLink("/etc/passwd", "/")), "has a link in place of /odd"),
    "soft link": (lambda file: file.__setitem__("odd", h5py.SoftLink("/rows")), "has a link in place of /odd"),
    "link below": (lambda file: file.__setitem__("group/odd", h5py.ExternalLink("other.h5", "/")), "has a link in place of /group/odd"),
    "virtual": (virtual, "takes /odd from other datasets or files"),
    "lzf": (lambda file: file.create_dataset("odd", data=ROWS, compression="lzf"), "needs the filter 32000"),
    "named type": (named, "has a type of its own, /odd"),
    "references": (lambda file: file.create_dataset("odd", data=np.array([file.ref] * 2, object), dtype=h5py.ref_dtype), "neither numbers nor text"),
    "lists": (lambda file: file.create_dataset("odd", (2,), h5py.vlen_dtype(np.int8)), "neither numbers nor text"),
    "records": (lambda file: file.create_dataset("odd", data=np.zeros(2, [("a", int)])), "neither numbers nor text"),
    "attribute": (lambda file: file["rows"].attrs.__setitem__("to", file.ref), r"/rows@to that are neither numbers nor text"),
    "two names": (lambda file: file.__setitem__("odd", file["rows"]), "under two names"),
    "a loop": (lambda file: file["group"].__setitem__("odd", file["group"]), "under two names"),
    "vast": (vast((1 << 40,), chunks=(1 << 10,)), f"declares {1 << 43} bytes for /odd, and holds 0"),
    "vast in gzip": (vast((1 << 24,), chunks=(1 << 10,), compression="gzip"), "declares .* and holds 0"),
    "nothing": (lambda file: file.create_dataset("odd", data=h5py.Empty("i4")), "has no values in /odd"),
    "attributes": (lambda file: [file["rows"].attrs.__setitem__(str(k), k) for k in range(4097)], "has 4097 attributes at /rows"),
    "deep": (lambda file: file.create_group("/".join("x" * 40)), "more parts, or deeper ones"),
    "text in a table": (lambda file: file.__setitem__("odd", np.full((2, 2), "a", object)), "has text in 2 dimensions"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_more_than_data_is_refused(path, name):
    change, reason = REFUSED[name]
    with h5py.File(path, "r+", libver="latest" if name == "attributes" else None) as file:
        change(file)
    with pytest.raises(hdf5_worker.Refused, match=reason):
        hdf5_worker.look_through(str(path))


def test_plain_data_passes_packed_or_with_checksums(path):
    with h5py.File(path, "r+") as file:
        file.create_dataset("packed", data=np.zeros((40, 40)), compression="gzip", shuffle=True, fletcher32=True)
        file["flags"], file["bytes"], file["scalar"] = ROWS > 3, np.full(3, b"abc"), 3.5
        file["rows"].attrs["names"] = ["a", "b"]
        file["long"] = np.array(["x" * 200_000] + ["y"] * 99, object)
        file.create_dataset("empty", (0, 8), np.uint8, chunks=(1, 8), maxshape=(None, 8))
    assert hdf5_worker.look_through(str(path)) == "somebody's"


def test_a_file_behind_other_data_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as file:
        file["rows"] = ROWS
    with pytest.raises(hdf5_worker.Refused, match="begins with other data"):
        hdf5_worker.look_through(str(tmp_path / "a.h5"))


def test_a_text_that_many_rows_share_is_refused_before_it_is_read_for_each(path):
    with h5py.File(path, "r+") as file:
        file["texts"] = np.array(["z" * 50_000] + [f"{k:05}" for k in range(2000)], object)
    data = path.read_bytes()
    first = data.index(struct.pack("<I", 50_000))
    one = data[first : first + 16]  # length, address and number of a text in the heap
    rows = data[first : first + 16 * 2001]
    path.write_bytes(data.replace(rows, one * 2001))
    with pytest.raises(hdf5_worker.Refused, match="is smaller than the text it declares, up to /texts"):
        hdf5_worker.look_through(str(path))


def test_a_file_is_looked_through_once_until_it_changes(path, monkeypatch):
    asked = []
    real = hdf5._asked
    monkeypatch.setattr(hdf5, "_asked", lambda *told: asked.append(told) or real(*told))
    for _ in range(3):
        looked = hdf5.look_through(path)
        assert (looked.reason, looked.format) == ("", "somebody's")
    assert len(asked) == 1
    with h5py.File(path, "r+") as file:
        file["more"] = 1
    hdf5.look_through(path)
    assert len(asked) == 2


def test_a_refusal_is_not_remembered_as_a_pass(path):
    with h5py.File(path, "r+") as file:
        file["odd"] = h5py.SoftLink("/rows")
    for _ in range(2):
        assert hdf5.look_through(path).reason == "has a link in place of /odd"


def test_a_damaged_mark_is_made_anew(path, tmp_path, monkeypatch):
    hdf5.look_through(path)
    (mark,) = (tmp_path / "cache" / "opened").iterdir()
    whole = mark.read_bytes()
    mark.write_bytes(b"plainfilm-store" + whole[15:])
    assert hdf5.look_through(path).format == "somebody's"
    assert mark.read_bytes() == whole


def test_a_cache_that_cannot_be_written_hinders_nothing(path, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    hdf5.remember(path, "x")
    assert hdf5.look_through(path).reason == ""


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os; os.abort()", "the HDF5 library crashes on it"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", "the HDF5 library does not come to its end on it"),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="signals are Unix's")
def test_a_file_that_ends_the_process_is_one_reason(path, monkeypatch, program, reason):
    monkeypatch.setattr(hdf5, "_PROGRAM", program)
    looked = hdf5.look_through(path)
    assert (looked.reason, looked.fault) == (reason, "damaged")


def test_a_process_that_never_answers_is_ended(path, monkeypatch):
    monkeypatch.setattr(hdf5, "_PROGRAM", "while True: pass")
    monkeypatch.setattr(hdf5, "_LEAST_S", 0.05)
    assert hdf5.look_through(path).reason == "the HDF5 library does not come to its end on it"


@pytest.mark.parametrize("name", ["h5fuzz_639.h5", "h5hang_1137.h5"])
def test_stores_that_crashed_or_held_up_a_command_are_refused(shared: Path, name, monkeypatch):
    monkeypatch.setattr(hdf5, "_LEAST_S", 2)
    assert hdf5.look_through(shared / "repro" / "damaged_stores" / name).reason


def test_a_process_that_cannot_start_is_no_damage_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["a"] = 1
    monkeypatch.setattr(hdf5.subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(BlockingIOError(11, "busy")))
    with pytest.raises(PlainfilmError, match="Expected a process that looks through .* Check that this Python runs"):
        hdf5.look_through(tmp_path / "s.h5")
