"""DICOMweb: instances that come by STOW-RS, and services that answer otherwise than the standard has it."""

import datetime
import http.server
import json
import socket
import threading
import time

import pytest
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian

from made_dicom import MODEL, FakeExaminer, free_port, instance, instance_bytes, uid
from plainfilm.serve.dicom import dicomweb_client, dicomweb_poller, header, stow_rs, structured_report
from plainfilm.serve.dicom.dicomweb_client import DicomWebService, ServiceError
from plainfilm.serve.dicom.dicomweb_poller import Spared, polled
from plainfilm.serve.dicom.node import DicomNode
from plainfilm.serve.dicom.peers import Peer
from plainfilm.serve.dicom.spool import Spool, SpoolLimits
from waiting import WAIT_S, until

TODAY = datetime.date(2026, 11, 25)


@pytest.fixture
def spool(tmp_path):
    own = Spool(tmp_path / "spool", model=MODEL, limits=SpoolLimits(instances=3, free_bytes=0))
    yield own
    own.close()


@pytest.fixture
def service():
    """A web server that answers as its `replies` say: path without query -> (status, kind, body), none, or what gives them for a body."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            length = int(self.headers.get("Content-Length", 0))
            self.server.asked.append((self.path, dict(self.headers), self.rfile.read(length)))
            reply = self.server.replies.get(self.path.partition("?")[0], (404, "text/plain", b""))
            reply = reply(self.server.asked[-1][2]) if callable(reply) else reply
            if reply is None:
                return
            status, kind, body = reply
            self.send_response(status)
            self.send_header("Location" if 300 <= status < 400 else "Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.replies, server.asked = {}, []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def listed(*datasets):
    return (
        200,
        "application/dicom+json",
        json.dumps([{tag: {"vr": "UI", "Value": [v]} for tag, v in d.items()} for d in datasets]).encode(),
    )


def multipart(data, boundary="xx"):
    body = (
        f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + data + f"\r\n--{boundary}--\r\n".encode()
    )
    return 200, f'multipart/related; type="application/dicom"; boundary={boundary}', body


def test_a_request_s_instances_are_stored_and_named_in_the_answer(spool):
    status, said = stow_rs.received(spool, [instance_bytes("one"), instance_bytes("two")])
    assert status == 200
    assert [each["00081155"]["Value"] for each in said["00081199"]["Value"]] == [[uid("one")], [uid("two")]]
    assert "00081198" not in said
    assert spool.holds(uid("one"))
    json.dumps(said)


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_stored_is_named_with_its_reason(spool):
    deflated = instance("deflated")
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    from made_files import dicom_bytes

    parts = [
        instance_bytes("good"),
        b"",
        b"\0" * 128 + b"DICM",
        instance_bytes("ct", SOPClassUID=CTImageStorage),
        dicom_bytes(deflated),
        instance_bytes("lost", StudyInstanceUID=None),
        b"GIF89a" + bytes(500),
    ]
    status, said = stow_rs.received(spool, parts)
    assert status == 202
    reasons = [each["00081197"]["Value"][0] for each in said["00081198"]["Value"]]
    assert reasons == [0xC000, 0x0122, 0x0122, 0x0122, 0xA900, 0xC000]
    assert stow_rs.received(spool, parts[1:])[0] == 409
    assert stow_rs.received(spool, [])[0] == 409


def test_a_study_that_the_request_does_not_name_is_refused(spool):
    assert stow_rs.received(spool, [instance_bytes()], study=uid("another"))[0] == 409
    assert stow_rs.received(spool, [instance_bytes()], study=uid("study one"))[0] == 200


def test_a_full_spool_is_unavailable(spool):
    assert stow_rs.received(spool, [instance_bytes(name) for name in "abc"])[0] == 200
    assert stow_rs.received(spool, [instance_bytes("d")])[0] == 503
    assert stow_rs.received(spool, [instance_bytes("a"), instance_bytes("d")])[0] == 202


def test_what_came_by_stow_is_kept_with_our_own_head(spool):
    stow_rs.received(spool, [b"MZ" + instance_bytes()[2:]])  # a preamble that is a program's head
    _, file = spool.next(0)
    assert file.read_bytes()[:132] == bytes(128) + b"DICM"


def test_polling_fetches_what_has_no_report_yet(spool, service):
    study, series = uid("study one"), uid("series one")
    source = instance()
    own = header.series_uid(source, MODEL, structured_report.KIND)
    answered = {"00080018": header.answer_uid(uid("old"), MODEL, structured_report.KIND)}
    cr = str(source.SOPClassUID)
    service.replies = {
        "/series": listed({"0020000D": study, "0020000E": series}),
        f"/studies/{study}/series/{series}/instances": listed(
            {"00080016": cr, "00080018": uid("one")},
            {"00080016": cr, "00080018": uid("old")},
            {"00080016": str(CTImageStorage), "00080018": uid("ct")},
        ),
        f"/studies/{study}/series/{own}/instances": listed(answered),
        f"/studies/{study}/series/{series}/instances/{uid('one')}": multipart(instance_bytes()),
    }
    peer = Peer.parse(f"PACS={service.url}")
    assert polled(spool, peer, model=MODEL, since=TODAY) == 1
    assert polled(spool, peer, model=MODEL, since=TODAY) == 0
    assert header.opened(spool.next(0)[1].read_bytes()).sender == "PACS"
    assert "StudyDate=20261125-" in service.asked[0][0]


def _pacs(service, names, **replies):
    """A PACS with one instance of each name, in a series of its own, and other replies to fetching some."""
    cr = str(instance().SOPClassUID)
    service.replies = {
        "/series": listed(*({"0020000D": uid(f"study {n}"), "0020000E": uid(f"series {n}")} for n in names))
    }
    for name in names:
        series = f"/studies/{uid(f'study {name}')}/series/{uid(f'series {name}')}"
        service.replies[f"{series}/instances"] = listed({"00080016": cr, "00080018": uid(name)})
        service.replies[f"{series}/instances/{uid(name)}"] = replies.get(name, multipart(instance_bytes(name)))
    return Peer.parse(f"PACS={service.url}")


@pytest.mark.parametrize(
    "poison",
    [
        multipart(b"junk"),
        multipart(instance_bytes("bad", StudyInstanceUID="")),
        multipart(instance_bytes("bad", SOPClassUID=CTImageStorage)),
        (200, "multipart/related; boundary=xx", b"--xx"),
        (404, "text/plain", b""),
        (500, "text/plain", b"no"),
        (302, "/studies", b""),
        None,  # no answer, and the connection is closed
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_an_instance_that_is_never_given_whole_stops_no_other_and_is_left_alone(spool, service, poison):
    peer, spared = _pacs(service, ["bad", "one", "two"], bad=poison), Spared()
    assert polled(spool, peer, model=MODEL, since=TODAY, spared=spared) == 2
    assert len(spared) == 1
    first = len(_fetches(service, "bad"))
    assert polled(spool, peer, model=MODEL, since=TODAY, spared=spared) == 0
    assert len(_fetches(service, "bad")) == first == 1


def _fetches(service, name):
    return [path for path, *_ in service.asked if path.endswith(f"/instances/{uid(name)}")]


def test_an_instance_is_fetched_once_its_time_has_come_and_it_is_whole(spool, service, monkeypatch):
    peer, spared = _pacs(service, ["bad"], bad=(500, "text/plain", b"")), Spared()
    assert polled(spool, peer, model=MODEL, since=TODAY, spared=spared) == 0
    peer = _pacs(service, ["bad"])
    now = time.monotonic()
    monkeypatch.setattr(dicomweb_poller.time, "monotonic", lambda: now + 76)
    assert polled(spool, peer, model=MODEL, since=TODAY, spared=spared) == 1
    assert len(spared) == 0


def test_a_series_that_cannot_be_listed_stops_no_other(spool, service):
    peer = _pacs(service, ["bad", "one"])
    service.replies[f"/studies/{uid('study bad')}/series/{uid('series bad')}/instances"] = (200, "x", b"{}")
    assert polled(spool, peer, model=MODEL, since=TODAY) == 1


def test_a_pacs_that_gives_nothing_is_asked_for_a_few_alone(spool, service):
    names = [str(number) for number in range(20)]
    peer = _pacs(service, names, **dict.fromkeys(names, (500, "text/plain", b"")))
    with pytest.raises(ServiceError, match="500"):
        polled(spool, peer, model=MODEL, since=TODAY)
    assert sum(len(_fetches(service, name)) for name in names) <= 8


def test_a_pacs_that_is_away_is_no_object_s_fault(spool):
    spared = Spared()
    with pytest.raises(ServiceError) as raised:
        polled(spool, Peer.parse(f"PACS=http://127.0.0.1:{free_port()}"), model=MODEL, since=TODAY, spared=spared)
    assert raised.value.is_away
    assert len(spared) == 0


def test_one_broken_entry_of_a_list_is_passed_over(spool, service):
    peer = _pacs(service, ["one"])
    status, kind, body = service.replies["/series"]
    odd = b'[null, 3, [], {}, {"0020000D": 1}, {"0020000D": {"Value": {"a": [[[]]]}}}, '
    service.replies["/series"] = status, kind, odd + body[1:]
    assert polled(spool, peer, model=MODEL, since=TODAY) == 1


def test_a_service_that_gives_one_page_for_ever_is_asked_twice(service):
    service.replies = {"/series": listed(*({"0020000D": str(n)} for n in range(200)))}
    assert len(list(DicomWebService(service.url).search("/series", {}))) == 200
    assert len(service.asked) == 2


def test_an_answer_that_is_huge_is_not_read_to_its_end(service, monkeypatch):
    monkeypatch.setattr(dicomweb_client, "_MOST_JSON", 1000)
    service.replies = {"/series": (200, "application/json", b"[" + b"{}," * 100_000 + b"{}]")}
    with pytest.raises(ServiceError, match="more than 1000 bytes"):
        list(DicomWebService(service.url).search("/series", {}))


@pytest.mark.parametrize(
    ("reason", "expected"),
    [(0xA900, 0xA900), ("x", 0xC000), (float("inf"), 0xC000), (None, 0xC000), (10**30, 0x0000), ([], 0xC000)],
)
def test_any_failure_reason_is_read_as_a_status(reason, expected):
    answer = {"00081198": {"Value": [{"00081197": {"Value": [reason]}}]}}
    assert dicomweb_client.failure(answer) == expected


@pytest.mark.parametrize("poison", [400, 403, 404, 409, 413, 500, 503, 302, None])
def test_an_answer_that_a_service_never_takes_stops_no_other(tmp_path, service, poison):
    bad = instance_bytes("bad")
    service.replies = {
        "/studies": lambda body: (
            (poison and (poison, "text/plain", b"")) if uid("study bad").encode() in body else (200, "x", b"")
        )
    }
    peers = [f"PACS={service.url}"]
    node = DicomNode(FakeExaminer(), port=0, ae_title="X", spool=tmp_path / "s", peers=peers, pause_s=0.02)
    node.start()
    try:
        for data in (bad, instance_bytes("one"), instance_bytes("two")):
            stow_rs.put(node.spool, data, sender="PACS")
        until(lambda: node.counts()["delivered"] == 4 and node.counts()["undelivered"] == 0)
        until(lambda: node.counts()["failed"] == 2)
    finally:
        node.stop(WAIT_S)


def test_names_that_a_service_gives_are_not_trusted(spool, service):
    service.replies = {"/series": listed({"0020000D": "../../x", "0020000E": "1.2"})}
    assert polled(spool, Peer.parse(f"PACS={service.url}"), model=MODEL, since=TODAY) == 0
    assert {path.partition("?")[0] for path, *_ in service.asked} == {"/series"}


@pytest.mark.parametrize(
    "reply",
    [
        (200, "text/html", b"<html>"),
        (200, "application/json", b"{}"),
        (200, "application/json", b"[1]"),
        (200, "application/json", b"[" * 100000),
        (500, "text/plain", b"no"),
    ],
)
def test_a_service_that_answers_otherwise_is_an_error(service, reply):
    service.replies = {"/series": reply}
    with pytest.raises(ServiceError):
        list(DicomWebService(service.url).search("/series", {}))


@pytest.mark.parametrize("port", ["closed", "silent"])
def test_a_service_that_is_away_is_an_error(monkeypatch, port):
    monkeypatch.setattr(dicomweb_client, "_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        number = silent.getsockname()[1] if port == "silent" else free_port()
        with pytest.raises(ServiceError, match="no answer"):
            DicomWebService(f"http://127.0.0.1:{number}").store(b"x")


def test_more_bytes_than_an_image_may_have_are_not_fetched(service, monkeypatch):
    monkeypatch.setattr(dicomweb_client, "MAX_BYTES", 10_000)
    service.replies = {"/studies/1/series/2/instances/3": multipart(bytes(100_000))}
    with pytest.raises(ServiceError, match="more than"):
        DicomWebService(service.url).fetch("1", "2", "3")


@pytest.mark.parametrize("body", [b"", b"--xx", b"--xx\r\n\r\nabc", b"nothing\r\n\r\n\r\n--xx"])
def test_a_torn_multipart_body_is_an_error(service, body):
    service.replies = {"/studies/1/series/2/instances/3": (200, "multipart/related; boundary=xx", body)}
    with pytest.raises(ServiceError):
        DicomWebService(service.url).fetch("1", "2", "3")


def test_user_and_password_go_into_the_head_not_the_address(service):
    service.replies = {"/series": listed()}
    address = service.url.replace("http://", "http://me:p%40ss@")
    assert list(DicomWebService(address).search("/series", {})) == []
    assert service.asked[0][1]["Authorization"] == "Basic bWU6cEBzcw=="


@pytest.mark.parametrize(
    "call", [lambda service: list(service.search("/series", {})), lambda service: service.store(b"x")]
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nobody_sends_us_and_a_password_elsewhere(service, call, status):
    elsewhere = f"{service.url}/elsewhere"
    service.replies = dict.fromkeys(("/series", "/studies"), (status, elsewhere, b""))
    with pytest.raises(ServiceError, match=str(status)):
        call(DicomWebService(service.url.replace("http://", "http://me:secret@")))
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_an_error(head):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            link, _ = server.accept()
            with link:
                link.recv(1 << 16)
                link.sendall(head)

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(ServiceError):
            list(DicomWebService(f"http://127.0.0.1:{server.getsockname()[1]}").search("/series", {}))


@pytest.mark.parametrize(
    ("status", "body", "failed"),
    [
        (200, {}, 0),
        (202, {"00081198": {"Value": [{"00081197": {"Value": [0xC122]}}]}}, 2),
        (400, {}, 2),
        (409, {"00081198": {"Value": [{"00081197": {"Value": [0xA900]}}]}}, 2),
    ],
)
def test_answers_by_stow_end_as_the_service_says(tmp_path, service, status, body, failed):
    service.replies = {"/studies": (status, "application/dicom+json", json.dumps(body).encode())}
    peers = [f"PACS={service.url}"]
    node = DicomNode(FakeExaminer(), port=0, ae_title="X", spool=tmp_path / "s", peers=peers, pause_s=0.01)
    node.start()
    try:
        stow_rs.put(node.spool, instance_bytes(), sender="PACS")
        until(lambda: node.counts()["judged"] == 1 and node.counts()["undelivered"] == 0)
        assert node.counts()["failed"] == failed
        assert node.counts()["delivered"] == 2 - failed
    finally:
        node.stop(WAIT_S)
