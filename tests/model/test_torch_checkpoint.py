import pickle
import struct
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
