import asyncio
import errno
import os

import pytest

from plainfilm.app import drops
from plainfilm.serve.http_errors import Refused


async def pieces(*given):
    for each in given:
        yield each


def drop(places, name, *given, project="mine"):
    return asyncio.run(drops.drop(places, project, name, pieces(*given)))


def refusal(places, *asked, **more):
    with pytest.raises(Refused) as refused:
        drop(places, *asked, **more)
    assert str(refused.value).count("\n") == 0
    return refused.value.status, refused.value.code


def found(places):
    return sorted(str(path.relative_to(places.work)) for path in (places.work / "mine").rglob("*") if path.is_file())


def test_what_is_dropped_lies_below_its_project_as_it_came(places):
    path = drop(places, "set/COVID/1.png", b"a" * 10, b"b" * 2_000_000, b"")
    assert path == places.work / "mine" / "dropped" / "set" / "COVID" / "1.png"
    assert path.read_bytes() == b"a" * 10 + b"b" * 2_000_000
    assert drop(places, "set/COVID/1.png", path.read_bytes()) == path, "the same once more changes nothing"
    assert found(places) == ["mine/dropped/set/COVID/1.png"]


def test_nothing_is_ever_replaced(places):
    path = drop(places, "1.png", b"first")
    assert refusal(places, "1.png", b"second") == (409, "taken")
    assert refusal(places, "1.png/2.png", b"x") == (409, "taken")
    assert path.read_bytes() == b"first"
    assert found(places) == ["mine/dropped/1.png"]


def test_no_link_leads_a_dropped_file_elsewhere(places, tmp_path):
    drop(places, "a/1.png", b"x")
    (tmp_path / "elsewhere").mkdir()
    (places.work / "mine" / "dropped" / "out").symlink_to(tmp_path / "elsewhere")
    (places.work / "mine" / "dropped" / "file.png").symlink_to(tmp_path / "elsewhere" / "new.png")
    assert refusal(places, "out/1.png", b"x") == (409, "taken")
    assert refusal(places, "file.png", b"x") == (409, "taken")
    assert [*(tmp_path / "elsewhere").iterdir()] == []
    (places.work / "linked").symlink_to(tmp_path / "elsewhere")
    assert refusal(places, "1.png", b"x", project="linked") == (403, "outside")


def test_a_full_disk_leaves_nothing_half_written(places, monkeypatch):
    real, written = os.write, []

    def fills(handle, content):
        if len(written) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(content)
        return real(handle, content)

    monkeypatch.setattr(drops.os, "write", fills)
    assert refusal(places, "1.png", b"a" * 3_000_000, b"b" * 3_000_000) == (507, "disk")
    assert found(places) == []


def test_room_for_the_work_itself_is_kept(places, monkeypatch):
    class Full:
        f_bavail, f_frsize = 1000, 4096

    monkeypatch.setattr(drops.os, "fstatvfs", lambda _: Full)
    assert refusal(places, "1.png", b"x") == (507, "disk")
    assert found(places) == []


def test_too_long_a_file_and_one_that_breaks_off_leave_nothing(places, monkeypatch):
    monkeypatch.setattr(drops, "MOST_BYTES", 1000)
    assert refusal(places, "1.png", b"a" * 600, b"b" * 600) == (413, "file-too-large")

    async def breaks():
        yield b"a"
        raise ConnectionResetError

    with pytest.raises(Refused):
        asyncio.run(drops.drop(places, "mine", "1.png", breaks()))
    assert found(places) == []
