"""Double clicks and two windows: what is asked twice at once is done as if one had asked after the other."""

import asyncio
import errno
import os
from functools import partial

import pytest

from plainfilm.app.desk import Desk
from plainfilm.app.trying import Tries
from plainfilm.serve.http_errors import Refused


def test_two_that_begin_at_once_make_different_things(places):
    asked = {"sources": [str(places.root / "films")], "recipe": "quick"}

    async def run():
        desk = Desk(places)
        made = partial(desk.maker.train, asked)
        return await asyncio.gather(*(desk.begin(made) for _ in range(4)))

    told = asyncio.run(run())
    assert len({job["id"] for job in told}) == 4
    assert len({job["project"] for job in told}) == 4
    assert {job["state"] for job in told} == {"waiting"}


def test_a_job_that_is_forgotten_twice_at_once_is_forgotten(places):
    async def run():
        desk = Desk(places)
        job = await desk.begin(partial(desk.maker.job, {"verb": "ingest", "inputs": [str(places.root / "films")]}))
        twice = (desk.act(desk.line.forget, job["id"]) for _ in range(2))
        return await asyncio.gather(*twice, desk.act(desk.line.stop, job["id"]), return_exceptions=True)

    first, *others = asyncio.run(run())
    assert first == {}
    assert [(each.status, each.code) for each in others if isinstance(each, Refused)] == [(404, "job")] * 2


def test_what_is_refused_leaves_no_project_behind(places, monkeypatch):
    def fails(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def run():
        desk = Desk(places)
        monkeypatch.setattr("plainfilm.app.locks.write", fails)
        with pytest.raises(Refused) as refused:
            await desk.begin(partial(desk.maker.train, {"sources": [str(places.root / "films")]}))
        return refused.value.status, desk.projects.told()

    assert asyncio.run(run()) == (507, [])


def test_a_disk_that_was_taken_out_is_not_made_anew_where_it_was(places):
    asked = {"sources": [str(places.root / "films")]}

    async def run():
        desk = Desk(places)
        await desk.begin(partial(desk.maker.train, asked))
        places.root.rename(places.root.with_name("taken out"))
        with pytest.raises(Refused) as refused:
            await desk.begin(partial(desk.maker.train, asked))
        desk.line.tend()
        return refused.value.status, [job["state"] for job in desk.line.told({})]

    assert asyncio.run(run()) == (409, ["interrupted"])
    assert not places.root.exists()


def test_a_classifier_that_does_not_start_says_why_whoever_finds_out_first(tmp_path, monkeypatch):
    tries = Tries()
    bundle = tmp_path / "model.plainfilm"
    bundle.write_text("none")

    def refuses(self):
        self._process.kill()
        self._process.wait()
        tries.rest()
        raise Refused(409, "try", "Expected a bundle; received none.")

    monkeypatch.setattr("plainfilm.app.trying._Try.address", refuses)
    with pytest.raises(Refused, match="Expected a bundle"):
        tries.open(bundle)
    assert not tries._served
