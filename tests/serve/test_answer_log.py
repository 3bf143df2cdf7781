"""The log of answers: whole lines whatever happens to the process, the disk or the file."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from plainfilm.errors import UsageError
from plainfilm.evidence.drift.log import read
from plainfilm.results.drift import LoggedAnswer, LogStart
from plainfilm.serve.answer_log import AnswerLog

BUNDLE = "ab" * 32
START = LogStart(time="2026-01-05T08:00:00+00:00", bundle=BUNDLE, version="0", classes=("COVID", "NORMAL"))
WRITES = """
import sys
from pathlib import Path
from plainfilm.results.drift import LoggedAnswer, LogStart
from plainfilm.serve.answer_log import AnswerLog
log = AnswerLog(Path(sys.argv[1]))
for number in range(10**9):
    log.answer(LoggedAnswer(time="2026-01-05T08:00:00+00:00", bundle="b", image=f"{number:064x}", answer="COVID", level="ok"))
    print(number, flush=True)
"""


def line(number):
    return LoggedAnswer(
        time=START.time, bundle=BUNDLE, image=f"{number:064x}", answer="COVID", level="ok", scores=(0.9, 0.1)
    )


def images(path):
    return [int(each.image, 16) for each in read([path]) if isinstance(each, LoggedAnswer)]


@pytest.fixture
def log(tmp_path):
    made = AnswerLog(tmp_path / "answers.jsonl")
    made.begin(BUNDLE, START)
    yield made
    made.close()


def test_answers_of_many_threads_stand_on_a_line_each_for_the_owner_alone(log, tmp_path):
    threads = [
        threading.Thread(target=lambda own=own: [log.answer(line(100 * own + number)) for number in range(50)])
        for own in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(images(tmp_path / "answers.jsonl")) == [
        100 * own + number for own in range(8) for number in range(50)
    ]
    assert log.written == 400
    assert (tmp_path / "answers.jsonl").stat().st_mode & 0o777 == 0o600


def test_what_was_given_before_a_kill_stands_in_the_log(tmp_path):
    path = tmp_path / "log"
    with subprocess.Popen([sys.executable, "-c", WRITES, path], stdout=subprocess.PIPE, text=True) as writer:
        last = [writer.stdout.readline() for _ in range(200)][-1]
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
    given = int(rest[-1] if rest else last)
    assert images(path)[: given + 1] == list(range(given + 1))


def test_a_line_that_a_failure_of_power_cut_short_spoils_no_other(log, tmp_path):
    path = tmp_path / "answers.jsonl"
    log.answer(line(1))
    log.close()
    with path.open("ab") as file:
        file.write(b'{"event":"answer","time":"2026')
    again = AnswerLog(path)
    again.answer(line(2))
    again.close()
    assert images(path) == [1, 2]


def test_a_file_that_is_moved_away_is_begun_anew_with_the_bundles(log, tmp_path):
    log.answer(line(1))
    (tmp_path / "answers.jsonl").rename(tmp_path / "answers.jsonl.1")
    log.answer(line(2))
    assert images(tmp_path / "answers.jsonl.1") == [1]
    told = list(read([tmp_path / "answers.jsonl"]))
    assert told[0] == START
    assert images(tmp_path / "answers.jsonl") == [2]


def test_a_full_disk_stops_no_answer_is_said_once_and_costs_no_whole_line(log, tmp_path, monkeypatch, caplog):
    log.answer(line(1))
    real, room = os.write, [20]

    def write(file, text):
        if not room:
            return real(file, text)
        taken = min(room[0], len(text))
        room[0] -= taken
        if not taken:
            raise OSError(28, "No space left on device")
        return real(file, text[:taken])

    monkeypatch.setattr(os, "write", write)
    for number in range(5):
        log.answer(line(10 + number))
    assert (log.written, log.lost) == (1, 5)
    assert [record.getMessage() for record in caplog.records] == ["answers not logged"]
    room.clear()
    log.answer(line(3))
    assert images(tmp_path / "answers.jsonl") == [1, 3]
    assert log.written == 2


def test_a_log_that_cannot_be_opened_costs_answers_and_no_file_of_another(tmp_path):
    path = tmp_path / "answers.jsonl"
    own = AnswerLog(path)
    own.begin(BUNDLE, START)
    path.unlink()
    path.mkdir()  # no file can be opened there now
    own.answer(line(1))
    others = [os.open(tmp_path / f"{number}", os.O_CREAT | os.O_RDWR) for number in range(3)]
    own.answer(line(2))
    for each in others:
        os.close(each)  # which fails where somebody has closed it
    path.rmdir()
    own.answer(line(3))
    assert (own.written, own.lost, images(path)) == (1, 2, [3])
    assert next(iter(read([path]))) == START
    own.close()


def test_a_full_disk_delays_what_is_said_of_a_bundle_and_does_not_lose_it(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    own = AnswerLog(tmp_path / "late.jsonl")
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        own.begin(BUNDLE, START)
    own.answer(line(1))
    assert [type(each) for each in read([tmp_path / "late.jsonl"])] == [LogStart, LoggedAnswer]
    own.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
def test_a_disk_that_is_full_from_the_start_stops_no_answer():
    log = AnswerLog(Path("/dev/full"))
    log.answer(line(1))
    assert (log.written, log.lost) == (0, 1)
    log.close()


def test_a_place_that_cannot_be_written_is_told_before_anything_is_served(tmp_path):
    with pytest.raises(UsageError, match="--log-answers to name a file to append to"):
        AnswerLog(tmp_path)
