"""One report a study (docs/dicom.md): films are judged as they come, and answered together once no more of them do."""

import time
from dataclasses import replace

import pytest

from made_dicom import Archive, FakeExaminer, files_below, instance, sent, uid
from plainfilm.errors import UsageError
from plainfilm.serve.dicom.node import DicomNode
from waiting import WAIT_S, until


@pytest.fixture
def archive():
    made = Archive()
    yield made
    made.close()


@pytest.fixture
def start(tmp_path, archive):
    running = []

    def started(examiner=None, **options):
        options = {"by": "study", "quiet_s": 0.6, "peers": [f"PACS=127.0.0.1:{archive.port}"], **options}
        node = DicomNode(
            examiner or FakeExaminer(), port=0, ae_title="PLAINFILM", spool=tmp_path / "spool", pause_s=0.1, **options
        )
        node.start()
        running.append(node)
        return node

    yield started
    for node in running:
        node.stop(WAIT_S)


def films(study, *names):
    return [instance(name, StudyInstanceUID=uid(study)) for name in names]


def test_the_films_of_a_study_have_one_report_that_refers_to_all_and_a_picture_of_the_deciding_one(
    start, archive, tmp_path
):
    node = start()
    first, other = films("one", "a", "b", "c"), films("two", "d")
    assert sent(node.port, *first, *other) == [0] * 4
    until(lambda: len(archive.got) == 4)
    time.sleep(0.3)
    assert sorted(each.Modality for each in archive.got) == ["OT", "OT", "SR", "SR"]
    by_study = {each.StudyInstanceUID: each for each in archive.reports()}
    assert set(by_study) == {uid("one"), uid("two")}
    report = by_study[uid("one")]
    named = {
        item.ReferencedSOPInstanceUID
        for series in report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert named == {film.SOPInstanceUID for film in first}
    pictures = {each.StudyInstanceUID: each for each in archive.got if each.Modality == "OT"}
    (shown,) = pictures[uid("one")].SourceImageSequence
    assert shown.ReferencedSOPInstanceUID == first[-1].SOPInstanceUID
    until(lambda: files_below(tmp_path / "spool") == ["journal", "judging", "lock"])
    counts = node.counts()
    assert (counts["received"], counts["judged"], counts["delivered"], counts["waiting"]) == (4, 4, 4, 0)


def test_a_picture_that_cannot_be_made_leaves_the_report(start, archive):
    class NoPicture(FakeExaminer):
        def deciding(self, films):  # noqa: ARG002 - as Examiner
            raise RuntimeError("no picture")

    node = start(NoPicture())
    assert sent(node.port, *films("one", "a", "b")) == [0, 0]
    until(lambda: len(archive.got) == 1)
    time.sleep(0.3)
    assert [each.Modality for each in archive.got] == ["SR"]


def test_a_study_waits_for_its_last_film_and_films_survive_a_stop(start, archive):
    examiner = FakeExaminer()
    node = start(examiner, quiet_s=60)
    assert sent(node.port, *films("one", "a", "b")) == [0, 0]
    until(lambda: len(examiner.asked) == 2)
    assert archive.got == []
    assert node.counts()["waiting"] == 2
    node.stop(WAIT_S)
    start(quiet_s=0.3)
    until(lambda: len(archive.reports()) == 1)
    assert archive.reports()[0].StudyInstanceUID == uid("one")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quiet_s": 0}, "above 0 and at most 10,000 s; received 0."),
        ({"by": None, "quiet_s": 5}, "received none. Add it, or leave"),
    ],
)
def test_a_time_to_wait_that_cannot_be_meant_is_one_line(start, options, said):
    with pytest.raises(UsageError, match=said):
        start(**options)


def test_a_model_that_does_not_know_how_is_refused_at_the_start(start):
    class Older(FakeExaminer):
        def check_studies(self):
            raise UsageError("Expected a bundle that knows how several films become one answer.")

    with pytest.raises(UsageError, match="knows how several films become one"):
        start(Older())


def test_a_study_that_another_model_is_taken_over_in_has_a_report_of_each(start, archive):
    first, second = FakeExaminer(), FakeExaminer()
    second.identity = replace(first.identity, sha256="2" * 64)
    node = start(first, quiet_s=1.5)
    one, two = films("one", "a", "b")
    assert sent(node.port, one) == [0]
    until(lambda: first.asked)
    node.answer_by(second)
    assert sent(node.port, two) == [0]
    until(lambda: len(archive.got) == 4)
    assert (len(first.asked), len(second.asked)) == (2, 2), "a film each, and its picture"
    assert len({report.SOPInstanceUID for report in archive.reports()}) == 2


def test_a_model_that_does_not_know_how_does_not_take_over(start):
    class Knowing(FakeExaminer):
        def check_studies(self):
            raise UsageError("Expected a bundle that says how.")

    own = FakeExaminer()
    node = start(own)
    with pytest.raises(UsageError):
        node.answer_by(Knowing())
    assert node._worker.examiner is own
