"""Rows of a store answered by others: the same as here, whatever becomes of the pieces."""

from pathlib import Path

import numpy as np
import pytest

import made_jobs
import plainfilm
from plainfilm.data import phantom, shared_store
from plainfilm.engines.current import using
from plainfilm.errors import EngineError
from plainfilm.evidence.external import answers
from plainfilm.model import bundle as bundles
from plainfilm.model import shared_bundle
from plainfilm.model.shared_bundle import SharedBundle

PATH = Path(__file__).parents[2] / "written_by_0_1_0" / "run" / "model.plainfilm"


@pytest.fixture(scope="module")
def bundle():
    return bundles.load(PATH)


@pytest.fixture(scope="module")
def store(tmp_path_factory, bundle):
    folder, prepared = tmp_path_factory.mktemp("store"), bundle.manifest.preprocessing
    films = phantom.write_phantoms(folder / "films", n=40, seed=5)
    plainfilm.ingest(films, folder / "s.h5", size=prepared.image_size, fit=prepared.fit, workers=1)
    with plainfilm.Store(folder / "s.h5") as opened:
        yield opened


@pytest.fixture
def engine(monkeypatch, tmp_path):
    monkeypatch.setattr(answers, "BLOCK", 8)
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    made = made_jobs.InThisProcess()
    with using(made):
        yield made
    for each in (answers._judge, shared_bundle.opened, shared_store.opened):
        each.cache_clear()


def told(bundle, store, rows, *, shared):
    steps = []
    made = answers.answers_of(bundle, store, rows, shared=shared, advance=lambda *at: steps.append(at))
    return {name: (values.dtype, values.tolist()) for name, values in made.items()}, steps


def test_others_answer_the_same(bundle, store, engine, tmp_path):
    rows, shared = np.arange(len(store))[::-1][:35], SharedBundle.of(bundle, PATH, None)
    here, _ = told(bundle, store, rows, shared=None)
    assert set(here) == {"logits", "level", "reason"}
    assert not engine.done
    for engine.lost in ((), (1, 4)):
        engine.done.clear()
        there, steps = told(bundle, store, rows, shared=shared)
        assert there == here
        assert [len(job.rows) for job in engine.done] == [3, 8, 8, 8, 8]
        assert (steps[0], steps[-1]) == ((0, 35), (35, 35))
        assert [*(tmp_path / "cache" / "answers").iterdir()] == []


def test_what_is_done_is_not_done_again(bundle, store, engine):
    shared = SharedBundle.of(bundle, PATH, None)

    def stop(done, _):
        if done == 16:
            raise KeyboardInterrupt

    rows = np.arange(24)
    with pytest.raises(KeyboardInterrupt):
        answers.answers_of(bundle, store, rows, shared=shared, advance=stop)
    engine.done.clear()
    told(bundle, store, rows, shared=shared)
    assert [job.number for job in engine.done] == [0]


def test_a_store_that_is_another_elsewhere_is_refused(bundle, store, engine, monkeypatch):
    monkeypatch.setattr(store, "fingerprint", "0" * 64)
    with pytest.raises(EngineError, match=r"the store .*s\.h5 to be the same on every machine"):
        told(bundle, store, np.arange(24), shared=SharedBundle.of(bundle, PATH, None))
