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


def archive_of(path, **files):
    """Write an archive of data.pkl and storages."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"net/{name.replace('data_', 'data/')}".replace("net/pickle", "net/data.pkl"), content)
    return path


def shared(depth):
    """Nest modules, each twice in the one around it."""
    module = {"_modules": {}, "_parameters": {}}
    for _ in range(depth):
        module = {"_modules": {"a": module, "b": module}, "_parameters": {}}
    return pickle.dumps(module, protocol=2)


@pytest.mark.parametrize(
    ("pickled", "told"),
    [
        (shared(40), "more parts than a network has"),
        (pickle.dumps({"_modules": {"a" * 1001: {}}, "_parameters": {}}, protocol=2), "a tensor has no name"),
        (b"\x80\x02K\x01r" + struct.pack("<I", 2**31 - 1) + b".", "gaps"),
        (b"\x80\x02K\x01p999999999\n.", "gaps"),
        (b"\x80\x02}()" + b"2\x86" * 60 + b"K\x01u.", "tuples hold too much"),
        (b"\x80\x02}()" + b"q\0h\0\x86" * 60 + b"K\x01u.", "tuples hold too much"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**63) + b".", "cannot be read"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_a_small_pickle_takes_neither_time_nor_memory(pickled, told, tmp_path):
    with pytest.raises(WeightsError, match=told):
        torch_checkpoint.read_tensors(archive_of(tmp_path / "net.pt", pickle=pickled), modules=True)


def mark(content, offset, value):
    """Change a field of an archive's one entry, in its own head and in the directory."""
    content = bytearray(content)
    at = content.find(b"PK\x01\x02")
    content[offset], content[at + offset + 2] = value, value
    return bytes(content)


@pytest.mark.parametrize(("offset", "value"), [(6, 1), (8, 97)], ids=["encrypted", "compression"])
def test_an_archive_that_cannot_be_opened_is_refused(offset, value, tmp_path):
    path = archive_of(tmp_path / "net.pt", pickle=pickle.dumps({}))
    path.write_bytes(mark(path.read_bytes(), offset, value))
    with pytest.raises(WeightsError, match="it is encrypted, or compressed"):
        torch_checkpoint.read_tensors(path)


def test_an_archive_without_tensors_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="it has no data.pkl"):
        torch_checkpoint.read_tensors(archive_of(tmp_path / "net.pt", notes="x"))


def stored(names, kind=b"FloatStorage"):
    """Pickle a state dict whose tensors, four numbers each, lie in one storage."""
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n%b\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQK\0K\x04\x85K\x01\x85tR"
        % kind
    )
    return (
        b"\x80\x02}(" + b"".join(pickle.dumps(name, protocol=2)[2:-1].split(b"q")[0] + tensor for name in names) + b"u."
    )


def test_bfloat16_is_read_as_float32(tmp_path):
    values = np.array([1, -2.5, 0, 3e30], np.float32)
    halves = (values.view(np.uint32) >> 16).astype("<u2")
    path = archive_of(tmp_path / "net.pt", pickle=stored(["a"], b"BFloat16Storage"), data_0=halves.tobytes())
    found = torch_checkpoint.read_tensors(path)["a"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, values, rtol=2**-8)


def test_a_tensor_without_a_name_is_refused(tmp_path):
    path = archive_of(tmp_path / "net.pt", pickle=stored([1]), data_0=bytes(16))
    with pytest.raises(WeightsError, match="a tensor has no name"):
        torch_checkpoint.read_tensors(path)


def test_tensors_that_share_numbers_are_not_many_times_the_file(monkeypatch, tmp_path):
    path = archive_of(tmp_path / "net.pt", pickle=stored(["a", "b"]), data_0=bytes(16))
    assert set(torch_checkpoint.read_tensors(path)) == {"a", "b"}
    monkeypatch.setattr(torch_checkpoint, "_MOST_SHARING", 16 / path.stat().st_size)
    with pytest.raises(WeightsError, match="many times larger than the file"):
        torch_checkpoint.read_tensors(path)
