"""What is set aside: kept with its reason, due again ever more rarely, also over restarts, for whoever looks and touches."""

import os
import time

import pytest

from plainfilm.serve.dicom import set_aside
from plainfilm.serve.dicom.set_aside import LONGEST_S, SetAside, interval_s

NAME = f"{'a' * 64}-1-report"


@pytest.fixture
def spool(tmp_path):
    for name in ("failed", "again", "outbox"):
        (tmp_path / name).mkdir()
    return tmp_path


def put(own, spool, name=NAME, **options):
    path = spool / "outbox" / "file"
    path.write_bytes(b"report")
    own.put(name, path, "status C123", **options)


def left(spool, name=NAME):
    return (spool / "again" / name).stat().st_mtime - time.time()


def test_a_thing_is_due_when_its_time_has_come_and_is_gone_once_taken(spool):
    own = SetAside(spool)
    put(own, spool, to="PACS")
    assert own.due("PACS") is None
    os.utime(spool / "again" / NAME)  # as `touch` does
    assert own.due("OTHER") is None
    aside = own.due("PACS")
    assert (aside.key, aside.kind, aside.file.read_bytes()) == ("a" * 64, "1-report", b"report")
    assert (spool / "failed" / f"{NAME}.txt").read_text() == "status C123\n"
    own.forget(aside.name)
    assert [path for path in spool.rglob("*") if path.is_file()] == []
    assert own.due("PACS") is None


def test_intervals_grow_are_spread_and_end_at_an_hour(spool):
    own = SetAside(spool, first_s=10)
    put(own, spool, to="PACS")
    waits = [left(spool)]
    for _ in range(12):
        os.utime(spool / "again" / NAME)
        own.put_off(own.due("PACS"), "again")
        waits.append(left(spool))
    for number, wait in enumerate(waits):
        middle = min(10 * 2**number, LONGEST_S)
        assert 0.75 * middle - 5 < wait < 1.25 * middle + 1
    assert len({interval_s(3) for _ in range(9)}) > 1


def test_tries_go_on_counting_after_a_restart(spool):
    own = SetAside(spool, first_s=100)
    put(own, spool, to="PACS")
    again = SetAside(spool, first_s=100)
    os.utime(spool / "again" / NAME)
    again.put_off(again.due("PACS"), "still")
    assert left(spool) > 1.25 * 100
    assert again.addressees() == {"PACS"}


def test_a_clock_that_was_put_back_by_years_makes_nothing_wait_for_years(spool, monkeypatch):
    own = SetAside(spool)
    put(own, spool, to="PACS")
    now = time.time()
    monkeypatch.setattr(set_aside.time, "time", lambda: now - 1e8)
    assert own.due("PACS") is not None


@pytest.mark.parametrize("content", [b"", b"{", b'{"to": 3}', b"[" * 3000, b"\xff", b'{"to": "PACS", "tries": "x"}'])
def test_a_garbled_note_stops_nothing(spool, content):
    own = SetAside(spool)
    put(own, spool, to="PACS")
    put(own, spool, name=f"{'b' * 64}-1-report", to="PACS")
    (spool / "again" / NAME).write_bytes(content)
    os.utime(spool / "again" / f"{'b' * 64}-1-report")
    assert own.due("PACS").key == "b" * 64
    assert len(own.sizes()) == 2


def test_a_note_whose_thing_was_dropped_is_dropped_too(spool):
    own = SetAside(spool)
    put(own, spool, to="PACS")
    (spool / "failed" / f"{NAME}.dcm").unlink()
    os.utime(spool / "again" / NAME)
    assert own.due("PACS") is None
    SetAside(spool)
    assert not (spool / "again" / NAME).exists()


def test_folders_that_somebody_erased_are_made_again(spool):
    own = SetAside(spool)
    for name in ("failed", "again"):
        (spool / name).rmdir()
    assert own.sizes() == []
    assert own.due("PACS") is None
    put(own, spool, to="PACS")
    assert own.sizes() == [6]


def test_odd_things_get_names_of_their_own_and_are_not_followed(spool):
    own = SetAside(spool)
    for _ in range(2):
        (spool / "link").symlink_to("/nowhere")
        own.put_odd("c" * 64, spool / "link", "a link")
    assert sorted(path.name[64:] for path in (spool / "failed").iterdir()) == [
        "-odd",
        "-odd-1",
        "-odd-1.txt",
        "-odd.txt",
    ]
    assert len(own.sizes()) == 2
    assert own.due("") is None
