"""What a command's words mean before they are parsed: patterns on Windows, whose shells do not expand them, and `--mlflow`."""

import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from plainfilm.cli import words
from plainfilm.data import phantom

OLD = Path(__file__).resolve().parents[1] / "written_by_0_1_0"
BUNDLE = OLD / "run" / "model.plainfilm"
FILM = OLD / "films" / "00001.jpg"


@pytest.fixture
def windows(monkeypatch):
    class Sys:
        platform = "win32"

    monkeypatch.setattr(words, "sys", Sys)


@pytest.fixture
def films(tmp_path):
    folder = tmp_path / "films [2020]"
    folder.mkdir()
    for name in ("b.png", "a.png", "scan[1].png", "notes.txt", ".hidden.png"):
        shutil.copy(FILM, folder / name)
    return folder


def names(*typed):
    return [Path(word).name for word in words.matching(map(str, typed))]


def test_a_pattern_gives_the_files_in_their_order_and_brackets_are_letters(windows, films):
    assert names(films / "*.png", "other.png") == ["a.png", "b.png", "scan[1].png", "other.png"]
    assert names(films / "?.png") == ["a.png", "b.png"]
    assert names(films / "scan[1].png") == ["scan[1].png"]
    assert names(films / "scan[[]1].png") == ["scan[[]1].png"]


def test_a_word_that_nothing_fits_stays_as_it_was_typed(windows, films):
    (films.parent / "ab").mkdir()
    typed = [
        "--label-pattern",
        f"{films.parent}/a*",
        f"{films}/*.dcm",
        "a//b",
        "./-x",
        "_(\\d)*[.]png$",
        "--set=a.b=*",
        "",
    ]
    assert [*words.matching(typed)] == typed


def test_a_file_whose_name_begins_with_a_hyphen_is_no_flag(windows, films, monkeypatch):
    monkeypatch.chdir(films)
    (films / "-b.dcm").touch()
    assert [*words.matching(["*.dcm"])] == ["./-b.dcm"]


def test_elsewhere_the_shell_has_done_so_and_a_star_is_a_letter(films):
    assert sys.platform != "win32"
    assert names(films / "*.png") == ["*.png"]


def test_predict_answers_for_what_a_pattern_fits(windows, films, call):
    code, out, err = call("predict", BUNDLE, films / "*.png", "--json", "--quiet")
    assert code == 0, err
    assert [Path(each["file"]).name for each in json.loads(out)["predictions"]] == ["a.png", "b.png", "scan[1].png"]


@pytest.mark.parametrize(
    "typed",
    ["ingest PATTERN --out s.h5", "train PATTERN", "compare PATTERN --recipes default", "audit PATTERN", "tune PATTERN", "look PATTERN", "PATTERN"],
)  # fmt: skip
def test_every_verb_takes_a_pattern_for_its_folders(windows, typed, call, tmp_path):
    (tmp_path / "hospital_a").mkdir()
    code, _, err = call(*typed.replace("PATTERN", f"{tmp_path}/hosp*_?").split())
    assert (code, err.count("\n")) == (1, 1), err
    assert "hospital_a; received an empty folder" in err


def test_evaluate_takes_one_that_one_folder_fits(windows, call, tmp_path):
    for name in ("hospital_a", "other"):
        phantom.write_phantoms(tmp_path / name, n=8)
    code, _, err = call("evaluate", BUNDLE, tmp_path / "hosp*", "--out", "hospital_a")
    assert (code, err.count("\n")) == (2, 1)
    assert "which has files in it" in err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("train --mlflow my.h5 --out run", "train --mlflow=true my.h5 --out run"),
        ("train --mlflow 'my films'", "train --mlflow=true 'my films'"),
        ("train --mlflow C:/films", "train --mlflow=true C:/films"),
        ("train --mlflow sqlite:///m.db my.h5", "train --mlflow sqlite:///m.db my.h5"),
        ("train --mlflow databricks my.h5", "train --mlflow databricks my.h5"),
        ("train --mlflow=mlruns my.h5", "train --mlflow=mlruns my.h5"),
        ("train my.h5 --mlflow --quiet", "train my.h5 --mlflow --quiet"),
        ("train my.h5 --mlflow", "train my.h5 --mlflow"),
    ],
)
def test_mlflow_takes_a_uri_alone_and_never_the_store(typed, meant):
    assert words.prepared(shlex.split(typed), {"train"}) == shlex.split(meant)
