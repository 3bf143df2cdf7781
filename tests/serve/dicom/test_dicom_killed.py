"""A node that is killed again and again answers everything once all the same."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from made_dicom import Archive, echoed, files_below, free_port, instance, sent
from waiting import until

pytestmark = pytest.mark.slow

NODE = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from made_dicom import FakeExaminer
from plainfilm.serve.dicom.node import DicomNode
peers = [f"PACS=127.0.0.1:{sys.argv[4]}"]
DicomNode(FakeExaminer(seconds=0.03), port=int(sys.argv[2]), ae_title="PLAINFILM", spool=Path(sys.argv[3]), peers=peers).start()
time.sleep(3600)
"""


def test_nothing_is_lost_and_nothing_comes_twice(tmp_path):
    archive, port, images = Archive(), free_port(), [instance(str(number)) for number in range(48)]
    command = [sys.executable, "-c", NODE, Path(__file__).parents[2], port, tmp_path / "spool", archive.port]
    drawn = random.Random(0)
    try:
        for life in range(4):
            process = subprocess.Popen([str(word) for word in command])
            try:
                until(lambda: echoed(port) == 0)
                assert sent(port, *images[12 * life :][:12]) == [0] * 12

                if life < 3:
                    time.sleep(drawn.uniform(0.0, 0.6))
                else:
                    until(lambda: len({each.SOPInstanceUID for each in archive.got}) == 2 * len(images))
                    until(lambda: files_below(tmp_path / "spool") == ["journal", "judging", "lock"])
            finally:
                process.kill()
                process.wait()
    finally:
        archive.close()
    reports = {each.SOPInstanceUID for each in archive.reports()}
    assert len(reports) == len(images)
    assert len({each.StudyInstanceUID for each in archive.reports()}) == len(images)
    assert len(archive.got) <= 2 * len(images) + 5  # one under way at each kill may come again, as the same object
