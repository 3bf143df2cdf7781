import json
import os
import shutil

import pytest

from plainfilm.app.commands import Work
from plainfilm.app.made import Projects

HOSTILE = [
    b"{",
    b"[]",
    b"null",
    b"[" * 100_000,
    b'{"splits": 1, "worth": [], "audit": "x", "classes": {"a": 1}, "tested": 5}',
    b'{"splits": {"test": {"accuracy": {"value": NaN, "low": Infinity, "high": "x"}}}}',
    b'{"splits": {"test": {"accuracy": {"value": ' + b"9" * 5000 + b"}}}}",
    b'{"splits": {"test": {"accuracy": {"value": ' + b"9" * 400 + b"}}}}",
    json.dumps({"worth": {"sentence": "<script>alert(1)</script>\x1b[2J\u202e" * 500}}).encode(),
]


@pytest.fixture
def projects(places):
    return Projects(places)


@pytest.fixture
def run(places):
    folder = places.work / "films" / "run"
    (folder / "figures").mkdir(parents=True)
    for name in ("report.html", "model.plainfilm", "figures/roc.png", "predictions.csv"):
        (folder / name).write_text("x")
    told = {
        "format": "plainfilm-metrics",
        "splits": {"test": {"accuracy": {"value": 0.5, "low": 0.25, "high": 0.75}}},
        "worth": {"sentence": "It may be chance.", "level": "caution"},
        "audit": {"verdict": "no shortcut found"},
        "classes": ["COVID", "NORMAL"],
    }
    (folder / "metrics.json").write_text(json.dumps(told))
    return folder


def only_run(projects):
    return projects.told()[0]["runs"][0]


def test_a_run_is_told_from_its_files(projects, run, places):
    words = [
        ["ingest", "/f", "--out", str(run.parent / "films.h5")],
        ["train", str(run.parent / "films.h5"), "--out", str(run), "--recipe", "robust"],
    ]
    projects.note(Work("films", "train", words, [run.parent / "films.h5", run]))
    told = only_run(projects)
    wanted = (
        "kind",
        "page",
        "address",
        "recipe",
        "accuracy",
        "sentence",
        "verdict",
        "severity",
        "level",
        "bundle",
        "store",
        "classes",
    )
    assert {name: told[name] for name in wanted} == {
        "kind": "train",
        "page": "report.html",
        "address": "files/films/run/report.html",
        "recipe": "robust",
        "accuracy": {"value": 0.5, "low": 0.25, "high": 0.75},
        "sentence": "It may be chance.",
        "verdict": "no shortcut found",
        "severity": "none",
        "level": "caution",
        "bundle": "model.plainfilm",
        "store": str(run.parent / "films.h5"),
        "classes": ["COVID", "NORMAL"],
    }
    assert [each["name"] for each in told["files"]] == [
        "metrics.json",
        "model.plainfilm",
        "predictions.csv",
        "report.html",
        "figures/roc.png",
    ]
    assert [each.split()[1] for each in told["command"]] == ["ingest", "train"]
    assert projects.pages(projects.told()) == {str(run): "files/films/run/report.html"}
    assert projects.ingested(run.parent / "films.h5") == words[0]
    assert projects.ingested(run) is None
    assert Projects(places).ingested(run.parent / "films.h5") == words[0], "also the next app knows"


def test_an_evaluation_is_told_by_its_format(projects, run):
    (run / "metrics.json").write_text(
        json.dumps(
            {
                "format": "plainfilm-external-metrics",
                "travels": {"sentence": "It does not hold.", "verdict": "no", "level": "warning"},
                "data": {"name": "elsewhere"},
            }
        )
    )
    told = only_run(projects)
    assert {name: told[name] for name in ("kind", "sentence", "verdict", "severity", "accuracy", "data")} == {
        "kind": "evaluate",
        "sentence": "It does not hold.",
        "verdict": "no",
        "severity": "warning",
        "accuracy": None,
        "data": "elsewhere",
    }


def test_what_was_dropped_and_not_read_is_told_as_it_would_be_read(projects, places):
    dropped = places.work / "films" / "dropped"
    dropped.mkdir(parents=True)
    (dropped / "1.png").write_text("x")
    assert projects.told()[0]["dropped"] == [{"name": "", "path": str(dropped)}]
    (dropped / "ward").mkdir()
    (dropped / "more.zip").write_text("x")
    (dropped / "away").symlink_to(places.work)
    assert [each["name"] for each in projects.told()[0]["dropped"]] == ["more.zip", "ward"]


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_a_run_of_anybodys_breaks_nothing(projects, run, content):
    (run / "metrics.json").write_bytes(content)
    text = json.dumps(projects.told(), allow_nan=False)
    assert "\x1b" not in text
    assert "\\u001b" not in text
    assert len(text) < 10_000


def test_links_and_hidden_names_are_no_runs(projects, run, places, tmp_path):
    shutil.copytree(run, tmp_path / "elsewhere")
    (run.parent / "linked").symlink_to(tmp_path / "elsewhere")
    (places.work / "other").symlink_to(tmp_path)
    (run.parent / ".hidden").mkdir()
    (run / "secret").symlink_to("/etc/passwd")
    (run.parent / "linked.h5").symlink_to("/etc/passwd")
    (project,) = projects.told()
    assert [each["name"] for each in project["runs"]] == ["run"]
    assert project["stores"] == []
    assert "secret" not in [each["name"] for each in project["runs"][0]["files"]]


def test_a_store_that_is_none_says_so_and_is_asked_once(projects, run):
    (run.parent / "films.h5").write_text("no store")
    assert projects.told()[0]["stores"][0]["images"] is None
    assert projects.told()[0]["stores"][0]["corrected"] is False
    assert projects.describe_one()
    assert not projects.describe_one()
    assert projects.told()[0]["stores"][0]["line"].startswith("Expected a store of plainfilm")


def test_what_is_taken_away_meanwhile_is_gone(projects, run):
    assert only_run(projects)["name"] == "run"
    shutil.rmtree(run.parent)
    assert projects.told() == []


def test_what_changes_is_read_again(projects, run):
    assert only_run(projects)["sentence"] == "It may be chance."
    (run / "metrics.json").write_text("{}")
    os.utime(run / "metrics.json", (1, 1))
    assert only_run(projects)["sentence"] is None


def test_no_file_is_read_that_is_longer_than_any_run_writes(projects, run):
    told = (run / "metrics.json").read_text()
    (run / "metrics.json").write_text(told + " " * (1 << 22))
    assert only_run(projects)["accuracy"] is None
