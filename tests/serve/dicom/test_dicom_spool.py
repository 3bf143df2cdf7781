"""The spool: nothing lost, nothing answered twice, whenever the node is killed; and its bounds."""

import contextlib
import errno
import os
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from made_dicom import MODEL, files_below
from plainfilm.errors import PlainfilmError
from plainfilm.serve.dicom import disk, journal, set_aside, spool, spool_room
from plainfilm.serve.dicom.journal import Journal
from plainfilm.serve.dicom.spool import Spool, SpoolFullError, SpoolLimits
from waiting import WAIT_S, until

UIDS = ("1.2.3", "1.2.4", "1.2.5")
ANSWERS = {"1-report": b"report", "2-capture": b"capture"}


@pytest.fixture
def opened(tmp_path):
    made = []

    def open_(**options):
        made.append(Spool(tmp_path / "spool", model=MODEL, **options))
        return made[-1]

    yield open_
    for each in made:
        each.close()


def test_an_instance_goes_its_way_and_leaves_a_hash(opened, tmp_path):
    own = opened()
    assert own.store("1.2.3", [b"head", b"body"])
    key, file = own.next(0)
    assert file.read_bytes() == b"headbody"
    own.answer(key, ANSWERS, to="PACS")
    (parcel,) = own.parcels("PACS", at_most=9, timeout_s=0)
    assert [each.read_bytes() for each in parcel.files] == [b"report", b"capture"]
    for each in parcel.files:
        own.delivered(key, each)
    assert files_below(tmp_path / "spool") == ["journal", "lock"]
    assert (tmp_path / "spool" / "journal").read_text() == f"{key}\n"
    assert not own.store("1.2.3", [b"again"])


def test_instances_wait_in_the_order_of_their_coming_also_after_a_restart(opened):
    own = opened()
    for uid in UIDS:
        own.store(uid, [uid.encode()])
    own.close()
    again = opened()
    for uid in UIDS:
        key, file = again.next(0)
        assert file.read_text() == uid
        again.answer(key, ANSWERS, to="PACS")
    assert again.next(0) is None
    assert [each.key for each in again.parcels("PACS", at_most=9, timeout_s=0)] == [again.key(uid) for uid in UIDS]


def test_another_model_judges_an_instance_anew(opened, tmp_path):
    own = opened()
    own.store("1.2.3", [b"x"])
    own.close()
    other = Spool(tmp_path / "spool", model="another")
    assert not other.holds("1.2.3")
    other.close()


def test_bounds_on_instances_and_bytes_count_what_failed_too(opened, tmp_path):
    own = opened(limits=SpoolLimits(instances=2, held_bytes=100, free_bytes=0))
    with pytest.raises(SpoolFullError, match="Expected room for 101 bytes"):
        own.store("1.2.3", [bytes(101)])
    own.store("1.2.3", [bytes(10)])
    own.give_up(own.next(0)[0], "no study")
    own.store("1.2.4", [bytes(10)])
    with pytest.raises(SpoolFullError):
        own.store("1.2.5", [bytes(10)])
    for file in (tmp_path / "spool" / "failed").iterdir():
        file.unlink()  # as somebody does who has looked at it
    assert own.store("1.2.5", [bytes(10)])


def test_what_just_fits_is_taken(opened, monkeypatch):
    left = SimpleNamespace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: left)
    own = opened(limits=SpoolLimits(instances=3, held_bytes=100, free_bytes=900))
    assert own.store("1.2.3", [bytes(60), bytes(40)])
    own.answer(own.next(0)[0], {"1-report": bytes(50)}, to="PACS")
    assert own.store("1.2.4", [bytes(50)])
    with pytest.raises(SpoolFullError):
        own.store("1.2.5", [bytes(1)])
    assert own.store("1.2.5", [])
    with pytest.raises(SpoolFullError):
        own.store("1.2.6", [])
    left.free = 899
    with pytest.raises(SpoolFullError, match="and 899 bytes free"):
        own.store("1.2.7", [bytes(1)])


def test_no_room_is_told_to_the_byte_of_the_disk(opened, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    own = opened(limits=SpoolLimits(free_bytes=900))
    with pytest.raises(SpoolFullError):
        own.store("1.2.3", [bytes(101)])
    assert own.store("1.2.3", [bytes(100)])


def test_what_was_done_is_passed_over_and_the_rest_goes_on(opened, tmp_path):
    """As if the node had been killed before it had erased the first of each."""
    own, folder = opened(), tmp_path / "spool"
    for uid in UIDS:
        own.store(uid, [uid.encode()])
    first, second, third = map(own.key, UIDS)
    own.answer(first, ANSWERS, to="PACS")
    own.answer(second, ANSWERS, to="PACS")
    for name in ANSWERS:
        (folder / "outbox" / first / f"{name}.dcm").unlink()
    (folder / "received" / f"{second}.dcm").write_bytes(b"judged already")
    for number, path in enumerate(
        [
            folder / "outbox" / first,
            folder / "outbox" / second,
            *(folder / "received" / f"{key}.dcm" for key in (second, third)),
        ]
    ):
        os.utime(path, (number, number))
    own.close()
    again = opened()
    assert [parcel.key for parcel in again.parcels("PACS", at_most=9, timeout_s=0)] == [second]
    assert again.next(0) == (third, folder / "received" / f"{third}.dcm")
    assert again.counts() == {"received": 0, "waiting": 1, "undelivered": 1, "failed": 0}
    assert files_below(folder) == sorted(
        [
            "journal",
            "lock",
            f"received/{third}.dcm",
            f"outbox/{second}/to",
            *(f"outbox/{second}/{name}.dcm" for name in ANSWERS),
        ]
    )


def test_a_failure_noted_before_a_kill_is_noted_again(opened, tmp_path):
    own = opened()
    own.store("1.2.3", [b"x"])
    (tmp_path / "spool" / "failed" / f"{own.key('1.2.3')}-instance.txt").write_text(
        "a longer reason that was half written"
    )
    own.give_up(own.next(0)[0], "no study")
    assert (tmp_path / "spool" / "failed" / f"{own.key('1.2.3')}-instance.txt").read_text() == "no study\n"
    assert own.counts() == {"received": 1, "waiting": 0, "undelivered": 0, "failed": 1}


def test_an_answer_refused_for_good_is_kept_and_the_other_still_goes(opened, tmp_path):
    own = opened()
    own.store("1.2.3", [b"x"])
    key, _ = own.next(0)
    own.answer(key, ANSWERS, to="PACS")
    (parcel,) = own.parcels("PACS", at_most=9, timeout_s=0)
    own.refused(key, parcel.files[0], "status C123")
    assert own.counts() == {"received": 1, "waiting": 0, "undelivered": 1, "failed": 1}
    (parcel,) = own.parcels("PACS", at_most=9, timeout_s=0)
    assert [file.stem for file in parcel.files] == ["2-capture"]
    own.refused(key, parcel.files[0], "status C124")
    assert own.counts() == {"received": 1, "waiting": 0, "undelivered": 0, "failed": 2}
    assert (tmp_path / "spool" / "failed" / f"{key}-1-report.txt").read_text() == "status C123\n"
    assert (tmp_path / "spool" / "failed" / f"{key}-1-report.dcm").read_bytes() == b"report"
    assert not own.store("1.2.3", [b"x"])


def test_parcels_are_for_one_peer_the_oldest_first_and_no_more_than_asked_for(opened):
    own = opened()
    for uid, to in zip(UIDS, ("A", "B", "A"), strict=True):
        own.store(uid, [b"x"])
        own.answer(own.next(0)[0], ANSWERS, to=to)
    first, second, third = map(own.key, UIDS)
    asked = [("A", 9), ("A", 1), ("B", 9), ("C", 9)]
    found = [[each.key for each in own.parcels(to, at_most=most, timeout_s=0)] for to, most in asked]
    assert found == [[first, third], [first], [second], []]
    assert own.addressees() == {"A", "B"}


def test_who_waits_is_woken(opened):
    own, found = opened(), []
    waiting = [
        threading.Thread(target=lambda: found.append(own.next(WAIT_S))),
        threading.Thread(target=lambda: found.append(own.parcels("PACS", at_most=9, timeout_s=WAIT_S))),
    ]
    for each in waiting:
        each.start()
    own.wake()
    for each in waiting:
        each.join()
    assert sorted(map(bool, found)) == [False, False]
    assert own.next(WAIT_S) is None


def test_who_waits_gets_what_comes(opened):
    own, found = opened(), []
    waiting = threading.Thread(target=lambda: found.append(own.next(WAIT_S)))
    waiting.start()
    own.store("1.2.3", [b"x"])
    waiting.join()
    assert found[0][0] == own.key("1.2.3")
    waiting = threading.Thread(target=lambda: found.append(own.parcels("PACS", at_most=9, timeout_s=WAIT_S)))
    waiting.start()
    own.answer(own.key("1.2.3"), ANSWERS, to="PACS")
    waiting.join()
    assert [each.key for each in found[1]] == [own.key("1.2.3")]


def test_a_failure_keeps_its_reason_and_is_not_judged_again(opened, tmp_path):
    own = opened()
    own.store("1.2.3", [b"x"])
    key, _ = own.next(0)
    own.give_up(key, "no study")
    own.close()
    again = opened()
    assert again.next(0) is None
    assert again.counts()["failed"] == 1
    assert not again.store("1.2.3", [b"x"])
    assert (tmp_path / "spool" / "failed" / f"{key}-instance.txt").read_text() == "no study\n"


def test_begun_counts_processes_not_tries(opened):
    own = opened()
    assert [own.begun("a" * 64), own.begun("a" * 64)] == [1, 1]
    own.close()
    again = opened()
    assert again.begun("a" * 64) == 2
    assert again.begun("b" * 64) == 1


K = "a" * 64


def _entry(folder, **files):
    """An entry of the outbox; a file of None is a folder."""
    (folder / "outbox" / K).mkdir()
    for name, data in files.items():
        path = folder / "outbox" / K / name.replace("_", ".")
        path.mkdir() if data is None else path.write_bytes(data)


BROKEN = {
    "text in received": lambda at: (at / "received" / "readme.txt").write_text("mine"),
    "text in outbox": lambda at: (at / "outbox" / "readme.txt").write_text("mine"),
    "folder in received": lambda at: (at / "received" / f"{K}.dcm").mkdir(),
    "dangling link in received": lambda at: (at / "received" / f"{K}.dcm").symlink_to("/nowhere"),
    "link in received": lambda at: (at / "received" / f"{K}.dcm").symlink_to(at / "lock"),
    "link to itself in received": lambda at: (at / "received" / f"{K}.dcm").symlink_to(f"{K}.dcm"),
    "pipe in received": lambda at: os.mkfifo(at / "received" / f"{K}.dcm"),
    "other suffix in received": lambda at: (at / "received" / f"{K}.tmp").write_bytes(b"x"),
    "no UTF-8 in received": lambda at: (at / "received" / os.fsdecode(b"Muster^\xff.dcm")).touch(),
    "newline in received": lambda at: (at / "received" / "a\nb").touch(),
    "file in outbox": lambda at: (at / "outbox" / K).write_bytes(b"x"),
    "link in outbox": lambda at: (at / "outbox" / K).symlink_to("/etc"),
    "empty entry": _entry,
    "entry for nobody": lambda at: _entry(at, r_dcm=b"x"),
    "entry for an empty name": lambda at: _entry(at, r_dcm=b"x", to=b""),
    "entry for no text": lambda at: _entry(at, r_dcm=b"x", to=b"\xff\xfe"),
    "entry for a long text": lambda at: _entry(at, r_dcm=b"x", to=bytes(5000)),
    "entry for a folder": lambda at: _entry(at, r_dcm=b"x", to=None),
    "report that is a folder": lambda at: _entry(at, r_dcm=None, to=b"PACS"),
    "entry of another version": lambda at: _entry(at, r_dcm=b"x", to=b"PACS", state_json=b"{}"),
    "link in partial": lambda at: (at / "partial" / "x").symlink_to("/etc"),
    "link with a name of ours in partial": lambda at: (at / "partial" / f"{K}.7").symlink_to("/etc"),
    "folder in partial": lambda at: (at / "partial" / "mine").mkdir(),
    "pipe in partial": lambda at: os.mkfifo(at / "partial" / "pipe"),
    "folder for the journal": lambda at: [(at / "journal").unlink(), (at / "journal").mkdir()],
    "link for the journal": lambda at: [(at / "journal").unlink(), (at / "journal").symlink_to("/etc/passwd")],
    "folder for judging": lambda at: (at / "judging").mkdir(),
    "link for judging": lambda at: (at / "judging").symlink_to(at / "elsewhere"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_broken_or_foreign_is_set_aside_and_the_rest_goes_on(opened, tmp_path, kind, caplog):
    own, folder = opened(), tmp_path / "spool"
    for uid in UIDS[:2]:
        own.store(uid, [uid.encode()])
    own.answer(own.key(UIDS[0]), ANSWERS, to="PACS")
    own.close()
    BROKEN[kind](folder)
    again = opened()
    assert again.counts() == {"received": 0, "waiting": 1, "undelivered": 1, "failed": 1}
    (parcel,) = again.parcels("PACS", at_most=9, timeout_s=0)
    for file in parcel.files:
        again.delivered(parcel.key, file)
    key, _ = again.next(0)
    again.begun(key)
    again.answer(key, ANSWERS, to="PACS")
    assert again.store(UIDS[2], [b"x"])
    assert again.trouble() == ""
    (odd,) = [path for path in (folder / "failed").iterdir() if not path.name.endswith(".txt")]
    assert odd.with_name(f"{odd.name}.txt").read_text()
    assert "Muster" not in odd.name + caplog.text
    assert not (folder / "elsewhere").exists()
    again.close()
    assert opened().counts()["failed"] == 1


def test_what_was_half_written_is_erased_and_no_link_in_it_followed(opened, tmp_path):
    opened().close()
    kept = tmp_path / "kept"
    kept.write_text("mine")
    partial = tmp_path / "spool" / "partial"
    (partial / f"{K}.1").write_bytes(b"half")
    (partial / f"{K}.2").mkdir()
    (partial / f"{K}.2" / "1-report.dcm").symlink_to(kept)
    assert opened().counts()["failed"] == 0
    assert list(partial.iterdir()) == []
    assert kept.read_text() == "mine"


@pytest.mark.parametrize("name", ["received", "outbox", "failed", "again", "partial"])
def test_a_file_in_place_of_a_folder_is_a_clear_error_that_leaves_the_spool_free(tmp_path, name):
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / name).write_text("")
    for _ in range(2):
        with pytest.raises(PlainfilmError, match="Expected a spool that can be read and written"):
            Spool(tmp_path / "spool", model=MODEL)


def test_a_disk_whose_files_cannot_be_locked_is_told_from_a_spool_of_another(tmp_path, monkeypatch):
    def unlockable(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(disk.fcntl, "flock", unlockable)
    with pytest.raises(PlainfilmError, match="Expected a disk whose files can be locked"):
        Spool(tmp_path / "spool", model=MODEL)


def test_an_instance_that_is_set_aside_is_judged_again_once_it_is_due(opened, tmp_path):
    own = opened(again_s=0)
    own.store("1.2.3", [b"x"])
    key, file = own.next(0)
    own.give_up(key, "Permission denied")
    assert not own.store("1.2.3", [b"x"])
    until(lambda: own.readmit() or own.next(0))
    assert own.next(0) == (key, file)
    assert file.read_bytes() == b"x"
    own.answer(key, ANSWERS, to="PACS")
    assert own.counts() == {"received": 1, "waiting": 0, "undelivered": 1, "failed": 0}
    assert [name for name in files_below(tmp_path / "spool") if name.startswith(("failed", "again"))] == []


def test_what_can_be_neither_erased_nor_moved_is_passed_over(opened, monkeypatch):
    """As on a file that is immutable: the peer has it, and must not get it again and again."""
    own = opened()
    own.store("1.2.3", [b"x"])
    key, _ = own.next(0)
    own.answer(key, ANSWERS, to="PACS")

    def held(*_, **__):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    (parcel,) = own.parcels("PACS", at_most=9, timeout_s=0)
    with monkeypatch.context() as patch:
        patch.setattr(spool, "erase", held)
        patch.setattr(Path, "rename", held)
        own.delivered(key, parcel.files[0])
        own.refused(key, parcel.files[1], "status C123")
    assert own.parcels("PACS", at_most=9, timeout_s=0) == []
    assert own.counts()["failed"] == 3  # two files and their folder
    assert own.counts()["undelivered"] == 0


def test_a_full_disk_is_no_object_s_fault(opened, monkeypatch):
    own = opened()
    own.store("1.2.3", [b"x"])
    key, _ = own.next(0)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(spool_room, "write", full)
        patch.setattr(set_aside, "write", full)
        with pytest.raises(OSError, match="No space"):
            own.give_up(key, "x")
        assert own.trouble() == "the spool cannot be written (No space left on device)"
    assert own.next(0)[0] == key
    assert own.trouble() == ""


@pytest.mark.parametrize("name", ["received", "outbox"])
def test_a_folder_that_somebody_erased_is_the_spool_s_trouble_not_an_instance_s(opened, tmp_path, name):
    own = opened()
    (tmp_path / "spool" / name).rmdir()
    assert own.trouble() == f"the spool has lost its folder {name}"
    assert own.is_at_fault(FileNotFoundError(errno.ENOENT, "x"))
    (tmp_path / "spool" / name).mkdir()
    assert not own.is_at_fault(FileNotFoundError(errno.ENOENT, "x"))


def test_what_takes_the_place_of_judging_is_set_aside_while_the_node_runs(opened, tmp_path):
    own = opened()
    (tmp_path / "spool" / "judging").mkdir()
    assert own.begun(K) == 1
    assert own.counts()["failed"] == 1


def test_a_spool_at_its_limit_is_in_trouble(opened):
    own = opened(limits=SpoolLimits(instances=1, free_bytes=0))
    assert own.trouble() == ""
    own.store("1.2.3", [b"x"])
    assert own.trouble() == "the spool or its disk is full"


def test_a_journal_on_a_disk_that_was_full_loses_no_line(tmp_path, monkeypatch):
    path, keys = tmp_path / "journal", [f"{n:064x}" for n in range(3)]
    own = Journal(path)
    own.add(keys[0])

    def full(_):
        with path.open("ab") as file:
            file.write(b"0" * 30)
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "fsync", full)
        with pytest.raises(OSError, match="full"):
            own.add(keys[1])
    own.add(keys[2])
    assert keys[0] in Journal(path)
    assert keys[2] in Journal(path)


def test_a_journal_of_any_length_is_read_from_its_end(tmp_path):
    keys = [f"{n:064x}" for n in range(90)]
    (tmp_path / "journal").write_text("garbage" * 99 + "\n" + "".join(f"{key}\n" for key in keys))
    own = Journal(tmp_path / "journal", kept=10)
    assert all(key in own for key in keys[-10:])
    assert keys[-11] not in own


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PlainfilmError, match="--spool"):
        Spool(tmp_path / "file" / "spool", model=MODEL)


def test_the_journal_keeps_the_last_ones_and_survives_a_torn_line(tmp_path, monkeypatch):
    path = tmp_path / "journal"
    keys = [f"{n:064x}" for n in range(25)]
    own = Journal(path, kept=10)
    for key in keys:
        own.add(key)
    assert keys[-1] in own
    assert keys[0] not in own
    assert len(path.read_text().splitlines()) <= 20
    path.write_bytes(path.read_bytes() + b"abc\n" + b"12")
    again = Journal(path, kept=10)
    assert all(key in again for key in keys[-10:])
    assert not any(key in again for key in keys[:-10])


class _Killed(BaseException):
    pass


def _killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the step-th change of the disk from now on, and all after it, never happen."""
    left = [step]

    def dying(original):
        def act(*arguments, **options):
            left[0] -= 1
            if left[0] <= 0:
                raise _Killed
            return original(*arguments, **options)

        return act

    for owner, name in (
        (os, "fsync"),
        (os, "open"),
        (Path, "open"),
        (Path, "rename"),
        (Path, "unlink"),
        (Path, "mkdir"),
        (shutil, "rmtree"),
    ):
        monkeypatch.setattr(owner, name, dying(getattr(owner, name)))


def _life(folder: Path, taken: list[str], peer: list[tuple[str, str]], judged: list[str]) -> None:
    """One life of a node: the sender sends what got no success; all that waits is judged and delivered."""
    own = Spool(folder, model=MODEL, limits=SpoolLimits(free_bytes=0))
    try:
        for uid in UIDS:
            if uid not in taken:
                own.store(uid, [uid.encode()])
                taken.append(uid)  # success is answered only now
        while found := own.next(0):
            key, file = found
            own.begun(key)
            judged.append(file.read_text())
            own.answer(key, {name: data + key.encode() for name, data in ANSWERS.items()}, to="PACS")
        for parcel in own.parcels("PACS", at_most=9, timeout_s=0):
            for file in parcel.files:
                peer.append((parcel.key, file.stem))
                own.delivered(parcel.key, file)
    finally:
        own.close()


def test_a_node_killed_at_any_step_loses_nothing_and_answers_nothing_otherwise(tmp_path, monkeypatch):
    """Every change of the disk is made the last one once; the next node must end as if nothing had been."""
    expected = {(Spool.key(_Keyed, uid), name) for uid in UIDS for name in ANSWERS}
    step, was_killed = 0, True
    while was_killed:
        step += 1
        folder = tmp_path / str(step)
        taken, peer, judged = [], [], []
        with monkeypatch.context() as patch:
            _killed_at(step, patch)
            try:
                _life(folder, taken, peer, judged)
                was_killed = False
            except _Killed:
                pass
            finally:
                _release(folder)
        with contextlib.closing(Spool(folder, model=MODEL)) as again:  # whose sender may not have heard the success
            assert all(again.holds(uid) for uid in taken), step
        _life(folder, taken, peer, judged)
        assert set(peer) == expected, step
        assert len(peer) <= len(expected) + 1, step  # the one under way may come twice, under the same UID
        assert len(judged) <= len(UIDS) + 1, (
            step
        )  # the one under way may have to be judged again: nobody saw its answer
        assert files_below(folder) == ["journal", "judging", "lock"], step
    assert step > 50


class _Keyed:
    model = MODEL


def _release(folder: Path) -> None:
    """Close what a killed process would have lost: only the lock matters."""
    lock = folder / "lock"
    for handle in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(int(handle.name)), lock.stat()):
                os.close(int(handle.name))


def test_the_sync_of_the_folder_comes_after_the_rename(tmp_path, monkeypatch):
    """A success that a power cut would undo is none."""
    order = []
    monkeypatch.setattr(spool, "sync", lambda folder: order.append(("sync", folder.name)))
    original = Path.rename
    monkeypatch.setattr(
        Path,
        "rename",
        lambda self, target: (order.append(("rename", Path(target).parent.name)), original(self, target))[1],
    )
    own = Spool(tmp_path / "spool", model=MODEL)
    order.clear()
    own.store("1.2.3", [b"x"])
    assert order == [("rename", "received"), ("sync", "received")]
    own.close()
    assert journal.KEPT == 100_000
