"""The chain of deploy/compose.yaml with real processes: modality, Orthanc with its script, `plainfilm serve`, and the report back in Orthanc."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from made_dicom import free_port, has, instance_bytes, uid
from made_orthanc import PLUGIN, Orthanc, missing, own_network
from made_requests import started
from waiting import WAIT_S, until

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing() or "-")]
OURS = {
    "--host",
    "--token-file",
    "--allow-host",
    "--dicom-port",
    "--spool",
    "--peer",
    "--log-answers",
}  # said anew below


@pytest.mark.skipif(not has("storescu"), reason="needs storescu (Debian's dcmtk)")
def test_a_modality_sends_to_orthanc_and_the_report_comes_back_there(small_bundle, tmp_path):
    settings = json.loads((DEPLOY / "orthanc.json").read_text())
    settings |= {
        "LuaScripts": [str(DEPLOY / "to_plainfilm.lua")],
        "Plugins": [str(PLUGIN)],
        "AuthenticationEnabled": False,
        "RemoteAccessAllowed": False,
    }
    for name in ("DicomPort", "HttpPort", "StorageDirectory", "IndexDirectory", "DicomModalities"):
        settings.pop(name)
    title = settings["DicomAet"]
    command = re.findall(r"^ +- (--[a-z-]+)=(\S+)$", (DEPLOY / "compose.yaml").read_text(), re.M)
    kept = [f"{flag}={value}" for flag, value in command if flag not in OURS]
    assert kept == ["--ae-title=PLAINFILM", "--answer-to=ORTHANC"]
    with own_network():
        port = free_port()
        pacs = Orthanc(tmp_path / "orthanc", {"plainfilm": ("PLAINFILM", "127.0.0.1", port)}, **settings)
        try:
            where = [
                "--dicom-port",
                port,
                "--spool",
                tmp_path / "spool",
                "--peer",
                f"{title}=127.0.0.1:{pacs.dicom_port}",
            ]
            with started(small_bundle, tmp_path / "log", *kept, *where, "--log-answers", tmp_path / "answers.jsonl"):
                film = tmp_path / "film.dcm"
                film.write_bytes(instance_bytes("deployed"))
                subprocess.run(
                    ["storescu", "127.0.0.1", str(pacs.dicom_port), "-aec", title, str(film)],
                    check=True,
                    timeout=WAIT_S,
                )
                until(lambda: len(pacs.of_modality("SR")) == 1 and len(pacs.of_modality("OT")) == 1)
                (report,) = pacs.of_modality("SR")
                assert pacs.ask(f"/instances/{report['ID']}/tags?simplify")["StudyInstanceUID"] == uid("study deployed")
                assert len(pacs.of_modality("CR")) == 1, "the answers were not sent on to be answered"
            answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
            assert [line["event"] for line in answers] == ["start", "answer"]
        finally:
            pacs.close()
