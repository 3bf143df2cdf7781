"""Trainings in other processes: the same bits as here, and nothing is trained twice."""

import dataclasses
import json
import math

import msgspec
import pytest

import plainfilm
from made_backbone import SIZE, TINY, weights_file
from plainfilm.data import phantom
from plainfilm.data.store import Store
from plainfilm.engines import array
from plainfilm.engines.current import using
from plainfilm.engines.engine import name_of
from plainfilm.engines.here import Here
from plainfilm.engines.local import Local
from plainfilm.errors import EngineError
from plainfilm.model import backbones, bundle, encoder, finetuning, kept_fits, recipes, training
from plainfilm.workflows import elsewhere, fit

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
        patch.setattr(elsewhere, "FEWEST_PASSES", 0)
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


class Nearby:
    """An engine that counts as another's, and does what its processes would."""

    threads, mixed = 1, False

    def map(self, function, jobs, *, check):
        del function, check
        with using(Here()):
            yield from map(elsewhere.fit_here, jobs)


@pytest.mark.slow
def test_blocks_that_were_tuned_elsewhere_are_not_tuned_again(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(backbones, "find", lambda *_, **__: TINY)
    settings = {
        "backbone.weights": str(weights_file(tmp_path / "tiny.weights.h5")),
        "backbone.input_size": SIZE,
        "finetuning.blocks": 1,
        "finetuning.epochs": 1,
    }
    recipe, tuned = recipes.load("default", SETTINGS | settings | {"ensemble.members": [], "augmentation.views": 0}), []
    real = finetuning.finetune
    monkeypatch.setattr(
        finetuning, "finetune", lambda *of, **more: tuned.append(more["checkpoint"]) or real(*of, **more)
    )
    with Store(folder / "s.h5") as store:
        here = fit.cross_validate(store, recipe, 2, positive="COVID")
        assert tuned == [None, None]
        with using(Nearby()):
            there = fit.cross_validate(store, recipe, 2, positive="COVID")
            again = fit.cross_validate(store, recipe, 2, positive="COVID")
    assert [path.name for path in tuned[2:]] == ["epochs.npz", "epochs.npz"]
    assert not list((folder / "cache" / "epochs").iterdir())
    ended = [[(each.trained.encoder.key, each.trained.head) for each in run.folds] for run in (here, there, again)]
    assert ended[0] == ended[1] == ended[2]
    assert here.trained.fitted.history == there.trained.fitted.history == again.trained.fitted.history


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


def test_a_job_goes_through_a_plan_as_it_is(folder):
    asked = job(folder)
    asked = dataclasses.replace(asked, recipe=recipes.load("robust"), features=(elsewhere.Kept("a.npy", 9, 7),))
    assert array._imported(name_of(elsewhere.FitJob)) is elsewhere.FitJob
    assert msgspec.convert(json.loads(json.dumps(array._plain(asked))), elsewhere.FitJob) == asked


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


def test_one_training_and_short_ones_stay_here(folder, monkeypatch):
    several = [recipes.load("default", {"seed": seed, "training.epochs": 7}) for seed in (0, 1)]
    with Store(folder / "s.h5") as store, Local(1) as engine, using(engine):
        elsewhere.train([(store, several[0])], None, None)
        monkeypatch.setattr(elsewhere, "FEWEST_PASSES", 2 * 7 * len(store.rows("train")) + 1)
        elsewhere.train([(store, each) for each in several], None, None)
        assert elsewhere._passes(store, recipes.load("default", {"finetuning.blocks": 1})) == math.inf
