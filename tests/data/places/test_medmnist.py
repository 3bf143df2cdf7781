import io
import threading
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from made_archives import medmnist_arrays, zipped
from plainfilm.data.places.archives import is_archive, open_archive
from plainfilm.data.places.medmnist import CLASSES
from plainfilm.errors import CatalogError


def saved(path: Path, arrays: dict[str, np.ndarray], *, stored: bool = False) -> Path:
    (np.savez if stored else np.savez_compressed)(path, **arrays)
    return path


def refused(path: Path) -> str:
    assert is_archive(path)
    with pytest.raises(CatalogError) as caught:
        open_archive(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def rows(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        f"{split}/{row:06d}.npy": image
        for split in ("train", "val", "test")
        for row, image in enumerate(arrays[f"{split}_images"])
    }


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("channels", [0, 3])
def test_rows_are_npy_files(tmp_path, channels, stored):
    arrays = medmnist_arrays(channels=channels)
    expected = rows(arrays)
    with open_archive(saved(tmp_path / "bloodmnist.npz", arrays, stored=stored)) as archive:
        assert archive.in_order
        assert archive.names == tuple(expected)
        assert archive.problems == []
        for name, image in expected.items():
            assert archive.head(name, 6) == b"\x93NUMPY"
            data = archive.read(name)
            assert len(data) == archive.size(name)
            np.testing.assert_array_equal(np.load(io.BytesIO(data), allow_pickle=False), image)


def test_classes_and_splits_are_known(tmp_path):
    arrays = medmnist_arrays()
    given = {name: int(label[0]) for name, label in zip(rows(arrays), labels(arrays), strict=True)}
    with open_archive(saved(tmp_path / "PneumoniaMNIST_64.npz", arrays)) as archive:
        assert archive.labels == {name: ("normal", "pneumonia")[n] for name, n in given.items()}
        assert set(archive.splits) == set(archive.names)
        assert archive.splits["train/000000.npy"] == "train"
        assert archive.splits["val/000000.npy"] == "validation"
        assert archive.splits["test/000000.npy"] == "test"
        assert archive.findings == {}
    with open_archive(saved(tmp_path / "other.npz", arrays)) as archive:
        assert archive.labels == {name: str(n) for name, n in given.items()}


def labels(arrays: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([arrays[f"{split}_labels"] for split in ("train", "val", "test")])


def test_findings_are_named_where_there_are_several(tmp_path):
    arrays = medmnist_arrays(findings=14)
    with open_archive(saved(tmp_path / "chestmnist.npz", arrays)) as archive:
        assert archive.labels == {}
        assert [list(archive.findings[name].values()) for name in archive.names] == labels(arrays).tolist()
        assert tuple(archive.findings["val/000001.npy"]) == CLASSES["chestmnist"]
    with open_archive(saved(tmp_path / "other.npz", arrays)) as archive:
        assert list(archive.findings["val/000001.npy"]) == [str(n) for n in range(14)]


def test_labels_may_be_in_fortran_order(tmp_path):
    arrays = medmnist_arrays(findings=3)
    expected = labels(arrays).tolist()
    path = saved(tmp_path / "a.npz", {name: np.asfortranarray(a) if a.ndim == 2 else a for name, a in arrays.items()})
    with open_archive(path) as archive:
        assert [list(archive.findings[name].values()) for name in archive.names] == expected


def test_threads_read_rows_and_any_order_gives_them(tmp_path):
    arrays = medmnist_arrays(rows=60)
    expected = rows(arrays)
    read: dict[str, bytes] = {}
    with open_archive(saved(tmp_path / "a.npz", arrays)) as archive:
        chunks = [archive.names[start : start + 8] for start in range(0, len(archive.names), 8)]

        def work() -> None:
            while chunks:
                read.update({name: archive.read(name) for name in chunks.pop(0)})

        threads = [threading.Thread(target=work) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        backwards = {name: archive.read(name) for name in reversed(archive.names)}
    assert read == backwards
    assert all((np.load(io.BytesIO(read[name])) == image).all() for name, image in expected.items())


def test_no_array_is_in_memory_as_a_whole(tmp_path):
    arrays = medmnist_arrays(rows=2000, side=128)
    path = saved(tmp_path / "a.npz", arrays, stored=True)
    del arrays
    tracemalloc.start()
    with open_archive(path) as archive:
        for name in archive.names[:2500]:
            archive.read(name)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10_000_000 < 2000 * 128 * 128


def test_other_arrays_are_refused_with_their_names(tmp_path):
    said = refused(saved(tmp_path / "a.npz", {"x": np.zeros(3), "y": np.zeros(3)}))
    assert "train_images, train_labels, val_images, val_labels, test_images, test_labels" in said
    assert "with x, y." in said


@pytest.mark.parametrize(
    ("key", "array", "received"),
    [
        ("val_images", np.zeros((6, 32, 32), np.float32), "float32 (6, 32, 32) as val_images.npy"),
        ("val_images", np.zeros((6, 8, 8, 8), np.uint8), "uint8 (6, 8, 8, 8)"),
        ("train_images", np.asfortranarray(np.ones((5, 32, 32), np.uint8)), "in Fortran order"),
        ("test_images", np.array([None] * 7), "object (7,)"),
        ("test_labels", np.array([[None]] * 7), "object (7, 1)"),
        ("test_labels", np.zeros((6, 1), np.uint8), "uint8 (6, 1)"),
        ("val_labels", np.zeros((6, 2), np.uint8), "Expected labels of the same number of columns in all splits"),
        ("val_labels", np.array([["a"]] * 6), "<U1 (6, 1)"),
    ],
)
def test_arrays_of_other_shapes_and_types_are_refused(tmp_path, key, array, received):
    assert received in refused(saved(tmp_path / "a.npz", medmnist_arrays() | {key: array}))


def npy(header: bytes, data: bytes = b"", version: bytes = b"\1\0") -> bytes:
    length = len(header).to_bytes(2 if version == b"\1\0" else 4, "little")
    return b"\x93NUMPY" + version + length + header + data


@pytest.mark.parametrize(
    "member",
    [
        b"no array",
        npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (5, 32, 32), }\n", bytes(10)),
        npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000, 3200, 3200), }\n"),
        npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (-5, 32, 32), }\n", bytes(5 * 1024)),
        npy(b"(" * 9000),
        b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(90_000),
        b"\x93NUMPY\7\0\x10\0" + bytes(16),
    ],
)
def test_damaged_headers_of_arrays_are_refused(tmp_path, member):
    members = {}
    with zipfile.ZipFile(saved(tmp_path / "a.npz", medmnist_arrays())) as file:
        members = {name: file.read(name) for name in file.namelist()}
    assert "is damaged" in refused(zipped(tmp_path / "b.npz", members | {"train_images.npy": member}))
