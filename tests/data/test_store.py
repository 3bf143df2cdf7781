"""The store: what goes in comes out, in any HDF5 tool; every broken file is one line; a full disk harms nothing."""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_old_stores import as_version_1
from plainfilm.data import hdf5, hdf5_worker, openings, store, store_columns, store_writer
from plainfilm.data.store import Columns, Store
from plainfilm.data.store_columns import COLUMNS
from plainfilm.errors import StoreError, UsageError

SIZE = 32
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def noise(n: int, *, size: int = SIZE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size), dtype=np.uint8)


OLD = store.HDF5_SIGNATURE + b"old"


def columns(n: int, **changes: Any) -> Columns:
    """Two classes in turn; of ten rows seven train, one validation, two test."""
    row = np.arange(n)
    parts = np.array(["train"] * 7 + ["validation"] + ["test"] * 2)[row % 10]
    made = Columns(
        classes=("COVID", "NORMAL"),
        labels=row // 2 % 2,
        split=parts,
        patient=np.array([f"p{r // 2}" for r in row]),
        source=np.array(["A", "B"])[row % 2],
        file=np.array([f"x/{r}.png" for r in row]),
        sha256=np.array([f"{r:064x}" for r in row]),
        group=row // 2,
        provenance={"width": 1000.0 + row, "view": np.array(["PA", ""])[row % 2]},
    )
    return dataclasses.replace(made, **changes)


def written(path: Path, images: np.ndarray, told: Columns | None = None, **attributes: str | int) -> Path:
    with store_writer.create(path, size=images.shape[1], expected=len(images)) as writer:
        writer.append(images)
        writer.finish(told or columns(len(images)), attributes=attributes)
    return path


IN_A_PROCESS = hdf5._asked


@pytest.fixture(scope="module", autouse=True)
def _looked_through_here():
    """None of these files harms a process, and each would start one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hdf5, "_asked", lambda path, _seconds: hdf5._judged(hdf5_worker.answers(str(path))))
        yield


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return noise(40)


@pytest.fixture(scope="module")
def path(images, tmp_path_factory) -> Path:
    return written(tmp_path_factory.mktemp("stores") / "m.h5", images, fit="stretch", seed=3)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def message(path: Path) -> str:
    """The one line that opening `path` gives."""
    with pytest.raises(StoreError) as raised, Store(path):
        pass
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)
    return str(raised.value)


# Round trip


@settings(max_examples=40)
@given(st.data(), st.integers(1, 6))
def test_what_goes_into_a_store_comes_out_of_it(tmp_path_factory, data, n):
    def texts() -> np.ndarray:
        return np.array(data.draw(st.lists(TEXT, min_size=n, max_size=n)))

    names = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1).filter(
        lambda name: name != "."
    )
    numbers = st.lists(st.floats() | st.just(float("nan")), min_size=n, max_size=n).map(np.array)
    provenance = data.draw(st.dictionaries(names, numbers | st.builds(texts), max_size=3))
    classes = tuple(data.draw(st.lists(TEXT, min_size=1, max_size=4)))
    told = Columns(
        classes=classes,
        labels=np.array(data.draw(st.lists(st.integers(-1, len(classes) - 1), min_size=n, max_size=n))),
        split=texts(),
        patient=texts(),
        source=texts(),
        file=texts(),
        sha256=texts(),
        group=np.array(data.draw(st.lists(st.integers(0, 2**62), min_size=n, max_size=n))),
        provenance=provenance,
    )
    pixels = noise(n, seed=data.draw(st.integers(0, 99)))
    with Store(written(tmp_path_factory.mktemp("round") / "s.h5", pixels, told)) as opened:
        assert opened.classes == classes
        for name in ("labels", "split", "patient", "source", "file", "sha256", "group"):
            np.testing.assert_array_equal(getattr(opened, name), getattr(told, name))
        assert set(opened.provenance) == set(provenance)
        for name, values in provenance.items():
            np.testing.assert_array_equal(opened.provenance[name], values)
            assert opened.provenance[name].dtype.kind == values.dtype.kind
        np.testing.assert_array_equal(opened.images(range(n)), pixels)


def test_names_that_are_no_unicode_are_kept_readable_and_apart(tmp_path):
    # What os.listdir makes of names that are not UTF-8 (PEP 383).
    files = np.array([os.fsdecode(b"r\xe9mi.png"), os.fsdecode(b"r\xe8mi.png"), "rémi.png"])
    told = columns(3, file=files, classes=(os.fsdecode(b"gr\xfcn"), "B"))
    with Store(written(tmp_path / "s.h5", noise(3), told)) as opened:
        assert opened.file.tolist() == ["r\\udce9mi.png", "r\\udce8mi.png", "rémi.png"]
        assert opened.classes == ("gr\\udcfcn", "B")


def test_text_with_a_null_character_loses_that_alone(tmp_path):
    told = columns(2, provenance={"view": np.array(["P\0A", "AP"])})
    with Store(written(tmp_path / "s.h5", noise(2), told)) as opened:
        assert opened.provenance["view"].tolist() == ["PA", "AP"]


def test_any_hdf5_tool_can_read_a_store(path, images):
    with h5py.File(path) as file:
        assert set(file) == {
            *(
                "images",
                "labels",
                "split",
                "patient",
                "source",
                "file",
                "sha256",
                "group",
                "provenance",
                "images_sha256",
            ),
        }
        assert file["images"].dtype == np.uint8
        assert file["images"].chunks == (1, SIZE, SIZE)
        np.testing.assert_array_equal(file["images"][:], images)
        assert file["labels"].dtype == file["group"].dtype == np.int64
        values = file["split/categories"].asstr()[:]
        assert values[file["split/codes"][:4]].tolist() == ["train"] * 4
        assert file["file"].asstr()[1] == "x/1.png"
        assert file["sha256"][17].tobytes().hex() == f"{17:064x}"
        assert file["provenance/width"][:2].tolist() == [1000, 1001]
        assert file["provenance/view/categories"].asstr()[:].tolist() == ["PA"]
        assert file["provenance/view/codes"][:2].tolist() == [0, -1]
        assert file.attrs["format"] == "plainfilm-store"
        assert file.attrs["version"] == 2
        assert file.attrs["classes"].tolist() == ["COVID", "NORMAL"]
        assert file.attrs["size"] == SIZE
        assert file.attrs["fit"] == "stretch"
        assert file.attrs["seed"] == 3
        assert file.attrs["created"].startswith("20")
        assert len(file.attrs["fingerprint"]) == 64


def test_the_attributes_come_with_an_open_store(path):
    with Store(path) as opened:
        assert (opened.attributes["fit"], opened.attributes["seed"], opened.size) == ("stretch", 3, SIZE)
        assert len(opened) == 40


@given(st.lists(st.integers(0, 39), max_size=60))
@settings(max_examples=30)
def test_images_come_in_the_order_asked_for(path, images, rows):
    with Store(path) as opened:
        np.testing.assert_array_equal(opened.images(rows), images[np.array(rows, int)])


@pytest.mark.parametrize("size", [1, 7, 40, 100])
def test_batches_are_all_images_in_order(path, images, size):
    with Store(path) as opened:
        parts = list(opened.batches(size))
    assert all(0 < len(part) <= size for part in parts)
    np.testing.assert_array_equal(np.concatenate(parts), images)


def test_the_rows_of_a_split_are_its_labelled_ones(tmp_path):
    told = columns(20, labels=np.where(np.arange(20) % 3 == 0, -1, 1))
    with Store(written(tmp_path / "s.h5", noise(20), told)) as opened:
        expected = [row for row in range(20) if row % 10 in {8, 9} and row % 3]
        assert opened.rows("test").tolist() == expected
        pixels, labels = opened.arrays("test")
        np.testing.assert_array_equal(pixels, noise(20)[expected])
        assert labels.tolist() == [1] * len(expected)


def test_an_unknown_split_is_an_error_that_names_the_known_ones(path):
    with Store(path) as opened, pytest.raises(UsageError, match="train, validation, test; received 'val'"):
        opened.rows("val")


def test_counts_by_class_and_split():
    told = columns(20)
    counts = store.count_by_split(told.labels, told.split, told.classes)
    assert counts == {
        "COVID": {"train": 7, "validation": 1, "test": 2},
        "NORMAL": {"train": 7, "validation": 1, "test": 2},
    }


def test_columns_are_read_when_they_are_asked_for_and_once(path, monkeypatch):
    read = []
    own = store_columns.ColumnReader._dataset
    monkeypatch.setattr(
        store_columns.ColumnReader, "_dataset", lambda self, name, data: read.append(name) or own(self, name, data)
    )
    with Store(path) as opened:
        assert read == ["labels"]
        view = opened.with_split(np.full(40, "train"))
        assert set(view.split.tolist()) == {"train"}
        assert view.provenance["width"][0] == opened.provenance["width"][0] == 1000
        assert (opened.file[3], view.file[3], opened.split[7]) == ("x/3.png", "x/3.png", "validation")
        assert sorted(opened.provenance) == ["view", "width"]
        assert "other" not in opened.provenance
    assert read == ["labels", "provenance/width", "file", "split/codes", "split/categories"]


def test_columns_of_a_closed_store_are_read_still_unless_another_lies_there_now(path, tmp_path, images):
    target = written(tmp_path / "s.h5", images)
    with Store(target) as opened:
        assert opened.file[1] == "x/1.png"
    assert opened.source[:2].tolist() == ["A", "B"]
    written(target, noise(10, seed=9))
    assert opened.source[1] == "B"
    with pytest.raises(StoreError, match="another one lies there now"):
        _ = opened.group


@pytest.mark.parametrize("name", ["file", "source", "provenance/view"])
def test_one_long_value_does_not_set_the_memory_of_every_row(tmp_path, name):
    n, long = 3000, "y" * 100_000  # as wide as the longest: 1.2 GB
    values = [long, *(f"{row % 9}" for row in range(1, n))]
    text = np.array(values, np.dtypes.StringDType())
    told = columns(n, provenance={"view": text}) if "/" in name else columns(n, **{name: text})
    with Store(written(tmp_path / "s.h5", np.zeros((n, 4, 4), np.uint8), told)) as opened:
        column = opened.provenance["view"] if "/" in name else getattr(opened, name)
        assert column.tolist() == values
        assert column.dtype.kind == "T"
        assert (column == "5").sum() == 333
        opened.verify()
        assert column.nbytes < 1 << 20
    assert (tmp_path / "s.h5").stat().st_size < 3 << 20


def test_hashes_that_are_none_are_held_as_text(tmp_path):
    told = columns(40, sha256=np.array(["one", "other"])[np.arange(40) % 2])
    with Store(written(tmp_path / "s.h5", noise(40), told)) as opened:
        assert opened.sha256[:3].tolist() == ["one", "other", "one"]
        assert opened.test_openings() == 0
        opened.verify()


# Writing


def test_a_store_appears_only_when_it_is_finished(tmp_path, images):
    target = written(tmp_path / "s.h5", images)
    with store_writer.create(target, size=SIZE, expected=3) as writer:
        writer.append(noise(3, seed=1))
        with Store(target) as old:
            assert len(old) == len(images)
        writer.finish(columns(3), attributes={})
    with Store(target) as new:
        assert len(new) == 3
    assert names(tmp_path) == ["s.h5"]


def test_an_error_while_writing_leaves_the_old_store(tmp_path, images):
    target = written(tmp_path / "s.h5", images)
    before = target.read_bytes()

    def fail_halfway() -> None:
        with store_writer.create(target, size=SIZE, expected=3) as writer:
            writer.append(noise(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    assert target.read_bytes() == before
    assert names(tmp_path) == ["s.h5"]


def test_the_fingerprint_tells_other_pixels_and_another_order(tmp_path, images):
    changed = images.copy()
    changed[7, 3, 3] ^= 1
    prints = set()
    for name, pixels in (("a", images), ("b", images), ("c", changed), ("d", images[::-1])):
        with Store(written(tmp_path / name, pixels)) as opened:
            prints.add(opened.fingerprint)
    assert len(prints) == 3


def test_a_folder_is_not_overwritten_by_a_store(tmp_path):
    target = tmp_path / "s.h5"
    target.mkdir()
    with (
        pytest.raises(StoreError, match=r"^Expected a file to write; received .*s\.h5, a folder"),
        store_writer.create(target, size=SIZE, expected=1),
    ):
        raise AssertionError("found only after everything was read")


def test_a_store_below_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match="Choose|choose"),
        store_writer.create(tmp_path / "file/s.h5", size=SIZE, expected=1),
    ):
        pass


FILL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from plainfilm.data import store_writer
from plainfilm.errors import StoreError
from data.test_store import columns, noise

limit, path, n = int(sys.argv[1]), Path(sys.argv[2]), 400
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with store_writer.create(path, size=32, expected=n) as writer:
        for part in np.split(noise(n), 8):
            writer.append(part)
        writer.finish(columns(n), attributes={})
except StoreError as error:
    print(error)
    sys.exit(1)
"""


def fill(path: Path, limit: int = 0) -> subprocess.CompletedProcess[str]:
    """Write a store of about 500 kB in a process of its own that may not write files beyond `limit` bytes."""
    tests = str(Path(__file__).resolve().parents[1])
    return subprocess.run(
        [sys.executable, "-c", FILL, str(limit), str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": tests},
        check=False,
    )


def assert_disk_full_harms_nothing(path: Path, limit: int = 0) -> None:
    before = path.read_bytes()
    done = fill(path, limit)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith(f"Expected to write {path}; received: ")
    assert len(done.stdout) < len(str(path)) + 150
    assert path.read_bytes() == before
    assert names(path.parent) == [path.name]


@pytest.mark.parametrize("limit", [1, 3_000, 200_000, 440_000, 500_000])
def test_a_full_disk_is_one_line_and_leaves_the_old_store(tmp_path, limit):
    # At the first byte, in the first batch, in a later one, in the columns: HDF5 crashes where it cannot close a file.
    pytest.importorskip("resource", reason="only Unix limits the size of files")
    path = tmp_path / "s.h5"
    path.write_bytes(OLD)
    assert_disk_full_harms_nothing(path, limit)


@pytest.mark.slow
def test_a_full_file_system_is_one_line_and_leaves_the_old_store(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if not ROOT or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        (disk / "s.h5").write_bytes(OLD)
        assert_disk_full_harms_nothing(disk / "s.h5")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# Files that are no whole store


def test_a_truncated_store_is_one_line_at_any_length(path, tmp_path):
    whole = path.read_bytes()
    lengths = {0, 1, 7, 8, 9, 47, 48, 96, 512, 513, 2048, len(whole) // 2, len(whole) - 4096, len(whole) - 1}
    lengths |= set(np.random.default_rng(0).integers(0, len(whole), 60).tolist())
    for length in sorted(lengths):
        (tmp_path / "cut.h5").write_bytes(whole[:length])
        said = message(tmp_path / "cut.h5")
        assert said.startswith("Expected a plainfilm store; received")
        assert "it is truncated" in said or (length < 96 and "it is not an HDF5 file" in said)
        assert "Ingest it again." in said


def test_a_file_that_is_no_hdf5_is_one_line(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(5000))
    assert "it is not an HDF5 file" in message(tmp_path / "a.h5")


def test_a_store_that_another_process_writes_is_said_so_whether_it_was_looked_through_before_or_not(path, tmp_path):
    Store(path).close()
    other = shutil.copyfile(path, tmp_path / "b.h5")
    program = "import h5py, sys; files = [h5py.File(name, 'r+') for name in sys.argv[1:]]; print(); input()"
    told = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program, path, other], **told) as writer:
        writer.stdout.readline()
        said = [message(each) for each in (path, other)]
        writer.communicate(b"\n")
    assert all("another process is writing it: wait for that, or end it" in line for line in said)
    Store(other).close()


def test_a_file_that_its_writer_never_closed_is_said_so(tmp_path):
    program = "import h5py, os, sys; file = h5py.File(sys.argv[1], 'w', libver='latest'); file.flush(); os._exit(0)"
    subprocess.run([sys.executable, "-c", program, tmp_path / "a.h5"], check=True)
    assert "ended before it closed it" in message(tmp_path / "a.h5")


def test_a_missing_store_is_one_line_with_the_command_that_makes_it(tmp_path):
    assert "no such file" in message(tmp_path / "a.h5")
    assert 'plainfilm.ingest("FOLDER", out="a.h5")' in message(tmp_path / "a.h5")


def test_a_folder_is_no_store(tmp_path):
    assert "(a folder)" in message(tmp_path)


def altered(path: Path, folder: Path, change: Any) -> Path:
    copy = folder / "altered.h5"
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "r+") as file:
        change(file)
    return copy


def replace_dataset(name: str, data: Any) -> Any:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = data

    return change


def test_an_hdf5_file_of_another_kind_is_one_line(path, tmp_path):
    assert "another kind" in message(altered(path, tmp_path, lambda file: file.attrs.pop("format")))
    assert "another kind" in message(altered(path, tmp_path, lambda file: file.attrs.update(format="other")))


def test_a_store_of_a_newer_version_is_one_line_with_both_versions(path, tmp_path):
    said = message(altered(path, tmp_path, lambda file: file.attrs.update(version=5)))
    assert "version 4 or older" in said
    assert "has version 5. Update plainfilm" in said


@pytest.mark.parametrize("name", ["labels", "split", "patient", "source", "file", "sha256", "group", "images"])
def test_a_store_without_one_of_its_columns_is_one_line(path, tmp_path, name):
    assert "is damaged" in message(altered(path, tmp_path, lambda file: file.__delitem__(name)))


@pytest.mark.parametrize("name", ["version", "classes", "size", "fingerprint"])
def test_a_store_without_one_of_its_attributes_is_one_line(path, tmp_path, name):
    assert "is damaged" in message(altered(path, tmp_path, lambda file: file.attrs.pop(name)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (replace_dataset("labels", np.zeros(39, int)), "not of one length"),
        (replace_dataset("group", np.zeros(41, int)), "not of one length"),
        (replace_dataset("split", ["train"] * 39), "not of one length"),
        (replace_dataset("provenance/width", np.zeros(3)), "not of one length"),
        (replace_dataset("labels", np.full(40, 2)), "labels"),
        (replace_dataset("labels", np.full(40, -2)), "labels"),
        (replace_dataset("labels", np.zeros((40, 2), int)), "not of one length"),
        (replace_dataset("labels", 3), "damaged"),
        (replace_dataset("images", np.zeros((40, SIZE, SIZE))), "images are not of 32 × 32 bytes"),
        (replace_dataset("images", np.zeros((40, SIZE, 31), np.uint8)), "images are not of 32 × 32 bytes"),
        (replace_dataset("provenance", np.zeros(40)), "damaged"),
        (lambda file: file.attrs.update(size="large"), "damaged"),
        (lambda file: file.attrs.update(version="new"), "damaged"),
        (lambda file: file.attrs.update(classes=5), "damaged"),
        (lambda file: (file.__delitem__("labels"), file.create_group("labels")), "damaged"),
        (lambda file: (file.__delitem__("images"), file.create_group("images")), "damaged"),
        (lambda file: file.create_group("provenance/nested"), "damaged"),
    ],
)
def test_columns_that_do_not_fit_together_are_one_line(path, tmp_path, change, reason):
    assert reason in message(altered(path, tmp_path, change))


def test_images_that_lie_nowhere_are_noticed_at_the_opening(path, tmp_path):
    with h5py.File(path) as file:
        at = file["images"].id.get_chunk_info(5).byte_offset
    whole = path.read_bytes()
    assert whole.count(at.to_bytes(8, "little")) == 1
    (tmp_path / "s.h5").write_bytes(whole.replace(at.to_bytes(8, "little"), (at + (1 << 40)).to_bytes(8, "little")))
    assert "has a piece of /images beyond its end" in message(tmp_path / "s.h5")


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Without the rights of root, who may read and write everything."""
    if not ROOT:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, unlike `tmp_path`."""
    if not hasattr(os, "geteuid"):
        pytest.skip("needs the permissions of Unix")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_store_that_may_not_be_read_is_one_line(path, open_folder):
    store_path = open_folder / "s.h5"
    store_path.write_bytes(path.read_bytes())
    store_path.chmod(0)
    with nobody():
        assert "may not be read. Change its permissions." in message(store_path)


def test_a_store_in_a_folder_that_may_not_be_entered_is_one_line(path, open_folder):
    inner = open_folder / "inner"
    inner.mkdir()
    (inner / "s.h5").write_bytes(path.read_bytes())
    inner.chmod(0)
    try:
        with nobody():
            assert "may not be read. Change its permissions." in message(inner / "s.h5")
    finally:
        inner.chmod(0o755)


def test_a_folder_that_may_not_be_written_is_one_line(open_folder):
    open_folder.chmod(0o555)
    with (
        nobody(),
        pytest.raises(StoreError, match=r"received: Permission denied\. Free space, or choose another `out`"),
        store_writer.create(open_folder / "s.h5", size=SIZE, expected=1),
    ):
        pass
    assert names(open_folder) == []


# Damage, and what is not data


def unsealed(path: Path, folder: Path) -> Path:
    """A store as 0.1 wrote it, without checksums."""
    return as_version_1(path, folder / "unsealed.h5", sealed=False)


def read_to_its_end(path: Path) -> str:
    """The one line that opening a store and reading all its columns gives."""
    with pytest.raises(StoreError) as raised, Store(path) as opened:
        opened.verify()
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)
    return str(raised.value)


def test_every_image_with_a_changed_bit_is_noticed_as_it_is_read_and_no_other(path, tmp_path):
    with h5py.File(path) as file:
        places = [file["images"].id.get_chunk_info(row).byte_offset for row in range(40)]
    whole = path.read_bytes()
    for row in (0, 17, 39):
        data = bytearray(whole)
        data[places[row] + 25 * row] ^= 4
        (tmp_path / "s.h5").write_bytes(data)
        with Store(tmp_path / "s.h5") as opened:
            assert len(opened.images([k for k in range(40) if k != row])) == 39
            with pytest.raises(StoreError, match=rf"is damaged \(image {row} is not the one that was written\)"):
                opened.images([row])
            with pytest.raises(StoreError, match="Ingest it again"):
                opened.verify()


def test_any_other_changed_bit_changes_nothing_or_is_one_line(path, tmp_path, images, monkeypatch):
    monkeypatch.setattr(hdf5, "_asked", IN_A_PROCESS)  # some would end this one
    whole = path.read_bytes()
    with Store(path) as opened:
        expected = opened.attributes, {name: getattr(opened, name).tolist() for name in COLUMNS}
    for at in np.random.default_rng(0).integers(0, len(whole), 12).tolist():
        data = bytearray(whole)
        data[at] ^= 1 << at % 8
        (tmp_path / "s.h5").write_bytes(data)
        with contextlib.suppress(StoreError), Store(tmp_path / "s.h5") as opened:
            np.testing.assert_array_equal(opened.images(range(40)), images)
            assert (opened.attributes, {name: getattr(opened, name).tolist() for name in COLUMNS}) == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file["labels"].__setitem__(3, 1 - file["labels"][3]),
        lambda file: file["group"].__setitem__(0, 99),
        lambda file: file["split/codes"].__setitem__(0, 0),
        lambda file: file["split/categories"].__setitem__(0, "tests"),
        lambda file: file["patient/codes"].__setitem__(0, 1),
        lambda file: file["file"].__setitem__(0, "other.png"),
        lambda file: file["sha256"].__setitem__(0, file["sha256"][1]),
        lambda file: file["provenance/width"].__setitem__(0, 1e6),
        lambda file: file["provenance/view/codes"].__setitem__(1, 0),
        lambda file: file.move("provenance/view", "provenance/other"),
        lambda file: file.attrs.update(seed=4),
        lambda file: file.attrs.update(classes=["NORMAL", "COVID"]),
        lambda file: file.attrs.update(more=1),
        lambda file: file.create_dataset("provenance/more", data=np.zeros(40)),
        lambda file: file["images_sha256"].__setitem__(0, file["images_sha256"][1]),
        lambda file: file.__delitem__("images_sha256"),
        lambda file: file.attrs.pop("contents_sha256"),
    ],
)
def test_columns_attributes_and_checksums_are_those_that_were_written(path, tmp_path, change):
    assert "is damaged" in read_to_its_end(altered(path, tmp_path, change))


@pytest.mark.parametrize(
    ("name", "value"),
    [("file", "x/0.jpg"), ("split", "test"), ("provenance/view", "AP"), ("provenance/width", 1e6), ("group", 7)],
)
def test_a_store_of_0_2_is_held_against_its_one_seal_as_it_is_opened(path, tmp_path, name, value):
    old = as_version_1(path, tmp_path / "old.h5", sealed=True)
    with Store(path) as new, Store(old) as opened:
        assert opened.is_checked
        for column in COLUMNS:
            np.testing.assert_array_equal(getattr(opened, column), getattr(new, column))
        assert opened.provenance["view"].tolist() == new.provenance["view"].tolist()
        assert opened.words("source").values == new.words("source").values == ("A", "B")
        assert opened.words("patient").counts.tolist() == new.words("patient").counts.tolist() == [2] * 20
        assert opened.verify().startswith("every image, column")
    changed = altered(old, tmp_path, lambda file: file[name].__setitem__(0, value))
    assert "are not those that were written" in message(changed)


def test_a_store_of_0_1_without_checksums_opens_and_is_held_against_its_fingerprint(path, tmp_path, images):
    old = unsealed(path, tmp_path)
    with Store(old) as opened:
        assert not opened.is_checked
        np.testing.assert_array_equal(np.concatenate(list(opened.batches(7))), images)
        assert opened.verify().startswith("every image, by the fingerprint")
        at = opened._file["images"].id.get_chunk_info(20).byte_offset
    data = bytearray(old.read_bytes())
    data[at : at + 50] = bytes(50)
    old.write_bytes(data)
    with Store(old) as opened:
        assert len(opened.images([20])) == 1
        for read in (lambda: list(opened.batches(7)), opened.verify):
            with pytest.raises(StoreError, match="its images are not those that were written"):
                read()


def test_a_whole_store_says_what_it_was_held_against(path):
    with Store(path) as opened:
        assert opened.is_checked
        assert opened.verify() == "every image, column and attribute, by their SHA-256"


@pytest.mark.parametrize("name", ["labels", "file", "images", "provenance/width", "provenance"])
def test_a_store_that_takes_from_another_file_is_refused(path, tmp_path, name):
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"not to be told" * 10_000)

    def linked(file: h5py.File) -> None:
        del file[name]
        file[name] = h5py.ExternalLink(str(path), f"/{name}")

    def outside(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, (40,), np.int64, external=[(str(secret), 0, 320)])

    assert f"has a link in place of /{name}" in message(altered(path, tmp_path, linked))
    assert f"keeps /{name} in another file" in message(altered(path, tmp_path, outside))


@pytest.mark.parametrize(
    "change",
    [
        replace_dataset("labels", np.zeros(40)),
        replace_dataset("split", np.zeros(40)),
        replace_dataset("sha256", np.arange(40)),
        replace_dataset("provenance/width", np.zeros(40, complex)),
        lambda file: file.attrs.update(size=float(SIZE)),
        lambda file: file.attrs.update(fit=3),
        lambda file: file.attrs.update(classes="COVID"),
        lambda file: file.attrs.update(classes=[1, 2]),
        lambda file: file.attrs.update(problems=[1, 2]),
    ],
)
def test_columns_and_attributes_of_another_kind_are_one_line(path, tmp_path, change):
    assert "Ingest it again" in message(altered(unsealed(path, tmp_path), tmp_path, change))


def test_a_store_just_written_is_not_looked_through_again(tmp_path, images, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    target = written(tmp_path / "s.h5", images)
    monkeypatch.setattr(hdf5, "_asked", lambda *_: pytest.fail("looked through again"))
    with Store(target) as opened:
        assert len(opened) == 40


def test_a_store_that_changes_while_it_is_opened_is_one_line(path, tmp_path, monkeypatch):
    copy = tmp_path / "s.h5"
    copy.write_bytes(path.read_bytes())
    looked = hdf5.look_through(copy)
    monkeypatch.setattr(hdf5, "look_through", lambda _: looked)
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(0, 1))
    assert "changed while it was opened" in message(copy)


# The log of test openings

OPEN_OFTEN = """
import sys
from plainfilm.data.store import Store
with Store(sys.argv[1]) as opened:
    for number in range(200):
        opened.log_test_opening(f"run {number}")
"""


@pytest.fixture
def cache(monkeypatch, tmp_path) -> Path:
    monkeypatch.setattr(openings, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def copied(path, tmp_path, cache) -> Path:
    (tmp_path / "s.h5").write_bytes(path.read_bytes())
    return tmp_path / "s.h5"


def test_openings_of_the_test_part_are_counted(copied):
    with Store(copied) as opened:
        assert opened.test_openings() == 0
        assert [opened.log_test_opening("train r") for _ in range(3)] == [1, 2, 3]
    with Store(copied) as again:
        assert again.test_openings() == 3
        assert again.log_path == copied.with_name("s.h5.log")
        assert '"by": "train r"' in again.log_path.read_text()


def test_a_new_content_under_the_same_name_starts_at_none(copied):
    with Store(copied) as opened:
        opened.log_test_opening("train r")
    written(copied, noise(10, seed=9))
    with Store(copied) as other:
        assert other.test_openings() == 0
        assert other.log_test_opening("train r") == 1


def made_again(path: Path, out: Path) -> Path:
    """The films of a store in another order and under another split."""
    with Store(path) as store:
        order = np.arange(len(store))[::-1]
        columns = {name: getattr(store, name)[order] for name in COLUMNS}
        columns["split"] = np.roll(columns["split"], 1)
        with store_writer.create(out, size=store.size, expected=len(order)) as writer:
            writer.append(store.images(order))
            writer.finish(Columns(classes=store.classes, **columns), attributes={})
    return out


def test_a_store_made_anew_of_the_same_films_goes_on_counting(copied, cache):
    with Store(copied) as opened:
        opened.log_test_opening("train a")
        opened.log_test_opening("train b")
    with Store(made_again(copied, copied.with_name("again.h5"))) as again, Store(copied) as opened:
        assert again.fingerprint != opened.fingerprint
        assert again.test_openings() == 2
        assert again.log_test_opening("train c") == 3
        assert len(again.log_path.read_text().splitlines()) == 1
        assert opened.test_openings() == 3


def test_without_the_cache_the_log_counts_and_brings_it_up_to_date(copied, cache):
    with Store(copied) as opened:
        opened.log_test_opening("train a", "train b")
        shutil.rmtree(cache)
        assert opened.test_openings() == 2
        assert opened.log_test_opening("train c") == 3
    with Store(made_again(copied, copied.with_name("again.h5"))) as again:
        assert again.test_openings() == 3


def test_a_cache_that_cannot_be_written_or_read_hinders_nothing(copied, cache):
    cache.write_text("a file where the folder should be")
    with Store(copied) as opened:
        assert opened.log_test_opening("train a") == 1
    cache.unlink()
    with Store(copied) as opened:
        opened.log_test_opening("train b")
        for kept in cache.rglob("*/*"):
            kept.write_bytes(b"\xff\x00 half a li") if kept.is_file() else None
        assert opened.log_test_opening("train c") == 3  # nothing is read of them but their names


def test_each_of_several_models_counts(copied):
    with Store(copied) as opened:
        assert opened.log_test_opening("seed 0", "seed 1", "seed 2") == 3
        lines = [json.loads(line) for line in opened.log_path.read_text().splitlines()]
    assert [line["by"] for line in lines] == ["seed 0", "seed 1", "seed 2"]


def test_two_processes_may_count_at_once(copied, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(copied.parent / "cache"))
    processes = [subprocess.Popen([sys.executable, "-c", OPEN_OFTEN, str(copied)]) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    with Store(copied) as opened:
        assert opened.test_openings() == 400


def test_counting_never_writes_to_the_store(copied):
    before = copied.read_bytes()
    with Store(copied) as opened:
        opened.log_test_opening("train r")
    assert copied.read_bytes() == before


def test_a_log_that_cannot_be_written_is_one_line(copied):
    copied.with_name("s.h5.log").mkdir()
    with (
        Store(copied) as opened,
        pytest.raises(
            StoreError, match=r"^Expected to note .*s\.h5\.log; received: Is a directory\. Move the store [^\n]*$"
        ),
    ):
        opened.log_test_opening("train r")


def test_a_log_that_cannot_be_read_is_one_line(copied):
    copied.with_name("s.h5.log").mkdir()
    with (
        Store(copied) as opened,
        pytest.raises(StoreError, match=r"^Expected to count .*s\.h5\.log; received: Is a directory\."),
    ):
        opened.test_openings()


def test_strange_bytes_in_the_log_do_not_stop_the_count(copied):
    copied.with_name("s.h5.log").write_bytes(b"\xff\xfe not ours\n")
    with Store(copied) as opened:
        assert opened.log_test_opening("train r") == 1


# tf.data


@pytest.mark.slow
def test_a_tf_dataset_is_the_split_in_three_channels(path, images):
    with Store(path) as opened:
        dataset = opened.to_tf_dataset("test", batch_size=3)
        pictures, labels = dataset.element_spec
        assert (pictures.dtype.name, tuple(pictures.shape)) == ("float32", (None, SIZE, SIZE, 3))
        assert (labels.dtype.name, tuple(labels.shape)) == ("float32", (None,))
        batches = list(dataset.as_numpy_iterator())
        assert int(dataset.cardinality()) == len(batches) == 3
        rows = opened.rows("test")
        expected = np.repeat(images[rows][..., None].astype(np.float32), 3, axis=-1)
        np.testing.assert_array_equal(np.concatenate([batch[0] for batch in batches]), expected)
        np.testing.assert_array_equal(np.concatenate([batch[1] for batch in batches]), opened.labels[rows])


@pytest.mark.slow
def test_a_tf_dataset_resizes_to_the_size_asked_for(path, images):
    with Store(path) as opened:
        pictures, _ = next(iter(opened.to_tf_dataset("test", batch_size=2, input_size=16).as_numpy_iterator()))
    assert pictures.shape == (2, 16, 16, 3)
    means = images[8].reshape(16, 2, 16, 2).mean((1, 3))  # bilinear by half is the mean of four
    np.testing.assert_allclose(pictures[0, ..., 1], means, atol=1e-3)


@pytest.mark.slow
def test_a_tf_dataset_is_shuffled_anew_each_epoch_and_again_the_same_by_seed(path, images):
    order = {image.tobytes(): row for row, image in enumerate(images)}

    def epochs(seed: int, split: str = "train") -> list[list[int]]:
        with Store(path) as opened:
            dataset = opened.to_tf_dataset(split, batch_size=5, seed=seed)
            return [
                [
                    order[one[..., 0].astype(np.uint8).tobytes()]
                    for batch, _ in dataset.as_numpy_iterator()
                    for one in batch
                ]
                for _ in range(3)
            ]

    first, again, other = epochs(1), epochs(1), epochs(2)
    assert first == again
    assert first != other
    assert len({tuple(epoch) for epoch in first}) == 3
    assert all(sorted(epoch) == sorted(first[0]) for epoch in first)
    assert epochs(1, "test")[0] == epochs(2, "test")[1] == sorted(epochs(1, "test")[0])


@pytest.mark.slow
def test_a_tf_dataset_goes_straight_into_fit(tmp_path):
    import keras

    labels = np.arange(40) // 2 % 2
    pixels = np.where(labels[:, None, None] == 1, 200, 50).astype(np.uint8) + noise(40) // 16
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.layers.Rescaling(1 / 255), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1, "sigmoid")]
    )
    model.compile(keras.optimizers.Adam(0.3), "binary_crossentropy", metrics=["accuracy"])
    with Store(written(tmp_path / "s.h5", pixels)) as opened:
        model.fit(
            opened.to_tf_dataset("train", 8),
            validation_data=opened.to_tf_dataset("validation", 8),
            epochs=25,
            verbose=0,
        )
        scored = model.evaluate(opened.to_tf_dataset("test", 8), verbose=0, return_dict=True)
    assert scored["accuracy"] == 1.0


def test_images_are_read_by_a_mask_and_rows_that_cannot_be_are_refused(tmp_path):
    shutil.copy(Path(__file__).parents[1] / "written_by_0_1_0" / "store.h5", tmp_path / "s.h5")
    with Store(tmp_path / "s.h5") as store:
        mask = store.labels == 1
        np.testing.assert_array_equal(store.images(mask), store.images(np.flatnonzero(mask)))
        assert store.images([]).shape == (0, store.size, store.size)
        for rows in ("train", 0, [0.5], [[0, 1]], [True, False]):
            with pytest.raises(UsageError, match="Expected rows as a list of whole numbers, or a mask of 80"):
                store.images(rows)
        for rows in ([80], [-81]):
            with pytest.raises(UsageError, match="Expected rows from 0 to 79"):
                store.images(rows)
