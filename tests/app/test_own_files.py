"""What the app writes for itself: whole, for this user's eyes, and in no place that another user chose."""

import asyncio
import os
import sys

import pytest

from plainfilm.app import locks, server
from plainfilm.app.desk import Desk
from plainfilm.errors import PlainfilmError, UsageError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="of POSIX: links by anyone, owners, rights")


def test_no_link_that_somebody_laid_is_written_through(tmp_path, monkeypatch):
    theirs = tmp_path / "theirs"
    theirs.write_text("kept")
    monkeypatch.setattr(locks.secrets, "token_hex", lambda _: "guessed")
    for name in (f".a.json.{os.getpid()}.partial", ".a.json.guessed.partial", "b.json"):
        (tmp_path / name).symlink_to(theirs)
    with pytest.raises(FileExistsError):
        locks.write(tmp_path / "a.json", b"new")
    locks.write(tmp_path / "b.json", b"new")
    assert theirs.read_text() == "kept"
    assert (tmp_path / "b.json").read_bytes() == b"new"
    assert (tmp_path / "b.json").stat().st_mode & 0o077 == 0


def test_what_is_tidied_away_is_ours(places, tmp_path):
    left = places.work / "films" / "dropped" / f".{'0a' * 8}.partial"
    elsewhere = tmp_path / "elsewhere" / "dropped" / left.name
    kept = [left.with_name(".mine.partial"), elsewhere]
    for path in (left, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (places.work / "linked").symlink_to(elsewhere.parents[1])

    async def tidied():
        desk = Desk(places)
        desk.is_ending.set()
        await desk.keep()

    asyncio.run(tidied())
    assert [path.exists() for path in (left, *kept)] == [False, True, True]


def begun(root, monkeypatch):
    def stopped(*_):
        raise PlainfilmError("begun")

    monkeypatch.setattr(server, "_serve", stopped)
    server.run(server.AppSettings(root=root), started=lambda *_: None)


def test_what_is_kept_is_for_this_user_alone(tmp_path, monkeypatch):
    with pytest.raises(PlainfilmError, match="begun"):
        begun(tmp_path, monkeypatch)
    work = server.Places.of(tmp_path, None).work
    assert [path.stat().st_mode & 0o777 for path in (work, work / ".app")] == [0o700, 0o700]


def test_no_work_is_done_in_a_folder_of_another_user(tmp_path, monkeypatch):
    server.Places.of(tmp_path, None).work.mkdir()
    monkeypatch.setattr(server.os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(UsageError, match="this user's own folder"):
        begun(tmp_path, monkeypatch)
