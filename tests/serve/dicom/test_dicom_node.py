"""The node over loopback: in by C-STORE, out by C-STORE, whatever the peer and the sender do."""

import os
import socket
import stat
import threading
import time

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.dsutils import encode

from made_dicom import (
    MODEL,
    Archive,
    FakeExaminer,
    echoed,
    files_below,
    free_port,
    instance,
    pdata,
    request,
    sent,
    uid,
)
from plainfilm.errors import PlainfilmError, UsageError
from plainfilm.serve.dicom import background_task, bounded_association, delivery
from plainfilm.serve.dicom import node as node_module
from plainfilm.serve.dicom.node import DicomNode
from plainfilm.serve.dicom.spool import Spool, SpoolLimits
from waiting import WAIT_S, until


@pytest.fixture(scope="module")
def running_archive():
    made = Archive()
    yield made
    made.close()


@pytest.fixture
def archive(running_archive):
    running_archive.got.clear()
    running_archive.status = 0
    return running_archive


@pytest.fixture
def start(tmp_path, archive):
    """Start a node that answers the archive; stopped at the end."""
    running = []

    def started(examiner=None, **options):
        options = {"peers": [f"PACS=127.0.0.1:{archive.port}"], "spool": tmp_path / "spool", "pause_s": 0.1, **options}
        examiner = examiner or FakeExaminer()
        node = DicomNode(examiner, **{"port": 0, "ae_title": "PLAINFILM", **options})
        node.start()
        running.append((node, examiner))
        return node

    yield started
    for node, examiner in running:
        examiner.gate.set()
        if node.is_alive:
            node.stop(WAIT_S)


def test_it_echoes(start):
    assert echoed(start().port) == 0


def test_an_instance_comes_back_as_report_and_picture_in_its_study(start, archive, tmp_path):
    node = start()
    image = instance()
    assert sent(node.port, image) == [0]
    until(lambda: len(archive.got) == 2)
    assert {each.Modality for each in archive.got} == {"SR", "OT"}
    for answer in archive.got:
        assert (answer.StudyInstanceUID, answer.PatientID) == (image.StudyInstanceUID, "P-1")
        assert str(answer.PatientName) == "Muster^Anna"
    until(lambda: files_below(tmp_path / "spool") == ["journal", "judging", "lock"])
    counts = node.counts()
    assert (counts["received"], counts["judged"], counts["delivered"], counts["waiting"]) == (1, 1, 2, 0)


def test_the_same_instance_sent_again_is_taken_but_judged_once(start, archive):
    examiner = FakeExaminer()
    node = start(examiner)
    assert sent(node.port, instance(), instance()) == [0, 0]
    until(lambda: len(archive.got) == 2)
    assert sent(node.port, instance()) == [0]
    time.sleep(0.5)
    assert len(examiner.asked) == 1
    assert len(archive.got) == 2


def test_other_names_are_turned_away(start):
    node = start()
    assert echoed(node.port, called="OTHER") is None
    assert echoed(node.port, calling="STRANGER") is None


def test_other_classes_and_deflated_data_are_not_taken(start, tmp_path):
    node = start()
    image = instance()
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert sent(node.port, image) == [] or node.counts()["received"] == 0
    assert sent(node.port, instance(SOPClassUID=CTImageStorage)) == []
    assert node.counts()["received"] == 0


def test_implicit_and_compressed_instances_are_kept_as_they_were_sent(start, archive, tmp_path):
    node = start(FakeExaminer(seconds=WAIT_S))
    image = instance("implicit")
    image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    assert sent(node.port, image) == [0]
    (name,) = [file for file in files_below(tmp_path / "spool") if file.startswith("received")]
    kept = dcmread(tmp_path / "spool" / name)
    assert kept.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert kept.file_meta.SourceApplicationEntityTitle == "PACS"
    assert kept.PixelData == image.PixelData


@pytest.mark.parametrize(
    "elements",
    [
        {"StudyInstanceUID": None},
        {"StudyInstanceUID": ""},
        {"StudyInstanceUID": "../../../etc/passwd"},
        {"SOPInstanceUID": "../../../tmp/evil"},
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_can_never_be_answered_is_refused(start, tmp_path, elements):
    node = start()
    (status,) = sent(node.port, instance(**elements))
    assert status in {0xA900, 0xC000}
    assert echoed(node.port) == 0
    assert files_below(tmp_path) == ["spool/journal", "spool/lock"]


def test_a_full_spool_says_so_and_takes_more_once_there_is_room(start, tmp_path, archive):
    archive.status = 0xA700
    node = start(limits=SpoolLimits(instances=1, free_bytes=0))
    assert sent(node.port, instance("one"), instance("two")) == [0, 0xA700]
    archive.status = 0
    until(lambda: len(archive.got) == 2)
    until(lambda: sent(node.port, instance("two")) == [0])


def test_a_disk_that_is_nearly_full_takes_nothing(start):
    node = start(limits=SpoolLimits(free_bytes=1 << 60))
    assert sent(node.port, instance()) == [0xA700]


def test_answers_wait_for_a_peer_that_is_away(start, tmp_path, archive):
    port = free_port()
    node = start(FakeExaminer(), peers=[f"PACS=127.0.0.1:{port}"])
    assert sent(node.port, instance("one"), instance("two")) == [0, 0]
    until(lambda: node.counts()["judged"] == 2)
    assert node.counts()["undelivered"] == 2
    later = Archive(port=port)
    try:
        until(lambda: len(later.got) == 4)
    finally:
        later.close()


def test_answers_that_the_peer_refuses_for_good_are_set_aside_with_the_reason(start, tmp_path, archive):
    archive.status = 0xC123
    node = start()
    sent(node.port, instance())
    until(lambda: node.counts()["failed"] == 2)
    failed = files_below(tmp_path / "spool" / "failed")
    assert [name.rpartition("-")[2] for name in failed] == [
        "capture.dcm",
        "capture.txt",
        "report.dcm",
        "report.txt",
    ] or len(failed) == 4
    reason = next((tmp_path / "spool" / "failed").glob("*.txt")).read_text()
    assert reason == "failure status C123\n"


def test_a_processing_failure_that_stays_ends(start, archive, monkeypatch):
    monkeypatch.setattr(delivery, "_MOST_TRIES", 2)
    archive.status = 0x0110
    node = start(pause_s=0.02)
    sent(node.port, instance())
    until(lambda: node.counts()["failed"] == 2)


def test_a_peer_that_takes_no_pictures_gets_the_report(start, tmp_path):
    from pydicom.uid import ComprehensiveSRStorage

    reports_only = Archive(classes=(ComprehensiveSRStorage,))
    try:
        node = start(peers=[f"PACS=127.0.0.1:{reports_only.port}"])
        sent(node.port, instance())
        until(lambda: node.counts()["failed"] == 1 and reports_only.reports())
    finally:
        reports_only.close()


def test_an_examiner_that_fails_is_answered_for_and_others_follow(start, archive):
    node = start(FakeExaminer(raising=RuntimeError("boom")))
    sent(node.port, instance("one"), instance("two"))
    until(lambda: len(archive.reports()) == 2)
    assert "unreadable" in str(archive.got[0]).lower()


def test_an_instance_that_ended_the_program_three_times_is_answered_as_unreadable(start, archive, tmp_path):
    first = start(FakeExaminer(seconds=WAIT_S))
    sent(first.port, instance())
    key = first.spool.key(uid("one"))
    until(lambda: (tmp_path / "spool" / "judging").exists())
    first.spool.close()  # as a killed one would
    for life in (2, 3):
        spool = Spool(tmp_path / "spool", model=MODEL)
        assert spool.begun(key) == life
        spool.close()
    examiner = FakeExaminer()
    start(examiner)
    until(archive.reports)
    assert not examiner.asked
    assert "Unreadable" in str(archive.reports()[0])


def test_what_was_damaged_in_the_spool_is_set_aside(start, tmp_path, archive):
    (tmp_path / "spool" / "received").mkdir(parents=True)
    (tmp_path / "spool" / "received" / f"{'a' * 64}.dcm").write_bytes(b"junk")
    node = start()
    sent(node.port, instance())
    until(archive.reports)
    assert (tmp_path / "spool" / "failed" / f"{'a' * 64}-instance.txt").read_text() == "no DICOM file\n"


def test_all_answers_go_where_they_are_told_to(start, archive):
    other = Archive("ARCHIVE")
    try:
        peers = [f"CR1=127.0.0.1:{archive.port}", f"ARCHIVE=127.0.0.1:{other.port}"]
        node = start(peers=peers, answer_to="ARCHIVE")
        sent(node.port, instance(), calling="CR1")
        until(lambda: len(other.got) == 2)
        assert not archive.got
    finally:
        other.close()


def test_stopping_leaves_the_rest_for_the_next_start(start, archive):
    examiner = FakeExaminer(seconds=WAIT_S)
    first = start(examiner)
    assert sent(first.port, *(instance(str(n)) for n in range(4))) == [0] * 4
    until(lambda: examiner.asked)
    stopping = threading.Thread(target=first.stop, args=(WAIT_S,))
    stopping.start()
    until(lambda: first._worker.is_ending)
    examiner.gate.set()
    stopping.join()
    assert not first.is_alive
    assert (first.counts()["judged"], first.counts()["waiting"]) == (1, 3)
    start(FakeExaminer())
    until(lambda: len(archive.reports()) == 4)
    time.sleep(0.3)
    assert len({report.SOPInstanceUID for report in archive.reports()}) == 4 == len(archive.reports())


def test_a_spool_has_one_node(start, tmp_path):
    start()
    with pytest.raises(PlainfilmError, match="which another node has"):
        start()


def test_a_spool_is_for_its_owner_alone(start, tmp_path, archive):
    archive.status = 0xA700
    node = start()
    sent(node.port, instance())
    until(lambda: node.counts()["undelivered"] == 1)
    for path in (tmp_path / "spool", *(tmp_path / "spool").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_taken_port_is_an_error_that_leaves_the_spool_free(start, tmp_path, archive):
    for _ in range(2):
        with pytest.raises(PlainfilmError, match="--dicom-port"):
            DicomNode(
                FakeExaminer(),
                port=archive.port,
                ae_title="PLAINFILM",
                spool=tmp_path / "spool",
                peers=["PACS=127.0.0.1:104"],
            )


@pytest.mark.parametrize(
    "options",
    [{"port": 99999}, {"port": -1}, {"peers": []}, {"answer_to": "NOBODY"}, {"poll": "NOBODY"}, {"poll": "PACS"}],
)
def test_settings_that_cannot_be_meant_are_refused(start, options):
    with pytest.raises(UsageError):
        start(**options)


class TestHostileConnections:
    """Raw sockets; the node must end each, and go on."""

    def _ended(self, port, *pieces, wait_s=0.0):
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as raw:
            for piece in pieces:
                try:
                    raw.sendall(piece)
                except OSError:
                    return True
                time.sleep(wait_s)
            try:
                while raw.recv(65536):
                    pass
            except ConnectionError:
                pass
        return True

    @pytest.mark.parametrize(
        "pieces",
        [
            (b"GET / HTTP/1.1\r\n\r\n",),
            (b"\x01\x00\xff\xff\xff\xff" + bytes(100),),  # 4 GB announced
            (b"\x04\x00\x00\x00\x00\x10" + bytes(16),),  # data before an association
            (b"\x01\x00\x00\x00\x00\x44" + bytes(68),),
            (b"\x01\x00\x00\x00\x10\x00" + b"\x10" * 10,),  # shorter than announced, then silence
            (b"\x01",),  # one byte, then silence
            (request(), request()),  # a second association in the first
            (request(), b"\x06\0\0\0\0\x04" + bytes(4)),  # a release reply that nobody asked for
            (request(), b"\x05\0\0\0\0\x04" + bytes(4), pdata(b"x", 3)),  # data after the release
            (request(), pdata(b"junk", 3)),
        ],
    )
    def test_each_ends_and_the_node_goes_on(self, start, pieces, monkeypatch):
        failed = []
        monkeypatch.setattr(threading, "excepthook", failed.append)
        node = start()
        with monkeypatch.context() as patch:
            patch.setattr(bounded_association, "_PDU_S", 0.5)
            assert self._ended(node.port, *pieces)
        assert echoed(node.port) == 0
        assert not failed

    @pytest.mark.parametrize(
        ("name", "value"),
        [("_HELD_BYTES", 2_000_000), ("_LONGEST_PDU", 1000), ("_MESSAGE_S", -1.0), ("MESSAGE_BYTES", 2_000_000)],
    )
    def test_each_bound_aborts_the_association_alone(self, start, monkeypatch, name, value):
        node = start()
        with monkeypatch.context() as patch:
            patch.setattr(bounded_association, name, value)
            assert sent(node.port, instance(PixelData=bytes(4_000_000))) in ([None], [])
        assert node.counts()["received"] == 0
        assert sent(node.port, instance(PixelData=bytes(4_000_000))) == [0]

    def test_two_messages_at_a_time_are_aborted(self, start):
        node = start(FakeExaminer())
        echo = Dataset()
        echo.AffectedSOPClassUID, echo.CommandField, echo.MessageID, echo.CommandDataSetType = (
            "1.2.840.10008.1.1",
            0x30,
            1,
            0x101,
        )
        command = encode(echo, True, True)
        message = pdata(b"\0\0\0\0\x04\0\0\0" + len(command).to_bytes(4, "little") + command, 3)
        with socket.create_connection(("127.0.0.1", node.port), timeout=WAIT_S) as raw:
            raw.sendall(request())
            assert raw.recv(4096)[0] == 2  # accepted
            raw.sendall(message * 500)
            came = b""
            while data := _received(raw):
                came += data
        assert came.count(b"\x07\0\0\0\0\x04") == 1  # A-ABORT
        assert echoed(node.port) == 0

    def test_idle_connections_are_bounded(self, start, monkeypatch):
        monkeypatch.setattr(bounded_association.BoundedServer, "most_connections", 4)
        node = start()
        held = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(12)]
        try:
            until(lambda: sum(_is_closed(each) for each in held) >= 8)
        finally:
            for each in held:
                each.close()
        until(lambda: echoed(node.port) == 0)


class TestShares:
    """Associations that say nothing must not keep others out; of 8 places one address has 7, and 2 more for a moment."""

    @pytest.fixture(autouse=True)
    def few(self, monkeypatch):
        monkeypatch.setattr(bounded_association.BoundedServer, "most_connections", 8)

    def _idle(self, node, count):
        entity = AE("PACS")
        entity.add_requested_context("1.2.840.10008.1.1")
        return [entity.associate("127.0.0.1", node.port, ae_title="PLAINFILM") for _ in range(count)]

    def test_idle_associations_of_one_address_leave_room_for_itself_and_others(self, start, monkeypatch):
        monkeypatch.setattr(bounded_association.BoundedServer, "idle_s", WAIT_S)
        node = start()
        held = self._idle(node, 8)
        assert all(each.is_established for each in held)
        assert echoed(node.port) == 0
        held += self._idle(node, 4)
        assert sum(each.is_established for each in held) == 9
        assert echoed(node.port) is None
        assert echoed(node.port, source="127.0.0.2") == 0
        for each in held:
            each.abort()

    def test_the_idlest_associations_end_while_there_are_too_many_and_no_more(self, start, monkeypatch):
        monkeypatch.setattr(bounded_association.BoundedServer, "idle_s", 0.3)
        node = start()
        held = self._idle(node, 9)
        until(lambda: sum(each.is_established for each in held) == 7)
        time.sleep(1.0)
        assert sum(each.is_established for each in held) == 7
        assert echoed(node.port) == 0
        for each in held:
            each.abort()

    def test_an_association_whose_instance_is_being_stored_is_not_idle(self, start, monkeypatch):
        monkeypatch.setattr(bounded_association.BoundedServer, "idle_s", 0.2)
        node = start()
        gate, store = threading.Event(), node.spool.store
        monkeypatch.setattr(node.spool, "store", lambda *of: (gate.wait(WAIT_S), store(*of))[1])
        statuses = []
        sending = threading.Thread(target=lambda: statuses.extend(sent(node.port, instance())))
        sending.start()
        held = self._idle(node, 8)
        until(lambda: sum(each.is_established for each in held) == 6)
        gate.set()
        sending.join()
        assert statuses == [0]
        for each in held:
            each.abort()

    def test_threads_of_connections_that_came_and_went_end_at_once(self, start, monkeypatch):
        monkeypatch.setattr(bounded_association.BoundedServer, "most_threads", 20)
        node = start()
        node._reception._server.ae.acse_timeout = WAIT_S  # for which pynetdicom's would wait
        for _ in range(60):
            socket.create_connection(("127.0.0.1", node.port)).close()
        until(lambda: echoed(node.port) == 0)


class TestTrouble:
    """Ready means that work moves; what is set aside does not count."""

    def test_a_thread_that_died_is_named(self, start):
        node = start()
        assert node.trouble() == ""
        node._worker.stop()
        node.spool.wake()
        node._worker.join(WAIT_S)
        assert node.trouble() == "judge-dicom has ended"

    def test_work_that_does_not_move_is_named_and_moves_again(self, start, monkeypatch):
        examiner = FakeExaminer(seconds=WAIT_S)
        node = start(examiner)
        sent(node.port, instance())
        until(lambda: examiner.asked)
        monkeypatch.setattr(node._worker, "longest_s", 0.0)
        assert node.trouble() == "judge-dicom has not moved for 0 s"
        monkeypatch.setattr(node._worker, "longest_s", WAIT_S)
        assert node.trouble() == ""

    def test_errors_that_go_on_are_no_work_that_moves(self, start, monkeypatch):
        monkeypatch.setattr(background_task, "_PAUSE_S", 0.01)
        node = start()
        monkeypatch.setattr(node.spool, "next", lambda _: [][1])
        monkeypatch.setattr(node._worker, "longest_s", 3.0)
        until(lambda: node.trouble() == "judge-dicom has not moved for 3 s")
        monkeypatch.undo()
        until(lambda: node.trouble() == "")

    def test_a_spool_that_is_full_or_cannot_be_written_is_named(self, start, tmp_path, archive, monkeypatch):
        monkeypatch.setattr(node_module, "_LOOK_S", 0.0)
        archive.status = 0xA700
        node = start(limits=SpoolLimits(instances=1, free_bytes=0))
        assert node.trouble() == ""
        sent(node.port, instance())
        assert node.trouble() == "the spool or its disk is full"
        archive.status = 0
        until(lambda: node.trouble() == "")
        (tmp_path / "spool" / "partial").rename(tmp_path / "spool" / "moved")
        assert node.trouble() == "the spool cannot be written (No such file or directory)"
        assert sent(node.port, instance("two")) == [0xA700]
        (tmp_path / "spool" / "moved").rename(tmp_path / "spool" / "partial")
        assert sent(node.port, instance("two")) == [0]

    def test_a_peer_that_is_away_and_things_set_aside_are_none(self, start, tmp_path):
        node = start(peers=[f"PACS=127.0.0.1:{free_port()}"])
        (tmp_path / "spool" / "failed" / "x-odd").mkdir()
        sent(node.port, instance())
        until(lambda: node.counts()["undelivered"] == 1)
        assert node.counts()["failed"] == 1
        assert node.trouble() == ""


@pytest.mark.parametrize("left", ["removed", "pipe", "folder"])
def test_an_instance_that_went_bad_while_it_waited_stops_no_other(start, tmp_path, archive, left):
    examiner = FakeExaminer(seconds=WAIT_S)
    node = start(examiner)
    sent(node.port, instance("first"), instance("bad"), instance("last"))
    until(lambda: examiner.asked)
    file = tmp_path / "spool" / "received" / f"{node.spool.key(uid('bad'))}.dcm"
    file.unlink()
    {"removed": lambda: None, "pipe": lambda: os.mkfifo(file), "folder": file.mkdir}[left]()
    examiner.gate.set()
    until(lambda: len(archive.reports()) == 2 and node.counts()["waiting"] == 0)
    assert node.counts()["failed"] == (0 if left == "removed" else 1)


def _received(connected: socket.socket) -> bytes:
    try:
        return connected.recv(65536)
    except ConnectionError:
        return b""


def _is_closed(connected: socket.socket) -> bool:
    connected.settimeout(0.05)
    try:
        return connected.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_names_in_the_spool_are_hashes(start, tmp_path):
    node = start(FakeExaminer(seconds=WAIT_S))
    sent(node.port, instance())
    (name,) = (tmp_path / "spool" / "received").iterdir()
    assert len(name.stem) == 64
    assert uid("one") not in str(name)
