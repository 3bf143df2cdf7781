"""What the node lets out of a header, against the second table of docs/privacy.md."""

import logging
import re
from pathlib import Path

from made_dicom import Archive, FakeExaminer, instance, sent
from plainfilm.serve.dicom.node import DicomNode
from waiting import until

DOCS = Path(__file__).parents[3] / "docs" / "privacy.md"
MARKS = {"patient": "Qpatq", "institution": "Qinsq", "text": "Qtexq"}


def told(contents):
    return ["yes" if any(mark.encode() in each for each in contents) else "no" for mark in MARKS.values()]


def test_of_a_header_answers_have_the_patient_and_logs_and_spool_have_nothing(tmp_path, caplog):
    archive = Archive()
    header = {"PatientName": "Qpatq^Jane", "PatientID": "Qpatq-1", "OtherPatientIDs": "Qpatq-2", "InstitutionName": "Qinsq",
              "StationName": "Qinsq", "StudyDescription": "Qtexq", "PatientComments": "Qtexq", "ImageComments": "Qtexq",
              "ReferringPhysicianName": "Qtexq^A"}  # fmt: skip
    with caplog.at_level(logging.DEBUG):
        node = DicomNode(FakeExaminer(), port=0, ae_title="PLAINFILM", peers=[f"PACS=127.0.0.1:{archive.port}"],
                         spool=tmp_path / "spool", pause_s=0.1)  # fmt: skip
        node.start()
        try:
            sent(node.port, instance(**header))
            until(lambda: len(archive.got) >= 2)
            until(lambda: not [path for path in (tmp_path / "spool" / "outbox").rglob("*") if path.is_file()])
        finally:
            node.stop()
            archive.close()
    answers = [repr(each).encode() for each in archive.got]
    spool = [path.read_bytes() for path in (tmp_path / "spool").rglob("*") if path.is_file()]
    ours = [
        record.getMessage() + repr(record.__dict__) for record in caplog.records if record.name.startswith("plainfilm")
    ]
    rows = re.findall(
        r"^\| ([^|]+) \| (yes|no) \| (yes|no) \| (yes|no) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE
    )
    table = {place.split()[0]: found for place, *found in rows}
    assert table == {"answers": told(answers), "spool,": told(spool), "log": told([line.encode() for line in ours])}
    assert ours
    assert spool
