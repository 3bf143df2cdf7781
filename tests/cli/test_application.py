import json
import subprocess
import sys
from pathlib import Path

import pytest

from plainfilm import __version__
from plainfilm.cli.application import app
from plainfilm.data import claims, files, phantom
from plainfilm.evidence.inference import predictor as prediction
from plainfilm.workflows import demo
from plainfilm.workflows import train as training

OLD = Path(__file__).resolve().parents[1] / "written_by_0_1_0"
BUNDLE, FILMS, STORE = OLD / "run" / "model.plainfilm", OLD / "films", OLD / "store.h5"
ANEW = "What was unfinished is removed, what was there before is as it was. Run the same command to begin again."


def stop(*_, **__):
    raise KeyboardInterrupt


EARLY = """
import os, signal, sys

class Finder:
    def find_spec(name, *_):
        if name == "cyclopts":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder)
from plainfilm.cli import main
main()
"""


def test_ctrl_c_while_the_command_line_is_imported_is_one_line():
    ended = subprocess.run([sys.executable, "-c", EARLY], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, "plainfilm: Stopped. Nothing was begun.\n")


# ---- help, version, completion


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version(call, flag):
    assert call(flag) == (0, f"{__version__}\n", "")


@pytest.mark.parametrize("words", [(), ("train",), ("weights", "fetch"), ("help",)])
def test_help_is_what_the_flag_shows(call, words):
    code, out, err = call("help", *words)
    assert (code, err) == (0, "")
    assert out == call(*words, "--help")[1]
    assert all(word in out for word in words)


def test_help_of_no_command_is_one_line(call):
    code, out, err = call("help", "trian")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "trian" in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion_knows_every_command_and_flag(call, monkeypatch, tmp_path, shell):
    monkeypatch.setenv("HOME", str(tmp_path))
    code, out, err = call("--install-completion", "--shell", shell, "--output", tmp_path / "script")
    assert (code, err) == (0, "")
    assert str(tmp_path / "script") in out
    script = (tmp_path / "script").read_text(encoding="utf-8")
    for name in (each for each in app if not each.startswith("-")):
        assert name in script
    for flag in ("require-signature", "resume", "recalibrate", "shortcut", "dicom-port"):
        assert flag in script, flag


@pytest.mark.skipif(sys.platform == "win32", reason="bash is not everywhere")
def test_bash_completes(call, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert call("--install-completion", "--shell", "bash")[0] == 0
    assert "plainfilm" in (tmp_path / ".bashrc").read_text()
    typed = (
        "source .bashrc; COMP_WORDS=(plainfilm train --resu); COMP_CWORD=2; _plainfilm plainfilm --resu train; echo ${COMPREPLY[@]};"
        "COMP_WORDS=(plainfilm pred); COMP_CWORD=1; _plainfilm plainfilm pred plainfilm; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", typed], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["--resume", "predict"]


# ---- Ctrl-C says what it leaves


def test_ctrl_c_where_nothing_is_kept(call, monkeypatch, tmp_path):
    phantom.write_phantoms(tmp_path / "films", n=24)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr("plainfilm.data.store_writer.StoreWriter.finish", stop)
    assert call("ingest", "films", "--out", "films.h5", "--quiet") == (130, "", f"plainfilm: Stopped. {ANEW}\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_ctrl_c_in_predict_leaves_json_that_can_be_read_and_counts_what_is_answered(call, monkeypatch):
    film = FILMS / "00001.jpg"
    stream = prediction.Predictor.stream

    def stopped(self, *arguments, **options):
        answers = stream(self, *arguments, **options)
        yield next(answers)
        stop()

    monkeypatch.setattr(prediction.Predictor, "stream", stopped)
    code, out, err = call("predict", BUNDLE, film, film, film, "--json", "--quiet")
    assert len(json.loads(out)["predictions"]) == 1
    assert (code, err) == (
        130,
        "plainfilm: Stopped. 1 of 3 files are answered; run the same command to begin again.\n",
    )


def test_ctrl_c_in_a_fine_tuning_names_resume(call, monkeypatch, tmp_path):
    def after_an_epoch(plan):
        plan.epochs.mkdir()
        stop()

    monkeypatch.setattr(training, "_trained_and_judged", after_an_epoch)
    code, _, err = call("train", STORE, "--out", "r", "--quiet")
    assert (code, err.count("\n")) == (130, 1)
    assert "--resume to go on" in err
    assert [path.name for path in tmp_path.iterdir()] == [".r.epochs"]
    code, _, err = call("train", STORE, "--out", "r", "--quiet")  # which the line said must not be
    assert code == 2
    assert "--resume" in err


def test_ctrl_c_in_the_demo_names_what_is_kept_and_the_flag_that_begins_again(call, monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "train", stop)
    code, _, err = call("demo", "--images", 24, "--quiet")
    kept = ", ".join(str(Path("demo", name)) for name in ("radiographs", "demo.h5"))
    assert code == 130
    assert f"Stopped. Whole and kept: {kept}. Run the same command with --overwrite" in err
    code, _, err = call("demo", "--images", 24, "--quiet", "--overwrite")
    assert (code, "Whole and kept" in err) == (130, True)


def test_ctrl_c_in_a_search_says_that_its_trials_are_kept(call, monkeypatch, tmp_path):
    monkeypatch.setattr("plainfilm.workflows.tune._material", stop)
    code, _, err = call("tune", STORE, "--out", "t", "--overwrite", "--quiet")
    assert code == 130
    assert "What was tried is kept; run the same command without --overwrite to go on." in err


def test_a_second_ctrl_c_while_the_first_clears_up_promises_nothing(call, monkeypatch, tmp_path):
    phantom.write_phantoms(tmp_path / "films", n=24)

    def stop_twice(*_, **__):
        monkeypatch.setattr(claims, "remove", stop)
        stop()

    monkeypatch.setattr("plainfilm.data.store_writer.StoreWriter.finish", stop_twice)
    code, _, err = call("ingest", "films", "--out", "films.h5", "--quiet")
    assert (code, err.count("\n")) == (130, 1)
    assert "Stopped twice" in err
    assert "removes it" in err


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("is_after", [False, True])
def test_ctrl_c_while_a_folder_gets_its_name_tells_on_which_side_of_it(monkeypatch, tmp_path, is_there, is_after):
    path, put = tmp_path / "run", files._put
    if is_there:
        path.mkdir()
        (path / "old").touch()

    def stopped_put(*places, **how):
        if is_after:
            put(*places, **how)
        stop()

    def write(path):
        with files.reserved(path, overwrite=True) as (partial,):
            partial.mkdir()
            (partial / "new").touch()

    monkeypatch.setattr(files, "_put", stopped_put)
    with pytest.raises(KeyboardInterrupt) as stopped:
        write(path)
    assert getattr(stopped.value, "__notes__", []) == [f"{path} is written and whole."] * is_after
    assert [each.name for each in tmp_path.rglob("*")] == [
        *["run"] * (is_there or is_after),
        *["new"] * is_after,
        *["old"] * (is_there and not is_after),
    ]


def test_ctrl_c_between_two_steps_says_that_the_next_command_completes_them(monkeypatch, tmp_path):
    names = [tmp_path / "a.csv", tmp_path / "a.h5"]

    def write_both():
        with files.reserved(*names) as partials:
            for partial in partials:
                partial.write_text("new")
            monkeypatch.setattr(files, "_complete", stop)

    with pytest.raises(KeyboardInterrupt) as stopped:
        write_both()
    assert "the next command that looks there puts it in its place" in stopped.value.__notes__[0]
    monkeypatch.undo()
    files.settle(names[-1])
    assert [name.read_text() for name in names] == ["new", "new"]
