"""The spool: nothing lost, nothing answered twice, whenever the node is killed; and its bounds."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from made_dicom import MODEL, files_below
from plainfilm.errors import PlainfilmError
from plainfilm.serve.dicom import journal, spool
from plainfilm.serve.dicom.journal import Journal
from plainfilm.serve.dicom.spool import Spool, SpoolFullError, SpoolLimits

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
