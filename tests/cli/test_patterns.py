"""What `*` and `?` mean to a command on Windows, whose shells do not expand them."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from plainfilm.cli import options
from plainfilm.data import phantom
from plainfilm.errors import UsageError

OLD = Path(__file__).resolve().parents[1] / "written_by_0_1_0"
BUNDLE = OLD / "run" / "model.plainfilm"
FILM = OLD / "films" / "00001.jpg"


@pytest.fixture
def windows(monkeypatch):
    class Sys:
        platform = "win32"

    monkeypatch.setattr(options, "sys", Sys)


@pytest.fixture
def films(tmp_path):
    folder = tmp_path / "films [2020]"
    folder.mkdir()
    for name in ("b.png", "a.png", "scan[1].png", "notes.txt", ".hidden.png"):
        shutil.copy(FILM, folder / name)
    return folder


def names(*places):
    return [path.name for path in options.matching(places)]


def test_a_pattern_gives_the_files_in_their_order_and_brackets_are_letters(windows, films):
    assert names(films / "*.png", "other.png") == ["a.png", "b.png", "scan[1].png", "other.png"]
    assert names(films / "?.png") == ["a.png", "b.png"]
    assert names(films / "scan[1].png") == ["scan[1].png"]
    assert names(films / "scan[[]1].png") == ["scan[[]1].png"]


def test_a_pattern_that_nothing_fits_is_named_as_it_was_typed(windows, films):
    assert names(films / "*.dcm") == ["*.dcm"]


def test_elsewhere_the_shell_has_done_so_and_a_star_is_a_letter(films):
    assert sys.platform != "win32"
    assert names(films / "*.png") == ["*.png"]


def test_one_place_may_be_a_pattern_that_one_fits(windows, films):
    assert options.the_match(films / "a*") == films / "a.png"
    with pytest.raises(UsageError, match=r"Expected one place; received .*\*\.png, which 3 fit"):
        options.the_match(films / "*.png")


def test_predict_answers_for_what_a_pattern_fits(windows, films, call):
    code, out, err = call("predict", BUNDLE, films / "*.png", "--json", "--quiet")
    assert code == 0, err
    assert [Path(each["file"]).name for each in json.loads(out)["predictions"]] == ["a.png", "b.png", "scan[1].png"]


def test_ingest_and_evaluate_take_patterns_too(windows, tmp_path, call):
    for name in ("hospital_a", "hospital_b"):
        phantom.write_phantoms(tmp_path / name, n=8)
    code, out, err = call("ingest", tmp_path / "hospital_?", "--dry-run", "--json")
    assert code == 0, err
    assert json.loads(out)["images"] == 16
    code, _, err = call("evaluate", BUNDLE, tmp_path / "hospital_*", "--out", "e")
    assert (code, err.count("\n")) == (2, 1)
    assert "which 2 fit" in err
