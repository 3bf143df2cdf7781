"""From a folder to a report in one command, and what comes next."""

import errno
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from plainfilm.data import phantom
from plainfilm.model import recipes

OLD = Path(__file__).parents[1] / "written_by_0_1_0"
QUICK = ("--epochs", "1", "--input-size", "96", "--no-audit")


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one") / "my films"
    phantom.write_phantoms(folder, n=40, seed=5)
    return folder


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    made = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made))
        patch.setenv("COLUMNS", "80")
        yield made


def next_of(out):
    """The words of the command that stands in the last line."""
    line = out.strip().splitlines()[-1]
    assert line.startswith("Next: plainfilm ")
    return shlex.split(line)[2:]


def test_a_folder_alone_says_what_is_seen_and_the_command_to_type_next(call, films, tmp_path):
    (tmp_path / "run").mkdir()
    code, out, err = call(films)
    assert (code, err) == (0, "")
    assert "40 radiographs would be read" in out
    assert "Folders, level 1: classes (COVID, NORMAL)" in out
    assert next_of(out) == ["train", str(films), "--out", "run-2"]
    code, out, _ = call(films, "--classes-from", 1)
    assert next_of(out) == ["train", str(films), "--classes-from", "1", "--out", "run-2"]
    assert call("look", films, "--classes-from", 1)[1] == out


@pytest.mark.slow
def test_two_commands_lead_to_a_report_on_ones_own_folder_and_to_answers(call, films, tmp_path, cache):
    """The other command is pip's."""
    code, out, err = call("train", films, "--size", 96, "--workers", 1, *QUICK)
    assert code == 0, err
    store = next((cache / "stores").glob("my-films-*.h5"))
    assert f"40 radiographs in {store}\n" in out
    assert "Open run/report.html" in out
    page = (tmp_path / "run" / "report.html").read_text()
    assert str(store) in page
    assert f"# in the folder that holds {store.name} and run\nplainfilm train {store.name} --recipe" in page
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["data"]["kept_at"] == str(store)
    code, again, err = call("train", films, "--out", "other", "--size", 96, "--json", "--quiet", *QUICK)
    assert (code, err) == (0, "")
    assert json.loads(again)["data"] == metrics["data"]
    told = next_of(call("run")[1])
    assert told == ["predict", "run", "FILE"]
    code, out, err = call(*told[:2], films / "COVID", "--json", "--quiet")
    assert (code, err) == (0, "")
    assert len(json.loads(out)["predictions"]) > 5
    assert call("export", "run", "--to", "onnx", "--out", "run.onnx", "--quiet")[0] == 0
    assert next_of(call("run/model.plainfilm")[1]) == ["predict", "run/model.plainfilm", "FILE"]
    assert next_of(call(store)[1]) == ["train", str(store), "--out", "run-2"]


def test_ingest_asks_before_it_replaces_a_store(call, films, tmp_path):
    words = ["ingest", films, "--out", "a b.h5", "--size", 32, "--workers", 1]
    code, out, _ = call(*words)
    assert code == 0
    assert next_of(out) == ["train", "a b.h5", "--out", "run"]
    before = (tmp_path / "a b.h5").read_bytes()
    code, out, err = call(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "Name another, or pass --overwrite to replace it." in err
    assert (tmp_path / "a b.h5").read_bytes() == before
    assert call(*words, "--overwrite", "--seed", 4)[0] == 0
    assert (tmp_path / "a b.h5").read_bytes() != before


def test_a_folder_without_a_bundle_is_one_line(call, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, err = call("predict", "empty", "x.png")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "Expected a run folder with a model.plainfilm in it; received empty (none)." in err


@pytest.mark.parametrize(
    ("word", "match"),
    [
        ("no/such", "does not exist"),
        ("none.h5", "does not exist"),
        ("trian", "Did you mean train[?]"),
        ("", "Expected a command or a path; received ''"),
        ("a" * 5000, "Expected|Unknown"),
        ("b/" * 3000, "Expected|Unknown"),
    ],
)
def test_what_is_neither_a_command_nor_a_path_is_one_line(word, match, call):
    code, out, err = call(word)
    assert (out, err.count("\n")) == ("", 1)
    assert code in (1, 2)
    assert re.search(match, err), err


def test_recipes_are_listed_with_a_line_each(call):
    code, out, err = call("recipes")
    assert (code, err) == (0, "")
    for name in recipes.names():
        assert len(re.findall(rf"^{name} +\S.*\.$", out, re.MULTILINE)) == 1


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_shown_in_full_is_the_recipe(name, call, tmp_path):
    code, out, err = call("recipes", name)
    assert (code, err) == (0, "")
    assert out.startswith("# ")
    (tmp_path / "mine.toml").write_text(out)
    assert recipes.load(str(tmp_path / "mine.toml")) == recipes.load(name)
    assert call("recipes", "mine.toml")[1] == "".join(
        line for line in out.splitlines(keepends=True) if not line.startswith("#")
    )


def test_a_recipe_that_is_none_is_one_line(call):
    code, out, err = call("recipes", "defualt")
    assert (code, out) == (2, "")
    assert "Did you mean default?" in err


@pytest.fixture
def desk(tmp_path, films):
    """What lies about: a folder, a run of an earlier version, its store, a table, a film, a text."""
    shutil.copytree(films, tmp_path / "films")
    shutil.copytree(OLD / "run", tmp_path / "run")
    shutil.copy(OLD / "store.h5", tmp_path / "s.h5")
    shutil.copy(next(films.glob("COVID/*")), tmp_path / "a film.jpg")
    (tmp_path / "labels.csv").write_text("file_name,label\n")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ("flms", "Expected a command or a path; received flms, which is neither. Did you mean films?"),
        ("nowhere", "Expected a command or a path; received nowhere, which is neither. See plainfilm --help."),
        ("labels.csv", "A table of labels goes with its folder: plainfilm . --labels labels.csv"),
        ("'a film.jpg'", "a trained classifier answers for a file: plainfilm predict RUN 'a film.jpg'"),
        ("run/report.html", "It is part of a run: plainfilm run"),
        ("s.h5 films", "received s.h5 among others. Name it alone"),
        ("run films", "received run, which a command of plainfilm wrote"),
        ("train run --out x", "received run, which a command of plainfilm wrote"),
        ("audit films run --out x", "received run, which a command of plainfilm wrote"),
        ("ingest run --out x.h5", "received run, which a command of plainfilm wrote"),
        ("evaluate run run --out x", "received run, which a command of plainfilm wrote"),
        ("train run/model.plainfilm --out x", "received run/model.plainfilm, a classifier"),
        ("train labels.csv --out x", "Expected a folder of radiographs, or a zip or tar of one; received the file labels.csv"),
        ("train", "Expected STORE|FOLDER (or --store); received none"),
        ("evaluate run", "Expected SOURCE (or --source); received none"),
        ("evaluate run films", "Expected --out; received none"),
        ("presets films 'a b'", "Expected no further words; received films 'a b'"),
    ],
)  # fmt: skip
def test_what_is_in_the_wrong_place_is_one_line_that_says_where_it_belongs(words, match, call, desk):
    code, out, err = call(*shlex.split(words))
    assert (out, err.count("\n")) == ("", 1)
    assert code in (1, 2)
    assert match in err
    assert not (desk / "x").exists()


def test_a_search_says_how_to_train_its_best_and_a_damaged_one_is_one_line(call, tmp_path):
    folder = shutil.copytree(OLD / "tune", tmp_path / "tune")
    code, _, err = call("tune")
    assert (code, err) == (
        2,
        "plainfilm: Expected STORE|FOLDER (or --store); received none. See plainfilm tune --help.\n",
    )
    assert next_of(call("./tune")[1])[:3] == ["train", "store.h5", "--recipe"]
    (folder / "tuning.json").write_text("{")
    code, _, err = call("./tune")
    assert (code, err.count("\n")) == (2, 1)
    assert "tune/tuning.json" in err


@pytest.mark.parametrize("words", [["locked"], ["look", "locked"], ["train", "locked", "--out", "x"]])
def test_a_folder_that_may_not_be_looked_into_is_one_line(words, call, tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir()
    looked = Path.is_file

    def locked(path):
        if "locked" in path.parts[:-1]:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return looked(path)

    monkeypatch.setattr(Path, "is_file", locked)
    code, out, err = call(*words)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "received locked (Permission denied). Check its name and permissions." in err
