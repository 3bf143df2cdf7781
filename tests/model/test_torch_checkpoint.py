import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from plainfilm.errors import WeightsError
from plainfilm.model import torch_checkpoint, weights
from plainfilm.model.backbones import BACKBONES

MAGIC = 0x1950A86A20F9469CFC6C


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("echo harmed",)


def test_the_wheels_file_is_read_as_tensors():
    tensors = torch_checkpoint.read_tensors(weights.locate(BACKBONES["efficientnet_lite0"]).path)
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert tensors["_fc.weight"].dtype == np.float32
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())


def old_stream(payload, keys=()):
    parts = [pickle.dumps(part, protocol=2) for part in (MAGIC, 1001, {"little_endian": True})]
    return b"".join(parts) + pickle.dumps(payload, protocol=2) + pickle.dumps(list(keys), protocol=2)


@pytest.mark.parametrize("form", ["stream", "zip"])
def test_a_file_that_asks_for_anything_but_tensors_is_refused_before_it_runs(form, tmp_path, capfd):
    path = tmp_path / "evil.pth"
    if form == "stream":
        path.write_bytes(old_stream(OrderedDict(a=Evil())))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(OrderedDict(a=Evil()), protocol=2))
    with pytest.raises(WeightsError, match="which is not a tensor"):
        torch_checkpoint.read_tensors(path)
    assert "harmed" not in capfd.readouterr().out


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint", b"\x80\x02K\x01.", old_stream({})[:40], struct.pack("<q", -1) * 9]
)
def test_what_is_no_checkpoint_gives_one_clear_line(content, tmp_path):
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="Expected a PyTorch state dict"):
        torch_checkpoint.read_tensors(path)


def test_a_truncated_checkpoint_is_refused(tmp_path):
    whole = weights.locate(BACKBONES["efficientnet_lite0"]).path.read_bytes()
    path = tmp_path / "cut.pth"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="Expected a PyTorch state dict"):
        torch_checkpoint.read_tensors(path)


def test_a_missing_file_is_said_so(tmp_path):
    with pytest.raises(WeightsError, match="none.pth"):
        torch_checkpoint.read_tensors(tmp_path / "none.pth")


class _Network:
    """A network as PyTorch pickles one whole: its state is a dictionary, its class anybody's."""

    def __init__(self, **state):
        self.__dict__.update(state)


def saved_whole(path, harm=None):
    """Write a network of two layers, whose tensors are rebuilt as torch.save writes them."""
    values = np.arange(6, dtype=np.float32)
    inner = _Network(_parameters=OrderedDict(weight=_Storage2((2, 3))), _buffers=OrderedDict(), _modules=OrderedDict())
    net = _Network(
        _parameters=OrderedDict(bias=None), _buffers={}, _modules=OrderedDict(layer=inner), other=harm, names={"a"}
    )
    with zipfile.ZipFile(path, "w") as archive:
        buffer = io.BytesIO()
        _Pickler(buffer, protocol=2).dump(net)
        archive.writestr("net/data.pkl", buffer.getvalue().replace(b"test_torch_checkpoint", b"torch_of_nobody_else_"))
        archive.writestr("net/data/0", values.tobytes())
    return values.reshape(2, 3)


class _Storage2:
    def __init__(self, shape):
        self.shape = shape


class _Pickler(pickle.Pickler):
    def persistent_id(self, what):
        return what[1:] if isinstance(what, tuple) and what and what[0] == "is stored" else None

    def reducer_override(self, what):
        if isinstance(what, _Storage2):
            return _rebuild_tensor_v2, (
                ("is stored", "storage", _Float, "0", "cpu", 6),
                0,
                what.shape,
                (3, 1),
                False,
                OrderedDict(),
            )
        return NotImplemented


def _rebuild_tensor_v2(*_arguments):
    raise AssertionError("the reader has its own")


class _Float:
    pass


_rebuild_tensor_v2.__module__, _Float.__module__ = "torch._utils", "torch"
_Float.__qualname__ = _Float.__name__ = "FloatStorage"


@pytest.fixture
def as_torch(monkeypatch):
    """Names that pickle looks for in PyTorch while it writes."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage, utils._rebuild_tensor_v2 = _Float, _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def test_a_whole_network_is_read_by_its_tensors_alone(as_torch, tmp_path, capfd):
    wanted = saved_whole(tmp_path / "whole.pt", harm=Evil())
    found = torch_checkpoint.read_tensors(tmp_path / "whole.pt", modules=True)
    assert list(found) == ["layer.weight"]
    np.testing.assert_array_equal(found["layer.weight"], wanted)
    assert "harmed" not in capfd.readouterr().out
    with pytest.raises(WeightsError, match="which is not a tensor"):
        torch_checkpoint.read_tensors(tmp_path / "whole.pt")


class _OldPickler(_Pickler):
    """As torch.save wrote a network before it wrote archives: beside a class stands its source, the first time."""

    told = False

    def persistent_id(self, what):
        if what is _Network and not self.told:
            self.told = True
            return "module", what, "net.py", "class Net"
        return what[1:] if isinstance(what, tuple) and what and what[0] == "is stored" else None


def test_a_whole_network_of_the_old_stream_is_read_too(as_torch, tmp_path):
    values, buffer = np.arange(6, dtype=np.float32), io.BytesIO()
    _OldPickler(buffer, protocol=2).dump(
        _Network(_parameters=OrderedDict(weight=_Storage2((2, 3))), _buffers={}, _modules={})
    )
    head = old_stream(None).split(pickle.dumps(None, protocol=2))[0]
    stored = pickle.dumps(["0"], protocol=2) + (6).to_bytes(8, "little") + values.tobytes()
    (tmp_path / "old.pt").write_bytes(head + buffer.getvalue() + stored)
    found = torch_checkpoint.read_tensors(tmp_path / "old.pt", modules=True)
    np.testing.assert_array_equal(found["weight"], values.reshape(2, 3))
    with pytest.raises(WeightsError, match="PyTorch state dict"):
        torch_checkpoint.read_tensors(tmp_path / "old.pt")


def test_a_tensor_of_more_numbers_than_its_storage_is_refused(as_torch, tmp_path):
    saved_whole(tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w") as archive:
        members["net/data.pkl"] = (
            members["net/data.pkl"]
            .replace(b"K\x02K\x03\x86", b"J\x00\x00\x00\x40K\x03\x86")
            .replace(b"K\x03K\x01\x86", b"K\x00K\x00\x86")
        )
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(WeightsError, match="more numbers than its storage has"):
        torch_checkpoint.read_tensors(tmp_path / "bomb.pt", modules=True)


def test_a_checkpoint_that_unpacks_to_more_than_it_is_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", pickle.dumps(OrderedDict(), protocol=2))
        archive.writestr("net/data/0", bytes(1 << 20))
    with pytest.raises(WeightsError, match="unpack to more than it is"):
        torch_checkpoint.read_tensors(tmp_path / "packed.pt")
