"""One object that a peer never takes, in whatever way, stops no other; a peer that takes nothing is left alone."""

import os
import socket
import threading
import time

import pytest
from pydicom.uid import ComprehensiveSRStorage, SecondaryCaptureImageStorage
from pynetdicom import evt

from made_dicom import MODEL, Archive, FakeExaminer, files_below, free_port, instance_bytes, uid
from plainfilm.serve.dicom import delivery, sending, stow_rs
from plainfilm.serve.dicom.delivery import Courier, Retrier
from plainfilm.serve.dicom.node import DicomNode
from plainfilm.serve.dicom.peers import Peer
from plainfilm.serve.dicom.spool import Spool
from waiting import WAIT_S, until


class Choosy(Archive):
    """Refuses the answers of some studies by `way`, a status or what is done to the association; counts associations."""

    def __init__(self, *poisoned, way=0xC123, **options):
        self.poisoned, self.way, self.associations = {uid(f"study {name}") for name in poisoned}, way, 0
        self.gate = threading.Event()
        super().__init__(**options)
        self._server.bind(evt.EVT_REQUESTED, self._counted)

    def _counted(self, _):
        self.associations += 1

    def _keep(self, event):
        if str(event.dataset.StudyInstanceUID) not in self.poisoned:
            return super()._keep(event)
        if self.way == "hang up":
            event.assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)
            return 0xA700
        if self.way == "say nothing":
            self.gate.wait(WAIT_S)
            return 0xA700
        return self.way

    def studies(self):
        return sorted(str(each.StudyInstanceUID) for each in self.reports())


@pytest.fixture
def start(tmp_path):
    running = []

    def started(*archives, pause_s=0.02, **options):
        names = ["PACS", *(f"PACS{number}" for number in range(1, len(archives)))]
        peers = [f"{name}=127.0.0.1:{each.port}" for name, each in zip(names, archives, strict=True)]
        options = {"peers": peers, "spool": tmp_path / "spool", "pause_s": pause_s, **options}
        node = DicomNode(FakeExaminer(), port=0, ae_title="PLAINFILM", **options)
        node.start()
        running.append((node, archives))
        return node

    yield started
    for node, archives in running:
        for each in archives:
            each.gate.set()
        node.stop(WAIT_S)
    for archive in {each for _, archives in running for each in archives}:
        archive.close()


def put(node, *names, sender="PACS"):
    for name in names:
        stow_rs.put(node.spool, instance_bytes(name), sender=sender)


@pytest.mark.parametrize("way", [0xC123, 0xA700, 0x0110, 0x0122, 0xA900, "hang up"])
def test_an_object_that_is_never_taken_lets_all_others_pass_and_comes_when_it_is_taken(start, tmp_path, way):
    archive = Choosy("bad", "worse", way=way)
    node = start(archive)
    put(node, "bad", "one", "worse", "two", "three")
    until(lambda: len(archive.got) == 6 and node.counts()["failed"] == 4 and node.counts()["undelivered"] == 0)
    assert archive.studies() == sorted(uid(f"study {name}") for name in ("one", "two", "three"))
    assert node.trouble() == ""
    archive.poisoned = set()
    until(lambda: node.counts()["failed"] == 0)
    until(lambda: files_below(tmp_path / "spool") == ["journal", "judging", "lock"])
    uids = [each.SOPInstanceUID for each in archive.got]
    assert len(uids) == len(set(uids)) == 10


def test_an_object_alone_that_may_be_the_peer_s_fault_is_set_aside_after_some_rounds(start):
    archive = Choosy("bad", way=0xA700)
    node = start(archive)
    put(node, "bad")
    until(lambda: node.counts()["failed"] == 2 and node.counts()["undelivered"] == 0)


def test_a_peer_that_never_answers_for_one_object_delays_the_others_once(start, monkeypatch):
    monkeypatch.setattr(sending, "_LONGEST_ANSWER_S", 5.0)
    archive = Choosy("bad", way="say nothing")
    node = start(archive)
    put(node, "bad", *map(str, range(5)))
    until(lambda: len(set(archive.studies())) == 5 and node.counts()["undelivered"] == 0)
    assert node.counts()["failed"] == 2


def test_one_peer_s_poison_is_none_of_another_s(start, monkeypatch):
    monkeypatch.setattr(sending, "_LONGEST_ANSWER_S", WAIT_S)
    silent, sound = Choosy("bad", way="say nothing"), Choosy(title="PACS1")
    node = start(silent, sound)
    put(node, "bad")
    until(lambda: silent.associations)
    put(node, "one", "two", sender="PACS1")
    until(lambda: len(sound.got) == 4)


def test_what_is_set_aside_is_tried_again_after_a_restart_and_by_touch(start, tmp_path):
    archive = Choosy("bad")
    node = start(archive, pause_s=1.0)
    put(node, "bad")
    until(lambda: node.counts()["failed"] == 2)
    node.stop(WAIT_S)
    archive.poisoned = set()
    again = start(archive, pause_s=1.0)
    time.sleep(0.3)
    assert (again.counts()["failed"], archive.got) == (2, [])
    for note in (tmp_path / "spool" / "again").iterdir():
        os.utime(note)
    until(lambda: len(archive.got) == 2 and again.counts()["failed"] == 0)
    assert again.counts()["retried"] == 2


def test_what_somebody_dropped_is_not_tried_again(start, tmp_path):
    archive = Choosy("bad")
    node = start(archive)
    put(node, "bad")
    until(lambda: node.counts()["failed"] == 2)
    for file in (tmp_path / "spool" / "failed").iterdir():
        file.unlink()
    archive.poisoned = set()
    put(node, "bad", "one")
    until(lambda: len(archive.reports()) == 1)
    assert archive.studies() == [uid("study one")]


def test_an_association_that_is_rejected_for_one_class_carries_the_other(start):
    class Narrow(Choosy):
        def _counted(self, event):
            super()._counted(event)
            if len(event.assoc.requestor.requested_contexts) > 1:
                event.assoc.acse.send_reject(1, 1, 1)
                event.assoc.kill()

    archive = Narrow(classes=(ComprehensiveSRStorage,))
    node = start(archive)
    put(node, "one", "two")
    until(lambda: len(archive.got) == 2 and node.counts()["failed"] == 2)


def test_files_that_are_taken_out_of_the_outbox_are_passed_over(tmp_path):
    spool = _filled(tmp_path, "one", "two")
    archive = Choosy()
    courier = Courier(spool, Peer.parse(f"PACS=127.0.0.1:{archive.port}"), ae_title="X", pause_s=0.01)
    (first, *_) = spool.parcels("PACS", at_most=1, timeout_s=0)
    for file in first.files:
        file.unlink()
    try:
        courier.step()
    finally:
        archive.close()
        spool.close()
    assert len(archive.got) == 2
    assert spool.counts()["undelivered"] == 0


@pytest.mark.parametrize("content", [b"", b"junk", bytes(128) + b"DICM", instance_bytes()[:200]])
def test_an_answer_that_was_damaged_in_the_outbox_is_set_aside(tmp_path, content):
    spool = _filled(tmp_path, "one", "two")
    archive = Choosy()
    courier = Courier(spool, Peer.parse(f"PACS=127.0.0.1:{archive.port}"), ae_title="X", pause_s=0.01)
    (first, *_) = spool.parcels("PACS", at_most=1, timeout_s=0)
    first.files[0].write_bytes(content)
    try:
        courier.step()
    finally:
        archive.close()
        spool.close()
    assert len(archive.got) == 3
    assert (spool.counts()["undelivered"], spool.counts()["failed"]) == (0, 1)


@pytest.mark.parametrize("way", ["closed", 0xA700])
def test_a_peer_that_takes_nothing_gets_few_associations_and_loses_nothing(tmp_path, monkeypatch, way):
    """Of 100 objects for a peer that is down: one connection a round; for one that is full: one association, and some objects."""
    spool = _filled(tmp_path, *map(str, range(50)))
    archive = Choosy(*map(str, range(50)), way=way)
    port = free_port() if way == "closed" else archive.port
    pauses = []
    courier = Courier(spool, Peer.parse(f"PACS=127.0.0.1:{port}"), ae_title="X", pause_s=1.0)
    monkeypatch.setattr(courier, "pause", pauses.append)
    asked = []
    monkeypatch.setattr(delivery, "told", lambda event, **_: asked.append(event))
    try:
        for _ in range(9):
            courier.step()
        assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
        assert archive.associations == (0 if way == "closed" else 9)
        assert (spool.counts()["undelivered"], spool.counts()["failed"]) == (50, 0)
        assert asked == ["dicom.away"] * 9
    finally:
        archive.close()
        spool.close()


def test_a_retry_while_the_peer_is_away_is_no_try(tmp_path, monkeypatch):
    spool = _filled(tmp_path, "one")
    (parcel,) = spool.parcels("PACS", at_most=1, timeout_s=0)
    for file in parcel.files:
        spool.refused(parcel.key, file, "status C123")
    notes = {path: path.read_bytes() for path in (tmp_path / "spool" / "again").iterdir()}
    for path in notes:
        os.utime(path, (1, 1))
    retrier = Retrier(spool, Peer.parse(f"PACS=127.0.0.1:{free_port()}"), ae_title="X", pause_s=1.0)
    pauses = []
    monkeypatch.setattr(retrier, "pause", pauses.append)
    for _ in range(3):
        retrier.step()
    spool.close()
    assert pauses == [1.0, 2.0, 4.0]
    assert {path: path.read_bytes() for path in notes} == notes
    assert all(path.stat().st_mtime == 1 for path in notes)


def _filled(tmp_path, *names):
    """A spool with answers to instances of these names."""
    spool = Spool(tmp_path / "spool", model=MODEL)
    for name in names:
        spool.store(uid(name), [b"x"])
        study = {"StudyInstanceUID": uid(f"study {name}")}
        report = instance_bytes(f"{name} 1", SOPClassUID=ComprehensiveSRStorage, Modality="SR", **study)
        capture = instance_bytes(f"{name} 2", SOPClassUID=SecondaryCaptureImageStorage, Modality="OT", **study)
        spool.answer(spool.next(0)[0], {"1-report": report, "2-capture": capture}, to="PACS")
    return spool
