"""The round trip with a real PACS: a radiograph goes to Orthanc, Orthanc's answers come from the node."""

import datetime
import subprocess
import time
import urllib.request

import highdicom as hd
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from made_dicom import FakeExaminer, free_port, has, instance, instance_bytes, sent, uid
from made_orthanc import Orthanc, missing, own_network
from plainfilm.serve.dicom.dicomweb_client import DicomWebService
from plainfilm.serve.dicom.node import DicomNode
from waiting import WAIT_S, until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing() or "-")]


@pytest.fixture(scope="module")
def network():
    with own_network():
        yield


@pytest.fixture(scope="module")
def ports(network):
    return {"node": free_port()}


@pytest.fixture(scope="module")
def pacs(network, ports, tmp_path_factory):
    running = Orthanc(tmp_path_factory.mktemp("orthanc"), {"NODE": ("PLAINFILM", "127.0.0.1", ports["node"])})
    yield running
    running.close()


@pytest.fixture
def start(pacs, ports, tmp_path):
    running = []

    def started(peer, **options):
        node = DicomNode(
            FakeExaminer(),
            port=ports["node"],
            ae_title="PLAINFILM",
            spool=tmp_path / "spool",
            peers=[f"PACS={peer}"],
            pause_s=0.2,
            **options,
        )
        node.start()
        running.append(node)
        return node

    yield started
    for node in running:
        node.stop(WAIT_S)


def found_by_c_find(pacs, study: str) -> set[str]:
    from pydicom.dataset import Dataset

    entity = AE("FINDER")
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    association = entity.associate("127.0.0.1", pacs.dicom_port, ae_title="PACS")
    query = Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID, query.Modality, query.SeriesInstanceUID = "SERIES", study, "", ""
    answers = association.send_c_find(query, StudyRootQueryRetrieveInformationModelFind)
    modalities = {answer.Modality for status, answer in answers if status.Status in {0xFF00, 0xFF01}}
    association.release()
    return modalities


def stowed(pacs, name: str, **elements) -> None:
    DicomWebService(pacs.dicomweb).store(instance_bytes(name, **elements))


@pytest.mark.skipif(not has("storescu"), reason="needs storescu (Debian's dcmtk)")
def test_in_and_out_over_dicom(pacs, start, tmp_path):
    start(f"127.0.0.1:{pacs.dicom_port}")
    file = tmp_path / "one.dcm"
    file.write_bytes(instance_bytes("by dicom", PatientName="Müller^Jürgen", SpecificCharacterSet="ISO_IR 100"))
    subprocess.run(
        ["storescu", "127.0.0.1", str(pacs.dicom_port), "-aec", "PACS", str(file)], check=True, timeout=WAIT_S
    )
    (image,) = pacs.of_modality("CR")
    pacs.ask("/modalities/NODE/store", {"Resources": [image["ID"]], "Synchronous": True})
    study = uid("study by dicom")
    until(lambda: found_by_c_find(pacs, study) == {"CR", "SR", "OT"})
    (patient,) = pacs.ask("/patients?expand")
    assert patient["MainDicomTags"]["PatientID"] == "P-1"
    assert len(patient["Studies"]) == 1
    by_qido = DicomWebService(pacs.dicomweb).search(f"/studies/{study}/series", {})
    assert {each["00080060"]["Value"][0] for each in by_qido} == {"CR", "SR", "OT"}
    (report,) = pacs.of_modality("SR")
    with urllib.request.urlopen(f"{pacs.url}/instances/{report['ID']}/file") as answer:
        (tmp_path / "sr.dcm").write_bytes(answer.read())
    read = hd.sr.srread(tmp_path / "sr.dcm")
    assert str(read.PatientName) == "Müller^Jürgen"
    assert read.CurrentRequestedProcedureEvidenceSequence[0].StudyInstanceUID == study


def test_in_and_out_over_dicomweb_alone(pacs, start):
    stowed(pacs, "by web")
    stowed(pacs, "long ago", StudyDate="20010101")
    before = len(pacs.of_modality("SR"))
    node = start(pacs.dicomweb, poll="PACS", poll_every_s=0.3, poll_since=lambda: datetime.date(2026, 11, 25))
    until(lambda: node.counts()["delivered"] >= 2 and len(pacs.of_modality("SR")) > before)
    study = uid("study by web")
    modalities = {
        each["00080060"]["Value"][0] for each in DicomWebService(pacs.dicomweb).search(f"/studies/{study}/series", {})
    }
    assert modalities == {"CR", "SR", "OT"}
    assert not list(
        DicomWebService(pacs.dicomweb).search("/series", {"Modality": "SR", "StudyInstanceUID": uid("study long ago")})
    )


def test_what_has_a_report_in_the_pacs_is_not_judged_by_a_node_that_forgot(pacs, start, tmp_path):
    stowed(pacs, "answered already")
    first = start(pacs.dicomweb, poll="PACS", poll_every_s=0.3, poll_since=lambda: datetime.date(2026, 11, 25))
    until(
        lambda: (
            len(list(DicomWebService(pacs.dicomweb).search(f"/studies/{uid('study answered already')}/series", {})))
            == 3
        )
    )
    until(lambda: first.counts()["undelivered"] == 0)
    first.stop(WAIT_S)
    (tmp_path / "spool" / "journal").unlink()
    again = start(pacs.dicomweb, poll="PACS", poll_every_s=0.2, poll_since=lambda: datetime.date(2026, 11, 25))
    time.sleep(1.5)
    assert again.counts()["received"] == 0


def test_a_pacs_that_is_restarted_gets_what_waited(pacs, start, network):
    node = start(f"127.0.0.1:{free_port()}")
    assert sent(node.port, instance("for later")) == [0]
    until(lambda: node.counts()["judged"] == 1)
    assert node.counts()["delivered"] == 0
    node.stop(WAIT_S)
    start(f"127.0.0.1:{pacs.dicom_port}")
    until(lambda: found_by_c_find(pacs, uid("study for later")) == {"SR", "OT"})
