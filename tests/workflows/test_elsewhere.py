"""Trainings in other processes: the same bits as here, and nothing is trained twice."""

import dataclasses

import pytest

import plainfilm
from plainfilm.data import phantom
from plainfilm.data.store import Store
from plainfilm.engines.current import using
from plainfilm.engines.local import Local
from plainfilm.errors import EngineError
from plainfilm.model import bundle, encoder, kept_fits, recipes, training
from plainfilm.workflows import elsewhere

pytestmark = pytest.mark.trains
SETTINGS = {
    "backbone.input_size": 64,
    "backbone.depth": 6,
    "training.epochs": 2,
    "augmentation.views": 1,
    "ensemble.members": ["seed=0", "seed=1; training.class_weight=group-dro"],
}
MADE = ("predictions.csv", "recipe.toml")


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("elsewhere")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made / "cache"))
        patch.delenv("PLAINFILM_CLUSTER", raising=False)
        phantom.write_phantoms(made / "films", n=90, seed=3)
        plainfilm.ingest(made / "films", made / "s.h5", size=64)
        yield made


def learnt(run):
    """What a training ended with, to the last bit."""
    loaded = bundle.load(run.folder / "model.plainfilm").classifier
    return [(run.folder / name).read_bytes() for name in MADE], loaded.network, loaded.decision


def fits(folder):
    return sorted((folder / "cache" / kept_fits.FOLDER).glob("[!s]*.npz"))


@pytest.mark.slow
def test_folds_and_members_elsewhere_are_those_of_here_and_a_kill_costs_one(folder, monkeypatch):
    asked, told = {"settings": SETTINGS, "folds": 2, "audit": False}, []
    here = plainfilm.train(folder / "s.h5", folder / "here", **asked)
    names = [path.name for path in fits(folder)]
    assert len(names) == 4
    fits(folder)[1].unlink()
    trained = []
    with monkeypatch.context() as patch:
        real = training.fit_head
        patch.setattr(training, "fit_head", lambda *of, **more: trained.append(of) or real(*of, **more))
        again = plainfilm.train(folder / "s.h5", folder / "again", **asked)
    assert len(trained) == 1
    for path in (*fits(folder), *(folder / "cache" / "features").glob("*.npy")):
        path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(training, "fit_head", None)
        patch.setattr(encoder, "SEGMENT", 8 * encoder.BATCH)
        patch.setattr(encoder, "segment", None)
        there = plainfilm.train(
            folder / "s.h5", folder / "there", cluster="local:2", progress=lambda *at: told.append(at), **asked
        )
    assert learnt(here) == learnt(again) == learnt(there)
    assert [path.name for path in fits(folder)] == names
    assert [at[1:3] for at in told if at[0] == "Training elsewhere"] == [(done, 4) for done in range(5)]


def job(folder, **changes):
    computes = dataclasses.replace(kept_fits.computes_here(), **changes)
    return elsewhere.FitJob(
        number=0,
        path=str(folder / "fit.npz"),
        store=str(folder / "s.h5"),
        fingerprint="",
        split=str(folder / "split.npz"),
        recipe=recipes.load(),
        positive="",
        features=(),
        computes=computes,
        host="driver",
        cache=str(folder),
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"threads": 99}, r"^Expected trainings that compute alike; received other threads on \S+ than on driver\."),
        ({"answer": "another"}, r"received other answer on \S+ than on driver.* pass mixed=True"),
        ({"versions": (("keras", "1.0"),)}, r"received keras 1\.0 on driver and 3\.\S+ on .*pip install keras==1\.0"),
        ({}, r"^Expected the cache at the same path on every machine; received none with \S+split\.npz"),
    ],
)
def test_a_machine_that_computes_otherwise_or_sees_no_cache_is_told(folder, changes, said):
    with pytest.raises(EngineError, match=said):
        elsewhere.fit_here(job(folder, **changes))


def test_one_training_alone_stays_here(folder):
    with Store(folder / "s.h5") as store, Local(1) as engine, using(engine):
        elsewhere.train([(store, recipes.load())], None, None)
        elsewhere.train([], None, None)
