"""`plainfilm cache`: what it shows, takes away and keeps."""

import json
import os
import re
import time
from pathlib import Path

import pytest

DAY = 86_400


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))
    for name, days in (
        ("features/a", 40),
        ("features/b", 1),
        ("stores/films-1.h5", 90),
        ("openings/films/x", 90),
        ("odd/y", 90),
    ):
        path = tmp_path / "cache" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
        os.utime(path, (time.time() - days * DAY,) * 2)
    os.utime(tmp_path / "cache/openings/films", (time.time() - 90 * DAY,) * 2)
    return tmp_path / "cache"


def told(call, *words) -> dict:
    code, out, err = call("cache", *words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_it_shows_what_lies_there_by_kind(call, folder):
    found = told(call)
    assert (found["format"], found["bytes"], found["limit"], found["in_use"]) == ("plainfilm-cache", 5000, None, 0)
    kinds = {each["name"]: each for each in found["kinds"]}
    assert {name: (each["entries"], each["bytes"], each["only_by_name"]) for name, each in kinds.items()} == {
        "features": (2, 2000, False), "stores": (1, 1000, True), "openings": (1, 1000, True), "odd": (1, 1000, True),
    }  # fmt: skip
    code, out, _ = call("cache")
    assert code == 0
    assert "2 kB" in out
    assert "only where they are named with --kind: " in out


def test_by_age_goes_what_can_be_made_anew(call, folder):
    found = told(call, "--prune", "--older-than", "30")
    assert [(each["name"], each["entries"]) for each in found["pruned"]] == [("features", 1)]
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["b", "films-1.h5", "x", "y"]


def test_openings_and_stores_go_where_they_are_named_and_what_is_lost_is_said(call, folder):
    code, out, _ = call("cache", "--prune", "--kind", "openings", "--kind", "stores", "--older-than", "30")
    assert code == 0
    assert "Taken away: 1 entry of openings, 1 kB. Lost: the count: only the log beside each store still knows." in out
    assert "of stores" in out
    assert not list((folder / "stores").iterdir())
    assert not list((folder / "openings").iterdir())
    assert (folder / "features" / "a").exists()


def test_a_limit_is_kept_and_lifted(call, folder):
    assert told(call, "--limit", "4.5kB")["limit"] == 4500
    assert not (folder / "features" / "a").exists()
    assert told(call)["limit"] == 4500
    assert told(call, "--limit", "none")["limit"] is None


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--prune",), "Expected --kind or --older-than with --prune; received neither"),
        (("--kind", "pixels"), "Expected a kind among .*features.*; received 'pixels'"),
        (("--older-than", "-1"), "Expected --older-than in days"),
        (("--limit", "much"), "Expected a size of the cache such as 20GB"),
    ],
)
def test_what_cannot_be_is_one_line(call, words, match):
    code, out, err = call("cache", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert re.search(match, err)
