"""Jobs as the line runs them: with commands that cost little, in processes of their own."""

import errno
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from plainfilm.app import jobs, locks, runner
from plainfilm.app.commands import Work
from plainfilm.app.jobs import Line
from plainfilm.serve.http_errors import Refused
from waiting import until

QUICK = ("presets",)
FAILING = ("info", "/no/such/store.h5")


@pytest.fixture
def line(places):
    found = Line(places.own / "jobs")
    yield found
    for job in list(found.jobs.values()):
        if job.state == "running":
            found.stop(job)
            until(lambda job=job: job.state != "running")


@pytest.fixture
def long(tmp_path):
    """A command that runs until it is stopped, as Ctrl-C stops it."""
    (tmp_path / "other").mkdir()
    return ("app", "--root", str(tmp_path / "other"), "--no-browser")


def added(line, places, *commands, verb="train"):
    made = [places.work / "films" / f"made-{number}" for number in range(len(commands))]
    return line.add(Work("films", verb, commands, made))


def rested(line, job):
    def over():
        line.tend()
        return job.state not in {"waiting", "running"}

    until(over)
    return job.state


def running(line, job):
    line.tend()
    until(lambda: (job.folder / runner.BEGUN).exists())
    until(lambda: (job.folder / "stdout-0").stat().st_size)
    assert job.state == "running"


def refusal(act, *asked):
    with pytest.raises(Refused) as refused:
        act(*asked)
    return refused.value.status, refused.value.code


def test_commands_run_one_after_another_and_the_jobs_behind_them_wait(line, places):
    first, second = added(line, places, QUICK, QUICK), added(line, places, QUICK)
    assert [first.state, second.state] == ["waiting", "waiting"]
    assert line.tend()
    assert [first.state, second.state] == ["running", "waiting"]
    assert [(told["state"], told["place"]) for told in line.told({})] == [("waiting", 1), ("running", None)]
    assert rested(line, first) == "done"
    assert (first.step, rested(line, second)) == (1, "done")
    assert "covidx" in (first.folder / "stdout-1").read_text().lower()


def test_a_failure_is_the_line_of_the_terminal_and_ends_the_job(line, places):
    job = added(line, places, FAILING, QUICK)
    assert rested(line, job) == "failed"
    (told,) = line.told({})
    assert (
        told["line"]
        == "Expected a store, a bundle or a run folder; received /no/such/store.h5, which does not exist. Give the path of one."
    )
    assert (told["step"], told["commands"][0]) == (0, "plainfilm info /no/such/store.h5")
    assert not (job.folder / "stdout-1").exists()


def test_a_job_is_stopped_as_ctrl_c_stops_it_and_goes_on(line, places, long):
    job = added(line, places, long)
    running(line, job)
    line.stop(job)
    assert rested(line, job) in {"stopped", "done"}  # what ends well when it is stopped is done
    line.jobs[job.name].told["commands"][0] = list(FAILING)
    job._ended = None
    locks.write(job.folder / runner.ENDED, json.dumps({"code": 130, "step": 0, "stopped": True, "at": 1.0}).encode())
    assert job.state == "stopped"
    line.again(job)
    assert job.state == "waiting"
    assert rested(line, job) == "failed"


def test_what_was_made_is_not_made_again(line, places):
    job = added(line, places, QUICK, FAILING)
    assert rested(line, job) == "failed"
    until(lambda: not locks.is_held(job.folder / runner.RUNNING))
    first = (job.folder / "stdout-0").stat().st_mtime_ns
    for made in job.makes:  # the second came to its end too, but nobody was there to note it
        made.mkdir(parents=True)
    line.again(job)
    assert rested(line, job) == "done"
    assert (job.folder / "stdout-0").stat().st_mtime_ns == first


def test_what_was_taken_away_since_is_made_again(line, places):
    job = added(line, places, QUICK, FAILING)
    assert rested(line, job) == "failed"
    line.again(job)  # what the first command makes is not there
    assert job.told["first"] == 0
    assert not (job.folder / "stdout-0").exists()
    assert rested(line, job) == "failed"
    job.makes[0].mkdir(parents=True)
    line.again(job)
    assert job.told["first"] == 1


def test_another_app_finds_jobs_again(line, places, long):
    job, waits = added(line, places, long), added(line, places, QUICK)
    running(line, job)
    other = Line(places.own / "jobs")
    assert [other.jobs[each.name].state for each in (job, waits)] == ["running", "waiting"]
    other.tend()
    assert other.jobs[waits.name].state == "waiting"
    other.stop(other.jobs[job.name])
    until(lambda: other.tend() and other.jobs[waits.name].state != "waiting")
    until(lambda: other.jobs[waits.name].state == "done")


def test_a_job_whose_processes_were_killed_is_interrupted_and_goes_on(line, places, long):
    job = added(line, places, long)
    running(line, job)
    os.kill(json.loads((job.folder / runner.BEGUN).read_bytes())["pid"], signal.SIGKILL)
    assert rested(line, job) == "failed"
    assert "ended by signal 9" in line.told({})[0]["line"]
    line.again(job)
    running(line, job)
    assert job.process
    job.process.kill()  # who minds the command
    job.process.wait()
    assert job.state == "running", "the command lives on"
    line.stop(job)
    until(lambda: job.state != "running")
    assert job.state == "interrupted"
    assert "Go on" in line.told({})[0]["line"]


def test_a_suspended_command_that_nobody_minds_ends_when_it_is_stopped_twice(line, places, long):
    job = added(line, places, long)
    running(line, job)
    begun = json.loads((job.folder / runner.BEGUN).read_bytes())
    os.kill(begun["pid"], signal.SIGSTOP)
    job.process.kill()
    job.process.wait()
    line.stop(job)
    assert job.state == "running"
    line.stop(job)
    until(lambda: job.state == "interrupted")


def test_a_clock_that_is_set_back_lets_no_job_in_before_the_others(line, places, monkeypatch):
    first = added(line, places, QUICK)
    monkeypatch.setattr(jobs.time, "time", lambda: 1.0)
    second = added(line, places, QUICK)
    assert line.waiting() == [first, second]


def test_the_next_job_is_chosen_and_others_are_forgotten(line, places):
    one, two, three = (added(line, places, QUICK) for _ in range(3))
    line.first(three)
    assert [job.name for job in line.waiting()] == [three.name, one.name, two.name]
    line.stop(one)
    assert (one.state, one.line(one.state)) == ("stopped", "It was stopped. Go on: what was finished is kept.")
    assert refusal(line.first, one) == (409, "state")
    line.forget(one)
    assert not one.folder.exists()
    assert refusal(line.find, one.name) == (404, "job")
    assert {*Line(places.own / "jobs").jobs} == {two.name, three.name}
    assert line.claimed() == {places.work / "films" / "made-0"}


def test_only_what_fits_is_done_to_a_job(line, places):
    job = added(line, places, QUICK)
    assert refusal(line.again, job) == (409, "state")
    rested(line, job)
    for act in (line.stop, line.again, line.first):
        assert refusal(act, job) == (409, "state")


def test_an_interrupted_fine_tuning_goes_on_from_its_last_epoch(line, places):
    job = added(line, places, ("train", "/no/store.h5", "--out", str(places.work / "films" / "made-0")))
    assert rested(line, job) == "failed"
    (places.work / "films" / ".made-0.epochs").mkdir()
    line.again(job)
    assert job.told["commands"][0][-1] == "--resume"
    assert line.told({})[0]["commands"][0].endswith("--resume")


def test_a_full_disk_refuses_work_and_leaves_none_half_there(line, places, monkeypatch):
    def fails(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(locks, "write", fails)
    assert refusal(added, line, places, QUICK) == (507, "disk")
    assert not line.jobs
    assert not [*(places.own / "jobs").iterdir()]


def test_a_folder_that_was_taken_away_is_said(line, places, monkeypatch):
    job = added(line, places, QUICK)

    def fails(*_):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(jobs, "_start", fails)
    assert not line.tend()
    assert (job.state, line.told({})[0]["line"].startswith("Expected to begin train; received No such file")) == (
        "failed",
        True,
    )


def test_a_process_that_cannot_start_is_said(line, places, monkeypatch):
    job = added(line, places, QUICK)
    monkeypatch.setattr(jobs.sys, "executable", shutil.which("false"))
    assert not line.tend()
    assert (job.state, line.told({})[0]["line"]) == (
        "failed",
        "Expected a process of Python's for the job; received exit code 1. See plainfilm doctor.",
    )


def test_what_is_no_job_is_passed_over(places):
    folder = places.own / "jobs"
    for name, content in (("a", b"{"), ("b", b"[]"), ("c", b'{"project": 1}'), ("d", b"\xff" * 10)):
        (folder / name).mkdir(parents=True)
        (folder / name / runner.JOB).write_bytes(content)
    assert not Line(folder).jobs


def test_files_of_jobs_are_for_this_user_alone(line, places):
    job = added(line, places, QUICK)
    assert (job.folder.stat().st_mode & 0o777, (job.folder / runner.JOB).stat().st_mode & 0o777) == (0o700, 0o600)
    assert isinstance(job.folder, Path)
