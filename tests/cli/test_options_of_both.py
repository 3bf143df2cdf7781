"""The command line and Python have the same options under the same names, but for those that are named here."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import plainfilm
from plainfilm import wording
from plainfilm.cli.application import app
from plainfilm.evidence.inference.predictor import Predictor
from plainfilm.workflows import cache

SOURCES = Path(plainfilm.__file__).parent
ONLY_TYPED = {"quiet", "json", "csv"}  # what is printed
ONLY_PYTHON = {"command", "progress", "callbacks", "self"}  # the report's first line; functions
VERBS = {
    "ingest": (plainfilm.ingest,),
    "train": (plainfilm.train,),
    "audit": (plainfilm.audit,),
    "relabel": (plainfilm.relabel,),
    "evaluate": (plainfilm.evaluate,),
    "compare": (plainfilm.compare,),
    "tune": (plainfilm.tune,),
    "demo": (plainfilm.demo,),
    "export": (plainfilm.export,),
    "drift": (plainfilm.drift,),
    "info": (plainfilm.describe,),
    "pack": (plainfilm.pack,),
    "cache": (cache.look,),
    "predict": (plainfilm.load, Predictor.predict),
}
OTHER_NAMES = {"predict": {"path": "bundle", "films": "files"}}  # by place in both


def typed(command):
    """Give each option of a command with all its names, as Python would write them."""
    arguments = app[command].assemble_argument_collection()
    shown = [argument for argument in arguments if argument.parse and argument.show]
    return [{name.lstrip("-").replace("-", "_").lower() for name in argument.names} for argument in shown]


def in_python(command):
    names = {name for each in VERBS[command] for name in inspect.signature(each).parameters}
    return {OTHER_NAMES.get(command, {}).get(name, name) for name in names} - ONLY_PYTHON


@pytest.mark.parametrize("command", VERBS)
def test_a_verb_has_the_same_options_in_both(command):
    options = [names - {f"no_{name}" for name in names} for names in typed(command)]
    options = [names for names in options if not names & ONLY_TYPED]
    known = in_python(command)
    assert options
    assert [names for names in options if not names & known] == []
    assert known - set().union(*options) == set()


def test_every_verb_of_python_is_compared():
    compared = {each.__name__ for verbs in VERBS.values() for each in verbs}
    assert {name for name in plainfilm.__all__ if name.islower() and not name.startswith("_")} <= compared


# ---- messages


def messages():
    """Find the texts of the library that name a flag, with what is filled in as VALUE; the servers, the scheduler and its workers have no Python side."""
    for file in sorted(SOURCES.rglob("*.py")):
        if file.relative_to(SOURCES).parts[0] in {"app", "cli", "serve", "wording.py"} or file.name == "nodes.py":
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        docs = {id(node.body[0].value) for node in ast.walk(tree)
                if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and isinstance(node.body[0], ast.Expr)}  # fmt: skip
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if id(node) in docs | parts:
                continue
            text = _text(node)
            if re.search(r"(?<!\w)--[a-z]", text):
                yield pytest.param(text, id=f"{file.relative_to(SOURCES)}:{node.lineno}")


def _text(node):
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "VALUE" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@pytest.mark.parametrize("text", list(messages()))
def test_a_message_names_no_flag_to_who_wrote_python_but_an_argument_that_there_is(text):
    told = wording.in_python(text)
    assert "--" not in told
    known = {name for command in VERBS for name in in_python(command)}
    flags = re.findall(r"(?<![\w-])--(?:no-)?([a-z][a-z-]*)", text)
    assert {wording.LISTS.get(flag, flag.replace("-", "_")) for flag in flags} <= known


def test_switches_are_those_options_that_are_true_or_false():
    parameters = {name: each for verbs in VERBS.values() for verb in verbs
                  for name, each in inspect.signature(verb).parameters.items()}  # fmt: skip
    found = {name.replace("_", "-") for name, each in parameters.items() if each.default is False}
    assert found == wording.SWITCHES
    flags = {argument.name.removeprefix("--") for command in VERBS for argument in app[command].assemble_argument_collection()
             if argument.hint in {bool, bool | str}}  # fmt: skip
    assert flags - ONLY_TYPED - {"audit"} == wording.SWITCHES  # --no-audit is read as audit=False


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("Name another, or pass --overwrite to replace it.", "Name another, or pass overwrite=True to replace it."),
        ("Use --on-bad skip to leave such files out.", 'Use on_bad="skip" to leave such files out.'),
        ("Ingest it with --size 96 --fit pad.", 'Ingest it with size=96, fit="pad".'),
        ("Leave out --no-audit.", "Leave out audit=False."),
        ("Name it with --label-column.", "Name it with `label_column`."),
        ("Columns that `--keep` named.", "Columns that `keep` named."),
        ("for each of --folds 5 in", "for each of folds=5 in"),
        ("Write --map COVID-19=COVID", 'Write mapping={"COVID-19": "COVID"}'),
        ("Write --set training.epochs=5", 'Write settings={"training.epochs": 5}'),
        ("with --label-pattern '_([^_]+)\\.', or", "with label_pattern='_([^_]+)\\.', or"),
        ("Write: plainfilm ingest FOLDER --out NAME.h5", 'Write: plainfilm.ingest("FOLDER", out="NAME.h5")'),
        ("Received a--b.png and - -x.", "Received a--b.png and - -x."),
    ],
)
def test_flags_and_commands_are_told_as_arguments_and_calls(written, told):
    assert wording.in_python(written) == told
    with wording.flags():
        assert wording.told(written) == written
    assert wording.told(written) == told


def test_the_same_mistake_is_told_to_each_in_his_own_words(call, tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "metrics.json").write_text("{}")
    code, _, err = call("train", "s.h5", "--out", "r")
    assert code == 2
    assert "Expected --out to be" in err
    assert "pass --overwrite" in err
    with pytest.raises(plainfilm.PlainfilmError, match="Expected `out` to be .* pass overwrite=True"):
        plainfilm.train("s.h5", tmp_path / "r")
