"""What plainfilm 0.1.0 wrote opens and answers as it did then: see written_by_0_1_0/README.md."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import plainfilm

OLD = Path(__file__).parent / "written_by_0_1_0"


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A copy, in the folder where commands run."""
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    return tmp_path


def read(name):
    return json.loads((OLD / name).read_text(encoding="utf-8"))


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def same(new, old, where=""):
    """What differs: keys that are gone and values that changed; new keys may come, and ends of intervals move a little."""
    if isinstance(old, dict):
        gone = [f"{where}.{key} is gone" for key in old if key not in new]
        return gone + [line for key in old if key in new for line in same(new[key], old[key], f"{where}.{key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [line for k, pair in enumerate(zip(new, old, strict=True)) for line in same(*pair, f"{where}[{k}]")]
    if isinstance(old, float) and isinstance(new, int | float):
        least = 0.05 if where.endswith((".low", ".high")) else 1e-5
        return [] if np.isclose(new, old, rtol=1e-4, atol=least) else [f"{where}: {old} became {new}"]
    return [] if new == old else [f"{where}: {old!r} became {new!r}"]


def test_the_store_opens_with_all_that_was_in_it():
    with plainfilm.Store(OLD / "store.h5") as store:
        assert len(store) == 80
        assert store.size == 64
        assert store.classes == ("COVID", "NORMAL")
        assert store.fingerprint == read("info_store.json")["fingerprint"]
        assert store.images(np.arange(80)).shape == (80, 64, 64)
        assert {part: len(store.rows(part)) for part in ("train", "validation", "test")} == {
            "train": 56,
            "validation": 12,
            "test": 12,
        }
        assert store.test_openings() == 3


@pytest.mark.parametrize("name", ["bundle", "store", "run", "evaluate"])
def test_info_says_what_it_said(call, old, name):
    told = read(f"info_{name}.json")
    code, out, _ = call("info", told["path"], "--json")
    now = json.loads(out)
    assert code == 0
    assert now.get("worth", "").endswith(told.pop("worth", ""))  # the audit's verdict stands before it since
    assert same(now, told) == []


def test_the_bundle_answers_as_it_did(call, old):
    told = read("predict.json")
    shutil.copytree(old / "films", old / "films_answered")
    code, out, _ = call("predict", "run/model.plainfilm", "films_answered", "--json", "--quiet")
    assert code == 0
    assert same(json.loads(out), told) == []


def test_the_bundle_of_a_cross_validation_answers(old):
    answers = plainfilm.load(old / "folds" / "model.plainfilm").predict(sorted((old / "films").iterdir()))
    assert [answer.label in {"COVID", "NORMAL"} for answer in answers] == [True] * 4
    assert [round(sum(answer.probabilities.values()), 6) for answer in answers] == [1.0] * 4


def test_the_bundle_gives_its_metrics_and_scores_its_test_set_alike(call, old):
    run = plainfilm.evaluate(old / "run" / "model.plainfilm", old / "store.h5", old / "again")
    told = read("run/metrics.json")["splits"]["test"]
    found = json.loads((old / "again" / "metrics.json").read_text(encoding="utf-8"))
    assert run.folder == old / "again"
    for name in ("n", "confusion_matrix", "accuracy", "auroc", "sensitivity", "brier"):
        assert same(found["splits"]["external"][name], told[name], name) == []
        assert same(found["internal"].get(name, told[name]), told[name], name) == []


def test_an_audit_of_the_bundle_says_the_same(old):
    run = plainfilm.audit(old / "store.h5", old / "again", model=old / "run" / "model.plainfilm")
    told, found = read("audit/audit.json"), json.loads((run.folder / "audit.json").read_text(encoding="utf-8"))
    assert (found["verdict"], found["cues"]) == (told["verdict"], told["cues"])
    assert [line for line in same(found, told) if " is gone" in line] == []
    for name, probe in told["probes"].items():  # compared within folds since 0.3.0
        then, now = probe["auroc"], found["probes"][name]["auroc"]
        assert then["low"] <= now["high"], name
        assert now["low"] <= then["high"], name


@pytest.mark.slow
def test_the_recipe_trains_to_answers_within_the_interval_of_then(call, old):
    code, _, err = call("train", "store.h5", "--recipe", "run/recipe.toml", "--out", "again", "--no-audit", "--quiet")
    assert code == 0, err
    pairs = list(zip(rows(old / "again" / "predictions.csv"), rows(OLD / "run" / "predictions.csv"), strict=True))
    assert len(pairs) == 80
    assert [new["file"] for new, _ in pairs] == [told["file"] for _, told in pairs]
    found, told = json.loads((old / "again" / "metrics.json").read_text(encoding="utf-8")), read("run/metrics.json")
    for name in ("accuracy", "auroc"):
        then = told["splits"]["test"][name]
        assert then["low"] <= found["splits"]["test"][name]["value"] <= then["high"]
    for name in ("audit", "explanation", "seconds", "versions", "features_cached", "test_openings"):
        told.pop(name)
    assert [line for line in same(found, told) if " is gone" in line] == []


@pytest.mark.slow
def test_a_search_goes_on(call, old):
    code, out, err = call(
        *("tune", "store.h5", "--out", "tune", "--trials", 4, "--epochs", 2, "--backbones", "efficientnet_lite0"),
        *("--quiet", "--json"),
    )
    assert code == 0, err
    found, told = json.loads(out), read("tune/tuning.json")
    assert found["trials"]["in_all"] == 4
    assert same(found["starts"], told["starts"]) == []
    assert set(told) <= set(found)
