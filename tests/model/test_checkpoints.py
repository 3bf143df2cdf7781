"""Checkpoints: what was kept comes back, and what is broken is one line."""

import io
import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from plainfilm.errors import UsageError
from plainfilm.model import checkpoints
from pythons_words import PYTHONS_WORDS


class Variable:
    """A variable as Keras has them, without Keras."""

    def __init__(self, value):
        self.value = np.array(value, np.float32)

    def __array__(self, dtype=None, copy=None):
        return self.value

    def assign(self, value):
        if np.shape(value) != self.value.shape:
            raise ValueError(f"The shape of the target variable {self.value.shape} and {np.shape(value)} must match.")
        self.value = np.array(value)


def trained(*weights):
    """A model and its course after two epochs."""
    model = SimpleNamespace(
        variables=[Variable(each) for each in weights],
        optimizer=SimpleNamespace(variables=[Variable(0.5)]),
        get_weights=lambda: [each.value for each in model.variables],
    )
    rows = [{"epoch": 1, "loss": 0.7}, {"epoch": 2, "loss": 0.6}]
    return model, SimpleNamespace(history=rows, best_loss=0.6, best_epoch=2, best_weights=model.get_weights())


@pytest.fixture
def kept(tmp_path):
    path = tmp_path / "epoch.npz"
    checkpoints.write(path, *trained([1, 2], [3]), digest="d")
    return path


def fresh():
    model, _ = trained([0, 0], [0])
    return model, SimpleNamespace(history=[], best_loss=np.inf, best_epoch=0, best_weights=None)


def test_what_was_kept_comes_back(kept):
    model, course = fresh()
    checkpoints.read(kept, model, course, digest="d")
    assert [each.value.tolist() for each in model.variables] == [[1, 2], [3]]
    assert course.history == [{"epoch": 1, "loss": 0.7}, {"epoch": 2, "loss": 0.6}]
    assert (course.best_loss, course.best_epoch) == (0.6, 2)


def arrays(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def about(path, **changed):
    return {"about": np.array(json.dumps(json.loads(str(arrays(path)["about"])) | changed))}


@pytest.mark.parametrize(
    "broken",
    [
        lambda path: path.read_bytes()[:200],
        b"",
        b"PK\x03\x04" + bytes(50),
        lambda path: path.read_bytes().replace(b"numpy", b"nu\x00py").replace(b"descr", b"de\xffcr"),
        {"model0": None},
        {"model0": np.zeros(7)},
        {"optimizer0": None},
        {"about": np.array("{")},
        {"about": np.array("[" * 100_000)},
        {"about": np.array("null")},
        lambda path: about(path, history=None),
        lambda path: about(path, history=[[1]]),
        lambda path: about(path, history=[{"loss": "x"}]),
        lambda path: about(path, best=["x", 1]),
        lambda path: about(path, best=[]),
    ],
)
def test_a_broken_checkpoint_is_one_line(kept, broken):
    made = broken(kept) if callable(broken) else broken
    if isinstance(made, dict):
        changed = {name: value for name, value in (arrays(kept) | made).items() if value is not None}
        stream = io.BytesIO()
        np.savez(stream, **changed)
        made = stream.getvalue()
    kept.write_bytes(made)
    with pytest.raises(UsageError, match="Expected a checkpoint; received .* which is damaged") as caught:
        checkpoints.read(kept, *fresh(), digest="d")
    assert "Leave out resume=True" in str(caught.value)
    assert not PYTHONS_WORDS.search(str(caught.value))
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_training_is_named_so(kept):
    with pytest.raises(UsageError, match="of another recipe, other data"):
        checkpoints.read(kept, *fresh(), digest="other")


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
