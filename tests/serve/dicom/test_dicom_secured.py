"""The node over TLS, as docs/dicom.md has it: dcmtk's clients in, a PACS over TLS out, and who has no certificate, another's, or stalls."""

import logging
import socket
import ssl
import subprocess
from contextlib import contextmanager

import pytest

from made_certificates import authority
from made_dicom import Archive, FakeExaminer, echoed, has, instance, instance_bytes, request, sent
from plainfilm.errors import UsageError
from plainfilm.serve.dicom import bounded_association
from plainfilm.serve.dicom.node import DicomNode
from plainfilm.serve.dicom.secured import Certificates
from waiting import WAIT_S, until

CALLED = ("-aet", "PACS", "-aec", "PLAINFILM", "127.0.0.1")
needs_dcmtk = pytest.mark.skipif(not has("echoscu", "storescu"), reason="needs echoscu and storescu (Debian's dcmtk)")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Certificates of the node and the PACS, of one authority, and a stranger's of another."""
    folder = tmp_path_factory.mktemp("certificates")
    authority(folder / "hospital", "node", "pacs")
    authority(folder / "stranger", "guest")
    authority(folder / "elsewhere", "other", address="127.0.0.9")
    return folder


def certificates(files, *, own="hospital/node", by="hospital/ca.pem"):
    return Certificates(
        certificate=files / f"{own}.pem", key=files / f"{own}.key", authority=files / by if by else None
    )


@contextmanager
def running(tmp_path, secured, peer="127.0.0.1:104"):
    node = DicomNode(
        FakeExaminer(), port=0, ae_title="PLAINFILM", spool=tmp_path / "spool", peers=[f"PACS={peer}"], pause_s=0.1,
        certificates=secured,
    )  # fmt: skip
    node.start()
    try:
        yield node
    finally:
        node.stop(WAIT_S)


def dcmtk(program, port, *words, files, own="hospital/pacs", by="hospital/ca.pem", more=()):
    """Run one of dcmtk's clients over TLS; whether it came to its end without a fault."""
    shown = ["+tls", files / f"{own}.key", files / f"{own}.pem"] if own else ["+tla"]
    command = [program, *shown, "+cf", files / by, *words, *CALLED, str(port), *more]
    return subprocess.run(command, capture_output=True, timeout=WAIT_S, check=False).returncode == 0


@needs_dcmtk
def test_dcmtk_echoes_and_stores_over_tls_and_the_answer_goes_back_over_tls(files, tmp_path):
    pacs = Archive(secured=certificates(files, own="hospital/pacs").inward())
    try:
        with running(tmp_path, certificates(files), f"tls://127.0.0.1:{pacs.port}") as node:
            assert dcmtk("echoscu", node.port, files=files)
            (tmp_path / "one.dcm").write_bytes(instance_bytes())
            assert dcmtk("storescu", node.port, files=files, more=[tmp_path / "one.dcm"])
            until(lambda: len(pacs.got) == 2)
            until(lambda: node.counts()["delivered"] == 2)
    finally:
        pacs.close()


@needs_dcmtk
def test_who_has_no_certificate_of_the_authority_is_turned_away_and_it_is_logged(files, tmp_path, caplog):
    with running(tmp_path, certificates(files)) as node, caplog.at_level(logging.INFO):
        assert not dcmtk("echoscu", node.port, files=files, own="")
        assert not dcmtk("echoscu", node.port, files=files, own="stranger/guest", by="hospital/ca.pem")
        assert echoed(node.port) is None  # in the clear
        until(lambda: len(reasons(caplog)) == 3)
        assert all(reason.startswith("TLS: ") for reason in reasons(caplog))
        assert dcmtk("echoscu", node.port, files=files)


def reasons(caplog):
    return [record.event["reason"] for record in caplog.records if record.message == "dicom.aborted"]


@needs_dcmtk
def test_without_an_authority_who_calls_needs_no_certificate(files, tmp_path):
    with running(tmp_path, certificates(files, by=None)) as node:
        assert dcmtk("echoscu", node.port, files=files, own="")


def test_a_handshake_that_stalls_keeps_no_one_out_and_ends_in_time(files, tmp_path, monkeypatch):
    monkeypatch.setattr(bounded_association, "_PDU_S", 1.0)
    trusted = certificates(files, own="hospital/pacs").outward()
    with running(tmp_path, certificates(files)) as node:
        address = ("127.0.0.1", node.port)
        with socket.create_connection(address, WAIT_S), socket.create_connection(address, WAIT_S) as half:
            half.sendall(b"\x16\x03\x01\x02\x00\x01")  # a ClientHello that never comes to its end
            link = socket.create_connection(address, WAIT_S)
            with trusted.wrap_socket(link, server_hostname="127.0.0.1") as safe:
                safe.sendall(request())
                assert safe.recv(1) == b"\x02"  # A-ASSOCIATE-AC
            half.settimeout(WAIT_S)
            assert half.recv(100) == b""


@pytest.mark.parametrize("own", ["stranger/guest", "elsewhere/other"])
def test_answers_do_not_go_to_a_pacs_whose_certificate_is_anothers_or_of_another_name(files, tmp_path, caplog, own):
    pacs = Archive(secured=certificates(files, own=own, by=None).inward())
    trusting = certificates(files, by="hospital/ca.pem" if own.startswith("stranger") else "elsewhere/ca.pem")
    try:
        with running(tmp_path, Certificates(authority=None), f"tls://127.0.0.1:{pacs.port}") as node:
            for sender in node._senders:
                sender._line._secured = (trusting.outward(), "127.0.0.1")
            assert sent(node.port, instance()) == [0]
            until(lambda: any(record.message == "dicom.away" for record in caplog.records))
            assert not pacs.got
            assert node.counts()["undelivered"] == 1
    finally:
        pacs.close()


def test_a_rejected_association_is_logged_with_the_title_that_was_asked_for(tmp_path, caplog):
    with running(tmp_path, None) as node, caplog.at_level(logging.WARNING):
        assert echoed(node.port, called="PLAINFILN") is None
        with socket.create_connection(("127.0.0.1", node.port), WAIT_S) as raw:
            raw.sendall(request(called=b"\x1b[31mEVIL\n{", calling=b"STRANGER\x07"))
            assert raw.recv(1) in {b"\x03", b"\x07", b""}
        until(lambda: len(rejections(caplog)) >= 1)
        assert rejections(caplog)[0] == {"called": "PLAINFILN", "calling": "PACS"}
        for told in rejections(caplog):
            assert all(title.isprintable() and len(title) <= 16 for title in told.values())


def rejections(caplog):
    return [record.event for record in caplog.records if record.message == "dicom.rejected"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"certificate": "hospital/node.pem"}, "--dicom-tls-cert and --dicom-tls-key together"),
        ({"certificate": "hospital/node.pem", "key": "hospital/pacs.key"}, "a certificate and its key as PEM"),
        ({"certificate": "hospital/node.pem", "key": "none.key"}, "a PEM file; received"),
        ({"authority": "hospital/ca.pem"}, "--dicom-tls-cert and --dicom-tls-key with --dicom-tls-ca"),
        (
            {"certificate": "hospital/node.pem", "key": "hospital/node.key", "authority": "hospital/node.key"},
            "certificates of an authority as PEM",
        ),
    ],
)
def test_files_that_do_not_fit_each_other_are_refused_by_their_flags(files, given, said):
    with pytest.raises(UsageError, match=f"^Expected {said}") as caught:
        Certificates(**{name: files / path for name, path in given.items()})
    assert "\n" not in str(caught.value)


def test_old_versions_of_tls_are_not_spoken(files):
    for context in (certificates(files).inward(), certificates(files).outward()):
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
