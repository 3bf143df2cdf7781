"""Plans for arrays: planned, run by index, taken up again."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

import made_jobs
from plainfilm.engines import array, terms
from plainfilm.engines.here import Here
from plainfilm.engines.opening import open_engine
from plainfilm.errors import DocumentError, EngineError, UsageError


@dataclass(frozen=True, slots=True)
class PathJob:
    number: int
    folder: Path
    names: tuple[str, ...]


def with_path(job):
    assert isinstance(job.folder, Path)
    return made_jobs.work(made_jobs.Job(job.number, str(job.folder)))


@pytest.fixture(autouse=True)
def ours(monkeypatch):
    monkeypatch.setattr(array, "OURS", ("made_jobs:", "test_array:"))


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.json"
    array.begin(path, ["ingest", "films", "--out", "a.h5"], slices=3)
    return path


def jobs(folder, count=7):
    return [made_jobs.Job(number, str(folder)) for number in range(count)]


def planned(path, some, **more):
    with pytest.raises(array.PlannedError, match=rf"Planned {len(some)} jobs in .*plan\.json"):
        list(open_engine(f"plan:{path}").map(made_jobs.work, some, **more))
    return array.read(path)


def test_a_plan_is_run_by_index_and_taken_up(plan, tmp_path):
    some = jobs(tmp_path)
    made = planned(plan, some, check=made_jobs.kind)
    assert made.indices == 3
    assert made.command == ("ingest", "films", "--out", "a.h5")
    assert plan.stat().st_mode & 0o777 == 0o600
    assert array.missing(plan) == [0, 1, 2]
    counts = [array.run(plan, index, Here()) for index in (2, 0)]
    assert counts == [2, 3]
    assert array.missing(plan) == [1]
    array.run(plan, 1, Here())
    array.run(plan, 1, Here())  # an index may run twice
    assert array.missing(plan) == []
    done = list(open_engine(f"plan:{plan}").map(made_jobs.work, some))
    assert [each.number for each in done] == list(range(7))
    assert isinstance(done[0], made_jobs.Done)
    array.remove(plan)
    assert not list(tmp_path.glob("plan*"))


def test_what_is_done_is_not_planned_again_unless_its_file_is_gone(plan, tmp_path):
    planned(plan, jobs(tmp_path, 2))
    for index in range(2):
        array.run(plan, index, Here())
    (tmp_path / "1.out").unlink()
    results = open_engine(f"plan:{plan}").map(made_jobs.work, jobs(tmp_path, 4))
    assert next(results).number == 0
    with pytest.raises(array.PlannedError, match="Planned 3 jobs"):
        next(results)
    assert [job["number"] for job in array.read(plan).jobs] == [1, 2, 3]


def test_fewer_jobs_than_slices_have_fewer_indices(plan, tmp_path):
    assert planned(plan, jobs(tmp_path, 2)).indices == 2
    with pytest.raises(UsageError, match="index from 0 to 1; received 2"):
        array.run(plan, 2, Here())


def test_paths_and_tuples_come_back_as_they_were(plan, tmp_path):
    with pytest.raises(array.PlannedError):
        list(open_engine(f"plan:{plan}").map(with_path, [PathJob(0, tmp_path, ("ä", "b"))]))
    assert array.run(plan, 0, Here()) == 1
    assert array.missing(plan) == []


def test_names_that_are_no_unicode_come_back_too(plan, tmp_path):
    odd = os.fsdecode(b"a\xff")
    with pytest.raises(array.PlannedError):
        list(open_engine(f"plan:{plan}").map(with_path, [PathJob(0, tmp_path, (odd,))]))
    assert array.read(plan).jobs[0]["names"] == [odd]
    assert array.run(plan, 0, Here()) == 1
    assert array.missing(plan) == []


def test_a_plan_calls_nobody_elses_functions(plan, tmp_path, monkeypatch):
    planned(plan, jobs(tmp_path))
    monkeypatch.setattr(array, "OURS", "plainfilm.")
    with pytest.raises(UsageError, match="one that asks for made_jobs:work. Do not run it"):
        array.run(plan, 0, Here())
    assert not list(tmp_path.glob("*.out"))


def test_other_versions_or_processors_do_no_job(plan, tmp_path, monkeypatch):
    planned(plan, jobs(tmp_path), check=made_jobs.kind)
    terms.hold.cache_clear()
    monkeypatch.setenv("PLAINFILM_TEST_KIND", "another")
    with pytest.raises(EngineError, match="compute alike; received usual"):
        array.run(plan, 0, Here())
    terms.hold.cache_clear()
    monkeypatch.setattr(terms, "__version__", "9.9")
    with pytest.raises(EngineError, match=r"the same versions .* and 9\.9 on"):
        array.run(plan, 0, Here())
    assert not list(tmp_path.glob("*.out"))


def test_what_is_no_plan_is_told(tmp_path, plan):
    with pytest.raises(UsageError, match="new plan"):
        array.begin(plan, ["ingest"], slices=1)
    with pytest.raises(UsageError, match=r"none\.json"):
        array.read(tmp_path / "none.json")
    (tmp_path / "odd.json").write_text(json.dumps({"format": "plainfilm-metrics", "version": 1}))
    with pytest.raises(DocumentError, match="plan document"):
        array.read(tmp_path / "odd.json")
    with pytest.raises(UsageError, match="-1"):
        array.run(plan, -1, Here())
