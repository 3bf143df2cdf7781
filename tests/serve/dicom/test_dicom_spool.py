"""The spool: nothing lost, nothing answered twice, whenever the node is killed; and its bounds."""

import contextlib
import os
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from made_dicom import MODEL, files_below
from plainfilm.errors import PlainfilmError
from plainfilm.serve.dicom import journal, spool
from plainfilm.serve.dicom.journal import Journal
from plainfilm.serve.dicom.spool import Spool, SpoolFullError, SpoolLimits
from waiting import WAIT_S

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


def test_foreign_files_are_left_alone(opened, tmp_path):
    opened().close()
    (tmp_path / "spool" / "received" / "readme.txt").write_text("mine")
    (tmp_path / "spool" / "outbox" / "readme.txt").write_text("mine")
    assert opened().next(0) is None


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
    _model = MODEL


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
