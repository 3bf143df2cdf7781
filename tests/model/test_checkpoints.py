"""Checkpoints of a stranger: what declares more than it holds is one line."""

import io
import zipfile

import numpy as np
import pytest

from plainfilm.errors import UsageError
from plainfilm.model import checkpoints


def test_a_checkpoint_that_swells_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "c.npz", model0=np.zeros(1 << 20))
    with pytest.raises(UsageError, match="it declares more than it holds"):
        checkpoints._load(tmp_path / "c.npz")


def test_an_array_larger_than_memory_is_one_line(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 55,)})
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("model0.npy", header.getvalue())
    with pytest.raises(UsageError, match="which is damaged"):
        checkpoints._load(tmp_path / "c.npz")


def test_arrays_that_fit_are_read(tmp_path):
    np.savez(tmp_path / "c.npz", model0=np.arange(5))
    assert checkpoints._load(tmp_path / "c.npz")["model0"].tolist() == [0, 1, 2, 3, 4]
