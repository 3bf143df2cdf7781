"""`plainfilm cluster`: certificates; and a command that is planned, run by index and joined."""

import csv
from pathlib import Path

import pytest

import plainfilm
from plainfilm.data import phantom, shards
from plainfilm.engines.opening import open_engine
from plainfilm.errors import CatalogError
from plainfilm.evidence.external import answers

BUNDLE = Path(__file__).parents[1] / "written_by_0_1_0" / "run" / "model.plainfilm"


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return phantom.write_phantoms(tmp_path_factory.mktemp("films") / "films", n=40, seed=1)


@pytest.fixture(autouse=True)
def _small(monkeypatch, tmp_path):
    monkeypatch.setattr(shards, "MOST_FILMS", 10)
    monkeypatch.setattr(shards, "BATCH", 10)
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))


def test_a_command_is_planned_run_by_index_and_joined(call, films, tmp_path):
    ingest = ("ingest", films, "--out", "films.h5", "--size", 64)
    code, out, err = call("cluster", "plan", "plan.json", "--slices", 3, *ingest)
    assert (code, err.count("plainfilm:")) == (0, 0)
    assert "Planned 4 jobs" in out
    assert "--array=0-2" in out
    assert "plainfilm cluster join plan.json" in out
    assert not (tmp_path / "films.h5").exists()
    assert call("cluster", "run", "plan.json", 1)[:2] == (0, "Index 1: 1 job done.\n")
    code, _, err = call("cluster", "join", "plan.json")
    assert (code, err.count("\n")) == (2, 1)
    assert "received none of 2. Run them (again): --array=0,2" in err
    for index in (0, 2):
        assert call("cluster", "run", "plan.json", index)[0] == 0
    code, out, err = call("cluster", "join", "plan.json")
    assert code == 0, err
    assert "40 radiographs in films.h5" in out
    assert not list(tmp_path.glob("plan*"))
    call("ingest", films, "--out", "here.h5", "--size", 64)
    with plainfilm.Store(tmp_path / "films.h5") as joined, plainfilm.Store(tmp_path / "here.h5") as here:
        assert joined.fingerprint == here.fingerprint


def test_a_prediction_is_planned_too_and_prints_the_same(call, films, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    predict = ("predict", BUNDLE, films, "bad.png", "--json")
    code, here, _ = call(*predict)
    assert code == 0
    code, out, err = call("cluster", "plan", "plan.json", "--slices", 2, *predict)
    assert (code, out.startswith("Planned 2 jobs in ")) == (0, True), err
    for index in (0, 1):
        assert call("cluster", "run", "plan.json", index)[0] == 0
    code, out, err = call("cluster", "join", "plan.json")
    assert (code, out) == (0, here), err
    assert [*(tmp_path / "cache" / "answers").iterdir()] == []
    for kind in ("--csv", "--quiet"):
        assert call(*predict[:4], kind, "--cluster", "local:2")[:2] == call(*predict[:4], kind)[:2]


def test_an_evaluation_of_a_folder_is_planned_twice_reading_then_answering(call, films, tmp_path, monkeypatch):
    monkeypatch.setattr(answers, "BLOCK", 16)
    evaluate = ("evaluate", BUNDLE, films, "--out")
    assert call(*evaluate, "here")[0] == 0
    said = [call("cluster", "plan", "plan.json", "--slices", 1, *evaluate, "there")[1].splitlines()[0]]
    while (tmp_path / "plan.json").exists():
        assert call("cluster", "run", "plan.json", 0)[0] == 0
        code, out, err = call("cluster", "join", "plan.json")
        assert code == 0, err
        said.append(out.split(maxsplit=3)[:3])
    assert said[0].startswith("Planned 4 jobs")
    assert said[1] == ["Planned", "3", "jobs"]
    assert len(said) == 3
    for name in ("overlap.csv", "problems.csv"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
    assert answered(tmp_path / "here") == answered(tmp_path / "there")
    assert not list(tmp_path.glob(".*"))
    assert [*(tmp_path / "cache" / "answers").iterdir()] == []


def answered(folder):
    """What predictions.csv says, but for the patients' hashes: each reading of a folder has a salt of its own."""
    with (folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = [{name: value for name, value in row.items() if name != "patient"} for row in csv.DictReader(file)]
    assert rows
    return rows


def test_an_evaluation_of_a_folder_that_was_stopped_goes_on_and_one_that_cannot_be_leaves_nothing(films, tmp_path):
    def stop(stage, done, _every, _note=""):
        if (stage, done) == ("Reading radiographs", 35):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        plainfilm.evaluate(BUNDLE, films, tmp_path / "out", progress=stop, workers=1)
    assert stopped.value.__notes__ == ["What was read is kept for a week: the same command goes on from there."]
    read = []
    plainfilm.evaluate(
        BUNDLE, films, tmp_path / "out", workers=1, progress=lambda stage, done, *_: read.append((stage, done))
    )
    assert read[0] == ("Reading radiographs", 30)
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["out"]
    for name in ("COVID", "NORMAL"):
        (tmp_path / "none" / name).mkdir(parents=True)
        (tmp_path / "none" / name / "1.png").write_bytes(b"no picture")
    with pytest.raises(CatalogError, match="none could be"):
        plainfilm.evaluate(BUNDLE, tmp_path / "none", tmp_path / "other")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plan", "p.json"), "a command to plan; received none"),
        (("plan", "p.json", "--slices", 0, "presets"), "--slices of 1 or more"),
        (("plan", "p.json", "presets"), "Unknown option: --cluster"),
        (("run", "none.json", 0), "received none.json"),
        (("run", "none.json", 0, "--processes", 0), "--processes of 1 or more"),
        (("join", "none.json"), "received none.json"),
        (("certificate", "keys", "--days", 0), "--days from 1 to 3650"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_leaves_nothing(call, tmp_path, words, said):
    code, out, err = call("cluster", *words)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert said in err
    assert not list(tmp_path.iterdir())


def test_certificates_say_who_may_do_what(call, tmp_path, monkeypatch):
    code, out, err = call("cluster", "certificate", "keys")
    assert (code, err) == (0, "")
    assert "runs programs on every machine of the cluster, as you" in out
    monkeypatch.setenv("PLAINFILM_CERTIFICATES", str(tmp_path / "keys"))
    open_engine("tls://host:8786")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("worker", "tcp://10.0.0.1:8786"), "plainfilm cluster certificate DIR"),
        (("worker", "host"), "tls://HOST:8786"),
        (("worker", "tcp://127.0.0.1:8786", "--processes", -1), "--processes of 0 or more"),
        (("worker", "tls://127.0.0.1:8786"), "Set PLAINFILM_CERTIFICATES"),
        (("scheduler", "--host", "0.0.0.0"), "Set PLAINFILM_CERTIFICATES"),
        (("ingest", "films", "--out", "a.h5", "--cluster", "tcp://10.0.0.1:8786"), "plainfilm cluster certificate DIR"),
        (("audit", "a.h5", "--cluster", "there"), "local:N"),
    ],
)
def test_an_address_that_is_open_or_none_is_refused_before_anything(call, monkeypatch, tmp_path, words, said):
    monkeypatch.delenv("PLAINFILM_CERTIFICATES", raising=False)
    code, out, err = call(*words)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert said in err
