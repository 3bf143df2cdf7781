"""What every engine keeps: each job one result, whatever dies."""

import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import made_jobs
from plainfilm.engines import engine as protocol
from plainfilm.engines.here import Here
from plainfilm.engines.local import RETRIES, Local
from plainfilm.engines.opening import open_engine
from plainfilm.errors import EngineError, UsageError


def jobs(folder, deaths=(0, 0, 0, 0), **more):
    return [made_jobs.Job(number, str(folder), deaths=each, **more) for number, each in enumerate(deaths)]


def pids(folder):
    return {int(path.name.split(".")[-1]) for path in folder.glob("*.begun.*")}


@pytest.mark.parametrize("make", [Here, lambda: Local(2)], ids=["here", "local"])
def test_each_job_gives_one_result(make, tmp_path):
    with make() as engine:
        done = list(engine.map(made_jobs.work, iter(jobs(tmp_path))))
        assert sorted(each.number for each in done) == [0, 1, 2, 3]
        assert list(engine.map(made_jobs.work, [])) == []
    assert all(Path(each.path).read_bytes() == made_jobs.content(each.number) for each in done)


def test_no_more_jobs_are_taken_than_are_needed_soon(tmp_path):
    taken = []

    def endless():
        for number in range(100):
            taken.append(number)
            yield made_jobs.Job(number, str(tmp_path))

    with Local(1) as engine:
        results = engine.map(made_jobs.work, endless())
        next(results)
        assert len(taken) <= 4
        results.close()


@pytest.fixture(scope="module")
def two():
    with Local(2) as engine:
        yield engine


@settings(max_examples=12)
@given(deaths=st.lists(st.integers(0, RETRIES), min_size=1, max_size=3))
def test_a_job_whose_process_dies_is_done_by_another(two, tmp_path_factory, deaths):
    folder = tmp_path_factory.mktemp("jobs")
    done = list(two.map(made_jobs.work, jobs(folder, deaths)))
    assert sorted(each.number for each in done) == list(range(len(deaths)))
    assert len(list(folder.glob("*.begun.*"))) == len(deaths) + sum(deaths)


def test_a_job_that_ends_every_process_is_given_up_in_one_line_and_the_rest_goes_on_the_next_time(tmp_path):
    with Local(1) as engine:
        with pytest.raises(EngineError, match=r"^Expected job 1 to end well; .* code -9, 4 times\. .* same command"):
            list(engine.map(made_jobs.work, jobs(tmp_path, (0, RETRIES + 1, 0))))
        assert (tmp_path / "0.out").exists()
        assert len(list(engine.map(made_jobs.work, jobs(tmp_path, (0, 0))))) == 2


def test_processes_that_others_kill_cost_nothing(tmp_path):
    with Local(2) as engine:
        results = engine.map(made_jobs.work, jobs(tmp_path, (0,) * 12, seconds=0.05))
        done = []
        for each in results:
            done.append(each.number)
            if len(done) in {2, 5, 8}:
                os.kill(max(pids(tmp_path), key=lambda pid: _is_there(pid)), signal.SIGKILL)
    assert sorted(done) == list(range(12))


def _is_there(pid):
    return Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]


@pytest.mark.parametrize("make", [Here, lambda: Local(2)], ids=["here", "local"])
def test_the_first_error_ends_it_as_it_was_raised(make, tmp_path):
    some = jobs(tmp_path, (0,) * 40)
    some[3] = replace(some[3], fails="usage")
    with make() as engine, pytest.raises(UsageError, match="Expected a number"):
        list(engine.map(made_jobs.work, some))
    assert list(tmp_path.glob("*.out"))
    assert len(list(tmp_path.glob("*.begun.*"))) < 12


def test_an_error_that_does_not_pickle_is_told_in_words(two, tmp_path):
    with pytest.raises(EngineError, match="OddError: 1") as caught:
        list(two.map(made_jobs.work, jobs(tmp_path, (0,), fails="odd")))
    assert "made_jobs.py" in caught.value.__notes__[0]


def test_a_large_result_is_a_fault(two, tmp_path):
    with pytest.raises(ValueError, match=r"at most 65,536 bytes; received 100,0"):
        list(two.map(made_jobs.much, jobs(tmp_path, (0,))))


def test_what_is_begun_ends_with_the_engine(tmp_path):
    some = [replace(job, seconds=600 * job.number) for job in jobs(tmp_path)]
    with Local(2) as engine:
        results = engine.map(made_jobs.work, some)
        assert next(results).number == 0
    assert (begun := pids(tmp_path))
    assert not any(map(_is_there, begun))


def test_processes_end_with_their_parent(tmp_path):
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "import made_jobs\nfrom plainfilm.engines.local import Local\n"
        f"list(Local(1).map(made_jobs.work, [made_jobs.Job(0, {str(tmp_path)!r}, seconds=600)]))"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as parent:  # no __main__ guard
        while not pids(tmp_path):
            time.sleep(0.05)
        parent.kill()
    (pid,) = pids(tmp_path)
    for _ in range(200):
        if not _is_there(pid):
            break
        time.sleep(0.05)
    assert not _is_there(pid)


def test_a_function_that_others_cannot_import_is_a_fault(two):
    for function in (lambda job: job, two.map):
        with pytest.raises(TypeError, match="level of a module"):
            protocol.name_of(function)
    assert protocol.function_of(protocol.name_of(made_jobs.work)) is made_jobs.work


def test_an_engine_is_named_by_an_address(monkeypatch):
    monkeypatch.delenv("PLAINFILM_CLUSTER", raising=False)
    assert isinstance(open_engine(), Here)
    monkeypatch.setenv("PLAINFILM_CLUSTER", "local:2")
    with open_engine() as engine:
        assert isinstance(engine, Local)
    assert isinstance(open_engine("here"), Here)


@pytest.mark.parametrize("where", ["local", "local:0", "local:-1", "local:9999", "there", "http://host:1"])
def test_another_address_is_refused_in_one_line(where):
    with pytest.raises(UsageError, match=r"local:N .*; received " + where):
        open_engine(where)


def test_what_is_packed_is_bytes_alone(tmp_path):
    job = made_jobs.Job(3, str(tmp_path))
    answer = protocol.attempt(protocol.packed("made_jobs:work", job))
    assert protocol.outcome(answer).number == 3
    with pytest.raises(ModuleNotFoundError):
        protocol.outcome(protocol.attempt(protocol.packed("no.such:name", job)))
    assert pickle.loads(answer)[0] is True
